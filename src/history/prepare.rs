//! From states before and after to a batch of versions: everything that needs no lock.

use std::ops::ControlFlow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::proposal::Own;
use super::settle::settle_all;
use super::spare::Spare;
use super::writes::{Found, Writes, reference_changes};
use super::{Archive, CommitError, Input, Prepared, Proposal};
use crate::diff::{Descend, Walk, Whole};
use crate::entity::Slot;
use crate::lineage::{OwnerChange, Payload, Write, WriteTarget};

impl Archive {
    /// Finds what changed and makes the batch of it; `None` if nothing did.
    pub(crate) fn prepare(&self, proposal: &mut Proposal) -> Result<Option<Prepared>, CommitError> {
        proposal.give_back();
        for input in &proposal.inputs {
            let (entity, found) = (input.before.entity().entity_id(), input.after.entity().entity_id());
            if entity != found {
                return Err(CommitError::Identity { entity, found });
            }
        }
        match self.prepare_own(proposal)? {
            Some(prepared) => Ok(prepared),
            None => self.prepare_all(proposal),
        }
    }

    fn prepare_all(&self, proposal: &mut Proposal) -> Result<Option<Prepared>, CommitError> {
        let epoch = self.lineages.epoch();
        settle_all(proposal);
        let (batch, bodies, returning, inline_settled, copied) = {
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
            let whole = |before: &dyn Slot| befores.iter().any(|whole| whole.is_same(before));
            let copied = found.iter().any(|found| matches!(found, Found::Equal { before } if !whole(*before)));
            let mut writes = Writes::new(self, &walk);
            writes.write_all(found)?;
            let (batch, bodies, returning, inline_settled) = writes.finish()?;
            (batch, bodies, returning, inline_settled, copied)
        };
        // A handle that was copied and holds the same would be compared again and again.
        let spare = if copied { None } else { self.spare_of(proposal, &batch.writes) };
        if batch.writes.is_empty() {
            if let Some((spare, revision)) = spare.and_then(|spare| spare.unchanged(&proposal.expected)) {
                self.spares.put(spare, revision);
            }
            return Ok(None);
        }
        let keep = if inline_settled {
            SmallVec::new()
        } else {
            proposal.inputs.drain(..).map(|input| (input.ix, input.after)).collect()
        };
        let mut expected = std::mem::take(&mut proposal.expected);
        expected.extend(returning);
        Ok(Some(Prepared { batch, bodies, expected, epoch, keep, spare }))
    }

    /// What a later run can work on: the state before, or the one after if nothing changed.
    fn spare_of(&self, proposal: &Proposal, writes: &[Write]) -> Option<Box<Spare>> {
        let [Input { ix, before, after, .. }] = proposal.inputs.as_slice() else { return None };
        let row = after.entity().row();
        if !row.holds_inline || row.settles() {
            return None;
        }
        if writes.is_empty() {
            return Some(Spare::whole(*ix, Arc::clone(after)));
        }
        self.spare(*ix, before, writes)
    }

    /// What one input comes to if nothing but its own fields differs, which is what most runs do; the outer `None` says
    /// that there is more to look at.
    fn prepare_own(&self, proposal: &mut Proposal) -> Result<Option<Option<Prepared>>, CommitError> {
        let [Input { ix, before, after }] = proposal.inputs.as_slice() else { return Ok(None) };
        if !proposal.created.is_empty() || !proposal.removed.is_empty() {
            return Ok(None);
        }
        let (old, new) = (before.entity(), after.entity());
        let fields = match Own::of(old, new) {
            Own::Same => return Ok(Some(None)),
            Own::Fields(fields) => fields,
            Own::More => return Ok(None),
        };
        let references = reference_changes(old, new, &fields);
        let mut prepared = Prepared::only(std::mem::take(&mut proposal.expected));
        if self.kept.is_some() {
            prepared.bodies.push(Some(self.body(Some((*ix, old, &fields)), new)?));
        }
        prepared.batch.writes.push(Write {
            target: WriteTarget::Known(*ix),
            payload: Some(Payload::Cell(Arc::clone(after))),
            built: None,
            owner: OwnerChange::Keep,
            references,
        });
        Ok(Some(Some(prepared)))
    }
}
