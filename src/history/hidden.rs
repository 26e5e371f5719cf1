//! Where entities stood that a commit moved out of what it removed, or into what it added.

use std::sync::Arc;

use super::view::Step;
use super::{History, ReadError};
use crate::diff::{Spot, Standing};
use crate::entity::AnyCell;
use crate::id::EntityId;
use crate::lineage::{Gone, Ix};
use crate::when::Position;

/// Where a moved entity stood, and where it stands.
pub(super) type HiddenMove = (Option<Place>, Option<Place>);

/// An owned entity, by the state of its owner.
pub(super) struct Place {
    owner: Arc<dyn AnyCell>,
    entity: EntityId,
}

impl Place {
    pub(super) fn standing(&self) -> Option<Standing<'_>> {
        let owner = self.owner.entity();
        owner.find(self.entity).map(|(field, key, slot)| (slot, Some(Spot { owner, field, key })))
    }
}

impl History {
    /// Where the moved entities of a commit stood in what it removed, and stand in what it added: their owners are not
    /// compared, so that nobody tells of it.
    pub(super) fn hidden_moves(&self, steps: &[Step], position: Position) -> Result<Vec<HiddenMove>, ReadError> {
        let (before, after) = (Position(position.0 - 1), position);
        let mut moves = Vec::new();
        for step in steps.iter().filter(|step| step.before.is_some() && step.after.is_some()) {
            let from = self.hidden(step.ix, before, after)?;
            let to = self.hidden(step.ix, after, before)?;
            if from.is_some() || to.is_some() {
                moves.push((from, to));
            }
        }
        Ok(moves)
    }

    /// Where an entity stood at one position, if its owner is not there at another.
    fn hidden(&self, ix: Ix, here: Position, there: Position) -> Result<Option<Place>, ReadError> {
        let lineages = &self.archive.lineages;
        let Some(edge) = lineages.owner(ix, here)? else { return Ok(None) };
        if self.is_there(edge.owner, there)? {
            return Ok(None);
        }
        match lineages.cell(edge.owner, here) {
            Ok(owner) => Ok(Some(Place { owner, entity: lineages.get(ix).id })),
            Err(Gone::Unreadable(error)) => Err(error.into()),
            Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => Ok(None),
        }
    }
}
