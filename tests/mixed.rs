//! Containers of more than one kind: maps with text and other keys, values that stand beside entities.

mod common;

use std::collections::BTreeMap;

use common::{cases, id};
use heirloom::prelude::*;
use heirloom::{diff, to_json};
use indexmap::IndexMap;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Node {
    id: Id<Node>,
    size: i32,
    below: BTreeMap<Option<String>, Node>,
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Root {
    id: Id<Root>,
    nodes: BTreeMap<Option<String>, Node>,
    lists: BTreeMap<Option<String>, Vec<Node>>,
    named: BTreeMap<String, Node>,
    values: BTreeMap<Option<String>, i32>,
}

fn node(name: &str) -> Node {
    Node { id: id(name), size: 1, below: BTreeMap::new() }
}

fn key(name: &str) -> Option<String> {
    (name != "-").then(|| name.to_owned())
}

fn nodes(map: &str, keys: &[&str]) -> BTreeMap<Option<String>, Node> {
    keys.iter().map(|name| (key(name), node(&format!("{map}{name}")))).collect()
}

fn root() -> Root {
    Root {
        id: id("root"),
        nodes: nodes("n", &["-", "b", "c"]),
        lists: [(key("-"), vec![node("l1")]), (key("b"), vec![node("l2"), node("l3")])].into(),
        named: [("a".to_owned(), node("a"))].into(),
        values: [(key("-"), 1), (key("b"), 2)].into(),
    }
}

/// The RFC 6902 patch from one to the other, applied by somebody else's crate, and `Patch`, both there and back.
fn check_patches<T: Entity + std::fmt::Debug>(before: &T, after: &T) {
    for (before, after) in [(before, after), (after, before)] {
        let changes = diff(before, after).expect("each stands once");
        let operations = changes.to_json_patch().expect("it is not deep");
        let patch: json_patch::Patch = serde_json::from_value(operations.clone()).expect("it is a JSON Patch");
        let mut json = to_json(before).expect("it is not deep");
        json_patch::patch(&mut json, &patch).unwrap_or_else(|error| panic!("{error}\n{operations:#}\n{json:#}"));
        assert_eq!(json, to_json(after).expect("it is not deep"), "{operations}");

        let patch = Patch::between(before, after).expect("each stands once");
        assert_eq!(format!("{:?}", patch.apply(before).expect("it was made from this")), format!("{after:?}"));
        assert_eq!(format!("{:?}", patch.inverse().apply(after).expect("it leads back")), format!("{before:?}"));
    }
}

fn check_root(edit: impl FnOnce(&mut Root), paths: &[&str]) {
    let before = root();
    let mut after = before.clone();
    edit(&mut after);
    check_patches(&before, &after);
    let operations = diff(&before, &after).expect("each stands once").to_json_patch().expect("it is not deep");
    let operations = operations.as_array().expect("it is a list").clone();
    let found: Vec<&str> = operations.iter().map(|operation| operation["path"].as_str().expect("it is text")).collect();
    assert_eq!(found, paths);
}

fn at<'a, T>(map: &'a mut BTreeMap<Option<String>, T>, name: &str) -> &'a mut T {
    map.get_mut(&key(name)).expect("it is there")
}

#[test]
fn one_key_that_is_no_text_makes_the_json_of_the_map_a_list_and_paths_lead_through_it() {
    check_root(|root| at(&mut root.nodes, "b").size = 2, &["/nodes/1/1/size"]);
    check_root(|root| at(&mut root.nodes, "-").size = 2, &["/nodes/0/1/size"]);
    check_root(|root| at(&mut root.lists, "b")[1].size = 2, &["/lists/1/1/1/size"]);
    check_root(|root| root.nodes.extend(nodes("n", &["a"])), &["/nodes"]);
    check_root(|root| root.nodes.retain(|name, _| *name != key("b")), &["/nodes"]);
    check_root(|root| *at(&mut root.nodes, "b") = node("other"), &["/nodes"]);
    check_root(|root| at(&mut root.nodes, "b").below = nodes("m", &["-", "x"]), &["/nodes/1/1/below"]);
    check_root(|root| *at(&mut root.values, "b") = 3, &["/values"]);
}

