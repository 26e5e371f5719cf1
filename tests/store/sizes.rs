//! What versions cost on disk, and appends in time.

use std::time::Instant;

use heirloom::store::{Durability, Entry, Head, OwnerChange, SqliteStore, Store, Version, VersionBody};
use heirloom::{EntityId, Revision};
use rusqlite::Connection;

use crate::{Folder, entry, id, own};

/// The bytes of a store with a chain of owners whose last is edited so many times.
fn size_of_chain(depth: u8, commits: u64) -> u64 {
    let folder = Folder::new(&format!("chain-{depth}"));
    let store = SqliteStore::open(folder.file()).unwrap();
    let version = |number: u8, revision: u64| {
        let is_leaf = number == depth;
        let owner = OwnerChange::Owned { owner: id(number.wrapping_sub(1)), field: 1 };
        Version {
            entity: id(number),
            revision: Revision(revision),
            body: if is_leaf || revision == 1 { own("some edit") } else { VersionBody::Carried { own: Revision(1) } },
            carried: if is_leaf { vec![] } else { vec![id(number + 1)] },
            owner: (revision == 1).then_some(if number == 1 { OwnerChange::Root } else { owner }),
        }
    };
    let mut head = Head::EMPTY;
    let entries: Vec<Entry> =
        (1..=commits).map(|at| entry(at, (1..=depth).rev().map(|number| version(number, at)).collect())).collect();
    for batch in entries.chunks(250) {
        head = store.append(&head, batch, Durability::Normal).unwrap();
    }
    let sizes = store.sizes().unwrap();
    assert_eq!(sizes.tables.iter().filter(|(name, _)| name == "version").count(), 1, "{sizes:?}");
    sizes.tables.iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn a_carried_version_costs_less_than_64_bytes() {
    let (commits, depth) = (10_000, 9);
    let (alone, chain) = (size_of_chain(1, commits), size_of_chain(depth, commits));
    let each = (chain - alone) as f64 / (commits * u64::from(depth - 1)) as f64;
    println!("a carried version costs {each:.1} bytes, a commit of one edit {:.1}", alone as f64 / commits as f64);
    assert!(each < 64.0, "{each}");
}

#[test]
#[ignore = "a measurement: cargo test --release --test store -- --ignored --nocapture"]
fn a_large_append_takes_at_most_about_twice_as_long_as_bare_inserts() {
    const COUNT: u64 = 100_000;
    let folder = Folder::new("bulk");
    let body = own(&"x".repeat(200));
    let id = |number: u64| EntityId::from_bytes((u128::from(number) << 64 | 7).to_be_bytes());
    let versions = (0..COUNT).map(|number| Version {
        entity: id(number),
        revision: Revision(1),
        body: body.clone(),
        carried: vec![],
        owner: Some(if number == 0 { OwnerChange::Root } else { OwnerChange::Owned { owner: id(0), field: 1 } }),
    });
    let entry = entry(1, versions.collect());
    let store = SqliteStore::open(folder.file()).unwrap();
    let since = Instant::now();
    store.append(&Head::EMPTY, &[entry], Durability::Full).unwrap();
    let took = since.elapsed();
    drop(store);
    let bare = bare_inserts(&folder);
    println!(
        "{took:?} for {COUNT} versions, {bare:?} for bare inserts: {:.2}x",
        took.as_secs_f64() / bare.as_secs_f64()
    );
}

#[test]
#[ignore = "a measurement: cargo test --release --test store -- --ignored --nocapture"]
fn what_one_small_append_takes() {
    let folder = Folder::new("small");
    let store = SqliteStore::open(folder.file()).unwrap();
    let mut head = Head::EMPTY;
    for (durability, count) in [(Durability::Normal, 20_000), (Durability::Full, 500)] {
        let since = Instant::now();
        for _ in 0..count {
            let at = head.position.0 + 1;
            let owner = (at == 1).then_some(OwnerChange::Root);
            let version =
                Version { entity: id(1), revision: Revision(at), body: own("some edit"), carried: vec![], owner };
            head = store.append(&head, &[entry(at, vec![version])], durability).unwrap();
        }
        println!("{durability:?}: {:?} each", since.elapsed() / count);
    }
    let each = |what: &str, mut body: Box<dyn FnMut() + '_>| {
        let since = Instant::now();
        (0..20_000).for_each(|_| body());
        println!("{what}: {:?} each", since.elapsed() / 20_000);
    };
    each("has_moved", Box::new(|| assert!(!store.has_moved().unwrap())));
    each("newest", Box::new(|| assert!(store.newest(id(1)).unwrap().is_some())));
    each("version_at", Box::new(|| assert!(store.version_at(id(1), heirloom::Position(777)).unwrap().is_some())));
    let moment = heirloom::Timestamp::from_micros(9_000_500);
    each("position_at", Box::new(|| assert!(store.position_at(moment).unwrap().is_some())));
    drop(store);
    let since = Instant::now();
    assert_eq!(SqliteStore::open(folder.file()).unwrap().head().unwrap(), head);
    println!("opening and closing: {:?}", since.elapsed());
}

/// The same rows into the same tables, and nothing else.
fn bare_inserts(folder: &Folder) -> std::time::Duration {
    drop(SqliteStore::open(folder.0.join("bare")).unwrap());
    let mut connection = Connection::open(folder.0.join("bare")).unwrap();
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -16384").unwrap();
    let from = Connection::open(folder.file()).unwrap();
    let mut rows = Vec::new();
    for (table, count) in [("entity", 4), ("version", 8), ("edge", 5), ("entry", 8)] {
        let places: Vec<String> = (1..=count).map(|number| format!("?{number}")).collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
        let mut statement = from.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let read =
            |row: &rusqlite::Row<'_>| (0..count).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect();
        let read: Vec<Vec<_>> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
        rows.push((insert, read));
    }
    let since = Instant::now();
    let transaction = connection.transaction().unwrap();
    for (insert, rows) in &rows {
        let mut statement = transaction.prepare_cached(insert).unwrap();
        for row in rows {
            statement.execute(rusqlite::params_from_iter(row)).unwrap();
        }
    }
    transaction.commit().unwrap();
    since.elapsed()
}
