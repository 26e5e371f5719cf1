//! What came of a run or a commit.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::diff::Changes;
use crate::history::{Committed, Entry, History, ReadError, Version};
use crate::when::Position;

/// What came of a run or a commit: the value, and where the log has it.
#[derive(Clone)]
pub struct Outcome<V> {
    value: V,
    committed: Committed,
    history: History,
    key: Key,
}

/// Whether it came under a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    /// And this is the run that used it.
    First,
    /// And was used before.
    Repeated,
}

impl<V> Outcome<V> {
    pub(super) fn new(value: V, committed: Committed, history: History) -> Self {
        Self { value, committed, history, key: Key::None }
    }

    /// Under a key, which was used before or by this very run.
    pub(super) fn under_key(self, repeated: bool) -> Self {
        Self { key: if repeated { Key::Repeated } else { Key::First }, ..self }
    }

    pub(super) fn map<W>(self, change: impl FnOnce(V) -> W) -> Outcome<W> {
        Outcome { value: change(self.value), committed: self.committed, history: self.history, key: self.key }
    }

    /// What the callable gave back.
    #[must_use]
    pub fn value(&self) -> &V {
        &self.value
    }

    /// What the callable gave back.
    #[must_use]
    pub fn into_value(self) -> V {
        self.value
    }

    /// Its position in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.committed.position
    }

    /// Whether nothing changed; the receipt of a key counts as nothing.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.committed.versions == usize::from(self.key != Key::None)
    }

    /// Whether it is that of an earlier call under the same key: see [`Caller::once`](super::Caller::once).
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.key == Key::Repeated
    }

    /// Its entry in the log.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entry(&self) -> Result<Entry, ReadError> {
        self.history.entry(self.committed.position)
    }

    /// What changed; worked out at each call, in O(c log n). Where the store cannot be read, they say so:
    /// [`Changes::unread`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        let changes = self.history.changes(self.committed.position);
        changes.unwrap_or_else(|error| Changes::unreadable(&error.to_string()))
    }

    /// The versions it made: those of what changed, then those of the owners that were carried along.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn versions(&self) -> Result<Vec<Version>, ReadError> {
        self.history.versions(self.committed.position)
    }
}

impl Outcome<Json> {
    /// The outcome as JSON: `{"value", "position", "changes": [...]}`, the changes as [`Changes::to_json`] tells them.
    ///
    /// ```
    /// # use heirloom::prelude::*;
    /// # use serde_json::json;
    /// # #[derive(Entity, Clone)]
    /// # struct Student { id: Id<Student>, name: String, gpa: f64 }
    /// # fn raise(student: &mut Student, by: f64) -> f64 { student.gpa += by; student.gpa }
    /// # let registry = Registry::in_memory();
    /// # let _ = registry.register("raise", raise)?;
    /// # let ann = registry.add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
    /// let outcome = registry.execute("raise", json!([format!("@{ann}"), 0.5]))?.to_json()?;
    /// assert_eq!(outcome["value"], json!(4.0));
    /// assert_eq!(outcome["changes"][0]["after"], json!(4.0));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// The changes cannot be read.
    pub fn to_json(&self) -> Result<Json, ReadError> {
        let position = self.committed.position;
        let changes = self.history.changes(position)?.to_json()?;
        Ok(json!({"value": self.value, "position": position, "changes": changes}))
    }
}

impl<V: fmt::Debug> fmt::Debug for Outcome<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("value", &self.value).field("position", &self.position()).finish()
    }
}
