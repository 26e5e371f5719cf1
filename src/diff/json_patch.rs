//! The difference between two states as an RFC 6902 JSON Patch.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::walk::{Descend, Difference, RepeatedError, Spot, Walk, Whole};
use crate::entity::{AnyCell, AnyEntity, Key, LoadError, Slot};
use crate::id::EntityId;
use crate::schema::Role;
use crate::value::{Delta, Value, json_name};

/// How deep entities may own each other in JSON.
const DEEPEST: usize = 64;

/// Why a difference is no JSON Patch.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JsonPatchError {
    /// The changes are not those between two states of one entity.
    #[error("these changes have no one root: take them from `diff` of two states of one entity")]
    NoRoot,
    /// Entities own each other deeper than JSON is read.
    #[error(
        "entities own each other more than {limit} levels deep: JSON readers stop before, so take `Changes` instead"
    )]
    TooDeep {
        /// How deep is written.
        limit: usize,
    },
    /// One entity stands at two places.
    #[error(transparent)]
    Repeated(#[from] RepeatedError),
    /// An entity that is owned could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// An entity with all that it owns as JSON: its id, then its stored fields; an enum of entities around it as an object
/// of the variant's name.
pub(crate) fn deep_json(entity: &dyn AnyEntity) -> Result<Json, JsonPatchError> {
    write(entity, DEEPEST)
}

fn write(entity: &dyn AnyEntity, depth: usize) -> Result<Json, JsonPatchError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(JsonPatchError::TooDeep { limit: DEEPEST });
    };
    let mut slots: HashMap<EntityId, &dyn Slot, ahash::RandomState> = HashMap::default();
    entity.slots(&mut |_, _, slot| {
        slots.insert(slot.id(), slot);
    });
    let mut failed = None;
    let mut child = |id: EntityId| match slots.get(&id).map(|slot| write(slot.entity(), depth)) {
        Some(Ok(json)) => json,
        Some(Err(error)) => {
            failed.get_or_insert(error);
            Json::Null
        }
        None => Json::String(id.to_string()),
    };
    let with_id = |fields: Json| {
        let mut object = serde_json::Map::new();
        object.insert(entity.meta_of().id.to_owned(), json!(entity.entity_id()));
        if let Json::Object(fields) = fields {
            object.extend(fields);
        }
        Json::Object(object)
    };
    let json = match entity.encode() {
        Value::Variant(variant) => json!({variant.0.as_ref(): with_id(variant.1.to_json_with(&mut child))}),
        fields => with_id(fields.to_json_with(&mut child)),
    };
    failed.map_or(Ok(json), Err)
}

/// What the patch has to say, with where each is told from.
#[derive(Default)]
struct Found<'a> {
    /// Taken out: removed, moved away, or out of order.
    out: Vec<(EntityId, Spot<'a>)>,
    /// Put in, whole.
    into: Vec<(&'a dyn Slot, Spot<'a>)>,
    changed: Vec<(&'a dyn AnyEntity, &'a dyn AnyEntity, u16)>,
    retyped: Vec<&'a dyn AnyEntity>,
}

/// The patch from one state to another.
///
/// First everything is taken out that goes, moves or changes its order, from the end to the start, so that no position
/// named is off by then; then what comes is put in, from the start to the end; then values are changed in place.
pub(crate) fn json_patch(before: &Arc<dyn AnyCell>, after: &Arc<dyn AnyCell>) -> Result<Json, JsonPatchError> {
    let (before, after) = (Whole(before), Whole(after));
    if before.id() != after.id() {
        return Ok(json!([{"op": "replace", "path": "", "value": deep_json(after.entity())?}]));
    }
    let mut walk = Walk::new(Descend::Everything);
    walk.keep_trail();
    walk.compare(&before, &after);
    let mut found = Found::default();
    walk.run(&mut |difference| {
        found.take(difference);
        ControlFlow::Continue(())
    })?;
    found.write(&Ways { walk: &walk, root: before.id() })
}

impl<'a> Found<'a> {
    fn take(&mut self, difference: Difference<'a>) {
        match difference {
            Difference::Changed { before, after, fields } => {
                let after = after.entity();
                self.changed.extend(fields.into_iter().map(|field| (before, after, field)));
            }
            Difference::Retyped { after, .. } => self.retyped.push(after.entity()),
            Difference::Added { slot, spot } => self.into.extend(spot.map(|spot| (slot, spot))),
            Difference::Removed { slot, spot } => self.out.extend(spot.map(|spot| (slot.id(), spot))),
            Difference::Moved { after, from, to, .. } => {
                self.out.extend(from.map(|spot| (after.id(), spot)));
                self.into.extend(to.map(|spot| (after, spot)));
            }
            Difference::Reordered { slot, owner, field, list, from, to } => {
                self.out.push((slot.id(), Spot { owner, field, key: list.clone().then(Key::Index(from)) }));
                self.into.push((slot, Spot { owner, field, key: list.then(Key::Index(to)) }));
            }
            Difference::Equal { .. } => {}
        }
    }

