//! Erasing what is stored of a subject.

use super::Registry;
use super::caller::Caller;
use crate::entity::Identity;
use crate::history::{EraseError, Erasure};

impl Caller<'_> {
    /// Erases an entity that is its own subject, and whatever else says that its data is that one's: see
    /// [`erase_subject`](Self::erase_subject), which this is with the entity's id as text.
    ///
    /// # Errors
    /// As there; and [`EraseError::NoSubject`] if the entity is stored in the clear.
    pub fn erase(&self, entity: impl Identity) -> Result<Erasure, EraseError> {
        let entity = entity.identity();
        self.erased(&entity.to_string(), Some(entity))
    }

    /// Erases a subject: the key is destroyed under which all that is stored of it is sealed.
    ///
    /// That are the own states of every entity whose data is the subject's (`#[entity(subject)]`), and the plain arguments
    /// of runs that made or were given such entities, with the reasons of those that failed. From then on they are told
    /// as erased ([`ReadError::Erased`](crate::ReadError::Erased)), here and wherever else the store is open once
    /// somebody looks. Who did what and when is still told, and the chain still verifies. Nothing brings them back; a
    /// backup that was made before still has the key, until it is opened and the subject erased there too.
    ///
    /// What is still there must be removed first. Where there is nothing to erase, nothing is written. What is added
    /// later of the same subject gets another key. O(versions of the subject · log n), with all values in memory let go.
    ///
    /// # Errors
    /// [`EraseError::Living`] if an entity of the subject is still there; the registry is in memory; or the store cannot
    /// be read or written. Nothing was erased then.
    pub fn erase_subject(&self, name: &str) -> Result<Erasure, EraseError> {
        self.erased(name, None)
    }

    fn erased(&self, name: &str, itself: Option<crate::id::EntityId>) -> Result<Erasure, EraseError> {
        self.registry.inner.archive.erase(name, itself, self.said.as_deref(), self.time)
    }
}

impl Registry {
    /// See [`Caller::erase`].
    ///
    /// ```
    /// use heirloom::prelude::*;
    /// use heirloom::ReadError;
    /// use heirloom::store::MemoryStore;
    ///
    /// #[derive(Entity, Clone)]
    /// #[entity(subject)]
    /// struct Customer { id: Id<Customer>, name: String }
    ///
    /// let registry = Registry::builder().over(MemoryStore::new())?;
    /// let ann = registry.add(Customer { id: Id::new(), name: "Ann".into() })?;
    /// registry.remove(ann)?;
    /// assert_eq!(registry.by("privacy desk").erase(ann)?.versions, 1);
    ///
    /// let read = registry.history().at(ann, Revision(1));
    /// assert!(matches!(read, Err(ReadError::Erased { .. })));
    /// registry.history().verify(None)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn erase(&self, entity: impl Identity) -> Result<Erasure, EraseError> {
        self.caller().erase(entity)
    }

    /// See [`Caller::erase_subject`].
    ///
    /// # Errors
    /// As there.
    pub fn erase_subject(&self, name: &str) -> Result<Erasure, EraseError> {
        self.caller().erase_subject(name)
    }
}