#[test]
fn a_map_whose_json_becomes_a_list_or_an_object_is_told_whole() {
    check_root(|root| root.nodes.retain(|name, _| name.is_some()), &["/nodes"]);
    check_root(
        |root| {
            root.nodes.retain(|name, _| name.is_some());
            at(&mut root.nodes, "b").size = 2;
        },
        &["/nodes"],
    );
    check_root(|root| root.values.retain(|name, _| name.is_some()), &["/values"]);
}

#[test]
fn a_name_that_json_keeps_for_itself_is_a_path_too() {
    let named = |names: &[&str]| Root {
        named: names.iter().map(|name| ((*name).to_owned(), node(&format!("k{name}")))).collect(),
        ..root()
    };
    let sized = |names: &[&str]| {
        let mut root = named(names);
        root.named.values_mut().for_each(|node| node.size = 5);
        root
    };
    check_patches(&named(&["$int"]), &sized(&["$int"]));
    check_patches(&named(&["$int", "a"]), &sized(&["$int", "a"]));
    check_patches(&named(&["$int", "a"]), &sized(&["$int"]));
    check_patches(&named(&["$$some"]), &sized(&["$$some", "b"]));
}

fn roots() -> impl Strategy<Value = Root> {
    let name = |at: u8| key(["-", "b", "c", "$int", "/d~"][usize::from(at)]);
    let entries = || vec((0..5u8, 0..3), 0..4);
    (entries(), entries(), entries(), entries(), entries()).prop_map(move |(nodes, below, lists, named, values)| {
        let node = |map: &str, at: u8, size: i32| Node { size, ..node(&format!("{map}{at}")) };
        let below: BTreeMap<_, _> = below.into_iter().map(|(at, size)| (name(at), node("m", at, size))).collect();
        let mut nodes: BTreeMap<_, _> = nodes.into_iter().map(|(at, size)| (name(at), node("n", at, size))).collect();
        if let Some(first) = nodes.values_mut().next() {
            first.below = below;
        }
        Root {
            nodes,
            lists: lists
                .into_iter()
                .map(|(at, count)| (name(at), (0..count).map(|n| node(&format!("l{n}"), at, 1)).collect()))
                .collect(),
            named: named.into_iter().filter_map(|(at, size)| Some((name(at)?, node("k", at, size)))).collect(),
            values: values.into_iter().map(|(at, size)| (name(at), size)).collect(),
            ..root()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(256)) })]

    #[test]
    fn maps_of_mixed_keys_are_patched_there_and_back(before in roots(), after in roots()) {
        check_patches(&before, &after);
    }
}

// Values beside entities.

type Three = (String, Vec<Option<i32>>, [Option<Node>; 2]);

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Stock {
    id: Id<Stock>,
    ordered: IndexMap<String, (i32, Vec<Node>)>,
    pairs: Vec<(i32, Node)>,
    shared: BTreeMap<String, (i32, Child<Node>)>,
    maybe: Option<(i32, Vec<Node>)>,
    deep: Vec<BTreeMap<String, Three>>,
    owning: IndexMap<String, (Vec<Node>, Option<Child<Node>>)>,
    lists: Vec<Vec<Node>>,
}

fn stock() -> Stock {
    let name = str::to_owned;
    Stock {
        id: id("stock"),
        ordered: [(name("a"), (1, vec![node("o1")])), (name("b"), (2, vec![]))].into(),
        pairs: vec![(1, node("p1")), (2, node("p2"))],
        shared: [(name("a"), (1, Child::new(node("s1"))))].into(),
        maybe: Some((1, vec![node("m1")])),
        deep: vec![[(name("x"), (name("X"), vec![Some(1)], [Some(node("d1")), None]))].into()],
        owning: [(name("a"), (vec![node("w1")], None))].into(),
        lists: vec![vec![node("l1")], vec![]],
    }
}

