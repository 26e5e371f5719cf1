//! What came of a run or a commit.

use std::fmt;

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

impl<V: fmt::Debug> fmt::Debug for Outcome<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("value", &self.value).field("position", &self.position()).finish()
    }
}
