//! How values are written.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{Level, StoredError, repeated, shortened};
use crate::id::EntityId;
use crate::value::json::short_decimal;
use crate::value::{Name, Value};

/// What has a stored form.
pub(super) trait ToStored {
    /// Writes it, standing at this level, after what is there.
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError>;
}

/// The stored form of the outermost value.
pub(super) fn write(stored: &impl ToStored) -> Result<Vec<u8>, StoredError> {
    let mut out = Vec::with_capacity(128);
    stored.write(&mut out, Level::TOP)?;
    Ok(out)
}

impl ToStored for Value {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        level.check()?;
        let below = level.below();
        match self {
            Value::Null => json(out, &()),
            Value::Bool(truth) => json(out, truth),
            Value::Int(number) => json(out, number),
            Value::Large(_) | Value::Negative(_) => return integer(out, self),
            Value::F32(number) => {
                let stored = |out: &mut Vec<u8>| match special(f64::from(*number)) {
                    Some(name) => json(out, name),
                    None => decimal(out, short_decimal(*number)),
                };
                tagged(out, "$f32", stored);
            }
            Value::F64(number) => match special(*number) {
                Some(name) => tagged(out, "$float", |out| json(out, name)),
                None => decimal(out, *number),
            },
            Value::Text(text) if text.starts_with(['@', '&', '\\']) => json(out, &format!("\\{text}")),
            Value::Text(text) => json(out, &**text),
            Value::Bytes(bytes) => tagged(out, "$bytes", |out| json(out, &STANDARD.encode(bytes))),
            Value::List(items) => return items.write(out, level),
            Value::Set(items) => {
                if !items.is_sorted_by(|before, after| before < after) {
                    return Err(refusal("the members of a set sorted, each once: make it with Value::set", self));
                }
                return tagged(out, "$set", |out| items.write(out, level));
            }
            Value::Map(entries) => return tagged(out, "$map", |out| map(out, entries, below)),
            Value::Struct(fields) => return write_fields(out, fields, below),
            Value::Variant(variant) => return tagged(out, "$variant", |out| variant_of(out, variant, below)),
            Value::Some(inner) => {
                if !matches!(**inner, Value::Null | Value::Some(_)) {
                    return Err(refusal("Some of null or of Some alone: make it with Value::some", self));
                }
                return tagged(out, "$some", |out| inner.write(out, below));
            }
            Value::Entity(id) => id_of(out, b'@', *id),
            Value::Reference(id) => id_of(out, b'&', *id),
        }
        Ok(())
    }
}

impl ToStored for usize {
    fn write(&self, out: &mut Vec<u8>, _: Level) -> Result<(), StoredError> {
        json(out, self);
        Ok(())
    }
}

impl<T: ToStored> ToStored for Vec<T> {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        separated(out, b"[]", self.iter().enumerate(), |out, (index, item)| {
            item.write(out, level.below()).map_err(|error| error.within(&format!("[{index}]")))
        })
    }
}

impl<A: ToStored, B: ToStored> ToStored for (A, B) {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        array(out, &[&self.0, &self.1], level)
    }
}

impl<A: ToStored, B: ToStored, C: ToStored> ToStored for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        array(out, &[&self.0, &self.1, &self.2], level)
    }
}

/// Writes what JSON has itself.
pub(super) fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a vector takes all bytes, and text and numbers are JSON");
}

/// Writes an id, which needs nothing escaped.
fn id_of(out: &mut Vec<u8>, sign: u8, id: EntityId) {
    let mut text = [0; 25];
    text[..2].copy_from_slice(&[b'"', sign]);
    URL_SAFE_NO_PAD.encode_slice(id.as_bytes(), &mut text[2..24]).expect("16 bytes are 22 letters");
    text[24] = b'"';
    out.extend_from_slice(&text);
}

/// Writes a text that most often needs nothing escaped.
fn plain(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        json(out, text);
    }
}

/// Writes a float with a fraction or an exponent, in the fewest digits: as the standard library does, whatever the
/// version of another.
fn decimal(out: &mut Vec<u8>, number: f64) {
    write!(out, "{number:?}").expect("a vector takes all bytes");
}

