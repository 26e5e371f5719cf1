//! Maps, whose values may be entities, and sets, whose members may not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::{AnyCell, AnyEntity, Field, Key, Pairs, Plain, Slot, Source};
use crate::digest::Digester;
use crate::id::EntityId;
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Value};

fn decode_entries<K: Field, V: Field, C: FromIterator<(K, V)>>(
    value: &Value,
    source: &mut dyn Source,
) -> Result<C, DecodeError> {
    let mut entry = |key: &Value, value: &Value| {
        let within = |error: DecodeError| error.within(format!("[{key}]"));
        Ok((decode_key(key, source).map_err(within)?, V::decode(value, source).map_err(within)?))
    };
    match value {
        Value::Map(entries) => entries.iter().map(|(key, value)| entry(key, value)).collect(),
        // What JSON makes of a map whose keys are not all text.
        Value::List(pairs) => pairs
            .iter()
            .map(|pair| match pair {
                Value::List(pair) if pair.len() == 2 => entry(&pair[0], &pair[1]),
                other => Err(DecodeError::new("a key and its value", other)),
            })
            .collect(),
        _ => Err(DecodeError::new("a map", value)),
    }
}

/// A key; where it is text and cannot be one, the number it spells (JSON has no other keys).
fn decode_key<K: Field>(key: &Value, source: &mut dyn Source) -> Result<K, DecodeError> {
    let read = K::decode(key, source);
    match (read, key) {
        (Err(error), Value::Text(text)) => match text.parse::<i128>() {
            Ok(number) => K::decode(&Value::integer(number), source).map_err(|_| error),
            Err(_) => Err(error),
        },
        (read, _) => read,
    }
}

/// Refuses a key or member that stands twice: one of the two would be lost.
fn distinct<C>(value: &Value, kept: C, count: usize) -> Result<C, DecodeError> {
    let found = match value {
        Value::Map(entries) => entries.len(),
        Value::List(items) | Value::Set(items) => items.len(),
        _ => count,
    };
    if found == count {
        Ok(kept)
    } else {
        Err(DecodeError::saying("distinct keys", format!("{} that repeat", found - count)))
    }
}

/// What every map does alike.
macro_rules! map_methods {
    ($layout:literal) => {
        const ROLE: Role = match V::ROLE {
            Role::Child => Role::Child,
            _ => Role::Value,
        };
        const HOLDS_ENTITIES: bool = V::HOLDS_ENTITIES;
        const INLINES: bool = V::INLINES;
        const FORGETS: bool = V::FORGETS;

        fn layout(layouter: &mut Layouter) -> String {
            format!(concat!($layout, "<{}, {}>"), K::layout(layouter), V::layout(layouter))
        }
        fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
            let map: Self = decode_entries(value, source)?;
            let count = map.len();
            distinct(value, map, count)
        }
        fn references(&self, visit: &mut dyn FnMut(EntityId)) {
            for (key, value) in self {
                key.references(visit);
                value.references(visit);
            }
        }
        fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
            self.values_mut().any(|value| value.adopt(child))
        }
        fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
            self.values_mut().any(|value| value.reach(id, write))
        }
        fn forget(&mut self) {
            self.values_mut().for_each(Field::forget);
        }
        fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
            self.values().for_each(|value| value.unsealed(visit));
        }
        fn absent() -> Option<Self> {
            V::HOLDS_ENTITIES.then(Self::default)
        }
    };
}

/// What maps whose order counts, or is that of their keys, do alike.
macro_rules! ordered_map_methods {
    () => {
        fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
            self.len() == after.len()
                && self.iter().zip(after).all(|((key, before), (after_key, after))| {
                    key.same(after_key, &mut Pairs::new()) && before.same(after, pairs)
                })
        }
        fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
            for (key, value) in self {
                value.slots(&mut |inner, slot| visit(Key::Named(key.encode()).then(inner), slot));
            }
        }
        fn digest(&self, into: &mut Digester) {
            into.number(self.len() as u64);
            for (key, value) in self {
                key.encode().digest(into);
                value.digest(into);
            }
        }
    };
}

impl<K: Plain + Ord, V: Field> Field for BTreeMap<K, V> {
    map_methods!("map");

    fn encode(&self) -> Value {
        // Sorted anew: the order of the keys' type need not be that of their canonical form.
        Value::map(self.iter().map(|(key, value)| (key.encode(), value.encode())).collect())
    }
    ordered_map_methods!();
}

