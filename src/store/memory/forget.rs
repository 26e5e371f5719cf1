//! Forgetting in memory.

use std::collections::VecDeque;
use std::convert::Infallible;

use super::{Reference, State};
use crate::id::EntityId;
use crate::store::error::StoreError;
use crate::store::rows::{VersionBody, VersionRow};
use crate::store::sweep::{Item, Progress, Stands, Sweep, Tagged, kept_from, sweep};
use crate::when::{Position, Revision};

impl State {
    pub(super) fn tagged(&self) -> Tagged {
        Tagged::new(self.tagged.iter().copied())
    }

    pub(super) fn forget(&mut self, horizon: Position, budget: usize) -> Progress {
        let (tagged, mut mark) = (self.tagged(), self.mark);
        mark.raise(horizon, self.head().position);
        let Ok(versions) = sweep(self, &mut mark, &tagged, budget);
        self.mark = mark;
        Progress { horizon: mark.horizon, versions, more: !mark.is_done() }
    }

    /// The first position from one on as of which everything can be read.
    pub(super) fn kept_from(&self, at: Position) -> Position {
        let Ok(kept) =
            kept_from(at, self.mark.horizon, |at| Ok::<_, Infallible>(self.tagged.range(at..).next().copied()));
        kept
    }

    /// Refuses what is asked for as of a position that is forgotten.
    pub(super) fn check_kept(&self, position: Position) -> Result<(), StoreError> {
        self.check_since(self.kept_from(position), position)
    }

    /// Refuses what came only after the position that was asked for, and was found as of the first that is kept.
    pub(super) fn check_since(&self, since: Position, position: Position) -> Result<(), StoreError> {
        if since <= position {
            return Ok(());
        }
        Err(StoreError::Forgotten { position, horizon: self.mark.horizon })
    }

    /// An entry of which something goes cannot be given out any more, and its own copies of what it made go too.
    fn tear(&mut self, position: Position) {
        let index = position.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        if let Some((_, entry)) = index.and_then(|index| self.entries.get_mut(index)) {
            *entry = None;
        }
    }
}

/// The place of the version with a revision.
pub(super) fn place_of(lineage: &VecDeque<VersionRow>, revision: Revision) -> Option<usize> {
    lineage.binary_search_by_key(&revision, |row| row.revision).ok()
}

impl Sweep for State {
    type Entity = EntityId;
    type Error = Infallible;

    fn items(&mut self, entry: Position) -> Result<Vec<Item<EntityId>>, Infallible> {
        // An entry is torn only by those after it.
        let Some((_, Some(entry))) = self.at(entry) else { return Ok(Vec::new()) };
        let versions = entry.versions.iter().map(|version| Item::Version {
            entity: version.entity,
            revision: version.revision.0,
            owner: version.owner.is_some(),
        });
        let ended = entry.ended.iter().map(|(entity, _)| Item::Owner(*entity));
        let references = entry.references.iter().map(|change| Item::Reference {
            from: change.from,
            field: change.field,
            to: change.to,
            opened: change.opened,
        });
        Ok(versions.chain(ended).chain(references).collect())
    }

    fn version(&mut self, entity: EntityId, until: u64) -> Result<Option<Stands>, Infallible> {
        let Some(lineage) = self.versions.get(&entity) else { return Ok(None) };
        let count = lineage.partition_point(|row| row.revision.0 <= until);
        Ok(count.checked_sub(1).and_then(|index| lineage.get(index)).map(|row| {
            let on = match row.body {
                VersionBody::Own { base, .. } => base,
                VersionBody::Carried { own } | VersionBody::Removed { own } => Some(own),
            };
            Stands { revision: row.revision.0, position: row.position, on: on.map(|on| on.0) }
        }))
    }

    fn drop_version(&mut self, entity: EntityId, version: Stands) -> Result<(), Infallible> {
        self.tear(version.position);
        if let Some(lineage) = self.versions.get_mut(&entity)
            && let Some(place) = place_of(lineage, Revision(version.revision))
        {
            lineage.remove(place);
        }
        Ok(())
    }

    fn owner_before(&mut self, entity: EntityId, before: Position) -> Result<Option<Position>, Infallible> {
        let Some(owners) = self.owners.get(&entity) else { return Ok(None) };
        let count = owners.partition_point(|(since, _)| *since < before);
        Ok(count.checked_sub(1).and_then(|index| owners.get(index)).map(|(since, _)| *since))
    }

    fn drop_owner(&mut self, entity: EntityId, since: Position) -> Result<(), Infallible> {
        self.tear(since);
        if let Some(owners) = self.owners.get_mut(&entity)
            && let Ok(place) = owners.binary_search_by_key(&since, |(since, _)| *since)
        {
            owners.remove(place);
        }
        Ok(())
    }

    fn drop_reference(
        &mut self,
        (from, field, to): (EntityId, u16, EntityId),
        until: Position,
        tagged: &Tagged,
    ) -> Result<(), Infallible> {
        let goes = |one: &Reference| {
            one.from == from && one.field == field && one.until == Some(until) && !tagged.any(one.since, until)
        };
        if let Some(all) = self.references.get_mut(&to) {
            all.retain(|one| !goes(one));
        }
        Ok(())
    }
}
