//! Numbers, text and other values without parts.

use std::borrow::Cow;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16, NonZeroU32,
    NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::sync::Arc;
use std::time::Duration;

use super::{Field, Pairs, Plain, Source};
use crate::id::{EntityId, Id};
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Value, canonical_f32, canonical_f64};

macro_rules! integers {
    ($($type:ty, $encode:ident as $wide:ty;)*) => {$(
        impl Field for $type {
            const ROLE: Role = Role::Value;
            fn layout(_: &mut Layouter) -> String {
                stringify!($type).to_owned()
            }
            #[inline]
            fn encode(&self) -> Value {
                Value::$encode(<$wide>::try_from(*self).expect("128 bits hold every integer"))
            }
            fn decode(value: &Value, _: &mut dyn Source) -> Result<Self, DecodeError> {
                let number = match value {
                    Value::Int(number) => <$type>::try_from(*number).ok(),
                    Value::Large(number) => <$type>::try_from(**number).ok(),
                    Value::Negative(number) => <$type>::try_from(**number).ok(),
                    _ => None,
                };
                number.ok_or_else(|| {
                    DecodeError::new(
                        format!("an integer from {} to {}", <$type>::MIN, <$type>::MAX),
                        value,
                    )
                })
            }
            #[inline]
            fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
                self == after
            }
        }
        impl Plain for $type {}
    )*};
}

integers! {
    i8, integer as i128;
    i16, integer as i128;
    i32, integer as i128;
    i64, integer as i128;
    i128, integer as i128;
    isize, integer as i128;
    u16, unsigned as u128;
    u32, unsigned as u128;
    u64, unsigned as u128;
    u128, unsigned as u128;
    usize, unsigned as u128;
}

impl Field for u8 {
    const ROLE: Role = Role::Value;
    fn layout(_: &mut Layouter) -> String {
        "u8".to_owned()
    }
    fn encode(&self) -> Value {
        Value::Int(i64::from(*self))
    }
    fn decode(value: &Value, _: &mut dyn Source) -> Result<Self, DecodeError> {
        match value {
            Value::Int(number) => u8::try_from(*number).ok(),
            _ => None,
        }
        .ok_or_else(|| DecodeError::new("an integer from 0 to 255", value))
    }
    fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
        self == after
    }
    fn encode_list(items: &[Self]) -> Value {
        Value::Bytes(items.into())
    }
    fn decode_list(value: &Value) -> Option<Vec<Self>> {
        match value {
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl Plain for u8 {}

macro_rules! nonzero {
    ($($type:ty: $inner:ty;)*) => {$(
        impl Field for $type {
            const ROLE: Role = Role::Value;
            fn layout(layouter: &mut Layouter) -> String {
                format!("nonzero {}", <$inner>::layout(layouter))
            }
            fn encode(&self) -> Value {
                self.get().encode()
            }
            fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
                Self::new(<$inner>::decode(value, source)?)
                    .ok_or_else(|| DecodeError::new("an integer other than 0", value))
            }
            fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
                self == after
            }
        }
        impl Plain for $type {}
    )*};
}

nonzero! {
    NonZeroI8: i8;
    NonZeroI16: i16;
    NonZeroI32: i32;
    NonZeroI64: i64;
    NonZeroI128: i128;
    NonZeroIsize: isize;
    NonZeroU8: u8;
    NonZeroU16: u16;
    NonZeroU32: u32;
    NonZeroU64: u64;
    NonZeroU128: u128;
    NonZeroUsize: usize;
}

/// A field without parts: how it is written, read and compared.
macro_rules! scalar {
    ($type:ty, $layout:literal, $expected:literal,
     |$this:ident| $encode:expr, |$value:ident| $decode:expr, |$before:ident, $after:ident| $same:expr) => {
        impl Field for $type {
            const ROLE: Role = Role::Value;
            fn layout(_: &mut Layouter) -> String {
                $layout.to_owned()
            }
            fn encode(&self) -> Value {
                let $this = self;
                $encode
            }
            fn decode($value: &Value, _: &mut dyn Source) -> Result<Self, DecodeError> {
                let read: Option<Self> = $decode;
                read.ok_or_else(|| DecodeError::new($expected, $value))
            }
            #[inline]
            fn same<'a>(&'a self, $after: &'a Self, _: &mut Pairs<'a>) -> bool {
                let $before = self;
                $same
            }
        }
        impl Plain for $type {}
    };
}

