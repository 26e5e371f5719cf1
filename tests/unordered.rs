//! Fields whose order does not count: what came and what went is told, and never what stayed.

mod common;

use common::{cases, id};
use heirloom::prelude::*;
use heirloom::{PatchError, diff, to_json};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Bag {
    id: Id<Bag>,
    #[entity(unordered)]
    numbers: Vec<i32>,
    #[entity(unordered)]
    floats: Vec<f64>,
    #[entity(unordered)]
    bytes: Vec<u8>,
    #[entity(unordered)]
    friends: Vec<Id<Bag>>,
    #[entity(unordered)]
    maybe: Option<Vec<Vec<u8>>>,
    #[entity(unordered)]
    two: [i8; 2],
}

fn bag() -> Bag {
    Bag {
        id: id("bag"),
        numbers: vec![1, 2, 3],
        floats: vec![f64::NAN, 2.0, -0.0],
        bytes: vec![1, 2],
        friends: vec![id("a"), id("b")],
        maybe: Some(vec![vec![1], vec![]]),
        two: [1, 2],
    }
}

/// What the changes print, without the name of the entity in front.
fn told(before: &Bag, after: &Bag) -> String {
    let changes = diff(before, after).expect("each stands once").to_string();
    let name = format!("Bag {}: ", &id::<Bag>("bag").to_string()[28..]);
    changes.replace(&name, "")
}

fn check(edit: impl FnOnce(&mut Bag), expected: &str) {
    let before = bag();
    let mut after = before.clone();
    edit(&mut after);
    assert_eq!(told(&before, &after), expected);
    check_patch(&before, &after);
    check_patch(&after, &before);
    check_json(&before, &after);
}

/// The patch leads to a state judged equal, and back from there and from the state itself.
fn check_patch(before: &Bag, after: &Bag) {
    let patch = Patch::between(before, after).expect("each stands once");
    let patched = patch.apply(before).expect("it was made from this");
    assert_eq!(told(&patched, after), "", "{patched:?}");
    for there in [&patched, after] {
        let back = patch.clone().inverse().apply(there).expect("it leads back");
        assert_eq!(told(&back, before), "", "{back:?}");
    }
}

/// The RFC 6902 patch gives the very document, since JSON lists have an order.
fn check_json(before: &Bag, after: &Bag) {
    let operations = diff(before, after).expect("each stands once").to_json_patch().expect("it is not deep");
    let patch: json_patch::Patch = serde_json::from_value(operations.clone()).expect("it is a JSON Patch");
    let mut json = to_json(before).expect("it is not deep");
    json_patch::patch(&mut json, &patch).expect("its places are there");
    assert_eq!(json, to_json(after).expect("it is not deep"), "{operations}");
}

#[test]
fn an_item_that_stays_is_not_told_whatever_its_place() {
    check(|bag| bag.numbers = vec![3, 2, 1, 9], "numbers + 9");
    check(|bag| bag.numbers = vec![9, 3, 1], "numbers - 2\nnumbers + 9");
    check(|bag| bag.numbers = vec![2, 3, 2, 1, 1], "numbers + 2\nnumbers + 1");
    check(|bag| bag.numbers.clear(), "numbers - 1\nnumbers - 2\nnumbers - 3");
    check(|bag| bag.floats = vec![2.0, 0.0, f64::NAN], "floats - -0.0\nfloats + 0.0");
    check(|bag| bag.bytes = vec![3, 2, 1, 2], "bytes + 3\nbytes + 2");
    check(
        |bag| bag.friends = vec![id("b"), id("c")],
        &format!("friends - @{}\nfriends + @{}", id::<Bag>("a"), id::<Bag>("c")),
    );
    check(|bag| bag.maybe = Some(vec![vec![2], vec![], vec![1]]), "maybe + 1 bytes");
    check(|bag| bag.maybe = None, "maybe [1 bytes, 0 bytes] -> null");
    check(|bag| bag.two = [2, 3], "two - 1\ntwo + 3");
}

