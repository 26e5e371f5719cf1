//! The sequence's answers, one by one.

use super::*;

#[test]
fn an_edit_leaves_earlier_clones_alone() {
    let before = numbered(0..1_000);
    let digest = before.digest();
    let mut after = before.clone();
    assert!(after.is_same(&before));
    after.get_mut(500).expect("it is there").set(7);
    after.remove(3);
    after.move_to(10, 900);
    assert!(!after.is_same(&before));
    check(&before, &(0..1_000).map(|id| (id, 0)).collect::<Vec<_>>());
    assert_eq!(before.digest(), digest);
    assert_ne!(after.digest(), digest);
}

#[test]
fn an_identity_stands_once() {
    let repeated = Sequence::from_items([4, 5, 6, 5].map(|id| Probe::new(id, 0))).expect_err("5 stands twice");
    assert_eq!((repeated.id(), repeated.first(), repeated.second()), (entity(5), 1, 3));
    let expected = format!("{} stands twice in this list, at 1 and at 3: an entity has one place", entity(5));
    assert_eq!(repeated.to_string(), expected);
    for len in [10, 200] {
        let mut sequence = numbered(0..len);
        let untouched = sequence.clone();
        for (position, places) in [(7, (4, 7)), (4, (4, 5)), (0, (0, 5))] {
            let repeated = sequence.insert(position, Probe::new(4, 1)).expect_err("4 is there");
            assert_eq!((repeated.first(), repeated.second()), places);
        }
        assert!(sequence.is_same(&untouched));
        sequence.remove(4);
        sequence.push(Probe::new(4, 1)).expect("4 is gone");
    }
}

#[test]
#[should_panic(expected = "insertion position (is 3) should be <= len (is 2)")]
fn inserting_beyond_the_end_panics() {
    _ = numbered(0..2).insert(3, Probe::new(9, 0));
}

#[test]
fn the_walk_goes_both_ways() {
    let sequence = numbered(0..500);
    assert!(sequence.iter().rev().map(|item| item.0.id).eq((0..500).rev()));
    let mut iter = sequence.iter();
    for index in 0..250 {
        assert_eq!(iter.len(), 500 - 2 * index as usize);
        assert_eq!(iter.next().map(|item| item.0.id), Some(index));
        assert_eq!(iter.next_back().map(|item| item.0.id), Some(499 - index));
    }
    assert!(iter.next().is_none() && iter.next_back().is_none());
    assert_eq!(Sequence::<Probe>::new().iter_mut().len(), 0);
}

#[test]
fn insertions_at_one_place_find_room() {
    for place in [0, 50, 100] {
        let mut sequence = numbered(0..100);
        let mut model: Vec<u128> = (0..100).collect();
        for id in 100..10_100 {
            sequence.insert(place, Probe::new(id, 0)).expect("the id is new");
        }
        model.splice(place..place, (100..10_100).rev());
        let model: Vec<(u128, u32)> = model.into_iter().map(|id| (id, 0)).collect();
        check(&sequence, &model);
    }
}
