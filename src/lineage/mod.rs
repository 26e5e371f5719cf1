//! Lineages: every version of every entity in order, with its owners over time. The index of the head, the index of
//! "as of", and the rows that a store will hold are one.

mod append;
mod incoming;
mod read;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use smallvec::SmallVec;

pub(crate) use append::{Batch, Made, OwnerChange, Replaced, Target, Write, WriteTarget};
pub(crate) use incoming::{ReferenceChange, Referrer};
pub(crate) use read::{Gone, KnownGone};

use crate::entity::{AnyCell, Record, TypeRow};
use crate::id::EntityId;
use crate::when::{Position, Revision};
use incoming::Incoming;

/// The place of an entity's lineage among all lineages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ix(pub(crate) u32);

/// What a version holds.
#[derive(Clone)]
pub(crate) enum Payload {
    /// Its own state, with all that it owns.
    Cell(Arc<dyn AnyCell>),
    /// Its own state without the entities that it holds by value.
    Record(Arc<Record>),
    /// Nothing of its own: some of these that it owns changed.
    Carried {
        /// The index of the newest version with a state of its own.
        own: u32,
        children: SmallVec<[Ix; 2]>,
    },
    /// It is gone.
    Removed {
        /// The index of the newest version with a state of its own.
        own: u32,
    },
}

/// One version.
pub(crate) struct Version {
    pub(crate) position: Position,
    pub(crate) payload: Payload,
}

/// The field of an edge to an owner that was removed and came back without the entity, which so has ended for good.
pub(crate) const ENDED: u16 = u16::MAX;

/// The edge from an entity to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnerEdge {
    pub(crate) owner: Ix,
    pub(crate) field: u16,
}

/// All that is known of one entity.
pub(crate) struct Lineage {
    pub(crate) id: EntityId,
    pub(crate) row: &'static TypeRow,
    state: RwLock<State>,
    /// How many removals there had been when it was last seen alive: as long as there are no more, it still is.
    alive_at: AtomicU64,
}

struct State {
    versions: SmallVec<[Version; 1]>,
    owners: SmallVec<[(Position, Option<OwnerEdge>); 1]>,
    /// The value of a version whose payload is none, with the index of that version.
    built: Option<(usize, Arc<dyn AnyCell>)>,
}

impl State {
    /// The index of the version as of a position.
    fn as_of(&self, at: Position) -> Option<usize> {
        match self.versions.last() {
            Some(last) if last.position <= at => Some(self.versions.len() - 1),
            _ => self.versions.partition_point(|version| version.position <= at).checked_sub(1),
        }
    }

    /// The index of the newest version with a state of its own, not after `index`.
    fn own(&self, index: usize) -> usize {
        match &self.versions[index].payload {
            Payload::Cell(_) | Payload::Record(_) => index,
            Payload::Carried { own, .. } | Payload::Removed { own } => *own as usize,
        }
    }

    fn owner(&self, at: Position) -> Option<OwnerEdge> {
        self.owner_since(at).and_then(|(_, owner)| owner)
    }

    fn owner_since(&self, at: Position) -> Option<(Position, Option<OwnerEdge>)> {
        match self.owners.last() {
            Some((since, owner)) if *since <= at => Some((*since, *owner)),
            _ => {
                let next = self.owners.partition_point(|(since, _)| *since <= at);
                next.checked_sub(1).map(|index| self.owners[index])
            }
        }
    }
}

impl Lineage {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

const SHARDS: usize = 64;

type Shard = RwLock<HashMap<EntityId, Ix, ahash::RandomState>>;

/// The lineages of all entities.
pub(crate) struct Lineages {
    shards: Box<[Shard]>,
    rows: boxcar::Vec<Lineage>,
    incoming: Incoming,
    /// How many removals there were.
    removals: AtomicU64,
    /// The position of the last of them, which may not be published yet.
    last_removal: AtomicU64,
    /// The newest position that readers may see.
    head: AtomicU64,
}

impl Lineages {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            rows: boxcar::Vec::new(),
            incoming: Incoming::new(),
            removals: AtomicU64::new(0),
            last_removal: AtomicU64::new(0),
            head: AtomicU64::new(0),
        }
    }

    /// The newest position that readers may see.
    pub(crate) fn head(&self) -> Position {
        Position(self.head.load(Ordering::Acquire))
    }

    /// Lets readers see everything up to `position`.
    pub(crate) fn publish(&self, position: Position) {
        self.head.store(position.0, Ordering::Release);
    }

    fn shard(&self, id: EntityId) -> &Shard {
        // The last byte of an id is as good as random, and it does no harm where somebody chose it.
        &self.shards[usize::from(id.as_bytes()[15]) % SHARDS]
    }

    pub(crate) fn find(&self, id: EntityId) -> Option<Ix> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    pub(crate) fn get(&self, ix: Ix) -> &Lineage {
        self.rows.get(ix.0 as usize).expect("an index is given out only after its lineage was pushed")
    }

    /// How many versions an entity has as of a position.
    pub(crate) fn revision(&self, ix: Ix, at: Position) -> Option<Revision> {
        self.get(ix).read().as_of(at).map(|index| Revision(index as u64 + 1))
    }

    /// The position and payload of a version by its revision.
    pub(crate) fn version(&self, ix: Ix, revision: Revision) -> Option<(Position, Payload)> {
        let index = usize::try_from(revision.0.checked_sub(1)?).ok()?;
        let state = self.get(ix).read();
        state.versions.get(index).map(|version| (version.position, version.payload.clone()))
    }

    /// Who owns an entity as of a position.
    pub(crate) fn owner(&self, ix: Ix, at: Position) -> Option<OwnerEdge> {
        self.get(ix).read().owner(at)
    }

    /// Who refers to an entity as of a position: every one that is alive then.
    pub(crate) fn referrers(&self, to: EntityId, at: Position) -> Vec<Referrer> {
        let mut referrers = self.incoming.referrers(to, at);
        referrers.retain(|referrer| self.alive(referrer.from, at).is_ok());
        referrers
    }
}
