//! Rows as they come from the file: each is checked against its checksum before anybody believes it.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::bytes::{HIGHEST_NUMBER, HIGHEST_PLACE, Sum, Varints, entity_id, write_varint};
use super::fault::Fault;
use crate::digest::Digest;
use crate::id::EntityId;
use crate::store::chain::Head;
use crate::store::rows::{EntryKind, LayoutRow};
use crate::store::sweep::Mark;
use crate::when::{Position, Timestamp};

/// Until when a reference stands that has not ended.
pub(super) const OPEN: i64 = i64::MAX;

/// One column as it is in the file.
pub(super) fn int(row: &Row<'_>, index: usize) -> Result<i64, Fault> {
    Ok(row.get(index)?)
}

pub(super) fn maybe_int(row: &Row<'_>, index: usize) -> Result<Option<i64>, Fault> {
    Ok(row.get(index)?)
}

fn maybe_blob<'r>(row: &'r Row<'_>, index: usize) -> Result<Option<&'r [u8]>, Fault> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(blob) | ValueRef::Text(blob) => Ok(Some(blob)),
        other => Err(Fault::damaged("a row", format!("a number stands where bytes do: {other:?}"))),
    }
}

pub(super) fn blob<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r [u8], Fault> {
    maybe_blob(row, index)?.ok_or_else(|| Fault::damaged("a row", "nothing stands where bytes do"))
}

/// A position as it is stored.
pub(super) fn stored(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

/// A position as it is read.
pub(super) fn position(number: i64, row: impl FnOnce() -> String) -> Result<Position, Fault> {
    match u64::try_from(number) {
        Ok(number) => Ok(Position(number)),
        Err(_) => Err(Fault::damaged(row(), format!("there is no position {number}"))),
    }
}

/// The position of an entry as it is read: none has the number 0.
pub(super) fn entry_position(number: i64, row: impl FnOnce() -> String) -> Result<Position, Fault> {
    match u64::try_from(number) {
        Ok(number @ 1..) => Ok(Position(number)),
        _ => Err(Fault::damaged(row(), format!("there is no entry {number}"))),
    }
}

/// One row of `entity`.
#[derive(Clone, Copy)]
pub(super) struct EntityRow {
    pub(super) number: i64,
    pub(super) id: EntityId,
    /// Its place among those that came, if its number does not say it.
    pub(super) came: Option<i64>,
}

impl EntityRow {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let (number, id, came) = (int(row, 0)?, blob(row, 1)?, maybe_int(row, 2)?);
        let name = || format!("the row {number} of entity");
        sum_of_entity(number, id, came).check(int(row, 3)?, name)?;
        let can_come = came.is_none_or(|came| number > HIGHEST_PLACE && (1..=HIGHEST_PLACE).contains(&came));
        match entity_id(id) {
            Some(id) if (1..=HIGHEST_NUMBER).contains(&number) && can_come => Ok(Self { number, id, came }),
            _ => Err(Fault::damaged(name(), "it has no id, no number or no place")),
        }
    }

    /// Its place among those that came; `None` if it is only referred to.
    pub(super) fn place(&self) -> Option<i64> {
        if self.number <= HIGHEST_PLACE { Some(self.number) } else { self.came }
    }

    pub(super) fn sum(&self) -> i64 {
        sum_of_entity(self.number, self.id.as_bytes(), self.came).finish()
    }
}

fn sum_of_entity(number: i64, id: &[u8], came: Option<i64>) -> Sum {
    Sum::of(b'i').int(number).blob(id).maybe_int(came)
}

/// One row of `layout`.
pub(super) fn layout(row: &Row<'_>) -> Result<(i64, Arc<LayoutRow>), Fault> {
    let (id, digest, name, schema, text) = (int(row, 0)?, blob(row, 1)?, blob(row, 2)?, int(row, 3)?, blob(row, 4)?);
    let place = || format!("the row {id} of layout");
    sum_of_layout(id, digest, name, schema, text).check(int(row, 5)?, place)?;
    let wrong = |_| Fault::damaged(place(), "a column does not hold what it is for");
    let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| wrong(()));
    let layout = LayoutRow {
        digest: digest.try_into().map(Digest::from_bytes).map_err(|_| wrong(()))?,
        name: text_of(name)?,
        schema: schema.try_into().map_err(|_| wrong(()))?,
        text: text_of(text)?,
    };
    Ok((id, Arc::new(layout)))
}

