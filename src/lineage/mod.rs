//! Lineages: every version of every entity in order, with its owners over time. The index of the head, the index of
//! "as of", and the rows that a store will hold are one.

mod append;
mod incoming;
mod past;
mod read;
mod room;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use once_cell::sync::OnceCell;
use smallvec::SmallVec;

pub(crate) use append::{Batch, Made, OwnerChange, Replaced, Target, Write, WriteTarget};
pub(crate) use incoming::{ReferenceChange, Referrer};
pub(crate) use past::{Past, PastKind, PastOwner, PastState, PastVersion, Unreadable, Weight};
pub(crate) use read::{Gone, KnownGone};

use crate::entity::{AnyCell, Record, TypeRow};
use crate::id::EntityId;
use crate::when::{Position, Revision};
use incoming::Incoming;
use past::Place;
use room::{Holding, Room};

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
    /// Its own state, which the store has.
    Stored,
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

impl Payload {
    /// Whether it is a state of its own.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Payload::Cell(_) | Payload::Record(_) | Payload::Stored)
    }
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
    /// Its type; for one that came from a store, once somebody asked.
    row: OnceCell<&'static TypeRow>,
    state: RwLock<State>,
    /// How many removals there had been when it was last seen alive: as long as there are no more, it still is.
    alive_at: AtomicU64,
    holding: Holding,
}

struct State {
    /// How many versions there are before those here, which only a store has.
    first: usize,
    versions: SmallVec<[Version; 1]>,
    /// From when on the owners are here.
    owners_since: Position,
    owners: SmallVec<[(Position, Option<OwnerEdge>); 1]>,
    /// The value of a version whose payload is none, with the index of that version.
    built: Option<(usize, Arc<dyn AnyCell>)>,
    weight: Weight,
}

impl State {
    /// Where the version as of a position is.
    fn as_of(&self, at: Position) -> Place {
        if self.versions.last().is_some_and(|last| last.position <= at) {
            return Place::Here(self.newest());
        }
        match self.versions.partition_point(|version| version.position <= at).checked_sub(1) {
            Some(here) => Place::Here(self.first + here),
            None if self.first > 0 => Place::Earlier,
            None => Place::NotYet,
        }
    }

    /// The index of the newest version. One that a store refused may leave none, and is then found gone.
    fn newest(&self) -> usize {
        (self.first + self.versions.len()).saturating_sub(1)
    }

    fn version(&self, index: usize) -> Option<&Version> {
        self.versions.get(index.checked_sub(self.first)?)
    }

    fn payload(&self, index: usize) -> Option<&Payload> {
        self.version(index).map(|version| &version.payload)
    }

