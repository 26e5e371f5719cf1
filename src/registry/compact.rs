//! What a history keeps, and forgetting the rest a piece at a time.

use std::time::Duration;

use super::Registry;
use crate::history::ReadError;
use crate::store::StoreError;
use crate::when::{Position, Timestamp};

/// What of a history is to be kept: everything, unless something is said. What any part of it keeps is kept.
///
/// The newest state of everything stays whatever is said, and so does what tags name, and the log: who did what and
/// when, with which arguments.
///
/// ```
/// # use heirloom::Retention;
/// # use std::time::Duration;
/// let a_month_and_a_thousand = Retention::new().age(Duration::from_secs(30 * 86_400)).entries(1000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    entries: Option<u64>,
    age: Option<Duration>,
}

impl Retention {
    /// Keeps everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what the last so many entries of the log changed, and every state since; with 0, the newest alone.
    #[must_use]
    pub fn entries(mut self, count: u64) -> Self {
        self.entries = Some(count);
        self
    }

    /// Keeps every state since so long ago, by the registry's clock, and what was changed since.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }
}

/// What one step of forgetting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// The first position as of which everything can be read.
    pub horizon: Position,
    /// How many versions went in this step.
    pub versions: usize,
    /// Whether there is more to do: then it is worth calling again.
    pub more: bool,
}

/// Why nothing was forgotten.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// The registry has no store.
    #[error("a registry in memory keeps everything: open one over a file or another store to forget")]
    InMemory,
    /// The history cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registry {
    /// Does one step of forgetting what the retention does not keep, and tells whether there is more to do. A step lets at
    /// most about `budget` versions go, in one transaction, and costs accordingly, however large the history is; readers
    /// and writers go on meanwhile, and it may be the last one for good.
    ///
    /// What is forgotten is below the [horizon](crate::History::horizon), which never sinks: a wider retention brings
    /// nothing back. What was there below it is told no more ([`ReadError::Forgotten`]), but as of tags. Revisions go on
    /// counting. The file shrinks as the steps go on.
    ///
    /// ```no_run
    /// # use heirloom::{prelude::*, Retention};
    /// let registry = Registry::open("school.heirloom")?;
    /// while registry.compact(&Retention::new().entries(10_000), 1000)?.more {}
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`CompactError::InMemory`] if the registry has no store; or it cannot be read or written.
    pub fn compact(&self, retention: &Retention, budget: usize) -> Result<Compaction, CompactError> {
        let archive = &self.inner.archive;
        let head = self.history().head();
        let by_count = retention.entries.map(|count| Position(head.0.saturating_sub(count)));
        let by_age = match retention.age {
            None => None,
            Some(age) => {
                let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                let since = Timestamp::from_micros(archive.now().as_micros().saturating_sub(micros));
                Some(archive.position_of_time(since)?)
            }
        };
        let horizon = by_count.into_iter().chain(by_age).min().unwrap_or_default();
        let progress = archive.forget(horizon, budget)?.ok_or(CompactError::InMemory)?;
        Ok(Compaction { horizon: progress.horizon, versions: progress.versions, more: progress.more })
    }
}
