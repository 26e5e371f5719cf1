//! Values: serde and JSON and back, their order, and what a delta says.

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, RandomState};

use heirloom::{Delta, EntityId, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::json;

// What is written and read.

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    truth: bool,
    signed: (i8, i16, i32, i64, i128, isize),
    unsigned: (u8, u16, u32, u64, u128, usize),
    narrow: Float<f32>,
    wide: Float<f64>,
    letter: char,
    text: String,
    blob: Blob,
    nothing: (),
    unit: Unit,
    newtype: Newtype,
    tuple: Tuple,
    array: [u16; 3],
    maybe: Option<u8>,
    maybe_unit: Option<()>,
    options: Option<Option<Option<()>>>,
    shapes: Vec<Shape>,
    by_number: HashMap<u64, Shape>,
    by_letter: BTreeMap<char, i128>,
    by_shape: BTreeMap<Shape, String>,
    by_pair: BTreeMap<(i8, Option<bool>), Option<Option<u8>>>,
    tagged: Vec<Tagged>,
    adjacent: Adjacent,
    untagged: Vec<Untagged>,
    flat: Flat,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(Option<i64>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tuple(u8, String);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(u32),
    Maybe(Option<Option<u8>>),
    Line(i64, i128),
    Box { width: u128, name: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Nothing,
    Point { x: i32, label: Option<String> },
    Of(Point),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Nothing,
    Number(i128),
    Shape(Shape),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Point(Point),
    List(Vec<Option<bool>>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
    y: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    point: Point,
    #[serde(flatten)]
    rest: BTreeMap<String, Option<bool>>,
}

/// A float that equals itself, whatever it is.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Float<F>(F);

impl<F: Copy + Into<f64>> PartialEq for Float<F> {
    fn eq(&self, other: &Self) -> bool {
        Value::F64(self.0.into()) == Value::F64(other.0.into())
    }
}

impl<F: Debug> Debug for Float<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Point),
        any::<u32>().prop_map(Shape::Circle),
        any::<Option<Option<u8>>>().prop_map(Shape::Maybe),
        any::<(i64, i128)>().prop_map(|(from, to)| Shape::Line(from, to)),
        (any::<u128>(), any::<Option<String>>()).prop_map(|(width, name)| Shape::Box { width, name }),
    ]
}

fn point() -> impl Strategy<Value = Point> {
    any::<(i64, u64)>().prop_map(|(x, y)| Point { x, y })
}

fn tagged() -> impl Strategy<Value = Tagged> {
    prop_oneof![
        Just(Tagged::Nothing),
        any::<(i32, Option<String>)>().prop_map(|(x, label)| Tagged::Point { x, label }),
        point().prop_map(Tagged::Of),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![Just(Adjacent::Nothing), any::<i128>().prop_map(Adjacent::Number), shape().prop_map(Adjacent::Shape),]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        any::<i64>().prop_map(Untagged::Number),
        any::<String>().prop_map(Untagged::Text),
        point().prop_map(Untagged::Point),
        vec(any::<Option<bool>>(), 0..3).prop_map(Untagged::List),
    ]
}

fn flat() -> impl Strategy<Value = Flat> {
    (any::<u8>(), point(), proptest::collection::btree_map("[a-f$]{1,3}", any::<Option<bool>>(), 0..3))
        .prop_map(|(own, point, rest)| Flat { own, point, rest })
}

