//! Bodies that take less room: compressed with zstd and a dictionary of what the bodies of this store have in common.

use std::fmt;

use ahash::AHashMap;
use rusqlite::{Connection, OptionalExtension, Row};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::bytes::{Sum, Varints, write_varint};
use super::fault::Fault;
use super::names::Names;
use super::read::Snapshot;
use super::rows::{self, VersionColumns};
use super::sql;
use crate::store::rows::{Entry, Query, VersionBody};

/// A body that takes less is not worth the time, one that takes more is another kind of thing.
const LEAST: usize = 24;
const MOST: usize = 1 << 24;

/// How hard it is tried: about a microsecond for each body.
const LEVEL: i32 = 3;

/// The first four bytes of every frame, which are not stored.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A dictionary is made once the file has about this size, and another whenever it has grown so many times.
const FIRST: u64 = 128 << 10;
const GROWTH: u64 = 2;

/// After so many bytes of bodies it is looked whether it is time.
const LOOK: u64 = 16 << 10;

/// So many bytes of bodies, and so many versions, are looked at for a dictionary: that takes some 20 ms.
const SAMPLE: usize = 96 << 10;
const SAMPLED: usize = 4096;

/// How large a dictionary is, and may be.
const DICTIONARY: usize = 24 << 10;
const LARGEST_DICTIONARY: usize = 1 << 17;

/// What one connection knows of dictionaries.
#[derive(Default)]
pub(super) struct Packs {
    /// The newest, for what is written.
    newest: Option<(i64, Compressor<'static>)>,
    known: AHashMap<i64, Decompressor<'static>>,
    /// The bytes of bodies since it was last looked; `None` if it never was.
    since: Option<u64>,
    /// The size of the file at which no dictionary could be made.
    vain: u64,
}

impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packs").field("known", &self.known.keys()).finish_non_exhaustive()
    }
}

/// One row of `dictionary`.
struct Dictionary {
    id: i64,
    /// The size of the file when it was made.
    size: i64,
    bytes: Vec<u8>,
}

impl Dictionary {
    fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let (id, size, packed) = (rows::int(row, 0)?, rows::int(row, 1)?, rows::blob(row, 2)?);
        let name = || format!("the row {id} of dictionary");
        sum_of(id, size, packed).check(rows::int(row, 3)?, name)?;
        let bytes = zstd::bulk::decompress(packed, LARGEST_DICTIONARY);
        let bytes = bytes.map_err(|error| Fault::damaged(name(), error.to_string()))?;
        Ok(Self { id, size, bytes })
    }
}

fn sum_of(id: i64, size: i64, packed: &[u8]) -> Sum {
    Sum::of(b'd').int(id).int(size).blob(packed)
}

/// Reads a row for its checksum alone.
pub(super) fn check_row(row: &Row<'_>) -> Result<(), Fault> {
    Dictionary::read(row).map(|_| ())
}

/// Whether this build can read what a store holds.
pub(super) fn check(_: &Connection) -> Result<(), Fault> {
    Ok(())
}

/// The length of a body, and what stands for it.
pub(super) fn length(packed: &[u8]) -> Option<(usize, &[u8])> {
    let mut numbers = Varints::new(packed);
    let length = usize::try_from(numbers.next()?).ok().filter(|length| *length <= MOST)?;
    Some((length, numbers.rest()))
}

impl Packs {
    /// The dictionary and the bytes of a body, if it gets smaller.
    pub(super) fn pack(&mut self, body: &[u8]) -> Option<(i64, Vec<u8>)> {
        let (id, compressor) = self.newest.as_mut().filter(|_| (LEAST..=MOST).contains(&body.len()))?;
        let frame = compressor.compress(body).ok()?;
        let mut packed = Vec::with_capacity(frame.len());
        write_varint(&mut packed, body.len() as u64);
        packed.extend_from_slice(frame.strip_prefix(&MAGIC)?);
        (packed.len() < body.len()).then_some((*id, packed))
    }

    /// The body that was packed with a dictionary; what is wrong, if it cannot be told.
    pub(super) fn unpack(&mut self, connection: &Connection, id: i64, packed: &[u8]) -> Result<Vec<u8>, Fault> {
        let wrong = |why: String| Fault::damaged("a body of version", why);
        if !self.known.contains_key(&id) {
            let dictionary = dictionary(connection, sql::DICTIONARY, [id])?;
            let dictionary =
                dictionary.ok_or_else(|| wrong(format!("it names the dictionary {id}, which is not there")))?;
            self.know(&dictionary)?;
        }
        let (length, rest) = length(packed).ok_or_else(|| wrong("its length cannot be read".to_owned()))?;
        let frame = [&MAGIC, rest].concat();
        let unpacked = self.known.get_mut(&id).map(|known| known.decompress(&frame, length));
        match unpacked {
            Some(Ok(body)) if body.len() == length => Ok(body),
            Some(Err(error)) => Err(wrong(format!("it cannot be decompressed: {error}"))),
            _ => Err(wrong("it has another length than is said".to_owned())),
        }
    }

    fn know(&mut self, dictionary: &Dictionary) -> Result<(), Fault> {
        let name = || format!("the row {} of dictionary", dictionary.id);
        let known = Decompressor::with_dictionary(&dictionary.bytes);
        let known = known.map_err(|error| Fault::damaged(name(), error.to_string()))?;
        self.known.insert(dictionary.id, known);
        Ok(())
    }

