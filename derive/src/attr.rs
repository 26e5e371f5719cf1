//! The attributes: `#[entity(...)]`, and what is read of `#[serde(...)]`.

use proc_macro2::{Ident, Span, TokenTree};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitInt, LitStr, Path, Token};

use crate::case::Case;

/// Collects mistakes, so that all of them are told at once.
#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(known) => known.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn finish<T>(self, parsed: T) -> syn::Result<T> {
        self.0.map_or(Ok(parsed), Err)
    }
}

/// Where attributes stand, which tells those that may.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    EntityStruct,
    EntityEnum,
    EntityVariant,
    EntityField,
    ValueType,
    ValueVariant,
    ValueField,
    /// A field without a name.
    ValuePosition,
}

impl Place {
    fn allowed(self) -> &'static [&'static str] {
        match self {
            Place::EntityStruct => &["name", "alias", "rename_all", "schema", "subject", "crate"],
            Place::EntityEnum => &["name", "alias", "schema", "crate"],
            Place::EntityVariant => &[],
            Place::EntityField => &["id", "skip", "value", "name", "alias", "key", "compare", "unordered", "subject"],
            Place::ValueType => &["name", "rename_all", "crate"],
            Place::ValueVariant => &["name", "alias"],
            Place::ValueField => &["skip", "value", "name", "alias"],
            Place::ValuePosition => &["skip", "value"],
        }
    }

    fn description(self) -> &'static str {
        match self {
            Place::EntityStruct => "an entity",
            Place::EntityEnum => "an enum of entities",
            Place::EntityVariant => "a variant of an enum of entities",
            Place::EntityField => "a field of an entity",
            Place::ValueType => "a value type",
            Place::ValueVariant => "a variant of a value type",
            Place::ValueField => "a field of a value type",
            Place::ValuePosition => "a field without a name",
        }
    }

    fn is_field(self) -> bool {
        matches!(self, Place::EntityField | Place::ValueField | Place::ValuePosition)
    }

    fn unknown(self, word: &Ident) -> syn::Error {
        let expected = match self.allowed() {
            [] => "none can: the variant is stored as its entity's type says".to_owned(),
            allowed => format!("expected {}", one_of(allowed)),
        };
        syn::Error::new(word.span(), format!("unknown attribute `{word}` on {}: {expected}", self.description()))
    }
}

pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [init @ .., last] if !init.is_empty() => format!("{} or {last}", init.join(", ")),
        _ => quoted.concat(),
    }
}

/// What takes the place of a field that is absent.
pub(crate) enum Absent {
    /// `Default` of its type.
    Default,
    /// What this function gives.
    Call(Path),
}

/// What an attribute says, with the word that says it.
pub(crate) struct Said<T = ()> {
    pub(crate) word: Ident,
    pub(crate) what: T,
}

/// The attributes of one type, variant or field; which of them may be there its place tells.
#[derive(Default)]
pub(crate) struct Attrs {
    pub(crate) id: Option<Said>,
    pub(crate) skip: Option<Said>,
    pub(crate) value: Option<Said>,
    pub(crate) unordered: Option<Said>,
    pub(crate) subject: Option<Said>,
    pub(crate) name: Option<Said<LitStr>>,
    pub(crate) key: Option<Said<LitStr>>,
    pub(crate) compare: Option<Said<Path>>,
    pub(crate) rename_all: Option<Said<Case>>,
    pub(crate) schema: Option<Said<u32>>,
    pub(crate) krate: Option<Said<Path>>,
    pub(crate) aliases: Vec<LitStr>,
    /// serde's `default`.
    pub(crate) absent: Option<Said<Absent>>,
}

