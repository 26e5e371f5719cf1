//! A store that is not as it was written is never read as if it were.

use std::fs;
use std::panic;
use std::path::Path;

use heirloom::Position;
use heirloom::store::{Head, SqliteStore, Store, StoreError, VerifyError, verify};
use rusqlite::Connection;

use crate::mend::{TABLES, mend_checksums};
use crate::{Folder, append_program, everything};

/// A store of a random program, with its heads.
fn a_store(folder: &Folder, seed: u64, batches: usize) -> Vec<Head> {
    let store = SqliteStore::open(folder.file()).unwrap();
    let heads = append_program(&store, seed, batches);
    store.tag("first", Position(1)).unwrap();
    assert_eq!(store.forget(Position(1), 9).unwrap().versions, 0, "nothing comes before");
    heads
}

/// What opening, reading everything and verifying tell of a file, at the first thing that is wrong.
fn told(path: &Path, head: &Head) -> Result<Vec<String>, String> {
    let store = SqliteStore::open(path).map_err(|error| error.to_string())?;
    let told = everything(&store);
    verify(&store, Some(head)).map_err(|error| error.to_string())?;
    told.map_err(|error| error.to_string())
}

/// How many bits are flipped, one at a time, and in pages of which size.
const FLIPS: usize = 300;
const PAGE: usize = 4096;

#[test]
fn a_flipped_bit_is_found_or_makes_no_difference() {
    flips(&|_| {});
}

#[test]
fn so_it_is_where_something_was_forgotten() {
    flips(&|store| {
        store.tag("kept", Position(4)).unwrap();
        while store.forget(Position(9), 4).unwrap().more {}
        store.forget(Position(12), 3).unwrap();
    });
}

fn flips(change: &dyn Fn(&SqliteStore)) {
    let folder = Folder::new("flips");
    let head = *a_store(&folder, 3, 14).last().unwrap();
    change(&SqliteStore::open(folder.file()).unwrap());
    let (bytes, truth) = (fs::read(folder.file()).unwrap(), told(&folder.file(), &head).unwrap());
    let (mut found, mut equal) = (0, 0);
    for index in 0..FLIPS {
        // Over all pages: rows stand at their ends, what leads to them at their beginnings.
        let (page, place) = (index * (bytes.len() / PAGE) / FLIPS, index * 7919 % 1024);
        let at = page * PAGE + if index % 4 == 0 { place % 100 } else { PAGE - 1 - place };
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (index % 8);
        let path = folder.0.join("flipped");
        fs::write(&path, &flipped).unwrap();
        match panic::catch_unwind(|| told(&path, &head)) {
            Ok(Ok(read)) => {
                assert_eq!(read, truth, "a bit of byte {at} was flipped, and nobody told");
                equal += 1;
            }
            Ok(Err(_)) => found += 1,
            Err(_) => panic!("a bit of byte {at} was flipped, and it panicked"),
        }
        for beside in ["flipped", "flipped-wal", "flipped-shm", "flipped-journal"] {
            let _ = fs::remove_file(folder.0.join(beside));
        }
    }
    println!("{found} flips were found, {equal} made no difference");
    assert!(found > 30, "{found}");
}

#[test]
fn a_cut_tail_is_found_against_a_kept_head() {
    let (whole, cut, other) = (Folder::new("whole"), Folder::new("cut"), Folder::new("other"));
    let heads = a_store(&whole, 8, 20);
    let kept = heads.last().unwrap();
    let shorter = a_store(&cut, 8, 15);
    a_store(&other, 9, 60);
    let store = SqliteStore::open(cut.file()).unwrap();
    assert_eq!(verify(&store, None).unwrap(), *shorter.last().unwrap());
    assert!(matches!(verify(&store, Some(kept)), Err(VerifyError::CutTail { expected, .. }) if expected == *kept));
    let store = SqliteStore::open(other.file()).unwrap();
    assert!(matches!(verify(&store, Some(kept)), Err(VerifyError::CutTail { .. })));
    let store = SqliteStore::open(whole.file()).unwrap();
    for earlier in &heads {
        assert_eq!(verify(&store, Some(earlier)).unwrap(), *kept);
    }
}

/// What is told after somebody edited a store by SQL and, if they could, made every checksum fit.
fn edited(sql: &str, mend: bool) -> Result<Head, VerifyError> {
    let folder = Folder::new("edited");
    a_store(&folder, 4, 40);
    let connection = Connection::open(folder.file()).unwrap();
    assert_eq!(mend_checksums(&connection), 0, "the checksums are as the format says");
    connection.execute_batch(sql).unwrap();
    if mend {
        mend_checksums(&connection);
    }
    drop(connection);
    verify(&SqliteStore::open(folder.file()).unwrap(), None)
}

