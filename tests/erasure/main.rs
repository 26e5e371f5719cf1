//! Erasing a subject: what is sealed under its key is unreadable, everything else is as it was, and the chain verifies.

#![cfg(all(feature = "sqlite", feature = "erasure"))]

#[path = "../common/mod.rs"]
mod common;
mod copies;
mod golden;
mod reading;
mod same;

use std::fs;
use std::path::PathBuf;

use heirloom::ReadError;
use heirloom::prelude::*;
use heirloom::store::MemoryStore;

use crate::common::id;

#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(subject)]
struct Customer {
    id: Id<Customer>,
    name: String,
    notes: Vec<String>,
    friend: Option<Id<Customer>>,
    cards: Vec<Card>,
}

/// What a customer holds by value, and what is its own.
#[derive(Entity, Clone, Debug, PartialEq)]
struct Card {
    id: Id<Card>,
    number: u32,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Order {
    id: Id<Order>,
    #[entity(subject)]
    customer: Id<Customer>,
    address: String,
}

/// An entity that is nobody's, with some that are.
#[derive(Entity, Clone, Debug, PartialEq)]
struct Shop {
    id: Id<Shop>,
    name: String,
    customers: Children<Customer>,
}

const MARKER: &str = "Ann of the seven hills";

fn customer(name: &str) -> Customer {
    Customer { id: id(name), name: format!("{name}: {MARKER}"), notes: vec![], friend: None, cards: vec![] }
}

fn order(name: &str, of: &str) -> Order {
    Order { id: id(name), customer: id(of), address: format!("{MARKER} 7") }
}

fn note(customer: &mut Customer, note: String) -> std::result::Result<(), String> {
    if note.starts_with("bad") {
        return Err(format!("{note} is refused"));
    }
    customer.notes.push(note);
    Ok(())
}

fn register(registry: &Registry) -> heirloom::Result<()> {
    let _ = registry.register("note", note)?;
    registry.register_type::<Order>()?;
    registry.register_type::<Shop>()?;
    Ok(())
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heirloom-erasure-{}-{name}", std::process::id()));
        _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("shop.heirloom")
    }

    fn open(&self) -> Registry {
        let registry = Registry::open(self.file()).expect("it opens");
        register(&registry).expect("nothing is registered yet");
        registry
    }

    fn has(&self, bytes: &[u8]) -> bool {
        let files = fs::read_dir(&self.0).expect("it is there").map(|file| fs::read(file.expect("it is").path()));
        files.map(|file| file.expect("it can be read")).any(|file| contains(&file, bytes))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn contains(file: &[u8], bytes: &[u8]) -> bool {
    file.iter().enumerate().filter(|(_, byte)| **byte == bytes[0]).any(|(at, _)| file[at..].starts_with(bytes))
}

fn erased<T: std::fmt::Debug>(read: Result<T, ReadError>) {
    assert!(matches!(read, Err(ReadError::Erased { .. })), "{read:?}");
}

/// Ann with three versions and an order, removed; Bob, who stays; and what was asked of the log.
fn a_shop(registry: &Registry) -> heirloom::Result<(Id<Customer>, Id<Order>)> {
    let (ann, bob) = (customer("Ann"), customer("Bob"));
    let (ann_id, bob_id) = (ann.id, bob.id);
    let cards = vec![Card { id: id("card"), number: 7 }];
    registry.by("clerk").add(Customer { friend: Some(bob_id), cards, ..ann })?;
    registry.by("clerk").add(bob)?;
    let order = registry.by("clerk").add(order("order", "Ann"))?;
    registry.by("clerk").call(note, (ann_id, format!("calls often, {MARKER}")))?;
    registry.by("clerk").call(note, (ann_id, format!("bad: {MARKER}"))).expect_err("it is refused");
    registry.by("clerk").call(note, (bob_id, "tall".to_owned()))?;
    Ok((ann_id, order))
}

fn in_both(test: impl Fn(&Registry) -> heirloom::Result<()>) -> heirloom::Result<()> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let folder = Folder::new(&format!("both-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
    test(&folder.open())?;
    let registry = Registry::builder().over(MemoryStore::new())?;
    register(&registry)?;
    test(&registry)
}
