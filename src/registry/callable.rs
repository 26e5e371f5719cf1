//! Functions as callables: one implementation for each number of parameters.

use std::marker::PhantomData;

use serde_json::Value as Json;

use super::again::{Again, Rerun};
use super::caller::Caller;
use super::context::Context;
use super::draft::Draft;
use super::error::{ArgumentError, CallError};
use super::json_schema::Schemas;
use super::kinds::{Access, Output, OutputKind, Param, ParamKind};
use super::load::{Arg, Loading, Used};
use super::outcome::Outcome;
use super::replay::ReplayError;
use super::table::Registered;
use crate::entity::TypeRow;
use crate::history::{Argument, Begun, Proposal};
use crate::log::AllGiven;

/// A parameter of a callable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, once `.params([...])` or `#[callable]` gave it one.
    pub name: Option<String>,
    /// What the callable does with it.
    pub access: Access,
    /// Whether it is a list of entities.
    pub several: bool,
    /// Its type.
    pub type_name: String,
}

/// What a run takes and gives back, with the types still known.
pub trait Signature {
    /// What is held while it runs.
    type Slots;

    /// How many parameters there are.
    const COUNT: usize;
    /// The parameters, without names.
    fn parameters() -> Vec<Parameter>;
    /// What they are as JSON.
    fn schemas(schemas: &mut Schemas) -> Vec<Json>;
    /// The types of those that are entities.
    fn rows() -> Vec<Option<&'static TypeRow>>;
    /// Reads the arguments from JSON; an error comes with the number of the parameter.
    ///
    /// # Errors
    /// One does not fit.
    fn read(json: &[&Json], loading: &mut Loading<'_>) -> Result<Self::Slots, (usize, ArgumentError)>;
    /// Takes the arguments as the log has them, one for each parameter; an error comes with the number of the parameter.
    ///
    /// # Errors
    /// One does not fit, or cannot be read any more.
    fn recall(arguments: &[Argument], loading: &Loading<'_>) -> Result<Self::Slots, (usize, ArgumentError)>;
    /// What the log keeps of the arguments.
    fn arguments(slots: &Self::Slots) -> AllGiven;
    /// Tells the entities.
    fn used(slots: &Self::Slots, visit: &mut dyn FnMut(Used));
    /// Whether an entity that was given to be edited may have changed.
    fn changed(slots: &mut Self::Slots) -> bool;
    /// Gives the entities back after the run.
    fn collect(slots: &mut Self::Slots, into: &mut Proposal);
}

/// A function or closure that a registry can run.
///
/// Its parameters are `&T`, `&mut T` or `T` of entities, lists and options of these, and plain values, after a
/// [`&Context`](Context) if it wants one; it gives back nothing, a plain value, entities, or a tuple, list, option or
/// `Result` of these.
///
/// An entity by value is a copy that the run owns, to be taken apart or edited. One that is given back under its id is an
/// edit of that entity; one that is not was read, as by `&T`. What is given back and was not taken is created. So a
/// revision of it that is named must be the newest, unless the callable gives back no entity of any type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be registered",
    label = "not a function that a registry can run",
    note = "each parameter must be `&T`, `&mut T` or `T` of an entity, a `Vec` or `Option` of these, or a plain value: a number, text, a \
            container of values, or a type with `#[derive(Value)]`",
    note = "the output must be nothing, a plain value, an entity, or a tuple, `Vec`, `Option` or `Result` of these",
    note = "a closure needs the types of its parameters written out: `|student: &mut Student, by: f64|`"
)]
pub trait Callable<M>: Send + Sync + 'static {
    /// The parameters.
    type Signature: Signature;
    /// What it gives back.
    type Output: Output;

    /// Whether it takes the context of its run, before its parameters.
    const TAKES_CONTEXT: bool = false;

    /// Runs it; `context` is there if it takes one.
    fn invoke(&self, context: Option<&Context>, slots: &mut <Self::Signature as Signature>::Slots) -> Self::Output;
}

