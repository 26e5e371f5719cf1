//! The log: one entry for every commit and run, in order, never changed.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::id::EntityId;
use crate::lineage::Made;
use crate::value::Value;
use crate::when::{Position, Revision, Timestamp};

/// What a callable was given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Argument {
    /// An entity, at a revision.
    Entity {
        /// Its identity.
        id: EntityId,
        /// The revision that was read.
        revision: Revision,
    },
    /// A plain value.
    Value(Value),
    /// Several entities for one parameter.
    Several(Vec<Argument>),
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Entity { id, revision } => write!(f, "@{id}#{revision}"),
            Argument::Value(value) => write!(f, "{value}"),
            Argument::Several(arguments) => {
                f.write_str("[")?;
                for (index, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// It returned.
    Returned,
    /// It returned an error, with this text.
    Failed(String),
    /// It panicked, with this text.
    Panicked(String),
    /// It returned, and what it did could not be committed, for this reason.
    Refused(String),
}

/// What the log knows a callable by.
#[derive(Debug)]
pub(crate) struct Callable {
    pub(crate) name: Arc<str>,
    pub(crate) code_version: OnceLock<Arc<str>>,
}

/// One recorded execution of a callable.
#[derive(Clone, Debug)]
pub struct Run {
    pub(crate) callable: Arc<Callable>,
    pub(crate) arguments: SmallVec<[Argument; 2]>,
    /// How it ended, if it did not just return.
    pub(crate) end: Option<Box<RunEnd>>,
    /// How long it took.
    pub(crate) nanos: u64,
}

impl Run {
    /// The registered name.
    #[must_use]
    pub fn callable(&self) -> &str {
        &self.callable.name
    }

    /// The version of its code, if it was registered with one.
    #[must_use]
    pub fn code_version(&self) -> Option<&str> {
        self.callable.code_version.get().map(|version| &**version)
    }

    /// What it was given, in order; the entities among these are the versions that it read.
    #[must_use]
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// How it ended.
    #[must_use]
    pub fn end(&self) -> &RunEnd {
        self.end.as_deref().unwrap_or(&RunEnd::Returned)
    }

    /// How long the callable itself took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// Free properties of a commit, in the order they were given.
pub type Properties = IndexMap<String, String>;

/// What is said of a commit: shared, since a caller says the same of all that it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) author: Option<Arc<str>>,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) properties: Properties,
}

/// One entry of the log.
#[derive(Clone)]
pub struct Entry {
    pub(crate) position: Position,
    pub(crate) time: Timestamp,
    pub(crate) said: Option<Arc<Said>>,
    pub(crate) run: Option<Run>,
    /// How many versions it made.
    versions: u32,
    /// Where the log has these; nowhere if there are none, as for a run that changed nothing.
    made: u32,
}

impl Entry {
    /// Its place in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// When it was written, by the registry's clock, or the time that the commit was given.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Who did it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.said.as_ref()?.author.as_deref()
    }

    /// What was said of it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.said.as_ref()?.message.as_deref()
    }

    /// What else was said of it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.said.as_ref()?.properties.get(name).map(String::as_str)
    }

    /// All that else was said of it.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.said.iter().flat_map(|said| said.properties.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// The run that made it, if a callable did.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// How many versions it made, owners that were carried along included.
    #[must_use]
    pub fn version_count(&self) -> usize {
        self.versions as usize
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.position, self.time)?;
        if let Some(author) = self.author() {
            write!(f, " {author}")?;
        }
        if let Some(run) = &self.run {
            write!(f, " {}", run.callable())?;
        }
        if let Some(message) = self.message() {
            write!(f, " {message:?}")?;
        }
        match self.run.as_ref().map(Run::end) {
            Some(RunEnd::Failed(reason)) => write!(f, ": failed: {reason}"),
            Some(RunEnd::Panicked(reason)) => write!(f, ": panicked: {reason}"),
            Some(RunEnd::Refused(reason)) => write!(f, ": refused: {reason}"),
            _ => match self.versions {
                0 => f.write_str(": no version"),
                1 => f.write_str(": 1 version"),
                count => write!(f, ": {count} versions"),
            },
        }
    }
}

/// All entries in memory.
pub(crate) struct Log {
    entries: boxcar::Vec<Entry>,
    /// The versions that entries made: the places of the lineages, the indexes of the versions.
    made: boxcar::Vec<Made>,
}

/// Positions whose time no later position undercuts, with rising times: the answer to every "as of this time".
#[derive(Default)]
pub(crate) struct Times {
    rising: Vec<(Timestamp, Position)>,
}

impl Times {
    fn push(&mut self, time: Timestamp, position: Position) {
        while self.rising.last().is_some_and(|(earlier, _)| *earlier >= time) {
            self.rising.pop();
        }
        self.rising.push((time, position));
    }

    /// The highest position whose time is not later. O(log h).
    pub(crate) fn at(&self, time: Timestamp) -> Option<Position> {
        let after = self.rising.partition_point(|(candidate, _)| *candidate <= time);
        after.checked_sub(1).map(|index| self.rising[index].1)
    }
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { entries: boxcar::Vec::new(), made: boxcar::Vec::new() }
    }

    /// Adds an entry after the last one, taking what is said of it. The caller holds the writer's lock, and `times` with
    /// it, and numbered the entry.
    pub(crate) fn append(
        &self,
        position: Position,
        time: Timestamp,
        said: &mut Option<Arc<Said>>,
        run: &mut Option<Run>,
        made: Made,
        times: &mut Times,
    ) {
        times.push(time, position);
        let versions = u32::try_from(made.len()).expect("fewer than 2^32 versions fit in memory");
        let made = if made.is_empty() { 0 } else { self.made.push(made) };
        let made = u32::try_from(made).expect("fewer than 2^32 commits fit in memory");
        self.entries.push_with(|_| Entry { position, time, said: said.take(), run: run.take(), versions, made });
    }

    /// The versions that an entry made.
    pub(crate) fn made(&self, entry: &Entry) -> &[(u32, u32)] {
        if entry.versions == 0 { &[] } else { &self.made[entry.made as usize] }
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Entry> {
        self.entries.get(usize::try_from(position.0.checked_sub(1)?).ok()?)
    }
}