    /// Takes a dictionary for what is written from here on.
    fn install(&mut self, dictionary: &Dictionary) -> Result<(), Fault> {
        let make = || {
            let mut compressor = Compressor::with_dictionary(LEVEL, &dictionary.bytes)?;
            // The row says both.
            compressor.set_parameter(CParameter::DictIdFlag(false))?;
            compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
            Ok(compressor)
        };
        let name = || format!("the row {} of dictionary", dictionary.id);
        let compressor = make().map_err(|error: std::io::Error| Fault::damaged(name(), error.to_string()))?;
        self.newest = Some((dictionary.id, compressor));
        Ok(())
    }

    /// Whether it is time to look for the newest dictionary, and perhaps for another.
    fn is_time(&mut self, entries: &[Entry]) -> bool {
        let more = bodies(entries).map(|body| body.len() as u64).sum::<u64>();
        let since = self.since.map_or(LOOK, |since| since.saturating_add(more));
        self.since = Some(if since < LOOK { since } else { 0 });
        since >= LOOK
    }
}

fn dictionary(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Option<Dictionary>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params, |row| Ok(Dictionary::read(row))).optional()?.transpose()
}

fn bodies(entries: &[Entry]) -> impl Iterator<Item = &[u8]> {
    let versions = entries.iter().flat_map(|entry| &entry.versions);
    let bodies = versions.filter_map(|version| match &version.body {
        VersionBody::Own { bytes, seal: None, .. } => Some(&bytes[..]),
        _ => None,
    });
    bodies.filter(|body| (LEAST..=MOST).contains(&body.len()))
}

/// Sees that what is about to be written is packed with the newest dictionary, and makes one when it is time.
pub(super) fn prepare(connection: &Connection, names: &mut Names, entries: &[Entry]) -> Result<(), Fault> {
    if !names.packs.is_time(entries) {
        return Ok(());
    }
    let newest = dictionary(connection, sql::NEWEST_DICTIONARY, [])?;
    if let Some(newest) = &newest
        && names.packs.newest.as_ref().is_none_or(|(id, _)| *id != newest.id)
    {
        names.packs.install(newest)?;
    }
    let number =
        |sql: &str| -> Result<i64, Fault> { Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?) };
    let pages = number(sql::PAGE_COUNT)?.saturating_mul(number(sql::PAGE_SIZE)?);
    let size = u64::try_from(pages).unwrap_or(0) + bodies(entries).map(|body| body.len() as u64).sum::<u64>();
    let due = newest.as_ref().map_or(FIRST, |newest| newest.size.unsigned_abs().saturating_mul(GROWTH));
    if size < due.max(names.packs.vain.saturating_mul(2)) {
        return Ok(());
    }
    let sample = sample(&mut Snapshot { connection, names }, entries)?;
    let total = sample.iter().map(Vec::len).sum::<usize>();
    let Ok(bytes) = zstd::dict::from_samples(&sample, DICTIONARY.min(total / 4)) else {
        // Too little, or all of it alike.
        names.packs.vain = size;
        return Ok(());
    };
    let id = newest.map_or(1, |newest| newest.id.saturating_add(1));
    let dictionary = Dictionary { id, size: i64::try_from(size).unwrap_or(i64::MAX), bytes };
    let Ok(packed) = zstd::bulk::compress(&dictionary.bytes, 9) else { return Ok(()) };
    let sum = sum_of(id, dictionary.size, &packed).finish();
    connection.prepare_cached(sql::ADD_DICTIONARY)?.execute((id, dictionary.size, packed, sum))?;
    names.packs.install(&dictionary)
}

/// Bodies to learn from: of what is about to be written, and of what was written last.
fn sample(snapshot: &mut Snapshot<'_>, entries: &[Entry]) -> Result<Vec<Vec<u8>>, Fault> {
    let (mut sample, mut room) = (Vec::new(), SAMPLE);
    let mut take = |body: &[u8]| {
        if (LEAST..=SAMPLE / 8).contains(&body.len()) && body.len() <= room {
            room -= body.len();
            sample.push(body.to_vec());
        }
        room > LEAST
    };
    let total = bodies(entries).map(<[u8]>::len).sum::<usize>();
    if !bodies(entries).step_by(total / SAMPLE + 1).all(&mut take) {
        return Ok(sample);
    }
    let mut left = SAMPLED;
    for position in snapshot.find(&Query::Tail(SAMPLED))? {
        let Some(entry) = snapshot.entry_columns(position)? else { continue };
        for made in &entry.made.versions {
            let Some(less) = left.checked_sub(1) else { return Ok(sample) };
            left = less;
            let key = made.number << 32 | i64::from(made.revision);
            let found = snapshot.one(sql::VERSION, [key], |row| {
                let columns = VersionColumns::read(row)?;
                Ok(columns.body.filter(|_| columns.seal.is_none()).map(|body| (columns.dictionary, body.to_vec())))
            })?;
            let body = match found.flatten() {
                Some((Some(id), packed)) => snapshot.names.packs.unpack(snapshot.connection, id, &packed)?,
                Some((None, body)) => body,
                None => continue,
            };
            if !take(&body) {
                return Ok(sample);
            }
        }
    }
    Ok(sample)
}
