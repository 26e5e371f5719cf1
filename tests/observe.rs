//! What listeners hear: which observations, in what order, by handlers and through channels.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore};
use heirloom::{Conflict, Observation, ObservationKind, Observations, Result, RunNumber, Topics, WhenFull};

#[derive(Entity, Debug, PartialEq)]
struct Tank {
    id: Id<Tank>,
    litres: i64,
}

impl Clone for Tank {
    fn clone(&self) -> Self {
        assert!(self.litres >= 0, "it leaks");
        Self { id: self.id, litres: self.litres }
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Cellar {
    id: Id<Cellar>,
    tanks: Children<Tank>,
}

fn fill(tank: &mut Tank, by: i64) {
    tank.litres += by;
}

fn drain(tank: &mut Tank) -> std::result::Result<(), String> {
    if tank.litres == 0 {
        return Err("it is empty".to_owned());
    }
    tank.litres = 0;
    Ok(())
}

fn look(tank: &Tank) -> i64 {
    tank.litres
}

fn pour(from: &Tank, to: &mut Tank) {
    to.litres += from.litres;
}

fn burst(_: &mut Tank) {
    std::panic::resume_unwind(Box::new("too much"));
}

fn buy(litres: i64) -> Tank {
    tank(litres)
}

fn tank(litres: i64) -> Tank {
    Tank { id: Id::new(), litres }
}

fn register(registry: &Registry) -> Result<()> {
    let _ = registry.register("fill", fill)?;
    let _ = registry.register("drain", drain)?;
    let _ = registry.register("look", look)?;
    let _ = registry.register("pour", pour)?;
    let _ = registry.register("burst", burst)?;
    let _ = registry.register("buy", buy)?;
    Ok(())
}

fn registry() -> Result<Registry> {
    let registry = Registry::in_memory();
    register(&registry)?;
    Ok(registry)
}

/// An observation as a word, with the number of its run.
fn told(observation: &Observation) -> String {
    let number = observation.run().map(|RunNumber(number)| format!(" {number}")).unwrap_or_default();
    let callable = observation.callable().map(|callable| format!(" {callable}")).unwrap_or_default();
    let more = match observation {
        Observation::WillRun { entities, .. } => format!(" on {}", entities.len()),
        Observation::DidCommit { versions, .. } => format!(": {versions}"),
        Observation::DidFail { reason, .. } => format!(": {reason}"),
        Observation::DidCutOff(cut_off) => format!(" {}: {}", cut_off.listener, cut_off.reason),
        _ => String::new(),
    };
    format!("{:?}{number}{callable}{more}", observation.kind())
}

/// All that is in a channel now.
fn all(observations: &Observations) -> Vec<String> {
    std::iter::from_fn(|| observations.try_recv()).map(|observation| told(&observation)).collect()
}

fn hear(registry: &Registry, topics: Topics) -> Observations {
    registry.subscribe_to(topics).channel(10_000, WhenFull::Disconnect)
}

#[test]
fn a_run_is_told_from_its_beginning_to_one_end_and_all_of_it_with_its_number() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(0))?;
    let leaking = registry.add(tank(-1))?;
    let observations = hear(&registry, Topics::all());
    registry.call(fill, (id, 1))?;
    assert_eq!(all(&observations), ["WillRun 1 fill on 1", "DidRun 1 fill", "DidCommit 1 fill: 1"]);
    registry.call(fill, (id, 0))?;
    registry.call(look, (id,))?;
    let unchanged = ["WillRun 2 fill on 1", "DidRun 2 fill", "DidNotChange 2 fill"];
    assert_eq!(all(&observations)[..3], unchanged);
    registry.call(drain, (id,))?;
    registry.call(drain, (id,)).expect_err("it is empty");
    let failed = ["WillRun 5 drain on 1", "DidRun 5 drain", "DidFail 5 drain: it is empty"];
    assert_eq!(all(&observations)[3..], failed);
    registry.call(burst, (id,)).expect_err("it panics");
    assert_eq!(all(&observations), ["WillRun 6 burst on 1", "DidFail 6 burst: too much"]);
    registry.call(fill, (leaking, 1)).expect_err("it cannot be copied");
    assert_eq!(all(&observations), ["WillRun 7 fill on 0", "DidFail 7 fill: it leaks"]);
    registry.remove(id)?;
    assert_eq!(all(&observations), ["DidCommit: 1"]);
    registry.call(fill, (Id::new(), 1)).expect_err("nobody knows it");
    assert_eq!(all(&observations), [""; 0], "what cannot begin is no run");
    Ok(())
}

