//! What the registry tells listeners while it works. An observation that nobody hears is never built.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
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
    handler: Arc<Handler>,
}

/// Everybody who listens.
pub(super) struct Listeners {
    list: Mutex<Vec<Listener>>,
    count: AtomicUsize,
    next: AtomicUsize,
    queue: Mutex<VecDeque<Observation>>,
    delivering: Mutex<()>,
    pub(super) enabled: AtomicBool,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            list: Mutex::default(),
            count: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            queue: Mutex::default(),
            delivering: Mutex::default(),
            enabled: AtomicBool::new(true),
        }
    }
}

/// A subscription to observations; dropping it ends it.
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
    pub(super) fn add(self: &Arc<Self>, handler: Arc<Handler>) -> Subscription {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Listener { number, handler });
        self.count.store(list.len(), Ordering::Release);
        Subscription { listeners: Arc::downgrade(self), number }
    }

    fn remove(&self, number: usize) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|listener| listener.number != number);
        self.count.store(list.len(), Ordering::Release);
    }

    /// Whether anybody hears anything.
    #[inline]
    pub(super) fn heard(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.enabled.load(Ordering::Relaxed)
    }

    /// Puts an observation behind those that came before.
    pub(super) fn enqueue(&self, observation: Observation) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(observation);
    }

    /// Delivers what is queued: each observation once, in order, to each listener, by one thread at a time. Whoever
    /// comes while another delivers, or from within a handler, leaves it to that one.
    pub(super) fn deliver(&self) {
        loop {
            let Ok(_delivering) = self.delivering.try_lock() else { return };
            while let Some(observation) = self.next_queued() {
                let handlers: Vec<(usize, Arc<Handler>)> = {
                    let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
                    list.iter().map(|listener| (listener.number, Arc::clone(&listener.handler))).collect()
                };
                for (number, handler) in handlers {
                    // A handler that panics is cut off: it must not break the run that it only watches.
                    if catch_unwind(AssertUnwindSafe(|| handler(&observation))).is_err() {
                        self.remove(number);
                    }
                }
            }
            drop(_delivering);
            // Something may have been queued between the last look and the release.
            if self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
        }
    }

    fn next_queued(&self) -> Option<Observation> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
