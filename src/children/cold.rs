//! Handles whose entity is not in memory yet.

use std::error::Error;
use std::panic::resume_unwind;
use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::drops::let_go;
use crate::digest::Digest;
use crate::entity::{AnyCell, Cell, Entity, downcast};
use crate::id::EntityId;

/// Where cold handles get their entities from.
pub trait Load: Send + Sync {
    /// The cell of the state that the handle was made for.
    ///
    /// # Errors
    /// It cannot be had.
    fn load(&self, id: EntityId) -> Result<Arc<dyn AnyCell>, LoadError>;
}

/// An entity that could not be loaded when somebody looked at it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{entity} could not be loaded: {reason}")]
pub struct LoadError {
    entity: EntityId,
    reason: Arc<dyn Error + Send + Sync>,
}

impl LoadError {
    /// The entity could not be loaded, for this reason.
    #[must_use]
    pub fn new(entity: EntityId, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { entity, reason: Arc::from(reason.into()) }
    }

    /// The entity that could not be loaded.
    #[must_use]
    pub fn entity(&self) -> EntityId {
        self.entity
    }

    /// Why not.
    #[must_use]
    pub fn reason(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.reason
    }
}

/// What a handle unwinds with if its entity cannot be loaded and nobody asked whether it can. A run makes an error of
/// it.
#[derive(Debug)]
pub(crate) struct LoadFailure(pub(crate) LoadError);

/// Unwinds with a [`LoadFailure`]; nothing is printed.
pub(super) fn unwind(error: LoadError) -> ! {
    resume_unwind(Box::new(LoadFailure(error)))
}

/// What clones of a cold handle share.
pub(super) struct Cold<T: Entity> {
    id: EntityId,
    digest: Digest,
    loader: Arc<dyn Load>,
    loaded: OnceCell<Arc<Cell<T>>>,
}

impl<T: Entity> Cold<T> {
    pub(super) fn new(id: EntityId, digest: Digest, loader: Arc<dyn Load>) -> Self {
        Self { id, digest, loader, loaded: OnceCell::new() }
    }

    pub(super) fn id(&self) -> EntityId {
        self.id
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The cell, if it was loaded before.
    pub(super) fn loaded(&self) -> Option<&Arc<Cell<T>>> {
        self.loaded.get()
    }

    /// The cell; the first request loads it, and after an error the next one tries again.
    pub(super) fn cell(&self) -> Result<&Arc<Cell<T>>, LoadError> {
        self.loaded.get_or_try_init(|| {
            let cell = self.loader.load(self.id)?;
            let (found, id) = (cell.entity().meta_of().full_name(), cell.entity().entity_id());
            if id != self.id {
                return Err(LoadError::new(self.id, format!("found {id} under its id")));
            }
            let typed = downcast(cell);
            typed.ok_or_else(|| LoadError::new(self.id, format!("expected a {}, found a {found}", T::META.full_name())))
        })
    }
}

impl<T: Entity> Drop for Cold<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.loaded.take() {
            let_go(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::{LoadError, LoadFailure, unwind};
    use crate::id::EntityId;

    #[test]
    fn a_failed_load_unwinds_with_its_error() {
        let id = EntityId::new();
        let payload = catch_unwind(|| unwind(LoadError::new(id, "no such row"))).expect_err("it unwinds");
        let failure = payload.downcast::<LoadFailure>().expect("the payload that runs look for");
        assert_eq!(failure.0.to_string(), format!("{id} could not be loaded: no such row"));
    }
}
