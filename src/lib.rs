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
pub mod store;
mod tree;
mod value;
mod when;

pub use children::{Child, Children, References, RepeatedId, Shared};
pub use diff::{Change, ChangeKind, Changes, JsonPatchError, Place, RepeatedError, Subject, diff, diff_each, to_json};
pub use digest::{Digest, Digester};
pub use entity::{Entity, Field, FieldToken, Identity, Key, LoadError, Plain};
pub use error::{Error, Result};
pub use heirloom_derive::{Entity, Value};
pub use history::{
    Argument, CommitError, Edge, Entry, EraseError, Erasure, FieldVersion, History, LockError, Origin,
    OtherRegistryError, Reach, ReadError, Run, RunPart, TreeAt, TypeError, Version, VersionKind, Versions, Why,
};
pub use id::{EntityId, Id, IdError, Ids, RunId};
pub use log::{Properties, RunEnd};
pub use patch::{Patch, PatchError};
pub use registry::{
    Access, AddressError, ArgumentError, Batch, Builder, Call, CallError, Callable, CallableStats, Callables, Caller,
    Commits, CompactError, Compaction, Conflict, Context, CutOff, Description, Expected, Held, Manifest, Observation,
    ObservationKind, Observations, Once, Outcome, Parameter, Pending, Plain as PlainArg, RecallError, Receipt,
    RegisterError, Registration, Registry, ReplayError, Replayed, Replays, Retention, RunNumber, Stats, Strategy,
    Strays, Stretch, Subscribing, Subscription, Tally, Topics, ValueOf, WhenFull,
};
pub use schema::{FieldMeta, Layout, Layouter, Meta, Role, SubjectOf};
pub use tree::Tree;
pub use value::{ApplyError, BridgeError, DecodeError, Delta, JsonError, Leaf, Name, Value};
pub use when::{Clock, Position, Revision, SystemClock, TimeError, Timestamp, When};

/// Lets a function say of itself what a registry keeps of a callable: its name, the names of its parameters, its
/// documentation and, if it is given one, the version of its code.
///
/// ```
/// use heirloom::prelude::*;
/// # #[derive(Entity, Clone)]
/// # struct Student { id: Id<Student>, name: String, gpa: f64 }
///
/// /// Raises the grade of a student, up to 4.0.
/// #[callable(version = "2")]
/// fn raise(student: &mut Student, by: f64) {
///     student.gpa = (student.gpa + by).min(4.0);
/// }
///
/// let registry = Registry::in_memory();
/// registry.register_all::<raise>()?;
/// let about = registry.describe("raise")?;
/// assert_eq!(about.to_string(), "raise(student: &mut Student, by: f64) -> unit: edits one");
/// assert_eq!(about.docs.as_deref(), Some("Raises the grade of a student, up to 4.0."));
/// # let ann = registry.add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
/// registry.call(raise, (ann, 0.3))?;
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// The function stays as it is and where it is: at the top of a module, private or not, or within the body of another.
/// Beside it, a type of the same name stands for it where only a type can, as in `register_all::<(raise, enrol)>()`; `use`
/// brings both. A parameter or an output that does not fit is an error on its own type.
pub use heirloom_derive::callable;

/// What most programs need: `use heirloom::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Child, Children, Entity, EntityId, Held, History, Id, Patch, References, Registry, Revision, Shared, Timestamp,
        Value, When, callable,
    };
}

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the derives' expansions name. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::digest::Digester;
    #[cfg(feature = "erasure")]
    pub use crate::entity::subject;
    pub use crate::entity::value_type;
    pub use crate::entity::{
        AnyCell, AnyEntity, Assemble, Cell, ChildChange, Comparison, EntityField, FieldSet, Foreign, ForeignField,
        Handling, Key, Load, Native, NoSource, OwnId, Pairs, Part, Record, Slot, Source, Stamp, TypeRow, ValueField,
        ValueFields, ValueType, Visit, VisitMut, VisitPair, decode_entity, inline,
    };
    pub use crate::history::Proposal;
    pub use crate::registry::{
        Arg, Arguments, CreatedOutput, Declared, DoesNotFit, EntitiesParam, Failure, Fits, Output, OutputKind, Param,
        PlainOutput, PlainParam, Probe, Recall, Signature, TakeParam, gives, takes, takes_context, takes_first,
    };
    pub use crate::schema::{Layouter, constant_name};
    #[cfg(feature = "inventory")]
    pub use inventory;
}

/// Makes a function with `#[callable]` known to `Registry::register_linked`.
#[cfg(feature = "inventory")]
#[doc(hidden)]
#[macro_export]
macro_rules! __link {
    ($declared:path) => {
        $crate::__private::inventory::submit! { &$declared }
    };
}

/// Without the feature `inventory`, nobody asks for what is linked.
#[cfg(not(feature = "inventory"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __link {
    ($declared:path) => {};
}

/// What the fuzz targets in `tests/fuzz` call. Not part of the public interface.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod __fuzz {
    /// Reads any bytes as a value and checks what must hold.
    pub fn stored_value(bytes: &[u8]) {
        crate::value::fuzz::value(bytes);
    }

    /// Reads any two lines as patches and states and checks what must hold.
    pub fn stored_patch(bytes: &[u8]) {
        crate::value::fuzz::patch(bytes);
    }

    /// Reads any bytes as what is stored of a state and checks what must hold.
    pub fn stored_body(bytes: &[u8]) {
        crate::history::fuzz::body(bytes);
    }

    /// Reads any bytes as what is said of an entry and checks what must hold.
    pub fn stored_said(bytes: &[u8]) {
        crate::history::fuzz::said(bytes);
    }

    /// Reads any text as a layout and as a lock and checks what must hold.
    pub fn stored_layout(bytes: &[u8]) {
        crate::history::fuzz::layout(bytes);
    }

    /// Reads any bytes as what an entry made and what a version carries and checks what must hold.
    #[cfg(feature = "sqlite")]
    pub fn stored_row(bytes: &[u8]) {
        crate::store::rows_fuzz::row(bytes);
    }

    /// Reads any bytes as the lines of a store and checks what must hold.
    pub fn lines(bytes: &[u8]) {
        crate::store::fuzz::lines(bytes);
    }
}
