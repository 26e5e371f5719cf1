//! Values through serde: whatever implements its traits, to a value and back, with nothing lost.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, Value};

/// What serde's `Serialize` of a type refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeError(String);

impl fmt::Display for BridgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BridgeError {}

pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, BridgeError> {
    serde_json::to_value(value)
        .map_err(|e| BridgeError(e.to_string()))
        .and_then(|json| Value::from_json(&json).map_err(|e| BridgeError(e.to_string())))
}

pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    serde_json::from_value(value.to_json()).map_err(|e| DecodeError::new(e.to_string(), value))
}
