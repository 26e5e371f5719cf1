//! What is read back from a store never differs from what was stored: a phantom difference would be a wrong diff.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use common::cases;
use heirloom::prelude::*;
use heirloom::store::MemoryStore;
use heirloom::{EntityId, Result};
use proptest::collection::{btree_map, btree_set, hash_map, vec};
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

#[derive(Value, Clone, Debug, PartialEq)]
enum Shape {
    Nothing,
    Circle(f32),
    Named { name: String, corners: Vec<(i16, i64)> },
}

#[derive(Value, Clone, Debug, PartialEq)]
struct Inner {
    maybe: Option<Option<u8>>,
    shape: Shape,
}

#[derive(Entity, Clone, Debug)]
struct Everything {
    id: Id<Everything>,
    small: (i8, u8, i16, u16),
    middle: (i32, u32, i64, u64),
    large: (i128, u128),
    floats: (f32, f64),
    text: String,
    letter: char,
    bytes: Vec<u8>,
    truth: bool,
    unit: (),
    maybe: Option<Option<String>>,
    list: Vec<Option<f64>>,
    sorted: BTreeMap<String, i64>,
    hashed: HashMap<u16, String>,
    set: BTreeSet<String>,
    inner: Vec<Inner>,
    friend: Option<Id<Everything>>,
    parts: Children<Part>,
}

#[derive(Entity, Clone, Debug)]
struct Part {
    id: Id<Part>,
    weight: f64,
}

fn id<T: Entity>(name: u8) -> Id<T> {
    Id::from_entity_id(EntityId::derive(T::META.name, &name.to_string()))
}

/// Text with all that JSON and the stored form treat as special.
fn text() -> impl Strategy<Value = String> {
    let special = ["", "@", "&x", "\\", "$float", "\"", "\u{0}", "\u{feff}", "é\u{301}", "\u{2028}", "null", "1e5"];
    prop_oneof![
        any::<String>(),
        (0..special.len()).prop_map(move |at| special[at].to_owned()),
        "[@&\\\\$]{1,3}[a-z0-9]{0,30}",
    ]
}

fn float() -> impl Strategy<Value = f64> {
    let special = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, 1e22, 0.1];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), (0..special.len()).prop_map(move |at| special[at])]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Nothing),
        any::<u32>().prop_map(|bits| Shape::Circle(f32::from_bits(bits))),
        (text(), vec(any::<(i16, i64)>(), 0..4)).prop_map(|(name, corners)| Shape::Named { name, corners }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (any::<(i8, u8, i16, u16)>(), any::<(i32, u32, i64, u64)>(), any::<(i128, u128)>());
    let floats = (any::<u32>().prop_map(f32::from_bits), float());
    let plain = (text(), any::<char>(), vec(any::<u8>(), 0..40), any::<bool>(), option::of(option::of(text())));
    let several = (
        vec(option::of(float()), 0..6),
        btree_map(text(), any::<i64>(), 0..6),
        hash_map(any::<u16>(), text(), 0..6),
        btree_set(text(), 0..6),
    );
    let inner = (option::of(option::of(any::<u8>())), shape()).prop_map(|(maybe, shape)| Inner { maybe, shape });
    let owned = (vec(inner, 0..4), option::of(any::<u8>()), btree_map(any::<u8>(), float(), 0..5));
    (numbers, floats, plain, several, owned).prop_map(|(numbers, floats, plain, several, owned)| Everything {
        id: id(0),
        small: numbers.0,
        middle: numbers.1,
        large: numbers.2,
        floats,
        text: plain.0,
        letter: plain.1,
        bytes: plain.2,
        truth: plain.3,
        unit: (),
        maybe: plain.4,
        list: several.0,
        sorted: several.1,
        hashed: several.2,
        set: several.3,
        inner: owned.0,
        friend: owned.1.map(id),
        parts: Children::try_from_iter(owned.2.into_iter().map(|(name, weight)| Part { id: id(name), weight }))
            .expect("each key once"),
    })
}

/// Equal to the last bit, which `==` of floats is not.
fn check(stored: &Everything, read: &Everything) {
    assert!(heirloom::diff(stored, read).expect("no entity stands twice").is_empty());
    // In the words of `Debug`, but for the order of the hash map and for which NaN it was.
    let sort = |one: &Everything| {
        let hashed: BTreeMap<_, _> = one.hashed.iter().collect();
        format!("{hashed:?} {:?}", Everything { hashed: HashMap::new(), ..one.clone() })
    };
    assert_eq!(sort(stored), sort(read));
}

fn run(states: &[Everything]) -> Result<()> {
    let store = MemoryStore::new();
    let memory = Registry::in_memory();
    {
        let registry = Registry::builder().over(store.clone())?;
        for registry in [&registry, &memory] {
            registry.add(states[0].clone())?;
            for state in &states[1..] {
                registry.batch().save(state.clone()).commit()?;
            }
        }
    }
    let registry = Registry::builder().cache(1).over(store)?;
    let (history, expected) = (registry.history(), memory.history());
    assert_eq!(history.of(id::<Everything>(0))?.to_string(), expected.of(id::<Everything>(0))?.to_string());
    for (state, position) in states.iter().zip(1..).map(|(state, at)| (state, heirloom::Position(at))) {
        check(state, &history.at(id(0), position)?);
        assert_eq!(history.digest(id::<Everything>(0), position)?, expected.digest(id::<Everything>(0), position)?);
    }
    // Saving what was read changes nothing, so it makes no version.
    let outcome = registry.batch().save(history.get::<Everything>(id(0))?).commit()?;
    assert!(outcome.is_unchanged(), "{}", outcome.changes());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(64)) })]
    #[test]
    fn every_value_comes_back_exactly(states in vec(everything(), 1..5)) {
        run(&states).unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn a_change_of_one_field_comes_back_exactly(state in everything(), other in everything(), fields in vec(0..8_u8, 1..12)) {
        let mut states = vec![state];
        for field in fields {
            let mut next = states.last().expect("there is one").clone();
            match field {
                0 => next.text.clone_from(&other.text),
                1 => next.floats = other.floats,
                2 => next.sorted.extend(other.sorted.clone()),
                3 => next.list.extend(other.list.clone()),
                4 => next.inner.clone_from(&other.inner),
                5 => next.parts = other.parts.clone(),
                6 => next.parts.sort_by(|one, other| other.id.entity_id().cmp(&one.id.entity_id())),
                _ => next.hashed.extend(other.hashed.clone()),
            }
            states.push(next);
        }
        run(&states).unwrap_or_else(|error| panic!("{error}"));
    }
}
