//! What is not in memory: where it is read from, and how much of a lineage is.
//!
//! In memory alone, a lineage has all of its versions. Over a store it has a window: the newest version at least, and as
//! many before it as are worth keeping. What is asked of earlier ones is read from the store.

use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use smallvec::smallvec;

use super::{Ix, Lineage, Lineages, OwnerEdge, Payload, State, Version};
use crate::entity::{Load, TypeRow};
use crate::id::EntityId;
use crate::value::{DecodeError, Value};
use crate::when::{LATEST, Position, Revision};

/// Why something that is not in memory could not be read.
#[derive(Clone)]
pub(crate) struct Unreadable(pub(crate) Arc<dyn Error + Send + Sync>);

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A version as it is known without its state.
pub(crate) struct PastVersion {
    pub(crate) revision: Revision,
    pub(crate) position: Position,
    pub(crate) kind: PastKind,
    /// What it owns of which its commit made versions.
    pub(crate) carried: Vec<EntityId>,
}

/// What a version holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PastKind {
    Own,
    /// With its newest version that has a state of its own.
    Carried(Revision),
    /// Likewise.
    Removed(Revision),
}

/// The owner from some position on, and its field; [`ENDED`] if the entity ended with it.
pub(crate) type PastOwner = (Position, Option<(EntityId, u16)>);

/// How the newest own state of an entity is kept: what decides whether the next one is kept whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// The size of the last state that is kept whole; 0 if that is not known.
    pub(crate) whole: u32,
    /// What has come on top of it.
    pub(crate) patched: u32,
    /// In so many steps.
    pub(crate) steps: u32,
}

/// An own state as it was kept, in the form that its type has today.
pub(crate) struct PastState {
    pub(crate) row: &'static TypeRow,
    pub(crate) value: Arc<Value>,
    pub(crate) weight: Weight,
    /// The entities that it holds by value.
    pub(crate) inline: Vec<EntityId>,
}

/// Where versions that are not in memory are read from.
pub(crate) trait Past: Send + Sync {
    fn newest(&self, id: EntityId) -> Result<Option<PastVersion>, Unreadable>;
    /// Those that have no version.
    fn missing(&self, ids: &[EntityId]) -> Result<Vec<EntityId>, Unreadable>;
    fn version_at(&self, id: EntityId, at: Position) -> Result<Option<PastVersion>, Unreadable>;
    fn version(&self, id: EntityId, revision: Revision) -> Result<Option<PastVersion>, Unreadable>;
    fn owner_at(&self, id: EntityId, at: Position) -> Result<Option<PastOwner>, Unreadable>;
    fn referrers_at(&self, id: EntityId, at: Position) -> Result<Vec<(EntityId, u16)>, Unreadable>;
    /// Whether everything can be read as of a position: nothing of it is forgotten.
    fn is_known(&self, at: Position) -> Result<bool, Unreadable>;
    /// The type of a version with a state of its own.
    fn row(&self, id: EntityId, own: Revision) -> Result<&'static TypeRow, Unreadable>;
    fn state(&self, id: EntityId, own: Revision) -> Result<PastState, Unreadable>;
    /// Why a state is not of its type.
    fn undecodable(&self, id: EntityId, own: Revision, error: DecodeError) -> Unreadable;
    /// What loads the entities that `owner` owned.
    fn loader(&self, owner: EntityId, at: Position) -> Arc<dyn Load>;
}

/// Where the version as of a position is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here, at this index.
    Here(usize),
    /// Before the window.
    Earlier,
    /// There is none.
    NotYet,
}

/// What is known of an entity as of a position.
pub(super) struct Presence {
    pub(super) index: usize,
    pub(super) removed: bool,
    pub(super) owner: Option<(Position, Option<OwnerEdge>)>,
}

/// So many versions of one lineage are kept in memory over a store, beside its newest own one.
const WINDOW: usize = 64;

pub(super) fn index_of(revision: Revision) -> u32 {
    u32::try_from(revision.0.saturating_sub(1)).expect("a store has fewer than 2^32 versions of one entity")
}

impl Lineages {
    /// Lineages over what was kept before, up to a position.
    pub(crate) fn over(past: Arc<dyn Past>, head: Position) -> Self {
        let mut lineages = Self::new();
        lineages.past = Some(past);
        lineages.publish(head);
        *lineages.last_removal.get_mut() = head.0;
        lineages
    }

    pub(super) fn past(&self) -> &dyn Past {
        &**self.past.as_ref().expect("a lineage has a window only over a store")
    }

