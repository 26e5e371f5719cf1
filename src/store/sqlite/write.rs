//! One append: everything that the entries hold, in one transaction.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::bytes::{HIGHEST_NUMBER, HIGHEST_PLACE, version_key, write_varint};
use super::data_version;
use super::fault::{Fault, Stop};
use super::keys;
use super::many::Waiting;
use super::names::{Names, entity_by_id};
use super::pack;
use super::read::{MILESTONE, Snapshot};
use super::rows::{
    self, EntityRow, Kind, Made, MadeReference, MadeVersion, OPEN, OwnerColumns, ReferenceColumns, VersionColumns,
    stored,
};
use super::sql;
use super::transaction::Transaction;
use crate::id::EntityId;
use crate::store::chain::{Head, body_digest};
use crate::store::error::AppendError;
use crate::store::keys::KeyChange;
use crate::store::rows::{Entry, LayoutRow, OwnerChange, ReferenceChange, Version, VersionBody};
use crate::store::rules::{self, Newest};
use crate::when::{Position, Revision, Timestamp};

/// Appends entries, all or none.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    last: &mut Option<Last>,
    after: &Head,
    entries: &[Entry],
) -> Result<Head, Stop> {
    // What needs no lock is done before it is taken.
    let bodies: Vec<_> = entries.iter().map(body_digest).collect();
    let transaction = Transaction::begin(connection)?;
    let commits = data_version(&transaction)?;
    let newest = match last.take().filter(|last| last.commits == commits) {
        Some(last) => Some((last.head, last.time)),
        None => {
            names.forget_newest();
            Snapshot { connection: &transaction, names }.newest_entry()?
        }
    };
    let found = newest.map_or(Head::EMPTY, |(head, _)| head);
    if found != *after {
        return Err(Stop::Append(AppendError::Moved { found }));
    }
    let mut head = found;
    if !entries.is_empty() {
        pack::prepare(&transaction, names, entries)?;
        let mut writing = Writing::new(&transaction, names, newest.map(|(_, time)| time))?;
        for (entry, body) in entries.iter().zip(bodies) {
            head = head.then(body);
            let made = writing.make(entry)?;
            let columns = (stored(entry.position), entry.time.as_micros(), entry.kind as i64);
            let blobs = [&entry.said[..], &made, body.as_bytes(), head.hash.as_bytes()];
            let sum = rows::sum_of_entry(columns.0, columns.1, columns.2, blobs).finish();
            let [said, made, body, hash] = blobs;
            let mut statement = transaction.prepare_cached(sql::ADD_ENTRY)?;
            statement.execute((columns.0, columns.1, columns.2, said, made, body, hash, sum))?;
        }
    }
    transaction.commit()?;
    let time = entries.last().map(|entry| entry.time).or(newest.map(|(_, time)| time));
    *last = time.map(|time| Last { head, time, commits });
    Ok(head)
}

/// The newest entry, if nobody else appended since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    head: Head,
    time: Timestamp,
    /// What SQLite counted of the commits of others.
    commits: i64,
}

/// What is known while entries are written, and the statements that most of them need.
struct Writing<'c> {
    connection: &'c Connection,
    names: &'c mut Names,
    /// What the next entity that comes gets; not known before one does.
    next_place: Option<i64>,
    /// The time of the entry before.
    time: Option<Timestamp>,
    entities: Waiting<'c, EntityRow>,
    owners: Waiting<'c, OwnerColumns>,
    /// Whose number was asked for last: many that come have one owner.
    last: Option<(EntityId, i64)>,
}

impl<'c> Writing<'c> {
    fn new(connection: &'c Connection, names: &'c mut Names, time: Option<Timestamp>) -> Result<Self, Fault> {
        let (entities, owners) = (Waiting::new(connection)?, Waiting::new(connection)?);
        Ok(Self { connection, names, next_place: None, time, entities, owners, last: None })
    }

