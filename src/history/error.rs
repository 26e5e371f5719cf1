//! What can go wrong when a history is read or written.

use crate::diff::RepeatedError;
use crate::entity::LoadError;
use crate::id::EntityId;
use crate::lineage::Unreadable;
use crate::store::{AppendError, StoreError};
use crate::when::{Position, Revision, When};

/// Two types of one stored name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{first} and {second} are both stored as {name:?}: give one of them another name with `#[entity(name = \"...\")]`"
)]
pub struct TypeError {
    /// The stored name.
    pub name: String,
    /// The type that was met first.
    pub first: String,
    /// The other.
    pub second: String,
}

/// Why something could not be read from the history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No entity of this identity was ever here.
    #[error("{entity} is not in this registry: add it first, or check the id")]
    Unknown {
        /// The identity.
        entity: EntityId,
    },
    /// The entity is of another type.
    #[error(
        "{entity} is a {found}, not a {expected}: ask for it by an `Id<{found}>`, or give the {expected} an identity of \
         its own"
    )]
    WrongType {
        /// The entity.
        entity: EntityId,
        /// The type that was asked for.
        expected: String,
        /// Its type.
        found: String,
    },
    /// The entity came later.
    #[error("{entity} was not there yet at {when}: it is known from {first} on")]
    NotYet {
        /// The entity.
        entity: EntityId,
        /// What was asked for.
        when: When,
        /// Where its first version is; if that is forgotten, the first that is known since.
        first: Position,
    },
    /// The entity, or one that owned it, was removed.
    #[error(
        "{entity} was removed{}: read it as of an earlier revision, or add it again",
        if entity == by { format!(" in its {revision}") } else { format!(" with {by}, which owned it, in that one's {revision}") }
    )]
    Removed {
        /// The entity.
        entity: EntityId,
        /// What was removed: itself or an owner.
        by: EntityId,
        /// The revision that is the removal.
        revision: Revision,
    },
    /// The entity has no such revision.
    #[error("{entity} has no {asked}: its revisions go from r1 to {last}")]
    NoRevision {
        /// The entity.
        entity: EntityId,
        /// What was asked for.
        asked: Revision,
        /// Its newest revision.
        last: Revision,
    },
    /// The entity stores no such field.
    #[error("{entity} has no stored field {field:?}: its fields are {known}")]
    NoField {
        /// The entity.
        entity: EntityId,
        /// What was asked for.
        field: String,
        /// The fields that it has.
        known: String,
    },
    /// The log has no such position.
    #[error("the log has no {asked}: its entries go from #1 to {last}")]
    NoPosition {
        /// What was asked for.
        asked: Position,
        /// The newest.
        last: Position,
    },
    /// What was there then is forgotten.
    #[error(
        "what there was at {asked} is forgotten: everything can be read from {horizon} on, and as of tags before it"
    )]
    Forgotten {
        /// What was asked for.
        asked: When,
        /// The first position as of which everything can be read.
        horizon: Position,
    },
    /// What the entity was then is erased.
    #[error(
        "what {entity} was in its {revision} is erased: the key of the subject whose data it was is destroyed, here for \
         good; when it was and who did it is still told"
    )]
    Erased {
        /// The entity.
        entity: EntityId,
        /// The version whose own state that is.
        revision: Revision,
    },
    /// The entity went with an owner that came back without it, and how is forgotten.
    #[error(
        "{entity} went with its owner {owner}, which came back without it before {horizon}, as far as is still known: \
         add it again"
    )]
    Ended {
        /// The entity.
        entity: EntityId,
        /// Its last owner.
        owner: EntityId,
        /// The first position as of which everything can be read.
        horizon: Position,
    },
    /// Nothing had happened yet.
    #[error("nothing was committed at or before {when}")]
    TooEarly {
        /// What was asked for.
        when: When,
    },
    /// A revision says nothing without the entity whose it is.
    #[error("{revision} is a revision, and only an entity has those: say it by position, time or tag")]
    RevisionAlone {
        /// The revision.
        revision: Revision,
    },
    /// There is no tag of this name.
    #[error("there is no tag {tag:?}: known are {known}")]
    NoTag {
        /// What was asked for.
        tag: String,
        /// The tags there are.
        known: String,
    },
    /// There is no branch of this name.
    #[error("there is no branch {branch:?}: known is {known}")]
    NoBranch {
        /// What was asked for.
        branch: String,
        /// The branches there are.
        known: String,
    },
    /// A tag of this name stands at another position.
    #[error("the tag {tag:?} stands at {at} already: tags stay, so choose another name")]
    TagTaken {
        /// The tag.
        tag: String,
        /// Where it stands.
        at: Position,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entity of a type that nobody here has named.
    #[error(
        "{entity} is stored as a {name:?}, and no type of that name is known here: take it in with `register_type`, or \
         say `#[entity(alias = \"{name}\")]` on the type that it has become"
    )]
    UnknownType {
        /// The entity.
        entity: EntityId,
        /// The stored name of its type.
        name: String,
    },
    /// A state of a layout that its type no longer has.
    #[error(
        "{entity} {revision} was stored by another layout of its type (schema {schema}) and cannot be read by today's: \
         {reason}. Give new fields a `#[serde(default)]` and renamed ones an `#[entity(alias = \"...\")]`; for all else \
         raise the schema of the type (`#[entity(schema = ...)]`, from {schema_today} today) and register an upcaster \
         from schema {schema} with `upcast`.\nStored:\n{stored}Today:\n{today}"
    )]
    Layout {
        /// The entity.
        entity: EntityId,
        /// The revision that was to be read.
        revision: Revision,
        /// The number of the schema that it was stored by.
        schema: u32,
        /// The number of the schema that its type has today.
        schema_today: u32,
        /// The layout that it was stored by.
        stored: String,
        /// The layout of its type today.
        today: String,
        /// What does not fit.
        reason: String,
    },
    /// What the store has is not what was written.
    #[error("{reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// A child behind a shared handle could not be loaded.
    #[error("{entity} could not be loaded: {reason}")]
    Load {
        /// The child.
        entity: EntityId,
        /// Why.
        reason: String,
    },
    /// Two types of one stored name.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// The entity is not in this tree.
    #[error("{entity} is not in the tree of {root} then")]
    NotInTree {
        /// The entity.
        entity: EntityId,
        /// The root of the tree.
        root: EntityId,
    },
}

