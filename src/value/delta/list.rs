//! How the items of two lists differ.

use std::collections::HashMap;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{ApplyError, Delta, weave};
use crate::order::fewest_moves;
use crate::value::Value;

pub(super) fn between(before: Vec<Value>, after: Vec<Value>, key: Option<&str>) -> Delta {
    match key {
        Some(key) => between_keyed(before, after, key),
        None => between_sequences(before, after),
    }
}

fn between_sequences(before: Vec<Value>, after: Vec<Value>) -> Delta {
    let (mut removed, mut inserted, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for op in capture_diff_slices(Algorithm::Myers, &before, &after) {
        match op {
            DiffOp::Equal { .. } => {}
            DiffOp::Delete { old_index, old_len, .. } => {
                removed.extend((old_index..old_index + old_len).map(|at| (at, before[at].clone())));
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                inserted.extend((new_index..new_index + new_len).map(|at| (at, after[at].clone())));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                let paired = old_len.min(new_len);
                for step in 0..paired {
                    let (old, new) = (old_index + step, new_index + step);
                    if let Some(delta) = Delta::between(before[old].clone(), after[new].clone(), None) {
                        changed.push((old, new, delta));
                    }
                }
                removed.extend((old_index + paired..old_index + old_len).map(|at| (at, before[at].clone())));
                inserted.extend((new_index + paired..new_index + new_len).map(|at| (at, after[at].clone())));
            }
        }
    }
    Delta::List { removed, inserted, changed }
}

/// Items matched by the value of their field `key`; those whose order changed are taken out and put in again.
fn between_keyed(before: Vec<Value>, after: Vec<Value>, key: &str) -> Delta {
    let mut old: HashMap<Value, usize, ahash::RandomState> = HashMap::default();
    for (index, item) in before.iter().enumerate() {
        let Some(name) = item.get(key) else { return between_sequences(before, after) };
        if old.insert(name.clone(), index).is_some() {
            return between_sequences(before, after);
        }
    }
    let mut matched = Vec::new();
    let mut taken = vec![false; before.len()];
    for (index, item) in after.iter().enumerate() {
        if let Some(&was_at) = item.get(key).and_then(|name| old.get(name)) {
            if std::mem::replace(&mut taken[was_at], true) {
                return between_sequences(before, after);
            }
            matched.push((was_at, index));
        }
    }
    let stays = fewest_moves(&matched.iter().map(|(was_at, _)| (*was_at, 1)).collect::<Vec<_>>());
    let (mut kept_before, mut kept_after) = (vec![false; before.len()], vec![false; after.len()]);
    let mut changed = Vec::new();
    for ((was_at, index), stays) in matched.into_iter().zip(stays) {
        if stays {
            (kept_before[was_at], kept_after[index]) = (true, true);
            if let Some(delta) = Delta::between(before[was_at].clone(), after[index].clone(), None) {
                changed.push((was_at, index, delta));
            }
        }
    }
    let rest = |items: Vec<Value>, kept: Vec<bool>| {
        items.into_iter().enumerate().zip(kept).filter(|(_, kept)| !kept).map(|(item, _)| item).collect()
    };
    Delta::List { removed: rest(before, kept_before), inserted: rest(after, kept_after), changed }
}

pub(super) fn apply(
    items: &mut Vec<Value>,
    removed: &[(usize, Value)],
    inserted: &[(usize, Value)],
    changed: &[(usize, usize, Delta)],
) -> Result<(), ApplyError> {
    for (before, _, delta) in changed {
        match items.get_mut(*before) {
            Some(item) => delta.apply(item)?,
            None => return Err(ApplyError::new(format!("an item at {before}"), "none")),
        }
    }
    // One pass each way: taking out of the middle of a long list again and again would cost its square.
    let mut gone = removed.iter().peekable();
    let mut kept = Vec::with_capacity(items.len());
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        match gone.peek() {
            Some((at, expected)) if *at == index => {
                if *expected != item {
                    return Err(ApplyError::new(expected, item));
                }
                gone.next();
            }
            _ => kept.push(item),
        }
    }
    if let Some((at, expected)) = gone.next() {
        return Err(ApplyError::new(format!("{expected} at {at}"), "the end of the list"));
    }
    *items = weave(kept, inserted.iter().cloned())?;
    Ok(())
}
