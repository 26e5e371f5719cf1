//! The lock of layouts: what may change, and what is refused.

use std::path::PathBuf;

use heirloom::prelude::*;
use heirloom::{LockError, RegisterError, TypeError};

/// The path of a lock that goes with the test.
struct Lock(PathBuf);

impl Lock {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heirloom-lock-{}-{name}", std::process::id()));
        _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).expect("it was written")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

fn with<T: Entity>() -> Registry {
    let registry = Registry::in_memory();
    let admitted: Result<(), TypeError> = registry.register_type::<T>();
    admitted.expect("no other type has the name");
    registry
}

mod then {
    use heirloom::prelude::*;

    #[derive(Entity, Clone)]
    pub(crate) struct Student {
        pub(crate) id: Id<Student>,
        pub(crate) name: String,
        pub(crate) marks: Vec<Mark>,
        pub(crate) courses: Children<Course>,
    }

    #[derive(Entity, Clone)]
    pub(crate) struct Course {
        pub(crate) id: Id<Course>,
        pub(crate) title: String,
    }

    #[derive(heirloom::Value, Clone, PartialEq)]
    pub(crate) enum Mark {
        Passed,
        Points(u8),
    }

    #[derive(Entity, Clone)]
    pub(crate) enum Asset {
        Course(Course),
    }
}

const LOCKED: &str = "entity Course schema 1\n  title: value text\n";

#[test]
fn a_lock_is_written_where_there_is_none_sorted_and_readable() {
    let lock = Lock::new("written");
    with::<then::Student>().check_lock(&lock.0).expect("it is written");
    let text = lock.text();
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{text}");
    assert!(blocks[1].starts_with("layout ") && blocks[1].ends_with(LOCKED.trim_end()), "{text}");
    assert!(blocks[2].ends_with("  courses: child list<@Course>\nMark = enum Passed | Points(u8)\n"), "{text}");
    with::<then::Student>().check_lock(&lock.0).expect("nothing changed");
    with::<then::Student>().write_lock(&lock.0).expect("nothing changed");
    assert_eq!(lock.text(), text);
}

/// What the lock of one type says to a registry with another.
fn check<Then: Entity, Now: Entity>(name: &str, set_up: impl Fn(&Registry), expected: &str) {
    let lock = Lock::new(name);
    with::<Then>().check_lock(&lock.0).expect("it is written");
    let before = lock.text();
    let registry = with::<Now>();
    set_up(&registry);
    let said = match registry.check_lock(&lock.0) {
        Ok(()) => "passes".to_owned(),
        Err(LockError::NoPath { reason, .. }) => reason,
        Err(LockError::NoType { name, .. }) => format!("no type {name}"),
        Err(LockError::NotLocked { name, .. }) => format!("{name} is to be locked"),
        Err(error) => error.to_string(),
    };
    assert_eq!(said, expected);
    assert_eq!(lock.text(), before);
    // What has a path is locked beside what was there; what has none is not written.
    match registry.write_lock(&lock.0) {
        Ok(()) => {
            registry.check_lock(&lock.0).expect("it was locked");
            let blocks = before.split("\n\n").skip(1).map(str::trim_end);
            assert!(blocks.into_iter().all(|block| lock.text().contains(block)), "a lock never loses a layout");
        }
        Err(_) => assert_eq!(lock.text(), before),
    }
}

fn nothing(_: &Registry) {}

#[test]
fn what_can_be_read_is_to_be_locked() {
    #[derive(Entity, Clone)]
    #[entity(name = "Student", alias = "Pupil")]
    struct Grown {
        id: Id<Grown>,
        #[serde(default)]
        gpa: f64,
        #[entity(alias = "name")]
        full_name: String,
        nick: Option<String>,
        #[serde(default)]
        friends: References<Grown>,
        annex: Vec<then::Course>,
        courses: Children<Lesson>,
        marks: Vec<Mark>,
    }
    #[derive(Entity, Clone)]
    #[entity(alias = "Course")]
    struct Lesson {
        id: Id<Lesson>,
        title: String,
    }
    #[derive(heirloom::Value, Clone, PartialEq)]
    enum Mark {
        Passed,
        Failed,
        Points(u8),
    }
    #[derive(Entity, Clone)]
    enum Asset {
        Lesson(Lesson),
        Bell(Bell),
    }
    #[derive(Entity, Clone)]
    struct Bell {
        id: Id<Bell>,
        tone: String,
    }
    check::<then::Student, then::Student>("same", nothing, "passes");
    check::<then::Course, Lesson>("renamed", nothing, "Lesson is to be locked");
    check::<then::Student, Grown>("grown", nothing, "Lesson is to be locked");
    check::<then::Asset, Asset>("variant", nothing, "Asset is to be locked");
}

