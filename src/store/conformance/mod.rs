//! What every [`Store`] owes a history, for whoever writes one.

mod broken;
mod forgetting;
mod keys;
mod model;
mod program;

use std::fmt::Debug;

pub use self::program::program;

use self::model::Model;
use self::program::Random;
use super::Store;
use super::chain::{Head, verify};
use super::error::{AppendError, StoreError};
use super::rows::{Durability, Entry, EntryKind, Query};
use crate::id::EntityId;
use crate::when::{Position, Revision, Timestamp};

/// How many programs are run, and how many batches each appends.
const PROGRAMS: u64 = 12;
const BATCHES: usize = 40;

/// Closes a store and opens it again.
pub type Reopen<'r> = dyn FnMut(Box<dyn Store>) -> Box<dyn Store> + 'r;

/// Runs random programs against a store and a model of it, and compares every answer at every position.
///
/// `fresh` makes an empty store that nobody else uses. `reopen`, where there is one, closes a store and opens it again:
/// what it answers must be the same. Some seconds.
///
/// # Panics
/// On the first obligation that the store does not keep, with what it is.
pub fn conformance(fresh: &mut dyn FnMut() -> Box<dyn Store>, mut reopen: Option<&mut Reopen<'_>>) {
    an_empty_store_is_empty(&*fresh());
    for seed in 0..PROGRAMS {
        let mut store = fresh();
        let mut run = Run { seed, random: Random::new(!seed), model: Model::default() };
        for batch in program(seed, BATCHES) {
            run.what_breaks_the_rules_is_refused(&*store, &batch);
            run.who_comes_late_is_told(&*store, &batch);
            run.append(&*store, &batch);
            run.tags_stay(&*store);
            run.something_is_forgotten(&*store);
            if run.random.chance(20) {
                run.everything_is_answered(&*store);
            }
        }
        run.everything_is_answered(&*store);
        if let Some(reopen) = &mut reopen {
            store = reopen(store);
            run.everything_is_answered(&*store);
        }
        run.heads_are_vouched_for(&*store);
        run.all_is_forgotten(store, reopen.as_deref_mut());
    }
}

fn an_empty_store_is_empty(store: &dyn Store) {
    let nobody = program::entity(0, 0);
    let run = Run { seed: 0, random: Random::new(0), model: Model::default() };
    same("an empty store has the empty head", store.head(), Head::EMPTY);
    same("an empty store has no entities", store.entities(None, 10), Vec::new());
    same("an empty store has no versions", store.newest(nobody), None);
    same("nobody has moved an empty store", store.has_moved(), false);
    run.everything_is_answered(store);
    match store.append(&Head::EMPTY, &[], Durability::Normal) {
        Ok(head) => assert_eq!(head, Head::EMPTY, "appending nothing leaves the head"),
        Err(error) => panic!("appending nothing works: {error}"),
    }
}

/// Compares an answer.
#[track_caller]
fn same<T: PartialEq + Debug>(obligation: &str, found: Result<T, StoreError>, expected: T) {
    match found {
        Ok(found) => assert_eq!(found, expected, "broken: {obligation}"),
        Err(error) => panic!("broken: {obligation}: {error}"),
    }
}

struct Run {
    seed: u64,
    random: Random,
    model: Model,
}

impl Run {
    fn append(&mut self, store: &dyn Store, batch: &[Entry]) {
        same("a store can be asked whether it moved", store.has_moved().map(|_| ()), ());
        let durability = if self.random.chance(50) { Durability::Full } else { Durability::Normal };
        let after = self.model.head();
        batch.iter().for_each(|entry| self.model.push(entry));
        match store.append(&after, batch, durability) {
            Ok(head) => assert_eq!(head, self.model.head(), "broken: an append gives the head of the chain"),
            Err(error) => panic!("broken: entries that keep the rules are appended: {error}"),
        }
        same("what was appended is the head", store.head(), self.model.head());
        same("own appends are nobody's move", store.has_moved(), false);
    }

    fn who_comes_late_is_told(&mut self, store: &dyn Store, batch: &[Entry]) {
        let Some(earlier) = self.model.heads.iter().rev().nth(1).copied() else { return };
        let mut late = batch.to_vec();
        for (entry, position) in late.iter_mut().zip(earlier.position.0 + 1..) {
            entry.position = Position(position);
        }
        let mut other = self.model.head();
        other.hash = earlier.hash;
        for (after, entries) in [(earlier, &late[..]), (other, batch), (earlier, &[])] {
            match store.append(&after, entries, Durability::Normal) {
                Err(AppendError::Moved { found }) => {
                    assert_eq!(found, self.model.head(), "broken: who comes late is told the head");
                }
                other => panic!("broken: an append after another head is told that it moved, not {other:?}"),
            }
        }
        self.nothing_was_written(store);
    }

    fn what_breaks_the_rules_is_refused(&mut self, store: &dyn Store, batch: &[Entry]) {
        for (rule, broken) in broken::of(batch, &self.model, self.seed) {
            match store.append(&self.model.head(), &broken, Durability::Normal) {
                Err(AppendError::Refused { .. }) => {}
                other => panic!("broken: a batch is refused when {rule}, not {other:?}"),
            }
        }
        self.nothing_was_written(store);
    }

    fn nothing_was_written(&self, store: &dyn Store) {
        same("what was not appended left nothing", store.head(), self.model.head());
        let next = Position(self.model.head().position.0 + 1);
        same("what was not appended is no entry", store.read(next), None);
        let entities = self.model.entities();
        same("what was not appended made no entity", store.entities(None, usize::MAX), entities);
        let entity = program::entity(self.seed, 0);
        same("what was not appended made no version", store.newest(entity), self.model.newest(entity));
    }

