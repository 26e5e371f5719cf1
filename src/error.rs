//! One error for programs that handle them all alike.

use crate::children::{LoadError, RepeatedId};
use crate::diff::{JsonPatchError, RepeatedError};
use crate::history::{CommitError, ReadError, TypeError};
use crate::id::IdError;
use crate::patch::PatchError;
use crate::registry::{ArgumentError, CallError, RegisterError};
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
    /// An argument does not fit.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A commit was refused.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Something could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
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
