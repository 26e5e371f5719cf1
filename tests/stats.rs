//! What runs came to, counted for each callable, and how long they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore};
use heirloom::{Conflict, Result};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Tank {
    id: Id<Tank>,
    litres: i64,
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

fn burst(_: &mut Tank) {
    std::panic::resume_unwind(Box::new("too much"));
}

fn wait(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

fn tank(litres: i64) -> Tank {
    Tank { id: Id::new(), litres }
}

fn register(registry: &Registry) -> Result<()> {
    let _ = registry.register("fill", fill)?;
    let _ = registry.register("drain", drain)?;
    let _ = registry.register("burst", burst)?;
    let _ = registry.register("wait", wait)?;
    Ok(())
}

/// The counts of a callable: runs, errors, unchanged, conflicts, retries, versions.
fn counts(registry: &Registry, callable: &str) -> [u64; 6] {
    let stats = registry.stats().expect("they are asked for");
    let stats = stats.of(callable).expect("it is registered");
    [stats.runs, stats.errors, stats.unchanged, stats.conflicts, stats.retries, stats.versions]
}

#[test]
fn each_run_is_counted_by_what_it_came_to() -> Result<()> {
    let over = |durability| Registry::builder().stats(true).durability(durability).over(MemoryStore::new());
    for registry in [Registry::builder().stats(true).in_memory(), over(Durability::Full)?, over(Durability::Batched)?] {
        register(&registry)?;
        let id = registry.add(tank(0))?;
        registry.call(fill, (id, 1))?;
        registry.call(fill, (id, 0))?;
        registry.submit(fill, (id, 2))?.wait()?;
        registry.call(drain, (id,))?;
        registry.call(drain, (id,)).expect_err("it is empty");
        registry.call(burst, (id,)).expect_err("it panics");
        registry.call(fill, (Id::new(), 1)).expect_err("what cannot begin is no run");
        assert_eq!(counts(&registry, "fill"), [3, 0, 1, 0, 0, 2]);
        assert_eq!(counts(&registry, "drain"), [2, 1, 0, 0, 0, 1]);
        assert_eq!(counts(&registry, "burst"), [1, 1, 0, 0, 0, 0]);
        assert_eq!(counts(&registry, "wait"), [0; 6]);
        let stats = registry.stats().expect("they are asked for");
        assert!(stats.of("nobody").is_none());
        let printed = stats.to_string();
        let idle = "wait: 0 runs, 0 errors, 0 unchanged, 0 conflicts, 0 retries, 0 versions; p50 0ns, p95 0ns, p99 0ns, \
                    max 0ns";
        assert_eq!(printed.lines().next_back(), Some(idle));
        let names: Vec<&str> = stats.callables().iter().map(|stats| &*stats.callable).collect();
        assert_eq!(names, ["fill", "drain", "burst", "wait"]);
    }
    Ok(())
}

#[test]
fn conflicts_and_what_runs_again_for_them_are_counted_apart_from_runs() -> Result<()> {
    let registry = Registry::builder().stats(true).in_memory();
    register(&registry)?;
    let id = registry.add(tank(0))?;
    let disturb = Arc::new(AtomicUsize::new(0));
    let _ = registry.register("disturbed", {
        let (registry, disturb) = (registry.clone(), Arc::clone(&disturb));
        move |tank: &mut Tank| {
            let left = disturb.load(Ordering::Relaxed);
            if left > 0 {
                disturb.store(left - 1, Ordering::Relaxed);
                registry.call(fill, (tank.id, 10)).expect("nothing stands against it");
            }
            tank.litres += 1;
        }
    })?;
    let arguments = serde_json::json!([format!("@{id}")]);
    disturb.store(2, Ordering::Relaxed);
    registry.caller().on_conflict(Conflict::Retry(5)).execute("disturbed", arguments.clone())?;
    assert_eq!(counts(&registry, "disturbed"), [1, 0, 0, 2, 2, 1]);
    disturb.store(1, Ordering::Relaxed);
    registry.execute("disturbed", arguments).expect_err("somebody came first");
    assert_eq!(counts(&registry, "disturbed"), [2, 1, 0, 3, 2, 1]);
    Ok(())
}

#[test]
fn durations_are_told_by_their_quantiles_and_the_longest_exactly() -> Result<()> {
    let registry = Registry::builder().stats(true).in_memory();
    register(&registry)?;
    (0..19).try_for_each(|_| registry.call(wait, (1,)).map(drop))?;
    registry.call(wait, (40,))?;
    let stats = registry.stats().expect("they are asked for");
    let waited = stats.of("wait").expect("it is registered");
    assert!(waited.p50 >= Duration::from_micros(999), "{waited}");
    assert!(waited.p50 <= waited.p95 && waited.p95 <= waited.p99 && waited.p99 <= waited.max, "{waited}");
    assert!(waited.max >= Duration::from_millis(40), "{waited}");
    Ok(())
}

#[test]
fn runs_of_many_threads_are_all_counted() -> Result<()> {
    const THREADS: u64 = 8;
    const EACH: u64 = 200;
    let registry = Registry::builder().stats(true).in_memory();
    register(&registry)?;
    let tanks = (0..THREADS).map(|_| registry.add(tank(0))).collect::<std::result::Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        for id in &tanks {
            let registry = &registry;
            scope.spawn(move || {
                for number in 0..EACH {
                    registry.call(fill, (*id, i64::from(number % 2 == 0))).expect("each has its own");
                    let seen = counts(registry, "fill");
                    assert!(seen[0] <= THREADS * EACH);
                }
            });
        }
    });
    let (runs, half) = (THREADS * EACH, THREADS * EACH / 2);
    assert_eq!(counts(&registry, "fill"), [runs, 0, half, 0, 0, half]);
    Ok(())
}

#[test]
fn nothing_is_counted_unless_it_is_asked_for() -> Result<()> {
    let registry = Registry::in_memory();
    register(&registry)?;
    registry.call(wait, (0,))?;
    assert!(registry.stats().is_none());
    Ok(())
}
