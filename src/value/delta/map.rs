//! How the entries of two maps differ.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::{ApplyError, Delta};
use crate::value::Value;

pub(super) fn between(before: Vec<(Value, Value)>, after: Vec<(Value, Value)>, key: Option<&str>) -> Delta {
    let mut old: IndexMap<Value, (usize, Value), ahash::RandomState> =
        before.iter().cloned().enumerate().map(|(index, (key, value))| (key, (index, value))).collect();
    let (mut inserted, mut changed) = (Vec::new(), Vec::new());
    let mut kept_in_order = true;
    let mut last_kept = None;
    for (index, (name, value)) in after.iter().enumerate() {
        match old.get_mut(name) {
            Some((was_at, was)) => {
                kept_in_order &= last_kept.is_none_or(|last| last < *was_at);
                last_kept = Some(*was_at);
                if let Some(delta) = Delta::between(std::mem::take(was), value.clone(), key) {
                    changed.push((name.clone(), delta));
                }
                *was_at = usize::MAX;
            }
            None => inserted.push((index, name.clone(), value.clone())),
        }
    }
    if !kept_in_order {
        return Delta::Replace { before: Value::Map(before), after: Value::Map(after) };
    }
    let removed = old
        .into_iter()
        .filter(|(_, (index, _))| *index != usize::MAX)
        .map(|(key, (index, value))| (index, key, value))
        .collect();
    Delta::Map { removed, inserted, changed }
}

pub(super) fn apply(
    entries: &mut Vec<(Value, Value)>,
    removed: &[(usize, Value, Value)],
    inserted: &[(usize, Value, Value)],
    changed: &[(Value, Delta)],
) -> Result<(), ApplyError> {
    let entry = |key: &Value, value: &Value| format!("{key}: {value}");
    let mut changes: HashMap<&Value, &Delta, ahash::RandomState> =
        changed.iter().map(|(key, delta)| (key, delta)).collect();
    // One pass each way, as with lists.
    let mut gone = removed.iter().peekable();
    let mut kept = Vec::with_capacity(entries.len());
    for (index, (key, mut value)) in std::mem::take(entries).into_iter().enumerate() {
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
        kept.push((key, value));
    }
    if let Some((_, name, held)) = gone.next() {
        return Err(ApplyError::new(entry(name, held), "the end of the map"));
    }
    if let Some((key, _)) = changed.iter().find(|(key, _)| changes.contains_key(key)) {
        return Err(ApplyError::new(format!("an entry {key}"), "none"));
    }
    if !inserted.is_empty() {
        let keys: HashSet<&Value, ahash::RandomState> = kept.iter().map(|(key, _)| key).collect();
        if let Some((_, key, _)) = inserted.iter().find(|(_, key, _)| keys.contains(key)) {
            return Err(ApplyError::new(format!("no entry {key}"), "one"));
        }
    }
    let mut kept = kept.into_iter();
    for (index, key, value) in inserted {
        while entries.len() < *index {
            match kept.next() {
                Some(next) => entries.push(next),
                None => return Err(ApplyError::new(format!("{index} entries"), entries.len())),
            }
        }
        entries.push((key.clone(), value.clone()));
    }
    entries.extend(kept);
    Ok(())
}
