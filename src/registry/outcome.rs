//! What came of a run or a commit.

use std::fmt;

use crate::diff::Changes;
use crate::history::{Committed, Entry, History, Version};
use crate::when::Position;

/// What came of a run or a commit: the value, and where the log has it.
#[derive(Clone)]
pub struct Outcome<V> {
    value: V,
    committed: Committed,
    history: History,
}

impl<V> Outcome<V> {
    pub(super) fn new(value: V, committed: Committed, history: History) -> Self {
        Self { value, committed, history }
    }

    pub(super) fn map<W>(self, change: impl FnOnce(V) -> W) -> Outcome<W> {
        Outcome { value: change(self.value), committed: self.committed, history: self.history }
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

    /// Whether nothing changed.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.committed.versions == 0
    }

    /// Its entry in the log.
    #[must_use]
    pub fn entry(&self) -> Entry {
        self.history.entry(self.committed.position).expect("an outcome is made after its entry is published")
    }

    /// What changed; worked out at each call, in O(c log n).
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.history.changes(self.committed.position).expect("an outcome is made after its entry is published")
    }

    /// The versions it made: those of what changed, then those of the owners that were carried along.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        self.history.versions(self.committed.position).expect("an outcome is made after its entry is published")
    }
}

impl<V: fmt::Debug> fmt::Debug for Outcome<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("value", &self.value).field("position", &self.position()).finish()
    }
}
