//! Timing of what keeps everything: the state grows with each step, so it is built anew, untimed, before it is too big.

use std::time::{Duration, Instant};

/// A state that grows with each step.
pub(crate) struct Growing<S, B> {
    build: B,
    /// The state, and how many steps it has taken.
    state: Option<(S, usize)>,
    /// How many steps it takes before it is built anew.
    most: usize,
}

impl<S, B: FnMut() -> S> Growing<S, B> {
    /// A state that is built when it is first needed, and again after each `most` steps.
    pub(crate) fn new(most: usize, build: B) -> Self {
        Self { build, state: None, most }
    }

    /// The time that so many steps take; each is told its number since the state was built.
    pub(crate) fn time(&mut self, steps: u64, mut step: impl FnMut(&mut S, usize)) -> Duration {
        let mut timed = Duration::ZERO;
        let mut left = usize::try_from(steps).expect("as many steps as anybody waits for");
        while left > 0 {
            if self.state.as_ref().is_none_or(|(_, taken)| *taken >= self.most) {
                // Let go first: two at a time would be twice the memory.
                self.state = None;
                self.state = Some(((self.build)(), 0));
            }
            let (state, taken) = self.state.as_mut().expect("it was built above");
            let now = left.min(self.most - *taken);
            let start = Instant::now();
            for number in *taken..*taken + now {
                step(state, number);
            }
            timed += start.elapsed();
            *taken += now;
            left -= now;
        }
        timed
    }
}
