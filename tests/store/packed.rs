//! States that are compressed in the file: everybody reads them as they were given.

use std::panic;

use heirloom::store::{
    Durability, Entry, EntryKind, Head, LayoutRow, MemoryStore, OwnerChange, SqliteStore, Store, StoreError, Version,
    VersionBody, export, import, verify,
};
use heirloom::{Digest, EntityId, Position, Revision, Timestamp};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use rusqlite::Connection;
use std::sync::Arc;

use crate::Folder;
use crate::mend::mend_checksums;

/// A state as they are alike: some words that all have, and some of its own.
fn body(number: u64, length: usize) -> Vec<u8> {
    let mut text = format!("{{\"number\":{number}");
    while text.len() < length {
        let at = text.len() as u64;
        let word = ["capital", "region", "languages", "borders", "currency", "population"][(at % 6) as usize];
        text += &format!(",\"{word}\":\"{:x} and others\"", number.wrapping_mul(at.wrapping_mul(2_654_435_761)));
    }
    text.truncate(length);
    text.into_bytes()
}

/// An entry with a first version for each of these states.
fn entry(position: u64, bodies: Vec<Vec<u8>>) -> Entry {
    let layout = Arc::new(LayoutRow {
        digest: Digest::from_bytes([7; 32]),
        name: "A".into(),
        schema: 1,
        text: "entity A".into(),
    });
    let version = |(number, bytes): (usize, Vec<u8>)| Version {
        entity: EntityId::derive("packed", &format!("{position} {number}")),
        revision: Revision(1),
        body: VersionBody::Own { layout: Arc::clone(&layout), base: None, bytes: bytes.into(), seal: None },
        carried: Vec::new(),
        owner: Some(OwnerChange::Root),
    };
    Entry {
        position: Position(position),
        time: Timestamp::from_micros(position as i64),
        kind: EntryKind::Commit,
        said: Arc::from(&b"{}"[..]),
        versions: bodies.into_iter().enumerate().map(version).collect(),
        ended: Vec::new(),
        references: Vec::new(),
        keys: Vec::new(),
    }
}

fn append(store: &dyn Store, head: &Head, bodies: Vec<Vec<u8>>) -> Head {
    store.append(head, &[entry(head.position.0 + 1, bodies)], Durability::Normal).unwrap()
}

/// A store with dictionaries: in one commit of many states, and in many of some.
fn a_store(folder: &Folder) -> (SqliteStore, Head) {
    let store = SqliteStore::open(folder.file()).unwrap();
    let mut head =
        append(&store, &Head::EMPTY, (0..600).map(|number| body(number, 400)).chain([body(1, 20)]).collect());
    for round in 1..60 {
        head = append(&store, &head, (0..20).map(|number| body(round * 1000 + number, 300)).collect());
    }
    (store, head)
}

fn all(store: &dyn Store, head: &Head) -> Result<Vec<Entry>, StoreError> {
    (1..=head.position.0)
        .map(|position| store.read(Position(position)).map(|entry| entry.expect("it is there")))
        .collect()
}

