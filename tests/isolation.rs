//! Histories of concurrent reads and commits, judged by an independent checker of isolation.
//!
//! Each run is one transaction over lists: it reads some and appends to some. What each thread asked for and was told goes
//! to `adya`, which infers from it who must have come before whom, and looks for cycles.

use std::path::PathBuf;
use std::sync::{Barrier, Mutex};
use std::thread;

use adya::{History as Told, Opts, Report, Valid, Workload, check};
use heirloom::prelude::*;
use heirloom::store::Durability;
use heirloom::{CallError, CommitError, EntityId, Result};
use serde_json::{Value as Json, json};

#[derive(Entity, Clone, Debug, PartialEq)]
struct List {
    id: Id<List>,
    items: Vec<u64>,
}

fn both(one: &List, other: &List) -> (Vec<u64>, Vec<u64>) {
    (one.items.clone(), other.items.clone())
}

fn append(list: &mut List, item: u64) -> Vec<u64> {
    let before = list.items.clone();
    list.items.push(item);
    before
}

/// Reads one, and appends to another: what is read is part of what the commit rests on.
fn read_and_append(read: &List, list: &mut List, item: u64) -> (Vec<u64>, Vec<u64>) {
    (read.items.clone(), append(list, item))
}

fn append_to_both(one: &mut List, other: &mut List, item: u64) -> (Vec<u64>, Vec<u64>) {
    (append(one, item), append(other, item))
}

const LISTS: u64 = 3;

fn list(number: u64) -> Id<List> {
    Id::from_entity_id(EntityId::derive("list", &number.to_string()))
}

fn prepared(registry: Registry, first: bool) -> Result<Registry> {
    let _ = registry.register("both", both)?;
    let _ = registry.register("read and append", read_and_append)?;
    let _ = registry.register("append to both", append_to_both)?;
    if first {
        for number in 0..LISTS {
            registry.add(List { id: list(number), items: Vec::new() })?;
        }
    }
    Ok(registry)
}

/// What was asked for and told, in the order in which it was.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, kind: &str, process: usize, value: &Json) {
        let line = json!({"type": kind, "process": process, "value": value}).to_string();
        self.0.lock().expect("no test panics here").push(line);
    }

    fn judge(&self, model: &str) -> Report {
        let lines = self.0.lock().expect("no test panics here").join("\n");
        let told = Told::from_json(&lines).expect("what was noted is a history");
        check(&told, Workload::ListAppend, &Opts { models: vec![model.to_owned()], ..Opts::default() })
    }
}

fn reads(list: u64, items: Option<&[u64]>) -> Json {
    json!(["r", format!("l{list}"), items])
}

fn appends(list: u64, item: u64) -> Json {
    json!(["append", format!("l{list}"), item])
}

/// One transaction: which, on which lists.
#[derive(Clone, Copy)]
struct Ask {
    kind: u64,
    one: u64,
    other: u64,
    item: u64,
}

impl Ask {
    /// The operations, with what was read of both lists once that is known.
    fn operations(self, found: Option<&(Vec<u64>, Vec<u64>)>) -> Json {
        let Self { kind, one, other, item } = self;
        let (first, second) = (found.map(|found| &*found.0), found.map(|found| &*found.1));
        match kind {
            0 => json!([reads(one, first), reads(other, second)]),
            1 => json!([reads(one, first), reads(other, second), appends(other, item)]),
            _ => json!([reads(one, first), appends(one, item), reads(other, second), appends(other, item)]),
        }
    }

    fn run(self, registry: &Registry) -> std::result::Result<(Vec<u64>, Vec<u64>), CallError> {
        let (one, other) = (list(self.one), list(self.other));
        Ok(match self.kind {
            0 => registry.call(both, (one, other))?.into_value(),
            1 => registry.call(read_and_append, (one, other, self.item))?.into_value(),
            _ => registry.call(append_to_both, (one, other, self.item))?.into_value(),
        })
    }
}

/// Runs transactions on threads, `each` a thread, on registries in turn.
fn hammer(registries: &[Registry], threads: usize, each: u64) -> Notes {
    let notes = Notes::default();
    thread::scope(|scope| {
        for process in 0..threads {
            let (notes, registry) = (&notes, &registries[process % registries.len()]);
            scope.spawn(move || {
                let mut state = process as u64 + 1;
                let mut random = |below: u64| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) % below
                };
                for round in 0..each {
                    let one = random(LISTS);
                    let ask = Ask {
                        kind: random(3),
                        one,
                        other: (one + 1 + random(LISTS - 1)) % LISTS,
                        item: process as u64 * 1_000_000 + round,
                    };
                    notes.note("invoke", process, &ask.operations(None));
                    match ask.run(registry) {
                        Ok(found) => notes.note("ok", process, &ask.operations(Some(&found))),
                        Err(CallError::Commit { source: CommitError::Conflict { .. }, .. }) => {
                            notes.note("fail", process, &ask.operations(None));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    notes
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("heirloom-isolation-{name}-{}", std::process::id()));
    _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a temporary directory can be made");
    path
}

#[test]
fn runs_on_one_registry_are_strictly_serializable() -> Result<()> {
    let directory = directory("one");
    let in_memory = prepared(Registry::in_memory(), true)?;
    let full = prepared(Registry::open(directory.join("full.heirloom"))?, true)?;
    let batched = Registry::builder().durability(Durability::Batched).open(directory.join("batched.heirloom"))?;
    for registry in [in_memory, full, prepared(batched, true)?] {
        let report = hammer(&[registry], 6, 60).judge("strict-serializable");
        assert_eq!(report.valid, Valid::True, "{:?}", report.anomaly_types);
    }
    std::fs::remove_dir_all(directory).expect("it was made here");
    Ok(())
}

#[test]
fn runs_on_two_registries_of_one_file_are_serializable() -> Result<()> {
    let directory = directory("two");
    let file = directory.join("lists.heirloom");
    let one = prepared(Registry::open(&file)?, true)?;
    let other = Registry::builder().durability(Durability::Batched).open(&file)?;
    let report = hammer(&[one, prepared(other, false)?], 6, 60).judge("serializable");
    assert_eq!(report.valid, Valid::True, "{:?}", report.anomaly_types);
    std::fs::remove_dir_all(directory).expect("it was made here");
    Ok(())
}

/// The control: what is read outside the run is no part of what it rests on, and the checker sees it.
#[test]
fn a_read_outside_of_the_run_is_flagged() -> Result<()> {
    let registry = prepared(Registry::in_memory(), true)?;
    let (notes, barrier) = (Notes::default(), Barrier::new(2));
    let _ = registry.register("append", append)?;
    thread::scope(|scope| {
        for process in 0..2_u64 {
            let (registry, notes, barrier) = (&registry, &notes, &barrier);
            scope.spawn(move || {
                let (own, other) = (process, 1 - process);
                let operations = |found: Option<(&[u64], &[u64])>| {
                    let (first, second) = (found.map(|found| found.0), found.map(|found| found.1));
                    json!([reads(other, first), reads(own, second), appends(own, process + 1)])
                };
                notes.note("invoke", process as usize, &operations(None));
                let read = registry.get(list(other)).expect("it is there").items;
                barrier.wait();
                let before = registry.call(append, (list(own), process + 1)).expect("nobody else appends to it");
                notes.note("ok", process as usize, &operations(Some((&read, before.value()))));
            });
        }
    });
    let report = notes.judge("serializable");
    assert_eq!((report.valid, report.anomaly_types.join(" ")), (Valid::False, "G2-item".to_owned()));
    Ok(())
}
