//! How values are read: in one pass, with a count of the levels.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Level, StoredError, lead, repeated, shortened};
use crate::id::EntityId;
use crate::value::{Name, Value};

/// As which serde_json has numbers where some crate of the program switched its `arbitrary_precision` on.
const NUMBER: &str = "$serde_json::private::Number";

/// What is read from its stored form: what it makes of each shape that JSON has.
pub(super) trait FromStored: Sized {
    /// What is expected where it stands.
    const EXPECTED: &'static str;

    /// Made of what holds nothing else.
    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        Err(unlike(Self::EXPECTED, &scalar))
    }

    /// Made of an array.
    fn from_array<'de, A: SeqAccess<'de>>(_: &mut A, _: Inside<'_>) -> Result<Self, A::Error> {
        Err(unlike(Self::EXPECTED, &"an array"))
    }

    /// Made of an object whose first key is read, if it has any.
    fn from_object<'de, A: MapAccess<'de>>(_: Option<String>, _: &mut A, _: Inside<'_>) -> Result<Self, A::Error> {
        Err(unlike(Self::EXPECTED, &"an object"))
    }
}

/// What JSON has that holds nothing else.
pub(super) enum Scalar<'t> {
    /// Null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number without fraction and exponent, of up to 64 bits.
    Integer(i128),
    /// Another number.
    Float(f64),
    /// A string.
    Text(&'t str),
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Bool(truth) => write!(f, "{truth}"),
            Scalar::Integer(number) => write!(f, "{number}"),
            Scalar::Float(number) => write!(f, "{number:?}"),
            Scalar::Text(text) => write!(f, "{:?}", shortened(text)),
        }
    }
}

/// The outermost value.
pub(super) fn read<T: FromStored>(bytes: &[u8]) -> Result<T, StoredError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    // Its own limit counts brackets, of which one level of values has up to three; here the levels are counted.
    json.disable_recursion_limit();
    let mut failure = Failure::default();
    let top = Inside { failure: &mut failure, level: Level::TOP };
    let read = Seed::new(top).deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    read.map_err(|error| failure.explain(&error, bytes))
}

/// What is known of a failure beside the message that serde carries.
#[derive(Default)]
struct Failure {
    path: String,
    too_deep: Option<StoredError>,
}

impl Failure {
    /// What was read wrong, and where in the bytes.
    fn explain(self, error: &serde_json::Error, bytes: &[u8]) -> StoredError {
        if let Some(error) = self.too_deep {
            return error;
        }
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let reason = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
        let offset = lines.map(<[u8]>::len).sum::<usize>().saturating_add(column).min(bytes.len());
        StoredError::Malformed { path: self.path, offset, reason: reason.chars().take(200).collect() }
    }
}

/// Where something is read: how deep, and where to tell what failed.
pub(super) struct Inside<'f> {
    failure: &'f mut Failure,
    level: Level,
}

impl Inside<'_> {
    /// The same place, lent.
    fn here(&mut self) -> Inside<'_> {
        Inside { failure: self.failure, level: self.level }
    }

    /// One level further down.
    pub(super) fn below(&mut self) -> Inside<'_> {
        Inside { failure: self.failure, level: self.level.below() }
    }

    /// The same error, seen from one step further out.
    fn within<E>(&mut self, error: E, step: &str) -> E {
        lead(&mut self.failure.path, step);
        error
    }

    /// The next part of an array of a known length, on the same level.
    pub(super) fn part<'de, T: FromStored, A: SeqAccess<'de>>(&mut self, array: &mut A) -> Result<T, A::Error> {
        match self.next(array)? {
            Some(part) => Ok(part),
            None => Err(unlike(T::EXPECTED, &"the end of the array")),
        }
    }

    /// The next part of an array, on the same level, unless it ends.
    pub(super) fn next<'de, T: FromStored, A: SeqAccess<'de>>(&mut self, array: &mut A) -> Result<Option<T>, A::Error> {
        array.next_element_seed(Seed::new(self.here()))
    }

    /// What stands behind the only key of an object, on the same level.
    pub(super) fn only<'de, T: FromStored, A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<T, A::Error> {
        let held = object.next_value_seed(Seed::new(self.here()))?;
        match object.next_key::<String>()? {
            None => Ok(held),
            Some(key) => Err(unlike("no key beside one that begins with $", &Scalar::Text(&key))),
        }
    }

    /// The fields of an object whose first key is read, each once, one level further down.
    pub(super) fn fields<'de, T: FromStored, A: MapAccess<'de>>(
        &mut self,
        first: Option<String>,
        object: &mut A,
    ) -> Result<Vec<(Name, T)>, A::Error> {
        let mut fields: Vec<(Name, T)> = Vec::new();
        let mut next = first;
        while let Some(key) = next {
            let name = field_name(key)?;
            match object.next_value_seed(Seed::new(self.below())) {
                Ok(held) => fields.push((name, held)),
                Err(error) => return Err(self.within(error, &name)),
            }
            next = object.next_key()?;
        }
        match repeated(fields.iter().map(|(name, _)| &**name)) {
            None => Ok(fields),
            Some(name) => Err(unlike("each field once", &format_args!("{} twice", Scalar::Text(name)))),
        }
    }
}

