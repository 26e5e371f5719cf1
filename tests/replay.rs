//! Recorded runs, run again: what is the same, what is not, and what cannot be told.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use heirloom::prelude::*;
use heirloom::store::MemoryStore;
use heirloom::{Call, Commits, Context, Ids, Position, ReadError, ReplayError, Replayed, Result, Retention, RunEnd};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::common::{TestClock, at};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Node {
    id: Id<Node>,
    name: String,
    number: i64,
    near: Vec<Node>,
    far: Children<Node>,
    friends: Vec<Id<Node>>,
    #[entity(skip)]
    seen: u32,
}

fn node(name: &str) -> Node {
    let (near, far, friends) = (vec![], Children::new(), vec![]);
    Node { id: Id::new(), name: name.to_owned(), number: 0, near, far, friends, seen: 0 }
}

impl Default for Node {
    fn default() -> Self {
        node("")
    }
}

fn count(node: &mut Node, by: i64) {
    node.number += by;
    node.seen += 1;
}

fn rename(node: &mut Node, name: String) -> std::result::Result<(), String> {
    if name.starts_with("bad") {
        return Err(format!("{name} is refused"));
    }
    assert!(!name.starts_with("worse"), "{name} is too bad");
    node.name = name;
    Ok(())
}

fn look(node: &Node) -> i64 {
    node.number
}

/// Two children, one of which refers to the other, after one that comes to nothing.
fn branch(node: &mut Node, name: String) {
    let wasted = Node { name: name.clone(), ..Node::default() };
    let (mut first, second) = (Node { name, ..Node::default() }, self::node("second"));
    first.friends.push(second.id);
    first.near.push(self::node("third"));
    node.friends.push(first.id);
    node.far.push(first).expect("it is new");
    node.near.insert(0, second);
    drop(wasted);
}

fn make(names: Vec<String>) -> (Vec<Node>, Option<Node>) {
    let made: Vec<Node> = names.iter().map(|name| node(name)).collect();
    let last = Node { friends: made.iter().map(|node| node.id).collect(), ..node("last") };
    (made, Some(last))
}

fn pass(from: &mut Node, to: &mut Node) -> bool {
    if let Some(node) = from.near.pop() {
        to.near.push(node);
    } else if !from.far.is_empty() {
        let child = from.far.remove(0).expect("there is one");
        to.far.push(child.into_inner()).expect("it stood elsewhere");
    }
    from.number == to.number
}

fn number_all(nodes: Vec<&mut Node>, first: i64) {
    nodes.into_iter().zip(first..).for_each(|(node, number)| node.number = number);
}

fn drop_last(node: &mut Node) {
    if node.near.pop().is_none() && !node.far.is_empty() {
        drop(node.far.remove(node.far.len() - 1));
    }
}

fn split(node: &mut Node) -> Option<Node> {
    node.near.pop()
}

fn stamp(context: &Context, node: &mut Node) {
    node.name = format!(
        "{:?} {:?} {:?} {} {}",
        context.author(),
        context.message(),
        context.property("why"),
        context.now(),
        context.random()
    );
    node.friends.push(Id::from_entity_id(EntityId::new()));
    node.near.push(self::node(&context.run_id().to_string()));
}

fn register(registry: &Registry) -> Result<()> {
    let _ = registry.register("count", count)?;
    let _ = registry.register("rename", rename)?;
    let _ = registry.register("look", look)?;
    let _ = registry.register("branch", branch)?;
    let _ = registry.register("make", make)?;
    let _ = registry.register("pass", pass)?;
    let _ = registry.register("number_all", number_all)?;
    let _ = registry.register("drop_last", drop_last)?;
    let _ = registry.register("split", split)?;
    let _ = registry.register("stamp", stamp)?;
    Ok(())
}

/// Identities that no order tells of.
struct Scattered(AtomicU64);