    /// The index of the newest version with a state of its own, not after one that is here.
    fn own(&self, index: usize) -> usize {
        match self.payload(index) {
            Some(Payload::Carried { own, .. } | Payload::Removed { own }) => *own as usize,
            _ => index,
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
    fn new(id: EntityId, row: Option<&'static TypeRow>, state: State, alive_at: u64) -> Self {
        let row = row.map_or_else(OnceCell::new, OnceCell::with_value);
        Self { id, row, state: RwLock::new(state), alive_at: AtomicU64::new(alive_at), holding: Holding::default() }
    }

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
    /// Where what is not here is read from.
    past: Option<Arc<dyn Past>>,
    /// How often somebody else appended to the store.
    epoch: AtomicU64,
    /// Up to where what somebody else appended is taken in, or just being so.
    taken_in: AtomicU64,
    room: Room,
    /// How many removals there were.
    removals: AtomicU64,
    /// How often erasures were seen.
    erasures: AtomicU64,
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
            past: None,
            epoch: AtomicU64::new(0),
            taken_in: AtomicU64::new(0),
            room: Room::default(),
            removals: AtomicU64::new(0),
            erasures: AtomicU64::new(0),
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

    /// Where an entity's lineage is, if it is in memory.
    pub(crate) fn known(&self, id: EntityId) -> Option<Ix> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    pub(crate) fn get(&self, ix: Ix) -> &Lineage {
        self.rows.get(ix.0 as usize).expect("an index is given out only after its lineage was pushed")
    }

    /// The newest revision of an entity, what is being committed included.
    pub(crate) fn last_revision(&self, ix: Ix) -> Revision {
        Revision(self.get(ix).read().newest() as u64 + 1)
    }

    /// How many versions an entity has as of a position.
    pub(crate) fn revision(&self, ix: Ix, at: Position) -> Result<Option<Revision>, Unreadable> {
        let lineage = self.get(ix);
        let place = lineage.read().as_of(at);
        Ok(match place {
            Place::Here(index) => Some(Revision(index as u64 + 1)),
            Place::NotYet => None,
            Place::Earlier => self.past().version_at(lineage.id, at)?.map(|version| version.revision),
        })
    }

    /// The position and payload of a version by its revision.
    pub(crate) fn version(&self, ix: Ix, revision: Revision) -> Result<Option<(Position, Payload)>, Unreadable> {
        let Some(index) = revision.0.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else {
            return Ok(None);
        };
        let lineage = self.get(ix);
        {
            let state = lineage.read();
            if index >= state.first {
                return Ok(state.version(index).map(|version| (version.position, version.payload.clone())));
            }
        }
        let Some(version) = self.past().version(lineage.id, revision)? else { return Ok(None) };
        Ok(Some((version.position, self.payload(&version)?)))
    }

    /// What a version carried along, sorted by identity. O(result) reads.
    pub(crate) fn carried(&self, ix: Ix, revision: Revision) -> Result<Vec<Ix>, Unreadable> {
        match self.version(ix, revision)? {
            Some((_, Payload::Carried { children, .. })) if !self.is_kept() => {
                let mut children = children.to_vec();
                // As a store has them.
                children.sort_unstable_by_key(|child| self.get(*child).id);
                return Ok(children);
            }
            Some((_, Payload::Carried { .. })) => {}
            _ => return Ok(Vec::new()),
        }
        let Some(version) = self.past().version(self.get(ix).id, revision)? else { return Ok(Vec::new()) };
        let mut carried = Vec::with_capacity(version.carried.len());
        for id in version.carried {
            carried.extend(self.find(id)?);
        }
        Ok(carried)
    }

    /// Who owns an entity, by what is being committed too.
    pub(crate) fn last_owner(&self, ix: Ix) -> Option<OwnerEdge> {
        self.get(ix).read().owner(crate::when::LATEST)
    }

    /// Who owns an entity as of a position.
    pub(crate) fn owner(&self, ix: Ix, at: Position) -> Result<Option<OwnerEdge>, Unreadable> {
        Ok(self.owner_since(ix, at)?.and_then(|(_, owner)| owner))
    }

    /// Who refers to an entity as of a position: every one that is alive then, sorted by identity.
    pub(crate) fn referrers(&self, to: EntityId, at: Position) -> Result<Vec<Referrer>, Unreadable> {
        let all = match &self.past {
            None => {
                let mut all = self.incoming.referrers(to, at);
                // As a store has them.
                all.sort_unstable_by_key(|referrer| (self.get(referrer.from).id, referrer.field));
                all
            }
            Some(past) => {
                let mut all = Vec::new();
                for (from, field) in past.referrers_at(to, at)? {
                    let from = self.find(from)?.ok_or_else(|| past::not_there(from, "one that refers to another"))?;
                    all.push(Referrer { from, field });
                }
                all
            }
        };
        let mut referrers = Vec::with_capacity(all.len());
        for referrer in all {
            match self.alive(referrer.from, at) {
                Ok(()) => referrers.push(referrer),
                Err(Gone::Unreadable(error)) => return Err(error),
                Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => {}
            }
        }
        Ok(referrers)
    }
}
