//! The manifest: every callable as a tool with JSON Schema, which takes what `execute` takes and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU8;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::{CallError, Callable, EntityId, Manifest, PlainArg, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    name: String,
}

#[derive(Value, Clone, Debug, PartialEq)]
struct Grade {
    course: String,
    points: f64,
    #[serde(default)]
    weight: u8,
    remark: Option<String>,
}

#[derive(Value, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Colour {
    Red,
    Blue,
}

#[derive(Value, Clone, Debug, PartialEq)]
enum Shape {
    Empty,
    Circle(f64),
    Box { width: u32, height: u32 },
    Line(i8, i8),
    Maybe(Option<u8>),
    Many(Vec<Shape>),
}

#[derive(Value, Clone, Debug, PartialEq)]
struct Pair<T: heirloom::Plain>(T, T);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Foreign {
    x: u8,
}

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn registry() -> Result<Registry> {
    let registry = Registry::in_memory();
    registry.add(Student { id: ID.parse()?, name: "Ann".to_owned() })?;
    Ok(registry)
}

/// Whether JSON is what a schema says: as much of draft 2020-12 as is written here. Patterns are those of ids and digits.
fn fits(json: &Json, schema: &Json, root: &Json) -> bool {
    let Json::Object(schema) = schema else { return *schema == Json::Bool(true) };
    schema.iter().all(|(word, said)| match word.as_str() {
        "$defs" | "description" | "contentEncoding" => true,
        "$ref" => {
            let place = said.as_str().and_then(|said| said.strip_prefix('#')).expect("a place in the schema");
            fits(json, root.pointer(place).expect("it is defined"), root)
        }
        "type" => match said.as_str().expect("one type") {
            "object" => json.is_object(),
            "array" => json.is_array(),
            "string" => json.is_string(),
            "boolean" => json.is_boolean(),
            "null" => json.is_null(),
            "number" => json.is_number(),
            "integer" => json.is_i64() || json.is_u64(),
            other => panic!("{other} is no type"),
        },
        "anyOf" => said.as_array().expect("a list").iter().any(|schema| fits(json, schema, root)),
        "not" => !fits(json, said, root),
        "enum" => said.as_array().expect("a list").contains(json),
        "const" => said == json,
        "minimum" => json.as_f64().is_none_or(|number| number >= said.as_f64().expect("a number")),
        "maximum" => json.as_f64().is_none_or(|number| number <= said.as_f64().expect("a number")),
        "minLength" => json.as_str().is_none_or(|text| text.chars().count() as u64 >= said.as_u64().expect("a count")),
        "maxLength" => json.as_str().is_none_or(|text| text.chars().count() as u64 <= said.as_u64().expect("a count")),
        "minItems" => json.as_array().is_none_or(|items| items.len() as u64 >= said.as_u64().expect("a count")),
        "maxItems" => json.as_array().is_none_or(|items| items.len() as u64 <= said.as_u64().expect("a count")),
        "maxProperties" => json.as_object().is_none_or(|object| object.len() as u64 <= said.as_u64().expect("a count")),
        "uniqueItems" => {
            json.as_array().is_none_or(|items| (1..items.len()).all(|at| !items[..at].contains(&items[at])))
        }
        "prefixItems" => json.as_array().is_none_or(|items| {
            items.iter().zip(said.as_array().expect("a list")).all(|(item, schema)| fits(item, schema, root))
        }),
        "items" => json.as_array().is_none_or(|items| {
            let before = schema.get("prefixItems").and_then(Json::as_array).map_or(0, Vec::len);
            items.iter().skip(before).all(|item| fits(item, said, root))
        }),
        "properties" => json.as_object().is_none_or(|object| {
            object.iter().all(|(name, value)| said.get(name).is_none_or(|schema| fits(value, schema, root)))
        }),
        "required" => json.as_object().is_none_or(|object| {
            said.as_array().expect("a list").iter().all(|name| object.contains_key(name.as_str().expect("a name")))
        }),
        "additionalProperties" => json.as_object().is_none_or(|object| {
            let known =
                |name: &String| schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
            object.iter().all(|(name, value)| known(name) || fits(value, said, root))
        }),
        "propertyNames" => {
            json.as_object().is_none_or(|object| object.keys().all(|name| fits(&Json::from(name.as_str()), said, root)))
        }
        "pattern" => json.as_str().is_none_or(|text| follows(text, said.as_str().expect("a pattern"))),
        other => panic!("{other} is not known here"),
    })
}

