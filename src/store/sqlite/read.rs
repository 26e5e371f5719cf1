//! What is read, each within one snapshot.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::bytes::{HIGHEST_PLACE, Varints, version_key};
use super::fault::Fault;
use super::names::{Names, entity_by_id};
use super::rows::{self, EntityRow, EntryColumns, Kind, OwnerColumns, ReferenceColumns, VersionColumns, stored};
use super::sql;
use crate::id::EntityId;
use crate::store::chain::Head;
use crate::store::error::StoreError;
use crate::store::keys::KeyNumber;
use crate::store::rows::{
    Entry, EntryRow, LayoutRow, OwnerChange, Query, ReferenceChange, Version, VersionBody, VersionRow,
};
use crate::when::{Position, Revision, Timestamp};

/// How many versions stand between two milestones.
pub(super) const MILESTONE: u64 = 16;

/// One connection, within a transaction.
pub(super) struct Snapshot<'c> {
    pub(super) connection: &'c Connection,
    pub(super) names: &'c mut Names,
}

impl Snapshot<'_> {
    /// The row that a statement gives, read by `read`.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_row(params, |row| Ok(read(row))).optional()?.transpose()
    }

    /// All rows that a statement gives, each read by `read`.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(params)?;
        let mut all = Vec::new();
        while let Some(row) = found.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// The head, and the time of its entry.
    pub(super) fn newest_entry(&self) -> Result<Option<(Head, Timestamp)>, Fault> {
        self.one(sql::HEAD, [], EntryColumns::head)
    }

    pub(super) fn head(&self) -> Result<Head, Fault> {
        Ok(self.newest_entry()?.map_or(Head::EMPTY, |(head, _)| head))
    }

    pub(super) fn entry_columns(&self, position: Position) -> Result<Option<EntryColumns>, Fault> {
        match i64::try_from(position.0) {
            Ok(position) => self.one(sql::ENTRY, [position], EntryColumns::read),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn entry(&mut self, position: Position) -> Result<Option<Arc<EntryRow>>, Fault> {
        let Some(columns) = self.entry_columns(position)? else { return Ok(None) };
        let mut versions = Vec::with_capacity(columns.made.versions.len());
        for made in &columns.made.versions {
            versions.push((self.names.id(self.connection, made.number)?, Revision(u64::from(made.revision))));
        }
        let ended = columns.made.ended.iter().map(|number| self.names.id(self.connection, *number));
        let ended = ended.collect::<Result<_, _>>()?;
        let EntryColumns { position, time, kind, said, body, hash, .. } = columns;
        Ok(Some(Arc::new(EntryRow { position, time, kind, said, versions, ended, body, hash })))
    }

    pub(super) fn find(&self, query: &Query) -> Result<Vec<Position>, Fault> {
        let read = |row: &Row<'_>| rows::entry_position(rows::int(row, 0)?, || "a row of entry".to_owned());
        let most = |limit: &usize| i64::try_from(*limit).unwrap_or(i64::MAX);
        match query {
            Query::After(after, limit) => self.all(sql::AFTER, [stored(*after), most(limit)], read),
            Query::Tail(limit) => self.all(sql::TAIL, [i64::MAX, most(limit)], read),
            Query::Kind(kind, until, limit) => self.all(sql::KIND, [*kind as i64, stored(*until), most(limit)], read),
            Query::Times(times, limit) => {
                let (first, last) = (times.start().as_micros(), times.end().as_micros());
                // An exhausted range holds nothing, whatever its ends say.
                if times.is_empty() { Ok(Vec::new()) } else { self.all(sql::TIMES, [first, last, most(limit)], read) }
            }
        }
    }

    pub(super) fn position_at(&self, time: Timestamp) -> Result<Option<Position>, Fault> {
        let Some((since, first)) = self.one(sql::RISING, [time.as_micros()], rows::rising)? else { return Ok(None) };
        let head = stored(self.head()?.position);
        let outside = || Fault::damaged(format!("the row {since} of rising"), "it names no entry");
        if !(1..=head).contains(&first) {
            return Err(outside());
        }
        // All that came after this run begins later than asked for, and does not fall from there.
        let (mut found, mut after) = (first, head.saturating_add(1));
        while found + 1 < after {
            let middle = found.midpoint(after);
            let there = self.one(sql::TIME, [middle], |row| rows::int(row, 0))?;
            if there.is_some_and(|there| there <= time.as_micros()) { found = middle } else { after = middle }
        }
        let name = || format!("the row {found} of entry");
        let missing = || Fault::damaged(name(), "it is not there");
        let position = rows::position(found, name)?;
        let entry = self.entry_columns(position)?.ok_or_else(missing)?;
        let next = self.entry_columns(Position(position.0 + 1))?;
        // Both were read whole, and their checksums fit: so the answer stands on what was written.
        if entry.time > time || next.is_some_and(|next| next.time <= time) {
            return Err(Fault::damaged(
                format!("the row {since} of rising"),
                "it does not fit the times of the entries",
            ));
        }
        Ok(Some(position))
    }

    /// The row of a version whose columns are not looked into.
    pub(super) fn version_by_key(&mut self, key: i64) -> Result<Option<VersionRow>, Fault> {
        self.version_of(sql::VERSION, [key])
    }

    fn version_of(&mut self, sql: &str, params: impl Params) -> Result<Option<VersionRow>, Fault> {
        let names = &mut *self.names;
        let connection = self.connection;
        let mut statement = connection.prepare_cached(sql)?;
        let read = |row: &Row<'_>| Ok(VersionColumns::read(row).and_then(|row| version_row(connection, names, &row)));
        statement.query_row(params, read).optional()?.transpose()
    }

    pub(super) fn version(&mut self, entity: EntityId, revision: Revision) -> Result<Option<VersionRow>, Fault> {
        let Some(number) = self.names.number(self.connection, entity)? else { return Ok(None) };
        match version_key(number, revision.0) {
            Some(key) => self.version_by_key(key),
            None => Ok(None),
        }
    }

    pub(super) fn newest(&mut self, entity: EntityId) -> Result<Option<VersionRow>, Fault> {
        let Some(number) = self.names.number(self.connection, entity)? else { return Ok(None) };
        self.version_of(sql::NEWEST, keys_of(number, 1))
    }

    pub(super) fn missing(&self, entities: &[EntityId]) -> Result<Vec<EntityId>, Fault> {
        if self.one(sql::HIGHEST_NUMBER, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten().is_none() {
            return Ok(entities.to_vec());
        }
        let mut statement = self.connection.prepare_cached(sql::NUMBER)?;
        let mut missing = Vec::new();
        for entity in entities {
            let row =
                statement.query_row([entity.as_bytes()], |row| Ok(EntityRow::read(row))).optional()?.transpose()?;
            if row.is_none_or(|row| row.place().is_none()) {
                missing.push(*entity);
            }
        }
        Ok(missing)
    }

    pub(super) fn version_at(&mut self, entity: EntityId, position: Position) -> Result<Option<VersionRow>, Fault> {
        let Some(number) = self.names.number(self.connection, entity)? else { return Ok(None) };
        let horizon = self.mark()?.horizon;
        let kept = self.kept_from(position, horizon)?;
        match self.version_as_of(entity, number, kept, horizon)? {
            Some(found) if found.position > position => Err(Fault::Store(StoreError::Forgotten { position, horizon })),
            found => Ok(found),
        }
    }

    /// The newest version as of a position that is kept.
    fn version_as_of(
        &mut self,
        entity: EntityId,
        number: i64,
        position: Position,
        horizon: Position,
    ) -> Result<Option<VersionRow>, Fault> {
        let milestone = self.one(sql::MILESTONE, [number, stored(position)], rows::milestone)?;
        let since = milestone.map_or(0, |(_, revision)| revision & i64::from(u32::MAX));
        let first = (number << 32) | since;
        let last = first.saturating_add(MILESTONE.cast_signed() - 1);
        let found = self.version_of(sql::VERSION_AT, [first, last, stored(position)])?;
        // The one after it came later, or there is none: so what the search skipped was skipped with reason.
        let revision = found.as_ref().map_or(0, |found| found.revision.0);
        let next = self.version_of(sql::VERSION_AFTER, keys_of(number, revision.saturating_add(1)))?;
        let follows = next.as_ref().is_none_or(|next| next.position > position);
        let skips = next.as_ref().filter(|next| next.revision.0 != revision + 1);
        if follows && found.as_ref().is_none_or(|found| found.position <= position) {
            // Or what stands between them was forgotten.
            if skips.is_none_or(|next| next.position <= horizon) {
                return Ok(found);
            }
        }
        Err(Fault::damaged(
            format!("the versions of {entity}"),
            format!("they do not tell the newest as of {position}"),
        ))
    }

    fn owner_change(&mut self, columns: &OwnerColumns) -> Result<OwnerChange, Fault> {
        let wrong = || Fault::damaged(columns.name(), "its owner and its field do not fit");
        match (columns.owner, columns.field) {
            (None, None) => Ok(OwnerChange::Root),
            (Some(owner), None) => Ok(OwnerChange::Ended { owner: self.names.id(self.connection, owner)? }),
            (Some(owner), Some(field)) => {
                let owner = self.names.id(self.connection, owner)?;
                Ok(OwnerChange::Owned { owner, field: u16::try_from(field).map_err(|_| wrong())? })
            }
            (None, Some(_)) => Err(wrong()),
        }
    }

    pub(super) fn owner_at(
        &mut self,
        entity: EntityId,
        position: Position,
    ) -> Result<Option<(Position, OwnerChange)>, Fault> {
        let Some(number) = self.names.number(self.connection, entity)? else { return Ok(None) };
        let horizon = self.mark()?.horizon;
        let kept = self.kept_from(position, horizon)?;
        let found = self.one(sql::OWNER_AT, [number, stored(kept)], OwnerColumns::read)?;
        let Some(columns) = found else { return Ok(None) };
        let since = rows::entry_position(columns.since, || columns.name())?;
        if since > position {
            return Err(Fault::Store(StoreError::Forgotten { position, horizon }));
        }
        Ok(Some((since, self.owner_change(&columns)?)))
    }

    pub(super) fn owner_since(&mut self, number: i64, position: Position) -> Result<OwnerChange, Fault> {
        match self.one(sql::OWNER, [number, stored(position)], OwnerColumns::read)? {
            Some(columns) => self.owner_change(&columns),
            None => Err(self.lost(position, format!("the row {number}, {} of edge", position.0))),
        }
    }

    /// Why something is not there that an entry made.
    fn lost(&self, position: Position, row: String) -> Fault {
        match self.mark() {
            Ok(mark) if position < mark.horizon => {
                Fault::Store(StoreError::Forgotten { position, horizon: mark.horizon })
            }
            Ok(_) => Fault::damaged(row, "it is not there"),
            Err(fault) => fault,
        }
    }

    pub(super) fn referrers_at(&mut self, entity: EntityId, position: Position) -> Result<Vec<(EntityId, u16)>, Fault> {
        let horizon = self.mark()?.horizon;
        if self.kept_from(position, horizon)? != position {
            return Err(Fault::Store(StoreError::Forgotten { position, horizon }));
        }
        let Some(number) = self.names.number(self.connection, entity)? else { return Ok(Vec::new()) };
        let position = stored(position).min(rows::OPEN - 1);
        let mut found = Vec::new();
        for columns in self.all(sql::REFERRERS, [number, position], ReferenceColumns::read)? {
            if columns.since <= position {
                let wrong = |_| Fault::damaged(columns.name(), "its field is no field");
                let field = u16::try_from(columns.field).map_err(wrong)?;
                found.push((self.names.id(self.connection, columns.source)?, field));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(super) fn entities(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, Fault> {
        let since = match after {
            None => 0,
            Some(after) => match entity_by_id(self.connection, after)?.and_then(|row| row.place()) {
                Some(place) => place,
                None => return Ok(Vec::new()),
            },
        };
        let (first, most) = (since.saturating_add(1), i64::try_from(limit).unwrap_or(i64::MAX));
        let mut came = self.all(sql::CAME, [first, HIGHEST_PLACE, most], EntityRow::read)?;
        let late = self.all(sql::CAME_LATE, [first, most], EntityRow::read)?;
        if !late.is_empty() {
            came.extend(late);
            // Two runs, each in order, which is what this sort is quick at.
            came.sort_by_key(EntityRow::place);
            came.truncate(limit);
        }
        Ok(came.into_iter().map(|row| row.id).collect())
    }

    pub(super) fn layouts(&self) -> Result<Vec<Arc<LayoutRow>>, Fault> {
        self.all(sql::LAYOUTS, [], |row| rows::layout(row).map(|(_, layout)| layout))
    }

    pub(super) fn tags(&self) -> Result<Vec<(String, Position)>, Fault> {
        self.all(sql::TAGS, [], rows::tag)
    }

    pub(super) fn read(&mut self, position: Position) -> Result<Option<Entry>, Fault> {
        let Some(columns) = self.entry_columns(position)? else { return Ok(None) };
        let mut versions = Vec::with_capacity(columns.made.versions.len());
        for made in &columns.made.versions {
            let key = made.number << 32 | i64::from(made.revision);
            let name = || format!("the row {key} of version");
            let row = self.version_by_key(key)?;
            let row = row.ok_or_else(|| self.lost(position, name()))?;
            if row.position != position {
                return Err(Fault::damaged(name(), "it belongs to another entry"));
            }
            let owner = if made.owner { Some(self.owner_since(made.number, position)?) } else { None };
            let VersionRow { entity, revision, body, carried, .. } = row;
            versions.push(Version { entity, revision, body, carried, owner });
        }
        let mut ended = Vec::with_capacity(columns.made.ended.len());
        for number in &columns.made.ended {
            ended.push((self.names.id(self.connection, *number)?, self.owner_since(*number, position)?));
        }
        let mut references = Vec::with_capacity(columns.made.references.len());
        for made in &columns.made.references {
            let from = self.names.id(self.connection, made.source)?;
            let to = self.names.id(self.connection, made.target)?;
            references.push(ReferenceChange { from, field: made.field, to, opened: made.opened });
        }
        let keys = columns.made.keys.iter().map(|(number, made)| self.key_change(*number, *made));
        let keys = keys.collect::<Result<_, _>>()?;
        let EntryColumns { position, time, kind, said, .. } = columns;
        Ok(Some(Entry { position, time, kind, said, versions, ended, references, keys }))
    }
}

/// All keys of an entity from a revision on.
pub(super) fn keys_of(number: i64, since: u64) -> [i64; 2] {
    match u32::try_from(since) {
        Ok(since) => [number << 32 | i64::from(since), number << 32 | i64::from(u32::MAX)],
        // No version has such a revision, and no key is in this range.
        Err(_) => [1, 0],
    }
}

/// A version with ids and layouts in place of their numbers.
fn version_row(
    connection: &Connection,
    names: &mut Names,
    columns: &VersionColumns<&[u8]>,
) -> Result<VersionRow, Fault> {
    let wrong = |what: &str| Fault::damaged(columns.name(), format!("its {what} cannot be read"));
    let earlier = |number: i64| match u64::try_from(number) {
        Ok(earlier) if earlier > 0 && earlier < columns.revision() => Ok(Revision(earlier)),
        _ => Err(wrong("earlier revision")),
    };
    let seal = columns.seal;
    if seal.is_some() && columns.kind != Kind::Own {
        return Err(wrong("key"));
    }
    let body = match (columns.kind, columns.own, columns.layout, columns.body) {
        (Kind::Own, base, Some(layout), Some(bytes)) => VersionBody::Own {
            layout: names.layout(connection, layout)?,
            base: base.map(earlier).transpose()?,
            bytes: match columns.dictionary {
                None => bytes.into(),
                Some(id) => names.packs.unpack(connection, id, bytes)?.into(),
            },
            seal: seal.map(|number| u64::try_from(number).map(KeyNumber).map_err(|_| wrong("key"))).transpose()?,
        },
        _ if columns.dictionary.is_some() && columns.body.is_none() => return Err(wrong("body")),
        (Kind::Carried, Some(own), None, None) => VersionBody::Carried { own: earlier(own)? },
        (Kind::Removed, Some(own), None, None) => VersionBody::Removed { own: earlier(own)? },
        _ => return Err(wrong("body")),
    };
    let mut carried = Vec::new();
    let mut numbers = Varints::new(columns.carried.unwrap_or_default());
    while !numbers.is_empty() {
        let number = rows::entity_number(&mut numbers).ok_or_else(|| wrong("list of what it carries"))?;
        carried.push(names.id(connection, number)?);
    }
    let position = rows::entry_position(columns.position, || columns.name())?;
    let entity = names.id(connection, columns.number())?;
    Ok(VersionRow { entity, revision: Revision(columns.revision()), position, body, carried })
}
