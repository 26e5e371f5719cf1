//! Forgetting: what is kept is read as before, what is not is told as such, and nothing in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore, SqliteStore, Store, verify};
use heirloom::{Clock, CommitError, CompactError, Position, ReadError, Retention, Version};
use proptest::prelude::*;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Node {
    id: Id<Node>,
    name: String,
    pages: Vec<String>,
    near: Vec<Node>,
    far: Children<Node>,
    friends: Vec<Id<Node>>,
}

/// So many nodes there are at most.
const NODES: u8 = 7;

fn id(number: u8) -> Id<Node> {
    Id::from_entity_id(EntityId::derive("Node", &number.to_string()))
}

fn node(number: u8) -> Node {
    let name = format!("n{number}");
    Node { id: id(number), name, pages: vec![], near: vec![], far: Children::new(), friends: vec![] }
}

fn rename(node: &mut Node, name: String) {
    node.name = name;
}

fn write(node: &mut Node, page: String) {
    node.pages.push(page.repeat(20));
}

fn befriend(node: &mut Node, other: u8) {
    let other = id(other);
    match node.friends.iter().position(|friend| *friend == other) {
        Some(at) => drop(node.friends.remove(at)),
        None => node.friends.push(other),
    }
}

fn put_near(owner: &mut Node, number: u8) {
    owner.near.push(node(number));
}

fn put_far(owner: &mut Node, number: u8) -> Result<(), String> {
    owner.far.push(node(number)).map_err(|error| error.to_string())
}

fn take_out(owner: &mut Node, number: u8) {
    owner.near.retain(|child| child.id != id(number));
    if let Some(at) = owner.far.iter().position(|child| child.id == id(number)) {
        owner.far.remove(at).expect("it was found");
    }
}

