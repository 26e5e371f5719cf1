//! What a field's type must know: its role, its canonical form, and how two of it are compared.

use std::any::Any;
use std::sync::Arc;

use super::{AnyCell, AnyEntity, ChildChange, Key, Pairs, Slot, Source, pair_slots};
use crate::digest::Digester;
use crate::id::EntityId;
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Delta, Value};

/// A type that can be the field of an entity: a value, an entity, a reference, or a container of them.
///
/// There is one implementation per container, and `#[derive(Entity)]` and `#[derive(Value)]` write those of your types.
#[diagnostic::on_unimplemented(
    message = "heirloom does not know how to keep a `{Self}` in an entity",
    label = "`{Self}` has no role",
    note = "a type of your own: put `#[derive(Value)]` on it, or `#[derive(Entity)]` if it has an identity",
    note = "a foreign type that implements serde's traits and `PartialEq`: mark the field `#[entity(value)]`",
    note = "a field that need not be kept: mark it `#[entity(skip)]`"
)]
pub trait Field: Clone + Send + Sync + 'static {
    /// What a field of this type is to its entity.
    const ROLE: Role;
    /// Whether it owns entities, by value or by handle.
    const HOLDS_ENTITIES: bool = false;
    /// Whether it holds entities by value.
    const INLINES: bool = false;
    /// Whether something in it must be settled before it is kept: see [`Entity`](super::Entity).
    const FORGETS: bool = false;
    /// The fields of a plain struct.
    const FIELDS: &'static [&'static str] = &[];
    /// The fields of the items, for a list of plain structs.
    const ITEM_FIELDS: &'static [&'static str] = &[];

    /// Defines the layout of this type and gives its name.
    fn layout(layouter: &mut Layouter) -> String;

    /// The canonical form; where an entity is owned, [`Value::Entity`] stands for it.
    fn encode(&self) -> Value;

    /// Reads the canonical form, or what JSON makes of it. Owned entities come from `source`.
    ///
    /// # Errors
    /// `value` is not of this type, or `source` lacks an entity.
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError>;

    /// Whether the canonical forms are the same. Owned entities count by their identity; those that have to be
    /// compared themselves are added to `pairs`, which is left in any state if the answer is no.
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool;

    /// What differs, element by element; `key` is the field by which items of lists are matched.
    fn delta(&self, after: &Self, key: Option<&str>) -> Option<Delta> {
        Delta::between(self.encode(), after.encode(), key)
    }

    /// Visits the owned entities with their places, in order.
    fn slots<'a>(&'a self, _visit: &mut dyn FnMut(Key, &'a dyn Slot)) {}

    /// Visits how the owned entities differ between this and `after`.
    fn pair<'a>(&'a self, after: &'a Self, visit: &mut dyn FnMut(ChildChange<'a>)) {
        let (mut before_slots, mut after_slots) = (Vec::new(), Vec::new());
        self.slots(&mut |key, slot| before_slots.push((key, slot)));
        after.slots(&mut |key, slot| after_slots.push((key, slot)));
        pair_slots(before_slots, after_slots, visit);
    }

    /// The owned entity `id`, if this field owns it directly.
    fn find(&self, id: EntityId) -> Option<(Key, &dyn Slot)> {
        let mut found = None;
        self.slots(&mut |key, slot| {
            if found.is_none() && slot.id() == id {
                found = Some((key, slot));
            }
        });
        found
    }

    /// How many entities it owns directly.
    fn owned(&self) -> usize {
        let mut count = 0;
        self.slots(&mut |_, _| count += 1);
        count
    }

    /// Visits the entities that it refers to.
    fn references(&self, _visit: &mut dyn FnMut(EntityId)) {}

    /// Tells which references are gone (`false`) and which are new (`true`).
    fn reference_changes(&self, after: &Self, visit: &mut dyn FnMut(bool, EntityId)) {
        let (mut before_ids, mut after_ids) = (Vec::new(), Vec::new());
        self.references(&mut |id| before_ids.push(id));
        after.references(&mut |id| after_ids.push(id));
        set_changes(before_ids, after_ids, visit);
    }

    /// The handle itself, for shared children: a record keeps it instead of a list of all their ids.
    fn handle(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// The field of a kept handle.
    fn restore(_handle: &Arc<dyn Any + Send + Sync>) -> Option<Self> {
        None
    }

    /// Puts `child` where the entity of its id is owned; `false` if it is not.
    fn adopt(&mut self, _child: &Arc<dyn AnyCell>) -> bool {
        false
    }

    /// Lets `write` change the entity `id`, if it is held by value directly; `false` if it is not.
    fn reach(&mut self, _id: EntityId, _write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        false
    }

    /// Puts `Default` in the skipped fields of the entities it holds by value.
    fn forget(&mut self) {}

    /// Visits the shared handles whose digest is not known yet.
    fn unsealed<'a>(&'a self, _visit: &mut dyn FnMut(&'a dyn Slot)) {}

    /// Writes the canonical bytes, with digests for owned entities.
    fn digest(&self, into: &mut Digester) {
        self.encode().digest(into);
    }

    /// The value of a field that is absent from what is read: `None` of an option, an empty container of entities.
    fn absent() -> Option<Self> {
        None
    }

    /// The canonical form of a list of this type.
    fn encode_list(items: &[Self]) -> Value {
        Value::List(items.iter().map(Field::encode).collect())
    }

    /// Reads a list of this type from a form that only it has.
    fn decode_list(_value: &Value) -> Option<Vec<Self>> {
        None
    }
}

/// What is only in `before` (`false`) and what is only in `after` (`true`), each once.
fn set_changes(mut before: Vec<EntityId>, mut after: Vec<EntityId>, visit: &mut dyn FnMut(bool, EntityId)) {
    for ids in [&mut before, &mut after] {
        ids.sort_unstable();
        ids.dedup();
    }
    before.iter().filter(|id| after.binary_search(id).is_err()).for_each(|id| visit(false, *id));
    after.iter().filter(|id| before.binary_search(id).is_err()).for_each(|id| visit(true, *id));
}

/// A field type that owns no entity: it may stand in a set, as the key of a map, in a value type, as an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand here: only plain values can",
    label = "expected a value: a number, text, a container of values, or a type with `#[derive(Value)]`",
    note = "an entity has one place in its tree: own it from the field of an entity (a `Vec`, `Option`, map or \
            `Children` of it), or refer to it with `Id<...>`; sets, map keys and value types cannot own it"
)]
pub trait Plain: Field {}

