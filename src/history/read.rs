//! Reading: an entity, a field, a tree, a difference, as of any time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::view::{FieldVersion, Versions, guarded};
use super::{Archive, History, ReadError};
use crate::diff::{Changes, diff_cells};
use crate::digest::Digest;
use crate::entity::{AnyCell, AnyEntity, Comparison, Entity, FieldToken, Identity, Pairs, TypeRow, downcast};
use crate::id::{EntityId, Id};
use crate::lineage::{Gone, Ix, Payload};
use crate::when::{Position, Revision, When};

impl Archive {
    /// The identity that something names, its type taken in if it tells that.
    pub(super) fn identify(&self, id: &impl Identity) -> Result<EntityId, ReadError> {
        if self.lineages.is_kept()
            && let Some(row) = id.row()
            && !self.types.is_known(row)
        {
            self.types.admit_all(row)?;
        }
        Ok(id.identity())
    }

    pub(crate) fn locate(&self, entity: EntityId) -> Result<Ix, ReadError> {
        self.find(entity)?.ok_or(ReadError::Unknown { entity })
    }

    /// Where an entity's lineage is. What is not found may be what somebody else appended since: then that is taken in.
    pub(crate) fn find(&self, entity: EntityId) -> Result<Option<Ix>, ReadError> {
        if let Some(ix) = self.lineages.find(entity)? {
            return Ok(Some(ix));
        }
        self.refresh()?;
        Ok(self.lineages.find(entity)?)
    }

    /// The place of an entity that is of the type asked for.
    pub(crate) fn locate_typed(&self, entity: EntityId, row: &'static TypeRow) -> Result<Ix, ReadError> {
        let ix = self.locate(entity)?;
        self.check_type(ix, row)?;
        Ok(ix)
    }

    pub(crate) fn check_type(&self, ix: Ix, row: &'static TypeRow) -> Result<(), ReadError> {
        // A type that is asked for is known from then on, whatever the store has.
        if self.lineages.is_kept() && !self.types.is_known(row) {
            self.types.admit_all(row)?;
        }
        let found = self.lineages.row(ix)?;
        if found.is(row) {
            return Ok(());
        }
        Err(ReadError::WrongType {
            entity: self.lineages.get(ix).id,
            expected: row.meta.full_name(),
            found: found.meta.full_name(),
        })
    }

    pub(crate) fn gone(&self, entity: EntityId, gone: Gone, when: &When) -> ReadError {
        match gone {
            Gone::Removed { by, revision, .. } => ReadError::Removed { entity, by, revision },
            Gone::Unreadable(error) => error.into(),
            Gone::Ended { owner } => self.ended(entity, owner),
            Gone::NotYet => {
                let first = |ix| self.lineages.version(ix, Revision(1));
                let first = self.lineages.find(entity).and_then(|ix| ix.map_or(Ok(None), first));
                let first = match first.map_err(ReadError::from) {
                    Err(ReadError::Forgotten { .. }) => self.first_of(entity),
                    first => first.map(|first| first.map_or(Position(0), |(position, _)| position)),
                };
                first.map_or_else(|error| error, |first| ReadError::NotYet { entity, when: when.clone(), first })
            }
        }
    }

    /// The position that a point in time stands for, of an entity if it is a revision.
    pub(crate) fn position(&self, of: Option<Ix>, when: &When) -> Result<Position, ReadError> {
        self.refresh()?;
        let head = self.lineages.head();
        match when {
            When::Head => Ok(head),
            When::Position(position) if *position > head || position.0 == 0 => {
                Err(ReadError::NoPosition { asked: *position, last: head })
            }
            When::Position(position) => self.check_known(*position, when).map(|()| *position),
            When::Revision(asked) => {
                let ix = of.ok_or(ReadError::RevisionAlone { revision: *asked })?;
                let last = self.lineages.revision(ix, head)?.unwrap_or(Revision(0));
                match self.lineages.version(ix, *asked)? {
                    Some((position, _)) if *asked <= last => self.as_of_revision(ix, *asked, position),
                    _ => Err(ReadError::NoRevision { entity: self.lineages.get(ix).id, asked: *asked, last }),
                }
            }
            When::Time(time) => {
                let found = match &self.kept {
                    Some(kept) => kept.store.position_at(*time)?.map(|position| position.min(head)),
                    None => {
                        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
                        self.log.at(*time, &writer.times, head)
                    }
                };
                let found = found.ok_or(ReadError::TooEarly { when: when.clone() })?;
                self.check_known(found, when).map(|()| found)
            }
            When::Tag(tag) => {
                let tags = self.tags()?;
                tags.get(tag).copied().ok_or_else(|| {
                    let known: Vec<&str> = tags.keys().map(String::as_str).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    ReadError::NoTag { tag: tag.clone(), known }
                })
            }
        }
    }