/// An entity that was checked out of one registry and given to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entity} was checked out of another registry: check it out of this one, or `add` it here")]
#[non_exhaustive]
pub struct OtherRegistryError {
    /// The entity.
    pub entity: EntityId,
}

/// Why a commit was refused. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Somebody else committed first.
    #[error("{entity} is at {found}, not {expected}: someone committed first; read it again and retry")]
    Conflict {
        /// The entity.
        entity: EntityId,
        /// The revision that was read.
        expected: Revision,
        /// Its revision now.
        found: Revision,
    },
    /// Somebody added it first.
    #[error("{entity} is at {found}, and was expected not to be there: someone added it first")]
    ConflictPresent {
        /// The entity.
        entity: EntityId,
        /// Its revision now.
        found: Revision,
    },
    /// The entity came back under another identity.
    #[error(
        "{entity} came back as {found}: an identity stays, so leave it as it is, and create what is to be another entity"
    )]
    Identity {
        /// The entity.
        entity: EntityId,
        /// The identity that it came back with.
        found: EntityId,
    },
    /// The entity has a place already.
    #[error(
        "{entity} already stands at {first} and would stand at {second} too: take it out of the first in the same \
         commit, or refer to it with an `Id`"
    )]
    SecondOwner {
        /// The entity.
        entity: EntityId,
        /// Where it stands.
        first: String,
        /// Where it would stand.
        second: String,
    },
    /// The entity is a root already.
    #[error("{entity} is in this registry already: change it with a callable that takes it by `&mut`, or `save` it")]
    Present {
        /// The entity.
        entity: EntityId,
    },
    /// The entity is owned.
    #[error("{entity} is owned by {owner}: take it out of that one instead")]
    Owned {
        /// The entity.
        entity: EntityId,
        /// Its owner.
        owner: EntityId,
    },
    /// The entity was removed from its owner, which alone says where it stood.
    #[error("{entity} was removed from {owner}, which says where it stood: revert that one instead")]
    WasOwned {
        /// The entity.
        entity: EntityId,
        /// Its last owner.
        owner: EntityId,
    },
    /// Two parts of one commit hold the same entity.
    #[error("{inner} is owned by {outer}, and both are in this commit: give the outer one alone")]
    Overlap {
        /// The owner.
        outer: EntityId,
        /// What it owns.
        inner: EntityId,
    },
    /// One entity stands at two places of what was given.
    #[error(transparent)]
    Repeated(#[from] RepeatedError),
    /// The entity cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Two types of one stored name.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A shared child could not be loaded while the states were compared.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A held entity is another registry's.
    #[error(transparent)]
    OtherRegistry(#[from] OtherRegistryError),
    /// Code of an entity's own type panicked while its states were compared: its `Clone`, `PartialEq` or serde.
    #[error("comparing the states panicked: {0}")]
    Panicked(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] AppendError),
    /// A value cannot be written.
    #[error("{0}: keep it in a form that serde can write, or mark the field `#[entity(skip)]`")]
    Unwritable(String),
}

impl From<Unreadable> for ReadError {
    fn from(Unreadable(error): Unreadable) -> Self {
        match error.downcast_ref::<ReadError>() {
            Some(known) => known.clone(),
            None => ReadError::Unreadable { reason: error.to_string() },
        }
    }
}

impl From<ReadError> for Unreadable {
    fn from(error: ReadError) -> Self {
        Unreadable(std::sync::Arc::new(error))
    }
}

impl From<Unreadable> for CommitError {
    fn from(error: Unreadable) -> Self {
        CommitError::Read(error.into())
    }
}

impl From<LoadError> for ReadError {
    fn from(error: LoadError) -> Self {
        let known = error.reason().downcast_ref::<ReadError>().cloned();
        known.unwrap_or_else(|| ReadError::Load { entity: error.entity(), reason: error.reason().to_string() })
    }
}