#[test]
fn a_run_that_somebody_came_before_ends_and_runs_again_as_another() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(0))?;
    let disturb = Arc::new(AtomicUsize::new(1));
    let _ = registry.register("disturbed", {
        let (registry, disturb) = (registry.clone(), Arc::clone(&disturb));
        move |tank: &mut Tank| {
            if disturb.swap(0, Ordering::Relaxed) > 0 {
                registry.caller().observed(false).call(fill, (tank.id, 10)).expect("nothing stands against it");
            }
            tank.litres += 1;
        }
    })?;
    let observations = hear(&registry, Topics::all());
    let caller = registry.caller().on_conflict(Conflict::Retry(3));
    caller.execute("disturbed", serde_json::json!([format!("@{id}")]))?;
    let expected = [
        "WillRun 1 disturbed on 1",
        "DidRun 1 disturbed",
        "WillRetry 1 disturbed",
        "WillRun 2 disturbed on 1",
        "DidRun 2 disturbed",
        "DidCommit 2 disturbed: 1",
    ];
    assert_eq!(all(&observations), expected);
    Ok(())
}

/// What is heard of a program by who wants these topics.
fn check(topics: impl Fn(Id<Tank>, Id<Cellar>) -> Topics, expected: &[&str]) -> Result<()> {
    let over = |durability| Registry::builder().durability(durability).over(MemoryStore::new());
    for registry in [Registry::in_memory(), over(Durability::Full)?, over(Durability::Batched)?] {
        register(&registry)?;
        let (one, other) = (tank(1), tank(0));
        let (first, second) = (one.id, other.id);
        let cellar = registry.add(Cellar { id: Id::new(), tanks: Children::try_from_iter([one])? })?;
        registry.add(other)?;
        let observations = hear(&registry, topics(first, cellar));
        registry.call(fill, (first, 1))?;
        registry.call(look, (second,))?;
        registry.submit(pour, (first, second))?.wait()?;
        registry.call(buy, (3,))?;
        registry.call(drain, (second,))?;
        registry.call(drain, (second,)).expect_err("it is empty");
        registry.batch().remove(second).commit()?;
        assert_eq!(all(&observations), expected);
    }
    Ok(())
}

#[test]
fn a_listener_hears_the_topics_that_it_asked_for() -> Result<()> {
    let failures = |_, _| Topics::all().kind(ObservationKind::DidFail).kind(ObservationKind::DidNotChange);
    check(failures, &["DidNotChange 1 look", "DidFail 2 drain: it is empty"])?;
    let fill_or_buy = |_, _| Topics::all().callable("fill").callable("buy").callable("nobody");
    let of_fill_and_buy = [
        "WillRun 1 fill on 1",
        "DidRun 1 fill",
        "DidCommit 1 fill: 2",
        "WillRun 2 buy on 0",
        "DidRun 2 buy",
        "DidCommit 2 buy: 1",
    ];
    check(fill_or_buy, &of_fill_and_buy)?;
    check(|_, _| Topics::all().callable("nobody"), &[])?;
    let first = |first, _| Topics::all().entity(first);
    let of_first = [
        "WillRun 1 fill on 1",
        "DidRun 1 fill",
        "DidCommit 1 fill: 2",
        "WillRun 3 pour on 2",
        "DidRun 3 pour",
        "DidCommit 3 pour: 1",
    ];
    check(first, &of_first)?;
    // Carried along as the owner of what changed.
    check(|_, cellar| Topics::all().entity(cellar), &["DidCommit 1 fill: 2"])?;
    check(|_, _| Topics::all().entities::<Cellar>(), &["DidCommit 1 fill: 2"])?;
    let committed_tanks = |_, _| Topics::all().kind(ObservationKind::DidCommit).entities::<Tank>();
    let commits =
        ["DidCommit 1 fill: 2", "DidCommit 2 pour: 1", "DidCommit 3 buy: 1", "DidCommit 4 drain: 1", "DidCommit: 1"];
    check(committed_tanks, &commits)?;
    let poured =
        |first, cellar| Topics::all().kind(ObservationKind::DidRun).callable("pour").entity(first).entity(cellar);
    check(poured, &["DidRun 1 pour"])
}