/// What the changes print, `STOCK` for the name of the stock and `Node` with the name that it was made of.
fn told(before: &Stock, after: &Stock) -> String {
    let changes = diff(before, after).expect("each stands once").to_string();
    let mut told = changes.replace(&format!("Stock {}", &id::<Stock>("stock").to_string()[28..]), "STOCK");
    for name in ["o1", "p1", "p2", "s1", "m1", "d1", "w1", "l1", "new", "other"] {
        told = told.replace(&format!("Node {}", &id::<Node>(name).to_string()[28..]), &format!("Node {name}"));
    }
    told
}

fn check_stock(edit: impl FnOnce(&mut Stock), there: &str, back: &str) {
    let before = stock();
    let mut after = before.clone();
    edit(&mut after);
    assert_eq!(told(&before, &after), there);
    assert_eq!(told(&after, &before), back);
    check_patches(&before, &after);
}

#[test]
fn values_beside_an_entity_are_told_when_their_entry_comes_or_goes() {
    check_stock(
        |stock| drop(stock.ordered.insert("c".into(), (7, vec![node("new")]))),
        "STOCK: ordered[\"c\"][0] + 7\nNode new: added to STOCK ordered[\"c\"][1][0]",
        "STOCK: ordered[\"c\"][0] - 7\nNode new: removed from STOCK ordered[\"c\"][1][0]",
    );
    check_stock(
        |stock| stock.pairs.push((7, node("new"))),
        "STOCK: pairs[2][0] + 7\nNode new: added to STOCK pairs[2][1]",
        "STOCK: pairs[2][0] - 7\nNode new: removed from STOCK pairs[2][1]",
    );
    check_stock(
        |stock| drop(stock.shared.insert("c".into(), (7, Child::new(node("new"))))),
        "STOCK: shared[\"c\"][0] + 7\nNode new: added to STOCK shared[\"c\"][1]",
        "STOCK: shared[\"c\"][0] - 7\nNode new: removed from STOCK shared[\"c\"][1]",
    );
    check_stock(
        |stock| stock.maybe = None,
        "STOCK: maybe[0] - 1\nNode m1: removed from STOCK maybe[1][0]",
        "STOCK: maybe[0] + 1\nNode m1: added to STOCK maybe[1][0]",
    );
    check_stock(
        |stock| {
            let entry = ("Y".into(), vec![None, Some(3)], [None, Some(node("new"))]);
            stock.deep.push([("y".to_owned(), entry)].into());
        },
        "STOCK: deep[1][\"y\"][0] + \"Y\"\nSTOCK: deep[1][\"y\"][1] + [null, 3]\n\
         Node new: added to STOCK deep[1][\"y\"][2][1]",
        "STOCK: deep[1][\"y\"][0] - \"Y\"\nSTOCK: deep[1][\"y\"][1] - [null, 3]\n\
         Node new: removed from STOCK deep[1][\"y\"][2][1]",
    );
}

#[test]
fn nothing_is_told_of_an_entry_that_only_owns_entities() {
    check_stock(
        |stock| drop(stock.owning.insert("c".into(), (vec![], Some(Child::new(node("new")))))),
        "Node new: added to STOCK owning[\"c\"][1]",
        "Node new: removed from STOCK owning[\"c\"][1]",
    );
    check_stock(
        |stock| stock.lists.push(vec![node("new")]),
        "Node new: added to STOCK lists[2][0]",
        "Node new: removed from STOCK lists[2][0]",
    );
    // An entry without an entity has nobody else to tell of it.
    check_stock(|stock| stock.lists.push(vec![]), "STOCK: lists[2] + []", "STOCK: lists[2] - []");
}

#[test]
fn what_only_changed_its_place_in_a_list_is_told_by_its_entity() {
    check_stock(
        |stock| stock.pairs.reverse(),
        "Node p1: moved 0 -> 1 in STOCK pairs",
        "Node p2: moved 0 -> 1 in STOCK pairs",
    );
    check_stock(
        |stock| {
            stock.pairs.reverse();
            stock.pairs[1].0 = 7;
        },
        "Node p1: moved 0 -> 1 in STOCK pairs\nSTOCK: pairs[0][0] - 1\nSTOCK: pairs[1][0] + 7",
        "Node p2: moved 0 -> 1 in STOCK pairs\nSTOCK: pairs[1][0] - 7\nSTOCK: pairs[0][0] + 1",
    );
    check_stock(
        |stock| stock.ordered.reverse(),
        "STOCK: ordered[\"a\"] moved 0 -> 1",
        "STOCK: ordered[\"b\"] moved 0 -> 1",
    );
}

