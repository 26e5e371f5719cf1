//! Handles whose entity is not in memory yet.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::drops::let_go;
use crate::digest::Digest;
use crate::entity::{AnyCell, Cell, Entity, Load, LoadError, downcast};
use crate::id::EntityId;

/// What a handle unwinds with if its entity cannot be loaded and nobody asked whether it can. A run makes an error of
/// it.
#[derive(Debug)]
pub(crate) struct LoadFailure(pub(crate) LoadError);

/// Unwinds with a [`LoadFailure`]; nothing is printed.
pub(super) fn unwind(error: LoadError) -> ! {
    resume_unwind(Box::new(LoadFailure(error)))
}

/// Does what looks at children: that one of them cannot be loaded is the error.
pub(crate) fn loading<R>(work: impl FnOnce() -> R) -> Result<R, LoadError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Ok(done),
        Err(payload) => match payload.downcast::<LoadFailure>() {
            Ok(failure) => Err(failure.0),
            Err(payload) => resume_unwind(payload),
        },
    }
}

/// What clones of a cold handle share.
pub(super) struct Cold<T: Entity> {
    id: EntityId,
    /// The digest of the state, if it is known without loading it.
    digest: Option<Digest>,
    loader: Arc<dyn Load>,
    loaded: OnceCell<Arc<Cell<T>>>,
}

impl<T: Entity> Cold<T> {
    pub(super) fn new(id: EntityId, digest: Option<Digest>, loader: Arc<dyn Load>) -> Self {
        Self { id, digest, loader, loaded: OnceCell::new() }
    }

    pub(super) fn id(&self) -> EntityId {
        self.id
    }

    /// The digest, if it is known without work.
    pub(super) fn known_digest(&self) -> Option<Digest> {
        self.digest.or_else(|| self.loaded()?.known_digest())
    }

    /// Whether both are certainly of one state, loaded or not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        if self.id != other.id {
            return false;
        }
        if Arc::ptr_eq(&self.loader, &other.loader) {
            return true;
        }
        match (self.loader.stamp(), other.loader.stamp()) {
            (Some(own), Some(stamp)) if own.history == stamp.history && own.owner == stamp.owner => {
                own.at == stamp.at || self.loader.is_unchanged(self.id, stamp)
            }
            _ => false,
        }
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
