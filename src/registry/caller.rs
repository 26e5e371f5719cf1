//! Who calls: the author and all else that is said of a commit, and the run itself.

use std::any::{Any, TypeId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::callable::{Arguments, Callable, Signature};
use super::conflict::{Conflict, is_conflict};
use super::context::Context;
use super::draft::Draft;
use super::error::{ArgumentError, CallError};
use super::held::{Strays, said_by};
use super::kinds::{Output, OutputKind};
use super::load::{Loading, Used};
use super::observe::{Observation, ObservationKind};
use super::outcome::Outcome;
use super::stats::Came;
use super::table::Registered;
use super::told::Telling;
use super::{Access, Registry, meter, trace};
use crate::children::LoadFailure;
use crate::entity::{AnyCell, Cell, EncodeFailure};
use crate::history::{Begun, CommitError, Committed, History, Info, Prepared, Proposal, ReadError};
use crate::id::with_ids;
use crate::log::{AllGiven, Ran, RunEnd, Said};
use crate::value::{Value, to_stored};
use crate::when::Timestamp;

/// Calls and commits in somebody's name: `registry.by("dean").call(raise, (ann, 0.3))?`.
#[derive(Clone)]
#[must_use = "nothing is done until something is called"]
pub struct Caller<'r> {
    pub(super) registry: &'r Registry,
    pub(super) said: Option<Arc<Said>>,
    pub(super) time: Option<Timestamp>,
    pub(super) observed: bool,
    pub(super) strays: Strays,
    pub(super) conflict: Conflict,
    /// The key under which it calls.
    pub(super) once: Option<Arc<str>>,
}

/// A run that came to its end: what it gave, what is said of it, and the entities that it created.
struct Returned<V> {
    value: V,
    info: Info,
    created: Vec<Arc<dyn AnyCell>>,
}

/// What a run asks for that returned; nothing, if it changed nothing.
#[inline]
pub(super) fn wanted<F, M>(
    slots: &mut <F::Signature as Signature>::Slots,
    created: Vec<Arc<dyn AnyCell>>,
) -> Option<Proposal>
where
    F: Callable<M>,
{
    if !F::Signature::changed(slots) && created.is_empty() {
        return None;
    }
    let mut proposal = Proposal { created, ..Proposal::default() };
    F::Signature::collect(slots, &mut proposal);
    Some(proposal)
}

/// What a value of a callable's output is to its caller.
pub type ValueOf<O> = <<O as Output>::Kind as OutputKind<O>>::Value;

impl<'r> Caller<'r> {
    pub(super) fn new(registry: &'r Registry) -> Self {
        Self {
            registry,
            said: None,
            time: None,
            observed: true,
            strays: registry.inner.strays,
            conflict: registry.inner.conflict,
            once: None,
        }
    }

    fn said(&mut self) -> &mut Said {
        Arc::make_mut(self.said.get_or_insert_default())
    }

    /// Says who does it.
    pub fn by(mut self, author: impl Into<Arc<str>>) -> Self {
        self.said().author = Some(author.into());
        self
    }

    /// Says what for.
    pub fn message(mut self, message: impl Into<Arc<str>>) -> Self {
        self.said().message = Some(message.into());
        self
    }

