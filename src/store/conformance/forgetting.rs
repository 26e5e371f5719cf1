//! What a store owes of what it was told to forget, and of what it was not.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::model::Model;
use super::{Reopen, Run, program, same};
use crate::id::EntityId;
use crate::store::Store;
use crate::store::chain::verify;
use crate::store::error::StoreError;
use crate::store::rows::{Version, VersionBody};
use crate::when::{Position, Revision};

impl Model {
    /// Whether everything can be asked for as of a position.
    pub(super) fn is_kept(&self, position: Position) -> bool {
        position >= self.horizon || position.0 == 0 || self.tags.iter().any(|(_, tag)| *tag == position)
    }

    /// The first position from one on as of which everything can be asked for.
    pub(super) fn kept_from(&self, position: Position) -> Position {
        if self.is_kept(position) {
            return position;
        }
        let tags = self.tags.iter().map(|(_, tag)| *tag).filter(|tag| *tag > position);
        tags.min().map_or(self.horizon, |tag| tag.min(self.horizon))
    }

    /// The revisions of an entity that must be there: those of kept positions, and what they build on.
    pub(super) fn needed(&self, entity: EntityId) -> BTreeSet<Revision> {
        let head = self.head().position.0;
        let kept = (1..=head).map(Position).filter(|position| self.is_kept(*position));
        let mut needed: BTreeSet<Revision> =
            kept.filter_map(|position| Some(self.version_at(entity, position)?.revision)).collect();
        let all: Vec<Version> = self.versions(entity).map(|(_, version)| version.clone()).collect();
        for version in all.iter().rev() {
            if needed.contains(&version.revision) {
                needed.extend(match version.body {
                    VersionBody::Own { base, .. } => base,
                    VersionBody::Carried { own } | VersionBody::Removed { own } => Some(own),
                });
            }
        }
        needed
    }
}

impl Run {
    /// One step, now and then.
    pub(super) fn something_is_forgotten(&mut self, store: &dyn Store) {
        if self.seed.is_multiple_of(2) || !self.random.chance(25) {
            return;
        }
        let head = self.model.head().position.0;
        let horizon = Position(self.random.below(head + 3));
        self.a_step(store, horizon);
    }

    /// Whether there is more to do.
    fn a_step(&mut self, store: &dyn Store, horizon: Position) -> bool {
        let budget = usize::try_from(self.random.below(24)).unwrap_or(0);
        self.model.horizon = self.model.horizon.max(horizon.min(self.model.head().position));
        let progress = match store.forget(horizon, budget) {
            Ok(progress) => progress,
            Err(error) => panic!("broken: a step of forgetting is done: {error}"),
        };
        assert_eq!(progress.horizon, self.model.horizon, "broken: the horizon never sinks and never leaves the log");
        assert!(progress.versions <= budget.max(1) + 1, "broken: a step lets about as many go as it was told");
        same("the horizon is told", store.horizon(), self.model.horizon);
        same("forgetting leaves the head", store.head(), self.model.head());
        progress.more
    }

    /// Forgets to the end, step by step, each time as if the program ended there.
    pub(super) fn all_is_forgotten(&mut self, mut store: Box<dyn Store>, mut reopen: Option<&mut Reopen<'_>>) {
        let head = self.model.head().position;
        let horizon = Position(self.random.below(head.0 + 1));
        while self.a_step(&*store, horizon) {
            if self.random.chance(6) {
                self.everything_is_answered(&*store);
                same("a store is verified between two steps", Ok(verify(&*store, None).is_ok()), true);
                if let Some(reopen) = &mut reopen {
                    store = reopen(store);
                }
            }
        }
        self.everything_is_answered(&*store);
        self.heads_are_vouched_for(&*store);
        for entity in program::entities(self.seed) {
            let needed = self.model.needed(entity);
            let last = self.model.newest(entity).map_or(0, |row| row.revision.0);
            for revision in (1..=last).map(Revision).filter(|revision| !needed.contains(revision)) {
                same("what nobody needs is gone in the end", store.version(entity, revision), None);
            }
        }
        same("where nothing is left to do, nothing is done", store.forget(horizon, 9).map(|step| step.more), false);
    }

    /// An entry as it was appended, or that it is not whole any more.
    pub(super) fn an_entry_is_read(&self, store: &dyn Store, position: Position) {
        let expected = self.model.read(position);
        match store.read(position) {
            Err(StoreError::Forgotten { horizon, .. }) if !self.model.is_kept(position) => {
                assert_eq!(horizon, self.model.horizon, "broken: what is forgotten is told with the horizon");
            }
            found => same("an entry is read as it was appended", found, expected),
        }
    }

    /// What was as of a position; that it is forgotten, if something else was as of the next that is kept.
    pub(super) fn what_was_then_is_told(&self, store: &dyn Store, entity: EntityId, position: Position) {
        let (model, kept) = (&self.model, self.model.kept_from(position));
        let version = model.version_at(entity, kept);
        let since = version.as_ref().map_or(Position(0), |row| row.position);
        let found = self.unless_forgotten(store.version_at(entity, position), since <= position);
        same("as of a position is the newest version until then", found, version.filter(|_| since <= position));
        let owner = model.owner_at(entity, kept);
        let since = owner.map_or(Position(0), |(since, _)| since);
        let found = self.unless_forgotten(store.owner_at(entity, position), since <= position);
        same("as of a position is the last owner until then", found, owner.filter(|_| since <= position));
        let referrers = if kept == position { model.referrers_at(entity, position) } else { Vec::new() };
        let found = self.unless_forgotten(store.referrers_at(entity, position), kept == position);
        same("as of a position are the references open then", found, referrers);
    }

    /// What was told, or nothing where it must be told to be forgotten.
    fn unless_forgotten<T: Default + Debug>(&self, told: Result<T, StoreError>, known: bool) -> Result<T, StoreError> {
        match told {
            Err(StoreError::Forgotten { horizon, .. }) if !known && horizon == self.model.horizon => Ok(T::default()),
            Ok(told) if !known => panic!("broken: what is forgotten is not told, as it was here: {told:?}"),
            told => told,
        }
    }

    /// A version as it was appended, or that it is gone.
    pub(super) fn a_version_is_found(&self, store: &dyn Store, entity: EntityId, revision: Revision, needed: bool) {
        match store.version(entity, revision) {
            Ok(None) if !needed => {}
            found => same("a version is found by its revision", found, self.model.version(entity, revision)),
        }
    }
}
