//! Functions with `#[callable]`, which say themselves what a registry keeps of a callable.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use super::callable::{AnyCallable, Callable, Typed};
use super::context::Context;
use super::error::RegisterError;
use super::kinds::{Output, Param, ParamKind};
use super::table::Registered;
use super::watched::Watched;
use super::{Registration, Registry};
use crate::log::MANY;

/// A function with `#[callable]`, or a tuple of such: `registry.register_all::<(raise, enrol)>()?`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function with `#[callable]`",
    label = "expected a function with `#[callable]`, or a tuple of such",
    note = "tuples of up to twelve, which may be tuples again"
)]
pub trait Callables {
    /// What they say of themselves.
    #[doc(hidden)]
    fn declared() -> Vec<&'static Declared>;
}

/// What a function with `#[callable]` says of itself.
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// The names of its parameters, in order, that of a context among them.
    pub parameters: &'static [&'static str],
    /// Its documentation.
    pub docs: Option<&'static str>,
    /// The version of its code.
    pub code_version: Option<&'static str>,
    /// Registers it.
    pub register: fn(&Registry, &'static Declared) -> Result<Registration, RegisterError>,
}

#[cfg(feature = "inventory")]
inventory::collect!(&'static Declared);

impl Registry {
    /// Registers functions with `#[callable]`, with all that they say of themselves: `register_all::<raise>()`, or several,
    /// `register_all::<(raise, school::enrol)>()`. All of them, or none.
    ///
    /// # Errors
    /// A name is taken, a function is registered already, or another type has the stored name of one of their entities.
    pub fn register_all<C: Callables>(&self) -> Result<(), RegisterError> {
        self.register_each(C::declared(), |_| false)
    }

    /// Registers every function with `#[callable]` that is linked into the program, in the order of their names, but for
    /// those that are registered already. All of them, or none.
    ///
    /// What the linker leaves out of a program, such as a library that nothing of is used, is not found; on platforms
    /// that run nothing before `main`, nothing is.
    ///
    /// # Errors
    /// A name is taken, for two functions may have one, or another type has the stored name of one of their entities.
    #[cfg(feature = "inventory")]
    pub fn register_linked(&self) -> Result<(), RegisterError> {
        let mut linked: Vec<&'static Declared> = inventory::iter::<&'static Declared>.into_iter().copied().collect();
        linked.sort_by_key(|declared| declared.name);
        self.register_each(linked, |error| matches!(error, RegisterError::FunctionTaken { .. }))
    }

    fn register_each(
        &self,
        all: Vec<&'static Declared>,
        passes_over: impl Fn(&RegisterError) -> bool,
    ) -> Result<(), RegisterError> {
        let mut done = Vec::with_capacity(all.len());
        for declared in all {
            match (declared.register)(self, declared) {
                Ok(registration) => done.push(registration),
                Err(error) if passes_over(&error) => {}
                Err(error) => {
                    done.iter().for_each(|done: &Registration| self.inner.table.remove(&done.registered));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Registers a function or closure, of which `say` says more before anybody can find it.
    pub(super) fn register_saying<F, M>(
        &self,
        name: &str,
        function: F,
        say: impl FnOnce(&Registered),
    ) -> Result<Registration, RegisterError>
    where
        F: Callable<M>,
        M: 'static,
    {
        if name == MANY {
            let by = "the runs that one commit of `execute_many` is made of".to_owned();
            return Err(RegisterError::NameTaken { name: name.to_owned(), by });
        }
        // Of a closure that captures something, or a function pointer, there can be several of one type.
        let by_type = size_of::<F>() == 0;
        let callable: Box<dyn AnyCallable> = Box::new(Typed { function, marker: PhantomData::<fn() -> M> });
        for row in callable.rows().into_iter().flatten() {
            self.inner.archive.types.admit_all(row)?;
        }
        let (type_id, type_name) = (TypeId::of::<F>(), std::any::type_name::<F>());
        let watched = Watched::new(self.inner.watching);
        let registered = Registered::new(name.into(), type_id, type_name, callable, watched);
        say(&registered);
        let registered = self.inner.table.add(registered, by_type)?;
        Ok(Registration { registered, registry: self.clone() })
    }
}

impl Declared {
    fn say<F: Callable<M>, M>(&self, registered: &Registered) {
        let names = self.parameters[usize::from(F::TAKES_CONTEXT)..].iter().map(|name| (*name).to_owned());
        // Nothing was said of it before.
        _ = registered.names.set(names.collect());
        if let Some(docs) = self.docs {
            _ = registered.docs.set(docs.to_owned());
        }
        if let Some(version) = self.code_version {
            _ = registered.identity.code_version.set(Arc::from(version));
        }
    }
}

/// Requires that a callable may take it.
pub fn takes<P: Taken>() {}

/// Requires that a callable may take it before all others.
pub fn takes_first<P: First>() {}

/// Requires that it is the context.
pub fn takes_context<P: IsContext>() {}

/// Requires that a callable may give it back.
pub fn gives<R: Output>() {}

/// What a callable may take. The message stands here, for on [`Param`] it never shows.
#[diagnostic::on_unimplemented(
    message = "a callable cannot take a `{Self}`",
    label = "expected `&T`, `&mut T` or `T` of an entity, a `Vec` or `Option` of these, or a plain value",
    note = "a type of your own: put `#[derive(Value)]` on it, or `#[derive(Entity)]` if it has an identity",
    note = "a foreign type that implements serde's traits and `PartialEq`: take a `PlainArg<{Self}>`"
)]
pub trait Taken {}

impl<P: Param> Taken for P where P::Kind: ParamKind<P> {}

/// What a callable may take before all others.
#[diagnostic::on_unimplemented(
    message = "a callable cannot take a `{Self}`",
    label = "expected `&T`, `&mut T` or `T` of an entity, a `Vec` or `Option` of these, or a plain value",
    note = "a type of your own: put `#[derive(Value)]` on it, or `#[derive(Entity)]` if it has an identity",
    note = "a foreign type that implements serde's traits and `PartialEq`: take a `PlainArg<{Self}>`"
)]
pub trait First {}

impl First for &Context {}

impl<P: Taken> First for P {}

/// The context of a run.
#[diagnostic::on_unimplemented(
    message = "a callable takes up to 6 parameters, besides the context",
    label = "expected `&heirloom::Context` as the first of seven"
)]
pub trait IsContext {}

