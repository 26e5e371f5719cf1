//! Records: an entity's own state without the entities it holds by value.
//!
//! An entity that holds others by value cannot be kept as it is for each of its versions: every version would copy all
//! that it owns. So its versions are records, and a value is built from one when somebody reads it.

use std::any::Any;
use std::sync::Arc;

use super::{Assemble, Entity, Handling, Source, Visit};
use crate::id::EntityId;
use crate::schema::{FieldMeta, Meta};
use crate::value::{DecodeError, Value};

/// One field of a record.
#[derive(Clone)]
pub enum Part {
    /// The canonical form, with [`Value::Entity`] for owned entities.
    Value(Value),
    /// The handle of shared children, kept as it is: its items are shared with the values it was taken from.
    Handle(Arc<dyn Any + Send + Sync>),
}

/// An entity's own state: its stored fields in order.
#[derive(Clone)]
pub struct Record {
    /// The row of the value, for an enum of entities that of the variant.
    pub meta: &'static Meta,
    /// The stored fields.
    pub parts: Box<[Part]>,
}

impl Record {
    /// Visits the identities of the entities held by value.
    pub fn inline_entities(&self, visit: &mut dyn FnMut(EntityId)) {
        for part in &self.parts {
            if let Part::Value(value) = part {
                owned_ids(value, visit);
            }
        }
    }
}

/// Visits the owned entities that stand in a canonical form.
pub(crate) fn owned_ids(value: &Value, visit: &mut dyn FnMut(EntityId)) {
    match value {
        Value::Entity(id) => visit(*id),
        Value::List(items) | Value::Set(items) => items.iter().for_each(|item| owned_ids(item, visit)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| owned_ids(value, visit)),
        Value::Struct(fields) => fields.iter().for_each(|(_, value)| owned_ids(value, visit)),
        Value::Variant(variant) => owned_ids(&variant.1, visit),
        Value::Some(inner) => owned_ids(inner, visit),
        _ => {}
    }
}

/// The record of an entity.
pub(super) fn record<T: Entity>(entity: &T) -> Record {
    let meta = entity.meta_of();
    let mut take = Take(Vec::with_capacity(meta.fields.len()));
    entity.visit(&mut take);
    Record { meta, parts: take.0.into() }
}

struct Take(Vec<Part>);

impl<'a> Visit<'a> for Take {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &'a F) {
        self.0.push(match W::handle(field) {
            Some(handle) => Part::Handle(handle),
            None => Part::Value(W::encode(field)),
        });
    }
}

/// The entity of a record, with the entities it holds by value from `source`.
pub(super) fn restore<T: Entity>(id: EntityId, record: &Record, source: &mut dyn Source) -> Result<T, DecodeError> {
    T::assemble(id, &mut Give { record, source })
}

struct Give<'r, 's> {
    record: &'r Record,
    source: &'s mut dyn Source,
}

impl Assemble for Give<'_, '_> {
    fn is(&self, meta: &'static Meta) -> bool {
        if meta.variants.is_empty() {
            std::ptr::eq(meta, self.record.meta) || meta.name == self.record.meta.name
        } else {
            meta.variants.iter().any(|inner| self.is(inner()))
        }
    }

    fn unknown_variant(&self, meta: &'static Meta) -> DecodeError {
        DecodeError::saying(format!("a variant of {}", meta.name), self.record.meta.name)
    }

    fn field<W: Handling<F>, F: 'static>(
        &mut self,
        meta: &'static FieldMeta,
        _: Option<fn() -> F>,
    ) -> Result<F, DecodeError> {
        let part = self.record.meta.field(meta.name).and_then(|index| self.record.parts.get(index));
        match part {
            Some(Part::Handle(handle)) => {
                W::restore(handle).ok_or_else(|| DecodeError::saying(meta.name, "the handle of another type"))
            }
            Some(Part::Value(value)) => W::decode(value, self.source).map_err(|error| error.within(meta.name)),
            None => Err(DecodeError::saying(format!("a field {}", meta.name), "none")),
        }
    }
}
