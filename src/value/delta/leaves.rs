//! The single differences that a delta is made of, each with its place.

use std::collections::HashSet;

use super::Delta;
use crate::value::Value;

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
    /// For an entry that is elsewhere in the order of its map, the position before and after. It is then neither in
    /// `before` nor in `after`: whether its value differs too is told apart.
    pub moved: Option<(usize, usize)>,
}

impl Delta {
    /// Calls `visit` with every single difference: in maps, sets and lists what was removed first, what was inserted
    /// last.
    pub fn leaves<'a>(&'a self, visit: &mut dyn FnMut(Leaf<'a>)) {
        self.walk(&mut Place::default(), visit);
    }

    /// As [`Delta::leaves`], of values alone: an owned entity is no value of its owner. Of what owns one and came or went,
    /// the values that stand beside it are told one by one, but for what is empty: no item, no entry, null.
    pub(crate) fn own_leaves<'a>(&'a self, visit: &mut dyn FnMut(Leaf<'a>)) {
        self.walk(&mut Place { values_alone: true, ..Place::default() }, visit);
    }

    fn walk<'a>(&'a self, at: &mut Place, visit: &mut dyn FnMut(Leaf<'a>)) {
        match self {
            Delta::Replace { before, after } => at.tell(Some(before), Some(after), visit),
            Delta::Struct(fields) => {
                for (name, delta) in fields {
                    at.field(name, |at| delta.walk(at, visit));
                }
            }
            Delta::Map { removed, inserted, changed, moved } => {
                for (_, key, value) in removed {
                    at.entry(key, |at| at.tell(Some(value), None, visit));
                }
                for (key, delta) in changed {
                    at.entry(key, |at| delta.walk(at, visit));
                }
                for (from, to, key) in moved {
                    at.entry(key, |at| visit(Leaf { moved: Some((*from, *to)), ..at.leaf(None, None) }));
                }
                for (_, key, value) in inserted {
                    at.entry(key, |at| at.tell(None, Some(value), visit));
                }
            }
            Delta::Set { removed, inserted } => {
                removed.iter().for_each(|item| at.tell(Some(item), None, visit));
                inserted.iter().for_each(|item| at.tell(None, Some(item), visit));
            }
            Delta::List { removed, inserted, changed } => {
                let elsewhere = if at.values_alone { elsewhere(removed, inserted) } else { HashSet::default() };
                for (index, item) in removed.iter().filter(|(_, item)| !elsewhere.contains(item)) {
                    at.item(*index, |at| at.tell(Some(item), None, visit));
                }
                for (_, index, delta) in changed {
                    at.item(*index, |at| delta.walk(at, visit));
                }
                for (index, item) in inserted.iter().filter(|(_, item)| !elsewhere.contains(item)) {
                    at.item(*index, |at| at.tell(None, Some(item), visit));
                }
            }
        }
    }
}

/// Items that own entities and stand at another place of their list, unchanged: the moves of those entities tell it.
fn elsewhere<'a>(removed: &'a [(usize, Value)], inserted: &[(usize, Value)]) -> HashSet<&'a Value, ahash::RandomState> {
    let owns = |item: &Value| !matches!(item, Value::Entity(_)) && item.holds_entity();
    let came: HashSet<&Value, ahash::RandomState> =
        inserted.iter().map(|(_, item)| item).filter(|item| owns(item)).collect();
    removed.iter().map(|(_, item)| item).filter(|item| came.contains(item)).collect()
}

/// Whether nothing stands in it: what owns entities and has none looks so too.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.iter().all(is_empty),
        Value::Set(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

#[derive(Default)]
struct Place {
    path: String,
    pointer: String,
    /// Whether owned entities are left out.
    values_alone: bool,
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

    fn field(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.step(&format!(".{name}"), name, inner);
    }

    fn item(&mut self, index: usize, inner: impl FnOnce(&mut Self)) {
        self.step(&format!("[{index}]"), &index.to_string(), inner);
    }

    fn entry(&mut self, key: &Value, inner: impl FnOnce(&mut Self)) {
        match key {
            Value::Text(text) => self.step(&format!("[{key}]"), text, inner),
            other => self.step(&format!("[{key}]"), &other.to_string(), inner),
        }
    }

    fn leaf<'a>(&self, before: Option<&'a Value>, after: Option<&'a Value>) -> Leaf<'a> {
        Leaf { path: self.path.clone(), pointer: self.pointer.clone(), before, after, moved: None }
    }

    fn tell<'a>(&mut self, before: Option<&'a Value>, after: Option<&'a Value>, visit: &mut dyn FnMut(Leaf<'a>)) {
        if !self.values_alone || !before.into_iter().chain(after).any(Value::holds_entity) {
            return visit(self.leaf(before, after));
        }
        for (value, side) in [(before, Side::Before), (after, Side::After)] {
            if let Some(value) = value {
                self.tell_values(value, side, visit);
            }
        }
    }

    /// Tells the values of what came or went, but for what is empty.
    fn tell_values<'a>(&mut self, value: &'a Value, side: Side, visit: &mut dyn FnMut(Leaf<'a>)) {
        match value {
            value if is_empty(value) => {}
            value if !value.holds_entity() => self.tell_one(value, side, visit),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.item(index, |at| at.tell_values(item, side, visit));
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    // A key is a value: nothing else tells that an entry without an entity is there.
                    self.entry(key, |at| match value.holds_entity() {
                        true => at.tell_values(value, side, visit),
                        false => at.tell_one(value, side, visit),
                    });
                }
            }
            Value::Struct(fields) => {
                for (name, value) in fields {
                    self.field(name, |at| at.tell_values(value, side, visit));
                }
            }
            Value::Variant(variant) => self.field(&variant.0, |at| at.tell_values(&variant.1, side, visit)),
            Value::Some(inner) => self.tell_values(inner, side, visit),
            _ => {}
        }
    }

    fn tell_one<'a>(&self, value: &'a Value, side: Side, visit: &mut dyn FnMut(Leaf<'a>)) {
        visit(match side {
            Side::Before => self.leaf(Some(value), None),
            Side::After => self.leaf(None, Some(value)),
        });
    }
}