pub(super) fn sum_of_layout(id: i64, digest: &[u8], name: &[u8], schema: i64, text: &[u8]) -> Sum {
    Sum::of(b'l').int(id).blob(digest).blob(name).int(schema).blob(text)
}

/// What a version is, as `version.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Own = 0,
    Carried = 1,
    Removed = 2,
}

/// One row of `version`.
pub(super) struct VersionColumns<B> {
    pub(super) key: i64,
    pub(super) position: i64,
    pub(super) kind: Kind,
    pub(super) own: Option<i64>,
    pub(super) layout: Option<i64>,
    /// That the body is compressed with.
    pub(super) dictionary: Option<i64>,
    pub(super) body: Option<B>,
    /// The numbers of the entities that it carries.
    pub(super) carried: Option<B>,
    /// The number of the key that `body` is sealed under.
    pub(super) seal: Option<i64>,
}

impl<B: AsRef<[u8]>> VersionColumns<B> {
    pub(super) fn number(&self) -> i64 {
        self.key >> 32
    }

    pub(super) fn revision(&self) -> u64 {
        u64::from_le_bytes(self.key.to_le_bytes()) & u64::from(u32::MAX)
    }

    /// What the row is called in errors.
    pub(super) fn name(&self) -> String {
        version_name(self.key)
    }

    pub(super) fn sum(&self) -> Sum {
        let sum = Sum::of(b'v').int(self.key).int(self.position).int(self.kind as i64);
        let sum = sum.maybe_int(self.own).maybe_int(self.layout).maybe_int(self.dictionary);
        let sum = sum.maybe_blob(self.body.as_ref().map(B::as_ref)).maybe_blob(self.carried.as_ref().map(B::as_ref));
        sum.maybe_int(self.seal)
    }
}

fn version_name(key: i64) -> String {
    format!("the row {key} of version (entity {}, revision {})", key >> 32, key & i64::from(u32::MAX))
}

impl<'r> VersionColumns<&'r [u8]> {
    pub(super) fn read(row: &'r Row<'_>) -> Result<Self, Fault> {
        let key = int(row, 0)?;
        let kind = match int(row, 2)? {
            0 => Kind::Own,
            1 => Kind::Carried,
            2 => Kind::Removed,
            kind => return Err(Fault::damaged(version_name(key), format!("there is no kind {kind}"))),
        };
        let columns = Self {
            key,
            position: int(row, 1)?,
            kind,
            own: maybe_int(row, 3)?,
            layout: maybe_int(row, 4)?,
            dictionary: maybe_int(row, 5)?,
            body: maybe_blob(row, 6)?,
            carried: maybe_blob(row, 7)?,
            seal: maybe_int(row, 8)?,
        };
        columns.sum().check(int(row, 9)?, || columns.name())?;
        Ok(columns)
    }
}

/// One row of `milestone`: its position and revision.
pub(super) fn milestone(row: &Row<'_>) -> Result<(i64, i64), Fault> {
    let (entity, position, revision) = (int(row, 0)?, int(row, 1)?, int(row, 2)?);
    let name = || format!("the row {entity}, {position} of milestone");
    sum_of_milestone(entity, position, revision).check(int(row, 3)?, name)?;
    Ok((position, revision))
}

pub(super) fn sum_of_milestone(entity: i64, position: i64, revision: i64) -> Sum {
    Sum::of(b'm').int(entity).int(position).int(revision)
}

/// One row of `edge`.
pub(super) struct OwnerColumns {
    pub(super) child: i64,
    pub(super) since: i64,
    pub(super) owner: Option<i64>,
    pub(super) field: Option<i64>,
}

impl OwnerColumns {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let (owner, field) = (maybe_int(row, 2)?, maybe_int(row, 3)?);
        let columns = Self { child: int(row, 0)?, since: int(row, 1)?, owner, field };
        columns.sum().check(int(row, 4)?, || columns.name())?;
        Ok(columns)
    }

    pub(super) fn sum(&self) -> Sum {
        Sum::of(b'o').int(self.child).int(self.since).maybe_int(self.owner).maybe_int(self.field)
    }

    pub(super) fn name(&self) -> String {
        format!("the row {}, {} of edge", self.child, self.since)
    }
}

