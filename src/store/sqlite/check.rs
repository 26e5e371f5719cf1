//! What reading entries does not go through: that every row stands where the entries put it, and no other does.

use ahash::{AHashMap, AHashSet};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::bytes::HIGHEST_PLACE;
use super::fault::Fault;
use super::keys::{self, KeyColumns};
use super::pack;
use super::read::{MILESTONE, Snapshot};
use super::remains::{At, Remains, unfit};
use super::rows::{self, EntityRow, EntryColumns, MadeReference, OPEN, OwnerColumns, ReferenceColumns, VersionColumns};
use crate::store::chain::Head;
use crate::when::Position;

const ENTRIES: &str = "SELECT position, time, kind, said, made, body, hash, sum FROM entry ORDER BY position";
const ENTITIES: &str = "SELECT number, id, came, sum FROM entity";
const VERSIONS: &str = "SELECT key, position, kind, own, layout, dictionary, body, carried, seal, sum FROM version";
const MILESTONES: &str = "SELECT entity, position, revision, sum FROM milestone";
const OWNERS: &str = "SELECT child, since, owner, field, sum FROM edge";
const REFERENCES: &str = "SELECT target, until, source, field, since, sum FROM reference";
const LAYOUTS: &str = "SELECT id, digest, name, schema, text, sum FROM layout";
const KEYS: &str = "SELECT number, subject, erased, sum FROM key ORDER BY number";
const SECRETS: &str = "SELECT number, bytes FROM secret ORDER BY number";
const DICTIONARIES: &str = "SELECT id, size, bytes, sum FROM dictionary";
const RISING: &str = "SELECT since, first, sum FROM rising ORDER BY since";
const TAGS: &str = "SELECT name, position, sum FROM tag";

/// Checks the file as SQLite sees it, every row against its checksum, and all that entries do not hold themselves
/// against what follows from them.
pub(super) fn check(snapshot: &Snapshot<'_>) -> Result<(), Fault> {
    let connection = snapshot.connection;
    let told = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
    if told != "ok" {
        return Err(Fault::damaged("the file", told));
    }
    let found = count_rows(connection)?;
    let others = connection.query_row("SELECT count(*) FROM horizon WHERE id <> 1", [], |row| row.get::<_, i64>(0))?;
    if others > 0 {
        return Err(Fault::damaged("the table horizon", "it has more than one row"));
    }
    let mut replay = Replay::new(connection, Remains::new(snapshot.mark()?, snapshot.tagged()?));
    each(connection, ENTRIES, |row| replay.entry(&EntryColumns::read(row)?))?;
    let expected = replay.finish()?;
    for ((table, expected), (_, found)) in expected.into_iter().zip(found) {
        // Those of what was forgotten stay.
        if expected != found && (table != "layout" || expected > found || replay.remains.is_whole()) {
            let detail = format!("it has {found} rows, and {expected} follow from the entries");
            return Err(Fault::damaged(format!("the table {table}"), detail));
        }
    }
    each(connection, DICTIONARIES, pack::check_row)?;
    let head = replay.head.position;
    check_keys(connection, &replay.keys)?;
    each(connection, TAGS, |row| match rows::tag(row)? {
        (_, position) if position <= head => Ok(()),
        (name, _) => Err(Fault::damaged(format!("the row {name:?} of tag"), "it names no entry")),
    })?;
    Ok(())
}

/// Checks every key against what entries did to it: `erased` has the positions that each was erased in.
fn check_keys(connection: &Connection, erased: &[Option<Position>]) -> Result<(), Fault> {
    let mut expected = (1_i64..).zip(erased);
    each(connection, KEYS, |row| {
        let found = KeyColumns::read(row)?;
        match expected.next() {
            Some((number, erased)) if (number, *erased) == (found.number, found.erased) => Ok(()),
            _ => Err(unfit(format!("the row {} of key", found.number))),
        }
    })?;
    if let Some((number, _)) = expected.next() {
        return Err(unfit(format!("the row {number} of key")));
    }
    let mut expected = (1_i64..).zip(erased);
    each(connection, SECRETS, |row| {
        let (number, secret) = (rows::int(row, 0)?, keys::secret(row)?);
        match expected.next() {
            Some((expected, erased)) if expected == number && (secret.is_none() || erased.is_none()) => Ok(()),
            _ => Err(unfit(format!("the row {number} of secret"))),
        }
    })?;
    match expected.next() {
        Some((number, _)) => Err(unfit(format!("the row {number} of secret"))),
        None => Ok(()),
    }
}

