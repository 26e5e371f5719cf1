//! How one own state became the next, as it is stored: the fields that differ, each with its edit.
//!
//! A patch is an object like the struct that it changes, or `{"$variant":["Name",{...}]}` like the variant, with an edit
//! for each field that differs. An edit is:
//!
//! | edit | stored as |
//! |---|---|
//! | the whole value | the value after |
//! | fields of a struct, or what a variant holds | `{"$fields":{"name": edit, ...}}` |
//! | entries of a map | `{"$entries":[[key gone, ...], [[key, edit], ...], [[place after, key moved], ...], [[place after, key, value], ...]]}` |
//! | members of a set | `{"$members":[[member gone, ...], [member, ...]]}` |
//! | items of a list | `{"$items":[[[place before, edit], ...], [[place before, how many are gone, item, ...], ...]]}` |
//!
//! What was there before is not stored again: an edit leads forward alone.

use serde::de::{Error, MapAccess, SeqAccess};

use super::edit::{Edit, Splice, apply_to_fields};
use super::read::{FromStored, Inside, Scalar, read, unlike};
use super::write::{ToStored, array, json, separated, tagged, write, write_fields};
use super::{ApplyError, Level, StoredError};
use crate::value::{Name, Value};

/// How one own state became the next: a struct, or a variant that holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    /// The variant that the state is and stays, if it is one.
    pub(crate) variant: Option<Name>,
    /// The fields that differ, in their order.
    pub(crate) fields: Vec<(Name, Edit)>,
}

impl Patch {
    /// The stored form of this patch.
    ///
    /// # Errors
    /// A value in it that nests too deep, or that is not canonical.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, StoredError> {
        write(self)
    }

    /// The patch that was stored so.
    ///
    /// # Errors
    /// Bytes that no patch is stored as.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StoredError> {
        read(bytes)
    }

    /// Makes of the state before the one after.
    ///
    /// # Errors
    /// `state` is not the one before; it may then be changed in part, so apply to a copy.
    pub(crate) fn apply(&self, state: &mut Value) -> Result<(), StoredError> {
        apply_to_fields(self.fields_of(state)?, &self.fields)
    }

    /// The fields of a state that this patch was made for.
    fn fields_of<'s>(&self, state: &'s mut Value) -> Result<&'s mut Vec<(Name, Value)>, ApplyError> {
        let state = match &self.variant {
            None => state,
            Some(name) => match state {
                Value::Variant(variant) => match &mut **variant {
                    (found, holds) if found == name => holds,
                    (found, _) => return Err(ApplyError::new(format!("the variant {name}"), found)),
                },
                other => return Err(ApplyError::new(format!("the variant {name}"), other.kind())),
            },
        };
        match state {
            Value::Struct(fields) => Ok(fields),
            other => Err(ApplyError::new("a struct", other.kind())),
        }
    }
}

impl ToStored for Patch {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        let Some(name) = &self.variant else { return write_fields(out, &self.fields, level.below()) };
        tagged(out, "$variant", |out| {
            out.push(b'[');
            json(out, &**name);
            out.push(b',');
            write_fields(out, &self.fields, level.below().below())?;
            out.push(b']');
            Ok(())
        })
    }
}

impl FromStored for Patch {
    const EXPECTED: &'static str = "a patch";

    fn from_object<'de, A: MapAccess<'de>>(
        first: Option<String>,
        object: &mut A,
        mut inside: Inside<'_>,
    ) -> Result<Self, A::Error> {
        match first.as_deref() {
            Some("$variant") => {
                inside.only(object).map(|PatchOf(name, Fields(fields))| Patch { variant: Some(name), fields })
            }
            _ => Fields::from_object(first, object, inside).map(|Fields(fields)| Patch { variant: None, fields }),
        }
    }
}

/// The name of a variant and the patch of what it holds.
struct PatchOf(Name, Fields);

impl FromStored for PatchOf {
    const EXPECTED: &'static str = "an array of a variant's name and the fields that differ";

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, mut inside: Inside<'_>) -> Result<Self, A::Error> {
        Ok(Self(inside.part(array)?, inside.below().part(array)?))
    }
}

