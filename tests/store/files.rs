//! What stands at a path is a store, becomes one, or is left as it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use heirloom::Position;
use heirloom::store::{AppendError, Durability, Head, SqliteStore, Store, StoreError, verify};
use rusqlite::Connection;

use crate::{Folder, append_program, everything, two_entries};

/// Opens a file in both ways, which must fail alike and leave it as it is.
fn refused(path: &Path) -> StoreError {
    let before = fs::read(path).ok();
    let reading = SqliteStore::open_read_only(path).unwrap_err();
    let error = SqliteStore::open(path).unwrap_err();
    assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&reading), "{error} / {reading}");
    assert_eq!(fs::read(path).ok(), before, "{error}: it was changed");
    let text = error.to_string();
    assert!(text.len() > 30 && !text.ends_with('.') && !text.starts_with(char::is_uppercase), "{text}");
    error
}

fn a_store(folder: &Folder) -> Vec<u8> {
    append_program(&SqliteStore::open(folder.file()).unwrap(), 1, 20);
    fs::read(folder.file()).unwrap()
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = Folder::new("foreign");
    let path = &folder.file();
    let long = vec![7; 9000];
    let cases: [&[u8]; 5] = [b"x", b"some text", &long, b"SQLite format 3\0", &[0; 4096]];
    for bytes in cases {
        fs::write(path, bytes).unwrap();
        assert!(matches!(refused(path), StoreError::NotAStore { .. }));
    }
    assert!(matches!(refused(&folder.0), StoreError::NotAStore { found, .. } if found == "a folder"));
    let beneath_a_file = path.join("below");
    assert!(matches!(SqliteStore::open(beneath_a_file), Err(StoreError::Io { .. })));
    assert!(matches!(SqliteStore::open(folder.0.join("no").join("file")), Err(StoreError::Io { .. })));
    assert!(matches!(SqliteStore::open_read_only(folder.0.join("none")), Err(StoreError::Io { .. })));
    assert!(!folder.0.join("none").exists());
}

#[test]
fn databases_of_others_are_refused_and_left_as_they_are() {
    let folder = Folder::new("databases");
    for (name, setup) in [
        ("unnamed", "CREATE TABLE entry (position INTEGER PRIMARY KEY)"),
        ("named", "PRAGMA application_id = 77; CREATE TABLE a (b)"),
        ("write-ahead", "PRAGMA journal_mode = WAL; CREATE TABLE a (b)"),
    ] {
        let path = folder.0.join(name);
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        assert!(matches!(refused(&path), StoreError::NotAStore { .. }), "{name}");
    }
    let path = folder.0.join("tables");
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(matches!(refused(&path), StoreError::Damaged { what, .. } if what == "the schema"));
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = Folder::new("empty");
    fs::write(folder.file(), b"").unwrap();
    assert!(matches!(SqliteStore::open_read_only(folder.file()), Err(StoreError::NotAStore { .. })));
    assert_eq!(fs::read(folder.file()).unwrap(), b"");
    assert_eq!(SqliteStore::open(folder.file()).unwrap().head().unwrap(), Head::EMPTY);
    assert_eq!(SqliteStore::open_read_only(folder.file()).unwrap().head().unwrap(), Head::EMPTY);
}

