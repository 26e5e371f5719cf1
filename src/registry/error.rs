//! What can go wrong when a callable is registered or run.

use std::sync::Arc;

use serde_json::Value as Json;

use super::kinds::Failure;
use crate::entity::LoadError;
use crate::history::{Argument, CommitError, OtherRegistryError, ReadError, TypeError};
use crate::id::EntityId;
use crate::value::{DecodeError, JsonError};
use crate::when::{Position, Revision};

/// Why a callable was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Two upcasters from one schema of one type.
    #[error("{name} has an upcaster from schema {from} already: there can be one for each schema")]
    UpcasterTwice {
        /// The stored name of the type.
        name: String,
        /// The schema.
        from: u32,
    },
    /// Two types of one stored name.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// The name is taken.
    #[error("{name:?} is registered already, for {by}: choose another name")]
    NameTaken {
        /// The name.
        name: String,
        /// The type of what has it.
        by: String,
    },
    /// The function has a name.
    #[error("{function} is registered already, as {name:?}: a function has one name, so that `call` can find it")]
    FunctionTaken {
        /// The function.
        function: String,
        /// Its name.
        name: String,
    },
    /// The number of names is not that of the parameters.
    #[error(
        "{name:?} takes {expected} parameters, and {found} names were given: give one for each, in order, and register \
         it again"
    )]
    ParameterCount {
        /// The callable.
        name: String,
        /// How many it takes.
        expected: usize,
        /// How many names were given.
        found: usize,
    },
    /// A parameter name stands twice.
    #[error("two parameters of {name:?} are named {parameter:?}: give each its own name, and register it again")]
    ParameterTwice {
        /// The callable.
        name: String,
        /// The name.
        parameter: String,
    },
    /// Something was set twice.
    #[error("the {what} of {name:?} was given already")]
    GivenTwice {
        /// The callable.
        name: String,
        /// What was set.
        what: &'static str,
    },
}

/// An address that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no address.
    #[error(
        "{address:?} is not an address: expected \"@<id>\", \"@<id>.field\", \"@<id>.list[3]\" or \"@<id>.map[\\\"key\\\"]\", \
         each also as of a revision, \"@<id>#3\""
    )]
    Malformed {
        /// The address.
        address: String,
    },
    /// It leads into an entity where one as a whole was expected.
    #[error("{address:?} leads into an entity, and an entity is expected here: give \"@<id>\" alone")]
    NotAnEntity {
        /// The address.
        address: String,
    },
    /// Nothing stands there.
    #[error("{address:?} leads nowhere: {place} has no {step}; {known}")]
    Nothing {
        /// The address.
        address: String,
        /// How far it leads.
        place: String,
        /// The step that is not there.
        step: String,
        /// What is there.
        known: String,
    },
}

/// An argument that does not fit its parameter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// It is of another kind.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// It is not a value of the parameter's type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is no value at all.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Its address leads nowhere.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The entity cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A held entity has edits, and they were to be refused.
    #[error("{entity} was edited outside the registry ({edits}): {remedy}")]
    Stray {
        /// The entity.
        entity: EntityId,
        /// Its edits.
        edits: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A held entity is another registry's.
    #[error(transparent)]
    OtherRegistry(#[from] OtherRegistryError),
    /// A held entity is not the newest.
    #[error("{entity} is at {found}, not {expected}: someone committed since; look at it again, or check it out again")]
    Stale {
        /// The entity.
        entity: EntityId,
        /// The revision that is held.
        expected: Revision,
        /// Its revision now.
        found: Revision,
    },
    /// An earlier call of the same commit brought the entity, or took it from where it stood.
    #[error(
        "{entity} came, moved or went by an earlier call of the same commit: give this call to the next one, or commit one \
         each"
    )]
    Unsettled {
        /// The entity.
        entity: EntityId,
    },
    /// The edits of a held entity could not be committed.
    #[error("the edits made outside the registry could not be committed: {0}")]
    StrayCommit(#[from] CommitError),
}

impl ArgumentError {
    pub(super) fn recorded(expected: &str, found: &Argument) -> Self {
        let found: String = found.to_string().chars().take(80).collect();
        ArgumentError::Kind { expected: expected.to_owned(), found }
    }

    pub(super) fn expected(expected: &str, found: &Json) -> Self {
        let found: String = found.to_string().chars().take(80).collect();
        ArgumentError::Kind { expected: expected.to_owned(), found }
    }
}

/// Why the result of the first call under a key cannot be told again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecallError {
    /// It is erased: the run concerned a subject whose key is destroyed.
    #[error("what the run at {position} gave back is erased")]
    Erased {
        /// Where the run is.
        position: Position,
    },
    /// It is not of the type that the callable gives back today.
    #[error("the run at {position} gave back {found}, and the callable gives back {expected} today")]
    Misfit {
        /// Where the run is.
        position: Position,
        /// What the callable gives back.
        expected: String,
        /// What was kept.
        found: String,
    },
    /// It is not a value of the type that the callable gives back today.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The entry, or an entity that the run created, cannot be read any more.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No run made the receipt.
    #[error("the receipt was made at {position} by no run: remove it to free the key")]
    NoRun {
        /// Where it was made.
        position: Position,
    },
    /// The run that made the receipt kept no result.
    #[error("the run at {position} kept no result: remove the receipt to free the key")]
    NoResult {
        /// Where the run is.
        position: Position,
    },
    /// Reading it panicked in a type's own code.
    #[error("reading it panicked")]
    Panicked,
}

