//! From states before and after to a batch of versions: everything that needs no lock.

use std::ops::ControlFlow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::settle::settle_all;
use super::writes::{Found, Writes, reference_changes};
use super::{CommitError, Store};
use crate::diff::{Descend, Walk, Whole};
use crate::entity::{AnyCell, Comparison, Pairs};
use crate::id::EntityId;
use crate::lineage::{Batch, Ix, OwnerChange, Payload, Write, WriteTarget};
use crate::schema::Role;
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

impl Store {
    /// Finds what changed and makes the batch of it; `None` if nothing did.
    pub(crate) fn prepare(&self, proposal: &mut Proposal) -> Result<Option<Prepared>, CommitError> {
        for input in &proposal.inputs {
            let (entity, found) = (input.before.entity().entity_id(), input.after.entity().entity_id());
            if entity != found {
                return Err(CommitError::Identity { entity, found });
            }
        }
        match prepare_own(proposal) {
            Some(prepared) => Ok(prepared),
            None => self.prepare_all(proposal),
        }
    }

    fn prepare_all(&self, proposal: &mut Proposal) -> Result<Option<Prepared>, CommitError> {
        for input in &mut proposal.inputs {
            settle_all(Some(&input.before), &mut input.after);
        }
        for created in &mut proposal.created {
            settle_all(None, created);
        }
        let (batch, returning, inline_settled) = {
            let befores: SmallVec<[Whole<'_>; 2]> = proposal.inputs.iter().map(|input| Whole(&input.before)).collect();
            let afters: SmallVec<[Whole<'_>; 2]> = proposal.inputs.iter().map(|input| Whole(&input.after)).collect();
            let created: Vec<Whole<'_>> = proposal.created.iter().map(Whole).collect();
            let removed: Vec<Whole<'_>> = proposal.removed.iter().map(|(_, cell)| Whole(cell)).collect();
            let mut walk = Walk::new(Descend::Everything);
            for (before, after) in befores.iter().zip(&afters).rev() {
                walk.compare(before, after);
            }
            created.iter().for_each(|slot| walk.add_root(slot));
            removed.iter().for_each(|slot| walk.remove_root(slot));
            let mut found: SmallVec<[Found<'_>; 4]> = SmallVec::new();
            walk.run(&mut |difference| {
                found.extend(Found::of(difference));
                ControlFlow::Continue(())
            })?;
            let mut writes = Writes::new(self, &walk);
            writes.write_all(found)?;
            writes.finish()
        };
        if batch.writes.is_empty() {
            return Ok(None);
        }
        let keep = if inline_settled {
            SmallVec::new()
        } else {
            proposal.inputs.drain(..).map(|input| (input.ix, input.after)).collect()
        };
        let mut expected = std::mem::take(&mut proposal.expected);
        expected.extend(returning);
        Ok(Some(Prepared { batch, expected, keep }))
    }
}

/// What one input comes to if nothing but its own fields differs, which is what most runs do; the outer `None` says that
/// there is more to look at.
fn prepare_own(proposal: &mut Proposal) -> Option<Option<Prepared>> {
    let [Input { ix, before, after }] = proposal.inputs.as_slice() else { return None };
    let row = after.entity().row();
    if row.holds_inline || row.settles() || !proposal.created.is_empty() || !proposal.removed.is_empty() {
        return None;
    }
    let (old, new) = (before.entity(), after.entity());
    let mut pairs = Pairs::new();
    let comparison = old.compare(new, &mut pairs);
    if !pairs.is_empty() {
        return None;
    }
    let fields = match comparison {
        Comparison::Same => return Some(None),
        Comparison::Fields(fields) => fields,
        Comparison::Retyped => return None,
    };
    let meta = new.meta_of();
    if fields.iter().any(|field| meta.fields[usize::from(*field)].role == Role::Child) {
        return None;
    }
    let mut prepared = Prepared::only(std::mem::take(&mut proposal.expected));
    prepared.batch.writes.push(Write {
        target: WriteTarget::Known(*ix),
        payload: Some(Payload::Cell(Arc::clone(after))),
        built: None,
        owner: OwnerChange::Keep,
        references: reference_changes(old, new, &fields),
    });
    Some(Some(prepared))
}