/// Whether a text follows one of the patterns that there are.
fn follows(text: &str, pattern: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = |text: &str| text.len() == 36 && text.parse::<EntityId>().is_ok();
    let uuid = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
    match pattern.replace(uuid, "ID").as_str() {
        "^-?[0-9]+$" => digits(text.strip_prefix('-').unwrap_or(text)),
        "^[0-9]+$" => digits(text),
        "^ID$" => id(text),
        "^@ID$" => text.strip_prefix('@').is_some_and(id),
        "^@?ID$" => id(text.strip_prefix('@').unwrap_or(text)),
        "^@ID(#r?[0-9]+)?$" => text.strip_prefix('@').is_some_and(|text| match text.split_once('#') {
            None => id(text),
            Some((entity, revision)) => id(entity) && digits(revision.strip_prefix('r').unwrap_or(revision)),
        }),
        other => panic!("{other} is no pattern that is known here"),
    }
}

/// Gives a function of one parameter each argument by its name: the schema takes it exactly where the run does, and what
/// comes back is as the other schema says.
fn check<F: Callable<M>, M: 'static>(function: F, fit: &[Json], unfit: &[Json]) -> Result<()> {
    let registry = registry()?;
    let _ = registry.register("it", function)?.params(["given"])?;
    let described = registry.describe("it")?;
    let (input, output) = (&described.input_schema, &described.output_schema);
    for given in fit {
        let arguments = json!({"given": given});
        assert!(fits(&arguments, input, input), "{given} does not fit {input}");
        let value = registry.execute("it", arguments)?.into_value();
        assert!(fits(&value, output, output), "{value} came back, which does not fit {output}");
    }
    for given in unfit {
        let arguments = json!({"given": given});
        assert!(!fits(&arguments, input, input), "{given} fits {input}");
        let refused = registry.execute("it", arguments).expect_err("it is not of this type");
        assert!(matches!(refused, CallError::Argument { .. }), "{refused}");
    }
    Ok(())
}

/// A function that gives back what it is given.
macro_rules! same {
    ($type:ty) => {
        |given: $type| -> $type { given }
    };
}

#[test]
fn numbers_and_texts_have_their_ranges() -> Result<()> {
    check(same!(u8), &[json!(0), json!(255)], &[json!(-1), json!(256), json!(1.5), json!("1"), Json::Null])?;
    check(same!(i64), &[json!(i64::MIN), json!(i64::MAX)], &[json!(true), json!([])])?;
    check(same!(u64), &[json!(0), json!(u64::MAX)], &[json!(-1)])?;
    let large = json!({"$int": "340282366920938463463374607431768211455"});
    check(same!(u128), &[json!(0), json!(u64::MAX), large], &[json!(-1), json!({"$int": "x"})])?;
    check(same!(f64), &[json!(1), json!(-0.5)], &[json!("1"), Json::Null])?;
    check(|given: f64| given / 0.0, &[json!(0), json!(1), json!(-1)], &[])?;
    check(same!(bool), &[json!(true)], &[json!(0)])?;
    check(same!(char), &[json!("ä")], &[json!(""), json!("ab")])?;
    check(same!(String), &[json!("")], &[json!(1)])?;
    check(same!(()), &[Json::Null], &[json!(0)])?;
    check(same!(Duration), &[json!([1, 5])], &[json!([1]), json!([1, 1_000_000_000]), json!([1, 2, 3]), json!(1)])?;
    check(|given: Option<NonZeroU8Arg>| given.is_some(), &[Json::Null, json!(1)], &[json!(0)])
}

