//! The entries of the log as they are read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{History, ReadError, Store};
use crate::id::EntityId;
use crate::log::{Given, Line, Ran, RunEnd};
use crate::value::Value;
use crate::when::{Position, Revision, Timestamp};

/// One entry of the log: a commit, a run, or both. A clone is O(1).
#[derive(Clone)]
pub struct Entry {
    store: Arc<Store>,
    position: Position,
}

/// One recorded execution of a callable.
#[derive(Clone, Copy)]
pub struct Run<'e> {
    store: &'e Store,
    ran: &'e Ran,
}

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
    /// A plain value that was given by an address, or with addresses in it.
    At {
        /// The value.
        value: Value,
        /// The entities in which it was found, at the revisions that were read.
        read: Vec<Argument>,
    },
    /// Several entities for one parameter.
    Several(Vec<Argument>),
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Entity { id, revision } => write!(f, "@{id}#{revision}"),
            Argument::Value(value) | Argument::At { value, .. } => write!(f, "{value}"),
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

impl<'e> Run<'e> {
    /// The registered name.
    #[must_use]
    pub fn callable(self) -> &'e str {
        &self.ran.callable.name
    }

    /// The version of its code, if it was registered with one.
    #[must_use]
    pub fn code_version(self) -> Option<&'e str> {
        self.ran.callable.code_version.get().map(|version| &**version)
    }

    /// What it was given, in order; the entities among these are the versions that it read.
    #[must_use]
    pub fn arguments(self) -> Vec<Argument> {
        self.all(&self.ran.given)
    }

    fn all(self, given: &[Given]) -> Vec<Argument> {
        given.iter().map(|given| self.argument(given)).collect()
    }

    fn argument(self, given: &Given) -> Argument {
        match given {
            Given::Entity(ix, revision) => {
                Argument::Entity { id: self.store.lineages.get(*ix).id, revision: Revision((*revision).into()) }
            }
            Given::Null => Argument::Value(Value::Null),
            Given::Bool(truth) => Argument::Value(Value::Bool(*truth)),
            Given::Int(number) => Argument::Value(Value::Int(*number)),
            Given::F64(number) => Argument::Value(Value::F64(*number)),
            Given::Value(value) => Argument::Value(Value::clone(value)),
            Given::At(found) => Argument::At { value: found.0.clone(), read: self.all(&found.1) },
            Given::Several(given) => Argument::Several(self.all(given)),
        }
    }

    /// How it ended.
    #[must_use]
    pub fn end(self) -> &'e RunEnd {
        self.ran.end()
    }

    /// How long the callable itself took.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_nanos(self.ran.nanos)
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("callable", &self.callable())
            .field("code_version", &self.code_version())
            .field("arguments", &self.arguments())
            .field("end", self.end())
            .field("duration", &self.duration())
            .finish()
    }
}

impl Entry {
    fn line(&self) -> &Line {
        self.store.log.get(self.position).expect("an entry is made only of a line that is there")
    }

    /// Its place in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// When it was written, by the registry's clock, or the time that the commit was given.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.line().time
    }

    /// Who did it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.line().author()
    }

    /// What was said of it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.line().said.as_ref()?.message.as_deref()
    }

    /// What else was said of it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.line().said.as_ref()?.properties.get(name).map(String::as_str)
    }

    /// All that else was said of it.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.line().said.iter().flat_map(|said| said.properties.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// The run that made it, if a callable did.
    #[must_use]
    pub fn run(&self) -> Option<Run<'_>> {
        self.line().run.as_ref().map(|ran| Run { store: &self.store, ran })
    }

    /// How many versions it made, owners that were carried along included.
    #[must_use]
    pub fn version_count(&self) -> usize {
        self.line().versions as usize
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.position, self.time())?;
        if let Some(author) = self.author() {
            write!(f, " {author}")?;
        }
        if let Some(run) = self.run() {
            write!(f, " {}", run.callable())?;
        }
        if let Some(message) = self.message() {
            write!(f, " {message:?}")?;
        }
        match self.run().map(Run::end) {
            Some(RunEnd::Failed(reason)) => write!(f, ": failed: {reason}"),
            Some(RunEnd::Panicked(reason)) => write!(f, ": panicked: {reason}"),
            Some(RunEnd::Refused(reason)) => write!(f, ": refused: {reason}"),
            _ => match self.version_count() {
                0 => f.write_str(": no version"),
                1 => f.write_str(": 1 version"),
                count => write!(f, ": {count} versions"),
            },
        }
    }
}

impl History {
    /// The entry of the log at a position.
    ///
    /// # Errors
    /// There is none.
    pub fn entry(&self, position: Position) -> Result<Entry, ReadError> {
        self.line(position).map(|_| Entry { store: Arc::clone(&self.store), position })
    }

    /// The line of the log at a position.
    pub(super) fn line(&self, position: Position) -> Result<&Line, ReadError> {
        let last = self.head();
        match self.store.log.get(position) {
            Some(line) if position <= last => Ok(line),
            _ => Err(ReadError::NoPosition { asked: position, last }),
        }
    }

    /// All entries of the log, oldest first; `.rev()` tails it.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry> {
        let store = Arc::clone(&self.store);
        (1..=self.head().0).map(move |position| Entry { store: Arc::clone(&store), position: Position(position) })
    }
}
