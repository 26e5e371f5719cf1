//! What the `metrics` facade is given of runs and commits. Without that feature, nothing is left of it.

#[cfg(feature = "metrics")]
pub(super) use on::{committed, conflicted, ended, ran};

#[cfg(not(feature = "metrics"))]
pub(super) use off::{committed, conflicted, ended, ran};

#[cfg(feature = "metrics")]
mod on {
    use std::sync::Arc;
    use std::time::Duration;

    use metrics::{SharedString, counter, histogram};

    use crate::registry::stats::Came;

    pub(in crate::registry) fn ran(callable: &Arc<str>, duration: Duration) {
        histogram!("heirloom_run_seconds", "callable" => shared(callable)).record(duration.as_secs_f64());
    }

    pub(in crate::registry) fn ended(callable: &Arc<str>, came: Came) {
        let end = match came {
            Came::Nothing => "failed",
            Came::Joined => "joined",
            Came::To { versions: 0 } => "unchanged",
            Came::To { .. } => "changed",
        };
        counter!("heirloom_runs_total", "callable" => shared(callable), "end" => end).increment(1);
    }

    pub(in crate::registry) fn conflicted(callable: &Arc<str>, again: bool) {
        counter!("heirloom_conflicts_total", "callable" => shared(callable)).increment(1);
        if again {
            counter!("heirloom_retries_total", "callable" => shared(callable)).increment(1);
        }
    }

    /// An entry that is in the log, of a commit or a run.
    pub(in crate::registry) fn committed(versions: usize) {
        counter!("heirloom_entries_total").increment(1);
        counter!("heirloom_versions_total").increment(versions as u64);
    }

    fn shared(name: &Arc<str>) -> SharedString {
        SharedString::from_shared(Arc::clone(name))
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::registry::stats::Came;

    #[inline]
    pub(in crate::registry) fn ran(_: &Arc<str>, _: Duration) {}

    #[inline]
    pub(in crate::registry) fn ended(_: &Arc<str>, _: Came) {}

    #[inline]
    pub(in crate::registry) fn conflicted(_: &Arc<str>, _: bool) {}

    #[inline]
    pub(in crate::registry) fn committed(_: usize) {}
}