    fn tags_stay(&mut self, store: &dyn Store) {
        if !self.random.chance(10) {
            return;
        }
        let head = self.model.head().position;
        let position = Position(self.random.below(head.0 + 1));
        let name = format!("tag {}", self.random.below(4));
        let taken = self.model.tags.iter().find(|(tag, _)| *tag == name).map(|(_, position)| *position);
        if taken.is_none() && !self.model.is_kept(position) {
            match store.tag(&name, position) {
                Err(StoreError::Forgotten { .. }) => {}
                other => panic!("broken: what is forgotten is not tagged, but gives an error, not {other:?}"),
            }
            return;
        }
        same("a tag stands where it was put first", store.tag(&name, position), taken.unwrap_or(position));
        if taken.is_none() {
            self.model.tags.push((name, position));
            self.model.tags.sort_unstable();
        }
        match store.tag("not there", Position(head.0 + 1)) {
            Err(StoreError::NoEntry { .. }) => {}
            other => panic!("broken: what is not there yet is not tagged, but gives an error, not {other:?}"),
        }
        same("all tags are told by name", store.tags(), self.model.tags.clone());
    }

    fn everything_is_answered(&self, store: &dyn Store) {
        let model = &self.model;
        let head = model.head().position.0;
        same("the head is the newest entry", store.head(), model.head());
        same("all tags are told", store.tags(), model.tags.clone());
        let sorted = |mut layouts: Vec<_>| {
            layouts.sort_by_key(|layout: &std::sync::Arc<super::rows::LayoutRow>| layout.digest);
            layouts
        };
        same("all layouts are told", store.layouts().map(sorted), sorted(model.layouts()));
        for position in (0..head + 2).chain([u64::MAX - 1, u64::MAX]).map(Position) {
            same("it is told from where on all is kept", store.kept_from(position), model.kept_from(position));
            self.an_entry_is_read(store, position);
            same("the row of an entry is that of the entry", store.entry(position), model.entry(position));
        }
        self.keys_are_told(store);
        self.the_log_is_found(store);
        self.entities_are_told_in_order(store);
        for entity in program::entities(self.seed) {
            self.an_entity_is_told(store, entity);
        }
    }

    fn the_log_is_found(&self, store: &dyn Store) {
        let head = self.model.head().position.0;
        let times = self.model.entries.iter().map(|entry| entry.time.as_micros());
        let (first, last) = (times.clone().min().unwrap_or(0) - 1, times.max().unwrap_or(0) + 1);
        for time in (first..=last).chain([i64::MIN, i64::MAX]).map(Timestamp::from_micros) {
            let expected = self.model.position_at(time);
            same("at a time is the highest position whose time is not later", store.position_at(time), expected);
        }
        let mut queries = Vec::new();
        for limit in [0, 1, 3, usize::MAX] {
            queries.push(Query::Tail(limit));
            for position in [0, head / 2, head, head + 1, u64::MAX].map(Position) {
                queries.push(Query::After(position, limit));
                for kind in
                    [EntryKind::Commit, EntryKind::Run, EntryKind::Unchanged, EntryKind::Failed, EntryKind::Erased]
                {
                    queries.push(Query::Kind(kind, position, limit));
                }
            }
            let moment = Timestamp::from_micros;
            let middle = first.midpoint(last);
            for (from, to) in [(first, last), (middle, last), (first, middle), (middle, middle), (last, first)] {
                queries.push(Query::Times(moment(from)..=moment(to), limit));
            }
        }
        for query in queries {
            same(&format!("{query:?} is answered in its order"), store.find(&query), self.model.find(&query));
        }
    }

    fn entities_are_told_in_order(&self, store: &dyn Store) {
        let all = self.model.entities();
        same("entities are told as they came", store.entities(None, usize::MAX), all.clone());
        for (index, entity) in all.iter().enumerate() {
            let rest: Vec<EntityId> = all[index + 1..].iter().take(2).copied().collect();
            same("entities are told page by page", store.entities(Some(*entity), 2), rest);
        }
        let nobody = program::entities(self.seed).pop();
        same("after an entity that never came is none", store.entities(nobody, 2), Vec::new());
    }

    fn an_entity_is_told(&self, store: &dyn Store, entity: EntityId) {
        let model = &self.model;
        let newest = model.newest(entity);
        let revisions = newest.as_ref().map_or(0, |row| row.revision.0);
        same("the newest version is the last that was appended", store.newest(entity), newest);
        let needed = model.needed(entity);
        for revision in (0..revisions + 2).chain([u64::from(u32::MAX), 1 << 32, u64::MAX]).map(Revision) {
            self.a_version_is_found(store, entity, revision, needed.contains(&revision));
        }
        for position in (0..model.head().position.0 + 2).chain([u64::MAX - 1, u64::MAX]).map(Position) {
            self.what_was_then_is_told(store, entity, position);
        }
    }

    fn heads_are_vouched_for(&self, store: &dyn Store) {
        let head = self.model.head();
        for kept in self.model.heads.iter().step_by(7).chain([&head, &Head::EMPTY]) {
            match verify(store, Some(kept)) {
                Ok(found) => assert_eq!(found, head, "broken: all that was appended is verified"),
                Err(error) => panic!("broken: a store that nobody touched passes every check: {error}"),
            }
        }
    }
}