#[test]
fn what_nobody_wants_is_not_built_nor_counted() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(1))?;
    let observations = hear(&registry, Topics::all().callable("look"));
    let failures = hear(&registry, Topics::all().kind(ObservationKind::DidFail));
    (0..10).try_for_each(|_| registry.call(fill, (id, 1)).map(drop))?;
    registry.call(look, (id,))?;
    assert_eq!(all(&observations)[0], "WillRun 1 look on 1");
    assert_eq!(all(&failures), [""; 0]);
    Ok(())
}

#[test]
fn a_callable_that_is_not_to_be_observed_is_not_heard_of() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("fill", fill)?.observed(false);
    let drains = registry.register("drain", drain)?.observed(false);
    let id = registry.add(tank(0))?;
    let observations = hear(&registry, Topics::all());
    registry.call(fill, (id, 1))?;
    registry.call(drain, (id,))?;
    registry.call(drain, (id,)).expect_err("it is empty");
    let _ = drains.observed(true);
    registry.call(fill, (id, 1))?;
    registry.call(drain, (id,))?;
    assert_eq!(all(&observations), ["WillRun 1 drain on 1", "DidRun 1 drain", "DidCommit 1 drain: 1"]);
    assert_eq!(registry.history().entries().count(), 6, "the log has its entry in any case");
    Ok(())
}

#[test]
fn who_has_a_higher_priority_hears_first_and_among_equals_who_came_first() -> Result<()> {
    let registry = registry()?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listen = |name: &'static str, priority| {
        let heard = Arc::clone(&heard);
        let topics = Topics::all().kind(ObservationKind::DidCommit);
        registry
            .subscribe_to(topics)
            .priority(priority)
            .handler(move |_| heard.lock().expect("nobody panics").push(name))
    };
    let _listening =
        [listen("third", 0), listen("first", 7), listen("last", -1), listen("fourth", 0), listen("second", 7)];
    registry.add(tank(0))?;
    assert_eq!(*heard.lock().expect("nobody panics"), ["first", "second", "third", "fourth", "last"]);
    Ok(())
}

#[test]
fn a_full_channel_that_drops_the_oldest_counts_them() -> Result<()> {
    let registry = registry()?;
    let commits = Topics::all().kind(ObservationKind::DidCommit);
    let observations = registry.subscribe_to(commits).channel(2, WhenFull::DropOldest);
    (0..5).try_for_each(|_| registry.add(tank(0)).map(drop))?;
    assert_eq!(observations.dropped(), 3);
    let positions = std::iter::from_fn(|| observations.try_recv()).map(|observation| match observation {
        Observation::DidCommit { position, .. } => position.0,
        other => panic!("{other:?} was not asked for"),
    });
    assert_eq!(positions.collect::<Vec<_>>(), [4, 5]);
    registry.add(tank(0))?;
    assert_eq!((all(&observations).len(), observations.dropped(), observations.is_ended()), (1, 3, false));
    Ok(())
}