#[derive(Value, Clone)]
struct NonZeroU8Arg(NonZeroU8);

#[test]
fn containers_are_made_of_what_they_hold() -> Result<()> {
    check(same!(Vec<u16>), &[json!([]), json!([1, 2])], &[json!([-1]), json!({})])?;
    check(same!(Vec<u8>), &[json!([1, 2]), json!({"$bytes": "AQI="})], &[json!([256]), json!("AQI=")])?;
    check(|given: [u8; 2]| given.len(), &[json!([1, 2]), json!({"$bytes": "AQI="})], &[json!([1])])?;
    check(|given: [i8; 2]| given[0], &[json!([1, 2])], &[json!([1]), json!([1, 2, 3])])?;
    check(same!(Option<u8>), &[Json::Null, json!(1)], &[json!("")])?;
    check(same!(Vec<Option<u8>>), &[json!([null, 1])], &[json!([""])])?;
    let nested = json!({"a": {"$some": null}, "b": null, "c": 1});
    check(same!(BTreeMap<String, Option<Option<u8>>>), &[nested], &[json!({"a": ""})])?;
    check(|given: (u8, String)| (given.1, given.0), &[json!([1, "a"])], &[json!([1]), json!(["a", 1])])?;
    check(|given: BTreeSet<u8>| given.len(), &[json!([1, 2])], &[json!([1, 1]), json!({"a": 1})])?;
    check(same!(BTreeMap<String, u8>), &[json!({}), json!({"a": 1})], &[json!({"a": "b"}), json!([["a"]])])?;
    check(same!(BTreeMap<u8, u8>), &[json!({}), json!({"7": 1})], &[json!({"x": 1}), json!({"7": -1})])?;
    check(same!(BTreeMap<Colour, u8>), &[json!({}), json!({"Red": 1})], &[json!({"Pink": 1})])?;
    check(same!(HashMap<(u8, u8), bool>), &[json!([]), json!([[[1, 2], true]])], &[json!([[[1], true]])])
}

