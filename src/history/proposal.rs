//! What somebody wants to commit, and what it comes to.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::body::Body;
use super::spare::Spare;
use crate::digest::Digest;
use crate::entity::{AnyCell, AnyEntity, Comparison, FieldSet, Pairs};
use crate::id::EntityId;
use crate::lineage::{Batch, Ix, OwnerChange, Write, WriteTarget};
use crate::schema::Role;
use crate::when::Revision;

/// An entity whose state may have changed.
#[derive(Clone)]
pub(crate) struct Input {
    pub(crate) ix: Ix,
    pub(crate) before: Arc<dyn AnyCell>,
    pub(crate) after: Arc<dyn AnyCell>,
}

/// What a look at an entity's own fields tells of two states of it.
pub(crate) enum Own {
    /// Nothing differs, there or in what it owns.
    Same,
    /// These plain fields differ, and nothing in what it owns.
    Fields(FieldSet),
    /// There is more to look at.
    More,
}

impl Own {
    /// O(fields), and never into what the entity owns.
    pub(crate) fn of(before: &dyn AnyEntity, after: &dyn AnyEntity) -> Self {
        let row = after.row();
        if row.holds_inline || row.settles() || before.entity_id() != after.entity_id() {
            return Own::More;
        }
        let mut pairs = Pairs::new();
        let comparison = before.compare(after, &mut pairs);
        if !pairs.is_empty() {
            return Own::More;
        }
        let owns = |field: &u16| after.meta_of().fields[usize::from(*field)].role == Role::Child;
        match comparison {
            Comparison::Same => Own::Same,
            Comparison::Fields(fields) if fields.iter().any(owns) => Own::More,
            Comparison::Fields(fields) => Own::Fields(fields),
            Comparison::Retyped => Own::More,
        }
    }
}

/// What the head of an entity must be when the commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Expected {
    Absent(EntityId),
    At(Ix, Revision),
    /// It was removed, by this revision or with an owner since, and nobody has brought it back.
    Gone(Ix, Revision),
}

/// What somebody wants to commit.
#[derive(Clone, Default)]
pub struct Proposal {
    pub(crate) inputs: SmallVec<[Input; 2]>,
    /// Entities that are to stand as roots.
    pub(crate) created: Vec<Arc<dyn AnyCell>>,
    /// Entities that a run was given by value: what was created under the identity of one is an edit of it.
    pub(crate) taken: Vec<(Ix, Arc<dyn AnyCell>)>,
    /// Roots that are to go.
    pub(crate) removed: Vec<(Ix, Arc<dyn AnyCell>)>,
    pub(crate) expected: SmallVec<[Expected; 2]>,
}

impl Proposal {
    /// This and what another asks for.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.inputs.extend(other.inputs);
        self.created.extend(other.created);
        self.taken.extend(other.taken);
        self.removed.extend(other.removed);
        self.expected.extend(other.expected);
        self
    }

    /// Makes edits of the created entities that were taken. O(them).
    pub(crate) fn give_back(&mut self) {
        if self.taken.is_empty() || self.created.is_empty() {
            return;
        }
        let mut taken: HashMap<EntityId, (Ix, Arc<dyn AnyCell>), ahash::RandomState> =
            self.taken.drain(..).map(|(ix, before)| (before.entity().entity_id(), (ix, before))).collect();
        for after in std::mem::take(&mut self.created) {
            match taken.remove(&after.entity().entity_id()) {
                Some((ix, before)) if before.entity().row().is(after.entity().row()) => {
                    self.inputs.push(Input { ix, before, after });
                }
                _ => self.created.push(after),
            }
        }
    }
}

/// What is ready to be appended.
pub(crate) struct Prepared {
    pub(crate) batch: Batch,
    /// What a store is given of each write of the batch; none for removals, nor where there is no store.
    pub(super) bodies: Vec<Option<Body>>,
    pub(crate) expected: SmallVec<[Expected; 2]>,
    /// What had been appended by others when it was prepared.
    pub(super) epoch: u64,
    /// Values to keep for entities whose newest version has none.
    pub(crate) keep: SmallVec<[(Ix, Arc<dyn AnyCell>); 2]>,
    /// The state before, if a later run can work on it.
    pub(super) spare: Option<Box<Spare>>,
}

impl Prepared {
    /// The subjects whose data it would seal.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Digest> {
        self.bodies.iter().flatten().filter_map(|body| body.subject)
    }

    /// Whether every entity stays where it is, and none comes or goes.
    pub(crate) fn keeps_places(&self) -> bool {
        let stays = |write: &Write| {
            matches!(write.target, WriteTarget::Known(_)) && write.payload.is_some() && write.owner == OwnerChange::Keep
        };
        let returns = self.expected.iter().any(|expected| matches!(expected, Expected::Gone(..)));
        !returns && self.batch.writes.iter().all(stays)
    }

    /// The entities that come and were never here.
    pub(crate) fn new_entities(&self) -> impl Iterator<Item = EntityId> {
        self.batch.writes.iter().filter_map(|write| match write.target {
            WriteTarget::New { id, .. } => Some(id),
            WriteTarget::Known(_) => None,
        })
    }

    /// Nothing to write, with something to expect.
    pub(crate) fn only(expected: SmallVec<[Expected; 2]>) -> Self {
        Self { batch: Batch::default(), bodies: Vec::new(), expected, epoch: 0, keep: SmallVec::new(), spare: None }
    }
}
