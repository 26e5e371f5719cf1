//! Loading what a callable is given: entities by their address, values from JSON.

use std::sync::Arc;

use serde_json::Value as Json;

use super::caller::Caller;
use super::draft::Draft;
use super::error::{AddressError, ArgumentError};
use super::held::Held;
use super::kinds::{
    Access, Editing, EntitiesParam, Loaded, Param, ParamKind, PlainParam, PlainSlot, TakeParam, row_of, typed,
};
use crate::entity::{AnyCell, Entity, Plain};
use crate::history::{Archive, Argument, ReadError};
use crate::id::{EntityId, Id};
use crate::lineage::Ix;
use crate::value::Value;
use crate::when::{Position, Revision, When};

/// An entity that a run uses.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub(super) ix: Ix,
    pub(super) access: Access,
    /// Whether it is as it was at a revision that was asked for.
    pub(super) pinned: bool,
}

/// An entity from which a value was read by its address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) ix: Ix,
    pub(super) revision: Revision,
    /// Whether this very revision was asked for.
    pub(super) pinned: bool,
}

/// Loads the arguments of one run, all as of one position.
pub struct Loading<'r> {
    pub(super) caller: &'r Caller<'r>,
    pub(super) archive: &'r Archive,
    pub(super) at: Position,
    /// Whether the callable may give back entities, and so one that it takes by value.
    pub(super) gives_entities: bool,
    /// What addresses within plain values were read from.
    pub(super) read: Vec<Read>,
    /// What earlier calls of the same commit left.
    pub(super) draft: Option<&'r Draft>,
}

impl<'r> Loading<'r> {
    pub(super) fn new(caller: &'r Caller<'r>) -> Self {
        let archive = &*caller.registry.inner.archive;
        // What fails here fails again where something is read, and there it is told.
        _ = archive.refresh();
        Self { caller, archive, at: archive.lineages.head(), gives_entities: true, read: Vec::new(), draft: None }
    }

