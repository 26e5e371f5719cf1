//! Many calls by name at once, each with a result of its own: committed one by one, or as one.

use std::any::TypeId;
use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::callable::Typed;
use super::caller::Caller;
use super::conflict::Conflict;
use super::draft::{Draft, owners};
use super::error::CallError;
use super::execute::in_order;
use super::held::caught;
use super::load::addressed;
use super::outcome::Outcome;
use super::table::Registered;
use super::told::Telling;
use super::watched::{Watched, Watching};
use crate::history::{Archive, Begun, CommitError, Committed, Info};
use crate::lineage::Ix;
use crate::log::{MANY, Ran, RunEnd};

/// A call by name, as scripts, queues and agents write it: `{"name": "raise", "arguments": ["@<id>", 0.3]}`.
///
/// The arguments are what [`Caller::execute`] takes; `input`, as tool-calling models name them, is read as these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The name of the callable.
    pub name: String,
    /// A list, or an object by the names of the parameters; null for none.
    #[serde(default, alias = "input")]
    pub arguments: Json,
}

impl Call {
    /// A call of a callable by its name.
    pub fn new(name: impl Into<String>, arguments: impl Into<Json>) -> Self {
        Self { name: name.into(), arguments: arguments.into() }
    }
}

impl<N: Into<String>, A: Into<Json>> From<(N, A)> for Call {
    fn from((name, arguments): (N, A)) -> Self {
        Self::new(name, arguments)
    }
}

/// How many calls are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Commits {
    /// Each has a commit of its own, as if it had been called by itself, in order. Where the registry commits
    /// [`Batched`](crate::store::Durability::Batched), those that are given different entities share a sync of the store.
    OneEach,
    /// Those that come to their end make one commit: all of it is kept, or nothing.
    OneForAll,
}

/// What stands for the runs that make one commit: nobody can call it.
pub(super) fn registered(watching: Watching) -> Registered {
    let callable = Box::new(Typed { function: || (), marker: PhantomData::<fn() -> fn() -> ()> });
    Registered::new(MANY.into(), TypeId::of::<Call>(), "Registry::execute_many", callable, Watched::new(watching))
}

/// A call whose commit is under way.
struct UnderWay<'c> {
    call: &'c Call,
    registered: Arc<Registered>,
    value: Json,
    begun: Begun,
}

/// The entities that commits under way may change: what is there now is not what they leave.
#[derive(Default)]
struct Busy {
    given: HashSet<Ix, ahash::RandomState>,
    /// Whatever owns these.
    owners: HashSet<Ix, ahash::RandomState>,
}

impl Busy {
    fn add(&mut self, archive: &Archive, ix: Ix) {
        self.given.insert(ix);
        self.owners.extend(owners(archive, ix));
    }

    /// Whether an entity is one of them, owns one or is owned by one.
    fn touches(&self, archive: &Archive, ix: Ix) -> bool {
        let given = |ix: &Ix| self.given.contains(ix);
        given(&ix) || self.owners.contains(&ix) || owners(archive, ix).any(|owner| given(&owner))
    }
}

type Results = Vec<Option<Result<Outcome<Json>, CallError>>>;