impl Attrs {
    pub(crate) fn parse(attributes: &[Attribute], place: Place, mistakes: &mut Mistakes) -> Self {
        let mut attrs = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("entity")) {
            let parsed = attribute.parse_nested_meta(|meta| attrs.read(&meta, place, mistakes));
            parsed.unwrap_or_else(|error| mistakes.push(error));
        }
        attrs.refuse_conflicts(mistakes);
        let through_serde = attrs.skip.is_some() || attrs.value.is_some();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            // What serde's own derive would refuse is left to it.
            let _ = attribute.parse_nested_meta(|meta| attrs.read_serde(&meta, place, through_serde, mistakes));
        }
        attrs
    }

    /// Whether something says what a field is to its entity.
    pub(crate) fn says_role(&self) -> bool {
        self.skip.is_some() || self.value.is_some()
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>, place: Place, mistakes: &mut Mistakes) -> syn::Result<()> {
        let Some(word) = meta.path.get_ident().cloned() else {
            return Err(meta.error(format!("expected {}", one_of(place.allowed()))));
        };
        let name = word.unraw().to_string();
        if !place.allowed().contains(&name.as_str()) {
            mistakes.push(place.unknown(&word));
            return skip_rest(meta);
        }
        match name.as_str() {
            "id" => set(&mut self.id, word, flag(meta)?, mistakes),
            "skip" => set(&mut self.skip, word, flag(meta)?, mistakes),
            "value" => set(&mut self.value, word, flag(meta)?, mistakes),
            "subject" => set(&mut self.subject, word, flag(meta)?, mistakes),
            "unordered" => set(&mut self.unordered, word, flag(meta)?, mistakes),
            "name" => set(&mut self.name, word, stored_name(meta, "name", mistakes)?, mistakes),
            "alias" => self.aliases.push(stored_name(meta, "alias", mistakes)?),
            "key" => set(&mut self.key, word, text(meta, "key = \"sku\"")?, mistakes),
            "compare" => set(&mut self.compare, word, path(meta, "compare = path::to::function")?, mistakes),
            "crate" => set(&mut self.krate, word, path(meta, "crate = path::to::heirloom")?, mistakes),
            "rename_all" => {
                let case = Case::parse(&text(meta, "rename_all = \"camelCase\"")?)?;
                set(&mut self.rename_all, word, case, mistakes);
            }
            _ => set(&mut self.schema, word, schema(meta)?, mistakes),
        }
        Ok(())
    }

    /// A field is treated in one way.
    fn refuse_conflicts(&self, mistakes: &mut Mistakes) {
        let given: Vec<(&str, &Ident)> = [
            ("id", self.id.as_ref().map(|said| &said.word)),
            ("skip", self.skip.as_ref().map(|said| &said.word)),
            ("value", self.value.as_ref().map(|said| &said.word)),
            ("key", self.key.as_ref().map(|said| &said.word)),
            ("compare", self.compare.as_ref().map(|said| &said.word)),
            ("unordered", self.unordered.as_ref().map(|said| &said.word)),
            ("subject", self.subject.as_ref().map(|said| &said.word)),
            ("name", self.name.as_ref().map(|said| &said.word)),
        ]
        .into_iter()
        .filter_map(|(name, word)| Some((name, word?)))
        .collect();
        let clash = CONFLICTS.iter().find_map(|(one, other, why)| {
            let said = |name: &str| given.iter().find(|(given, _)| *given == name).map(|(_, word)| *word);
            Some((one, said(one)?, said(other)?, why))
        });
        if let Some((one, _, other, why)) = clash {
            mistakes.at(other.span(), format!("`{other}` and `{one}` exclude each other: {why}"));
        }
        if let (Some(_), Some(alias)) = (&self.skip, self.aliases.first()) {
            mistakes.at(alias.span(), "`alias` and `skip` exclude each other: a skipped field is not stored");
        }
    }

    fn read_serde(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        place: Place,
        through_serde: bool,
        mistakes: &mut Mistakes,
    ) -> syn::Result<()> {
        let Some(word) = meta.path.get_ident().cloned() else { return skip_rest(meta) };
        match word.to_string().as_str() {
            "default" if place == Place::ValuePosition && !through_serde => {
                mistakes.at(word.span(), "a field without a name is never absent: leave `default` out");
                skip_rest(meta)
            }
            "default" => {
                let what = if meta.input.peek(Token![=]) {
                    Absent::Call(meta.value()?.parse::<LitStr>()?.parse()?)
                } else {
                    Absent::Default
                };
                self.absent = Some(Said { word, what });
                Ok(())
            }
            "alias" if place != Place::ValuePosition => {
                let alias: LitStr = meta.value()?.parse()?;
                if self.aliases.iter().all(|known| known.value() != alias.value()) {
                    self.aliases.push(alias);
                }
                Ok(())
            }
            name => {
                if let Some(instead) = instead_of(name, place).filter(|_| !through_serde) {
                    mistakes
                        .at(word.span(), format!("serde's `{name}` does not govern what heirloom stores: {instead}"));
                }
                skip_rest(meta)
            }
        }
    }
}

