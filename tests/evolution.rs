//! Types change, histories stay: a file that one program wrote, read and gone on with by a later one.

#![cfg(feature = "sqlite")]

use std::path::PathBuf;

use heirloom::prelude::*;
use heirloom::store::{Entry as Stored, SqliteStore, Store, VersionBody, verify};
use heirloom::{CommitError, Position, ReadError, Result};

/// The types of the first program.
mod v1 {
    use heirloom::prelude::*;

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct School {
        pub(crate) id: Id<School>,
        pub(crate) best: Option<Id<Pupil>>,
        pub(crate) rooms: Vec<Room>,
        pub(crate) pupils: Children<Pupil>,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Pupil {
        pub(crate) id: Id<Pupil>,
        pub(crate) name: String,
        pub(crate) friend: Option<Id<Pupil>>,
        pub(crate) rival: Option<Id<Pupil>>,
        pub(crate) essay: String,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Room {
        pub(crate) id: Id<Room>,
        pub(crate) name: String,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Truck {
        pub(crate) id: Id<Truck>,
        pub(crate) load: u32,
        pub(crate) depot: Option<Id<Depot>>,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Depot {
        pub(crate) id: Id<Depot>,
        pub(crate) name: String,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) enum Asset {
        Truck(Truck),
        Depot(Depot),
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Shelf<T: PartialEq + Clone> {
        pub(crate) id: Id<Shelf<T>>,
        pub(crate) items: Vec<T>,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Person {
        pub(crate) id: Id<Person>,
        pub(crate) name: String,
        pub(crate) age: String,
    }
}

/// Those of the second: everything that can be read without help is there once.
mod v2 {
    use heirloom::prelude::*;

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct School {
        pub(crate) id: Id<School>,
        #[serde(default)]
        pub(crate) founded: u16,
        #[entity(alias = "pupils")]
        pub(crate) students: Children<Student>,
        pub(crate) rooms: Vec<Room>,
        #[entity(alias = "best")]
        pub(crate) first: Option<Id<Student>>,
        pub(crate) annex: Vec<Room>,
        #[entity(skip)]
        pub(crate) seen: bool,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    #[entity(alias = "Pupil")]
    pub(crate) struct Student {
        pub(crate) id: Id<Student>,
        #[serde(default = "four")]
        pub(crate) gpa: f64,
        #[entity(alias = "title", alias = "name")]
        pub(crate) full_name: String,
        pub(crate) rival: Option<Id<Student>>,
        pub(crate) friend: Option<Id<Student>>,
        pub(crate) nick: Option<String>,
        #[serde(default)]
        pub(crate) marks: Vec<u32>,
        pub(crate) essay: String,
    }

    fn four() -> f64 {
        4.0
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Room {
        pub(crate) id: Id<Room>,
        #[serde(default)]
        pub(crate) seats: u32,
        pub(crate) name: String,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    #[entity(alias = "Truck")]
    pub(crate) struct Lorry {
        pub(crate) id: Id<Lorry>,
        #[serde(default)]
        pub(crate) plate: String,
        pub(crate) depot: Option<Id<Depot>>,
        pub(crate) load: u32,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Depot {
        pub(crate) id: Id<Depot>,
        pub(crate) name: String,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) enum Asset {
        Lorry(Lorry),
        Depot(Depot),
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    #[entity(alias = "Shelf")]
    pub(crate) struct Rack<T: PartialEq + Clone> {
        pub(crate) id: Id<Rack<T>>,
        pub(crate) items: Vec<T>,
        #[serde(default)]
        pub(crate) floor: u8,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    #[entity(schema = 3)]
    pub(crate) struct Person {
        pub(crate) id: Id<Person>,
        pub(crate) first: String,
        pub(crate) last: String,
        pub(crate) age: u32,
    }
}

/// A type that lost a field and got another type for one, and says nothing of it.
mod careless {
    use heirloom::prelude::*;

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Room {
        pub(crate) id: Id<Room>,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Person {
        pub(crate) id: Id<Person>,
        pub(crate) name: String,
        pub(crate) age: u32,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Depot {
        pub(crate) id: Id<Depot>,
        pub(crate) name: String,
        pub(crate) size: u32,
    }
}

struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heirloom-evolution-{}-{name}", std::process::id()));
        let file = Self(path);
        file.remove();
        file
    }

    fn open(&self) -> Registry {
        Registry::open(&self.0).expect("it is a store")
    }

    /// All that is stored, as it is stored.
    fn stored(&self) -> Vec<Stored> {
        let store = SqliteStore::open_read_only(&self.0).expect("it is a store");
        let head = store.head().expect("it is readable").position.0;
        let read = |position| store.read(Position(position)).expect("it is readable").expect("it is there");
        (1..=head).map(read).collect()
    }

    fn remove(&self) {
        for end in ["", "-wal", "-shm"] {
            _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

fn key<T: Entity>(key: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive("evolution", key))
}

fn text(length: usize) -> String {
    "a long way to say little; ".chars().cycle().take(length).collect()
}

/// A school as the first program had it: r1 added, then an edit of Ann that is stored as a difference, then Bob leaves.
fn a_school(file: &File) -> Result<()> {
    let pupil = |name: &str, friend: Option<&str>| v1::Pupil {
        id: key(name),
        name: name.to_owned(),
        friend: friend.map(key),
        rival: None,
        essay: text(2000),
    };
    let registry = file.open();
    let mut pupils = Children::new();
    for (name, friend) in [("Ann", Some("Bob")), ("Bob", Some("Ann")), ("Cid", Some("Ann"))] {
        pupils.push(pupil(name, friend))?;
    }
    let rooms = vec![v1::Room { id: key("R1"), name: "One".into() }];
    registry.by("founder").add(v1::School { id: key("school"), best: Some(key("Ann")), rooms, pupils })?;
    let rename = |pupil: &mut v1::Pupil, name: String| pupil.name = name;
    let _ = registry.register("rename", rename)?;
    registry.by("dean").call(rename, (key::<v1::Pupil>("Ann"), "Anna".to_owned()))?;
    let leave = |school: &mut v1::School| drop(school.pupils.remove(1));
    let _ = registry.register("leave", leave)?;
    registry.by("dean").call(leave, (key::<v1::School>("school"),))?;
    Ok(())
}

#[test]
fn what_was_added_renamed_or_moved_is_read_in_todays_form() -> Result<()> {
    let file = File::new("form");
    a_school(&file)?;
    let before = file.stored();
    let (registry, school, ann) = (file.open(), key::<v2::School>("school"), key::<v2::Student>("Ann"));
    let now = registry.get(school)?;
    assert_eq!((now.founded, now.first, now.students.len(), now.seen), (0, Some(ann), 2, false));
    assert_eq!(now.rooms, [v2::Room { id: key("R1"), seats: 0, name: "One".into() }]);
    let anna = registry.get(ann)?;
    let expected = v2::Student {
        id: ann,
        gpa: 4.0,
        full_name: "Anna".into(),
        rival: None,
        friend: Some(key("Bob")),
        nick: None,
        marks: vec![],
        essay: text(2000),
    };
    assert_eq!(anna, expected);
    let history = registry.history();
    assert_eq!(history.at(school, Revision(1))?.students.get(0).map(|ann| ann.full_name.clone()), Some("Ann".into()));
    assert_eq!(history.at(school, Revision(1))?.students.len(), 3);
    let names = history.field(ann, v2::Student::FULL_NAME)?;
    assert_eq!(names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>(), ["Ann", "Anna"]);
    assert_eq!(history.diff(ann, Revision(1), When::Head)?.to_string(), "Student Anna: full_name \"Ann\" -> \"Anna\"");
    assert_eq!(history.changes(Position(2))?.to_string(), "Student Anna: full_name \"Ann\" -> \"Anna\"");
    assert_eq!(history.of(ann)?.to_string(), "r2 dean rename full_name \"Ann\" -> \"Anna\"\nr1 founder added");
    assert_eq!(file.stored(), before);
    Ok(())
}

#[test]
fn edges_are_named_as_the_fields_are_today() -> Result<()> {
    let file = File::new("edges");
    a_school(&file)?;
    let (registry, ann) = (file.open(), key::<v2::Student>("Ann"));
    registry.register_type::<v2::School>()?;
    let history = registry.history();
    let (school, cid): (EntityId, EntityId) = (key::<v2::School>("school").into(), key::<v2::Student>("Cid").into());
    assert_eq!(history.owner(ann, When::Head)?, Some((school, "students")));
    assert_eq!(history.owner(key::<v2::Room>("R1"), When::Head)?, Some((school, "rooms")));
    let sorted = |mut edges: Vec<(EntityId, &'static str)>| {
        edges.sort_unstable();
        edges
    };
    let expected = sorted(vec![(school, "first"), (cid, "friend")]);
    assert_eq!(sorted(history.referrers(ann, When::Head)?), expected);
    assert_eq!(history.tree(key::<v2::School>("school"), When::Head)?.path(ann)?, "students[0]");

    // Editing an entity moves its references to the numbers of the new layout, and closes what it gives up.
    let fall_out = |student: &mut v2::Student| student.rival = student.friend.take();
    let _ = registry.register("fall out", fall_out)?;
    registry.call(fall_out, (key::<v2::Student>("Cid"),))?;
    let forget = |school: &mut v2::School| school.first = None;
    let _ = registry.register("forget", forget)?;
    registry.call(forget, (key::<v2::School>("school"),))?;
    assert_eq!(history.referrers(ann, When::Head)?, [(cid, "rival")]);
    assert_eq!(sorted(history.referrers(ann, Position(3))?), expected);
    assert_eq!(history.owner(ann, When::Head)?, Some((school, "students")));
    let registry = file.open();
    registry.register_type::<v2::School>()?;
    assert_eq!(registry.history().referrers(ann, When::Head)?, [(cid, "rival")]);
    assert_eq!(sorted(registry.history().referrers(ann, Position(3))?), expected);
    verify(&SqliteStore::open_read_only(&file.0)?, None).expect("nothing is damaged");
    Ok(())
}

#[test]
fn an_edit_after_the_change_is_whole_and_what_was_stored_stays() -> Result<()> {
    let file = File::new("edit");
    a_school(&file)?;
    let before = file.stored();
    let (registry, school, ann) = (file.open(), key::<v2::School>("school"), key::<v2::Student>("Ann"));
    let mark = |student: &mut v2::Student, mark: u32| student.marks.push(mark);
    let _ = registry.register("mark", mark)?;
    let marked = registry.by("Eve").call(mark, (ann, 7_u32))?;
    assert_eq!(marked.changes().to_string(), "Student Anna: marks[0] + 7");
    registry.by("Eve").call(mark, (ann, 8_u32))?;
    let seat = |school: &mut v2::School| school.rooms[0].seats = 30;
    let _ = registry.register("seat", seat)?;
    registry.by("Eve").call(seat, (school,))?;
    registry.by("Eve").revert(ann, Revision(1))?;
    let after = file.stored();
    assert_eq!(after[..before.len()], before[..]);
    let bases = |position: usize| -> Vec<(bool, String)> {
        let own = after[position - 1].versions.iter().filter_map(|version| match &version.body {
            VersionBody::Own { base, layout, .. } => Some((base.is_some(), layout.name.clone())),
            _ => None,
        });
        own.collect()
    };
    let student = || "Student".to_owned();
    assert_eq!(bases(2), [(true, "Pupil".to_owned())]);
    assert_eq!(bases(4), [(false, student())]);
    assert_eq!(bases(5), [(true, student())]);
    assert_eq!(bases(6), [(false, "Room".to_owned())]);
    let registry = file.open();
    let now = registry.get(ann)?;
    assert_eq!((now.full_name.as_str(), now.marks.len(), now.gpa), ("Ann", 0, 4.0));
    assert_eq!(registry.history().at(ann, Revision(4))?.marks, [7, 8]);
    assert_eq!(registry.get(school)?.rooms[0].seats, 30);
    assert_eq!(registry.history().at(school, Position(1))?.rooms[0].seats, 0);
    let told = registry.history().field(ann, v2::Student::FULL_NAME)?;
    assert_eq!(told.iter().map(|name| name.value.as_str()).collect::<Vec<_>>(), ["Ann", "Anna", "Ann"]);
    Ok(())
}

#[test]
fn what_was_removed_comes_back_in_todays_form() -> Result<()> {
    let file = File::new("back");
    a_school(&file)?;
    let (registry, school, bob) = (file.open(), key::<v2::School>("school"), key::<v2::Student>("Bob"));
    registry.revert(school, Revision(1))?;
    assert_eq!(registry.get(school)?.students.len(), 3);
    assert_eq!(registry.get(bob)?.full_name, "Bob");
    let ann: EntityId = key::<v2::Student>("Ann").into();
    assert_eq!(registry.history().referrers(bob, When::Head)?, [(ann, "friend")]);
    verify(&SqliteStore::open_read_only(&file.0)?, None).expect("nothing is damaged");
    Ok(())
}

fn check_person(name: &str, prepare: impl Fn(&Registry) -> Result<()>, expected: &str) {
    let file = File::new(name);
    let person = v1::Person { id: key("Ann"), name: "Ann Bell".into(), age: "41".into() };
    _ = file.open().add(person).expect("it is new");
    let before = file.stored();
    let registry = file.open();
    prepare(&registry).expect("the upcasters are new");
    let found = match registry.get(key::<v2::Person>("Ann")) {
        Ok(person) => format!("{} {} {}", person.last, person.first, person.age),
        Err(error @ ReadError::Layout { revision: Revision(1), schema: 1, .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(found, expected);
    assert_eq!(file.stored(), before);
}

fn split(old: Value) -> std::result::Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let text = |name| old.get(name).and_then(Value::as_text).ok_or("a person has texts");
    let (first, last) = text("name")?.split_once(' ').ok_or("a name has two parts")?;
    let parts = [("first", Value::text(first)), ("last", Value::text(last)), ("age", Value::text(text("age")?))];
    Ok(Value::fields(parts))
}

fn count(old: Value) -> std::result::Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let Value::Struct(mut fields) = old else { return Err("a person has fields".into()) };
    for (name, value) in &mut fields {
        if name == "age" {
            *value = Value::unsigned(value.as_text().ok_or("an age was a text")?.parse()?);
        }
    }
    Ok(Value::Struct(fields))
}

const PERSON: &str = "\nStored:\nentity Person schema 1\n  name: value text\n  age: value text\n\
                      Today:\nentity Person schema 3\n  first: value text\n  last: value text\n  age: value u32\n";

fn refusal(why: &str) -> String {
    let id = key::<v2::Person>("Ann");
    format!(
        "{id} r1 was stored by another layout of its type (schema 1) and cannot be read by today's: {why}. Give new \
         fields a `#[serde(default)]` and renamed ones an `#[entity(alias = \"...\")]`; for all else raise the schema of \
         the type (`#[entity(schema = ...)]`, from 3 today) and register an upcaster from schema 1 with `upcast`.{PERSON}"
    )
}

#[test]
fn upcasters_lead_from_schema_to_schema_in_order() {
    let both = |registry: &Registry| {
        registry.upcast::<v2::Person>(2, count)?;
        registry.upcast::<v2::Person>(1, split)?;
        Ok(())
    };
    check_person("both", both, "Bell Ann 41");
    check_person("none", |_| Ok(()), &refusal("expected one of the fields first, last, age, found a field name"));
    let first = |registry: &Registry| Ok(registry.upcast::<v2::Person>(1, split)?);
    check_person("first", first, &refusal("age: expected an integer from 0 to 4294967295, found text \"41\""));
    let fails = |registry: &Registry| Ok(registry.upcast::<v2::Person>(1, |_| Err("nobody knows".into()))?);
    check_person("fails", fails, &refusal("the upcaster from schema 1 says: nobody knows"));
    let panics = |registry: &Registry| Ok(registry.upcast::<v2::Person>(1, |_| panic!("help"))?);
    check_person("panics", panics, &refusal("the upcaster from schema 1 panicked"));
}

#[test]
fn an_edit_after_an_upcast_is_stored_in_todays_schema() -> Result<()> {
    let file = File::new("upcast-edit");
    file.open().add(v1::Person { id: key("Ann"), name: "Ann Bell".into(), age: "41".into() })?;
    let registry = file.open();
    registry.upcast::<v2::Person>(1, split)?;
    registry.upcast::<v2::Person>(2, count)?;
    let (ann, history) = (key::<v2::Person>("Ann"), registry.history());
    let age = |person: &mut v2::Person| person.age += 1;
    let _ = registry.register("age", age)?;
    registry.call(age, (ann,))?;
    let ages = history.field(ann, v2::Person::AGE)?;
    assert_eq!(ages.iter().map(|age| age.value).collect::<Vec<_>>(), [41, 42]);
    assert_eq!(history.changes(Position(2))?.to_string(), "Person d5d108df: age 41 -> 42");
    registry.revert(ann, Revision(1))?;
    drop(registry);
    // What is of today's schema needs no upcaster; what is older still does.
    let registry = file.open();
    assert_eq!(registry.get(ann)?.age, 41);
    assert!(matches!(registry.history().at(ann, Revision(1)), Err(ReadError::Layout { schema: 1, .. })));
    let diff = registry.history().diff(ann, Revision(1), When::Head);
    assert!(matches!(diff, Err(ReadError::Layout { .. })), "{diff:?}");
    Ok(())
}

/// What reading an entity of the first program by a careless type says.
fn check_careless<T: Entity + std::fmt::Debug>(name: &str, write: impl Fn(&Registry), expected: &str) {
    let file = File::new(name);
    write(&file.open());
    let error = file.open().get(key::<T>("it")).expect_err("it has no path to today's layout");
    let ReadError::Layout { reason, stored, today, .. } = &error else { panic!("{error}") };
    assert_eq!(format!("{reason}\n{stored}{today}"), expected);
}

#[test]
fn what_no_longer_fits_says_what_and_both_layouts() {
    check_careless::<careless::Room>(
        "removed",
        |registry| drop(registry.add(v1::Room { id: key("it"), name: "One".into() })),
        "expected one of the fields , found a field name\nentity Room schema 1\n  name: value text\nentity Room schema 1\n",
    );
    check_careless::<careless::Person>(
        "retyped",
        |registry| drop(registry.add(v1::Person { id: key("it"), name: "A B".into(), age: "1".into() })),
        "age: expected an integer from 0 to 4294967295, found text \"1\"\n\
         entity Person schema 1\n  name: value text\n  age: value text\n\
         entity Person schema 1\n  name: value text\n  age: value u32\n",
    );
    check_careless::<careless::Depot>(
        "required",
        |registry| drop(registry.add(v1::Depot { id: key("it"), name: "D".into() })),
        "expected a field size, found none\nentity Depot schema 1\n  name: value text\n\
         entity Depot schema 1\n  name: value text\n  size: value u32\n",
    );
}

#[test]
fn a_child_that_does_not_fit_is_named_by_whoever_reads_its_owner() -> Result<()> {
    #[derive(Entity, Clone, Debug, PartialEq)]
    #[entity(name = "House")]
    struct Plain<T: Entity> {
        id: Id<Plain<T>>,
        rooms: Vec<T>,
    }
    #[derive(Entity, Clone, Debug, PartialEq)]
    #[entity(name = "Wing")]
    struct Shared<T: Entity> {
        id: Id<Shared<T>>,
        rooms: Children<T>,
    }
    let file = File::new("children");
    let room = |id| v1::Room { id: key(id), name: "One".into() };
    let mut rooms = Children::new();
    rooms.push(room("shared"))?;
    file.open().add(Plain { id: key("house"), rooms: vec![room("plain")] })?;
    file.open().add(Shared { id: key("wing"), rooms })?;
    let registry = file.open();
    let plain = registry.get(key::<Plain<careless::Room>>("house")).expect_err("its room lost a field");
    let named = |error: &ReadError, id: &str| match error {
        ReadError::Layout { entity, .. } => *entity == key::<v1::Room>(id).into(),
        _ => false,
    };
    assert!(named(&plain, "plain"), "{plain}");
    // Under a shared handle it is loaded when somebody looks.
    let wing = registry.get(key::<Shared<careless::Room>>("wing"))?;
    let shared = registry.history().get(key::<careless::Room>("shared")).expect_err("it lost a field too");
    assert!(named(&shared, "shared"), "{shared}");
    let looked =
        wing.rooms.handle(0).expect("there is one").get().map(|_| ()).expect_err("nor can it be loaded").to_string();
    assert!(looked.contains(&key::<v1::Room>("shared").to_string()) && looked.contains("Today:"), "{looked}");
    Ok(())
}

#[test]
fn a_variant_may_be_renamed_and_its_struct_may_change() -> Result<()> {
    let file = File::new("variant");
    let (truck, depot) = (key::<v1::Asset>("T"), key::<v1::Asset>("D"));
    let registry = file.open();
    let place = Some(Id::from_entity_id(depot.into()));
    let load = |load| v1::Asset::Truck(v1::Truck { id: Id::from_entity_id(truck.into()), load, depot: place });
    registry.add(load(10))?;
    registry.add(v1::Asset::Depot(v1::Depot { id: Id::from_entity_id(depot.into()), name: "D".into() }))?;
    let before = file.stored();
    drop(registry);

    let (registry, truck) = (file.open(), key::<v2::Asset>("T"));
    let lorry = |asset: v2::Asset| match asset {
        v2::Asset::Lorry(lorry) => Some((lorry.plate, lorry.load)),
        v2::Asset::Depot(_) => None,
    };
    assert_eq!(lorry(registry.get(truck)?), Some((String::new(), 10)));
    let referrers = |registry: &Registry| registry.history().referrers(key::<v2::Asset>("D"), When::Head);
    assert_eq!(referrers(&registry)?, [(truck.into(), "depot")]);
    let plate = |asset: &mut v2::Asset| {
        if let v2::Asset::Lorry(lorry) = asset {
            lorry.plate = "HL 1".into();
        }
    };
    let _ = registry.register("plate", plate)?;
    let outcome = registry.call(plate, (truck,))?;
    assert!(outcome.changes().to_string().ends_with("plate \"\" -> \"HL 1\""), "{}", outcome.changes());
    let registry = file.open();
    assert_eq!(lorry(registry.get(truck)?), Some(("HL 1".to_owned(), 10)));
    assert_eq!(lorry(registry.history().at(truck, Revision(1))?), Some((String::new(), 10)));
    assert_eq!(referrers(&registry)?, [(truck.into(), "depot")]);
    assert_eq!(file.stored()[..before.len()], before[..]);
    Ok(())
}

#[test]
fn a_generic_type_may_be_renamed_and_so_may_its_parameter() -> Result<()> {
    let file = File::new("generic");
    let truck = |id| v1::Truck { id: key(id), load: 3, depot: None };
    let registry = file.open();
    registry.add(v1::Shelf { id: key("numbers"), items: vec![1_u8, 2] })?;
    registry.add(v1::Shelf { id: key("trucks"), items: vec![truck("T1"), truck("T2")] })?;
    let registry = file.open();
    assert_eq!(registry.get(key::<v2::Rack<u8>>("numbers"))?.items, [1, 2]);
    let rack = registry.get(key::<v2::Rack<v2::Lorry>>("trucks"))?;
    assert_eq!((rack.floor, rack.items.len(), rack.items[0].load), (0, 2, 3));
    assert!(matches!(registry.get(key::<v2::Rack<u16>>("numbers")), Err(ReadError::WrongType { .. })));
    Ok(())
}

#[test]
fn an_unknown_type_is_named_with_what_helps() -> Result<()> {
    let file = File::new("unknown");
    a_school(&file)?;
    let (registry, ann) = (file.open(), key::<v2::Student>("Ann"));
    let error = registry.history().of(EntityId::from(ann))?.to_string();
    let expected = format!(
        "{ann} is stored as a \"Pupil\", and no type of that name is known here: take it in with `register_type`, or say \
         `#[entity(alias = \"Pupil\")]` on the type that it has become"
    );
    assert!(error.contains(&expected), "{error}");
    let renamed = registry.get(key::<v2::Room>("Ann")).expect_err("it is a pupil").to_string();
    assert_eq!(renamed, expected);
    let removed = registry.remove(key::<v2::Room>("Ann"));
    assert!(matches!(removed, Err(CommitError::Read(ReadError::UnknownType { .. }))), "{removed:?}");
    Ok(())
}
