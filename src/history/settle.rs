//! Settling what a run touched before it is kept: skipped fields are forgotten, and fields that their own comparison judges
//! equal keep their earlier value.

use std::sync::Arc;

use crate::entity::{AnyCell, AnyEntity, ChildChange, Comparison, Pairs, Slot};

/// One entity that was touched, or is new.
struct Touched {
    cell: Arc<dyn AnyCell>,
    before: Option<Arc<dyn AnyCell>>,
    /// Which of the touched holds it.
    holder: Option<usize>,
    /// Whether its holder has it by value.
    inline: bool,
}

/// Settles a state and everything below it that differs from the state before, from the bottom up. What a shared handle
/// has in common with the state before is not looked at: it was settled when it came. O(touched).
pub(super) fn settle_all(before: Option<&Arc<dyn AnyCell>>, after: &mut Arc<dyn AnyCell>) {
    if !after.entity().row().settles_anywhere() {
        return;
    }
    let touched = touched(before, after);
    let mut settled: Vec<Option<Arc<dyn AnyCell>>> = vec![None; touched.len()];
    for index in (0..touched.len()).rev() {
        let Touched { cell, before, holder, inline } = &touched[index];
        let mut new = settled[index].take();
        if cell.entity().row().settles() && !*inline {
            let cell = new.get_or_insert_with(|| Arc::clone(cell));
            entity_of(cell).settle(before.as_ref().map(|before| before.entity()));
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

/// The touched entities, owners before what they own.
fn touched(before: Option<&Arc<dyn AnyCell>>, after: &Arc<dyn AnyCell>) -> Vec<Touched> {
    let (cell, before) = (Arc::clone(after), before.cloned());
    let mut touched = vec![Touched { cell, before, holder: None, inline: false }];
    let mut next = 0;
    while next < touched.len() {
        let (cell, before) = (Arc::clone(&touched[next].cell), touched[next].before.clone());
        let mut take = |was: Option<&dyn Slot>, slot: &dyn Slot| {
            if slot.entity().row().settles_anywhere() {
                touched.push(Touched {
                    cell: slot.cell().unwrap_or_else(|| slot.entity().to_cell()),
                    before: was.map(|was| was.cell().unwrap_or_else(|| was.entity().to_cell())),
                    holder: Some(next),
                    inline: slot.address() == 0,
                });
            }
        };
        match &before {
            Some(before) => differing(before.entity(), cell.entity(), &mut take),
            None => cell.entity().slots(&mut |_, _, slot| take(None, slot)),
        }
        next += 1;
    }
    touched
}

/// Who takes an entity that was touched: as it was, if it was there, and as it is.
type Take<'t> = dyn FnMut(Option<&dyn Slot>, &dyn Slot) + 't;

/// The owned entities that differ, or may: found by the comparison, so that those in common are not even counted.
fn differing(before: &dyn AnyEntity, after: &dyn AnyEntity, take: &mut Take<'_>) {
    let mut pairs = Pairs::every();
    match before.compare(after, &mut pairs) {
        Comparison::Same => {}
        Comparison::Fields(fields) => {
            for field in fields {
                before.pair(field, after, &mut |change| match change {
                    ChildChange::Paired(was, slot) => take(Some(was), slot),
                    ChildChange::Added(_, slot) => take(None, slot),
                    ChildChange::Removed(..) | ChildChange::Moved { .. } | ChildChange::Reordered { .. } => {}
                });
            }
        }
        Comparison::Retyped => after.slots(&mut |_, _, slot| take(None, slot)),
    }
    pairs.iter().filter(|(was, slot)| !was.is_same(*slot)).for_each(|(was, slot)| take(Some(*was), *slot));
}

/// The entity of a cell for writing; a shared cell is copied first.
pub(super) fn entity_of(cell: &mut Arc<dyn AnyCell>) -> &mut dyn AnyEntity {
    if Arc::get_mut(cell).is_none() {
        *cell = cell.duplicate();
    }
    Arc::get_mut(cell).expect("it was duplicated if it was shared").entity_mut()
}
