//! The difference between two values, element by element: it prints, applies and inverts.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{Name, Value};

/// How one value became another.
///
/// Positions of what was removed are those before, positions of what was inserted those after.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// The whole value.
    Replace {
        /// As it was.
        before: Value,
        /// As it is.
        after: Value,
    },
    /// Some fields of a struct.
    Struct(Vec<(Name, Delta)>),
    /// Entries of a map.
    Map {
        /// Entries whose key is gone.
        removed: Vec<(usize, Value, Value)>,
        /// Entries whose key is new.
        inserted: Vec<(usize, Value, Value)>,
        /// Entries whose value differs.
        changed: Vec<(Value, Delta)>,
    },
    /// Members of a set.
    Set {
        /// Members that are gone.
        removed: Vec<Value>,
        /// Members that are new.
        inserted: Vec<Value>,
    },
    /// Items of a list.
    List {
        /// Items that are gone, by their position before.
        removed: Vec<(usize, Value)>,
        /// Items that are new, by their position after.
        inserted: Vec<(usize, Value)>,
        /// Items that stayed and differ, by their position before and after.
        changed: Vec<(usize, usize, Delta)>,
    },
}

/// One difference at the end of a path: what stood there and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Where within the value, to be read after the name of what holds it: `["a"]`, `[2].name`, `.limits["a"]`; empty
    /// for the whole. Positions and keys of what was removed are those before.
    pub path: String,
    /// The same place as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What stood there, if anything.
    pub before: Option<&'a Value>,
    /// What stands there, if anything.
    pub after: Option<&'a Value>,
}

/// A delta that does not fit the value it was applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} before the change, found {found}: the patch was made for another state")]
pub struct ApplyError {
    expected: String,
    found: String,
}

impl ApplyError {
    pub(crate) fn new(expected: impl ToString, found: impl ToString) -> Self {
        Self { expected: expected.to_string(), found: found.to_string() }
    }
}

impl Delta {
    /// What differs between two values; `None` if they are the same. Items of lists are matched by their longest
    /// common subsequence, or by the field `key` where one is given.
    #[must_use]
    pub fn between(before: Value, after: Value, key: Option<&str>) -> Option<Delta> {
        if before == after {
            return None;
        }
        Some(match (before, after) {
            (Value::Struct(before), Value::Struct(after)) if same_names(&before, &after) => Delta::Struct(
                before
                    .into_iter()
                    .zip(after)
                    .filter_map(|((name, before), (_, after))| Some((name, Delta::between(before, after, key)?)))
                    .collect(),
            ),
            (Value::Map(before), Value::Map(after)) => between_maps(before, after, key),
            (Value::Set(before), Value::Set(after)) => {
                let removed = before.iter().filter(|item| after.binary_search(item).is_err()).cloned().collect();
                let inserted = after.into_iter().filter(|item| before.binary_search(item).is_err()).collect();
                Delta::Set { removed, inserted }
            }
            (Value::List(before), Value::List(after)) => between_lists(before, after, key),
            (Value::Variant(before), Value::Variant(after)) if before.0 == after.0 => {
                let name = before.0;
                match Delta::between(before.1, after.1, key) {
                    Some(inner) => Delta::Struct(vec![(name, inner)]),
                    None => return None,
                }
            }
            (before, after) => Delta::Replace { before, after },
        })
    }

    /// The way back.
    #[must_use]
    pub fn inverse(self) -> Delta {
        match self {
            Delta::Replace { before, after } => Delta::Replace { before: after, after: before },
            Delta::Struct(fields) => {
                Delta::Struct(fields.into_iter().map(|(name, delta)| (name, delta.inverse())).collect())
            }
            Delta::Map { removed, inserted, changed } => Delta::Map {
                removed: inserted,
                inserted: removed,
                changed: changed.into_iter().map(|(key, delta)| (key, delta.inverse())).collect(),
            },
            Delta::Set { removed, inserted } => Delta::Set { removed: inserted, inserted: removed },
            Delta::List { removed, inserted, changed } => Delta::List {
                removed: inserted,
                inserted: removed,
                changed: changed.into_iter().map(|(before, after, delta)| (after, before, delta.inverse())).collect(),
            },
        }
    }

