//! Values as JSON and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json, json};

use super::Value;
use crate::id::EntityId;

/// JSON that is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Nested deeper than is read.
    #[error("nested deeper than {limit} levels: flatten it")]
    TooDeep {
        /// How deep is read.
        limit: usize,
    },
    /// An object with a key that is kept for values that JSON lacks, with something else inside.
    #[error("{{\"{key}\": ...}} holds {found}: a key of one object that begins with $ is kept for {expected}")]
    Reserved {
        /// The key.
        key: String,
        /// What it stands for.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

/// How deep JSON may nest: as deep as serde_json reads.
const DEEPEST: usize = 128;

impl Value {
    /// This value as JSON.
    ///
    /// What JSON lacks is an object of one key: `{"$float": "NaN"}`, `{"$int": "<digits>"}`, `{"$bytes": "<base64>"}`,
    /// `{"$some": ...}`; an object whose only key is one of these by chance gets another `$` before it. A map whose
    /// keys are all text is an object, another is a list of pairs; a variant is its name, or an object of its name and
    /// what it holds; entities and references are the text of their id.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.to_json_with(&mut |id| Json::String(id.to_string()))
    }

    /// As [`Value::to_json`], with what `entity` gives where an owned entity stands.
    pub(crate) fn to_json_with(&self, entity: &mut dyn FnMut(EntityId) -> Json) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(number) => Json::from(*number),
            Value::Large(number) => match u64::try_from(**number) {
                Ok(number) => Json::from(number),
                Err(_) => json!({"$int": number.to_string()}),
            },
            Value::Negative(number) => json!({"$int": number.to_string()}),
            Value::F32(number) => float_json(short_decimal(*number)),
            Value::F64(number) => float_json(*number),
            Value::Text(text) => Json::String(text.to_string()),
            Value::Bytes(bytes) => json!({"$bytes": STANDARD.encode(bytes)}),
            Value::List(items) | Value::Set(items) => {
                Json::Array(items.iter().map(|item| item.to_json_with(entity)).collect())
            }
            Value::Map(entries) => map_json(entries, entity),
            Value::Struct(fields) => {
                object(fields.iter().map(|(name, value)| (name.to_string(), value.to_json_with(entity))).collect())
            }
            Value::Variant(variant) => match &**variant {
                (name, Value::Null) => Json::String(name.to_string()),
                (name, holds) => object(Map::from_iter([(name.to_string(), holds.to_json_with(entity))])),
            },
            Value::Some(inner) => json!({"$some": inner.to_json_with(entity)}),
            Value::Entity(id) => entity(*id),
            Value::Reference(id) => Json::String(id.to_string()),
        }
    }

    /// The value that this JSON says: objects are maps in the order in which they are written, numbers integers where
    /// they are whole and written so.
    ///
    /// # Errors
    /// JSON nested deeper than 128 levels, or a `$` key with something else inside than [`Value::to_json`] writes.
    pub fn from_json(json: &Json) -> Result<Self, JsonError> {
        read(json, DEEPEST)
    }
}

/// The shortest decimal of the f32: widening its bits would print digits it never had. Unless, rounded twice on the way
/// back, it is another f32: 7.038531e-26 is.
pub(super) fn short_decimal(number: f32) -> f64 {
    let exact = f64::from(number);
    number.to_string().parse().ok().filter(|short| *short as f32 == number).unwrap_or(exact)
}

/// Whether an object with this as its only key would be read as something else, or has been saved from that.
fn is_kept(key: &str) -> bool {
    key.starts_with('$') && matches!(key.trim_start_matches('$'), "float" | "int" | "bytes" | "some")
}

fn object(mut object: Map<String, Json>) -> Json {
    if object.len() == 1 && object.keys().all(|key| is_kept(key)) {
        object = object.into_iter().map(|(key, inner)| (format!("${key}"), inner)).collect();
    }
    Json::Object(object)
}

