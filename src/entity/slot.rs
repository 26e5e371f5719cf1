//! Places in a field that hold an entity, and how two sets of them differ.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{AnyCell, AnyEntity, Entity};
use crate::id::EntityId;
use crate::order::fewest_moves;
use crate::value::Value;

/// A place that holds an entity: the entity itself, or a handle.
pub trait Slot: Send + Sync {
    /// The identity of the entity, known without loading it.
    fn id(&self) -> EntityId;
    /// The entity; a cold handle loads it.
    fn entity(&self) -> &dyn AnyEntity;
    /// The shared cell, if the place is a handle.
    fn cell(&self) -> Option<Arc<dyn AnyCell>>;
    /// Whether the other place is known to hold the very same state without looking into it.
    fn is_same(&self, other: &dyn Slot) -> bool;
    /// An address that equals that of another handle exactly when both share one cell; 0 for an entity held by value.
    fn address(&self) -> usize;
    /// The place, to be downcast, if it is a handle.
    fn handle(&self) -> Option<&dyn Any> {
        None
    }
}

impl<T: Entity> Slot for T {
    fn id(&self) -> EntityId {
        self.entity_id()
    }
    fn entity(&self) -> &dyn AnyEntity {
        self
    }
    fn cell(&self) -> Option<Arc<dyn AnyCell>> {
        None
    }
    fn is_same(&self, _: &dyn Slot) -> bool {
        false
    }
    fn address(&self) -> usize {
        0
    }
}

/// Entities to compare, before and after, each with the same identity.
pub struct Pairs<'a> {
    list: Vec<(&'a dyn Slot, &'a dyn Slot)>,
    /// Whether every entity held by value is listed, not only those that differ.
    pub(super) every: bool,
}

impl<'a> Pairs<'a> {
    /// An empty list, that takes of the entities held by value those whose own state differs.
    #[must_use]
    pub fn new() -> Self {
        Self { list: Vec::new(), every: false }
    }

    /// An empty list, that takes every entity held by value: whoever wants to know the owners of each.
    pub(crate) fn every() -> Self {
        Self { list: Vec::new(), every: true }
    }
}

impl Default for Pairs<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Deref for Pairs<'a> {
    type Target = Vec<(&'a dyn Slot, &'a dyn Slot)>;

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl DerefMut for Pairs<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.list
    }
}

/// Where in a field an entity stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The field is it.
    Whole,
    /// At this position of a list.
    Index(usize),
    /// At this position of a tuple.
    Part(usize),
    /// Under this key of a map.
    Named(Value),
    /// In a container within a container, from the outside in.
    Path(Box<[Key]>),
}

impl Key {
    /// This step and then `inner`.
    #[must_use]
    pub fn then(self, inner: Key) -> Key {
        match (self, inner) {
            (Key::Whole, inner) => inner,
            (outer, Key::Whole) => outer,
            (outer, inner) => Key::Path(outer.steps().iter().chain(inner.steps()).cloned().collect()),
        }
    }

    /// The innermost list on the way.
    #[must_use]
    pub fn list(&self) -> Key {
        match self.in_list() {
            None | Some(([], ..)) => Key::Whole,
            Some(([outer], ..)) => outer.clone(),
            Some((outer, ..)) => Key::Path(outer.into()),
        }
    }

    /// The way to the innermost list, the position there, and the way on from it.
    fn in_list(&self) -> Option<(&[Key], usize, &[Key])> {
        let steps = self.steps();
        let at = steps.iter().rposition(|step| matches!(step, Key::Index(_)))?;
        match &steps[at] {
            Key::Index(index) => Some((&steps[..at], *index, &steps[at + 1..])),
            _ => None,
        }
    }

    /// Another position of the same list.
    #[must_use]
    pub fn beside(&self, index: usize) -> Key {
        self.list().then(Key::Index(index))
    }

    /// The steps, from the outside in; none for [`Key::Whole`].
    #[must_use]
    pub fn steps(&self) -> &[Key] {
        match self {
            Key::Whole => &[],
            Key::Path(steps) => steps,
            step => std::slice::from_ref(step),
        }
    }

