//! The versions of a batch: what each difference makes, new owners before what they own.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::proposal::Expected;
use super::settle::entity_of;
use super::{CommitError, Store};
use crate::diff::{Difference, RepeatedError, Spot, Walk};
use crate::entity::{AnyCell, AnyEntity, FieldSet, Part, Record, Slot, TypeRow};
use crate::id::EntityId;
use crate::lineage::{Batch, Ix, KnownGone, OwnerChange, Payload, ReferenceChange, Target, Write, WriteTarget};
use crate::value::Value;
use crate::when::{LATEST, Revision};

/// A difference with what it is about, held until all are known: new entities come first in a batch.
pub(super) enum Found<'a> {
    Changed { before: &'a dyn AnyEntity, after: &'a dyn Slot, fields: Option<FieldSet> },
    Moved { before: &'a dyn Slot, after: &'a dyn Slot, to: Option<(EntityId, u16)> },
    Removed(EntityId),
    Added { slot: &'a dyn Slot, spot: Option<Spot<'a>> },
    Equal { before: &'a dyn Slot },
}
impl<'a> Found<'a> {
    pub(super) fn of(difference: Difference<'a>) -> Option<Self> {
        Some(match difference {
            Difference::Changed { before, after, fields } => Found::Changed { before, after, fields: Some(fields) },
            Difference::Retyped { before, after } => Found::Changed { before, after, fields: None },
            Difference::Moved { before, after, to, .. } => {
                Found::Moved { before, after, to: to.map(|spot| (spot.owner.entity_id(), spot.field)) }
            }
            Difference::Removed { slot, .. } => Found::Removed(slot.id()),
            Difference::Added { slot, spot } => Found::Added { slot, spot },
            Difference::Equal { before } => Found::Equal { before },
            // Its owner's list differs, and says so.
            Difference::Reordered { .. } => return None,
        })
    }
}
/// So many are looked through faster than a map is made.
const FEW: usize = 8;

/// The versions to be made.
pub(super) struct Writes<'s, 'w, 'a> {
    store: &'s Store,
    walk: &'w Walk<'a>,
    list: Vec<Write>,
    /// The entities of the list, in its order.
    ids: SmallVec<[EntityId; FEW]>,
    /// Where in the list an entity stands, once there are more than a few.
    index: Option<HashMap<EntityId, usize, ahash::RandomState>>,
    /// How many of the list, from its start, are entities that come.
    arrived: usize,
    /// Entities that come again, with the last revision that was seen.
    returning: Vec<(Ix, Revision)>,
    gone: KnownGone,
    /// What owned entities that come again when they went, and they themselves.
    left: Vec<(EntityId, Ix)>,
    /// Whether an entity held by value was settled, so that its holder's value is not what is kept.
    inline_settled: bool,
}

impl<'s, 'w, 'a> Writes<'s, 'w, 'a> {
    pub(super) fn new(store: &'s Store, walk: &'w Walk<'a>) -> Self {
        Self {
            store,
            walk,
            list: Vec::new(),
            ids: SmallVec::new(),
            index: None,
            inline_settled: false,
            arrived: 0,
            returning: Vec::new(),
            gone: KnownGone::default(),
            left: Vec::new(),
        }
    }

    /// The batch, what must still be gone when it is appended, and whether the value of some holder is not what is kept.
    pub(super) fn finish(mut self) -> (Batch, Vec<Expected>, bool) {
        let gone = self.returning.drain(..).map(|(ix, revision)| Expected::Gone(ix, revision)).collect();
        (Batch { ended: self.ended(), writes: self.list }, gone, self.inline_settled)
    }
}