impl<K: Plain + Ord, V: Plain> Plain for BTreeMap<K, V> {}

impl<K, V, S> Field for IndexMap<K, V, S>
where
    K: Plain + Hash + Eq,
    V: Field,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    map_methods!("ordered map");

    fn encode(&self) -> Value {
        Value::Map(self.iter().map(|(key, value)| (key.encode(), value.encode())).collect())
    }
    ordered_map_methods!();
}

impl<K, V, S> Plain for IndexMap<K, V, S>
where
    K: Plain + Hash + Eq,
    V: Plain,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
}

impl<K, V, S> Field for HashMap<K, V, S>
where
    K: Plain + Hash + Eq,
    V: Field,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    map_methods!("map");

    fn encode(&self) -> Value {
        Value::map(self.iter().map(|(key, value)| (key.encode(), value.encode())).collect())
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        self.len() == after.len()
            && self.iter().all(|(key, before)| after.get(key).is_some_and(|after| before.same(after, pairs)))
    }
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
        for (key, value) in sorted(self) {
            value.slots(&mut |inner, slot| visit(Key::Named(key.clone()).then(inner), slot));
        }
    }
    fn digest(&self, into: &mut Digester) {
        into.number(self.len() as u64);
        for (key, value) in sorted(self) {
            key.digest(into);
            value.digest(into);
        }
    }
}

/// The entries in the order of their keys' canonical form: the map's own changes from run to run.
fn sorted<K: Field, V, S>(map: &HashMap<K, V, S>) -> Vec<(Value, &V)> {
    let mut entries: Vec<(Value, &V)> = map.iter().map(|(key, value)| (key.encode(), value)).collect();
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    entries
}

impl<K, V, S> Plain for HashMap<K, V, S>
where
    K: Plain + Hash + Eq,
    V: Plain,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
}

/// What every set does alike.
macro_rules! set_methods {
    () => {
        const ROLE: Role = match T::ROLE {
            Role::Reference => Role::Reference,
            _ => Role::Value,
        };
        fn layout(layouter: &mut Layouter) -> String {
            format!("set<{}>", T::layout(layouter))
        }
        fn encode(&self) -> Value {
            Value::set(self.iter().map(Field::encode).collect())
        }
        fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
            let (Value::Set(items) | Value::List(items)) = value else {
                return Err(DecodeError::new("a set", value));
            };
            let set = items.iter().map(|item| T::decode(item, source)).collect::<Result<Self, _>>()?;
            let count = set.len();
            distinct(value, set, count)
        }
        fn references(&self, visit: &mut dyn FnMut(EntityId)) {
            self.iter().for_each(|item| item.references(visit));
        }
    };
}

impl<T: Plain + Ord> Field for BTreeSet<T> {
    set_methods!();

    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        self.len() == after.len() && self.iter().zip(after).all(|(before, after)| before.same(after, pairs))
    }
}

impl<T: Plain + Ord> Plain for BTreeSet<T> {}

impl<T, S> Field for HashSet<T, S>
where
    T: Plain + Hash + Eq,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    set_methods!();

    fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
        self.len() == after.len() && self.iter().all(|item| after.contains(item))
    }
}

impl<T, S> Plain for HashSet<T, S>
where
    T: Plain + Hash + Eq,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
}

impl<T, S> Field for IndexSet<T, S>
where
    T: Plain + Hash + Eq,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    const ROLE: Role = match T::ROLE {
        Role::Reference => Role::Reference,
        _ => Role::Value,
    };

    fn layout(layouter: &mut Layouter) -> String {
        format!("ordered set<{}>", T::layout(layouter))
    }
    fn encode(&self) -> Value {
        Value::List(self.iter().map(Field::encode).collect())
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        let (Value::Set(items) | Value::List(items)) = value else {
            return Err(DecodeError::new("a list of distinct items", value));
        };
        let set = items.iter().map(|item| T::decode(item, source)).collect::<Result<Self, _>>()?;
        let count = set.len();
        distinct(value, set, count)
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        self.len() == after.len() && self.iter().zip(after).all(|(before, after)| before.same(after, pairs))
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        self.iter().for_each(|item| item.references(visit));
    }
}

impl<T, S> Plain for IndexSet<T, S>
where
    T: Plain + Hash + Eq,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
}
