//! Reading: an entity, a field, a tree, a difference, as of any time.

use std::sync::{Arc, PoisonError};

use super::view::{FieldVersion, Versions};
use super::{History, ReadError, Store};
use crate::diff::{Changes, diff_cells};
use crate::digest::Digest;
use crate::entity::{AnyCell, AnyEntity, Comparison, Entity, FieldToken, Pairs, TypeRow, downcast};
use crate::id::{EntityId, Id};
use crate::lineage::{Gone, Ix, Payload};
use crate::log::Line;
use crate::when::{LATEST, Position, Revision, When};

impl Store {
    pub(crate) fn locate(&self, entity: EntityId) -> Result<Ix, ReadError> {
        self.lineages.find(entity).ok_or(ReadError::Unknown { entity })
    }

    /// The place of an entity that is of the type asked for.
    pub(crate) fn locate_typed(&self, entity: EntityId, row: &'static TypeRow) -> Result<Ix, ReadError> {
        let ix = self.locate(entity)?;
        self.check_type(ix, row)?;
        Ok(ix)
    }

    pub(crate) fn check_type(&self, ix: Ix, row: &'static TypeRow) -> Result<(), ReadError> {
        let lineage = self.lineages.get(ix);
        if lineage.row.is(row) {
            return Ok(());
        }
        Err(ReadError::WrongType {
            entity: lineage.id,
            expected: row.meta.full_name(),
            found: lineage.row.meta.full_name(),
        })
    }

    pub(crate) fn gone(&self, entity: EntityId, gone: Gone, when: &When) -> ReadError {
        match gone {
            Gone::Removed { by, revision, .. } => ReadError::Removed { entity, by, revision },
            Gone::NotYet => {
                let first = self.lineages.find(entity).and_then(|ix| self.lineages.version(ix, Revision(1)));
                let first = first.map_or(Position(0), |(position, _)| position);
                ReadError::NotYet { entity, when: when.clone(), first }
            }
        }
    }

    /// The position that a point in time stands for, of an entity if it is a revision.
    pub(crate) fn position(&self, of: Option<Ix>, when: &When) -> Result<Position, ReadError> {
        let head = self.lineages.head();
        match when {
            When::Head => Ok(head),
            When::Position(position) if *position > head || position.0 == 0 => {
                Err(ReadError::NoPosition { asked: *position, last: head })
            }
            When::Position(position) => Ok(*position),
            When::Revision(asked) => {
                let ix = of.ok_or(ReadError::RevisionAlone { revision: *asked })?;
                let last = self.lineages.revision(ix, head).unwrap_or(Revision(0));
                match self.lineages.version(ix, *asked) {
                    Some((position, _)) if *asked <= last => Ok(position),
                    _ => Err(ReadError::NoRevision { entity: self.lineages.get(ix).id, asked: *asked, last }),
                }
            }
            When::Time(time) => {
                let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
                self.log.at(*time, &writer.times, head).ok_or(ReadError::TooEarly { when: when.clone() })
            }
            When::Tag(tag) => {
                let tags = self.tags.read().unwrap_or_else(PoisonError::into_inner);
                tags.get(tag).copied().ok_or_else(|| {
                    let mut known: Vec<&str> = tags.keys().map(String::as_str).collect();
                    known.sort_unstable();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    ReadError::NoTag { tag: tag.clone(), known }
                })
            }
        }
    }

    /// The state of an entity that is there as of a position.
    pub(crate) fn state(&self, ix: Ix, at: Position, when: &When) -> Result<Arc<dyn AnyCell>, ReadError> {
        let entity = self.lineages.get(ix).id;
        self.lineages
            .alive(ix, at)
            .and_then(|()| self.lineages.cell(ix, at))
            .map_err(|gone| self.gone(entity, gone, when))
    }

    /// The value of a version's own fields, whatever it owns. `None` for a removal.
    pub(crate) fn own_state(&self, ix: Ix, revision: Revision) -> Option<Arc<dyn AnyCell>> {
        match self.lineages.own(ix, revision)? {
            Payload::Cell(cell) => Some(cell),
            _ => {
                let (position, _) = self.lineages.version(ix, revision)?;
                self.lineages.cell(ix, position).ok()
            }
        }
    }
}

impl History {
    /// The position of the newest entry; 0 if there is none.
    #[must_use]
    pub fn head(&self) -> Position {
        self.store.lineages.head()
    }

    /// The entity as it is now.
    ///
    /// # Errors
    /// It is unknown, of another type, or removed.
    pub fn get<T: Entity>(&self, id: Id<T>) -> Result<T, ReadError> {
        self.at(id, When::Head)
    }

    /// The entity as it was: with all that it owned then, its skipped fields `Default`.
    ///
    /// O(1) for a version that is kept whole; else it is built from the nearest that is, in O(what changed in between),
    /// at most O(what it owns).
    ///
    /// # Errors
    /// It is unknown, of another type, was not there yet or was removed; or there is no such revision, position, time
    /// or tag.
    pub fn at<T: Entity>(&self, id: Id<T>, when: impl Into<When>) -> Result<T, ReadError> {
        self.cell_at(id, &when.into()).map(|cell| cell.value().clone())
    }

    fn cell_at<T: Entity>(&self, id: Id<T>, when: &When) -> Result<Arc<crate::entity::Cell<T>>, ReadError> {
        let ix = self.store.locate_typed(id.entity_id(), TypeRow::of::<T>())?;
        let at = self.store.position(Some(ix), when)?;
        let cell = self.store.state(ix, at, when)?;
        Ok(downcast(cell).expect("the type was checked against the row"))
    }

