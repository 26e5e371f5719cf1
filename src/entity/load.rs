//! Where entities that are not in memory come from.

use std::error::Error;
use std::sync::Arc;

use super::AnyCell;
use crate::id::EntityId;
use crate::when::Position;

/// Where cold handles get their entities from.
pub trait Load: Send + Sync {
    /// The cell of the state that the handle was made for.
    ///
    /// # Errors
    /// It cannot be had.
    fn load(&self, id: EntityId) -> Result<Arc<dyn AnyCell>, LoadError>;

    /// Of which state of which entity the handles are that it was given to, if it can tell: what an entity owned as of
    /// one time is the same whenever it is read.
    fn stamp(&self) -> Option<Stamp> {
        None
    }

    /// Whether the entity `id` is certainly the same as of both stamps, of which one is this loader's. It may be asked
    /// of every item of a long list.
    fn is_unchanged(&self, _id: EntityId, _other: Stamp) -> bool {
        false
    }
}

/// A state of an entity in some history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which history: an address.
    pub history: usize,
    /// The entity.
    pub owner: EntityId,
    /// As of when.
    pub at: Position,
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
