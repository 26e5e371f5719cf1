//! Keys in memory.

use super::State;
use crate::digest::Digest;
use crate::id::EntityId;
use crate::store::keys::{KeyChange, KeyNumber, KeyRow};
use crate::store::rows::{Entry, VersionBody};
use crate::store::rules;
use crate::when::{Position, Revision};

impl State {
    pub(super) fn key(&self, number: KeyNumber) -> Option<&KeyRow> {
        self.keys.get(usize::try_from(number.0.checked_sub(1)?).ok()?)
    }

    pub(super) fn key_of(&self, subject: Digest) -> Option<&KeyRow> {
        self.key(*self.living.get(&subject)?)
    }

    pub(super) fn last_key(&self) -> Option<KeyNumber> {
        self.keys.last().map(|row| row.number)
    }

    pub(super) fn check_seal(&self, number: KeyNumber) -> Result<(), String> {
        rules::check_living(number, self.key(number).map(|row| row.erased))
    }

    /// Makes or destroys a key; how it was before goes to `undone`.
    pub(super) fn apply_key(
        &mut self,
        change: &KeyChange,
        position: Position,
        undone: &mut Vec<KeyRow>,
    ) -> Result<(), String> {
        match change {
            KeyChange::Made { number, subject, secret } => {
                rules::check_made(*number, self.last_key(), self.living.get(subject).copied())?;
                let row = KeyRow { number: *number, subject: *subject, secret: secret.clone(), erased: None };
                self.keys.push(row);
                self.living.insert(*subject, *number);
            }
            KeyChange::Erased { number } => {
                self.check_seal(*number)?;
                let place = number.0.checked_sub(1).and_then(|place| usize::try_from(place).ok());
                if let Some(row) = place.and_then(|place| self.keys.get_mut(place)) {
                    undone.push(row.clone());
                    self.living.remove(&row.subject);
                    (row.secret, row.erased) = (None, Some(position));
                }
            }
        }
        Ok(())
    }

    /// Takes back what a refused append did to keys.
    pub(super) fn take_back_keys(&mut self, count: usize, undone: Vec<KeyRow>) {
        for row in self.keys.drain(count.min(self.keys.len())..) {
            self.living.remove(&row.subject);
        }
        for row in undone {
            let place = row.number.0.checked_sub(1).and_then(|place| usize::try_from(place).ok());
            if let Some(stands) = place.and_then(|place| self.keys.get_mut(place)) {
                self.living.insert(row.subject, row.number);
                *stands = row;
            }
        }
    }

    pub(super) fn sealed(&self, key: KeyNumber) -> Vec<(EntityId, Revision)> {
        let all = self.versions.values().flatten();
        let under = all.filter(|row| matches!(row.body, VersionBody::Own { seal: Some(seal), .. } if seal == key));
        under.map(|row| (row.entity, row.revision)).collect()
    }

    /// An entry with the bytes of the keys that it made and that are still there.
    pub(super) fn with_secrets(&self, mut entry: Entry) -> Entry {
        for change in &mut entry.keys {
            if let KeyChange::Made { number, secret, .. } = change {
                *secret = self.key(*number).and_then(|row| row.secret.clone());
            }
        }
        entry
    }
}

/// A copy of an entry to be kept: the bytes of keys are kept in one place alone, so that they can go.
pub(super) fn without_secrets(entry: &Entry) -> Entry {
    let mut kept = entry.clone();
    for change in &mut kept.keys {
        if let KeyChange::Made { secret, .. } = change {
            *secret = None;
        }
    }
    kept
}
