//! Patches: owned changes that apply to a state and invert.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::children::loading;
use crate::diff::{Change, ChangeKind, Changes, RepeatedError, diff};
use crate::entity::{AnyCell, AnyEntity, Cell, Entity, LoadError, Source, TypeRow, downcast};
use crate::id::EntityId;
use crate::schema::Meta;
use crate::value::{ApplyError, DecodeError, Delta, Name, Value};

/// A list of changes that turns one state into another, and back when inverted. It owns its values.
///
/// ```
/// # use heirloom::prelude::*;
/// # #[derive(Entity, Clone, PartialEq, Debug)]
/// # struct Student { id: Id<Student>, gpa: f64 }
/// let before = Student { id: Id::new(), gpa: 3.5 };
/// let after = Student { gpa: 3.8, ..before.clone() };
/// let patch = Patch::between(&before, &after)?;
/// assert_eq!(patch.apply(&before)?, after);
/// assert_eq!(patch.inverse().apply(&after)?, before);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Patch {
    steps: Vec<Step>,
}

#[derive(Clone)]
enum Step {
    Field { entity: EntityId, field: Name, delta: Delta },
    Add(Vec<State>),
    Remove(Vec<State>),
    Retype { before: State, after: State },
}

/// One entity's own state.
#[derive(Clone)]
struct State {
    id: EntityId,
    row: &'static TypeRow,
    fields: Value,
}

/// A patch that does not fit the state it was applied to. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// An entity that the patch changes or removes is not there.
    #[error("the patch changes {entity}, which is not in this state: apply it to the state it was made from")]
    Missing {
        /// The entity.
        entity: EntityId,
    },
    /// An entity that the patch adds is there already.
    #[error("the patch adds {entity}, which is in this state already: apply it to the state it was made from")]
    Present {
        /// The entity.
        entity: EntityId,
    },
    /// A field is not as the patch found it.
    #[error("{entity} {field}: {source}")]
    Differs {
        /// The entity.
        entity: EntityId,
        /// The field.
        field: String,
        /// What was expected and found.
        source: ApplyError,
    },
    /// The patched fields are not those of the type.
    #[error("the patch leaves no valid state: {0}")]
    Decode(#[from] DecodeError),
    /// One entity stands at two places.
    #[error(transparent)]
    Repeated(#[from] RepeatedError),
}

impl Patch {
    /// The patch from `before` to `after`.
    ///
    /// # Errors
    /// One entity stands in `after` at two places.
    pub fn between<T: Entity>(before: &T, after: &T) -> Result<Self, RepeatedError> {
        diff(before, after).map(|changes| Self::of(&changes))
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The way back.
    #[must_use]
    pub fn inverse(self) -> Self {
        let steps = self.steps.into_iter().rev().map(|step| match step {
            Step::Field { entity, field, delta } => Step::Field { entity, field, delta: delta.inverse() },
            Step::Add(states) => Step::Remove(states),
            Step::Remove(states) => Step::Add(states),
            Step::Retype { before, after } => Step::Retype { before: after, after: before },
        });
        Self { steps: steps.collect() }
    }

    /// The state that the patch makes of `before`. O(n): every entity of the state is read once.
    ///
    /// # Errors
    /// `before` is not a state that the patch fits. It is never changed.
    pub fn apply<T: Entity>(&self, before: &T) -> Result<T, PatchError> {
        let mut states: IndexMap<EntityId, State, ahash::RandomState> =
            flatten(before).into_iter().map(|state| (state.id, state)).collect();
        for step in &self.steps {
            step.apply(&mut states)?;
        }
        rebuild::<T>(before.entity_id(), &states)
    }
}

impl TryFrom<&Changes> for Patch {
    type Error = LoadError;

    /// The patch of what changed.
    ///
    /// # Errors
    /// Something that came or went with its owner is not in memory yet and cannot be loaded.
    fn try_from(changes: &Changes) -> Result<Self, LoadError> {
        loading(|| Self::of(changes))
    }
}

impl Patch {
    fn of(changes: &Changes) -> Self {
        let moved: HashSet<EntityId> = changes
            .iter()
            .filter(|change| matches!(change.kind, ChangeKind::Moved { .. }))
            .map(|change| change.entity.id)
            .collect();
        Self { steps: changes.with_owning().filter_map(|change| step_of(change, &moved)).collect() }
    }
}

fn step_of(change: &Change, moved: &HashSet<EntityId>) -> Option<Step> {
    Some(match &change.kind {
        ChangeKind::Changed { field, delta } => {
            Step::Field { entity: change.entity.id, field: field.clone(), delta: delta.clone() }
        }
        ChangeKind::Added { after, .. } => Step::Add(flatten_but(after.entity(), moved)),
        ChangeKind::Removed { before, .. } => Step::Remove(flatten_but(before.entity(), moved)),
        ChangeKind::Retyped { before, after } => {
            Step::Retype { before: state(before.entity()), after: state(after.entity()) }
        }
        // The fields of the owners say it.
        ChangeKind::Moved { .. } | ChangeKind::Reordered { .. } => return None,
    })
}

impl Step {
    fn apply(&self, states: &mut IndexMap<EntityId, State, ahash::RandomState>) -> Result<(), PatchError> {
        match self {
            Step::Field { entity, field, delta } => {
                let state = states.get_mut(entity).ok_or(PatchError::Missing { entity: *entity })?;
                let value = field_mut(&mut state.fields, field).ok_or(PatchError::Missing { entity: *entity })?;
                delta.apply(value).map_err(|source| PatchError::Differs {
                    entity: *entity,
                    field: field.to_string(),
                    source,
                })?;
            }
            Step::Add(added) => {
                for state in added {
                    if states.insert(state.id, state.clone()).is_some() {
                        return Err(PatchError::Present { entity: state.id });
                    }
                }
            }
            Step::Remove(removed) => {
                for state in removed {
                    states.swap_remove(&state.id).ok_or(PatchError::Missing { entity: state.id })?;
                }
            }
            Step::Retype { before, after } => {
                states.insert(before.id, after.clone()).ok_or(PatchError::Missing { entity: before.id })?;
            }
        }
        Ok(())
    }
}

fn field_mut<'v>(fields: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match fields {
        Value::Struct(fields) => fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value),
        Value::Variant(variant) => field_mut(&mut variant.1, name),
        _ => None,
    }
}

