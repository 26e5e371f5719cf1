//! Everybody who listens, and how they are told.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use super::channel::Sender;
use super::topics::{Concerned, Kinds, Topics};
use super::{CutOff, Observation, ObservationKind};
use crate::history::{Archive, History};
use crate::registry::held::said_by;

/// How many of those who were cut off are remembered.
const REMEMBERED: usize = 100;

/// Where a listener hears.
pub(super) enum Sink {
    Handler(Box<dyn Fn(&Observation) + Send + Sync>),
    Channel(Sender),
}

struct Listener {
    number: usize,
    priority: i32,
    name: Option<Arc<str>>,
    topics: Topics,
    sink: Sink,
    /// Whether it could not be told something: it hears nothing more.
    cut: AtomicBool,
}

/// Those who listen at one time, in the order in which they hear.
type Audience = Arc<Vec<Arc<Listener>>>;

/// What is to be told, with those who listened when it came.
struct Told {
    observation: Observation,
    concerned: Concerned,
    audience: Audience,
}

struct Listed {
    audience: Audience,
    observed: bool,
}

/// Everybody who listens.
pub(in crate::registry) struct Listeners {
    /// The kinds that somebody hears: nothing while nobody is to hear anything. All that an unheard observation costs is
    /// one look at it.
    heard: AtomicU32,
    list: Mutex<Listed>,
    next: AtomicUsize,
    runs: AtomicU64,
    queue: Mutex<VecDeque<Told>>,
    delivering: Mutex<()>,
    /// Whether a full channel holds up who delivers: then all who have something to tell wait until it is delivered, or
    /// the queue would grow in place of the channel.
    held_up: Mutex<bool>,
    go_on: Condvar,
    cut_off: Mutex<VecDeque<CutOff>>,
}

thread_local! {
    /// Whether this thread delivers: what a handler does is never held up by what the same thread is to deliver.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            heard: AtomicU32::new(0),
            list: Mutex::new(Listed { audience: Arc::default(), observed: true }),
            next: AtomicUsize::new(1),
            runs: AtomicU64::new(0),
            queue: Mutex::default(),
            delivering: Mutex::default(),
            held_up: Mutex::new(false),
            go_on: Condvar::new(),
            cut_off: Mutex::default(),
        }
    }
}

impl Listeners {
    pub(super) fn add(&self, topics: Topics, priority: i32, name: Option<Arc<str>>, sink: Sink) -> usize {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let listener = Arc::new(Listener { number, priority, name, topics, sink, cut: AtomicBool::new(false) });
        self.change(|list, _| {
            // Two that subscribe at once may come in either order.
            let place = |other: &Arc<Listener>| (Reverse(other.priority), other.number);
            let at = list.partition_point(|other| place(other) < place(&listener));
            list.insert(at, listener);
        });
        number
    }

    pub(super) fn remove(&self, number: usize) {
        self.change(|list, _| list.retain(|listener| listener.number != number));
    }

    pub(super) fn set_observed(&self, observed: bool) {
        self.change(|_, now| *now = observed);
    }

    pub(super) fn cut_off(&self) -> Vec<CutOff> {
        lock(&self.cut_off).iter().cloned().collect()
    }

