//! A store in memory: for tests, for what is thrown away, and as the model of what the others do.

mod forget;
mod keys;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ahash::AHashMap;

use super::Store;
use super::chain::{Head, body_digest};
use super::error::{AppendError, StoreError};
use super::keys::{KeyNumber, KeyRow};
use super::rows::{
    Durability, Entry, EntryRow, LayoutRow, OwnerChange, Query, ReferenceChange, Version, VersionBody, VersionRow,
};
use super::rules::{self, Newest};
use super::sweep::{Mark, Progress};
use crate::digest::Digest;
use crate::id::EntityId;
use crate::when::{Position, Revision, Timestamp};

/// A store that keeps everything in memory. A clone is another handle on the same entries.
///
/// A reader waits while an append is put in place, never while it is hashed. [`position_at`](Store::position_at) and
/// queries by kind or time look at every entry, and [`sealed`](Store::sealed) at every version; all else costs what
/// [`Store`] says. Nothing is damaged and nothing
/// fails, so every [`StoreError`] but [`StoreError::NoEntry`] and [`StoreError::Forgotten`] is impossible.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
    /// How many appends this handle knows of.
    known: Mutex<u64>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, u64> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let known = Mutex::new(self.state().appends);
        Self { state: Arc::clone(&self.state), known }
    }
}

#[derive(Debug, Default)]
struct State {
    /// What is forgotten of in part has its row alone.
    entries: Vec<(Arc<EntryRow>, Option<Entry>)>,
    versions: AHashMap<EntityId, VecDeque<VersionRow>>,
    /// The entities in the order in which they came, and the place of each.
    order: Vec<EntityId>,
    places: AHashMap<EntityId, usize>,
    owners: AHashMap<EntityId, VecDeque<(Position, OwnerChange)>>,
    references: AHashMap<EntityId, Vec<Reference>>,
    layouts: Vec<Arc<LayoutRow>>,
    layout_places: AHashMap<Digest, usize>,
    tags: BTreeMap<String, Position>,
    /// The positions of the tags.
    tagged: BTreeSet<Position>,
    /// All keys that ever were, in order, and of each subject the one that is not erased.
    keys: Vec<KeyRow>,
    living: AHashMap<Digest, KeyNumber>,
    mark: Mark,
    appends: u64,
}

/// One reference, in the list of the entity that it is to.
#[derive(Debug)]
struct Reference {
    from: EntityId,
    field: u16,
    since: Position,
    until: Option<Position>,
}

impl State {
    fn head(&self) -> Head {
        self.entries.last().map_or(Head::EMPTY, |(row, _)| Head { position: row.position, hash: row.hash })
    }

    fn at(&self, position: Position) -> Option<&(Arc<EntryRow>, Option<Entry>)> {
        self.entries.get(usize::try_from(position.0.checked_sub(1)?).ok()?)
    }

    /// The position of the `index`th entry.
    fn position(index: usize) -> Position {
        Position(index as u64 + 1)
    }

    fn apply(&mut self, entry: &Entry, body: Digest, hash: Digest, undone: &mut Vec<KeyRow>) -> Result<(), String> {
        for change in &entry.keys {
            self.apply_key(change, entry.position, undone)?;
        }
        for version in &entry.versions {
            self.apply_version(version, entry.position)?;
        }
        for (entity, owner) in &entry.ended {
            let owners = self.owners.get_mut(entity).ok_or_else(|| rules::unknown(*entity))?;
            owners.push_back((entry.position, *owner));
        }
        for change in &entry.references {
            self.apply_reference(change, entry.position)?;
        }
        let row = EntryRow {
            position: entry.position,
            time: entry.time,
            kind: entry.kind,
            said: Arc::clone(&entry.said),
            versions: entry.versions.iter().map(|version| (version.entity, version.revision)).collect(),
            ended: entry.ended.iter().map(|(entity, _)| *entity).collect(),
            body,
            hash,
        };
        self.entries.push((Arc::new(row), Some(keys::without_secrets(entry))));
        Ok(())
    }

    fn apply_version(&mut self, version: &Version, position: Position) -> Result<(), String> {
        let Version { entity, revision, body, carried, owner } = version;
        let newest = self.versions.get(entity).and_then(VecDeque::back);
        rules::check_follows(version, newest.map(|newest| Newest::of(newest.revision, &newest.body)))?;
        if let VersionBody::Own { layout, seal, .. } = body {
            seal.map_or(Ok(()), |key| self.check_seal(key))?;
            let place = *self.layout_places.entry(layout.digest).or_insert(self.layouts.len());
            match self.layouts.get(place) {
                Some(stored) if stored != layout => return Err(rules::other_layout(&layout.name)),
                Some(_) => {}
                None => self.layouts.push(Arc::clone(layout)),
            }
        }
        if revision.0 == 1 {
            self.places.insert(*entity, self.order.len());
            self.order.push(*entity);
        }
        let (entity, body, carried) = (*entity, body.clone(), carried.clone());
        let row = VersionRow { entity, revision: *revision, position, body, carried };
        self.versions.entry(entity).or_default().push_back(row);
        if let Some(owner) = owner {
            self.owners.entry(entity).or_default().push_back((position, *owner));
        }
        Ok(())
    }