    fn write(self, ways: &Ways<'_, '_>) -> Result<Json, JsonPatchError> {
        let retyped: HashSet<EntityId> = self.retyped.iter().map(|entity| entity.entity_id()).collect();
        let whole = WholeFields::among(&self.changed);
        let gone: HashSet<EntityId> = self
            .out
            .iter()
            .map(|(id, _)| *id)
            .chain(retyped.iter().copied())
            .chain(whole.before.iter().copied())
            .collect();
        let new: HashSet<EntityId> = self
            .into
            .iter()
            .map(|(slot, _)| slot.id())
            .chain(retyped.iter().copied())
            .chain(whole.after.iter().copied())
            .collect();
        let mut operations = Vec::new();

        let mut out: Vec<Pointer> = self
            .out
            .into_iter()
            .filter(|(_, spot)| !whole.hold(spot) && !ways.passes(spot.owner, Side::Before, &gone))
            .map(|(_, spot)| ways.to_spot(&spot, Side::Before))
            .collect();
        out.sort_unstable();
        operations.extend(out.iter().rev().map(|pointer| match pointer.last_is_key {
            true => json!({"op": "remove", "path": pointer.text()}),
            false => json!({"op": "replace", "path": pointer.text(), "value": null}),
        }));

        let mut into: Vec<(Pointer, &dyn Slot)> = self
            .into
            .into_iter()
            .filter(|(_, spot)| !whole.hold(spot) && !ways.passes(spot.owner, Side::After, &new))
            .map(|(slot, spot)| (ways.to_spot(&spot, Side::After), slot))
            .collect();
        into.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (pointer, slot) in into {
            let op = if pointer.last_is_key { "add" } else { "replace" };
            operations.push(json!({"op": op, "path": pointer.text(), "value": deep_json(slot.entity())?}));
        }

        for entity in self.retyped {
            let owner = ways.walk.owners(entity.entity_id()).1;
            if !whole.after.contains(&entity.entity_id())
                && owner.is_none_or(|owner| !ways.passes(owner, Side::After, &new))
            {
                let mut pointer = ways.to_entity(entity, Side::After);
                pointer.tokens.pop();
                operations.push(json!({"op": "replace", "path": pointer.text(), "value": deep_json(entity)?}));
            }
        }
        for (before, after, field) in self.changed {
            if !ways.passes(after, Side::After, &new) {
                write_field(before, after, field, ways.to_entity(after, Side::After), &mut operations)?;
            }
        }
        Ok(Json::Array(operations))
    }
}

/// Fields of owned entities that are told whole: JSON has no place for a single difference in them.
#[derive(Default)]
struct WholeFields {
    fields: HashSet<(EntityId, u16)>,
    /// What they held and hold.
    before: HashSet<EntityId>,
    after: HashSet<EntityId>,
}

impl WholeFields {
    fn among(changed: &[(&dyn AnyEntity, &dyn AnyEntity, u16)]) -> Self {
        let mut whole = Self::default();
        for (before, after, field) in changed {
            let owns = after.meta_of().fields[usize::from(*field)].role == Role::Child;
            if owns && before.delta(*field, *after).is_some_and(|delta| !has_places(&delta, *before, *after, *field)) {
                whole.fields.insert((after.entity_id(), *field));
                let held = |entity: &dyn AnyEntity, ids: &mut HashSet<EntityId>| {
                    entity.slots(&mut |at, _, slot| ids.extend((at == *field).then_some(slot.id())));
                };
                held(*before, &mut whole.before);
                held(*after, &mut whole.after);
            }
        }
        whole
    }

    fn hold(&self, spot: &Spot<'_>) -> bool {
        self.fields.contains(&(spot.owner.entity_id(), spot.field))
    }
}

/// Whether what differs are entities alone, each in a place that JSON can name: the field itself, an item, an entry.
fn has_places(delta: &Delta, before: &dyn AnyEntity, after: &dyn AnyEntity, field: u16) -> bool {
    let entity = |value: &Value| matches!(value, Value::Entity(_));
    let other = |delta: &Delta| matches!(delta, Delta::Replace { before, after } if entity(before) && entity(after));
    match delta {
        Delta::Replace { before, after } => {
            [before, after].into_iter().all(|value| entity(value) || matches!(value, Value::Null))
        }
        Delta::List { removed, inserted, changed } => {
            removed.iter().chain(inserted).all(|(_, item)| entity(item))
                && changed.iter().all(|(_, _, delta)| other(delta))
        }
        // The order of an object can be told only by the whole.
        Delta::Map { moved, .. } if !moved.is_empty() => false,
        Delta::Map { removed, inserted, changed, .. } => {
            removed.iter().chain(inserted).all(|(_, _, value)| entity(value))
                && changed.iter().all(|(_, delta)| other(delta))
                && [before, after].into_iter().all(|owner| names_entries(&owner.encode_field(field)))
        }
        Delta::Struct(_) | Delta::Set { .. } => false,
    }
}

