//! From a value to serde's data model.

use std::fmt::{self, Display};

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::value::{DecodeError, Name, Value};

/// `value` read as a type of serde's.
///
/// # Errors
/// `value` is not of the type: says where, what was expected and what was found.
pub(crate) fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    T::deserialize(Reader(value)).map_err(|failure| failure.at(value))
}

/// An error on its way out: serde's traits make it without knowing where.
#[derive(Debug)]
enum Failure {
    Mismatch { expected: String, found: String, part: Part },
    Refused { reason: String },
    Placed(DecodeError),
}

/// What a mismatch is about, as far as it tells whether that is the value at hand or something inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Items,
    Entries,
    Option,
    Variant,
    Plain,
}

impl Part {
    fn is(self, value: &Value) -> bool {
        match value {
            Value::List(_) | Value::Set(_) => self == Part::Items,
            Value::Map(_) | Value::Struct(_) => self == Part::Entries,
            Value::Variant(variant) if variant.1 == Value::Null => self != Part::Items,
            Value::Variant(_) => matches!(self, Part::Variant | Part::Entries),
            Value::Some(_) => self == Part::Option,
            // Nothing is inside.
            _ => true,
        }
    }
}

impl Failure {
    fn mismatch(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let part = match found {
            Unexpected::Seq => Part::Items,
            Unexpected::Map => Part::Entries,
            Unexpected::Option => Part::Option,
            Unexpected::Enum
            | Unexpected::UnitVariant
            | Unexpected::NewtypeVariant
            | Unexpected::TupleVariant
            | Unexpected::StructVariant => Part::Variant,
            _ => Part::Plain,
        };
        Failure::Mismatch { expected: expected.to_string(), found: found.to_string(), part }
    }

    fn not(expected: impl Into<String>, found: &Value) -> Self {
        Failure::Placed(DecodeError::new(expected, found))
    }

    /// The error, now that it is known to be about `value` or about something inside that serde had set aside.
    fn at(self, value: &Value) -> DecodeError {
        match self {
            Failure::Mismatch { expected, part, .. } if part.is(value) => DecodeError::new(expected, value),
            Failure::Mismatch { expected, found, .. } => DecodeError::saying(expected, found),
            Failure::Refused { reason } => DecodeError::new(format!("what its type accepts ({reason})"), value),
            Failure::Placed(error) => error,
        }
    }

    fn within(self, value: &Value, step: impl Into<String>) -> Self {
        Failure::Placed(self.at(value).within(step))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Mismatch { expected, found, .. } => write!(f, "expected {expected}, found {found}"),
            Failure::Refused { reason } => f.write_str(reason),
            Failure::Placed(error) => Display::fmt(error, f),
        }
    }
}

impl std::error::Error for Failure {}

impl Error for Failure {
    fn custom<T: Display>(reason: T) -> Self {
        Failure::Refused { reason: reason.to_string() }
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Failure::mismatch(found, expected)
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Failure::mismatch(found, expected)
    }
    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Failure::Placed(DecodeError::saying(expected.to_string(), format!("a length of {found}")))
    }
    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        Failure::Placed(DecodeError::saying(format!("one of {}", expected.join(", ")), found))
    }
    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Self {
        let expected = match expected {
            [] => "no fields".to_owned(),
            names => format!("one of the fields {}", names.join(", ")),
        };
        Failure::Placed(DecodeError::saying(expected, format!("a field {found}")))
    }
    fn missing_field(field: &'static str) -> Self {
        Failure::Placed(DecodeError::saying(format!("a field {field}"), "none"))
    }
    fn duplicate_field(field: &'static str) -> Self {
        Failure::Placed(DecodeError::saying(format!("one field {field}"), "two"))
    }
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Value);

