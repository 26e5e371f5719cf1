//! Any value and any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::fields;
use crate::id::EntityId;
use crate::value::Value;
use crate::value::stored::{fuzz, to_bytes};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-d]", 2 => "[@&$\\\\]{0,3}[a-d]?", 1 => any::<String>(), 1 => Just("id".to_owned())]
}

fn plain() -> impl Strategy<Value = Value> {
    let id = || any::<[u8; 16]>().prop_map(EntityId::from_bytes);
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => (0..4_i64).prop_map(Value::Int),
        1 => any::<i64>().prop_map(Value::Int),
        1 => any::<i128>().prop_map(Value::integer),
        1 => any::<u64>().prop_map(|number| Value::unsigned(number.into())),
        1 => any::<u128>().prop_map(Value::unsigned),
        1 => any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        1 => any::<i16>().prop_map(|number| Value::F32(f32::from(number) / 8.0)),
        1 => any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        1 => any::<i32>().prop_map(|number| Value::F64(number.into())),
        3 => text().prop_map(Value::text),
        1 => vec(any::<u8>(), 0..5).prop_map(|bytes| Value::Bytes(bytes.into())),
        1 => id().prop_map(Value::Entity),
        1 => id().prop_map(Value::Reference),
    ]
}

/// The same entries, each key once.
fn distinct<K: PartialEq, V>(entries: Vec<(K, V)>) -> Vec<(K, V)> {
    let mut kept: Vec<(K, V)> = Vec::new();
    for (key, value) in entries {
        if kept.iter().all(|(other, _)| *other != key) {
            kept.push((key, value));
        }
    }
    kept
}

fn any_value() -> impl Strategy<Value = Value> {
    plain().prop_recursive(5, 60, 6, |inner| {
        let named = vec((text().prop_map(Into::into), inner.clone()), 0..5);
        let by_text = vec((text().prop_map(Value::text), inner.clone()), 0..5);
        let by_any = vec((inner.clone(), inner.clone()), 0..5);
        prop_oneof![
            2 => vec(inner.clone(), 0..6).prop_map(Value::List),
            1 => vec((0..4_i64).prop_map(Value::Int), 0..12).prop_map(Value::List),
            1 => vec(inner.clone(), 0..6).prop_map(Value::set),
            1 => by_text.prop_map(|entries| Value::Map(distinct(entries))),
            1 => by_any.prop_map(|entries| Value::Map(distinct(entries))),
            2 => named.prop_map(|named| Value::Struct(distinct(named))),
            1 => (text(), inner.clone()).prop_map(|(name, holds)| Value::variant(name, holds)),
            1 => inner.prop_map(Value::some),
        ]
    })
}

/// A state of one struct, or of one variant.
fn state() -> impl Strategy<Value = Value> {
    let row = || (0..6_i64, any_value()).prop_map(|(id, inner)| fields([("id", Value::Int(id)), ("inner", inner)]));
    let held = prop_oneof![3 => any_value(), 1 => vec(row(), 0..6).prop_map(Value::List)];
    let of_struct = (held, any_value(), any_value()).prop_map(|(a, b, c)| fields([("a", a), ("$b", b), ("c", c)]));
    (of_struct, any::<bool>()).prop_map(|(state, variant)| if variant { Value::variant("A", state) } else { state })
}

