//! How two lists differ whose order does not count.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{ApplyError, Delta};
use crate::value::Value;

/// How often each item is there.
type Counts<'a> = HashMap<&'a Value, usize, ahash::RandomState>;

/// The items of a list; bytes are a list of small numbers.
pub(super) fn items(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::List(items) => Some(Cow::Borrowed(items)),
        Value::Bytes(bytes) => Some(bytes.iter().map(|byte| Value::Int(i64::from(*byte))).collect()),
        _ => None,
    }
}

pub(super) fn between(before: &[Value], after: &[Value]) -> Option<Delta> {
    let (removed, inserted) = (without(before, after), without(after, before));
    let differ = !removed.is_empty() || !inserted.is_empty();
    differ.then_some(Delta::Set { removed, inserted })
}

/// The items that the others lack, each as often as they lack it.
fn without(items: &[Value], others: &[Value]) -> Vec<Value> {
    let mut there = count(others);
    items.iter().filter(|item| !take(&mut there, item)).cloned().collect()
}

fn count(items: &[Value]) -> Counts<'_> {
    let mut counts = Counts::default();
    items.iter().for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

/// Whether there is one more of this item, which is then taken.
fn take(counts: &mut Counts<'_>, item: &Value) -> bool {
    match counts.get_mut(item) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// Takes out what is gone and puts what is new at the end: the other items stay in their places.
pub(super) fn apply(list: &mut Value, removed: &[Value], inserted: &[Value]) -> Result<(), ApplyError> {
    let Some(items) = items(list) else { return Err(ApplyError::new("a list", list.kind())) };
    let mut gone = count(removed);
    let mut left: Vec<Value> = items.iter().filter(|item| !take(&mut gone, item)).cloned().collect();
    if let Some(missing) = removed.iter().find(|item| gone[item] > 0) {
        return Err(ApplyError::new(missing, "no such item"));
    }
    left.extend_from_slice(inserted);
    *list = match list {
        Value::Bytes(_) => Value::Bytes(left.iter().map(byte).collect::<Result<_, _>>()?),
        _ => Value::List(left),
    };
    Ok(())
}

fn byte(item: &Value) -> Result<u8, ApplyError> {
    match item {
        Value::Int(number) => u8::try_from(*number).map_err(|_| ApplyError::new("a byte", item)),
        _ => Err(ApplyError::new("a byte", item)),
    }
}
