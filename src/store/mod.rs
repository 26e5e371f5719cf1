//! Where a history is kept: bytes in, bytes out. A store knows nothing of entities but their ids.
//!
//! [`Store`] is what a backend implements. [`MemoryStore`] keeps everything in memory, `SqliteStore` (with the feature
//! `sqlite`) in one file.

mod chain;
pub mod conformance;
mod error;
mod keys;
mod lines;
mod memory;
mod rows;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
mod sweep;
mod varint;

use std::path::Path;
use std::sync::Arc;

pub use chain::{Head, HeadError, verify};
pub use error::{AppendError, Cause, StoreError, VerifyError};
pub use keys::{KeyChange, KeyNumber, KeyRow, Secret};
pub use lines::{ExportError, ImportError, LONGEST_LINE, export, import};
pub use memory::MemoryStore;
pub use rows::{
    Durability, Entry, EntryKind, EntryRow, LayoutRow, OwnerChange, Query, ReferenceChange, Sizes, Version,
    VersionBody, VersionRow,
};
pub use sweep::Progress;
pub(crate) use varint::{Varints, write_varint};

#[cfg(feature = "sqlite")]
pub use sqlite::{Options, SqliteStore};

#[cfg(feature = "fuzzing")]
pub(crate) use lines::fuzz;
#[cfg(all(feature = "fuzzing", feature = "sqlite"))]
pub(crate) use sqlite::fuzz as rows_fuzz;

use crate::digest::Digest;
use crate::id::EntityId;
use crate::when::{Position, Revision, Timestamp};

