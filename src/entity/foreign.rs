//! Types of others, marked `#[entity(value)]`: kept through serde, compared through `PartialEq` first.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Handling, Pairs, Source};
use crate::schema::Layouter;
use crate::value::{DecodeError, Value, from_value, to_value};

/// The handling of types that are only serde's.
pub struct Foreign;

impl<F: Serialize + DeserializeOwned + PartialEq + Clone + Send + Sync + 'static> Handling<F> for Foreign {
    fn layout(_: &mut Layouter) -> String {
        format!("serde<{}>", short_name(std::any::type_name::<F>()))
    }
    fn encode(field: &F) -> Value {
        match to_value(field) {
            Ok(value) => value,
            // Comparing and storing have no other way out; whoever started them turns this into a typed error.
            Err(error) => std::panic::resume_unwind(Box::new(EncodeFailure {
                type_name: std::any::type_name::<F>(),
                reason: error.to_string(),
            })),
        }
    }
    fn decode(value: &Value, _: &mut dyn Source) -> Result<F, DecodeError> {
        from_value(value)
    }
    fn same<'a>(before: &'a F, after: &'a F, _: &mut Pairs<'a>) -> bool {
        before == after || Self::encode(before) == Self::encode(after)
    }
}

/// The last segments of a path: where a type lives may change between its releases, what it is called rarely does.
fn short_name(path: &str) -> String {
    let mut name = String::new();
    for part in path.split_inclusive(['<', '>', ',', ' ', '(', ')', '[', ']']) {
        name.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    name
}

/// A value that serde's `Serialize` of its type refused: the payload of the unwinding that ends the work on it.
#[derive(Debug)]
pub(crate) struct EncodeFailure {
    pub(crate) type_name: &'static str,
    pub(crate) reason: String,
}

impl fmt::Display for EncodeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} cannot be written: {}", self.type_name, self.reason)
    }
}
