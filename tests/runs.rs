//! Runs in awkward company: held entities of another registry, code of users that panics, listeners of many threads,
//! values read by address while others commit.

use std::collections::BTreeMap;
use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use heirloom::prelude::*;
use heirloom::{Argument, Children, CommitError, EntityId, Observation, Result, RunEnd, Strays};
use serde_json::json;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Tank {
    id: Id<Tank>,
    litres: i64,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Note {
    id: Id<Note>,
    text: String,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Plant {
    id: Id<Plant>,
    tanks: Children<Tank>,
    labels: BTreeMap<String, i64>,
    codes: BTreeMap<i128, i64>,
}

fn tank(litres: i64) -> Tank {
    Tank { id: Id::new(), litres }
}

fn fill(tank: &mut Tank, by: i64) {
    tank.litres += by;
}

fn level(tank: &Tank) -> i64 {
    tank.litres
}

fn fill_both(one: &mut Tank, other: &mut Tank) {
    one.litres += 1;
    other.litres += 1;
}

fn registry() -> Result<Registry> {
    let registry = Registry::in_memory();
    let _ = registry.register("fill", fill)?.params(["tank", "by"])?;
    let _ = registry.register("level", level)?;
    let _ = registry.register("fill both", fill_both)?;
    Ok(registry)
}

#[test]
fn an_entity_held_by_one_registry_is_refused_by_another() -> Result<()> {
    let (here, there) = (registry()?, registry()?);
    let held_id = there.add(tank(1))?;
    let mut held = there.checkout(held_id)?;
    held.litres = 7;
    let ours = here.add(Note { id: Id::new(), text: "ours".into() })?;
    let said = format!("{held_id} was checked out of another registry: check it out of this one, or `add` it here");
    let expected = format!("\"fill\", parameter \"tank\": {said}");
    assert_eq!(here.call(fill, (&mut held, 5)).expect_err("it is another's").to_string(), expected);
    assert!(here.call(level, (&held,)).expect_err("it is another's").to_string().ends_with(&said));
    assert_eq!(here.save(&mut held).expect_err("it is another's").to_string(), said);
    assert_eq!((here.get(ours)?.text.as_str(), here.history().head().0), ("ours", 1));
    there.save(&mut held)?;
    assert_eq!(there.get(held_id)?.litres, 7);
    Ok(())
}

#[test]
fn edits_of_a_held_entity_that_is_only_lent_are_seen_or_refused_as_was_chosen() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(1))?;
    let mut held = registry.checkout(id)?;
    held.litres = 9;
    assert_eq!(*registry.caller().strays(Strays::Unchecked).call(level, (&held,))?.value(), 9);
    for strays in [Strays::Commit, Strays::Refuse] {
        let error = registry.caller().strays(strays).call(level, (&held,)).expect_err("it was edited").to_string();
        assert!(error.ends_with("save it first, since a parameter by `&` commits nothing"), "{error}");
    }
    assert_eq!(registry.get(id)?.litres, 1);
    Ok(())
}

#[test]
fn stray_edits_are_not_committed_for_a_call_whose_other_arguments_do_not_fit() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(1))?;
    let mut held = registry.checkout(id)?;
    held.litres = 50;
    let head = registry.history().head();
    registry.call(fill_both, (&mut held, Id::<Tank>::new())).expect_err("nobody knows the second");
    assert_eq!((registry.history().head(), registry.get(id)?.litres, held.litres), (head, 1, 50));
    Ok(())
}

#[test]
fn commits_are_told_in_the_order_of_the_log_whatever_thread_made_them() -> Result<()> {
    let registry = registry()?;
    let tanks = (0..8).map(|_| registry.add(tank(0))).collect::<std::result::Result<Vec<_>, _>>()?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let subscription = registry.subscribe({
        let told = Arc::clone(&told);
        move |observation| {
            if let Observation::DidCommit { position, .. } = observation {
                told.lock().expect("nobody panics").push(position.0);
            }
        }
    });
    thread::scope(|scope| {
        for id in &tanks {
            scope.spawn(|| (0..500).for_each(|_| drop(registry.call(fill, (*id, 1)).expect("each has its own"))));
        }
    });
    drop(subscription);
    let told = told.lock().expect("nobody panics").clone();
    assert_eq!(told, (9..=8 + 8 * 500).collect::<Vec<u64>>());
    Ok(())
}

