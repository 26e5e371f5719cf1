//! A run whose commit is under way.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use super::callable::{Arguments, Callable};
use super::caller::{Caller, ValueOf, unregistered};
use super::conflict::Conflict;
use super::error::CallError;
use super::outcome::Outcome;
use super::table::Registered;
use crate::history::Begun;

/// A run that has returned, and whose commit is on its way to the store: what [`Caller::submit`] gives.
///
/// [`wait`](Self::wait) gives what came of it. Dropping it waits as well, and keeps the outcome to itself: what was
/// submitted is never left lying about.
#[must_use = "`wait` tells whether it was committed"]
pub struct Pending<'r, V, A> {
    caller: Caller<'r>,
    registered: Arc<Registered>,
    /// Until it is waited for.
    run: Option<(V, Begun)>,
    arguments: A,
    refresh: fn(&mut A),
}

impl<V, A> Pending<'_, V, A> {
    /// Waits until its commit is as durable as the registry was asked for, and gives the outcome.
    ///
    /// # Errors
    /// Someone committed to an input first, a change breaks a rule of trees, or the store refused it. Nothing is kept
    /// but the entry of the run.
    pub fn wait(mut self) -> Result<Outcome<V>, CallError> {
        self.end().expect("it is waited for once, for this consumes it")
    }

    fn end(&mut self) -> Option<Result<Outcome<V>, CallError>> {
        let (value, begun) = self.run.take()?;
        let outcome = self.caller.settle(&self.registered, value, begun);
        if outcome.is_ok() {
            (self.refresh)(&mut self.arguments);
        }
        Some(outcome)
    }
}

impl<V, A> Drop for Pending<'_, V, A> {
    fn drop(&mut self) {
        // Whoever dropped it did not ask.
        drop(self.end());
    }
}

impl<V, A> fmt::Debug for Pending<'_, V, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({})", self.registered.name())
    }
}

impl<'r> Caller<'r> {
    /// Runs a registered function as [`call`](Self::call) does, and leaves its commit under way: many commits of one
    /// thread then share a sync of the store, where the registry commits [`Batched`](crate::store::Durability::Batched).
    /// Elsewhere it is committed when this returns.
    ///
    /// It is run once, whatever [`on_conflict`](Self::on_conflict) says. Until it is waited for, or another commit took it
    /// along, nobody sees what it changed: another run on the same entity would be in conflict with it.
    ///
    /// ```
    /// use heirloom::prelude::*;
    /// use heirloom::store::{Durability, MemoryStore};
    ///
    /// #[derive(Entity, Clone)]
    /// struct Counter { id: Id<Counter>, count: u64 }
    ///
    /// fn count(counter: &mut Counter) { counter.count += 1; }
    ///
    /// let registry = Registry::builder().durability(Durability::Batched).over(MemoryStore::new())?;
    /// let _ = registry.register("count", count)?;
    /// let counters = (0..100).map(|_| registry.add(Counter { id: Id::new(), count: 0 }));
    /// let counters = counters.collect::<Result<Vec<_>, _>>()?;
    ///
    /// let caller = registry.caller();
    /// let under_way = counters.iter().map(|counter| caller.submit(count, (*counter,)));
    /// for pending in under_way.collect::<Result<Vec<_>, _>>()? {
    ///     pending.wait()?;
    /// }
    /// assert_eq!(registry.get(counters[99])?.count, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Caller::call`], but for those that the commit itself has: [`Pending::wait`] gives these.
    pub fn submit<F, M, A>(
        &self,
        function: F,
        mut arguments: A,
    ) -> Result<Pending<'r, ValueOf<F::Output>, A>, CallError>
    where
        F: Callable<M>,
        A: Arguments<F::Signature>,
    {
        const { assert!(size_of::<F>() == 0, "`submit` takes the function or closure itself, as `call` does") }
        let tables = self.registry.inner.table.now();
        let registered = tables.by_type(TypeId::of::<F>()).ok_or_else(unregistered::<F>)?;
        // Whoever submits may have gone on to something else when a conflict shows: nothing is run again.
        let caller = self.clone().on_conflict(Conflict::Fail);
        let run = Some(caller.start(&function, registered, &mut arguments)?);
        let registered = Arc::clone(registered);
        Ok(Pending { caller, registered, run, arguments, refresh: A::refresh })
    }
}