/// Where a history is kept.
///
/// An entry is written once and never changed. Everything that one [`append`](Store::append) was given is readable after
/// it returned, by every reader of the store, or nothing of it is. All reads are snapshots of what was appended before
/// they began, and none waits for a writer.
pub trait Store: Send + Sync + 'static {
    /// The newest position and its hash; that of an empty store is [`Head::EMPTY`]. O(what the newest entry says).
    ///
    /// # Errors
    /// It cannot be read.
    fn head(&self) -> Result<Head, StoreError>;

    /// Appends entries whose positions follow on `after` without a gap, all of them or none, and gives the new head. It
    /// returns when they are as durable as was asked for. O(what they hold · log n).
    ///
    /// The keys that an entry makes are kept beside it, and those that it erases are destroyed with it: no read gives
    /// their bytes from then on, whatever else is told of them. What may be left of them below, [`scrub`](Self::scrub)
    /// removes.
    ///
    /// # Errors
    /// [`AppendError::Moved`] if the head is no longer `after`: somebody else appended, nothing was written, and the
    /// caller may look at what came and try again. Else why it could not be written; nothing was.
    fn append(&self, after: &Head, entries: &[Entry], durability: Durability) -> Result<Head, AppendError>;

    /// Whether somebody else may have appended since this was last asked: `false` is certain. It is asked before every
    /// call, so it is cheap.
    ///
    /// # Errors
    /// It cannot be read.
    fn has_moved(&self) -> Result<bool, StoreError>;

    /// One entry of the log, without the bodies of its versions. O(log n + versions).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn entry(&self, position: Position) -> Result<Option<Arc<EntryRow>>, StoreError>;

    /// The first position as of which everything can be read; 0 as long as nothing was forgotten. It never sinks.
    ///
    /// Below it, what is asked for as of a position ([`version_at`](Self::version_at), [`owner_at`](Self::owner_at),
    /// [`referrers_at`](Self::referrers_at)) is told as it was or is [`StoreError::Forgotten`]; it is told if the
    /// position has a tag, or is 0. All else is told as it was appended or not at all, wherever it is. O(log n).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn horizon(&self) -> Result<Position, StoreError>;

    /// The first position from this one on as of which everything can be read: this one, if it is not below the horizon,
    /// has a tag, or is 0; else the next that has a tag, or the horizon if that comes first. O(log n), whether few
    /// positions have tags or many.
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn kept_from(&self, position: Position) -> Result<Position, StoreError>;

    /// Raises the horizon to a position, or to the head if that is lower, and does one step of forgetting what only
    /// positions below it need. A lower horizon than there is leaves it, and the step goes on where the last one
    /// stopped.
    ///
    /// What goes: versions that another follows on at the horizon or below; likewise owners; references that ended there.
    /// What stays: whatever is asked for as of the horizon, of any position above it, or of a tag; the versions that a
    /// version which stays builds on ([`VersionBody`]); every entry, tag, layout and entity, and so the hashes.
    ///
    /// A step is one transaction, lets at most about `budget` versions go, and may be the last one for good: what a store
    /// tells and [`verify`] finds is right after each. Readers and writers go on meanwhile. O(budget · log n + tags +
    /// what one entry says), however much there is.
    ///
    /// # Errors
    /// It cannot be read or written; nothing has changed.
    fn forget(&self, horizon: Position, budget: usize) -> Result<Progress, StoreError>;

    /// The positions of the entries that a query asks for, in the order that it says. O(result + log n).
    ///
    /// # Errors
    /// It cannot be read.
    fn find(&self, query: &Query) -> Result<Vec<Position>, StoreError>;

    /// The highest position whose time is not later; times may run backwards. O(log n).
    ///
    /// # Errors
    /// It cannot be read.
    fn position_at(&self, time: Timestamp) -> Result<Option<Position>, StoreError>;

    /// The newest version of an entity. O(log n).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn newest(&self, entity: EntityId) -> Result<Option<VersionRow>, StoreError>;

    /// Those of these entities that have no version, in the order in which they are given. O(entities · log n).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn missing(&self, entities: &[EntityId]) -> Result<Vec<EntityId>, StoreError> {
        let mut missing = Vec::new();
        for entity in entities {
            if self.newest(*entity)?.is_none() {
                missing.push(*entity);
            }
        }
        Ok(missing)
    }

    /// The newest version of an entity that is not after a position. O(log n).
    ///
    /// # Errors
    /// [`StoreError::Forgotten`] if it is not also that of the first position from there on that is kept
    /// ([`kept_from`](Self::kept_from)); it cannot be read, or not as it was written.
    fn version_at(&self, entity: EntityId, position: Position) -> Result<Option<VersionRow>, StoreError>;

    /// The version of an entity by its revision; `None` also if it was forgotten. O(log n).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn version(&self, entity: EntityId, revision: Revision) -> Result<Option<VersionRow>, StoreError>;

    /// The owner that an entity had as of a position, and since when. `None` if it was not there yet. O(log n).
    ///
    /// # Errors
    /// [`StoreError::Forgotten`] as [`version_at`](Self::version_at) has it; it cannot be read, or not as it was written.
    fn owner_at(&self, entity: EntityId, position: Position) -> Result<Option<(Position, OwnerChange)>, StoreError>;

    /// Who referred to an entity as of a position, and by which field, sorted; also those that have been removed since
    /// they did. O(result + references to it that ended after the position + log n).
    ///
    /// # Errors
    /// [`StoreError::Forgotten`] if the position is not kept ([`kept_from`](Self::kept_from)); it cannot be read, or not
    /// as it was written.
    fn referrers_at(&self, entity: EntityId, position: Position) -> Result<Vec<(EntityId, u16)>, StoreError>;

    /// All entities that ever came, also those that have been removed, by the order in which they came: at most `limit`,
    /// after the entity `after` in that order; `None` begins with the first. O(result + log n).
    ///
    /// # Errors
    /// It cannot be read.
    fn entities(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, StoreError>;

    /// All layouts that are stored. O(layouts).
    ///
    /// # Errors
    /// They cannot be read.
    fn layouts(&self) -> Result<Vec<Arc<LayoutRow>>, StoreError>;

    /// All tags, by name.
    ///
    /// # Errors
    /// They cannot be read.
    fn tags(&self) -> Result<Vec<(String, Position)>, StoreError>;

    /// Names a position for good; the position where the tag stands, which is another if it was taken before.
    ///
    /// # Errors
    /// There is no such entry yet (0 is before the first), it is below the horizon and has no tag yet
    /// ([`StoreError::Forgotten`]), or it cannot be written.
    fn tag(&self, name: &str, position: Position) -> Result<Position, StoreError>;

    /// An entry as it was appended, with the bodies of its versions, for whoever copies or verifies the log.
    /// O(what it holds · log n).
    ///
    /// # Errors
    /// [`StoreError::Forgotten`] if not all of it is there any more, which none has from the horizon on and none that
    /// has a tag; it cannot be read, or not as it was written.
    fn read(&self, position: Position) -> Result<Option<Entry>, StoreError>;

    /// Checks what [`read`](Store::read) does not go through: rows of indexes that say something else than the entries,
    /// and whatever else the backend keeps. O(everything).
    ///
    /// # Errors
    /// The first that is wrong.
    fn check(&self) -> Result<(), StoreError>;

    /// A key by its number; `None` if there was never one. O(log n).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn key(&self, number: KeyNumber) -> Result<Option<KeyRow>, StoreError>;

    /// The key of a subject, by the digest of its name, that is not erased; there is one at most. O(log n).
    ///
    /// # Errors
    /// It cannot be read, or not as it was written.
    fn key_of(&self, subject: Digest) -> Result<Option<KeyRow>, StoreError>;

    /// The number of the last key that was made, whatever became of it; `None` if none ever was. O(log n).
    ///
    /// # Errors
    /// It cannot be read.
    fn last_key(&self) -> Result<Option<KeyNumber>, StoreError>;

    /// The versions that are there and sealed under a key, in no order. O(result · log n).
    ///
    /// # Errors
    /// They cannot be read.
    fn sealed(&self, key: KeyNumber) -> Result<Vec<(EntityId, Revision)>, StoreError>;

    /// Removes what is left of destroyed keys beside what is read: in a log of writes, for one. `false` if some of it
    /// must stay for now, since others are reading: then it is worth asking again.
    ///
    /// # Errors
    /// It cannot be written.
    fn scrub(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Copies the store as it is now to a path where nothing stands yet, while others read and write. O(its size).
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] unless the backend has a copy of its own to make: what every store can do is
    /// [`export`]. Else something stands at the path, or it cannot be written; then nothing is left there.
    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        _ = path;
        Err(StoreError::Unsupported { what: "backup of its own" })
    }

    /// How large the store is, part by part. O(its size).
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] unless the backend can tell; or it cannot be read.
    fn sizes(&self) -> Result<Sizes, StoreError> {
        Err(StoreError::Unsupported { what: "report of its sizes" })
    }
}
