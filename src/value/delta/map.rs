//! How the entries of two maps differ.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::{ApplyError, Delta, weave};
use crate::order::fewest_moves;
use crate::value::Value;

type Entry = (Value, Value);

pub(super) fn between(before: Vec<Entry>, after: Vec<Entry>, key: Option<&str>) -> Delta {
    match between_distinct(&before, &after, key) {
        Some(delta) => delta,
        None => Delta::Replace { before: Value::Map(before), after: Value::Map(after) },
    }
}

/// `None` if a key stands twice: no entry could be told by it.
fn between_distinct(before: &[Entry], after: &[Entry], key: Option<&str>) -> Option<Delta> {
    let mut old: IndexMap<&Value, (usize, &Value), ahash::RandomState> =
        before.iter().enumerate().map(|(index, (key, value))| (key, (index, value))).collect();
    if old.len() != before.len() {
        return None;
    }
    let (mut inserted, mut changed, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (name, value)) in after.iter().enumerate() {
        match old.get_mut(name) {
            Some((was_at, _)) if *was_at == usize::MAX => return None,
            Some((was_at, was)) => {
                kept.push((std::mem::replace(was_at, usize::MAX), index));
                if let Some(delta) = Delta::between((*was).clone(), value.clone(), key) {
                    changed.push((name.clone(), delta));
                }
            }
            None => inserted.push((index, name.clone(), value.clone())),
        }
    }
    let mut new: HashSet<&Value, ahash::RandomState> = HashSet::default();
    if !inserted.iter().all(|(_, key, _)| new.insert(key)) {
        return None;
    }
    let mut moved = Vec::new();
    if !kept.is_sorted() {
        // Of the ways with as few moves, one that leaves entries where they are.
        let weigh = |(from, to): &(usize, usize)| (*from, kept.len() + 1 + usize::from(from == to));
        let stays = fewest_moves(&kept.iter().map(weigh).collect::<Vec<_>>());
        let moves = kept.into_iter().zip(stays).filter(|(_, stays)| !stays);
        moved.extend(moves.map(|((from, to), _)| (from, to, after[to].0.clone())));
    }
    let removed = old
        .into_iter()
        .filter(|(_, (index, _))| *index != usize::MAX)
        .map(|(key, (index, value))| (index, key.clone(), value.clone()))
        .collect();
    Some(Delta::Map { removed, inserted, changed, moved })
}

/// What a delta says of the entries of a map.
pub(super) struct Entries<'d> {
    pub(super) removed: &'d [(usize, Value, Value)],
    pub(super) inserted: &'d [(usize, Value, Value)],
    pub(super) changed: &'d [(Value, Delta)],
    pub(super) moved: &'d [(usize, usize, Value)],
}

impl Entries<'_> {
    /// Changes the entries in one pass each way, as with lists.
    pub(super) fn apply(&self, entries: &mut Vec<Entry>) -> Result<(), ApplyError> {
        let mut kept = Vec::with_capacity(entries.len());
        let mut coming = self.take_out(std::mem::take(entries), &mut kept)?;
        if !self.inserted.is_empty() {
            let there = kept.iter().chain(coming.iter().map(|(_, entry)| entry));
            let mut keys: HashSet<&Value, ahash::RandomState> = there.map(|(key, _)| key).collect();
            if let Some((_, key, _)) = self.inserted.iter().find(|(_, key, _)| !keys.insert(key)) {
                return Err(ApplyError::new(format!("no entry {key}"), "one"));
            }
        }
        coming.extend(self.inserted.iter().map(|(index, key, value)| (*index, (key.clone(), value.clone()))));
        coming.sort_unstable_by_key(|(index, _)| *index);
        *entries = weave(kept, coming)?;
        Ok(())
    }

    /// Drops what is gone and changes what differs; what has moved comes back with its place after, the rest is `kept`.
    fn take_out(&self, entries: Vec<Entry>, kept: &mut Vec<Entry>) -> Result<Vec<(usize, Entry)>, ApplyError> {
        let entry = |key: &Value, value: &Value| format!("{key}: {value}");
        let mut changes: HashMap<&Value, &Delta, ahash::RandomState> =
            self.changed.iter().map(|(key, delta)| (key, delta)).collect();
        let mut moves: HashMap<usize, (usize, &Value), ahash::RandomState> =
            self.moved.iter().map(|(from, to, key)| (*from, (*to, key))).collect();
        if changes.len() < self.changed.len() || moves.len() < self.moved.len() {
            return Err(ApplyError::new("each entry to change or move once", "one twice"));
        }
        let mut gone = self.removed.iter().peekable();
        let mut moved = Vec::with_capacity(self.moved.len());
        for (index, (key, mut value)) in entries.into_iter().enumerate() {
            match gone.peek() {
                Some((at, name, held)) if *at == index => {
                    if *name != key || *held != value {
                        return Err(ApplyError::new(entry(name, held), entry(&key, &value)));
                    }
                    gone.next();
                    continue;
                }
                _ => {}
            }
            if let Some(delta) = changes.remove(&key) {
                delta.apply(&mut value)?;
            }
            match moves.remove(&index) {
                Some((to, name)) if *name == key => moved.push((to, (key, value))),
                Some((_, name)) => return Err(ApplyError::new(format!("an entry {name} at {index}"), key)),
                None => kept.push((key, value)),
            }
        }
        if let Some((_, name, held)) = gone.next() {
            return Err(ApplyError::new(entry(name, held), "the end of the map"));
        }
        if let Some((key, _)) = self.changed.iter().find(|(key, _)| changes.contains_key(key)) {
            return Err(ApplyError::new(format!("an entry {key}"), "none"));
        }
        if let Some((from, _, key)) = self.moved.iter().find(|(from, ..)| moves.contains_key(from)) {
            return Err(ApplyError::new(format!("an entry {key} at {from}"), "the end of the map"));
        }
        Ok(moved)
    }
}