/// One row of `reference`.
pub(super) struct ReferenceColumns {
    pub(super) target: i64,
    pub(super) until: i64,
    pub(super) source: i64,
    pub(super) field: i64,
    pub(super) since: i64,
}

impl ReferenceColumns {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let (target, until, source) = (int(row, 0)?, int(row, 1)?, int(row, 2)?);
        let columns = Self { target, until, source, field: int(row, 3)?, since: int(row, 4)? };
        columns.sum().check(int(row, 5)?, || columns.name())?;
        Ok(columns)
    }

    pub(super) fn sum(&self) -> Sum {
        let sum = Sum::of(b'r').int(self.target).int(self.until).int(self.source);
        sum.int(self.field).int(self.since)
    }

    pub(super) fn name(&self) -> String {
        format!("the row {}, {}, {}, {} of reference", self.target, self.until, self.source, self.field)
    }
}

/// One row of `rising`: the first time and position of a run.
pub(super) fn rising(row: &Row<'_>) -> Result<(i64, i64), Fault> {
    let (since, first) = (int(row, 0)?, int(row, 1)?);
    sum_of_rising(since, first).check(int(row, 2)?, || format!("the row {since} of rising"))?;
    Ok((since, first))
}

pub(super) fn sum_of_rising(since: i64, first: i64) -> Sum {
    Sum::of(b't').int(since).int(first)
}

/// One row of `tag`.
pub(super) fn tag(row: &Row<'_>) -> Result<(String, Position), Fault> {
    let (name, number) = (blob(row, 0)?, int(row, 1)?);
    let place = || format!("the row {:?} of tag", String::from_utf8_lossy(name));
    sum_of_tag(name, number).check(int(row, 2)?, place)?;
    let text = String::from_utf8(name.to_vec()).map_err(|_| Fault::damaged(place(), "its name is no text"))?;
    Ok((text, position(number, place)?))
}

pub(super) fn sum_of_tag(name: &[u8], position: i64) -> Sum {
    Sum::of(b'n').blob(name).int(position)
}

/// The row of `horizon`.
pub(super) fn horizon(row: &Row<'_>) -> Result<Mark, Fault> {
    let (id, horizon, swept, place) = (int(row, 0)?, int(row, 1)?, int(row, 2)?, int(row, 3)?);
    let name = || format!("the row {id} of horizon");
    sum_of_horizon(horizon, swept, place).check(int(row, 4)?, name)?;
    let wrong = |_| Fault::damaged(name(), "a column does not hold what it is for");
    let place = usize::try_from(place).map_err(wrong)?;
    Ok(Mark { horizon: position(horizon, name)?, swept: position(swept, name)?, place })
}

pub(super) fn sum_of_horizon(position: i64, swept: i64, place: i64) -> Sum {
    Sum::of(b'h').int(1).int(position).int(swept).int(place)
}

/// One row of `entry`.
pub(super) struct EntryColumns {
    pub(super) position: Position,
    pub(super) time: Timestamp,
    pub(super) kind: EntryKind,
    pub(super) said: Arc<[u8]>,
    pub(super) made: Made,
    pub(super) body: Digest,
    pub(super) hash: Digest,
}

impl EntryColumns {
    /// The position, hash and time of an entry, without what it made.
    pub(super) fn head(row: &Row<'_>) -> Result<(Head, Timestamp), Fault> {
        let (number, time, kind) = (int(row, 0)?, int(row, 1)?, int(row, 2)?);
        let blobs = [blob(row, 3)?, blob(row, 4)?, blob(row, 5)?, blob(row, 6)?];
        let name = || format!("the row {number} of entry");
        sum_of_entry(number, time, kind, blobs).check(int(row, 7)?, name)?;
        let hash = blobs[3].try_into().map_err(|_| Fault::damaged(name(), "its hash cannot be read"))?;
        let head = Head { position: position(number, name)?, hash: Digest::from_bytes(hash) };
        Ok((head, Timestamp::from_micros(time)))
    }

    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let (number, time, kind) = (int(row, 0)?, int(row, 1)?, int(row, 2)?);
        let (said, made, body, hash) = (blob(row, 3)?, blob(row, 4)?, blob(row, 5)?, blob(row, 6)?);
        let name = || format!("the row {number} of entry");
        sum_of_entry(number, time, kind, [said, made, body, hash]).check(int(row, 7)?, name)?;
        let wrong = |what| Fault::damaged(name(), format!("its {what} cannot be read"));
        let digest = |bytes: &[u8]| bytes.try_into().map(Digest::from_bytes).ok();
        Ok(Self {
            position: position(number, name)?,
            time: Timestamp::from_micros(time),
            kind: entry_kind(kind).ok_or_else(|| wrong("kind"))?,
            said: said.into(),
            made: Made::read(made).ok_or_else(|| wrong("list of what it made"))?,
            body: digest(body).ok_or_else(|| wrong("digest"))?,
            hash: digest(hash).ok_or_else(|| wrong("hash"))?,
        })
    }
}

