//! What can go wrong between a history and where it is kept.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::chain::Head;
use crate::when::Position;

/// An error of the system below, shared so that it can be told more than once.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a store could not be opened, read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What stands at the path is something else. It was not touched.
    #[error("{path} is no store of heirloom, but {found}: check the path, or name a file that is not there yet")]
    NotAStore {
        /// The path.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// A later version of this library wrote the store. It was not touched.
    #[error("{path} is of format {found} and this heirloom knows formats up to {known}: use a newer heirloom")]
    Newer {
        /// The path.
        path: PathBuf,
        /// The number of its format.
        found: u32,
        /// The highest that is known.
        known: u32,
    },
    /// What is stored is not what was written.
    #[error("{what} is damaged: {detail}; restore the store from a backup")]
    Damaged {
        /// The table and the row.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Somebody else was writing all the while.
    #[error("{path} was being written by another process for {waited:?}: try again, or wait longer")]
    Busy {
        /// The path.
        path: PathBuf,
        /// How long it was waited.
        waited: Duration,
    },
    /// The store may not be written.
    #[error("{path} is read-only: open it for writing, and check the rights of the file and its folder")]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// There is no room for what was to be written. Nothing was.
    #[error("the disk is full, and {path} could not be written: make room and try again")]
    Full {
        /// The path.
        path: PathBuf,
    },
    /// A tag for an entry that is not there yet.
    #[error("there is no entry {position} to tag: the newest is {head}")]
    NoEntry {
        /// What was asked for.
        position: Position,
        /// The newest entry.
        head: Position,
    },
    /// The registry keeps everything in memory and has no store.
    #[error(
        "this registry is in memory alone and has no store: begin one with `Registry::open`, or build it `over` a store"
    )]
    InMemory,
    /// The store holds something that this build of the library cannot read.
    #[error("the store holds states that are compressed: build heirloom with its feature `{feature}` to open it")]
    NeedsFeature {
        /// The feature.
        feature: &'static str,
    },
    /// The store has no such thing to offer.
    #[error("this kind of store has no {what}: copy what it holds with `export` and `import`")]
    Unsupported {
        /// What it was asked for.
        what: &'static str,
    },
    /// What an entry made, or what there was as of a position, is not all there any more.
    #[error("what there was at {position} is forgotten in part: all can be read from {horizon} on, and as of tags")]
    Forgotten {
        /// What was asked for.
        position: Position,
        /// The first position as of which everything can be read.
        horizon: Position,
    },
    /// The operating system refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done, and to what.
        doing: String,
        /// Why.
        source: Cause,
    },
    /// The backend failed in another way.
    #[error("{doing} failed: {source}")]
    Backend {
        /// What was being done, and to what.
        doing: String,
        /// Why.
        source: Cause,
    },
}

/// Why entries were not appended. None of them was.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Somebody else appended first.
    #[error("the store is at {} already: read what came, and try again", found.position)]
    Moved {
        /// The head as it is.
        found: Head,
    },
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry breaks a rule; appending it again fails again.
    #[error("the entry {position} cannot be stored: {why}")]
    Refused {
        /// The entry.
        position: Position,
        /// The rule that it breaks.
        why: String,
    },
}

/// Where a store is not what it should be.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The first entry that is not as it was appended.
    #[error("the entry {position} is not as it was written: {why}; restore the store from a backup")]
    Entry {
        /// The entry.
        position: Position,
        /// What is wrong with it.
        why: String,
    },
    /// The head that was kept is not among the entries: the log was cut, or written anew.
    #[error(
        "the log does not pass through the head that was kept, {} with {}, but ends at {} with {}: it was cut or written \
         anew; restore the store from a backup",
        expected.position, expected.hash, found.position, found.hash
    )]
    CutTail {
        /// The head that was kept.
        expected: Head,
        /// The head of the store.
        found: Head,
    },
    /// Something beside the entries is wrong, or the store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Two errors are the same if they say the same.
impl PartialEq for StoreError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for StoreError {}