impl Caller<'_> {
    /// Runs many callables by name, in order, each on what those before it left, and gives what came of each. One that
    /// fails, panics, does not fit or is refused leaves an entry of its own in the log, as ever, and takes no other with
    /// it.
    ///
    /// With [`Commits::OneForAll`] nobody else sees any of it before all of it is committed. The log has one entry then:
    /// its run is `execute_many`, and [`Run::parts`](crate::Run::parts) tells the runs that it is made of. Position and
    /// changes of each outcome are those of the whole. If someone else committed to one of the entities meanwhile, all are
    /// refused ([`CallError::Together`]), or all run again, as [`on_conflict`](Self::on_conflict) says; a call that fails
    /// is in the log for each attempt. A revision in an address is one from before the commit. An entity that an earlier
    /// call of the same commit created, moved to another owner or took out cannot be named
    /// ([`ArgumentError::Unsettled`](crate::ArgumentError::Unsettled)); what owns it can.
    ///
    /// What a callable reads past its parameters, as from [`Context::history`](crate::Context::history), is what was
    /// committed by then.
    ///
    /// Costs what the runs cost. With `OneForAll`, once a run creates an entity or one comes, moves or goes, it and those
    /// after it are each tried with all before them: O(what the commit changes).
    ///
    /// ```
    /// use heirloom::prelude::*;
    /// use heirloom::{Call, Commits};
    /// use serde_json::json;
    ///
    /// #[derive(Entity, Clone)]
    /// struct Account { id: Id<Account>, balance: i64 }
    ///
    /// fn withdraw(account: &mut Account, amount: i64) -> Result<i64, String> {
    ///     account.balance = account.balance.checked_sub(amount).filter(|left| *left >= 0).ok_or("not enough")?;
    ///     Ok(account.balance)
    /// }
    ///
    /// let registry = Registry::in_memory();
    /// let _ = registry.register("withdraw", withdraw)?.params(["account", "amount"])?;
    /// let ann = registry.add(Account { id: Id::new(), balance: 10 })?;
    /// let withdrawals = [7, 5, 3].map(|amount| Call::new("withdraw", json!([format!("@{ann}"), amount])));
    /// let results = registry.by("clerk").execute_many(withdrawals, Commits::OneForAll);
    /// assert!(results[1].as_ref().is_err_and(|error| error.to_string().contains("not enough")));
    /// assert_eq!(*results[2].as_ref().expect("3 were left").value(), json!(0));
    /// assert_eq!(registry.history().of(ann)?.to_string(), "r2 clerk execute_many balance 10 -> 0\nr1 added");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn execute_many<C: Into<Call>>(
        &self,
        calls: impl IntoIterator<Item = C>,
        commits: Commits,
    ) -> Vec<Result<Outcome<Json>, CallError>> {
        let calls: Vec<Call> = calls.into_iter().map(Into::into).collect();
        match commits {
            Commits::OneEach => self.one_each(&calls),
            Commits::OneForAll => self.one_for_all(&calls),
        }
    }

    fn one_each(&self, calls: &[Call]) -> Vec<Result<Outcome<Json>, CallError>> {
        let archive = &self.registry.inner.archive;
        let mut results: Results = Vec::new();
        results.resize_with(calls.len(), || None);
        let mut under_way: Vec<(usize, UnderWay<'_>)> = Vec::new();
        let mut busy = Busy::default();
        for (index, call) in calls.iter().enumerate() {
            if !under_way.is_empty() {
                let (named, all) = self.named(&call.arguments);
                if !all || named.iter().any(|ix| busy.touches(archive, *ix)) {
                    busy = Busy::default();
                    under_way.drain(..).for_each(|(index, one)| results[index] = Some(self.end(one)));
                }
            }
            match self.begin_call(call) {
                Err(error) => results[index] = Some(Err(error)),
                Ok((registered, value, begun)) => {
                    let one = UnderWay { call, registered, value, begun };
                    if matches!(one.begun, Begun::Made(_)) {
                        results[index] = Some(self.end(one));
                        continue;
                    }
                    if one.registered.plan().strategy.writes() {
                        self.named(&call.arguments).0.iter().for_each(|ix| busy.add(archive, *ix));
                    }
                    under_way.push((index, one));
                }
            }
        }
        under_way.into_iter().for_each(|(index, one)| results[index] = Some(self.end(one)));
        results.into_iter().map(|result| result.expect("each call was begun and came to an end")).collect()
    }

    fn begin_call(&self, call: &Call) -> Result<(Arc<Registered>, Json, Begun), CallError> {
        let registered = self.registry.inner.table.by_name(&call.name)?;
        let given = in_order(&registered, &call.arguments)?;
        let (value, begun) = self.conflict.run(|conflict| {
            let caller = Self { conflict, ..self.clone() };
            let _span = caller.span(&registered);
            registered.callable.start(&caller, &registered, &given)
        })?;
        Ok((registered, value, begun))
    }

    /// Waits for a call; one that another commit came before runs again, if it is to.
    fn end(&self, one: UnderWay<'_>) -> Result<Outcome<Json>, CallError> {
        match self.settle(&one.registered, one.value, one.begun) {
            Err(CallError::Commit { source, .. }) if self.conflict.runs_again(&source) => {
                let again = Self { conflict: self.conflict.once_less(), ..self.clone() };
                again.execute_json(&one.call.name, &one.call.arguments)
            }
            end => end,
        }
    }

    /// The entities that arguments name by addresses, and whether each of these leads somewhere by now.
    fn named(&self, arguments: &Json) -> (Vec<Ix>, bool) {
        let archive = &self.registry.inner.archive;
        let there = |ix: &Ix| archive.lineages.alive(*ix, archive.lineages.head()).is_ok();
        let (mut named, mut all) = (Vec::new(), true);
        addressed(arguments, &mut |id| match archive.locate(id).ok().filter(there) {
            Some(ix) => named.push(ix),
            None => all = false,
        });
        (named, all)
    }

    fn one_for_all(&self, calls: &[Call]) -> Vec<Result<Outcome<Json>, CallError>> {
        let mut conflict = self.conflict;
        loop {
            // What others committed is part of what the calls begin from. What fails here fails again where they read.
            let archive = &self.registry.inner.archive;
            _ = archive.refresh();
            let mut draft = Draft::new(archive.lineages.head());
            let alone = Self { conflict: Conflict::Fail, ..self.clone() };
            let joined: Vec<_> = calls.iter().map(|call| alone.join_call(call, &mut draft)).collect();
            if joined.iter().all(Result::is_err) {
                return joined.into_iter().filter_map(Result::err).map(Err).collect();
            }
            match self.commit_draft(draft) {
                Ok(committed) => {
                    let outcome = |(_, value)| Outcome::new(value, committed, self.history());
                    return joined.into_iter().map(|result| result.map(outcome)).collect();
                }
                Err((_, source)) if conflict.runs_again(&source) => {
                    conflict = conflict.once_less();
                    // Whoever came first may be about to come again.
                    std::thread::yield_now();
                }
                Err((info, source)) => return self.all_refused(joined, info, source),
            }
        }
    }

    fn join_call(&self, call: &Call, draft: &mut Draft) -> Result<(Arc<Registered>, Json), CallError> {
        let registered = self.registry.inner.table.by_name(&call.name)?;
        let given = in_order(&registered, &call.arguments)?;
        let _span = self.span(&registered);
        let value = registered.callable.join(self, &registered, &given, draft)?;
        Ok((registered, value))
    }

    /// Commits what the runs of a draft came to; if that is refused, gives back what was to be said of it.
    fn commit_draft(&self, draft: Draft) -> Result<Committed, (Info, CommitError)> {
        let (mut proposal, runs, subjects) = draft.finish();
        let mut info = Info { subjects, ..self.info(Some(Ran::of_many(runs))) };
        let prepared = match caught(|| self.registry.inner.archive.prepare(&mut proposal)) {
            Ok(prepared) => prepared,
            Err(source) => return Err((info, source)),
        };
        let many = &self.registry.inner.many;
        self.commit(prepared, &mut info, Telling::Run(many)).map_err(|source| (info, source))
    }

    /// Writes the one entry of runs that came to nothing together, and tells each of them.
    #[cold]
    fn all_refused(
        &self,
        joined: Vec<Result<(Arc<Registered>, Json), CallError>>,
        info: Info,
        source: CommitError,
    ) -> Vec<Result<Outcome<Json>, CallError>> {
        let mut entry = Some((info, RunEnd::Refused(source.to_string())));
        let (calls, source) = (joined.iter().filter(|result| result.is_ok()).count(), Arc::new(source));
        let mut refused = |(registered, _): (Arc<Registered>, Json)| {
            let (callable, source) = (registered.name().to_string(), Arc::clone(&source));
            let error = CallError::Together { callable, calls, source };
            match entry.take() {
                Some((info, end)) => self.record_end(&self.registry.inner.many, info, end, error),
                None => error,
            }
        };
        joined.into_iter().map(|result| Err(result.map_or_else(|error| error, &mut refused))).collect()
    }
}
