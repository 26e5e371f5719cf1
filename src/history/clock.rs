//! The time of commits: the machine's clock, read now and then and carried on by the monotonic one in between.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::when::{Clock, Timestamp};

/// How long a reading of the machine's clock is carried on: an adjustment of it is noticed after this long.
const CARRIED: Duration = Duration::from_millis(10);

/// Where the time of commits comes from.
pub(super) enum Wall {
    Given(Box<dyn Clock>),
    /// The last reading, and when it was taken.
    Machine(Mutex<(Instant, SystemTime)>),
}

impl Wall {
    pub(super) fn machine() -> Self {
        Wall::Machine(Mutex::new((Instant::now(), SystemTime::now())))
    }

    /// The time now, or at this moment of the monotonic clock, which has just been read.
    pub(super) fn at(&self, moment: Option<Instant>) -> Timestamp {
        let reading = match self {
            Wall::Given(clock) => return clock.now(),
            Wall::Machine(reading) => reading,
        };
        let Some(moment) = moment else { return SystemTime::now().into() };
        let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = moment.saturating_duration_since(reading.0);
        if passed > CARRIED {
            *reading = (moment, SystemTime::now());
            return reading.1.into();
        }
        (reading.1 + passed).into()
    }
}
