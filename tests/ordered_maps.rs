//! Maps that have an order: another order is another state, and it is told in the fewest moves.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use common::{cases, id};
use heirloom::prelude::*;
use heirloom::{Change, ChangeKind, Delta, diff, to_json};
use indexmap::IndexMap;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Part {
    id: Id<Part>,
    name: String,
    size: i32,
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Rack {
    id: Id<Rack>,
    parts: IndexMap<String, Part>,
    shared: IndexMap<String, Child<Part>>,
    mixed: IndexMap<String, (i32, Vec<Part>)>,
    numbered: IndexMap<u8, Part>,
    deep: Vec<IndexMap<String, Option<Part>>>,
    values: IndexMap<String, i32>,
    layers: IndexMap<u8, Vec<IndexMap<String, i32>>>,
    sorted: BTreeMap<String, Part>,
    hashed: HashMap<String, Part>,
}

fn part(name: &str) -> Part {
    Part { id: id(name), name: name.to_owned(), size: 1 }
}

fn rack() -> Rack {
    let name = |key: &str| key.to_owned();
    let keys = ["a", "b", "c"];
    Rack {
        id: id("rack"),
        parts: keys.map(|key| (name(key), part(&format!("p{key}")))).into(),
        shared: keys.map(|key| (name(key), Child::new(part(&format!("s{key}"))))).into(),
        mixed: [(name("a"), (1, vec![part("m1")])), (name("b"), (2, vec![]))].into(),
        numbered: [(1, part("n1")), (2, part("n2")), (3, part("n3"))].into(),
        deep: vec![[(name("x"), Some(part("d1"))), (name("y"), None)].into()],
        values: [(name("a"), 1), (name("b"), 2), (name("c"), 3)].into(),
        layers: [(1, vec![[(name("x"), 1), (name("y"), 2)].into()]), (2, vec![])].into(),
        sorted: keys.map(|key| (name(key), part(&format!("t{key}")))).into(),
        hashed: keys.map(|key| (name(key), part(&format!("h{key}")))).into(),
    }
}

/// What the changes print, `RACK` for the name of the rack.
fn told(before: &Rack, after: &Rack) -> String {
    let changes = diff(before, after).expect("each stands once").to_string();
    changes.replace(&format!("Rack {}", &id::<Rack>("rack").to_string()[28..]), "RACK")
}

/// Whether the orders are the same too: `==` of an `IndexMap` does not look at it.
fn in_words(rack: &Rack) -> String {
    let mut words = format!("{:?} {:?} {:?}", rack.parts, rack.shared, rack.mixed);
    write!(words, "{:?} {:?} {:?} {:?}", rack.numbered, rack.deep, rack.values, rack.layers).expect("text takes text");
    words
}

fn check_patch(before: &Rack, after: &Rack) {
    let patch = Patch::between(before, after).expect("each stands once");
    let there = patch.apply(before).expect("it was made from this");
    assert_eq!(in_words(&there), in_words(after));
    let back = patch.clone().inverse().apply(after).expect("it leads back");
    assert_eq!(in_words(&back), in_words(before));
    assert_eq!(patch.is_empty(), in_words(before) == in_words(after) && before == after);
    assert_eq!(told(before, after).is_empty(), patch.is_empty());
}

/// The RFC 6902 patch, applied by somebody else's crate.
fn check_json(before: &Rack, after: &Rack) {
    let operations = diff(before, after).expect("each stands once").to_json_patch().expect("it is not deep");
    let patch: json_patch::Patch = serde_json::from_value(operations.clone()).expect("it is a JSON Patch");
    let mut json = to_json(before).expect("it is not deep");
    json_patch::patch(&mut json, &patch).unwrap_or_else(|error| panic!("{error}\n{operations:#}\n{json:#}"));
    assert_eq!(json, to_json(after).expect("it is not deep"), "{operations}");
}

fn check(edit: impl FnOnce(&mut Rack), expected: &str) {
    let before = rack();
    let mut after = before.clone();
    edit(&mut after);
    assert_eq!(told(&before, &after), expected);
    assert_eq!(expected.is_empty(), told(&after, &before).is_empty());
    check_patch(&before, &after);
    check_json(&before, &after);
    check_json(&after, &before);
}

#[test]
fn a_reorder_of_entries_is_told_in_the_fewest_moves() {
    check(|rack| rack.parts.move_index(2, 0), "RACK: parts[\"c\"] moved 2 -> 0");
    check(|rack| rack.parts.move_index(0, 2), "RACK: parts[\"a\"] moved 0 -> 2");
    check(|rack| rack.shared.move_index(0, 2), "RACK: shared[\"a\"] moved 0 -> 2");
    check(|rack| rack.numbered.move_index(2, 0), "RACK: numbered[3] moved 2 -> 0");
    check(|rack| rack.deep[0].reverse(), "RACK: deep[0][\"x\"] moved 0 -> 1");
    // Whether an entry owns an entity or only could.
    check(|rack| rack.mixed.reverse(), "RACK: mixed[\"a\"] moved 0 -> 1");
}

#[test]
fn a_reorder_of_plain_entries_is_told_like_that_of_entities() {
    check(|rack| rack.values.move_index(2, 0), "RACK: values[\"c\"] moved 2 -> 0");
    check(|rack| rack.layers.reverse(), "RACK: layers[1] moved 0 -> 1");
    check(|rack| rack.layers[0][0].reverse(), "RACK: layers[1][0][\"x\"] moved 0 -> 1");
    check(
        |rack| {
            let _ = rack.values.shift_remove("a");
            rack.values.reverse();
            rack.values["b"] = 7;
            rack.values.insert("new".into(), 9);
        },
        "RACK: values[\"a\"] - 1\nRACK: values[\"b\"] 2 -> 7\nRACK: values[\"c\"] moved 2 -> 0\n\
         RACK: values[\"new\"] + 9",
    );
}

#[test]
fn what_else_differs_is_told_beside_the_reorder() {
    check(
        |rack| {
            rack.parts.reverse();
            rack.parts[0].size = 7;
            rack.mixed.reverse();
            rack.mixed[0].0 = 5;
        },
        "RACK: parts[\"c\"] moved 2 -> 0\nRACK: parts[\"a\"] moved 0 -> 2\n\
         RACK: mixed[\"b\"][0] 2 -> 5\nRACK: mixed[\"a\"] moved 0 -> 1\nPart pc: size 1 -> 7",
    );
    check(
        |rack| {
            drop(rack.parts.shift_remove("a"));
            rack.parts.reverse();
            rack.parts.insert("new".into(), part("new"));
        },
        "RACK: parts[\"c\"] moved 2 -> 0\nPart pa: removed from RACK parts[\"a\"]\nPart new: added to RACK parts[\"new\"]",
    );
    check(
        |rack| {
            let part = rack.parts.shift_remove("a").expect("it is there");
            rack.parts.insert("renamed".into(), part);
        },
        "Part pa: moved from RACK parts[\"a\"] to RACK parts[\"renamed\"]",
    );
}

#[test]
fn a_map_without_an_order_never_tells_of_one() {
    check(
        |rack| {
            rack.sorted = rack.sorted.clone().into_iter().rev().collect();
            let mut entries: Vec<_> = rack.hashed.drain().collect();
            entries.sort_by(|(one, _), (other, _)| other.cmp(one));
            rack.hashed = entries.into_iter().collect();
        },
        "",
    );
    check(
        |rack| {
            let [a, b] = ["a", "b"].map(|key| rack.sorted.remove(key).expect("it is there"));
            rack.sorted.extend([("a".to_owned(), b), ("b".to_owned(), a)]);
        },
        "Part tb: moved from RACK sorted[\"b\"] to RACK sorted[\"a\"]\n\
         Part ta: moved from RACK sorted[\"a\"] to RACK sorted[\"b\"]",
    );
}

#[test]
fn the_json_twin_and_the_delta_say_the_same() {
    let before = rack();
    let mut after = before.clone();
    after.parts.move_index(2, 0);
    let changes = diff(&before, &after).expect("each stands once");
    let entity = json!({"type": "Rack", "id": before.id});
    assert_eq!(
        changes.to_json().expect("all is in memory"),
        json!([{"kind": "reordered", "entity": entity, "path": "/parts/c", "before": 2, "after": 0}])
    );
    match &changes[..] {
        [Change { kind: ChangeKind::Changed { field, delta: Delta::Map { moved, .. } }, .. }] => {
            assert_eq!((&**field, &moved[..]), ("parts", &[(2, 0, Value::text("c"))][..]));
        }
        _ => panic!("{changes:?}"),
    }
}

#[test]
fn a_version_that_is_a_reorder_says_so_and_only_what_came_is_added() -> heirloom::Result<()> {
    fn turn(rack: &mut Rack) {
        rack.parts.move_index(2, 0);
        rack.mixed.reverse();
    }
    let registry = Registry::in_memory();
    let _ = registry.register("turn", turn)?;
    let rack = registry.add(rack())?;
    assert_eq!(registry.call(turn, (rack,))?.versions()?.len(), 1);
    assert_eq!(
        registry.history().of(rack)?.to_string(),
        "r2 turn parts[\"c\"] moved 2 -> 0, mixed[\"a\"] moved 0 -> 1\nr1 added"
    );
    // What comes back with its owner has come, though it has a version from before.
    let again = registry.get(rack)?;
    registry.batch().remove(rack).commit()?;
    registry.batch().add(again).commit()?;
    let versions = registry.history().of(id::<Part>("m1"))?;
    assert_eq!(versions.to_string(), "r2 added\nr1 added");
    Ok(())
}

/// Which entries stand in each map, in their order, and what each looks like.
fn racks() -> impl Strategy<Value = Rack> {
    let entries = || vec((0..5u8, 0..3i32), 0..6);
    let plain = (entries(), vec((0..5u8, vec(entries(), 0..2)), 0..4));
    let owning = (entries(), entries(), entries(), entries(), entries());
    (owning, plain).prop_map(|((parts, shared, mixed, numbered, deep), (values, layers))| {
        let key = |key: u8| ["a", "b/c", "~d", "e", "f"][usize::from(key)].to_owned();
        let values_of = |entries: Vec<(u8, i32)>| entries.into_iter().map(|(at, look)| (key(at), look)).collect();
        let part = |map: &str, key: u8, size: i32| Part { size, ..part(&format!("{map}{key}")) };
        Rack {
            parts: parts.into_iter().map(|(at, size)| (key(at), part("p", at, size))).collect(),
            shared: shared.into_iter().map(|(at, size)| (key(at), Child::new(part("s", at, size)))).collect(),
            mixed: mixed
                .into_iter()
                .map(|(at, look)| (key(at), (look, (0..look).map(|n| part(&format!("m{n}"), at, 1)).collect())))
                .collect(),
            numbered: numbered.into_iter().map(|(at, size)| (at, part("n", at, size))).collect(),
            deep: vec![deep.into_iter().map(|(at, look)| (key(at), (look > 0).then(|| part("d", at, look)))).collect()],
            values: values_of(values),
            layers: layers.into_iter().map(|(at, maps)| (at, maps.into_iter().map(values_of).collect())).collect(),
            ..rack()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(256)) })]

    #[test]
    fn ordered_maps_are_patched_there_and_back(before in racks(), after in racks()) {
        check_patch(&before, &after);
    }

    #[test]
    fn ordered_maps_are_patched_as_json(before in racks(), after in racks()) {
        check_json(&before, &after);
    }
}