impl<'a> Writes<'_, '_, 'a> {
    pub(super) fn write_all(&mut self, found: SmallVec<[Found<'a>; 4]>) -> Result<(), CommitError> {
        let mut equal: SmallVec<[&'a dyn Slot; 4]> = SmallVec::new();
        let mut rest: SmallVec<[Found<'a>; 4]> = SmallVec::new();
        // An owner that is new must stand in the batch before what moves into it.
        for found in found {
            match found {
                Found::Added { slot, spot } => self.add(slot, spot)?,
                Found::Equal { before } => equal.push(before),
                other => rest.push(other),
            }
        }
        self.arrived = self.list.len();
        for found in rest {
            match found {
                Found::Changed { before, after, fields } => self.change(before, after, fields)?,
                Found::Moved { before, after, to } => self.relocate(before, after, to),
                Found::Removed(id) => self.remove(id),
                Found::Added { .. } | Found::Equal { .. } => {}
            }
        }
        for slot in equal {
            self.give_back(slot);
        }
        Ok(())
    }

    fn ix(&self, id: EntityId) -> Ix {
        self.store.lineages.find(id).expect("what stood in a state before has a lineage")
    }

    fn at(&self, id: EntityId) -> Option<usize> {
        if self.ids.len() <= FEW {
            self.ids.iter().position(|known| *known == id)
        } else {
            self.index.as_ref()?.get(&id).copied()
        }
    }

    fn push(&mut self, id: EntityId, write: Write) -> usize {
        self.list.push(write);
        self.ids.push(id);
        let last = self.ids.len() - 1;
        if self.ids.len() > FEW {
            match &mut self.index {
                Some(index) => drop(index.insert(id, last)),
                none => *none = Some(self.ids.iter().enumerate().map(|(index, id)| (*id, index)).collect()),
            }
        }
        last
    }

    /// A new version of an entity whose own state differs.
    fn change(
        &mut self,
        before: &dyn AnyEntity,
        after: &dyn Slot,
        fields: Option<FieldSet>,
    ) -> Result<(), CommitError> {
        let entity = after.entity();
        let ix = self.ix(after.id());
        // Another variant of one enum is of the lineage's type; what moved into a slot of another Rust type is not.
        if fields.is_none() {
            self.store.types.admit(entity.row())?;
            self.store.check_type(ix, entity.row())?;
        }
        let (payload, built) = self.payload(after, Some(before));
        let mut references: Vec<ReferenceChange> = Vec::new();
        match fields {
            Some(fields) => references = reference_changes(before, entity, &fields),
            None => {
                before.references(&mut |field, to| references.push(ReferenceChange { field, to, opened: false }));
                entity.references(&mut |field, to| references.push(ReferenceChange { field, to, opened: true }));
            }
        }
        let write = Write {
            target: WriteTarget::Known(ix),
            payload: Some(payload),
            built,
            owner: OwnerChange::Keep,
            references,
        };
        match self.at(after.id()) {
            Some(index) => {
                let owner = self.list[index].owner;
                self.list[index] = Write { owner, ..write };
            }
            None => drop(self.push(after.id(), write)),
        }
        Ok(())
    }

    /// A new version of an entity that stands elsewhere.
    fn relocate(&mut self, before: &dyn Slot, after: &dyn Slot, to: Option<(EntityId, u16)>) {
        let owner = match to {
            None => OwnerChange::Root,
            Some((owner, field)) => OwnerChange::Owned { owner: self.target(owner), field },
        };
        if let Some(index) = self.at(after.id()) {
            self.list[index].owner = owner;
            return;
        }
        let ix = self.ix(before.id());
        let (payload, built) = self.payload(after, Some(before.entity()));
        let references = Vec::new();
        self.push(
            after.id(),
            Write { target: WriteTarget::Known(ix), payload: Some(payload), built, owner, references },
        );
    }

    fn target(&self, id: EntityId) -> Target {
        match self.at(id) {
            Some(index) if index < self.arrived => Target::New(index),
            _ => Target::Known(self.ix(id)),
        }
    }

    fn remove(&mut self, id: EntityId) {
        let write = Write {
            target: WriteTarget::Known(self.ix(id)),
            payload: None,
            built: None,
            owner: OwnerChange::Keep,
            references: Vec::new(),
        };
        self.push(id, write);
    }

    /// First versions of an entity and of all that it owns, but for what moved into it.
    fn add(&mut self, top: &'a dyn Slot, spot: Option<Spot<'a>>) -> Result<(), CommitError> {
        let mut seen_row: Option<&'static TypeRow> = None;
        let mut stack: Vec<(&'a dyn Slot, Option<Spot<'a>>, Option<usize>)> = vec![(top, spot, None)];
        while let Some((slot, spot, holder)) = stack.pop() {
            let id = slot.id();
            if self.walk.has_moved(id) {
                continue;
            }
            if let Some(index) = self.at(id) {
                return Err(self.repeated(id, index, spot.as_ref()).into());
            }
            let entity = slot.entity();
            let row = entity.row();
            if seen_row.is_none_or(|seen| !std::ptr::eq(seen, row)) {
                self.store.types.admit(row)?;
                seen_row = Some(row);
            }
            let owner = match &spot {
                None => OwnerChange::Root,
                Some(spot) => OwnerChange::Owned {
                    owner: match holder {
                        Some(index) => Target::New(index),
                        None => self.target(spot.owner.entity_id()),
                    },
                    field: spot.field,
                },
            };
            let (target, references) = self.arrive(entity, row, spot.as_ref())?;
            let (payload, built) = self.payload(slot, None);
            let write = Write { target, payload: Some(payload), built, owner, references };
            let index = self.push(id, write);
            let children = stack.len();
            entity.slots(&mut |field, key, child| {
                stack.push((child, Some(Spot { owner: entity, field, key }), Some(index)));
            });
            stack[children..].reverse();
        }
        Ok(())
    }

    /// An entity that comes: for the first time, or again.
    fn arrive(
        &mut self,
        entity: &dyn AnyEntity,
        row: &'static TypeRow,
        spot: Option<&Spot<'_>>,
    ) -> Result<(WriteTarget, Vec<ReferenceChange>), CommitError> {
        let id = entity.entity_id();
        let mut references: Vec<ReferenceChange> = Vec::new();
        let Some(ix) = self.store.lineages.find(id) else {
            entity.references(&mut |field, to| references.push(ReferenceChange { field, to, opened: true }));
            return Ok((WriteTarget::New { id, row }, references));
        };
        self.store.check_type(ix, row)?;
        if !self.store.lineages.is_gone(ix, &mut self.gone) {
            return Err(match spot {
                None => CommitError::Present { entity: id },
                Some(_) => CommitError::SecondOwner {
                    entity: id,
                    first: self.store.describe_place(ix),
                    second: Spot::describe(spot),
                },
            });
        }
        let last_seen = self.store.lineages.revision(ix, LATEST).unwrap_or(Revision(0));
        self.returning.push((ix, last_seen));
        if let Some(last) = self.store.lineages.last(ix) {
            last.entity().slots(&mut |_, _, slot| self.left.push((slot.id(), ix)));
        }
        for (field, to) in self.store.last_references(ix) {
            references.push(ReferenceChange { field, to, opened: false });
        }
        entity.references(&mut |field, to| references.push(ReferenceChange { field, to, opened: true }));
        Ok((WriteTarget::Known(ix), references))
    }

    /// What ended with an owner that comes back without it: it must not come back with that one.
    fn ended(&mut self) -> Vec<(Ix, Ix)> {
        let left = std::mem::take(&mut self.left);
        let stays_away = left.into_iter().filter(|(id, _)| self.at(*id).is_none());
        stays_away.map(|(id, owner)| (self.ix(id), owner)).collect()
    }

    fn repeated(&self, id: EntityId, first: usize, second: Option<&Spot<'_>>) -> RepeatedError {
        let owner_of = |target: Target| match target {
            Target::Known(ix) => self.store.lineages.get(ix).id,
            Target::New(index) => self.ids[index],
        };
        let first = match self.list[first].owner {
            OwnerChange::Owned { owner, .. } => format!("{} (as what it owns)", owner_of(owner)),
            OwnerChange::Root => "the root of a tree".to_owned(),
            OwnerChange::Keep => "where it was".to_owned(),
        };
        RepeatedError { entity: id, first, second: Spot::describe(second) }
    }

    /// What a version keeps of the state at a slot.
    fn payload(&mut self, slot: &dyn Slot, before: Option<&dyn AnyEntity>) -> (Payload, Option<Arc<dyn AnyCell>>) {
        let row = slot.entity().row();
        let mut cell = slot.cell();
        // What stands under a handle was settled before the walk.
        if cell.is_none() && row.settles() {
            let mut settled = slot.entity().to_cell();
            entity_of(&mut settled).settle(before);
            self.inline_settled = true;
            cell = Some(settled);
        }
        match (row.holds_inline, cell) {
            (true, Some(cell)) => (Payload::Record(Arc::new(cell.entity().record())), Some(cell)),
            (true, None) => (Payload::Record(Arc::new(slot.entity().record())), None),
            (false, Some(cell)) => (Payload::Cell(cell), None),
            (false, None) => (Payload::Cell(slot.entity().to_cell()), None),
        }
    }

    /// Puts `child` into the state that a write keeps.
    fn adopt(&mut self, index: usize, child: &Arc<dyn AnyCell>) {
        let write = &mut self.list[index];
        match (&mut write.payload, &mut write.built) {
            (Some(Payload::Record(record)), Some(cell)) => {
                entity_of(cell).adopt(child);
                *record = Arc::new(cell.entity().record());
            }
            (Some(Payload::Cell(cell)), _) => {
                entity_of(cell).adopt(child);
            }
            _ => {}
        }
    }

    /// An entity that was copied and not changed: its owner keeps the state that it had before, so that later walks end
    /// there at once.
    fn give_back(&mut self, before: &dyn Slot) {
        let Some(cell) = before.cell() else { return };
        let owner = self.store.lineages.owner(self.ix(before.id()), LATEST);
        let Some(index) = owner.and_then(|edge| self.at(self.store.lineages.get(edge.owner).id)) else { return };
        self.adopt(index, &cell);
    }
}

impl Store {
    /// Where an entity stands now, in words.
    pub(crate) fn describe_place(&self, ix: Ix) -> String {
        let Some(edge) = self.lineages.owner(ix, LATEST) else {
            return "the root of a tree".to_owned();
        };
        let owner = self.lineages.get(edge.owner);
        let field = self.field_name(edge.owner, edge.field, LATEST);
        format!("{} {} {field}", owner.row.meta.name, owner.id)
    }

    /// The references of an entity's last own state.
    fn last_references(&self, ix: Ix) -> Vec<(u16, EntityId)> {
        let mut references = Vec::new();
        let last = self.lineages.revision(ix, LATEST).and_then(|last| self.lineages.own(ix, last));
        match last {
            Some(Payload::Cell(cell)) => cell.entity().references(&mut |field, to| references.push((field, to))),
            Some(Payload::Record(record)) => record_references(&record, &mut references),
            _ => {}
        }
        references
    }
}

fn record_references(record: &Record, references: &mut Vec<(u16, EntityId)>) {
    for (index, part) in record.parts.iter().enumerate() {
        // A handle owns, it does not refer.
        if let Part::Value(value) = part {
            let field = u16::try_from(index).expect("the derive refuses more fields");
            value_references(value, &mut |to| references.push((field, to)));
        }
    }
}

fn value_references(value: &Value, visit: &mut dyn FnMut(EntityId)) {
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

/// The references that came and went in these fields.
pub(super) fn reference_changes(
    before: &dyn AnyEntity,
    after: &dyn AnyEntity,
    fields: &FieldSet,
) -> Vec<ReferenceChange> {
    let mut references = Vec::new();
    for field in fields {
        before.reference_changes(*field, after, &mut |opened, to| {
            references.push(ReferenceChange { field: *field, to, opened });
        });
    }
    references
}
