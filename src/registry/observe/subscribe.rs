//! Subscribing: how, and until when.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use super::channel::{Channel, Observations, Sender, WhenFull};
use super::listeners::{Listeners, Sink};
use super::topics::Topics;
use super::{CutOff, Observation};
use crate::registry::Registry;

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

/// A subscription in the making: what [`Registry::subscribe_to`] gives.
#[must_use = "nobody listens until `handler` or `channel`"]
pub struct Subscribing<'r> {
    registry: &'r Registry,
    topics: Topics,
    priority: i32,
    name: Option<Arc<str>>,
}

impl Subscribing<'_> {
    /// Of one observation, who has a higher priority hears before who has a lower one; it is 0 unless said otherwise.
    /// Among equals, who subscribed first hears first.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// What the listener is called if it has to be cut off.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Hears by a function, as [`Registry::subscribe`] does.
    pub fn handler(self, handler: impl Fn(&Observation) + Send + Sync + 'static) -> Subscription {
        self.hear(Sink::Handler(Box::new(handler)))
    }

    /// Hears by a channel, which holds so many observations, and one at least.
    pub fn channel(self, capacity: usize, when_full: WhenFull) -> Observations {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let channel = Arc::new(Channel::new(capacity, when_full));
        let subscription = self.hear(Sink::Channel(Sender(Arc::clone(&channel))));
        Observations::new(channel, subscription)
    }

    fn hear(self, sink: Sink) -> Subscription {
        let listeners = &self.registry.inner.listeners;
        let number = listeners.add(self.topics, self.priority, self.name, sink);
        Subscription { listeners: Arc::downgrade(listeners), number }
    }
}

impl fmt::Debug for Subscribing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribing").field("topics", &self.topics).field("priority", &self.priority).finish()
    }
}

impl Registry {
    /// Hears everything that the registry does, until the subscription is dropped. Each observation is delivered once
    /// and in order, after the step that it tells of, on the thread that did it or one that did another at the time. A
    /// handler that panics is cut off, and never breaks what it hears of: see [`cut_off`](Self::cut_off).
    pub fn subscribe(&self, handler: impl Fn(&Observation) + Send + Sync + 'static) -> Subscription {
        self.subscribe_to(Topics::all()).handler(handler)
    }

    /// Hears some of what the registry does, by a handler or through a channel. What nobody wants is not even built.
    ///
    /// ```
    /// use heirloom::prelude::*;
    /// use heirloom::{ObservationKind, Topics, WhenFull};
    ///
    /// # #[derive(Entity, Clone)] struct Student { id: Id<Student>, gpa: f64 }
    /// # fn raise(student: &mut Student, by: f64) { student.gpa += by; }
    /// let registry = Registry::in_memory();
    /// let _ = registry.register("raise", raise)?;
    /// let ann = registry.add(Student { id: Id::new(), gpa: 3.5 })?;
    ///
    /// let of_ann = Topics::all().kind(ObservationKind::DidCommit).entity(ann);
    /// let observations = registry.subscribe_to(of_ann).channel(64, WhenFull::DropOldest);
    /// let outcome = registry.call(raise, (ann, 0.3))?;
    /// let observation = observations.recv().expect("it was committed");
    /// assert_eq!(observation.callable(), Some("raise"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn subscribe_to(&self, topics: Topics) -> Subscribing<'_> {
        Subscribing { registry: self, topics, priority: 0, name: None }
    }

    /// The listeners that were cut off since their handlers panicked or their channels were full, the last of them last.
    /// A hundred are remembered.
    #[must_use]
    pub fn cut_off(&self) -> Vec<CutOff> {
        self.inner.listeners.cut_off()
    }

    /// Whether listeners hear anything at all. The log is written in any case.
    pub fn set_observed(&self, observed: bool) {
        self.inner.listeners.set_observed(observed);
    }
}