impl IsContext for &Context {}

/// A function whose parameters and output are looked at one by one, so that what is wrong with one of them is told once,
/// there, and not a second time of the function as a whole.
pub struct Probe<F, M> {
    function: F,
    shape: PhantomData<fn() -> M>,
}

impl<F: Shape<M>, M> Probe<F, M> {
    /// Looks at a function.
    pub fn new(function: F) -> Self {
        Self { function, shape: PhantomData }
    }
}

/// A function of a shape, whether a registry can run it or not.
pub trait Shape<M> {}

/// A function of which each parameter and the output fit.
pub trait Fits: Sized {
    /// The function.
    type Function;
    /// How it is taken.
    type Marker: 'static;

    /// The function.
    fn into_function(self) -> Self::Function;

    /// Registers it. That it can be is asked here and not before, so that a reason beside its parameters and its output is
    /// told as well.
    ///
    /// # Errors
    /// As for [`Registry::register_all`].
    fn register_declared(self, registry: &Registry, declared: &'static Declared) -> Result<Registration, RegisterError>
    where
        Self::Function: Callable<Self::Marker>,
    {
        let say = |registered: &Registered| declared.say::<Self::Function, Self::Marker>(registered);
        registry.register_saying(declared.name, self.into_function(), say)
    }
}

/// A function of which something does not fit: that was told, and nothing runs.
pub trait DoesNotFit: Sized {
    /// Stands in for [`Fits::register_declared`].
    ///
    /// # Errors
    /// None: it is never called.
    fn register_declared(self, _: &Registry, _: &'static Declared) -> Result<Registration, RegisterError> {
        unreachable!("what does not fit does not compile")
    }
}

impl<F, M> DoesNotFit for &Probe<F, M> {}

macro_rules! shapes {
    ($(($($param:ident),*))*) => {$(
        impl<Func, Out, $($param),*> Shape<fn($($param),*) -> Out> for Func where Func: Fn($($param),*) -> Out {}
    )*};
}

shapes! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, G) (A, B, C, D, E, G, H) }

macro_rules! fits {
    ($(($($param:ident),*))*) => {$(
        impl<Func, Out: Output + 'static, $($param: Param + 'static),*> Fits for Probe<Func, fn($($param),*) -> Out>
        where
            $($param::Kind: ParamKind<$param>,)*
        {
            type Function = Func;
            type Marker = fn($($param),*) -> Out;

            fn into_function(self) -> Func {
                self.function
            }
        }

        impl<'c, Func, Out, $($param),*> Fits for Probe<Func, fn(&'c Context, $($param),*) -> Out>
        where
            Out: Output + 'static,
            $($param: Param + 'static, $param::Kind: ParamKind<$param>,)*
        {
            type Function = Func;
            type Marker = fn(&Context, $($param),*) -> Out;

            fn into_function(self) -> Func {
                self.function
            }
        }
    )*};
}

fits! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, G) }

macro_rules! tuples {
    ($(($($one:ident),+))*) => {$(
        impl<$($one: Callables),+> Callables for ($($one,)+) {
            fn declared() -> Vec<&'static Declared> {
                [$($one::declared()),+].concat()
            }
        }
    )*};
}

tuples! {
    (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H)
    (A, B, C, D, E, F, G, H, I) (A, B, C, D, E, F, G, H, I, J) (A, B, C, D, E, F, G, H, I, J, K)
    (A, B, C, D, E, F, G, H, I, J, K, L)
}
