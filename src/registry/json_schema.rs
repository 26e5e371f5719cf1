//! Types as JSON Schema (draft 2020-12, <https://json-schema.org/draft/2020-12>): what a call takes and gives back.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::kinds::Access;
use crate::entity::Field;
use crate::schema::{FieldMeta, Layouter, Meta, ValueFields, ValueRow};

/// The text of an id, as a pattern.
const ID: &str = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";

/// So deep a type is followed that is a name for another: one that is a name for itself has no values.
const DEEPEST: usize = 8;

/// Whether what is described is given to a callable or comes from it: more is read than is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Given,
    GivenBack,
}

/// The schemas of one callable's input or output, with those of the value types that they use.
pub struct Schemas {
    way: Way,
    layouter: Layouter,
    /// What the value types are called among the definitions, by their names in layouts.
    names: HashMap<String, String, ahash::RandomState>,
    definitions: Map<String, Json>,
}

/// An entity that is to be given.
pub(super) fn given_entity(meta: &Meta, access: Access) -> Json {
    let revision = match access {
        Access::Edits => "if it must still be at that one",
        _ => "as it was then",
    };
    json!({
        "type": "string",
        "pattern": format!("^@{ID}(#r?[0-9]+)?$"),
        "description": format!("the address of a {}: \"@<id>\", or \"@<id>#<revision>\" {revision}", meta.full_name()),
    })
}

/// An entity that a run created.
pub(super) fn created_entity(meta: &Meta) -> Json {
    let description = format!("the address of a new {}", meta.full_name());
    json!({"type": "string", "pattern": format!("^@{ID}$"), "description": description})
}

/// Items by their positions.
pub(super) fn tuple(items: Vec<Json>) -> Json {
    let count = items.len();
    if count == 0 {
        return json!({"type": "array", "maxItems": 0});
    }
    json!({"type": "array", "prefixItems": items, "items": false, "minItems": count})
}