#[test]
fn what_is_left_where_the_power_failed_while_a_store_was_made_becomes_one() {
    let folder = Folder::new("half-made");
    // A page came to the disk, the header did not; the journal says how many pages there had been before.
    let (mut pages, mut journal) = (vec![0; 8192], vec![0; 512]);
    pages[4096..].fill(7);
    journal[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    (journal[22], journal[26]) = (2, 16);
    let put = |journal: &[u8]| {
        fs::write(folder.file(), &pages).unwrap();
        fs::write(folder.0.join("a.heirloom-journal"), journal).unwrap();
    };
    put(&[]);
    assert!(matches!(refused(&folder.file()), StoreError::NotAStore { .. }));
    let mut of_something = journal.clone();
    of_something[19] = 2;
    put(&of_something);
    assert!(matches!(refused(&folder.file()), StoreError::NotAStore { .. }));
    put(&journal);
    assert!(matches!(SqliteStore::open_read_only(folder.file()), Err(StoreError::NotAStore { .. })));
    assert!(fs::read(folder.file()).unwrap() == pages);
    a_store(&folder);
    verify(&SqliteStore::open(folder.file()).unwrap(), None).unwrap();
}

#[test]
fn a_name_that_sqlite_would_read_otherwise_is_a_file() {
    let folder = Folder::new("names");
    for name in [":memory:", "file:a?mode=memory", "ä ? # % &", ""] {
        let path = folder.0.join("folder").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !name.is_empty() {
            drop(SqliteStore::open(&path).unwrap());
        }
        assert!(path.exists());
    }
}

#[test]
fn a_later_format_is_refused_and_left_as_it_is() {
    let folder = Folder::new("newer");
    a_store(&folder);
    let raise = |format| {
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch(&format!("PRAGMA user_version = {format}")).unwrap();
    };
    raise(2);
    assert!(matches!(refused(&folder.file()), StoreError::Newer { found: 2, known: 1, .. }));
    raise(0);
    assert!(matches!(refused(&folder.file()), StoreError::Damaged { .. }));
}

#[test]
fn a_truncated_store_is_never_read_as_a_whole_one() {
    let folder = Folder::new("truncated");
    let bytes = a_store(&folder);
    let path = &folder.file();
    for length in (1..bytes.len()).step_by(bytes.len() / 37) {
        fs::write(path, &bytes[..length]).unwrap();
        let error = refused(path);
        assert!(matches!(error, StoreError::NotAStore { .. } | StoreError::Damaged { .. }), "{length}: {error}");
    }
}

#[test]
fn who_waits_too_long_for_another_writer_is_told() {
    let folder = Folder::new("busy");
    let wait = Duration::from_millis(120);
    let store = SqliteStore::options().busy_timeout(wait).open(folder.file()).unwrap();
    let head = store.append(&Head::EMPTY, &two_entries()[..1], Durability::Full).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let since = Instant::now();
    let busy = store.append(&head, &two_entries()[1..], Durability::Full);
    assert!(matches!(busy, Err(AppendError::Store(StoreError::Busy { waited, .. })) if waited == wait), "{busy:?}");
    assert!(since.elapsed() >= wait);
    assert!(matches!(store.tag("a", Position(1)), Err(StoreError::Busy { .. })));
    assert_eq!(store.head().unwrap(), head, "readers wait for nobody");
    other.execute_batch("ROLLBACK").unwrap();
    store.append(&head, &two_entries()[1..], Durability::Normal).unwrap();
    verify(&store, Some(&head)).unwrap();
}

#[test]
fn a_store_that_is_opened_for_reading_is_not_written() {
    let folder = Folder::new("reading");
    a_store(&folder);
    let writer = SqliteStore::open(folder.file()).unwrap();
    let store = SqliteStore::open_read_only(folder.file()).unwrap();
    let head = store.head().unwrap();
    let refused = store.append(&head, &[], Durability::Full);
    assert!(matches!(refused, Err(AppendError::Store(StoreError::ReadOnly { .. }))));
    assert!(matches!(store.tag("a", Position(1)), Err(StoreError::ReadOnly { .. })));
    assert!(!store.has_moved().unwrap());
    writer.tag("a", Position(1)).unwrap();
    assert!(store.has_moved().unwrap());
    assert_eq!(everything(&store).unwrap(), everything(&writer).unwrap());
}

#[cfg(unix)]
#[test]
fn a_store_on_a_read_only_medium_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("medium");
    a_store(&folder);
    let may = |folder_mode, file_mode| {
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(folder_mode)).unwrap();
    };
    may(0o555, 0o444);
    let root = fs::File::create(folder.0.join("probe")).is_ok();
    let (reading, writing) = (SqliteStore::open_read_only(folder.file()), SqliteStore::open(folder.file()));
    may(0o755, 0o644);
    if root {
        println!("skipped: rights do not bind this user");
        return;
    }
    assert!(matches!(writing, Err(StoreError::ReadOnly { .. } | StoreError::Io { .. })), "{writing:?}");
    assert!(everything(&reading.unwrap()).is_ok());
}

#[test]
fn a_backup_is_the_store_as_it_was_and_overwrites_nothing() {
    let folder = Folder::new("backup");
    let store = SqliteStore::open(folder.file()).unwrap();
    append_program(&store, 5, 10);
    let (then, copy) = (everything(&store).unwrap(), folder.0.join("copy"));
    store.backup(&copy).unwrap();
    let head = store.head().unwrap();
    let mut entry = two_entries()[0].clone();
    entry.position = Position(head.position.0 + 1);
    store.append(&head, &[entry], Durability::Normal).unwrap();
    assert!(matches!(store.backup(&copy), Err(StoreError::Io { .. })));
    assert_eq!(everything(&SqliteStore::open(&copy).unwrap()).unwrap(), then);
    verify(&SqliteStore::open_read_only(&copy).unwrap(), Some(&head)).unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new("no-folder");
    let path = folder.file().with_file_name("missing").join("store.heirloom");
    let error = SqliteStore::open(&path).expect_err("there is nothing to stand in").to_string();
    assert!(error.ends_with("missing is not there: make it first"), "{error}");
    assert!(!path.exists());
}
