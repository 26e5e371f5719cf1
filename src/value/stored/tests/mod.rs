//! What is stored comes back; what was not stored so is refused.

#![allow(clippy::unwrap_used)]

mod any;

use super::{DEEPEST, Patch, StoredError, from_bytes, fuzz, to_bytes};
use crate::id::EntityId;
use crate::value::Value;

fn fields<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    Value::Struct(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn entry(key: Value, value: Value) -> Value {
    Value::Map(vec![(key, value)])
}

/// The value is stored so, and comes back.
fn check(value: Value, expected: &str) {
    assert_eq!(String::from_utf8(to_bytes(&value).unwrap()).unwrap(), expected);
    fuzz::comes_back(&value);
}

#[test]
fn what_json_has_is_itself() {
    check(Value::Null, "null");
    check(Value::Bool(true), "true");
    check(Value::Int(-5), "-5");
    check(Value::Int(i64::MIN), "-9223372036854775808");
    check(Value::unsigned(u64::MAX.into()), "18446744073709551615");
    check(Value::F64(3.0), "3.0");
    check(Value::F64(-0.0), "-0.0");
    check(Value::F64(1e300), "1e300");
    check(Value::F64(5e-324), "5e-324");
    check(Value::text("a \"b\"\n\u{1F600}"), "\"a \\\"b\\\"\\n\u{1F600}\"");
    check(Value::List(vec![Value::Int(1), Value::List(vec![])]), "[1,[]]");
    check(fields([("name", Value::text("Ann")), ("gpa", Value::F64(3.5))]), r#"{"name":"Ann","gpa":3.5}"#);
    check(fields([]), "{}");
}

#[test]
fn what_json_lacks_has_one_key_that_begins_with_a_dollar() {
    let one = || Value::Int(1);
    check(Value::F32(1.5), r#"{"$f32":1.5}"#);
    check(Value::F32(0.1), r#"{"$f32":0.1}"#);
    check(Value::F32(-0.0), r#"{"$f32":-0.0}"#);
    check(Value::F32(7.038531e-26), r#"{"$f32":7.038530691851209e-26}"#);
    check(Value::F32(f32::NAN), r#"{"$f32":"NaN"}"#);
    check(Value::F64(-f64::NAN), r#"{"$float":"NaN"}"#);
    check(Value::F64(f64::NEG_INFINITY), r#"{"$float":"-inf"}"#);
    check(Value::integer(i128::MIN), r#"{"$int":"-170141183460469231731687303715884105728"}"#);
    check(Value::unsigned(u128::MAX), r#"{"$int":"340282366920938463463374607431768211455"}"#);
    check(Value::Bytes([1, 2].into()), r#"{"$bytes":"AQI="}"#);
    check(Value::Null.some().some(), r#"{"$some":{"$some":null}}"#);
    check(Value::set(vec![Value::Int(2), one()]), r#"{"$set":[1,2]}"#);
    check(Value::variant("Open", Value::Null), r#"{"$variant":"Open"}"#);
    check(Value::variant("Circle", one()), r#"{"$variant":["Circle",1]}"#);
    check(Value::variant("@", fields([("x", one())])), r#"{"$variant":["@",{"x":1}]}"#);
}

#[test]
fn a_map_is_an_object_where_its_keys_are_text() {
    let one = || Value::Int(1);
    check(Value::Map(vec![]), r#"{"$map":{}}"#);
    let ordered = Value::Map(vec![(Value::text("b"), one()), (Value::text("a"), one())]);
    check(ordered, r#"{"$map":{"b":1,"a":1}}"#);
    check(entry(Value::text("$map"), one()), r#"{"$map":{"$map":1}}"#);
    check(entry(Value::text("@a"), Value::text("@a")), r#"{"$map":{"@a":"\\@a"}}"#);
    check(entry(one(), Value::Map(vec![])), r#"{"$map":[[1,{"$map":{}}]]}"#);
    check(Value::Map(vec![(Value::text("@a"), one()), (one(), one())]), r#"{"$map":[["\\@a",1],[1,1]]}"#);
}

#[test]
fn what_looks_like_something_else_is_saved_from_it() {
    let id = EntityId::from_bytes([0xff; 16]);
    check(Value::Entity(id), r#""@_____________________w""#);
    check(Value::Reference(id), r#""&_____________________w""#);
    check(Value::text("@ann"), r#""\\@ann""#);
    check(Value::text("&"), r#""\\&""#);
    check(Value::text("\\"), r#""\\\\""#);
    check(Value::text("a@&\\"), r#""a@&\\""#);
    check(fields([("$set", Value::Int(1))]), r#"{"$$set":1}"#);
    check(fields([("a", Value::Int(1)), ("$$", Value::Int(1))]), r#"{"a":1,"$$$":1}"#);
    check(fields([("@a", Value::Int(1))]), r#"{"@a":1}"#);
    check(fields([("$serde_json::private::Number", Value::Null)]), r#"{"$$serde_json::private::Number":null}"#);
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    match from_bytes(bytes.as_ref()) {
        Err(error) => error.to_string(),
        Ok(value) => format!("read as {value}"),
    }
}

#[test]
fn what_was_not_stored_so_is_refused() {
    let check = |bytes: &str, expected: &str| assert_eq!(refused(bytes), expected, "{bytes}");
    check("", "EOF while parsing a value, at byte 0");
    check("[1,2", "[2]: EOF while parsing a list, at byte 4");
    check("1 2", "trailing characters, at byte 3");
    check("\n\n[x]", "[0]: expected value, at byte 4");
    check("1e999", "number out of range, at byte 5");
    check(r#"{"a":1,"a":2}"#, r#"expected each field once, found "a" twice, at byte 13"#);
    check(r#"{"a":[{"b":"@x"}]}"#, r#"a[0].b: expected @ and the 22 characters of an id, found "@x", at byte 15"#);
    check(
        r#""&_____________________z""#,
        "expected & and the 22 characters of an id, found \"&_____________________z\", at byte 25",
    );
    check(r#""\\x""#, r#"expected @, & or \ after \, found "\\x", at byte 5"#);
    check(r#"{"$map":{"a":1,"a":2}}"#, r#"expected each key of a map once, found "a" twice, at byte 21"#);
    check(r#"{"$map":[[1,1],[1,2]]}"#, "expected each key of a map once, found 1 twice, at byte 21");
    check(r#"{"$map":[[1]]}"#, "[0]: expected a value, found the end of the array, at byte 12");
    check(r#"{"$map":[[1,2,3]]}"#, "[0]: trailing characters, at byte 15");
    check(r#"{"$map":1}"#, "expected an object, or an array of pairs, found 1, at byte 9");
    check(r#"{"$set":[2,1]}"#, "expected the members of a set sorted, each once, found another order, at byte 14");
    check(r#"{"$set":[1,1]}"#, "expected the members of a set sorted, each once, found another order, at byte 14");
    check(r#"{"$some":1}"#, "expected null or $some in $some, found an integer, at byte 11");
    check(r#"{"$int":"1.5"}"#, r#"expected the digits of an integer of up to 128 bits, found "1.5", at byte 13"#);
    check(r#"{"$bytes":"*"}"#, r#"expected bytes in base64, found "*", at byte 13"#);
    check(r#"{"$f32":1e300}"#, "expected a float of 32 bits, found 1e300, at byte 13");
    check(r#"{"$float":1.5}"#, r#"expected "NaN", "inf" or "-inf", found 1.5, at byte 13"#);
    check(r#"{"$variant":["A"]}"#, "A: expected a value, found the end of the array, at byte 17");
    check(r#"{"$variant":[1,2]}"#, "expected a name, found 1, at byte 14");
    check(r#"{"$set":[],"a":1}"#, r#"expected no key beside one that begins with $, found "a", at byte 14"#);
    check(r#"{"a":1,"$x":1}"#, r#"expected $$ before the name of a field that begins with $, found "$x", at byte 11"#);
    check(
        r#"{"$members":[[],[]]}"#,
        r#"expected a known kind of value, or $$ before the name of a field, found "$members", at byte 11"#,
    );
    assert_eq!(refused(b"\"\xff\""), "invalid unicode code point, at byte 2");
}

#[test]
fn what_others_may_write_is_read() {
    let check = |bytes: &str, expected: Value| assert_eq!(from_bytes(bytes.as_bytes()).unwrap(), expected);
    check(" { \"\\u0061\" : [ ] } ", fields([("a", Value::List(vec![]))]));
    check("100000000000000000000", Value::F64(1e20));
    check("-0", Value::F64(-0.0));
    check(r#"{"$int":"5"}"#, Value::Int(5));
    check(r#"{"$f32":3}"#, Value::F32(3.0));
    check(r#"{"$variant":["Open",null]}"#, Value::variant("Open", Value::Null));
    check(r#"{"$map":[["a",1]]}"#, entry(Value::text("a"), Value::Int(1)));
    // As numbers come where some crate of the program switched on serde_json's `arbitrary_precision`.
    let number = |digits: &str| format!(r#"{{"$serde_json::private::Number":"{digits}"}}"#);
    check(&number("18446744073709551615"), Value::unsigned(u64::MAX.into()));
    check(&number("18446744073709551616"), Value::F64(18446744073709551616.0));
    check(&number("-0"), Value::F64(-0.0));
    check(&number("5e-324"), Value::F64(5e-324));
    assert!(refused(number("1e999")).starts_with("expected a number that a float of 64 bits can be, found 1e999"));
}

#[test]
fn what_would_read_back_as_another_is_not_written() {
    let check = |value: Value, expected: &str| assert_eq!(to_bytes(&value).unwrap_err().to_string(), expected);
    let one = || Value::Int(1);
    check(
        fields([("a", Value::List(vec![Value::Large(Box::new(5))]))]),
        "a[0]: expected an integer of up to 64 bits as such: make it with Value::integer, found 5",
    );
    check(
        Value::Negative(Box::new(-5)),
        "expected an integer of up to 64 bits as such: make it with Value::integer, found -5",
    );
    check(
        entry(Value::text("a"), Value::Some(Box::new(one()))),
        r#"["a"]: expected Some of null or of Some alone: make it with Value::some, found some(1)"#,
    );
    check(
        Value::Set(vec![one(), one()]),
        "expected the members of a set sorted, each once: make it with Value::set, found {1, 1}",
    );
    check(fields([("a", one()), ("a", one())]), "expected each field once, found a twice");
    check(Value::Map(vec![(one(), one()), (one(), one())]), "expected each key of a map once, found 1 twice");
}

/// Values of one inside the other, `levels` in all, in each of the ways that values hold others.
fn nested(levels: usize) -> Vec<Value> {
    let holders: [fn(Value) -> Value; 8] = [
        |inner| Value::List(vec![inner]),
        |inner| Value::Set(vec![inner]),
        |inner| fields([("a", inner)]),
        |inner| entry(Value::text("a"), inner),
        |inner| entry(Value::Int(1), inner),
        |inner| entry(inner, Value::Int(1)),
        |inner| Value::variant("A", if inner == Value::Null { Value::Int(1) } else { inner }),
        Value::some,
    ];
    holders.iter().map(|hold| (1..levels).fold(Value::Null, |inner, _| hold(inner))).collect()
}

#[test]
fn what_is_written_is_read_down_to_the_last_level() {
    for value in nested(DEEPEST) {
        fuzz::comes_back(&value);
    }
    for value in nested(DEEPEST + 1) {
        assert_eq!(to_bytes(&value), Err(StoredError::TooDeep { limit: DEEPEST }));
    }
    let deeper = to_bytes(&nested(DEEPEST)[0]).unwrap();
    assert_eq!(from_bytes(&[b"[", &*deeper, b"]"].concat()), Err(StoredError::TooDeep { limit: DEEPEST }));
    for begin in
        ["[", r#"{"a":"#, r#"{"$set":["#, r#"{"$some":"#, r#"{"$map":[["#, r#"{"$variant":["A","#, r#"{"$f32":"#]
    {
        assert!(from_bytes(begin.repeat(100_000).as_bytes()).is_err());
    }
    for begin in [r#"{"$items":[[[0,"#, r#"{"$items":[[],[[0,0,["#, r#"{"$fields":{"a":"#, r#"{"$entries":[[],[[0,"#] {
        assert!(Patch::from_bytes(format!(r#"{{"a":{}"#, begin.repeat(100_000)).as_bytes()).is_err());
    }
}

#[test]
fn a_patch_of_the_deepest_states_is_stored() {
    let states = nested(DEEPEST - 1).into_iter().map(|value| fields([("a", value)]));
    let others = nested(DEEPEST - 2).into_iter().map(|value| fields([("a", Value::List(vec![value]))]));
    let states: Vec<Value> = states.chain(others).chain([fields([("a", Value::Int(1))])]).collect();
    for before in &states {
        for after in &states {
            fuzz::leads_there(before, after);
        }
    }
    // Those that differ in the deepest place alone.
    let deepest = |hold: fn(Value) -> Value, inner| fields([("a", (3..DEEPEST).fold(inner, |inner, _| hold(inner)))]);
    let holders: [fn(Value) -> Value; 4] = [
        |inner| Value::List(vec![inner]),
        |inner| fields([("a", inner)]),
        |inner| entry(Value::Int(1), inner),
        |inner| Value::variant("A", inner),
    ];
    for hold in holders {
        fuzz::leads_there(&deepest(hold, Value::Int(1)), &deepest(hold, Value::List(vec![])));
    }
}

// Patches.

fn check_patch(before: Value, after: Value, expected: &str) {
    let patch = fuzz::between(&before, &after, None).unwrap();
    assert_eq!(String::from_utf8(patch.to_bytes().unwrap()).unwrap(), expected);
    fuzz::leads_there(&before, &after);
}

#[test]
fn a_patch_says_the_value_after_or_what_differs() {
    let value = |json| Value::from_json(&json).unwrap();
    let of = |field: Value| fields([("a", field), ("b", Value::Null)]);
    check_patch(of(Value::F64(3.5)), of(Value::F64(3.8)), r#"{"a":3.8}"#);
    check_patch(of(Value::Null), of(Value::List(vec![])), r#"{"a":[]}"#);
    check_patch(
        of(value(serde_json::json!([1, 2, 3, 4, 5, [6], 7]))),
        of(value(serde_json::json!([0, 1, 4, 8, 9, 5, [7], 7, 6, 5]))),
        r#"{"a":{"$items":[[[5,{"$items":[[[0,7]],[]]}]],[[0,0,0],[1,2],[4,0,8,9],[7,0,6,5]]]}}"#,
    );
    check_patch(
        of(value(serde_json::json!({"a": 1, "b": 2, "c": [1]}))),
        of(value(serde_json::json!({"b": 2, "a": 1.5, "d": "@"}))),
        r#"{"a":{"$entries":[["c"],[["a",1.5]],[[1,"a"]],[[2,"d","\\@"]]]}}"#,
    );
    check_patch(of(Value::set(vec![Value::Int(1)])), of(Value::set(vec![])), r#"{"a":{"$members":[[1],[]]}}"#);
    check_patch(
        of(fields([("$x", Value::Int(1))])),
        of(fields([("$x", Value::Int(2))])),
        r#"{"a":{"$fields":{"$$x":2}}}"#,
    );
    check_patch(
        Value::variant("Car", of(Value::Int(1))),
        Value::variant("Car", of(Value::Int(2))),
        r#"{"$variant":["Car",{"a":2}]}"#,
    );
    check_patch(fields([("$variant", Value::Int(1))]), fields([("$variant", Value::Int(2))]), r#"{"$$variant":2}"#);
    assert_eq!(Patch { variant: None, fields: vec![] }.to_bytes().unwrap(), b"{}");
}

/// What comes of a patch in its stored form and a state in its.
fn applied(patch: &str, state: &str) -> String {
    let mut state = from_bytes(state.as_bytes()).unwrap();
    match Patch::from_bytes(patch.as_bytes()).and_then(|patch| patch.apply(&mut state)) {
        Ok(()) => state.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_patch_for_another_state_is_refused() {
    let other = |expected: &str| format!("{expected}: the patch was made for another state");
    let check =
        |patch: &str, state: &str, expected: &str| assert_eq!(applied(patch, state), other(expected), "{patch}");
    let field = |edit: &str| format!(r#"{{"a":{edit}}}"#);
    let most = usize::MAX;
    check(r#"{"b":1}"#, r#"{"a":1}"#, "b: expected a field of this name before the change, found none");
    check(r#"{"a":1}"#, "[]", "expected a struct before the change, found a list");
    check(r#"{"a":1}"#, r#"{"$variant":["A",{"a":1}]}"#, "expected a struct before the change, found a variant");
    check(r#"{"$variant":["A",{}]}"#, r#"{"$variant":["B",{}]}"#, "expected the variant A before the change, found B");
    check(r#"{"$variant":["A",{}]}"#, "1", "expected the variant A before the change, found an integer");
    let list = |edit: &str, expected: &str| check(&field(edit), r#"{"a":[1,[2]]}"#, expected);
    let splice = |splice: &str, expected: &str, found: &str| {
        let expected = format!("a: expected {expected} before the change, found {found}");
        list(&format!(r#"{{"$items":[[],[{splice}]]}}"#), &expected);
    };
    splice("[3,0,1]", "0 items from 3 on", "2 from 0 on");
    splice("[1,2]", "2 items from 1 on", "2 from 0 on");
    splice("[1,1],[0,1]", "1 items from 0 on", "0 from 2 on");
    splice(&format!("[{most},1]"), &format!("1 items from {most} on"), "2 from 0 on");
    splice(&format!("[1,0],[1,{most}]"), &format!("{most} items from 1 on"), "1 from 1 on");
    list(
        &format!(r#"{{"$items":[[[{most},1]],[]]}}"#),
        &format!("a: expected an item at {most} before the change, found none"),
    );
    list(
        r#"{"$items":[[[1,{"$items":[[[1,1]],[]]}]],[]]}"#,
        "a[1]: expected an item at 1 before the change, found none",
    );
    list(r#"{"$members":[[1],[]]}"#, "a: expected a value of another kind before the change, found a list");
    list(r#"{"$fields":{"x":2}}"#, "a: expected a value of another kind before the change, found a list");
    let map = |edit: &str, expected: &str| {
        check(&field(&format!(r#"{{"$entries":{edit}}}"#)), r#"{"a":{"$map":{"x":1,"y":2}}}"#, expected);
    };
    let none = |key: &str| format!(r#"a: expected an entry "{key}" before the change, found none"#);
    map(r#"[["z"],[],[],[]]"#, &none("z"));
    map(r#"[["x","x"],[],[],[]]"#, &none("x"));
    map(r#"[[],[["z",1]],[],[]]"#, &none("z"));
    map(r#"[[],[],[[0,"z"]],[]]"#, &none("z"));
    map(r#"[[],[],[[0,"x"],[1,"x"]],[]]"#, &none("x"));
    map(r#"[["x"],[],[[0,"x"]],[]]"#, &none("x"));
    map(&format!(r#"[[],[],[[{most},"x"]],[]]"#), &format!("a: expected {most} others before the change, found 1"));
    map(
        r#"[[],[],[[0,"x"],[0,"y"]],[]]"#,
        "a: expected a place 0 for what is new before the change, found it taken by another",
    );
    map(r#"[[],[],[],[[2,"z",1],[3,"z",2]]]"#, r#"a: expected no entry "z" before the change, found one"#);
    map(r#"[[],[],[],[[0,"y",1]]]"#, r#"a: expected no entry "y" before the change, found one"#);
    map(
        r#"[[],[["x",{"$members":[[],[]]}]],[],[]]"#,
        r#"a["x"]: expected a value of another kind before the change, found an integer"#,
    );
    let set = |edit: &str, expected: &str| {
        check(&field(&format!(r#"{{"$members":{edit}}}"#)), r#"{"a":{"$set":[2]}}"#, expected);
    };
    set("[[1],[]]", "a: expected 1 before the change, found no such member");
    set("[[],[2]]", "a: expected no such member before the change, found 2");
    check(
        &field(r#"{"$fields":{"B":1}}"#),
        r#"{"a":{"$variant":["A",1]}}"#,
        "a: expected another variant before the change, found A",
    );
}

#[test]
fn what_is_no_patch_is_refused() {
    let check = |bytes: &str, expected: &str| {
        assert_eq!(Patch::from_bytes(bytes.as_bytes()).unwrap_err().to_string(), expected, "{bytes}");
    };
    check("1", "expected a patch, found 1, at byte 1");
    check("[]", "expected a patch, found an array, at byte 2");
    check(r#"{"a":1,"a":2}"#, r#"expected each field once, found "a" twice, at byte 13"#);
    check(r#"{"a":{"$fields":1}}"#, "a: expected an object of the fields that differ, found 1, at byte 17");
    check(r#"{"a":{"$items":[[]]}}"#, "a: expected an array, found the end of the array, at byte 19");
    check(r#"{"a":{"$items":[[],[[-1,0]]]}}"#, "a[0]: expected a position, found -1, at byte 23");
    check(r#"{"a":{"$items":[[],[[1]]]}}"#, "a[0]: expected a position, found the end of the array, at byte 23");
    check(
        r#"{"a":{"$members":[[],[]],"b":1}}"#,
        r#"a: expected no key beside one that begins with $, found "b", at byte 28"#,
    );
}
