//! The difference between two values, element by element: it prints, applies and inverts.

mod bag;
mod leaves;
mod list;
mod map;

pub use leaves::Leaf;

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
        /// Entries that stand elsewhere among those that stayed, by their position before and after: the fewest that
        /// explain the order. Only of a map that has an order.
        moved: Vec<(usize, usize, Value)>,
    },
    /// Members of a set, or of a list whose order does not count: an item of such a list as often as it is gone or new.
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
            (Value::Map(before), Value::Map(after)) => map::between(before, after, key),
            (Value::Set(before), Value::Set(after)) => {
                let removed = before.iter().filter(|item| after.binary_search(item).is_err()).cloned().collect();
                let inserted = after.into_iter().filter(|item| before.binary_search(item).is_err()).collect();
                Delta::Set { removed, inserted }
            }
            (Value::List(before), Value::List(after)) => list::between(before, after, key),
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

    /// What differs between two lists whose order does not count: what is in both is not told, wherever it stands.
    /// `None` if they hold the same items, each as often.
    pub(crate) fn between_unordered(before: Value, after: Value) -> Option<Delta> {
        match (bag::items(&before), bag::items(&after)) {
            (Some(before), Some(after)) => bag::between(&before, &after),
            _ => Delta::between(before, after, None),
        }
    }

    /// The way back.
    #[must_use]
    pub fn inverse(self) -> Delta {
        match self {
            Delta::Replace { before, after } => Delta::Replace { before: after, after: before },
            Delta::Struct(fields) => {
                Delta::Struct(fields.into_iter().map(|(name, delta)| (name, delta.inverse())).collect())
            }
            Delta::Map { removed, inserted, changed, moved } => Delta::Map {
                removed: inserted,
                inserted: removed,
                changed: changed.into_iter().map(|(key, delta)| (key, delta.inverse())).collect(),
                moved: moved.into_iter().map(|(from, to, key)| (to, from, key)).collect(),
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
            (Delta::Map { removed, inserted, changed, moved }, Value::Map(entries)) => {
                map::Entries { removed, inserted, changed, moved }.apply(entries)?;
            }
            (Delta::Set { removed, inserted }, Value::Set(items)) => {
                apply_to_set(items, removed, inserted)?;
            }
            (Delta::Set { removed, inserted }, list @ (Value::List(_) | Value::Bytes(_))) => {
                bag::apply(list, removed, inserted)?;
            }
            (Delta::List { removed, inserted, changed }, Value::List(items)) => {
                list::apply(items, removed, inserted, changed)?;
            }
            (_, value) => return Err(ApplyError::new("a value of another kind", value.kind())),
        }
        Ok(())
    }
}

/// Changes the members of a set, which are sorted and stay so.
pub(super) fn apply_to_set(items: &mut Vec<Value>, removed: &[Value], inserted: &[Value]) -> Result<(), ApplyError> {
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
    Ok(())
}

/// Puts what comes, by its rising places after, among what was kept.
pub(super) fn weave<T>(
    kept: impl IntoIterator<Item = T>,
    coming: impl IntoIterator<Item = (usize, T)>,
) -> Result<Vec<T>, ApplyError> {
    let mut kept = kept.into_iter();
    let mut woven = Vec::with_capacity(kept.size_hint().0);
    for (index, new) in coming {
        while woven.len() < index {
            match kept.next() {
                Some(next) => woven.push(next),
                None => return Err(ApplyError::new(format!("{index} others"), woven.len())),
            }
        }
        if woven.len() > index {
            return Err(ApplyError::new(format!("a place {index} for what is new"), "it taken by another"));
        }
        woven.push(new);
    }
    woven.extend(kept);
    Ok(woven)
}

fn same_names(before: &[(Name, Value)], after: &[(Name, Value)]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|((before, _), (after, _))| before == after)
}
