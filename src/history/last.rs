//! What an entity last owned and referred to, for when it comes back.

use std::sync::Arc;

use super::{Archive, ReadError};
use crate::entity::{AnyCell, Part, Record, owned_ids};
use crate::id::EntityId;
use crate::lineage::{Ix, PastState, Payload};
use crate::value::Value;

/// The last state of an entity.
enum Last {
    Cell(Arc<dyn AnyCell>),
    /// Its own state alone, where what it owned is forgotten.
    Own(PastState),
}

impl Archive {
    fn last_state(&self, ix: Ix) -> Result<Option<Last>, ReadError> {
        match self.lineages.last(ix).map_err(ReadError::from) {
            Err(ReadError::Forgotten { .. } | ReadError::Erased { .. }) => {
                match self.lineages.last_stored(ix).map_err(ReadError::from) {
                    // With its state went what it owned and referred to: the erasure saw to that.
                    Err(ReadError::Erased { .. }) => Ok(None),
                    last => Ok(Some(Last::Own(last?))),
                }
            }
            last => Ok(last?.map(Last::Cell)),
        }
    }

    /// The entities that an entity last owned directly.
    pub(super) fn last_owned(&self, ix: Ix) -> Result<Vec<EntityId>, ReadError> {
        let mut owned = Vec::new();
        match self.last_state(ix)? {
            Some(Last::Cell(cell)) => cell.entity().slots(&mut |_, _, slot| owned.push(slot.id())),
            Some(Last::Own(state)) => owned_ids(&state.value, &mut |id| owned.push(id)),
            None => {}
        }
        Ok(owned)
    }

    /// The references of an entity's last own state.
    pub(super) fn last_references(&self, ix: Ix) -> Result<Vec<(u16, EntityId)>, ReadError> {
        let mut references = Vec::new();
        match self.lineages.own(ix, self.lineages.last_revision(ix))? {
            Some((_, Payload::Cell(cell))) => cell.entity().references(&mut |field, to| references.push((field, to))),
            Some((_, Payload::Record(record))) => record_references(&record, &mut references),
            Some((_, Payload::Stored)) => match self.last_state(ix)? {
                Some(Last::Cell(cell)) => cell.entity().references(&mut |field, to| references.push((field, to))),
                Some(Last::Own(state)) => stored_references(&state, &mut references),
                None => {}
            },
            _ => {}
        }
        Ok(references)
    }
}

/// The references of a state that was not made an entity.
fn stored_references(state: &PastState, references: &mut Vec<(u16, EntityId)>) {
    let (meta, fields) = match &*state.value {
        Value::Variant(variant) => (state.row.meta.leaf(variant.0.as_ref()), &variant.1),
        fields => (Some(state.row.meta), fields),
    };
    let (Some(meta), Value::Struct(fields)) = (meta, fields) else { return };
    for (name, value) in fields {
        if let Some(field) = meta.field(name).and_then(|field| u16::try_from(field).ok()) {
            value_references(value, &mut |to| references.push((field, to)));
        }
    }
}

pub(super) fn record_references(record: &Record, references: &mut Vec<(u16, EntityId)>) {
    for (index, part) in record.parts.iter().enumerate() {
        // A handle owns, it does not refer.
        if let Part::Value(value) = part {
            let field = u16::try_from(index).expect("the derive refuses more fields");
            value_references(value, &mut |to| references.push((field, to)));
        }
    }
}

pub(super) fn value_references(value: &Value, visit: &mut dyn FnMut(EntityId)) {
    match value {
        Value::Reference(id) => visit(*id),
        Value::List(items) | Value::Set(items) => items.iter().for_each(|item| value_references(item, visit)),
        Value::Map(entries) => {
            for (key, value) in entries {
                value_references(key, visit);
                value_references(value, visit);
            }
        }
        Value::Struct(fields) => fields.iter().for_each(|(_, value)| value_references(value, visit)),
        Value::Variant(variant) => value_references(&variant.1, visit),
        Value::Some(inner) => value_references(inner, visit),
        _ => {}
    }
}
