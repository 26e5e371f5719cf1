//! Out of one store as lines of JSON, and into another.

use heirloom::Position;
use heirloom::store::{ExportError, ImportError, MemoryStore, SqliteStore, Store, export, import, verify};

use crate::{Folder, append_program, everything};

fn lines_of(store: &dyn Store) -> Vec<u8> {
    let mut lines = Vec::new();
    let head = export(store, Position(0), &mut lines).unwrap();
    assert_eq!(head, store.head().unwrap());
    lines
}

#[test]
fn every_backend_writes_the_same_lines_and_reads_them_as_the_same_store() {
    let folder = Folder::new("lines");
    let file = SqliteStore::open(folder.file()).unwrap();
    append_program(&file, 17, 400);
    for (name, position) in [("first", 1), ("none", 0), ("later", 300)] {
        file.tag(name, Position(position)).unwrap();
    }
    let lines = lines_of(&file);
    let memory = MemoryStore::new();
    let head = import(&mut lines.as_slice(), &memory).unwrap();
    assert_eq!(head, file.head().unwrap());
    assert!(lines_of(&memory) == lines);
    let copy = SqliteStore::open(folder.0.join("copy")).unwrap();
    assert_eq!(import(&mut lines.as_slice(), &copy).unwrap(), head);
    assert_eq!(verify(&copy, Some(&head)).unwrap(), head);
    assert!(lines_of(&copy) == lines);
    assert_eq!(copy.tags().unwrap(), file.tags().unwrap());
}

#[test]
fn a_small_store_answers_the_same_after_its_lines_were_read() {
    let folder = Folder::new("same");
    let (memory, file) = (MemoryStore::new(), SqliteStore::open(folder.file()).unwrap());
    append_program(&memory, 18, 30);
    import(&mut lines_of(&memory).as_slice(), &file).unwrap();
    assert_eq!(everything(&file).unwrap(), everything(&memory).unwrap());
}

#[test]
fn an_import_that_was_cut_goes_on_in_a_file_too() {
    let folder = Folder::new("cut");
    let (memory, file) = (MemoryStore::new(), SqliteStore::open(folder.file()).unwrap());
    append_program(&memory, 19, 300);
    let lines = lines_of(&memory);
    for part in [3, 2, 1] {
        let read = import(&mut &lines[..lines.len() / part - 1], &file);
        assert!(matches!(read, Err(ImportError::Cut { .. })), "{read:?}");
        verify(&file, None).unwrap();
    }
    assert_eq!(import(&mut lines.as_slice(), &file).unwrap(), memory.head().unwrap());
}

#[test]
fn what_cannot_be_written_or_read_says_so() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let folder = Folder::new("refused");
    let store = SqliteStore::open(folder.file()).unwrap();
    append_program(&store, 20, 20);
    assert!(matches!(export(&store, Position(0), &mut Full(2000)), Err(ExportError::Write(_))));
    let late = export(&store, Position(999), &mut Vec::new());
    assert!(matches!(late, Err(ExportError::NoEntry { position: Position(999), .. })), "{late:?}");
    let (lines, empty) = (lines_of(&store), folder.0.join("empty"));
    drop(SqliteStore::open(&empty).unwrap());
    let read = import(&mut lines.as_slice(), &SqliteStore::open_read_only(&empty).unwrap());
    let refused = read.unwrap_err().to_string();
    assert!(refused.starts_with("line 2: ") && refused.contains("is read-only"), "{refused}");
    let same = import(&mut lines.as_slice(), &SqliteStore::open_read_only(folder.file()).unwrap());
    assert!(matches!(same, Ok(head) if head == store.head().unwrap()), "what is there needs no writing: {same:?}");
}