    /// What addresses were read from since this was last asked.
    pub(super) fn take_read(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.read)
    }

    /// The entity of an id.
    pub(super) fn entity<T: Entity>(&self, id: Id<T>) -> Result<Loaded<T>, ReadError> {
        if let Some((ix, revision, before)) = self.archive.lineages.newest(id.entity_id(), row_of::<T>(), self.at) {
            return Ok(Loaded { ix, id, revision, before: typed(before), pinned: false });
        }
        let ix = self.archive.locate_typed(id.entity_id(), row_of::<T>())?;
        let before = self.archive.state(ix, self.at, &When::Head)?;
        let revision = self.archive.lineages.revision(ix, self.at).map_err(ReadError::from)?.unwrap_or(Revision(0));
        Ok(Loaded { ix, id, revision, before: typed(before), pinned: false })
    }

    /// The entity at an address `"@<id>"`, or as it was at a revision, `"@<id>#<revision>"`.
    pub(super) fn address<T: Entity>(&self, json: &Json) -> Result<Loaded<T>, ArgumentError> {
        let text = address_text(json).ok_or_else(|| {
            ArgumentError::expected(&format!("the address of a {}, such as \"@<id>\"", T::META.full_name()), json)
        })?;
        let Address { id, revision, path } = split(text)?;
        if !path.is_empty() {
            return Err(AddressError::NotAnEntity { address: text.to_owned() }.into());
        }
        let Some(revision) = revision else { return self.current(Id::from_entity_id(id)) };
        let ix = self.archive.locate_typed(id, row_of::<T>())?;
        let before = typed(self.at_revision(ix, revision)?);
        Ok(Loaded { ix, id: Id::from_entity_id(id), revision, before, pinned: true })
    }

    /// The entity of an id, as earlier calls of the same commit left it. Its revision is that from which they began.
    fn current<T: Entity>(&self, id: Id<T>) -> Result<Loaded<T>, ArgumentError> {
        let loaded = self.entity(id);
        let Some(draft) = self.draft else { return Ok(loaded?) };
        draft.refuse_new(id.entity_id())?;
        let mut loaded = loaded?;
        if let Some(state) = draft.state(self.archive, loaded.ix)? {
            loaded.before = typed(state);
        }
        Ok(loaded)
    }

    /// The entity at an address, with a copy to be edited.
    pub(super) fn editing<T: Entity>(&self, json: &Json) -> Result<Editing<T>, ArgumentError> {
        Ok(self.copied(self.newest_address(json)?))
    }

    /// The entity at an address, with a copy that the run owns. What was is not changed by what comes: an old revision can
    /// be read by who cannot give it back.
    pub(super) fn taking<T: Entity>(&self, json: &Json) -> Result<Editing<T>, ArgumentError> {
        let loaded = if self.gives_entities { self.newest_address(json)? } else { self.address(json)? };
        Ok(self.copied(loaded))
    }

    fn copied<T: Entity>(&self, loaded: Loaded<T>) -> Editing<T> {
        // A spare is a state of the history: it lacks what a draft has.
        if self.draft.is_some() { Editing::copying(loaded) } else { Editing::of(loaded, self.archive) }
    }

    /// The entity at an address, to be edited: if a revision was asked for, it must be the newest.
    fn newest_address<T: Entity>(&self, json: &Json) -> Result<Loaded<T>, ArgumentError> {
        let asked: Loaded<T> = self.address(json)?;
        if !asked.pinned {
            return Ok(asked);
        }
        let newest = self.current(asked.id)?;
        if newest.revision == asked.revision {
            return Ok(newest);
        }
        let entity = asked.id.entity_id();
        Err(ArgumentError::Stale { entity, expected: asked.revision, found: newest.revision })
    }

    /// The entity that a run was given, as it was then.
    pub(super) fn recorded<T: Entity>(&self, argument: &Argument) -> Result<Loaded<T>, ArgumentError> {
        let Argument::Entity { id, revision } = *argument else {
            return Err(ArgumentError::recorded(&format!("a {}", T::META.full_name()), argument));
        };
        let ix = self.archive.locate_typed(id, row_of::<T>())?;
        let before = typed(self.at_revision(ix, revision)?);
        Ok(Loaded { ix, id: Id::from_entity_id(id), revision, before, pinned: true })
    }

    /// An entity as it was at a revision.
    fn at_revision(&self, ix: Ix, revision: Revision) -> Result<Arc<dyn AnyCell>, ReadError> {
        let when = When::Revision(revision);
        self.archive.state(ix, self.archive.position(Some(ix), &when)?, &when)
    }

    /// A plain value, with what stands at each `{"$at": "@<id>.<field>..."}` in its place.
    pub(super) fn value(&mut self, json: &Json) -> Result<Value, ArgumentError> {
        match json {
            Json::Object(object) if object.len() == 1 && object.contains_key("$at") => {
                let text =
                    object["$at"].as_str().ok_or_else(|| ArgumentError::expected("an address", &object["$at"]))?;
                self.at_address(text)
            }
            Json::Object(object) if holds_address(json) => {
                let mut entries = Vec::with_capacity(object.len());
                for (key, value) in object {
                    entries.push((Value::text(key.as_str()), self.value(value)?));
                }
                Ok(Value::map(entries))
            }
            Json::Array(items) if holds_address(json) => {
                Ok(Value::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?))
            }
            plain => Ok(Value::from_json(plain)?),
        }
    }

    /// What stands at an address: a value, or a reference to the entity that it leads to.
    fn at_address(&mut self, text: &str) -> Result<Value, ArgumentError> {
        let Address { id, revision, path } = split(text)?;
        if let Some(draft) = self.draft {
            draft.refuse_new(id)?;
        }
        let ix = self.archive.locate(id)?;
        let drafted = match (self.draft, revision) {
            (Some(draft), None) => draft.state(self.archive, ix)?,
            _ => None,
        };
        let cell = match revision {
            None => drafted.map_or_else(|| self.archive.state(ix, self.at, &When::Head), Ok)?,
            Some(revision) => self.at_revision(ix, revision)?,
        };
        if path.is_empty() {
            return Ok(Value::Reference(id));
        }
        // Whatever it owns is part of its state: a change down there is a revision of it.
        let newest = || self.archive.lineages.revision(ix, self.at).map_err(ReadError::from);
        let read = revision.map_or_else(newest, |revision| Ok(Some(revision)))?;
        self.read.push(Read { ix, revision: read.unwrap_or(Revision(0)), pinned: revision.is_some() });
        let mut value = cell.entity().encode();
        if let Value::Variant(variant) = value {
            value = variant.1;
        }
        let mut at = format!("@{id}");
        let mut owner = cell;
        let mut steps = steps(text, path)?.into_iter().peekable();
        while let Some(step) = steps.next() {
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
                if steps.peek().is_none() {
                    return Ok(Value::Reference(id));
                }
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

/// Visits the entities that addresses anywhere in this lead to, or into.
pub(super) fn addressed(json: &Json, visit: &mut dyn FnMut(EntityId)) {
    match json {
        Json::String(text) => drop(split(text).map(|address| visit(address.id))),
        Json::Array(items) => items.iter().for_each(|item| addressed(item, visit)),
        Json::Object(object) => object.values().for_each(|value| addressed(value, visit)),
        _ => {}
    }
}

fn holds_address(json: &Json) -> bool {
    match json {
        Json::Object(object) => object.contains_key("$at") || object.values().any(holds_address),
        Json::Array(items) => items.iter().any(holds_address),
        _ => false,
    }
}

/// An address, taken apart.
struct Address<'t> {
    id: EntityId,
    /// As of which revision, if not now.
    revision: Option<Revision>,
    /// Where in it.
    path: &'t str,
}

/// Takes apart `@<id>`, `@<id>#<revision>` and what follows either. A revision may be written as it prints, `r3`.
fn split(text: &str) -> Result<Address<'_>, AddressError> {
    let malformed = || AddressError::Malformed { address: text.chars().take(80).collect() };
    let rest = text.strip_prefix('@').ok_or_else(malformed)?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (entity, path) = rest.split_at(end);
    let (id, revision) = match entity.split_once('#') {
        None => (entity, None),
        Some((id, revision)) => {
            let digits = revision.strip_prefix('r').unwrap_or(revision);
            let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
            (id, Some(Revision(number.ok_or_else(malformed)?)))
        }
    };
    Ok(Address { id: id.parse().map_err(|_| malformed())?, revision, path })
}

