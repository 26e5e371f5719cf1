//! From serde's data model to a value.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use crate::value::{Name, Value};

/// Why something could not be written as a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The type's own `Serialize` refused.
    #[error("{reason}")]
    Refused {
        /// In its own words.
        reason: String,
    },
    /// A map with a key that stands twice: one of the two entries would be lost.
    #[error("expected distinct keys in a map, found {key} twice")]
    RepeatedKey {
        /// The key.
        key: Box<Value>,
    },
}

impl Error for BridgeError {
    fn custom<T: Display>(reason: T) -> Self {
        BridgeError::Refused { reason: reason.to_string() }
    }
}

/// The canonical form of `value`, built straight from what it tells serde.
///
/// # Errors
/// The type's `Serialize` refuses, or a map holds a key twice.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, BridgeError> {
    value.serialize(Writer)
}

struct Writer;

impl Serializer for Writer {
    type Ok = Value;
    type Error = BridgeError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = OfVariant<Items>;
    type SerializeMap = Entries;
    type SerializeStruct = Fields;
    type SerializeStructVariant = OfVariant<Fields>;

    fn serialize_bool(self, truth: bool) -> Result<Value, BridgeError> {
        Ok(Value::Bool(truth))
    }
    fn serialize_i8(self, number: i8) -> Result<Value, BridgeError> {
        Ok(Value::Int(number.into()))
    }
    fn serialize_i16(self, number: i16) -> Result<Value, BridgeError> {
        Ok(Value::Int(number.into()))
    }
    fn serialize_i32(self, number: i32) -> Result<Value, BridgeError> {
        Ok(Value::Int(number.into()))
    }
    fn serialize_i64(self, number: i64) -> Result<Value, BridgeError> {
        Ok(Value::Int(number))
    }
    fn serialize_i128(self, number: i128) -> Result<Value, BridgeError> {
        Ok(Value::integer(number))
    }
    fn serialize_u8(self, number: u8) -> Result<Value, BridgeError> {
        Ok(Value::Int(number.into()))
    }
    fn serialize_u16(self, number: u16) -> Result<Value, BridgeError> {
        Ok(Value::Int(number.into()))
    }
    fn serialize_u32(self, number: u32) -> Result<Value, BridgeError> {
        Ok(Value::Int(number.into()))
    }
    fn serialize_u64(self, number: u64) -> Result<Value, BridgeError> {
        Ok(Value::unsigned(number.into()))
    }
    fn serialize_u128(self, number: u128) -> Result<Value, BridgeError> {
        Ok(Value::unsigned(number))
    }
    fn serialize_f32(self, number: f32) -> Result<Value, BridgeError> {
        Ok(Value::F32(number))
    }
    fn serialize_f64(self, number: f64) -> Result<Value, BridgeError> {
        Ok(Value::F64(number))
    }
    fn serialize_char(self, char: char) -> Result<Value, BridgeError> {
        Ok(Value::text(char.to_string()))
    }
    fn serialize_str(self, text: &str) -> Result<Value, BridgeError> {
        Ok(Value::text(text))
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, BridgeError> {
        Ok(Value::Bytes(bytes.into()))
    }
    fn serialize_none(self) -> Result<Value, BridgeError> {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, inner: &T) -> Result<Value, BridgeError> {
        Ok(to_value(inner)?.some())
    }
    fn serialize_unit(self) -> Result<Value, BridgeError> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, BridgeError> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, BridgeError> {
        Ok(Value::variant(variant, Value::Null))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, inner: &T) -> Result<Value, BridgeError> {
        to_value(inner)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        inner: &T,
    ) -> Result<Value, BridgeError> {
        Ok(Value::variant(variant, to_value(inner)?))
    }
    fn serialize_seq(self, count: Option<usize>) -> Result<Items, BridgeError> {
        // The count is only somebody's word: a wrong one must not reserve the whole memory.
        Ok(Items(Vec::with_capacity(count.unwrap_or(0).min(1 << 16))))
    }
    fn serialize_tuple(self, count: usize) -> Result<Items, BridgeError> {
        self.serialize_seq(Some(count))
    }
    fn serialize_tuple_struct(self, _: &'static str, count: usize) -> Result<Items, BridgeError> {
        self.serialize_seq(Some(count))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<OfVariant<Items>, BridgeError> {
        Ok(OfVariant { variant, holds: self.serialize_seq(Some(count))? })
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Entries, BridgeError> {
        Ok(Entries { key: None, entries: Vec::new() })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, BridgeError> {
        Ok(Fields(Vec::new()))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<OfVariant<Fields>, BridgeError> {
        Ok(OfVariant { variant, holds: Fields(Vec::new()) })
    }
}

struct Items(Vec<Value>);

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), BridgeError> {
        self.0.push(to_value(item)?);
        Ok(())
    }
}

impl SerializeSeq for Items {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), BridgeError> {
        self.push(item)
    }
    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::List(self.0))
    }
}

impl SerializeTuple for Items {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), BridgeError> {
        self.push(item)
    }
    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::List(self.0))
    }
}

impl SerializeTupleStruct for Items {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), BridgeError> {
        self.push(item)
    }
    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::List(self.0))
    }
}

struct Entries {
    key: Option<Value>,
    entries: Vec<(Value, Value)>,
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), BridgeError> {
        match self.key.replace(to_value(key)?) {
            None => Ok(()),
            Some(key) => Err(BridgeError::custom(format!("expected a value under the key {key}, found another key"))),
        }
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), BridgeError> {
        let value = to_value(value)?;
        match self.key.take() {
            Some(key) => {
                self.entries.push((key, value));
                Ok(())
            }
            None => Err(BridgeError::custom(format!("expected a key before its value, found only {value}"))),
        }
    }
    fn end(self) -> Result<Value, BridgeError> {
        if let Some(key) = self.key {
            return Err(BridgeError::custom(format!("expected a value under the key {key}, found the end of the map")));
        }
        let mut entries = self.entries;
        entries.sort_unstable();
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(BridgeError::RepeatedKey { key: Box::new(pair[0].0.clone()) }),
            None => Ok(Value::Map(entries)),
        }
    }
}

struct Fields(Vec<(Name, Value)>);

impl Fields {
    fn push<T: Serialize + ?Sized>(&mut self, name: &'static str, field: &T) -> Result<(), BridgeError> {
        self.0.push((Name::Borrowed(name), to_value(field)?));
        Ok(())
    }
}

impl SerializeStruct for Fields {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, field: &T) -> Result<(), BridgeError> {
        self.push(name, field)
    }
    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::Struct(self.0))
    }
}

/// What a variant holds, until all of it is there.
struct OfVariant<H> {
    variant: &'static str,
    holds: H,
}

impl SerializeTupleVariant for OfVariant<Items> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), BridgeError> {
        self.holds.push(item)
    }
    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::variant(self.variant, Value::List(self.holds.0)))
    }
}

impl SerializeStructVariant for OfVariant<Fields> {
    type Ok = Value;
    type Error = BridgeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, field: &T) -> Result<(), BridgeError> {
        self.holds.push(name, field)
    }
    fn end(self) -> Result<Value, BridgeError> {
        Ok(Value::variant(self.variant, Value::Struct(self.holds.0)))
    }
}
