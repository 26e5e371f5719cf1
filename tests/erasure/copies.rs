//! What is in files, in lines and in other processes: the plain text nowhere, the key until it is erased.

use heirloom::prelude::*;
use heirloom::store::{
    AppendError, Head, KeyNumber, MemoryStore, SqliteStore, Store, StoreError, VersionBody, export, import, verify,
};
use heirloom::{Argument, CallError, EraseError, Position, ReadError, RecallError, RunEnd};

use crate::common::id;
use crate::{Customer, Folder, MARKER, Order, a_shop, contains, customer, erased, note, order, register};

#[test]
fn what_is_sealed_reads_as_it_was_and_stands_in_no_file_in_the_clear() -> heirloom::Result<()> {
    let folder = Folder::new("sealed");
    let registry = folder.open();
    let (ann, order) = a_shop(&registry)?;
    assert!(!folder.has(MARKER.as_bytes()));
    for registry in [registry, folder.open()] {
        assert!(registry.get(ann)?.notes[0].contains(MARKER) && registry.get(order)?.address.contains(MARKER));
        assert_eq!(registry.history().at(ann, Revision(1))?.notes, Vec::<String>::new());
        assert_eq!(registry.history().of(ann)?.len(), 2);
        let failed = registry.history().entry(Position(5))?;
        let run = failed.run().expect("a run made it");
        assert!(matches!(run.end(), RunEnd::Failed(reason) if reason.contains(MARKER)), "{run:?}");
        assert!(matches!(&run.arguments()[1], Argument::Value(value) if value.to_string().contains(MARKER)));
        registry.history().verify(None)?;
    }
    Ok(())
}

#[test]
fn the_key_is_in_no_file_after_it() -> heirloom::Result<()> {
    let folder = Folder::new("files");
    let registry = folder.open();
    let (ann, order) = a_shop(&registry)?;
    let key = registry.store()?.key(KeyNumber(1))?.and_then(|row| row.secret).expect("it is Ann's");
    assert!(folder.has(key.as_bytes()));
    registry.remove(ann)?;
    registry.remove(order)?;
    assert!(!registry.erase(ann)?.lingers);
    assert!(!folder.has(key.as_bytes()) && !folder.has(MARKER.as_bytes()));
    drop(registry);
    erased(folder.open().history().at(ann, Revision(1)));
    Ok(())
}

#[test]
fn another_registry_on_the_file_lets_go_of_what_it_had() -> heirloom::Result<()> {
    let folder = Folder::new("others");
    let (first, second) = (folder.open(), folder.open());
    let (ann, order) = a_shop(&first)?;
    assert!(second.history().at(ann, Revision(1)).is_ok() && second.get(order).is_ok());
    assert!(second.history().entry(Position(4))?.run().is_some_and(|run| !run.is_erased()));
    first.remove(ann)?;
    first.remove(order)?;
    first.erase(ann)?;
    erased(second.history().at(ann, Revision(1)));
    erased(second.history().at(order, Revision(1)));
    assert!(second.history().entry(Position(4))?.run().is_some_and(|run| run.is_erased()));
    Ok(())
}

#[test]
fn who_did_not_look_since_seals_nothing_under_a_destroyed_key() -> heirloom::Result<()> {
    let folder = Folder::new("late");
    let (first, second) = (folder.open(), folder.open());
    let (ann, order_id) = a_shop(&first)?;
    first.remove(ann)?;
    first.remove(order_id)?;
    // It knows Ann's key, and has what it is to commit ready.
    let mine = second.add(order("mine", "Ann"))?;
    second.remove(mine)?;
    let batch = second.batch().add(order("again", "Ann"));
    first.erase(ann)?;
    batch.commit()?;
    let store = first.store()?;
    let row = store.newest(id::<Order>("again").entity_id())?.expect("it was committed");
    let VersionBody::Own { seal: Some(seal), .. } = row.body else { panic!("it is sealed") };
    let key = store.key(seal)?.expect("it was made");
    assert!(seal.0 > 1 && key.secret.is_some() && key.erased.is_none());
    assert!(first.get(id::<Order>("again"))?.address.contains(MARKER));
    erased(second.history().at(mine, Revision(1)));
    verify(store, None)?;
    Ok(())
}

