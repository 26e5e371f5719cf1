//! Entities without their type: what the engine works on.

use std::any::Any;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    AnyCell, Cell, ChildChange, Entity, Handling, Key, Pairs, Record, Slot, TypeRow, Visit, VisitMut, VisitPair, record,
};
use crate::digest::{Digest, Digester};
use crate::id::EntityId;
use crate::schema::{FieldMeta, Meta};
use crate::value::{Delta, Name, Value};

/// The positions of some stored fields.
pub type FieldSet = SmallVec<[u16; 4]>;

/// What a comparison of one entity's own state found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Nothing.
    Same,
    /// These fields differ.
    Fields(FieldSet),
    /// It is of another type now: a different variant of an enum of entities.
    Retyped,
}

/// An entity of whatever type.
pub trait AnyEntity: Send + Sync {
    /// Its identity.
    fn entity_id(&self) -> EntityId;
    /// The row of this very value.
    fn meta_of(&self) -> &'static Meta;
    /// What the engine knows of its type; for a variant that of the enum.
    fn row(&self) -> &'static TypeRow;
    /// It, to be downcast.
    fn as_any(&self) -> &dyn Any;
    /// Compares its own state with that of `after`, an entity of the same Rust type; owned entities to be compared
    /// themselves are added to `pairs`, but for those of differing fields.
    fn compare<'a>(&'a self, after: &'a dyn AnyEntity, pairs: &mut Pairs<'a>) -> Comparison;
    /// Tells how the owned entities of one field differ.
    fn pair<'a>(&'a self, field: u16, after: &'a dyn AnyEntity, visit: &mut dyn FnMut(ChildChange<'a>));
    /// Visits the owned entities: field, place, entity.
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(u16, Key, &'a dyn Slot));
    /// The entity `id`, if it is owned directly.
    fn find(&self, id: EntityId) -> Option<(u16, Key, &dyn Slot)>;
    /// How many entities it owns directly.
    fn owned(&self) -> usize;
    /// Visits the entities that it refers to: field, id.
    fn references(&self, visit: &mut dyn FnMut(u16, EntityId));
    /// Tells which references of one field are gone (`false`) and which are new (`true`).
    fn reference_changes(&self, field: u16, after: &dyn AnyEntity, visit: &mut dyn FnMut(bool, EntityId));
    /// Its own state without the entities it holds by value.
    fn record(&self) -> Record;
    /// Its stored fields in canonical form, a variant around them for an enum of entities.
    fn encode(&self) -> Value;
    /// One stored field in canonical form.
    fn encode_field(&self, field: u16) -> Value;
    /// What differs in one field, element by element.
    fn delta(&self, field: u16, after: &dyn AnyEntity) -> Option<Delta>;
    /// Puts `child` in place of the owned entity of its id; `false` if there is none.
    fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool;
    /// Lets `write` change the entity `id`, if it is held by value directly; `false` if none is.
    fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool;
    /// Becomes a copy of `other`; `false` if that is of another Rust type.
    fn copy_from(&mut self, other: &dyn AnyEntity) -> bool;
    /// Forgets skipped fields and keeps what its own comparison judges equal to `before`.
    fn settle(&mut self, before: Option<&dyn AnyEntity>);
    /// Whether a field differs from that of `before` which its own comparison judges equal.
    fn is_judged_apart(&self, before: &dyn AnyEntity) -> bool;
    /// A cell around a copy.
    fn to_cell(&self) -> Arc<dyn AnyCell>;
    /// The digest of its stored values and its children's digests.
    fn digest(&self) -> Digest;
    /// Visits the shared handles, direct or within entities held by value, whose digest is not known yet.
    fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot));
}

