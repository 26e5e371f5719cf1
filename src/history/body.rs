//! What a store is given of an own state: all of it, or how it differs from the one before.
//!
//! A state is stored whole, and the next ones as differences until these weigh some times as much as it does. So what is
//! stored follows what changed, and what must be read for one state is at most that many times the state, and it.

use std::sync::Arc;

use super::seal::subject_of;
use super::{Archive, CommitError, ReadError};
use crate::digest::Digest;
use crate::entity::{AnyEntity, FieldSet};
use crate::lineage::{Ix, Weight};
use crate::schema::Role;
use crate::store::{LayoutRow, Varints, write_varint};
use crate::value::{Delta, Edit, Name, Patch, StoredError, Value, append_stored, from_stored};
use crate::when::Revision;

/// An own state as it is given to a store.
#[derive(Clone)]
pub(crate) struct Body {
    pub(super) layout: Arc<LayoutRow>,
    /// The version that `bytes` are a difference to.
    pub(super) base: Option<Revision>,
    pub(super) bytes: Arc<[u8]>,
    pub(super) weight: Weight,
    /// The subject under whose key it is to be sealed.
    pub(super) subject: Option<Digest>,
}

/// How the bytes of a body are to be read.
const WHOLE: u8 = 1;
const PATCH: u8 = 2;
const SEALED: u8 = 3;

/// What comes on top of a whole state weighs at most so many times as much: then the whole states of a history take at
/// most a sixth of what its differences do.
const MOST_PATCHED: u32 = 6;

/// A step costs its reader this much beside its bytes.
const STEP: u32 = 32;

/// Applying one to a long list costs as much as the list, so there are only so many.
const MOST_STEPS: u32 = 256;

/// A field that takes less is written out: a difference would hardly be smaller.
const SMALL: usize = 256;

impl Archive {
    /// What is stored of a state: of one that is known, with the one before and the fields that differ.
    pub(super) fn body(
        &self,
        known: Option<(Ix, &dyn AnyEntity, &FieldSet)>,
        after: &dyn AnyEntity,
    ) -> Result<Body, CommitError> {
        let layout = self.types.layout_row(after.row());
        let subject = subject_of(after);
        // A difference says something of both states, so they are of one subject.
        let known = known.filter(|(_, before, _)| subject.is_none() || subject_of(*before) == subject);
        if let Some((ix, before, fields)) = known {
            let weight = self.lineages.weight(ix);
            let base = self.lineages.own_revision(ix);
            if weight.whole > 0 && weight.steps < MOST_STEPS && base.is_some() {
                let patch = patch(before, after, fields).to_bytes().map_err(unwritable)?;
                let size = u32::try_from(patch.len()).unwrap_or(u32::MAX).saturating_add(STEP);
                let patched = weight.patched.saturating_add(size);
                // One that is hardly smaller than the state itself is not worth a step.
                if size <= weight.whole && patched <= weight.whole.saturating_mul(MOST_PATCHED) {
                    let weight = Weight { whole: weight.whole, patched, steps: weight.steps + 1 };
                    return Ok(Body { layout, base, bytes: with_weight(weight, &patch), weight, subject });
                }
            }
        }
        let mut bytes = Vec::with_capacity(SMALL);
        bytes.push(WHOLE);
        append_stored(&after.encode(), &mut bytes).map_err(unwritable)?;
        let whole = u32::try_from(bytes.len() - 1).unwrap_or(u32::MAX).max(1);
        let weight = Weight { whole, patched: 0, steps: 0 };
        Ok(Body { layout, base: None, bytes: bytes.into(), weight, subject })
    }
}

fn unwritable(error: StoredError) -> CommitError {
    CommitError::Unwritable(error.to_string())
}

/// How the fields differ.
fn patch(before: &dyn AnyEntity, after: &dyn AnyEntity, fields: &FieldSet) -> Patch {
    let meta = after.meta_of();
    let is_variant = !after.row().meta.variants.is_empty();
    let mut differences = Vec::with_capacity(fields.len());
    for field in fields {
        let known = &meta.fields[usize::from(*field)];
        let lists_entities = matches!(known.role, Role::Child | Role::Reference) && !known.unordered;
        let difference = match lists_entities.then(|| before.delta(*field, after)).flatten() {
            Some(delta) => delta.into(),
            None => smaller(before, after, *field, known.unordered),
        };
        differences.push((Name::Borrowed(known.name), difference));
    }
    Patch { variant: is_variant.then_some(Name::Borrowed(meta.name)), fields: differences }
}