/// Arguments for the parameters `S`: a tuple, one for each.
#[diagnostic::on_unimplemented(
    message = "these arguments do not fit the parameters of the callable",
    label = "expected a tuple with one argument for each parameter",
    note = "give `Id<T>` or `&mut Held<T>` for a parameter that is an entity, the value itself for a plain one: \
            `call(raise, (ann, 0.3))`"
)]
pub trait Arguments<S: Signature> {
    /// Whether loading them may commit something.
    const COMMITS: bool = false;

    /// Loads them; an error comes with the number of the parameter.
    ///
    /// # Errors
    /// One does not fit.
    fn load(&mut self, loading: &mut Loading<'_>) -> Result<S::Slots, (usize, ArgumentError)>;
    /// Tells them what their entities became.
    fn refresh(&mut self);
}

type SlotOf<P> = <<P as Param>::Kind as ParamKind<P>>::Slot;
type ItemOf<'s, P> = <<P as Param>::Kind as ParamKind<P>>::Item<'s>;
type KindOf<P> = <P as Param>::Kind;

macro_rules! arities {
    ($($count:literal: $($param:ident $arg:ident $name:ident $index:tt),*;)*) => {$(
        impl<$($param: Param),*> Signature for fn($($param),*)
        where
            $(KindOf<$param>: ParamKind<$param>,)*
        {
            type Slots = ($(SlotOf<$param>,)*);
            const COUNT: usize = $count;

            fn parameters() -> Vec<Parameter> {
                vec![$(Parameter {
                    name: None,
                    access: KindOf::<$param>::ACCESS,
                    several: KindOf::<$param>::SEVERAL,
                    type_name: KindOf::<$param>::type_name(),
                }),*]
            }
            fn schemas(schemas: &mut Schemas) -> Vec<Json> {
                let _ = &schemas;
                vec![$(KindOf::<$param>::schema(schemas)),*]
            }
            fn rows() -> Vec<Option<&'static TypeRow>> {
                vec![$(KindOf::<$param>::row()),*]
            }
            fn read(json: &[&Json], loading: &mut Loading<'_>) -> Result<Self::Slots, (usize, ArgumentError)> {
                let _ = (json, &loading);
                Ok(($(KindOf::<$param>::read(json[$index], loading).map_err(|error| ($index, error))?,)*))
            }
            fn recall(arguments: &[Argument], loading: &Loading<'_>) -> Result<Self::Slots, (usize, ArgumentError)> {
                let _ = (arguments, loading);
                Ok(($(KindOf::<$param>::recall(&arguments[$index], loading).map_err(|error| ($index, error))?,)*))
            }
            fn arguments(slots: &Self::Slots) -> AllGiven {
                let _ = slots;
                smallvec::smallvec![$(KindOf::<$param>::argument(&slots.$index)),*]
            }
            fn used(slots: &Self::Slots, visit: &mut dyn FnMut(Used)) {
                let _ = (slots, &visit);
                $(KindOf::<$param>::used(&slots.$index, visit);)*
            }
            fn changed(slots: &mut Self::Slots) -> bool {
                let _ = &slots;
                let changed = false;
                $(let changed = KindOf::<$param>::changed(&mut slots.$index) || changed;)*
                changed
            }
            fn collect(slots: &mut Self::Slots, into: &mut Proposal) {
                let _ = (&slots, &into);
                $(KindOf::<$param>::collect(&mut slots.$index, into);)*
            }
        }

        impl<Func, Out, $($param: Param),*> Callable<fn($($param),*) -> Out> for Func
        where
            Func: Fn($($param),*) -> Out + Send + Sync + 'static,
            Func: for<'s> Fn($(ItemOf<'s, $param>),*) -> Out,
            $(KindOf<$param>: ParamKind<$param>,)*
            Out: Output,
        {
            type Signature = fn($($param),*);
            type Output = Out;

            fn invoke(&self, _: Option<&Context>, slots: &mut ($(SlotOf<$param>,)*)) -> Out {
                // Through a bound of its own: `self` fits the items of `slots` by the higher-ranked one alone.
                fn through<$($param,)* Out>(function: impl Fn($($param),*) -> Out, $($name: $param),*) -> Out {
                    function($($name),*)
                }
                let _ = &slots;
                through(self, $(KindOf::<$param>::item(&mut slots.$index)),*)
            }
        }