enum Step {
    Field(String),
    Index(i128),
    Key(String),
}

/// The steps after the id: `.field`, `[3]`, `["key"]`, the key as JSON writes it.
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
        } else if path.starts_with("[\"") {
            let mut key = serde_json::Deserializer::from_str(&path[1..]).into_iter::<String>();
            found.push(Step::Key(key.next().and_then(Result::ok).ok_or_else(malformed)?));
            path = path[1 + key.byte_offset()..].strip_prefix(']').ok_or_else(malformed)?;
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
        (Value::List(items), Step::Index(index)) => items.get(usize::try_from(*index).ok()?),
        (Value::Map(entries), Step::Index(index)) => {
            let sought = Value::integer(*index);
            entries.iter().find(|(key, _)| *key == sought).map(|(_, value)| value)
        }
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

    /// Whether loading it may commit something.
    const COMMITS: bool = false;

    /// Whether it can be loaded, before anything is committed for the sake of another.
    ///
    /// # Errors
    /// As for [`Arg::load`].
    fn check(&self, _loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(())
    }

    /// Tells it what its entity became.
    fn refresh(&mut self) {}
}

impl<T: Entity> Arg<&T> for Id<T> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(loading.entity(*self).map(drop)?)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        Ok(loading.entity(*self)?)
    }
}

