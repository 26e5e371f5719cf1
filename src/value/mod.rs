//! Values without a Rust type, in one canonical form: what is compared, hashed and stored.

mod bridge;
mod decode;
mod delta;
mod json;
mod stored;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

pub use bridge::BridgeError;
pub(crate) use bridge::{from_value, to_value};
pub use decode::DecodeError;
pub use delta::{ApplyError, Delta, Leaf};
pub use json::JsonError;
pub(crate) use json::json_name;
#[cfg(feature = "fuzzing")]
pub(crate) use stored::fuzz;
pub(crate) use stored::{
    Edit, Patch, StoredError, append_to as append_stored, from_bytes as from_stored, to_bytes as to_stored,
};

use crate::digest::Digester;
use crate::id::EntityId;

/// The name of a field or variant, as it is stored.
pub type Name = Cow<'static, str>;

/// A value in canonical form.
///
/// Two values are the same exactly when their canonical forms are: all NaNs are one, `-0.0` differs from `0.0`, and
/// maps and sets without an order of their own are sorted.
///
/// ```
/// # use heirloom::Value;
/// assert_eq!(Value::F64(f64::NAN), Value::F64(-f64::NAN));
/// assert_ne!(Value::F64(0.0), Value::F64(-0.0));
/// assert_eq!(Value::from_json(&serde_json::json!({"a": [1, "x"]}))?.to_string(), r#"{"a": [1, "x"]}"#);
/// # Ok::<(), heirloom::JsonError>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: `()`, `None`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of up to 64 bits with sign.
    Int(i64),
    /// An integer from 2^63 to 2^128 - 1; smaller ones are [`Value::Int`] or [`Value::Negative`].
    Large(Box<u128>),
    /// An integer below -2^63.
    Negative(Box<i128>),
    /// A float of 32 bits.
    F32(f32),
    /// A float of 64 bits.
    F64(f64),
    /// Text; a `char` is a text of one.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// Values in order.
    List(Vec<Value>),
    /// Distinct values, sorted.
    Set(Vec<Value>),
    /// Distinct keys and their values: sorted, or in the order of a map that has one.
    Map(Vec<(Value, Value)>),
    /// Named fields in the order of their declaration.
    Struct(Vec<(Name, Value)>),
    /// One variant of an enum with what it holds.
    Variant(Box<(Name, Value)>),
    /// `Some` of a value that is itself null or `Some`: others stand for themselves.
    Some(Box<Value>),
    /// An owned entity stands here.
    Entity(EntityId),
    /// An entity is referred to here.
    Reference(EntityId),
}

impl Value {
    /// Text.
    #[must_use]
    pub fn text(text: impl Into<Box<str>>) -> Self {
        Value::Text(text.into())
    }

    /// An integer in its canonical variant.
    #[must_use]
    pub fn integer(number: i128) -> Self {
        match i64::try_from(number) {
            Ok(small) => Value::Int(small),
            Err(_) => match u128::try_from(number) {
                Ok(large) => Value::Large(Box::new(large)),
                Err(_) => Value::Negative(Box::new(number)),
            },
        }
    }

    /// An unsigned integer in its canonical variant.
    #[must_use]
    pub fn unsigned(number: u128) -> Self {
        match i64::try_from(number) {
            Ok(small) => Value::Int(small),
            Err(_) => Value::Large(Box::new(number)),
        }
    }

    /// `Some` of this value.
    #[must_use]
    pub fn some(self) -> Self {
        match self {
            Value::Null | Value::Some(_) => Value::Some(Box::new(self)),
            plain => plain,
        }
    }

    /// A set: `items` sorted, repeats dropped.
    #[must_use]
    pub fn set(mut items: Vec<Value>) -> Self {
        items.sort_unstable();
        items.dedup();
        Value::Set(items)
    }

    /// A map without an order of its own: `entries` sorted by key.
    #[must_use]
    pub fn map(mut entries: Vec<(Value, Value)>) -> Self {
        entries.sort_unstable();
        Value::Map(entries)
    }

    /// A variant of an enum.
    #[must_use]
    pub fn variant(name: impl Into<Name>, holds: Value) -> Self {
        Value::Variant(Box::new((name.into(), holds)))
    }

    /// A struct of these fields.
    #[must_use]
    pub fn fields<const N: usize>(fields: [(&'static str, Value); N]) -> Self {
        Value::Struct(fields.into_iter().map(|(name, value)| (Name::Borrowed(name), value)).collect())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The field `name` of a struct, or the entry under that text in a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            Value::Map(entries) => entries
                .iter()
                .find(|(key, _)| matches!(key, Value::Text(text) if &**text == name))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// What kind of value this is, in one or two words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Int(_) | Value::Large(_) | Value::Negative(_) => "an integer",
            Value::F32(_) | Value::F64(_) => "a float",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "a list",
            Value::Set(_) => "a set",
            Value::Map(_) => "a map",
            Value::Struct(_) => "a struct",
            Value::Variant(_) => "a variant",
            Value::Some(_) => "an option",
            Value::Entity(_) => "an entity",
            Value::Reference(_) => "a reference",
        }
    }

    /// Whether an owned entity stands somewhere in it.
    pub(crate) fn holds_entity(&self) -> bool {
        match self {
            Value::Entity(_) => true,
            Value::List(items) | Value::Set(items) => items.iter().any(Value::holds_entity),
            Value::Map(entries) => entries.iter().any(|(_, value)| value.holds_entity()),
            Value::Struct(fields) => fields.iter().any(|(_, value)| value.holds_entity()),
            Value::Variant(variant) => variant.1.holds_entity(),
            Value::Some(inner) => inner.holds_entity(),
            _ => false,
        }
    }

    fn tag(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Negative(_) => 2,
            Value::Int(_) => 3,
            Value::Large(_) => 4,
            Value::F32(_) => 5,
            Value::F64(_) => 6,
            Value::Text(_) => 7,
            Value::Bytes(_) => 8,
            Value::List(_) => 9,
            Value::Set(_) => 10,
            Value::Map(_) => 11,
            Value::Struct(_) => 12,
            Value::Variant(_) => 13,
            Value::Some(_) => 14,
            Value::Entity(_) => 15,
            Value::Reference(_) => 16,
        }
    }

