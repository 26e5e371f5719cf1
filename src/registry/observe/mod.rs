//! What the registry tells listeners while it works. An observation that nobody hears is never built.

mod channel;
mod listeners;
mod subscribe;
mod topics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use channel::{Observations, WhenFull};
pub use subscribe::{Subscribing, Subscription};
pub use topics::Topics;

pub(super) use listeners::Listeners;
pub(super) use topics::{Concerned, Kinds};

use crate::id::EntityId;
use crate::when::Position;

/// The number of a run in what listeners are told: all that is told of one run has the same. They rise from 1, anew in
/// each registry, and a run of which there is nobody to tell has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunNumber(pub u64);

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", self.0)
    }
}

/// A listener that hears nothing more, since it could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOff {
    /// Its name: the one that it was given, or its number.
    pub listener: Arc<str>,
    /// Why: what its handler panicked with, or that its channel was full.
    pub reason: String,
}

/// One step of the registry's work.
///
/// A run is told from [`WillRun`](Self::WillRun) to exactly one of [`DidCommit`](Self::DidCommit),
/// [`DidNotChange`](Self::DidNotChange), [`DidJoin`](Self::DidJoin), [`DidFail`](Self::DidFail), [`WillRetry`](Self::WillRetry) and
/// [`DidNotRecord`](Self::DidNotRecord), all with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observation {
    /// A callable is about to run.
    #[non_exhaustive]
    WillRun {
        /// The number of the run.
        run: RunNumber,
        /// Its name.
        callable: Arc<str>,
        /// The entities it was given. None if it panicked while they were loaded.
        entities: Vec<EntityId>,
    },
    /// A callable returned; its changes are about to be committed.
    #[non_exhaustive]
    DidRun {
        /// The number of the run.
        run: RunNumber,
        /// Its name.
        callable: Arc<str>,
        /// How long it took.
        duration: Duration,
    },
    /// A callable took longer than it is expected to, and has returned or panicked. Told once for a run.
    #[non_exhaustive]
    DidRunSlowly {
        /// The number of the run.
        run: RunNumber,
        /// Its name.
        callable: Arc<str>,
        /// How long it took.
        duration: Duration,
        /// What it is expected to take at most.
        threshold: Duration,
    },
    /// A commit is in the log.
    #[non_exhaustive]
    DidCommit {
        /// The number of the run that made it, if one did.
        run: Option<RunNumber>,
        /// Its position.
        position: Position,
        /// The callable whose run made it, if one did.
        callable: Option<Arc<str>>,
        /// How many versions it made.
        versions: usize,
    },
    /// A run came to its end as one of several that make one commit, or none: that is told of `execute_many`.
    #[non_exhaustive]
    DidJoin {
        /// The number of the run.
        run: RunNumber,
        /// The callable.
        callable: Arc<str>,
    },
    /// A run changed nothing.
    #[non_exhaustive]
    DidNotChange {
        /// The number of the run.
        run: RunNumber,
        /// Its position in the log.
        position: Position,
        /// The callable.
        callable: Arc<str>,
    },
    /// A run failed, panicked or was refused; nothing of it was kept.
    #[non_exhaustive]
    DidFail {
        /// The number of the run.
        run: RunNumber,
        /// Its position in the log.
        position: Position,
        /// The callable.
        callable: Arc<str>,
        /// Why.
        reason: String,
    },
    /// Somebody committed to an input first: nothing of this run was kept, it has no entry, and the callable is about to
    /// run again, as another run.
    #[non_exhaustive]
    WillRetry {
        /// The number of the run.
        run: RunNumber,
        /// The callable.
        callable: Arc<str>,
        /// Who came first.
        reason: String,
    },
    /// A run came to nothing, and the log could not take its entry.
    #[non_exhaustive]
    DidNotRecord {
        /// The number of the run.
        run: RunNumber,
        /// The callable.
        callable: Arc<str>,
        /// Why it came to nothing.
        reason: String,
    },
    /// A listener was cut off. It is no step of the work: only who asks for [its kind](ObservationKind::DidCutOff) hears
    /// of it.
    DidCutOff(CutOff),
}

/// What an [`Observation`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObservationKind {
    /// See [`Observation::WillRun`].
    WillRun,
    /// See [`Observation::DidRun`].
    DidRun,
    /// See [`Observation::DidRunSlowly`].
    DidRunSlowly,
    /// See [`Observation::DidJoin`].
    DidJoin,
    /// See [`Observation::DidCommit`].
    DidCommit,
    /// See [`Observation::DidNotChange`].
    DidNotChange,
    /// See [`Observation::DidFail`].
    DidFail,
    /// See [`Observation::WillRetry`].
    WillRetry,
    /// See [`Observation::DidNotRecord`].
    DidNotRecord,
    /// See [`Observation::DidCutOff`].
    DidCutOff,
}

impl Observation {
    /// What it tells.
    #[must_use]
    pub fn kind(&self) -> ObservationKind {
        match self {
            Observation::WillRun { .. } => ObservationKind::WillRun,
            Observation::DidRun { .. } => ObservationKind::DidRun,
            Observation::DidRunSlowly { .. } => ObservationKind::DidRunSlowly,
            Observation::DidJoin { .. } => ObservationKind::DidJoin,
            Observation::DidCommit { .. } => ObservationKind::DidCommit,
            Observation::DidNotChange { .. } => ObservationKind::DidNotChange,
            Observation::DidFail { .. } => ObservationKind::DidFail,
            Observation::WillRetry { .. } => ObservationKind::WillRetry,
            Observation::DidNotRecord { .. } => ObservationKind::DidNotRecord,
            Observation::DidCutOff(_) => ObservationKind::DidCutOff,
        }
    }

    /// The number of the run that it tells of, if it does of one.
    #[must_use]
    pub fn run(&self) -> Option<RunNumber> {
        match self {
            Observation::WillRun { run, .. }
            | Observation::DidRun { run, .. }
            | Observation::DidRunSlowly { run, .. }
            | Observation::DidJoin { run, .. }
            | Observation::DidNotChange { run, .. }
            | Observation::DidFail { run, .. }
            | Observation::WillRetry { run, .. }
            | Observation::DidNotRecord { run, .. } => Some(*run),
            Observation::DidCommit { run, .. } => *run,
            Observation::DidCutOff(_) => None,
        }
    }

    /// The name of the callable that it tells of, if it does of one.
    #[must_use]
    pub fn callable(&self) -> Option<&str> {
        match self {
            Observation::WillRun { callable, .. }
            | Observation::DidRun { callable, .. }
            | Observation::DidRunSlowly { callable, .. }
            | Observation::DidJoin { callable, .. }
            | Observation::DidNotChange { callable, .. }
            | Observation::DidFail { callable, .. }
            | Observation::WillRetry { callable, .. }
            | Observation::DidNotRecord { callable, .. } => Some(callable),
            Observation::DidCommit { callable, .. } => callable.as_deref(),
            Observation::DidCutOff(_) => None,
        }
    }

    /// Its place in the log, once it has one.
    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Observation::DidCommit { position, .. } => Some(*position),
            _ => None,
        }
    }
}
