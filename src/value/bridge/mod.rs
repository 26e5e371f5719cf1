//! Values through serde: whatever implements its traits, to a value and back, with nothing lost.

mod deserialize;
mod serialize;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use deserialize::from_value;
pub use serialize::BridgeError;
pub(crate) use serialize::to_value;

use super::{DecodeError, Value};

impl Value {
    /// The canonical form of whatever serde can write.
    ///
    /// Integers of any width, floats with NaN and infinities, bytes and nested options are kept as they are. Structs
    /// are [`Value::Struct`], maps [`Value::Map`] sorted by key, enums [`Value::Variant`], tuples and sequences
    /// [`Value::List`]: a set too, in the order in which it was written, since serde does not tell the two apart.
    ///
    /// ```
    /// # use heirloom::Value;
    /// let value = Value::from_serde(&(Some(1_u8), f64::NAN, "text"))?;
    /// assert_eq!(value.to_string(), r#"[1, NaN, "text"]"#);
    /// assert_eq!(value.to_serde::<(Option<u8>, f32, char)>().unwrap_err().path(), "[2]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The type's `Serialize` refuses, or a map holds a key twice.
    pub fn from_serde<T: Serialize + ?Sized>(value: &T) -> Result<Self, BridgeError> {
        to_value(value)
    }

    /// This value read as a type of serde's: the way back from [`Value::from_serde`], also after [`Value::to_json`] and
    /// [`Value::from_json`].
    ///
    /// ```
    /// # use heirloom::Value;
    /// assert_eq!(Value::Null.to_serde::<Option<u8>>()?, None);
    /// let error = Value::List(vec![Value::text("x")]).to_serde::<Vec<u8>>().unwrap_err();
    /// assert_eq!(error.to_string(), r#"[0]: expected u8, found text "x""#);
    /// # Ok::<(), heirloom::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// The value is not of the type: says where, what was expected and what was found.
    pub fn to_serde<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        from_value(self)
    }
}

/// As [`Value::to_json`] writes it, also where it stands inside what [`Value::from_serde`] is given.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// As [`Value::from_json`] reads it: bytes and other values that JSON lacks only in the form of [`Value::to_json`].
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = serde_json::Value::deserialize(deserializer)?;
        Value::from_json(&json).map_err(D::Error::custom)
    }
}
