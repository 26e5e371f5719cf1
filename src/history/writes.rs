//! The versions of a batch: what each difference makes, new owners before what they own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::body::Body;
use super::proposal::Expected;
use super::settle::entity_of;
use super::{Archive, CommitError, ReadError};
use crate::diff::{Difference, RepeatedError, Spot, Walk};
use crate::entity::{AnyCell, AnyEntity, FieldSet, Slot, TypeRow};
use crate::id::EntityId;
use crate::lineage::{Batch, Ix, KnownGone, OwnerChange, Payload, ReferenceChange, Target, Write, WriteTarget};
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

/// What a version keeps: in memory, with its value where that is not it, and in a store.
type Keeps = (Payload, Option<Arc<dyn AnyCell>>, Option<Body>);

/// A batch, its bodies, what must be gone for it, and whether an entity held by value was settled.
pub(super) type Finished = (Batch, Vec<Option<Body>>, Vec<Expected>, bool);

/// So many are looked through faster than a map is made.
const FEW: usize = 8;

/// The versions to be made.
pub(super) struct Writes<'s, 'w, 'a> {
    archive: &'s Archive,
    walk: &'w Walk<'a>,
    list: Vec<Write>,
    /// What a store is given of each of the list.
    bodies: Vec<Option<Body>>,
    /// The entities of the list, in its order.
    ids: SmallVec<[EntityId; FEW]>,
    /// Where in the list an entity stands, once there are more than a few.
    index: Option<HashMap<EntityId, usize, ahash::RandomState>>,
    /// How many of the list, from its start, are entities that come.
    arrived: usize,
    /// Entities that come again, with the last revision that was seen.
    returning: Vec<(Ix, Revision)>,
    gone: KnownGone,
    /// Entities that the store was found not to have, and that have not been come to yet.
    missing: HashSet<EntityId, ahash::RandomState>,
    /// What owned entities that come again when they went, and they themselves.
    left: Vec<(EntityId, Ix)>,
    /// Whether an entity held by value was settled, so that its holder's value is not what is kept.
    inline_settled: bool,
}

impl<'s, 'w, 'a> Writes<'s, 'w, 'a> {
    pub(super) fn new(archive: &'s Archive, walk: &'w Walk<'a>) -> Self {
        Self {
            archive,
            walk,
            list: Vec::new(),
            bodies: Vec::new(),
            ids: SmallVec::new(),
            index: None,
            inline_settled: false,
            arrived: 0,
            returning: Vec::new(),
            gone: KnownGone::default(),
            missing: HashSet::default(),
            left: Vec::new(),
        }
    }