fn entry_kind(kind: i64) -> Option<EntryKind> {
    use EntryKind::{Commit, Erased, Failed, Panicked, Refused, Run, Unchanged};
    [Commit, Run, Unchanged, Failed, Panicked, Refused, Erased].into_iter().find(|known| *known as i64 == kind)
}

pub(super) fn sum_of_entry(position: i64, time: i64, kind: i64, blobs: [&[u8]; 4]) -> Sum {
    blobs.into_iter().fold(Sum::of(b'e').int(position).int(time).int(kind), Sum::blob)
}

/// What an entry made: all of it that does not stand in rows of its own.
#[derive(Default, PartialEq)]
pub(super) struct Made {
    pub(super) versions: Vec<MadeVersion>,
    /// The numbers of the entities whose owner changed without a version of their own.
    pub(super) ended: Vec<i64>,
    pub(super) references: Vec<MadeReference>,
    /// The numbers of keys, and whether each was made, not erased.
    pub(super) keys: Vec<(i64, bool)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct MadeVersion {
    pub(super) number: i64,
    pub(super) revision: u32,
    /// Whether its owner is another from here on.
    pub(super) owner: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct MadeReference {
    pub(super) source: i64,
    pub(super) field: u16,
    pub(super) target: i64,
    pub(super) opened: bool,
}

impl Made {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 + self.versions.len() * 5);
        let mut write = |number: u64| write_varint(&mut bytes, number);
        write(self.versions.len() as u64);
        for made in &self.versions {
            write(made.number.cast_unsigned());
            write(u64::from(made.revision) << 1 | u64::from(made.owner));
        }
        write(self.ended.len() as u64);
        self.ended.iter().for_each(|number| write(number.cast_unsigned()));
        write(self.references.len() as u64);
        for made in &self.references {
            write(made.source.cast_unsigned());
            write(u64::from(made.field) << 1 | u64::from(made.opened));
            write(made.target.cast_unsigned());
        }
        // Most have none.
        if !self.keys.is_empty() {
            write(self.keys.len() as u64);
            self.keys.iter().for_each(|(number, made)| write(number.cast_unsigned() << 1 | u64::from(*made)));
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Varints::new(bytes);
        let mut made = Self::default();
        for _ in 0..numbers.count()? {
            let (number, flagged) = (entity_number(&mut numbers)?, numbers.next()?);
            let revision = u32::try_from(flagged >> 1).ok()?;
            made.versions.push(MadeVersion { number, revision, owner: flagged & 1 == 1 });
        }
        for _ in 0..numbers.count()? {
            made.ended.push(entity_number(&mut numbers)?);
        }
        for _ in 0..numbers.count()? {
            let (source, flagged) = (entity_number(&mut numbers)?, numbers.next()?);
            let (field, target) = (u16::try_from(flagged >> 1).ok()?, entity_number(&mut numbers)?);
            made.references.push(MadeReference { source, field, target, opened: flagged & 1 == 1 });
        }
        if !numbers.is_empty() {
            for _ in 0..numbers.count().filter(|count| *count > 0)? {
                let flagged = numbers.next()?;
                made.keys.push((i64::try_from(flagged >> 1).ok()?, flagged & 1 == 1));
            }
        }
        numbers.is_empty().then_some(made)
    }
}

/// The next number of an entity.
pub(super) fn entity_number(numbers: &mut Varints<'_>) -> Option<i64> {
    let number = i64::try_from(numbers.next()?).ok()?;
    (1..=HIGHEST_NUMBER).contains(&number).then_some(number)
}