#[test]
fn a_full_channel_that_disconnects_gives_what_is_in_it_and_is_reported() -> Result<()> {
    let registry = registry()?;
    let reports = hear(&registry, Topics::all().kind(ObservationKind::DidCutOff));
    let observations = registry.subscribe_to(Topics::all()).name("audit").channel(0, WhenFull::Disconnect);
    registry.add(tank(0))?;
    assert!(registry.cut_off().is_empty());
    registry.add(tank(0))?;
    registry.add(tank(0))?;
    assert_eq!(observations.iter().map(|observation| told(&observation)).collect::<Vec<_>>(), ["DidCommit: 1"]);
    assert!(observations.is_ended());
    assert_eq!(all(&reports), ["DidCutOff audit: its channel was full: 1 observations waited in it"]);
    let cut_off = registry.cut_off();
    assert_eq!((cut_off.len(), &*cut_off[0].listener), (1, "audit"));
    Ok(())
}

#[test]
fn a_full_channel_that_blocks_loses_nothing_and_holds_up_all_who_call() -> Result<()> {
    const THREADS: usize = 4;
    const EACH: usize = 50;
    let registry = registry()?;
    let tanks = (0..THREADS).map(|_| registry.add(tank(0))).collect::<std::result::Result<Vec<_>, _>>()?;
    let observations = registry.subscribe_to(Topics::all()).channel(1, WhenFull::Block);
    thread::scope(|scope| {
        for id in &tanks {
            let registry = &registry;
            scope.spawn(move || (0..EACH).for_each(|_| drop(registry.call(fill, (*id, 1)).expect("each has its own"))));
        }
        // Until nobody gets on any more.
        let mut head = registry.history().head();
        loop {
            thread::sleep(Duration::from_millis(100));
            match registry.history().head() {
                now if now == head => break,
                now => head = now,
            }
        }
        assert!(head.0 <= 3 * THREADS as u64, "at {head} nobody was held up");
        let heard: Vec<Observation> = observations.iter().take(3 * THREADS * EACH).collect();
        check_order(&heard, THREADS * EACH);
    });
    assert_eq!((all(&observations).len(), observations.dropped()), (0, 0));
    Ok(())
}

/// So many runs, each from its beginning to its end, with commits in the order of the log.
fn check_order(heard: &[Observation], runs: usize) {
    let mut positions = heard.iter().filter_map(|observation| match observation {
        Observation::DidCommit { position, .. } => Some(position.0),
        _ => None,
    });
    let first = positions.next().expect("something was committed");
    assert!(positions.eq(first + 1..first + runs as u64));
    let mut steps = vec![Vec::new(); runs];
    for observation in heard {
        steps[observation.run().expect("all were runs").0 as usize - 1].push(observation.kind());
    }
    let whole = [ObservationKind::WillRun, ObservationKind::DidRun, ObservationKind::DidCommit];
    assert!(steps.iter().all(|steps| *steps == whole));
}

