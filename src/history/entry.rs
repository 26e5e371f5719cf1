//! The entries of the log as they are read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Archive, History, ReadError, said};
use crate::id::{EntityId, RunId};
use crate::lineage::Ix;
use crate::log::{Drawn, Given, Line, MANY, Ran, RunEnd, Said};
use crate::store::{EntryKind, Query};
use crate::value::Value;
use crate::when::{Position, Revision, Timestamp};

/// One entry of the log: a commit, a run, or both. A clone is O(1).
#[derive(Clone)]
pub struct Entry {
    archive: Arc<Archive>,
    position: Position,
    /// As it was read, where the log is not in memory.
    read: Option<Arc<ReadLine>>,
}

/// A line of a log that is not in memory.
pub(super) struct ReadLine {
    pub(super) time: Timestamp,
    pub(super) kind: EntryKind,
    pub(super) said: Said,
    pub(super) run: Option<ReadRun>,
    pub(super) made: Vec<(EntityId, Revision)>,
}

/// A run of a log that is not in memory.
pub(super) struct ReadRun {
    pub(super) callable: String,
    pub(super) code_version: Option<String>,
    pub(super) arguments: Vec<Argument>,
    /// Whether what was sealed of it is erased.
    pub(super) erased: bool,
    pub(super) end: RunEnd,
    pub(super) nanos: u64,
    pub(super) drawn: Drawn,
    pub(super) result: Option<Value>,
}

/// One recorded execution of a callable.
#[derive(Clone, Copy)]
pub struct Run<'e>(Recorded<'e>);

/// Where a run is told of.
#[derive(Clone, Copy)]
enum Recorded<'e> {
    Kept { archive: &'e Archive, ran: &'e Ran },
    Read(&'e ReadRun),
}

/// One of the runs that make one commit together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunPart {
    /// The registered name.
    pub callable: String,
    /// The version of its code, if it was registered with one.
    pub code_version: Option<String>,
    /// What it was given, in order; entities at the revisions from which the commit began.
    pub arguments: Vec<Argument>,
    /// Its identity, if it asked for one.
    pub id: Option<RunId>,
    /// The time that it was told, if it asked for it.
    pub now: Option<Timestamp>,
    /// How long the callable itself took.
    pub duration: Duration,
}

impl RunPart {
    /// Of what the log has of it.
    fn of(argument: Argument) -> Option<Self> {
        let Argument::Several(mut arguments) = argument else { return None };
        let Argument::Value(head) = (!arguments.is_empty()).then(|| arguments.remove(0))? else { return None };
        let text = |name| head.get(name).and_then(Value::as_text);
        let number = |name| match head.get(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        Some(Self {
            callable: text("callable")?.to_owned(),
            code_version: text("code_version").map(str::to_owned),
            arguments,
            id: text("id").and_then(|id| id.parse().ok()),
            now: number("now").map(Timestamp::from_micros),
            duration: Duration::from_nanos(number("nanos").and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(0)),
        })
    }
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
    /// A plain value that nested too deep to be recorded in a store.
    TooDeep,
    /// Something that was sealed, for the run concerned a subject, and that is erased.
    Erased,
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
            Argument::TooDeep => f.write_str("<nested too deep to be recorded>"),
            Argument::Erased => f.write_str("<erased>"),
        }
    }
}

