//! Containers of more than one kind: maps with text and other keys, values that stand beside entities.

mod common;

use std::collections::BTreeMap;

use common::{cases, id};
use heirloom::prelude::*;
use heirloom::{diff, to_json};
use proptest::collection::vec;
use proptest::prelude::*;

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