        impl<Func, Out, $($param: Param),*> Callable<fn(&Context, $($param),*) -> Out> for Func
        where
            Func: Fn(&Context, $($param),*) -> Out + Send + Sync + 'static,
            Func: for<'s> Fn(&Context, $(ItemOf<'s, $param>),*) -> Out,
            $(KindOf<$param>: ParamKind<$param>,)*
            Out: Output,
        {
            type Signature = fn($($param),*);
            type Output = Out;
            const TAKES_CONTEXT: bool = true;

            fn invoke(&self, context: Option<&Context>, slots: &mut ($(SlotOf<$param>,)*)) -> Out {
                fn through<$($param,)* Out>(
                    (function, context): (impl Fn(&Context, $($param),*) -> Out, &Context),
                    $($name: $param),*
                ) -> Out {
                    function(context, $($name),*)
                }
                let _ = &slots;
                let context = context.expect("a callable that takes one is given one");
                through((self, context), $(KindOf::<$param>::item(&mut slots.$index)),*)
            }
        }

        impl<$($param: Param, $arg: Arg<$param>),*> Arguments<fn($($param),*)> for ($($arg,)*)
        where
            $(KindOf<$param>: ParamKind<$param>,)*
        {
            const COMMITS: bool = false $(|| <$arg as Arg<$param>>::COMMITS)*;

            fn load(
                &mut self,
                loading: &mut Loading<'_>,
            ) -> Result<($(SlotOf<$param>,)*), (usize, ArgumentError)> {
                let _ = &loading;
                if <Self as Arguments<fn($($param),*)>>::COMMITS {
                    $(self.$index.check(loading).map_err(|error| ($index, error))?;)*
                }
                Ok(($(self.$index.load(loading).map_err(|error| ($index, error))?,)*))
            }
            fn refresh(&mut self) {
                $(self.$index.refresh();)*
            }
        }
    )*};
}

arities! {
    0: ;
    1: P0 A0 a0 0;
    2: P0 A0 a0 0, P1 A1 a1 1;
    3: P0 A0 a0 0, P1 A1 a1 1, P2 A2 a2 2;
    4: P0 A0 a0 0, P1 A1 a1 1, P2 A2 a2 2, P3 A3 a3 3;
    5: P0 A0 a0 0, P1 A1 a1 1, P2 A2 a2 2, P3 A3 a3 3, P4 A4 a4 4;
    6: P0 A0 a0 0, P1 A1 a1 1, P2 A2 a2 2, P3 A3 a3 3, P4 A4 a4 4, P5 A5 a5 5;
}

