//! All runs of a callable in a stretch of the log, run again one at a time.

use std::fmt;

use super::Registry;
use super::replay::{Code, ReplayError, Replayed};
use crate::when::Position;

/// How many runs of a stretch came to what. It prints as a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Those that left what they left then.
    pub equal: usize,
    /// Those that left or gave back something else.
    pub different: usize,
    /// Those that came to another end: failed and had returned, or returned and had failed.
    pub ended_otherwise: usize,
    /// Those that could not be run again.
    pub not_replayed: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { equal, different, ended_otherwise, not_replayed } = self;
        write!(
            f,
            "{equal} equal, {different} different, {ended_otherwise} ended otherwise, {not_replayed} not replayed"
        )
    }
}

/// The runs of a stretch, each run again when it is asked for, oldest first: where it stands in the log, and what came of it.
/// One is in memory at a time.
#[must_use = "nothing is run until the next one is asked for"]
pub struct Replays<'r> {
    registry: &'r Registry,
    callable: String,
    code: Code,
    next: Position,
    last: Position,
    tally: Tally,
}

impl<'r> Replays<'r> {
    pub(super) fn new(registry: &'r Registry, callable: &str, code: Code, next: Position, last: Position) -> Self {
        Self { registry, callable: callable.to_owned(), code, next, last, tally: Tally::default() }
    }
}

impl Replays<'_> {
    /// How many of those that were run so far came to what.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Runs those that are left, and counts what all came to.
    #[must_use]
    pub fn count_all(mut self) -> Tally {
        self.by_ref().for_each(drop);
        self.tally
    }

    fn run_next(&mut self) -> Option<(Position, Result<Replayed, ReplayError>)> {
        while self.next <= self.last {
            let position = self.next;
            self.next = Position(position.0 + 1);
            let entry = match self.registry.history().entry(position) {
                Ok(entry) => entry,
                Err(error) => return Some((position, Err(error.into()))),
            };
            let Some(run) = entry.run() else { continue };
            if run.parts().iter().any(|part| part.callable == self.callable) {
                return Some((position, Err(ReplayError::Together { position })));
            }
            if run.callable() == self.callable {
                return Some((position, self.registry.run_again(&entry, run, &self.code)));
            }
        }
        None
    }
}

impl Iterator for Replays<'_> {
    type Item = (Position, Result<Replayed, ReplayError>);

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.run_next()?;
        *match &next.1 {
            Ok(Replayed::Equal) => &mut self.tally.equal,
            Ok(Replayed::Different(_) | Replayed::Returned { .. }) => &mut self.tally.different,
            Ok(Replayed::Ended { .. }) => &mut self.tally.ended_otherwise,
            Err(_) => &mut self.tally.not_replayed,
        } += 1;
        Some(next)
    }
}

impl fmt::Debug for Replays<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replays({} {}..={}: {})", self.callable, self.next, self.last, self.tally)
    }
}