    /// Makes a new list: the one there was stays as it is for what was told to it, and is let go without the lock.
    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Listener>>, &mut bool)) {
        let mut list = lock(&self.list);
        let mut changed = Vec::clone(&list.audience);
        change(&mut changed, &mut list.observed);
        let heard = changed.iter().fold(Kinds::NONE, |heard, listener| heard | listener.topics.kinds());
        self.heard.store(if list.observed { heard.bits() } else { 0 }, Ordering::Relaxed);
        let before = std::mem::replace(&mut list.audience, Arc::new(changed));
        drop(list);
        drop(before);
    }

    /// Whether anybody may hear something of these kinds.
    #[inline]
    pub(in crate::registry) fn hears(&self, kinds: Kinds) -> bool {
        Kinds::from_bits(self.heard.load(Ordering::Relaxed)).meets(kinds)
    }

    /// Whether somebody asks which entities an observation concerns.
    pub(in crate::registry) fn ask_for_entities(&self) -> bool {
        self.hears(Kinds::BY_ENTITY)
    }

    /// Whether somebody wants something of these kinds, that this callable does or none.
    pub(in crate::registry) fn want(&self, kinds: Kinds, callable: Option<&str>) -> bool {
        let audience = Arc::clone(&lock(&self.list).audience);
        audience.iter().any(|listener| listener.topics.hears(kinds, callable))
    }

    /// Whether somebody wants something of this kind, that this callable does to these entities.
    pub(in crate::registry) fn want_of(
        &self,
        kind: ObservationKind,
        callable: &str,
        concerned: &Concerned,
        archive: &Archive,
    ) -> bool {
        let audience = Arc::clone(&lock(&self.list).audience);
        let (kinds, entities) = (Kinds::of(kind), concerned.entities());
        let topics = |listener: &Arc<Listener>| {
            listener.topics.hears(kinds, Some(callable)) && listener.topics.concerns(entities, archive)
        };
        audience.iter().any(topics)
    }

    /// The number of a run that is told of for the first time.
    pub(in crate::registry) fn number_a_run(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts an observation behind those that came before, for those who listen now. No code of others runs in it.
    pub(in crate::registry) fn enqueue(&self, observation: Observation, concerned: Concerned) {
        let audience = Arc::clone(&lock(&self.list).audience);
        lock(&self.queue).push_back(Told { observation, concerned, audience });
    }

    /// Delivers what is queued: each observation once, in order, to each listener, by one thread at a time. Whoever
    /// comes while another delivers, or from within a handler, leaves it to that one.
    pub(in crate::registry) fn deliver(&self, archive: &Arc<Archive>) {
        loop {
            let delivering = match self.delivering.try_lock() {
                Ok(delivering) => delivering,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return self.wait_while_held_up(),
            };
            let nested = DELIVERS.replace(true);
            while let Some(told) = self.next_queued() {
                self.tell(told, archive);
            }
            DELIVERS.set(nested);
            let mut held_up = lock(&self.held_up);
            if std::mem::take(&mut *held_up) {
                self.go_on.notify_all();
            }
            drop(held_up);
            drop(delivering);
            // Something may have been queued between the last look and the release.
            if lock(&self.queue).is_empty() {
                return;
            }
        }
    }

    fn next_queued(&self) -> Option<Told> {
        lock(&self.queue).pop_front()
    }

    fn wait_while_held_up(&self) {
        if DELIVERS.get() {
            return;
        }
        let mut held_up = lock(&self.held_up);
        while *held_up {
            held_up = self.go_on.wait(held_up).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn tell(&self, told: Told, archive: &Arc<Archive>) {
        let Told { observation, concerned, audience } = told;
        let (kinds, callable) = (Kinds::of(observation.kind()), observation.callable());
        let hears =
            |listener: &&Arc<Listener>| !listener.cut.load(Ordering::Relaxed) && listener.topics.hears(kinds, callable);
        let asked = audience.iter().filter(hears).any(|listener| listener.topics.asks_for_entities());
        let concerned =
            if asked { concerned.with_made(&observation, &History::new(Arc::clone(archive))) } else { Some(concerned) };
        for listener in audience.iter().filter(hears) {
            // What cannot be read is heard rather than missed.
            if concerned.as_ref().is_none_or(|all| listener.topics.concerns(all.entities(), archive))
                && let Err(reason) = self.tell_one(listener, &observation)
            {
                self.cut(listener, reason);
            }
        }
        // The last to hold a listener that is gone lets it go, which may panic: that must not break the run either.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(audience))) {
            std::mem::forget(payload);
        }
    }

    fn tell_one(&self, listener: &Listener, observation: &Observation) -> Result<(), String> {
        match &listener.sink {
            Sink::Handler(handler) => catch_unwind(AssertUnwindSafe(|| handler(observation)))
                .map_err(|payload| format!("its handler panicked: {}", said_by(payload))),
            Sink::Channel(sender) => sender.send(observation, || *lock(&self.held_up) = true),
        }
    }

    /// A listener that cannot be told is cut off: it must not break the run that it only watches.
    #[cold]
    fn cut(&self, listener: &Listener, reason: String) {
        listener.cut.store(true, Ordering::Relaxed);
        self.remove(listener.number);
        let named = || format!("listener {}", listener.number).into();
        let cut_off = CutOff { listener: listener.name.clone().unwrap_or_else(named), reason };
        let mut all = lock(&self.cut_off);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(cut_off.clone());
        drop(all);
        if self.hears(Kinds::of(ObservationKind::DidCutOff)) {
            self.enqueue(Observation::DidCutOff(cut_off), Concerned::default());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
