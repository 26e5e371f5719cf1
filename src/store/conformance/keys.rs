//! What a store owes of keys: they are there until they are erased, and then nobody is given their bytes.

use super::{Run, program, same};
use crate::id::EntityId;
use crate::store::Store;
use crate::store::keys::KeyNumber;
use crate::when::Revision;

impl Run {
    pub(super) fn keys_are_told(&self, store: &dyn Store) {
        let keys = self.model.keys();
        let last = keys.last().map(|row| row.number);
        same("the last key is told", store.last_key(), last);
        same("what is left of erased keys can be removed", store.scrub(), true);
        for number in (0..last.map_or(0, |last| last.0) + 2).chain([u64::MAX]).map(KeyNumber) {
            same("a key is told, without its bytes once it is erased", store.key(number), self.model.key(number));
            self.what_is_sealed_is_told(store, number);
        }
        for subject in program::subjects() {
            let living = keys.iter().rfind(|row| row.subject == subject && row.erased.is_none()).cloned();
            same("a subject has the key that is not erased", store.key_of(subject), living);
        }
    }

    fn what_is_sealed_is_told(&self, store: &dyn Store, key: KeyNumber) {
        let sorted = |mut all: Vec<(EntityId, Revision)>| {
            all.sort_unstable();
            all
        };
        let found = match store.sealed(key) {
            Ok(found) => sorted(found),
            Err(error) => panic!("broken: what is sealed under a key is told: {error}"),
        };
        // What was forgotten is not there, and may be sooner or later.
        let expected = sorted(self.model.sealed(key));
        for (entity, revision) in &expected {
            let is_told = found.binary_search(&(*entity, *revision)).is_ok();
            let is_there = store.version(*entity, *revision).map(|row| row.is_some());
            same("what is sealed under a key is told, as long as it is there", is_there, is_told);
        }
        assert!(found.iter().all(|one| expected.contains(one)), "broken: no more is told than is sealed under a key");
    }
}
