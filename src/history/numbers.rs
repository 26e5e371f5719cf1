//! Which field a stored number means: an edge names a field by its place in the layout that was written with it.
//!
//! The number of an owner's field is that of the layout which the owner got when the edge began. The numbers of an
//! entity's references are those of its newest own state until then: with the first state of another layout all of its
//! references are told anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::kept::Kept;
use super::last::{record_references, value_references};
use super::reader::{Reader, unreadable};
use super::{Archive, Prepared, ReadError};
use crate::digest::Digest;
use crate::id::EntityId;
use crate::lineage::{Payload, ReferenceChange, Unreadable, WriteTarget};
use crate::schema::{Meta, Stored, StoredFields};
use crate::store::{LayoutRow, StoreError, VersionBody};
use crate::value::{Name, Value};
use crate::when::{Position, Revision};

/// The number of a field that its type no longer has.
pub(super) const NO_FIELD: u16 = u16::MAX - 1;

/// Where the fields of a stored layout are today, for each of its variants; a struct has one, without a name.
struct Places(Vec<(Option<String>, Vec<u16>)>);

impl Places {
    fn of(layout: &LayoutRow, today: &'static Meta) -> Self {
        let places = |(variant, fields): (Option<String>, StoredFields)| {
            let meta = variant.as_deref().map_or(Some(today), |name| today.leaf(name));
            let place = |(name, _): &(String, String)| {
                let place = meta.and_then(|meta| meta.field(name)).and_then(|place| u16::try_from(place).ok());
                place.unwrap_or(NO_FIELD)
            };
            let places = fields.iter().map(place).collect();
            (variant, places)
        };
        Self(Stored::of(&layout.text).fields.into_iter().map(places).collect())
    }

    fn stay(&self) -> bool {
        self.0.iter().all(|(_, places)| places.iter().enumerate().all(|(stored, today)| stored == usize::from(*today)))
    }

    fn get(&self, variant: Option<&str>, field: u16) -> u16 {
        let places = self.0.iter().find(|(name, _)| name.as_deref() == variant).map(|(_, places)| places);
        places.and_then(|places| places.get(usize::from(field)).copied()).unwrap_or(NO_FIELD)
    }
}

/// What is remembered of the layouts of a store.
#[derive(Default)]
pub(super) struct Numbers {
    layouts: Mutex<Option<Arc<[Arc<LayoutRow>]>>>,
    places: Mutex<HashMap<Digest, Arc<Places>, ahash::RandomState>>,
}

impl Numbers {
    /// Somebody else may have stored other layouts.
    pub(super) fn forget(&self) {
        *self.layouts.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Reader {
    fn places(&self, layout: &LayoutRow) -> Option<Arc<Places>> {
        let known = self.numbers.places.lock().unwrap_or_else(PoisonError::into_inner).get(&layout.digest).cloned();
        known.or_else(|| {
            let places = Arc::new(Places::of(layout, self.types.by_stored_name(&layout.name)?.meta));
            let mut all = self.numbers.places.lock().unwrap_or_else(PoisonError::into_inner);
            Some(Arc::clone(all.entry(layout.digest).or_insert(places)))
        })
    }

    /// Whether every layout of the store, of a type that is known here, has its fields where they are today: then no number
    /// is looked after.
    fn numbers_stay(&self) -> Result<bool, Unreadable> {
        let known = self.numbers.layouts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layouts = match known {
            Some(layouts) => layouts,
            None => {
                let layouts: Arc<[_]> = self.store.layouts().map_err(unreadable)?.into();
                *self.numbers.layouts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&layouts));
                layouts
            }
        };
        Ok(layouts.iter().all(|layout| self.places(layout).is_none_or(|places| places.stay())))
    }

