//! Bytes are promises: a store that an earlier heirloom wrote is opened, verified and read.
//!
//! `tests/golden/school.heirloom.zst` and `school.jsonl` were written by `write_the_golden_store`, which is run by hand and only
//! for a format that has none yet: `cargo test --test golden -- --ignored`. It leaves what is there as it is.

#![cfg(feature = "sqlite")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use heirloom::prelude::*;
use heirloom::store::{Head, MemoryStore, SqliteStore, export, import};
use heirloom::{Clock, Ids, Position, Result, RunEnd};

#[derive(Entity, Clone, Debug, PartialEq)]
struct School {
    id: Id<School>,
    name: String,
    rooms: Vec<Room>,
    students: Children<Student>,
    assets: Vec<Asset>,
    head: Option<Id<Student>>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(schema = 2)]
struct Student {
    id: Id<Student>,
    name: String,
    gpa: f64,
    essay: String,
    friends: References<Student>,
    marks: Vec<Mark>,
}

#[derive(heirloom::Value, Clone, Debug, PartialEq)]
struct Mark {
    course: String,
    points: u64,
    ratio: f32,
    seal: Option<Vec<u8>>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Room {
    id: Id<Room>,
    name: String,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Bus {
    id: Id<Bus>,
    seats: u16,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Piano {
    id: Id<Piano>,
    maker: String,
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Asset {
    Bus(Bus),
    Piano(Piano),
}

fn key<T: Entity>(key: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive("golden", key))
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A second for each commit, from the beginning of 2026 on.
struct Seconds(AtomicI64);

impl Clock for Seconds {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000 + self.0.fetch_add(1, Ordering::Relaxed) * 1_000_000)
    }
}

struct Counted(AtomicU8);

impl Ids for Counted {
    fn next_id(&self) -> EntityId {
        EntityId::from_bytes([self.0.fetch_add(1, Ordering::Relaxed); 16])
    }
}

fn student(name: &str) -> Student {
    let essay = "It is a long way to say little, and a short one to say much. ".repeat(6);
    let mark = Mark { course: "Latin".into(), points: u64::MAX, ratio: 0.1, seal: Some(vec![0, 255]) };
    Student { id: key(name), name: name.to_owned(), gpa: 3.5, essay, friends: References::new(), marks: vec![mark] }
}

fn raise(student: &mut Student, by: f64) -> std::result::Result<(), String> {
    if by < 0.0 {
        return Err("nobody is lowered".to_owned());
    }
    student.gpa += by;
    Ok(())
}

fn befriend(student: &mut Student, friend: Id<Student>) {
    student.friends.push(friend).expect("they are no friends yet");
}

fn enrol(school: &mut School, name: String) {
    let student = Student { id: Id::new(), ..student(&name) };
    school.head = Some(student.id);
    school.students.push(student).expect("a new id is not there yet");
    school.rooms[0].name = format!("{name}'s");
}

fn sell(school: &mut School) {
    school.assets.remove(0);
}

fn write_into(registry: &Registry) -> Result<()> {
    let _ = registry.register("raise", raise)?.params(["student", "by"])?.code_version("7")?;
    let _ = registry.register("befriend", befriend)?;
    let _ = registry.register("enrol", enrol)?;
    let _ = registry.register("sell", sell)?;
    let (hill, ann, bob) = (key::<School>("Hill"), key::<Student>("Ann"), key::<Student>("Bob"));
    let mut students = Children::new();
    students.push(student("Ann"))?;
    students.push(student("Bob"))?;
    let bus = Asset::Bus(Bus { id: key("bus"), seats: 40 });
    let piano = Asset::Piano(Piano { id: key("piano"), maker: "Förster \u{1f3b9}".into() });
    let (rooms, assets) = (vec![Room { id: key("room"), name: "One".into() }], vec![bus, piano]);
    let school = School { id: hill, name: "Hill".into(), rooms, students, assets, head: None };
    registry.by("founder").add(school)?;
    registry.by("dean").message("well done").property("term", "spring").call(raise, (ann, 0.25))?;
    registry.history().tag("spring", Position(2))?;
    registry.by("dean").call(raise, (bob, -1.0)).expect_err("it is refused");
    registry.by("Ann").call(befriend, (ann, bob))?;
    registry.call(enrol, (hill, "Cid".to_owned()))?;
    registry.by("dean").call(sell, (hill,))?;
    registry.by("dean").call(raise, (ann, 0.0))?;
    registry.by("dean").revert(ann, Revision(1))?;
    let room = registry.add(Room { id: key("shed"), name: "Shed".into() })?;
    registry.remove(room)?;
    registry.history().tag("end", When::Head)?;
    Ok(())
}

#[test]
#[ignore = "writes the golden files of a format that has none"]
fn write_the_golden_store() -> Result<()> {
    let (packed, lines) = (golden("school.heirloom.zst"), golden("school.jsonl"));
    assert!(!packed.exists(), "golden files are never written anew");
    let folder = Folder::new("write");
    if lines.exists() {
        // The history stays: a run made anew would have taken another time.
        import(&mut fs::read(lines).expect("it is there").as_slice(), &SqliteStore::open(folder.file())?)?;
        let bytes = fs::read(folder.file()).expect("it was written");
        fs::write(packed, zstd::encode_all(bytes.as_slice(), 19).expect("it is in memory")).expect("it is writable");
        return Ok(());
    }
    let builder = Registry::builder().clock(Seconds(AtomicI64::new(0))).ids(Counted(AtomicU8::new(1)));
    write_into(&builder.open(folder.file())?)?;
    let bytes = fs::read(folder.file()).expect("it was written");
    fs::write(packed, zstd::encode_all(bytes.as_slice(), 19).expect("it is in memory")).expect("it is writable");
    let mut out = Vec::new();
    let head = export(&SqliteStore::open_read_only(folder.file())?, Position(0), &mut out)?;
    fs::write(lines, out).expect("it is writable");
    println!("{head} {}", Registry::open(folder.file())?.history().digest(key::<School>("Hill"), When::Head)?);
    Ok(())
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heirloom-golden-{}-{name}", std::process::id()));
        _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    /// With a copy of the golden store in it.
    fn with_store(name: &str) -> Self {
        let folder = Self::new(name);
        let packed = fs::read(golden("school.heirloom.zst")).expect("it is there");
        fs::write(folder.file(), zstd::decode_all(packed.as_slice()).expect("it is whole")).expect("it is writable");
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("school.heirloom")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn lines() -> Vec<u8> {
    fs::read(golden("school.jsonl")).expect("it is there")
}

const HEAD: &str = "10 96eb76c4bdd591b74252fafb5365a418ded4b4cf6cb2c469292edd756fbb2f00";
const DIGEST: &str = "bcc4eabf26a4c7c374579b113f2d2727ffa45fd62ef02c1b6b7ce64bc8fd5fe6";

/// Asks a registry over the golden store, or over what its lines became, for what was put there.
fn check_school(registry: &Registry) -> Result<()> {
    let history = registry.history();
    let kept: Head = HEAD.parse().expect("it is a head");
    assert_eq!(history.verify(Some(&kept))?, kept);
    let (hill, ann) = (key::<School>("Hill"), key::<Student>("Ann"));
    let school = registry.get(hill)?;
    assert_eq!((school.students.len(), school.assets.len(), school.rooms[0].name.as_str()), (3, 1, "Cid's"));
    assert_eq!(school.assets[0], Asset::Piano(Piano { id: key("piano"), maker: "Förster \u{1f3b9}".into() }));
    assert_eq!(registry.get(ann)?, student("Ann"));
    let befriended = history.at(ann, Revision(3))?;
    assert_eq!((befriended.gpa, befriended.friends.len()), (3.75, 1));
    assert_eq!(befriended.marks[0], student("Ann").marks[0]);
    assert_eq!(history.referrers(key::<Student>("Bob"), Position(5))?, [(ann.into(), "friends")]);
    assert_eq!(history.referrers(key::<Student>("Bob"), When::Head)?, []);
    assert_eq!(history.owner(ann, When::Head)?, Some((hill.into(), "students")));
    assert_eq!(
        history.of(ann)?.to_string(),
        "r4 dean gpa 3.75 -> 3.5, friends[0] - @a71ea40f-934e-8817-b2bd-72da03505b66\nr3 Ann befriend friends[0] + @a71ea40f-934e-8817-b2bd-72da03505b66\n\
         r2 dean raise \"well done\" gpa 3.5 -> 3.75\nr1 founder added"
    );
    let entry = history.entry(Position(2))?;
    assert_eq!(entry.properties().collect::<Vec<_>>(), [("term", "spring")]);
    assert_eq!(entry.run().and_then(|run| run.code_version().map(str::to_owned)).as_deref(), Some("7"));
    assert_eq!(entry.time().to_string(), "2026-01-01T00:00:01Z");
    let failed = history.entry(Position(3))?;
    assert_eq!(failed.run().map(|run| run.end().clone()), Some(RunEnd::Failed("nobody is lowered".to_owned())));
    assert_eq!(
        history.tags()?.into_iter().collect::<Vec<_>>(),
        [("end".into(), Position(10)), ("spring".into(), Position(2))]
    );
    assert_eq!(history.at(ann, When::Tag("spring".into()))?.gpa, 3.75);
    assert!(!history.contains(key::<Room>("shed")) && history.at(key::<Room>("shed"), Position(9)).is_ok());
    assert_eq!(history.digest(hill, When::Head)?.to_string(), DIGEST);
    Ok(())
}

#[test]
fn a_store_of_an_earlier_heirloom_is_opened_verified_and_read() -> Result<()> {
    let folder = Folder::with_store("read");
    check_school(&Registry::open(folder.file())?)?;
    check_school(&Registry::builder().over(SqliteStore::open_read_only(folder.file())?)?)
}

#[test]
fn it_is_gone_on_with() -> Result<()> {
    let folder = Folder::with_store("on");
    let registry = Registry::open(folder.file())?;
    let _ = registry.register("raise", raise)?;
    registry.call(raise, (key::<Student>("Ann"), 0.5))?;
    let kept: Head = HEAD.parse().expect("it is a head");
    assert_eq!(registry.history().verify(Some(&kept))?.position, Position(11));
    assert_eq!(registry.get(key::<Student>("Ann"))?.gpa, 4.0);
    Ok(())
}

#[test]
fn its_lines_are_those_of_the_golden_file() -> Result<()> {
    let (folder, mut out) = (Folder::with_store("lines"), Vec::new());
    export(&SqliteStore::open_read_only(folder.file())?, Position(0), &mut out)?;
    let lines = lines();
    assert!(out == lines, "{}\n--- and not ---\n{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&lines));
    Ok(())
}

#[test]
fn its_lines_are_read_into_a_store_of_either_kind() -> Result<()> {
    let (folder, memory) = (Folder::new("import"), MemoryStore::new());
    let file = SqliteStore::open(folder.file())?;
    assert_eq!(import(&mut lines().as_slice(), &memory)?, import(&mut lines().as_slice(), &file)?);
    check_school(&Registry::builder().over(memory)?)?;
    check_school(&Registry::builder().over(file)?)
}