/// How a field is treated: [`Native`] if its type is a [`Field`], [`Foreign`](super::Foreign) if it is only serde's.
pub trait Handling<F>: 'static {
    /// See [`Field::layout`].
    fn layout(layouter: &mut Layouter) -> String;
    /// See [`Field::encode`].
    fn encode(field: &F) -> Value;
    /// See [`Field::decode`].
    ///
    /// # Errors
    /// As there.
    fn decode(value: &Value, source: &mut dyn Source) -> Result<F, DecodeError>;
    /// See [`Field::same`].
    fn same<'a>(before: &'a F, after: &'a F, pairs: &mut Pairs<'a>) -> bool;
    /// See [`Field::delta`].
    fn delta(before: &F, after: &F, key: Option<&str>) -> Option<Delta> {
        Delta::between(Self::encode(before), Self::encode(after), key)
    }
    /// See [`Field::slots`].
    fn slots<'a>(_field: &'a F, _visit: &mut dyn FnMut(Key, &'a dyn Slot)) {}
    /// See [`Field::pair`].
    fn pair<'a>(_before: &'a F, _after: &'a F, _visit: &mut dyn FnMut(ChildChange<'a>)) {}
    /// See [`Field::find`].
    fn find(_field: &F, _id: EntityId) -> Option<(Key, &dyn Slot)> {
        None
    }
    /// See [`Field::owned`].
    fn owned(_field: &F) -> usize {
        0
    }
    /// See [`Field::references`].
    fn references(_field: &F, _visit: &mut dyn FnMut(EntityId)) {}
    /// See [`Field::reference_changes`].
    fn reference_changes(_before: &F, _after: &F, _visit: &mut dyn FnMut(bool, EntityId)) {}
    /// See [`Field::handle`].
    fn handle(_field: &F) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
    /// See [`Field::restore`].
    fn restore(_handle: &Arc<dyn Any + Send + Sync>) -> Option<F> {
        None
    }
    /// See [`Field::adopt`].
    fn adopt(_field: &mut F, _child: &Arc<dyn AnyCell>) -> bool {
        false
    }
    /// See [`Field::reach`].
    fn reach(_field: &mut F, _id: EntityId, _write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        false
    }
    /// See [`Field::forget`].
    fn forget(_field: &mut F) {}
    /// See [`Field::unsealed`].
    fn unsealed<'a>(_field: &'a F, _visit: &mut dyn FnMut(&'a dyn Slot)) {}
    /// See [`Field::digest`].
    fn digest(field: &F, into: &mut Digester) {
        Self::encode(field).digest(into);
    }
    /// See [`Field::absent`].
    fn absent() -> Option<F> {
        None
    }
}

