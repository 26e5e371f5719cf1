//! Looking after a history that is kept: heads, verification, backups, sizes.

#![cfg(feature = "sqlite")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use heirloom::prelude::*;
use heirloom::store::{Durability, Head, MemoryStore, StoreError, VerifyError};
use heirloom::{Position, ReadError, Result};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Note {
    id: Id<Note>,
    text: String,
    number: u64,
}

fn write(note: &mut Note, number: u64) {
    note.number = number;
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heirloom-keeping-{}-{name}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("notes.heirloom")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

const TEXT: &str = "somewhere in the file these words stand as they are";

fn note(number: u64) -> Note {
    Note { id: Id::new(), text: TEXT.to_owned(), number }
}

#[test]
fn a_head_vouches_for_what_was_before_it_and_lets_more_come() -> Result<()> {
    let folder = Folder::new("heads");
    let registry = Registry::open(folder.file())?;
    let history = registry.history();
    assert_eq!(history.store_head()?, Head::EMPTY);
    registry.add(note(1))?;
    let kept = history.store_head()?;
    assert_eq!(kept.to_string().parse(), Ok(kept));
    registry.add(note(2))?;
    assert_eq!(history.verify(Some(&kept))?, history.store_head()?);
    assert_eq!(history.verify(None)?.position, Position(2));
    let other = Registry::open(folder.0.join("other"))?;
    other.add(note(1))?;
    let cut = other.history().verify(Some(&history.store_head()?));
    assert!(matches!(cut, Err(VerifyError::CutTail { .. })), "{cut:?}");
    let exchanged = other.history().verify(Some(&kept));
    assert!(matches!(exchanged, Err(VerifyError::CutTail { .. })), "{exchanged:?}");
    Ok(())
}

#[test]
fn what_is_no_head_is_refused() {
    let digits = "0".repeat(64);
    for text in ["", "1", "1 ", "x 00", "-1 00", &digits, &format!("1 {}", &digits[1..]), &format!("1 {digits}g")] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
    assert_eq!(format!("0 {digits}\n").parse(), Ok(Head::EMPTY));
}

#[test]
fn a_flipped_byte_is_found_where_it_stands() -> Result<()> {
    let folder = Folder::new("flipped");
    {
        let registry = Registry::open(folder.file())?;
        (1..=3).try_for_each(|number| registry.add(note(number)).map(drop))?;
    }
    let mut bytes = std::fs::read(folder.file()).expect("it is there");
    let stands = |bytes: &[u8]| bytes.windows(TEXT.len()).position(|window| window == TEXT.as_bytes());
    let at = stands(&bytes).expect("texts are stored as they are");
    bytes[at + 9] ^= 1;
    std::fs::write(folder.file(), &bytes).expect("it is writable");
    let found = Registry::open(folder.file())?.history().verify(None);
    assert!(matches!(&found, Err(VerifyError::Entry { position: Position(1..=3), .. })), "{found:?}");
    let text = found.expect_err("it is damaged").to_string();
    assert!(text.ends_with("restore the store from a backup"), "{text}");
    Ok(())
}

#[test]
fn a_registry_in_memory_says_that_it_has_no_store() {
    let registry = Registry::in_memory();
    let said = "this registry is in memory alone and has no store: begin one with `Registry::open`, or build it `over` a store";
    assert_eq!(registry.history().store_head(), Err(StoreError::InMemory));
    assert_eq!(registry.history().verify(None).map_err(|error| error.to_string()), Err(said.to_owned()));
    assert_eq!(registry.backup("nowhere"), Err(StoreError::InMemory));
    assert!(matches!(registry.store(), Err(StoreError::InMemory)));
}

#[test]
fn a_store_that_makes_no_copies_says_so() -> Result<()> {
    let registry = Registry::builder().over(MemoryStore::new())?;
    let backup = registry.backup("nowhere").expect_err("it is in memory").to_string();
    assert_eq!(backup, "this kind of store has no backup of its own: copy what it holds with `export` and `import`");
    assert!(matches!(registry.store()?.sizes(), Err(StoreError::Unsupported { .. })));
    Ok(())
}

#[test]
fn backups_made_while_another_thread_writes_are_prefixes() -> Result<()> {
    let folder = Folder::new("backup");
    let registry = Registry::builder().durability(Durability::Normal).open(folder.file())?;
    let _ = registry.register("write", write)?;
    let id = registry.add(note(0))?;
    let is_done = AtomicBool::new(false);
    let copies: Vec<PathBuf> = (0..6).map(|number| folder.0.join(format!("copy {number}"))).collect();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !is_done.load(Ordering::Relaxed) {
                number += 1;
                registry.call(write, (id, number)).expect("nobody else writes");
            }
        });
        for copy in &copies {
            registry.backup(copy).expect("nothing stands there");
        }
        is_done.store(true, Ordering::Relaxed);
        writer.join().expect("it does not panic");
    });
    let mut last = 0;
    for copy in &copies {
        let copy = Registry::open(copy)?;
        let head = copy.history().verify(None)?;
        // The original passes through the very head of the copy: the copy is a prefix of it.
        registry.history().verify(Some(&head))?;
        assert!(head.position.0 >= last, "{head}");
        last = head.position.0;
        assert_eq!(copy.get(id)?.number, last - 1);
        assert_eq!(copy.history().digest(id, When::Head)?, registry.history().digest(id, head.position)?);
        copy.add(note(9))?;
    }
    assert!(matches!(registry.backup(&copies[0]), Err(StoreError::Io { .. })));
    Ok(())
}

#[test]
fn sizes_are_told_table_by_table() -> Result<()> {
    let folder = Folder::new("sizes");
    let registry = Registry::open(folder.file())?;
    let id = registry.add(note(0))?;
    let sizes = registry.store()?.sizes()?;
    assert!(sizes.file + sizes.write_ahead_log > 0);
    assert!(sizes.tables.iter().any(|(name, bytes)| name == "version" && *bytes > 0), "{sizes:?}");
    assert!(!matches!(registry.get(id), Err(ReadError::Store(_))));
    Ok(())
}
