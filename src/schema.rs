//! What a type looks like: static metadata that the derive writes, and layouts with their digests.

use std::any::{Any, TypeId};
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
    /// Whether it may be absent from what is read: it has a default, or is one of the types that can be nothing.
    pub optional: fn() -> bool,
    /// Writes the layout of its type and gives that type's name.
    pub layout: fn(&mut Layouter) -> String,
}

/// The shape of what a struct or variant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFields {
    /// Named fields.
    Named(&'static [FieldMeta]),
    /// Fields by position, more than one.
    Tuple(&'static [FieldMeta]),
    /// One field without a name: it stands for itself.
    Newtype(&'static [FieldMeta]),
    /// Nothing.
    Unit,
}

impl PartialEq for FieldMeta {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FieldMeta {}

impl ValueFields {
    /// The rows of the fields.
    #[must_use]
    pub const fn rows(&self) -> &'static [FieldMeta] {
        match self {
            ValueFields::Named(rows) | ValueFields::Tuple(rows) | ValueFields::Newtype(rows) => rows,
            ValueFields::Unit => &[],
        }
    }
}

/// One variant of a value type: name, other names, what it holds.
pub type VariantRow = (&'static str, &'static [&'static str], ValueFields);

/// Whose the data of an entity is, where it can be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectOf {
    /// Its own: the subject has the name that its id is as text.
    Itself,
    /// That of the subject whom this stored field names, by its position.
    Field(u16),
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
    /// Whose the data is, where that was said: then own states are sealed.
    pub subject: Option<SubjectOf>,
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

    /// The row of the variant of this name, for an enum of entities, also within an enum; itself for a struct.
    pub(crate) fn leaf(&'static self, name: &str) -> Option<&'static Meta> {
        if self.variants.is_empty() {
            return (self.name == name || self.aliases.contains(&name)).then_some(self);
        }
        self.variants.iter().find_map(|variant| variant().leaf(name))
    }

    /// Whether own states of it are sealed, or those of one of its variants.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.subject.is_some() || self.variants.iter().any(|variant| variant().seals())
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
        Layout { digest: layout_digest(&text), text }
    }

    fn write_layout(&self, text: &mut String, layouter: &mut Layouter) {
        text.push_str(&format!("entity {} schema {}\n", self.full_name(), self.schema));
        self.write_fields(text, layouter, 2);
    }

    /// A line for each field, or for each variant with its fields.
    fn write_fields(&self, text: &mut String, layouter: &mut Layouter, indent: usize) {
        for field in self.fields {
            let holds = (field.layout)(layouter);
            let unordered = if field.unordered { " unordered" } else { "" };
            text.push_str(&format!("{:indent$}{}: {} {holds}{unordered}\n", "", field.name, field.role));
        }
        // Whether it is sealed is part of how it is stored: what follows on a state that was not is stored whole.
        match self.subject {
            None => {}
            Some(SubjectOf::Itself) => text.push_str(&format!("{:indent$}subject\n", "")),
            Some(SubjectOf::Field(field)) => {
                let name = self.fields.get(usize::from(field)).map_or("", |field| field.name);
                text.push_str(&format!("{:indent$}subject {name}\n", ""));
            }
        }
        for variant in self.variants {
            text.push_str(&format!("{:indent$}| {}\n", "", variant().full_name()));
            variant().write_fields(text, layouter, indent + 2);
        }
    }

    /// Whether a type of this stored name is this one: by its name today or an earlier one, also of the entities among
    /// its parameters.
    pub(crate) fn is_stored_as(&self, stored: &str) -> bool {
        let (head, rest) = stored.split_at(stored.find('<').unwrap_or(stored.len()));
        let own = head == self.name || self.aliases.contains(&head);
        own && (self.full_name()[self.name.len()..] == *rest || self.parameters_are(rest))
    }

    fn parameters_are(&self, stored: &str) -> bool {
        let mut layouter = Layouter::default();
        let parameters: Vec<String> = self.parameters.iter().map(|parameter| parameter(&mut layouter)).collect();
        let mut renamed = stored.to_owned();
        for entity in &layouter.entities {
            for alias in entity.meta.aliases {
                renamed = rename(&renamed, alias, entity.meta.name);
            }
        }
        !parameters.is_empty() && renamed == format!("<{}>", parameters.join(", "))
    }
}

/// The names of an entity's parameters with one of them as it is called today.
fn rename(stored: &str, alias: &str, name: &str) -> String {
    let mut parts = stored.split('@');
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['<', '>', ',', ')', ']', ';']).unwrap_or(part.len());
        renamed.push('@');
        renamed.push_str(if &part[..end] == alias { name } else { &part[..end] });
        renamed.push_str(&part[end..]);
    }
    renamed
}

/// The entities in a shape as they are called today, by pairs of what they were called once and are today.
pub(crate) fn renamed(shape: &str, aliases: &[(&str, &str)]) -> String {
    aliases.iter().fold(shape.to_owned(), |shape, (alias, name)| rename(&shape, alias, name))
}

/// The digest of the text of a layout.
pub(crate) fn layout_digest(text: &str) -> Digest {
    let mut digester = Digester::new();
    digester.bytes(b"heirloom layout 1");
    digester.bytes(text.as_bytes());
    digester.finish()
}

/// The names of stored fields and what each holds, in order.
pub(crate) type StoredFields = Vec<(String, String)>;

/// What the text of a layout tells.
pub(crate) struct Stored {
    /// The fields: for each variant of an enum, else once.
    pub(crate) fields: Vec<(Option<String>, StoredFields)>,
    /// The value types by their names.
    pub(crate) definitions: Vec<(String, String)>,
}

impl Stored {
    /// Of a text that [`Meta::layout`] gave.
    pub(crate) fn of(layout: &str) -> Self {
        let mut fields = vec![(None, Vec::new())];
        let mut definitions = Vec::new();
        for line in layout.lines().skip(1) {
            let Some(line) = line.strip_prefix("  ").map(str::trim_start) else {
                definitions.extend(line.split_once(" = ").map(|(name, shape)| (name.to_owned(), shape.to_owned())));
                continue;
            };
            if let Some(variant) = line.strip_prefix("| ") {
                let name = variant.split('<').next().unwrap_or(variant);
                fields.push((Some(name.to_owned()), Vec::new()));
                continue;
            }
            let roles = [": value ", ": child ", ": reference "];
            let end = roles.iter().filter_map(|role| line.find(role)).min();
            if let (Some(end), Some((_, fields))) = (end, fields.last_mut()) {
                fields.push((line[..end].to_owned(), line[end + 2..].to_owned()));
            }
        }
        if fields.len() > 1 {
            fields.remove(0);
        }
        Self { fields, definitions }
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

/// A value type: its variants; a struct is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueRow {
    pub(crate) is_enum: bool,
    pub(crate) variants: &'static [VariantRow],
}

/// Collects the definitions of the value types that a layout uses, each once.
#[derive(Default, Debug)]
pub struct Layouter {
    definitions: BTreeMap<String, String>,
    /// What these are made of.
    pub(crate) values: BTreeMap<String, ValueRow>,
    /// The entity types that were met.
    pub(crate) entities: Vec<EntityType>,
}

/// An entity type as a field of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntityType {
    pub(crate) type_id: TypeId,
    pub(crate) meta: &'static Meta,
    /// What the engine knows of it, which stands higher up.
    pub(crate) row: &'static (dyn Any + Send + Sync),
    /// Whether the type itself has skipped or specially compared fields.
    pub(crate) settles: bool,
}

impl Layouter {
    /// What a value type was defined by.
    pub(crate) fn definition(&self, name: &str) -> Option<&str> {
        self.definitions.get(name).map(String::as_str)
    }

    /// Notes what the value type `name` is made of.
    pub(crate) fn note(&mut self, name: &str, is_enum: bool, variants: &'static [VariantRow]) {
        if !self.values.contains_key(name) {
            self.values.insert(name.to_owned(), ValueRow { is_enum, variants });
        }
    }

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