/// The name of a field without the `$` that saves it from being another kind of value.
fn field_name<E: Error>(mut key: String) -> Result<Name, E> {
    if key.starts_with("$$") {
        key.remove(0);
    } else if key.starts_with('$') {
        return Err(unlike("$$ before the name of a field that begins with $", &Scalar::Text(&key)));
    }
    Ok(Name::Owned(key))
}

/// Something else was found.
pub(super) fn unlike<E: Error>(expected: &str, found: &dyn fmt::Display) -> E {
    E::custom(format_args!("expected {expected}, found {found}"))
}

/// Reads a `T` from whatever stands there.
struct Seed<'f, T> {
    inside: Inside<'f>,
    of: PhantomData<T>,
}

impl<'f, T> Seed<'f, T> {
    /// What stands there.
    fn new(inside: Inside<'f>) -> Self {
        Self { inside, of: PhantomData }
    }
}

impl<'de, T: FromStored> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<T, D::Error> {
        if let Err(error) = self.inside.level.check() {
            return Err(D::Error::custom(self.inside.failure.too_deep.insert(error)));
        }
        json.deserialize_any(self)
    }
}

impl<'de, T: FromStored> Visitor<'de> for Seed<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        T::from_scalar(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<T, E> {
        T::from_scalar(Scalar::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::from_scalar(Scalar::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_scalar(Scalar::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        T::from_scalar(Scalar::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_scalar(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<T, A::Error> {
        T::from_array(&mut array, self.inside)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<T, A::Error> {
        let first: Option<String> = object.next_key()?;
        if first.as_deref() == Some(NUMBER) {
            return T::from_scalar(number(&object.next_value::<String>()?)?);
        }
        T::from_object(first, &mut object, self.inside)
    }
}

/// The number that these digits say, as serde_json tells it otherwise.
fn number<E: Error>(digits: &str) -> Result<Scalar<'static>, E> {
    // A zero with a sign is none of the integers.
    let whole = digits != "-0" && !digits.contains(['.', 'e', 'E']);
    let integer = digits
        .parse::<i128>()
        .ok()
        .filter(|number| whole && (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number));
    let float = || digits.parse::<f64>().ok().filter(|number| number.is_finite());
    match integer.map(Scalar::Integer).or_else(|| float().map(Scalar::Float)) {
        Some(number) => Ok(number),
        None => Err(unlike("a number that a float of 64 bits can be", &shortened(digits))),
    }
}

impl FromStored for Value {
    const EXPECTED: &'static str = "a value";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Bool(truth) => Value::Bool(truth),
            Scalar::Integer(number) => Value::integer(number),
            Scalar::Float(number) => Value::F64(number),
            Scalar::Text(text) => return from_text(text),
        })
    }

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, inside: Inside<'_>) -> Result<Self, A::Error> {
        Vec::from_array(array, inside).map(Value::List)
    }

    fn from_object<'de, A: MapAccess<'de>>(
        first: Option<String>,
        object: &mut A,
        mut inside: Inside<'_>,
    ) -> Result<Self, A::Error> {
        // Apart, so that the frames of nested structs stay small.
        match first {
            Some(tag) if tag.starts_with('$') && !tag.starts_with("$$") => tagged(&tag, object, inside),
            first => inside.fields(first, object).map(Value::Struct),
        }
    }
}

/// The value of a kind that JSON lacks: what stands behind the only key of its object.
fn tagged<'de, A: MapAccess<'de>>(tag: &str, object: &mut A, mut inside: Inside<'_>) -> Result<Value, A::Error> {
    match tag {
        "$f32" => inside.only(object).map(|Narrow(number)| Value::F32(number)),
        "$float" => inside.only(object).map(|Special(number)| Value::F64(number)),
        "$int" => inside.only(object).map(|Digits(integer)| integer),
        "$bytes" => inside.only(object).map(|Bytes(bytes)| Value::Bytes(bytes)),
        "$set" => match inside.only::<Vec<Value>, _>(object)? {
            items if items.is_sorted_by(|before, after| before < after) => Ok(Value::Set(items)),
            _ => Err(unlike("the members of a set sorted, each once", &"another order")),
        },
        "$map" => inside.only(object).map(|Entries(entries)| Value::Map(entries)),
        "$variant" => inside.only(object).map(|VariantOf(name, holds)| Value::variant(name, holds)),
        "$some" => match inside.below().only(object)? {
            inner @ (Value::Null | Value::Some(_)) => Ok(inner.some()),
            other => Err(unlike("null or $some in $some", &other.kind())),
        },
        tag => Err(unlike("a known kind of value, or $$ before the name of a field", &Scalar::Text(tag))),
    }
}

/// The value that a string stands for.
fn from_text<E: Error>(text: &str) -> Result<Value, E> {
    let id = |text: &str| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(EntityId::from_bytes);
    let plain = |text: &str| text.starts_with(['@', '&', '\\']).then(|| Value::text(text));
    let (expected, value) = match text.as_bytes().first() {
        Some(b'@') => ("@ and the 22 characters of an id", id(&text[1..]).map(Value::Entity)),
        Some(b'&') => ("& and the 22 characters of an id", id(&text[1..]).map(Value::Reference)),
        Some(b'\\') => ("@, & or \\ after \\", plain(&text[1..])),
        _ => return Ok(Value::text(text)),
    };
    value.ok_or_else(|| unlike(expected, &Scalar::Text(text)))
}

impl<T: FromStored> FromStored for Vec<T> {
    const EXPECTED: &'static str = "an array";

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, mut inside: Inside<'_>) -> Result<Self, A::Error> {
        let mut items = Vec::new();
        loop {
            match array.next_element_seed(Seed::new(inside.below())) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(items),
                Err(error) => return Err(inside.within(error, &format!("[{}]", items.len()))),
            }
        }
    }
}

