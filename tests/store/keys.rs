//! Keys: what is erased is in no file any more, and nothing is sealed under it again.

use std::fs;
use std::path::Path;

use heirloom::store::{
    AppendError, Durability, Entry, EntryKind, Head, KeyChange, KeyNumber, MemoryStore, OwnerChange, Secret,
    SqliteStore, Store, Version, VersionBody, export, import, verify,
};
use heirloom::{Digest, EntityId, Position, Revision};

use crate::{Folder, entry, own};

/// More keys than a page of the file has room for.
const KEYS: u64 = 250;

fn secret(number: u64) -> Secret {
    Secret::new(*blake3::hash(&number.to_le_bytes()).as_bytes()).unwrap()
}

fn made(number: u64) -> KeyChange {
    let subject = Digest::from_bytes(*blake3::hash(format!("subject {number}").as_bytes()).as_bytes());
    KeyChange::Made { number: KeyNumber(number), subject, secret: Some(secret(number)) }
}

/// An entity that comes, sealed under a key.
fn comes(position: u64, keys: Vec<KeyChange>, seal: u64) -> Entry {
    let VersionBody::Own { layout, base, bytes, .. } = own("sealed") else { panic!("it is an own state") };
    let body = VersionBody::Own { layout, base, bytes, seal: Some(KeyNumber(seal)) };
    let entity = EntityId::from_bytes(u128::from(position).to_be_bytes());
    let owner = Some(OwnerChange::Root);
    let version = Version { entity, revision: Revision(1), body, carried: vec![], owner };
    Entry { keys, ..entry(position, vec![version]) }
}

fn erasure(position: u64, numbers: &[u64]) -> Entry {
    let keys = numbers.iter().map(|number| KeyChange::Erased { number: KeyNumber(*number) }).collect();
    Entry { kind: EntryKind::Erased, keys, ..entry(position, vec![]) }
}

fn with_keys(store: &dyn Store) -> Head {
    (1..=KEYS).fold(Head::EMPTY, |head, number| {
        store.append(&head, &[comes(number, vec![made(number)], number)], Durability::Normal).unwrap()
    })
}

/// How many of these keys are somewhere in the files of a folder.
fn found(folder: &Path, numbers: &[u64]) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let bytes = files.collect::<Vec<_>>().concat();
    let is_there = |number: &&u64| {
        let key = *secret(**number).as_bytes();
        let begins = bytes.iter().enumerate().filter(|(_, byte)| **byte == key[0]);
        begins.into_iter().any(|(at, _)| bytes[at..].starts_with(&key))
    };
    numbers.iter().filter(is_there).count()
}

const GONE: [u64; 5] = [1, 2, 77, 200, 250];
const STAY: [u64; 4] = [3, 76, 201, 249];

#[test]
fn the_bytes_of_an_erased_key_are_in_no_file() {
    let folder = Folder::new("erased");
    let store = SqliteStore::open(folder.file()).unwrap();
    let head = with_keys(&store);
    assert_eq!((found(&folder.0, &GONE), found(&folder.0, &STAY)), (5, 4));
    let head = store.append(&head, &[erasure(KEYS + 1, &GONE)], Durability::Full).unwrap();
    assert!(store.scrub().unwrap());
    assert_eq!((found(&folder.0, &GONE), found(&folder.0, &STAY)), (0, 4));
    assert_eq!(verify(&store, Some(&head)).unwrap(), head);
    for number in GONE {
        let row = store.key(KeyNumber(number)).unwrap().unwrap();
        assert_eq!((row.secret, row.erased), (None, Some(Position(KEYS + 1))));
        assert_eq!(store.sealed(KeyNumber(number)).unwrap().len(), 1);
    }
}

#[test]
fn what_was_left_in_the_log_goes_when_the_file_is_next_opened() {
    let (folder, copy) = (Folder::new("left"), Folder::new("left-copy"));
    let store = SqliteStore::open(folder.file()).unwrap();
    let head = with_keys(&store);
    let head = store.append(&head, &[erasure(KEYS + 1, &GONE)], Durability::Full).unwrap();
    // As somebody leaves it who is killed here.
    for file in fs::read_dir(&folder.0).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, copy.0.join(path.file_name().unwrap())).unwrap();
    }
    assert!(found(&copy.0, &GONE) > 0, "the log has them, or there is nothing to see here");
    let opened = SqliteStore::open(copy.file()).unwrap();
    assert_eq!((found(&copy.0, &GONE), found(&copy.0, &STAY)), (0, 4));
    assert_eq!(verify(&opened, Some(&head)).unwrap(), head);
}

#[test]
fn a_log_that_somebody_reads_is_cut_later() {
    let folder = Folder::new("read");
    let store = SqliteStore::options().busy_timeout(std::time::Duration::from_millis(50)).open(folder.file()).unwrap();
    let head = with_keys(&store);
    let reader = rusqlite::Connection::open(folder.file()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    store.append(&head, &[erasure(KEYS + 1, &GONE)], Durability::Full).unwrap();
    assert!(!store.scrub().unwrap());
    reader.execute_batch("COMMIT").unwrap();
    assert!(store.scrub().unwrap());
    assert_eq!(found(&folder.0, &GONE), 0);
}

#[test]
fn nothing_is_sealed_under_an_erased_key_and_what_is_refused_erases_nothing() {
    let folder = Folder::new("refused");
    let stores: [Box<dyn Store>; 2] =
        [Box::new(MemoryStore::new()), Box::new(SqliteStore::open(folder.file()).unwrap())];
    for store in stores {
        let head = with_keys(&*store);
        let bad = [erasure(KEYS + 1, &[7]), comes(KEYS + 2, vec![], 7)];
        let refused = store.append(&head, &bad, Durability::Full).unwrap_err();
        let why = "the entry #252 cannot be stored: key 7 was erased in #251";
        assert!(matches!(refused, AppendError::Refused { .. }) && refused.to_string() == why, "{refused}");
        assert_eq!(store.key(KeyNumber(7)).unwrap().unwrap().secret, Some(secret(7)));
        let head = store.append(&head, &bad[..1], Durability::Full).unwrap();
        let again = comes(KEYS + 2, vec![made(KEYS + 1)], KEYS + 1);
        assert!(store.append(&head, &[again], Durability::Full).is_ok());
    }
}

#[test]
fn lines_have_the_keys_that_are_not_erased_and_bring_none_back() {
    let (store, copy) = (MemoryStore::new(), MemoryStore::new());
    let head = with_keys(&store);
    let lines = |store: &dyn Store| {
        let mut lines = Vec::new();
        export(store, Position(0), &mut lines).unwrap();
        lines
    };
    let before = lines(&store);
    import(&mut before.as_slice(), &copy).unwrap();
    assert_eq!(copy.key(KeyNumber(7)).unwrap(), store.key(KeyNumber(7)).unwrap());
    let head = store.append(&head, &[erasure(KEYS + 1, &[7])], Durability::Full).unwrap();
    let after = lines(&store);
    assert_eq!(import(&mut after.as_slice(), &copy).unwrap(), head);
    assert_eq!(copy.key(KeyNumber(7)).unwrap().unwrap().secret, None);
    // Lines from before the erasure bring nothing back.
    import(&mut before.as_slice(), &copy).unwrap();
    assert_eq!(copy.key(KeyNumber(7)).unwrap().unwrap().secret, None);
    let fresh = MemoryStore::new();
    assert_eq!(import(&mut after.as_slice(), &fresh).unwrap(), head);
    assert_eq!(lines(&fresh), after);
}