    /// The position in the innermost list on the way, if there is one.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        self.in_list().map(|(_, index, _)| index)
    }

    /// Whether both stand in the same list, and alike in its items, at whatever position.
    fn same_list(&self, other: &Key) -> bool {
        match (self.in_list(), other.in_list()) {
            (Some((outer, _, inner)), Some((other_outer, _, other_inner))) => {
                outer == other_outer && inner == other_inner
            }
            _ => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps().iter().try_for_each(|step| match step {
            Key::Index(index) | Key::Part(index) => write!(f, "[{index}]"),
            Key::Named(key) => write!(f, "[{key}]"),
            Key::Whole | Key::Path(_) => Ok(()),
        })
    }
}

/// How the owned entities of one field differ.
pub enum ChildChange<'a> {
    /// The same entity in both, to be compared.
    Paired(&'a dyn Slot, &'a dyn Slot),
    /// No longer here.
    Removed(Key, &'a dyn Slot),
    /// Not here before.
    Added(Key, &'a dyn Slot),
    /// In this field under another key.
    Moved {
        /// Where it stood.
        from: Key,
        /// Where it stands.
        to: Key,
        /// It.
        slot: &'a dyn Slot,
    },
    /// In the same list, at another place among those that stayed; as few as possible are told so.
    Reordered {
        /// The list within the field; [`Key::Whole`] if the field is it.
        list: Key,
        /// Its position before.
        from: usize,
        /// Its position after.
        to: usize,
        /// It.
        slot: &'a dyn Slot,
    },
}

/// A list that kept items: one place in it, and where each of them stood and stands.
type List<'a> = (Key, Vec<(usize, usize, &'a dyn Slot)>);

type Places<'a> = Vec<(Key, &'a dyn Slot)>;

/// Tells how two fields' owned entities differ: by identity, never by position.
pub(crate) fn pair_slots<'a>(before: Places<'a>, after: Places<'a>, visit: &mut dyn FnMut(ChildChange<'a>)) {
    let stays = |(old_key, old): &(Key, &dyn Slot), (new_key, new): &(Key, &dyn Slot)| {
        old.id() == new.id() && (old_key == new_key || old_key.same_list(new_key))
    };
    let mut paired = |old: &'a dyn Slot, new: &'a dyn Slot| {
        if !old.is_same(new) {
            visit(ChildChange::Paired(old, new));
        }
    };
    let head = before.iter().zip(&after).take_while(|(old, new)| stays(old, new)).count();
    let tail =
        before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(|(old, new)| stays(old, new)).count();
    let ends = |length: usize| (0..head).chain(length - tail..length);
    for (old, new) in ends(before.len()).zip(ends(after.len())) {
        paired(before[old].1, after[new].1);
    }
    let middle = |places: Places<'a>| {
        let count = places.len() - head - tail;
        places.into_iter().skip(head).take(count).collect::<Vec<_>>()
    };
    pair_middle(middle(before), middle(after), visit);
}

fn pair_middle<'a>(before: Places<'a>, after: Places<'a>, visit: &mut dyn FnMut(ChildChange<'a>)) {
    let mut old: HashMap<EntityId, usize, ahash::RandomState> =
        before.iter().enumerate().map(|(at, (_, slot))| (slot.id(), at)).collect();
    let mut before: Vec<Option<(Key, &'a dyn Slot)>> = before.into_iter().map(Some).collect();
    // One group for each list, since items are ordered within their own.
    let mut lists: Vec<List<'a>> = Vec::new();
    for (key, slot) in after {
        let Some((old_key, old_slot)) = old.remove(&slot.id()).and_then(|at| before[at].take()) else {
            visit(ChildChange::Added(key, slot));
            continue;
        };
        if !old_slot.is_same(slot) {
            visit(ChildChange::Paired(old_slot, slot));
        }
        match (old_key.index(), key.index()) {
            (Some(from), Some(to)) if old_key.same_list(&key) => {
                match lists.iter_mut().find(|(list, _)| list.same_list(&key)) {
                    Some((_, items)) => items.push((from, to, slot)),
                    None => lists.push((key, vec![(from, to, slot)])),
                }
            }
            _ if old_key == key => {}
            _ => visit(ChildChange::Moved { from: old_key, to: key, slot }),
        }
    }
    for (key, slot) in before.into_iter().flatten() {
        visit(ChildChange::Removed(key, slot));
    }
    for (list, items) in lists {
        let stays = fewest_moves(&items.iter().map(|(from, _, _)| (*from, 1)).collect::<Vec<_>>());
        for ((from, to, slot), stays) in items.into_iter().zip(stays) {
            if !stays {
                visit(ChildChange::Reordered { list: list.list(), from, to, slot });
            }
        }
    }
}
