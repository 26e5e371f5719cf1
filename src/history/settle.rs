//! Settling what a run touched before it is kept: skipped fields are forgotten, and fields that their own comparison judges
//! equal keep their earlier value.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Input, Proposal};
use crate::diff::Whole;
use crate::entity::{AnyCell, AnyEntity, ChildChange, Comparison, Pairs, Slot};
use crate::id::EntityId;

/// One entity that was touched, or is new.
struct Touched {
    cell: Arc<dyn AnyCell>,
    before: Option<Arc<dyn AnyCell>>,
    /// Which of the touched holds it.
    holder: Option<usize>,
    /// Whether its holder has it by value.
    inline: bool,
}

/// Settles the states of a proposal and everything below them that differs from the states before, from the bottom up. What
/// a shared handle has in common with the state before is not looked at: it was settled when it came. O(touched), and
/// O(what went) if something came too, which may have moved from there.
pub(super) fn settle_all(proposal: &mut Proposal) {
    let Proposal { inputs, created, removed, .. } = proposal;
    let mut went: Vec<Arc<dyn AnyCell>> = removed.iter().map(|(_, cell)| Arc::clone(cell)).collect();
    let mut states: Vec<(&mut Arc<dyn AnyCell>, Vec<Touched>)> = Vec::new();
    for Input { before, after, .. } in inputs {
        let touched = touched(Some(before), after, &mut went);
        states.push((after, touched));
    }
    for after in created {
        let touched = touched(None, after, &mut went);
        states.push((after, touched));
    }
    find_befores(&mut states, &went);
    states.into_iter().for_each(|(after, touched)| settle(after, &touched));
}

/// Finds what came in what went: then it has moved.
fn find_befores(states: &mut [(&mut Arc<dyn AnyCell>, Vec<Touched>)], went: &[Arc<dyn AnyCell>]) {
    let came = states.iter_mut().flat_map(|(_, touched)| touched).filter(|touched| touched.before.is_none());
    let mut came: HashMap<EntityId, &mut Touched, ahash::RandomState> =
        came.map(|touched| (touched.cell.entity().entity_id(), touched)).collect();
    let whole: Vec<Whole<'_>> = went.iter().map(Whole).collect();
    let mut stack: Vec<&dyn Slot> = Vec::new();
    if !came.is_empty() {
        stack.extend(whole.iter().map(|slot| slot as &dyn Slot));
    }
    while let Some(slot) = stack.pop() {
        let entity = slot.entity();
        if entity.row().settles_anywhere() {
            if let Some(touched) = came.remove(&slot.id()) {
                touched.before = Some(slot.cell().unwrap_or_else(|| entity.to_cell()));
            }
            entity.slots(&mut |_, _, slot| stack.push(slot));
        }
    }
}

fn settle(after: &mut Arc<dyn AnyCell>, touched: &[Touched]) {
    let mut settled: Vec<Option<Arc<dyn AnyCell>>> = vec![None; touched.len()];
    for index in (0..touched.len()).rev() {
        let Touched { cell, before, holder, inline } = &touched[index];
        let mut new = settled[index].take();
        let before = before.as_ref().map(|before| before.entity());
        // Its holder forgets for it what is skipped, so only those are put in again that were judged equal and are not.
        let keeps = |before: &dyn AnyEntity| cell.entity().is_judged_apart(before);
        if cell.entity().row().settles() && (!*inline || before.is_some_and(keeps)) {
            let cell = new.get_or_insert_with(|| Arc::clone(cell));
            entity_of(cell).settle(before);
        }
        let Some(new) = new else { continue };
        match holder {
            Some(holder) => {
                let owner = settled[*holder].get_or_insert_with(|| Arc::clone(&touched[*holder].cell));
                entity_of(owner).adopt(&new);
            }
            None => *after = new,
        }
    }
}

/// The touched entities, owners before what they own; and what went from where it stood.
fn touched(
    before: Option<&Arc<dyn AnyCell>>,
    after: &Arc<dyn AnyCell>,
    went: &mut Vec<Arc<dyn AnyCell>>,
) -> Vec<Touched> {
    if !after.entity().row().settles_anywhere() {
        return Vec::new();
    }
    let (cell, before) = (Arc::clone(after), before.cloned());
    let mut touched = vec![Touched { cell, before, holder: None, inline: false }];
    let mut next = 0;
    while next < touched.len() {
        let (cell, before) = (Arc::clone(&touched[next].cell), touched[next].before.clone());
        let of = |slot: &dyn Slot| slot.cell().unwrap_or_else(|| slot.entity().to_cell());
        let mut take = |was: Option<&dyn Slot>, slot: Option<&dyn Slot>| match slot {
            Some(slot) if slot.entity().row().settles_anywhere() => touched.push(Touched {
                cell: of(slot),
                before: was.map(of),
                holder: Some(next),
                inline: slot.address() == 0,
            }),
            Some(_) => {}
            None => went.extend(was.filter(|was| was.entity().row().settles_anywhere()).map(of)),
        };
        match &before {
            Some(before) => differing(before.entity(), cell.entity(), &mut take),
            None => cell.entity().slots(&mut |_, _, slot| take(None, Some(slot))),
        }
        next += 1;
    }
    touched
}

/// Who takes an entity that was touched: as it was, if it was there, and as it is, if it is there.
type Take<'t> = dyn FnMut(Option<&dyn Slot>, Option<&dyn Slot>) + 't;

/// The owned entities that differ, or may: found by the comparison, so that those in common are not even counted.
fn differing(before: &dyn AnyEntity, after: &dyn AnyEntity, take: &mut Take<'_>) {
    let mut pairs = Pairs::every();
    match before.compare(after, &mut pairs) {
        Comparison::Same => {}
        Comparison::Fields(fields) => {
            for field in fields {
                before.pair(field, after, &mut |change| match change {
                    ChildChange::Paired(was, slot) => take(Some(was), Some(slot)),
                    ChildChange::Added(_, slot) => take(None, Some(slot)),
                    ChildChange::Removed(_, was) => take(Some(was), None),
                    ChildChange::Moved { .. } | ChildChange::Reordered { .. } => {}
                });
            }
        }
        Comparison::Retyped => {
            before.slots(&mut |_, _, was| take(Some(was), None));
            after.slots(&mut |_, _, slot| take(None, Some(slot)));
        }
    }
    let differ = pairs.iter().filter(|(was, slot)| !was.is_same(*slot));
    differ.for_each(|(was, slot)| take(Some(*was), Some(*slot)));
}

/// The entity of a cell for writing; a shared cell is copied first.
pub(crate) fn entity_of(cell: &mut Arc<dyn AnyCell>) -> &mut dyn AnyEntity {
    if Arc::get_mut(cell).is_none() {
        *cell = cell.duplicate();
    }
    Arc::get_mut(cell).expect("it was duplicated if it was shared").entity_mut()
}
