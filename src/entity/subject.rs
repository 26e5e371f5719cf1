//! Whose the data of an entity is, as the derive says it.

use std::borrow::Cow;
use std::sync::Arc;

use super::Field;
use crate::id::{EntityId, Id};
use crate::schema::SubjectOf;

/// A type whose values name a subject.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` names no subject",
    label = "expected text, an integer or an id, such as `Id<Customer>`",
    note = "the data of an entity belongs to one subject, which is there from the first version on"
)]
pub trait NamesSubject: Field {}

macro_rules! names_subject {
    ($($type:ty),*) => {$(impl NamesSubject for $type {})*};
}

names_subject!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);
names_subject!(String, Box<str>, Arc<str>, Cow<'static, str>, EntityId);

impl<T: 'static> NamesSubject for Id<T> {}

/// Each entity is its own.
#[must_use]
pub const fn itself() -> Option<SubjectOf> {
    Some(SubjectOf::Itself)
}

/// This stored field names it.
#[must_use]
pub const fn named_by<F: NamesSubject>(field: u16) -> Option<SubjectOf> {
    Some(SubjectOf::Field(field))
}
