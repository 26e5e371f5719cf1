//! The numbers that stand for ids and layouts inside a store. They never change once they were committed, so each
//! connection remembers some.

use std::sync::Arc;

use ahash::AHashMap;
use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use super::pack::Packs;
use super::rows::{self, EntityRow};
use super::sql;
use crate::digest::Digest;
use crate::id::EntityId;
use crate::store::rows::LayoutRow;
use crate::store::rules::Newest;

/// How many layouts are remembered: more than programs have types.
const LAYOUTS: usize = 4096;

/// What one connection remembers.
#[derive(Debug)]
pub(super) struct Names {
    numbers: AHashMap<EntityId, i64>,
    ids: AHashMap<i64, EntityId>,
    layouts: AHashMap<i64, Arc<LayoutRow>>,
    layout_ids: AHashMap<Digest, i64>,
    /// The newest versions of entities, for whoever writes.
    newest: AHashMap<i64, Newest>,
    pub(super) packs: Packs,
    bound: usize,
}

impl Names {
    /// Remembers at most so many entities.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            numbers: AHashMap::new(),
            ids: AHashMap::new(),
            layouts: AHashMap::new(),
            layout_ids: AHashMap::new(),
            newest: AHashMap::new(),
            packs: Packs::default(),
            bound,
        }
    }

    /// Forgets everything: what was learned in a transaction that was rolled back is not so.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.bound);
    }

    fn remember(&mut self, number: i64, id: EntityId) {
        self.remember_number(number, id);
        self.ids.insert(number, id);
    }

    /// For whoever writes: nobody asks there whose number it is.
    pub(super) fn remember_number(&mut self, number: i64, id: EntityId) {
        if self.numbers.len() >= self.bound {
            self.numbers.clear();
            self.ids.clear();
        }
        self.numbers.insert(id, number);
    }

    /// The newest version of an entity, if it was written here and nobody else wrote since.
    pub(super) fn newest(&self, number: i64) -> Option<Newest> {
        self.newest.get(&number).copied()
    }

    pub(super) fn remember_newest(&mut self, number: i64, newest: Newest) {
        if self.newest.len() >= self.bound {
            self.newest.clear();
        }
        self.newest.insert(number, newest);
    }

    /// Somebody else wrote.
    pub(super) fn forget_newest(&mut self) {
        self.newest.clear();
    }

    /// So many more are going to be remembered.
    pub(super) fn reserve(&mut self, more: usize) {
        let room = self.bound.saturating_sub(self.numbers.len());
        self.numbers.reserve(more.min(room));
    }

    /// The number of an entity, if the store ever heard of it.
    pub(super) fn number(&mut self, connection: &Connection, id: EntityId) -> Result<Option<i64>, Fault> {
        if let Some(number) = self.numbers.get(&id) {
            return Ok(Some(*number));
        }
        let row = entity_by_id(connection, id)?;
        Ok(row.map(|row| {
            self.remember(row.number, id);
            row.number
        }))
    }

    /// The entity with a number that stands in some row.
    pub(super) fn id(&mut self, connection: &Connection, number: i64) -> Result<EntityId, Fault> {
        if let Some(id) = self.ids.get(&number) {
            return Ok(*id);
        }
        let mut statement = connection.prepare_cached(sql::ID)?;
        let row = statement.query_row([number], |row| Ok(EntityRow::read(row))).optional()?.transpose()?;
        match row {
            Some(row) => {
                self.remember(number, row.id);
                Ok(row.id)
            }
            None => Err(Fault::damaged(format!("the row {number} of entity"), "it is not there, and others name it")),
        }
    }

    /// The layout with a number that stands in some row.
    pub(super) fn layout(&mut self, connection: &Connection, id: i64) -> Result<Arc<LayoutRow>, Fault> {
        if let Some(layout) = self.layouts.get(&id) {
            return Ok(Arc::clone(layout));
        }
        let mut statement = connection.prepare_cached(sql::LAYOUT)?;
        let row = statement.query_row([id], |row| Ok(rows::layout(row))).optional()?.transpose()?;
        let missing = || Fault::damaged(format!("the row {id} of layout"), "it is not there, and versions name it");
        let (id, layout) = row.ok_or_else(missing)?;
        self.remember_layout(id, &layout);
        Ok(layout)
    }

    /// The number of a layout, and what is stored of it, by its digest.
    pub(super) fn layout_by_digest(
        &mut self,
        connection: &Connection,
        digest: Digest,
    ) -> Result<Option<(i64, Arc<LayoutRow>)>, Fault> {
        if let Some(id) = self.layout_ids.get(&digest).copied() {
            return Ok(Some((id, self.layout(connection, id)?)));
        }
        let mut statement = connection.prepare_cached(sql::LAYOUT_BY_DIGEST)?;
        let row = statement.query_row([digest.as_bytes()], |row| Ok(rows::layout(row))).optional()?.transpose()?;
        if let Some((id, layout)) = &row {
            self.remember_layout(*id, layout);
        }
        Ok(row)
    }

    pub(super) fn remember_layout(&mut self, id: i64, layout: &Arc<LayoutRow>) {
        if self.layouts.len() >= LAYOUTS {
            self.layouts.clear();
            self.layout_ids.clear();
        }
        self.layouts.insert(id, Arc::clone(layout));
        self.layout_ids.insert(layout.digest, id);
    }
}

pub(super) fn entity_by_id(connection: &Connection, id: EntityId) -> Result<Option<EntityRow>, Fault> {
    let mut statement = connection.prepare_cached(sql::NUMBER)?;
    statement.query_row([id.as_bytes()], |row| Ok(EntityRow::read(row))).optional()?.transpose()
}