impl<'de> Reader<'de> {
    fn items<V: Visitor<'de>>(self, items: &'de [Value], visitor: V) -> Result<V::Value, Failure> {
        let mut items = Items { rest: items.iter(), index: 0 };
        let read = visitor.visit_seq(&mut items)?;
        match items.rest.len() {
            0 => Ok(read),
            more => Err(Failure::Placed(DecodeError::saying(
                format!("a list of {}", items.index),
                format!("one of {}", items.index + more),
            ))),
        }
    }

    fn entries<V: Visitor<'de>>(
        self,
        count: usize,
        rest: impl Iterator<Item = (Key<'de>, &'de Value)>,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut entries = Entries { left: count, rest, current: None };
        let read = visitor.visit_map(&mut entries)?;
        match entries.left {
            0 => Ok(read),
            left => Err(Failure::Placed(DecodeError::saying(
                format!("a map of {}", count - left),
                format!("one of {count}"),
            ))),
        }
    }

    fn fields<V: Visitor<'de>>(self, fields: &'de [(Name, Value)], visitor: V) -> Result<V::Value, Failure> {
        self.entries(fields.len(), fields.iter().map(|(name, value)| (Key::Name(name), value)), visitor)
    }

    fn map<V: Visitor<'de>>(self, entries: &'de [(Value, Value)], visitor: V) -> Result<V::Value, Failure> {
        self.entries(entries.len(), entries.iter().map(|(key, value)| (Key::Value(key), value)), visitor)
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            // Signed only where it must be: visitors written for JSON may know no other.
            Value::Int(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(*number),
            },
            Value::Large(number) => match u64::try_from(**number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_u128(**number),
            },
            Value::Negative(number) => visitor.visit_i128(**number),
            Value::F32(number) => visitor.visit_f32(*number),
            Value::F64(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(items) | Value::Set(items) => self.items(items, visitor),
            Value::Map(entries) => self.map(entries, visitor),
            Value::Struct(fields) => self.fields(fields, visitor),
            // As in JSON, which is what a visitor without an expectation knows; `deserialize_enum` knows better.
            Value::Variant(variant) => match &**variant {
                (name, Value::Null) => visitor.visit_borrowed_str(name),
                (name, holds) => self.entries(1, [(Key::Name(name), holds)].into_iter(), visitor),
            },
            Value::Some(inner) => visitor.visit_some(Reader(inner)),
            Value::Entity(id) | Value::Reference(id) => visitor.visit_string(id.to_string()),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let wide = match self.0 {
            Value::F64(number) => *number,
            Value::Int(number) => match exact(*number) {
                Some(number) => number,
                None => return Err(Failure::not("a number that 32 bits hold", self.0)),
            },
            _ => return self.deserialize_any(visitor),
        };
        let narrow = wide as f32;
        if wide.is_finite() && !narrow.is_finite() {
            return Err(Failure::not("a number that 32 bits hold", self.0));
        }
        visitor.visit_f32(narrow)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Value::Int(number) => match exact(*number) {
                Some(number) => visitor.visit_f64(number),
                None => Err(Failure::not("a number that a float holds exactly", self.0)),
            },
            Value::Large(_) | Value::Negative(_) => Err(Failure::not("a number that a float holds exactly", self.0)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let Value::List(items) = self.0 else { return self.deserialize_any(visitor) };
        let bytes: Option<Vec<u8>> = items
            .iter()
            .map(|item| match item {
                Value::Int(byte) => u8::try_from(*byte).ok(),
                _ => None,
            })
            .collect();
        match bytes {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            Value::Some(inner) => visitor.visit_some(Reader(inner)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let Value::Bytes(bytes) = self.0 else { return self.deserialize_any(visitor) };
        let mut items = SeqDeserializer::new(bytes.iter().copied());
        let read = visitor.visit_seq(&mut items)?;
        items.end()?;
        Ok(read)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // What JSON makes of a map whose keys are not all text.
        if let Value::List(items) = self.0
            && let Some(pairs) = pairs(items)
        {
            return self.entries(pairs.len(), pairs.into_iter(), visitor);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let Value::Map(entries) = self.0 else { return self.deserialize_any(visitor) };
        let fields = entries.iter().map(|(key, value)| match key {
            Value::Text(name) => (Key::Name(name), value),
            key => (Key::Value(key), value),
        });
        self.entries(entries.len(), fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let (variant, holds): (&str, &Value) = match self.0 {
            Value::Variant(variant) => (&variant.0, &variant.1),
            Value::Text(variant) => (variant, &Value::Null),
            Value::Map(entries) => match entries.as_slice() {
                [(Value::Text(variant), holds)] => (variant, holds),
                _ => return Err(Failure::not(format!("a variant of {name}"), self.0)),
            },
            _ => return Err(Failure::not(format!("a variant of {name}"), self.0)),
        };
        visitor.visit_enum(Variant { name: variant, holds })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string unit unit_struct identifier
    }
}

/// The float that is this integer, if one is.
fn exact(number: i64) -> Option<f64> {
    (number.unsigned_abs() <= 1 << 53).then_some(number as f64)
}

fn pairs(items: &[Value]) -> Option<Vec<(Key<'_>, &Value)>> {
    items
        .iter()
        .map(|item| match item {
            Value::List(pair) => match pair.as_slice() {
                [key, value] => Some((Key::Value(key), value)),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

struct Items<'de> {
    rest: std::slice::Iter<'de, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Reader(item)).map(Some).map_err(|failure| failure.within(item, format!("[{index}]")))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

#[derive(Clone, Copy)]
enum Key<'de> {
    Name(&'de str),
    Value(&'de Value),
}

impl Key<'_> {
    fn step(self) -> String {
        match self {
            Key::Name(name) => name.to_owned(),
            Key::Value(key) => format!("[{key}]"),
        }
    }
}

struct Entries<'de, I> {
    left: usize,
    rest: I,
    current: Option<(Key<'de>, &'de Value)>,
}

impl<'de, I: Iterator<Item = (Key<'de>, &'de Value)>> MapAccess<'de> for Entries<'de, I> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.left -= 1;
        self.current = Some((key, value));
        match key {
            // An unknown name is an error of the whole, which has that name in it.
            Key::Name(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Key::Value(found) => seed.deserialize(Reader(found)).map_err(|failure| failure.within(found, key.step())),
        }
        .map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some((key, value)) = self.current.take() else {
            return Err(Failure::custom("asked for a value before its key"));
        };
        seed.deserialize(Reader(value)).map_err(|failure| failure.within(value, key.step()))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Variant<'de> {
    name: &'de str,
    holds: &'de Value,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.name))?, self))
    }
}

impl<'de> Variant<'de> {
    fn inside<T>(&self, read: Result<T, Failure>) -> Result<T, Failure> {
        read.map_err(|failure| failure.within(self.holds, self.name))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        self.inside(match self.holds {
            Value::Null => Ok(()),
            holds => Err(Failure::not("nothing inside", holds)),
        })
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        self.inside(seed.deserialize(Reader(self.holds)))
    }
    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Failure> {
        self.inside(Reader(self.holds).deserialize_tuple(count, visitor))
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.inside(Reader(self.holds).deserialize_struct("", fields, visitor))
    }
}