    /// Writes all that an entry makes; what the entry's own row says of it.
    fn make(&mut self, entry: &Entry) -> Result<Vec<u8>, Stop> {
        let refused = |why| Stop::Append(rules::refused(entry.position, why));
        let mut keys = Vec::with_capacity(entry.keys.len());
        for change in &entry.keys {
            let number = keys::change(self.connection, self.names, change, entry.position)?;
            keys.push((number, matches!(change, KeyChange::Made { .. })));
        }
        let mut made = Made { versions: self.numbers(entry)?, keys, ..Made::default() };
        let mut versions = Waiting::new(self.connection)?;
        for (at, (version, made)) in entry.versions.iter().zip(&made.versions).enumerate() {
            let columns = self.version(version, made.number, entry.position)?;
            if versions.push(columns) {
                self.insert_versions(&mut versions, &entry.versions[..=at], entry.position)?;
            }
            if let Some(owner) = version.owner {
                self.owner(made.number, owner, entry.position)?;
            }
        }
        self.insert_versions(&mut versions, &entry.versions, entry.position)?;
        for (entity, owner) in &entry.ended {
            let row = entity_by_id(self.connection, *entity)?.filter(|row| row.place().is_some());
            let row = row.ok_or_else(|| refused(rules::unknown(*entity)))?;
            self.owner(row.number, *owner, entry.position)?;
            made.ended.push(row.number);
        }
        self.owners.flush(|_, _| Ok(()))?;
        for change in &entry.references {
            made.references.push(self.reference(change, entry.position)?);
        }
        self.rises(entry.time, entry.position)?;
        Ok(made.write())
    }

    /// The numbers of all entities that have a version: an entry may name one before it makes it.
    fn numbers(&mut self, entry: &Entry) -> Result<Vec<MadeVersion>, Stop> {
        let first = |version: &&Version| version.revision.0 == 1;
        self.names.reserve(entry.versions.iter().filter(first).count());
        let mut made = Vec::with_capacity(entry.versions.len());
        let mut waiting = Vec::new();
        for (at, version) in entry.versions.iter().enumerate() {
            let (number, many) = if first(&version) {
                let number = self.place()?;
                waiting.push(at);
                (number, self.entities.push(EntityRow { number, id: version.entity, came: None }))
            } else {
                match self.names.number(self.connection, version.entity)? {
                    Some(number) => (number, false),
                    None => return Err(Stop::Append(rules::refused(entry.position, self.misfit(version)?))),
                }
            };
            let revision = u32::try_from(version.revision.0).unwrap_or(u32::MAX);
            made.push(MadeVersion { number, revision, owner: version.owner.is_some() });
            if many {
                self.come(entry, &mut made, &mut waiting)?;
            }
        }
        self.come(entry, &mut made, &mut waiting)?;
        Ok(made)
    }

    /// Gives entities that have their first version their numbers.
    fn come(&mut self, entry: &Entry, made: &mut [MadeVersion], waiting: &mut Vec<usize>) -> Result<(), Stop> {
        let (connection, names) = (self.connection, &mut *self.names);
        let mut places = waiting.drain(..);
        let mut came_before = None;
        self.entities.flush(|row, added| {
            let at = places.next().unwrap_or_default();
            let there = if added { Some(*row) } else { entity_by_id(connection, row.id)? };
            match there {
                Some(there) if there.number == row.number => {}
                // The store heard of it already: somebody refers to it.
                Some(there) if there.place().is_none() => {
                    let late = EntityRow { came: Some(row.number), ..there };
                    connection.prepare_cached(sql::ENTITY_COMES)?.execute((late.number, late.came, late.sum()))?;
                    made[at].number = late.number;
                }
                _ => {
                    came_before.get_or_insert(at);
                    return Ok(());
                }
            }
            names.remember_number(made[at].number, row.id);
            Ok(())
        })?;
        match came_before {
            None => Ok(()),
            Some(at) => Err(Stop::Append(rules::refused(entry.position, self.misfit(&entry.versions[at])?))),
        }
    }

    /// Why a version does not follow on what is stored.
    fn misfit(&mut self, version: &Version) -> Result<String, Fault> {
        let newest = Snapshot { connection: self.connection, names: self.names }.newest(version.entity)?;
        let newest = newest.map(|row| Newest::of(row.revision, &row.body));
        let why = rules::check_follows(version, newest);
        Ok(why.err().unwrap_or_else(|| format!("{} of {} is there already", version.revision, version.entity)))
    }

