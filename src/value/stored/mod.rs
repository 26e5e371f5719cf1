//! The stored form of values: JSON text that reads back exactly as what it was written from, without any Rust type.
//!
//! | value | stored as |
//! |---|---|
//! | null, truth values, integers from -2^63 to 2^64 - 1 | themselves |
//! | other integers | `{"$int":"<digits>"}` |
//! | a float of 64 bits | a number with a fraction or an exponent; `{"$float":"NaN"}`, `"inf"`, `"-inf"` |
//! | a float of 32 bits | `{"$f32":1.5}`, the shortest decimal that is this float; `{"$f32":"NaN"}`, `"inf"`, `"-inf"` |
//! | text | a string; one that begins with `@`, `&` or `\` has a `\` before it |
//! | an owned entity, a reference | `"@<id>"`, `"&<id>"`: the 16 bytes in base64url without padding |
//! | bytes | `{"$bytes":"<base64>"}` |
//! | a list | an array |
//! | a set | `{"$set":[...]}`, sorted |
//! | a map whose keys are all text | `{"$map":{...}}`, in its order, its keys as they are |
//! | another map | `{"$map":[[key, value], ...]}`, in its order |
//! | a struct | an object; a field whose name begins with `$` has another `$` before it |
//! | a variant | `{"$variant":["Name", what it holds]}`, or `{"$variant":"Name"}` where it holds null |
//! | `Some` of null or of `Some` | `{"$some":...}` |
//!
//! So an object is no struct exactly when its key begins with one `$` alone, and it has no other key then. Only canonical
//! values are written, and only they are read. As with other readers of JSON, a number of more than 64 bits is a float.

mod edit;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod patch;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashSet;
use std::hash::Hash;

pub(crate) use edit::Edit;
pub(crate) use patch::Patch;

use super::{ApplyError, Value};

/// The stored form of a value.
///
/// # Errors
/// A value that nests too deep, or that is not canonical.
pub(crate) fn to_bytes(value: &Value) -> Result<Vec<u8>, StoredError> {
    write::write(value)
}

/// The stored form of a value, after what is there.
///
/// # Errors
/// As [`to_bytes`] has them.
pub(crate) fn append_to(value: &Value, out: &mut Vec<u8>) -> Result<(), StoredError> {
    write::ToStored::write(value, out, Level::TOP)
}

/// The value that was stored so.
///
/// # Errors
/// Bytes that no value is stored as.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Value, StoredError> {
    read::read(bytes)
}

/// What cannot be stored, or was not stored by this crate, or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoredError {
    /// Nested deeper than is written and read.
    #[error("nested deeper than {limit} levels: flatten it")]
    TooDeep {
        /// How deep is written and read.
        limit: usize,
    },
    /// A value that would read back as another.
    #[error("{}expected {expected}, found {found}", place(.path))]
    NotCanonical {
        /// Where, from the outside in, such as `courses[3].name`; empty for the value as a whole.
        path: String,
        /// What stands there in a canonical value.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// Bytes that nothing is stored as.
    #[error("{}{reason}, at byte {offset}", place(.path))]
    Malformed {
        /// Where, from the outside in; empty for the value as a whole.
        path: String,
        /// How many bytes were read before.
        offset: usize,
        /// What was expected and what was found.
        reason: String,
    },
    /// A patch that was made for another state.
    #[error("{}{error}", place(.path))]
    Apply {
        /// The field; empty for the state as a whole.
        path: String,
        /// What was expected and what was found.
        #[source]
        error: ApplyError,
    },
}

impl StoredError {
    /// The same error seen from one step further out: a field, or `[index]`.
    fn within(mut self, step: &str) -> Self {
        match &mut self {
            StoredError::TooDeep { .. } => {}
            StoredError::NotCanonical { path, .. }
            | StoredError::Malformed { path, .. }
            | StoredError::Apply { path, .. } => lead(path, step),
        }
        self
    }
}

impl From<ApplyError> for StoredError {
    fn from(error: ApplyError) -> Self {
        StoredError::Apply { path: String::new(), error }
    }
}

/// Puts a step in front of a path.
fn lead(path: &mut String, step: &str) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    path.insert_str(0, &shortened(step));
}

/// A path as an error begins with it.
fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// The beginning of a text, as an error quotes it.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// How deep values nest that are written and read.
const DEEPEST: usize = 128;

/// How deep a value stands: the outermost is on the first level. Edits count as what they change, so whatever leads
/// from one state that can be stored to another can be stored.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    /// Where the outermost value stands.
    const TOP: Level = Level(1);

    /// Where what a value of this level holds stands.
    fn below(self) -> Level {
        Level(self.0 + 1)
    }

    /// Refuses what stands too deep.
    fn check(self) -> Result<(), StoredError> {
        if self.0 > DEEPEST { Err(StoredError::TooDeep { limit: DEEPEST }) } else { Ok(()) }
    }
}

/// A key that stands twice.
fn repeated<'k, K: Ord + Hash + ?Sized + 'k>(mut keys: impl Iterator<Item = &'k K> + Clone) -> Option<&'k K> {
    if keys.clone().is_sorted_by(|before, after| before < after) {
        return None;
    }
    // Structs are small and not sorted: comparing their names costs less than a table of them.
    if keys.clone().nth(16).is_none() {
        return keys
            .clone()
            .enumerate()
            .find(|(at, key)| keys.clone().take(*at).any(|other| other == *key))
            .map(|found| found.1);
    }
    let mut seen: HashSet<&K, ahash::RandomState> = HashSet::default();
    keys.find(|key| !seen.insert(*key))
}
