//! Appending a batch of versions: the only way a lineage grows.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use smallvec::{SmallVec, smallvec};

use super::{ENDED, Ix, Lineage, Lineages, OwnerEdge, Payload, ReferenceChange, State, Version, Weight};
use crate::entity::{AnyCell, TypeRow};
use crate::id::EntityId;
use crate::when::Position;

/// An owner that has a lineage, or gets one in this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Known(Ix),
    /// By its place in the batch.
    New(usize),
}

/// Whether an entity's owner changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerChange {
    Keep,
    Root,
    Owned { owner: Target, field: u16 },
}

/// One version to be made.
#[derive(Clone)]
pub(crate) struct Write {
    pub(crate) target: WriteTarget,
    /// The new state; `None` removes it.
    pub(crate) payload: Option<Payload>,
    /// The value, where the payload is none: spares building it.
    pub(crate) built: Option<Arc<dyn AnyCell>>,
    pub(crate) owner: OwnerChange,
    pub(crate) references: Vec<ReferenceChange>,
}

/// Which lineage grows.
#[derive(Clone, Copy)]
pub(crate) enum WriteTarget {
    Known(Ix),
    New { id: EntityId, row: &'static TypeRow },
}

/// Everything that one commit writes. Owners that are merely carried along are found when it is appended.
#[derive(Default)]
pub(crate) struct Batch {
    /// Entities that ended with an owner which comes back without them, and that owner.
    pub(crate) ended: Vec<(Ix, Ix)>,
    pub(crate) writes: Vec<Write>,
}

/// The versions that an append made: place of the lineage, index of the version. Those of one leaf and its owners in a
/// tree of three levels need no room of their own.
pub(crate) type Made = SmallVec<[(u32, u32); 3]>;

/// Values that lineages no longer keep. Dropping one may run the user's code, so it is for the caller to do when no lock
/// is held any more.
pub(crate) type Replaced = SmallVec<[Payload; 4]>;

impl Lineages {
    /// Appends the batch at a position. The caller holds the writer's lock, has checked what it expects, and publishes
    /// the position when the log has its entry. No code of the user's runs in here.
    pub(crate) fn append(
        &self,
        ended: &[(Ix, Ix)],
        writes: impl ExactSizeIterator<Item = Write>,
        at: Position,
        replaced: &mut Replaced,
    ) -> Made {
        for (ix, owner) in ended {
            let mut state = self.get(*ix).write();
            if state.owner(at).is_some_and(|edge| edge.owner == *owner && edge.field != ENDED) {
                state.owners.push((at, Some(OwnerEdge { owner: *owner, field: ENDED })));
            }
        }
        let mut made = Made::with_capacity(writes.len());
        let mut targets: SmallVec<[Ix; 8]> = SmallVec::with_capacity(writes.len());
        for write in writes {
            let owner = match write.owner {
                OwnerChange::Keep => None,
                OwnerChange::Root => Some(None),
                OwnerChange::Owned { owner: Target::Known(owner), field } => Some(Some(OwnerEdge { owner, field })),
                OwnerChange::Owned { owner: Target::New(index), field } => {
                    Some(Some(OwnerEdge { owner: targets[index], field }))
                }
            };
            let (ix, index) = match (write.target, write.payload) {
                (WriteTarget::New { id, row }, Some(payload)) => {
                    let version = Version { position: at, payload };
                    (self.begin(id, row, version, owner.flatten(), write.built), 0)
                }
                (WriteTarget::New { .. }, None) => unreachable!("what was never there is not removed"),
                (WriteTarget::Known(ix), payload) => (ix, self.extend(ix, at, payload, owner, write.built, replaced)),
            };
            targets.push(ix);
            made.push((ix.0, index));
            for change in write.references {
                // Over a store, it has these.
                if !self.is_kept() {
                    self.incoming.change(ix, change, at);
                }
            }
        }
        for ix in targets {
            self.carry(ix, at, &mut made);
        }
        made
    }

