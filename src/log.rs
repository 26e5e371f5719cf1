//! The log as it is kept: one line for every commit and run, in order, never changed.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::lineage::{Ix, Made};
use crate::value::Value;
use crate::when::{Position, Revision, Timestamp};

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

/// What a callable was given for one parameter. Every run leaves some in the log, so they are small: an entity is told
/// by its place, and the commonest values need no memory of their own.
#[derive(Clone, Debug)]
pub enum Given {
    /// An entity, at a revision.
    Entity(Ix, u32),
    /// Nothing: `()`, `None`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    F64(f64),
    /// Any other value.
    Value(Box<Value>),
    /// A value, and the entities in which it was found.
    At(Box<(Value, Box<[Given]>)>),
    /// Several entities for one parameter.
    Several(Box<[Given]>),
}

impl Given {
    pub(crate) fn entity(ix: Ix, revision: Revision) -> Self {
        Given::Entity(ix, u32::try_from(revision.0).expect("fewer than 2^32 versions fit in memory"))
    }

    pub(crate) fn value(value: Value) -> Self {
        match value {
            Value::Null => Given::Null,
            Value::Bool(truth) => Given::Bool(truth),
            Value::Int(number) => Given::Int(number),
            Value::F64(number) => Given::F64(number),
            other => Given::Value(Box::new(other)),
        }
    }
}

/// What a callable was given, in order.
pub(crate) type AllGiven = SmallVec<[Given; 2]>;

/// One execution of a callable.
pub(crate) struct Ran {
    pub(crate) callable: Arc<Callable>,
    pub(crate) given: AllGiven,
    /// How it ended, if it did not just return.
    pub(crate) end: Option<Box<RunEnd>>,
    /// How long it took.
    pub(crate) nanos: u64,
}

impl Ran {
    pub(crate) fn end(&self) -> &RunEnd {
        self.end.as_deref().unwrap_or(&RunEnd::Returned)
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

/// One commit or run as the log keeps it.
pub(crate) struct Line {
    pub(crate) time: Timestamp,
    pub(crate) said: Option<Arc<Said>>,
    pub(crate) run: Option<Ran>,
    /// How many versions it made.
    pub(crate) versions: u32,
    /// Where the log has these; nowhere if there are none, as for a run that changed nothing.
    made: u32,
}

impl Line {
    pub(crate) fn author(&self) -> Option<&str> {
        self.said.as_ref()?.author.as_deref()
    }
}

/// All lines in memory.
pub(crate) struct Log {
    lines: boxcar::Vec<Line>,
    /// The versions that commits made: the places of the lineages, the indexes of the versions.
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
        Self { lines: boxcar::Vec::new(), made: boxcar::Vec::new() }
    }

    /// Adds a line after the last one, taking what is said of it. The caller holds the writer's lock, and `times` with
    /// it, and this is the line of `position`.
    pub(crate) fn append(
        &self,
        position: Position,
        time: Timestamp,
        said: &mut Option<Arc<Said>>,
        run: &mut Option<Ran>,
        made: Made,
        times: &mut Times,
    ) {
        times.push(time, position);
        let versions = u32::try_from(made.len()).expect("fewer than 2^32 versions fit in memory");
        let made = if made.is_empty() { 0 } else { self.made.push(made) };
        let made = u32::try_from(made).expect("fewer than 2^32 commits fit in memory");
        self.lines.push_with(|_| Line { time, said: said.take(), run: run.take(), versions, made });
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Line> {
        self.lines.get(usize::try_from(position.0.checked_sub(1)?).ok()?)
    }

    /// The versions that a commit made.
    pub(crate) fn made(&self, line: &Line) -> &[(u32, u32)] {
        if line.versions == 0 { &[] } else { &self.made[line.made as usize] }
    }
}
