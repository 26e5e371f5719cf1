//! Patches: what was found to differ turns the one state into the other, and back.

mod common;

use std::collections::BTreeMap;

use common::{Folder as _, Spec, cases, folder_id, for_all_folders, id};
use heirloom::prelude::*;
use heirloom::{PatchError, diff, to_json};
use indexmap::IndexMap;
use proptest::prelude::*;

/// Where each of the numbers from 1 stands: the seed of a tree around 0.
type Seeds = Vec<Seed>;

/// Its turn, its owner, its place there, and what it looks like.
type Seed = (u8, u8, u8, u8);

fn seeds() -> impl Strategy<Value = Seeds> {
    prop::collection::vec(any::<(u8, u8, u8, u8)>(), 14)
}

/// The tree that the seeds stand for. Numbers that are not in it are those that were left out.
fn tree(seeds: &Seeds) -> Spec {
    let mut root = Spec::new(0);
    let mut order: Vec<(u8, &Seed)> = (1..).zip(seeds).collect();
    order.sort_by_key(|(_, (order, ..))| *order);
    for (number, (_, owner, place, look)) in order {
        if look % 5 == 0 {
            continue;
        }
        let numbers = root.numbers();
        let owner = root.find_mut(numbers[usize::from(*owner) % numbers.len()]).expect("it is one of its numbers");
        let spec = Spec {
            name: format!("name {}", look % 3),
            marks: (0..look % 4).map(|mark| mark * (look % 2)).collect(),
            ..Spec::new(number)
        };
        let key = ["a", "b/c", "~d"][usize::from(*place) % 3].to_owned();
        match place % 4 {
            0 if owner.extra.is_none() => owner.extra = Some(Box::new(spec)),
            1 if !owner.keyed.contains_key(&key) => drop(owner.keyed.insert(key, spec)),
            2 => owner.list.insert(0, spec),
            _ => owner.list.push(spec),
        }
    }
    root
}

fn check<T: Entity + PartialEq + std::fmt::Debug>(before: &T, after: &T) {
    let changes = diff(before, after).expect("each stands once");
    assert_eq!(changes.is_empty(), before == after, "{changes}");
    assert!(diff(after, &after.clone()).expect("each stands once").is_empty());
    let patch = Patch::between(before, after).expect("each stands once");
    assert_eq!(&patch.apply(before).expect("it was made from this"), after, "{changes}");
    assert_eq!(&patch.clone().inverse().apply(after).expect("it leads back"), before, "{changes}");
    assert_eq!(&patch.inverse().inverse().apply(before).expect("twice turned round"), after, "{changes}");
    check_json(before, after);
}

/// The RFC 6902 patch, applied by somebody else's crate.
fn check_json<T: Entity>(before: &T, after: &T) {
    let changes = diff(before, after).expect("each stands once");
    let operations = changes.to_json_patch().expect("it is not deep");
    let patch: json_patch::Patch = serde_json::from_value(operations.clone()).expect("it is a JSON Patch");
    let mut json = to_json(before).expect("it is not deep");
    json_patch::patch(&mut json, &patch).unwrap_or_else(|error| panic!("{error}\n{operations:#}\n{json:#}"));
    let before = to_json(before).expect("it is not deep");
    assert_eq!(json, to_json(after).expect("it is not deep"), "{operations}\nfrom {before}");
}