    fn begin(
        &self,
        id: EntityId,
        row: &'static TypeRow,
        version: Version,
        owner: Option<OwnerEdge>,
        built: Option<Arc<dyn AnyCell>>,
    ) -> Ix {
        let at = version.position;
        let state = State {
            first: 0,
            versions: smallvec![version],
            owners_since: Position(0),
            owners: smallvec![(at, owner)],
            built: built.map(|cell| (0, cell)),
            weight: Weight::default(),
        };
        let alive_at = self.removals.load(Ordering::Relaxed);
        let index = self.rows.push(Lineage::new(id, Some(row), state, alive_at));
        let ix = Ix(u32::try_from(index).expect("fewer than 2^32 entities fit in memory"));
        self.shard(id).write().unwrap_or_else(PoisonError::into_inner).insert(id, ix);
        ix
    }

    fn extend(
        &self,
        ix: Ix,
        at: Position,
        payload: Option<Payload>,
        owner: Option<Option<OwnerEdge>>,
        built: Option<Arc<dyn AnyCell>>,
        replaced: &mut Replaced,
    ) -> u32 {
        let mut state = self.get(ix).write();
        let removes = payload.is_none();
        let payload = payload.unwrap_or_else(|| Payload::Removed { own: own_of_newest(&state) });
        if let Some(owner) = owner
            && state.owner(at) != owner
        {
            state.owners.push((at, owner));
        }
        state.versions.push(Version { position: at, payload });
        let index = state.newest();
        let old = std::mem::replace(&mut state.built, built.map(|cell| (index, cell)));
        replaced.extend(old.map(|(_, cell)| Payload::Cell(cell)));
        if removes {
            // In this order, and only now: whoever counts this removal must find it when it looks, or know that it looks
            // at an earlier position.
            self.last_removal.store(at.0, Ordering::Release);
            self.removals.fetch_add(1, Ordering::Release);
        }
        u32::try_from(index).expect("fewer than 2^32 versions fit in memory")
    }

    /// Gives every owner up to the root a version that says which of what it owns changed.
    fn carry(&self, from: Ix, at: Position, made: &mut Made) {
        let mut child = from;
        let mut edge = match self.get(child).read() {
            state if matches!(state.versions.last(), Some(Version { payload: Payload::Removed { .. }, .. })) => return,
            state => state.owner(at),
        };
        while let Some(OwnerEdge { owner, .. }) = edge {
            let mut state = self.get(owner).write();
            match state.versions.last_mut() {
                // It has its version of this commit, and so have its owners.
                Some(Version { position, payload }) if *position == at => {
                    if let Payload::Carried { children, .. } = payload
                        && !children.contains(&child)
                    {
                        children.push(child);
                    }
                    return;
                }
                _ => {
                    let payload = Payload::Carried { own: own_of_newest(&state), children: smallvec![child] };
                    state.versions.push(Version { position: at, payload });
                }
            }
            made.push((owner.0, u32::try_from(state.newest()).expect("fewer than 2^32 versions")));
            edge = state.owner(at);
            child = owner;
        }
    }

    /// Keeps the value of the newest version, if that is of this position and has none.
    pub(crate) fn keep_built(&self, ix: Ix, at: Position, cell: &Arc<dyn AnyCell>, replaced: &mut Replaced) {
        let mut state = self.get(ix).write();
        let newest = state.newest();
        let keeps = state.version(newest).is_some_and(|version| {
            version.position == at && !matches!(version.payload, Payload::Cell(_) | Payload::Removed { .. })
        });
        if keeps {
            let old = state.built.replace((newest, Arc::clone(cell)));
            replaced.extend(old.map(|(_, cell)| Payload::Cell(cell)));
        }
    }
}

fn own_of_newest(state: &State) -> u32 {
    u32::try_from(state.own(state.newest())).expect("fewer than 2^32 versions fit in memory")
}
