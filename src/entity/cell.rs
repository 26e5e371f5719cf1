//! Cells: an entity's value, shared and never changed, with its digest once somebody asked.

use std::any::Any;
use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::{AnyEntity, Entity, Source, erased};
use crate::digest::Digest;
use crate::value::{DecodeError, Value};

/// One state of an entity.
pub struct Cell<T> {
    value: T,
    sealed: OnceCell<Digest>,
}

impl<T: Entity> Cell<T> {
    /// A cell around this state.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { value, sealed: OnceCell::new() }
    }

    /// The state.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The state for writing; its digest is forgotten.
    pub fn value_mut(&mut self) -> &mut T {
        self.sealed = OnceCell::new();
        &mut self.value
    }

    /// The state, out of the cell.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T: Entity> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Self::new(self.value.clone())
    }
}

/// A cell of whatever type.
pub trait AnyCell: Any + Send + Sync {
    /// The entity in it.
    fn entity(&self) -> &dyn AnyEntity;
    /// The entity in it for writing; its digest is forgotten.
    fn entity_mut(&mut self) -> &mut dyn AnyEntity;
    /// The digest, if it was asked for before.
    fn known_digest(&self) -> Option<Digest>;
    /// The digest; the first request costs O(what is not digested yet), on any depth.
    fn digest(&self) -> Digest;
    /// The cell as `Any`, to be downcast.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// Another cell with the same state.
    fn duplicate(&self) -> Arc<dyn AnyCell>;
}

impl<T: Entity> AnyCell for Cell<T> {
    fn entity(&self) -> &dyn AnyEntity {
        &self.value
    }
    fn entity_mut(&mut self) -> &mut dyn AnyEntity {
        self.value_mut()
    }
    fn known_digest(&self) -> Option<Digest> {
        self.sealed.get().copied()
    }
    fn digest(&self) -> Digest {
        if let Some(digest) = self.sealed.get() {
            return *digest;
        }
        erased::seal_below(&self.value);
        // Worked out before the cell is initialised, which holds others up: values are written by the user's code.
        let digest = erased::digest_entity(&self.value);
        *self.sealed.get_or_init(|| digest)
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn duplicate(&self) -> Arc<dyn AnyCell> {
        Arc::new(self.clone())
    }
}

/// The cell of the entity that stands at `value`.
pub(crate) fn decode_cell<T: Entity>(value: &Value, source: &mut dyn Source) -> Result<Arc<Cell<T>>, DecodeError> {
    let Value::Entity(id) = value else {
        return Err(DecodeError::new(format!("an entity of type {}", T::META.name), value));
    };
    let cell = source.cell(*id, T::META)?;
    let found = cell.entity().meta_of().full_name();
    downcast(cell).ok_or_else(|| DecodeError::saying(format!("an entity of type {}", T::META.full_name()), found))
}

/// The cell with its type.
pub(crate) fn downcast<T: Entity>(cell: Arc<dyn AnyCell>) -> Option<Arc<Cell<T>>> {
    cell.into_any().downcast().ok()
}