    /// Whether there is a store behind these.
    pub(crate) fn is_kept(&self) -> bool {
        self.past.is_some()
    }

    /// Where an entity's lineage is: in memory, or brought there with those of its owners. O(depth) reads for the first
    /// look at an entity.
    pub(crate) fn find(&self, id: EntityId) -> Result<Option<Ix>, Unreadable> {
        if let Some(ix) = self.known(id) {
            return Ok(Some(ix));
        }
        if self.past.is_none() {
            return Ok(None);
        }
        loop {
            let epoch = self.epoch();
            if !self.bring_all(id, epoch)? {
                return Ok(None);
            }
            // Unless somebody else appended in the meantime: then it is read again.
            if let Some(ix) = self.known(id) {
                return Ok(Some(ix));
            }
        }
    }

    /// Those of these entities that have no lineage, here or in the store, which is asked once for all.
    pub(crate) fn missing(&self, mut ids: Vec<EntityId>) -> Result<Vec<EntityId>, Unreadable> {
        ids.retain(|id| self.known(*id).is_none());
        match &self.past {
            Some(past) => past.missing(&ids),
            None => Ok(ids),
        }
    }

    /// Brings an entity's lineage and those of its owners; `false` if there is none.
    fn bring_all(&self, id: EntityId, epoch: u64) -> Result<bool, Unreadable> {
        // From the entity up to the first owner that is here, then back down: no depth can overflow the stack.
        let mut path: Vec<(EntityId, PastVersion, PastOwner)> = Vec::new();
        let mut next = Some(id);
        while let Some(step) = next.filter(|step| self.known(*step).is_none()) {
            let Some((newest, owner)) = self.as_taken_in(step)? else {
                return if path.is_empty() { Ok(false) } else { Err(not_there(step, "an owner")) };
            };
            next = owner.1.map(|(owner, _)| owner);
            path.push((step, newest, owner));
            if path.len() > 1 && next == Some(id) {
                return Err(not_there(id, "the end of a ring of owners"));
            }
        }
        for (id, newest, owner) in path.into_iter().rev() {
            self.bring(id, newest, owner, epoch)?;
        }
        Ok(true)
    }

    /// An entity's newest version and its owner, as of what is taken in of the store: what others appended beyond that is
    /// taken for an append of ours at the same position.
    fn as_taken_in(&self, id: EntityId) -> Result<Option<(PastVersion, PastOwner)>, Unreadable> {
        let (past, until) = (self.past(), self.taken_in.load(Ordering::SeqCst).max(self.head().0));
        let until = Position(until);
        // Seldom is there anything newer, and the newest is found fastest.
        let newest = match past.newest(id)? {
            Some(newest) if newest.position > until => past.version_at(id, until)?,
            newest => newest,
        };
        let Some(newest) = newest else { return Ok(None) };
        let owner = match past.owner_at(id, LATEST)? {
            Some((since, _)) if since > until => past.owner_at(id, until)?,
            owner => owner,
        };
        let owner = owner.ok_or_else(|| not_there(id, "the place of an entity"))?;
        Ok(Some((newest, owner)))
    }

    /// Takes in a lineage whose owner is here, unless it may be out of date.
    fn bring(&self, id: EntityId, newest: PastVersion, owner: PastOwner, epoch: u64) -> Result<(), Unreadable> {
        let owner_is_here = owner.1.is_none_or(|(owner, _)| self.known(owner).is_some());
        if !owner_is_here {
            return Ok(());
        }
        let state = self.window(newest, owner)?;
        let mut shard = self.shard(id).write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been faster, and may have appended to it since.
        if shard.contains_key(&id) || self.epoch() != epoch {
            return Ok(());
        }
        let index = self.rows.push(Lineage::new(id, None, state, u64::MAX));
        shard.insert(id, Ix(u32::try_from(index).expect("fewer than 2^32 entities fit in memory")));
        Ok(())
    }

    /// The window that begins with the newest version.
    fn window(&self, newest: PastVersion, (since, owner): PastOwner) -> Result<State, Unreadable> {
        let edge = match owner {
            None => None,
            Some((owner, field)) => {
                let owner = self.known(owner).ok_or_else(|| not_there(owner, "an owner"))?;
                Some(OwnerEdge { owner, field })
            }
        };
        let version = Version { position: newest.position, payload: self.payload(&newest)? };
        Ok(State {
            first: index_of(newest.revision) as usize,
            versions: smallvec![version],
            owners_since: since,
            owners: smallvec![(since, edge)],
            built: None,
            weight: Weight::default(),
        })
    }

