//! What stands in for compression where it was not built in: bodies are written as they are, and a store that has others
//! is refused.

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use super::names::Names;
use super::sql;
use crate::store::error::StoreError;
use crate::store::rows::Entry;

/// What one connection knows of dictionaries: nothing.
#[derive(Debug, Default)]
pub(super) struct Packs {}

impl Packs {
    pub(super) fn pack(&mut self, _: &[u8]) -> Option<(i64, Vec<u8>)> {
        None
    }

    pub(super) fn unpack(&mut self, _: &Connection, _: i64, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(needs_zstd())
    }
}

fn needs_zstd() -> Fault {
    Fault::Store(StoreError::NeedsFeature { feature: "zstd" })
}

/// Whether this build can read what a store holds.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let found = connection.prepare_cached(sql::NEWEST_DICTIONARY)?.query_row([], |_| Ok(())).optional()?;
    found.map_or(Ok(()), |()| Err(needs_zstd()))
}

pub(super) fn check_row(_: &Row<'_>) -> Result<(), Fault> {
    Err(needs_zstd())
}

pub(super) fn length(_: &[u8]) -> Option<(usize, &[u8])> {
    None
}

pub(super) fn prepare(connection: &Connection, _: &mut Names, _: &[Entry]) -> Result<(), Fault> {
    check(connection)
}
