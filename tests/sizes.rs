//! What a commit takes on disk, by the pages of the file once its write-ahead log came home: many commits, divided.

use std::fs;
use std::path::{Path, PathBuf};

use heirloom::prelude::*;
use heirloom::store::Durability;

#[derive(Entity, Clone, Debug)]
struct Crowd {
    id: Id<Crowd>,
    members: Children<Member>,
}

#[derive(Entity, Clone, Debug)]
struct Member {
    id: Id<Member>,
    name: String,
    score: u32,
}

#[derive(Entity, Clone, Debug)]
struct Link {
    id: Id<Link>,
    load: u32,
    next: Option<Child<Link>>,
}

/// Forty fields: one that changes, and 39 that do not.
#[derive(Entity, Clone, Debug)]
#[rustfmt::skip]
struct Sheet {
    id: Id<Sheet>, small: u32,
    a1: String, a2: String, a3: String, a4: String, a5: String, a6: String, a7: String, a8: String, a9: String,
    b1: String, b2: String, b3: String, b4: String, b5: String, b6: String, b7: String, b8: String, b9: String,
    c1: String, c2: String, c3: String, c4: String, c5: String, c6: String, c7: String, c8: String, c9: String,
    d1: String, d2: String, d3: String, d4: String, d5: String, d6: String, d7: String, d8: String, d9: String,
    e1: String, e2: String, e3: String,
}

fn set_score(member: &mut Member, score: u32) {
    member.score = score;
}

fn set_load(link: &mut Link, load: u32) {
    link.load = load;
}

fn set_small(sheet: &mut Sheet, small: u32) {
    sheet.small = small;
}

/// A file of its own, which goes when this does.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("heirloom-sizes-{name}-{}", std::process::id()));
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("history")
    }

    /// How many bytes the file takes more after some work, with all that it has at rest.
    fn grows(&self, work: impl FnOnce(&Registry)) -> u64 {
        let before = at_rest(&self.file());
        work(&open(&self.file()));
        at_rest(&self.file()) - before
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// The length of a file that nobody has open.
fn at_rest(file: &Path) -> u64 {
    let log = file.with_file_name("history-wal");
    assert!(fs::metadata(log).is_err(), "the last one to close a file brings its log home");
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn open(file: &Path) -> Registry {
    let registry = Registry::builder().durability(Durability::Normal).open(file).expect("it is a store");
    let _ = registry.register("set_score", set_score).expect("the names differ");
    let _ = registry.register("set_load", set_load).expect("the names differ");
    let _ = registry.register("set_small", set_small).expect("the names differ");
    registry
}

#[test]
fn a_leaf_of_a_wide_list_takes_what_a_leaf_takes() {
    const COMMITS: u64 = 2000;
    let mut each = Vec::new();
    for width in [100, 100_000] {
        let kept = Kept::new(&format!("wide-{width}"));
        let member = |number| Member { id: Id::new(), name: format!("member {number}"), score: 0 };
        let members: Vec<Member> = (0..width).map(member).collect();
        let ids: Vec<Id<Member>> = members.iter().map(|member| member.id).collect();
        let members = Children::try_from(members).expect("all are new");
        open(&kept.file()).add(Crowd { id: Id::new(), members }).expect("all are new");
        let grown = kept.grows(|registry| {
            for number in 0..COMMITS {
                // At even distances over all of the list.
                let id = ids[(number * 7919 % width) as usize];
                registry.call(set_score, (id, number as u32 + 1)).expect("nobody else commits");
            }
        });
        each.push(grown / COMMITS);
    }
    let [narrow, wide] = each[..] else { unreachable!("there are two") };
    assert!(narrow < 1024, "a commit takes {narrow} bytes among 100");
    // Here most find the page of their leaf full, and cut it in two. The list itself is some megabytes.
    assert!(wide < 2048, "a commit takes {wide} bytes among 100,000");
}

#[test]
fn an_owner_that_is_carried_along_takes_less_than_64_bytes() {
    const COMMITS: u64 = 1000;
    let sizes = [1, 65].map(|depth: u32| {
        let kept = Kept::new(&format!("deep-{depth}"));
        let last = Link { id: Id::new(), load: 0, next: None };
        let id = last.id;
        let add = |next: Link, _| Link { id: Id::new(), load: 0, next: Some(Child::new(next)) };
        open(&kept.file()).add((1..depth).fold(last, add)).expect("all are new");
        kept.grows(|registry| {
            for number in 0..COMMITS {
                registry.call(set_load, (id, number as u32 + 1)).expect("nobody else commits");
            }
        })
    });
    let each = (sizes[1] - sizes[0]) / COMMITS / 64;
    assert!(each < 64, "an owner carried along takes {each} bytes");
}

#[test]
fn one_small_field_of_forty_takes_little_of_the_whole() {
    const COMMITS: u64 = 2000;
    let long = || "words that stay as they are, over and over again, ".repeat(4);
    #[rustfmt::skip]
    let sheet = Sheet {
        id: Id::new(), small: 0,
        a1: long(), a2: long(), a3: long(), a4: long(), a5: long(), a6: long(), a7: long(), a8: long(), a9: long(),
        b1: long(), b2: long(), b3: long(), b4: long(), b5: long(), b6: long(), b7: long(), b8: long(), b9: long(),
        c1: long(), c2: long(), c3: long(), c4: long(), c5: long(), c6: long(), c7: long(), c8: long(), c9: long(),
        d1: long(), d2: long(), d3: long(), d4: long(), d5: long(), d6: long(), d7: long(), d8: long(), d9: long(),
        e1: long(), e2: long(), e3: long(),
    };
    let (id, whole) = (sheet.id, 39 * long().len() as u64);
    let kept = Kept::new("sheet");
    open(&kept.file()).add(sheet).expect("it is new");
    let grown = kept.grows(|registry| {
        for number in 0..COMMITS {
            registry.call(set_small, (id, number as u32 + 1)).expect("nobody else commits");
        }
    });
    let each = grown / COMMITS;
    assert!(each < 512 && each < whole / 10, "a commit takes {each} bytes, and a whole state {whole}");
}