/// Pairs of attributes that cannot stand on one field, and why.
const CONFLICTS: [(&str, &str, &str); 19] = [
    ("id", "skip", "the id is what an entity is known by"),
    ("id", "value", "the id is what an entity is known by"),
    ("id", "key", "the id is what an entity is known by"),
    ("id", "compare", "the id is what an entity is known by"),
    ("id", "unordered", "the id is what an entity is known by"),
    ("id", "subject", "of an entity that is its own subject the struct is marked"),
    ("skip", "subject", "a skipped field is not stored"),
    ("value", "subject", "heirloom does not see into a field kept through serde"),
    ("compare", "subject", "a field that keeps what it was would name another subject than it says"),
    ("unordered", "subject", "a list names no subject"),
    ("skip", "value", "a skipped field is not stored"),
    ("skip", "name", "a skipped field is not stored"),
    ("skip", "key", "a skipped field is not stored"),
    ("skip", "compare", "a skipped field is not compared"),
    ("skip", "unordered", "a skipped field is not compared"),
    ("value", "key", "heirloom does not see into a field kept through serde; derive `Value` for its items"),
    ("value", "unordered", "heirloom does not see into a field kept through serde; use `compare`"),
    ("compare", "unordered", "each says when two are the same"),
    ("unordered", "key", "an unordered list has no items at places"),
];

/// What to write instead of an attribute of serde that changes the shape; `None` for those that do not.
fn instead_of(name: &str, place: Place) -> Option<&'static str> {
    let keep_whole = if place.is_field() {
        "mark the field `#[entity(value)]` to keep it through serde"
    } else if matches!(place, Place::ValueType | Place::ValueVariant) {
        "leave it out, or derive no `Value` and mark the fields of this type `#[entity(value)]`"
    } else {
        "leave it out, an entity is stored field by field"
    };
    match name {
        "rename" if place == Place::EntityVariant => Some("give the entity's type its `#[entity(name = \"...\")]`"),
        "rename" => Some("use `#[entity(name = \"...\")]`"),
        "rename_all" => Some("use `#[entity(rename_all = \"...\")]`"),
        "rename_all_fields" => Some("use `#[entity(name = \"...\")]` on the fields"),
        "skip" | "skip_serializing" | "skip_deserializing" if place.is_field() => Some("use `#[entity(skip)]`"),
        "skip" | "skip_serializing" | "skip_deserializing" | "with" | "serialize_with" | "deserialize_with"
        | "flatten" | "tag" | "untagged" | "content" | "transparent" | "from" | "into" | "try_from" | "remote"
        | "getter" | "other" => Some(keep_whole),
        _ => None,
    }
}

pub(crate) fn set<T>(slot: &mut Option<Said<T>>, word: Ident, what: T, mistakes: &mut Mistakes) {
    match slot {
        Some(_) => mistakes.at(word.span(), format!("`{word}` is given twice: expected it once")),
        None => *slot = Some(Said { word, what }),
    }
}

/// Passes over what an attribute says.
pub(crate) fn skip_rest(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn flag(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return Ok(());
    }
    let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
    Err(meta.input.error(format!("`{word}` says all by itself: expected nothing after it")))
}

pub(crate) fn text(meta: &ParseNestedMeta<'_>, example: &str) -> syn::Result<LitStr> {
    let value = given(meta, example)?;
    value.parse().map_err(|error| syn::Error::new(error.span(), format!("expected text: `{example}`")))
}

pub(crate) fn path(meta: &ParseNestedMeta<'_>, example: &str) -> syn::Result<Path> {
    let value = given(meta, example)?;
    value.parse().map_err(|error| syn::Error::new(error.span(), format!("expected a path: `{example}`")))
}

fn schema(meta: &ParseNestedMeta<'_>) -> syn::Result<u32> {
    let value = given(meta, "schema = 2")?;
    let wrong = |span| syn::Error::new(span, "expected a whole number from 1 on: `schema = 2`");
    let literal: LitInt = value.parse().map_err(|error| wrong(error.span()))?;
    literal.base10_parse().ok().filter(|number| *number > 0).ok_or_else(|| wrong(literal.span()))
}

pub(crate) fn given<'a>(meta: &ParseNestedMeta<'a>, example: &str) -> syn::Result<syn::parse::ParseStream<'a>> {
    meta.value().map_err(|_| meta.error(format!("expected something to be said: `{example}`")))
}

/// A name as it is stored.
fn stored_name(meta: &ParseNestedMeta<'_>, word: &str, mistakes: &mut Mistakes) -> syn::Result<LitStr> {
    let name = text(meta, &format!("{word} = \"...\""))?;
    let value = name.value();
    if value.is_empty() {
        mistakes.at(name.span(), "a stored name is not empty");
    } else if value.starts_with('$') {
        mistakes.at(name.span(), "a stored name does not begin with `$`: such are kept for values that JSON lacks");
    } else if value.chars().any(|letter| letter.is_control() || "<>,".contains(letter)) {
        mistakes.at(name.span(), "a stored name has no control characters, `<`, `>` or `,`");
    }
    Ok(name)
}
