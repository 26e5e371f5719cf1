//! Calls under a key: however often one is repeated, it is done once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use heirloom_derive::Entity;
use serde_json::Value as Json;

use super::Registry;
use super::callable::{Arguments, Callable};
use super::caller::{Caller, ValueOf};
use super::error::{CallError, RecallError};
use super::kinds::{Output, OutputKind, Recall};
use super::outcome::Outcome;
use super::table::Registered;
use crate::history::{Argument, CommitError, Committed, ReadError};
use crate::id::{EntityId, Id};
use crate::lineage::Gone;
use crate::log::AllGiven;
use crate::when::{Position, When};

/// What stands in the history for a key that was used: the first run under it creates it, in the same commit.
///
/// So it is there exactly when what that run did is there, whatever breaks in between; and it is copied, exported, verified
/// and shared between processes like everything else. Whoever removes it frees the key.
#[derive(Entity, Clone, Debug, PartialEq, Eq)]
#[entity(name = "heirloom.Receipt", crate = crate)]
pub struct Receipt {
    id: Id<Receipt>,
    key: String,
}

impl Receipt {
    fn new(key: &str) -> Self {
        Self { id: Self::of(key), key: key.to_owned() }
    }

    /// The identity of the receipt for a key: the same everywhere.
    #[must_use]
    pub fn of(key: &str) -> Id<Receipt> {
        Id::from_entity_id(EntityId::derive("heirloom.Receipt", key))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Calls under a key: see [`Caller::once`].
#[derive(Clone)]
#[must_use = "nothing is done until something is called"]
pub struct Once<'r>(Caller<'r>);

impl Registry {
    /// See [`Caller::once`].
    pub fn once(&self, key: impl Into<Arc<str>>) -> Once<'_> {
        self.caller().once(key)
    }
}

impl<'r> Caller<'r> {
    /// Calls under a key, which makes a call that may have to be repeated safe: the first that is committed under it is
    /// done, and every later one, in whatever process, is given the outcome of that one and does nothing.
    ///
    /// What says so is a [`Receipt`], an entity that the run creates in its own commit; and the run's result is in its
    /// entry. A run that failed, panicked or was refused leaves no receipt: the next one tries again. O(log n) besides the
    /// call. The key stays readable whatever is erased, so it should say nothing of anybody.
    ///
    /// ```
    /// use heirloom::prelude::*;
    ///
    /// #[derive(Entity, Clone)]
    /// struct Account { id: Id<Account>, balance: i64 }
    ///
    /// fn pay_in(account: &mut Account, amount: i64) -> i64 { account.balance += amount; account.balance }
    ///
    /// let registry = Registry::in_memory();
    /// let _ = registry.register("pay in", pay_in)?;
    /// let account = registry.add(Account { id: Id::new(), balance: 0 })?;
    /// let first = registry.once("payment 17").call(pay_in, (account, 10))?;
    /// let again = registry.once("payment 17").call(pay_in, (account, 10))?;
    /// assert_eq!((*again.value(), again.position(), again.is_repeated()), (10, first.position(), true));
    /// assert_eq!(registry.get(account)?.balance, 10);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn once(self, key: impl Into<Arc<str>>) -> Once<'r> {
        Once(Self { once: Some(key.into()), ..self })
    }

    /// What is in the history for the key of this caller, if it has one that was used: the outcome of the first call.
    /// `given` tells what is given now, if that can be told.
    pub(super) fn first<O: Output>(
        &self,
        registered: &Registered,
        given: impl FnOnce() -> Option<AllGiven>,
    ) -> Result<Option<Outcome<ValueOf<O>>>, CallError> {
        let Some(key) = &self.once else { return Ok(None) };
        let recalled = |source: RecallError| CallError::Recall { key: key.to_string(), source };
        let Some(position) = self.used_at(key).map_err(|error| recalled(error.into()))? else { return Ok(None) };
        let history = self.registry.history();
        let entry = history.entry(position).map_err(|error| recalled(error.into()))?;
        let run = entry.run().ok_or_else(|| recalled(RecallError::NoRun { position }))?;
        // What was given may be gone since, and edits that are held may not be committed for the sake of a comparison.
        let given = catch_unwind(AssertUnwindSafe(given)).ok().flatten();
        let same = given.is_none_or(|given| {
            let (were, are) = (run.arguments(), self.registry.inner.archive.arguments(&given));
            were.len() == are.len() && were.iter().zip(&are).all(|(was, is)| alike(was, is))
        });
        if run.callable() != &**registered.name() || !same {
            return Err(CallError::KeyTaken { key: key.to_string(), position, callable: run.callable().to_owned() });
        }
        if run.is_erased() {
            return Err(recalled(RecallError::Erased { position }));
        }
        let result = run.result().ok_or_else(|| recalled(RecallError::NoResult { position }))?;
        let recall = Recall { history: &history, position };
        let value = catch_unwind(AssertUnwindSafe(|| <O::Kind as OutputKind<O>>::recall(result, &recall)))
            .unwrap_or_else(|_| Err(RecallError::Panicked))
            .map_err(recalled)?;
        let committed = Committed { position, versions: entry.version_count() };
        Ok(Some(Outcome::new(value, committed, history).under_key(true)))
    }

    /// Where the receipt of a key was made, if it is there.
    fn used_at(&self, key: &str) -> Result<Option<Position>, ReadError> {
        let archive = &self.registry.inner.archive;
        let head = archive.position(None, &When::Head)?;
        let Some(ix) = archive.find(Receipt::of(key).entity_id())? else { return Ok(None) };
        match archive.lineages.alive(ix, head) {
            Ok(()) => {}
            Err(Gone::Unreadable(error)) => return Err(error.into()),
            Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => return Ok(None),
        }
        // It is never edited; it may have been removed, and made again since.
        let Some(revision) = archive.lineages.revision(ix, head)? else { return Ok(None) };
        Ok(archive.lineages.version(ix, revision)?.map(|(position, _)| position))
    }

    /// Whether a commit was refused since the key of this caller was used meanwhile.
    pub(super) fn is_repeated(&self, source: &CommitError) -> bool {
        let Some(key) = &self.once else { return false };
        match source {
            CommitError::ConflictPresent { entity, .. }
            | CommitError::Conflict { entity, .. }
            | CommitError::Present { entity } => *entity == Receipt::of(key).entity_id(),
            _ => false,
        }
    }
}