impl<T: Entity> AnyEntity for T {
    fn entity_id(&self) -> EntityId {
        Entity::entity_id(self)
    }
    fn meta_of(&self) -> &'static Meta {
        Entity::meta_of(self)
    }
    fn row(&self) -> &'static TypeRow {
        TypeRow::of::<T>()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn compare<'a>(&'a self, after: &'a dyn AnyEntity, pairs: &mut Pairs<'a>) -> Comparison {
        let Some(after) = after.as_any().downcast_ref::<T>() else {
            return Comparison::Retyped;
        };
        let mut compare = Compare { pairs, differ: FieldSet::new() };
        if !self.visit_pair(after, &mut compare) {
            return Comparison::Retyped;
        }
        if compare.differ.is_empty() { Comparison::Same } else { Comparison::Fields(compare.differ) }
    }
    fn pair<'a>(&'a self, field: u16, after: &'a dyn AnyEntity, visit: &mut dyn FnMut(ChildChange<'a>)) {
        if let Some(after) = after.as_any().downcast_ref::<T>() {
            self.visit_pair(after, &mut PairField { field: field.into(), visit });
        }
    }
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(u16, Key, &'a dyn Slot)) {
        self.visit(&mut Slots(visit));
    }
    fn find(&self, id: EntityId) -> Option<(u16, Key, &dyn Slot)> {
        let mut find = Find { id, found: None };
        self.visit(&mut find);
        find.found
    }
    fn owned(&self) -> usize {
        let mut count = Count(0);
        self.visit(&mut count);
        count.0
    }
    fn references(&self, visit: &mut dyn FnMut(u16, EntityId)) {
        self.visit(&mut References(visit));
    }
    fn reference_changes(&self, field: u16, after: &dyn AnyEntity, visit: &mut dyn FnMut(bool, EntityId)) {
        if let Some(after) = after.as_any().downcast_ref::<T>() {
            self.visit_pair(after, &mut ReferenceChanges { field: field.into(), visit });
        }
    }
    fn record(&self) -> Record {
        record::record(self)
    }
    fn encode(&self) -> Value {
        let meta = Entity::meta_of(self);
        let mut encode = Encode { meta, fields: Vec::with_capacity(meta.fields.len()) };
        self.visit(&mut encode);
        let fields = Value::Struct(encode.fields);
        if T::META.variants.is_empty() { fields } else { Value::variant(meta.name, fields) }
    }
    fn encode_field(&self, field: u16) -> Value {
        let mut encode = EncodeField { field: field.into(), value: Value::Null };
        self.visit(&mut encode);
        encode.value
    }
    fn delta(&self, field: u16, after: &dyn AnyEntity) -> Option<Delta> {
        let after = after.as_any().downcast_ref::<T>()?;
        let meta = &Entity::meta_of(self).fields[usize::from(field)];
        let mut delta = DeltaField { field: field.into(), meta, delta: None };
        self.visit_pair(after, &mut delta);
        delta.delta
    }
    fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
        let mut adopt = Adopt { child, done: false };
        self.visit_mut(&mut adopt);
        adopt.done
    }
    fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        let mut reach = Reach { id, write, done: false };
        self.visit_mut(&mut reach);
        reach.done
    }
    fn copy_from(&mut self, other: &dyn AnyEntity) -> bool {
        let Some(other) = other.as_any().downcast_ref::<T>() else { return false };
        self.clone_from(other);
        true
    }
    fn settle(&mut self, before: Option<&dyn AnyEntity>) {
        self.forget_skipped();
        self.visit_mut(&mut Forget);
        if let Some(before) = before.and_then(|before| before.as_any().downcast_ref::<T>()) {
            self.keep_judged(before);
        }
    }
    fn is_judged_apart(&self, before: &dyn AnyEntity) -> bool {
        let mut judged = JudgedApart(false);
        before.as_any().downcast_ref::<T>().is_some_and(|before| before.visit_pair(self, &mut judged)) && judged.0
    }
    fn to_cell(&self) -> Arc<dyn AnyCell> {
        Arc::new(Cell::new(self.clone()))
    }
    fn digest(&self) -> Digest {
        seal_below(self);
        digest_entity(self)
    }
    fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
        self.visit(&mut Unsealed(visit));
    }
}