fn everything() -> impl Strategy<Value = Everything> {
    let scalars = (
        any::<bool>(),
        any::<(i8, i16, i32, i64, i128, isize)>(),
        any::<(u8, u16, u32, u64, u128, usize)>(),
        any::<u32>().prop_map(|bits| Float(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Float(f64::from_bits(bits))),
        any::<char>(),
        any::<String>(),
        any::<Vec<u8>>().prop_map(Blob),
    );
    let parts = (
        any::<Option<i64>>().prop_map(Newtype),
        any::<(u8, String)>().prop_map(|(number, text)| Tuple(number, text)),
        any::<[u16; 3]>(),
        any::<Option<u8>>(),
        any::<Option<()>>(),
        any::<Option<Option<Option<()>>>>(),
    );
    let many = (
        vec(shape(), 0..4),
        proptest::collection::hash_map(any::<u64>(), shape(), 0..4),
        proptest::collection::btree_map(any::<char>(), any::<i128>(), 0..4),
        proptest::collection::btree_map(shape(), any::<String>(), 0..4),
        proptest::collection::btree_map(any::<(i8, Option<bool>)>(), any::<Option<Option<u8>>>(), 0..4),
        vec(tagged(), 0..3),
        adjacent(),
        vec(untagged(), 0..3),
        flat(),
    );
    (scalars, parts, many).prop_map(|(scalars, parts, many)| Everything {
        truth: scalars.0,
        signed: scalars.1,
        unsigned: scalars.2,
        narrow: scalars.3,
        wide: scalars.4,
        letter: scalars.5,
        text: scalars.6,
        blob: scalars.7,
        nothing: (),
        unit: Unit,
        newtype: parts.0,
        tuple: parts.1,
        array: parts.2,
        maybe: parts.3,
        maybe_unit: parts.4,
        options: parts.5,
        shapes: many.0,
        by_number: many.1,
        by_letter: many.2,
        by_shape: many.3,
        by_pair: many.4,
        tagged: many.5,
        adjacent: many.6,
        untagged: many.7,
        flat: many.8,
    })
}

/// Through the text of JSON, as a value is stored.
fn stored(value: &Value) -> Value {
    let text = serde_json::to_string(&value.to_json()).unwrap();
    Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_back_the_same(before in everything()) {
        let value = Value::from_serde(&before).unwrap();
        prop_assert_eq!(&value.to_serde::<Everything>().unwrap(), &before);
        prop_assert_eq!(Value::from_serde(&value.to_serde::<Everything>().unwrap()).unwrap(), value);
    }

    #[test]
    fn what_serde_writes_is_read_back_the_same_from_json(before in everything()) {
        let value = Value::from_serde(&before).unwrap();
        prop_assert_eq!(stored(&value).to_serde::<Everything>().unwrap(), before);
    }
}

// From serde.

fn check_written<T: Serialize + DeserializeOwned>(before: T, expected: Value) {
    let value = Value::from_serde(&before).unwrap();
    assert_eq!(value, expected);
    for value in [&value, &stored(&value)] {
        let after: T = value.to_serde().unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!(Value::from_serde(&after).unwrap(), expected, "from {value}");
    }
}

#[test]
fn integers_are_kept_whatever_their_width() {
    check_written(0_u8, Value::Int(0));
    check_written(i64::MIN, Value::Int(i64::MIN));
    check_written(1_i128, Value::Int(1));
    check_written(u64::MAX, Value::Large(Box::new(u64::MAX.into())));
    check_written(u128::MAX, Value::Large(Box::new(u128::MAX)));
    check_written(i128::MAX, Value::Large(Box::new(i128::MAX.unsigned_abs())));
    check_written(i128::from(i64::MIN) - 1, Value::Negative(Box::new(i128::from(i64::MIN) - 1)));
    check_written(i128::MIN, Value::Negative(Box::new(i128::MIN)));
}

#[test]
fn floats_are_kept_whatever_they_are() {
    for number in [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, 9_007_199_254_740_993.0, f64::INFINITY, f64::NEG_INFINITY] {
        check_written(number, Value::F64(number));
    }
    check_written(f64::NAN, Value::F64(f64::NAN));
    for number in [0.0, -0.0, 1.0, 0.1, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]
    {
        check_written(number, Value::F32(number));
    }
    // Its shortest decimal, read as a float of 64 bits and then narrowed, is the next one.
    check_written(f32::from_bits(0x15ae_43fd), Value::F32(f32::from_bits(0x15ae_43fd)));
}

#[test]
fn options_of_options_are_told_apart() {
    let some = |value: Value| Value::Some(Box::new(value));
    check_written(None::<Option<Option<u8>>>, Value::Null);
    check_written(Some(None::<Option<u8>>), some(Value::Null));
    check_written(Some(Some(None::<u8>)), some(some(Value::Null)));
    check_written(Some(Some(Some(7))), Value::Int(7));
    check_written(Some(()), some(Value::Null));
}

#[test]
fn every_shape_has_its_form() {
    let text = |text: &str| Value::text(text);
    check_written('x', text("x"));
    check_written(Blob(vec![0, 255]), Value::Bytes([0, 255].into()));
    check_written((), Value::Null);
    check_written(Unit, Value::Null);
    check_written(Newtype(Some(1)), Value::Int(1));
    check_written(Tuple(1, "a".into()), Value::List(vec![Value::Int(1), text("a")]));
    check_written((1, true), Value::List(vec![Value::Int(1), Value::Bool(true)]));
    check_written(
        Point { x: -1, y: 1 },
        Value::Struct(vec![("x".into(), Value::Int(-1)), ("y".into(), Value::Int(1))]),
    );
    check_written(Shape::Point, Value::variant("Point", Value::Null));
    check_written(Shape::Circle(1), Value::variant("Circle", Value::Int(1)));
    check_written(Shape::Maybe(None), Value::variant("Maybe", Value::Null));
    check_written(Shape::Line(1, 2), Value::variant("Line", Value::List(vec![Value::Int(1), Value::Int(2)])));
    check_written(
        Shape::Box { width: 1, name: None },
        Value::variant("Box", Value::Struct(vec![("width".into(), Value::Int(1)), ("name".into(), Value::Null)])),
    );
    check_written(
        BTreeMap::from([(-1, 'a'), (1, 'b')]),
        Value::Map(vec![(Value::Int(-1), text("a")), (Value::Int(1), text("b"))]),
    );
    check_written(
        BTreeMap::from([(Some("a".to_owned()), 1), (None, 2)]),
        Value::Map(vec![(Value::Null, Value::Int(2)), (text("a"), Value::Int(1))]),
    );
    check_written(BTreeMap::from([("$int".to_owned(), 1)]), Value::Map(vec![(text("$int"), Value::Int(1))]));
    let id = EntityId::from_bytes([7; 16]);
    check_written(id, text(&id.to_string()));
    assert_eq!(Value::Reference(id).to_serde::<EntityId>().unwrap(), id);
    assert_eq!(Value::Entity(id).to_serde::<String>().unwrap(), id.to_string());
}

#[test]
fn a_map_that_holds_a_key_twice_is_refused() {
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry(&Some(1), "one")?;
            map.serialize_entry(&2, "two")?;
            map.serialize_entry(&1, "another")?;
            map.end()
        }
    }
    let error = Value::from_serde(&Twice).unwrap_err();
    assert_eq!(error.to_string(), "expected distinct keys in a map, found 1 twice");
}

