//! Changes as an owned list: it prints as a changelog, turns into JSON, and is what patches are made of.

use std::fmt;
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::json_patch::escape;
use super::walk::{Difference, Spot};
use super::{JsonPatchError, deep_json, json_patch};
use crate::children::loading;
use crate::entity::{AnyCell, AnyEntity, Key, LoadError, Slot};
use crate::id::EntityId;
use crate::value::{Delta, Name, Value};

/// An entity that a change is about: what it is and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its identity.
    pub id: EntityId,
    /// The stored name of its type.
    pub type_name: &'static str,
    /// What its field `name` or `title` says, if it has one that is text.
    pub label: Option<String>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{} {label}", self.type_name),
            None => write!(f, "{} {}", self.type_name, short(self.id)),
        }
    }
}

/// The end of an id, which tells those apart that were made together.
fn short(id: EntityId) -> String {
    let text = id.to_string();
    text[text.len() - 8..].to_owned()
}

/// What to call an entity.
pub(crate) fn subject(entity: &dyn AnyEntity) -> Subject {
    let meta = entity.meta_of();
    let label = ["name", "title"].into_iter().find_map(|name| {
        let field = u16::try_from(meta.field(name)?).ok()?;
        match entity.encode_field(field) {
            Value::Text(text) if !text.is_empty() => Some(text.to_string()),
            _ => None,
        }
    });
    Subject { id: entity.entity_id(), type_name: meta.name, label }
}

/// Where an entity stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The entity that owns it.
    pub owner: Subject,
    /// In this field.
    pub field: &'static str,
    /// Under this key.
    pub key: Key,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.owner, self.field, self.key)
    }
}

fn place(spot: &Spot<'_>) -> Place {
    let field = spot.owner.meta_of().fields[usize::from(spot.field)].name;
    Place { owner: subject(spot.owner), field, key: spot.key.clone() }
}

/// One change of one entity.
#[derive(Clone, Debug)]
pub struct Change {
    /// The entity.
    pub entity: Subject,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to an entity.
#[derive(Clone)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It came, with all that it owns.
    Added {
        /// Where it stands; `None` for the root of a tree.
        place: Option<Place>,
        /// Its state.
        after: Arc<dyn AnyCell>,
    },
    /// It went, with all that it owned.
    Removed {
        /// Where it stood; `None` for the root of a tree.
        place: Option<Place>,
        /// Its last state.
        before: Arc<dyn AnyCell>,
    },
    /// One of its fields differs.
    Changed {
        /// The stored name of the field.
        field: Name,
        /// What differs in it. Entities that it owns are told of by changes of their own and stand here by their ids.
        delta: Delta,
    },
    /// It is of another type: another variant of an enum of entities.
    Retyped {
        /// As it was.
        before: Arc<dyn AnyCell>,
        /// As it is.
        after: Arc<dyn AnyCell>,
    },
    /// It stands elsewhere.
    Moved {
        /// Where it stood; `None` for the root of a tree.
        from: Option<Place>,
        /// Where it stands; `None` for the root of a tree.
        to: Option<Place>,
    },
    /// It stands elsewhere in its list; the fewest that explain the new order are told.
    Reordered {
        /// The list: its owner, its field, and the position after.
        place: Place,
        /// The position before.
        from: usize,
        /// The position after.
        to: usize,
    },
}

impl fmt::Debug for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeKind::Added { place, .. } => f.debug_struct("Added").field("place", place).finish_non_exhaustive(),
            ChangeKind::Removed { place, .. } => {
                f.debug_struct("Removed").field("place", place).finish_non_exhaustive()
            }
            ChangeKind::Changed { field, delta } => {
                f.debug_struct("Changed").field("field", field).field("delta", delta).finish()
            }
            ChangeKind::Retyped { .. } => f.debug_struct("Retyped").finish_non_exhaustive(),
            ChangeKind::Moved { from, to } => f.debug_struct("Moved").field("from", from).field("to", to).finish(),
            ChangeKind::Reordered { place, from, to } => {
                f.debug_struct("Reordered").field("place", place).field("from", from).field("to", to).finish()
            }
        }
    }
}

