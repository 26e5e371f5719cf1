//! What the engine knows of an entity type: one static row each.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use once_cell::sync::OnceCell;

use super::record::{Record, restore};
use super::{AnyCell, Cell, Entity, Source, decode_entity};
use crate::id::EntityId;
use crate::schema::{EntityType, FieldMeta, Layouter, Meta, Role};
use crate::value::{DecodeError, Value};

type Decode = fn(EntityId, &Value, &mut dyn Source) -> Result<Arc<dyn AnyCell>, DecodeError>;
type Restore = fn(EntityId, &Record, &mut dyn Source) -> Result<Arc<dyn AnyCell>, DecodeError>;

/// What was worked out of types, by their Rust type.
type Known = OnceCell<RwLock<HashMap<TypeId, bool, ahash::RandomState>>>;

/// An entity type without its type.
pub struct TypeRow {
    /// The static row that the derive wrote.
    pub meta: &'static Meta,
    /// Whether some field holds entities by value.
    pub holds_inline: bool,
    settles: bool,
    type_id: fn() -> TypeId,
    type_name: fn() -> &'static str,
    decode: Decode,
    restore: Restore,
}

impl TypeRow {
    /// The row of `T`.
    #[must_use]
    pub const fn of<T: Entity>() -> &'static TypeRow {
        &const {
            TypeRow {
                meta: T::META,
                holds_inline: T::HOLDS_INLINE,
                settles: <T as Entity>::SETTLES,
                type_id: TypeId::of::<T>,
                type_name: std::any::type_name::<T>,
                decode: |id, value, source| Ok(Arc::new(Cell::new(decode_entity::<T>(id, value, source)?))),
                restore: |id, record, source| Ok(Arc::new(Cell::new(restore::<T>(id, record, source)?))),
            }
        }
    }

    /// Whether the type itself has skipped or specially compared fields, or holds by value, at any depth, an entity of a
    /// type that has. Worked out once per type.
    #[must_use]
    pub fn settles(&self) -> bool {
        static KNOWN: Known = OnceCell::new();
        self.settles || (self.holds_inline && self.settles_within(&KNOWN, true))
    }

    /// Whether anything that such an entity can own, by value or by handle, must be settled. Worked out once per type.
    #[must_use]
    pub fn settles_anywhere(&self) -> bool {
        static KNOWN: Known = OnceCell::new();
        let owns = self.holds_inline || !self.meta.variants.is_empty() || self.meta.fields.iter().any(owns);
        self.settles || (owns && self.settles_within(&KNOWN, false))
    }

    fn settles_within(&self, known: &'static Known, by_value: bool) -> bool {
        let known = known.get_or_init(RwLock::default);
        if let Some(settles) = known.read().unwrap_or_else(PoisonError::into_inner).get(&self.type_id()) {
            return *settles;
        }
        // Types may own each other in a ring, which constants cannot follow.
        let mut seen = HashSet::new();
        let mut stack = owned_types(self.meta, by_value);
        let mut settles = false;
        while let Some(inner) = stack.pop() {
            if seen.insert(inner.type_id) {
                settles |= inner.settles;
                stack.extend(owned_types(inner.meta, by_value));
            }
        }
        known.write().unwrap_or_else(PoisonError::into_inner).insert(self.type_id(), settles);
        settles
    }

    /// The types of the entities that it owns directly, by value or by handle.
    pub(crate) fn owned_rows(&self) -> Vec<&'static TypeRow> {
        owned_types(self.meta, false).iter().filter_map(|owned| owned.row.downcast_ref::<TypeRow>()).collect()
    }

    /// Whether both are of one type: the compiler may have made several rows of it.
    #[must_use]
    pub(crate) fn is(&self, other: &TypeRow) -> bool {
        std::ptr::eq(self, other) || self.type_id() == other.type_id()
    }

    /// The Rust type.
    #[must_use]
    pub fn type_id(&self) -> TypeId {
        (self.type_id)()
    }

    /// The name of the Rust type, with its path.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Reads an entity of this type from the canonical form of its stored fields.
    ///
    /// # Errors
    /// `value` is not of this type, or `source` lacks an owned entity.
    pub fn decode(
        &self,
        id: EntityId,
        value: &Value,
        source: &mut dyn Source,
    ) -> Result<Arc<dyn AnyCell>, DecodeError> {
        (self.decode)(id, value, source)
    }

    /// Builds an entity of this type from its record.
    ///
    /// # Errors
    /// As for [`TypeRow::decode`].
    pub fn restore(
        &self,
        id: EntityId,
        record: &Record,
        source: &mut dyn Source,
    ) -> Result<Arc<dyn AnyCell>, DecodeError> {
        (self.restore)(id, record, source)
    }
}

fn owns(field: &FieldMeta) -> bool {
    field.role == Role::Child
}

/// The entity types that a type owns directly, or only those that it holds by value.
fn owned_types(meta: &'static Meta, by_value: bool) -> Vec<EntityType> {
    let mut layouter = Layouter::default();
    for field in meta.fields.iter().filter(|field| field.inlines || (!by_value && owns(field))) {
        (field.layout)(&mut layouter);
    }
    let mut types = layouter.entities;
    types.extend(meta.variants.iter().flat_map(|variant| owned_types(variant(), by_value)));
    types
}

impl fmt::Debug for TypeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}