/// Whether JSON makes of a map an object that names each entry as it is: one other key makes it a list of pairs.
fn names_entries(map: &Value) -> bool {
    matches!(map, Value::Map(entries) if entries.iter().all(|(key, _)| is_plain_name(key)))
}

/// Whether a key is the name of an entry in JSON as it is.
fn is_plain_name(key: &Value) -> bool {
    matches!(key, Value::Text(text) if !text.starts_with('$'))
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Index(usize),
    Name(String),
}

/// A JSON Pointer; pointers sort as the values they name stand in a document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pointer {
    tokens: Vec<Token>,
    /// Whether the last token names an item or an entry, which can be taken out, or a field, which can only be null.
    last_is_key: bool,
}

impl Pointer {
    fn text(&self) -> String {
        self.tokens
            .iter()
            .map(|token| match token {
                Token::Index(index) => format!("/{index}"),
                Token::Name(name) => format!("/{}", escape(name)),
            })
            .collect()
    }
}

/// Finds the way from the root to what was compared.
struct Ways<'w, 'a> {
    walk: &'w Walk<'a>,
    root: EntityId,
}

impl<'a> Ways<'_, 'a> {
    fn owner(&self, of: EntityId, side: Side) -> Option<&'a dyn AnyEntity> {
        let owners = self.walk.owners(of);
        match side {
            Side::Before => owners.0,
            Side::After => owners.1,
        }
    }

    /// Whether the way to `entity`, itself included, passes one of `these`; what does not lead to the root stands in
    /// something that came or went as a whole.
    fn passes(&self, entity: &'a dyn AnyEntity, side: Side, these: &HashSet<EntityId>) -> bool {
        let mut at = Some(entity);
        while let Some(entity) = at {
            if these.contains(&entity.entity_id()) {
                return true;
            }
            if entity.entity_id() == self.root {
                return false;
            }
            at = self.owner(entity.entity_id(), side);
        }
        true
    }

    fn to_spot(&self, spot: &Spot<'a>, side: Side) -> Pointer {
        let mut pointer = self.to_entity(spot.owner, side);
        let field = spot.owner.meta_of().fields[usize::from(spot.field)].name;
        pointer.tokens.push(Token::Name(field.to_owned()));
        pointer.last_is_key = !spot.key.steps().is_empty();
        pointer.tokens.extend(spot.key.steps().iter().map(token));
        pointer
    }

    fn to_entity(&self, entity: &'a dyn AnyEntity, side: Side) -> Pointer {
        let mut spots = Vec::new();
        let mut at = entity;
        while at.entity_id() != self.root {
            let Some(owner) = self.owner(at.entity_id(), side) else { break };
            let Some((field, key, _)) = owner.find(at.entity_id()) else { break };
            spots.push((owner, field, key));
            at = owner;
        }
        let mut tokens = Vec::new();
        let variant = |entity: &dyn AnyEntity, tokens: &mut Vec<Token>| {
            if !entity.row().meta.variants.is_empty() {
                tokens.push(Token::Name(entity.meta_of().name.to_owned()));
            }
        };
        for (owner, field, key) in spots.into_iter().rev() {
            variant(owner, &mut tokens);
            tokens.push(Token::Name(owner.meta_of().fields[usize::from(field)].name.to_owned()));
            push_key(owner, field, &key, &mut tokens);
        }
        variant(entity, &mut tokens);
        Pointer { tokens, last_is_key: false }
    }
}

/// The way of a key within a field. What JSON makes of a map hangs on all of its keys: an object, or a list of pairs if
/// one of them is not text.
fn push_key(owner: &dyn AnyEntity, field: u16, key: &Key, tokens: &mut Vec<Token>) {
    if !key.steps().iter().any(|step| matches!(step, Key::Named(_))) {
        return tokens.extend(key.steps().iter().map(token));
    }
    let mut value = &owner.encode_field(field);
    for step in key.steps() {
        value = match (step, value) {
            (Key::Named(name), Value::Map(entries)) => {
                let place = entries.iter().position(|(key, _)| key == name).unwrap_or_default();
                match json_name(entries, place) {
                    Some(name) => tokens.push(Token::Name(name)),
                    None => tokens.extend([Token::Index(place), Token::Index(1)]),
                }
                entries.get(place).map_or(&Value::Null, |(_, inner)| inner)
            }
            (Key::Index(index) | Key::Part(index), Value::List(items)) => {
                tokens.push(Token::Index(*index));
                items.get(*index).unwrap_or(&Value::Null)
            }
            _ => {
                tokens.push(token(step));
                &Value::Null
            }
        };
    }
}