/// The fields that differ.
struct Fields(Vec<(Name, Edit)>);

impl FromStored for Fields {
    const EXPECTED: &'static str = "an object of the fields that differ";

    fn from_object<'de, A: MapAccess<'de>>(
        first: Option<String>,
        object: &mut A,
        mut inside: Inside<'_>,
    ) -> Result<Self, A::Error> {
        inside.fields(first, object).map(Self)
    }
}

impl ToStored for Edit {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        level.check()?;
        match self {
            Edit::To(value) => value.write(out, level),
            Edit::Fields(fields) => tagged(out, "$fields", |out| write_fields(out, fields, level.below())),
            Edit::Entries { gone, changed, moved, come } => {
                tagged(out, "$entries", |out| array(out, &[gone, changed, moved, come], level))
            }
            Edit::Members { gone, come } => tagged(out, "$members", |out| array(out, &[gone, come], level)),
            Edit::Items { changed, spliced } => tagged(out, "$items", |out| array(out, &[changed, spliced], level)),
        }
    }
}

impl FromStored for Edit {
    const EXPECTED: &'static str = "a value or an edit";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        Value::from_scalar(scalar).map(Edit::To)
    }

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, inside: Inside<'_>) -> Result<Self, A::Error> {
        Value::from_array(array, inside).map(Edit::To)
    }

    fn from_object<'de, A: MapAccess<'de>>(
        first: Option<String>,
        object: &mut A,
        mut inside: Inside<'_>,
    ) -> Result<Self, A::Error> {
        match first.as_deref() {
            Some("$fields") => inside.only(object).map(|Fields(fields)| Edit::Fields(fields)),
            Some("$entries") => {
                inside.only(object).map(|(gone, changed, moved, come)| Edit::Entries { gone, changed, moved, come })
            }
            Some("$members") => inside.only(object).map(|(gone, come)| Edit::Members { gone, come }),
            Some("$items") => inside.only(object).map(|(changed, spliced)| Edit::Items { changed, spliced }),
            _ => Value::from_object(first, object, inside).map(Edit::To),
        }
    }
}

impl ToStored for Splice {
    fn write(&self, out: &mut Vec<u8>, level: Level) -> Result<(), StoredError> {
        let numbers: [&dyn ToStored; 2] = [&self.place, &self.gone];
        let items = self.come.iter().map(|item| item as &dyn ToStored);
        separated(out, b"[]", numbers.into_iter().chain(items), |out, part| part.write(out, level))
    }
}

impl FromStored for Splice {
    const EXPECTED: &'static str = "an array of a place, a count and items";

    fn from_array<'de, A: SeqAccess<'de>>(array: &mut A, mut inside: Inside<'_>) -> Result<Self, A::Error> {
        let (place, gone) = (inside.part(array)?, inside.part(array)?);
        let mut come = Vec::new();
        while let Some(item) = inside.next(array)? {
            come.push(item);
        }
        Ok(Self { place, gone, come })
    }
}

impl<A: FromStored, B: FromStored, C: FromStored> FromStored for (A, B, C) {
    const EXPECTED: &'static str = "an array of three";

    fn from_array<'de, S: SeqAccess<'de>>(array: &mut S, mut inside: Inside<'_>) -> Result<Self, S::Error> {
        Ok((inside.part(array)?, inside.part(array)?, inside.part(array)?))
    }
}

impl<A: FromStored, B: FromStored, C: FromStored, D: FromStored> FromStored for (A, B, C, D) {
    const EXPECTED: &'static str = "an array of four";

    fn from_array<'de, S: SeqAccess<'de>>(array: &mut S, mut inside: Inside<'_>) -> Result<Self, S::Error> {
        Ok((inside.part(array)?, inside.part(array)?, inside.part(array)?, inside.part(array)?))
    }
}

impl FromStored for usize {
    const EXPECTED: &'static str = "a position";

    fn from_scalar<E: Error>(scalar: Scalar<'_>) -> Result<Self, E> {
        match &scalar {
            Scalar::Integer(number) => usize::try_from(*number).map_err(|_| unlike(Self::EXPECTED, number)),
            _ => Err(unlike(Self::EXPECTED, &scalar)),
        }
    }
}