    /// The place of the next entity that comes.
    fn place(&mut self) -> Result<i64, Fault> {
        let place = match self.next_place {
            Some(place) => place,
            None => {
                let snapshot = Snapshot { connection: self.connection, names: self.names };
                let number = |row: &Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0));
                let numbered = snapshot.one(sql::HIGHEST_CAME, [HIGHEST_PLACE], number)?.unwrap_or(0);
                let late = snapshot.one(sql::HIGHEST_CAME_LATE, [], number)?.unwrap_or(0);
                numbered.max(late).saturating_add(1)
            }
        };
        self.next_place = Some(place + 1);
        if place > HIGHEST_PLACE { Err(none_left()) } else { Ok(place) }
    }

    /// The number of an entity that is referred to, whether it is known or not.
    fn referred(&mut self, id: EntityId) -> Result<i64, Fault> {
        if let Some((last, number)) = self.last
            && last == id
        {
            return Ok(number);
        }
        let number = match self.names.number(self.connection, id)? {
            Some(number) => number,
            None => {
                let snapshot = Snapshot { connection: self.connection, names: self.names };
                let highest = snapshot.one(sql::HIGHEST_NUMBER, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
                let number = highest.flatten().unwrap_or(0).max(HIGHEST_PLACE).saturating_add(1);
                if number > HIGHEST_NUMBER {
                    return Err(none_left());
                }
                self.entities.insert(&EntityRow { number, id, came: None })?;
                self.names.remember_number(number, id);
                number
            }
        };
        self.last = Some((id, number));
        Ok(number)
    }

    /// The row of a version.
    fn version<'e>(
        &mut self,
        version: &'e Version,
        number: i64,
        position: Position,
    ) -> Result<VersionColumns<Cow<'e, [u8]>>, Stop> {
        let refused = |why| Stop::Append(rules::refused(position, why));
        let no_key = || refused(format!("{} has no {}", version.entity, version.revision));
        let key = version_key(number, version.revision.0).ok_or_else(no_key)?;
        self.follows(version, key).map_err(|stop| stop.at(position))?;
        let (mut body, mut dictionary, mut seal) = (None, None, None);
        let (kind, own, layout) = match &version.body {
            VersionBody::Own { layout, base, bytes, seal: key } => {
                if let Some(key) = key {
                    seal = Some(keys::check_seal(self.connection, self.names, *key, position)?);
                }
                let layout = self.layout(layout, position)?;
                body = Some(Cow::Borrowed(&bytes[..]));
                // What is sealed looks like noise.
                if seal.is_none()
                    && let Some((id, packed)) = self.names.packs.pack(bytes)
                {
                    (body, dictionary) = (Some(Cow::Owned(packed)), Some(id));
                }
                (Kind::Own, base.map(|base| base.0.cast_signed()), Some(layout))
            }
            VersionBody::Carried { own } => (Kind::Carried, Some(own.0.cast_signed()), None),
            VersionBody::Removed { own } => (Kind::Removed, Some(own.0.cast_signed()), None),
        };
        let mut carried = Vec::new();
        for entity in &version.carried {
            let number = self.names.number(self.connection, *entity)?;
            let missing = || Fault::damaged("the table entity", format!("{entity} is gone from it"));
            write_varint(&mut carried, number.ok_or_else(missing)?.cast_unsigned());
        }
        let carried = (!carried.is_empty()).then_some(Cow::Owned(carried));
        let at = stored(position);
        if version.revision.0.is_multiple_of(MILESTONE) {
            let revision = key & i64::from(u32::MAX);
            let sum = rows::sum_of_milestone(number, at, revision).finish();
            self.connection.prepare_cached(sql::ADD_MILESTONE)?.execute((number, at, revision, sum))?;
        }
        Ok(VersionColumns { key, position: at, kind, own, layout, dictionary, body, carried, seal })
    }

    /// Inserts the rows that wait, which are those of the last of these versions.
    fn insert_versions(
        &mut self,
        waiting: &mut Waiting<'c, VersionColumns<Cow<'_, [u8]>>>,
        versions: &[Version],
        position: Position,
    ) -> Result<(), Stop> {
        let mut versions = versions[versions.len() - waiting.len()..].iter();
        let mut stood = None;
        waiting.flush(|row, added| {
            let version = versions.next();
            // Of many it is only known that one was there: that of another entry.
            if !added && self.position_of(row.key)? != Some(row.position) {
                stood = stood.or(version);
            }
            Ok(())
        })?;
        match stood {
            None => Ok(()),
            Some(version) => Err(Stop::Append(rules::refused(position, self.misfit(version)?))),
        }
    }

    fn position_of(&mut self, key: i64) -> Result<Option<i64>, Fault> {
        let snapshot = Snapshot { connection: self.connection, names: self.names };
        snapshot.one(sql::VERSION, [key], |row| Ok(VersionColumns::read(row)?.position))
    }

    /// Checks that a version follows on the one before. That none is there already, its insertion tells.
    fn follows(&mut self, version: &Version, key: i64) -> Result<(), Unfit> {
        if version.revision.0 == 1 {
            return rules::check_follows(version, None).map_err(Unfit::Rule);
        }
        let number = key >> 32;
        let newest = match self.names.newest(number) {
            Some(newest) => newest,
            None => {
                let snapshot = Snapshot { connection: self.connection, names: self.names };
                let before = snapshot.one(sql::VERSION, [key - 1], |row| {
                    let columns = VersionColumns::read(row)?;
                    let own = if columns.kind == Kind::Own { key - 1 } else { columns.own.unwrap_or(0) };
                    Ok(own & i64::from(u32::MAX))
                })?;
                let Some(own) = before else { return Err(Unfit::Rule(self.misfit(version)?)) };
                Newest { revision: Revision(version.revision.0 - 1), own: Revision(own.cast_unsigned()) }
            }
        };
        rules::check_follows(version, Some(newest)).map_err(Unfit::Rule)?;
        self.names.remember_newest(number, Newest::of(version.revision, &version.body));
        Ok(())
    }

    fn layout(&mut self, layout: &Arc<LayoutRow>, position: Position) -> Result<i64, Stop> {
        match self.names.layout_by_digest(self.connection, layout.digest)? {
            Some((id, stored)) if Arc::ptr_eq(&stored, layout) || stored == *layout => Ok(id),
            Some(_) => Err(Stop::Append(rules::refused(position, rules::other_layout(&layout.name)))),
            None => {
                let snapshot = Snapshot { connection: self.connection, names: self.names };
                let highest = snapshot.one(sql::HIGHEST_LAYOUT, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
                let id = highest.flatten().unwrap_or(0).saturating_add(1);
                let LayoutRow { digest, name, schema, text } = &**layout;
                let (bytes, number) = (digest.as_bytes(), i64::from(*schema));
                let sum = rows::sum_of_layout(id, bytes, name.as_bytes(), number, text.as_bytes()).finish();
                let mut statement = self.connection.prepare_cached(sql::ADD_LAYOUT)?;
                statement.execute((id, bytes, name, number, text, sum))?;
                self.names.remember_layout(id, layout);
                Ok(id)
            }
        }
    }

    fn owner(&mut self, child: i64, owner: OwnerChange, since: Position) -> Result<(), Fault> {
        let (owner, field) = match owner {
            OwnerChange::Root => (None, None),
            OwnerChange::Owned { owner, field } => (Some(self.referred(owner)?), Some(i64::from(field))),
            OwnerChange::Ended { owner } => (Some(self.referred(owner)?), None),
        };
        if self.owners.push(OwnerColumns { child, since: stored(since), owner, field }) {
            self.owners.flush(|_, _| Ok(()))?;
        }
        Ok(())
    }

    fn reference(&mut self, change: &ReferenceChange, position: Position) -> Result<MadeReference, Stop> {
        let refused = || Stop::Append(rules::refused(position, rules::reference_stands(change)));
        let (source, target) = (self.referred(change.from)?, self.referred(change.to)?);
        let (field, since) = (i64::from(change.field), stored(position));
        let mut columns = ReferenceColumns { target, until: OPEN, source, field, since };
        if !change.opened {
            let key = (target, OPEN, source, field);
            let snapshot = Snapshot { connection: self.connection, names: self.names };
            let open = snapshot.one(sql::REFERENCE, key, ReferenceColumns::read)?.ok_or_else(refused)?;
            self.connection.prepare_cached(sql::END_REFERENCE)?.execute(key)?;
            columns = ReferenceColumns { until: since, ..open };
        }
        let sum = columns.sum().finish();
        let ReferenceColumns { until, since, .. } = columns;
        let mut statement = self.connection.prepare_cached(sql::ADD_REFERENCE)?;
        if statement.execute((target, until, source, field, since, sum))? == 0 {
            return Err(refused());
        }
        Ok(MadeReference { source, field: change.field, target, opened: change.opened })
    }

    /// Begins another run of rising times where they fall, and leaves out the runs that it undercuts.
    fn rises(&mut self, time: Timestamp, position: Position) -> Result<(), Fault> {
        if self.time.is_none_or(|last| time < last) {
            let (since, first) = (time.as_micros(), stored(position));
            self.connection.prepare_cached(sql::CUT_RISING)?.execute([since])?;
            let sum = rows::sum_of_rising(since, first).finish();
            self.connection.prepare_cached(sql::ADD_RISING)?.execute([since, first, sum])?;
        }
        self.time = Some(time);
        Ok(())
    }
}

fn none_left() -> Fault {
    Fault::damaged("the table entity", "there is no number left for another entity")
}

/// Why a version does not follow, before it is said in which entry.
enum Unfit {
    Rule(String),
    Fault(Fault),
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Self {
        Unfit::Fault(fault)
    }
}

impl Unfit {
    fn at(self, position: Position) -> Stop {
        match self {
            Unfit::Rule(why) => Stop::Append(rules::refused(position, why)),
            Unfit::Fault(fault) => Stop::Fault(fault),
        }
    }
}
