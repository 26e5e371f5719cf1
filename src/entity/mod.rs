//! Entities and their fields: the traits that the derive implements, and the same without types.

mod assemble;
mod cell;
mod containers;
mod erased;
mod field;
mod foreign;
mod kept;
mod load;
mod maps;
mod record;
mod row;
mod scalars;
mod slot;
#[cfg(feature = "erasure")]
pub mod subject;
pub mod value_type;

pub use assemble::{Assemble, NoSource, Source, decode_entity};
pub use cell::{AnyCell, Cell};
pub(crate) use cell::{decode_cell, downcast};
pub(crate) use erased::is_untouched;
pub use erased::{AnyEntity, Comparison, FieldSet};
pub use field::{Field, Handling, Native, Plain, Visit, VisitMut, VisitPair};
pub(crate) use foreign::EncodeFailure;
pub use foreign::Foreign;
pub use kept::{EntityField, ForeignField, OwnId, ValueField};
pub use load::{Load, LoadError, Stamp};
pub(crate) use record::owned_ids;
pub use record::{Part, Record};
pub use row::TypeRow;
pub(crate) use slot::pair_slots;
pub use slot::{ChildChange, Key, Pairs, Slot};
pub use value_type::{ValueFields, ValueType};

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::digest::{Digest, Digester};
use crate::id::{EntityId, Id};
use crate::schema::{Layouter, Meta};
use crate::value::{DecodeError, Value};

/// A type whose values have an identity that outlives their changes. Implement it with `#[derive(Entity)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "expected a type with `#[derive(Entity)]`",
    note = "put `#[derive(Entity, Clone)]` on `{Self}` and give it a field `id: Id<Self>`"
)]
pub trait Entity: Field {
    /// The type's static row.
    const META: &'static Meta;
    /// Whether some field holds entities by value.
    const HOLDS_INLINE: bool;
    /// Whether the type itself has skipped or specially compared fields.
    const SETTLES: bool;

    /// The identity of this entity.
    fn entity_id(&self) -> EntityId;

    /// The row of this very value: for an enum of entities that of the variant.
    fn meta_of(&self) -> &'static Meta {
        Self::META
    }

    /// Visits each stored field.
    fn visit<'a, V: Visit<'a>>(&'a self, visit: &mut V);

    /// Visits each stored field together with the same field of `after`; `false`, and no visit, if the two are
    /// different variants.
    fn visit_pair<'a, V: VisitPair<'a>>(&'a self, after: &'a Self, visit: &mut V) -> bool;

    /// Visits each stored field for writing.
    fn visit_mut<V: VisitMut>(&mut self, visit: &mut V);

    /// Builds the entity from its fields.
    ///
    /// # Errors
    /// A field is missing or not of its type.
    fn assemble<S: Assemble>(id: EntityId, source: &mut S) -> Result<Self, DecodeError>;

    /// Takes from `before` the fields that their own comparison judges equal.
    fn keep_judged(&mut self, _before: &Self) {}

    /// Puts `Default` in the skipped fields.
    fn forget_skipped(&mut self) {}
}

/// Something that names an entity: an [`EntityId`], or an [`Id`] that also tells its type.
pub trait Identity {
    /// The identity.
    fn identity(&self) -> EntityId;
    /// What the engine knows of its type.
    #[doc(hidden)]
    fn row(&self) -> Option<&'static TypeRow>;
}

impl Identity for EntityId {
    fn identity(&self) -> EntityId {
        *self
    }
    fn row(&self) -> Option<&'static TypeRow> {
        None
    }
}

impl<T: Entity> Identity for Id<T> {
    fn identity(&self) -> EntityId {
        self.entity_id()
    }
    fn row(&self) -> Option<&'static TypeRow> {
        Some(TypeRow::of::<T>())
    }
}

/// A stored field of an entity type, named by a constant of that type such as `Student::GPA`.
pub struct FieldToken<E, F> {
    index: usize,
    get: fn(&E) -> &F,
    of: PhantomData<fn(E) -> F>,
}

impl<E, F> FieldToken<E, F> {
    /// The field at `index` among the stored ones of `E`. For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(index: usize, get: fn(&E) -> &F) -> Self {
        Self { index, get, of: PhantomData }
    }
}

impl<E: Entity, F> FieldToken<E, F> {
    /// The stored name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        E::META.fields[self.index].name
    }

    /// The position among the stored fields.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The field of `entity`.
    #[must_use]
    pub fn get<'a>(&self, entity: &'a E) -> &'a F {
        (self.get)(entity)
    }
}

impl<E, F> Clone for FieldToken<E, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, F> Copy for FieldToken<E, F> {}

impl<E: Entity, F> fmt::Debug for FieldToken<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", E::META.name, self.name())
    }
}

/// What the derive writes for an entity held by value as a field: each is one line there and the code stands here.
pub mod inline {
    use std::any::TypeId;

    use super::{
        AnyCell, AnyEntity, Arc, DecodeError, Digest, Digester, Entity, EntityId, Layouter, Pairs, Source, Value,
        erased,
    };
    use crate::schema::EntityType;

    /// The layout of an entity field is the name of its type: its own layout stands on its own.
    pub fn layout<T: Entity>(layouter: &mut Layouter) -> String {
        let type_id = TypeId::of::<T>();
        let (meta, settles) = (T::META, <T as Entity>::SETTLES);
        layouter.entities.push(EntityType { type_id, meta, row: super::TypeRow::of::<T>(), settles });
        format!("@{}", T::META.full_name())
    }

    /// Reads an owned entity from where it stands.
    ///
    /// # Errors
    /// `value` is no entity, or `source` has none of this type under its id.
    pub fn decode<T: Entity>(value: &Value, source: &mut dyn Source) -> Result<T, DecodeError> {
        super::cell::decode_cell::<T>(value, source).map(|cell| cell.value().clone())
    }

    /// Whether both are the same entity. If its own state differs it is to be compared itself; if not, those that it
    /// holds by value have been looked through here, at the speed of a derived `==`.
    pub fn same<'a, T: Entity>(before: &'a T, after: &'a T, pairs: &mut Pairs<'a>) -> bool {
        let same = before.entity_id() == after.entity_id();
        if same && (pairs.every || !erased::same_own(before, after, pairs)) {
            pairs.push((before, after));
        }
        same
    }

    /// Takes the value of `cell` if it is this entity.
    pub fn adopt<T: Entity>(entity: &mut T, cell: &Arc<dyn AnyCell>) -> bool {
        let fits = entity.entity_id() == cell.entity().entity_id();
        match cell.entity().as_any().downcast_ref::<T>() {
            Some(value) if fits => entity.clone_from(value),
            _ => return false,
        }
        true
    }

    /// Lets `write` change it if it is the entity `id`.
    pub fn reach<T: Entity>(entity: &mut T, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        let fits = entity.entity_id() == id;
        if fits {
            write(entity);
        }
        fits
    }

    /// Puts `Default` in the skipped fields, its own and those of the entities it holds by value.
    pub fn forget<T: Entity>(entity: &mut T) {
        AnyEntity::settle(entity, None);
    }

    /// Writes the digest of the entity.
    pub fn digest<T: Entity>(entity: &T, into: &mut Digester) {
        into.digest(of(entity));
    }

    fn of<T: Entity>(entity: &T) -> Digest {
        erased::digest_entity(entity)
    }
}