impl<A: FromStored, B: FromStored> FromStored for (A, B) {
    const EXPECTED: &'static str = "an array of two";

    fn from_array<'de, S: SeqAccess<'de>>(array: &mut S, mut inside: Inside<'_>) -> Result<Self, S::Error> {
        Ok((inside.part(array)?, inside.part(array)?))
    }
}

impl FromStored for Name {
    const EXPECTED: &'static str = "a name";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        match scalar {
            Scalar::Text(name) => Ok(Name::Owned(name.to_owned())),
            _ => Err(unlike(Self::EXPECTED, &scalar)),
        }
    }
}

/// A float of 32 bits.
struct Narrow(f32);

impl FromStored for Narrow {
    const EXPECTED: &'static str = "a float of 32 bits";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        let number = match &scalar {
            Scalar::Integer(number) => Some(*number as f32),
            Scalar::Float(number) => Some(*number as f32).filter(|number| number.is_finite()),
            Scalar::Text(text) => special(text).map(|number| number as f32),
            _ => None,
        };
        number.map(Self).ok_or_else(|| unlike(Self::EXPECTED, &scalar))
    }
}

/// A float of 64 bits that JSON has no number for.
struct Special(f64);

impl FromStored for Special {
    const EXPECTED: &'static str = "\"NaN\", \"inf\" or \"-inf\"";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        let number = if let Scalar::Text(text) = &scalar { special(text) } else { None };
        number.map(Self).ok_or_else(|| unlike(Self::EXPECTED, &scalar))
    }
}

/// The float of this name.
fn special(name: &str) -> Option<f64> {
    match name {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// An integer that JSON has no number for.
struct Digits(Value);

impl FromStored for Digits {
    const EXPECTED: &'static str = "the digits of an integer of up to 128 bits";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        let integer = match &scalar {
            Scalar::Text(digits) => match digits.parse::<i128>() {
                Ok(number) => Some(Value::integer(number)),
                Err(_) => digits.parse().ok().map(Value::unsigned),
            },
            _ => None,
        };
        integer.map(Self).ok_or_else(|| unlike(Self::EXPECTED, &scalar))
    }
}

/// Bytes.
struct Bytes(Box<[u8]>);

impl FromStored for Bytes {
    const EXPECTED: &'static str = "bytes in base64";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        let bytes = if let Scalar::Text(text) = &scalar { STANDARD.decode(text).ok() } else { None };
        bytes.map(|bytes| Self(bytes.into())).ok_or_else(|| unlike(Self::EXPECTED, &scalar))
    }
}

/// The entries of a map, each key once.
struct Entries(Vec<(Value, Value)>);

impl Entries {
    /// The same, if no key stands twice.
    fn distinct<E: Error>(self) -> Result<Self, E> {
        match repeated(self.0.iter().map(|(key, _)| key)) {
            None => Ok(self),
            Some(key) => Err(unlike("each key of a map once", &format_args!("{} twice", shortened(&key.to_string())))),
        }
    }
}

impl FromStored for Entries {
    const EXPECTED: &'static str = "an object, or an array of pairs";

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, inside: Inside<'_>) -> Result<Self, A::Error> {
        Self(Vec::from_array(array, inside)?).distinct()
    }

    fn from_object<'de, A: MapAccess<'de>>(
        first: Option<String>,
        object: &mut A,
        mut inside: Inside<'_>,
    ) -> Result<Self, A::Error> {
        let mut entries = Vec::new();
        let mut next = first;
        while let Some(key) = next {
            match object.next_value_seed(Seed::new(inside.below())) {
                Ok(value) => entries.push((Value::text(key), value)),
                Err(error) => return Err(inside.within(error, &format!("[{}]", Value::text(key)))),
            }
            next = object.next_key()?;
        }
        Self(entries).distinct()
    }
}

/// The name of a variant and what it holds.
struct VariantOf(Name, Value);

impl FromStored for VariantOf {
    const EXPECTED: &'static str = "the name of a variant, or an array of it and what it holds";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        Name::from_scalar(scalar).map(|name| Self(name, Value::Null))
    }

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, mut inside: Inside<'_>) -> Result<Self, A::Error> {
        let name: Name = inside.part(array)?;
        let holds = inside.below().part(array).map_err(|error| inside.within(error, &name))?;
        Ok(Self(name, holds))
    }
}