/// The same value with some parts changed, gone, come or elsewhere; what it is throughout stays.
fn alike(value: &Value, others: &[Value], rolls: &mut impl Iterator<Item = usize>) -> Value {
    let other = |roll: usize| others[roll % others.len()].clone();
    match value {
        Value::List(items) => Value::List(alike_items(items, others, rolls)),
        Value::Set(items) => Value::set(alike_items(items, others, rolls)),
        Value::Map(entries) => {
            let (keys, values): (Vec<Value>, Vec<Value>) = entries.iter().cloned().unzip();
            let values: Vec<Value> = values.iter().map(|value| alike(value, others, rolls)).collect();
            let mut entries: Vec<(Value, Value)> = keys.into_iter().zip(values).collect();
            let kept = rolls.next().unwrap();
            entries.retain(|_| !kept.is_multiple_of(3) || !rolls.next().unwrap().is_multiple_of(4));
            if kept.is_multiple_of(4) && !entries.is_empty() {
                let places = entries.len();
                entries.rotate_left(kept / 4 % places);
            }
            let place = rolls.next().unwrap() % (entries.len() + 1);
            entries.insert(place, (other(place), other(kept)));
            Value::Map(distinct(entries))
        }
        Value::Struct(held) => {
            let held = held.iter().map(|(name, value)| (name.clone(), alike(value, others, rolls)));
            Value::Struct(held.collect())
        }
        Value::Variant(variant) => Value::variant(variant.0.clone(), alike(&variant.1, others, rolls)),
        plain if !rolls.next().unwrap().is_multiple_of(3) => plain.clone(),
        _ => other(rolls.next().unwrap()),
    }
}

fn alike_items(items: &[Value], others: &[Value], rolls: &mut impl Iterator<Item = usize>) -> Vec<Value> {
    let mut after = Vec::new();
    for item in items {
        let roll = rolls.next().unwrap();
        match roll % 8 {
            0 => {}
            1 => after.push(alike(item, others, rolls)),
            2 => after.extend([others[roll / 8 % others.len()].clone(), item.clone()]),
            3 => after.insert(roll / 8 % (after.len() + 1), item.clone()),
            _ => after.push(item.clone()),
        }
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_value_comes_back(value in any_value()) {
        fuzz::comes_back(&value);
    }

    #[test]
    fn a_stored_patch_leads_from_one_state_to_the_other(before in state(), after in state()) {
        fuzz::leads_there(&before, &after);
    }

    #[test]
    fn a_stored_patch_leads_to_what_is_much_alike(
        before in state(),
        others in vec(any_value(), 1..4),
        rolls in vec(any::<u8>(), 1..40),
    ) {
        let mut rolls = rolls.into_iter().map(usize::from).cycle();
        let after = alike(&before, &others, &mut rolls);
        fuzz::leads_there(&before, &after);
        fuzz::leads_there(&after, &before);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in vec(any::<u8>(), 0..64), tokens in vec(token(), 0..16)) {
        for bytes in [bytes, tokens.concat().into_bytes()] {
            fuzz::value(&bytes);
            fuzz::patch(&bytes);
        }
    }

    #[test]
    fn good_bytes_gone_bad_are_read_or_refused(
        before in state(),
        after in state(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let mut bytes = to_bytes(&before).unwrap();
        let Some(patch) = fuzz::between(&before, &after, None) else { return Ok(()) };
        let patch = patch.to_bytes().unwrap();
        bytes = [patch, b"\n".to_vec(), bytes].concat();
        for (at, byte, kind) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"[]{},:\"$0"[usize::from(byte) % 9]),
                _ => bytes.truncate(at),
            }
        }
        fuzz::patch(&bytes);
        for line in bytes.split(|byte| *byte == b'\n') {
            fuzz::value(line);
        }
    }
}

/// A word of the stored form.
fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\n",
        "null",
        "true",
        "1",
        "-0",
        "1e5",
        "\"a\"",
        "\"@\"",
        "{\"a\":",
        "{\"$f32\":",
        "{\"$float\":\"NaN\"}",
        "{\"$int\":\"1\"}",
        "{\"$bytes\":",
        "{\"$some\":",
        "{\"$set\":[",
        "{\"$map\":{",
        "{\"$map\":[[",
        "{\"$variant\":[\"A\",",
        "{\"$items\":[[[",
        "{\"$entries\":[[",
        "{\"$fields\":{",
        "{\"$members\":[[",
        "]],[[",
    ])
}
