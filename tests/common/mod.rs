//! Entities that the tests share, each in a plain and a shared form, and ways to read what came of them.
#![allow(dead_code, unused_macros, reason = "each test file takes what it needs")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use heirloom::prelude::*;
use heirloom::{Clock, Ids};

/// A school whose children are held by value.
pub(crate) mod plain {
    use heirloom::prelude::*;

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Course {
        pub(crate) id: Id<Course>,
        pub(crate) title: String,
        pub(crate) credits: u32,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Student {
        pub(crate) id: Id<Student>,
        pub(crate) name: String,
        pub(crate) gpa: f64,
        pub(crate) courses: Vec<Course>,
        pub(crate) mentor: Option<Id<Student>>,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct School {
        pub(crate) id: Id<School>,
        pub(crate) name: String,
        pub(crate) students: Vec<Student>,
        pub(crate) alumni: Vec<Student>,
    }

    pub(crate) fn list<T>(items: Vec<T>) -> Vec<T> {
        items
    }
    pub(crate) fn push<T>(list: &mut Vec<T>, item: T) {
        list.push(item);
    }
    pub(crate) fn take<T>(list: &mut Vec<T>, index: usize) -> T {
        list.remove(index)
    }
    pub(crate) fn put<T>(list: &mut Vec<T>, index: usize, item: T) {
        list.insert(index, item);
    }
}

/// The same school behind handles.
pub(crate) mod shared {
    use heirloom::prelude::*;

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Course {
        pub(crate) id: Id<Course>,
        pub(crate) title: String,
        pub(crate) credits: u32,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct Student {
        pub(crate) id: Id<Student>,
        pub(crate) name: String,
        pub(crate) gpa: f64,
        pub(crate) courses: Children<Course>,
        pub(crate) mentor: Option<Id<Student>>,
    }

    #[derive(Entity, Clone, Debug, PartialEq)]
    pub(crate) struct School {
        pub(crate) id: Id<School>,
        pub(crate) name: String,
        pub(crate) students: Children<Student>,
        pub(crate) alumni: Children<Student>,
    }

    pub(crate) fn list<T: Entity>(items: Vec<T>) -> Children<T> {
        Children::try_from_iter(items).expect("the test gives each once")
    }
    pub(crate) fn push<T: Entity>(list: &mut Children<T>, item: T) {
        list.push(item).expect("the test gives each once");
    }
    pub(crate) fn take<T: Entity>(list: &mut Children<T>, index: usize) -> T {
        list.remove(index).expect("the test takes what is there").into_inner()
    }
    pub(crate) fn put<T: Entity>(list: &mut Children<T>, index: usize, item: T) {
        list.insert(index, item).expect("the test gives each once");
    }
}

/// Makes the same tests for both schools.
macro_rules! for_both_schools {
    ($($item:item)*) => {
        mod plain {
            #[allow(unused_imports, reason = "not every set of tests takes all")]
            use super::{*, common::plain::*};
            $($item)*
        }
        mod shared {
            #[allow(unused_imports, reason = "not every set of tests takes all")]
            use super::{*, common::shared::*};
            $($item)*
        }
    };
}
#[allow(unused_imports, reason = "each test file takes what it needs")]
pub(crate) use for_both_schools;

/// A small school of either form: Ann (Algebra, Botany) and Bob (Chemistry), and Zoe, who left.
macro_rules! small_school {
    () => {{
        let course = |title: &str| Course { id: common::id(title), title: title.to_owned(), credits: 5 };
        let student = |name: &str, gpa: f64, courses: Vec<Course>| Student {
            id: common::id(name),
            name: name.to_owned(),
            gpa,
            courses: list(courses),
            mentor: None,
        };
        School {
            id: common::id("Hill"),
            name: "Hill".to_owned(),
            students: list(vec![
                student("Ann", 3.5, vec![course("Algebra"), course("Botany")]),
                student("Bob", 2.0, vec![course("Chemistry")]),
            ]),
            alumni: list(vec![student("Zoe", 4.0, vec![])]),
        }
    }};
}
#[allow(unused_imports, reason = "each test file takes what it needs")]
pub(crate) use small_school;

/// The id that a name stands for in a test.
pub(crate) fn id<T>(name: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive("test", name))
}

/// A clock that a test sets; it stands still in between.
#[derive(Default)]
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl TestClock {
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// The moment so many seconds after 1970.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// Identities 1, 2, 3.
#[derive(Default)]
pub(crate) struct Counting(pub(crate) AtomicU64);

impl Ids for Counting {
    fn next_id(&self) -> EntityId {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        EntityId::from_bytes(u128::from(number).to_be_bytes())
    }
}

/// An entity that can own others of its type in a list, in an option and in a map: what random trees are made of.
pub(crate) trait Folder: Entity + PartialEq + std::fmt::Debug {
    fn of(spec: &Spec) -> Self;
    fn spec(&self) -> Spec;
    fn number(&self) -> u8;
    fn set_name(&mut self, name: &str);
    fn set_marks(&mut self, marks: Vec<u8>);
    fn push(&mut self, child: Self);
    /// Takes out what it owns directly under this number.
    fn take(&mut self, number: u8) -> Option<Self>;
    /// Turns the order of its list round by so many places.
    fn rotate(&mut self, by: usize);
    /// Writes to every child without a change.
    fn touch(&mut self);
}

/// A folder as plain data: what a random tree should be like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spec {
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) marks: Vec<u8>,
    pub(crate) list: Vec<Spec>,
    pub(crate) extra: Option<Box<Spec>>,
    pub(crate) keyed: BTreeMap<String, Spec>,
}

impl Spec {
    pub(crate) fn new(number: u8) -> Self {
        Spec { number, name: format!("f{number}"), ..Spec::default() }
    }