    /// The batch, its bodies, what must still be gone when it is appended, and whether the value of some holder is not what is kept.
    pub(super) fn finish(mut self) -> Result<Finished, CommitError> {
        let gone = self.returning.drain(..).map(|(ix, revision)| Expected::Gone(ix, revision)).collect();
        Ok((Batch { ended: self.ended()?, writes: self.list }, self.bodies, gone, self.inline_settled))
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
                Found::Moved { before, after, to } => self.relocate(before, after, to)?,
                Found::Removed(id) => self.remove(id)?,
                Found::Added { .. } | Found::Equal { .. } => {}
            }
        }
        for slot in equal {
            self.give_back(slot)?;
        }
        Ok(())
    }

    /// Where the lineage of an entity is that stood in a state before. Over a store, nobody may have looked at it yet.
    fn ix(&self, id: EntityId) -> Result<Ix, ReadError> {
        Ok(self.archive.lineages.find(id)?.expect("what stood in a state before has a lineage"))
    }

    fn at(&self, id: EntityId) -> Option<usize> {
        if self.ids.len() <= FEW {
            self.ids.iter().position(|known| *known == id)
        } else {
            self.index.as_ref()?.get(&id).copied()
        }
    }

    /// So many more are going to come.
    fn reserve(&mut self, more: usize) {
        self.list.reserve(more);
        self.bodies.reserve(more);
        self.ids.reserve(more);
        if let Some(index) = &mut self.index {
            index.reserve(more);
        }
    }

    fn push(&mut self, id: EntityId, write: Write, body: Option<Body>) -> usize {
        self.list.push(write);
        self.bodies.push(body);
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
        let ix = self.ix(after.id())?;
        // Another variant of one enum is of the lineage's type; what moved into a slot of another Rust type is not.
        if fields.is_none() {
            self.archive.types.admit(entity.row())?;
            self.archive.check_type(ix, entity.row())?;
        }
        let known = fields.as_ref().map(|fields| (ix, before, fields));
        let (payload, built, body) = self.payload(after, Some(before), known)?;
        let mut references: Vec<ReferenceChange> = Vec::new();
        match &fields {
            Some(fields) => references = reference_changes(before, entity, fields),
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
                self.bodies[index] = body;
            }
            None => drop(self.push(after.id(), write, body)),
        }
        Ok(())
    }

    /// A new version of an entity that stands elsewhere.
    fn relocate(
        &mut self,
        before: &dyn Slot,
        after: &dyn Slot,
        to: Option<(EntityId, u16)>,
    ) -> Result<(), CommitError> {
        let owner = match to {
            None => OwnerChange::Root,
            Some((owner, field)) => OwnerChange::Owned { owner: self.target(owner)?, field },
        };
        if let Some(index) = self.at(after.id()) {
            self.list[index].owner = owner;
            return Ok(());
        }
        let ix = self.ix(before.id())?;
        let nothing = FieldSet::new();
        let known = Some((ix, before.entity(), &nothing));
        let (payload, built, body) = self.payload(after, Some(before.entity()), known)?;
        let references = Vec::new();
        let write = Write { target: WriteTarget::Known(ix), payload: Some(payload), built, owner, references };
        self.push(after.id(), write, body);
        Ok(())
    }

    fn target(&self, id: EntityId) -> Result<Target, ReadError> {
        Ok(match self.at(id) {
            Some(index) if index < self.arrived => Target::New(index),
            _ => Target::Known(self.ix(id)?),
        })
    }

    fn remove(&mut self, id: EntityId) -> Result<(), ReadError> {
        let write = Write {
            target: WriteTarget::Known(self.ix(id)?),
            payload: None,
            built: None,
            owner: OwnerChange::Keep,
            references: Vec::new(),
        };
        self.push(id, write, None);
        Ok(())
    }

    /// First versions of an entity and of all that it owns, but for what moved into it.
    fn add(&mut self, top: &'a dyn Slot, spot: Option<Spot<'a>>) -> Result<(), CommitError> {
        let mut seen_row: Option<&'static TypeRow> = None;
        let mut stack: Vec<(&'a dyn Slot, Option<Spot<'a>>, Option<usize>)> = vec![(top, spot, None)];
        while let Some((slot, spot, holder)) = stack.pop() {
            let id = slot.id();
            if let Some(to) = self.walk.moved_to(id) {
                if *to == spot {
                    continue;
                }
                let (first, second) = (Spot::describe(to.as_ref()), Spot::describe(spot.as_ref()));
                return Err(RepeatedError { entity: id, first, second }.into());
            }
            if let Some(index) = self.at(id) {
                return Err(self.repeated(id, index, spot.as_ref()).into());
            }
            let entity = slot.entity();
            let row = entity.row();
            if seen_row.is_none_or(|seen| !std::ptr::eq(seen, row)) {
                self.archive.types.admit(row)?;
                seen_row = Some(row);
            }
            let owner = match &spot {
                None => OwnerChange::Root,
                Some(spot) => OwnerChange::Owned {
                    owner: match holder {
                        Some(index) => Target::New(index),
                        None => self.target(spot.owner.entity_id())?,
                    },
                    field: spot.field,
                },
            };
            let (target, references) = self.arrive(entity, row, spot.as_ref())?;
            let (payload, built, body) = self.payload(slot, None, None)?;
            let write = Write { target, payload: Some(payload), built, owner, references };
            let index = self.push(id, write, body);
            let children = stack.len();
            entity.slots(&mut |field, key, child| {
                stack.push((child, Some(Spot { owner: entity, field, key }), Some(index)));
            });
            if stack.len() - children > FEW {
                self.reserve(stack.len() - children);
                if self.archive.lineages.is_kept() {
                    let ids = stack[children..].iter().map(|(child, ..)| child.id()).collect();
                    self.missing.extend(self.archive.lineages.missing(ids)?);
                }
            }
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
        let found = if self.missing.remove(&id) { None } else { self.archive.lineages.find(id)? };
        let Some(ix) = found else {
            entity.references(&mut |field, to| references.push(ReferenceChange { field, to, opened: true }));
            return Ok((WriteTarget::New { id, row }, references));
        };
        self.archive.check_type(ix, row)?;
        if !self.archive.lineages.is_gone(ix, &mut self.gone) {
            return Err(match spot {
                None => CommitError::Present { entity: id },
                Some(_) => CommitError::SecondOwner {
                    entity: id,
                    first: self.archive.describe_place(ix),
                    second: Spot::describe(spot),
                },
            });
        }
        let last_seen = self.archive.lineages.last_revision(ix);
        self.returning.push((ix, last_seen));
        self.left.extend(self.archive.last_owned(ix)?.into_iter().map(|owned| (owned, ix)));
        for (field, to) in self.archive.last_references(ix)? {
            references.push(ReferenceChange { field, to, opened: false });
        }
        entity.references(&mut |field, to| references.push(ReferenceChange { field, to, opened: true }));
        Ok((WriteTarget::Known(ix), references))
    }

    /// What ended with an owner that comes back without it: it must not come back with that one.
    fn ended(&mut self) -> Result<Vec<(Ix, Ix)>, ReadError> {
        let left = std::mem::take(&mut self.left);
        let stays_away = left.into_iter().filter(|(id, _)| self.at(*id).is_none());
        stays_away.map(|(id, owner)| Ok((self.ix(id)?, owner))).collect()
    }

    fn repeated(&self, id: EntityId, first: usize, second: Option<&Spot<'_>>) -> RepeatedError {
        let owner_of = |target: Target| match target {
            Target::Known(ix) => self.archive.lineages.get(ix).id,
            Target::New(index) => self.ids[index],
        };
        let first = match self.list[first].owner {
            OwnerChange::Owned { owner, .. } => format!("{} (as what it owns)", owner_of(owner)),
            OwnerChange::Root => "the root of a tree".to_owned(),
            OwnerChange::Keep => "where it was".to_owned(),
        };
        RepeatedError { entity: id, first, second: Spot::describe(second) }
    }

    /// What a version keeps of the state at a slot: in memory, and in a store. For one that is known, with what differs.
    fn payload(
        &mut self,
        slot: &dyn Slot,
        before: Option<&dyn AnyEntity>,
        known: Option<(Ix, &dyn AnyEntity, &FieldSet)>,
    ) -> Result<Keeps, CommitError> {
        let row = slot.entity().row();
        let mut cell = slot.cell();
        // What stands under a handle was settled before the walk.
        if cell.is_none() && row.settles() {
            let mut settled = slot.entity().to_cell();
            entity_of(&mut settled).settle(before);
            self.inline_settled = true;
            cell = Some(settled);
        }
        let body = match self.archive.kept {
            Some(_) => {
                let state = cell.as_ref().map_or(slot.entity(), |cell| cell.entity());
                Some(self.archive.body(known, state)?)
            }
            None => None,
        };
        Ok(match (row.holds_inline, cell) {
            // What it holds by value may have fields that are judged equal and keep what they were: the value is not what
            // is kept, and is built when somebody reads it.
            (true, Some(cell)) if row.settles() => {
                self.inline_settled = true;
                (Payload::Record(Arc::new(cell.entity().record())), None, body)
            }
            (true, Some(cell)) => (Payload::Record(Arc::new(cell.entity().record())), Some(cell), body),
            (true, None) => (Payload::Record(Arc::new(slot.entity().record())), None, body),
            (false, Some(cell)) => (Payload::Cell(cell), None, body),
            (false, None) => (Payload::Cell(slot.entity().to_cell()), None, body),
        })
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
    fn give_back(&mut self, before: &dyn Slot) -> Result<(), ReadError> {
        let Some(cell) = before.cell() else { return Ok(()) };
        let owner = self.archive.lineages.last_owner(self.ix(before.id())?);
        let Some(index) = owner.and_then(|edge| self.at(self.archive.lineages.get(edge.owner).id)) else {
            return Ok(());
        };
        self.adopt(index, &cell);
        Ok(())
    }
}

impl Archive {
    /// Where an entity stands now, in words.
    pub(crate) fn describe_place(&self, ix: Ix) -> String {
        let Some(edge) = self.lineages.last_owner(ix) else {
            return "the root of a tree".to_owned();
        };
        let (owner, row) = (self.lineages.get(edge.owner).id, self.lineages.row(edge.owner));
        let name = row.map_or("an entity of another type", |row| row.meta.name);
        let field = self.field_name(edge.owner, edge.field, LATEST).unwrap_or_default();
        format!("{name} {owner} {field}")
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