#[test]
fn what_is_compressed_is_less_and_told_as_it_was_given() {
    let folder = Folder::new("packed");
    let (store, head) = a_store(&folder);
    let sizes = store.sizes().unwrap();
    assert!(sizes.saved > 200_000, "{sizes:?}");
    assert!(sizes.tables.is_empty() || sizes.tables.iter().any(|(name, _)| name == "dictionary"), "{sizes:?}");
    let memory = MemoryStore::new();
    let mut copied = Head::EMPTY;
    for entry in all(&store, &head).unwrap() {
        copied = memory.append(&copied, &[entry], Durability::Normal).unwrap();
    }
    assert_eq!((copied, verify(&store, Some(&head)).unwrap()), (head, head));

    let backup = folder.0.join("backup");
    store.backup(&backup).unwrap();
    let backup = SqliteStore::open(backup).unwrap();
    assert_eq!(verify(&backup, Some(&head)).unwrap(), head);
    let mut lines = Vec::new();
    export(&backup, Position(0), &mut lines).unwrap();
    let other = SqliteStore::open(folder.0.join("other")).unwrap();
    assert_eq!(import(&mut &lines[..], &other).unwrap(), head);
    assert_eq!(all(&other, &head).unwrap(), all(&store, &head).unwrap());
    assert!(other.sizes().unwrap().saved > 200_000);

    while store.forget(Position(30), 1000).unwrap().more {}
    assert_eq!(verify(&store, Some(&head)).unwrap(), head);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_state_is_read_as_it_was_given(
        sizes in prop::collection::vec(0_usize..6000, 1..80),
        large in 100_000_usize..400_000,
        noise in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        let folder = Folder::new("packed-sizes");
        let (store, mut head) = a_store(&folder);
        let mut bodies: Vec<_> = sizes.iter().enumerate().map(|(number, size)| body(number as u64, *size)).collect();
        bodies.extend([body(1, large), noise, Vec::new(), vec![0; large]]);
        head = append(&store, &head, bodies.clone());
        drop(store);
        let store = SqliteStore::open_read_only(folder.file()).unwrap();
        assert_eq!(store.read(head.position).unwrap().unwrap(), entry(head.position.0, bodies));
    }
}

/// What somebody who knows the format may have done to a store: it is found, or makes no difference, and never more.
#[test]
fn what_is_changed_with_its_checksum_is_found() {
    let folder = Folder::new("packed-lies");
    let (store, head) = a_store(&folder);
    let truth = all(&store, &head).unwrap();
    drop(store);
    let changes = [
        "UPDATE version SET dictionary = 77 WHERE dictionary IS NOT NULL",
        "UPDATE version SET dictionary = 3 - dictionary WHERE dictionary IS NOT NULL",
        "UPDATE version SET dictionary = NULL WHERE dictionary IS NOT NULL",
        "UPDATE version SET dictionary = 1 WHERE dictionary IS NULL",
        "UPDATE version SET body = x'' WHERE dictionary IS NOT NULL",
        "UPDATE version SET body = CAST(x'ffffff7f' || substr(body, 3) AS BLOB) WHERE dictionary IS NOT NULL",
        "UPDATE version SET body = CAST(x'ffffffffffffffffff01' || substr(body, 3) AS BLOB) WHERE dictionary IS NOT NULL",
        "UPDATE version SET body = CAST(x'01' || substr(body, 3) AS BLOB) WHERE dictionary IS NOT NULL",
        "UPDATE version SET body = substr(body, 1, length(body) - 3) WHERE dictionary IS NOT NULL",
        "UPDATE version SET body = CAST(body || x'00' AS BLOB) WHERE dictionary IS NOT NULL",
        "UPDATE version SET body = CAST(substr(body, 1, 9) || x'a5' || substr(body, 11) AS BLOB) WHERE dictionary IS NOT NULL",
        "DELETE FROM dictionary",
        "UPDATE dictionary SET bytes = x''",
        "UPDATE dictionary SET bytes = substr(bytes, 1, length(bytes) / 2)",
        "UPDATE dictionary SET bytes = CAST(substr(bytes, 1, 99) || x'00' || substr(bytes, 101) AS BLOB)",
    ];
    for change in changes {
        for mends in [false, true] {
            let copy = folder.0.join("copy");
            std::fs::copy(folder.file(), &copy).unwrap();
            let connection = Connection::open(&copy).unwrap();
            assert!(connection.execute(change, []).unwrap() > 0, "{change}");
            if mends {
                mend_checksums(&connection);
            }
            drop(connection);
            let read = panic::catch_unwind(|| {
                let store = SqliteStore::open(&copy)?;
                let told = all(&store, &head);
                assert!(verify(&store, Some(&head)).is_err() || told.is_ok(), "{change}");
                told
            });
            match read.unwrap_or_else(|_| panic!("{change}: it panicked")) {
                Ok(told) => assert!(told == truth || mends, "{change}"),
                Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{change}: {error}"),
            }
        }
    }
}