/// Defines types in a place of their own.
macro_rules! now {
    ($name:ident: $($item:item)*) => {
        mod $name {
            use heirloom::prelude::*;
            $(#[derive(Entity, Clone)] $item)*
        }
    };
}

now! { removed: pub(crate) struct Course { pub(crate) id: Id<Course> } }
now! { retyped: pub(crate) struct Course { pub(crate) id: Id<Course>, pub(crate) title: u8 } }
now! { required: pub(crate) struct Course { pub(crate) id: Id<Course>, pub(crate) title: String, pub(crate) size: u8 } }
now! { role: pub(crate) struct Course { pub(crate) id: Id<Course>, pub(crate) title: Option<Id<Course>> } }
now! {
    raised:
    #[entity(schema = 3)]
    pub(crate) struct Course { pub(crate) id: Id<Course>, pub(crate) title: u8 }
}
now! {
    swapped:
    pub(crate) struct Course { pub(crate) id: Id<Course>, #[entity(alias = "title")] pub(crate) name: String, pub(crate) size: u8 }
}
now! { other: pub(crate) struct Lesson { pub(crate) id: Id<Lesson>, pub(crate) title: String } }
now! { variants: pub(crate) enum Asset { Lesson(crate::other::Lesson) } }

#[test]
fn what_cannot_be_read_is_refused() {
    type Then = then::Course;
    check::<Then, removed::Course>("removed", nothing, "it has no field title any more");
    check::<Then, retyped::Course>("retyped", nothing, "its field title was value text, and is value u8 today");
    check::<Then, required::Course>("required", nothing, "its field size was not there, and has no default");
    check::<Then, swapped::Course>("swapped", nothing, "its field size was not there, and has no default");
    let role = "its field title was value text, and is reference option<reference> today";
    check::<Then, role::Course>("role", nothing, role);
    check::<Then, other::Lesson>("other", nothing, "no type Course");
    let variant = "it has no variant Course any more";
    check::<then::Asset, variants::Asset>(
        "variants",
        |registry| drop(registry.register_type::<then::Course>()),
        variant,
    );
}

#[test]
fn upcasters_lead_there_if_all_of_them_do() {
    let step = |from| {
        move |registry: &Registry| {
            let added: Result<(), RegisterError> = registry.upcast::<raised::Course>(from, Ok);
            added.expect("there is none yet");
        }
    };
    let both = |registry: &Registry| {
        step(1)(registry);
        step(2)(registry);
    };
    type Then = then::Course;
    let retyped = "its field title was value text, and is value u8 today";
    check::<Then, raised::Course>("none", nothing, retyped);
    check::<Then, raised::Course>("first", step(1), "there is no upcaster from schema 2, and there are others");
    check::<Then, raised::Course>("last", step(2), "there is no upcaster from schema 1, and there are others");
    check::<Then, raised::Course>("both", both, "Course is to be locked");
}

#[test]
fn an_error_names_the_type_both_layouts_and_the_remedy() {
    let lock = Lock::new("words");
    with::<then::Course>().check_lock(&lock.0).expect("it is written");
    let error = with::<retyped::Course>().check_lock(&lock.0).expect_err("it was retyped").to_string();
    let expected = format!(
        "states of \"Course\" that were stored by schema 1 cannot be read by today's type: its field title was value text, \
         and is value u8 today. Give new fields a `#[serde(default)]` and renamed ones an `#[entity(alias = \"...\")]`; for \
         all else raise the schema of the type (`#[entity(schema = ...)]`, from 1 today) and register upcasters from schema \
         1 on with `upcast`.\nLocked:\n{LOCKED}Today:\nentity Course schema 1\n  title: value u8\n"
    );
    assert_eq!(error, expected);
    let error = with::<other::Lesson>().check_lock(&lock.0).expect_err("it has another name").to_string();
    assert!(
        error.contains("`#[entity(alias = \"Course\")]`") && error.ends_with(&format!("Locked:\n{LOCKED}")),
        "{error}"
    );
}

#[test]
fn a_lock_that_was_edited_says_where() {
    let lock = Lock::new("edited");
    with::<then::Course>().check_lock(&lock.0).expect("it is written");
    let text = lock.text();
    let check = |edited: String, expected_line: usize, expected: &str| {
        std::fs::write(&lock.0, edited).expect("it is writable");
        match with::<then::Course>().check_lock(&lock.0) {
            Err(LockError::Damaged { line, why, .. }) => {
                assert!(line == expected_line && why.contains(expected), "{line}: {why}")
            }
            other => panic!("{other:?}"),
        }
    };
    check(text.replace("title", "name"), 4, "another digest");
    check(text.replace("layout", "layouts"), 4, "64 hexadecimal digits");
    check(format!("{text}\nlayout 00\n"), 8, "64 hexadecimal digits");
    std::fs::write(&lock.0, text.replace('\n', "\r\n")).expect("it is writable");
    with::<then::Course>().check_lock(&lock.0).expect("the ends of lines do not count");
    std::fs::write(&lock.0, [0xff]).expect("it is writable");
    assert!(matches!(with::<then::Course>().check_lock(&lock.0), Err(LockError::Io { .. })));
}
