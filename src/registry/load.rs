//! Loading what a callable is given: entities by their address, values from JSON.

use serde_json::Value as Json;

use super::error::{AddressError, ArgumentError};
use super::held::{Held, Strays};
use super::kinds::{Access, Editing, Loaded, Param, ParamKind, PlainParam, PlainSlot, row_of, typed};
use crate::entity::{Entity, Field};
use crate::history::{Committed, ReadError, Store};
use crate::id::{EntityId, Id};
use crate::lineage::Ix;
use crate::log::Said;
use crate::value::Value;
use crate::when::{Position, Revision, Timestamp, When};

/// An entity that a run uses.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub(super) ix: Ix,
    pub(super) access: Access,
}

/// Loads the arguments of one run, all as of one position.
pub struct Loading<'r> {
    pub(super) store: &'r Store,
    pub(super) at: Position,
    pub(super) strays: Strays,
    pub(super) said: Option<&'r Said>,
    pub(super) time: Option<Timestamp>,
    /// Commits of stray edits, to be told of.
    pub(super) committed: Vec<Committed>,
}

impl<'r> Loading<'r> {
    pub(super) fn new(store: &'r Store, strays: Strays, said: Option<&'r Said>, time: Option<Timestamp>) -> Self {
        Self { store, at: store.lineages.head(), strays, said, time, committed: Vec::new() }
    }

    /// The entity of an id.
    pub(super) fn entity<T: Entity>(&self, id: Id<T>) -> Result<Loaded<T>, ReadError> {
        if let Some((ix, revision, before)) = self.store.lineages.newest(id.entity_id(), row_of::<T>(), self.at) {
            return Ok(Loaded { ix, id, revision, before: typed(before) });
        }
        let ix = self.store.locate_typed(id.entity_id(), row_of::<T>())?;
        let before = self.store.state(ix, self.at, &When::Head)?;
        let revision = self.store.lineages.revision(ix, self.at).unwrap_or(Revision(0));
        Ok(Loaded { ix, id, revision, before: typed(before) })
    }

    /// The entity at an address `"@<id>"`.
    pub(super) fn address<T: Entity>(&self, json: &Json) -> Result<Loaded<T>, ArgumentError> {
        let text = address_text(json).ok_or_else(|| {
            ArgumentError::expected(&format!("the address of a {}, such as \"@<id>\"", T::META.full_name()), json)
        })?;
        let (id, path) = split(text)?;
        if !path.is_empty() {
            return Err(AddressError::NotAnEntity { address: text.to_owned() }.into());
        }
        Ok(self.entity(Id::from_entity_id(id))?)
    }

    /// A plain value, with what stands at each `{"$at": "@<id>.<field>..."}` in its place.
    pub(super) fn value(&self, json: &Json) -> Result<Value, ArgumentError> {
        match json {
            Json::Object(object) if object.len() == 1 && object.contains_key("$at") => {
                let text =
                    object["$at"].as_str().ok_or_else(|| ArgumentError::expected("an address", &object["$at"]))?;
                self.at_address(text)
            }
            Json::Object(object) if holds_address(json) => {
                let entries = object.iter().map(|(key, value)| Ok((Value::text(key.as_str()), self.value(value)?)));
                Ok(Value::map(entries.collect::<Result<_, ArgumentError>>()?))
            }
            Json::Array(items) if holds_address(json) => {
                Ok(Value::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?))
            }
            plain => Ok(Value::from_json(plain)?),
        }
    }

    /// What stands at an address: `@<id>` is a reference, `@<id>.field[3].name["key"]` a value.
    fn at_address(&self, text: &str) -> Result<Value, ArgumentError> {
        let (id, path) = split(text)?;
        let ix = self.store.locate(id)?;
        let cell = self.store.state(ix, self.at, &When::Head)?;
        if path.is_empty() {
            return Ok(Value::Reference(id));
        }
        let mut value = cell.entity().encode();
        if let Value::Variant(variant) = value {
            value = variant.1;
        }
        let mut at = format!("@{id}");
        let mut owner = cell;
        for step in steps(text, path)? {
            let next = follow(&value, &step);
            let shown = match &step {
                Step::Field(name) => format!("{at}.{name}"),
                Step::Index(index) => format!("{at}[{index}]"),
                Step::Key(key) => format!("{at}[{key:?}]"),
            };
            value = next.cloned().ok_or_else(|| AddressError::Nothing {
                address: text.to_owned(),
                place: at.clone(),
                step: shown[at.len()..].to_owned(),
                known: known_steps(&value),
            })?;
            at = shown;
            // An owned entity on the way: its own fields go on from there.
            if let Value::Entity(id) = value {
                let Some((_, _, slot)) = owner.entity().find(id) else { continue };
                let child = slot.cell().unwrap_or_else(|| slot.entity().to_cell());
                let encoded = child.entity().encode();
                value = match encoded {
                    Value::Variant(variant) => variant.1,
                    other => other,
                };
                owner = child;
            }
        }
        Ok(value)
    }
}

