//! What a run is told of itself: who wants it, when, and numbers that are drawn for it alone.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::sync::Arc;

use super::Registry;
use super::caller::Caller;
use super::table::Registered;
use crate::history::History;
use crate::id::{EntityId, RunId};
use crate::log::{Drawn, Said};
use crate::when::Timestamp;

/// What a run is told of itself. A callable takes it as its first parameter, `&Context`; whoever calls it gives nothing
/// for that.
///
/// Time and random numbers that a run takes from here are in its entry, so that what it did can be told apart from what
/// it was told, and done again.
///
/// ```
/// use heirloom::prelude::*;
/// use heirloom::Context;
///
/// #[derive(Entity, Clone)]
/// struct Ticket { id: Id<Ticket>, opened_by: String, code: u64 }
///
/// fn open(context: &Context, ticket: &mut Ticket) {
///     ticket.opened_by = context.author().unwrap_or("nobody").to_owned();
///     ticket.code = context.random_below(10_000);
/// }
///
/// let registry = Registry::in_memory();
/// let _ = registry.register("open", open)?;
/// let ticket = registry.add(Ticket { id: Id::new(), opened_by: String::new(), code: 0 })?;
/// let outcome = registry.by("ann").call(open, (ticket,))?;
/// assert_eq!(registry.get(ticket)?.opened_by, "ann");
/// assert!(outcome.entry()?.run().is_some_and(|run| run.id().is_some()));
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Context {
    registry: Registry,
    callable: Arc<str>,
    said: Option<Arc<Said>>,
    /// The time that the caller gave the commit.
    given: Option<Timestamp>,
    now: Cell<Option<Timestamp>>,
    id: OnceCell<RunId>,
    random: RefCell<Option<blake3::OutputReader>>,
}

/// What a recorded run was told of itself, or would have been, had it asked.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) said: Arc<Said>,
    pub(super) now: Timestamp,
    pub(super) id: RunId,
}

impl Context {
    pub(super) fn new(caller: &Caller<'_>, registered: &Registered) -> Self {
        Self {
            registry: caller.registry.clone(),
            callable: Arc::clone(registered.name()),
            said: caller.said.clone(),
            given: caller.time,
            now: Cell::new(None),
            id: OnceCell::new(),
            random: RefCell::new(None),
        }
    }

    /// What a run was told of itself, for another that is told the same.
    pub(super) fn recorded(registry: &Registry, callable: &Arc<str>, told: Told) -> Self {
        Self {
            registry: registry.clone(),
            callable: Arc::clone(callable),
            said: Some(told.said),
            given: Some(told.now),
            now: Cell::new(None),
            id: OnceCell::from(told.id),
            random: RefCell::new(None),
        }
    }

    /// What the run took from here.
    pub(super) fn drawn(&self) -> Option<Drawn> {
        let drawn = Drawn { id: self.id.get().copied(), now: self.now.get() };
        (drawn != Drawn::default()).then_some(drawn)
    }

    /// The name of the callable.
    #[must_use]
    pub fn callable(&self) -> &str {
        &self.callable
    }

    /// Who calls it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.said.as_ref()?.author.as_deref()
    }

    /// What for.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.said.as_ref()?.message.as_deref()
    }

    /// What else was said of it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.said.as_ref()?.properties.get(name).map(String::as_str)
    }

    /// The time: the one that the caller gave, or that of the registry's clock when this was first asked. It stands still
    /// while the run goes on, and is in its entry.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.now.get().or(self.given).unwrap_or_else(|| self.registry.inner.archive.now());
        self.now.set(Some(now));
        now
    }

    /// An identity for this run alone, from the registry's source of ids. Once asked for, it is in its entry.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        *self.id.get_or_init(|| RunId::from(EntityId::new()))
    }

    /// Fills the bytes with random ones. They follow from [`run_id`](Self::run_id): the same run draws the same again.
    /// They are not fit for secrets.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        let mut random = self.random.borrow_mut();
        let reader = random.get_or_insert_with(|| self.run_id().random());
        reader.fill(bytes);
    }

    /// A random number; see [`fill_random`](Self::fill_random).
    #[must_use]
    pub fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random number below a bound, each as likely as any other; 0 if the bound is 0. See
    /// [`fill_random`](Self::fill_random).
    #[must_use]
    pub fn random_below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // What is left over above the last multiple of the bound would make small numbers likelier.
        let last = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.random();
            if drawn < last {
                return drawn % bound;
            }
        }
    }

    /// The history, as far as it was committed. What is read from it is not among the versions that the run is known to
    /// have read.
    #[must_use]
    pub fn history(&self) -> History {
        self.registry.history()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("callable", &self.callable).field("author", &self.author()).finish()
    }
}
