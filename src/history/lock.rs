//! The lock of layouts: a text file beside the code that says which layouts histories may hold, and a check that each of
//! them still leads to today's types.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Archive, Types};
use crate::digest::Digest;
use crate::entity::TypeRow;
use crate::schema::{Layouter, Meta, Stored, layout_digest, renamed};
use crate::store::Cause;

/// The variable that has a check write what is missing.
const VARIABLE: &str = "HEIRLOOM_LOCK";

const HEADER: &str = "# The layouts that histories are stored by, one block each: heirloom reads them all for good.\n\
                      # Written by `check_lock` with HEIRLOOM_LOCK=write; keep it in version control, and never edit a block.\n";

/// Why the layouts of a lock do not all lead to today's types, or today's are not in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// States of a locked layout could not be read any more.
    #[error(
        "states of {name:?} that were stored by schema {schema} cannot be read by today's type: {reason}. Give new fields a \
         `#[serde(default)]` and renamed ones an `#[entity(alias = \"...\")]`; for all else raise the schema of the type \
         (`#[entity(schema = ...)]`, from {schema_today} today) and register upcasters from schema {schema} on with \
         `upcast`.\nLocked:\n{locked}Today:\n{today}"
    )]
    NoPath {
        /// The stored name of the type.
        name: String,
        /// The number of the locked schema.
        schema: u32,
        /// The number of the schema that the type has today.
        schema_today: u32,
        /// What does not fit.
        reason: String,
        /// The locked layout.
        locked: String,
        /// The layout of the type today.
        today: String,
    },
    /// No type is known that a locked layout is of.
    #[error(
        "{name:?} is in the lock, and no type of that name is known here: take it in with `register_type`, or say \
         `#[entity(alias = \"{name}\")]` on the type that it has become; or take its block out if no history has one.\n\
         Locked:\n{locked}"
    )]
    NoType {
        /// The stored name of the type.
        name: String,
        /// The locked layout.
        locked: String,
    },
    /// A type has a layout that is not locked yet.
    #[error(
        "the layout of {name:?} is not in {path}: if that is meant, run this once with {VARIABLE}=write and keep the file.\n\
         Today:\n{today}"
    )]
    NotLocked {
        /// The stored name of the type.
        name: String,
        /// The file.
        path: PathBuf,
        /// The layout of the type today.
        today: String,
    },
    /// The file is not as it was written.
    #[error("{path}, line {line}: {why}; take the file as it was from version control")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1 on.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
}

/// One block.
pub(super) struct Locked {
    name: String,
    schema: u32,
    text: String,
}

/// The blocks of a lock, in the order in which they are written.
pub(super) type Blocks = BTreeMap<(String, u32, String), Locked>;

impl Archive {
    /// See [`Registry::check_lock`](crate::registry::Registry::check_lock).
    pub(crate) fn check_lock(&self, path: &Path) -> Result<(), LockError> {
        let asked = std::env::var_os(VARIABLE).is_some_and(|asked| asked == "write");
        if asked || !path.exists() {
            return self.write_lock(path);
        }
        let blocks = read(path)?;
        self.check_paths(&blocks)?;
        for (key, today) in self.today() {
            if !blocks.contains_key(&key) {
                return Err(LockError::NotLocked { name: today.name, path: path.to_owned(), today: today.text });
            }
        }
        Ok(())
    }

    /// See [`Registry::write_lock`](crate::registry::Registry::write_lock).
    pub(crate) fn write_lock(&self, path: &Path) -> Result<(), LockError> {
        let mut blocks = read(path)?;
        self.check_paths(&blocks)?;
        blocks.extend(self.today());
        let mut text = HEADER.to_owned();
        for ((_, _, digest), block) in &blocks {
            text.push_str(&format!("\nlayout {digest}\n{}", block.text));
        }
        if fs::read_to_string(path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        fs::write(path, text).map_err(|error| io(path, error))
    }

    /// The layouts of all types that are known.
    fn today(&self) -> Blocks {
        let block = |row: &'static TypeRow| {
            let (layout, name, schema) = (self.types.layout(row), row.meta.full_name(), row.meta.schema);
            let locked = Locked { name: name.clone(), schema, text: layout.text().to_owned() };
            ((name, schema, layout.digest().to_string()), locked)
        };
        self.types.rows_of_users().into_iter().map(block).collect()
    }

    fn check_paths(&self, blocks: &Blocks) -> Result<(), LockError> {
        for ((_, _, digest), Locked { name, schema, text }) in blocks {
            let Some(row) = self.types.by_stored_name(name) else {
                return Err(LockError::NoType { name: name.clone(), locked: text.clone() });
            };
            let today = self.types.layout(row);
            if today.digest().to_string() == *digest {
                continue;
            }
            path_to(&self.types, row, *schema, text).map_err(|reason| LockError::NoPath {
                name: name.clone(),
                schema: *schema,
                schema_today: row.meta.schema,
                reason,
                locked: text.clone(),
                today: today.text().to_owned(),
            })?;
        }
        Ok(())
    }
}