/// The text of an address: a string, or `{"$at": string}`.
fn address_text(json: &Json) -> Option<&str> {
    match json {
        Json::String(text) => Some(text),
        Json::Object(object) if object.len() == 1 => object.get("$at")?.as_str(),
        _ => None,
    }
}

fn holds_address(json: &Json) -> bool {
    match json {
        Json::Object(object) => object.contains_key("$at") || object.values().any(holds_address),
        Json::Array(items) => items.iter().any(holds_address),
        _ => false,
    }
}

fn split(text: &str) -> Result<(EntityId, &str), AddressError> {
    let malformed = || AddressError::Malformed { address: text.chars().take(80).collect() };
    let rest = text.strip_prefix('@').ok_or_else(malformed)?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let id = rest[..end].parse().map_err(|_| malformed())?;
    Ok((id, &rest[end..]))
}

enum Step {
    Field(String),
    Index(usize),
    Key(String),
}

/// The steps after the id: `.field`, `[3]`, `["key"]`.
fn steps(address: &str, mut path: &str) -> Result<Vec<Step>, AddressError> {
    let malformed = || AddressError::Malformed { address: address.chars().take(80).collect() };
    let mut found = Vec::new();
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(malformed());
            }
            found.push(Step::Field(rest[..end].to_owned()));
            path = &rest[end..];
        } else if let Some(rest) = path.strip_prefix("[\"") {
            let end = rest.find("\"]").ok_or_else(malformed)?;
            found.push(Step::Key(rest[..end].to_owned()));
            path = &rest[end + 2..];
        } else if let Some(rest) = path.strip_prefix('[') {
            let end = rest.find(']').ok_or_else(malformed)?;
            found.push(Step::Index(rest[..end].parse().map_err(|_| malformed())?));
            path = &rest[end + 1..];
        } else {
            return Err(malformed());
        }
    }
    Ok(found)
}

fn follow<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match (value, step) {
        (Value::Some(inner), step) => follow(inner, step),
        (Value::List(items), Step::Index(index)) => items.get(*index),
        (Value::Map(entries), Step::Index(index)) => entries
            .iter()
            .find(|(key, _)| matches!(key, Value::Int(key) if usize::try_from(*key) == Ok(*index)))
            .map(|(_, value)| value),
        (value, Step::Field(name) | Step::Key(name)) => value.get(name),
        _ => None,
    }
}

fn known_steps(value: &Value) -> String {
    match value {
        Value::Struct(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
            format!("its fields are {}", names.join(", "))
        }
        Value::List(items) => format!("it is a list of {}", items.len()),
        Value::Map(entries) => format!("it is a map of {} entries", entries.len()),
        other => format!("it is {}", other.kind()),
    }
}

/// Something that can be given for a parameter `P`.
pub trait Arg<P: Param>
where
    P::Kind: ParamKind<P>,
{
    /// Loads it.
    ///
    /// # Errors
    /// There is no such entity, or it is of another type.
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<<P::Kind as ParamKind<P>>::Slot, ArgumentError>;

    /// Tells it what its entity became.
    fn refresh(&mut self, _loading: &Loading<'_>) {}
}

impl<T: Entity> Arg<&T> for Id<T> {
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        Ok(loading.entity(*self)?)
    }
}

impl<T: Entity> Arg<&mut T> for Id<T> {
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        Ok(Editing::of(loading.entity(*self)?))
    }
}

impl<T: Entity> Arg<Vec<&T>> for Vec<Id<T>> {
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Vec<Loaded<T>>, ArgumentError> {
        self.iter().map(|id| Ok(loading.entity(*id)?)).collect()
    }
}

impl<T: Entity> Arg<Vec<&mut T>> for Vec<Id<T>> {
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Vec<Editing<T>>, ArgumentError> {
        self.iter().map(|id| Ok(Editing::of(loading.entity(*id)?))).collect()
    }
}

impl<T: Entity> Arg<&T> for &Held<T> {
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        self.load_unchanged(loading)
    }
}

impl<T: Entity> Arg<&mut T> for &mut Held<T> {
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        self.load_edits(loading)
    }

    fn refresh(&mut self, loading: &Loading<'_>) {
        Held::refresh(self, loading.store);
    }
}

impl<V: Field + Param<Kind = PlainParam>> Arg<V> for V {
    fn load(&mut self, _: &mut Loading<'_>) -> Result<PlainSlot<V>, ArgumentError> {
        Ok(PlainSlot::of(self.clone()))
    }
}
