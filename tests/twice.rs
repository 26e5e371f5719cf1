//! An entity has one place: what moved out of something that went is not owned a second time by what moved with it.

mod common;

use common::{Folder, Spec, for_all_folders};
use heirloom::prelude::*;
use heirloom::{CommitError, diff};

/// Folder 1 owns 2, which owns 3, which owns 4, which owns 5.
fn chain() -> Spec {
    let mut spec = Spec::new(5);
    for number in (1..5).rev() {
        spec = Spec { list: vec![spec], ..Spec::new(number) };
    }
    spec
}

/// Adds the chain, changes it, and saves that; over a store, and opened again.
fn saved<F: Folder>(change: impl FnOnce(&mut F)) -> Result<Registry, String> {
    let before = F::of(&chain());
    let store = heirloom::store::MemoryStore::new();
    let registry = Registry::builder().over(store.clone()).expect("it opens");
    registry.add(before.clone()).expect("it is new");
    let mut after = registry.get(common::folder_id::<F>(1)).expect("it is there");
    change(&mut after);
    let told = diff(&before, &after).map(|changes| changes.to_string());
    let saved = registry.batch().save(after.clone()).commit();
    match saved {
        Ok(_) => {
            told.expect("what is saved can be told");
            let again = Registry::builder().over(store).expect("it opens");
            let read: F = again.get(common::folder_id::<F>(1)).expect("it is there");
            assert_eq!(read.spec(), after.spec());
            assert_eq!(registry.get(common::folder_id::<F>(1)).map(|now: F| now.spec()), Ok(after.spec()));
            Ok(again)
        }
        Err(error @ (CommitError::Repeated(_) | CommitError::SecondOwner { .. })) => Err(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

/// Folder 3 comes out of 2, which goes.
fn lift<F: Folder>(root: &mut F) -> F {
    root.take(2).and_then(|mut gone| gone.take(3)).expect("they are there")
}

for_all_folders! {
    #[test]
    fn what_stays_in_an_owner_that_moved_out_of_a_removed_one_cannot_come_elsewhere() {
        for (number, changed) in [(4, false), (5, false), (4, true), (5, true)] {
            for first in [false, true] {
                let refused = saved(|root: &mut F| {
                    let mut lifted = lift(root);
                    if changed {
                        lifted.set_name("changed");
                    }
                    let twice = F::of(&Spec::new(number));
                    let (one, other) = if first { (twice, lifted) } else { (lifted, twice) };
                    root.push(one);
                    root.push(other);
                });
                assert!(refused.as_ref().is_err_and(|why| why.contains("twice")), "{number} {changed}: {refused:?}");
            }
        }
    }

    #[test]
    fn so_it_is_inside_of_one_that_is_new() {
        for number in [3, 4, 5] {
            let refused = saved(|root: &mut F| {
                let lifted = lift(root);
                root.push(lifted);
                root.push(F::of(&Spec { list: vec![Spec::new(number)], ..Spec::new(9) }));
            });
            assert!(refused.is_err(), "{number} is owned twice");
        }
    }

    #[test]
    fn what_left_such_an_owner_has_moved() {
        for number in [4, 5] {
            let moved = saved(|root: &mut F| {
                let mut lifted = lift(root);
                let out = match number {
                    4 => lifted.take(4).expect("it is there"),
                    _ => {
                        let mut four = lifted.take(4).expect("it is there");
                        let five = four.take(5).expect("it is there");
                        lifted.push(four);
                        five
                    }
                };
                root.push(lifted);
                root.push(F::of(&Spec::new(9)));
                root.push(out);
            });
            let registry = moved.expect("it has one place");
            let owner = registry.history().owner(common::folder_id::<F>(number), heirloom::When::Head);
            assert_eq!(owner.map(|owner| owner.map(|edge| edge.0)), Ok(Some(common::folder_id::<F>(1).entity_id())));
        }
    }

    #[test]
    fn what_moved_from_one_place_to_another_does_not_come_to_a_third() {
        let refused = saved(|root: &mut F| {
            let mut two = root.take(2).expect("it is there");
            let three = two.take(3).expect("it is there");
            root.push(two);
            root.push(three);
            root.push(F::of(&Spec { list: vec![Spec::new(3)], ..Spec::new(9) }));
        });
        assert!(refused.is_err(), "3 is owned twice");
    }
}