    pub(crate) fn owned(&self) -> impl Iterator<Item = &Spec> {
        self.list.iter().chain(self.extra.as_deref()).chain(self.keyed.values())
    }

    pub(crate) fn owned_mut(&mut self) -> impl Iterator<Item = &mut Spec> {
        self.list.iter_mut().chain(self.extra.as_deref_mut()).chain(self.keyed.values_mut())
    }

    pub(crate) fn find(&self, number: u8) -> Option<&Spec> {
        if self.number == number {
            return Some(self);
        }
        self.owned().find_map(|child| child.find(number))
    }

    pub(crate) fn find_mut(&mut self, number: u8) -> Option<&mut Spec> {
        if self.number == number {
            return Some(self);
        }
        self.owned_mut().find_map(|child| child.find_mut(number))
    }

    /// The numbers of the whole tree.
    pub(crate) fn numbers(&self) -> Vec<u8> {
        let mut numbers = vec![self.number];
        self.owned().for_each(|child| numbers.extend(child.numbers()));
        numbers
    }

    /// The owner of a folder in this tree.
    pub(crate) fn owner_of(&self, number: u8) -> Option<u8> {
        if self.owned().any(|child| child.number == number) {
            return Some(self.number);
        }
        self.owned().find_map(|child| child.owner_of(number))
    }