#[test]
fn all_who_listen_hear_the_same_in_the_same_order_whatever_thread_it_is_of() -> Result<()> {
    const THREADS: usize = 4;
    const EACH: usize = 100;
    let registry = registry()?;
    let tanks = (0..THREADS).map(|_| registry.add(tank(0))).collect::<std::result::Result<Vec<_>, _>>()?;
    let (one, other) = (hear(&registry, Topics::all()), hear(&registry, Topics::all()));
    thread::scope(|scope| {
        for id in &tanks {
            let registry = &registry;
            scope.spawn(move || (0..EACH).for_each(|_| drop(registry.call(fill, (*id, 1)).expect("each has its own"))));
        }
    });
    drop(registry);
    let heard: Vec<Observation> = one.iter().collect();
    check_order(&heard, THREADS * EACH);
    assert_eq!(heard, other.iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_channel_ends_with_the_registry_and_lets_go_of_who_waits_for_room() -> Result<()> {
    let registry = registry()?;
    let observations = registry.subscribe_to(Topics::all()).channel(1, WhenFull::Block);
    assert_eq!(observations.recv_timeout(Duration::from_millis(1)), None);
    registry.add(tank(0))?;
    thread::scope(|scope| {
        // The second waits for room until nobody is there to make any.
        let adding = scope.spawn(|| registry.add(tank(0)).map(drop));
        thread::sleep(Duration::from_millis(20));
        drop(observations);
        adding.join().expect("it does not panic")
    })?;
    registry.add(tank(0))?;
    let observations = hear(&registry, Topics::all());
    registry.add(tank(0))?;
    let waiting = thread::spawn(move || observations.iter().count());
    drop(registry);
    assert_eq!(waiting.join().expect("it does not panic"), 1);
    Ok(())
}

#[test]
fn a_handler_that_panics_is_cut_off_and_reported_and_what_it_heard_of_goes_on() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(0))?;
    let reports = hear(&registry, Topics::all().kind(ObservationKind::DidCutOff));
    let calls = Arc::new(AtomicUsize::new(0));
    let panics = |name: &'static str, calls: &Arc<AtomicUsize>| {
        let calls = Arc::clone(calls);
        registry.subscribe_to(Topics::all()).name(name).handler(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            std::panic::resume_unwind(Box::new("no"));
        })
    };
    let _cut_off = (panics("one", &calls), panics("other", &calls));
    let _nameless = registry.subscribe(|_| std::panic::resume_unwind(Box::new(7)));
    registry.call(fill, (id, 1))?;
    registry.call(fill, (id, 1))?;
    assert_eq!((calls.load(Ordering::Relaxed), registry.get(id)?.litres), (2, 2));
    let cut_off: Vec<String> =
        registry.cut_off().iter().map(|cut_off| format!("{}: {}", cut_off.listener, cut_off.reason)).collect();
    let expected = [
        "one: its handler panicked: no",
        "other: its handler panicked: no",
        "listener 4: its handler panicked: something that is no text",
    ];
    assert_eq!(cut_off, expected);
    assert_eq!(all(&reports), expected.map(|report| format!("DidCutOff {report}")));
    (0..200).for_each(|_| {
        let _panics = registry.subscribe(|_| std::panic::resume_unwind(Box::new("no")));
        registry.call(fill, (id, 1)).expect("nothing stands against it");
    });
    assert_eq!(registry.cut_off().len(), 100, "nothing grows without bounds");
    Ok(())
}

/// A value that panics when it is let go.
struct Nasty(AtomicBool);

impl Drop for Nasty {
    fn drop(&mut self) {
        if self.0.load(Ordering::Relaxed) {
            std::panic::resume_unwind(Box::new("and again"));
        }
    }
}

#[test]
fn a_handler_that_panics_once_more_when_it_is_let_go_breaks_no_run() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(0))?;
    let nasty = Nasty(AtomicBool::new(true));
    let _cut_off = registry.subscribe(move |_| {
        let _held = &nasty;
        std::panic::resume_unwind(Box::new("no"));
    });
    registry.call(fill, (id, 1))?;
    registry.call(fill, (id, 1))?;
    assert_eq!(registry.get(id)?.litres, 2);
    Ok(())
}

#[test]
fn a_slow_run_is_told_once_however_it_ends_and_only_if_it_is_slow() -> Result<()> {
    let registry = Registry::builder().slow_run(Duration::ZERO).in_memory();
    let _ = registry.register("fill", fill)?;
    let _ = registry.register("burst", burst)?;
    let _ = registry.register("look", look)?.slow_run(Duration::from_secs(3600));
    let id = registry.add(tank(0))?;
    let observations = hear(&registry, Topics::all());
    registry.call(fill, (id, 1))?;
    let of_fill = ["WillRun 1 fill on 1", "DidRun 1 fill", "DidRunSlowly 1 fill", "DidCommit 1 fill: 1"];
    assert_eq!(all(&observations), of_fill);
    registry.call(burst, (id,)).expect_err("it panics");
    let of_burst = ["WillRun 2 burst on 1", "DidRunSlowly 2 burst", "DidFail 2 burst: too much"];
    assert_eq!(all(&observations), of_burst);
    registry.call(look, (id,))?;
    assert_eq!(all(&observations), ["WillRun 3 look on 1", "DidRun 3 look", "DidNotChange 3 look"]);
    Ok(())
}