/// How many rows a table has.
type Counted = (&'static str, u64);

/// Looks at every row of the tables that follow from the entries.
fn count_rows(connection: &Connection) -> Result<[Counted; 6], Fault> {
    let mut came = 0;
    each(connection, ENTITIES, |row| {
        came += u64::from(EntityRow::read(row)?.place().is_some());
        Ok(())
    })?;
    Ok([
        ("entity", came),
        ("version", each(connection, VERSIONS, |row| VersionColumns::read(row).map(|_| ()))?),
        ("milestone", each(connection, MILESTONES, |row| rows::milestone(row).map(|_| ()))?),
        ("edge", each(connection, OWNERS, |row| OwnerColumns::read(row).map(|_| ()))?),
        ("reference", each(connection, REFERENCES, |row| ReferenceColumns::read(row).map(|_| ()))?),
        ("layout", each(connection, LAYOUTS, |row| rows::layout(row).map(|_| ()))?),
    ])
}

/// Visits every row; how many there are.
fn each(
    connection: &Connection,
    sql: &str,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        visit(row)?;
        count += 1;
    }
    Ok(count)
}

/// What follows from the entries so far.
struct Replay<'c> {
    connection: &'c Connection,
    remains: Remains,
    head: Head,
    time: Option<i64>,
    rising: Vec<(i64, i64)>,
    /// Since when the references stand that have not ended: by target, source, field.
    open: AHashMap<(i64, i64, i64), i64>,
    layouts: AHashSet<i64>,
    /// Since when each key is erased, in their order.
    keys: Vec<Option<Position>>,
    came: i64,
    versions: u64,
    milestones: u64,
    owners: u64,
    references: u64,
}

impl<'c> Replay<'c> {
    fn new(connection: &'c Connection, remains: Remains) -> Self {
        Self {
            connection,
            remains,
            head: Head::EMPTY,
            time: None,
            rising: Vec::new(),
            open: AHashMap::new(),
            layouts: AHashSet::new(),
            keys: Vec::new(),
            came: 0,
            versions: 0,
            milestones: 0,
            owners: 0,
            references: 0,
        }
    }

    fn entry(&mut self, entry: &EntryColumns) -> Result<(), Fault> {
        let next = self.head.then(entry.body);
        if next != (Head { position: entry.position, hash: entry.hash }) {
            let name = format!("the row {} of entry", next.position.0);
            return Err(Fault::damaged(name, "it is not there, or does not follow from the one before"));
        }
        self.head = next;
        let (position, time) = (rows::stored(entry.position), entry.time.as_micros());
        if self.time.is_none_or(|last| time < last) {
            let kept = self.rising.partition_point(|(since, _)| *since < time);
            self.rising.truncate(kept);
            self.rising.push((time, position));
        }
        self.time = Some(time);
        for (number, made) in &entry.made.keys {
            self.key(*number, *made, entry.position)?;
        }
        let mut places = 0..;
        let mut at = || (position, places.next().unwrap_or(usize::MAX));
        for made in &entry.made.versions {
            let at = at();
            self.version(made.number, made.revision, at)?;
            if made.owner {
                self.owner(made.number, at)?;
            }
        }
        for child in &entry.made.ended {
            self.owner(*child, at())?;
        }
        for made in &entry.made.references {
            self.reference(made, at())?;
        }
        Ok(())
    }

    fn key(&mut self, number: i64, made: bool, position: Position) -> Result<(), Fault> {
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        if made && place == self.keys.len() {
            self.keys.push(None);
            return Ok(());
        }
        match self.keys.get_mut(place) {
            Some(erased @ None) if !made => *erased = Some(position),
            _ => return Err(unfit(format!("the row {number} of key"))),
        }
        Ok(())
    }