// To serde.

fn check_read<T: DeserializeOwned + PartialEq + Debug>(value: Value, expected: T) {
    assert_eq!(value.to_serde::<T>().unwrap_or_else(|error| panic!("{value}: {error}")), expected, "from {value}");
}

fn from_json(json: serde_json::Value) -> Value {
    Value::from_json(&json).unwrap()
}

#[test]
fn other_forms_of_the_same_are_read_too() {
    check_read(Value::text("Point"), Shape::Point);
    check_read(from_json(json!({"Circle": 3})), Shape::Circle(3));
    check_read(from_json(json!({"Point": null})), Shape::Point);
    check_read(from_json(json!({"Line": [1, 2]})), Shape::Line(1, 2));
    check_read(from_json(json!({"Box": {"width": 1}})), Shape::Box { width: 1, name: None });
    check_read(Value::variant("red", Value::Null), "red".to_owned());
    check_read(from_json(json!([1, 255])), Blob(vec![1, 255]));
    check_read(Value::Bytes([1, 255].into()), vec![1_u8, 255]);
    check_read(Value::Bytes([1, 255].into()), [1_u16, 255]);
    check_read(Value::set(vec![Value::Int(2), Value::Int(1)]), vec![1, 2]);
    check_read(from_json(json!([[1, "a"], [2, "b"]])), HashMap::from([(1, 'a'), (2, 'b')]));
    check_read(from_json(json!({"y": 1, "x": 2})), Point { x: 2, y: 1 });
    check_read(from_json(json!(3)), 3.0_f64);
    check_read(from_json(json!(0.5)), 0.5_f32);
    check_read(Value::F32(0.5), 0.5_f64);
    check_read(Value::Some(Box::new(Value::Null)), Some(None::<u8>));
    check_read(Value::variant("Circle", Value::Int(3)), json!({"Circle": 3}));
    check_read(Value::variant("Point", Value::Null), json!("Point"));
}

fn check_refused<T: DeserializeOwned + Debug>(value: Value, expected: &str) {
    assert_eq!(value.to_serde::<T>().unwrap_err().to_string(), expected, "from {value}");
}

