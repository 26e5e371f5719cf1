//! A `Drop` of the user's own: no lock is held while it runs, and whatever it does, a commit is whole or not made.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::id;
use heirloom::prelude::*;
use heirloom::{Expected, Result};
use serde::{Deserialize, Serialize};

thread_local! {
    /// What each drop of this thread does.
    static ON_DROP: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Loud(i64);

impl Drop for Loud {
    fn drop(&mut self) {
        // What is dropped meanwhile is quiet; and so is a thread that ends.
        let Ok(Some(on_drop)) = ON_DROP.try_with(RefCell::take) else { return };
        let done = catch_unwind(AssertUnwindSafe(&on_drop));
        ON_DROP.set(Some(on_drop));
        if let Err(payload) = done {
            resume_unwind(payload);
        }
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Leaf {
    id: Id<Leaf>,
    #[entity(value)]
    loud: Loud,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Branch {
    id: Id<Branch>,
    #[entity(value)]
    loud: Loud,
    leaves: Vec<Leaf>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Trunk {
    id: Id<Trunk>,
    #[entity(value)]
    loud: Loud,
    branches: Vec<Branch>,
    more: Children<Leaf>,
}

fn trunk(loud: i64) -> Trunk {
    let leaf = |name| Leaf { id: id(name), loud: Loud(loud) };
    let branch = Branch { id: id("branch"), loud: Loud(loud), leaves: vec![leaf("leaf")] };
    let more = Children::try_from_iter([leaf("more")]).expect("it stands there once");
    Trunk { id: id("trunk"), loud: Loud(loud), branches: vec![branch], more }
}

fn grow(trunk: &mut Trunk) {
    trunk.loud.0 += 1;
    for branch in &mut trunk.branches {
        branch.loud.0 += 1;
        branch.leaves.iter_mut().for_each(|leaf| leaf.loud.0 += 1);
    }
    trunk.more.iter_mut().for_each(|leaf| leaf.loud.0 += 1);
}

fn grow_leaf(leaf: &mut Leaf) {
    leaf.loud.0 += 1;
}

const ROOT: &str = "trunk";

/// A registry in which every value was read once, so that each lineage keeps what it has built.
fn registry() -> Result<Registry> {
    let registry = Registry::in_memory();
    let _ = registry.register("grow", grow)?;
    let _ = registry.register("grow leaf", grow_leaf)?;
    registry.add(trunk(0))?;
    registry.call(grow, (id::<Trunk>(ROOT),))?;
    state(&registry)?;
    Ok(registry)
}

/// What every reader sees: all values, and all revisions.
fn state(registry: &Registry) -> Result<(Trunk, Branch, Leaf, Leaf, [Revision; 4])> {
    let history = registry.history();
    let revisions = [ROOT, "branch", "leaf", "more"]
        .map(|name| history.revision(id::<()>(name).entity_id()).unwrap_or(Revision(0)));
    Ok((
        registry.get(id(ROOT))?,
        registry.get(id("branch"))?,
        registry.get(id("leaf"))?,
        registry.get(id("more"))?,
        revisions,
    ))
}

/// Does something with a registry while every drop asks and commits to that registry; gives how many drops did.
fn while_drops_are_busy(what: &'static str, work: fn(&Registry) -> Result<()>) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || -> Result<usize> {
        let registry = registry()?;
        let (inner, drops) = (registry.clone(), std::rc::Rc::new(Cell::new(0)));
        let count = drops.clone();
        ON_DROP.set(Some(Box::new(move || {
            state(&inner).map(drop).unwrap_or_default();
            inner.batch().commit().expect("an empty commit is made");
            count.set(count.get() + 1);
        })));
        let worked = work(&registry);
        ON_DROP.set(None);
        done.send(()).expect("somebody waits");
        worked.map(|()| drops.get())
    });
    wait.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{what}: a drop waits for a lock"));
    let drops = thread.join().expect("it does not panic").expect("it works");
    assert!(drops > 0, "{what}: nothing was dropped");
}

#[test]
fn no_lock_is_held_while_a_value_drops() {
    while_drops_are_busy("a run that changes all", |registry| {
        registry.call(grow, (id::<Trunk>(ROOT),))?;
        Ok(registry.call(grow, (id::<Trunk>(ROOT),)).map(drop)?)
    });
    while_drops_are_busy("runs that change leaves", |registry| {
        registry.call(grow_leaf, (id::<Leaf>("leaf"),))?;
        registry.call(grow_leaf, (id::<Leaf>("more"),))?;
        Ok(registry.call(grow, (id::<Trunk>(ROOT),)).map(drop)?)
    });
    while_drops_are_busy("a read that builds", |registry| {
        registry.call(grow_leaf, (id::<Leaf>("leaf"),))?;
        state(registry).map(drop)
    });
    while_drops_are_busy("a refused commit", |registry| {
        let refused = registry.batch().save(trunk(7)).expect(id::<Leaf>("leaf"), Expected::At(Revision(9))).commit();
        assert!(refused.is_err());
        Ok(())
    });
    while_drops_are_busy("a removal and a return", |registry| {
        registry.remove(id::<Trunk>(ROOT))?;
        Ok(registry.revert(id::<Trunk>(ROOT), Revision(1)).map(drop)?)
    });
}

#[test]
fn after_a_drop_that_panics_a_commit_is_whole_or_not_made() -> Result<()> {
    let mut struck = 0;
    for nth in 0.. {
        let registry = registry()?;
        let revision = Revision(3);
        let (before, after) = (state(&registry)?, {
            let other = self::registry()?;
            other.call(grow, (id::<Trunk>(ROOT),))?;
            state(&other)?
        });
        let left = std::rc::Rc::new(Cell::new(nth));
        let counter = left.clone();
        ON_DROP.set(Some(Box::new(move || {
            counter.set(counter.get() - 1);
            if counter.get() == -1 && !thread::panicking() {
                resume_unwind(Box::new("a drop"));
            }
        })));
        let called = catch_unwind(AssertUnwindSafe(|| registry.call(grow, (id::<Trunk>(ROOT),)).is_ok()));
        ON_DROP.set(None);
        let now = state(&registry)?;
        if now != before {
            assert_eq!(now, after, "drop {nth}");
        }
        assert_eq!(now.4[0] == revision, now == after);
        registry.call(grow, (id::<Trunk>(ROOT),))?;
        assert_eq!(state(&registry)?.0.loud.0, now.0.loud.0 + 1);
        assert_eq!(registry.history().at(id::<Leaf>("leaf"), Revision(2))?, before.2);
        match called {
            Ok(true) if left.get() >= 0 => break,
            Ok(_) => {}
            Err(_) => struck += 1,
        }
    }
    assert!(struck > 0, "no drop panicked out of a call");
    Ok(())
}
