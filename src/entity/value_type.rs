//! Plain structs and enums of the user's, as `#[derive(Value)]` describes them.

use super::assemble::{Assembler, Parts};
use super::{Assemble, Field, Handling, Pairs, Source, Visit, VisitPair};
use crate::id::EntityId;
use crate::schema::Layouter;
pub use crate::schema::{ValueFields, VariantRow};
use crate::value::{DecodeError, Delta, Name, Value};

/// What `#[derive(Value)]` writes.
pub trait ValueType: Field {
    /// The stored name.
    const NAME: &'static str;
    /// Whether it is an enum.
    const IS_ENUM: bool;
    /// The variants; a struct is one.
    const VARIANTS: &'static [VariantRow];
    /// The names of the type's parameters.
    const PARAMETERS: &'static [fn(&mut Layouter) -> String];

    /// Which variant this is.
    fn variant(&self) -> usize;
    /// Visits the fields of this variant.
    fn visit<'a, V: Visit<'a>>(&'a self, visit: &mut V);
    /// Visits the fields of both, if they are of one variant; else `false`.
    fn visit_pair<'a, V: VisitPair<'a>>(&'a self, after: &'a Self, visit: &mut V) -> bool;
    /// Builds a value of the variant from its fields.
    ///
    /// # Errors
    /// A field is missing or not of its type.
    fn build<S: Assemble>(variant: usize, source: &mut S) -> Result<Self, DecodeError>;
}

/// The canonical form.
pub fn encode<T: ValueType>(value: &T) -> Value {
    let (name, _, fields) = &T::VARIANTS[value.variant()];
    let mut encode = Encode { fields, named: Vec::new(), items: Vec::new() };
    value.visit(&mut encode);
    let holds = match fields {
        ValueFields::Named(_) => Value::Struct(encode.named),
        ValueFields::Tuple(_) => Value::List(encode.items),
        ValueFields::Newtype(_) => encode.items.pop().expect("a newtype has one field"),
        ValueFields::Unit => Value::Null,
    };
    if T::IS_ENUM { Value::variant(*name, holds) } else { holds }
}

struct Encode {
    fields: &'static ValueFields,
    named: Vec<(Name, Value)>,
    items: Vec<Value>,
}

impl<'a> Visit<'a> for Encode {
    fn field<W: Handling<F>, F: 'static>(&mut self, index: usize, field: &'a F) {
        match self.fields {
            ValueFields::Named(rows) => self.named.push((Name::Borrowed(rows[index].name), W::encode(field))),
            _ => self.items.push(W::encode(field)),
        }
    }
}

/// Reads the canonical form or what JSON makes of it.
///
/// # Errors
/// `value` is not of this type.
pub fn decode<T: ValueType>(value: &Value, source: &mut dyn Source) -> Result<T, DecodeError> {
    if !T::IS_ENUM {
        return build(0, value, source);
    }
    let (variant, holds) = variant_of::<T>(value)?;
    let name = T::VARIANTS[variant].0;
    build(variant, holds, source).map_err(|error| error.within(name))
}

/// Which variant a value says, and what the variant holds.
///
/// # Errors
/// `value` is no variant, or none of this type.
pub fn variant_of<T: ValueType>(value: &Value) -> Result<(usize, &Value), DecodeError> {
    let (name, holds): (&str, &Value) = match value {
        Value::Variant(variant) => (&variant.0, &variant.1),
        Value::Text(name) => (name, &Value::Null),
        Value::Map(entries) => match entries.as_slice() {
            [(Value::Text(name), holds)] => (name, holds),
            _ => return Err(DecodeError::new(format!("a variant of {}", T::NAME), value)),
        },
        _ => return Err(DecodeError::new(format!("a variant of {}", T::NAME), value)),
    };
    match T::VARIANTS.iter().position(|(variant, aliases, _)| *variant == name || aliases.contains(&name)) {
        Some(index) => Ok((index, holds)),
        None => {
            let names: Vec<&str> = T::VARIANTS.iter().map(|(name, _, _)| *name).collect();
            Err(DecodeError::saying(format!("one of {}", names.join(", ")), name.to_owned()))
        }
    }
}

fn build<T: ValueType>(variant: usize, value: &Value, source: &mut dyn Source) -> Result<T, DecodeError> {
    let fields = &T::VARIANTS[variant].2;
    let wrong = |expected: &str| DecodeError::new(format!("{expected} of {}", T::NAME), value);
    let parts = match fields {
        ValueFields::Named(_) => Parts::named(value).ok_or_else(|| wrong("the fields"))?,
        ValueFields::Tuple(rows) => match value {
            Value::List(items) if items.len() == rows.len() => Parts::Items(items),
            _ => return Err(wrong(&format!("a list of the {} fields", rows.len()))),
        },
        ValueFields::Newtype(_) => Parts::One(value),
        ValueFields::Unit => match value {
            Value::Null => Parts::Nothing,
            _ => return Err(wrong("null, the unit")),
        },
    };
    parts.refuse_unknown(fields.rows(), None)?;
    T::build(variant, &mut Assembler { variant: None, parts, source })
}

