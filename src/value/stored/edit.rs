//! How one value became the next, as it is stored: what leads forward, and nothing of what was there before.

use std::collections::HashMap;

use super::{StoredError, repeated};
use crate::value::delta::{apply_to_set, weave};
use crate::value::{ApplyError, Delta, Name, Value};

type Entry = (Value, Value);

/// How one value became the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    /// What it is.
    To(Value),
    /// Some fields of a struct, or what a variant holds.
    Fields(Vec<(Name, Edit)>),
    /// Entries of a map.
    Entries {
        /// Keys that are gone.
        gone: Vec<Value>,
        /// Keys whose value differs.
        changed: Vec<(Value, Edit)>,
        /// Keys that stand elsewhere, with their place after.
        moved: Vec<(usize, Value)>,
        /// Entries that are new, by their place after.
        come: Vec<(usize, Value, Value)>,
    },
    /// Members of a set.
    Members {
        /// Those that are gone.
        gone: Vec<Value>,
        /// Those that are new.
        come: Vec<Value>,
    },
    /// Items of a list.
    Items {
        /// Those that stayed and differ, by their place before.
        changed: Vec<(usize, Edit)>,
        /// Where others stand now, in their order.
        spliced: Vec<Splice>,
    },
}

/// A stretch of a list where others stand now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splice {
    /// Where it begins in the list before.
    pub(super) place: usize,
    /// How many items of the list before are gone from there on.
    pub(super) gone: usize,
    /// Which items stand there instead.
    pub(super) come: Vec<Value>,
}

impl From<Delta> for Edit {
    /// What a delta says of the way forward; that of a list without order has none.
    fn from(delta: Delta) -> Self {
        match delta {
            Delta::Replace { after, .. } => Edit::To(after),
            Delta::Struct(fields) => {
                Edit::Fields(fields.into_iter().map(|(name, delta)| (name, delta.into())).collect())
            }
            Delta::Map { removed, inserted, changed, moved } => Edit::Entries {
                gone: removed.into_iter().map(|(_, key, _)| key).collect(),
                changed: changed.into_iter().map(|(key, delta)| (key, delta.into())).collect(),
                moved: moved.into_iter().map(|(_, to, key)| (to, key)).collect(),
                come: inserted,
            },
            Delta::Set { removed, inserted } => Edit::Members { gone: removed, come: inserted },
            Delta::List { removed, inserted, changed } => Edit::Items {
                changed: changed.into_iter().map(|(before, _, delta)| (before, delta.into())).collect(),
                spliced: spliced(removed, inserted),
            },
        }
    }
}

/// The stretches that items are gone from, by their place before, and come to, by their place after.
fn spliced(removed: Vec<(usize, Value)>, inserted: Vec<(usize, Value)>) -> Vec<Splice> {
    let mut removed = removed.into_iter().map(|(at, _)| at).peekable();
    let mut inserted = inserted.into_iter().peekable();
    let mut splices = Vec::new();
    // As many items as stayed lie before both places.
    let (mut before, mut after) = (0, 0);
    loop {
        let until_gone = removed.peek().map(|at| at - before);
        let until_come = inserted.peek().map(|(at, _)| at - after);
        let Some(stay) = until_gone.into_iter().chain(until_come).min() else { return splices };
        before += stay;
        after += stay;
        let mut splice = Splice { place: before, gone: 0, come: Vec::new() };
        while removed.next_if_eq(&before).is_some() {
            splice.gone += 1;
            before += 1;
        }
        while let Some((_, item)) = inserted.next_if(|(at, _)| *at == after) {
            splice.come.push(item);
            after += 1;
        }
        splices.push(splice);
    }
}