    fn apply_reference(&mut self, change: &ReferenceChange, position: Position) -> Result<(), String> {
        let ReferenceChange { from, field, to, opened } = *change;
        let all = self.references.entry(to).or_default();
        let open = all.iter_mut().find(|one| one.from == from && one.field == field && one.until.is_none());
        match (open, opened) {
            (None, true) => all.push(Reference { from, field, since: position, until: None }),
            (Some(open), false) => open.until = Some(position),
            _ => return Err(rules::reference_stands(change)),
        }
        Ok(())
    }

    /// Takes back all that the entries of a refused append left, which begin after `head`.
    fn take_back(&mut self, head: Position, layouts: usize, refused: &[Entry]) {
        self.entries.truncate(usize::try_from(head.0).unwrap_or(usize::MAX));
        self.layouts.truncate(layouts);
        self.layout_places.retain(|_, place| *place < layouts);
        for entity in refused.iter().flat_map(|entry| entry.versions.iter().map(|version| version.entity)) {
            if let Some(lineage) = self.versions.get_mut(&entity) {
                lineage.retain(|row| row.position <= head);
            }
            if self.versions.get(&entity).is_some_and(VecDeque::is_empty) {
                self.versions.remove(&entity);
                self.places.remove(&entity);
            }
            self.take_back_owners(entity, head);
        }
        while self.order.last().is_some_and(|entity| !self.places.contains_key(entity)) {
            self.order.pop();
        }
        for (entity, _) in refused.iter().flat_map(|entry| &entry.ended) {
            self.take_back_owners(*entity, head);
        }
        for change in refused.iter().flat_map(|entry| &entry.references) {
            let Some(all) = self.references.get_mut(&change.to) else { continue };
            all.retain(|one| one.since <= head);
            for one in all {
                one.until = one.until.filter(|until| *until <= head);
            }
        }
    }

    fn take_back_owners(&mut self, entity: EntityId, head: Position) {
        if let Some(owners) = self.owners.get_mut(&entity) {
            owners.retain(|(since, _)| *since <= head);
            if owners.is_empty() {
                self.owners.remove(&entity);
            }
        }
    }
}

impl Store for MemoryStore {
    fn head(&self) -> Result<Head, StoreError> {
        Ok(self.state().head())
    }

    fn append(&self, after: &Head, entries: &[Entry], _durability: Durability) -> Result<Head, AppendError> {
        rules::check_entries(after, entries)?;
        let mut head = *after;
        let heads: Vec<(Digest, Head)> = entries
            .iter()
            .map(|entry| {
                let body = body_digest(entry);
                head = head.then(body);
                (body, head)
            })
            .collect();
        let mut state = self.state_mut();
        if state.head() != *after {
            return Err(AppendError::Moved { found: state.head() });
        }
        let (layouts, keys, mut undone) = (state.layouts.len(), state.keys.len(), Vec::new());
        for (entry, (body, head)) in entries.iter().zip(heads) {
            if let Err(why) = state.apply(entry, body, head.hash, &mut undone) {
                state.take_back_keys(keys, undone);
                state.take_back(after.position, layouts, entries);
                return Err(rules::refused(entry.position, why));
            }
        }
        let before = state.appends;
        state.appends += u64::from(!entries.is_empty());
        let mut known = self.known();
        if *known == before {
            *known = state.appends;
        }
        Ok(head)
    }

    fn has_moved(&self) -> Result<bool, StoreError> {
        let appends = self.state().appends;
        let mut known = self.known();
        // An append of this handle may have come between the two.
        let moved = *known < appends;
        *known = appends.max(*known);
        Ok(moved)
    }

    fn entry(&self, position: Position) -> Result<Option<Arc<EntryRow>>, StoreError> {
        Ok(self.state().at(position).map(|(row, _)| Arc::clone(row)))
    }

    fn horizon(&self) -> Result<Position, StoreError> {
        Ok(self.state().mark.horizon)
    }

    fn kept_from(&self, position: Position) -> Result<Position, StoreError> {
        Ok(self.state().kept_from(position))
    }

    fn forget(&self, horizon: Position, budget: usize) -> Result<Progress, StoreError> {
        Ok(self.state_mut().forget(horizon, budget))
    }

