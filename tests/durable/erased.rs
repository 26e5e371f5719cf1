//! A process that erases is killed: each erasure is there as a whole, or nothing of it.

use std::io::Write;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::store::{AppendError, MemoryStore, SqliteStore, StoreError, verify};
use heirloom::{EraseError, ReadError};

use crate::answers::next;
use crate::common::{Directory, id};
use crate::faulty::{Faults, Faulty, full};
use crate::kill::kill;
use crate::together::start;

#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(subject)]
struct Person {
    id: Id<Person>,
    number: u64,
}

/// Where the file is, for a process that is to be killed.
const FILE: &str = "HEIRLOOM_ERASE_FILE";

fn person(number: u64) -> Id<Person> {
    id(&format!("person {number}"))
}

#[test]
fn a_process_erases_until_it_is_killed() -> heirloom::Result<()> {
    let Some(file) = std::env::var_os(FILE) else { return Ok(()) };
    let registry = Registry::open(file)?;
    let first = (1..).find(|number| registry.history().revision(person(*number)).is_err()).expect("there is one");
    for number in first.. {
        registry.add(Person { id: person(number), number })?;
        registry.remove(person(number))?;
        registry.erase(person(number))?;
        let mut out = std::io::stdout();
        writeln!(out, "committed {number}").and_then(|()| out.flush()).expect("somebody listens");
    }
    Ok(())
}

#[test]
fn what_a_killed_process_was_told_is_erased_is_erased() -> heirloom::Result<()> {
    let rounds: u64 = std::env::var("HEIRLOOM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    let (mut seed, directory, mut all) = (u64::from(std::process::id()), Directory::new("erase"), 0);
    for _ in 0..rounds {
        let file = directory.file();
        let process = start("erased::a_process_erases_until_it_is_killed", FILE, &file);
        let (last, _) = kill(process, Duration::from_millis(50 + next(&mut seed) % 200));
        if !file.exists() {
            continue;
        }
        // That a key is there exactly if no entry erased it is part of this.
        verify(&SqliteStore::open(&file)?, None)?;
        let registry = Registry::open(&file)?;
        registry.register_type::<Person>()?;
        for number in (1..).take_while(|number| registry.history().revision(person(*number)).is_ok()) {
            let read = registry.history().at(person(number), Revision(1));
            let is_erased = matches!(&read, Err(ReadError::Erased { .. }));
            assert!(is_erased || (number > last && read.is_ok_and(|person| person.number == number)), "{number}");
            // The one that it was at goes on where it stopped.
            if !is_erased {
                _ = registry.remove(person(number));
                assert_eq!(registry.erase(person(number))?.versions, 1);
            }
            all = number;
        }
    }
    assert!(all > 0);
    Ok(())
}

/// A person who was removed, over a store that fails when it is told to.
fn removed(faults: &Faults, store: &MemoryStore, reads: u64) -> heirloom::Result<Registry> {
    let registry = Registry::builder().over(store.clone())?;
    if registry.history().revision(person(1)).is_err() {
        registry.add(Person { id: person(1), number: 1 })?;
        registry.remove(person(1))?;
    }
    let registry = Registry::builder().over(Faulty::new(store.clone(), faults.clone(), u64::MAX))?;
    registry.register_type::<Person>()?;
    assert_eq!(registry.history().at(person(1), Revision(1))?.number, 1);
    drop(registry);
    let registry = Registry::builder().over(Faulty::new(store.clone(), faults.clone(), reads + 2))?;
    registry.register_type::<Person>()?;
    Ok(registry)
}

#[test]
fn an_erasure_that_the_store_refuses_erases_nothing_and_is_done_when_it_does_not() -> heirloom::Result<()> {
    let (faults, store) = (Faults::default(), MemoryStore::new());
    let registry = removed(&faults, &store, 1000)?;
    faults.set(Box::new(full));
    let refused = registry.erase(person(1)).expect_err("the disk is full");
    assert!(matches!(refused, EraseError::Append(AppendError::Store(StoreError::Full { .. }))), "{refused}");
    assert_eq!(registry.history().at(person(1), Revision(1))?.number, 1);
    // Somebody else commits just before.
    let other = Registry::builder().over(store.clone())?;
    let mut first = true;
    faults.set(Box::new(move || {
        if std::mem::take(&mut first) {
            other.add(Person { id: person(2), number: 2 }).expect("nobody is in its way");
        }
        Ok(())
    }));
    assert_eq!(registry.erase(person(1))?.versions, 1);
    assert_eq!(faults.clear(), 2);
    assert!(matches!(registry.history().at(person(1), Revision(1)), Err(ReadError::Erased { .. })));
    assert_eq!(registry.get(person(2))?.number, 2);
    Ok(())
}

#[test]
fn an_erasure_during_which_reading_fails_is_done_or_not_and_says_which() -> heirloom::Result<()> {
    let (mut failed, mut done) = (0, 0);
    for reads in 0..40 {
        let (faults, store) = (Faults::default(), MemoryStore::new());
        let Ok(registry) = removed(&faults, &store, reads) else { continue };
        let erased = registry.erase(person(1));
        let found = Registry::builder().over(store.clone())?;
        found.register_type::<Person>()?;
        let read = found.history().at(person(1), Revision(1));
        match erased {
            Ok(erasure) => assert!(erasure.versions == 1 && matches!(read, Err(ReadError::Erased { .. })), "{reads}"),
            Err(error) => assert!(read.is_ok(), "{reads}: {error}"),
        }
        if read.is_ok() {
            failed += 1
        } else {
            done += 1
        }
        // What it had in memory is not told, whatever it could read.
        if read.is_err() {
            assert!(registry.history().at(person(1), Revision(1)).is_err());
        }
        verify(&store, None)?;
    }
    assert!(failed > 3 && done > 3, "{failed} {done}");
    Ok(())
}