/// Whether the canonical forms are the same.
pub fn same<'a, T: ValueType>(before: &'a T, after: &'a T) -> bool {
    let mut pairs = Pairs::new();
    let mut same = Same { pairs: &mut pairs, same: true };
    before.visit_pair(after, &mut same) && same.same
}

struct Same<'p, 'a> {
    pairs: &'p mut Pairs<'a>,
    same: bool,
}

impl<'a> VisitPair<'a> for Same<'_, 'a> {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, before: &'a F, after: &'a F) {
        self.same = self.same && W::same(before, after, self.pairs);
    }
    fn judged<W: Handling<F>, F: 'static>(&mut self, _: usize, before: &'a F, after: &'a F, same: fn(&F, &F) -> bool) {
        self.same = self.same && same(before, after);
    }
}

/// Visits the entities that the value refers to.
pub fn references<T: ValueType>(value: &T, visit: &mut dyn FnMut(EntityId)) {
    value.visit(&mut References(visit));
}

struct References<'v>(&'v mut dyn FnMut(EntityId));

impl<'a> Visit<'a> for References<'_> {
    fn field<W: Handling<F>, F: 'static>(&mut self, _: usize, field: &'a F) {
        W::references(field, self.0);
    }
}

/// Defines the layout and gives its name.
pub fn layout<T: ValueType>(layouter: &mut Layouter) -> String {
    let parameters: Vec<String> = T::PARAMETERS.iter().map(|parameter| parameter(layouter)).collect();
    let name = match parameters.as_slice() {
        [] => T::NAME.to_owned(),
        _ => format!("{}<{}>", T::NAME, parameters.join(", ")),
    };
    layouter.note(&name, T::IS_ENUM, T::VARIANTS);
    layouter.define(name, |layouter| {
        let mut write = |fields: &ValueFields| {
            let rows: Vec<String> = fields
                .rows()
                .iter()
                .map(|row| match fields {
                    ValueFields::Named(_) => format!("{}: {}", row.name, (row.layout)(layouter)),
                    _ => (row.layout)(layouter),
                })
                .collect();
            match fields {
                ValueFields::Named(_) => format!("{{{}}}", rows.join(", ")),
                ValueFields::Tuple(_) | ValueFields::Newtype(_) => format!("({})", rows.join(", ")),
                ValueFields::Unit => String::new(),
            }
        };
        if !T::IS_ENUM {
            return format!("struct{}", write(&T::VARIANTS[0].2));
        }
        let variants: Vec<String> =
            T::VARIANTS.iter().map(|(name, _, fields)| format!("{name}{}", write(fields))).collect();
        format!("enum {}", variants.join(" | "))
    })
}

/// Whether two lists hold the same items, each as often, in whatever order. For fields marked `unordered`.
pub fn same_unordered<F: Field>(before: &F, after: &F) -> bool {
    before.same(after, &mut Pairs::new()) || Delta::between_unordered(before.encode(), after.encode()).is_none()
}

/// Keeps in `after` the earlier value if `same` judges the two equal.
pub fn keep<F: Clone>(after: &mut F, before: &F, same: fn(&F, &F) -> bool) {
    if same(before, after) {
        after.clone_from(before);
    }
}

/// Whether `field` is one of the `fields` of a list's items: checked while compiling.
#[must_use]
pub const fn is_field(fields: &[&str], field: &str) -> bool {
    let mut index = 0;
    while index < fields.len() {
        let (name, wanted) = (fields[index].as_bytes(), field.as_bytes());
        let mut same = name.len() == wanted.len();
        let mut at = 0;
        while same && at < name.len() {
            same = name[at] == wanted[at];
            at += 1;
        }
        if same {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether no name stands twice: checked while compiling.
#[must_use]
pub const fn are_distinct(names: &[&str]) -> bool {
    let mut index = 0;
    while index < names.len() {
        if is_field(names.split_at(index).0, names[index]) {
            return false;
        }
        index += 1;
    }
    true
}

/// The comparison of a field, so that one of another type is one error.
#[must_use]
pub const fn judge<F>(same: fn(&F, &F) -> bool) -> fn(&F, &F) -> bool {
    same
}
