//! What runs came to, counted for each callable, and how long they took.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Registry;

/// What the runs of each callable came to since the registry was built; see [`Registry::stats`]. It prints as a line for
/// each.
#[derive(Clone, Debug)]
pub struct Stats {
    callables: Vec<CallableStats>,
}

/// What the runs of one callable came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallableStats {
    /// Its name.
    pub callable: Arc<str>,
    /// How many of its runs ended, well or not. Those that were in conflict and ran again are not among them, as they have
    /// no entry in the log.
    pub runs: u64,
    /// How many of these failed, panicked or were refused.
    pub errors: u64,
    /// How many of these changed nothing.
    pub unchanged: u64,
    /// How often somebody committed to an input first, whether it then ran again or was refused.
    pub conflicts: u64,
    /// How often it ran again for that.
    pub retries: u64,
    /// How many versions it made by commits of its own: those of a commit of several runs are no single run's.
    pub versions: u64,
    /// How long half of the executions took at most, those that were in conflict included.
    pub p50: Duration,
    /// How long 95 % of them took at most.
    pub p95: Duration,
    /// How long 99 % of them took at most.
    pub p99: Duration,
    /// How long the longest took.
    pub max: Duration,
}

impl Stats {
    /// All callables, in the order they were registered.
    #[must_use]
    pub fn callables(&self) -> &[CallableStats] {
        &self.callables
    }

    /// Those of one callable; `None` if it is not registered.
    #[must_use]
    pub fn of(&self, callable: &str) -> Option<&CallableStats> {
        self.callables.iter().find(|stats| *stats.callable == *callable)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, stats) in self.callables.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{stats}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CallableStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { callable, runs, errors, unchanged, conflicts, retries, versions, p50, p95, p99, max } = self;
        write!(f, "{callable}: {runs} runs, {errors} errors, {unchanged} unchanged, {conflicts} conflicts, ")?;
        write!(f, "{retries} retries, {versions} versions; p50 {p50:?}, p95 {p95:?}, p99 {p99:?}, max {max:?}")
    }
}

/// How many parts the counts have: threads that run one callable at a time find a part each.
const PARTS: usize = 4;

/// What is longer counts as an hour, so that the histogram is bounded: 136 KB a part, and far less for short runs.
const LONGEST: Duration = Duration::from_secs(3600);

/// Three digits of a duration are kept.
const DIGITS: u8 = 3;

/// What is counted of one callable. A part is made when a thread first needs it.
#[derive(Default)]
pub(super) struct Counts {
    parts: [OnceLock<Box<Part>>; PARTS],
}

struct Part {
    runs: AtomicU64,
    errors: AtomicU64,
    unchanged: AtomicU64,
    conflicts: AtomicU64,
    retries: AtomicU64,
    versions: AtomicU64,
    longest: AtomicU64,
    durations: Mutex<Histogram<u32>>,
}

/// What a run came to, for who counts.
#[derive(Clone, Copy)]
pub(super) enum Came {
    To {
        versions: usize,
    },
    /// It is part of a commit of several, whose versions are those of all.
    Joined,
    Nothing,
}

impl Counts {
    fn part(&self, index: usize) -> &Part {
        self.parts[index].get_or_init(|| Box::new(Part::new()))
    }

    fn own(&self) -> &Part {
        self.part(own_part())
    }

    /// Counts how long a run took. It waits for nobody unless all parts are taken.
    pub(super) fn ran(&self, duration: Duration) {
        let own = own_part();
        let free = |index: &usize| match self.part((own + index) % PARTS).durations.try_lock() {
            Ok(durations) => Some(durations),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let mut durations = (0..PARTS).find_map(|index| free(&index)).unwrap_or_else(|| self.part(own).durations());
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        durations.record(nanos(duration.min(LONGEST))).expect("it grows to what it is given");
        drop(durations);
        self.part(own).longest.fetch_max(nanos(duration), Ordering::Relaxed);
    }

    /// Counts what a run came to.
    pub(super) fn ended(&self, came: Came) {
        let part = self.own();
        part.runs.fetch_add(1, Ordering::Relaxed);
        match came {
            Came::Nothing => part.errors.fetch_add(1, Ordering::Relaxed),
            Came::Joined => return,
            Came::To { versions: 0 } => part.unchanged.fetch_add(1, Ordering::Relaxed),
            Came::To { versions } => part.versions.fetch_add(versions as u64, Ordering::Relaxed),
        };
    }

    /// Counts that somebody came first, and whether it is to run again.
    pub(super) fn conflicted(&self, again: bool) {
        let part = self.own();
        part.conflicts.fetch_add(1, Ordering::Relaxed);
        part.retries.fetch_add(u64::from(again), Ordering::Relaxed);
    }

    fn stats(&self, callable: Arc<str>) -> CallableStats {
        let parts = || self.parts.iter().filter_map(OnceLock::get);
        let sum = |count: fn(&Part) -> &AtomicU64| parts().map(|part| count(part).load(Ordering::Relaxed)).sum();
        let mut durations = histogram();
        for part in parts() {
            durations.add(&*part.durations()).expect("it grows to the size of what is added");
        }
        let longest = parts().map(|part| part.longest.load(Ordering::Relaxed)).max().unwrap_or(0);
        // The end of a bucket may lie above all that is in it.
        let at = |share| Duration::from_nanos(durations.value_at_quantile(share).min(longest));
        CallableStats {
            callable,
            runs: sum(|part| &part.runs),
            errors: sum(|part| &part.errors),
            unchanged: sum(|part| &part.unchanged),
            conflicts: sum(|part| &part.conflicts),
            retries: sum(|part| &part.retries),
            versions: sum(|part| &part.versions),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            max: Duration::from_nanos(longest),
        }
    }
}

impl Part {
    fn new() -> Self {
        Self {
            runs: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            versions: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            durations: Mutex::new(histogram()),
        }
    }

    fn durations(&self) -> MutexGuard<'_, Histogram<u32>> {
        self.durations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that grows with what it is given.
fn histogram() -> Histogram<u32> {
    Histogram::new(DIGITS).expect("as many digits as there can be are five")
}

/// The part of all counts that this thread begins with.
fn own_part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
    }
    OWN.with(|own| *own)
}

impl Registry {
    /// What the runs of each callable came to since the registry was built, and how long they took: of the function
    /// alone, to three digits. `None` unless it was built with [`Builder::stats`](super::Builder::stats).
    ///
    /// What is counted while this reads may be in it or not.
    ///
    /// ```
    /// # use heirloom::prelude::*;
    /// # #[derive(Entity, Clone)] struct Student { id: Id<Student>, gpa: f64 }
    /// # fn raise(student: &mut Student, by: f64) { student.gpa += by; }
    /// let registry = Registry::builder().stats(true).in_memory();
    /// let _ = registry.register("raise", raise)?;
    /// let ann = registry.add(Student { id: Id::new(), gpa: 3.5 })?;
    /// registry.call(raise, (ann, 0.3))?;
    /// registry.call(raise, (ann, 0.0))?;
    /// let stats = registry.stats().expect("they are asked for");
    /// let raised = stats.of("raise").expect("it is registered");
    /// assert_eq!((raised.runs, raised.unchanged, raised.versions), (2, 1, 1));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        let counted = |registered: &Arc<super::Registered>| {
            let counts = registered.watched.counts.as_ref()?;
            Some(counts.stats(Arc::clone(registered.name())))
        };
        let callables = self.inner.table.all().iter().filter_map(counted).collect();
        self.inner.watching.stats.then_some(Stats { callables })
    }
}
