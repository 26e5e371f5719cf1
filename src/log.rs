//! The log as it is kept: one line for every commit and run, in order, never changed.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::id::RunId;
use crate::lineage::{Ix, Made};
use crate::value::{Name, Value};
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
    /// Several entities for one parameter; behind a thin pointer, so that one takes two words in all.
    Several(Box<AllGiven>),
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

/// What the log knows the run by that stands for several runs in one commit; no callable has this name.
pub(crate) const MANY: &str = "execute_many";

/// What a callable was given, in order.
pub(crate) type AllGiven = SmallVec<[Given; 2]>;

/// One execution of a callable.
pub(crate) struct Ran {
    pub(crate) callable: Arc<Callable>,
    pub(crate) given: AllGiven,
    /// What few runs have. One pointer, for every run leaves a line in the log.
    pub(crate) more: Option<Box<More>>,
    /// How long it took.
    pub(crate) nanos: u64,
}

/// How a run ended if it did not just return, what it took from its context, and what it gave back if that is kept.
#[derive(Default)]
pub(crate) struct More {
    pub(crate) end: Option<RunEnd>,
    pub(crate) drawn: Drawn,
    pub(crate) result: Option<Value>,
}

/// What a run took from its context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) id: Option<RunId>,
    pub(crate) now: Option<Timestamp>,
}

impl Ran {
    pub(crate) fn new(callable: Arc<Callable>, given: AllGiven) -> Self {
        Self { callable, given, more: None, nanos: 0 }
    }

    /// Several runs that make one commit, as one: it was given each of them, told as what it was and what it was given.
    pub(crate) fn of_many(runs: Vec<Ran>) -> Self {
        let nanos = runs.iter().map(|run| run.nanos).sum();
        let callable = Callable { name: MANY.into(), code_version: OnceLock::new() };
        let given = runs.into_iter().map(Ran::into_given).collect();
        Self { nanos, ..Self::new(Arc::new(callable), given) }
    }

    fn into_given(self) -> Given {
        let Drawn { id, now } = self.drawn();
        let text = |name, text: &str| (Name::Borrowed(name), Value::text(text));
        let mut head = vec![text("callable", &self.callable.name)];
        head.extend(self.callable.code_version.get().map(|version| text("code_version", version)));
        head.push((Name::Borrowed("nanos"), Value::unsigned(self.nanos.into())));
        head.extend(id.map(|id| text("id", &id.to_string())));
        head.extend(now.map(|now| (Name::Borrowed("now"), Value::Int(now.as_micros()))));
        let mut given = AllGiven::with_capacity(self.given.len() + 1);
        given.push(Given::value(Value::Struct(head)));
        given.extend(self.given);
        Given::Several(Box::new(given))
    }

    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    pub(crate) fn end(&self) -> &RunEnd {
        self.more.as_ref().and_then(|more| more.end.as_ref()).unwrap_or(&RunEnd::Returned)
    }

    pub(crate) fn result(&self) -> Option<&Value> {
        self.more.as_ref()?.result.as_ref()
    }

    pub(crate) fn drawn(&self) -> Drawn {
        self.more.as_ref().map_or_else(Drawn::default, |more| more.drawn)
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

/// All lines in memory.
pub(crate) struct Log {
    lines: boxcar::Vec<Line>,
    /// The versions that commits made: the places of the lineages, the indexes of the versions.
    made: boxcar::Vec<Made>,
}

/// Where times ran backwards: the answer to every "as of this time", at no cost for a line whose time is not earlier than
/// that of the line before.
#[derive(Default)]
pub(crate) struct Times {
    /// Runs of lines whose times do not fall, with rising first times; those that a later one undercuts are left out, for
    /// they answer nothing.
    runs: Vec<Rising>,
    last: Option<Timestamp>,
}

/// Lines whose times do not fall.
struct Rising {
    since: Timestamp,
    first: Position,
    /// Its last line, once another run began.
    last: Option<Position>,
}

impl Times {
    fn push(&mut self, time: Timestamp, position: Position) {
        if self.last.is_none_or(|last| time < last) {
            if let Some(open) = self.runs.last_mut() {
                open.last.get_or_insert(Position(position.0 - 1));
            }
            let kept = self.runs.partition_point(|run| run.since < time);
            self.runs.truncate(kept);
            self.runs.push(Rising { since: time, first: position, last: None });
        }
        self.last = Some(time);
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

    /// The highest position, up to `head`, whose time is not later. O(log h).
    pub(crate) fn at(&self, time: Timestamp, times: &Times, head: Position) -> Option<Position> {
        // All that came after this run begins later than asked for, and does not fall from there.
        let run = &times.runs[times.runs.partition_point(|run| run.since <= time).checked_sub(1)?];
        let (mut first, mut after) = (run.first.0, run.last.unwrap_or(head).0.min(head.0) + 1);
        while first + 1 < after {
            let middle = first.midpoint(after);
            match self.get(Position(middle)) {
                Some(line) if line.time <= time => first = middle,
                _ => after = middle,
            }
        }
        Some(Position(first))
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Line> {
        self.lines.get(usize::try_from(position.0.checked_sub(1)?).ok()?)
    }

    /// The versions that a commit made.
    pub(crate) fn made(&self, line: &Line) -> &[(u32, u32)] {
        if line.versions == 0 { &[] } else { &self.made[line.made as usize] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, proptest};

    use super::{Log, Times};
    use crate::lineage::Made;
    use crate::when::{Position, Timestamp};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn at_a_time_is_the_highest_position_whose_time_is_not_later(given in vec(0_i64..12, 0..60)) {
            let (log, mut times) = (Log::new(), Times::default());
            for (index, time) in given.iter().enumerate() {
                let position = Position(index as u64 + 1);
                log.append(position, Timestamp::from_micros(*time), &mut None, &mut None, Made::new(), &mut times);
                for asked in -1..13 {
                    let found = log.at(Timestamp::from_micros(asked), &times, position);
                    let expected = given[..=index].iter().rposition(|time| *time <= asked);
                    assert_eq!(found, expected.map(|index| Position(index as u64 + 1)), "{asked} in {given:?}");
                }
            }
        }
    }
}
