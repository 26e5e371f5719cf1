//! How the runs of a callable are watched: by listeners, by who counts, and by `tracing` and `metrics` where they are
//! compiled in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::stats::{Came, Counts};
use super::table::Registered;
use super::{meter, trace};

/// How callables are watched unless they say otherwise.
#[derive(Clone, Copy, Default)]
pub(super) struct Watching {
    /// Whether their runs are counted.
    pub(super) stats: bool,
    /// From when on a run is slow.
    pub(super) slow_run: Option<Duration>,
}

/// How the runs of one callable are watched.
pub(super) struct Watched {
    observed: AtomicBool,
    /// From how many nanoseconds on a run is slow; the most there can be if none is.
    slow_run: AtomicU64,
    pub(super) counts: Option<Counts>,
}

impl Watched {
    pub(super) fn new(watching: Watching) -> Self {
        let watched = Self {
            observed: AtomicBool::new(true),
            slow_run: AtomicU64::new(u64::MAX),
            counts: watching.stats.then(Counts::default),
        };
        if let Some(threshold) = watching.slow_run {
            watched.set_slow_run(threshold);
        }
        watched
    }

    pub(super) fn set_observed(&self, observed: bool) {
        self.observed.store(observed, Ordering::Relaxed);
    }

    pub(super) fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Relaxed)
    }

    pub(super) fn set_slow_run(&self, threshold: Duration) {
        self.slow_run.store(u64::try_from(threshold.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What the run was to take at most, if it took longer.
    #[inline]
    fn exceeded(&self, duration: Duration) -> Option<Duration> {
        let threshold = Duration::from_nanos(self.slow_run.load(Ordering::Relaxed));
        (duration > threshold).then_some(threshold)
    }
}

impl Registered {
    /// Counts how long it took, and gives what it was to take at most, if it took longer.
    #[inline]
    pub(super) fn ran(&self, duration: Duration) -> Option<Duration> {
        if let Some(counts) = &self.watched.counts {
            counts.ran(duration);
        }
        meter::ran(self.name(), duration);
        let threshold = self.watched.exceeded(duration)?;
        trace::slow(self.name(), duration, threshold);
        Some(threshold)
    }

    /// Counts what a run came to.
    #[inline]
    pub(super) fn ended(&self, came: Came) {
        if let Some(counts) = &self.watched.counts {
            counts.ended(came);
        }
        meter::ended(self.name(), came);
    }

    /// Counts that somebody came first, and whether it is to run again.
    pub(super) fn conflicted(&self, again: bool) {
        if let Some(counts) = &self.watched.counts {
            counts.conflicted(again);
        }
        meter::conflicted(self.name(), again);
    }
}
