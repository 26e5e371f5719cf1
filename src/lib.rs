//! heirloom: versioned entities for Rust.

// The derives name the crate by its public path, also where it is derived for itself.
extern crate self as heirloom;

mod children;
mod diff;
mod digest;
mod entity;
mod error;
mod history;
mod id;
mod lineage;
mod log;
mod order;
mod patch;
mod registry;
mod schema;
mod tree;
mod value;
mod when;

pub use children::{Child, Children, LoadError, References, RepeatedId, Shared};
pub use diff::{Change, ChangeKind, Changes, JsonPatchError, Place, RepeatedError, Subject, diff, diff_each, to_json};
pub use digest::{Digest, Digester};
pub use entity::{Entity, Field, FieldToken, Key, Plain};
pub use error::{Error, Result};
pub use heirloom_derive::{Entity, Value};
pub use history::{
    CommitError, Edge, FieldVersion, History, ReadError, TreeAt, TypeError, Version, VersionKind, Versions,
};
pub use id::{EntityId, Id, IdError, Ids};
pub use log::{Argument, Entry, Properties, Run, RunEnd};
pub use patch::{Patch, PatchError};
pub use registry::{
    Access, AddressError, ArgumentError, Batch, Builder, CallError, Callable, Caller, Description, Expected, Held,
    Observation, Outcome, Parameter, Plain as PlainArg, RegisterError, Registration, Registry, Strategy, Strays,
    Subscription, ValueOf,
};
pub use schema::{FieldMeta, Layout, Layouter, Meta, Role};
pub use tree::Tree;
pub use value::{ApplyError, BridgeError, DecodeError, Delta, JsonError, Leaf, Name, Value};
pub use when::{Clock, Position, Revision, SystemClock, TimeError, Timestamp, When};

/// What most programs need: `use heirloom::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Child, Children, Entity, EntityId, Held, History, Id, Patch, References, Registry, Revision, Shared, Timestamp,
        Value, When,
    };
}

/// What the derives' expansions name. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::children::Load;
    pub use crate::digest::Digester;
    pub use crate::entity::value_type;
    pub use crate::entity::{
        AnyCell, AnyEntity, Assemble, Cell, ChildChange, Comparison, EntityField, FieldSet, Foreign, ForeignField,
        Handling, Key, Native, NoSource, OwnId, Pairs, Part, Record, Slot, Source, TypeRow, ValueField, ValueFields,
        ValueType, Visit, VisitMut, VisitPair, decode_entity, inline,
    };
    pub use crate::history::Gathered;
    pub use crate::registry::{
        Arg, Arguments, CreatedOutput, Failure, Output, OutputKind, Param, PlainOutput, PlainParam, Signature,
    };
    pub use crate::schema::Layouter;
}