impl Ids for Scattered {
    fn next_id(&self) -> EntityId {
        EntityId::derive("scattered", &self.0.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// In memory, over a store, and with identities that do not sort as they are drawn.
fn registries() -> Result<Vec<Registry>> {
    let all = vec![
        Registry::in_memory(),
        Registry::builder().over(MemoryStore::new())?,
        Registry::builder().ids(Scattered(AtomicU64::new(0))).over(MemoryStore::new())?,
    ];
    all.iter().try_for_each(register)?;
    Ok(all)
}

/// Replays every run of a log, and finds each equal.
fn check_all_equal(registry: &Registry) -> Result<()> {
    for entry in registry.history().entries() {
        let entry = entry?;
        if entry.run().is_some() {
            let replayed = registry.replay(entry.position())?;
            assert!(replayed.is_equal(), "{entry}: {replayed}");
        }
    }
    Ok(())
}

#[test]
fn runs_of_every_kind_replay_equal_and_leave_no_trace() -> Result<()> {
    for registry in registries()? {
        let (ann, bob) = (registry.add(node("Ann"))?, registry.add(node("Bob"))?);
        registry.call(count, (ann, 3))?;
        registry.call(count, (ann, 0))?;
        registry.call(look, (ann,))?;
        registry.call(branch, (ann, "first".to_owned()))?;
        registry.call(branch, (ann, "again".to_owned()))?;
        registry.call(pass, (ann, bob))?;
        registry.call(number_all, (vec![bob, ann], 7))?;
        registry.call(make, (vec!["x".to_owned(), "y".to_owned()],))?;
        let third = registry.get(ann)?.far[0].id;
        registry.call(count, (third, 5))?;
        registry.call(drop_last, (ann,))?;
        registry.call(split, (bob,))?;
        registry.by("dean").message("now").property("why", "so").call(stamp, (ann,))?;
        registry.execute("count", json!([format!("@{ann}"), {"$at": format!("@{bob}.number")}]))?;
        registry.call(count, (ann, 1))?;
        let (head, digest) = (registry.history().head(), registry.history().digest(ann, When::Head)?);
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        let _subscription = registry.subscribe(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        check_all_equal(&registry)?;
        assert_eq!((registry.history().head(), registry.history().digest(ann, When::Head)?), (head, digest));
        assert_eq!(heard.load(Ordering::Relaxed), 0);
    }
    Ok(())
}

#[test]
fn a_function_in_place_of_the_callable_is_told_by_what_it_does_differently() -> Result<()> {
    fn count_to_five(node: &mut Node, by: i64) {
        node.number = (node.number + by).min(5);
    }
    fn count_named(context: &Context, node: &mut Node, by: i64) {
        node.number += by;
        node.name = context.author().unwrap_or("nobody").to_owned();
    }
    for registry in registries()? {
        let ann = registry.add(node("Ann"))?;
        let positions =
            [3, 2, 4].map(|by| registry.by("dean").call(count, (ann, by)).map(|outcome| outcome.position()));
        let mut replays = registry.replay_with("count", count_to_five, ..)?;
        for (position, expected) in positions.into_iter().zip(["equal", "equal", "Node Ann: number 9 -> 5"]) {
            let (at, replayed) = replays.next().expect("there are three");
            assert_eq!((at, replayed?.to_string()), (position?, expected.to_owned()));
        }
        assert!(replays.next().is_none());
        assert_eq!(replays.tally().to_string(), "2 equal, 1 different, 0 ended otherwise, 0 not replayed");
        let named = registry.replay_with("count", count_named, Position(4)..)?.next().expect("there is one").1?;
        assert_eq!(named.to_string(), "Node dean: name \"Ann\" -> \"dean\"");
        assert_eq!(registry.get(ann)?.number, 9);
    }
    Ok(())
}

#[test]
fn a_function_that_leaves_out_what_was_done_is_told_by_what_is_missing() -> Result<()> {
    fn keep(_: &mut Node, _: &mut Node) {}
    fn read(_: &Node, _: &Node) {}
    fn make_none(_: Vec<String>) {}
    fn one_more(node: &mut Node, name: String) {
        branch(node, name);
        node.near.push(self::node("fourth"));
    }
    for registry in registries()? {
        let (ann, bob) = (registry.add(node("Ann"))?, registry.add(node("Bob"))?);
        registry.call(branch, (ann, "first".to_owned()))?;
        registry.call(pass, (ann, bob))?;
        registry.call(make, (vec!["x".to_owned()],))?;
        let told =
            |(_, replayed): (Position, std::result::Result<Replayed, ReplayError>)| replayed.map(|one| one.to_string());
        let moved_back = "Node second: moved from Node Bob near[0] to Node Ann near[0]";
        let all = [
            registry.replay_with("pass", keep, ..)?.map(told).collect::<Vec<_>>(),
            registry.replay_with("pass", read, ..)?.map(told).collect(),
            registry.replay_with("make", make_none, ..)?.map(told).collect(),
            registry.replay_with("branch", one_more, ..)?.map(told).collect(),
        ];
        let all: Vec<String> = all.into_iter().flatten().collect::<std::result::Result<_, _>>()?;
        let expected =
            [moved_back, moved_back, "Node x: removed\nNode last: removed", "Node fourth: added to Node Ann near[1]"];
        assert_eq!(all, expected);
    }
    Ok(())
}

#[test]
fn a_run_that_came_to_nothing_is_equal_if_it_comes_to_the_same_nothing() -> Result<()> {
    fn take_all(node: &mut Node, name: String) {
        node.name = name;
    }
    fn refuse(_: &mut Node, name: String) -> std::result::Result<(), String> {
        Err(format!("{name} is not wanted"))
    }
    for registry in registries()? {
        let ann = registry.add(node("Ann"))?;
        registry.call(rename, (ann, "bad".to_owned())).unwrap_err();
        registry.call(rename, (ann, "worse".to_owned())).unwrap_err();
        registry.call(rename, (ann, "Anne".to_owned()))?;
        check_all_equal(&registry)?;
        let told: Vec<String> = registry
            .replay_with("rename", take_all, ..)?
            .map(|(_, one)| Ok(one?.to_string()))
            .collect::<Result<_>>()?;
        assert_eq!(
            told,
            [
                "returned now, and failed (bad is refused) then\nNode bad: name \"Ann\" -> \"bad\"",
                "returned now, and panicked (worse is too bad) then\nNode worse: name \"Ann\" -> \"worse\"",
                "equal",
            ]
        );
        let (_, last) = registry.replay_with("rename", refuse, Position(4)..)?.next().expect("there is one");
        let last = last?;
        assert_eq!(last.changes().map(ToString::to_string).as_deref(), Some("Node Ann: name \"Anne\" -> \"Ann\""));
        let Replayed::Ended { recorded, replayed, .. } = last else { panic!("{last}") };
        assert_eq!((recorded, replayed), (RunEnd::Returned, RunEnd::Failed("Anne is not wanted".to_owned())));
        let tally = registry.replay_with("rename", refuse, ..)?.count_all();
        assert_eq!((tally.ended_otherwise, tally.equal), (3, 0));
    }
    Ok(())
}

#[test]
fn a_callable_that_hangs_on_more_than_it_is_given_is_found_out() -> Result<()> {
    static TODAY: AtomicBool = AtomicBool::new(false);
    fn by_the_day(node: &mut Node) -> std::result::Result<(), String> {
        node.name = format!("today {}", TODAY.load(Ordering::Relaxed));
        Ok(())
    }
    for registry in registries()? {
        TODAY.store(false, Ordering::Relaxed);
        let _ = registry.register("by_the_day", by_the_day)?;
        let ann = registry.add(node("Ann"))?;
        let position = registry.call(by_the_day, (ann,))?.position();
        assert!(registry.replay(position)?.is_equal());
        TODAY.store(true, Ordering::Relaxed);
        let replayed = registry.replay(position)?;
        assert_eq!(replayed.to_string(), "Node today true: name \"today false\" -> \"today true\"");
    }
    Ok(())
}

#[test]
fn what_code_asks_for_that_the_run_did_not_ask_for_follows_from_the_entry() -> Result<()> {
    fn dated(context: &Context, node: &mut Node, by: i64) {
        node.number += by;
        node.name = format!("{} at {}, {}", context.message().unwrap_or("nothing"), context.now(), context.random());
    }
    let clock = Arc::new(TestClock::default());
    let registry = Registry::builder().clock(Arc::clone(&clock)).in_memory();
    register(&registry)?;
    let ann = registry.add(node("Ann"))?;
    clock.set(70);
    registry.caller().message("count").call(count, (ann, 3))?;
    clock.set(1000);
    let told = || -> Result<String> {
        let (_, replayed) = registry.replay_with("count", dated, ..)?.next().expect("there is one");
        Ok(replayed?.to_string())
    };
    assert!(told()?.contains("\"count at 1970-01-01T00:01:10Z, "), "{}", told()?);
    assert_eq!(told()?, told()?);
    Ok(())
}

#[test]
fn a_run_that_was_refused_for_what_another_committed_is_told_as_one_that_returns_now() -> Result<()> {
    fn late(context: &Context, node: &mut Node, other: &Node) {
        node.number += 1;
        if let Ok(now) = context.history().get(node.id)
            && now.number == 0
        {
            INTRUDER.get().expect("it is there").call(count, (node.id, 40)).expect("nobody else is here");
        }
        node.name = other.name.clone();
    }
    static INTRUDER: std::sync::OnceLock<Registry> = std::sync::OnceLock::new();
    let registry = INTRUDER.get_or_init(Registry::in_memory);
    register(registry)?;
    let _ = registry.register("late", late)?;
    let (ann, bob) = (registry.add(node("Ann"))?, registry.add(node("Bob"))?);
    registry.call(late, (ann, bob)).unwrap_err();
    let head = registry.history().head();
    let replayed = registry.replay(head)?;
    assert!(
        matches!(&replayed, Replayed::Ended { recorded: RunEnd::Refused(_), replayed: RunEnd::Returned, .. }),
        "{replayed}"
    );
    let changes = replayed.changes().expect("it was not kept").to_string();
    assert_eq!(changes, "Node Bob: name \"Ann\" -> \"Bob\"\nNode Bob: number 0 -> 1");
    assert_eq!(registry.history().head(), head);
    Ok(())
}

#[test]
fn what_a_run_under_a_key_gave_back_is_compared_too() -> Result<()> {
    fn look_twice(node: &Node) -> i64 {
        2 * node.number
    }
    for registry in registries()? {
        let ann = registry.add(Node { number: 4, ..node("Ann") })?;
        registry.once("a").call(look, (ann,))?;
        registry.once("b").call(branch, (ann, "first".to_owned()))?;
        registry.once("c").call(make, (vec!["x".to_owned()],))?;
        check_all_equal(&registry)?;
        let (_, replayed) = registry.replay_with("look", look_twice, ..)?.next().expect("there is one");
        assert_eq!(replayed?.to_string(), "gives back 8 now, and gave 4 then");
    }
    Ok(())
}

#[test]
fn what_cannot_be_replayed_says_why_and_what_to_do() -> Result<()> {
    fn other(_: &mut Node, _: String) {}
    fn fewer(_: &mut Node) {}
    fn both(_: &mut Node, _: &mut Node) {}
    fn either(_: &Node, _: &Node) {}
    for registry in registries()? {
        let ann = registry.add(node("Ann"))?;
        registry.call(branch, (ann, "first".to_owned()))?;
        registry.call(count, (ann, 3))?;
        let first = registry.get(ann)?.far[0].id;
        let _ = registry.register("either", either)?;
        registry.call(either, (ann, first))?;
        let error = |position| registry.replay(Position(position)).unwrap_err().to_string();
        assert_eq!(
            error(1),
            "#1 is no run: only an entry that a callable made can be replayed, and `Entry::run` tells which are"
        );
        assert_eq!(error(9), "the log has no #9: its entries go from #1 to #4");
        let unknown = registry.replay_all("cuont", ..).unwrap_err();
        assert!(unknown.to_string().starts_with("no callable is named \"cuont\" now: register one under that name"));
        let given = |replays: heirloom::Replays<'_>| {
            replays.map(|(_, replayed)| replayed.unwrap_err().to_string()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            given(registry.replay_with("count", other, ..)?),
            "the run at #3 was given 3 for parameter text of \"count\": expected text, found an integer 3; replay it with a function that \
             takes this, by `replay_with`"
        );
        assert_eq!(
            given(registry.replay_with("count", fewer, ..)?),
            "the run at #3 was given 2 arguments, as far as is recorded, and \"count\" takes 1 (parameter &mut Node): replay \
             it with a function that takes what was given then, by `replay_with`"
        );
        let overlap = registry.replay_with("either", both, ..)?.next().expect("there is one").1.unwrap_err();
        assert!(matches!(overlap, ReplayError::Overlap { .. }), "{overlap}");
        let count = registry.replay_with("count", fewer, ..)?.count_all();
        assert_eq!((count.not_replayed, count.equal), (1, 0));
    }
    Ok(())
}

#[test]
fn what_is_forgotten_cannot_be_replayed_and_what_is_kept_can() -> Result<()> {
    let registry = Registry::builder().over(MemoryStore::new())?;
    register(&registry)?;
    let ann = registry.add(node("Ann"))?;
    for by in 0..10 {
        registry.call(count, (ann, by))?;
    }
    while registry.compact(&Retention::new().entries(3), 1000)?.more {}
    let forgotten = registry.replay(Position(4)).unwrap_err();
    assert!(
        matches!(
            forgotten,
            ReplayError::Input { source: ReadError::Forgotten { .. }, .. }
                | ReplayError::Read(ReadError::Forgotten { .. })
        ),
        "{forgotten}"
    );
    let tally = registry.replay_all("count", ..)?.count_all();
    assert_eq!((tally.equal, tally.not_replayed), (3, 7), "{tally}");
    Ok(())
}

#[test]
#[cfg(feature = "erasure")]
fn what_is_erased_cannot_be_replayed() -> Result<()> {
    #[derive(Entity, Clone)]
    #[entity(subject)]
    struct Customer {
        id: Id<Customer>,
        name: String,
    }
    fn call(customer: &mut Customer, name: String) {
        customer.name = name;
    }
    fn touch(customer: &mut Customer) {
        customer.name.push('!');
    }
    let registry = Registry::builder().over(MemoryStore::new())?;
    let _ = registry.register("call", call)?;
    let _ = registry.register("touch", touch)?;
    let ann = registry.add(Customer { id: Id::new(), name: "Ann".into() })?;
    let called = registry.call(call, (ann, "Anne".to_owned()))?.position();
    let touched = registry.call(touch, (ann,))?.position();
    assert!(registry.replay(called)?.is_equal() && registry.replay(touched)?.is_equal());
    registry.remove(ann)?;
    registry.erase(ann)?;
    assert!(matches!(registry.replay(called), Err(ReplayError::Erased { .. })));
    let erased = registry.replay(touched).unwrap_err();
    assert!(matches!(erased, ReplayError::Input { source: ReadError::Erased { .. }, .. }), "{erased}");
    Ok(())
}

#[test]
fn a_stretch_is_named_by_positions_by_times_or_by_nothing() -> Result<()> {
    let clock = Arc::new(TestClock::default());
    for registry in [
        Registry::builder().clock(Arc::clone(&clock)).in_memory(),
        Registry::builder().clock(Arc::clone(&clock)).over(MemoryStore::new())?,
    ] {
        register(&registry)?;
        clock.set(0);
        let ann = registry.add(node("Ann"))?;
        for second in 1..=9 {
            clock.set(second * 10);
            registry.call(count, (ann, second))?;
        }
        registry.history().tag("half", Position(5))?;
        let half = When::Tag("half".to_owned());
        let counts = [
            registry.replay_all("count", ..)?,
            registry.replay_all("count", Position(1)..Position(4))?,
            registry.replay_all("count", Position(2)..=Position(4))?,
            registry.replay_all("count", at(30)..at(50))?,
            registry.replay_all("count", at(31)..=at(50))?,
            registry.replay_all("count", at(-5)..)?,
            registry.replay_all("count", ..at(-5))?,
            registry.replay_all("count", ..=half.clone())?,
            registry.replay_all("count", half..)?,
            registry.replay_all("look", ..)?,
        ]
        .map(|replays| replays.count_all().equal);
        assert_eq!(counts, [9, 2, 3, 2, 2, 9, 0, 4, 6, 0]);
        assert!(registry.replay_all("count", Position(1)..=Position(99)).is_err());
        assert!(registry.replay_all("count", Revision(1)..).is_err());
    }
    Ok(())
}

#[test]
#[cfg(feature = "sqlite")]
fn a_log_that_another_process_wrote_is_replayed_from_its_file() -> Result<()> {
    let path = std::env::temp_dir().join(format!("heirloom-replay-{}.db", std::process::id()));
    let remove = || ["", "-wal", "-shm"].map(|end| std::fs::remove_file(format!("{}{end}", path.display())).ok());
    remove();
    {
        let registry = Registry::open(&path)?;
        register(&registry)?;
        let (ann, bob) = (registry.add(node("Ann"))?, registry.add(node("Bob"))?);
        registry.call(branch, (ann, "first".to_owned()))?;
        registry.call(branch, (ann, "again".to_owned()))?;
        registry.call(pass, (ann, bob))?;
        registry.by("dean").call(stamp, (bob,))?;
        registry.call(rename, (ann, "bad".to_owned())).unwrap_err();
        registry.call(make, (vec!["x".to_owned(), "y".to_owned()],))?;
    }
    let registry = Registry::open(&path)?;
    register(&registry)?;
    check_all_equal(&registry)?;
    remove();
    Ok(())
}

/// One step of a program; numbers choose among the entities that there are.
#[derive(Clone, Debug)]
enum Step {
    Count(usize, i64),
    Rename(usize, u8),
    Branch(usize),
    Make(u8),
    Pass(usize, usize),
    NumberAll(usize, usize),
    DropLast(usize),
    Split(usize),
    Stamp(usize),
    Look(usize),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..100_usize;
    prop_oneof![
        (one(), -1..2_i64).prop_map(|(node, by)| Step::Count(node, by)),
        (one(), 0..4_u8).prop_map(|(node, name)| Step::Rename(node, name)),
        one().prop_map(Step::Branch),
        (0..3_u8).prop_map(Step::Make),
        (one(), one()).prop_map(|(from, to)| Step::Pass(from, to)),
        (one(), one()).prop_map(|(first, second)| Step::NumberAll(first, second)),
        one().prop_map(Step::DropLast),
        one().prop_map(Step::Split),
        one().prop_map(Step::Stamp),
        one().prop_map(Step::Look),
        one().prop_map(Step::Remove),
    ]
}

/// Does a step; one that is refused is not less of a program.
fn take(registry: &Registry, step: &Step, known: &[Id<Node>]) {
    let one = |number: usize| known[number % known.len()];
    let names = ["Ann", "bad", "worse", "Zoe"];
    match *step {
        Step::Count(node, by) => drop(registry.call(count, (one(node), by))),
        Step::Rename(node, name) => drop(registry.call(rename, (one(node), names[usize::from(name)].to_owned()))),
        Step::Branch(node) => drop(registry.call(branch, (one(node), "branch".to_owned()))),
        Step::Make(many) => drop(registry.call(make, (vec!["made".to_owned(); many.into()],))),
        Step::Pass(from, to) => drop(registry.call(pass, (one(from), one(to)))),
        Step::NumberAll(first, second) => drop(registry.call(number_all, (vec![one(first), one(second)], 3))),
        Step::DropLast(node) => drop(registry.call(drop_last, (one(node),))),
        Step::Split(node) => drop(registry.call(split, (one(node),))),
        Step::Stamp(node) => drop(registry.by("someone").call(stamp, (one(node),))),
        Step::Look(node) => drop(registry.call(look, (one(node),))),
        Step::Remove(node) => drop(registry.remove(one(node))),
    }
}

/// Every entity that was ever there, in the order of the log.
fn known(registry: &Registry, from: &mut u64, known: &mut Vec<Id<Node>>) -> Result<()> {
    let history = registry.history();
    for position in *from + 1..=history.head().0 {
        for version in history.versions(Position(position))? {
            let id = Id::from_entity_id(version.entity);
            if version.revision == Revision(1) {
                known.push(id);
            }
        }
    }
    *from = history.head().0;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_run_of_any_program_replays_equal_with_the_same_code(steps in vec(step(), 1..30)) {
        for registry in registries()? {
            let (mut from, mut all) = (0, vec![registry.add(node("root"))?]);
            for step in &steps {
                take(&registry, step, &all);
                known(&registry, &mut from, &mut all)?;
            }
            check_all_equal(&registry)?;
        }
    }
}

#[test]
fn what_was_taken_by_value_and_given_back_replays_as_the_edit_that_it_was() -> Result<()> {
    fn raised(node: Node, by: i64) -> Node {
        Node { number: node.number + by, ..node }
    }
    fn either(node: Option<Node>, other: Option<&Node>) -> Option<Node> {
        node.map(|node| Node { number: other.map_or(0, |other| other.number), ..node })
    }
    let registry = Registry::in_memory();
    let _ = registry.register("raised", raised)?;
    let _ = registry.register("either", either)?;
    let (id, other) = (registry.add(node("one"))?, registry.add(node("other"))?);
    registry.call(raised, (id, 2))?;
    registry.call(raised, (other, 0))?;
    registry.call(either, (Some(id), Some(other)))?;
    registry.call(either, (Some(other), None::<Id<Node>>))?;
    for position in 3..=6 {
        let replayed = registry.replay(Position(position))?;
        assert!(replayed.is_equal(), "{position}: {replayed}");
    }
    let doubled = |node: Node, by: i64| Node { number: node.number + 2 * by, ..node };
    let found: Vec<_> = registry.replay_with("raised", doubled, ..)?.collect();
    let changes = found[0].1.as_ref().ok().and_then(Replayed::changes).expect("twice as much differs");
    assert!(changes.to_string().contains("number 2 -> 4"), "{changes}");
    assert!(found[1].1.as_ref().is_ok_and(Replayed::is_equal));
    Ok(())
}

#[test]
fn runs_that_made_one_commit_are_told_as_such_and_never_passed_over() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("count", count)?;
    let _ = registry.register("look", look)?;
    let id = registry.add(node("one"))?;
    let calls = |name: &str, arguments: serde_json::Value| Call::new(name, arguments);
    let both = [calls("count", json!([format!("@{id}"), 1])), calls("look", json!([format!("@{id}")]))];
    assert!(registry.execute_many(both, Commits::OneForAll).iter().all(std::result::Result::is_ok));
    registry.call(count, (id, 2))?;
    let refused = registry.replay(Position(2)).expect_err("it is two runs");
    assert!(matches!(refused, ReplayError::Together { position: Position(2) }), "{refused}");
    assert_eq!(
        registry.replay_all("count", ..)?.count_all().to_string(),
        "1 equal, 0 different, 0 ended otherwise, 1 not replayed"
    );
    assert_eq!(
        registry.replay_with("count", |node: &mut Node, by: i64| count(node, by), ..)?.count_all().not_replayed,
        1
    );
    Ok(())
}

#[test]
fn a_stretch_of_an_empty_log_has_nothing_in_it() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("count", count)?;
    assert_eq!(registry.replay_all("count", ..When::Head)?.count(), 0);
    assert_eq!(registry.replay_all("count", When::Head..)?.count(), 0);
    assert_eq!(registry.replay_all("count", When::Head..=When::Head)?.count(), 0);
    Ok(())
}
