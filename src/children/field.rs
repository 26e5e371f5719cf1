//! What the engine sees of a list of children: it never looks at what both states share.

use std::any::Any;
use std::sync::Arc;

use super::child::Child;
use super::children::Children;
use super::items::Items;
use super::sequence::{Difference, Item, Sequence};
use crate::digest::Digester;
use crate::entity::{AnyCell, ChildChange, Entity, Field, Key, Pairs, Slot, Source, downcast, inline, pair_slots};
use crate::id::EntityId;
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Delta, Value};

impl<T: Entity> Field for Children<T> {
    const ROLE: Role = Role::Child;
    const HOLDS_ENTITIES: bool = true;

    fn layout(layouter: &mut Layouter) -> String {
        format!("list<{}>", inline::layout::<T>(layouter))
    }
    fn encode(&self) -> Value {
        Value::List(self.handles().map(Field::encode).collect())
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        Self::try_from_iter(decode_items::<Child<T>>(value, source)?)
            .map_err(|repeated| DecodeError::saying("each entity once", repeated.to_string()))
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        if self.items.in_order().is_same(after.items.in_order()) {
            return true;
        }
        if self.len() != after.len() {
            return false;
        }
        let mut same = true;
        self.items.by_id().diff(after.items.by_id(), &mut |difference| match difference {
            Difference::Touched { before: (_, before), after: (_, after) } => {
                same = same && before.child.same(&after.child, pairs);
            }
            _ => same = false,
        });
        same
    }
    fn delta(&self, after: &Self, key: Option<&str>) -> Option<Delta> {
        if self.items.has_repeats() || after.items.has_repeats() {
            return Delta::between(self.encode(), after.encode(), key);
        }
        delta(self.items.by_id(), after.items.by_id(), Value::Entity)
    }
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
        self.handles().enumerate().for_each(|(index, child)| visit(Key::Index(index), child));
    }
    fn pair<'a>(&'a self, after: &'a Self, visit: &mut dyn FnMut(ChildChange<'a>)) {
        if self.items.in_order().is_same(after.items.in_order()) {
            return;
        }
        if self.items.has_repeats() || after.items.has_repeats() {
            return pair_slots(places(self), places(after), visit);
        }
        self.items.by_id().diff(after.items.by_id(), &mut |difference| {
            visit(match difference {
                Difference::Touched { before, after } => ChildChange::Paired(&before.1.child, &after.1.child),
                Difference::Removed(index, item) => ChildChange::Removed(Key::Index(index), &item.child),
                Difference::Added(index, item) => ChildChange::Added(Key::Index(index), &item.child),
                Difference::Reordered { before, after, item } => {
                    ChildChange::Reordered { list: Key::Whole, from: before, to: after, slot: &item.child }
                }
            });
        });
    }
    fn find(&self, id: EntityId) -> Option<(Key, &dyn Slot)> {
        let index = self.items.position(id)?;
        self.handle(index).map(|child| (Key::Index(index), child as &dyn Slot))
    }
    fn owned(&self) -> usize {
        self.len()
    }
    fn handle(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::new(self.clone()))
    }
    fn restore(handle: &Arc<dyn Any + Send + Sync>) -> Option<Self> {
        handle.downcast_ref::<Self>().cloned()
    }
    fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
        let Some(position) = self.items.position(child.entity().entity_id()) else { return false };
        let Some(cell) = downcast(Arc::clone(child)) else { return false };
        self.items.replace(position, Child::from_cell(cell));
        true
    }
    fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
        self.items.by_id().for_each_unknown_digest(&mut |item| visit(&item.child));
    }
    fn digest(&self, into: &mut Digester) {
        into.digest(self.items.by_id().digest());
    }
    fn absent() -> Option<Self> {
        Some(Self { items: Items::new() })
    }
}

fn places<T: Entity>(children: &Children<T>) -> Vec<(Key, &dyn Slot)> {
    children.handles().enumerate().map(|(index, child)| (Key::Index(index), child as &dyn Slot)).collect()
}

/// The items of a list in canonical form.
pub(super) fn decode_items<F: Field>(value: &Value, source: &mut dyn Source) -> Result<Vec<F>, DecodeError> {
    let (Value::List(items) | Value::Set(items)) = value else {
        return Err(DecodeError::new("a list", value));
    };
    let decode = |(index, item)| F::decode(item, source).map_err(|error| error.within(format!("[{index}]")));
    items.iter().enumerate().map(decode).collect()
}

/// How the list of identities differs, each written as `value` writes it. What moved is taken out and put in again.
pub(super) fn delta<I: Item>(
    before: &Sequence<I>,
    after: &Sequence<I>,
    value: impl Fn(EntityId) -> Value,
) -> Option<Delta> {
    let (mut removed, mut inserted) = (Vec::new(), Vec::new());
    before.diff(after, &mut |difference| match difference {
        Difference::Touched { .. } => {}
        Difference::Removed(index, item) => removed.push((index, value(item.id()))),
        Difference::Added(index, item) => inserted.push((index, value(item.id()))),
        Difference::Reordered { before, after, item } => {
            removed.push((before, value(item.id())));
            inserted.push((after, value(item.id())));
        }
    });
    removed.sort_unstable_by_key(|(index, _)| *index);
    (!removed.is_empty() || !inserted.is_empty()).then(|| Delta::List { removed, inserted, changed: Vec::new() })
}
