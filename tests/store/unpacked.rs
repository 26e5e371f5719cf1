//! A store that another build compressed, where compression is not built in.

use heirloom::store::{SqliteStore, Store, StoreError};
use rusqlite::Connection;

use crate::{Folder, append_program};

/// What another build puts there when it compresses. Its bytes do not matter: nothing here could read them.
fn add_dictionary(folder: &Folder) {
    let dictionary = "INSERT INTO dictionary VALUES (1, 4096, x'00', 0)";
    Connection::open(folder.file()).unwrap().execute_batch(dictionary).unwrap();
}

#[test]
fn a_store_with_a_dictionary_is_refused_and_left_as_it_is() {
    let folder = Folder::new("unpacked");
    append_program(&SqliteStore::open(folder.file()).unwrap(), 4, 10);
    add_dictionary(&folder);
    let before = std::fs::read(folder.file()).unwrap();
    for opened in [SqliteStore::open(folder.file()), SqliteStore::open_read_only(folder.file())] {
        let refused = opened.unwrap_err();
        assert!(matches!(refused, StoreError::NeedsFeature { feature: "zstd" }), "{refused}");
        assert!(refused.to_string().contains("zstd"), "{refused}");
    }
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[test]
fn one_that_was_open_before_appends_no_more() {
    let folder = Folder::new("unpacked-open");
    let store = SqliteStore::open(folder.file()).unwrap();
    let head = *append_program(&store, 4, 10).last().unwrap();
    add_dictionary(&folder);
    let mut entry = crate::two_entries()[0].clone();
    entry.position.0 = head.position.0 + 1;
    let refused = store.append(&head, &[entry], Default::default()).unwrap_err();
    assert!(refused.to_string().contains("zstd"), "{refused}");
}
