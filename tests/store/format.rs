//! The chain as `docs/format.md` describes it, written once more from there alone.

use std::path::Path;

use heirloom::store::conformance::program;
use heirloom::store::{
    Entry, Head, KeyChange, LayoutRow, MemoryStore, OwnerChange, SqliteStore, Store, Version, VersionBody, verify,
};
use heirloom::{EntityId, Position, Timestamp};

use crate::{Folder, append_program, everything, two_entries};

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn n(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn b(&mut self, bytes: &[u8]) -> &mut Self {
        self.n(bytes.len() as u64).raw(bytes)
    }

    fn t(&mut self, tag: u8) -> &mut Self {
        self.raw(&[tag])
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn id(&mut self, id: EntityId) -> &mut Self {
        self.raw(id.as_bytes())
    }

    fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }

    fn owner(&mut self, owner: Option<OwnerChange>) {
        match owner {
            None => self.t(0),
            Some(OwnerChange::Root) => self.t(1),
            Some(OwnerChange::Owned { owner, field }) => self.t(2).id(owner).n(u64::from(field)),
            Some(OwnerChange::Ended { owner }) => self.t(3).id(owner),
        };
    }

    fn version(&mut self, version: &Version) {
        self.id(version.entity).n(version.revision.0);
        match &version.body {
            VersionBody::Own { layout, base, bytes, seal } => {
                let LayoutRow { digest, name, schema, text } = &**layout;
                let mut row = Bytes::default();
                row.b(b"heirloom stored layout 1").raw(digest.as_bytes()).b(name.as_bytes());
                row.n(u64::from(*schema)).b(text.as_bytes());
                match seal {
                    None => self.t(0),
                    Some(key) => self.t(3).n(key.0),
                };
                self.raw(&row.hash());
                match base {
                    None => self.t(0).n(0),
                    Some(base) => self.t(1).n(base.0),
                };
                self.b(bytes)
            }
            VersionBody::Carried { own } => self.t(1).n(own.0),
            VersionBody::Removed { own } => self.t(2).n(own.0),
        };
        self.n(version.carried.len() as u64);
        for carried in &version.carried {
            self.id(*carried);
        }
        self.owner(version.owner);
    }
}

fn hash_after(before: [u8; 32], entry: &Entry) -> [u8; 32] {
    let mut body = Bytes::default();
    body.b(b"heirloom body 1").n(entry.time.as_micros() as u64).t(entry.kind as u8).b(&entry.said);
    body.n(entry.versions.len() as u64);
    entry.versions.iter().for_each(|version| body.version(version));
    body.n(entry.ended.len() as u64);
    for (entity, owner) in &entry.ended {
        body.id(*entity).owner(Some(*owner));
    }
    body.n(entry.references.len() as u64);
    for change in &entry.references {
        body.id(change.from).n(u64::from(change.field)).id(change.to).t(u8::from(change.opened));
    }
    if !entry.keys.is_empty() {
        body.n(entry.keys.len() as u64);
    }
    for change in &entry.keys {
        match change {
            KeyChange::Made { number, subject, .. } => body.n(number.0).t(1).raw(subject.as_bytes()),
            KeyChange::Erased { number } => body.n(number.0).t(0),
        };
    }
    let mut hash = Bytes::default();
    hash.b(b"heirloom entry 1").raw(&before).n(entry.position.0).raw(&body.hash());
    hash.hash()
}

#[test]
fn the_chain_is_as_the_format_says() {
    for seed in 20..26 {
        let store = MemoryStore::new();
        let head = *append_program(&store, seed, 40).last().unwrap();
        let entries = program(seed, 40).concat();
        let hash = entries.iter().fold([0; 32], hash_after);
        assert_eq!((head.position.0, *head.hash.as_bytes()), (entries.len() as u64, hash));
    }
}

#[test]
fn a_change_of_any_part_changes_the_hash() {
    let head = |change: fn(&mut Entry)| {
        let mut entry = two_entries()[0].clone();
        change(&mut entry);
        MemoryStore::new().append(&Head::EMPTY, &[entry], Default::default()).unwrap()
    };
    let heads = [
        head(|_| {}),
        head(|entry| entry.time = Timestamp::from_micros(0)),
        head(|entry| entry.said = b"else"[..].into()),
        head(|entry| entry.kind = heirloom::store::EntryKind::Run),
        head(|entry| entry.versions.swap(0, 1)),
        head(|entry| entry.versions[1].carried.clear()),
        head(|entry| entry.versions[0].owner = Some(OwnerChange::Root)),
        head(|entry| entry.versions[0].body = crate::own("")),
    ];
    assert!(heads.iter().all(|head| head.position == Position(1)));
    for (index, head) in heads.iter().enumerate() {
        assert!(!heads[..index].contains(head), "{index}");
    }
}

#[test]
fn the_hash_of_what_was_once_appended_stays() {
    let store = MemoryStore::new();
    let head = store.append(&Head::EMPTY, &two_entries(), Default::default()).unwrap();
    assert_eq!(head.hash.to_string(), "7ac9074f7b55b1fa3b66bc557ef80d442f1057d07be2f4fd7e6066db5322685f");
}

/// A file that was written when format 1 was new: the backup of a store with a random program, a tag, and a horizon
/// below which nothing was. It must be readable
/// for good: it is never written anew, and another format gets another file.
#[test]
fn a_file_of_format_1_is_read_as_it_was_written() {
    let folder = Folder::new("golden");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store-1.zst");
    let bytes = zstd::decode_all(&std::fs::read(golden).unwrap()[..]).unwrap();
    std::fs::write(folder.file(), bytes).unwrap();
    let (store, memory) = (SqliteStore::open(folder.file()).unwrap(), MemoryStore::new());
    let mut head = Head::EMPTY;
    while let Some(entry) = store.read(Position(head.position.0 + 1)).unwrap() {
        head = memory.append(&head, &[entry], Default::default()).unwrap();
    }
    memory.tag("a tag", Position(3)).unwrap();
    assert_eq!(memory.forget(Position(1), 9).unwrap().versions, 0);
    assert_eq!(head.hash.to_string(), "3fff7a1ccd7a460670b704916d616ba594e553bf22d8af3225301149e3c9d568");
    assert_eq!(verify(&store, Some(&head)).unwrap(), head);
    assert_eq!(everything(&store).unwrap(), everything(&memory).unwrap());
}

#[test]
#[ignore = "writes the golden file of a format that has none"]
fn write_the_file_of_format_1() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store-1.zst");
    assert!(!golden.exists(), "golden files are never written anew");
    let folder = Folder::new("golden-written");
    let store = SqliteStore::open(folder.file()).unwrap();
    let mut head = Head::EMPTY;
    for batch in program(4, 40) {
        head = store.append(&head, &batch, Default::default()).unwrap();
    }
    store.tag("a tag", Position(3)).unwrap();
    assert_eq!(store.forget(Position(1), 9).unwrap().versions, 0);
    let backup = folder.0.join("backup");
    store.backup(&backup).unwrap();
    std::fs::write(golden, zstd::encode_all(&std::fs::read(backup).unwrap()[..], 19).unwrap()).unwrap();
    println!("{}", head.hash);
}
