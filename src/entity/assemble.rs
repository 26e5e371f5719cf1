//! Building an entity or a value from what is read.

use std::borrow::Cow;
use std::sync::Arc;

use super::{AnyCell, Entity, Handling, Load};
use crate::id::EntityId;
use crate::schema::{FieldMeta, Meta};
use crate::value::{DecodeError, Name, Value};

/// Where owned entities come from while their owner is read.
pub trait Source {
    /// The entity `id`.
    ///
    /// # Errors
    /// There is none, or it is not of the type `expected`.
    fn cell(&mut self, id: EntityId, expected: &'static Meta) -> Result<Arc<dyn AnyCell>, DecodeError>;

    /// Where shared handles get their entities from when somebody looks; `None` if they take them at once.
    fn loader(&self) -> Option<Arc<dyn Load>> {
        None
    }
}

/// A source for values that own no entities.
pub struct NoSource;

impl Source for NoSource {
    fn cell(&mut self, id: EntityId, _: &'static Meta) -> Result<Arc<dyn AnyCell>, DecodeError> {
        Err(DecodeError::saying("a plain value", format!("the entity {id}")))
    }
}

/// Hands out the fields of what is read, one by one.
pub trait Assemble {
    /// Whether what is read is of this type; for an enum of entities, whether it is one of its variants.
    fn is(&self, meta: &'static Meta) -> bool;
    /// The error for a variant that none of the enum's is.
    fn unknown_variant(&self, meta: &'static Meta) -> DecodeError;
    /// The field `meta` names.
    ///
    /// # Errors
    /// It is not of its type, or it is missing and has no default.
    fn field<W: Handling<F>, F: 'static>(
        &mut self,
        meta: &'static FieldMeta,
        default: Option<fn() -> F>,
    ) -> Result<F, DecodeError>;
}

/// The fields of a struct, a variant or a tuple as they were read.
pub(super) enum Parts<'v> {
    Fields(&'v [(Name, Value)]),
    Entries(&'v [(Value, Value)]),
    Items(&'v [Value]),
    One(&'v Value),
    Nothing,
}

impl<'v> Parts<'v> {
    /// The parts of a value read as a struct with named fields.
    pub(super) fn named(value: &'v Value) -> Option<Self> {
        match value {
            Value::Struct(fields) => Some(Parts::Fields(fields)),
            Value::Map(entries) => Some(Parts::Entries(entries)),
            _ => None,
        }
    }

    fn get(&self, field: &FieldMeta) -> Option<&'v Value> {
        let by_name = |name: &str| match self {
            Parts::Fields(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Parts::Entries(entries) => entries
                .iter()
                .find(|(key, _)| matches!(key, Value::Text(text) if &**text == name))
                .map(|(_, value)| value),
            Parts::Items(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            Parts::One(value) => Some(*value),
            Parts::Nothing => None,
        };
        by_name(field.name).or_else(|| field.aliases.iter().find_map(|alias| by_name(alias)))
    }

    fn names(&self) -> Vec<Cow<'v, str>> {
        match self {
            Parts::Fields(fields) => fields.iter().map(|(name, _)| Cow::Borrowed(name.as_ref())).collect(),
            Parts::Entries(entries) => entries
                .iter()
                .map(|(key, _)| match key {
                    Value::Text(text) => Cow::Borrowed(&**text),
                    other => Cow::Owned(other.to_string()),
                })
                .collect(),
            Parts::Items(items) => (0..items.len()).map(|index| Cow::Owned(index.to_string())).collect(),
            Parts::One(_) | Parts::Nothing => Vec::new(),
        }
    }

    /// Refuses what no field would take: it would be lost without a word.
    pub(super) fn refuse_unknown(&self, fields: &[FieldMeta], also: Option<&str>) -> Result<(), DecodeError> {
        for name in self.names() {
            let known = fields.iter().any(|field| field.name == name || field.aliases.contains(&name.as_ref()));
            if !known && also != Some(name.as_ref()) {
                let expected: Vec<&str> = fields.iter().map(|field| field.name).collect();
                return Err(DecodeError::saying(
                    format!("one of the fields {}", expected.join(", ")),
                    format!("a field {name}"),
                ));
            }
        }
        Ok(())
    }
}

pub(super) struct Assembler<'v, 's> {
    /// The name of the variant that is read, for an enum of entities.
    pub(super) variant: Option<&'v str>,
    pub(super) parts: Parts<'v>,
    pub(super) source: &'s mut dyn Source,
}

impl Assemble for Assembler<'_, '_> {
    fn is(&self, meta: &'static Meta) -> bool {
        let Some(variant) = self.variant else { return true };
        if meta.variants.is_empty() {
            return meta.name == variant || meta.aliases.contains(&variant);
        }
        meta.variants.iter().any(|inner| self.is(inner()))
    }

    fn unknown_variant(&self, meta: &'static Meta) -> DecodeError {
        let names: Vec<&str> = meta.variants.iter().map(|variant| variant().name).collect();
        DecodeError::saying(format!("one of {}", names.join(", ")), self.variant.unwrap_or("none").to_owned())
    }

    fn field<W: Handling<F>, F: 'static>(
        &mut self,
        meta: &'static FieldMeta,
        default: Option<fn() -> F>,
    ) -> Result<F, DecodeError> {
        match self.parts.get(meta) {
            Some(value) => W::decode(value, self.source).map_err(|error| error.within(meta.name)),
            None => default
                .map(|default| default())
                .or_else(W::absent)
                .ok_or_else(|| DecodeError::saying(format!("a field {}", meta.name), "none")),
        }
    }
}

/// Reads an entity from the canonical form of its stored fields.
///
/// # Errors
/// A field is missing, unknown or not of its type, or `source` lacks an owned entity.
pub fn decode_entity<T: Entity>(id: EntityId, value: &Value, source: &mut dyn Source) -> Result<T, DecodeError> {
    let (variant, fields) = match (T::META.variants.is_empty(), value) {
        (true, value) => (None, Cow::Borrowed(value)),
        (false, Value::Variant(variant)) => (Some(variant.0.to_string()), Cow::Borrowed(&variant.1)),
        (false, Value::Map(entries)) => match entries.as_slice() {
            [(Value::Text(name), fields)] => (Some(name.to_string()), Cow::Borrowed(fields)),
            _ => return Err(DecodeError::new(format!("a variant of {}", T::META.name), value)),
        },
        (false, other) => return Err(DecodeError::new(format!("a variant of {}", T::META.name), other)),
    };
    let parts =
        Parts::named(&fields).ok_or_else(|| DecodeError::new(format!("the fields of {}", T::META.name), value))?;
    let mut assembler = Assembler { variant: variant.as_deref(), parts, source };
    if let Some(meta) = leaf_meta(T::META, &assembler) {
        assembler.parts.refuse_unknown(meta.fields, Some(meta.id))?;
    }
    T::assemble(id, &mut assembler)
}

/// The row of the variant that is read.
fn leaf_meta(meta: &'static Meta, assembler: &Assembler<'_, '_>) -> Option<&'static Meta> {
    if meta.variants.is_empty() {
        return Some(meta);
    }
    meta.variants
        .iter()
        .map(|variant| variant())
        .find(|inner| assembler.is(inner))
        .and_then(|inner| leaf_meta(inner, assembler))
}
