//! What somebody wants to commit, and what it comes to.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::entity::AnyCell;
use crate::id::EntityId;
use crate::lineage::{Batch, Ix};
use crate::when::Revision;

/// An entity whose state may have changed.
pub(crate) struct Input {
    pub(crate) ix: Ix,
    pub(crate) before: Arc<dyn AnyCell>,
    pub(crate) after: Arc<dyn AnyCell>,
}

/// What the head of an entity must be when the commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Absent(EntityId),
    At(Ix, Revision),
    /// It was removed, by this revision or with an owner since, and nobody has brought it back.
    Gone(Ix, Revision),
}

/// What somebody wants to commit.
#[derive(Default)]
pub(crate) struct Proposal {
    pub(crate) inputs: SmallVec<[Input; 2]>,
    /// Entities that are to stand as roots.
    pub(crate) created: Vec<Arc<dyn AnyCell>>,
    /// Roots that are to go.
    pub(crate) removed: Vec<(Ix, Arc<dyn AnyCell>)>,
    pub(crate) expected: SmallVec<[Expected; 2]>,
}

/// What a run's parameters come to.
#[derive(Default)]
pub struct Gathered {
    inputs: SmallVec<[Input; 2]>,
    expected: SmallVec<[Expected; 2]>,
}

impl Gathered {
    pub(crate) fn input(&mut self, input: Input) {
        self.inputs.push(input);
    }

    pub(crate) fn expect(&mut self, expected: Expected) {
        self.expected.push(expected);
    }
}

impl Proposal {
    pub(crate) fn of(gathered: Gathered, created: Vec<Arc<dyn AnyCell>>) -> Self {
        Self { inputs: gathered.inputs, created, removed: Vec::new(), expected: gathered.expected }
    }
}

/// What is ready to be appended.
pub(crate) struct Prepared {
    pub(crate) batch: Batch,
    pub(crate) expected: SmallVec<[Expected; 2]>,
    /// Values to keep for entities whose newest version has none.
    pub(crate) keep: SmallVec<[(Ix, Arc<dyn AnyCell>); 2]>,
}

impl Prepared {
    /// Nothing to write, with something to expect.
    pub(crate) fn only(expected: SmallVec<[Expected; 2]>) -> Self {
        Self { batch: Batch::default(), expected, keep: SmallVec::new() }
    }
}