/// What may also be null.
pub(super) fn or_null(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// An object of one key.
fn keyed(key: &str, holds: Json) -> Json {
    let properties = Map::from_iter([(key.to_owned(), holds)]);
    json!({"type": "object", "properties": properties, "required": [key], "additionalProperties": false})
}

impl Schemas {
    pub(super) fn new(way: Way) -> Self {
        Self { way, layouter: Layouter::default(), names: HashMap::default(), definitions: Map::new() }
    }

    /// The schema with the definitions that it refers to.
    pub(super) fn finish(self, mut schema: Json) -> Json {
        if let (Json::Object(schema), false) = (&mut schema, self.definitions.is_empty()) {
            schema.insert("$defs".to_owned(), Json::Object(self.definitions));
        }
        schema
    }

    /// The schema of a plain value.
    pub(super) fn value<V: Field>(&mut self) -> Json {
        let shape = V::layout(&mut self.layouter);
        self.shape(&shape)
    }

    /// The schema of what a layout calls so.
    fn shape(&mut self, shape: &str) -> Json {
        if let Some(row) = self.layouter.values.get(shape).copied() {
            return self.value_type(shape, row);
        }
        if let Some(schema) = scalar(shape, self.way) {
            return schema;
        }
        let container = shape.strip_suffix('>').and_then(|shape| shape.split_once('<'));
        let parts = container.map(|(_, inner)| parts(inner)).unwrap_or_default();
        match (container.map(|(name, _)| name), parts.as_slice()) {
            // What is written as null itself is told from none.
            (Some("option"), [inner]) if self.may_be_null(inner, DEEPEST) => {
                let inner = self.shape(inner);
                json!({"anyOf": [inner, keyed("$some", inner), {"type": "null"}]})
            }
            (Some("option"), [inner]) => or_null(self.shape(inner)),
            (Some("list"), ["u8"]) => self.bytes(json!({"type": "array", "items": scalar("u8", self.way)})),
            (Some("list"), [item]) => json!({"type": "array", "items": self.shape(item)}),
            (Some("set" | "ordered set"), [item]) => {
                json!({"type": "array", "items": self.shape(item), "uniqueItems": true})
            }
            (Some("map" | "ordered map"), [key, value]) => self.map(key, value),
            (Some("serde"), _) => {
                let name = &shape["serde<".len()..shape.len() - 1];
                json!({"description": format!("a {name}, as serde writes it")})
            }
            _ => self.sequence(shape),
        }
    }

    /// Arrays `[item; length]` and tuples `(one, other)`; for all else anything, under its name.
    fn sequence(&mut self, shape: &str) -> Json {
        let within = |open, close| shape.strip_prefix(open)?.strip_suffix(close);
        if let Some((item, length)) = within('[', ']').and_then(|inner| inner.rsplit_once("; "))
            && let Ok(length) = length.parse::<usize>()
        {
            let array = json!({"type": "array", "items": self.shape(item), "minItems": length, "maxItems": length});
            return if item == "u8" { self.bytes(array) } else { array };
        }
        match within('(', ')') {
            Some(inner) => {
                let items = parts(inner).into_iter().map(|item| self.shape(item)).collect();
                tuple(items)
            }
            None => json!({"description": shape}),
        }
    }

    /// Bytes, which may be given as the list that they are.
    fn bytes(&self, list: Json) -> Json {
        let bytes = keyed("$bytes", json!({"type": "string", "contentEncoding": "base64"}));
        if self.way == Way::Given { json!({"anyOf": [list, bytes]}) } else { bytes }
    }

    /// An object, where the keys are text or can be given as such; else a list of pairs.
    fn map(&mut self, key: &str, value: &str) -> Json {
        let (keys, values) = (self.shape(key), self.shape(value));
        let object = |names: Option<Json>| {
            let mut object = json!({"type": "object", "additionalProperties": values});
            if let Some(names) = names {
                object["propertyNames"] = names;
            }
            object
        };
        match (key, self.way) {
            ("text", _) => return object(None),
            ("char", _) | ("reference" | "&any", Way::Given) => return object(Some(keys)),
            _ => {}
        }
        let pairs = json!({"type": "array", "items": tuple(vec![keys.clone(), values.clone()])});
        if self.way == Way::GivenBack {
            return json!({"anyOf": [pairs, {"type": "object", "maxProperties": 0}]});
        }
        let is_names =
            |row: &ValueRow| row.is_enum && row.variants.iter().all(|(_, _, holds)| *holds == ValueFields::Unit);
        if self.layouter.values.get(key).is_some_and(is_names) {
            return object(Some(keys));
        }
        let digits = integer(key).is_some().then(|| object(Some(json!({"pattern": "^-?[0-9]+$"}))));
        digits.unwrap_or(pairs)
    }

    /// A value type, by a reference to its definition: it may use itself.
    fn value_type(&mut self, shape: &str, row: ValueRow) -> Json {
        if let Some(name) = self.names.get(shape) {
            return json!({"$ref": format!("#/$defs/{name}")});
        }
        let plain: String = shape.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut name = plain.clone();
        for number in 2.. {
            if !self.names.values().any(|taken| *taken == name) {
                break;
            }
            name = format!("{plain}_{number}");
        }
        self.names.insert(shape.to_owned(), name.clone());
        let schema = if row.is_enum { self.variants(row) } else { self.fields(&row.variants[0].2) };
        self.definitions.insert(name.clone(), schema);
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn variants(&mut self, row: ValueRow) -> Json {
        let (mut names, mut objects) = (Vec::new(), Vec::new());
        for (name, _, holds) in row.variants {
            if self.holds_null(holds, DEEPEST) {
                names.push(*name);
            }
            if *holds != ValueFields::Unit {
                objects.push(keyed(name, self.fields(holds)));
            }
        }
        if objects.is_empty() {
            return json!({"type": "string", "enum": names});
        }
        if !names.is_empty() {
            objects.insert(0, json!({"type": "string", "enum": names}));
        }
        json!({"anyOf": objects})
    }

    /// Whether what has these fields is written as null, sometimes; a variant is then told by its name alone.
    fn holds_null(&mut self, holds: &ValueFields, depth: usize) -> bool {
        match holds {
            ValueFields::Unit => true,
            ValueFields::Newtype([row]) => {
                let shape = (row.layout)(&mut self.layouter);
                self.may_be_null(&shape, depth)
            }
            _ => false,
        }
    }

    /// Whether what a layout calls so is written as null, sometimes.
    fn may_be_null(&mut self, shape: &str, depth: usize) -> bool {
        match self.layouter.values.get(shape).copied() {
            Some(row) => !row.is_enum && depth > 0 && self.holds_null(&row.variants[0].2, depth - 1),
            None => shape == "unit" || shape.starts_with("option<") || shape.starts_with("serde<"),
        }
    }

    fn fields(&mut self, fields: &ValueFields) -> Json {
        let mut schema = |row: &FieldMeta| {
            let shape = (row.layout)(&mut self.layouter);
            self.shape(&shape)
        };
        match fields {
            ValueFields::Unit => json!({"type": "null"}),
            ValueFields::Newtype(rows) => rows.first().map_or(Json::Bool(true), schema),
            ValueFields::Tuple(rows) => tuple(rows.iter().map(schema).collect()),
            ValueFields::Named(rows) => {
                let properties: Map<String, Json> = rows.iter().map(|row| (row.name.to_owned(), schema(row))).collect();
                let needed = |row: &&FieldMeta| self.way == Way::GivenBack || !(row.optional)();
                let required: Vec<&str> = rows.iter().filter(needed).map(|row| row.name).collect();
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }
        }
    }
}

/// The schema of an integer type by its name.
fn integer(name: &str) -> Option<Json> {
    macro_rules! between {
        ($type:ty) => {
            json!({"type": "integer", "minimum": <$type>::MIN, "maximum": <$type>::MAX})
        };
    }
    // What 64 bits do not hold is no number of JSON's that programs agree on.
    let wide = |least: Json, sign: &str| {
        let digits = keyed("$int", json!({"type": "string", "pattern": format!("^{sign}[0-9]+$")}));
        json!({"anyOf": [{"type": "integer", "minimum": least, "maximum": u64::MAX}, digits]})
    };
    Some(match name {
        "i8" => between!(i8),
        "i16" => between!(i16),
        "i32" => between!(i32),
        "i64" => between!(i64),
        "isize" => between!(isize),
        "u8" => between!(u8),
        "u16" => between!(u16),
        "u32" => between!(u32),
        "u64" => between!(u64),
        "usize" => between!(usize),
        "i128" => wide(json!(i64::MIN), "-?"),
        "u128" => wide(json!(0), ""),
        _ => return None,
    })
}

/// The schema of a value without parts, by its name in layouts.
fn scalar(name: &str, way: Way) -> Option<Json> {
    if let Some(number) = integer(name) {
        return Some(number);
    }
    if let Some(number) = name.strip_prefix("nonzero ") {
        let mut schema = integer(number)?;
        schema["not"] = json!({"const": 0});
        return Some(schema);
    }
    Some(match (name, way) {
        ("bool", _) => json!({"type": "boolean"}),
        ("char", _) => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        ("text", _) => json!({"type": "string"}),
        ("unit", _) => json!({"type": "null"}),
        ("f32" | "f64", Way::Given) => json!({"type": "number"}),
        ("f32" | "f64", Way::GivenBack) => {
            json!({"anyOf": [{"type": "number"}, keyed("$float", json!({"enum": ["NaN", "inf", "-inf"]}))]})
        }
        ("duration", _) => {
            let mut parts =
                tuple(vec![integer("u64")?, json!({"type": "integer", "minimum": 0, "maximum": 999_999_999})]);
            parts["description"] = json!("seconds and nanoseconds");
            parts
        }
        ("reference" | "&any", way) => {
            let sign = if way == Way::Given { "@?" } else { "" };
            json!({"type": "string", "pattern": format!("^{sign}{ID}$"), "description": "the id of an entity"})
        }
        _ => return None,
    })
}

/// What stands between the commas of a list of names that may have such lists themselves.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in list.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts
}