impl<'e> Run<'e> {
    /// The registered name.
    #[must_use]
    pub fn callable(self) -> &'e str {
        match self.0 {
            Recorded::Kept { ran, .. } => &ran.callable.name,
            Recorded::Read(run) => &run.callable,
        }
    }

    /// The version of its code, if it was registered with one.
    #[must_use]
    pub fn code_version(self) -> Option<&'e str> {
        match self.0 {
            Recorded::Kept { ran, .. } => ran.callable.code_version.get().map(|version| &**version),
            Recorded::Read(run) => run.code_version.as_deref(),
        }
    }

    /// What it was given, in order; the entities among these are the versions that it read.
    #[must_use]
    pub fn arguments(self) -> Vec<Argument> {
        match self.0 {
            Recorded::Kept { archive, ran } => archive.arguments(&ran.given),
            Recorded::Read(run) => run.arguments.clone(),
        }
    }

    /// The runs that it stands for, in order, where [`execute_many`](crate::Caller::execute_many) made one commit of
    /// several: none for any other. Those are left out that are erased.
    #[must_use]
    pub fn parts(self) -> Vec<RunPart> {
        if !self.stands_for_several() {
            return Vec::new();
        }
        self.arguments().into_iter().filter_map(RunPart::of).collect()
    }

    /// Whether it is the one run of a commit of several.
    pub(crate) fn stands_for_several(self) -> bool {
        self.callable() == MANY
    }

    /// Whether its plain arguments and its result, or the reason for which it came to nothing, are erased: it concerned a
    /// subject whose key is destroyed.
    #[must_use]
    pub fn is_erased(self) -> bool {
        match self.0 {
            Recorded::Kept { .. } => false,
            Recorded::Read(run) => run.erased,
        }
    }

    /// What it gave back, if it ran under a key: see [`Caller::once`](crate::Caller::once). An entity that it created is a
    /// reference to it.
    #[must_use]
    pub fn result(self) -> Option<&'e Value> {
        match self.0 {
            Recorded::Kept { ran, .. } => ran.result(),
            Recorded::Read(run) => run.result.as_ref(),
        }
    }

    /// How it ended.
    #[must_use]
    pub fn end(self) -> &'e RunEnd {
        match self.0 {
            Recorded::Kept { ran, .. } => ran.end(),
            Recorded::Read(run) => &run.end,
        }
    }

    /// Its identity, if it asked its [`Context`](crate::Context) for one, or for random numbers: these follow from it.
    #[must_use]
    pub fn id(self) -> Option<RunId> {
        self.drawn().id
    }

    /// The time that it was told, if it asked its [`Context`](crate::Context) for it.
    #[must_use]
    pub fn now(self) -> Option<Timestamp> {
        self.drawn().now
    }

    fn drawn(self) -> Drawn {
        match self.0 {
            Recorded::Kept { ran, .. } => ran.drawn(),
            Recorded::Read(run) => run.drawn,
        }
    }

    /// How long the callable itself took.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_nanos(match self.0 {
            Recorded::Kept { ran, .. } => ran.nanos,
            Recorded::Read(run) => run.nanos,
        })
    }
}

impl Archive {
    /// What a callable was given, in full.
    pub(crate) fn arguments(&self, given: &[Given]) -> Vec<Argument> {
        given.iter().map(|given| self.argument(given)).collect()
    }

    fn argument(&self, given: &Given) -> Argument {
        match given {
            Given::Entity(ix, revision) => {
                Argument::Entity { id: self.lineages.get(*ix).id, revision: Revision((*revision).into()) }
            }
            Given::Null => Argument::Value(Value::Null),
            Given::Bool(truth) => Argument::Value(Value::Bool(*truth)),
            Given::Int(number) => Argument::Value(Value::Int(*number)),
            Given::F64(number) => Argument::Value(Value::F64(*number)),
            Given::Value(value) => Argument::Value(Value::clone(value)),
            Given::At(found) => Argument::At { value: found.0.clone(), read: self.arguments(&found.1) },
            Given::Several(given) => Argument::Several(self.arguments(given)),
        }
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
    /// The line, where the log is in memory.
    fn line(&self) -> &Line {
        self.archive.log.get(self.position).expect("an entry is made only of a line that is there")
    }

    fn said(&self) -> Option<&Said> {
        match &self.read {
            Some(read) => Some(&read.said),
            None => self.line().said.as_deref(),
        }
    }

    /// Its place in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// When it was written, by the registry's clock, or the time that the commit was given.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.read.as_ref().map_or_else(|| self.line().time, |read| read.time)
    }