scalar!(
    bool,
    "bool",
    "true or false",
    |this| Value::Bool(*this),
    |value| match value {
        Value::Bool(truth) => Some(*truth),
        _ => None,
    },
    |before, after| before == after
);

scalar!(
    char,
    "char",
    "text of one character",
    |this| Value::text(this.to_string()),
    |value| match value {
        Value::Text(text) => {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        }
        _ => None,
    },
    |before, after| before == after
);

scalar!(
    (),
    "unit",
    "null",
    |_this| Value::Null,
    |value| matches!(value, Value::Null).then_some(()),
    |_before, _after| true
);

/// The float nearest to a number of another kind, where nothing is lost.
fn exact_float(value: &Value) -> Option<f64> {
    match value {
        Value::F64(number) => Some(*number),
        Value::F32(number) => Some(f64::from(*number)),
        Value::Int(number) if number.unsigned_abs() <= 1 << 53 => Some(*number as f64),
        _ => None,
    }
}

scalar!(f64, "f64", "a number", |this| Value::F64(*this), |value| exact_float(value), |before, after| canonical_f64(
    *before
)
    == canonical_f64(*after));

scalar!(
    f32,
    "f32",
    "a number that 32 bits hold",
    |this| Value::F32(*this),
    |value| match value {
        Value::F32(number) => Some(*number),
        other => exact_float(other)
            .map(|number| (number, number as f32))
            .filter(|(wide, narrow)| narrow.is_finite() || !wide.is_finite())
            .map(|(_, narrow)| narrow),
    },
    |before, after| canonical_f32(*before) == canonical_f32(*after)
);

macro_rules! texts {
    ($($type:ty),*) => {$(
        scalar!(
            $type,
            "text",
            "text",
            |this| Value::text(&**this),
            |value| match value {
                Value::Text(text) => Some(<$type>::from(&**text)),
                _ => None,
            },
            |before, after| before == after
        );
    )*};
}

texts!(String, Box<str>, Arc<str>);

scalar!(
    Cow<'static, str>,
    "text",
    "text",
    |this| Value::text(&**this),
    |value| match value {
        Value::Text(text) => Some(Cow::Owned(text.to_string())),
        _ => None,
    },
    |before, after| before == after
);

scalar!(
    Duration,
    "duration",
    "a list of seconds and nanoseconds",
    |this| Value::List(vec![Value::unsigned(this.as_secs().into()), Value::Int(this.subsec_nanos().into())]),
    |value| match value {
        Value::List(items) => match items.as_slice() {
            [seconds, Value::Int(nanos)] => u64::decode(seconds, &mut super::NoSource)
                .ok()
                .zip(u32::try_from(*nanos).ok().filter(|nanos| *nanos < 1_000_000_000))
                .map(|(seconds, nanos)| Duration::new(seconds, nanos)),
            _ => None,
        },
        _ => None,
    },
    |before, after| before == after
);

fn read_id(value: &Value) -> Option<EntityId> {
    match value {
        Value::Reference(id) | Value::Entity(id) => Some(*id),
        Value::Text(text) => text.strip_prefix('@').unwrap_or(text).parse().ok(),
        _ => None,
    }
}

impl Field for EntityId {
    const ROLE: Role = Role::Reference;
    fn layout(_: &mut Layouter) -> String {
        "&any".to_owned()
    }
    fn encode(&self) -> Value {
        Value::Reference(*self)
    }
    fn decode(value: &Value, _: &mut dyn Source) -> Result<Self, DecodeError> {
        read_id(value).ok_or_else(|| DecodeError::new("the id of an entity", value))
    }
    fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
        self == after
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        visit(*self);
    }
}

impl Plain for EntityId {}

impl<T: 'static> Field for Id<T> {
    const ROLE: Role = Role::Reference;
    fn layout(_: &mut Layouter) -> String {
        "reference".to_owned()
    }
    fn encode(&self) -> Value {
        Value::Reference(self.entity_id())
    }
    fn decode(value: &Value, _: &mut dyn Source) -> Result<Self, DecodeError> {
        read_id(value).map(Self::from_entity_id).ok_or_else(|| DecodeError::new("the id of an entity", value))
    }
    fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
        self == after
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        visit(self.entity_id());
    }
}

impl<T: 'static> Plain for Id<T> {}