/// Whether an entity is as it was, and what it owns behind handles is not even another copy. O(fields); never a yes for
/// one that holds entities by value, since that is for the walk to say.
#[inline]
pub(crate) fn is_untouched<T: Entity>(before: &T, after: &T) -> bool {
    let mut pairs = Pairs::new();
    !T::HOLDS_INLINE
        && Entity::entity_id(before) == Entity::entity_id(after)
        && same_own(before, after, &mut pairs)
        && pairs.is_empty()
}

/// Whether the own states are the same; if not, `pairs` is as it was.
pub(super) fn same_own<'a, T: Entity>(before: &'a T, after: &'a T, pairs: &mut Pairs<'a>) -> bool {
    let known = pairs.len();
    let mut same = SameOwn { pairs, same: true };
    let same = before.visit_pair(after, &mut same) && same.same;
    if !same {
        pairs.truncate(known);
    }
    same
}

struct SameOwn<'p, 'a> {
    pairs: &'p mut Pairs<'a>,
    same: bool,
}

impl<'a> VisitPair<'a> for SameOwn<'_, 'a> {
    #[inline]
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, before: &'a F, after: &'a F) {
        self.same = self.same && W::same(before, after, self.pairs);
    }
    fn judged<W: Handling<F>, F: 'static>(&mut self, _: usize, before: &'a F, after: &'a F, same: fn(&F, &F) -> bool) {
        self.same = self.same && same(before, after);
    }
}

struct Compare<'p, 'a> {
    pairs: &'p mut Pairs<'a>,
    differ: FieldSet,
}

impl Compare<'_, '_> {
    fn differs(&mut self, index: usize) {
        self.differ.push(u16::try_from(index).expect("the derive refuses more fields"));
    }
}

impl<'a> VisitPair<'a> for Compare<'_, 'a> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F) {
        let known = self.pairs.len();
        if !W::same(before, after, self.pairs) {
            self.pairs.truncate(known);
            self.differs(index);
        }
    }
    fn judged<W: Handling<F>, F: 'static>(
        &mut self,
        index: usize,
        before: &'a F,
        after: &'a F,
        same: fn(&F, &F) -> bool,
    ) {
        if !same(before, after) {
            self.differs(index);
        }
    }
}

struct JudgedApart(bool);

impl<'a> VisitPair<'a> for JudgedApart {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, _: &'a F, _: &'a F) {}
    fn judged<W: Handling<F>, F: 'static>(&mut self, _: usize, before: &'a F, after: &'a F, same: fn(&F, &F) -> bool) {
        self.0 = self.0 || !W::same(before, after, &mut Pairs::new()) && same(before, after);
    }
}

struct PairField<'v, 'a> {
    field: usize,
    visit: &'v mut dyn FnMut(ChildChange<'a>),
}

impl<'a> VisitPair<'a> for PairField<'_, 'a> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F) {
        if index == self.field {
            W::pair(before, after, self.visit);
        }
    }
    fn judged<W: Handling<F>, F: 'static>(&mut self, _: usize, _: &'a F, _: &'a F, _: fn(&F, &F) -> bool) {}
}

struct DeltaField {
    field: usize,
    meta: &'static FieldMeta,
    delta: Option<Delta>,
}

impl<'a> VisitPair<'a> for DeltaField {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F) {
        if index == self.field {
            self.delta = match self.meta.unordered {
                true => Delta::between_unordered(W::encode(before), W::encode(after)),
                false => W::delta(before, after, self.meta.key),
            };
        }
    }
    fn judged<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F, _: fn(&F, &F) -> bool) {
        self.field::<W, F>(index, before, after);
    }
}

struct Slots<'v, 'a>(&'v mut dyn FnMut(u16, Key, &'a dyn Slot));

impl<'a> Visit<'a> for Slots<'_, 'a> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        let index = u16::try_from(index).expect("the derive refuses more fields");
        W::slots(field, &mut |key, slot| (self.0)(index, key, slot));
    }
}

struct Find<'a> {
    id: EntityId,
    found: Option<(u16, Key, &'a dyn Slot)>,
}

