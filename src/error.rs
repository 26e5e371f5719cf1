//! One error for programs that handle them all alike.

use crate::children::RepeatedId;
use crate::diff::{JsonPatchError, RepeatedError};
use crate::entity::LoadError;
use crate::history::{CommitError, EraseError, LockError, ReadError, TypeError};
use crate::id::IdError;
use crate::patch::PatchError;
use crate::registry::{ArgumentError, CallError, CompactError, RegisterError, ReplayError};
use crate::store::{ExportError, ImportError, StoreError, VerifyError};
use crate::value::{DecodeError, JsonError};
use crate::when::TimeError;

/// Whatever went wrong. Each operation has an error type of its own; all of them turn into this one with `?`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A callable was not registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A run did not come to its end.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A run could not be run again.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// An argument does not fit.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A commit was refused.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Something could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A store could not be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing was forgotten.
    #[error(transparent)]
    Compact(#[from] CompactError),
    /// Nothing was erased.
    #[error(transparent)]
    Erase(#[from] EraseError),
    /// A store is not what was written.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A store could not be written as lines.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Lines could not be read into a store.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The layouts of a lock do not lead to today's types.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Two types of one stored name.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// One entity stands at two places.
    #[error(transparent)]
    Repeated(#[from] RepeatedError),
    /// One entity stands twice in a list.
    #[error(transparent)]
    RepeatedId(#[from] RepeatedId),
    /// A patch does not fit.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A difference is no JSON Patch.
    #[error(transparent)]
    JsonPatch(#[from] JsonPatchError),
    /// A shared child could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A value is not of the type it was read as.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// JSON that is no value.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A text that is no identity.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A text that is no time.
    #[error(transparent)]
    Time(#[from] TimeError),
}

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
