//! Stores, as a history uses them: what was appended is read back, by everybody, and nothing else ever is.

#![cfg(feature = "sqlite")]

mod damage;
mod files;
mod format;
mod keys;
mod lines;
mod mend;
mod mutated;
#[cfg(feature = "zstd")]
mod packed;
mod sizes;
mod together;
#[cfg(not(feature = "zstd"))]
mod unpacked;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heirloom::store::conformance::{conformance, program};
use heirloom::store::{
    Durability, Entry, EntryKind, Head, KeyNumber, LayoutRow, MemoryStore, OwnerChange, Query, SqliteStore, Store,
    StoreError, Version, VersionBody, verify,
};
use heirloom::{Digest, EntityId, Position, Revision, Timestamp};
use proptest::prelude::{ProptestConfig, any, proptest};

/// A folder of its own for each test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("heirloom-store-{}-{count}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("a.heirloom")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn id(number: u8) -> EntityId {
    EntityId::from_bytes([number; 16])
}

fn own(text: &str) -> VersionBody {
    let layout =
        LayoutRow { digest: Digest::from_bytes([7; 32]), name: "A".into(), schema: 1, text: "entity A".into() };
    VersionBody::Own { layout: Arc::new(layout), base: None, bytes: text.as_bytes().into(), seal: None }
}

fn entry(position: u64, versions: Vec<Version>) -> Entry {
    Entry {
        position: Position(position),
        time: Timestamp::from_micros(position as i64 * 1000),
        kind: EntryKind::Commit,
        said: b"somebody"[..].into(),
        versions,
        ended: Vec::new(),
        references: Vec::new(),
        keys: Vec::new(),
    }
}

/// Appends a random program; the head after each batch.
fn append_program(store: &dyn Store, seed: u64, batches: usize) -> Vec<Head> {
    let mut head = store.head().unwrap();
    let mut heads = Vec::new();
    for batch in program(seed, batches) {
        head = store.append(&head, &batch, Durability::Normal).unwrap();
        heads.push(head);
    }
    heads
}

/// An answer in words, also that something is forgotten.
fn or_forgotten<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Result<String, StoreError> {
    match answer {
        Err(error @ StoreError::Forgotten { .. }) => Ok(error.to_string()),
        answer => Ok(format!("{:?}", answer?)),
    }
}

/// Everything that a store tells, in words.
fn everything(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let head = store.head()?;
    let mut told = vec![format!("{head:?} {:?} {:?} {:?}", store.horizon()?, store.layouts()?, store.tags()?)];
    let entities = store.entities(None, usize::MAX)?;
    told.push(format!("{entities:?} {:?}", store.entities(entities.first().copied(), 2)?));
    for position in (1..=head.position.0).map(Position) {
        let row = store.entry(position)?;
        told.push(format!("{row:?} {:?} {}", store.kept_from(position)?, or_forgotten(store.read(position))?));
        let time = row.map_or(Timestamp::from_micros(0), |row| row.time);
        told.push(format!("{:?} {:?}", store.position_at(time)?, store.find(&Query::Times(time..=time, 9))?));
        for entity in &entities {
            told.push(or_forgotten(store.version_at(*entity, position))?);
            told.push(or_forgotten(store.owner_at(*entity, position))?);
            told.push(or_forgotten(store.referrers_at(*entity, position))?);
        }
    }
    for entity in entities {
        let newest = store.newest(entity)?;
        for revision in (1..=newest.map_or(0, |row| row.revision.0)).map(Revision) {
            told.push(format!("{:?}", store.version(entity, revision)?));
        }
    }
    for kind in [EntryKind::Commit, EntryKind::Run, EntryKind::Failed] {
        told.push(format!("{:?}", store.find(&Query::Kind(kind, head.position, usize::MAX))?));
    }
    for number in (1..=store.last_key()?.map_or(0, |last| last.0)).map(KeyNumber) {
        let mut sealed = store.sealed(number)?;
        sealed.sort_unstable();
        told.push(format!("{:?} {sealed:?}", store.key(number)?));
    }
    told.push(format!("{:?} {:?}", store.find(&Query::After(Position(0), 999))?, store.find(&Query::Tail(999))?));
    Ok(told)
}

