//! What a store has to answer, told from the list of its entries in the plainest way.

use std::sync::Arc;

use crate::id::EntityId;
use crate::store::chain::{Head, body_digest};
use crate::store::keys::{KeyChange, KeyNumber, KeyRow};
use crate::store::rows::{Entry, EntryRow, LayoutRow, OwnerChange, Query, Version, VersionBody, VersionRow};
use crate::when::{Position, Revision, Timestamp};

/// Everything that was appended.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) entries: Vec<Entry>,
    pub(super) heads: Vec<Head>,
    pub(super) tags: Vec<(String, Position)>,
    pub(super) horizon: Position,
}

impl Model {
    pub(super) fn head(&self) -> Head {
        self.heads.last().copied().unwrap_or(Head::EMPTY)
    }

    pub(super) fn push(&mut self, entry: &Entry) {
        let head = self.head().then(body_digest(entry));
        self.heads.push(head);
        self.entries.push(entry.clone());
    }

    /// An entry as it was appended, but for the bytes of keys that were erased since.
    pub(super) fn read(&self, position: Position) -> Option<Entry> {
        let mut entry = self.entries.iter().find(|entry| entry.position == position).cloned()?;
        for change in &mut entry.keys {
            if let KeyChange::Made { number, secret, .. } = change {
                *secret = self.key(*number).and_then(|row| row.secret);
            }
        }
        Some(entry)
    }

    /// All keys, in the order in which they were made.
    pub(super) fn keys(&self) -> Vec<KeyRow> {
        let mut keys: Vec<KeyRow> = Vec::new();
        for (entry, change) in
            self.entries.iter().flat_map(|entry| entry.keys.iter().map(move |change| (entry, change)))
        {
            match change {
                KeyChange::Made { number, subject, secret } => {
                    keys.push(KeyRow { number: *number, subject: *subject, secret: secret.clone(), erased: None });
                }
                KeyChange::Erased { number } => {
                    for row in keys.iter_mut().filter(|row| row.number == *number) {
                        (row.secret, row.erased) = (None, Some(entry.position));
                    }
                }
            }
        }
        keys
    }

    pub(super) fn key(&self, number: KeyNumber) -> Option<KeyRow> {
        self.keys().into_iter().find(|row| row.number == number)
    }

    /// The versions that were ever sealed under a key.
    pub(super) fn sealed(&self, key: KeyNumber) -> Vec<(EntityId, Revision)> {
        let all = self.entries.iter().flat_map(|entry| &entry.versions);
        let under =
            all.filter(|version| matches!(version.body, VersionBody::Own { seal: Some(seal), .. } if seal == key));
        under.map(|version| (version.entity, version.revision)).collect()
    }

    pub(super) fn entry(&self, position: Position) -> Option<Arc<EntryRow>> {
        let entry = self.read(position)?;
        let body = body_digest(&entry);
        let Entry { time, kind, said, versions, ended, .. } = entry;
        let ended = ended.into_iter().map(|(entity, _)| entity).collect();
        let versions = versions.iter().map(|version| (version.entity, version.revision)).collect();
        let head = self.heads.iter().find(|head| head.position == position)?;
        Some(Arc::new(EntryRow { position, time, kind, said, versions, ended, body, hash: head.hash }))
    }

    pub(super) fn find(&self, query: &Query) -> Vec<Position> {
        let mut all: Vec<&Entry> = self.entries.iter().collect();
        let limit = match query {
            Query::After(after, limit) => {
                all.retain(|entry| entry.position > *after);
                limit
            }
            Query::Tail(limit) => {
                all.reverse();
                limit
            }
            Query::Kind(kind, until, limit) => {
                all.retain(|entry| entry.kind == *kind && entry.position <= *until);
                all.reverse();
                limit
            }
            Query::Times(times, limit) => {
                all.retain(|entry| times.contains(&entry.time));
                all.sort_by_key(|entry| entry.time);
                limit
            }
        };
        all.into_iter().take(*limit).map(|entry| entry.position).collect()
    }

    pub(super) fn position_at(&self, time: Timestamp) -> Option<Position> {
        self.entries.iter().rev().find(|entry| entry.time <= time).map(|entry| entry.position)
    }

    pub(super) fn versions(&self, entity: EntityId) -> impl DoubleEndedIterator<Item = (Position, &Version)> {
        let all = self.entries.iter().flat_map(|entry| entry.versions.iter().map(|version| (entry.position, version)));
        all.filter(move |(_, version)| version.entity == entity)
    }

    pub(super) fn newest(&self, entity: EntityId) -> Option<VersionRow> {
        self.versions(entity).next_back().map(row)
    }

    pub(super) fn version_at(&self, entity: EntityId, position: Position) -> Option<VersionRow> {
        self.versions(entity).rfind(|(since, _)| *since <= position).map(row)
    }

    pub(super) fn version(&self, entity: EntityId, revision: Revision) -> Option<VersionRow> {
        self.versions(entity).find(|(_, version)| version.revision == revision).map(row)
    }

    pub(super) fn owner_at(&self, entity: EntityId, position: Position) -> Option<(Position, OwnerChange)> {
        let mut found = None;
        for entry in self.entries.iter().filter(|entry| entry.position <= position) {
            let versions = entry.versions.iter().filter_map(|version| Some((version.entity, version.owner?)));
            for (_, owner) in versions.chain(entry.ended.iter().copied()).filter(|(child, _)| *child == entity) {
                found = Some((entry.position, owner));
            }
        }
        found
    }

    pub(super) fn referrers_at(&self, entity: EntityId, position: Position) -> Vec<(EntityId, u16)> {
        let mut found = Vec::new();
        let all = self.entries.iter().filter(|entry| entry.position <= position);
        for change in all.flat_map(|entry| &entry.references).filter(|change| change.to == entity) {
            found.retain(|open| *open != (change.from, change.field));
            if change.opened {
                found.push((change.from, change.field));
            }
        }
        found.sort_unstable();
        found
    }

    pub(super) fn entities(&self) -> Vec<EntityId> {
        let all = self.entries.iter().flat_map(|entry| &entry.versions);
        all.filter(|version| version.revision.0 == 1).map(|version| version.entity).collect()
    }

    pub(super) fn layouts(&self) -> Vec<Arc<LayoutRow>> {
        let mut found: Vec<Arc<LayoutRow>> = Vec::new();
        for version in self.entries.iter().flat_map(|entry| &entry.versions) {
            if let VersionBody::Own { layout, .. } = &version.body
                && !found.contains(layout)
            {
                found.push(Arc::clone(layout));
            }
        }
        found
    }
}

fn row((position, version): (Position, &Version)) -> VersionRow {
    let Version { entity, revision, body, carried, .. } = version;
    VersionRow { entity: *entity, revision: *revision, position, body: body.clone(), carried: carried.clone() }
}