    /// Says something else of it.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.said().properties.insert(name.into(), value.into());
        self
    }

    /// Works on a branch.
    ///
    /// # Errors
    /// There is no branch of that name; for now there is `main` alone, which is also where a caller begins.
    pub fn on(self, branch: &str) -> Result<Self, ReadError> {
        self.registry.history().on(branch).map(|_| self)
    }

    /// Says when it was, in place of the clock.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Whether listeners hear of it. The log has its entry in any case.
    pub fn observed(mut self, observed: bool) -> Self {
        self.observed = observed;
        self
    }

    /// What becomes of edits made to held entities outside the registry.
    pub fn strays(mut self, strays: Strays) -> Self {
        self.strays = strays;
        self
    }

    /// What becomes of a run whose inputs someone commits to meanwhile.
    pub fn on_conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = conflict;
        self
    }

    /// Runs a registered function: the function itself, then its arguments as a tuple.
    ///
    /// An entity is given by its `Id<T>` or as `&mut Held<T>`, one that may be absent as an `Option` of either
    /// (`None::<Id<T>>` if it is). The run works on copies; what it changed becomes one
    /// commit. No lock is held while it runs.
    ///
    /// Costs O(inputs) besides the function, and O(c (depth + log n)) for c changed entities under shared handles; an
    /// entity that holds others by value is compared once, with them, and copied once, unless a few edits in what it
    /// holds are all that changed last: then the state before becomes the copy. So such a tree may be kept twice.
    ///
    /// # Errors
    /// The function is not registered; an entity is unknown, removed or of another type; inputs overlap; the function
    /// failed or panicked; someone committed to an input first; or a change breaks a rule of trees. Nothing is kept but
    /// the entry of the run.
    pub fn call<F, M, A>(&self, function: F, mut arguments: A) -> Result<Outcome<ValueOf<F::Output>>, CallError>
    where
        F: Callable<M>,
        A: Arguments<F::Signature>,
    {
        const {
            assert!(
                size_of::<F>() == 0,
                "`call` takes the function or closure itself: function pointers and closures that capture something \
                 are not told apart by their type, so run them by name with `execute`"
            );
        }
        let tables = self.registry.inner.table.now();
        let registered = tables.by_type(TypeId::of::<F>()).ok_or_else(unregistered::<F>)?;
        let mut run = |caller: &Self| {
            let _span = caller.span(registered);
            if caller.once.is_some() {
                let given = || {
                    let slots = if A::COMMITS { None } else { arguments.load(&mut Loading::new(caller)).ok() };
                    slots.map(|slots| F::Signature::arguments(&slots))
                };
                if let Some(first) = caller.first::<F::Output>(registered, given)? {
                    return Ok(first);
                }
            }
            let (value, begun) = caller.start(&function, registered, &mut arguments)?;
            caller.settle(registered, value, begun)
        };
        let outcome = self.until_it_ends(&mut run)?;
        // What was done before has nothing to tell them.
        if !outcome.is_repeated() {
            arguments.refresh();
        }
        Ok(outcome)
    }

    /// Runs until it is not to run again, as the caller has it.
    pub(super) fn until_it_ends<R>(&self, run: &mut dyn FnMut(&Self) -> Result<R, CallError>) -> Result<R, CallError> {
        loop {
            let end = match self.conflict {
                Conflict::Fail => run(self),
                conflict => conflict.run(|conflict| run(&Self { conflict, ..self.clone() })),
            };
            match end {
                // Somebody was faster under the same key: now its outcome is there.
                Err(CallError::Commit { source, .. }) if self.is_repeated(&source) => {}
                end => return end,
            }
        }
    }

    /// Loads the arguments of a registered function and runs it; its commit is made or under way.
    pub(super) fn start<F, M, A>(
        &self,
        function: &F,
        registered: &Registered,
        arguments: &mut A,
    ) -> Result<(ValueOf<F::Output>, Begun), CallError>
    where
        F: Callable<M>,
        A: Arguments<F::Signature>,
    {
        let mut loading = Loading::new(self);
        let mut slots = None;
        self.loaded(registered, || {
            slots = Some(arguments.load(&mut loading)?);
            Ok(())
        })?;
        self.run(function, registered, slots.as_mut().expect("they were loaded"), |value| value)
    }

    /// Runs a callable on what was loaded; its commit is made or under way.
    pub(super) fn run<F, M, V>(
        &self,
        function: &F,
        registered: &Registered,
        slots: &mut <F::Signature as Signature>::Slots,
        give: impl FnOnce(ValueOf<F::Output>) -> V,
    ) -> Result<(V, Begun), CallError>
    where
        F: Callable<M>,
    {
        let Returned { value, mut info, created } = self.returned(function, registered, slots, give)?;
        let prepared = if registered.plan().strategy.writes() || self.once.is_some() {
            let prepared = catch_unwind(AssertUnwindSafe(|| match wanted::<F, M>(slots, created) {
                Some(mut proposal) => self.registry.inner.archive.prepare(&mut proposal),
                None => Ok(None),
            }));
            match prepared {
                Ok(Ok(prepared)) => prepared,
                Ok(Err(source)) => return Err(self.refused(registered, info, source)),
                Err(payload) => return Err(self.unwound(registered, info, payload)),
            }
        } else {
            None
        };
        match self.begin(prepared, &mut info, Telling::Run(registered)) {
            Ok(begun) => Ok((value, begun)),
            Err(source) => Err(self.refused(registered, info, source)),
        }
    }

    /// Runs a callable on what was loaded from a draft, and takes into that what it did.
    pub(super) fn join<F, M, V>(
        &self,
        function: &F,
        registered: &Registered,
        slots: &mut <F::Signature as Signature>::Slots,
        draft: &mut Draft,
        give: impl FnOnce(ValueOf<F::Output>) -> V,
    ) -> Result<V, CallError>
    where
        F: Callable<M>,
    {
        let Returned { value, mut info, created } = self.returned(function, registered, slots, give)?;
        let taken = catch_unwind(AssertUnwindSafe(|| match wanted::<F, M>(slots, created) {
            Some(proposal) => draft.take_in(&self.registry.inner.archive, proposal),
            None => Ok(()),
        }));
        match taken {
            Ok(Ok(())) => {
                registered.ended(Came::Joined);
                let told = |run, callable| Observation::DidJoin { run, callable };
                self.observe(registered, &mut info, ObservationKind::DidJoin, told);
                draft.ran(info);
                Ok(value)
            }
            Ok(Err(source)) => Err(self.refused(registered, info, source)),
            Err(payload) => Err(self.unwound(registered, info, payload)),
        }
    }

    /// Runs a callable on what was loaded, up to where it returned and its output was taken apart. `give` makes what is
    /// given back of that.
    #[inline]
    fn returned<F, M, V>(
        &self,
        function: &F,
        registered: &Registered,
        slots: &mut <F::Signature as Signature>::Slots,
        give: impl FnOnce(ValueOf<F::Output>) -> V,
    ) -> Result<Returned<V>, CallError>
    where
        F: Callable<M>,
    {
        let plan = registered.plan();
        if plan.may_overlap {
            self.refuse_overlaps(registered, |visit| F::Signature::used(slots, visit))?;
        }
        // Kept before the run: afterwards plain arguments are gone, and entities are not what they were.
        let given = F::Signature::arguments(slots);
        let mut info = self.info(Some(Ran::new(Arc::clone(&registered.identity), given)));
        self.will_run(registered, &mut info, |visit| F::Signature::used(slots, visit));
        let context = F::TAKES_CONTEXT.then(|| Context::new(self, registered));
        let (returned, start, end) = self.invoke(|| function.invoke(context.as_ref(), slots));
        if let (Some(drawn), Some(run)) = (context.as_ref().and_then(Context::drawn), &mut info.run) {
            run.more().drawn = drawn;
        }
        let duration = end - start;
        info.ran(end, duration);
        self.did_run(registered, &mut info, duration, returned.is_ok());
        let returned = match returned {
            Ok(output) => output,
            Err(payload) => return Err(self.unwound(registered, info, payload)),
        };
        let mut created = Vec::new();
        let unpack = || <F::Output as Output>::Kind::unpack(returned, &mut created);
        let value = match catch_unwind(AssertUnwindSafe(unpack)) {
            Ok(Ok(value)) => value,
            Ok(Err(source)) => {
                let end = RunEnd::Failed(source.to_string());
                let error = CallError::Failed { callable: registered.name().to_string(), source };
                return Err(self.record_end(registered, info, end, error));
            }
            Err(payload) => return Err(self.unwound(registered, info, payload)),
        };
        self.registry.inner.archive.concern(&mut info, &created);
        if let Some(receipt) = self.receipt() {
            let record = || <F::Output as Output>::Kind::record(&value);
            match catch_unwind(AssertUnwindSafe(record)) {
                Ok(result) => {
                    if let Err(source) = recordable(&result) {
                        return Err(self.refused(registered, info, source));
                    }
                    if let Some(run) = &mut info.run {
                        run.more().result = Some(result);
                    }
                }
                Err(payload) => return Err(self.unwound(registered, info, payload)),
            }
            created.push(Arc::new(Cell::new(receipt)));
        }
        match catch_unwind(AssertUnwindSafe(|| give(value))) {
            Ok(value) => Ok(Returned { value, info, created }),
            Err(payload) => Err(self.unwound(registered, info, payload)),
        }
    }

    /// Waits for the commit of a run, and gives what came of it.
    pub(super) fn settle<V>(&self, registered: &Registered, value: V, begun: Begun) -> Result<Outcome<V>, CallError> {
        let mut info = Info::default();
        match self.wait(begun, &mut info) {
            Ok(committed) => {
                registered.ended(Came::To { versions: self.own_versions(committed) });
                let outcome = Outcome::new(value, committed, self.history());
                Ok(if self.once.is_some() { outcome.under_key(false) } else { outcome })
            }
            Err(source) => Err(self.refused(registered, info, source)),
        }
    }

    fn invoke<R>(&self, body: impl FnOnce() -> R) -> (std::thread::Result<R>, Instant, Instant) {
        let start = Instant::now();
        let returned = match &self.registry.inner.ids {
            None => catch_unwind(AssertUnwindSafe(body)),
            Some(ids) => catch_unwind(AssertUnwindSafe(|| with_ids(ids, body))),
        };
        (returned, start, Instant::now())
    }

    /// The history on the branch that the caller works on.
    pub(super) fn history(&self) -> History {
        self.registry.history()
    }

    pub(super) fn info(&self, run: Option<Ran>) -> Info {
        Info { said: self.said.clone(), time: self.time, run, ..Info::default() }
    }

    /// Where `tracing` is compiled in, the span of a run.
    #[inline]
    pub(super) fn span(&self, registered: &Registered) -> trace::Span {
        trace::run(registered.name(), self.said.as_ref().and_then(|said| said.author.as_deref()))
    }

    /// Loads arguments: a panic in a user's code, such as a `Clone`, is the run's.
    pub(super) fn loaded<S>(
        &self,
        registered: &Registered,
        load: impl FnOnce() -> Result<S, (usize, ArgumentError)>,
    ) -> Result<S, CallError> {
        match catch_unwind(AssertUnwindSafe(load)) {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err((index, error))) => Err(registered.argument_error(index, error)),
            Err(payload) => {
                let mut info = self.began(registered);
                self.will_run(registered, &mut info, |_| ());
                Err(self.unwound(registered, info, payload))
            }
        }
    }

    /// What is said of a run that did not get as far as its arguments.
    #[cold]
    fn began(&self, registered: &Registered) -> Info {
        let (callable, given) = (Arc::clone(&registered.identity), AllGiven::new());
        self.info(Some(Ran::new(callable, given)))
    }

    /// Commits, and tells listeners in the order of the log.
    pub(super) fn commit(
        &self,
        prepared: Option<Prepared>,
        info: &mut Info,
        telling: Telling<'_>,
    ) -> Result<Committed, CommitError> {
        let begun = self.begin(prepared, info, telling)?;
        self.wait(begun, info)
    }

    /// Commits, or leaves the commit under way.
    #[inline]
    fn begin(&self, prepared: Option<Prepared>, info: &mut Info, telling: Telling<'_>) -> Result<Begun, CommitError> {
        let span = trace::commit();
        let tell = self.teller(telling, info);
        let begun = self.registry.inner.archive.begin(prepared, info, tell)?;
        if let Begun::Made(committed) = &begun {
            span.committed(*committed);
        }
        Ok(begun)
    }

    /// Waits for a commit, and sees to it that listeners hear of it.
    #[inline]
    fn wait(&self, begun: Begun, info: &mut Info) -> Result<Committed, CommitError> {
        let committed = match begun {
            Begun::Made(committed) => committed,
            Begun::UnderWay(ticket) => {
                let span = trace::commit();
                let committed = self.registry.inner.archive.wait(ticket, info)?;
                span.committed(committed);
                committed
            }
        };
        meter::committed(committed.versions);
        self.deliver();
        Ok(committed)
    }

    /// Writes the entry of a run that came to nothing, and gives what it came to.
    #[cold]
    pub(super) fn record_end(
        &self,
        registered: &Registered,
        mut info: Info,
        end: RunEnd,
        error: CallError,
    ) -> CallError {
        let reason = match &end {
            RunEnd::Returned => String::new(),
            RunEnd::Failed(reason) | RunEnd::Panicked(reason) | RunEnd::Refused(reason) => reason.clone(),
        };
        if let Some(run) = &mut info.run {
            run.more().end = Some(end);
        }
        registered.ended(Came::Nothing);
        trace::failed(registered.name(), &reason);
        let Err(source) = self.commit(None, &mut info, Telling::Failure(registered, &reason)) else { return error };
        self.observe(registered, &mut info, ObservationKind::DidNotRecord, |run, callable| Observation::DidNotRecord {
            run,
            callable,
            reason,
        });
        match error {
            // Nobody can do more about it than about the first refusal.
            error @ CallError::Commit { source: CommitError::Store(_), .. } => error,
            CallError::Together { callable, calls, source: refused } if matches!(*refused, CommitError::Store(_)) => {
                CallError::Together { callable, calls, source: refused }
            }
            ended => CallError::Unrecorded { ended: Box::new(ended), source },
        }
    }

    #[cold]
    fn refused(&self, registered: &Registered, mut info: Info, source: CommitError) -> CallError {
        let again = self.conflict.runs_again(&source) || self.is_repeated(&source);
        let reason = source.to_string();
        if is_conflict(&source) {
            registered.conflicted(again);
        }
        let error = CallError::Commit { callable: registered.name().to_string(), source };
        if !again {
            return self.record_end(registered, info, RunEnd::Refused(reason), error);
        }
        trace::retries(registered.name(), &reason);
        self.observe(registered, &mut info, ObservationKind::WillRetry, |run, callable| Observation::WillRetry {
            run,
            callable,
            reason,
        });
        error
    }

    /// What an unwinding was: a child that could not be loaded, a value that could not be written, or a panic.
    #[cold]
    fn unwound(&self, registered: &Registered, info: Info, payload: Box<dyn Any + Send>) -> CallError {
        let callable = registered.name().to_string();
        let payload = match payload.downcast::<LoadFailure>() {
            Ok(failure) => {
                let source = failure.0;
                let end = RunEnd::Refused(source.to_string());
                return self.record_end(registered, info, end, CallError::Load { callable, source });
            }
            Err(payload) => payload,
        };
        let payload = match payload.downcast::<EncodeFailure>() {
            Ok(failure) => return self.refused(registered, info, CommitError::Unwritable(failure.to_string())),
            Err(payload) => payload,
        };
        let message = said_by(payload);
        let end = RunEnd::Panicked(message.clone());
        self.record_end(registered, info, end, CallError::Panicked { callable, message })
    }

    /// Refuses an entity given twice, and two of which one owns the other, if one of the two is edited. O(depth).
    fn refuse_overlaps(
        &self,
        registered: &Registered,
        used: impl FnOnce(&mut dyn FnMut(Used)),
    ) -> Result<(), CallError> {
        let lineages = &self.registry.inner.archive.lineages;
        let mut all: SmallVec<[Used; 4]> = SmallVec::new();
        used(&mut |used| {
            // How an entity was is not touched by what becomes of it.
            if !used.pinned {
                all.push(used);
            }
        });
        // What is taken may be given back.
        let edits = |one: &Used, other: &Used| one.access != Access::Reads || other.access != Access::Reads;
        all.sort_unstable_by_key(|used| used.ix);
        for pair in all.windows(2) {
            if pair[0].ix == pair[1].ix && edits(&pair[0], &pair[1]) {
                let entity = lineages.get(pair[0].ix).id;
                return Err(CallError::SameTwice { callable: registered.name().to_string(), entity });
            }
        }
        for inner in &all {
            let mut owner = lineages.last_owner(inner.ix);
            while let Some(edge) = owner {
                let outer = all.binary_search_by_key(&edge.owner, |used| used.ix).map(|at| &all[at]);
                if let Ok(outer) = outer
                    && edits(inner, outer)
                {
                    return Err(CallError::Overlap {
                        callable: registered.name().to_string(),
                        outer: lineages.get(outer.ix).id,
                        inner: lineages.get(inner.ix).id,
                    });
                }
                owner = lineages.last_owner(edge.owner);
            }
        }
        Ok(())
    }
}

/// Whether a result can be kept: it stands some levels deep in what is said of the run.
fn recordable(result: &Value) -> Result<(), CommitError> {
    let within = |value| Value::List(vec![value]);
    let stored = to_stored(&within(within(within(result.clone()))));
    stored.map(drop).map_err(|error| CommitError::Unwritable(error.to_string()))
}

#[cold]
pub(super) fn unregistered<F>() -> CallError {
    CallError::Unregistered { function: std::any::type_name::<F>().to_owned() }
}