fn two_entries() -> [Entry; 2] {
    let (owner, child) = (id(1), id(2));
    let version =
        |entity, revision, body, carried, owner| Version { entity, revision: Revision(revision), body, carried, owner };
    let owned = Some(OwnerChange::Owned { owner, field: 3 });
    let first = entry(
        1,
        vec![
            version(child, 1, own("child"), vec![], owned),
            version(owner, 1, own("owner"), vec![child], Some(OwnerChange::Root)),
        ],
    );
    let second = entry(
        2,
        vec![
            version(child, 2, own("child again"), vec![], None),
            version(owner, 2, VersionBody::Carried { own: Revision(1) }, vec![child], None),
        ],
    );
    [first, second]
}

fn appended_is_read(store: &dyn Store) -> Head {
    let head = store.append(&Head::EMPTY, &two_entries(), Durability::Full).unwrap();
    is_read(store, &head);
    head
}

fn is_read(store: &dyn Store, head: &Head) {
    assert_eq!(store.head().unwrap(), *head);
    for entry in two_entries() {
        assert_eq!(store.read(entry.position).unwrap(), Some(entry));
    }
    assert_eq!(store.newest(id(2)).unwrap().unwrap().revision, Revision(2));
    assert_eq!(store.version_at(id(2), Position(1)).unwrap().unwrap().revision, Revision(1));
    let owner = OwnerChange::Owned { owner: id(1), field: 3 };
    assert_eq!(store.owner_at(id(2), Position(2)).unwrap(), Some((Position(1), owner)));
    assert_eq!(verify(store, Some(head)).unwrap(), *head);
}

#[test]
fn what_is_appended_is_read() {
    let folder = Folder::new("appended");
    let head = appended_is_read(&MemoryStore::new());
    assert_eq!(appended_is_read(&SqliteStore::open(folder.file()).unwrap()), head);
    is_read(&SqliteStore::open(folder.file()).unwrap(), &head);
    is_read(&SqliteStore::open_read_only(folder.file()).unwrap(), &head);
    let copy: &Path = &folder.0.join("copy");
    SqliteStore::open(folder.file()).unwrap().backup(copy).unwrap();
    is_read(&SqliteStore::open(copy).unwrap(), &head);
}

#[test]
fn the_store_in_memory_keeps_every_obligation() {
    conformance(&mut || Box::new(MemoryStore::new()), None);
}

#[test]
fn the_store_in_a_file_keeps_every_obligation() {
    let folder = Folder::new("conformance");
    let count = std::cell::Cell::new(0);
    let file = |count: u32| folder.0.join(count.to_string());
    let mut fresh = || -> Box<dyn Store> {
        count.set(count.get() + 1);
        Box::new(SqliteStore::open(file(count.get())).unwrap())
    };
    let mut reopen = |store: Box<dyn Store>| -> Box<dyn Store> {
        drop(store);
        Box::new(SqliteStore::open(file(count.get())).unwrap())
    };
    conformance(&mut fresh, Some(&mut reopen));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn one_program_has_the_same_heads_and_answers_in_memory_and_in_a_file(seed in any::<u64>()) {
        let folder = Folder::new("both");
        let (memory, file) = (MemoryStore::new(), SqliteStore::open(folder.file()).unwrap());
        assert_eq!(append_program(&memory, seed, 25), append_program(&file, seed, 25));
        let (first, second) = (everything(&memory).unwrap(), everything(&file).unwrap());
        assert_eq!(first, second);
    }
}

#[test]
fn no_statement_reads_a_table_from_end_to_end_or_sorts() {
    let folder = Folder::new("plans");
    let plans = SqliteStore::open(folder.file()).unwrap().plans().unwrap();
    assert!(plans.len() > 30);
    for (name, plan) in plans {
        // What an insertion is given it reads from end to end.
        let plan = plan.replace("SCAN 32-ROW VALUES CLAUSE", "");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{name}: {plan}");
    }
}