#[test]
fn lines_and_backups_have_what_was_not_erased_when_they_were_made() -> heirloom::Result<()> {
    let folder = Folder::new("copies");
    let registry = folder.open();
    let (ann, order) = a_shop(&registry)?;
    registry.remove(ann)?;
    registry.remove(order)?;
    let copy = Folder::new("copies-backup");
    registry.backup(copy.file())?;
    let lines = |store: &dyn Store| -> heirloom::Result<Vec<u8>> {
        let mut lines = Vec::new();
        export(store, Position(0), &mut lines)?;
        Ok(lines)
    };
    let before = lines(registry.store()?)?;
    assert!(!contains(&before, MARKER.as_bytes()));
    registry.erase(ann)?;
    let over = |lines: &[u8]| -> heirloom::Result<Registry> {
        let store = MemoryStore::new();
        import(&mut &*lines, &store)?;
        let registry = Registry::builder().over(store)?;
        register(&registry)?;
        Ok(registry)
    };
    assert!(over(&before)?.history().at(ann, Revision(1)).is_ok());
    let after = over(&lines(registry.store()?)?)?;
    assert_eq!(after.history().store_head()?, registry.history().store_head()?);
    erased(after.history().at(ann, Revision(1)));
    assert_eq!(after.get(id::<Customer>("Bob"))?, registry.get(id::<Customer>("Bob"))?);
    // A backup that was made before is erased for itself.
    let backup = copy.open();
    assert!(backup.history().at(ann, Revision(1)).is_ok());
    backup.erase(ann)?;
    erased(backup.history().at(ann, Revision(1)));
    Ok(())
}

/// Changes the file by SQL, mends nothing, and reads Ann's first version.
fn tampered(sql: &str) -> ReadError {
    let folder = Folder::new("tampered");
    let registry = folder.open();
    registry.add(customer("Ann")).expect("she is new");
    registry.add(customer("Bob")).expect("he is new");
    drop(registry);
    // The store itself would tell by its checksums: they are mended as somebody would who knows the format.
    let store = SqliteStore::open(folder.file()).expect("it opens");
    let memory = MemoryStore::new();
    let mut head = Head::EMPTY;
    while let Some(mut entry) = store.read(Position(head.position.0 + 1)).expect("it is whole") {
        for version in &mut entry.versions {
            let VersionBody::Own { bytes, seal, .. } = &mut version.body else { continue };
            match sql {
                "flip" => {
                    let mut changed = bytes.to_vec();
                    let last = changed.len() - 1;
                    changed[last] ^= 1;
                    *bytes = changed.into();
                }
                "cut" => *bytes = bytes[..9].into(),
                "key" if entry.position == Position(2) => *seal = Some(KeyNumber(1)),
                "clear" => *seal = None,
                "codec" => *bytes = [&[1], &bytes[1..]].concat().into(),
                _ => {}
            }
        }
        if sql == "swap" && entry.position == Position(2) {
            let other = store.read(Position(1)).expect("it is whole").expect("it is there");
            entry.versions[0].body = other.versions[0].body.clone();
        }
        head = memory.append(&head, &[entry], Default::default()).expect("it keeps the rules");
    }
    let registry = Registry::builder().over(memory).expect("it opens");
    register(&registry).expect("nothing is registered yet");
    registry.history().at(id::<Customer>("Bob"), Revision(1)).expect_err("it is not as it was written")
}

#[test]
fn what_was_changed_or_put_elsewhere_is_not_opened() {
    for change in ["flip", "cut", "key", "clear", "codec", "swap"] {
        let error = tampered(change);
        assert!(matches!(error, ReadError::Unreadable { .. }), "{change}: {error}");
        assert!(error.to_string().contains("check the store with `verify`"), "{change}: {error}");
    }
}

