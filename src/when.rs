//! Points in a history: revisions, positions, times, and the one type for every "as of".

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of a version along one branch of its entity's lineage: 1, 2, 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The number of an entry in the log, assigned when it is written: 1, 2, 3, without gaps. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

/// After everything that there is, what is being committed included.
pub(crate) const LATEST: Position = Position(u64::MAX);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A moment: microseconds since 1970-01-01T00:00:00Z. It prints and parses as RFC 3339.
///
/// ```
/// # use heirloom::Timestamp;
/// let time: Timestamp = "2018-09-20T16:56:27+02:00".parse()?;
/// assert_eq!(time.to_string(), "2018-09-20T14:56:27Z");
/// # Ok::<(), heirloom::TimeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    micros: i64,
}

impl Timestamp {
    /// The moment so many microseconds after (before, if negative) 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.micros
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        // In 64 bits: every commit passes here, and 128 would divide in software.
        let micros = |since: Duration| {
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            seconds.saturating_mul(1_000_000).saturating_add(i64::from(since.subsec_micros()))
        };
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self { micros: micros(since) },
            Err(before) => Self { micros: -micros(before.duration()) },
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.micros) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} us", self.micros),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time: expected RFC 3339 such as 2018-09-20T16:56:27+02:00")]
pub struct TimeError {
    text: String,
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self { micros: time.as_microsecond() })
            .map_err(|_| TimeError { text: text.chars().take(80).collect() })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A point in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Now: after the newest commit.
    Head,
    /// At this revision of the entity that is asked for.
    Revision(Revision),
    /// After the entry at this position.
    Position(Position),
    /// At this time: after the highest position whose time is not later. Times may run backwards.
    Time(Timestamp),
    /// At the tag of this name.
    Tag(String),
}

impl From<Revision> for When {
    fn from(revision: Revision) -> Self {
        When::Revision(revision)
    }
}

impl From<Position> for When {
    fn from(position: Position) -> Self {
        When::Position(position)
    }
}

impl From<Timestamp> for When {
    fn from(time: Timestamp) -> Self {
        When::Time(time)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Head => f.write_str("the head"),
            When::Revision(revision) => write!(f, "{revision}"),
            When::Position(position) => write!(f, "{position}"),
            When::Time(time) => write!(f, "{time}"),
            When::Tag(tag) => write!(f, "the tag {tag:?}"),
        }
    }
}

/// Where the time of commits comes from.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}