impl Once<'_> {
    /// Runs a registered function as [`Caller::call`] does, or gives the outcome of the first call under the key.
    ///
    /// # Errors
    /// As there. [`CallError::KeyTaken`] if the key was used for another callable or with other arguments, and
    /// [`CallError::Recall`] if the result of the first call cannot be told any more.
    pub fn call<F, M, A>(&self, function: F, arguments: A) -> Result<Outcome<ValueOf<F::Output>>, CallError>
    where
        F: Callable<M>,
        A: Arguments<F::Signature>,
    {
        self.0.call(function, arguments)
    }

    /// Runs a callable by name as [`Caller::execute`] does, or gives the outcome of the first call under the key.
    ///
    /// # Errors
    /// As for [`Once::call`].
    pub fn execute(&self, name: &str, arguments: impl Into<Json>) -> Result<Outcome<Json>, CallError> {
        self.0.execute(name, arguments)
    }
}

impl Caller<'_> {
    /// The receipt that a run under a key makes.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        self.once.as_deref().map(Receipt::new)
    }
}

/// Whether an argument is the one that was given before: an entity is, whatever became of it.
fn alike(was: &Argument, is: &Argument) -> bool {
    match (was, is) {
        (Argument::Entity { id: was, .. }, Argument::Entity { id: is, .. }) => was == is,
        (Argument::Several(was), Argument::Several(is)) => {
            was.len() == is.len() && was.iter().zip(is).all(|(was, is)| alike(was, is))
        }
        // What stands at an address may be another value by now.
        (Argument::At { read: was, .. }, Argument::At { read: is, .. }) => {
            was.len() == is.len() && was.iter().zip(is).all(|(was, is)| alike(was, is))
        }
        (Argument::Erased, _) => true,
        (was, is) => was == is,
    }
}