/// A callable without its types.
pub(super) trait AnyCallable: Send + Sync {
    fn parameters(&self) -> Vec<Parameter>;
    fn rows(&self) -> Vec<Option<&'static TypeRow>>;
    /// Which parameters a run may edit: by reference, or by giving them back.
    fn edits(&self) -> Vec<bool>;
    fn output(&self) -> String;
    /// What its arguments are as JSON, in order.
    fn given(&self, schemas: &mut Schemas) -> Vec<Json>;
    /// What it gives back as JSON.
    fn given_back(&self, schemas: &mut Schemas) -> Json;
    fn creates(&self) -> bool;
    /// The outcome of the first call under the caller's key, if it was used.
    fn first(
        &self,
        caller: &Caller<'_>,
        registered: &Registered,
        arguments: &[&Json],
    ) -> Result<Option<Outcome<Json>>, CallError>;
    /// Runs it; its commit is made or under way.
    fn start(
        &self,
        caller: &Caller<'_>,
        registered: &Registered,
        arguments: &[&Json],
    ) -> Result<(Json, Begun), CallError>;
    /// Runs it on what a draft has come to, and takes into that what it did.
    fn join(
        &self,
        caller: &Caller<'_>,
        registered: &Registered,
        arguments: &[&Json],
        draft: &mut Draft,
    ) -> Result<Json, CallError>;
    /// Runs it once more on what a run was given; nothing is kept.
    fn again(&self, rerun: &Rerun<'_>) -> Result<Again, ReplayError>;
}

pub(super) struct Typed<F, M> {
    pub(super) function: F,
    pub(super) marker: PhantomData<fn() -> M>,
}

impl<M: 'static, F: Callable<M>> Typed<F, M> {
    fn loading<'r>(caller: &'r Caller<'r>) -> Loading<'r> {
        Loading { gives_entities: <F::Output as Output>::Kind::CREATES, ..Loading::new(caller) }
    }
}

impl<M: 'static, F: Callable<M>> AnyCallable for Typed<F, M> {
    fn parameters(&self) -> Vec<Parameter> {
        F::Signature::parameters()
    }
    fn rows(&self) -> Vec<Option<&'static TypeRow>> {
        F::Signature::rows()
    }
    fn edits(&self) -> Vec<bool> {
        let edits = |(parameter, row): (Parameter, Option<_>)| match parameter.access {
            Access::Edits => true,
            Access::Takes => row.is_some_and(<F::Output as Output>::Kind::gives),
            Access::Reads | Access::Value => false,
        };
        F::Signature::parameters().into_iter().zip(F::Signature::rows()).map(edits).collect()
    }
    fn output(&self) -> String {
        <F::Output as Output>::Kind::type_name()
    }
    fn given(&self, schemas: &mut Schemas) -> Vec<Json> {
        F::Signature::schemas(schemas)
    }
    fn given_back(&self, schemas: &mut Schemas) -> Json {
        <F::Output as Output>::Kind::schema(schemas)
    }
    fn creates(&self) -> bool {
        <F::Output as Output>::Kind::CREATES
    }
    fn first(
        &self,
        caller: &Caller<'_>,
        registered: &Registered,
        arguments: &[&Json],
    ) -> Result<Option<Outcome<Json>>, CallError> {
        let given = || {
            let slots = F::Signature::read(arguments, &mut Self::loading(caller)).ok()?;
            Some(F::Signature::arguments(&slots))
        };
        let first = caller.first::<F::Output>(registered, given)?;
        Ok(first.map(|first| first.map(|value| <F::Output as Output>::Kind::json(&value))))
    }
    fn start(
        &self,
        caller: &Caller<'_>,
        registered: &Registered,
        arguments: &[&Json],
    ) -> Result<(Json, Begun), CallError> {
        let mut slots = caller.loaded(registered, || F::Signature::read(arguments, &mut Self::loading(caller)))?;
        // As JSON before it is committed: a value that cannot be written is the run's failure.
        caller.run(&self.function, registered, &mut slots, |value| <F::Output as Output>::Kind::json(&value))
    }
    fn join(
        &self,
        caller: &Caller<'_>,
        registered: &Registered,
        arguments: &[&Json],
        draft: &mut Draft,
    ) -> Result<Json, CallError> {
        let mut slots = {
            let mut loading = Loading { draft: Some(draft), at: draft.at, ..Self::loading(caller) };
            caller.loaded(registered, || F::Signature::read(arguments, &mut loading))?
        };
        let json = |value| <F::Output as Output>::Kind::json(&value);
        caller.join(&self.function, registered, &mut slots, draft, json)
    }
    fn again(&self, rerun: &Rerun<'_>) -> Result<Again, ReplayError> {
        rerun.run(&self.function)
    }
}