#[test]
fn an_error_says_where_what_was_expected_and_what_was_found() {
    let long = || Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
    check_refused::<u8>(Value::Int(300), "expected u8, found an integer 300");
    check_refused::<u8>(Value::text("1"), r#"expected u8, found text "1""#);
    check_refused::<i64>(Value::unsigned(u128::MAX), &format!("expected i64, found an integer {}", u128::MAX));
    check_refused::<i64>(Value::F64(1.0), "expected i64, found a float 1.0");
    check_refused::<f32>(Value::F64(1e300), "expected a number that 32 bits hold, found a float 1e300");
    check_refused::<f64>(
        Value::Int(i64::MAX),
        "expected a number that a float holds exactly, found an integer 9223372036854775807",
    );
    check_refused::<bool>(Value::Null, "expected a boolean, found null");
    check_refused::<char>(Value::text("ab"), r#"expected a character, found text "ab""#);
    check_refused::<String>(long(), "expected a string, found a list [1, 2, 3]");
    check_refused::<u8>(Value::Null.some(), "expected u8, found an option some(null)");
    check_refused::<Vec<u8>>(from_json(json!([1, 2, "x"])), r#"[2]: expected u8, found text "x""#);
    check_refused::<(u8, u8)>(long(), "expected a list of 2, found one of 3");
    check_refused::<(u8, u8, u8, u8)>(long(), "expected a tuple of size 4, found a length of 3");
    check_refused::<HashMap<i8, i8>>(long(), "expected a map, found a list [1, 2, 3]");
    check_refused::<HashMap<i8, i8>>(from_json(json!([[1, 2], [3, "x"]])), r#"[3]: expected i8, found text "x""#);
    check_refused::<HashMap<i8, i8>>(from_json(json!({"1": 2})), r#"["1"]: expected i8, found text "1""#);
    check_refused::<Vec<Point>>(from_json(json!([{"x": 1, "y": -1}])), "[0].y: expected u64, found an integer -1");
    check_refused::<Point>(from_json(json!({"x": 1})), "expected a field y, found none");
    check_refused::<Vec<Even>>(
        from_json(json!([2, 3])),
        "[1]: expected what its type accepts (3 is odd), found an integer 3",
    );
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u8")]
struct Even;

impl TryFrom<u8> for Even {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Even) } else { Err(format!("{number} is odd")) }
    }
}

#[test]
fn an_error_in_an_enum_names_the_variant() {
    check_refused::<Shape>(Value::text("Square"), "expected one of Point, Circle, Maybe, Line, Box, found Square");
    check_refused::<Shape>(Value::Int(1), "expected a variant of Shape, found an integer 1");
    check_refused::<Shape>(
        Value::variant("Point", Value::Int(1)),
        "Point: expected nothing inside, found an integer 1",
    );
    check_refused::<Shape>(Value::text("Circle"), "Circle: expected u32, found null");
    check_refused::<Shape>(from_json(json!({"Line": [1, "x"]})), r#"Line[1]: expected i128, found text "x""#);
    check_refused::<Shape>(from_json(json!({"Box": {"width": "x"}})), r#"Box.width: expected u128, found text "x""#);
    check_refused::<Vec<Tagged>>(
        from_json(json!([{"kind": "Point", "x": "far"}])),
        r#"[0]: expected i32, found string "far""#,
    );
}

// JSON.

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), any::<i16>().prop_map(f64::from), Just(-0.0), Just(f64::NAN)]
}

fn key_text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{0,2}", 1 => r"\${0,3}(int|some|bytes|float|x)"]
}

fn distinct<T: PartialEq>(entries: Vec<(T, Value)>) -> Vec<(T, Value)> {
    let mut kept: Vec<(T, Value)> = Vec::new();
    for (key, value) in entries {
        if kept.iter().all(|(found, _)| *found != key) {
            kept.push((key, value));
        }
    }
    kept
}

/// What JSON can tell.
fn json_value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i128>().prop_map(Value::integer),
        any::<u128>().prop_map(Value::unsigned),
        float().prop_map(Value::F64),
        any::<String>().prop_map(Value::text),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    plain.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((key_text().prop_map(Value::text), inner.clone()), 0..4).prop_map(|all| Value::Map(distinct(all))),
            inner.prop_map(Value::some),
        ]
    })
}

proptest! {
    #[test]
    fn what_json_can_tell_comes_back_from_it(value in json_value()) {
        prop_assert_eq!(&Value::from_json(&value.to_json()).unwrap(), &value);
        prop_assert_eq!(&stored(&value), &value);
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value);
    }

    #[test]
    fn what_is_written_as_json_is_read(value in any_value()) {
        let read = stored(&value);
        prop_assert_eq!(stored(&read), read);
    }
}

