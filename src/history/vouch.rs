//! Vouching for a history: its head, and whether all is as it was written.

use super::{Archive, History};
use crate::store::{Head, Store, StoreError, VerifyError, verify};

impl Archive {
    /// What everything is kept in.
    pub(crate) fn store(&self) -> Result<&dyn Store, StoreError> {
        self.kept.as_ref().map(|kept| &*kept.store).ok_or(StoreError::InMemory)
    }
}

impl History {
    /// The newest entry and its hash, which vouches for everything up to it: kept elsewhere, it is what
    /// [`verify`](Self::verify) is given later. O(what the newest entry says).
    ///
    /// # Errors
    /// It cannot be read, or the registry is in memory ([`StoreError::InMemory`]).
    pub fn store_head(&self) -> Result<Head, StoreError> {
        self.archive.store()?.head()
    }

    /// Reads everything that is stored, and works out anew what vouches for it; the head up to which all is as it was
    /// written. With a head that was kept it also tells whether the history still passes through that very entry: without
    /// one, a history that was cut, or written anew as a whole, still vouches for itself. O(everything); others read and
    /// write meanwhile.
    ///
    /// It says that what is stored is what was written, not that today's types can read it.
    ///
    /// ```
    /// use heirloom::prelude::*;
    /// use heirloom::store::{Head, MemoryStore};
    ///
    /// #[derive(Entity, Clone)]
    /// struct Student { id: Id<Student>, name: String }
    ///
    /// let registry = Registry::builder().over(MemoryStore::new())?;
    /// registry.add(Student { id: Id::new(), name: "Ann".into() })?;
    /// let line = registry.history().store_head()?.to_string(); // to be kept where nobody writes
    ///
    /// registry.add(Student { id: Id::new(), name: "Bob".into() })?;
    /// let kept: Head = line.parse().expect("it was printed so");
    /// assert_eq!(registry.history().verify(Some(&kept))?.position.0, 2);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first entry that is wrong, a history that does not pass through the head that was kept, or the first thing
    /// beside the entries that is wrong; or the registry is in memory ([`StoreError::InMemory`]), where nothing lasts
    /// that could be vouched for.
    pub fn verify(&self, kept: Option<&Head>) -> Result<Head, VerifyError> {
        verify(self.archive.store()?, kept)
    }
}