impl<'a> Visit<'a> for Find<'a> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        if self.found.is_none() {
            let index = u16::try_from(index).expect("the derive refuses more fields");
            self.found = W::find(field, self.id).map(|(key, slot)| (index, key, slot));
        }
    }
}

struct Count(usize);

impl<'a> Visit<'a> for Count {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &'a F) {
        self.0 += W::owned(field);
    }
}

struct References<'v>(&'v mut dyn FnMut(u16, EntityId));

impl<'a> Visit<'a> for References<'_> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        let index = u16::try_from(index).expect("the derive refuses more fields");
        W::references(field, &mut |id| (self.0)(index, id));
    }
}

struct ReferenceChanges<'v> {
    field: usize,
    visit: &'v mut dyn FnMut(bool, EntityId),
}

impl<'a> VisitPair<'a> for ReferenceChanges<'_> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F) {
        if index == self.field {
            W::reference_changes(before, after, self.visit);
        }
    }
    fn judged<W: Handling<F>, F: 'static>(&mut self, index: usize, before: &'a F, after: &'a F, _: fn(&F, &F) -> bool) {
        self.field::<W, F>(index, before, after);
    }
}

struct Encode {
    meta: &'static Meta,
    fields: Vec<(Name, Value)>,
}

impl<'a> Visit<'a> for Encode {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        self.fields.push((Name::Borrowed(self.meta.fields[index].name), W::encode(field)));
    }
}

struct EncodeField {
    field: usize,
    value: Value,
}

impl<'a> Visit<'a> for EncodeField {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        if index == self.field {
            self.value = W::encode(field);
        }
    }
}

struct Adopt<'c> {
    child: &'c Arc<dyn AnyCell>,
    done: bool,
}

impl VisitMut for Adopt<'_> {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &mut F) {
        self.done = self.done || W::adopt(field, self.child);
    }
}

struct Reach<'w> {
    id: EntityId,
    write: &'w mut dyn FnMut(&mut dyn AnyEntity),
    done: bool,
}

impl VisitMut for Reach<'_> {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &mut F) {
        self.done = self.done || W::reach(field, self.id, self.write);
    }
}

struct Forget;

impl VisitMut for Forget {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &mut F) {
        W::forget(field);
    }
}

struct Unsealed<'v, 'a>(&'v mut dyn FnMut(&'a dyn Slot));

impl<'a> Visit<'a> for Unsealed<'_, 'a> {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &'a F) {
        W::unsealed(field, self.0);
    }
}

struct Digests<'d>(&'d mut Digester);

impl<'a> Visit<'a> for Digests<'_> {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        self.0.number(index as u64);
        W::digest(field, self.0);
    }
}

/// The digest of an entity's stored values and its children's digests: canonical, so the fields count by name.
pub(super) fn digest_entity<T: Entity>(entity: &T) -> Digest {
    let meta = Entity::meta_of(entity);
    let mut digester = Digester::new();
    digester.bytes(meta.name.as_bytes());
    digester.fixed(Entity::entity_id(entity).as_bytes());
    digester.number(meta.fields.len() as u64);
    for field in meta.fields {
        digester.bytes(field.name.as_bytes());
    }
    entity.visit(&mut Digests(&mut digester));
    digester.finish()
}

/// Digests all shared handles below, the deepest first: no depth can overflow the stack.
pub(super) fn seal_below(entity: &dyn AnyEntity) {
    let mut stack: Vec<Arc<dyn AnyCell>> = Vec::new();
    entity.unsealed(&mut |slot| stack.extend(slot.cell()));
    while let Some(cell) = stack.last() {
        let cell = Arc::clone(cell);
        let known = stack.len();
        if cell.known_digest().is_none() {
            cell.entity().unsealed(&mut |slot| {
                stack.extend(slot.cell().filter(|cell| cell.known_digest().is_none()));
            });
        }
        if stack.len() == known {
            cell.digest();
            stack.pop();
        }
    }
}
