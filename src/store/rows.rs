//! What a store is given and what it gives back.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::keys::{KeyChange, KeyNumber};
use crate::digest::Digest;
use crate::id::EntityId;
use crate::when::{Position, Revision, Timestamp};

/// When an append returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on disk: it survives a loss of power.
    #[default]
    Full,
    /// When it is with the operating system: it survives the end of the process; a loss of power may take the last
    /// moments, never a part of an entry and never an earlier one without the later.
    Normal,
    /// As [`Durability::Full`]; a registry puts the commits of several threads into one append, so that they share what
    /// it costs to get to the disk. Each returns when its own is there.
    Batched,
}

/// What an entry of the log tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// A commit that no callable made.
    Commit = 0,
    /// A run that made versions.
    Run = 1,
    /// A run that changed nothing.
    Unchanged = 2,
    /// A run that returned an error.
    Failed = 3,
    /// A run that panicked.
    Panicked = 4,
    /// A run whose result was refused.
    Refused = 5,
    /// An erasure: keys were destroyed, and what is sealed under them can be read no more.
    Erased = 6,
}

/// The layout of a type: stored once, named by every body of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutRow {
    /// The digest of `text`.
    pub digest: Digest,
    /// The stored name of the type, with its parameters.
    pub name: String,
    /// The number of its schema.
    pub schema: u32,
    /// The layout in words.
    pub text: String,
}

/// One version as it is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The entity.
    pub entity: EntityId,
    /// Its number; 1, or one more than that of the entity's newest.
    pub revision: Revision,
    /// What it holds.
    pub body: VersionBody,
    /// The entities that it owned directly of which the same entry has versions, in ascending order of their ids; those
    /// that have their first there may be left out.
    pub carried: Vec<EntityId>,
    /// Its owner from here on, if that is another than before; always there for the first version.
    pub owner: Option<OwnerChange>,
}

/// What a version holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionBody {
    /// A state of its own.
    Own {
        /// How it is laid out.
        layout: Arc<LayoutRow>,
        /// The newest version of the same entity with a state of its own, that `bytes` are a difference to; `None` if they
        /// are whole.
        base: Option<Revision>,
        /// The state, or the difference. A store does not look into them.
        bytes: Arc<[u8]>,
        /// The key that `bytes` are sealed under, which is not erased when they are appended.
        seal: Option<KeyNumber>,
    },
    /// Nothing of its own: something that it owns changed.
    Carried {
        /// The newest version with a state of its own.
        own: Revision,
    },
    /// It is gone.
    Removed {
        /// The newest version with a state of its own.
        own: Revision,
    },
}

/// Who owns an entity from some position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerChange {
    /// Nobody: it is the root of a tree.
    Root,
    /// This entity, in this field.
    Owned {
        /// The owner.
        owner: EntityId,
        /// The place of the field among the owner's stored ones.
        field: u16,
    },
    /// It ended with this owner, which came back without it.
    Ended {
        /// The owner.
        owner: EntityId,
    },
}

/// One reference that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferenceChange {
    /// Who refers.
    pub from: EntityId,
    /// By which of its stored fields.
    pub field: u16,
    /// To whom, whether that is known or not.
    pub to: EntityId,
    /// Whether it came.
    pub opened: bool,
}

/// One entry of the log as it is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub position: Position,
    /// When it was written, or what the commit was told.
    pub time: Timestamp,
    /// What it tells of.
    pub kind: EntryKind,
    /// Author, message, properties and run. A store does not look into it.
    pub said: Arc<[u8]>,
    /// The versions that it makes: at most one of an entity.
    pub versions: Vec<Version>,
    /// Entities that have no version here, and whose owner is another from here on.
    pub ended: Vec<(EntityId, OwnerChange)>,
    /// References that come and go.
    pub references: Vec<ReferenceChange>,
    /// Keys that are made, or destroyed: these by entries of the kind [`EntryKind::Erased`] alone, which destroy at least
    /// one and make no versions.
    pub keys: Vec<KeyChange>,
}

/// One entry of the log as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Its place in the log.
    pub position: Position,
    /// When it was written, or what the commit was told.
    pub time: Timestamp,
    /// What it tells of.
    pub kind: EntryKind,
    /// Author, message, properties and run.
    pub said: Arc<[u8]>,
    /// The versions that it made, in the order in which they were given.
    pub versions: Vec<(EntityId, Revision)>,
    /// The entities that had no version here, and whose owner was another from here on.
    pub ended: Vec<EntityId>,
    /// The digest of all that it holds, and held: what the hash vouches for.
    pub body: Digest,
    /// The hash of the chain up to here.
    pub hash: Digest,
}

/// One version as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The entity.
    pub entity: EntityId,
    /// Its number.
    pub revision: Revision,
    /// The entry that made it.
    pub position: Position,
    /// What it holds.
    pub body: VersionBody,
    /// See [`Version::carried`].
    pub carried: Vec<EntityId>,
}

/// How large a store is, by [`Store::sizes`](super::Store::sizes).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The bytes of the file.
    pub file: u64,
    /// The bytes of the write-ahead log beside it, which comes home by and by.
    pub write_ahead_log: u64,
    /// The bytes of the pages of each table and index, by name. Empty if the SQLite at hand cannot tell.
    pub tables: Vec<(String, u64)>,
    /// The bytes of pages that are free to be written again.
    pub free: u64,
    /// The bytes by which states are smaller than they were given, since they are compressed.
    pub saved: u64,
}

/// Which entries of the log are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// Those after a position, the earliest first.
    After(Position, usize),
    /// The last, the newest first.
    Tail(usize),
    /// Of one kind, up to and with a position, the newest first.
    Kind(EntryKind, Position, usize),
    /// Of this range of times, in the order of the times, those of one time in the order of the log.
    Times(RangeInclusive<Timestamp>, usize),
}