#[test]
fn an_erasure_that_is_refused_erases_nothing() -> heirloom::Result<()> {
    let folder = Folder::new("refused");
    let registry = folder.open();
    let (ann, order) = a_shop(&registry)?;
    registry.remove(ann)?;
    registry.remove(order)?;
    drop(registry);
    let read_only = Registry::builder().over(SqliteStore::open_read_only(folder.file())?)?;
    register(&read_only)?;
    let refused = read_only.erase(ann).expect_err("it is read-only");
    assert!(refused.to_string().contains("read-only"), "{refused}");
    assert!(read_only.history().at(ann, Revision(1)).is_ok());
    assert!(matches!(refused, EraseError::Append(AppendError::Store(StoreError::ReadOnly { .. }))));
    Ok(())
}

#[test]
fn many_who_write_while_some_are_erased_lose_nothing_else() -> heirloom::Result<()> {
    let folder = Folder::new("many");
    let registries = [folder.open(), folder.open()];
    let name = |number: usize| format!("customer {number}");
    for number in 0..8 {
        registries[0].add(customer(&name(number)))?;
    }
    std::thread::scope(|scope| {
        for (half, registry) in registries.iter().enumerate() {
            scope.spawn(move || {
                for number in (0..8).filter(|number| number % 2 == half) {
                    let key = id::<Customer>(&name(number));
                    let again = |work: &dyn Fn() -> bool| while !work() {};
                    again(&|| registry.call(note, (key, "once".to_owned())).is_ok());
                    if number < 4 {
                        again(&|| registry.remove(key).is_ok());
                        again(&|| registry.erase(key).is_ok_and(|erasure| erasure.versions == 2));
                    }
                }
            });
        }
    });
    for registry in &registries {
        for number in 0..8 {
            let key = id::<Customer>(&name(number));
            match number < 4 {
                true => erased(registry.history().at(key, Revision(1))),
                false => assert_eq!(registry.get(key)?.notes, ["once"]),
            }
        }
        registry.history().verify(None)?;
    }
    Ok(())
}

#[test]
fn a_refused_commit_of_somebody_new_says_nothing_of_them_in_the_clear() -> heirloom::Result<()> {
    fn enrol(name: String) -> Customer {
        Customer { name, ..customer("Ann") }
    }
    let store = MemoryStore::new();
    let registry = Registry::builder().over(store.clone())?;
    let _ = registry.register("enrol", enrol)?;
    registry.call(enrol, (MARKER.to_owned(),))?;
    registry.call(enrol, (MARKER.to_owned(),)).expect_err("she is there already");
    let mut lines = Vec::new();
    export(&store, Position(0), &mut lines)?;
    assert!(!contains(&lines, MARKER.as_bytes()));
    let refused = registry.history().entry(Position(2))?;
    assert!(refused.run().is_some_and(|run| run.arguments()[0].to_string().contains(MARKER)));
    Ok(())
}

#[test]
fn what_a_run_under_a_key_gave_back_is_sealed_with_its_arguments() -> heirloom::Result<()> {
    fn address_of(customer: &Customer) -> String {
        format!("{MARKER} 7, for {}", customer.id)
    }
    let folder = Folder::new("once");
    let registry = folder.open();
    let _ = registry.register("address of", address_of)?;
    let ann = registry.add(customer("Ann"))?;
    let first = registry.once("17").call(address_of, (ann,))?.into_value();
    assert_eq!(*registry.once("17").call(address_of, (ann,))?.value(), first);
    registry.remove(ann)?;
    assert_eq!(*registry.once("17").call(address_of, (ann,))?.value(), first);
    assert!(!folder.has(MARKER.as_bytes()));
    registry.erase(ann)?;
    let refused = registry.once("17").call(address_of, (ann,));
    let is_erased = matches!(&refused, Err(CallError::Recall { source: RecallError::Erased { .. }, .. }));
    assert!(is_erased, "{refused:?}");
    Ok(())
}