    /// What a version that was read holds.
    pub(super) fn payload(&self, version: &PastVersion) -> Result<Payload, Unreadable> {
        Ok(match version.kind {
            PastKind::Own => Payload::Stored,
            PastKind::Removed(own) => Payload::Removed { own: index_of(own) },
            PastKind::Carried(own) => {
                let mut children = smallvec::SmallVec::new();
                // Its marks serve to build on a state in memory, which there is none of: those that are not here need
                // not come for that.
                children.extend(version.carried.iter().filter_map(|id| self.known(*id)));
                Payload::Carried { own: index_of(own), children }
            }
        })
    }

    /// How often somebody else appended to the store.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// From here on what was read before is out of date: somebody else appended, up to this position.
    pub(crate) fn begin_epoch(&self, head: Position) {
        // Before any removal of theirs is taken in: whoever counts it and looks at an earlier position must know so.
        self.last_removal.fetch_max(head.0, Ordering::Release);
        // Before the epoch: what is read up to here in the one before is renewed, or read again.
        self.taken_in.store(head.0, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes in what somebody else appended to an entity that is here.
    pub(crate) fn renew(&self, id: EntityId, replaced: &mut super::Replaced) -> Result<(), Unreadable> {
        let Some(ix) = self.known(id) else { return Ok(()) };
        let Some((newest, owner)) = self.as_taken_in(id)? else { return Err(not_there(id, "an entity")) };
        if let Some((owner, _)) = owner.1 {
            self.find(owner)?.ok_or_else(|| not_there(owner, "an owner"))?;
        }
        let window = self.window(newest, owner)?;
        let old = std::mem::replace(&mut *self.get(ix).write(), window);
        replaced.extend(old.into_payloads());
        self.removals.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Takes back what an append made and a store refused. Nobody has seen it, for it was not published.
    pub(crate) fn roll_back(&self, made: &super::Made, ended: &[Ix], at: Position, replaced: &mut super::Replaced) {
        for (ix, index) in made {
            let lineage = self.get(Ix(*ix));
            let mut state = lineage.write();
            while state.versions.last().is_some_and(|version| version.position >= at) {
                replaced.extend(state.versions.pop().map(|version| version.payload));
            }
            state.owners.retain(|(since, _)| *since < at);
            if state.built.as_ref().is_some_and(|(built, _)| *built >= *index as usize) {
                replaced.extend(state.built.take().map(|(_, cell)| Payload::Cell(cell)));
            }
            state.weight = Weight::default();
            let never_was = state.versions.is_empty();
            drop(state);
            if never_was {
                self.shard(lineage.id).write().unwrap_or_else(PoisonError::into_inner).remove(&lineage.id);
            }
        }
        for ix in ended {
            self.get(*ix).write().owners.retain(|(since, _)| *since < at);
        }
    }

    /// Lets go of versions that the store has and that are far from the newest.
    pub(crate) fn trim(&self, made: &super::Made, replaced: &mut super::Replaced) {
        for (ix, _) in made {
            let mut state = self.get(Ix(*ix)).write();
            let count = state.versions.len();
            if count <= WINDOW {
                continue;
            }
            // Half of it goes at once, so that this is seldom done.
            let gone = count - WINDOW / 2;
            state.first += gone;
            replaced.extend(state.versions.drain(..gone).map(|version| version.payload));
            let first = state.first;
            if state.built.as_ref().is_some_and(|(built, _)| *built < first) {
                replaced.extend(state.built.take().map(|(_, cell)| Payload::Cell(cell)));
            }
            if let Some(keep) = state.owners.len().checked_sub(1).filter(|keep| *keep > 0) {
                state.owners.drain(..keep);
                state.owners_since = state.owners[0].0;
            }
        }
    }

    /// What the newest version of an entity holds, and its owner if it got another at just this position.
    pub(crate) fn newest_kind(&self, ix: Ix, at: Position) -> (PastKind, Option<Option<OwnerEdge>>) {
        let state = self.get(ix).read();
        let revision = |index: &u32| Revision(u64::from(*index) + 1);
        let kind = match state.versions.last().map(|version| &version.payload) {
            Some(Payload::Carried { own, .. }) => PastKind::Carried(revision(own)),
            Some(Payload::Removed { own }) => PastKind::Removed(revision(own)),
            _ => PastKind::Own,
        };
        (kind, state.owner_from(at))
    }

    /// The newest revision of an entity that has a state of its own, of what readers see.
    pub(crate) fn own_revision(&self, ix: Ix) -> Option<Revision> {
        let state = self.get(ix).read();
        match state.as_of(self.head()) {
            Place::Here(index) => Some(Revision(state.own(index) as u64 + 1)),
            Place::Earlier | Place::NotYet => None,
        }
    }

    /// The newest own state of an entity as the store has it.
    pub(crate) fn last_stored(&self, ix: Ix) -> Result<PastState, Unreadable> {
        let lineage = self.get(ix);
        let own = {
            let state = lineage.read();
            state.own(state.newest())
        };
        self.past().state(lineage.id, Revision(own as u64 + 1))
    }

    /// Whether a lineage was begun by a commit that a store then refused.
    pub(crate) fn never_was(&self, ix: Ix) -> bool {
        self.get(ix).read().versions.is_empty()
    }

    /// The owner that an entity has had since just this position, if it got another then.
    pub(crate) fn owner_from(&self, ix: Ix, at: Position) -> Option<Option<OwnerEdge>> {
        self.get(ix).read().owner_from(at)
    }

    /// Notes how the newest own state of an entity is kept.
    pub(crate) fn weigh(&self, ix: Ix, weight: Weight) {
        self.get(ix).write().weight = weight;
        self.hold(ix, weight.whole);
    }

    /// How the newest own state of an entity is kept, as far as that is known.
    pub(crate) fn weight(&self, ix: Ix) -> Weight {
        self.get(ix).read().weight
    }

    /// The type of an entity.
    pub(crate) fn row(&self, ix: Ix) -> Result<&'static TypeRow, Unreadable> {
        let lineage = self.get(ix);
        let row = lineage.row.get_or_try_init(|| {
            let own = {
                let state = lineage.read();
                state.own(state.newest())
            };
            self.past().row(lineage.id, Revision(own as u64 + 1))
        });
        row.copied()
    }

    /// What is known of an entity as of a position; `None` if it was not there yet.
    pub(super) fn presence(&self, ix: Ix, at: Position) -> Result<Option<Presence>, Unreadable> {
        let lineage = self.get(ix);
        let state = lineage.read();
        let (index, removed) = match state.as_of(at) {
            Place::Here(index) => (index, matches!(state.payload(index), Some(Payload::Removed { .. }))),
            Place::NotYet => return Ok(None),
            Place::Earlier => {
                drop(state);
                let Some(version) = self.past().version_at(lineage.id, at)? else { return Ok(None) };
                let owner = self.owner_since(ix, at)?;
                let removed = matches!(version.kind, PastKind::Removed(_));
                return Ok(Some(Presence { index: index_of(version.revision) as usize, removed, owner }));
            }
        };
        drop(state);
        Ok(Some(Presence { index, removed, owner: self.owner_since(ix, at)? }))
    }

    /// Who owned an entity as of a position, and since when.
    pub(super) fn owner_since(
        &self,
        ix: Ix,
        at: Position,
    ) -> Result<Option<(Position, Option<OwnerEdge>)>, Unreadable> {
        let lineage = self.get(ix);
        {
            let state = lineage.read();
            // Not even an entity with all its versions here has all its owners: it may have ended without a version.
            if at >= state.owners_since {
                return Ok(state.owner_since(at));
            }
        }
        let Some((since, owner)) = self.past().owner_at(lineage.id, at)? else { return Ok(None) };
        let Some((owner, field)) = owner else { return Ok(Some((since, None))) };
        let owner = self.find(owner)?.ok_or_else(|| not_there(owner, "an owner"))?;
        Ok(Some((since, Some(OwnerEdge { owner, field }))))
    }
}

impl State {
    /// The owner since just a position.
    fn owner_from(&self, at: Position) -> Option<Option<OwnerEdge>> {
        self.owners.last().filter(|(since, _)| *since == at).map(|(_, owner)| *owner)
    }

    /// All that it holds.
    fn into_payloads(self) -> impl Iterator<Item = Payload> {
        let built = self.built.map(|(_, cell)| Payload::Cell(cell));
        self.versions.into_iter().map(|version| version.payload).chain(built)
    }
}

/// A store that does not have what it must have.
pub(super) fn not_there(id: EntityId, what: &str) -> Unreadable {
    Unreadable(Arc::from(Box::<dyn Error + Send + Sync>::from(format!(
        "the store lacks {what} that it refers to, {id}: check it with `verify`"
    ))))
}
