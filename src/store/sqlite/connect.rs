//! How files become connections: what stands at a path is looked at before anything is changed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::fault::{Fault, Place};
use super::{keys, pack, schema};
use crate::store::error::StoreError;

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How long the header of an SQLite database is.
const HEADER: usize = 100;

/// How many prepared statements a connection keeps: more than there are.
const STATEMENTS: usize = 64;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Create,
    Read,
    /// On a medium that nobody writes: no files beside it can be made.
    Immutable,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Empty,
    Store,
}

/// Looks at what stands at a path, without SQLite and without changing it.
pub(super) fn inspect(place: &Place) -> Result<Found, StoreError> {
    let path = place.path.clone();
    let foreign = |found: String| StoreError::NotAStore { path: place.path.clone(), found };
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return match path.parent().filter(|folder| !folder.is_dir()) {
                None => Ok(Found::Nothing),
                Some(folder) => {
                    let why = format!("the folder {} is not there: make it first", folder.display());
                    Err(place.io("opening", std::io::Error::new(ErrorKind::NotFound, why)))
                }
            };
        }
        Err(error) => return Err(place.io("opening", error)),
    };
    if !metadata.is_file() {
        return Err(foreign(if metadata.is_dir() { "a folder" } else { "no regular file" }.to_owned()));
    }
    let header = header_of(place)?;
    if header.is_empty() {
        let log = beside(&path, "-wal");
        return match fs::metadata(&log) {
            Ok(log) if log.len() > 0 => Err(StoreError::Damaged {
                what: path.display().to_string(),
                detail: "it is empty, and there is a write-ahead log beside it".to_owned(),
            }),
            _ => Ok(Found::Empty),
        };
    }
    let number = |at| number_at(&header, at);
    match (header.starts_with(MAGIC), number(60), number(68)) {
        (true, Some(format), Some(schema::APPLICATION_ID)) if format > schema::FORMAT => {
            Err(StoreError::Newer { path, found: format, known: schema::FORMAT })
        }
        (true, Some(_), Some(schema::APPLICATION_ID)) => whole(place).map(|()| Found::Store),
        (true, Some(_), Some(0)) => Err(foreign("an SQLite database of no named application".to_owned())),
        (true, Some(_), Some(other)) => Err(foreign(format!("an SQLite database of the application {other:#x}"))),
        _ if is_half_made(place, &header) => Ok(Found::Empty),
        _ => Err(foreign("a file of another kind".to_owned())),
    }
}

/// The first bytes of a file, as many as there are.
fn header_of(place: &Place) -> Result<Vec<u8>, StoreError> {
    let mut header = Vec::with_capacity(HEADER);
    let file = File::open(&place.path).map_err(|error| place.io("opening", error))?;
    file.take(HEADER as u64).read_to_end(&mut header).map_err(|error| place.io("reading", error))?;
    Ok(header)
}

/// Whether the power failed while the file was made: it begins with nothing, and its journal, by which SQLite takes back
/// what is in it, says that it was empty. <https://www.sqlite.org/fileformat.html#the_rollback_journal>
fn is_half_made(place: &Place, header: &[u8]) -> bool {
    const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let mut journal = Vec::new();
    let read = File::open(beside(&place.path, "-journal")).and_then(|file| file.take(20).read_to_end(&mut journal));
    let is_of_an_empty_file = read.is_ok() && journal.starts_with(&JOURNAL) && number_at(&journal, 16) == Some(0);
    is_of_an_empty_file && header.iter().all(|byte| *byte == 0)
}

fn number_at(header: &[u8], at: usize) -> Option<u32> {
    header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
}

/// Checks that a file is as long as its header says: SQLite itself does not miss the end of the last page.
fn whole(place: &Place) -> Result<(), StoreError> {
    // Twice, because another process may be making it, or bringing its write-ahead log home, meanwhile.
    for _ in 0..2 {
        let header = header_of(place)?;
        let length = fs::metadata(&place.path).map_err(|error| place.io("opening", error))?.len();
        let page = match number_at(&header, 16).map(|number| number >> 16) {
            Some(1) => 1 << 16,
            Some(page) => u64::from(page),
            None => 0,
        };
        let pages = number_at(&header, 28).filter(|_| number_at(&header, 24) == number_at(&header, 92));
        let others = ["-wal", "-journal"].iter().any(|suffix| beside(&place.path, suffix).exists());
        if length >= page * u64::from(pages.unwrap_or(0)) || others {
            return Ok(());
        }
    }
    let detail = "it is shorter than its header says".to_owned();
    Err(StoreError::Damaged { what: place.path.display().to_string(), detail })
}

/// A file that SQLite keeps beside the store.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// How many kilobytes of pages a reader holds at most. A thousand versions of an entity and their entries lie on as many
/// pages of four each in a long history, and with SQLite's own two megabytes each reading of them would begin anew.
const READ_CACHE: i64 = 8_192;

/// After so many pages the log is brought into the file: 16 MB. A commit writes some five, mostly the same ones, and each
/// bringing in syncs the file: with SQLite's own thousand pages that would be done after every two hundred commits.
const LOG_PAGES: i64 = 4_000;

/// A connection, set up so that a hostile file can do the least.
pub(super) fn connect(place: &Place, mode: Mode) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = match mode {
        Mode::Create => {
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            Connection::open_with_flags(&place.path, flags)?
        }
        Mode::Read => Connection::open_with_flags(&place.path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        Mode::Immutable => {
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(&place.path), flags)?
        }
    };
    connection.busy_timeout(place.wait)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -READ_CACHE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// The connection that writes.
pub(super) fn writer(place: &Place) -> Result<Connection, Fault> {
    let mut connection = connect(place, Mode::Create)?;
    // SQLite falls back to reading when the rights do not suffice.
    if connection.is_readonly("main")? {
        return Err(Fault::Store(StoreError::ReadOnly { path: place.path.clone() }));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    schema::prepare(&mut connection, place)?;
    pack::check(&connection)?;
    write_ahead(&connection, place)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    keys::scrub_what_was_left(&connection, place)?;
    Ok(connection)
}

/// Switches the file to a write-ahead log, once. SQLite does not wait for others here, so this does.
fn write_ahead(connection: &Connection, place: &Place) -> Result<(), Fault> {
    let end = Instant::now().checked_add(place.wait);
    loop {
        let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?;
        if mode == "wal" {
            return Ok(());
        }
        let switched = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match switched {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(Fault::damaged("the journal", format!("it stays in the mode {mode:?}"))),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && end.is_none_or(|end| Instant::now() < end) =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A connection that only reads, and how it was opened.
pub(super) fn reader(place: &Place) -> Result<(Connection, Mode), Fault> {
    let open = |mode| {
        let mut connection = connect(place, mode)?;
        let found = connection.transaction()?;
        if schema::known_format(&found, place)? == 0 {
            return Err(Fault::damaged(place.path.display().to_string(), "it is empty"));
        }
        schema::check(&found)?;
        pack::check(&found)?;
        found.finish()?;
        Ok((connection, mode))
    };
    let logged = fs::metadata(beside(&place.path, "-wal")).is_ok_and(|log| log.len() > 0);
    match open(Mode::Read) {
        // On a read-only medium SQLite cannot make the files that readers share; where nobody can write, none are needed.
        Err(fault) if !logged && matches!(fault.code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => {
            open(Mode::Immutable)
        }
        other => other,
    }
}