    /// Writes the canonical bytes of this value.
    pub fn digest(&self, into: &mut Digester) {
        into.tag(self.tag());
        match self {
            Value::Null => {}
            Value::Bool(truth) => into.tag(u8::from(*truth)),
            Value::Int(number) => into.fixed(&number.to_le_bytes()),
            Value::Large(number) => into.fixed(&number.to_le_bytes()),
            Value::Negative(number) => into.fixed(&number.to_le_bytes()),
            Value::F32(number) => into.fixed(&canonical_f32(*number).to_le_bytes()),
            Value::F64(number) => into.fixed(&canonical_f64(*number).to_le_bytes()),
            Value::Text(text) => into.bytes(text.as_bytes()),
            Value::Bytes(bytes) => into.bytes(bytes),
            Value::List(items) | Value::Set(items) => {
                into.number(items.len() as u64);
                items.iter().for_each(|item| item.digest(into));
            }
            Value::Map(entries) => {
                into.number(entries.len() as u64);
                for (key, value) in entries {
                    key.digest(into);
                    value.digest(into);
                }
            }
            Value::Struct(fields) => {
                into.number(fields.len() as u64);
                for (name, value) in fields {
                    into.bytes(name.as_bytes());
                    value.digest(into);
                }
            }
            Value::Variant(variant) => {
                into.bytes(variant.0.as_bytes());
                variant.1.digest(into);
            }
            Value::Some(inner) => inner.digest(into),
            Value::Entity(id) | Value::Reference(id) => into.fixed(id.as_bytes()),
        }
    }
}

/// The bits of a float, all NaNs as one.
pub(crate) fn canonical_f64(number: f64) -> u64 {
    if number.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { number.to_bits() }
}

/// The bits of a float, all NaNs as one.
pub(crate) fn canonical_f32(number: f32) -> u32 {
    if number.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { number.to_bits() }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        use Value::{Bool, Bytes, F32, F64, Int, Large, List, Map, Negative, Set, Struct, Text, Variant};
        match (self, other) {
            (Bool(a), Bool(b)) => a.cmp(b),
            (Int(a), Int(b)) => a.cmp(b),
            (Large(a), Large(b)) => a.cmp(b),
            (Negative(a), Negative(b)) => a.cmp(b),
            (F32(a), F32(b)) => f32::from_bits(canonical_f32(*a)).total_cmp(&f32::from_bits(canonical_f32(*b))),
            (F64(a), F64(b)) => f64::from_bits(canonical_f64(*a)).total_cmp(&f64::from_bits(canonical_f64(*b))),
            (Text(a), Text(b)) => a.cmp(b),
            (Bytes(a), Bytes(b)) => a.cmp(b),
            (List(a), List(b)) | (Set(a), Set(b)) => a.cmp(b),
            (Map(a), Map(b)) => a.cmp(b),
            (Struct(a), Struct(b)) => a.cmp(b),
            (Variant(a), Variant(b)) => a.cmp(b),
            (Value::Some(a), Value::Some(b)) => a.cmp(b),
            (Value::Entity(a), Value::Entity(b)) | (Value::Reference(a), Value::Reference(b)) => a.cmp(b),
            (a, b) => a.tag().cmp(&b.tag()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.tag());
        match self {
            Value::Null => {}
            Value::Bool(truth) => truth.hash(state),
            Value::Int(number) => number.hash(state),
            Value::Large(number) => number.hash(state),
            Value::Negative(number) => number.hash(state),
            Value::F32(number) => canonical_f32(*number).hash(state),
            Value::F64(number) => canonical_f64(*number).hash(state),
            Value::Text(text) => text.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            Value::List(items) | Value::Set(items) => items.hash(state),
            Value::Map(entries) => entries.hash(state),
            Value::Struct(fields) => fields.hash(state),
            Value::Variant(variant) => variant.hash(state),
            Value::Some(inner) => inner.hash(state),
            Value::Entity(id) | Value::Reference(id) => id.hash(state),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Large(number) => write!(f, "{number}"),
            Value::Negative(number) => write!(f, "{number}"),
            Value::F32(number) => write!(f, "{number:?}"),
            Value::F64(number) => write!(f, "{number:?}"),
            Value::Text(text) => write_quoted(f, text),
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Value::List(items) => write_all(f, '[', ']', items, |f, item| write!(f, "{item}")),
            Value::Set(items) => write_all(f, '{', '}', items, |f, item| write!(f, "{item}")),
            Value::Map(entries) => write_all(f, '{', '}', entries, |f, (key, value)| write!(f, "{key}: {value}")),
            Value::Struct(fields) => write_all(f, '{', '}', fields, |f, (name, value)| write!(f, "{name}: {value}")),
            Value::Variant(variant) => match &**variant {
                (name, Value::Null) => f.write_str(name),
                (name, holds) => write!(f, "{name}({holds})"),
            },
            Value::Some(inner) => write!(f, "some({inner})"),
            Value::Entity(id) | Value::Reference(id) => write!(f, "@{id}"),
        }
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::Value::from(text).to_string())
}

fn write_all<T>(
    f: &mut fmt::Formatter<'_>,
    open: char,
    close: char,
    items: &[T],
    mut write_one: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write_one(f, item)?;
    }
    write!(f, "{close}")
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