    fn version(&mut self, number: i64, revision: u32, at: At) -> Result<(), Fault> {
        let revision = i64::from(revision);
        let (key, position) = (number << 32 | revision, at.0);
        let sql = "SELECT position, layout, own, seal FROM version WHERE key = ?1";
        type Found = (i64, Option<i64>, Option<i64>, Option<i64>);
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<Found> = self.row(sql, [key], read)?;
        let on = found.and_then(|(_, _, on, _)| on);
        if let Some((found, layout, _, seal)) = found {
            let was_living = |seal: i64| {
                let key = usize::try_from(seal - 1).ok().and_then(|place| self.keys.get(place));
                key.is_some_and(Option::is_none)
            };
            if found != position || !seal.is_none_or(was_living) {
                return Err(unfit(format!("the row {key} of version")));
            }
            self.versions += 1;
            self.layouts.extend(layout);
        }
        if let Some(on) = on {
            let own = number << 32 | on;
            let kind = self.row("SELECT kind FROM version WHERE key = ?1", [own], |row| row.get::<_, i64>(0))?;
            if kind != Some(0) || on >= revision {
                return Err(unfit(format!("the row {own} of version")));
            }
        }
        self.remains.version(number, revision, at, found.is_some(), on)?;
        if revision == 1 {
            self.came += 1;
            let came = self.row("SELECT came FROM entity WHERE number = ?1", [number], |row| row.get(0))?;
            let place = came.and_then(|came: Option<i64>| came.or((number <= HIGHEST_PLACE).then_some(number)));
            if place != Some(self.came) {
                return Err(unfit(format!("the row {number} of entity")));
            }
        }
        if revision.cast_unsigned().is_multiple_of(MILESTONE) {
            self.milestones += 1;
            let sql = "SELECT revision FROM milestone WHERE entity = ?1 AND position = ?2";
            if self.row(sql, [number, position], |row| row.get(0))? != Some(revision) {
                return Err(unfit(format!("the row {number}, {position} of milestone")));
            }
        }
        Ok(())
    }

    fn owner(&mut self, child: i64, at: At) -> Result<(), Fault> {
        let sql = "SELECT since FROM edge WHERE child = ?1 AND since = ?2";
        let there = self.row(sql, [child, at.0], |row| row.get::<_, i64>(0))?.is_some();
        self.owners += u64::from(there);
        self.remains.owner(child, at, there)
    }

    fn reference(&mut self, made: &MadeReference, at: At) -> Result<(), Fault> {
        let key = (made.target, made.source, i64::from(made.field));
        if made.opened {
            self.references += 1;
            self.open.insert(key, at.0);
            return Ok(());
        }
        match self.open.remove(&key) {
            Some(since) if self.remains.is_gone(since, at) => {
                self.references -= 1;
                Ok(())
            }
            since => self.stands(key, at.0, since),
        }
    }

    /// Checks that a reference has a row.
    fn stands(&self, key: (i64, i64, i64), until: i64, since: Option<i64>) -> Result<(), Fault> {
        let (target, source, field) = key;
        let sql = "SELECT since FROM reference WHERE target = ?1 AND until = ?2 AND source = ?3 AND field = ?4";
        let found = self.row(sql, [target, until, source, field], |row| row.get(0))?;
        if found.is_some() && found == since {
            return Ok(());
        }
        Err(unfit(format!("the row {target}, {until}, {source}, {field} of reference")))
    }

    fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Fault> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// How many rows there should be, once all entries were seen.
    fn finish(&mut self) -> Result<[Counted; 6], Fault> {
        self.remains.finish(self.head.position)?;
        for (key, since) in &self.open {
            self.stands(*key, OPEN, Some(*since))?;
        }
        let mut expected = self.rising.iter();
        each(self.connection, RISING, |row| {
            let found = rows::rising(row)?;
            if expected.next() == Some(&found) { Ok(()) } else { Err(unfit(format!("the row {} of rising", found.0))) }
        })?;
        if let Some((since, _)) = expected.next() {
            return Err(unfit(format!("the row {since} of rising")));
        }
        Ok([
            ("entity", self.came.unsigned_abs()),
            ("version", self.versions),
            ("milestone", self.milestones),
            ("edge", self.owners),
            ("reference", self.references),
            ("layout", self.layouts.len() as u64),
        ])
    }
}