/// A list of changes, in the order they were found: own states from the top down, then what moved, went and came.
///
/// It prints as one line for each difference. Comparing two changes lists means comparing what they print.
#[derive(Clone, Default)]
pub struct Changes {
    list: Vec<Change>,
    /// Fields that only own entities: what differs in them is told by changes of those, but a patch needs them.
    owning: Vec<Change>,
    roots: Option<(Arc<dyn AnyCell>, Arc<dyn AnyCell>)>,
    unread: Option<Arc<str>>,
}

impl Changes {
    /// Changes that could not be read, for this reason.
    pub(crate) fn unreadable(reason: &str) -> Self {
        Self { unread: Some(reason.into()), ..Self::default() }
    }

    /// Why the changes of a commit could not be read; then there are none here, whatever there were. They print as this.
    #[must_use]
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// The list with the two states it lies between.
    pub(crate) fn between(self, before: Arc<dyn AnyCell>, after: Arc<dyn AnyCell>) -> Self {
        Self { roots: Some((before, after)), ..self }
    }

    /// All that a patch is made of.
    pub(crate) fn with_owning(&self) -> impl Iterator<Item = &Change> {
        self.owning.iter().chain(&self.list)
    }

    /// Puts whole states in the place of those that went: what an owner's own version holds may have changed since.
    pub(crate) fn put_whole_states(&mut self, mut state: impl FnMut(EntityId) -> Option<Arc<dyn AnyCell>>) {
        for change in &mut self.list {
            match &mut change.kind {
                ChangeKind::Removed { before, .. } => {
                    if let Some(whole) = state(change.entity.id) {
                        change.entity = subject(whole.entity());
                        *before = whole;
                    }
                }
                ChangeKind::Retyped { before, .. } => *before = state(change.entity.id).unwrap_or(Arc::clone(before)),
                _ => {}
            }
        }
    }

    /// The stable JSON twin of what is printed: a list of
    /// `{"kind", "entity": {"type", "id", "label"?}, "path"?, "before"?, "after"?}`.
    ///
    /// `path` is the JSON Pointer of the deepest value that changed, within the entity. `added` and `removed` carry the
    /// whole entity, down to 64 levels, in `after` and `before`; `moved` and `reordered` carry
    /// `{"owner", "field", "key"}` in both, null for a root. An entry that is elsewhere in the order of its map is
    /// `reordered` too, told of the owner: `path` is that of the entry, `before` and `after` are its positions. O(what
    /// came, went and changed).
    ///
    /// # Errors
    /// Something that a whole entity owns is not in memory yet and cannot be loaded.
    pub fn to_json(&self) -> Result<Json, LoadError> {
        loading(|| Json::Array(self.list.iter().flat_map(change_json).collect()))
    }

    /// An RFC 6902 JSON Patch that turns [`to_json`](crate::to_json) of the state before into that of the state after.
    ///
    /// # Errors
    /// These changes are not those between two states of one entity, a state nests deeper than JSON is read, or
    /// something that it owns is not in memory yet and cannot be loaded.
    pub fn to_json_patch(&self) -> Result<Json, JsonPatchError> {
        match &self.roots {
            Some((before, after)) => loading(|| json_patch(before, after))?,
            None if self.list.is_empty() => Ok(json!([])),
            None => Err(JsonPatchError::NoRoot),
        }
    }
}

impl Deref for Changes {
    type Target = [Change];

    fn deref(&self) -> &[Change] {
        &self.list
    }
}