fn state(entity: &dyn AnyEntity) -> State {
    State { id: entity.entity_id(), row: entity.row(), fields: entity.encode() }
}

/// The own states of an entity and of all that it owns, itself first.
fn flatten(entity: &dyn AnyEntity) -> Vec<State> {
    flatten_but(entity, &HashSet::new())
}

/// As `flatten`, without those that moved and what they own: they are elsewhere.
fn flatten_but(entity: &dyn AnyEntity, moved: &HashSet<EntityId>) -> Vec<State> {
    let mut states = Vec::new();
    let mut stack = vec![entity];
    while let Some(entity) = stack.pop() {
        if !states.is_empty() && moved.contains(&entity.entity_id()) {
            continue;
        }
        states.push(state(entity));
        entity.slots(&mut |_, _, slot| stack.push(slot.entity()));
    }
    states
}

type States = IndexMap<EntityId, State, ahash::RandomState>;

/// Builds an entity of its own state and those it owns, the deepest first: no depth can overflow the stack.
fn rebuild<T: Entity>(root: EntityId, states: &States) -> Result<T, PatchError> {
    let mut built = Built { cells: HashMap::default() };
    let mut stack = vec![(root, false)];
    while let Some((id, children_are_built)) = stack.pop() {
        let state = states.get(&id).ok_or(PatchError::Missing { entity: id })?;
        if children_are_built {
            let cell = state.row.decode(id, &state.fields, &mut built)?;
            built.cells.insert(id, cell);
        } else {
            stack.push((id, true));
            crate::entity::owned_ids(&state.fields, &mut |child| stack.push((child, false)));
        }
    }
    let cell = built.cells.remove(&root).expect("the root was pushed first and built last");
    let cell: Arc<Cell<T>> =
        downcast(cell).ok_or_else(|| DecodeError::saying(T::META.full_name(), "a root of another type"))?;
    drop(built);
    Ok(Arc::try_unwrap(cell).map_or_else(|shared| shared.value().clone(), Cell::into_value))
}

struct Built {
    cells: HashMap<EntityId, Arc<dyn AnyCell>, ahash::RandomState>,
}

impl Source for Built {
    fn cell(&mut self, id: EntityId, _: &'static Meta) -> Result<Arc<dyn AnyCell>, DecodeError> {
        self.cells
            .get(&id)
            .cloned()
            .ok_or_else(|| DecodeError::saying(format!("the entity {id}"), "none of that id in this state"))
    }
}