fn check_json(value: Value, expected: &str) {
    assert_eq!(value.to_json().to_string(), expected);
    assert_eq!(serde_json::to_string(&value).unwrap(), expected);
    assert_eq!(serde_json::from_str::<Value>(expected).unwrap(), value);
}

#[test]
fn json_says_what_it_lacks_with_a_dollar() {
    let entry = |key: &str, value| Value::Map(vec![(Value::text(key), value)]);
    check_json(Value::F64(1.0), "1.0");
    check_json(Value::F64(-0.0), "-0.0");
    check_json(Value::Int(1), "1");
    check_json(Value::F64(f64::NAN), r#"{"$float":"NaN"}"#);
    check_json(Value::F64(f64::NEG_INFINITY), r#"{"$float":"-inf"}"#);
    check_json(Value::unsigned(u64::MAX.into()), "18446744073709551615");
    check_json(Value::integer(i128::MIN), r#"{"$int":"-170141183460469231731687303715884105728"}"#);
    check_json(Value::Bytes([1, 2].into()), r#"{"$bytes":"AQI="}"#);
    check_json(Value::Null.some().some(), r#"{"$some":{"$some":null}}"#);
    check_json(entry("$int", Value::text("5")), r#"{"$$int":"5"}"#);
    check_json(entry("$$int", Value::text("5")), r#"{"$$$int":"5"}"#);
    check_json(entry("$ref", Value::text("5")), r#"{"$ref":"5"}"#);
    assert_eq!(from_json(json!({"$some": 5})), Value::Int(5));
}

#[test]
fn json_that_is_no_value_is_refused() {
    let check = |json, expected: &str| assert_eq!(Value::from_json(&json).unwrap_err().to_string(), expected);
    check(
        json!({"$int": "x"}),
        r#"{"$int": ...} holds "x": a key of one object that begins with $ is kept for the digits of an integer"#,
    );
    let deep = (0..200).fold(json!(null), |inner, _| json!([inner]));
    check(deep, "nested deeper than 128 levels: flatten it");
}

#[test]
fn the_order_of_an_object_is_kept() {
    let keys = |value: &Value| match value {
        Value::Map(entries) => entries.iter().map(|(key, _)| key.to_string()).collect::<String>(),
        other => panic!("{other} is no map"),
    };
    let value = from_json(json!({"c": 1, "a": 2, "b": 3}));
    assert_eq!(keys(&value), r#""c""a""b""#);
    assert_eq!(keys(&stored(&value)), r#""c""a""b""#);
    assert_eq!(keys(&Value::from_serde(&value).unwrap()), r#""a""b""c""#);
}

// Order, equality, hash.

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "[/~ \"]"]
}

fn ints() -> impl Strategy<Value = Value> {
    (0..5_i64).prop_map(Value::Int)
}

/// Any value at all, of few different parts, so that two of them have some in common.
fn any_value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        3 => ints(),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i128>().prop_map(Value::integer),
        1 => float().prop_map(|number| Value::F32(number as f32)),
        1 => float().prop_map(Value::F64),
        2 => name().prop_map(Value::text),
        1 => vec(0..3_u8, 0..3).prop_map(|bytes| Value::Bytes(bytes.into())),
        1 => (0..3_u8).prop_map(|byte| Value::Entity(EntityId::from_bytes([byte; 16]))),
        1 => (0..3_u8).prop_map(|byte| Value::Reference(EntityId::from_bytes([byte; 16]))),
    ];
    plain.prop_recursive(4, 60, 6, |inner| {
        let entries = vec((prop_oneof![3 => ints(), 1 => inner.clone()], inner.clone()), 0..6);
        let named = vec((name().prop_map(Into::into), inner.clone()), 0..4);
        prop_oneof![
            2 => vec(inner.clone(), 0..6).prop_map(Value::List),
            1 => vec(ints(), 0..12).prop_map(Value::List),
            1 => vec(inner.clone(), 0..6).prop_map(Value::set),
            1 => entries.clone().prop_map(|entries| Value::map(distinct(entries))),
            1 => entries.prop_map(|entries| Value::Map(distinct(entries))),
            2 => named.prop_map(|named| Value::Struct(distinct(named))),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| fields([("a", a), ("b", b)])),
            1 => (name(), inner.clone()).prop_map(|(name, holds)| Value::variant(name, holds)),
            1 => inner.prop_map(Value::some),
        ]
    })
}

proptest! {
    #[test]
    fn values_have_one_order_that_equality_and_hash_agree_with(a in any_value(), b in any_value(), c in any_value()) {
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        let mut sorted = [&a, &b, &c];
        sorted.sort();
        prop_assert!(sorted[0] <= sorted[2]);
        let hasher = RandomState::new();
        if a == b {
            prop_assert_eq!(hasher.hash_one(&a), hasher.hash_one(&b));
        }
        prop_assert_eq!(hasher.hash_one(&a), hasher.hash_one(a.clone()));
    }
}

#[test]
fn nans_are_one_value_and_zeros_two() {
    let hasher = RandomState::new();
    let check = |before: Value, after: Value, same: bool| {
        assert_eq!(before == after, same, "{before} {after}");
        assert_eq!(hasher.hash_one(&before) == hasher.hash_one(&after), same, "{before} {after}");
        assert_eq!(Delta::between(before, after, None).is_none(), same);
    };
    check(Value::F64(f64::NAN), Value::F64(-f64::NAN), true);
    check(Value::F64(f64::from_bits(0x7ff0_0000_0000_0001)), Value::F64(f64::NAN), true);
    check(Value::F32(f32::NAN), Value::F32(-f32::NAN), true);
    check(Value::F64(0.0), Value::F64(-0.0), false);
    check(Value::F32(0.0), Value::F32(-0.0), false);
    check(Value::F32(1.0), Value::F64(1.0), false);
    check(Value::Int(1), Value::F64(1.0), false);
    check(Value::unsigned(1), Value::integer(1), true);
}

#[test]
fn what_has_no_order_is_sorted() {
    let sorted = |values: &[Value]| values.is_sorted_by(|before, after| before < after);
    let numbers =
        || vec![Value::integer(i128::MAX), Value::Int(2), Value::integer(i128::MIN), Value::Int(-1), Value::Int(2)];
    let Value::Set(items) = Value::set(numbers()) else { panic!("no set") };
    assert_eq!(items.len(), 4);
    assert!(sorted(&items), "{items:?}");
    let zeros = [f64::NAN, 1.0, 0.0, -f64::NAN, -0.0, f64::NEG_INFINITY].map(Value::F64).to_vec();
    assert_eq!(Value::set(zeros).to_string(), "{-inf, -0.0, 0.0, 1.0, NaN}");
}

// Deltas.

fn check_way_there_and_back(before: &Value, after: &Value, key: Option<&str>) {
    let Some(delta) = Delta::between(before.clone(), after.clone(), key) else {
        assert_eq!(before, after, "no delta");
        return;
    };
    assert_ne!(before, after, "{delta:?}");
    let apply = |delta: &Delta, from: &Value, to: &Value| {
        let mut value = from.clone();
        delta.apply(&mut value).unwrap_or_else(|error| panic!("{delta:?} to {from}: {error}"));
        assert_eq!(&value, to, "{delta:?} to {from}");
    };
    apply(&delta, before, after);
    assert_eq!(delta.clone().inverse().inverse(), delta);
    let mut told = 0;
    delta.leaves(&mut |leaf| {
        told += 1;
        assert!(leaf.before != leaf.after || leaf.moved.is_some(), "{leaf:?} tells nothing");
        assert!(leaf.pointer.is_empty() || leaf.pointer.starts_with('/'));
    });
    assert!(told > 0, "{delta:?} tells nothing");
    apply(&delta.inverse(), after, before);
}

/// A list of structs with a field `id`, sometimes twice the same or missing.
fn rows() -> impl Strategy<Value = Value> {
    let row = |(id, name, inner)| {
        Value::Struct(vec![("id".into(), Value::Int(id)), ("name".into(), Value::text(name)), ("inner".into(), inner)])
    };
    let row = (0..12_i64, name(), prop_oneof![ints(), any_value()]).prop_map(row).boxed();
    let distinct_rows = vec(row.clone(), 0..10).prop_map(|mut rows| {
        let mut seen = Vec::new();
        rows.retain(|row| {
            let id = row.get("id").cloned();
            let fresh = !seen.contains(&id);
            seen.push(id);
            fresh
        });
        Value::List(rows)
    });
    prop_oneof![
        4 => distinct_rows,
        1 => vec(prop_oneof![4 => row, 1 => any_value()], 0..6).prop_map(Value::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_delta_leads_there_and_its_inverse_back(before in any_value(), after in any_value()) {
        check_way_there_and_back(&before, &after, None);
        check_way_there_and_back(&before, &before, None);
    }

    #[test]
    fn a_delta_of_lists_leads_there_and_back(before in vec(ints(), 0..20), after in vec(ints(), 0..20)) {
        check_way_there_and_back(&Value::List(before), &Value::List(after), None);
    }

    #[test]
    fn a_delta_of_maps_leads_there_and_back(
        before in vec((ints(), any_value()), 0..8),
        after in vec((ints(), any_value()), 0..8),
    ) {
        let (before, after) = (distinct(before), distinct(after));
        check_way_there_and_back(&Value::map(before.clone()), &Value::map(after.clone()), None);
        check_way_there_and_back(&Value::Map(before), &Value::Map(after), None);
    }

    #[test]
    fn a_delta_of_maps_whose_keys_repeat_leads_there_and_back(
        before in vec((0..3_i64, 0..3_i64), 0..5),
        after in vec((0..3_i64, 0..3_i64), 0..5),
    ) {
        let map = |entries: Vec<(i64, i64)>| {
            Value::Map(entries.into_iter().map(|(key, value)| (Value::Int(key), Value::Int(value))).collect())
        };
        check_way_there_and_back(&map(before), &map(after), None);
    }

    #[test]
    fn a_delta_of_keyed_lists_leads_there_and_back(before in rows(), after in rows(), seed in any::<u64>()) {
        check_way_there_and_back(&before, &after, Some("id"));
        check_way_there_and_back(&before, &after, None);
        if let Value::List(mut items) = before.clone() {
            if !items.is_empty() {
                let at = usize::try_from(seed % items.len() as u64).unwrap();
                items.rotate_left(at);
            }
            check_way_there_and_back(&before, &Value::List(items), Some("id"));
        }
    }
}

fn leaves(before: &Value, after: &Value, key: Option<&str>) -> String {
    let Some(delta) = Delta::between(before.clone(), after.clone(), key) else { return String::new() };
    let mut lines = Vec::new();
    delta.leaves(&mut |leaf| {
        let side = |side: Option<&Value>| side.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let (before, after) = (side(leaf.before), side(leaf.after));
        lines.push(match leaf.moved {
            Some((from, to)) => format!("{} {} moved {from} -> {to}", leaf.path, leaf.pointer),
            None => format!("{} {} {before} -> {after}", leaf.path, leaf.pointer),
        });
    });
    lines.join("; ")
}

fn check_leaves(before: Value, after: Value, expected: &str) {
    assert_eq!(leaves(&before, &after, None), expected);
}

fn fields<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    Value::Struct(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[test]
fn leaves_say_where() {
    let one = || Value::Int(1);
    let two = || Value::Int(2);
    check_leaves(one(), one(), "");
    check_leaves(one(), two(), "  1 -> 2");
    check_leaves(fields([("a", one()), ("b", one())]), fields([("a", one()), ("b", two())]), ".b /b 1 -> 2");
    check_leaves(fields([("a", one())]), fields([("b", one())]), "  {a: 1} -> {b: 1}");
    check_leaves(
        fields([("limits", from_json(json!({"a": 1, "b/~": 1})))]),
        fields([("limits", from_json(json!({"a": 2, "c": 1})))]),
        concat!(
            r#".limits["b/~"] /limits/b~1~0 1 -> nothing; "#,
            r#".limits["a"] /limits/a 1 -> 2; "#,
            r#".limits["c"] /limits/c nothing -> 1"#,
        ),
    );
    check_leaves(Value::Map(vec![(one(), one())]), Value::Map(vec![(one(), two())]), "[1] /1 1 -> 2");
    check_leaves(
        from_json(json!([["a"], ["b", "c"]])),
        from_json(json!([["a"], ["b", "d"]])),
        r#"[1][1] /1/1 "c" -> "d""#,
    );
    check_leaves(
        from_json(json!([1, 2, 3, 4])),
        from_json(json!([2, 3, 4, 5])),
        "[0] /0 1 -> nothing; [3] /3 nothing -> 5",
    );
    check_leaves(Value::set(vec![one()]), Value::set(vec![two()]), "  1 -> nothing;   nothing -> 2");
    check_leaves(Value::variant("Circle", one()), Value::variant("Circle", two()), ".Circle /Circle 1 -> 2");
    check_leaves(Value::variant("Circle", one()), Value::variant("Square", one()), "  Circle(1) -> Square(1)");
    check_leaves(Value::Null, Value::Null.some(), "  null -> some(null)");
    check_leaves(from_json(json!({"a": 1, "b": 2})), from_json(json!({"b": 2, "a": 1})), r#"["a"] /a moved 0 -> 1"#);
}

#[test]
fn items_with_a_key_are_told_by_it() {
    let row = |id: i64, name: &str| fields([("id", Value::Int(id)), ("name", Value::text(name))]);
    let rows = |rows: &[(i64, &str)]| Value::List(rows.iter().map(|(id, name)| row(*id, name)).collect());
    let check = |before, after, expected: &str| assert_eq!(leaves(&before, &after, Some("id")), expected);
    check(
        rows(&[(1, "a"), (2, "b")]),
        rows(&[(2, "B")]),
        r#"[0] /0 {id: 1, name: "a"} -> nothing; [0].name /0/name "b" -> "B""#,
    );
    check(
        rows(&[(1, "a"), (2, "b"), (3, "c")]),
        rows(&[(3, "c"), (1, "a"), (2, "b")]),
        r#"[2] /2 {id: 3, name: "c"} -> nothing; [0] /0 nothing -> {id: 3, name: "c"}"#,
    );
}

#[test]
fn a_delta_does_not_apply_to_another_state() {
    let check = |before: serde_json::Value, after: serde_json::Value, other: serde_json::Value, expected: &str| {
        let delta = Delta::between(from_json(before), from_json(after), None).unwrap();
        let error: &dyn Display = &delta.apply(&mut from_json(other)).unwrap_err();
        assert_eq!(error.to_string(), format!("expected {expected}: the patch was made for another state"));
    };
    check(json!(1), json!(2), json!(3), "1 before the change, found 3");
    check(json!([1]), json!([]), json!([2]), "1 before the change, found 2");
    check(json!([1]), json!([]), json!([]), "1 at 0 before the change, found the end of the list");
    check(json!({"a": 1}), json!({}), json!({"a": 2}), r#""a": 1 before the change, found "a": 2"#);
    check(json!({}), json!({"a": 1}), json!({"a": 2}), r#"no entry "a" before the change, found one"#);
    check(json!({"a": 1}), json!({"a": 2}), json!({}), r#"an entry "a" before the change, found none"#);
    check(json!([]), json!([1]), json!({}), "a value of another kind before the change, found a map");
}

#[test]
fn a_delta_that_none_could_have_made_is_refused() {
    let one = || Value::Int(1);
    let check = |delta: Delta, json: serde_json::Value, expected: &str| {
        let error = delta.apply(&mut from_json(json)).unwrap_err();
        assert_eq!(error.to_string(), format!("expected {expected}: the patch was made for another state"));
    };
    let list = |inserted| Delta::List { removed: vec![], inserted, changed: vec![] };
    check(list(vec![(usize::MAX, one())]), json!([1]), &format!("{} others before the change, found 1", usize::MAX));
    check(
        list(vec![(0, one()), (0, one())]),
        json!([1]),
        "a place 0 for what is new before the change, found it taken by another",
    );
    let map = |inserted: &[usize], changed: usize, moved: &[(usize, usize)]| Delta::Map {
        removed: vec![],
        inserted: inserted.iter().map(|at| (*at, Value::text("new"), one())).collect(),
        changed: vec![(Value::text("a"), Delta::Replace { before: one(), after: one() }); changed],
        moved: moved.iter().map(|(from, to)| (*from, *to, Value::text(if *from == 0 { "a" } else { "b" }))).collect(),
    };
    let check = |delta, expected: &str| check(delta, json!({"a": 1, "b": 1}), expected);
    let twice = "each entry to change or move once before the change, found one twice";
    check(map(&[0, 1], 0, &[]), r#"no entry "new" before the change, found one"#);
    check(map(&[], 2, &[]), twice);
    check(map(&[], 0, &[(0, 1), (0, 1)]), twice);
    check(map(&[], 0, &[(0, 0), (1, 0)]), "a place 0 for what is new before the change, found it taken by another");
    check(map(&[], 0, &[(0, 7)]), "7 others before the change, found 1");
}
