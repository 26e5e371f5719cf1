//! What listeners are told of a caller's runs and commits.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::load::Used;
use super::observe::{Concerned, Kinds, Observation, ObservationKind, RunNumber};
use super::table::Registered;
use crate::history::{Committed, Info};

/// What listeners hear of a commit once it is made.
#[derive(Clone, Copy)]
pub(super) enum Telling<'t> {
    /// That it was made, without a callable.
    Commit,
    /// That a run made it, or changed nothing.
    Run(&'t Registered),
    /// That a run came to nothing, and why.
    Failure(&'t Registered, &'t str),
}

impl Telling<'_> {
    fn kinds(self) -> Kinds {
        match self {
            Telling::Commit => Kinds::of(ObservationKind::DidCommit),
            Telling::Run(_) => Kinds::of(ObservationKind::DidCommit).and(ObservationKind::DidNotChange),
            Telling::Failure(..) => Kinds::of(ObservationKind::DidFail),
        }
    }

    fn registered(&self) -> Option<&Registered> {
        match self {
            Telling::Commit => None,
            Telling::Run(registered) | Telling::Failure(registered, _) => Some(registered),
        }
    }
}

impl Caller<'_> {
    /// Whether anybody may hear something of these kinds.
    #[inline]
    fn is_heard(&self, kinds: Kinds, registered: Option<&Registered>) -> bool {
        self.registry.inner.listeners.hears(kinds)
            && self.observed
            && registered.is_none_or(|registered| registered.watched.is_observed())
    }

    /// Tells listeners of a run, if there are any and they are to hear of it.
    #[inline]
    pub(super) fn observe(
        &self,
        registered: &Registered,
        info: &mut Info,
        kind: ObservationKind,
        observation: impl FnOnce(RunNumber, Arc<str>) -> Observation,
    ) {
        if self.is_heard(Kinds::of(kind), Some(registered)) {
            self.tell(registered, info, kind, observation);
        }
    }

    /// Tells that a callable is about to run, on the entities that it uses.
    #[inline]
    pub(super) fn will_run(&self, registered: &Registered, info: &mut Info, used: impl FnOnce(&mut dyn FnMut(Used))) {
        self.observe(registered, info, ObservationKind::WillRun, |run, callable| {
            let mut entities = Vec::new();
            let lineages = &self.registry.inner.archive.lineages;
            used(&mut |used| entities.push(lineages.get(used.ix).id));
            Observation::WillRun { run, callable, entities }
        });
    }

    /// Counts how long a callable took, and tells that it returned, if it did, and that it was slow, if it was.
    #[inline]
    pub(super) fn did_run(&self, registered: &Registered, info: &mut Info, duration: Duration, returned: bool) {
        let threshold = registered.ran(duration);
        if returned {
            let told = |run, callable| Observation::DidRun { run, callable, duration };
            self.observe(registered, info, ObservationKind::DidRun, told);
        }
        if let Some(threshold) = threshold {
            let told = |run, callable| Observation::DidRunSlowly { run, callable, duration, threshold };
            self.observe(registered, info, ObservationKind::DidRunSlowly, told);
        }
    }

    #[cold]
    fn tell(
        &self,
        registered: &Registered,
        info: &mut Info,
        kind: ObservationKind,
        observation: impl FnOnce(RunNumber, Arc<str>) -> Observation,
    ) {
        let inner = &self.registry.inner;
        let concerned = self.concerned(info);
        if inner.listeners.want_of(kind, registered.name(), &concerned, &inner.archive) {
            let told = observation(self.number(info), Arc::clone(registered.name()));
            inner.listeners.enqueue(told, concerned);
            inner.listeners.deliver(&inner.archive);
        }
    }

    /// What puts a commit into the queue of what listeners are told, if any of them are to hear of it.
    #[inline]
    pub(super) fn teller(
        &self,
        telling: Telling<'_>,
        info: &mut Info,
    ) -> Option<impl FnOnce(Committed) + Send + use<>> {
        let heard = self.is_heard(telling.kinds(), telling.registered());
        heard.then(|| self.wanted_teller(telling, info)).flatten()
    }

    #[cold]
    fn wanted_teller(&self, telling: Telling<'_>, info: &mut Info) -> Option<impl FnOnce(Committed) + Send + use<>> {
        let listeners = &self.registry.inner.listeners;
        let callable = telling.registered().map(|registered| Arc::clone(registered.name()));
        if !listeners.want(telling.kinds(), callable.as_deref()) {
            return None;
        }
        let concerned = self.concerned(info);
        let number = info.number;
        let receipts = usize::from(self.once.is_some());
        let reason = match telling {
            Telling::Failure(_, reason) => Some(reason.to_owned()),
            Telling::Commit | Telling::Run(_) => None,
        };
        let listeners = Arc::clone(listeners);
        Some(move |Committed { position, versions }| {
            let kind = match (&callable, &reason) {
                (Some(_), Some(_)) => ObservationKind::DidFail,
                (Some(_), None) if versions == receipts => ObservationKind::DidNotChange,
                _ => ObservationKind::DidCommit,
            };
            if !listeners.hears(Kinds::of(kind)) {
                return;
            }
            // A run of which nothing was told so far ends with this: nobody else asks for its number.
            let run = || RunNumber(number.unwrap_or_else(|| listeners.number_a_run()));
            let observation = match (callable, reason) {
                (Some(callable), Some(reason)) => Observation::DidFail { run: run(), position, callable, reason },
                (Some(callable), None) if versions == receipts => {
                    Observation::DidNotChange { run: run(), position, callable }
                }
                (callable, _) => {
                    let run = callable.as_ref().map(|_| run());
                    Observation::DidCommit { run, position, callable, versions }
                }
            };
            listeners.enqueue(observation, concerned);
        })
    }

    /// How many versions a run made, but for that of its receipt.
    pub(super) fn own_versions(&self, committed: Committed) -> usize {
        committed.versions.saturating_sub(usize::from(self.once.is_some()))
    }

    /// Delivers what a commit put into the queue.
    #[inline]
    pub(super) fn deliver(&self) {
        let inner = &self.registry.inner;
        let of_commits =
            Kinds::of(ObservationKind::DidCommit).and(ObservationKind::DidNotChange).and(ObservationKind::DidFail);
        if self.is_heard(of_commits, None) {
            inner.listeners.deliver(&inner.archive);
        }
    }

    /// The number of the run, which it is given when it is first told of.
    fn number(&self, info: &mut Info) -> RunNumber {
        RunNumber(*info.number.get_or_insert_with(|| self.registry.inner.listeners.number_a_run()))
    }

    fn concerned(&self, info: &Info) -> Concerned {
        match &info.run {
            Some(run) if self.registry.inner.listeners.ask_for_entities() => Concerned::given(&run.given),
            _ => Concerned::default(),
        }
    }
}