fn moved(from: &mut Node, to: &mut Node, number: u8) -> Result<(), String> {
    if let Some(at) = from.near.iter().position(|child| child.id == id(number)) {
        to.near.push(from.near.remove(at));
    } else if let Some(at) = from.far.iter().position(|child| child.id == id(number)) {
        let child = from.far.remove(at).expect("it was found");
        to.far.push(child.into_inner()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Writes much that compresses little, and is told little.
fn fill(node: &mut Node, number: u32) {
    let mut random = u64::from(number);
    let mut next = |_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{random:x}")
    };
    node.name = (0..400).map(&mut next).collect();
}

/// A clock that goes on by a second for each entry.
struct Ticks(Arc<AtomicI64>);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed) * 1_000_000)
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("heirloom-retention-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where the registry that forgets is kept.
enum Place {
    File(Folder),
    Memory(MemoryStore),
}

impl Place {
    fn store(&self) -> Box<dyn Store> {
        match self {
            Place::File(folder) => Box::new(SqliteStore::open(folder.0.join("a")).unwrap()),
            Place::Memory(store) => Box::new(store.clone()),
        }
    }

    fn open(&self, time: &Arc<AtomicI64>) -> Registry {
        let builder = Registry::builder().clock(Ticks(Arc::clone(time))).durability(Durability::Normal);
        let registry = match self {
            Place::File(folder) => builder.open(folder.0.join("a")),
            Place::Memory(store) => builder.over(store.clone()),
        };
        let registry = registry.unwrap();
        let _ = registry.register("rename", rename).unwrap();
        let _ = registry.register("write", write).unwrap();
        let _ = registry.register("fill", fill).unwrap();
        let _ = registry.register("befriend", befriend).unwrap();
        let _ = registry.register("put near", put_near).unwrap();
        let _ = registry.register("put far", put_far).unwrap();
        let _ = registry.register("take out", take_out).unwrap();
        let _ = registry.register("moved", moved).unwrap();
        registry
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8),
    Near(u8, u8),
    Far(u8, u8),
    Rename(u8, u8),
    Write(u8, u8),
    Befriend(u8, u8),
    Move(u8, u8, u8),
    TakeOut(u8, u8),
    Remove(u8),
    Revert(u8, u8),
    Tag(u8),
    Compact { keep: u8, budget: u8, steps: u8 },
    Reopen,
    Compare,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..NODES;
    prop_oneof![
        3 => n().prop_map(Step::Add),
        3 => (n(), n()).prop_map(|(owner, number)| Step::Near(owner, number)),
        3 => (n(), n()).prop_map(|(owner, number)| Step::Far(owner, number)),
        4 => (n(), any::<u8>()).prop_map(|(number, name)| Step::Rename(number, name)),
        5 => (n(), any::<u8>()).prop_map(|(number, page)| Step::Write(number, page)),
        4 => (n(), n()).prop_map(|(number, other)| Step::Befriend(number, other)),
        3 => (n(), n(), n()).prop_map(|(from, to, number)| Step::Move(from, to, number)),
        2 => (n(), n()).prop_map(|(owner, number)| Step::TakeOut(owner, number)),
        1 => n().prop_map(Step::Remove),
        3 => (n(), any::<u8>()).prop_map(|(number, back)| Step::Revert(number, back)),
        2 => any::<u8>().prop_map(Step::Tag),
        4 => (0..12u8, 1..8u8, 1..6u8).prop_map(|(keep, budget, steps)| Step::Compact { keep, budget, steps }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compare),
    ]
}

/// One registry that forgets, and its twin that does not.
struct Run {
    place: Place,
    time: Arc<AtomicI64>,
    registry: Registry,
    twin: Registry,
    horizon: Position,
    tags: Vec<Position>,
}

impl Run {
    fn new(place: Place) -> Self {
        let time = Arc::new(AtomicI64::new(1));
        let registry = place.open(&time);
        let twin = Place::Memory(MemoryStore::new()).open(&time);
        Self { place, time, registry, twin, horizon: Position(0), tags: vec![] }
    }

    fn is_kept(&self, at: Position) -> bool {
        at >= self.horizon || at.0 == 0 || self.tags.contains(&at)
    }

    /// Does the same to both.
    fn both<T, E: std::fmt::Display>(&self, act: impl Fn(&Registry) -> Result<T, E>) {
        let (done, expected) = (act(&self.registry), act(&self.twin));
        match (done, expected) {
            (Ok(_), Ok(_)) => {}
            (Err(error), Err(expected)) if is_same_error(&error.to_string(), &expected.to_string()) => {}
            (done, expected) => {
                panic!("{:?} and {:?}", done.err().map(|e| e.to_string()), expected.err().map(|e| e.to_string()))
            }
        }
    }

    fn take(&mut self, step: Step) {
        self.time.fetch_add(1, Ordering::Relaxed);
        match step {
            Step::Add(number) => self.both(|registry| registry.by("a").add(node(number))),
            Step::Near(owner, number) => self.both(|registry| registry.call(put_near, (id(owner), number))),
            Step::Far(owner, number) => self.both(|registry| registry.call(put_far, (id(owner), number))),
            Step::Rename(number, name) => self.both(|registry| registry.call(rename, (id(number), name.to_string()))),
            Step::Write(number, page) => self.both(|registry| registry.call(write, (id(number), page.to_string()))),
            Step::Befriend(number, other) => self.both(|registry| registry.call(befriend, (id(number), other))),
            Step::Move(from, to, number) => self.both(|registry| registry.call(moved, (id(from), id(to), number))),
            Step::TakeOut(owner, number) => self.both(|registry| registry.call(take_out, (id(owner), number))),
            Step::Remove(number) => self.both(|registry| registry.remove(id(number))),
            Step::Revert(number, back) => self.revert(number, back),
            Step::Tag(which) => self.tag(which),
            Step::Compact { keep, budget, steps } => self.compact(keep, budget, steps),
            Step::Reopen => self.registry = self.place.open(&self.time),
            Step::Compare => self.compare(),
        }
    }

    fn revert(&self, number: u8, back: u8) {
        let head = self.twin.history().head().0;
        let at = Position(head.saturating_sub(u64::from(back) % 20).max(1));
        if self.is_kept(at) {
            self.both(|registry| registry.revert(id(number), at));
        } else {
            let reverted = self.registry.revert(id(number), at);
            assert!(matches!(
                reverted,
                Err(CommitError::Read(ReadError::Forgotten { .. } | ReadError::Unknown { .. }))
            ));
        }
    }

    fn tag(&mut self, which: u8) {
        let head = self.twin.history().head().0;
        if head == 0 {
            return;
        }
        let at = Position(1 + u64::from(which) % head);
        let name = format!("tag {}", self.tags.len());
        let tagged = self.registry.history().tag(name.clone(), at);
        if self.is_kept(at) {
            assert_eq!(tagged.unwrap(), at);
            self.twin.history().tag(name, at).unwrap();
            self.tags.push(at);
        } else {
            assert!(matches!(tagged, Err(ReadError::Forgotten { .. })), "{tagged:?}");
        }
    }

    fn compact(&mut self, keep: u8, budget: u8, steps: u8) {
        let retention = if keep.is_multiple_of(2) {
            Retention::new().entries(keep.into())
        } else {
            Retention::new().age(std::time::Duration::from_secs(keep.into()))
        };
        let before = self.registry.history().head();
        for step in 0..steps {
            let done = self.registry.compact(&retention, budget.into()).unwrap();
            assert!(done.horizon >= self.horizon && done.horizon <= before);
            self.horizon = done.horizon;
            assert_eq!(self.registry.history().horizon().unwrap(), self.horizon);
            if step == 1 {
                verify(&*self.place.store(), None).unwrap();
                self.registry = self.place.open(&self.time);
            }
        }
    }

    /// Compares what both tell, of everything.
    fn compare(&self) {
        verify(&*self.place.store(), None).unwrap();
        let (history, twin) = (self.registry.history(), self.twin.history());
        assert_eq!(history.head(), twin.head());
        for at in (1..=twin.head().0).map(Position) {
            assert_eq!(history.entry(at).unwrap().to_string(), twin.entry(at).unwrap().to_string());
            let arguments =
                |history: &History| history.entry(at).unwrap().run().map(|run| format!("{:?}", run.arguments()));
            assert_eq!(arguments(&history), arguments(&twin));
            if self.is_kept(at) {
                self.compare_at(at);
            } else {
                self.is_forgotten(at);
            }
            let told = |history: &History| history.changes(at).map(|changes| changes.to_string());
            if self.is_kept(at) && self.is_kept(Position(at.0 - 1)) {
                same(told(&history), told(&twin));
            } else if twin.entry(at).unwrap().version_count() > 0 {
                assert!(matches!(told(&history), Err(ReadError::Forgotten { .. })), "{:?}", told(&history));
            }
        }
        (0..NODES).for_each(|number| self.compare_versions(number));
    }

    fn compare_at(&self, at: Position) {
        let (history, twin) = (self.registry.history(), self.twin.history());
        let versions = |history: &History| history.versions(at).map(|all| format!("{all:?}"));
        same(versions(&history), versions(&twin));
        for number in 0..NODES {
            let id = id(number);
            same(history.at(id, at), twin.at(id, at));
            same(history.digest(id, at), twin.digest(id, at));
            same(history.owner(id, at), twin.owner(id, at));
            same(history.referrers(id, at), twin.referrers(id, at));
            let tree = |history: &History| {
                let tree = history.tree(id, at)?;
                let mut told = vec![format!("{} {:?}", tree.position(), tree.digest()?)];
                for inner in tree.ids()? {
                    let (path, owner) = (tree.path(inner)?, tree.owner(inner)?);
                    told.push(format!("{path} {owner:?} {:?} {:?}", tree.children(inner)?, tree.referrers(inner)?));
                }
                Ok::<_, ReadError>(told)
            };
            same(tree(&history), tree(&twin));
            let diff = |history: &History| history.diff(id, at, When::Head).map(|changes| changes.to_string());
            same(diff(&history), diff(&twin));
            let values = |history: &History| {
                history
                    .field_since(id, Node::NAME, at)
                    .map(|all| all.into_iter().map(|one| one.value).collect::<Vec<_>>())
            };
            if at >= self.horizon {
                same(values(&history), values(&twin));
            }
        }
    }

    fn is_forgotten(&self, at: Position) {
        let history = self.registry.history();
        let forgotten = |error: Option<ReadError>, what: &str| match error {
            Some(ReadError::Forgotten { horizon, .. }) => assert_eq!(horizon, self.horizon),
            Some(ReadError::Unknown { .. }) => {}
            other => panic!("{what} of #{} is forgotten, and {other:?}", at.0),
        };
        forgotten(history.position(at).err(), "the position");
        for number in 0..NODES {
            let id = id(number);
            forgotten(history.at(id, at).err(), "the state");
            forgotten(history.digest(id, at).err(), "the digest");
            forgotten(history.tree(id, at).err(), "the tree");
            forgotten(history.owner(id, at).err(), "the owner");
            forgotten(history.referrers(id, at).err(), "who refers");
            forgotten(history.diff(id, at, When::Head).err(), "a difference");
            forgotten(history.field_since(id, Node::NAME, at).err(), "a field");
        }
        if self.twin.history().entry(at).unwrap().version_count() > 0 {
            forgotten(history.versions(at).err(), "what the entry made");
        }
    }

    /// The versions of a node: each as it was, or forgotten; none is numbered anew.
    fn compare_versions(&self, number: u8) {
        let (history, twin) = (self.registry.history(), self.twin.history());
        let Ok(expected) = twin.of(id(number)) else { return };
        let found = history.of(id(number)).unwrap();
        assert_eq!((found.len(), history.revision(id(number)).unwrap().0), (expected.len(), expected.len() as u64));
        let all: Vec<Version> = expected.iter().map(Result::unwrap).collect();
        let mut next = Position(u64::MAX);
        let mut lacks = false;
        for version in all {
            let is_kept = (version.position.0..next.0).take(99).map(Position).any(|at| self.is_kept(at));
            next = version.position;
            lacks |= !is_kept;
            match found.get(version.revision) {
                Ok(Some(found)) => {
                    assert!(is_kept, "{version:?}");
                    assert_eq!(format!("{found:?}"), format!("{version:?}"));
                    if self.is_kept(version.position) && self.is_kept(Position(version.position.0 - 1)) {
                        assert_eq!(found.to_string(), version.to_string());
                    }
                }
                Err(ReadError::Forgotten { .. }) => assert!(!is_kept, "{version:?}"),
                other => panic!("{version:?} is {other:?}"),
            }
            let as_of = |history: &History| history.at(id(number), version.revision);
            match as_of(&history) {
                Err(ReadError::Forgotten { .. }) => assert!(!self.is_kept(version.position)),
                found => same(found, as_of(&twin)),
            }
        }
        let values = |history: &History| history.field(id(number), Node::NAME);
        if lacks {
            assert!(matches!(values(&history), Err(ReadError::Forgotten { .. })));
        } else {
            same(values(&history), values(&twin));
        }
    }
}

/// Whether two errors say the same, as far as it can still be told.
fn is_same_error(found: &str, expected: &str) -> bool {
    let first = |text: &str| text.split(" it is known from ").next().unwrap_or_default().to_owned();
    found == expected
        || (expected.contains("not there yet") && first(found) == first(expected))
        || (expected.contains("was removed with") && found.contains("as far as is still known"))
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(found: Result<T, ReadError>, expected: Result<T, ReadError>) {
    match (&found, &expected) {
        (Err(found), Err(expected)) => {
            assert!(is_same_error(&found.to_string(), &expected.to_string()), "{found} is not {expected}");
        }
        _ => assert_eq!(found, expected),
    }
}

fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

fn run(place: Place, steps: &[Step]) {
    let mut run = Run::new(place);
    for step in steps {
        run.take(*step);
    }
    run.compare();
    while run.registry.compact(&Retention::new(), 3).unwrap().more {}
    run.compare();
    run.registry = run.place.open(&run.time);
    run.compare();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_kept_reads_as_before_and_the_rest_is_told_as_forgotten(steps in prop::collection::vec(step(), 5..60)) {
        run(Place::Memory(MemoryStore::new()), &steps);
    }

    #[test]
    fn so_it_is_in_a_file(steps in prop::collection::vec(step(), 5..45)) {
        run(Place::File(Folder::new()), &steps);
    }
}

#[test]
fn what_is_in_memory_alone_is_kept_whole() {
    let registry = Registry::in_memory();
    let found = registry.compact(&Retention::new().entries(1), 100);
    assert!(matches!(found, Err(CompactError::InMemory)), "{found:?}");
}

#[test]
fn a_retention_that_says_nothing_keeps_everything() {
    let mut run = Run::new(Place::Memory(MemoryStore::new()));
    run.take(Step::Add(1));
    (0..9).for_each(|name| run.take(Step::Rename(1, name)));
    let done = run.registry.compact(&Retention::new(), 100).unwrap();
    assert_eq!((done.horizon, done.versions, done.more), (Position(0), 0, false));
    run.compare();
}

#[test]
fn a_file_shrinks_step_by_step() {
    let run = Run::new(Place::File(Folder::new()));
    let Place::File(folder) = &run.place else { unreachable!() };
    run.registry.add(node(1)).unwrap();
    for number in 0..400 {
        run.registry.call(fill, (id(1), number)).unwrap();
    }
    let size = || {
        let store = SqliteStore::open(folder.0.join("a")).unwrap();
        store.sizes().unwrap().file
    };
    // What is in the log beside the file comes into it when the last one closes it.
    drop(run.registry);
    let before = size();
    let registry = run.place.open(&run.time);
    let (mut steps, mut most) = (0, 0);
    loop {
        let done = registry.compact(&Retention::new().entries(10), 16).unwrap();
        steps += 1;
        most = most.max(done.versions);
        if !done.more {
            break;
        }
    }
    drop(registry);
    let after = size();
    assert!(steps > 20 && most <= 17, "{steps} steps of up to {most} versions");
    assert!(after * 4 < before, "{before} bytes became {after}");
    verify(&SqliteStore::open(folder.0.join("a")).unwrap(), None).unwrap();
}

/// Two registries over one file, as two processes have it.
fn two() -> (Run, Registry) {
    let run = Run::new(Place::File(Folder::new()));
    let other = run.place.open(&run.time);
    (run, other)
}

fn forget(registry: &Registry, keep: u64) {
    while registry.compact(&Retention::new().entries(keep), 4).unwrap().more {}
}

#[test]
fn what_another_process_forgets_is_forgotten_here_too() {
    let (mut run, other) = two();
    run.take(Step::Add(1));
    (2..5).for_each(|number| run.take(Step::Far(1, number)));
    (0..30).for_each(|name| run.take(Step::Rename(2 + name % 3, name)));
    let history = run.registry.history();
    let (old, tree) = (history.at(id(1), Position(6)).unwrap(), history.tree(id(1), Position(6)).unwrap());
    let now = run.registry.get(id(1)).unwrap();
    let version = history.of(id(2)).unwrap().get(Revision(2)).unwrap().unwrap();
    other.call(rename, (id(2), "by another".to_owned())).unwrap();
    forget(&other, 0);
    assert!(matches!(history.at(id(1), Position(6)), Err(ReadError::Forgotten { .. })));
    assert!(matches!(tree.children(id(1)), Err(ReadError::Forgotten { .. })));
    assert!(matches!(tree.get(id(2)), Err(ReadError::Forgotten { .. })));
    assert!(matches!(version.changes(), Err(ReadError::Forgotten { .. })));
    assert_eq!(run.registry.get(id(2)).unwrap().name, "by another");
    assert_eq!(run.registry.get(id(1)).unwrap().far.len(), 3);
    // A value is what it was as far as it was looked at; what is behind its handles is told, or why not.
    assert_eq!((old.far.len(), now.far.len()), (3, 3));
    run.registry.call(rename, (id(3), "goes on".to_owned())).unwrap();
    assert_eq!(run.registry.get(id(1)).unwrap().far.iter().filter(|child| child.name == "goes on").count(), 1);
    assert_eq!(history.revision(id(2)).unwrap(), Revision(12));
    verify(&*run.place.store(), None).unwrap();
}

#[test]
fn readers_and_writers_go_on_meanwhile() {
    let (mut run, other) = two();
    run.take(Step::Add(1));
    (2..5).for_each(|number| run.take(if number % 2 == 0 { Step::Far(1, number) } else { Step::Near(1, number) }));
    let (registry, done) = (&run.registry, &std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                other.compact(&Retention::new().entries(5), 7).unwrap();
            }
        });
        scope.spawn(|| {
            let mut back = 0;
            while !done.load(Ordering::Relaxed) {
                let history = registry.history();
                let at = Position(history.head().0.saturating_sub(back % 12).max(1));
                back += 1;
                match history.at(id(1), at).and_then(|node| Ok((node.near.len(), history.changes(at)?))) {
                    Ok((near, _)) => assert!(near <= 1),
                    Err(ReadError::Forgotten { asked, .. }) => assert_ne!(asked, When::Head),
                    Err(error) => panic!("{error}"),
                }
                assert_eq!(registry.get(id(1)).unwrap().near.len(), 1);
            }
        });
        for name in 0..240 {
            registry.call(rename, (id(2 + name % 3), name.to_string())).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    forget(registry, 0);
    verify(&*run.place.store(), None).unwrap();
    assert_eq!(registry.history().revision(id(1)).unwrap(), Revision(244));
}

#[test]
fn what_was_removed_long_ago_comes_back_as_the_next_revision() {
    let mut run = Run::new(Place::File(Folder::new()));
    run.take(Step::Add(1));
    run.take(Step::Near(1, 2));
    run.take(Step::Far(1, 3));
    run.take(Step::Befriend(1, 4));
    run.take(Step::Remove(1));
    (0..9).for_each(|_| run.take(Step::Add(5)));
    run.take(Step::Rename(5, 1));
    run.take(Step::Compact { keep: 0, budget: 7, steps: 5 });
    run.take(Step::Reopen);
    run.compare();
    run.take(Step::Add(1));
    run.take(Step::Befriend(1, 4));
    run.take(Step::Add(3));
    run.compare();
    assert_eq!(run.registry.history().revision(id(1)).unwrap(), run.twin.history().revision(id(1)).unwrap());
}

#[test]
fn the_file_is_made_so_that_it_can_shrink() {
    let run = Run::new(Place::File(Folder::new()));
    let Place::File(folder) = &run.place else { unreachable!() };
    let connection = rusqlite::Connection::open(folder.0.join("a")).unwrap();
    let mode: i64 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, 2, "incremental");
}
