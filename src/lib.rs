//! Versioned entities: derive [`Entity`] on plain structs, run functions through a [`Registry`], and ask what changed,
//! who did it, and what it was like then.
//!
//! ```
//! use heirloom::prelude::*;
//!
//! #[derive(Entity, Clone, Debug, PartialEq)]
//! struct Student { id: Id<Student>, name: String, gpa: f64 }
//!
//! fn raise(student: &mut Student, by: f64) { student.gpa = (student.gpa + by).min(4.0); }
//!
//! let registry = Registry::in_memory();
//! let _ = registry.register("raise", raise)?;
//! let ann = registry.add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
//!
//! let outcome = registry.by("dean").call(raise, (ann, 0.3))?;
//! assert_eq!(outcome.changes().to_string(), "Student Ann: gpa 3.5 -> 3.8");
//! assert_eq!(registry.history().of(ann)?.to_string(), "r2 dean raise gpa 3.5 -> 3.8\nr1 added");
//! assert_eq!(registry.history().at(ann, Revision(1))?.gpa, 3.5);
//! # Ok::<(), heirloom::Error>(())
//! ```
//!
//! [`Entity`](derive@Entity) and [`Value`](derive@Value) say what a type is, [`Child`] and [`Children`] own entities by
//! shared handle, [`Registry`] runs functions, [`History`] answers; [`diff`] and [`Patch`] work on any two states.

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
    Argument, CommitError, Edge, Entry, FieldVersion, History, OtherRegistryError, ReadError, Run, TreeAt, TypeError,
    Version, VersionKind, Versions,
};
pub use id::{EntityId, Id, IdError, Ids};
pub use log::{Properties, RunEnd};
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

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
    pub use crate::history::Proposal;
    pub use crate::registry::{
        Arg, Arguments, CreatedOutput, Failure, Output, OutputKind, Param, PlainOutput, PlainParam, Signature,
    };
    pub use crate::schema::{Layouter, constant_name};
}