/// Why a run did not come to its end. Nothing that it did was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No callable of this name.
    #[error("no callable is named {name:?}: known are {known}")]
    UnknownName {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The function was never registered.
    #[error("{function} is not registered: `register(\"name\", {function})` first")]
    Unregistered {
        /// The function.
        function: String,
    },
    /// The number of arguments is not that of the parameters.
    #[error("{callable:?} takes {expected} arguments ({parameters}), and {found} were given")]
    ArgumentCount {
        /// The callable.
        callable: String,
        /// How many it takes.
        expected: usize,
        /// Its parameters.
        parameters: String,
        /// How many were given.
        found: usize,
    },
    /// An argument has a name that no parameter has, or one is missing.
    #[error("{callable:?} has no parameter {argument:?}: its parameters are {parameters}")]
    UnknownArgument {
        /// The callable.
        callable: String,
        /// The name.
        argument: String,
        /// Its parameters.
        parameters: String,
    },
    /// A parameter was given nothing.
    #[error("{callable:?} was given no {parameter:?}: its parameters are {parameters}")]
    MissingArgument {
        /// The callable.
        callable: String,
        /// The parameter.
        parameter: String,
        /// Its parameters.
        parameters: String,
    },
    /// The arguments are neither a list nor an object.
    #[error("{callable:?} takes its arguments as a JSON list, or as an object by name, not as {found}")]
    ArgumentShape {
        /// The callable.
        callable: String,
        /// What was given.
        found: String,
    },
    /// Arguments were given by name to a callable whose parameters have none.
    #[error("the parameters of {callable:?} have no names: give a list, or name them with `.params([...])`")]
    Unnamed {
        /// The callable.
        callable: String,
    },
    /// An argument does not fit.
    #[error("{callable:?}, {parameter}: {source}")]
    Argument {
        /// The callable.
        callable: String,
        /// The parameter.
        parameter: String,
        /// Why.
        #[source]
        source: ArgumentError,
    },
    /// One entity was given twice, and one of the two is edited.
    #[error("{callable:?} was given {entity} twice: a run edits an entity through one parameter")]
    SameTwice {
        /// The callable.
        callable: String,
        /// The entity.
        entity: EntityId,
    },
    /// Two entities were given of which one owns the other, and one of the two is edited.
    #[error("{callable:?} was given {outer} and {inner}, which that one owns: give the outer one alone")]
    Overlap {
        /// The callable.
        callable: String,
        /// The owner.
        outer: EntityId,
        /// What it owns.
        inner: EntityId,
    },
    /// The callable returned an error.
    #[error("{callable:?} failed: {source}")]
    Failed {
        /// The callable.
        callable: String,
        /// Its error.
        #[source]
        source: Failure,
    },
    /// The callable panicked.
    #[error("{callable:?} panicked: {message}")]
    Panicked {
        /// The callable.
        callable: String,
        /// What the panic said.
        message: String,
    },
    /// What the callable did could not be committed.
    #[error("{callable:?} ran, and nothing of it was kept: {source}")]
    Commit {
        /// The callable.
        callable: String,
        /// Why.
        #[source]
        source: CommitError,
    },
    /// The key was used for something else.
    #[error(
        "the key {key:?} was used for {callable:?} at {position}, and this is another call: take another key for it, or \
         give the arguments that were given then"
    )]
    KeyTaken {
        /// The key.
        key: String,
        /// Where the run that used it is.
        position: Position,
        /// Its callable.
        callable: String,
    },
    /// The call was made before under this key, and its result cannot be told again.
    #[error("the call under the key {key:?} was made, and its result cannot be told again: {source}")]
    Recall {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: RecallError,
    },
    /// The one commit of several calls was refused, and so nothing of this one was kept either.
    #[error("{callable:?} ran, and nothing of it was kept, for the commit of all {calls} calls was refused: {source}")]
    Together {
        /// The callable.
        callable: String,
        /// How many calls the commit was made of.
        calls: usize,
        /// Why.
        #[source]
        source: Arc<CommitError>,
    },
    /// The callable came to nothing, and the store would not take that down either.
    #[error("{ended}; the log does not have it, because {source}")]
    Unrecorded {
        /// What the run came to.
        ended: Box<CallError>,
        /// Why it is not in the log.
        #[source]
        source: CommitError,
    },
    /// A shared child could not be loaded while the callable ran.
    #[error("{callable:?} could not go on: {source}")]
    Load {
        /// The callable.
        callable: String,
        /// Why.
        #[source]
        source: LoadError,
    },
}
