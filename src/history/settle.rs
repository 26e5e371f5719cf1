//! Settling what a run touched before it is kept: skipped fields are forgotten, and fields that their own comparison judges
//! equal keep their earlier value.

use std::sync::Arc;

use crate::entity::{AnyCell, AnyEntity};

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
        cell.entity().slots(&mut |_, _, slot| {
            if !slot.entity().row().settles_anywhere() {
                return;
            }
            let was = before.as_ref().and_then(|before| before.entity().find(slot.id())).map(|(_, _, was)| was);
            if was.is_some_and(|was| was.is_same(slot)) {
                return;
            }
            touched.push(Touched {
                cell: slot.cell().unwrap_or_else(|| slot.entity().to_cell()),
                before: was.map(|was| was.cell().unwrap_or_else(|| was.entity().to_cell())),
                holder: Some(next),
                inline: slot.address() == 0,
            });
        });
        next += 1;
    }
    touched
}

/// The entity of a cell for writing; a shared cell is copied first.
pub(super) fn entity_of(cell: &mut Arc<dyn AnyCell>) -> &mut dyn AnyEntity {
    if Arc::get_mut(cell).is_none() {
        *cell = cell.duplicate();
    }
    Arc::get_mut(cell).expect("it was duplicated if it was shared").entity_mut()
}
