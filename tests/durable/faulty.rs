//! A store that refuses an append when it is told to, or lets somebody else append first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heirloom::prelude::*;
use heirloom::store::{
    AppendError, Durability, Entry, EntryRow, Head, KeyNumber, KeyRow, LayoutRow, MemoryStore, OwnerChange, Progress,
    Query, Store, StoreError, VersionRow,
};
use heirloom::{Digest, EntityId, Position};

/// What happens before an append.
pub(crate) type Fault = Box<dyn FnMut() -> Result<(), AppendError> + Send>;

/// What happens before each append, by all handles on one store, and how many it met.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<(Option<Fault>, usize)>>);

impl Faults {
    pub(crate) fn set(&self, fault: Fault) {
        *self.lock() = (Some(fault), 0);
    }

    /// Takes the fault away; how many appends met it.
    pub(crate) fn clear(&self) -> usize {
        std::mem::take(&mut *self.lock()).1
    }

    fn meet(&self) -> Result<(), AppendError> {
        let mut faults = self.lock();
        faults.1 += 1;
        faults.0.as_mut().map_or(Ok(()), |fault| fault())
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Fault>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn full() -> Result<(), AppendError> {
    Err(AppendError::Store(StoreError::Full { path: "nowhere".into() }))
}

pub(crate) struct Faulty {
    pub(crate) store: MemoryStore,
    pub(crate) faults: Faults,
    /// After so many reads, each fails.
    pub(crate) reads: AtomicU64,
    /// What happens before each read.
    pub(crate) overtaken: Option<Overtaken>,
}

/// What somebody else does while a store is read.
pub(crate) type Overtaken = Box<dyn Fn() + Send + Sync>;

impl Faulty {
    pub(crate) fn new(store: MemoryStore, faults: Faults, reads: u64) -> Self {
        Self { store, faults, reads: AtomicU64::new(reads), overtaken: None }
    }

    /// One that somebody else may append to at each read.
    pub(crate) fn overtaken(store: MemoryStore, overtaken: Overtaken) -> Self {
        Self { overtaken: Some(overtaken), ..Self::new(store, Faults::default(), u64::MAX) }
    }

    fn reading(&self) -> Result<&MemoryStore, StoreError> {
        self.overtaken.iter().for_each(|overtaken| overtaken());
        let left = self.reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| &self.store).map_err(|_| StoreError::Full { path: "nowhere".into() })
    }
}

impl Store for Faulty {
    fn append(&self, after: &Head, entries: &[Entry], durability: Durability) -> Result<Head, AppendError> {
        self.faults.meet()?;
        self.store.append(after, entries, durability)
    }
    fn head(&self) -> Result<Head, StoreError> {
        self.reading()?.head()
    }
    fn has_moved(&self) -> Result<bool, StoreError> {
        self.store.has_moved()
    }
    fn entry(&self, position: Position) -> Result<Option<Arc<EntryRow>>, StoreError> {
        self.reading()?.entry(position)
    }
    fn find(&self, query: &Query) -> Result<Vec<Position>, StoreError> {
        self.reading()?.find(query)
    }
    fn position_at(&self, time: Timestamp) -> Result<Option<Position>, StoreError> {
        self.reading()?.position_at(time)
    }
    fn newest(&self, entity: EntityId) -> Result<Option<VersionRow>, StoreError> {
        self.reading()?.newest(entity)
    }
    fn version_at(&self, entity: EntityId, position: Position) -> Result<Option<VersionRow>, StoreError> {
        self.reading()?.version_at(entity, position)
    }
    fn version(&self, entity: EntityId, revision: Revision) -> Result<Option<VersionRow>, StoreError> {
        self.reading()?.version(entity, revision)
    }
    fn owner_at(&self, entity: EntityId, position: Position) -> Result<Option<(Position, OwnerChange)>, StoreError> {
        self.reading()?.owner_at(entity, position)
    }
    fn referrers_at(&self, entity: EntityId, position: Position) -> Result<Vec<(EntityId, u16)>, StoreError> {
        self.reading()?.referrers_at(entity, position)
    }
    fn entities(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, StoreError> {
        self.reading()?.entities(after, limit)
    }
    fn layouts(&self) -> Result<Vec<Arc<LayoutRow>>, StoreError> {
        self.reading()?.layouts()
    }
    fn tags(&self) -> Result<Vec<(String, Position)>, StoreError> {
        self.reading()?.tags()
    }
    fn tag(&self, name: &str, position: Position) -> Result<Position, StoreError> {
        self.store.tag(name, position)
    }
    fn read(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        self.reading()?.read(position)
    }
    fn check(&self) -> Result<(), StoreError> {
        self.store.check()
    }
    fn horizon(&self) -> Result<Position, StoreError> {
        self.reading()?.horizon()
    }
    fn kept_from(&self, position: Position) -> Result<Position, StoreError> {
        self.reading()?.kept_from(position)
    }
    fn key(&self, number: KeyNumber) -> Result<Option<KeyRow>, StoreError> {
        self.reading()?.key(number)
    }
    fn key_of(&self, subject: Digest) -> Result<Option<KeyRow>, StoreError> {
        self.reading()?.key_of(subject)
    }
    fn last_key(&self) -> Result<Option<KeyNumber>, StoreError> {
        self.reading()?.last_key()
    }
    fn sealed(&self, key: KeyNumber) -> Result<Vec<(EntityId, Revision)>, StoreError> {
        self.reading()?.sealed(key)
    }
    fn scrub(&self) -> Result<bool, StoreError> {
        self.reading()?.scrub()
    }
    fn forget(&self, horizon: Position, budget: usize) -> Result<Progress, StoreError> {
        self.store.forget(horizon, budget)
    }
}
