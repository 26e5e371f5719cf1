//! Runs that another commit came before: refused, or run again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore};
use heirloom::{CallError, CommitError, Conflict, Result, RunEnd};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Counter {
    id: Id<Counter>,
    count: u64,
}

fn count(counter: &mut Counter, by: u64) {
    counter.count += by;
}

/// Registries of every kind, with one counter each.
fn registries() -> Result<Vec<(Registry, Id<Counter>)>> {
    let batched = Registry::builder().durability(Durability::Batched).over(MemoryStore::new())?;
    let all = [Registry::in_memory(), Registry::builder().over(MemoryStore::new())?, batched];
    all.into_iter()
        .map(|registry| {
            let _ = registry.register("count", count)?;
            let id = registry.add(Counter { id: Id::new(), count: 0 })?;
            Ok((registry, id))
        })
        .collect()
}

#[test]
fn eight_threads_on_one_counter_lose_nothing_and_every_run_is_in_the_log_once() -> Result<()> {
    const EACH: u64 = 50;
    for (registry, id) in registries()? {
        thread::scope(|scope| {
            for thread in 0..8 {
                let registry = &registry;
                scope.spawn(move || {
                    let caller = registry.caller().on_conflict(Conflict::Retry(u32::MAX));
                    for _ in 0..EACH {
                        let counted = match thread % 2 {
                            0 => caller.call(count, (id, 1_u64)).map(drop),
                            _ => caller.execute("count", serde_json::json!([format!("@{id}"), 1])).map(drop),
                        };
                        counted.expect("it is run again until it is first");
                    }
                });
            }
        });
        assert_eq!(registry.get(id)?.count, 8 * EACH);
        assert_eq!(registry.history().head().0, 1 + 8 * EACH, "an attempt that is run again is no entry");
    }
    Ok(())
}

/// A callable that somebody comes before, as often as is said here.
fn overtaken(registry: &Registry, id: Id<Counter>) -> Result<&'static AtomicU32> {
    static OVERTAKES: AtomicU32 = AtomicU32::new(0);
    let other = registry.clone();
    let _ = registry.register("overtaken", move |counter: &mut Counter| {
        if OVERTAKES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            other.call(count, (id, 10_u64)).expect("nobody comes before this one");
        }
        counter.count += 1;
    })?;
    Ok(&OVERTAKES)
}

#[test]
fn a_run_is_refused_at_once_unless_it_may_run_again_and_then_after_so_many_times() -> Result<()> {
    for (registry, id) in registries()? {
        let overtakes = overtaken(&registry, id)?;
        let address = serde_json::json!([format!("@{id}")]);
        let refused = |conflict, times| {
            overtakes.store(times, Ordering::Relaxed);
            let before = registry.history().head().0;
            let ended = registry.caller().on_conflict(conflict).execute("overtaken", address.clone());
            (ended, registry.history().head().0 - before)
        };
        for (conflict, times) in [(Conflict::Fail, 1), (Conflict::Retry(0), 1), (Conflict::Retry(3), 4)] {
            let (ended, entries) = refused(conflict, times);
            let error = ended.expect_err("somebody always came first");
            assert!(matches!(error, CallError::Commit { source: CommitError::Conflict { .. }, .. }), "{error}");
            assert_eq!(entries, u64::from(times) + 1, "those who came first, and one refusal");
            let last = registry.history().entry(registry.history().head())?;
            assert!(matches!(last.run().map(|run| run.end().clone()), Some(RunEnd::Refused(_))));
        }
        let before = registry.get(id)?.count;
        let (ended, entries) = refused(Conflict::Retry(3), 3);
        assert!(ended.is_ok());
        assert_eq!((registry.get(id)?.count, entries), (before + 31, 4));
    }
    Ok(())
}

#[test]
fn a_registry_may_run_again_by_default_and_a_call_say_otherwise() -> Result<()> {
    let registry = Registry::builder().on_conflict(Conflict::Retry(5)).in_memory();
    let _ = registry.register("count", count)?;
    let id = registry.add(Counter { id: Id::new(), count: 0 })?;
    let other = registry.clone();
    static FIRST: AtomicU32 = AtomicU32::new(0);
    let _ = registry.register("raced", move |counter: &mut Counter| {
        if FIRST.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            other.call(count, (id, 10_u64)).expect("nobody comes before this one");
        }
        counter.count += 1;
    })?;
    let address = serde_json::json!([format!("@{id}")]);
    assert_eq!(registry.execute("raced", address.clone())?.position().0, 3);
    assert_eq!(registry.get(id)?.count, 11);
    assert!(registry.caller().on_conflict(Conflict::Fail).execute("raced", address).is_err());
    Ok(())
}

#[test]
fn what_no_other_attempt_could_mend_is_not_run_again() -> Result<()> {
    for (registry, id) in registries()? {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        RUNS.store(0, Ordering::Relaxed);
        let _ = registry.register("fail", |_: &mut Counter| -> std::result::Result<(), std::fmt::Error> {
            RUNS.fetch_add(1, Ordering::Relaxed);
            Err(std::fmt::Error)
        })?;
        let caller = registry.caller().on_conflict(Conflict::Retry(9));
        assert!(caller.execute("fail", serde_json::json!([format!("@{id}")])).is_err());
        assert_eq!(RUNS.load(Ordering::Relaxed), 1);
        let mut held = registry.checkout(id)?;
        registry.call(count, (id, 1_u64))?;
        // The hand that holds it must look first: nobody else knows what it made of the state before.
        assert!(caller.call(count, (&mut held, 1_u64)).is_err());
    }
    Ok(())
}