fn io(path: &Path, error: std::io::Error) -> LockError {
    LockError::Io { path: path.to_owned(), source: Arc::new(error) }
}

fn read(path: &Path) -> Result<Blocks, LockError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io(path, error)),
    };
    parse(path, &text)
}

/// The blocks of the text of a lock.
pub(super) fn parse(path: &Path, text: &str) -> Result<Blocks, LockError> {
    let mut blocks = Blocks::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let damaged = |why| LockError::Damaged { path: path.to_owned(), line: at + 1, why };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let digest = line.strip_prefix("layout ").and_then(Digest::parse);
        let digest = digest.ok_or_else(|| damaged("a block begins with `layout` and 64 hexadecimal digits"))?;
        let mut text = String::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
            text.push_str(line);
            text.push('\n');
        }
        if layout_digest(&text) != digest {
            return Err(damaged("the layout that follows has another digest, so it was edited"));
        }
        let head = text.lines().next().and_then(|line| line.strip_prefix("entity ")?.rsplit_once(" schema "));
        let head = head.and_then(|(name, schema)| Some((name.to_owned(), schema.parse().ok()?)));
        let (name, schema): (String, u32) = head.ok_or_else(|| damaged("it is the layout of no entity"))?;
        blocks.insert((name.clone(), schema, digest.to_string()), Locked { name, schema, text });
    }
    Ok(blocks)
}

/// Whether states of a layout can be read by a type; if not, why.
pub(super) fn path_to(types: &Types, row: &'static TypeRow, schema: u32, layout: &str) -> Result<(), String> {
    let today = row.meta.schema;
    let steps = types.upcasters(row, schema);
    if !steps.is_empty() {
        return match (schema..today).find(|step| !steps.contains(step)) {
            None => Ok(()),
            Some(missing) => Err(format!("there is no upcaster from schema {missing}, and there are others")),
        };
    }
    let stored = Stored::of(layout);
    let aliases: Vec<(&str, &str)> = types
        .rows_of_users()
        .into_iter()
        .flat_map(|row| row.meta.aliases.iter().map(|alias| (*alias, row.meta.name)))
        .collect();
    let mut layouter = Layouter::default();
    for (variant, fields) in &stored.fields {
        let meta = match variant {
            None => row.meta,
            Some(name) => variant_of(row.meta, name).ok_or_else(|| format!("it has no variant {name} any more"))?,
        };
        if meta.variants.is_empty() {
            fields_fit(meta, fields, &aliases, &mut layouter)?;
        } else if variant.is_none() {
            return Err("it was a struct, and is an enum today".to_owned());
        }
    }
    for (name, shape) in &stored.definitions {
        let today = layouter.definition(name).ok_or_else(|| format!("nothing of it is a {name} any more"))?;
        if !shape_fits(&renamed(shape, &aliases), today) {
            return Err(format!("{name} was {shape}, and is {today} today"));
        }
    }
    Ok(())
}

/// The variant of this name, also one that is an enum itself.
fn variant_of(meta: &'static Meta, name: &str) -> Option<&'static Meta> {
    let mut variants = meta.variants.iter().map(|variant| variant());
    variants.find_map(|variant| {
        let is_it = variant.name == name || variant.aliases.contains(&name);
        if is_it { Some(variant) } else { variant_of(variant, name) }
    })
}

fn fields_fit(
    meta: &'static Meta,
    stored: &[(String, String)],
    aliases: &[(&str, &str)],
    layouter: &mut Layouter,
) -> Result<(), String> {
    let mut taken: HashMap<usize, &str, ahash::RandomState> = HashMap::default();
    for (name, held) in stored {
        let Some(at) = meta.field(name) else { return Err(format!("it has no field {name} any more")) };
        if let Some(other) = taken.insert(at, name) {
            return Err(format!("its field {} is both {other} and {name}", meta.fields[at].name));
        }
        let field = &meta.fields[at];
        let today = format!("{} {}", field.role, (field.layout)(layouter));
        if renamed(held.strip_suffix(" unordered").unwrap_or(held), aliases) != today {
            return Err(format!("its field {name} was {held}, and is {today} today"));
        }
    }
    let missing = |(at, field): &(usize, &crate::schema::FieldMeta)| !taken.contains_key(at) && !(field.optional)();
    match meta.fields.iter().enumerate().find(missing) {
        Some((_, field)) => Err(format!("its field {} was not there, and has no default", field.name)),
        None => Ok(()),
    }
}

/// Whether values of a shape are read as one of today: it is the same, or an enum that got variants.
fn shape_fits(stored: &str, today: &str) -> bool {
    let variants = |shape: &str| -> Option<Vec<String>> {
        Some(shape.strip_prefix("enum ")?.split(" | ").map(str::to_owned).collect())
    };
    let grew = |(stored, today): (Vec<String>, Vec<String>)| stored.iter().all(|variant| today.contains(variant));
    stored == today || variants(stored).zip(variants(today)).is_some_and(grew)
}
