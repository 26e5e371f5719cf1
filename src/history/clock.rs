//! The time of commits: the machine's clock, read now and then and carried on by the monotonic one in between.

use std::time::{Duration, Instant, SystemTime};

use crate::when::Timestamp;

/// How long a reading of the machine's clock is carried on: an adjustment of it is noticed after this long.
const CARRIED: Duration = Duration::from_millis(10);

/// The last reading of the machine's clock, and when it was taken.
pub(super) struct Reading {
    at: Instant,
    time: Timestamp,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self { at: Instant::now(), time: SystemTime::now().into() }
    }

    /// The time now, or at this moment of the monotonic clock, which has just been read.
    pub(super) fn time(&mut self, moment: Option<Instant>) -> Timestamp {
        let Some(moment) = moment else { return SystemTime::now().into() };
        let passed = moment.saturating_duration_since(self.at);
        if passed > CARRIED {
            *self = Self { at: moment, time: SystemTime::now().into() };
            return self.time;
        }
        // Less than a second: there are no others to count.
        Timestamp::from_micros(self.time.as_micros() + i64::from(passed.subsec_micros()))
    }
}
