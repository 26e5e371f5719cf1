//! The tables, and what tells a store from any other file.

use std::sync::OnceLock;

use rusqlite::{Connection, TransactionBehavior};

use super::fault::{Fault, Place};
use crate::store::error::StoreError;

/// What stands in the header of every store: the bytes `hloo`.
pub(super) const APPLICATION_ID: u32 = 0x686c_6f6f;

/// The format that is written, which is the number of migrations.
pub(super) const FORMAT: u32 = 1;

/// What leads from each format to the next, from that of an empty file on.
const MIGRATIONS: [&str; FORMAT as usize] = [TABLES];

// Not a blank of this may ever change, for SQLite keeps the text and it is compared: another format is another migration.
const TABLES: &str = "
CREATE TABLE layout (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL, schema INTEGER NOT NULL, text TEXT NOT NULL,
  sum INTEGER NOT NULL
) STRICT;
CREATE TABLE entity (
  number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, came INTEGER, sum INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entity_came ON entity (came) WHERE came IS NOT NULL;
CREATE TABLE version (
  key INTEGER PRIMARY KEY, position INTEGER NOT NULL, kind INTEGER NOT NULL, own INTEGER, layout INTEGER,
  dictionary INTEGER, body BLOB, carried BLOB, seal INTEGER, sum INTEGER NOT NULL
) STRICT;
CREATE INDEX version_seal ON version (seal) WHERE seal IS NOT NULL;
CREATE TABLE dictionary (
  id INTEGER PRIMARY KEY, size INTEGER NOT NULL, bytes BLOB NOT NULL, sum INTEGER NOT NULL
) STRICT;
CREATE TABLE milestone (
  entity INTEGER NOT NULL, position INTEGER NOT NULL, revision INTEGER NOT NULL, sum INTEGER NOT NULL,
  PRIMARY KEY (entity, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE edge (
  child INTEGER NOT NULL, since INTEGER NOT NULL, owner INTEGER, field INTEGER, sum INTEGER NOT NULL,
  PRIMARY KEY (child, since)
) STRICT, WITHOUT ROWID;
CREATE TABLE reference (
  target INTEGER NOT NULL, until INTEGER NOT NULL, source INTEGER NOT NULL, field INTEGER NOT NULL,
  since INTEGER NOT NULL, sum INTEGER NOT NULL,
  PRIMARY KEY (target, until, source, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE entry (
  position INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, said BLOB NOT NULL, made BLOB NOT NULL,
  body BLOB NOT NULL, hash BLOB NOT NULL, sum INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_time ON entry (time);
CREATE INDEX entry_kind ON entry (kind);
CREATE TABLE rising (
  since INTEGER PRIMARY KEY, first INTEGER NOT NULL, sum INTEGER NOT NULL
) STRICT;
CREATE TABLE tag (
  name TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL, sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_position ON tag (position);
CREATE TABLE horizon (
  id INTEGER PRIMARY KEY, position INTEGER NOT NULL, swept INTEGER NOT NULL, place INTEGER NOT NULL,
  sum INTEGER NOT NULL
) STRICT;
CREATE TABLE key (
  number INTEGER PRIMARY KEY, subject BLOB NOT NULL, erased INTEGER, sum INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX key_subject ON key (subject) WHERE erased IS NULL;
CREATE TABLE secret (
  number INTEGER PRIMARY KEY, bytes BLOB NOT NULL
) STRICT;
";

/// Makes an empty file a store, brings an older store up to date, and refuses everything else.
pub(super) fn prepare(connection: &mut Connection, place: &Place) -> Result<(), Fault> {
    // In one transaction: another process may be making the tables.
    let found = connection.transaction()?;
    let format = known_format(&found, place)?;
    found.finish()?;
    if format < FORMAT {
        if format == 0 {
            // So that the file can shrink. It is set while it is prepared; carried out, it would write a file that is
            // no store yet, where others look at it. It is of no effect once there is a table.
            drop(connection.prepare("PRAGMA auto_vacuum = INCREMENTAL")?);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have done it meanwhile.
        let format = known_format(&transaction, place)?;
        for migration in &MIGRATIONS[format as usize..] {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    check(connection)
}

/// The format of a file that this version can read; 0 for an empty one. To be called within a transaction.
pub(super) fn known_format(connection: &Connection, place: &Place) -> Result<u32, Fault> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, format) = (number("application_id")?, number("user_version")?);
    let path = place.path.clone();
    if application == 0 && format == 0 {
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        if tables == 0 {
            return Ok(0);
        }
    }
    if application != i64::from(APPLICATION_ID) {
        let found = format!("an SQLite database of the application {application:#x}");
        return Err(Fault::Store(StoreError::NotAStore { path, found }));
    }
    match u32::try_from(format) {
        Ok(format @ 1..=FORMAT) => Ok(format),
        Ok(found @ 1..) => Err(Fault::Store(StoreError::Newer { path, found, known: FORMAT })),
        _ => Err(Fault::damaged(path.display().to_string(), format!("there is no format {format}"))),
    }
}

/// One line of `sqlite_schema`.
type Definition = (String, String, String, Option<String>);

/// Checks that the tables and indexes are exactly those that were made.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    static EXPECTED: OnceLock<Vec<Definition>> = OnceLock::new();
    let expected = match EXPECTED.get() {
        Some(expected) => expected,
        None => {
            let fresh = Connection::open_in_memory()?;
            MIGRATIONS.iter().try_for_each(|migration| fresh.execute_batch(migration))?;
            let expected = definitions(&fresh)?;
            EXPECTED.get_or_init(|| expected)
        }
    };
    if definitions(connection)? == *expected {
        return Ok(());
    }
    Err(Fault::damaged("the schema", "its tables and indexes are not those of a store"))
}

fn definitions(connection: &Connection) -> Result<Vec<Definition>, Fault> {
    // What ANALYZE leaves is nobody's harm.
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' \
               ORDER BY name LIMIT 100";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
