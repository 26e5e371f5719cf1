//! The sequence against a plain vector: any program gives what is built from zero.

use super::*;

/// A list of identities to begin with, and those to come.
fn ids(kind: u8, count: usize) -> (Vec<u128>, Vec<u128>) {
    let all = match kind {
        0 => (0..count as u128 * 2).collect(),
        1 => never_cut(count as u128 * 2),
        2 => never_cut(count as u128 * 2).into_iter().rev().collect(),
        3 => always_cut(count as u128 * 2),
        4 => never_cut_twice(),
        _ => (0..count as u128 * 2).map(|id| id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).collect(),
    };
    let take = |parity| all.iter().copied().skip(parity).step_by(2).collect();
    (take(0), take(1))
}

/// Does one step to the sequence and to the model; the numbers choose what and where.
fn step(sequence: &mut Sequence<Probe>, model: &mut Vec<(u128, u32)>, spare: &mut Vec<u128>, dice: (u8, usize, usize)) {
    let (kind, first, second) = dice;
    let len = model.len();
    match kind {
        0..=3 if !spare.is_empty() => {
            // Near its rank in half of the cases, so that hostile orders stay hostile.
            let id = spare.remove(first % spare.len());
            let position = if kind < 2 { second % (len + 1) } else { (first + 1).min(len) };
            sequence.insert(position, Probe::new(id, 0)).expect("the id is new");
            model.insert(position, (id, 0));
        }
        4..=6 if len > 0 => {
            let removed = sequence.remove(first % len).map(|item| item.pair());
            let expected = model.remove(first % len);
            assert_eq!(removed, Some(expected));
            spare.push(expected.0);
        }
        7..=8 if len > 0 => {
            sequence.move_to(first % len, second % len);
            let item = model.remove(first % len);
            model.insert(second % len, item);
        }
        9 if len > 0 => {
            let item = &mut model[first % len];
            item.1 += 1;
            let replaced = sequence.replace(first % len, Probe::new(item.0, item.1));
            assert_eq!(replaced.map(|item| item.pair()), Some((item.0, item.1 - 1)));
        }
        10 if len > 0 => {
            let item = &mut model[first % len];
            item.1 += 1;
            let position = sequence.position(entity(item.0)).expect("it is there");
            sequence.get_mut(position).expect("it is there").set(item.1);
        }
        11 => {
            for (item, (_, value)) in sequence.iter_mut().zip(model.iter_mut()).skip(first % 100).step_by(7) {
                *value += 1;
                item.set(*value);
            }
        }
        _ => {
            let id = entity(model.get(first).map_or(u128::MAX, |item| item.0));
            assert_eq!(sequence.position(id), Some(first).filter(|position| *position < len));
        }
    }
}

/// Checks the differences between two sequences against what sets say.
fn check_diff(before: &Sequence<Probe>, after: &Sequence<Probe>) {
    let (old, new) = (content(before), content(after));
    let places =
        |list: &[(u128, u32)]| list.iter().enumerate().map(|(at, item)| (item.0, at)).collect::<BTreeMap<_, _>>();
    let (old_places, new_places) = (places(&old), places(&new));
    let (mut removed, mut added) = (BTreeSet::new(), BTreeSet::new());
    let (mut touched, mut moved) = (BTreeSet::new(), BTreeSet::new());
    before.diff(after, &mut |difference| match difference {
        Difference::Removed(at, item) => assert!(old[at] == item.pair() && removed.insert(item.0.id)),
        Difference::Added(at, item) => assert!(new[at] == item.pair() && added.insert(item.0.id)),
        Difference::Touched { before, after } => {
            assert_eq!((old[before.0], new[after.0]), (before.1.pair(), after.1.pair()));
            assert!(before.1.0.id == after.1.0.id && touched.insert(after.1.0.id));
        }
        Difference::Reordered { before, after, item } => {
            assert_eq!((old[before].0, new[after]), (item.0.id, item.pair()));
            assert!(moved.insert(item.0.id));
        }
    });
    let only = |list: &[(u128, u32)], other: &BTreeMap<u128, usize>| {
        list.iter().map(|item| item.0).filter(|id| !other.contains_key(id)).collect::<BTreeSet<_>>()
    };
    assert_eq!((removed, added), (only(&old, &new_places), only(&new, &old_places)));
    let is_equal = |(old, new): &(&Probe, &Probe)| {
        Arc::ptr_eq(&old.0, &new.0) || old.known_digest().is_some_and(|digest| new.known_digest() == Some(digest))
    };
    let pairs = before.iter().filter_map(|old| Some((old, after.get(*new_places.get(&old.0.id)?)?)));
    assert_eq!(touched, pairs.filter(|pair| !is_equal(pair)).map(|pair| pair.0.0.id).collect());
    let common: Vec<usize> = new.iter().filter_map(|item| old_places.get(&item.0).copied()).collect();
    assert_eq!(moved.len(), common.len() - longest_rise(&common));
    let stay: Vec<usize> = new
        .iter()
        .filter(|item| !moved.contains(&item.0))
        .filter_map(|item| old_places.get(&item.0).copied())
        .collect();
    assert!(stay.is_sorted());
}

fn longest_rise(positions: &[usize]) -> usize {
    let mut ends: Vec<usize> = Vec::new();
    for &position in positions {
        match ends.partition_point(|end| *end < position) {
            at if at == ends.len() => ends.push(position),
            at => ends[at] = position,
        }
    }
    ends.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_program_gives_what_is_built_from_zero(
        kind in 0..6_u8,
        count in 0..300_usize,
        program in proptest::collection::vec((0..13_u8, 0..400_usize, 0..400_usize), 1..50),
    ) {
        let (first, mut spare) = ids(kind, count);
        let mut model: Vec<(u128, u32)> = first.into_iter().map(|id| (id, 0)).collect();
        let mut sequence = sequence(model.iter().copied());
        let (origin, origin_model) = (sequence.clone(), model.clone());
        for (index, dice) in program.into_iter().enumerate() {
            let before = sequence.clone();
            step(&mut sequence, &mut model, &mut spare, dice);
            check_diff(&before, &sequence);
            if index % 3 == 0 {
                check(&sequence, &model);
            }
        }
        check(&sequence, &model);
        check(&origin, &origin_model);
        check_diff(&origin, &sequence);
        check_diff(&sequence, &origin);
        check_diff(&sequence, &self::sequence(model.iter().copied()));
    }
}

#[test]
fn long_runs_without_a_peak_keep_their_shape() {
    for kind in 1..5 {
        let (first, mut spare) = ids(kind, 2_000);
        let mut model: Vec<(u128, u32)> = first.into_iter().map(|id| (id, 0)).collect();
        let mut sequence = sequence(model.iter().copied());
        for round in 0..120_usize {
            let dice = ((round * 7 % 11) as u8, round * 7_919 % 2_003, round * 104_729 % 1_999);
            step(&mut sequence, &mut model, &mut spare, dice);
            if round % 10 == 9 {
                check(&sequence, &model);
            }
        }
    }
}

#[test]
fn lists_of_any_length_shrink_and_grow() {
    let mut sequence = Sequence::new();
    let mut model = Vec::new();
    for id in 0..80 {
        check(&sequence, &model);
        sequence.push(Probe::new(id, 0)).expect("the id is new");
        model.push((id, 0));
    }
    while !model.is_empty() {
        check(&sequence, &model);
        let position = model.len() / 3;
        sequence.remove(position);
        model.remove(position);
    }
    check(&sequence, &model);
    assert!(sequence.is_empty() && sequence.is_same(&Sequence::new()));
}