#[test]
fn another_order_alone_is_no_change() {
    let before = bag();
    let mut after = before.clone();
    after.numbers.reverse();
    after.floats.reverse();
    after.bytes.reverse();
    after.friends.reverse();
    after.maybe.as_mut().expect("it is there").reverse();
    after.two.reverse();
    assert_eq!(told(&before, &after), "");
    assert!(Patch::between(&before, &after).expect("each stands once").is_empty());
}

#[test]
fn a_version_tells_what_came_and_keeps_what_was_said() -> heirloom::Result<()> {
    fn fill(bag: &mut Bag) {
        bag.numbers = vec![3, 2, 1, 9];
        bag.bytes.reverse();
    }
    let registry = Registry::in_memory();
    let _ = registry.register("fill", fill)?;
    let bag = registry.add(bag())?;
    let outcome = registry.by("ann").call(fill, (bag,))?;
    let entity = json!({"type": "Bag", "id": bag});
    let expected = json!([{"kind": "changed", "entity": entity, "path": "/numbers", "after": 9}]);
    assert_eq!(outcome.changes().to_json()?, expected);
    assert_eq!(registry.history().of(bag)?.to_string(), "r2 ann fill numbers + 9\nr1 added");
    let now = registry.get(bag)?;
    assert_eq!((now.numbers, now.bytes), (vec![3, 2, 1, 9], vec![1, 2]));
    Ok(())
}

#[test]
fn a_patch_that_takes_what_is_not_there_is_refused() {
    let patch = |edit: fn(&mut Bag)| {
        let mut after = bag();
        edit(&mut after);
        Patch::between(&bag(), &after).expect("each stands once")
    };
    let other = Bag { numbers: vec![1, 3], bytes: vec![1], ..bag() };
    let check = |patch: Patch, expected: &str| match patch.apply(&other).expect_err("it does not fit") {
        PatchError::Differs { source, .. } => assert_eq!(
            source.to_string(),
            format!("expected {expected} before the change, found no such item: the patch was made for another state")
        ),
        other => panic!("{other}"),
    };
    check(patch(|bag| bag.numbers = vec![3]), "2");
    check(patch(|bag| bag.bytes.clear()), "2");
    // What the patch does not speak of may stand in another order, or be other items.
    let patched = patch(|bag| bag.numbers = vec![2, 3]).apply(&other).expect("it fits");
    assert_eq!(patched.numbers, [3]);
}

fn bags() -> impl Strategy<Value = Bag> {
    let small = || vec(0..4u8, 0..6);
    (small(), small(), small()).prop_map(|(numbers, floats, bytes)| {
        let float = |look: u8| [f64::NAN, -0.0, 0.0, 1.0][usize::from(look)];
        Bag {
            numbers: numbers.into_iter().map(i32::from).collect(),
            floats: floats.into_iter().map(float).collect(),
            bytes,
            ..bag()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(256)) })]

    #[test]
    fn as_many_are_told_as_came_and_went(before in bags(), after in bags()) {
        check_patch(&before, &after);
        let count = |items: &[u8], item: u8| items.iter().filter(|other| **other == item).count();
        let expected: usize =
            (0..4).map(|item| count(&before.bytes, item).abs_diff(count(&after.bytes, item))).sum();
        let changes = told(&before, &after);
        prop_assert_eq!(changes.lines().filter(|line| line.starts_with("bytes")).count(), expected, "{}", changes);
    }

    #[test]
    fn the_json_patch_gives_the_order_too(before in bags(), after in bags()) {
        // Where no more than the order differs the earlier value stands, as it does in a registry.
        let mut after = after;
        heirloom::__private::AnyEntity::settle(&mut after, Some(&before));
        check_json(&before, &after);
    }
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Shelf {
    id: Id<Shelf>,
    name: String,
    bags: Vec<Bag>,
}

