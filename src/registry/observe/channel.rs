//! A bounded channel of observations, for a listener on a thread of its own.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Observation, Subscription};

/// What becomes of an observation for which a channel has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits for room, and so does whoever does what is observed. Nothing is lost; but who takes from the channel must
    /// not call the registry in between, or it waits for itself.
    Block,
    /// It takes the place of the oldest that is there; [`Observations::dropped`] counts those.
    DropOldest,
    /// It is lost, and the channel ends: what is in it can still be taken. The listener counts as cut off.
    Disconnect,
}

/// The receiving end of a subscription, to be taken from on any thread; dropping it ends the subscription.
///
/// It ends when the registry is gone, or when it was full and was to be disconnected; what is in it is given first.
///
/// ```
/// # use heirloom::prelude::*;
/// # use heirloom::{ObservationKind, Topics, WhenFull};
/// # #[derive(Entity, Clone)] struct Student { id: Id<Student> }
/// let registry = Registry::in_memory();
/// let commits = Topics::all().kind(ObservationKind::DidCommit);
/// let observations = registry.subscribe_to(commits).channel(64, WhenFull::DropOldest);
/// let watching = std::thread::spawn(move || observations.iter().count());
/// registry.add(Student { id: Id::new() })?;
/// drop(registry);
/// assert_eq!(watching.join().expect("it does not panic"), 1);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping it ends the subscription"]
pub struct Observations {
    channel: Arc<Channel>,
    subscription: Subscription,
}

impl Observations {
    pub(super) fn new(channel: Arc<Channel>, subscription: Subscription) -> Self {
        Self { channel, subscription }
    }

    /// The next observation, once there is one; `None` once it has ended.
    #[must_use]
    pub fn recv(&self) -> Option<Observation> {
        self.take_until(None)
    }

    /// The next observation, if there is one now.
    #[must_use]
    pub fn try_recv(&self) -> Option<Observation> {
        self.channel.take(&mut self.channel.state())
    }

    /// The next observation, if there is one before so much time is over.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Observation> {
        self.take_until(Instant::now().checked_add(timeout))
    }

    /// All observations, waiting for each; ends once it has ended.
    pub fn iter(&self) -> impl Iterator<Item = Observation> + '_ {
        std::iter::from_fn(|| self.recv())
    }

    /// How many observations gave way to newer ones so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.channel.state().dropped
    }

    /// Whether nothing more comes, besides what is there already.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.channel.state().ended
    }

    fn take_until(&self, end: Option<Instant>) -> Option<Observation> {
        let mut state = self.channel.state();
        loop {
            if let Some(observation) = self.channel.take(&mut state) {
                return Some(observation);
            }
            if state.ended {
                return None;
            }
            state = match end {
                None => self.channel.came.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                    self.channel.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Drop for Observations {
    fn drop(&mut self) {
        self.channel.state().left = true;
        self.channel.room.notify_all();
    }
}

impl fmt::Debug for Observations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observations({:?})", self.subscription)
    }
}

/// What lies between a registry and who takes.
pub(super) struct Channel {
    capacity: usize,
    when_full: WhenFull,
    state: Mutex<State>,
    came: Condvar,
    room: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Observation>,
    dropped: u64,
    /// Whether nothing more comes.
    ended: bool,
    /// Whether nobody takes any more.
    left: bool,
}

impl Channel {
    pub(super) fn new(capacity: NonZeroUsize, when_full: WhenFull) -> Self {
        Self {
            capacity: capacity.get(),
            when_full,
            state: Mutex::default(),
            came: Condvar::new(),
            room: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State) -> Option<Observation> {
        let taken = state.waiting.pop_front()?;
        self.room.notify_one();
        Some(taken)
    }
}

/// The end of a channel that a registry has: when it goes, the channel ends.
pub(super) struct Sender(pub(super) Arc<Channel>);

impl Sender {
    /// Puts an observation in; `waits` is called before it has to wait for room.
    ///
    /// # Errors
    /// There is no room, and then the channel ends: why.
    pub(super) fn send(&self, observation: &Observation, waits: impl FnOnce()) -> Result<(), String> {
        let channel = &*self.0;
        let mut state = channel.state();
        if state.waiting.len() >= channel.capacity {
            match channel.when_full {
                WhenFull::Block => {
                    waits();
                    while state.waiting.len() >= channel.capacity && !state.left {
                        state = channel.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
                WhenFull::DropOldest => {
                    state.waiting.pop_front();
                    state.dropped += 1;
                }
                WhenFull::Disconnect => {
                    state.ended = true;
                    drop(state);
                    channel.came.notify_all();
                    return Err(format!("its channel was full: {} observations waited in it", channel.capacity));
                }
            }
        }
        state.waiting.push_back(observation.clone());
        drop(state);
        channel.came.notify_one();
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.came.notify_all();
    }
}