    fn find(&self, query: &Query) -> Result<Vec<Position>, StoreError> {
        let state = self.state();
        let all = state.entries.iter().map(|(row, _)| row);
        Ok(match query {
            Query::After(after, limit) => {
                let first = usize::try_from(after.0).unwrap_or(usize::MAX).min(state.entries.len());
                (first..state.entries.len()).take(*limit).map(State::position).collect()
            }
            Query::Tail(limit) => (0..state.entries.len()).rev().take(*limit).map(State::position).collect(),
            Query::Kind(kind, until, limit) => {
                let found = all.rev().filter(|row| row.kind == *kind && row.position <= *until);
                found.take(*limit).map(|row| row.position).collect()
            }
            Query::Times(times, limit) => {
                let mut found: Vec<_> = all.filter(|row| times.contains(&row.time)).collect();
                found.sort_by_key(|row| (row.time, row.position));
                found.into_iter().take(*limit).map(|row| row.position).collect()
            }
        })
    }

    fn position_at(&self, time: Timestamp) -> Result<Option<Position>, StoreError> {
        Ok(self.state().entries.iter().rposition(|(row, _)| row.time <= time).map(State::position))
    }

    fn newest(&self, entity: EntityId) -> Result<Option<VersionRow>, StoreError> {
        Ok(self.state().versions.get(&entity).and_then(VecDeque::back).cloned())
    }

    fn version_at(&self, entity: EntityId, position: Position) -> Result<Option<VersionRow>, StoreError> {
        let state = self.state();
        let Some(lineage) = state.versions.get(&entity) else { return Ok(None) };
        let kept = state.kept_from(position);
        let count = lineage.partition_point(|row| row.position <= kept);
        let Some(index) = count.checked_sub(1) else { return Ok(None) };
        state.check_since(lineage[index].position, position)?;
        Ok(Some(lineage[index].clone()))
    }

    fn version(&self, entity: EntityId, revision: Revision) -> Result<Option<VersionRow>, StoreError> {
        let state = self.state();
        let Some(lineage) = state.versions.get(&entity) else { return Ok(None) };
        Ok(forget::place_of(lineage, revision).map(|place| lineage[place].clone()))
    }

    fn owner_at(&self, entity: EntityId, position: Position) -> Result<Option<(Position, OwnerChange)>, StoreError> {
        let state = self.state();
        let Some(owners) = state.owners.get(&entity) else { return Ok(None) };
        let kept = state.kept_from(position);
        let count = owners.partition_point(|(since, _)| *since <= kept);
        let Some(index) = count.checked_sub(1) else { return Ok(None) };
        state.check_since(owners[index].0, position)?;
        Ok(Some(owners[index]))
    }

    fn referrers_at(&self, entity: EntityId, position: Position) -> Result<Vec<(EntityId, u16)>, StoreError> {
        let state = self.state();
        state.check_kept(position)?;
        let all = state.references.get(&entity).into_iter().flatten();
        let there = all.filter(|one| one.since <= position && one.until.is_none_or(|until| until > position));
        let mut found: Vec<_> = there.map(|one| (one.from, one.field)).collect();
        found.sort_unstable();
        Ok(found)
    }

    fn entities(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, StoreError> {
        let state = self.state();
        let first = match after {
            None => 0,
            Some(after) => state.places.get(&after).map_or(state.order.len(), |place| place + 1),
        };
        Ok(state.order.iter().skip(first).take(limit).copied().collect())
    }

    fn layouts(&self) -> Result<Vec<Arc<LayoutRow>>, StoreError> {
        Ok(self.state().layouts.clone())
    }

    fn tags(&self) -> Result<Vec<(String, Position)>, StoreError> {
        Ok(self.state().tags.iter().map(|(name, position)| (name.clone(), *position)).collect())
    }

    fn tag(&self, name: &str, position: Position) -> Result<Position, StoreError> {
        let mut state = self.state_mut();
        let head = state.head().position;
        if let Some(stands) = state.tags.get(name) {
            return Ok(*stands);
        }
        if position > head {
            return Err(StoreError::NoEntry { position, head });
        }
        state.check_kept(position)?;
        state.tags.insert(name.to_owned(), position);
        state.tagged.insert(position);
        Ok(position)
    }

    fn read(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        let state = self.state();
        let Some((_, entry)) = state.at(position) else { return Ok(None) };
        let forgotten = || StoreError::Forgotten { position, horizon: state.mark.horizon };
        entry.clone().map(|entry| Some(state.with_secrets(entry))).ok_or_else(forgotten)
    }

    fn key(&self, number: KeyNumber) -> Result<Option<KeyRow>, StoreError> {
        Ok(self.state().key(number).cloned())
    }

    fn key_of(&self, subject: Digest) -> Result<Option<KeyRow>, StoreError> {
        Ok(self.state().key_of(subject).cloned())
    }

    fn last_key(&self) -> Result<Option<KeyNumber>, StoreError> {
        Ok(self.state().last_key())
    }

    fn sealed(&self, key: KeyNumber) -> Result<Vec<(EntityId, Revision)>, StoreError> {
        Ok(self.state().sealed(key))
    }

    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