    /// Changes `value` as this delta says.
    ///
    /// # Errors
    /// `value` is not what stood before; it may then be changed in part, so apply to a copy.
    pub fn apply(&self, value: &mut Value) -> Result<(), ApplyError> {
        match (self, value) {
            (Delta::Replace { before, after }, value) => {
                if value != before {
                    return Err(ApplyError::new(before, value));
                }
                *value = after.clone();
            }
            (Delta::Struct(fields), Value::Struct(values)) => {
                for (name, delta) in fields {
                    match values.iter_mut().find(|(field, _)| field == name) {
                        Some((_, value)) => delta.apply(value)?,
                        None => return Err(ApplyError::new(format!("a field {name}"), "none")),
                    }
                }
            }
            (Delta::Struct(fields), Value::Variant(variant)) => match fields.as_slice() {
                [(name, delta)] if *name == variant.0 => delta.apply(&mut variant.1)?,
                _ => return Err(ApplyError::new("another variant", &variant.0)),
            },
            (Delta::Map { removed, inserted, changed }, Value::Map(entries)) => {
                apply_map(entries, removed, inserted, changed)?;
            }
            (Delta::Set { removed, inserted }, Value::Set(items)) => {
                for gone in removed {
                    let at = items.binary_search(gone).map_err(|_| ApplyError::new(gone, "no such member"))?;
                    items.remove(at);
                }
                for new in inserted {
                    let Err(at) = items.binary_search(new) else {
                        return Err(ApplyError::new("no such member", new));
                    };
                    items.insert(at, new.clone());
                }
            }
            (Delta::List { removed, inserted, changed }, Value::List(items)) => {
                apply_list(items, removed, inserted, changed)?;
            }
            (_, value) => return Err(ApplyError::new("a value of another kind", value.kind())),
        }
        Ok(())
    }

    /// Calls `visit` with every single difference: in maps, sets and lists what was removed first, what was inserted
    /// last.
    pub fn leaves<'a>(&'a self, visit: &mut dyn FnMut(Leaf<'a>)) {
        self.walk(&mut Place::default(), visit);
    }

    fn walk<'a>(&'a self, at: &mut Place, visit: &mut dyn FnMut(Leaf<'a>)) {
        match self {
            Delta::Replace { before, after } => visit(at.leaf(Some(before), Some(after))),
            Delta::Struct(fields) => {
                for (name, delta) in fields {
                    at.step(&format!(".{name}"), name, |at| delta.walk(at, visit));
                }
            }
            Delta::Map { removed, inserted, changed } => {
                let step = |key: &Value| (format!("[{key}]"), key_token(key));
                for (_, key, value) in removed {
                    let (path, token) = step(key);
                    at.step(&path, &token, |at| visit(at.leaf(Some(value), None)));
                }
                for (key, delta) in changed {
                    let (path, token) = step(key);
                    at.step(&path, &token, |at| delta.walk(at, visit));
                }
                for (_, key, value) in inserted {
                    let (path, token) = step(key);
                    at.step(&path, &token, |at| visit(at.leaf(None, Some(value))));
                }
            }
            Delta::Set { removed, inserted } => {
                removed.iter().for_each(|item| visit(at.leaf(Some(item), None)));
                inserted.iter().for_each(|item| visit(at.leaf(None, Some(item))));
            }
            Delta::List { removed, inserted, changed } => {
                for (index, item) in removed {
                    at.step(&format!("[{index}]"), &index.to_string(), |at| visit(at.leaf(Some(item), None)));
                }
                for (_, index, delta) in changed {
                    at.step(&format!("[{index}]"), &index.to_string(), |at| delta.walk(at, visit));
                }
                for (index, item) in inserted {
                    at.step(&format!("[{index}]"), &index.to_string(), |at| visit(at.leaf(None, Some(item))));
                }
            }
        }
    }
}

/// The token of a map's key in a JSON Pointer.
fn key_token(key: &Value) -> String {
    match key {
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Place {
    path: String,
    pointer: String,
}

impl Place {
    fn step(&mut self, path: &str, token: &str, inner: impl FnOnce(&mut Self)) {
        let (path_end, pointer_end) = (self.path.len(), self.pointer.len());
        self.path.push_str(path);
        self.pointer.push('/');
        self.pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
        inner(self);
        self.path.truncate(path_end);
        self.pointer.truncate(pointer_end);
    }

    fn leaf<'a>(&self, before: Option<&'a Value>, after: Option<&'a Value>) -> Leaf<'a> {
        Leaf { path: self.path.clone(), pointer: self.pointer.clone(), before, after }
    }
}

fn same_names(before: &[(Name, Value)], after: &[(Name, Value)]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|((before, _), (after, _))| before == after)
}

fn between_maps(before: Vec<(Value, Value)>, after: Vec<(Value, Value)>, key: Option<&str>) -> Delta {
    use indexmap::IndexMap;
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

fn apply_map(
    entries: &mut Vec<(Value, Value)>,
    removed: &[(usize, Value, Value)],
    inserted: &[(usize, Value, Value)],
    changed: &[(Value, Delta)],
) -> Result<(), ApplyError> {
    use std::collections::{HashMap, HashSet};
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

fn between_lists(before: Vec<Value>, after: Vec<Value>, key: Option<&str>) -> Delta {
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
    use std::collections::HashMap;
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
    let stays = crate::order::fewest_moves(&matched.iter().map(|(was_at, _)| (*was_at, 1)).collect::<Vec<_>>());
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

fn apply_list(
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
    let mut kept = kept.into_iter();
    for (index, item) in inserted {
        while items.len() < *index {
            match kept.next() {
                Some(next) => items.push(next),
                None => return Err(ApplyError::new(format!("{index} items"), items.len())),
            }
        }
        items.push(item.clone());
    }
    items.extend(kept);
    Ok(())
}
