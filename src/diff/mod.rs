//! What changed between two states, told one difference at a time.

mod changes;
mod json_patch;
mod walk;

pub use changes::{Change, ChangeKind, Changes, Place, Subject};
pub(crate) use changes::{Recorder, changes_of, subject};
pub use json_patch::JsonPatchError;
pub(crate) use json_patch::{deep_json, json_patch};
pub use walk::RepeatedError;
use walk::Tell;
pub(crate) use walk::{Descend, Difference, Spot, Standing, Walk, Whole};

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::children::loading;
use crate::entity::{AnyCell, AnyEntity, Cell, Comparison, Entity, Pairs};

/// What changed from `before` to `after`: entities matched by identity wherever they stand.
///
/// Subtrees under shared handles that both sides share are skipped without a look, so the cost is O(c log n) for c
/// changes under shared handles, O(n) for children held by value. Nothing is said for two equal states.
///
/// ```
/// # use heirloom::prelude::*;
/// #[derive(Entity, Clone)]
/// struct Student { id: Id<Student>, name: String, gpa: f64 }
///
/// let before = Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 };
/// let after = Student { gpa: 3.8, ..before.clone() };
/// assert_eq!(heirloom::diff(&before, &after)?.to_string(), "Student Ann: gpa 3.5 -> 3.8");
/// # Ok::<(), heirloom::RepeatedError>(())
/// ```
///
/// # Errors
/// One entity came to two places of `after`. Where it stood in one already, `Tree::of` or a commit finds it.
///
/// # Panics
/// Unwinds if the `Serialize` of a foreign value (`#[entity(value)]`) refuses to write it, or a cold child cannot be loaded;
/// within a registry both are errors.
pub fn diff<T: Entity>(before: &T, after: &T) -> Result<Changes, RepeatedError> {
    let mut recorder = Recorder::default();
    walk_states(before, after, &mut |difference| recorder.record(difference))?;
    let changes = recorder.finish();
    if changes.is_empty() {
        return Ok(changes);
    }
    let keep = |state: &T| -> Arc<dyn AnyCell> { Arc::new(Cell::new(state.clone())) };
    Ok(changes.between(keep(before), keep(after)))
}

/// As [`diff`], one change at a time: `visit` hears each as it is found, and nothing is looked at after it breaks.
///
/// # Errors
/// One entity came to two places of `after`. Where it stood in one already, `Tree::of` or a commit finds it.
pub fn diff_each<T: Entity>(
    before: &T,
    after: &T,
    mut visit: impl FnMut(Change) -> ControlFlow<()>,
) -> Result<(), RepeatedError> {
    walk_states(before, after, &mut |difference| {
        let mut flow = ControlFlow::Continue(());
        changes_of(difference, &mut |change| {
            if flow.is_continue() && !change.only_owns() {
                flow = visit(change);
            }
        });
        flow
    })
}

fn walk_states<'a, T: Entity>(before: &'a T, after: &'a T, tell: &mut Tell<'_, 'a>) -> Result<(), RepeatedError> {
    // Two states that share everything are told apart from others here, before a walk is even begun. (Entities held by
    // value would have to be looked through twice.)
    let mut pairs = Pairs::new();
    if !T::HOLDS_INLINE
        && before.entity_id() == after.entity_id()
        && AnyEntity::compare(before, after, &mut pairs) == Comparison::Same
        && pairs.is_empty()
    {
        return Ok(());
    }
    let mut walk = Walk::new(Descend::Everything);
    walk.compare(before, after);
    walk.run(tell)
}

/// An entity with all that it owns as JSON: its id, then its stored fields by their stored names; a variant of an enum
/// of entities as an object of its name. Skipped fields are left out.
///
/// # Errors
/// Entities own each other more than 64 levels deep, or one is not in memory yet and cannot be loaded.
pub fn to_json<T: Entity>(entity: &T) -> Result<serde_json::Value, JsonPatchError> {
    loading(|| deep_json(entity))?
}

/// What changed between two states of one entity.
pub(crate) fn diff_cells(before: &Arc<dyn AnyCell>, after: &Arc<dyn AnyCell>) -> Result<Changes, RepeatedError> {
    let (before, after) = (Whole(before), Whole(after));
    let mut walk = Walk::new(Descend::Everything);
    let mut recorder = Recorder::default();
    walk.compare(&before, &after);
    walk.run(&mut |difference| recorder.record(difference))?;
    Ok(recorder.finish())
}