for_all_folders! {
    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(128)) })]

        #[test]
        fn a_patch_leads_there_and_back(before in seeds(), after in seeds()) {
            check(&F::of(&tree(&before)), &F::of(&tree(&after)));
        }

        #[test]
        fn a_patch_between_states_that_share_leads_there_and_back(
            before in seeds(),
            edits in prop::collection::vec(any::<(u8, u8, u8)>(), 1..6),
        ) {
            let before = F::of(&tree(&before));
            let mut after = before.clone();
            for (kind, which, to) in edits {
                edit(&mut after, kind, which, to);
            }
            check(&before, &after);
        }

        #[test]
        fn a_patch_for_another_state_fits_or_is_refused(a in seeds(), b in seeds(), c in seeds()) {
            let [a, b, c] = [&a, &b, &c].map(|seeds| F::of(&tree(seeds)));
            let before = c.clone();
            // Whatever comes of it: no panic, and the state that it was applied to is as it was.
            drop(Patch::between(&a, &b).expect("each stands once").apply(&c));
            prop_assert_eq!(c, before);
        }
    }

    fn edit(root: &mut F, kind: u8, which: u8, to: u8) {
        let numbers = root.spec().numbers();
        let pick = |which: u8| numbers[usize::from(which) % numbers.len()];
        let (number, to) = (pick(which), pick(to));
        match kind % 5 {
            0 => at(root, number).set_name(&format!("new {to}")),
            1 => at(root, number).set_marks(vec![to, number]),
            2 => at(root, number).rotate(usize::from(to)),
            3 => at(root, number).touch(),
            _ => {
                let Some(owner) = root.spec().owner_of(number) else { return };
                let moved = at(root, owner).take(number).expect("its owner owns it");
                if moved.spec().find(to).is_none() {
                    at(root, to).push(moved);
                }
            }
        }
    }

    fn at(root: &mut F, number: u8) -> &mut F {
        if root.number == number {
            return root;
        }
        let spec = root.spec();
        let mut way = vec![number];
        while let Some(owner) = spec.owner_of(way[way.len() - 1]) {
            way.push(owner);
        }
        way.pop();
        let mut found = root;
        while let Some(step) = way.pop() {
            let place = (0..found.list.len()).find(|at| found.list[*at].number == step);
            found = if let Some(place) = place {
                &mut found.list[place]
            } else if found.extra.as_ref().is_some_and(|extra| extra.number == step) {
                found.extra.as_mut().expect("it is it")
            } else {
                found.keyed.values_mut().find(|child| child.number == step).expect("the spec says so")
            };
        }
        found
    }

    #[test]
    fn a_patch_for_another_state_says_what_does_not_fit() {
        let of = |name: &str, children: &[u8]| F::of(&Spec {
            name: name.to_owned(),
            list: children.iter().map(|number| Spec::new(*number)).collect(),
            ..Spec::new(0)
        });
        let refused = |from: &F, to: &F, wrong: &F| {
            let before = wrong.clone();
            let error = Patch::between(from, to).expect("each stands once").apply(wrong).expect_err("it does not fit");
            assert_eq!(wrong, &before);
            error
        };
        let [zero, one] = [0, 1].map(|number| folder_id::<F>(number).entity_id());
        assert_eq!(
            refused(&of("a", &[]), &of("b", &[]), &of("c", &[])).to_string(),
            format!("{zero} name: expected \"a\" before the change, found \"c\": the patch was made for another state"),
        );
        assert!(matches!(
            refused(&of("a", &[1]), &of("a", &[]), &of("a", &[])),
            PatchError::Missing { .. } | PatchError::Differs { .. }
        ));
        assert!(matches!(
            refused(&of("a", &[]), &of("a", &[1]), &of("a", &[1])),
            PatchError::Present { entity } if entity == one
        ) || matches!(refused(&of("a", &[]), &of("a", &[1]), &of("a", &[1])), PatchError::Differs { .. }));
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Book {
    id: Id<Book>,
    title: String,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Circle {
    id: Id<Circle>,
    radius: f64,
    inside: Vec<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Ring {
    id: Id<Ring>,
    around: Vec<Book>,
    inside: Vec<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Shape {
    Circle(Circle),
    Ring(Ring),
}

#[derive(Value, Clone, Debug, PartialEq)]
struct Line {
    sku: String,
    amount: i64,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Shelf {
    id: Id<Shelf>,
    numbers: Vec<i64>,
    maybe: Option<Option<i64>>,
    names: BTreeMap<String, f64>,
    by_number: BTreeMap<i64, String>,
    in_order: IndexMap<String, i64>,
    #[entity(key = "sku")]
    lines: Vec<Line>,
    book: Option<Book>,
    pair: (Option<Book>, i64),
    mixed: Vec<(Option<Book>, i64)>,
    deep: Vec<BTreeMap<String, Vec<Book>>>,
    shapes: Vec<Shape>,
}

fn shelf() -> impl Strategy<Value = Shelf> {
    let small = || any::<u8>().prop_map(|number| i64::from(number % 4));
    let values = (
        prop::collection::vec(small(), 0..5),
        prop_oneof![Just(None), Just(Some(None)), small().prop_map(|number| Some(Some(number)))],
        prop::collection::btree_map("[a/~]{0,2}", prop_oneof![Just(0.0), Just(-0.0), Just(1.5)], 0..4),
        prop::collection::btree_map(small(), "[xy]", 0..4),
        prop::collection::vec(("[abc]", small()), 0..4),
        prop::collection::vec((0..4u8, small()), 0..4),
    );
    // For each of eight books: where it stands, if anywhere, in an order.
    let books = prop::collection::vec((0..10u8, any::<u8>(), 0..2u8), 8);
    (values, books, any::<[bool; 3]>(), 0..3usize).prop_map(|(values, books, shapes, rows)| {
        let (numbers, maybe, names, by_number, in_order, lines) = values;
        let mut shelf = Shelf {
            id: id("shelf"),
            numbers,
            maybe,
            names,
            by_number,
            in_order: in_order.into_iter().collect(),
            lines: lines
                .into_iter()
                .collect::<BTreeMap<u8, i64>>()
                .into_iter()
                .map(|(sku, amount)| Line { sku: sku.to_string(), amount })
                .collect(),
            book: None,
            pair: (None, 0),
            mixed: (0..rows).map(|row| (None, row as i64)).collect(),
            deep: (0..rows).map(|_| BTreeMap::new()).collect(),
            shapes: vec![],
        };
        for (index, ring) in shapes.into_iter().enumerate() {
            let name = format!("shape {index}");
            shelf.shapes.push(match ring {
                true => Shape::Ring(Ring { id: id(&name), around: vec![], inside: vec![] }),
                false => Shape::Circle(Circle { id: id(&name), radius: 1.0, inside: vec![] }),
            });
        }
        let mut books: Vec<(usize, (u8, u8, u8))> = books.into_iter().enumerate().collect();
        books.sort_by_key(|(_, (_, order, _))| *order);
        for (number, (place, order, look)) in books {
            let book = Book { id: id(&format!("book {number}")), title: look.to_string() };
            match place {
                0 => shelf.book = Some(book),
                1 => shelf.pair = (Some(book), i64::from(look)),
                2 | 3 if rows > 0 => shelf.mixed[usize::from(order) % rows].0 = Some(book),
                4..=6 if rows > 0 => {
                    let key = ["x", "y/z"][usize::from(place) % 2].to_owned();
                    shelf.deep[usize::from(order) % rows].entry(key).or_default().push(book);
                }
                7 | 8 => match &mut shelf.shapes[usize::from(order) % 3] {
                    Shape::Circle(circle) => circle.inside.push(book),
                    Shape::Ring(ring) if place == 7 => ring.inside.push(book),
                    Shape::Ring(ring) => ring.around.push(book),
                },
                _ => {}
            }
        }
        shelf
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(256)) })]

    #[test]
    fn every_container_is_patched_there_and_back(before in shelf(), after in shelf()) {
        // -0.0 and 0.0 are equal to `==` and not to the diff.
        let same = diff(&before, &after).expect("each stands once").is_empty();
        prop_assert_eq!(same, format!("{before:?}") == format!("{after:?}"));
        let patch = Patch::between(&before, &after).expect("each stands once");
        prop_assert_eq!(&patch.apply(&before).expect("it was made from this"), &after);
        prop_assert_eq!(&patch.inverse().apply(&after).expect("it leads back"), &before);
    }

    #[test]
    fn every_container_is_patched_as_json(before in shelf(), after in shelf()) {
        check_json(&before, &after);
    }
}

#[test]
fn changes_without_a_root_are_no_json_patch() {
    let registry = Registry::in_memory();
    let book = registry.add(Book { id: id("b"), title: "B".into() }).expect("it is new");
    let changes = registry.history().changes(registry.history().head()).expect("it is the head");
    assert_eq!(
        changes.to_json_patch().expect_err("it has no root").to_string(),
        "these changes have no one root: take them from `diff` of two states of one entity",
    );
    let _ = book;
}

#[test]
fn of_two_entities_the_json_patch_replaces_the_one_by_the_other() {
    check_json(&Book { id: id("one"), title: "B".into() }, &Book { id: id("other"), title: "B".into() });
}