/// The handling of types that are [`Field`]s themselves.
pub struct Native;

impl<F: Field> Handling<F> for Native {
    fn layout(layouter: &mut Layouter) -> String {
        F::layout(layouter)
    }
    fn encode(field: &F) -> Value {
        field.encode()
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<F, DecodeError> {
        F::decode(value, source)
    }
    fn same<'a>(before: &'a F, after: &'a F, pairs: &mut Pairs<'a>) -> bool {
        before.same(after, pairs)
    }
    fn delta(before: &F, after: &F, key: Option<&str>) -> Option<Delta> {
        before.delta(after, key)
    }
    fn slots<'a>(field: &'a F, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
        if F::HOLDS_ENTITIES {
            field.slots(visit);
        }
    }
    fn pair<'a>(before: &'a F, after: &'a F, visit: &mut dyn FnMut(ChildChange<'a>)) {
        if F::HOLDS_ENTITIES {
            before.pair(after, visit);
        }
    }
    fn find(field: &F, id: EntityId) -> Option<(Key, &dyn Slot)> {
        if F::HOLDS_ENTITIES { field.find(id) } else { None }
    }
    fn owned(field: &F) -> usize {
        if F::HOLDS_ENTITIES { field.owned() } else { 0 }
    }
    fn references(field: &F, visit: &mut dyn FnMut(EntityId)) {
        field.references(visit);
    }
    fn reference_changes(before: &F, after: &F, visit: &mut dyn FnMut(bool, EntityId)) {
        before.reference_changes(after, visit);
    }
    fn handle(field: &F) -> Option<Arc<dyn Any + Send + Sync>> {
        field.handle()
    }
    fn restore(handle: &Arc<dyn Any + Send + Sync>) -> Option<F> {
        F::restore(handle)
    }
    fn adopt(field: &mut F, child: &Arc<dyn AnyCell>) -> bool {
        F::HOLDS_ENTITIES && field.adopt(child)
    }
    fn reach(field: &mut F, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        F::INLINES && field.reach(id, write)
    }
    fn forget(field: &mut F) {
        if F::FORGETS {
            field.forget();
        }
    }
    fn unsealed<'a>(field: &'a F, visit: &mut dyn FnMut(&'a dyn Slot)) {
        if F::HOLDS_ENTITIES {
            field.unsealed(visit);
        }
    }
    fn digest(field: &F, into: &mut Digester) {
        field.digest(into);
    }
    fn absent() -> Option<F> {
        F::absent()
    }
}

/// Visits the fields of an entity; `index` counts the stored fields.
pub trait Visit<'a> {
    /// One field.
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F);
}

/// Visits the fields of two entities of one type.
pub trait VisitPair<'a> {
    /// One field of both.
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F);
    /// One field of both that is the same where `same` says so.
    fn judged<W: Handling<F>, F: 'static>(
        &mut self,
        index: usize,
        before: &'a F,
        after: &'a F,
        same: fn(&F, &F) -> bool,
    );
}

/// Visits the fields of an entity for writing.
pub trait VisitMut {
    /// One field.
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &mut F);
}