#[test]
fn what_is_held_by_value_keeps_its_order_with_its_owner_too() -> heirloom::Result<()> {
    let registry = Registry::in_memory();
    let shelf = registry.add(Shelf { id: id("shelf"), name: "a".into(), bags: vec![bag()] })?;
    let mut turned = registry.get(shelf)?;
    turned.name = "b".into();
    turned.bags[0].numbers.reverse();
    registry.batch().save(turned).commit()?;
    assert_eq!(registry.get(shelf)?.bags[0].numbers, registry.get(id::<Bag>("bag"))?.numbers);
    Ok(())
}

/// An owner with places of every kind for bags that settle.
#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Room {
    id: Id<Room>,
    name: String,
    plain: Vec<Purse>,
    other: Vec<Purse>,
    one: Option<Child<Purse>>,
    shelves: Children<Rack>,
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Rack {
    id: Id<Rack>,
    purses: Vec<Purse>,
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Purse {
    id: Id<Purse>,
    #[entity(unordered)]
    coins: Vec<u8>,
}

fn rack(name: &str, purses: Vec<Purse>) -> Rack {
    Rack { id: id(name), purses }
}

/// A purse that is changed only in its order is what it was, wherever it comes to: as kept, and as read again.
#[track_caller]
fn check_kept(put: impl FnOnce(&mut Room, Purse), change: impl FnOnce(&mut Room)) {
    let (room, purse) = (id::<Room>("room"), id::<Purse>("purse"));
    let mut state = Room {
        id: room,
        name: String::new(),
        plain: Vec::new(),
        other: Vec::new(),
        one: None,
        shelves: Children::new(),
    };
    put(&mut state, Purse { id: purse, coins: vec![1, 2, 3] });
    let store = heirloom::store::MemoryStore::new();
    let registry = Registry::builder().over(store.clone()).expect("it opens");
    registry.add(state).expect("it is new");
    let mut now = registry.get(room).expect("it is there");
    change(&mut now);
    let _ = registry.batch().save(now).commit().expect("it is saved");
    let again = Registry::builder().over(store).expect("it opens again");
    assert_eq!(again.get(room), registry.get(room));
    let head = registry.history().head();
    assert_eq!(again.history().digest(room, head), registry.history().digest(room, head));
    for registry in [registry, again] {
        assert_eq!(registry.get(purse).expect("it is there").coins, [1, 2, 3]);
    }
}

fn turned(mut purse: Purse) -> Purse {
    purse.coins.reverse();
    purse
}

#[test]
fn what_moves_keeps_its_order_too() {
    let by_value = |room: &mut Room, purse: Purse| room.plain.push(purse);
    check_kept(by_value, |room| room.other.extend(room.plain.pop().map(turned)));
    check_kept(by_value, |room| room.one = room.plain.pop().map(turned).map(Child::new));
    let by_handle = |room: &mut Room, purse: Purse| room.one = Some(Child::new(purse));
    check_kept(by_handle, |room| room.plain.extend(room.one.take().map(Child::into_inner).map(turned)));
    let on_a_rack = |room: &mut Room, purse: Purse| room.shelves.push(rack("old", vec![purse])).expect("it is new");
    let moved = |room: &mut Room| {
        let purse = room.shelves.get_mut(0).and_then(|rack| rack.purses.pop()).map(turned);
        room.shelves.push(rack("new", purse.into_iter().collect())).expect("it is new");
    };
    check_kept(on_a_rack, moved);
    check_kept(on_a_rack, |room| {
        let gone = room.shelves.remove(0).map(Child::into_inner);
        room.plain.extend(gone.and_then(|mut rack| rack.purses.pop()).map(turned));
    });
    check_kept(on_a_rack, |room| {
        room.name.push('!');
        room.shelves.get_mut(0).expect("it is there").purses[0].coins.reverse();
    });
}