/// The value of a field, or what differs in it if that is less.
fn smaller(before: &dyn AnyEntity, after: &dyn AnyEntity, field: u16, unordered: bool) -> Edit {
    let value = after.encode_field(field);
    // The difference of what has no order does not lead to the very same list.
    let worth_a_look = !unordered && size(&value, SMALL) >= SMALL;
    match worth_a_look.then(|| before.delta(field, after)).flatten() {
        Some(delta) if !matches!(delta, Delta::Replace { .. }) => delta.into(),
        _ => Edit::To(value),
    }
}

/// About how much a value takes, if that is not more than `most`.
fn size(value: &Value, most: usize) -> usize {
    let mut sum = 8;
    let mut add = |size: usize| {
        sum += size;
        sum < most
    };
    let _ = match value {
        Value::Text(text) => add(text.len()),
        Value::Bytes(bytes) => add(bytes.len()),
        Value::List(items) | Value::Set(items) => items.iter().all(|item| add(size(item, most))),
        Value::Map(entries) => entries.iter().all(|(key, value)| add(size(key, most) + size(value, most))),
        Value::Struct(fields) => fields.iter().all(|(name, value)| add(name.len() + size(value, most))),
        Value::Variant(variant) => add(size(&variant.1, most)),
        Value::Some(inner) => add(size(inner, most)),
        _ => true,
    };
    sum
}

pub(super) fn with_weight(weight: Weight, patch: &[u8]) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(patch.len() + 8);
    bytes.push(PATCH);
    for number in [weight.whole, weight.patched, weight.steps] {
        write_varint(&mut bytes, number.into());
    }
    bytes.extend_from_slice(patch);
    bytes.into()
}

/// The numbers of a weight, and what follows them.
fn weight_of(bytes: &[u8]) -> Option<(Weight, &[u8])> {
    let mut numbers = Varints::new(bytes);
    let mut number = || u32::try_from(numbers.next()?).ok();
    let weight = Weight { whole: number()?, patched: number()?, steps: number()? };
    Some((weight, numbers.rest()))
}

/// A body as it is read.
pub(super) enum Read {
    Whole(Value, Weight),
    Patch(Patch, Weight),
}

/// A body that was sealed, as it is given to a store.
pub(super) fn sealed(bytes: &[u8]) -> Arc<[u8]> {
    [&[SEALED], bytes].concat().into()
}

/// What is sealed in a body; `None` if it is not sealed.
pub(super) fn sealed_in(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split_first().filter(|(codec, _)| **codec == SEALED).map(|(_, rest)| rest)
}

/// Reads a body. Says what is wrong with one that nobody wrote so.
pub(super) fn read(bytes: &[u8]) -> Result<Read, String> {
    match bytes.split_first() {
        Some((&WHOLE, rest)) => {
            let value = from_stored(rest).map_err(|error| error.to_string())?;
            let whole = u32::try_from(rest.len()).unwrap_or(u32::MAX).max(1);
            Ok(Read::Whole(value, Weight { whole, patched: 0, steps: 0 }))
        }
        Some((&PATCH, rest)) => {
            let Some((weight, rest)) = weight_of(rest) else { return Err("it is cut short".to_owned()) };
            let patch = Patch::from_bytes(rest).map_err(|error| error.to_string())?;
            Ok(Read::Patch(patch, weight))
        }
        Some((codec, _)) => Err(format!("its codec is {codec}, which is none that is known here")),
        None => Err("it is empty".to_owned()),
    }
}

/// Refuses what a store must not have.
pub(super) fn damaged(what: impl Into<String>, detail: impl Into<String>) -> ReadError {
    ReadError::Unreadable {
        reason: format!("{} is damaged: {}: check the store with `verify`", what.into(), detail.into()),
    }
}
