//! What the derives write of a field's type: the entries of its row and its visits.
//!
//! The expansions name nothing else of it, so that a type which cannot be kept is one error, not one for each use: the
//! compiler tells an error that is the same word for word only once.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Assemble, Field, Foreign, Handling, Native, Plain, Visit, VisitMut, VisitPair};
use crate::id::{EntityId, Id};
use crate::schema::{FieldMeta, Layouter, Role};
use crate::value::DecodeError;

macro_rules! way {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        pub trait $name: Sized + 'static {
            /// How the engine treats it.
            type By: Handling<Self>;
            /// See [`Field::ROLE`].
            const ROLE: Role = Role::Value;
            /// See [`Field::INLINES`].
            const INLINES: bool = false;
            /// See [`Field::FORGETS`].
            const FORGETS: bool = false;

            /// See [`Field::layout`].
            fn layout(layouter: &mut Layouter) -> String {
                Self::By::layout(layouter)
            }
            /// Whether its type has a value for what is absent: see [`Field::absent`].
            fn may_be_absent() -> bool {
                <Self::By as Handling<Self>>::absent().is_some()
            }
            /// Has it visited.
            fn tell<'a, V: Visit<'a>>(&'a self, index: usize, visit: &mut V) {
                visit.field::<Self::By, Self>(index, self);
            }
            /// Has it visited together with `after`.
            fn tell_pair<'a, V: VisitPair<'a>>(&'a self, after: &'a Self, index: usize, visit: &mut V) {
                visit.field::<Self::By, Self>(index, self, after);
            }
            /// Has it visited together with `after`, to be judged by `same`.
            fn tell_judged<'a, V: VisitPair<'a>>(
                &'a self,
                after: &'a Self,
                index: usize,
                visit: &mut V,
                same: fn(&Self, &Self) -> bool,
            ) {
                visit.judged::<Self::By, Self>(index, self, after, same);
            }
            /// Has it visited for writing.
            fn tell_mut<V: VisitMut>(&mut self, index: usize, visit: &mut V) {
                visit.field::<Self::By, Self>(index, self);
            }
            /// Takes it out of what is read.
            ///
            /// # Errors
            /// It is not of this type, or it is missing and has no default.
            fn read<S: Assemble>(
                source: &mut S,
                meta: &'static FieldMeta,
                default: Option<fn() -> Self>,
            ) -> Result<Self, DecodeError> {
                source.field::<Self::By, Self>(meta, default)
            }
        }
    };
}

way! {
    /// The type of an entity's field.
    #[diagnostic::on_unimplemented(
        message = "heirloom does not know how to keep a `{Self}` in an entity",
        label = "`{Self}` has no role",
        note = "a type of your own: put `#[derive(Value)]` on it, or `#[derive(Entity)]` if it has an identity",
        note = "a foreign type that implements serde's traits and `PartialEq`: mark the field `#[entity(value)]`",
        note = "a field that need not be kept: mark it `#[entity(skip)]`"
    )]
    EntityField
}

impl<F: Field> EntityField for F {
    type By = Native;
    const ROLE: Role = F::ROLE;
    const INLINES: bool = F::INLINES;
    const FORGETS: bool = F::FORGETS;
}

way! {
    /// The type of a value type's field.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot stand in a value type: only plain values can",
        label = "expected a value: a number, text, a container of values, or a type with `#[derive(Value)]`",
        note = "an entity has one place in its tree: own it from the field of an entity, or refer to it with `Id<...>`",
        note = "a foreign type that implements serde's traits and `PartialEq`: mark the field `#[entity(value)]`"
    )]
    ValueField
}

// Nothing is asked of the type here: a value type may hold itself.
impl<F: Plain> ValueField for F {
    type By = Native;
}

way! {
    /// The type of a field marked `#[entity(value)]`.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be kept through serde",
        label = "expected a type with `Serialize`, `DeserializeOwned`, `PartialEq` and `Clone` that may cross threads"
    )]
    ForeignField
}

impl<F: Serialize + DeserializeOwned + PartialEq + Clone + Send + Sync + 'static> ForeignField for F {
    type By = Foreign;
}

/// The type of the id of an `E`.
#[diagnostic::on_unimplemented(
    message = "the id of a `{E}` cannot be a `{Self}`",
    label = "expected `Id<{E}>`",
    note = "mark the field that is the entity's own identity: `#[entity(id)] key: Id<{E}>`"
)]
pub trait OwnId<E>: Sized {
    /// It.
    fn of(id: EntityId) -> Self;
    /// It without its type.
    fn get(&self) -> EntityId;
}

impl<E> OwnId<E> for Id<E> {
    fn of(id: EntityId) -> Self {
        Self::from_entity_id(id)
    }
    fn get(&self) -> EntityId {
        self.entity_id()
    }
}
