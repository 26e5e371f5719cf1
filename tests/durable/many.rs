//! Much of everything: commits, children, depth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore};

use crate::answers::next;
use crate::common::{Directory, id};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Shelf {
    id: Id<Shelf>,
    name: String,
    books: Children<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Book {
    id: Id<Book>,
    pages: u64,
    text: String,
}

#[derive(Entity, Clone)]
struct Link {
    id: Id<Link>,
    depth: u64,
    next: Option<Child<Link>>,
}

fn read_on(book: &mut Book, pages: u64) {
    book.pages = pages;
    book.text = format!("read up to page {pages}, which is as far as it goes for now");
}

fn rearrange(shelf: &mut Shelf, mut seed: u64) {
    for _ in 0..3 {
        let (count, kind) = (shelf.books.len() as u64, next(&mut seed) % 4);
        let at = (next(&mut seed) % count) as usize;
        match kind {
            0 => shelf.books.move_to(at, (next(&mut seed) % count) as usize),
            1 => drop(shelf.books.remove(at)),
            2 => shelf.books.insert(at, book(100_000 + next(&mut seed) % 1_000_000)).expect("it is new"),
            _ => shelf.books.get_mut(at).expect("it is there").pages += 1,
        }
    }
}

fn deepen(link: &mut Link, by: u64) {
    link.depth += by;
}

fn book(number: u64) -> Book {
    Book { id: id(&format!("book {number}")), pages: 0, text: String::new() }
}

fn shelf(count: u64) -> Shelf {
    let books = Children::try_from_iter((0..count).map(book)).expect("each stands once");
    Shelf { id: id("shelf"), name: "wide".to_owned(), books }
}

fn register(registry: Registry) -> heirloom::Result<Registry> {
    let _ = registry.register("read on", read_on)?;
    let _ = registry.register("rearrange", rearrange)?;
    let _ = registry.register("deepen", deepen)?;
    Ok(registry)
}

fn open(directory: &Directory) -> heirloom::Result<Registry> {
    register(Registry::builder().durability(Durability::Normal).open(directory.file())?)
}

#[test]
fn all_of_a_thousand_versions_are_read_while_more_are_made() -> heirloom::Result<()> {
    let directory = Directory::new("many");
    let registry = open(&directory)?;
    let (owner, only): (Id<Shelf>, Id<Book>) = (id("shelf"), id("book 1"));
    registry.add(shelf(3))?;
    let made = AtomicU64::new(1);
    let check = |history: &History, revision: u64| {
        let pages = if revision == 1 { 0 } else { revision };
        assert_eq!(history.at(only, Revision(revision)).expect("it reads").pages, pages);
        let shelf = history.at(owner, Revision(revision)).expect("it reads");
        assert_eq!(shelf.books.by_id(only).expect("it is there").pages, pages);
        assert_eq!(shelf.books.by_id(id("book 2")).expect("it is there").pages, 0);
    };
    thread::scope(|scope| {
        for mut seed in [3, 4] {
            let (made, check, registry) = (&made, &check, registry.clone());
            scope.spawn(move || {
                while made.load(Ordering::Acquire) < 1_000 {
                    let history = registry.history();
                    let last = made.load(Ordering::Acquire);
                    check(&history, 1 + next(&mut seed) % last);
                    check(&history, last);
                }
            });
        }
        for revision in 2..=1_000 {
            registry.call(read_on, (only, revision)).expect("nobody else writes");
            made.store(revision, Ordering::Release);
        }
    });
    for registry in [registry, open(&directory)?] {
        let history = registry.history();
        (1..=1_000).for_each(|revision| check(&history, revision));
        assert_eq!(history.of(only)?.len(), 1_000);
        assert_eq!(history.field(only, Book::PAGES)?.len(), 1_000);
        assert_eq!(history.diff(owner, Revision(1), Revision(900))?.len(), 2);
        assert_eq!(history.changes(heirloom::Position(70))?.len(), 2);
    }
    Ok(())
}

#[test]
fn wide_children_differ_as_they_do_in_memory() -> heirloom::Result<()> {
    const BOOKS: u64 = 5_000;
    const COMMITS: u64 = 120;
    let store = MemoryStore::new();
    let (memory, durable) = (register(Registry::in_memory())?, register(Registry::builder().over(store.clone())?)?);
    let owner: Id<Shelf> = id("shelf");
    for registry in [&memory, &durable] {
        registry.add(shelf(BOOKS))?;
        for commit in 1..COMMITS {
            if commit % 3 == 0 {
                registry.call(rearrange, (owner, commit))?;
            } else {
                // One that was taken out is not there to be read.
                _ = registry.call(read_on, (id(&format!("book {}", commit * 37 % BOOKS)), commit));
            }
        }
    }
    let mut seed = 11;
    let reopened = register(Registry::builder().over(store)?)?;
    for registry in [&durable, &reopened] {
        let last = memory.history().revision(owner)?.0;
        assert_eq!(registry.history().revision(owner)?.0, last);
        for _ in 0..6 {
            let (from, to) = (Revision(1 + next(&mut seed) % last), Revision(1 + next(&mut seed) % last));
            let expected = memory.history().diff(owner, from, to)?;
            let found = registry.history().diff(owner, from, to)?;
            assert_eq!(found.to_string(), expected.to_string(), "{from} to {to}");
            assert_eq!(registry.history().digest(owner, to)?, memory.history().digest(owner, to)?);
        }
    }
    Ok(())
}

fn chain(depth: u64) -> Link {
    let mut link = Link { id: id(&format!("link {depth}")), depth, next: None };
    for depth in (0..depth).rev() {
        link = Link { id: id(&format!("link {depth}")), depth, next: Some(Child::new(link)) };
    }
    link
}

#[test]
fn the_end_of_a_deep_chain_is_edited_and_read() -> heirloom::Result<()> {
    const DEPTH: u64 = 2_000;
    let directory = Directory::new("deep");
    let (top, end): (Id<Link>, Id<Link>) = (id("link 0"), id(&format!("link {DEPTH}")));
    let registry = open(&directory)?;
    registry.add(chain(DEPTH))?;
    registry.call(deepen, (end, 5))?;
    drop(registry);
    let registry = open(&directory)?;
    assert_eq!(registry.get(end)?.depth, DEPTH + 5);
    registry.call(deepen, (end, 7))?;
    drop(registry);
    let registry = open(&directory)?;
    let history = registry.history();
    for (revision, more) in [(1, 0), (2, 5), (3, 12)] {
        let root = history.at(top, Revision(revision))?;
        let mut link = &root;
        while let Some(next) = &link.next {
            link = next;
        }
        assert_eq!((link.depth, history.at(end, Revision(revision))?.depth), (DEPTH + more, DEPTH + more));
    }
    assert_eq!(history.tree(top, When::Head)?.path(end)?.split('.').count() as u64, DEPTH);
    assert_eq!(history.diff(top, Revision(1), Revision(3))?.len(), 1);
    Ok(())
}

#[test]
fn a_value_outlives_its_registry_and_still_loads_what_it_owns() -> heirloom::Result<()> {
    let directory = Directory::new("outlives");
    let owner: Id<Shelf> = id("shelf");
    let registry = open(&directory)?;
    registry.add(shelf(50))?;
    registry.call(read_on, (id("book 7"), 70))?;
    drop(registry);
    let registry = open(&directory)?;
    let (now, before) = (registry.get(owner)?, registry.history().at(owner, Revision(1))?);
    drop(registry);
    let later = open(&directory)?;
    later.call(read_on, (id("book 7"), 77))?;
    later.remove(owner)?;
    drop(later);
    assert_eq!(now.books.by_id(id("book 7")).map(|book| book.pages), Some(70));
    assert_eq!(before.books.iter().map(|book| book.pages).sum::<u64>(), 0);
    assert_eq!(now.books.iter().map(|book| book.pages).sum::<u64>(), 70);
    Ok(())
}