    /// All tags, by name.
    fn tags(&self) -> Result<BTreeMap<String, Position>, ReadError> {
        match &self.kept {
            Some(kept) => Ok(kept.store.tags()?.into_iter().collect()),
            None => Ok(self.tags.read().unwrap_or_else(PoisonError::into_inner).clone()),
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
    pub(crate) fn own_state(&self, ix: Ix, revision: Revision) -> Result<Option<Arc<dyn AnyCell>>, ReadError> {
        if let Some((position, Payload::Stored)) = self.lineages.version(ix, revision)? {
            return present(self.lineages.stored_cell(ix, revision, position));
        }
        let Some((own, payload)) = self.lineages.own(ix, revision)? else { return Ok(None) };
        // What it owned then may be forgotten where its own state is not.
        let is_known = own == revision
            || !self.lineages.is_kept()
            || match self.lineages.version(ix, own)? {
                Some((position, _)) => self.is_known(position)?,
                None => true,
            };
        let at = match payload {
            Payload::Cell(cell) if is_known => return Ok(Some(cell)),
            // As of the version that is asked for: what it owns by value may be asked for too.
            _ => self.lineages.version(ix, if self.lineages.is_kept() && is_known { own } else { revision })?,
        };
        let Some((position, _)) = at else { return Ok(None) };
        present(self.lineages.cell(ix, position))
    }
}

/// A state, if there is one.
fn present(cell: Result<Arc<dyn AnyCell>, Gone>) -> Result<Option<Arc<dyn AnyCell>>, ReadError> {
    match cell {
        Ok(cell) => Ok(Some(cell)),
        Err(Gone::Unreadable(error)) => Err(error.into()),
        Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => Ok(None),
    }
}

impl History {
    /// The position of the newest entry; 0 if there is none.
    #[must_use]
    pub fn head(&self) -> Position {
        // What fails here fails again where something is read, and there it is told.
        _ = self.archive.refresh();
        self.archive.lineages.head()
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
        let ix = self.archive.locate_typed(id.entity_id(), TypeRow::of::<T>())?;
        let at = self.archive.position(Some(ix), when)?;
        let cell = self.archive.state(ix, at, when)?;
        Ok(downcast(cell).expect("the type was checked against the row"))
    }

    /// The newest revision of an entity.
    ///
    /// # Errors
    /// It is unknown.
    pub fn revision(&self, id: impl Identity) -> Result<Revision, ReadError> {
        let ix = self.archive.locate(self.archive.identify(&id)?)?;
        Ok(self.archive.lineages.revision(ix, self.head())?.unwrap_or(Revision(0)))
    }

    /// The content digest of an entity with all that it owns: the same state has the same digest anywhere.
    ///
    /// # Errors
    /// As for [`History::at`].
    pub fn digest(&self, id: impl Identity, when: impl Into<When>) -> Result<Digest, ReadError> {
        let (ix, when) = (self.archive.locate(self.archive.identify(&id)?)?, when.into());
        let at = self.archive.position(Some(ix), &when)?;
        guarded(|| Ok(self.archive.state(ix, at, &when)?.digest()))
    }

    /// Every version of an entity, newest first: who made it, when, and what it changed. Those that are forgotten are
    /// counted, and told as such.
    ///
    /// # Errors
    /// It is unknown.
    pub fn of(&self, id: impl Identity) -> Result<Versions, ReadError> {
        let ix = self.archive.locate(self.archive.identify(&id)?)?;
        Versions::new(self.clone(), ix)
    }

    /// The values that one field had, oldest first: one for each version that changed it, and for its return after a
    /// removal.
    ///
    /// # Errors
    /// The entity is unknown or of another type. [`ReadError::Forgotten`] if some of its versions are: then
    /// [`History::field_since`] tells those from the horizon on, which the error names.
    pub fn field<T: Entity, F: Clone>(
        &self,
        id: Id<T>,
        field: FieldToken<T, F>,
    ) -> Result<Vec<FieldVersion<F>>, ReadError> {
        guarded(|| self.field_versions(id, field))
    }

    fn field_versions<T: Entity, F: Clone>(
        &self,
        id: Id<T>,
        field: FieldToken<T, F>,
    ) -> Result<Vec<FieldVersion<F>>, ReadError> {
        let ix = self.archive.locate_typed(id.entity_id(), TypeRow::of::<T>())?;
        self.values(ix, Revision(1), field)
    }

    /// The values that one field had from a time on, oldest first. The first is the one that it had then, told by the
    /// version that brought the entity's own state of then, whatever that one changed.
    ///
    /// # Errors
    /// As for [`History::at`]; and if there are forgotten versions after that time, which is so below the horizon.
    pub fn field_since<T: Entity, F: Clone>(
        &self,
        id: Id<T>,
        field: FieldToken<T, F>,
        when: impl Into<When>,
    ) -> Result<Vec<FieldVersion<F>>, ReadError> {
        let (ix, when) = (self.archive.locate_typed(id.entity_id(), TypeRow::of::<T>())?, when.into());
        let at = self.archive.position(Some(ix), &when)?;
        let first = self.archive.lineages.revision(ix, at)?;
        let first = first.ok_or_else(|| self.archive.gone(id.entity_id(), Gone::NotYet, &when))?;
        self.values(ix, first, field)
    }

    /// The values that one field had from a revision on.
    fn values<T: Entity, F: Clone>(
        &self,
        ix: Ix,
        first: Revision,
        field: FieldToken<T, F>,
    ) -> Result<Vec<FieldVersion<F>>, ReadError> {
        let lineages = &self.archive.lineages;
        let last = lineages.revision(ix, self.head())?.unwrap_or(Revision(0));
        let mut found: Vec<FieldVersion<F>> = Vec::new();
        // The own state that brought the last value.
        let mut kept: Option<Arc<dyn AnyCell>> = None;
        for asked in (first.0..=last.0).map(Revision) {
            let Some((mut position, payload)) = lineages.version(ix, asked)? else { continue };
            self.archive.first_known(ix, asked, position)?;
            let revision = match payload {
                Payload::Carried { own, .. } if asked == first => {
                    let brought = Revision(u64::from(own) + 1);
                    position = lineages.version(ix, brought)?.map_or(position, |(position, _)| position);
                    brought
                }
                payload if payload.is_own() => asked,
                _ => continue,
            };
            let Some(cell) = self.archive.own_state(ix, asked)? else { continue };
            let Some(entity) = cell.entity().as_any().downcast_ref::<T>() else { continue };
            if kept.as_ref().is_none_or(|kept: &Arc<dyn AnyCell>| differs(kept.entity(), cell.entity(), field.index()))
            {
                let value = field.get(entity);
                let entry = self.entry(position)?;
                found.push(FieldVersion {
                    revision,
                    position,
                    time: entry.time(),
                    author: entry.author().map(str::to_owned),
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
    pub fn diff(&self, id: impl Identity, from: impl Into<When>, to: impl Into<When>) -> Result<Changes, ReadError> {
        let ix = self.archive.locate(self.archive.identify(&id)?)?;
        let state = |when: When| {
            let at = self.archive.position(Some(ix), &when)?;
            self.archive.state(ix, at, &when)
        };
        let (before, after) = (state(from.into())?, state(to.into())?);
        guarded(|| {
            let changes = diff_cells(&before, &after).expect("a state that was committed holds no entity twice");
            Ok(changes.between(before, after))
        })
    }

    /// The position that a point in time stands for.
    ///
    /// # Errors
    /// There is no such position, time or tag; or it is a revision, which only an entity has.
    pub fn position(&self, when: impl Into<When>) -> Result<Position, ReadError> {
        self.archive.position(None, &when.into())
    }

    /// Names a position for good, and gives it back.
    ///
    /// # Errors
    /// There is no such position or time, or the tag stands elsewhere already.
    pub fn tag(&self, name: impl Into<String>, when: impl Into<When>) -> Result<Position, ReadError> {
        let (name, position) = (name.into(), self.position(when)?);
        let at = match &self.archive.kept {
            Some(kept) => kept.store.tag(&name, position)?,
            None => {
                let mut tags = self.archive.tags.write().unwrap_or_else(PoisonError::into_inner);
                *tags.entry(name.clone()).or_insert(position)
            }
        };
        if at == position { Ok(position) } else { Err(ReadError::TagTaken { tag: name, at }) }
    }

    /// All tags, by name, with the positions where they stand.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn tags(&self) -> Result<BTreeMap<String, Position>, ReadError> {
        self.archive.tags()
    }

    /// Whether an entity is there now: known, and neither it nor an owner removed.
    #[must_use]
    pub fn contains(&self, id: impl Identity) -> bool {
        self.archive
            .lineages
            .find(id.identity())
            .is_ok_and(|ix| ix.is_some_and(|ix| self.archive.lineages.alive(ix, self.head()).is_ok()))
    }
}

/// Whether one field differs between two own states, by the rules that decide about versions.
pub(super) fn differs(before: &dyn AnyEntity, after: &dyn AnyEntity, field: usize) -> bool {
    match before.compare(after, &mut Pairs::new()) {
        Comparison::Same => false,
        Comparison::Fields(fields) => fields.iter().any(|differing| usize::from(*differing) == field),
        Comparison::Retyped => true,
    }
}
