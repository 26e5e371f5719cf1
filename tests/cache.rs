//! What is held of a store in memory has an end, and nobody can tell by the answers.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::cases;
use heirloom::prelude::*;
use heirloom::store::MemoryStore;
use heirloom::{EntityId, Result};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Library {
    id: Id<Library>,
    shelves: Children<Shelf>,
    desk: Vec<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Shelf {
    id: Id<Shelf>,
    books: Children<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Book {
    id: Id<Book>,
    title: String,
    notes: Vec<String>,
}

fn note(book: &mut Book, text: String) {
    book.notes.push(text);
}

fn put(shelf: &mut Shelf, key: u64) {
    shelf.books.push(book(key)).expect("each key once");
}

fn lend(library: &mut Library, shelf: usize) {
    let shelf = shelf % library.shelves.len();
    let shelf = library.shelves.get_mut(shelf).expect("it is one of them");
    if !shelf.books.is_empty() {
        let lent = shelf.books.remove(0).expect("there is one");
        library.desk.push(lent.into_inner());
    }
}

fn key<T>(kind: &str, key: u64) -> Id<T> {
    Id::from_entity_id(EntityId::derive(kind, &key.to_string()))
}

fn book(number: u64) -> Book {
    Book {
        id: key("Book", number),
        title: format!("Volume {number} {}", "of a long title ".repeat(9)),
        notes: Vec::new(),
    }
}

const SHELVES: u64 = 4;
const BOOKS: u64 = 6;

fn fill(registry: &Registry) -> Result<Id<Library>> {
    let _ = registry.register("note", note)?;
    let _ = registry.register("put", put)?;
    let _ = registry.register("lend", lend)?;
    let shelf = |at: u64| -> Result<Shelf> {
        let books = (0..BOOKS).map(|number| book(at * 100 + number));
        Ok(Shelf { id: key("Shelf", at), books: Children::try_from_iter(books)? })
    };
    let shelves: Vec<Shelf> = (0..SHELVES).map(shelf).collect::<Result<_>>()?;
    Ok(registry.add(Library { id: key("Library", 0), shelves: Children::try_from_iter(shelves)?, desk: Vec::new() })?)
}

fn step(registry: &Registry, library: Id<Library>, number: usize, (kind, at): (u8, u64)) -> Result<()> {
    let shelf = at % SHELVES;
    // What is no longer there is refused alike.
    match kind % 4 {
        0 | 1 => drop(registry.call(note, (key("Book", shelf * 100 + at % BOOKS), format!("note {number}")))?),
        2 => drop(registry.call(put, (key("Shelf", shelf), 1_000 + number as u64))?),
        _ => drop(registry.call(lend, (library, shelf as usize))?),
    }
    Ok(())
}

/// Counts how many of its kind are in memory.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Counted(u32);

static LIVE: AtomicUsize = AtomicUsize::new(0);

impl Counted {
    fn new(number: u32) -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self(number)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self::new)
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Ticket {
    id: Id<Ticket>,
    #[entity(value)]
    number: Counted,
}

#[test]
fn a_cache_holds_about_as_much_as_it_is_told_to() -> Result<()> {
    const TICKETS: u32 = 3000;
    let store = MemoryStore::new();
    let ticket = |number: u32| Ticket { id: key("Ticket", number.into()), number: Counted::new(number) };
    let held_of = |cache: Option<usize>, write: bool| -> Result<usize> {
        let builder = Registry::builder();
        let builder = cache.into_iter().fold(builder, |builder, bytes| builder.cache(bytes));
        let registry = builder.over(if write { MemoryStore::new() } else { store.clone() })?;
        let before = LIVE.load(Ordering::Relaxed);
        for number in 0..TICKETS {
            match write {
                true => drop(registry.add(ticket(number))?),
                false => assert_eq!(registry.get(key::<Ticket>("Ticket", number.into()))?.number.0, number),
            }
        }
        Ok(LIVE.load(Ordering::Relaxed) - before)
    };
    let filled = Registry::builder().over(store.clone())?;
    for number in 0..TICKETS {
        filled.add(ticket(number))?;
    }
    for write in [false, true] {
        // The control: without an end they stay.
        assert_eq!(held_of(None, write)?, TICKETS as usize);
        let held = held_of(Some(256 << 10), write)?;
        assert!(held < 600, "{held} are held");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(12)) })]
    #[test]
    fn a_cache_without_room_answers_as_one_without_end(steps in vec((any::<u8>(), any::<u64>()), 1..160)) {
        let store = MemoryStore::new();
        let small = Registry::builder().cache(1).over(store.clone()).expect("it opens");
        let memory = Registry::in_memory();
        let library = fill(&small).and_then(|_| fill(&memory)).expect("it is filled");
        for (number, given) in steps.iter().enumerate() {
            let done = [&small, &memory].map(|registry| step(registry, library, number, *given).map_err(|error| error.to_string()));
            assert_eq!(done[0], done[1], "{number}");
        }
        let reopened = Registry::builder().cache(1).over(store).expect("it opens");
        for registry in [&small, &reopened] {
            assert_eq!(registry.get(library).expect("it is there"), memory.get(library).expect("it is there"));
            let (history, expected) = (registry.history(), memory.history());
            assert_eq!(history.head(), expected.head());
            for revision in (1..=expected.revision(library).expect("it is known").0).map(Revision) {
                let read = |history: &History| history.at(library, revision).expect("it was there");
                assert_eq!(read(&history), read(&expected), "{revision}");
            }
            let digest = |history: &History| history.digest(library, When::Head).expect("it is there");
            assert_eq!(digest(&history), digest(&expected));
        }
    }
}