#[test]
fn value_types_are_defined_by_name() -> Result<()> {
    let grade = json!({"course": "x", "points": 1});
    let whole = json!({"course": "x", "points": 1, "weight": 2, "remark": "good"});
    let unfit = [json!({"course": "x"}), json!({"course": "x", "points": 1, "weigt": 2}), json!("x")];
    check(same!(Grade), &[grade.clone(), whole], &unfit)?;
    check(same!(Vec<Grade>), &[json!([grade])], &unfit)?;
    check(same!(Colour), &[json!("Red")], &[json!("Pink"), json!(0)])?;
    let shapes = [
        json!("Empty"),
        json!({"Circle": 1}),
        json!({"Box": {"width": 1, "height": 2}}),
        json!({"Line": [1, -1]}),
        json!("Maybe"),
        json!({"Maybe": 1}),
        json!({"Many": ["Empty", {"Many": []}]}),
    ];
    check(
        same!(Shape),
        &shapes,
        &[json!("Circle"), json!({"Box": {"width": 1}}), json!({"Circle": 1, "Empty": null})],
    )?;
    check(same!(Pair<Colour>), &[json!(["Red", "Blue"])], &[json!(["Red"])])?;
    let registry = registry()?;
    let _ = registry.register("it", same!(Pair<Grade>))?.params(["pair"])?;
    let schema = registry.describe("it")?.input_schema;
    assert_eq!(schema["properties"]["pair"], json!({"$ref": "#/$defs/Pair_Grade_"}));
    let item = json!({"$ref": "#/$defs/Grade"});
    assert_eq!(
        schema["$defs"]["Pair_Grade_"],
        json!({"type": "array", "prefixItems": [item, item], "items": false, "minItems": 2})
    );
    assert_eq!(
        schema["$defs"]["Grade"],
        json!({
            "type": "object",
            "properties": {
                "course": {"type": "string"},
                "points": {"type": "number"},
                "weight": {"type": "integer", "minimum": 0, "maximum": 255},
                "remark": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["course", "points"],
            "additionalProperties": false,
        })
    );
    Ok(())
}

#[test]
fn a_foreign_type_is_whatever_serde_takes() -> Result<()> {
    check(|given: PlainArg<Foreign>| given.0.x, &[json!({"x": 1})], &[])?;
    let registry = registry()?;
    let _ = registry.register("it", |given: PlainArg<Foreign>| given.0.x)?.params(["given"])?;
    let schema = &registry.describe("it")?.input_schema["properties"]["given"];
    assert_eq!(*schema, json!({"description": "a Foreign, as serde writes it"}));
    Ok(())
}

fn rename(student: &mut Student, name: String) {
    student.name = name;
}

fn names(students: Vec<&Student>) -> Vec<String> {
    students.into_iter().map(|student| student.name.clone()).collect()
}

fn enroll(name: String) -> std::result::Result<(Student, Option<u8>), String> {
    Ok((Student { id: Id::new(), name }, None))
}

#[test]
fn an_entity_is_its_address() -> Result<()> {
    let address = format!("@{ID}");
    let (first, later) = (format!("{address}#1"), format!("{address}#r1"));
    let unfit = [json!(ID), json!("@x"), json!(format!("{address}.name")), json!(format!("{address}#x")), json!(7)];
    check(|given: &Student| given.name.clone(), &[json!(address), json!(first), json!(later)], &unfit)?;
    check(names, &[json!([]), json!([address, first])], &[json!(address), json!([ID])])?;
    check(enroll, &[json!("Bob")], &[Json::Null])?;
    check(same!(Id<Student>), &[json!(ID), json!(address)], &[json!("x"), Json::Null])?;
    let registry = registry()?;
    let _ = registry.register("rename", rename)?.params(["student", "name"])?;
    let schema = &registry.describe("rename")?.input_schema["properties"]["student"];
    assert_eq!(
        schema["description"],
        "the address of a Student: \"@<id>\", or \"@<id>#<revision>\" if it must still be at that one"
    );
    Ok(())
}

#[test]
fn the_manifest_lists_every_callable_as_a_tool() -> Result<()> {
    let registry = registry()?;
    let _ = registry.register("rename", rename)?.params(["student", "name"])?.docs("Renames.")?.code_version("3")?;
    let _ = registry.register("names", names)?;
    let _ = registry.register("nothing", || ())?;
    let manifest = registry.manifest();
    assert_eq!(manifest.tools[1], registry.describe("names")?);
    let json = serde_json::to_value(&manifest).expect("it is written as JSON");
    assert_eq!(json["jsonSchemaDialect"], Manifest::DIALECT);
    let tools = json["tools"].as_array().expect("a list");
    let told = |tool: &Json| ["name", "description", "code_version", "strategy"].map(|word| tool[word].clone());
    assert_eq!(told(&tools[0]), ["rename", "Renames.", "3", "edits one"]);
    let signature = "names(&list<Student>) -> list<text>: reads";
    assert_eq!(told(&tools[1])[..2], ["names", signature].map(Json::from));
    assert_eq!(told(&tools[1])[2..], [Json::Null, json!("reads")]);
    assert_eq!(tools[0]["input_schema"]["required"], json!(["student", "name"]));
    let nothing = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    assert_eq!((&tools[2]["input_schema"], &tools[2]["output_schema"]), (&nothing, &json!({"type": "null"})));
    Ok(())
}

#[test]
fn parameters_without_names_are_a_list() -> Result<()> {
    let registry = registry()?;
    let _ = registry.register("rename", rename)?;
    let schema = registry.describe("rename")?.input_schema;
    for (arguments, good) in
        [(json!([format!("@{ID}"), "Bo"]), true), (json!([format!("@{ID}")]), false), (json!({"name": "Bo"}), false)]
    {
        assert_eq!(fits(&arguments, &schema, &schema), good, "{arguments}");
        assert_eq!(registry.execute("rename", arguments).is_ok(), good);
    }
    Ok(())
}
