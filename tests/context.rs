//! What a run is told of itself, and what its entry tells of that.

use std::sync::atomic::{AtomicU64, Ordering};

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore};
use heirloom::{Clock, Context, Ids, Result, RunEnd};
use serde_json::json;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Ticket {
    id: Id<Ticket>,
    by: String,
    code: u64,
    times: Vec<i64>,
}

fn ticket() -> Ticket {
    Ticket { id: Id::new(), by: String::new(), code: 0, times: Vec::new() }
}

fn open(context: &Context, ticket: &mut Ticket, bound: u64) {
    ticket.by = format!("{} for {:?}", context.author().unwrap_or("nobody"), context.message());
    ticket.code = context.random_below(bound);
    ticket.times = vec![context.now().as_micros(), context.now().as_micros()];
}

fn dice(context: &Context) -> Vec<u64> {
    (0..100).map(|_| context.random_below(6)).collect()
}

fn named(context: &Context, ticket: &Ticket) -> String {
    format!("{}: {} {:?}", context.callable(), ticket.by, context.property("why"))
}

fn touch(_: &Context, ticket: &mut Ticket) {
    ticket.by.push('!');
}

/// A clock that goes on by a second each time it is asked.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000 * (self.0.fetch_add(1, Ordering::Relaxed) as i64 + 1))
    }
}

/// Identities in a row.
struct Counting(AtomicU64);

impl Ids for Counting {
    fn next_id(&self) -> EntityId {
        EntityId::derive("counted", &self.0.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

fn register(registry: &Registry) -> Result<()> {
    let _ = registry.register("open", open)?;
    let _ = registry.register("dice", dice)?;
    let _ = registry.register("named", named)?;
    let _ = registry.register("touch", touch)?;
    Ok(())
}

/// Two that draw the same: one in memory, one over a store.
fn registries(store: &MemoryStore) -> Result<[Registry; 2]> {
    let builder = || Registry::builder().clock(Ticking(AtomicU64::new(0))).ids(Counting(AtomicU64::new(0)));
    let all = [builder().in_memory(), builder().durability(Durability::Batched).over(store.clone())?];
    all.iter().try_for_each(register)?;
    Ok(all)
}

#[test]
fn a_run_is_told_who_wants_it_and_its_entry_tells_what_it_drew() -> Result<()> {
    let store = MemoryStore::new();
    let mut states = Vec::new();
    for registry in registries(&store)? {
        let id = registry.add(Ticket { id: Id::from_entity_id(EntityId::derive("ticket", "1")), ..ticket() })?;
        let outcome = registry.by("ann").message("a leak").call(open, (id, 1_000_000_u64))?;
        let now = registry.get(id)?;
        assert_eq!(now.by, "ann for Some(\"a leak\")");
        assert_eq!(now.times[0], now.times[1], "time stands still within a run");
        let entry = outcome.entry()?;
        let run = entry.run().expect("a callable made it");
        assert_eq!(run.now().map(|now| now.as_micros()), Some(now.times[0]));
        assert!(entry.time() > run.now().expect("it asked"), "the commit came later");
        assert!(run.id().is_some());
        states.push((now, run.id(), run.now()));
        // Nothing is drawn for one that asks for nothing.
        let entry = registry.call(touch, (id,))?.entry()?;
        let run = entry.run().expect("a callable made it");
        assert_eq!((run.id(), run.now()), (None, None));
    }
    assert_eq!(states[0], states[1], "the same clock and ids give the same run");
    // As it was recorded, so it is read.
    let again = Registry::builder().over(store)?;
    let entry = again.history().entry(heirloom::Position(2))?;
    let run = entry.run().expect("a callable made it");
    assert_eq!((run.id(), run.now()), (states[0].1, states[0].2));
    Ok(())
}

#[test]
fn the_time_of_a_run_is_the_one_that_its_caller_gave() -> Result<()> {
    let registry = Registry::in_memory();
    register(&registry)?;
    let id = registry.add(ticket())?;
    let then = Timestamp::from_micros(77);
    let outcome = registry.caller().at(then).call(open, (id, 1_u64))?;
    assert_eq!(registry.get(id)?.times, [77, 77]);
    assert_eq!((outcome.entry()?.time(), outcome.entry()?.run().and_then(|run| run.now())), (then, Some(then)));
    Ok(())
}

#[test]
fn random_numbers_are_of_their_run_alone_and_within_their_bound() -> Result<()> {
    let registry = Registry::in_memory();
    register(&registry)?;
    let (one, other) = (registry.call(dice, ())?.into_value(), registry.call(dice, ())?.into_value());
    assert_ne!(one, other);
    for face in 0..6 {
        assert!(one.iter().chain(&other).any(|thrown| *thrown == face), "{face} in two hundred throws");
    }
    assert!(one.iter().all(|thrown| *thrown < 6));
    let id = registry.add(ticket())?;
    registry.call(open, (id, 0_u64))?;
    assert_eq!(registry.get(id)?.code, 0);
    Ok(())
}

#[test]
fn nobody_gives_the_context_by_name_either() -> Result<()> {
    let registry = Registry::in_memory();
    register(&registry)?;
    let id = registry.add(ticket())?;
    assert_eq!(registry.describe("open")?.to_string(), "open(&mut Ticket, u64) -> unit: edits one");
    registry.by("bob").execute("open", json!([format!("@{id}"), 5]))?;
    let named = registry.caller().property("why", "asked").execute("named", json!([format!("@{id}")]))?;
    assert_eq!(*named.value(), json!("named: bob for None Some(\"asked\")"));
    assert_eq!(registry.execute("dice", json!([]))?.value().as_array().map(Vec::len), Some(100));
    let counted = registry.register(
        "sum",
        |context: &Context, left: u64, right: u64| {
            if context.history().head().0 == 0 { 0 } else { left + right }
        },
    )?;
    let _ = counted.params(["left", "right"])?;
    assert_eq!(*registry.execute("sum", json!({"left": 1, "right": 2}))?.value(), json!(3));
    Ok(())
}

#[test]
fn a_run_that_fails_or_panics_still_tells_what_it_drew() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("fail", |context: &Context| -> std::result::Result<(), std::fmt::Error> {
        let _ = context.random();
        Err(std::fmt::Error)
    })?;
    let _ = registry.register("panic", |context: &Context| -> u64 { panic!("at {}", context.now()) })?;
    assert!(registry.execute("fail", json!([])).is_err() && registry.execute("panic", json!([])).is_err());
    let entries = registry.history().entries().collect::<std::result::Result<Vec<_>, _>>()?;
    let runs: Vec<_> = entries.iter().filter_map(|entry| entry.run()).collect();
    assert!(matches!(runs[0].end(), RunEnd::Failed(_)) && runs[0].id().is_some() && runs[0].now().is_none());
    assert!(matches!(runs[1].end(), RunEnd::Panicked(_)) && runs[1].id().is_none() && runs[1].now().is_some());
    Ok(())
}
