//! What a type looks like: static metadata that the derive writes, and layouts with their digests.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;

use crate::digest::{Digest, Digester};

/// What a field is to its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The entity's own identity.
    Id,
    /// Compared and stored with the entity.
    Value,
    /// Entities that it owns.
    Child,
    /// Entities that it points at and does not own.
    Reference,
    /// Neither compared nor stored; `Default` on every read.
    Skip,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Id => "id",
            Role::Value => "value",
            Role::Child => "child",
            Role::Reference => "reference",
            Role::Skip => "skip",
        })
    }
}

/// One stored field of an entity type.
#[derive(Debug)]
pub struct FieldMeta {
    /// The stored name.
    pub name: &'static str,
    /// Earlier stored names, still read.
    pub aliases: &'static [&'static str],
    /// What the field is to its entity.
    pub role: Role,
    /// The field by which items of a list of plain structs are matched.
    pub key: Option<&'static str>,
    /// Whether the order of its items does not count.
    pub unordered: bool,
    /// Whether it holds entities by value.
    pub inlines: bool,
    /// Writes the layout of its type and gives that type's name.
    pub layout: fn(&mut Layouter) -> String,
}

/// An entity type: one static row that the derive writes.
#[derive(Debug)]
pub struct Meta {
    /// The stored name, without parameters.
    pub name: &'static str,
    /// Earlier stored names, still read.
    pub aliases: &'static [&'static str],
    /// The number of the stored schema, 1 unless said otherwise.
    pub schema: u32,
    /// The name of the id field.
    pub id: &'static str,
    /// The stored fields, in the order of their declaration; none for an enum of entities.
    pub fields: &'static [FieldMeta],
    /// The variants of an enum of entities.
    pub variants: &'static [fn() -> &'static Meta],
    /// The names of the type's parameters.
    pub parameters: &'static [fn(&mut Layouter) -> String],
}

impl Meta {
    /// The stored name with those of its parameters, such as `Shelf<@Book>` or `Grid<2>`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.parameters.is_empty() {
            return self.name.to_owned();
        }
        let mut layouter = Layouter::default();
        let parameters: Vec<String> = self.parameters.iter().map(|parameter| parameter(&mut layouter)).collect();
        format!("{}<{}>", self.name, parameters.join(", "))
    }

    /// The position of a field by its stored name or one of its aliases.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<usize> {
        let by_name = self.fields.iter().position(|field| field.name == name);
        by_name.or_else(|| self.fields.iter().position(|field| field.aliases.contains(&name)))
    }

    /// The layout of this type, in words and as a digest. Worked out anew at each call; a registry keeps it per type.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let mut layouter = Layouter::default();
        let mut text = String::new();
        self.write_layout(&mut text, &mut layouter);
        for (name, definition) in &layouter.definitions {
            text.push_str(&format!("{name} = {definition}\n"));
        }
        let mut digester = Digester::new();
        digester.bytes(b"heirloom layout 1");
        digester.bytes(text.as_bytes());
        Layout { text, digest: digester.finish() }
    }

    fn write_layout(&self, text: &mut String, layouter: &mut Layouter) {
        text.push_str(&format!("entity {} schema {}\n", self.full_name(), self.schema));
        for field in self.fields {
            let holds = (field.layout)(layouter);
            let unordered = if field.unordered { " unordered" } else { "" };
            text.push_str(&format!("  {}: {} {holds}{unordered}\n", field.name, field.role));
        }
        for variant in self.variants {
            text.push_str(&format!("  | {}\n", variant().full_name()));
        }
    }
}

/// The name of a constant parameter: its value as one writes it, so that a `char` is told from a number or a comma.
#[must_use]
pub fn constant_name(value: &dyn fmt::Debug) -> String {
    format!("{value:?}")
}

/// What is stored of a type: its fields, their roles and the shape of their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    text: String,
    digest: Digest,
}

impl Layout {
    /// One line for the type, one for each field, one for each value type it uses.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The digest of the text: equal exactly when the layouts are.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Collects the definitions of the value types that a layout uses, each once.
#[derive(Default, Debug)]
pub struct Layouter {
    definitions: BTreeMap<String, String>,
    /// The entity types that were met.
    pub(crate) entities: Vec<EntityType>,
}

/// An entity type as a field of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntityType {
    pub(crate) type_id: TypeId,
    pub(crate) meta: &'static Meta,
    /// Whether the type itself has skipped or specially compared fields.
    pub(crate) settles: bool,
}

impl Layouter {
    /// Defines the value type `name` by what `define` writes, unless it is defined already, and gives the name back.
    /// A type may use itself.
    pub fn define(&mut self, name: String, define: impl FnOnce(&mut Self) -> String) -> String {
        if !self.definitions.contains_key(&name) {
            self.definitions.insert(name.clone(), String::new());
            let definition = define(self);
            self.definitions.insert(name.clone(), definition);
        }
        name
    }
}