    /// Takes out what it owns directly under this number.
    pub(crate) fn take(&mut self, number: u8) -> Option<Spec> {
        if let Some(at) = self.list.iter().position(|child| child.number == number) {
            return Some(self.list.remove(at));
        }
        if self.extra.as_ref().is_some_and(|extra| extra.number == number) {
            return self.extra.take().map(|extra| *extra);
        }
        let key = self.keyed.iter().find(|(_, child)| child.number == number).map(|(key, _)| key.clone())?;
        self.keyed.remove(&key)
    }
}

/// The id of the folder of a number.
pub(crate) fn folder_id<F>(number: u8) -> Id<F> {
    id(&format!("folder {number}"))
}

macro_rules! folder {
    (
        $module:ident, $list:ty, $child:ty,
        $make_list:expr, $make:expr, $inner:expr, $push:expr, $take:expr, $rotate:expr
    ) => {
        pub(crate) mod $module {
            use std::collections::BTreeMap;

            use heirloom::prelude::*;

            use super::{Spec, folder_id};

            #[derive(Entity, Clone, Debug, PartialEq)]
            pub(crate) struct Folder {
                pub(crate) id: Id<Folder>,
                pub(crate) number: u8,
                pub(crate) name: String,
                pub(crate) marks: Vec<u8>,
                pub(crate) list: $list,
                pub(crate) extra: Option<$child>,
                pub(crate) keyed: BTreeMap<String, $child>,
            }

            impl super::Folder for Folder {
                fn of(spec: &Spec) -> Self {
                    Folder {
                        id: folder_id(spec.number),
                        number: spec.number,
                        name: spec.name.clone(),
                        marks: spec.marks.clone(),
                        list: $make_list(spec.list.iter().map(Self::of).collect::<Vec<Folder>>()),
                        extra: spec.extra.as_deref().map(|spec| $make(Self::of(spec))),
                        keyed: spec.keyed.iter().map(|(key, spec)| (key.clone(), $make(Self::of(spec)))).collect(),
                    }
                }
                fn spec(&self) -> Spec {
                    Spec {
                        number: self.number,
                        name: self.name.clone(),
                        marks: self.marks.clone(),
                        list: self.list.iter().map(Self::spec).collect(),
                        extra: self.extra.as_ref().map(|extra| Box::new(extra.spec())),
                        keyed: self.keyed.iter().map(|(key, child)| (key.clone(), child.spec())).collect(),
                    }
                }
                fn number(&self) -> u8 {
                    self.number
                }
                fn set_name(&mut self, name: &str) {
                    self.name = name.to_owned();
                }
                fn set_marks(&mut self, marks: Vec<u8>) {
                    self.marks = marks;
                }
                fn push(&mut self, child: Self) {
                    $push(&mut self.list, child);
                }
                fn take(&mut self, number: u8) -> Option<Self> {
                    let place = self.list.iter().position(|child| child.number == number);
                    if let Some(at) = place {
                        return Some($take(&mut self.list, at));
                    }
                    if self.extra.as_ref().is_some_and(|extra| extra.number == number) {
                        return self.extra.take().map($inner);
                    }
                    let key = self.keyed.iter().find(|(_, child)| child.number == number)?.0.clone();
                    self.keyed.remove(&key).map($inner)
                }
                fn rotate(&mut self, by: usize) {
                    $rotate(&mut self.list, by);
                }
                fn touch(&mut self) {
                    for child in &mut self.list {
                        child.name = child.name.clone();
                    }
                }
            }
        }
    };
}

folder!(
    plain_folder,
    Vec<Folder>,
    Box<Folder>,
    |items| items,
    Box::new,
    |child: Box<Folder>| *child,
    Vec::push,
    Vec::remove,
    |list: &mut Vec<Folder>, by: usize| {
        let places = by % list.len().max(1);
        list.rotate_left(places);
    }
);
folder!(
    shared_folder,
    Children<Folder>,
    Child<Folder>,
    |items: Vec<Folder>| Children::try_from_iter(items).expect("the test gives each once"),
    Child::new,
    Child::into_inner,
    |list: &mut Children<Folder>, child: Folder| list.push(child).expect("the test gives each once"),
    |list: &mut Children<Folder>, at: usize| list.remove(at).expect("it was found").into_inner(),
    |list: &mut Children<Folder>, by: usize| for _ in 0..by % list.len().max(1) {
        list.move_to(0, list.len() - 1);
    }
);
folder!(
    mixed_folder,
    Children<Folder>,
    Box<Folder>,
    |items: Vec<Folder>| Children::try_from_iter(items).expect("the test gives each once"),
    Box::new,
    |child: Box<Folder>| *child,
    |list: &mut Children<Folder>, child: Folder| list.push(child).expect("the test gives each once"),
    |list: &mut Children<Folder>, at: usize| list.remove(at).expect("it was found").into_inner(),
    |list: &mut Children<Folder>, by: usize| for _ in 0..by % list.len().max(1) {
        list.move_to(0, list.len() - 1);
    }
);

/// Makes the same tests for folders of all forms.
macro_rules! for_all_folders {
    ($($item:item)*) => {
        mod plain {
            #[allow(unused_imports, reason = "not every set of tests takes all")]
            use super::{*, common::plain_folder::Folder as F};
            $($item)*
        }
        mod shared {
            #[allow(unused_imports, reason = "not every set of tests takes all")]
            use super::{*, common::shared_folder::Folder as F};
            $($item)*
        }
        mod mixed {
            #[allow(unused_imports, reason = "not every set of tests takes all")]
            use super::{*, common::mixed_folder::Folder as F};
            $($item)*
        }
    };
}
#[allow(unused_imports, reason = "each test file takes what it needs")]
pub(crate) use for_all_folders;

/// How many cases a property test tries: more where somebody asks for them.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// A directory of its own, which goes when nobody has it any more.
#[derive(Debug)]
pub(crate) struct Directory(std::path::PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("heirloom-{name}-{}-{number}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.0.join("a.heirloom")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