impl<T: Entity> Arg<&mut T> for Id<T> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(loading.entity(*self).map(drop)?)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        Ok(Editing::of(loading.entity(*self)?, loading.archive))
    }
}

impl<T: Entity + Param<Kind = TakeParam>> Arg<T> for Id<T> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(loading.entity(*self).map(drop)?)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        Ok(Editing::of(loading.entity(*self)?, loading.archive))
    }
}

impl<T: Entity> Arg<Vec<&T>> for Vec<Id<T>> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(self.iter().try_for_each(|id| loading.entity(*id).map(drop))?)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Vec<Loaded<T>>, ArgumentError> {
        self.iter().map(|id| Ok(loading.entity(*id)?)).collect()
    }
}

impl<T: Entity> Arg<Vec<&mut T>> for Vec<Id<T>> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(self.iter().try_for_each(|id| loading.entity(*id).map(drop))?)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Vec<Editing<T>>, ArgumentError> {
        self.iter().map(|id| Ok(Editing::of(loading.entity(*id)?, loading.archive))).collect()
    }
}

impl<T: Entity + Param<Kind = TakeParam, HolderKind = EntitiesParam>> Arg<Vec<T>> for Vec<Id<T>> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        Ok(self.iter().try_for_each(|id| loading.entity(*id).map(drop))?)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Vec<Editing<T>>, ArgumentError> {
        self.iter().map(|id| Ok(Editing::of(loading.entity(*id)?, loading.archive))).collect()
    }
}

impl<T: Entity> Arg<&T> for &Held<T> {
    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        self.load_unchanged(loading).map(drop)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        self.load_unchanged(loading)
    }
}

impl<T: Entity> Arg<&mut T> for &mut Held<T> {
    const COMMITS: bool = true;

    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        self.check_newest(loading)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        self.load_edits(loading)
    }

    fn refresh(&mut self) {
        Held::refresh(self);
    }
}

impl<T: Entity + Param<Kind = TakeParam>> Arg<T> for &mut Held<T> {
    const COMMITS: bool = true;

    fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        self.check_newest(loading)
    }
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        self.load_edits(loading)
    }

    fn refresh(&mut self) {
        Held::refresh(self);
    }
}

macro_rules! options {
    ($([$($kinds:tt)*] $given:ty => $param:ty, $slot:ident;)*) => {$(
        impl<T: Entity $($kinds)*> Arg<Option<$param>> for Option<$given> {
            const COMMITS: bool = <$given as Arg<$param>>::COMMITS;

            fn check(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
                self.as_ref().map_or(Ok(()), |given| Arg::<$param>::check(given, loading))
            }
            fn load(&mut self, loading: &mut Loading<'_>) -> Result<Option<$slot<T>>, ArgumentError> {
                self.as_mut().map(|given| Arg::<$param>::load(given, loading)).transpose()
            }

            fn refresh(&mut self) {
                if let Some(given) = self {
                    Arg::<$param>::refresh(given);
                }
            }
        }
    )*};
}

options! {
    [] Id<T> => &T, Loaded;
    [] Id<T> => &mut T, Editing;
    [+ Param<Kind = TakeParam, HolderKind = EntitiesParam>] Id<T> => T, Editing;
    [] &Held<T> => &T, Loaded;
    [] &mut Held<T> => &mut T, Editing;
    [+ Param<Kind = TakeParam, HolderKind = EntitiesParam>] &mut Held<T> => T, Editing;
}

impl<V: Plain + Param<Kind = PlainParam>> Arg<V> for V {
    fn load(&mut self, _: &mut Loading<'_>) -> Result<PlainSlot<V>, ArgumentError> {
        Ok(PlainSlot::of(self.clone()))
    }
}