/// Writes an object with one key.
pub(super) fn tagged<R>(out: &mut Vec<u8>, tag: &str, holds: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    out.push(b'{');
    json(out, tag);
    out.push(b':');
    let held = holds(out);
    out.push(b'}');
    held
}

/// Writes items between brackets.
pub(super) fn separated<T>(
    out: &mut Vec<u8>,
    brackets: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    mut write_one: impl FnMut(&mut Vec<u8>, T) -> Result<(), StoredError>,
) -> Result<(), StoredError> {
    out.push(brackets[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_one(out, item)?;
    }
    out.push(brackets[1]);
    Ok(())
}

/// Writes an object whose keys are names of fields.
pub(super) fn write_fields<T: ToStored>(
    out: &mut Vec<u8>,
    fields: &[(Name, T)],
    level: Level,
) -> Result<(), StoredError> {
    if let Some(name) = repeated(fields.iter().map(|(name, _)| &**name)) {
        return Err(twice("each field once", name));
    }
    separated(out, b"{}", fields, |out, (name, held)| {
        if name.starts_with('$') {
            json(out, &format!("${name}"));
        } else {
            plain(out, name);
        }
        out.push(b':');
        held.write(out, level).map_err(|error| error.within(name))
    })
}

/// Writes an array of a known length.
pub(super) fn array(out: &mut Vec<u8>, parts: &[&dyn ToStored], level: Level) -> Result<(), StoredError> {
    separated(out, b"[]", parts, |out, part| part.write(out, level))
}

/// An integer that is none of 64 bits with sign.
fn integer(out: &mut Vec<u8>, value: &Value) -> Result<(), StoredError> {
    let (canonical, digits) = match value {
        Value::Large(number) => match u64::try_from(**number) {
            Ok(number) if i64::try_from(number).is_err() => {
                json(out, &number);
                return Ok(());
            }
            small => (small.is_err(), number.to_string()),
        },
        Value::Negative(number) => (**number < i128::from(i64::MIN), number.to_string()),
        other => (false, other.to_string()),
    };
    if !canonical {
        return Err(refusal("an integer of up to 64 bits as such: make it with Value::integer", value));
    }
    tagged(out, "$int", |out| json(out, &digits));
    Ok(())
}

/// The entries of a map: an object if all keys are text, else pairs.
fn map(out: &mut Vec<u8>, entries: &[(Value, Value)], level: Level) -> Result<(), StoredError> {
    if let Some(key) = repeated(entries.iter().map(|(key, _)| key)) {
        return Err(twice("each key of a map once", &key.to_string()));
    }
    let within = |error: StoredError, key: &Value| error.within(&format!("[{key}]"));
    if entries.iter().all(|(key, _)| matches!(key, Value::Text(_))) {
        separated(out, b"{}", entries, |out, (key, value)| {
            if let Value::Text(text) = key {
                json(out, &**text);
            }
            out.push(b':');
            value.write(out, level).map_err(|error| within(error, key))
        })
    } else {
        separated(out, b"[]", entries, |out, entry| entry.write(out, level).map_err(|error| within(error, &entry.0)))
    }
}

/// The name of a variant and what it holds: the name alone where that is null.
fn variant_of(out: &mut Vec<u8>, (name, holds): &(Name, Value), level: Level) -> Result<(), StoredError> {
    if let Value::Null = holds {
        json(out, &**name);
        return Ok(());
    }
    out.push(b'[');
    json(out, &**name);
    out.push(b',');
    holds.write(out, level).map_err(|error| error.within(name))?;
    out.push(b']');
    Ok(())
}

/// The name of a float that JSON has no number for.
fn special(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}

/// Something else was found in a value.
fn refusal(expected: &'static str, found: &Value) -> StoredError {
    StoredError::NotCanonical { path: String::new(), expected, found: shortened(&found.to_string()) }
}

/// A key was found twice in a value.
fn twice(expected: &'static str, key: &str) -> StoredError {
    StoredError::NotCanonical { path: String::new(), expected, found: format!("{} twice", shortened(key)) }
}