impl Edit {
    /// Makes of the value before the one after.
    ///
    /// # Errors
    /// `value` cannot be the one before; it may then be changed in part.
    pub(super) fn apply(&self, value: &mut Value) -> Result<(), StoredError> {
        match (self, value) {
            (Edit::To(after), value) => *value = after.clone(),
            (Edit::Fields(fields), Value::Struct(values)) => apply_to_fields(values, fields)?,
            (Edit::Fields(fields), Value::Variant(variant)) => match fields.as_slice() {
                [(name, edit)] if *name == variant.0 => edit.apply(&mut variant.1)?,
                _ => return Err(ApplyError::new("another variant", &variant.0).into()),
            },
            (Edit::Entries { gone, changed, moved, come }, Value::Map(entries)) => {
                *entries = rearrange(std::mem::take(entries), gone, changed, moved, come)?;
            }
            (Edit::Members { gone, come }, Value::Set(items)) => apply_to_set(items, gone, come)?,
            (Edit::Items { changed, spliced }, Value::List(items)) => {
                for (place, edit) in changed {
                    let refuse = || ApplyError::new(format!("an item at {place}"), "none");
                    let item = items.get_mut(*place).ok_or_else(refuse)?;
                    edit.apply(item).map_err(|error| error.within(&format!("[{place}]")))?;
                }
                *items = splice(std::mem::take(items), spliced)?;
            }
            (_, value) => return Err(ApplyError::new("a value of another kind", value.kind()).into()),
        }
        Ok(())
    }
}

/// Changes the fields of a struct.
pub(super) fn apply_to_fields(values: &mut [(Name, Value)], fields: &[(Name, Edit)]) -> Result<(), StoredError> {
    let mut next = 0;
    for (name, edit) in fields {
        // Both are in the order of their declaration: each is looked for behind the one before.
        let mut places = (next..values.len()).chain(0..next);
        let Some(at) = places.find(|at| values[*at].0 == *name) else {
            return Err(StoredError::from(ApplyError::new("a field of this name", "none")).within(name));
        };
        edit.apply(&mut values[at].1).map_err(|error| error.within(name))?;
        next = at + 1;
    }
    Ok(())
}

/// Changes the entries of a map, and puts what is elsewhere and what is new where it stands after.
fn rearrange(
    entries: Vec<Entry>,
    gone: &[Value],
    changed: &[(Value, Edit)],
    moved: &[(usize, Value)],
    come: &[(usize, Value, Value)],
) -> Result<Vec<Entry>, StoredError> {
    let (keys, values): (Vec<Value>, Vec<Value>) = entries.into_iter().unzip();
    let mut values: Vec<Option<Value>> = values.into_iter().map(Some).collect();
    let places: HashMap<&Value, usize, ahash::RandomState> =
        keys.iter().enumerate().map(|(place, key)| (key, place)).collect();
    let missing = |key: &Value| ApplyError::new(format!("an entry {key}"), "none");
    for (key, edit) in changed {
        let value = places.get(key).and_then(|place| values[*place].as_mut()).ok_or_else(|| missing(key))?;
        edit.apply(value).map_err(|error| error.within(&format!("[{key}]")))?;
    }
    let mut take = |key: &Value| places.get(key).and_then(|place| values[*place].take()).ok_or_else(|| missing(key));
    for key in gone {
        take(key)?;
    }
    let new = come.iter().map(|(place, key, value)| (*place, (key.clone(), value.clone())));
    let mut coming: Vec<(usize, Entry)> = new.collect();
    for (place, key) in moved {
        coming.push((*place, (key.clone(), take(key)?)));
    }
    coming.sort_unstable_by_key(|(place, _)| *place);
    let kept = keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?)));
    let after = weave(kept, coming)?;
    match repeated(after.iter().map(|(key, _)| key)).filter(|_| !come.is_empty()) {
        None => Ok(after),
        Some(key) => Err(ApplyError::new(format!("no entry {key}"), "one").into()),
    }
}

/// Takes stretches out of a list and puts others there, in one pass.
fn splice(items: Vec<Value>, spliced: &[Splice]) -> Result<Vec<Value>, ApplyError> {
    let mut after = Vec::with_capacity(items.len());
    let mut left = items.into_iter();
    let mut at = 0;
    for Splice { place, gone, come } in spliced {
        let stay = place.checked_sub(at).filter(|stay| left.len().checked_sub(*stay).is_some_and(|rest| *gone <= rest));
        let Some(stay) = stay else {
            let found = format!("{} from {at} on", left.len());
            return Err(ApplyError::new(format!("{gone} items from {place} on"), found));
        };
        after.extend(left.by_ref().take(stay));
        left.by_ref().take(*gone).for_each(drop);
        after.extend_from_slice(come);
        at = place + gone;
    }
    after.extend(left);
    Ok(after)
}