    /// What it tells of.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match &self.read {
            Some(read) => read.kind,
            None => said::kind(self.line().run.as_ref(), self.version_count()),
        }
    }

    /// Who did it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.said()?.author.as_deref()
    }

    /// What was said of it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.said()?.message.as_deref()
    }

    /// What else was said of it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.said()?.properties.get(name).map(String::as_str)
    }

    /// All that else was said of it.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.said().into_iter().flat_map(|said| said.properties.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// The run that made it, if a callable did.
    #[must_use]
    pub fn run(&self) -> Option<Run<'_>> {
        match &self.read {
            Some(read) => read.run.as_ref().map(|run| Run(Recorded::Read(run))),
            None => self.line().run.as_ref().map(|ran| Run(Recorded::Kept { archive: &self.archive, ran })),
        }
    }

    /// How many versions it made, owners that were carried along included.
    #[must_use]
    pub fn version_count(&self) -> usize {
        self.read.as_ref().map_or_else(|| self.line().versions as usize, |read| read.made.len())
    }

    /// The versions that it made.
    pub(crate) fn made(&self) -> Result<Vec<(Ix, Revision)>, ReadError> {
        let Some(read) = &self.read else {
            let made = self.archive.log.made(self.line());
            return Ok(made.iter().map(|(ix, index)| (Ix(*ix), Revision(u64::from(*index) + 1))).collect());
        };
        let mut made = Vec::with_capacity(read.made.len());
        for (id, revision) in &read.made {
            made.push((self.archive.locate(*id)?, *revision));
        }
        Ok(made)
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
        match self.run().map(|run| run.end()) {
            Some(RunEnd::Failed(reason)) => write!(f, ": failed: {reason}"),
            Some(RunEnd::Panicked(reason)) => write!(f, ": panicked: {reason}"),
            Some(RunEnd::Refused(reason)) => write!(f, ": refused: {reason}"),
            _ if self.kind() == EntryKind::Erased => f.write_str(": erased"),
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
    /// There is none, or it cannot be read.
    pub fn entry(&self, position: Position) -> Result<Entry, ReadError> {
        let last = self.head();
        let nothing = ReadError::NoPosition { asked: position, last };
        if position > last || position.0 == 0 {
            return Err(nothing);
        }
        let read = match &self.archive.kept {
            Some(kept) => Some(kept.reader.line(position)?.ok_or(nothing)?),
            None => None,
        };
        Ok(Entry { archive: Arc::clone(&self.archive), position, read })
    }

    /// All entries of the log, oldest first; `.rev()` tails it. Each is read when it is asked for: an error says that
    /// this one cannot be.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Result<Entry, ReadError>> + use<> {
        let history = self.clone();
        (1..=self.head().0).map(move |position| history.entry(Position(position)))
    }

    /// The entries that a query asks for, in the order that it says. O(result + log n) over a store; in memory, a query
    /// by kind or by times looks through the log.
    ///
    /// ```
    /// # use heirloom::prelude::*;
    /// use heirloom::store::{EntryKind, Query};
    /// # #[derive(Entity, Clone)]
    /// # struct Student { id: Id<Student>, name: String }
    /// # let registry = Registry::in_memory();
    /// # registry.by("dean").add(Student { id: Id::new(), name: "Ann".into() })?;
    /// let history = registry.history();
    /// let last = history.query(&Query::Tail(100))?;
    /// let commits = history.query(&Query::Kind(EntryKind::Commit, history.head(), 100))?;
    /// assert_eq!((last.len(), commits[0].author()), (1, Some("dean")));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// They cannot be read.
    pub fn query(&self, query: &Query) -> Result<Vec<Entry>, ReadError> {
        let head = self.head();
        let found = match &self.archive.kept {
            Some(kept) => kept.store.find(query)?,
            None => self.archive.find_lines(query, head),
        };
        found.into_iter().filter(|position| *position <= head).map(|position| self.entry(position)).collect()
    }
}

impl Archive {
    /// What a query asks for of a log in memory.
    fn find_lines(&self, query: &Query, head: Position) -> Vec<Position> {
        let newest_first = |last: Position| (1..=last.0.min(head.0)).rev().map(Position);
        match query {
            Query::After(after, most) => (after.0 + 1..=head.0).map(Position).take(*most).collect(),
            Query::Tail(most) => newest_first(head).take(*most).collect(),
            Query::Kind(kind, last, most) => {
                let is_kind = |position: &Position| {
                    let line = self.log.get(*position);
                    line.is_some_and(|line| said::kind(line.run.as_ref(), line.versions as usize) == *kind)
                };
                newest_first(*last).filter(is_kind).take(*most).collect()
            }
            Query::Times(times, most) => {
                let time = |position: &Position| self.log.get(*position).map(|line| (line.time, *position));
                let all = (1..=head.0).map(Position);
                let mut found: Vec<_> =
                    all.filter_map(|position| time(&position)).filter(|(time, _)| times.contains(time)).collect();
                found.sort_unstable();
                found.into_iter().map(|(_, position)| position).take(*most).collect()
            }
        }
    }
}
