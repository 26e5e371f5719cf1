//! What the registry tells listeners while it works. An observation that nobody hears is never built.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

use crate::id::EntityId;
use crate::when::Position;

/// One step of the registry's work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observation {
    /// A callable is about to run.
    WillRun {
        /// Its name.
        callable: Arc<str>,
        /// The entities it was given.
        entities: Vec<EntityId>,
    },
    /// A callable returned; its changes are about to be committed.
    DidRun {
        /// Its name.
        callable: Arc<str>,
        /// How long it took.
        duration: Duration,
    },
    /// A commit is in the log.
    DidCommit {
        /// Its position.
        position: Position,
        /// The callable whose run made it, if one did.
        callable: Option<Arc<str>>,
        /// How many versions it made.
        versions: usize,
    },
    /// A run changed nothing.
    DidNotChange {
        /// Its position in the log.
        position: Position,
        /// The callable.
        callable: Arc<str>,
    },
    /// A run failed, panicked or was refused; nothing of it was kept.
    DidFail {
        /// Its position in the log.
        position: Position,
        /// The callable.
        callable: Arc<str>,
        /// Why.
        reason: String,
    },
}

type Handler = dyn Fn(&Observation) + Send + Sync;

struct Listener {
    number: usize,
    handler: Box<Handler>,
    /// Whether its handler panicked: it hears nothing more.
    cut: AtomicBool,
}

/// Those who listen at one time.
type Audience = Arc<Vec<Arc<Listener>>>;

/// Everybody who listens.
#[derive(Default)]
pub(super) struct Listeners {
    list: Mutex<Audience>,
    count: AtomicUsize,
    next: AtomicUsize,
    /// What is to be told, each with those who listened when it came.
    queue: Mutex<VecDeque<(Observation, Audience)>>,
    delivering: Mutex<()>,
    pub(super) disabled: AtomicBool,
}

/// A subscription to observations; dropping it ends it. What came before its end it still hears, if another thread is
/// just delivering that.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    listeners: Weak<Listeners>,
    number: usize,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.remove(self.number);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({})", self.number)
    }
}

impl Listeners {
    pub(super) fn add(self: &Arc<Self>, handler: impl Fn(&Observation) + Send + Sync + 'static) -> Subscription {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let listener = Arc::new(Listener { number, handler: Box::new(handler), cut: AtomicBool::new(false) });
        self.change(|list| list.push(listener));
        Subscription { listeners: Arc::downgrade(self), number }
    }

    fn remove(&self, number: usize) {
        self.change(|list| list.retain(|listener| listener.number != number));
    }

    /// Makes a new list: the one there was stays as it is for what was told to it, and is let go without the lock.
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Listener>>)) {
        let mut list = lock(&self.list);
        let mut changed = Vec::clone(&list);
        change(&mut changed);
        self.count.store(changed.len(), Ordering::Release);
        let before = std::mem::replace(&mut *list, Arc::new(changed));
        drop(list);
        drop(before);
    }

    /// Whether anybody hears anything.
    #[inline]
    pub(super) fn heard(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0 && !self.disabled.load(Ordering::Relaxed)
    }

    /// Puts an observation behind those that came before, for those who listen now. No code of others runs in it.
    pub(super) fn enqueue(&self, observation: Observation) {
        let audience = Arc::clone(&lock(&self.list));
        lock(&self.queue).push_back((observation, audience));
    }

    /// Delivers what is queued: each observation once, in order, to each listener, by one thread at a time. Whoever
    /// comes while another delivers, or from within a handler, leaves it to that one.
    pub(super) fn deliver(&self) {
        loop {
            let delivering = match self.delivering.try_lock() {
                Ok(delivering) => delivering,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            while let Some((observation, audience)) = self.next_queued() {
                for listener in audience.iter().filter(|listener| !listener.cut.load(Ordering::Relaxed)) {
                    // A handler that panics is cut off: it must not break the run that it only watches.
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (listener.handler)(&observation))) {
                        listener.cut.store(true, Ordering::Relaxed);
                        self.remove(listener.number);
                        // Letting it go could panic again.
                        std::mem::forget(payload);
                    }
                }
            }
            drop(delivering);
            // Something may have been queued between the last look and the release.
            if lock(&self.queue).is_empty() {
                return;
            }
        }
    }

    fn next_queued(&self) -> Option<(Observation, Audience)> {
        lock(&self.queue).pop_front()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