fn token(step: &Key) -> Token {
    match step {
        Key::Index(index) | Key::Part(index) => Token::Index(*index),
        Key::Named(Value::Text(text)) => Token::Name(text.to_string()),
        other => Token::Name(other.to_string()),
    }
}

fn write_field(
    before: &dyn AnyEntity,
    after: &dyn AnyEntity,
    field: u16,
    mut at: Pointer,
    operations: &mut Vec<Json>,
) -> Result<(), JsonPatchError> {
    let meta = &after.meta_of().fields[usize::from(field)];
    let delta = match meta.unordered {
        // JSON has no list without order: the document is to say what the state does.
        true => Delta::between(before.encode_field(field), after.encode_field(field), None),
        false => before.delta(field, after),
    };
    let Some(delta) = delta else { return Ok(()) };
    at.tokens.push(Token::Name(meta.name.to_owned()));
    if meta.role != Role::Child {
        write_delta(&delta, &after.encode_field(field), &mut at, operations);
    } else if !has_places(&delta, before, after, field) {
        let whole = deep_json(after)?;
        let object = match after.row().meta.variants.is_empty() {
            true => &whole,
            false => &whole[after.meta_of().name],
        };
        operations.push(json!({"op": "replace", "path": at.text(), "value": object[meta.name]}));
    }
    Ok(())
}

/// Changes inside one value; where JSON has no place for a single one, the whole value that holds it.
fn write_delta(delta: &Delta, after: &Value, at: &mut Pointer, operations: &mut Vec<Json>) {
    let mut step = |token: Token, operations: &mut Vec<Json>, write: &mut dyn FnMut(&mut Pointer, &mut Vec<Json>)| {
        at.tokens.push(token);
        write(at, operations);
        at.tokens.pop();
    };
    match (delta, after) {
        // A variant that holds nothing is its name alone.
        (Delta::Struct(fields), Value::Variant(variant))
            if matches!(variant.1, Value::Null)
                || matches!(fields.as_slice(), [(_, Delta::Replace { before: Value::Null, .. })]) =>
        {
            operations.push(json!({"op": "replace", "path": at.text(), "value": after.to_json()}));
        }
        (Delta::Struct(fields), Value::Struct(_) | Value::Variant(_)) => {
            for (name, delta) in fields {
                let inner = match after {
                    Value::Variant(variant) => Some(&variant.1),
                    other => other.get(name),
                };
                if let Some(inner) = inner {
                    step(Token::Name(name.to_string()), operations, &mut |at, operations| {
                        write_delta(delta, inner, at, operations);
                    });
                }
            }
        }
        (Delta::List { removed, inserted, changed }, Value::List(items)) => {
            for (index, _) in removed.iter().rev() {
                step(Token::Index(*index), operations, &mut |at, operations| {
                    operations.push(json!({"op": "remove", "path": at.text()}));
                });
            }
            for (index, item) in inserted {
                step(Token::Index(*index), operations, &mut |at, operations| {
                    operations.push(json!({"op": "add", "path": at.text(), "value": item.to_json()}));
                });
            }
            for (_, index, delta) in changed {
                step(Token::Index(*index), operations, &mut |at, operations| {
                    write_delta(delta, &items[*index], at, operations);
                });
            }
        }
        (Delta::Map { removed, inserted, changed, moved }, Value::Map(entries))
            if moved.is_empty() && text_keys(removed, inserted, entries) =>
        {
            for (_, key, _) in removed {
                step(token(&Key::Named(key.clone())), operations, &mut |at, operations| {
                    operations.push(json!({"op": "remove", "path": at.text()}));
                });
            }
            for (_, key, value) in inserted {
                step(token(&Key::Named(key.clone())), operations, &mut |at, operations| {
                    operations.push(json!({"op": "add", "path": at.text(), "value": value.to_json()}));
                });
            }
            for (key, delta) in changed {
                if let Some((_, value)) = entries.iter().find(|(found, _)| found == key) {
                    step(token(&Key::Named(key.clone())), operations, &mut |at, operations| {
                        write_delta(delta, value, at, operations);
                    });
                }
            }
        }
        _ => operations.push(json!({"op": "replace", "path": at.text(), "value": after.to_json()})),
    }
}

fn text_keys(
    removed: &[(usize, Value, Value)],
    inserted: &[(usize, Value, Value)],
    entries: &[(Value, Value)],
) -> bool {
    removed.iter().chain(inserted).all(|(_, key, _)| is_plain_name(key))
        && entries.iter().all(|(key, _)| is_plain_name(key))
}

/// A token of a JSON Pointer (RFC 6901, section 3).
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