fn float_json(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number.is_nan() => json!({"$float": "NaN"}),
        None => json!({"$float": if number > 0.0 { "inf" } else { "-inf" }}),
    }
}

fn map_json(entries: &[(Value, Value)], entity: &mut dyn FnMut(EntityId) -> Json) -> Json {
    if let Some(names) = names(entries) {
        let values = entries.iter().map(|(_, value)| value.to_json_with(entity));
        object(names.into_iter().map(str::to_owned).zip(values).collect())
    } else {
        let pair = |(key, value): &(Value, Value)| json!([key.to_json(), value.to_json_with(entity)]);
        Json::Array(entries.iter().map(pair).collect())
    }
}

/// The keys of a map, if all of them are text.
fn names(entries: &[(Value, Value)]) -> Option<Vec<&str>> {
    entries
        .iter()
        .map(|(key, _)| match key {
            Value::Text(text) => Some(&**text),
            _ => None,
        })
        .collect()
}

/// The name under which JSON has the entry of a map at `place`; `None` where it makes a list of pairs of the map.
pub(crate) fn json_name(entries: &[(Value, Value)], place: usize) -> Option<String> {
    let names = names(entries)?;
    let name = names.get(place)?;
    Some(if names.len() == 1 && is_kept(name) { format!("${name}") } else { (*name).to_owned() })
}

fn read(json: &Json, depth: usize) -> Result<Value, JsonError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(JsonError::TooDeep { limit: DEEPEST });
    };
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => {
            if let Some(number) = number.as_i64() {
                Value::Int(number)
            } else if let Some(number) = number.as_u64() {
                Value::unsigned(number.into())
            } else {
                Value::F64(number.as_f64().unwrap_or(f64::NAN))
            }
        }
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(items) => Value::List(items.iter().map(|item| read(item, depth)).collect::<Result<_, _>>()?),
        Json::Object(object) => match special(object, depth)? {
            Some(value) => value,
            // Not sorted: a map that has an order of its own would lose it. Others sort as they are read from this.
            None => Value::Map(
                object
                    .iter()
                    .map(|(key, value)| Ok((Value::text(key.as_str()), read(value, depth)?)))
                    .collect::<Result<_, _>>()?,
            ),
        },
    })
}

fn special(object: &Map<String, Json>, depth: usize) -> Result<Option<Value>, JsonError> {
    let mut entries = object.iter();
    let (Some((key, inner)), None) = (entries.next(), entries.next()) else {
        return Ok(None);
    };
    let (expected, value) = match key.as_str() {
        "$float" => ("\"NaN\", \"inf\" or \"-inf\"", inner.as_str().and_then(special_float)),
        "$int" => ("the digits of an integer", inner.as_str().and_then(special_integer)),
        "$bytes" => {
            let bytes = inner.as_str().and_then(|text| STANDARD.decode(text).ok());
            ("bytes in base64", bytes.map(|bytes| Value::Bytes(bytes.into())))
        }
        "$some" => return Ok(Some(read(inner, depth)?.some())),
        _ => {
            let plain = key.strip_prefix('$').filter(|plain| is_kept(plain));
            return plain.map(|plain| Ok(Value::Map(vec![(Value::text(plain), read(inner, depth)?)]))).transpose();
        }
    };
    match value {
        Some(value) => Ok(Some(value)),
        None => {
            Err(JsonError::Reserved { key: key.clone(), expected, found: inner.to_string().chars().take(60).collect() })
        }
    }
}

fn special_float(text: &str) -> Option<Value> {
    match text {
        "NaN" => Some(Value::F64(f64::NAN)),
        "inf" => Some(Value::F64(f64::INFINITY)),
        "-inf" => Some(Value::F64(f64::NEG_INFINITY)),
        _ => None,
    }
}

fn special_integer(text: &str) -> Option<Value> {
    match text.parse::<i128>() {
        Ok(number) => Some(Value::integer(number)),
        Err(_) => text.parse::<u128>().ok().map(Value::unsigned),
    }
}