#[test]
fn the_json_twin_and_the_version_tell_the_values_beside_an_entity() -> heirloom::Result<()> {
    fn fill(stock: &mut Stock) {
        stock.ordered.insert("c".into(), (7, vec![node("new")]));
    }
    let registry = Registry::in_memory();
    let _ = registry.register("fill", fill)?;
    let stock = registry.add(stock())?;
    let json = registry.call(fill, (stock,))?.changes().to_json()?;
    let entity = json!({"type": "Stock", "id": stock});
    assert_eq!(json[0], json!({"kind": "changed", "entity": entity, "path": "/ordered/c/0", "after": 7}));
    assert_eq!((&json[1]["kind"], json.as_array().map(Vec::len)), (&json!("added"), Some(2)));
    let text = registry.history().of(stock)?.to_string();
    assert!(text.starts_with("r2 fill ordered[\"c\"][0] + 7, Node "), "{text}");
    Ok(())
}

fn stocks() -> impl Strategy<Value = Stock> {
    let entries = || vec((0..4u8, 0..3i32), 0..4);
    (entries(), entries(), entries(), 0..4i32).prop_map(|(ordered, mut pairs, shared, maybe)| {
        let name = |at: u8| ["a", "b/c", "~d", "e"][usize::from(at)].to_owned();
        let node = |map: &str, at: i32| node(&format!("{map}{at}"));
        let mut seen = [false; 4];
        pairs.retain(|(at, _)| !std::mem::replace(&mut seen[usize::from(*at)], true));
        Stock {
            ordered: ordered
                .into_iter()
                .map(|(at, look)| (name(at), (look, (0..look).map(|n| node(&format!("o{n}-"), at.into())).collect())))
                .collect(),
            pairs: pairs.into_iter().map(|(at, look)| (look, node("p", at.into()))).collect(),
            shared: shared
                .into_iter()
                .map(|(at, look)| (name(at), (look, Child::new(node("s", i32::from(at) * 3 + look)))))
                .collect(),
            maybe: (maybe > 0).then(|| (maybe, (1..maybe).map(|n| node("m", n)).collect())),
            ..stock()
        }
    })
}

/// How often each number that stands beside an entity is there.
fn numbers(stock: &Stock) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    let all = stock.ordered.values().map(|(number, _)| *number);
    let all = all.chain(stock.pairs.iter().map(|(number, _)| *number));
    let all = all.chain(stock.shared.values().map(|(number, _)| *number));
    for number in all.chain(stock.maybe.iter().map(|(number, _)| *number)) {
        *counts.entry(i64::from(number)).or_default() += 1;
    }
    counts
}

/// The numbers that a value holds.
fn count_numbers(value: &serde_json::Value, by: i64, counts: &mut BTreeMap<i64, i64>) {
    match value {
        serde_json::Value::Number(number) => *counts.entry(number.as_i64().expect("it is whole")).or_default() += by,
        serde_json::Value::Array(items) => items.iter().for_each(|item| count_numbers(item, by, counts)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(256)) })]

    #[test]
    fn no_value_beside_an_entity_comes_or_goes_untold(before in stocks(), after in stocks()) {
        check_patches(&before, &after);
        let mut counts = numbers(&before);
        let changes = diff(&before, &after).expect("each stands once").to_json().expect("all is in memory");
        for change in changes.as_array().expect("it is a list").iter().filter(|change| change["kind"] == "changed") {
            count_numbers(&change["before"], -1, &mut counts);
            count_numbers(&change["after"], 1, &mut counts);
        }
        counts.retain(|_, count| *count != 0);
        assert_eq!(counts, numbers(&after), "{changes:#}");
    }
}
