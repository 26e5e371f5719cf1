//! heirloom: versioned entities for Rust.

extern crate self as heirloom;

mod children;
mod digest;
mod entity;
mod id;
mod order;
mod registry;
mod schema;
mod value;

pub use digest::{Digest, Digester};
pub use entity::{Entity, Field, FieldToken, Plain};

pub use id::{EntityId, Id, IdError, Ids};
pub use schema::{FieldMeta, Layout, Meta, Role};
pub use value::{ApplyError, DecodeError, Delta, JsonError, Leaf, Name, Value};

/// What the derives' expansions name. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::digest::Digester;
    pub use crate::entity::value_type;
    pub use crate::entity::{
        AnyCell, AnyEntity, Assemble, ChildChange, Foreign, Handling, Key, Native, NoSource, Pairs, Slot, Source,
        ValueFields, ValueType, Visit, VisitMut, VisitPair, inline,
    };
    pub use crate::registry::{CreatedOutput, Output, Param, PlainOutput, PlainParam};
    pub use crate::schema::Layouter;
}