#[test]
fn a_listener_hears_what_was_told_while_it_listened_though_another_thread_delivers_it() -> Result<()> {
    let registry = registry()?;
    let (one, other) = (registry.add(tank(0))?, registry.add(tank(0))?);
    let (busy, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let first = AtomicBool::new(true);
    let slow = registry.subscribe({
        let (busy, go_on) = (Arc::clone(&busy), Arc::clone(&go_on));
        move |_| {
            if first.swap(false, Ordering::SeqCst) {
                busy.wait();
                go_on.wait();
            }
        }
    });
    let heard = Arc::new(Mutex::new(0));
    thread::scope(|scope| {
        let delivering = scope.spawn(|| registry.call(fill, (one, 1)).map(drop));
        busy.wait();
        // The other thread is in a handler: what is told now is left to it.
        let subscription = registry.subscribe({
            let heard = Arc::clone(&heard);
            move |_| *heard.lock().expect("nobody panics") += 1
        });
        registry.call(fill, (other, 1)).expect("nothing stands against it");
        drop(subscription);
        go_on.wait();
        delivering.join().expect("it does not panic").expect("nothing stands against it");
    });
    drop(slow);
    assert_eq!(*heard.lock().expect("nobody panics"), 3, "the run was about to begin, returned, and was committed");
    Ok(())
}

/// A panic whose payload panics again when it is let go.
struct Nasty;

impl Drop for Nasty {
    fn drop(&mut self) {
        panic!("and again");
    }
}

#[test]
fn a_listener_that_panics_as_badly_as_can_be_is_cut_off_and_nobody_else() -> Result<()> {
    let registry = registry()?;
    let id = registry.add(tank(0))?;
    let nasty = registry.subscribe(|_| panic_any(Nasty));
    let heard = Arc::new(Mutex::new(0));
    let good = registry.subscribe({
        let heard = Arc::clone(&heard);
        move |_| *heard.lock().expect("nobody panics") += 1
    });
    registry.call(fill, (id, 1))?;
    registry.call(fill, (id, 1))?;
    assert_eq!((*heard.lock().expect("nobody panics"), registry.get(id)?.litres), (6, 2));
    drop((nasty, good));
    Ok(())
}

#[test]
fn what_was_read_by_an_address_is_expected_to_stay_and_stands_in_the_log() -> Result<()> {
    let registry = registry()?;
    let (from, to) = (registry.add(tank(3))?, registry.add(tank(0))?);
    let disturb = Arc::new(AtomicBool::new(false));
    let _ = registry.register("set", {
        let (registry, disturb) = (registry.clone(), Arc::clone(&disturb));
        move |tank: &mut Tank, litres: i64| {
            if disturb.load(Ordering::SeqCst) {
                registry.call(fill, (from, 100)).expect("it is another's tank");
            }
            tank.litres = litres;
        }
    })?;
    let arguments = json!([format!("@{to}"), {"$at": format!("@{from}.litres")}]);
    let outcome = registry.execute("set", arguments.clone())?;
    let entry = outcome.entry();
    let given = entry.expect("it reads").run().expect("a callable made it").arguments();
    let read = vec![Argument::Entity { id: from.into(), revision: Revision(1) }];
    assert_eq!(given[1], Argument::At { value: Value::Int(3), read });
    disturb.store(true, Ordering::SeqCst);
    registry.call(fill, (to, 1))?;
    let error = registry.execute("set", arguments).expect_err("somebody wrote what it had read");
    assert!(error.to_string().contains(&format!("{from} is at r2, not r1")), "{error}");
    assert_eq!(registry.get(to)?.litres, 4);
    Ok(())
}

#[test]
fn an_address_leads_to_owned_entities_and_under_any_key() -> Result<()> {
    let registry = Registry::in_memory();
    let inner = tank(5);
    let inner_id = inner.id;
    let plant = registry.add(Plant {
        id: Id::new(),
        tanks: Children::try_from(vec![inner])?,
        labels: BTreeMap::from([("a \"b\"] c".into(), 1), ("plain".into(), 2)]),
        codes: BTreeMap::from([(-4, 3), (i128::MAX, 4)]),
    })?;
    let _ = registry.register("which", |tank: Id<Tank>| -> EntityId { tank.into() })?;
    let _ = registry.register("number", |number: i64| number)?;
    let at = |path: &str| json!([{"$at": format!("@{plant}{path}")}]);
    assert_eq!(*registry.execute("which", at(".tanks[0]"))?.value(), json!(inner_id.to_string()));
    let number = |path: &str| registry.execute("number", at(path)).map(|outcome| outcome.value().clone());
    assert_eq!(number(".labels[\"a \\\"b\\\"] c\"]")?, 1);
    assert_eq!(number(".labels.plain")?, 2);
    assert_eq!(number(".codes[-4]")?, 3);
    assert_eq!(number(&format!(".codes[{}]", i128::MAX))?, 4);
    assert_eq!(number(".tanks[0].litres")?, 5);
    for malformed in [".labels[\"a]", ".labels[\"a\"", ".labels[\"a\"]x", ".labels[]"] {
        let error = number(malformed).expect_err("it is no address").to_string();
        assert!(error.contains("is not an address"), "{malformed}: {error}");
    }
    Ok(())
}

static FRAGILE: AtomicBool = AtomicBool::new(false);

/// Comparing or copying it panics while [`FRAGILE`] is set.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Glass(u8);

impl Clone for Glass {
    fn clone(&self) -> Self {
        assert!(!FRAGILE.load(Ordering::SeqCst), "broken while copied");
        Self(self.0)
    }
}

impl PartialEq for Glass {
    fn eq(&self, other: &Self) -> bool {
        assert!(!FRAGILE.load(Ordering::SeqCst), "broken while compared");
        self.0 == other.0
    }
}

#[derive(Entity, Clone, Debug)]
struct Shelf {
    id: Id<Shelf>,
    #[entity(value)]
    glass: Glass,
}

#[test]
fn a_panic_in_the_clone_or_comparison_of_a_users_type_is_an_error_and_in_the_log() -> Result<()> {
    fn touch(shelf: &mut Shelf) {
        shelf.glass.0 += 1;
    }
    let registry = Registry::in_memory();
    let _ = registry.register("touch", touch)?;
    let id = registry.add(Shelf { id: Id::new(), glass: Glass(1) })?;
    let mut held = registry.checkout(id)?;
    held.glass.0 = 5;
    FRAGILE.store(true, Ordering::SeqCst);
    let called = registry.call(touch, (id,)).map(drop);
    let executed = registry.execute("touch", json!([format!("@{id}")])).map(drop);
    let saved = registry.save(&mut held).map(drop);
    FRAGILE.store(false, Ordering::SeqCst);
    assert_eq!(called.expect_err("it panicked").to_string(), "\"touch\" panicked: broken while copied");
    assert_eq!(executed.expect_err("it panicked").to_string(), "\"touch\" panicked: broken while copied");
    assert!(matches!(saved, Err(CommitError::Panicked(_))), "{saved:?}");
    let entry = registry.history().entries().next_back().expect("the run is in the log");
    assert_eq!(entry.expect("it reads").run().expect("it ran").end(), &RunEnd::Panicked("broken while copied".into()));
    assert_eq!((registry.get(id)?.glass.0, registry.history().revision(id)?), (1, Revision(1)));
    Ok(())
}

#[test]
fn a_callable_whose_parameters_were_named_wrongly_can_be_registered_again() -> Result<()> {
    let registry = Registry::in_memory();
    registry.register("fill", fill)?.params(["tank"]).expect_err("there are two");
    registry.register("fill", fill)?.params(["tank", "tank"]).expect_err("they are one");
    assert!(registry.callables().is_empty());
    let _ = registry.register("fill", fill)?.params(["tank", "by"])?;
    let id = registry.add(tank(0))?;
    registry.execute("fill", json!({"tank": format!("@{id}"), "by": 2}))?;
    assert_eq!(registry.get(id)?.litres, 2);
    Ok(())
}

#[test]
fn a_revision_without_its_entity_says_what_it_lacks() -> Result<()> {
    let registry = registry()?;
    registry.add(tank(0))?;
    let error = registry.history().tag("t", Revision(1)).expect_err("whose revision?");
    assert_eq!(error.to_string(), "r1 is a revision, and only an entity has those: say it by position, time or tag");
    Ok(())
}
