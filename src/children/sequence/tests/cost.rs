//! What edits and diffs look at and copy, and what digests promise.

use super::*;

/// The identities told as touched.
fn touched(before: &Sequence<Probe>, after: &Sequence<Probe>) -> Vec<u128> {
    let mut touched = Vec::new();
    before.diff(after, &mut |difference| {
        if let Difference::Touched { after, .. } = difference {
            touched.push(after.1.0.id);
        }
    });
    touched
}

fn differences(before: &Sequence<Probe>, after: &Sequence<Probe>) -> usize {
    let mut count = 0;
    before.diff(after, &mut |_| count += 1);
    count
}

#[test]
fn only_unknown_digests_are_visited() {
    let unknown = |sequence: &Sequence<Probe>| {
        let mut ids = Vec::new();
        sequence.for_each_unknown_digest(&mut |item| ids.push(item.0.id));
        ids
    };
    let mut sequence = numbered(0..1_000);
    assert_eq!(unknown(&sequence).len(), 1_000);
    sequence.digest();
    assert!(unknown(&sequence).is_empty());
    sequence.get_mut(77).expect("it is there").set(1);
    sequence.push(Probe::new(5_000, 0)).expect("the id is new");
    assert_eq!(unknown(&sequence), [77, 5_000]);
}

#[test]
fn a_difference_costs_what_it_is() {
    let before = numbered(0..100_000);
    let cost = |change: &dyn Fn(&mut Sequence<Probe>), expected| {
        let mut after = before.clone();
        change(&mut after);
        LOOKS.set(0);
        assert_eq!(differences(&before, &after), expected);
        assert!(LOOKS.get() < 100, "{} items were looked at", LOOKS.get());
    };
    cost(&|_| {}, 0);
    cost(&|after| _ = after.remove(0), 1);
    cost(&|after| _ = after.remove(99_999), 1);
    cost(&|after| after.insert(50_000, Probe::new(1 << 100, 0)).expect("the id is new"), 1);
    cost(&|after| after.get_mut(31_415).expect("it is there").set(1), 1);
    cost(&|after| after.move_to(0, 99_999), 1);
    cost(&|after| after.move_to(70_000, 30_000), 1);
}

#[test]
fn trees_built_apart_compare_by_digest() {
    let (before, after) = (numbered(0..20_000), sequence((0..20_000).map(|id| (id, u32::from(id == 9_999)))));
    assert_ne!(before.digest(), after.digest());
    LOOKS.set(0);
    assert_eq!(touched(&before, &after), [9_999]);
    assert!(LOOKS.get() < 40, "{} items were looked at", LOOKS.get());
}

#[test]
fn what_moved_and_changed_is_told_as_both() {
    let before = numbered(0..10);
    let mut after = before.clone();
    after.move_to(2, 7);
    after.get_mut(7).expect("it is there").set(1);
    after.remove(0);
    let mut told = Vec::new();
    before.diff(&after, &mut |difference| {
        told.push(match difference {
            Difference::Touched { before, after } => format!("touched {} -> {}", before.0, after.0),
            Difference::Removed(position, _) => format!("removed {position}"),
            Difference::Added(position, _) => format!("added {position}"),
            Difference::Reordered { before, after, .. } => format!("reordered {before} -> {after}"),
        });
    });
    assert_eq!(told, ["removed 0", "touched 2 -> 6", "reordered 2 -> 6"]);
}

#[test]
fn an_edit_copies_little() {
    let before = numbered(0..100_000);
    let copied = |change: &dyn Fn(&mut Sequence<Probe>)| {
        let mut after = before.clone();
        change(&mut after);
        let (mut old, mut new) = (before.root.iter().collect::<Vec<_>>(), after.root.iter().collect::<Vec<_>>());
        let mut copied = 0;
        while !new.is_empty() {
            let known: BTreeSet<_> = old.iter().map(|link| Arc::as_ptr(&link.node).addr()).collect();
            new.retain(|link| !known.contains(&Arc::as_ptr(&link.node).addr()));
            copied += new.len();
            old = old.iter().flat_map(|link| children(link)).collect();
            new = new.iter().flat_map(|link| children(link)).collect();
        }
        copied
    };
    let height = before.height as usize;
    assert!((5..=7).contains(&height));
    assert_eq!(copied(&|after| after.get_mut(12_345).expect("it is there").set(1)), height);
    let of_insertion = copied(&|after| after.insert(12_345, Probe::new(1 << 100, 0)).expect("the id is new"));
    assert!(of_insertion <= 4 * height, "{of_insertion} nodes");
    assert_eq!(copied(&|after| _ = after.replace(5, before.get(5).expect("it is there").clone())), 0);
}

#[test]
fn chosen_identities_do_not_make_edits_expensive() {
    for ids in [never_cut(100_000), always_cut(100_000)] {
        let mut sequence = sequence(ids.iter().map(|id| (*id, 0)));
        assert!(sequence.height < 12, "{} levels", sequence.height);
        let before = sequence.clone();
        sequence.remove(50_000);
        LOOKS.set(0);
        assert_eq!(differences(&before, &sequence), 1);
        assert!(LOOKS.get() < 100, "{} items were looked at", LOOKS.get());
    }
}

#[test]
fn the_digest_is_a_promise() {
    assert_eq!(
        Sequence::<Probe>::new().digest().to_string(),
        "d1d85ec98ffa31572fe21ae6ffb6d2e7fff4275406d2def94296044928769f30"
    );
    assert_eq!(
        numbered(0..1_000).digest().to_string(),
        "018f95696b5fff5df191cc8ddef27204f77f65ae20e4a40d119748325b591ab9"
    );
}