impl IntoIterator for Changes {
    type Item = Change;
    type IntoIter = std::vec::IntoIter<Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Changes {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.unread {
            return write!(f, "<not read: {reason}>");
        }
        let mut first = true;
        for change in self {
            for line in change.lines() {
                if !std::mem::take(&mut first) {
                    f.write_str("\n")?;
                }
                f.write_str(&line)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl Change {
    /// Whether it says no more than the changes of the entities that its field owns.
    pub(crate) fn only_owns(&self) -> bool {
        matches!(&self.kind, ChangeKind::Changed { delta, .. } if has_no_own_leaves(delta))
    }

    /// What is printed, without the entity's own name in front: `gpa 3.5 -> 3.8`.
    pub(crate) fn details(&self) -> Vec<String> {
        let root = || "the root of a tree".to_owned();
        let name = |place: &Option<Place>| place.as_ref().map_or_else(root, Place::to_string);
        vec![match &self.kind {
            ChangeKind::Added { place: Some(place), .. } => format!("added to {place}"),
            ChangeKind::Added { place: None, .. } => "added".to_owned(),
            ChangeKind::Removed { place: Some(place), .. } => format!("removed from {place}"),
            ChangeKind::Removed { place: None, .. } => "removed".to_owned(),
            ChangeKind::Changed { field, delta } => {
                let mut lines = Vec::new();
                delta.own_leaves(&mut |leaf| {
                    let path = leaf.path;
                    lines.push(match (leaf.before, leaf.after, leaf.moved) {
                        (Some(before), Some(after), _) => format!("{field}{path} {before} -> {after}"),
                        (Some(before), None, _) => format!("{field}{path} - {before}"),
                        (None, Some(after), _) => format!("{field}{path} + {after}"),
                        (None, None, Some((from, to))) => format!("{field}{path} moved {from} -> {to}"),
                        (None, None, None) => format!("{field}{path}"),
                    });
                });
                return lines;
            }
            ChangeKind::Retyped { before, after } => {
                format!("{} -> {}", before.entity().meta_of().name, after.entity().meta_of().name)
            }
            ChangeKind::Moved { from, to } => format!("moved from {} to {}", name(from), name(to)),
            ChangeKind::Reordered { place, from, to } => {
                format!("moved {from} -> {to} in {} {}{}", place.owner, place.field, place.key.list())
            }
        }]
    }

    fn lines(&self) -> Vec<String> {
        self.details().into_iter().map(|detail| format!("{}: {detail}", self.entity)).collect()
    }
}

fn change_json(change: &Change) -> Vec<Json> {
    let mut entity = json!({"type": change.entity.type_name, "id": change.entity.id});
    if let Some(label) = &change.entity.label {
        entity["label"] = json!(label);
    }
    let whole = |cell: &Arc<dyn AnyCell>| deep_json(cell.entity()).unwrap_or(Json::Null);
    let (kind, before, after) = match &change.kind {
        ChangeKind::Added { after, .. } => ("added", None, Some(whole(after))),
        ChangeKind::Removed { before, .. } => ("removed", Some(whole(before)), None),
        ChangeKind::Retyped { before, after } => ("retyped", Some(whole(before)), Some(whole(after))),
        ChangeKind::Moved { from, to } => ("moved", Some(place_json(from.as_ref())), Some(place_json(to.as_ref()))),
        ChangeKind::Reordered { place, from, .. } => {
            let before = Place { key: place.key.beside(*from), ..place.clone() };
            ("reordered", Some(place_json(Some(&before))), Some(place_json(Some(place))))
        }
        ChangeKind::Changed { field, delta } => {
            let mut lines = Vec::new();
            delta.own_leaves(&mut |leaf| {
                let mut line = json!({
                    "kind": "changed",
                    "entity": entity,
                    "path": format!("/{}{}", escape(field), leaf.pointer),
                });
                for (name, value) in [("before", leaf.before), ("after", leaf.after)] {
                    if let Some(value) = value {
                        line[name] = value.to_json();
                    }
                }
                if let Some((from, to)) = leaf.moved {
                    line["kind"] = json!("reordered");
                    line["before"] = json!(from);
                    line["after"] = json!(to);
                }
                lines.push(line);
            });
            return lines;
        }
    };
    let mut line = json!({"kind": kind, "entity": entity});
    for (name, value) in [("before", before), ("after", after)] {
        if let Some(value) = value {
            line[name] = value;
        }
    }
    vec![line]
}

fn place_json(place: Option<&Place>) -> Json {
    let Some(place) = place else { return Json::Null };
    let steps: Vec<Json> = place
        .key
        .steps()
        .iter()
        .map(|step| match step {
            Key::Index(index) | Key::Part(index) => json!(index),
            Key::Named(key) => key.to_json(),
            Key::Whole | Key::Path(_) => Json::Null,
        })
        .collect();
    let key = match steps.len() {
        0 => Json::Null,
        1 => steps[0].clone(),
        _ => Json::Array(steps),
    };
    json!({"owner": place.owner.id, "field": place.field, "key": key})
}

/// Turns differences into changes.
#[derive(Default)]
pub(crate) struct Recorder {
    list: Vec<Change>,
    owning: Vec<Change>,
    /// Of all that is told, only what is of this entity, or of what it owns directly.
    about: Option<EntityId>,
}

/// The state at a slot, to keep.
fn keep(slot: &dyn Slot) -> Arc<dyn AnyCell> {
    slot.cell().unwrap_or_else(|| slot.entity().to_cell())
}

impl Recorder {
    /// Takes of the differences only those of one entity, or of what it owns directly.
    pub(crate) fn about(entity: EntityId) -> Self {
        Self { about: Some(entity), ..Self::default() }
    }

    /// Takes one difference.
    pub(crate) fn record(&mut self, difference: Difference<'_>) -> ControlFlow<()> {
        if self.about.is_some_and(|entity| !is_about(&difference, entity)) {
            return ControlFlow::Continue(());
        }
        changes_of(difference, &mut |change| match change.only_owns() {
            true => self.owning.push(change),
            false => self.list.push(change),
        });
        ControlFlow::Continue(())
    }

    /// All that was taken.
    pub(crate) fn finish(self) -> Changes {
        Changes { list: self.list, owning: self.owning, ..Changes::default() }
    }
}

/// Whether a difference is one of this entity, or of what it owns directly.
fn is_about(difference: &Difference<'_>, entity: EntityId) -> bool {
    let owner = |spot: &Option<Spot<'_>>| spot.as_ref().is_some_and(|spot| spot.owner.entity_id() == entity);
    match difference {
        Difference::Changed { after, .. } | Difference::Retyped { after, .. } => after.id() == entity,
        Difference::Equal { .. } => false,
        Difference::Added { slot, spot } | Difference::Removed { slot, spot } => slot.id() == entity || owner(spot),
        Difference::Moved { after, from, to, .. } => after.id() == entity || owner(from) || owner(to),
        Difference::Reordered { slot, owner, .. } => slot.id() == entity || owner.entity_id() == entity,
    }
}

/// Calls `visit` with the changes that one difference stands for: one for each field of an entity whose state differs.
pub(crate) fn changes_of(difference: Difference<'_>, visit: &mut dyn FnMut(Change)) {
    let mut push = |entity: &dyn AnyEntity, kind| visit(Change { entity: subject(entity), kind });
    match difference {
        Difference::Changed { before, after, fields } => {
            let after = after.entity();
            let meta = after.meta_of();
            for field in fields {
                if let Some(delta) = before.delta(field, after) {
                    let field = Name::Borrowed(meta.fields[usize::from(field)].name);
                    push(after, ChangeKind::Changed { field, delta });
                }
            }
        }
        Difference::Retyped { before, after } => {
            push(after.entity(), ChangeKind::Retyped { before: before.to_cell(), after: keep(after) });
        }
        Difference::Equal { .. } => {}
        Difference::Added { slot, spot } => {
            push(slot.entity(), ChangeKind::Added { place: spot.as_ref().map(place), after: keep(slot) });
        }
        Difference::Removed { slot, spot } => {
            push(slot.entity(), ChangeKind::Removed { place: spot.as_ref().map(place), before: keep(slot) });
        }
        Difference::Moved { after, from, to, .. } => {
            let (from, to) = (from.as_ref().map(place), to.as_ref().map(place));
            push(after.entity(), ChangeKind::Moved { from, to });
        }
        Difference::Reordered { slot, owner, field, list, from, to } => {
            let place = place(&Spot { owner, field, key: list.then(Key::Index(to)) });
            push(slot.entity(), ChangeKind::Reordered { place, from, to });
        }
    }
}

fn has_no_own_leaves(delta: &Delta) -> bool {
    let mut any = false;
    delta.own_leaves(&mut |_| any = true);
    !any
}
