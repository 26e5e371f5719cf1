//! Several stores on one file.

use std::thread;

use heirloom::store::{AppendError, Durability, Head, OwnerChange, SqliteStore, Store, Version, verify};
use heirloom::{EntityId, Position, Revision};

use crate::{Folder, entry, own};

const EACH: u64 = 60;

/// Appends versions of one entity, trying again whenever somebody else was first.
fn append_all(store: &dyn Store, entity: EntityId) {
    let mut head = store.head().unwrap();
    for revision in 1..=EACH {
        loop {
            let owner = (revision == 1).then_some(OwnerChange::Root);
            let version = Version { entity, revision: Revision(revision), body: own("it"), carried: vec![], owner };
            match store.append(&head, &[entry(head.position.0 + 1, vec![version])], Durability::Normal) {
                Ok(next) => {
                    head = next;
                    break;
                }
                Err(AppendError::Moved { found }) => head = found,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn two_that_append_in_turns_leave_no_gap() {
    let folder = Folder::new("together");
    let entities = [1, 2].map(|number| EntityId::from_bytes([number; 16]));
    thread::scope(|scope| {
        for entity in entities {
            let path = folder.file();
            scope.spawn(move || append_all(&SqliteStore::open(path).unwrap(), entity));
        }
    });
    let store = SqliteStore::open(folder.file()).unwrap();
    let head = verify(&store, None).unwrap();
    assert_eq!(head.position, Position(2 * EACH));
    for entity in entities {
        assert_eq!(store.newest(entity).unwrap().unwrap().revision, Revision(EACH));
    }
}

#[test]
fn many_that_open_a_new_file_at_once_make_one_store() {
    let folder = Folder::new("at-once");
    for round in 0..40 {
        let path = &folder.0.join(round.to_string());
        thread::scope(|scope| {
            for number in 1..6 {
                scope.spawn(move || {
                    let store = SqliteStore::open(path).unwrap();
                    assert_eq!(store.tag(&number.to_string(), Position(0)).unwrap(), Position(0));
                });
            }
        });
        assert_eq!(SqliteStore::open_read_only(path).unwrap().tags().unwrap().len(), 5);
    }
}

#[test]
fn many_threads_read_while_one_appends() {
    let folder = Folder::new("readers");
    let (store, entity) = (SqliteStore::open(folder.file()).unwrap(), EntityId::from_bytes([1; 16]));
    thread::scope(|scope| {
        scope.spawn(|| append_all(&store, entity));
        for _ in 0..12 {
            scope.spawn(|| {
                let mut last = 0;
                while last < EACH {
                    let head = store.head().unwrap();
                    let there = store.version_at(entity, head.position).unwrap();
                    assert_eq!(there.map_or(0, |row| row.revision.0), head.position.0);
                    assert!(head.position.0 >= last);
                    last = head.position.0;
                }
            });
        }
    });
    verify(&store, None).unwrap();
}

#[test]
fn a_move_is_told_to_everybody_but_who_made_it() {
    let folder = Folder::new("moves");
    let (first, second) = (SqliteStore::open(folder.file()).unwrap(), SqliteStore::open(folder.file()).unwrap());
    assert!(!first.has_moved().unwrap() && !second.has_moved().unwrap());
    let head = first.append(&Head::EMPTY, &crate::two_entries(), Durability::Full).unwrap();
    assert!(!first.has_moved().unwrap());
    assert!(second.has_moved().unwrap());
    assert!(!second.has_moved().unwrap());
    let next = entry(3, vec![]);
    second.append(&head, &[next], Durability::Normal).unwrap();
    assert!(!second.has_moved().unwrap());
    assert!(first.has_moved().unwrap());
    let moved = first.append(&head, &[entry(3, vec![])], Durability::Normal);
    assert!(matches!(moved, Err(AppendError::Moved { found }) if found == second.head().unwrap()));
}