    /// The newest revision of an entity.
    ///
    /// # Errors
    /// It is unknown.
    pub fn revision(&self, id: impl Into<EntityId>) -> Result<Revision, ReadError> {
        let ix = self.store.locate(id.into())?;
        Ok(self.store.lineages.revision(ix, self.head()).unwrap_or(Revision(0)))
    }

    /// The content digest of an entity with all that it owns: the same state has the same digest anywhere.
    ///
    /// # Errors
    /// As for [`History::at`].
    pub fn digest(&self, id: impl Into<EntityId>, when: impl Into<When>) -> Result<Digest, ReadError> {
        let (ix, when) = (self.store.locate(id.into())?, when.into());
        let at = self.store.position(Some(ix), &when)?;
        Ok(self.store.state(ix, at, &when)?.digest())
    }

    /// Every version of an entity, newest first: who made it, when, and what it changed.
    ///
    /// # Errors
    /// It is unknown.
    pub fn of(&self, id: impl Into<EntityId>) -> Result<Versions, ReadError> {
        let ix = self.store.locate(id.into())?;
        Ok(Versions::new(self.clone(), ix))
    }

    /// The values that one field had, oldest first: one for each version that changed it, and for its return after a
    /// removal.
    ///
    /// # Errors
    /// The entity is unknown or of another type.
    pub fn field<T: Entity, F: Clone>(
        &self,
        id: Id<T>,
        field: FieldToken<T, F>,
    ) -> Result<Vec<FieldVersion<F>>, ReadError> {
        let ix = self.store.locate_typed(id.entity_id(), TypeRow::of::<T>())?;
        let head = self.head();
        let last = self.store.lineages.revision(ix, head).unwrap_or(Revision(0));
        let mut found: Vec<FieldVersion<F>> = Vec::new();
        // The own state that brought the last value.
        let mut kept: Option<Arc<dyn AnyCell>> = None;
        for revision in (1..=last.0).map(Revision) {
            let Some((position, payload)) = self.store.lineages.version(ix, revision) else { continue };
            if !matches!(payload, Payload::Cell(_) | Payload::Record(_)) {
                continue;
            }
            let Some(cell) = self.store.own_state(ix, revision) else { continue };
            let Some(entity) = cell.entity().as_any().downcast_ref::<T>() else { continue };
            if kept.as_ref().is_none_or(|kept: &Arc<dyn AnyCell>| differs(kept.entity(), cell.entity(), field.index()))
            {
                let value = field.get(entity);
                let line = self.store.log.get(position);
                found.push(FieldVersion {
                    revision,
                    position,
                    time: line.map(|line| line.time),
                    author: line.and_then(Line::author).map(str::to_owned),
                    value: value.clone(),
                });
                kept = Some(Arc::clone(&cell));
            }
        }
        Ok(found)
    }

    /// What changed in an entity, and in all that it owns, from one time to another.
    ///
    /// Both states are read as by [`History::at`]; the comparison skips what they share. The times may be in either
    /// order.
    ///
    /// # Errors
    /// As for [`History::at`].
    pub fn diff(
        &self,
        id: impl Into<EntityId>,
        from: impl Into<When>,
        to: impl Into<When>,
    ) -> Result<Changes, ReadError> {
        let ix = self.store.locate(id.into())?;
        let state = |when: When| {
            let at = self.store.position(Some(ix), &when)?;
            self.store.state(ix, at, &when)
        };
        let (before, after) = (state(from.into())?, state(to.into())?);
        let changes = diff_cells(&before, &after).expect("a state that was committed holds no entity twice");
        Ok(changes.between(before, after))
    }

    /// The position that a point in time stands for.
    ///
    /// # Errors
    /// There is no such position, time or tag; or it is a revision, which only an entity has.
    pub fn position(&self, when: impl Into<When>) -> Result<Position, ReadError> {
        self.store.position(None, &when.into())
    }

    /// Names a position for good, and gives it back.
    ///
    /// # Errors
    /// There is no such position or time, or the tag stands elsewhere already.
    pub fn tag(&self, name: impl Into<String>, when: impl Into<When>) -> Result<Position, ReadError> {
        let (name, position) = (name.into(), self.position(when)?);
        let mut tags = self.store.tags.write().unwrap_or_else(PoisonError::into_inner);
        match tags.get(&name) {
            Some(at) if *at != position => Err(ReadError::TagTaken { tag: name, at: *at }),
            _ => {
                tags.insert(name, position);
                Ok(position)
            }
        }
    }

    /// Whether an entity is there now: known, and neither it nor an owner removed.
    #[must_use]
    pub fn contains(&self, id: impl Into<EntityId>) -> bool {
        self.store.lineages.find(id.into()).is_some_and(|ix| self.store.lineages.alive(ix, LATEST).is_ok())
    }
}

/// Whether one field differs between two own states, by the rules that decide about versions.
fn differs(before: &dyn AnyEntity, after: &dyn AnyEntity, field: usize) -> bool {
    match before.compare(after, &mut Pairs::new()) {
        Comparison::Same => false,
        Comparison::Fields(fields) => fields.iter().any(|differing| usize::from(*differing) == field),
        Comparison::Retyped => true,
    }
}