/// An edit is found at an entry, with the checksums mended or not.
#[track_caller]
fn found_at(sql: &str, expected: u64) {
    for mend in [false, true] {
        match edited(sql, mend) {
            Err(VerifyError::Entry { position, .. }) => assert_eq!(position, Position(expected), "{sql} {mend}"),
            other => panic!("{sql} {mend}: {other:?}"),
        }
    }
}

/// An edit is found in a table, with the checksums mended or not.
#[track_caller]
fn found_in(sql: &str, table: &str) {
    for mend in [false, true] {
        match edited(sql, mend) {
            Err(VerifyError::Store(StoreError::Damaged { what, .. })) => assert!(what.contains(table), "{sql}: {what}"),
            other => panic!("{sql} {mend}: {other:?}"),
        }
    }
}

#[test]
fn an_entry_that_was_edited_is_found_where_it_stands() {
    let swap = "UPDATE entry SET position = -1 WHERE position = 5; UPDATE entry SET position = 5 WHERE position = 6; \
                UPDATE entry SET position = 6 WHERE position = -1";
    found_at(swap, 5);
    found_at("DELETE FROM entry WHERE position = 7", 7);
    found_at("UPDATE entry SET time = time + 1 WHERE position = 9", 9);
    found_at("UPDATE entry SET kind = 5 - kind WHERE position = 10", 10);
    found_at("UPDATE entry SET said = x'00' WHERE position = 11", 11);
    found_at("UPDATE entry SET hash = body WHERE position = 12", 12);
}

#[test]
fn what_an_entry_made_is_found_at_the_entry() {
    let version = "(SELECT position FROM version WHERE kind = 0 AND position > 12 ORDER BY position LIMIT 1)";
    found_at(&format!("UPDATE version SET body = x'77' WHERE kind = 0 AND position = {version}"), position_of(version));
    let carried = "(SELECT position FROM version WHERE kind = 1 AND position > 9 ORDER BY position LIMIT 1)";
    found_at(&format!("UPDATE version SET kind = 2 WHERE kind = 1 AND position = {carried}"), position_of(carried));
    found_at(&format!("DELETE FROM version WHERE kind = 1 AND position = {carried}"), position_of(carried));
    let edge = "(SELECT since FROM edge WHERE since > 8 ORDER BY since LIMIT 1)";
    let change = format!("UPDATE edge SET owner = NULL, field = 1 - coalesce(field, 0) WHERE since = {edge}");
    found_at(&change, position_of(edge));
    found_at("UPDATE layout SET text = text || '!'", position_of("(SELECT min(position) FROM version WHERE kind = 0)"));
}

/// A position that a query gives in the store that is edited.
fn position_of(query: &str) -> u64 {
    let folder = Folder::new("position");
    a_store(&folder, 4, 40);
    let connection = Connection::open(folder.file()).unwrap();
    connection.query_row(&format!("SELECT {query}"), [], |row| row.get::<_, i64>(0)).unwrap() as u64
}

#[test]
fn what_stands_beside_the_entries_is_found_where_it_stands() {
    found_in("DELETE FROM milestone", "milestone");
    found_in("UPDATE milestone SET revision = revision + 16", "milestone");
    found_in("INSERT INTO milestone SELECT entity, position + 1, revision, 0 FROM milestone", "milestone");
    found_in("DELETE FROM rising WHERE since = (SELECT max(since) FROM rising)", "rising");
    found_in("UPDATE rising SET first = first + 1", "rising");
    found_in("DELETE FROM reference WHERE until < 1000", "reference");
    found_in("UPDATE reference SET since = since + 1", "reference");
    found_in("INSERT INTO reference VALUES (1, 5, 1, 99, 1, 0)", "reference");
    found_in(
        "INSERT INTO version SELECT key + 1000, position, kind, own, layout, dictionary, body, carried, seal, 0 FROM version",
        "version",
    );
    found_in("INSERT INTO edge VALUES (1, 999, NULL, NULL, 0)", "edge");
    found_in("INSERT INTO layout VALUES (99, zeroblob(32), 'a', 1, 'a', 0)", "layout");
    found_in("UPDATE tag SET position = 999", "tag");
    let swapped = "UPDATE entity SET came = came + 100 WHERE came > 2";
    assert!(
        matches!(edited(swapped, true), Err(VerifyError::Store(StoreError::Damaged { what, .. })) if what.contains("entity"))
    );
    assert!(matches!(edited(swapped, false), Err(VerifyError::Entry { .. })));
}