    /// Today's number of a field of an entity, by its number in the state that the entity had at a position.
    pub(super) fn field_today(&self, of: EntityId, at: Position, field: u16) -> Result<u16, Unreadable> {
        if self.numbers_stay()? {
            return Ok(field);
        }
        let Some((own, layout)) = self.own_at(of, at)? else { return Ok(field) };
        let Some(places) = self.places(&layout) else { return Ok(field) };
        if places.stay() {
            return Ok(field);
        }
        let variant = match places.0.as_slice() {
            [(None, _)] => None,
            _ => match &*self.stored(of, own)?.value {
                Value::Variant(variant) => Some(variant.0.clone()),
                _ => None,
            },
        };
        Ok(places.get(variant.as_deref(), field))
    }

    /// The newest own state as of a position, and its layout; `None` also if it is forgotten.
    fn own_at(&self, of: EntityId, at: Position) -> Result<Option<(Revision, Arc<LayoutRow>)>, Unreadable> {
        let row = match self.store.version_at(of, at) {
            Err(StoreError::Forgotten { .. }) => None,
            row => row.map_err(unreadable)?,
        };
        let Some(row) = row else { return Ok(None) };
        self.own_of(of, row.revision, row.body)
    }

    fn own_of(
        &self,
        of: EntityId,
        revision: Revision,
        body: VersionBody,
    ) -> Result<Option<(Revision, Arc<LayoutRow>)>, Unreadable> {
        let own = match body {
            VersionBody::Own { layout, .. } => return Ok(Some((revision, layout))),
            VersionBody::Carried { own } | VersionBody::Removed { own } => own,
        };
        Ok(match self.row_of(of, own)?.body {
            VersionBody::Own { layout, .. } => Some((own, layout)),
            _ => None,
        })
    }

    /// What the newest own state of an entity refers to, by its numbers, unless it is of this layout.
    fn references_of_another(
        &self,
        of: EntityId,
        layout: &LayoutRow,
    ) -> Result<Option<Vec<(u16, EntityId)>>, Unreadable> {
        let Some(newest) = self.store.newest(of).map_err(unreadable)? else { return Ok(None) };
        match self.own_of(of, newest.revision, newest.body)? {
            Some((own, stored)) if stored.digest != layout.digest => {
                Ok(Some(references_in(&self.stored(of, own)?.value)))
            }
            _ => Ok(None),
        }
    }
}

/// What a stored state refers to.
fn references_in(value: &Value) -> Vec<(u16, EntityId)> {
    let fields: &[(Name, Value)] = match value {
        Value::Struct(fields) => fields,
        Value::Variant(variant) => match &variant.1 {
            Value::Struct(fields) => fields,
            _ => &[],
        },
        _ => &[],
    };
    let mut references = Vec::new();
    for (number, (_, value)) in fields.iter().enumerate() {
        if let Ok(number) = u16::try_from(number) {
            value_references(value, &mut |to| references.push((number, to)));
        }
    }
    references
}

/// The references of entities whose state is the first of another layout, told anew.
pub(super) type Renumbered = HashMap<usize, Vec<ReferenceChange>, ahash::RandomState>;

impl Archive {
    /// The writes of a batch that are the first of their layout, with all of their references: the old ones by the
    /// numbers that they have in the store. One read for each write of which it is not known that it is none.
    pub(super) fn renumbered(&self, kept: &Kept, prepared: &Prepared) -> Result<Renumbered, ReadError> {
        let mut renumbered = Renumbered::default();
        for (at, (write, body)) in prepared.batch.writes.iter().zip(&prepared.bodies).enumerate() {
            let (WriteTarget::Known(ix), Some(body)) = (&write.target, body) else { continue };
            if body.base.is_some() || self.lineages.weight(*ix).whole > 0 {
                continue;
            }
            let id = self.lineages.get(*ix).id;
            let Some(old) = kept.reader.references_of_another(id, &body.layout)? else { continue };
            let mut new = Vec::new();
            match &write.payload {
                Some(Payload::Cell(cell)) => cell.entity().references(&mut |field, to| new.push((field, to))),
                Some(Payload::Record(record)) => record_references(record, &mut new),
                _ => {}
            }
            let change = |opened| move |(field, to)| ReferenceChange { field, to, opened };
            let changes = old.into_iter().map(change(false)).chain(new.into_iter().map(change(true)));
            renumbered.insert(at, changes.collect());
        }
        Ok(renumbered)
    }
}
