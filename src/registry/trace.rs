//! Spans and events for `tracing`. Without that feature, nothing is left of them.

#[cfg(feature = "tracing")]
pub(super) use on::{Span, commit, failed, retries, run, slow};

#[cfg(not(feature = "tracing"))]
pub(super) use off::{Span, commit, failed, retries, run, slow};

#[cfg(feature = "tracing")]
mod on {
    use std::time::Duration;

    use tracing::field::Empty;
    use tracing::span::EnteredSpan;
    use tracing::{debug, debug_span, warn};

    use crate::history::Committed;

    /// A span that lasts as long as this.
    pub(in crate::registry) struct Span(EnteredSpan);

    impl Span {
        /// Says what it came to.
        pub(in crate::registry) fn committed(&self, committed: Committed) {
            self.0.record("position", committed.position.0);
            self.0.record("versions", committed.versions);
        }
    }

    /// A run, from its arguments to its commit.
    pub(in crate::registry) fn run(callable: &str, author: Option<&str>) -> Span {
        let span = debug_span!("run", callable, author);
        Span(span.entered())
    }

    /// A commit, or waiting for one that is under way.
    pub(in crate::registry) fn commit() -> Span {
        Span(debug_span!("commit", position = Empty, versions = Empty).entered())
    }

    pub(in crate::registry) fn failed(callable: &str, reason: &str) {
        debug!(callable, reason, "a run came to nothing");
    }

    pub(in crate::registry) fn retries(callable: &str, reason: &str) {
        debug!(callable, reason, "somebody came first: it runs again");
    }

    pub(in crate::registry) fn slow(callable: &str, duration: Duration, threshold: Duration) {
        warn!(callable, ?duration, ?threshold, "a run was slow");
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::time::Duration;

    use crate::history::Committed;

    pub(in crate::registry) struct Span;

    impl Span {
        #[inline]
        pub(in crate::registry) fn committed(&self, _: Committed) {}
    }

    #[inline]
    pub(in crate::registry) fn run(_: &str, _: Option<&str>) -> Span {
        Span
    }

    #[inline]
    pub(in crate::registry) fn commit() -> Span {
        Span
    }

    #[inline]
    pub(in crate::registry) fn failed(_: &str, _: &str) {}

    #[inline]
    pub(in crate::registry) fn retries(_: &str, _: &str) {}

    #[inline]
    pub(in crate::registry) fn slow(_: &str, _: Duration, _: Duration) {}
}