#[test]
fn a_key_that_is_not_as_entries_made_and_erased_it_is_found() {
    for sql in [
        "DELETE FROM key WHERE number = 1",
        "INSERT INTO key VALUES (999, randomblob(32), NULL, 0)",
        "UPDATE key SET subject = randomblob(32) WHERE number = 2",
        "UPDATE OR REPLACE key SET erased = NULL WHERE number = (SELECT max(number) FROM key WHERE erased IS NOT NULL)",
        "UPDATE key SET erased = erased + 1",
        "UPDATE key SET erased = 40 WHERE number = (SELECT max(number) FROM key WHERE erased IS NULL)",
        "DELETE FROM secret WHERE number = 1",
        "INSERT INTO secret VALUES (999, zeroblob(36))",
        "UPDATE secret SET bytes = zeroblob(36) WHERE number = 1",
        "UPDATE secret SET bytes = x'00' WHERE number = 1",
        "UPDATE secret SET bytes = (SELECT bytes FROM secret AS other WHERE other.number = secret.number + 1) \
            WHERE number = 1",
        "UPDATE version SET seal = seal + 1 WHERE seal > 0",
        "UPDATE version SET seal = NULL",
        "UPDATE version SET seal = 1 WHERE kind > 0",
    ] {
        for mend in [false, true] {
            let told = edited(sql, mend);
            assert!(told.is_err(), "{sql} {mend}: {told:?}");
        }
    }
}

#[test]
fn a_row_that_does_not_fit_its_checksum_is_not_given_out() {
    let folder = Folder::new("rows");
    a_store(&folder, 4, 40);
    let connection = Connection::open(folder.file()).unwrap();
    // So small a store has no dictionary: those are changed where they are.
    for (table, _, _) in TABLES.into_iter().filter(|(table, ..)| *table != "dictionary") {
        connection.execute_batch(&format!("UPDATE {table} SET sum = sum + 1")).unwrap();
        let store = SqliteStore::open(folder.file()).unwrap();
        let damaged = everything(&store).unwrap_err();
        assert!(matches!(&damaged, StoreError::Damaged { what, .. } if what.contains(table)), "{table}: {damaged}");
        drop(store);
        mend_checksums(&connection);
    }
}

/// What verifying tells of a store that has forgotten, after an edit by SQL with all checksums made to fit.
fn forgotten_and_edited(sql: &str) -> Result<Head, VerifyError> {
    let folder = Folder::new("forgotten");
    a_store(&folder, 4, 40);
    let store = SqliteStore::open(folder.file()).unwrap();
    store.tag("kept", Position(9)).unwrap();
    while store.forget(Position(25), 5).unwrap().more {}
    while store.forget(Position(30), 3).unwrap().versions == 0 {}
    drop(store);
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute_batch(sql).unwrap();
    mend_checksums(&connection);
    drop(connection);
    verify(&SqliteStore::open(folder.file()).unwrap(), None)
}

#[test]
fn what_is_left_of_what_was_forgotten_is_checked_as_far_as_it_can_be() {
    assert!(forgotten_and_edited("").is_ok());
    let any = "(SELECT key FROM version ORDER BY position LIMIT 1)";
    for sql in [
        "UPDATE horizon SET position = 20, swept = 20, place = 0",
        "UPDATE horizon SET position = 4, swept = 4, place = 0",
        "DELETE FROM horizon",
        "UPDATE horizon SET position = 999",
        "UPDATE horizon SET swept = position, place = 0",
        "UPDATE horizon SET swept = 31",
        "INSERT INTO horizon VALUES (2, 1, 1, 0, 0)",
        "DELETE FROM tag WHERE name = 'kept'",
        "UPDATE tag SET position = 12 WHERE name = 'kept'",
        "DELETE FROM entry WHERE position = 7",
        "UPDATE entry SET hash = body WHERE position = 7",
        "UPDATE entry SET body = hash WHERE position = 7",
        "DELETE FROM version WHERE key IN (SELECT max(key) FROM version GROUP BY key >> 32)",
        "DELETE FROM version WHERE position > 26 AND kind = 0",
        "UPDATE version SET body = x'77' WHERE kind = 0 AND position > 26",
        &format!("DELETE FROM version WHERE key = {any}"),
        &format!("UPDATE version SET position = position + 1 WHERE key = {any}"),
        "INSERT INTO version SELECT key + 1000, position, kind, own, layout, dictionary, body, carried, seal, 0 FROM version",
        "DELETE FROM edge WHERE since = (SELECT min(since) FROM edge)",
        "DELETE FROM edge WHERE since = (SELECT max(since) FROM edge)",
        "DELETE FROM reference WHERE until > 30",
        "DELETE FROM milestone",
    ] {
        assert!(forgotten_and_edited(sql).is_err(), "{sql}");
    }
}
