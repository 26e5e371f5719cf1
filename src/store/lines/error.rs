//! Why a store could not be written as lines, or not be read from them.

use super::LONGEST_LINE;
use crate::store::error::{AppendError, Cause, StoreError};
use crate::when::Position;

/// Why a store was not written as lines to the end. What was written has no end line, so nobody takes it for whole.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such entry to begin after.
    #[error("there is no entry {position} to go on from: the newest is {head}")]
    NoEntry {
        /// What was asked for.
        position: Position,
        /// The newest entry.
        head: Position,
    },
    /// An entry does not fit on a line.
    #[error(
        "the entry {position} takes more than the {LONGEST_LINE} bytes of the longest line: copy the store with `backup`"
    )]
    TooLong {
        /// The entry.
        position: Position,
    },
    /// The lines could not be written.
    #[error("writing the lines failed: {0}")]
    Write(Cause),
}

/// Why lines were not read to the end. All entries before the line are in the store, and nothing of it or after it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line is not what it should be: it is damaged, out of order, or was never written by an export.
    #[error("line {line}: {why}; export anew, or import up to here from another copy")]
    Line {
        /// Its number, from 1 on.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The lines end before they say so.
    #[error("the lines end after line {line}, before the end that an export writes: they were cut; export anew")]
    Cut {
        /// The number of the last line.
        line: u64,
    },
    /// The store holds another history.
    #[error("line {line}: the store has another history than these lines: {why}; import into an empty store")]
    OtherHistory {
        /// The line at which that was seen.
        line: u64,
        /// What differs.
        why: String,
    },
    /// The lines begin later than the store ends.
    #[error("the lines begin after the entry {after}, and the store ends at {head}: import what is between first")]
    Gap {
        /// Where they begin.
        after: Position,
        /// The newest entry of the store.
        head: Position,
    },
    /// The lines are of a later format.
    #[error("the lines are of format {found} and this heirloom knows formats up to {known}: use a newer heirloom")]
    Newer {
        /// The number of their format.
        found: u32,
        /// The highest that is known.
        known: u32,
    },
    /// A tag stands at another position in the store.
    #[error("line {line}: the tag {tag:?} stands at {at} in the store already: tags stay")]
    TagTaken {
        /// The line.
        line: u64,
        /// The tag.
        tag: String,
        /// Where it stands.
        at: Position,
    },
    /// The store did not take an entry.
    #[error("line {line}: {source}")]
    Append {
        /// The line.
        line: u64,
        /// Why.
        source: AppendError,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lines cannot be read.
    #[error("reading line {line} failed: {source}")]
    Read {
        /// The line.
        line: u64,
        /// Why.
        source: Cause,
    },
}
