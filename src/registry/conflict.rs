//! What becomes of a run that another commit came before.

use super::error::CallError;
use crate::history::CommitError;

/// What becomes of a run whose inputs someone committed to while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Conflict {
    /// It is refused, and the error names who came first.
    #[default]
    Fail,
    /// It runs again on what the other left, at most so many times more; then it is refused. What it did outside of the
    /// registry it does again. Only the last attempt is in the log.
    Retry(u32),
}

impl Conflict {
    /// Whether a run that was refused for this is to run again.
    pub(super) fn runs_again(self, source: &CommitError) -> bool {
        is_conflict(source) && matches!(self, Conflict::Retry(1..))
    }

    /// Runs until it is not to run again.
    pub(super) fn run<R>(self, mut run: impl FnMut(Conflict) -> Result<R, CallError>) -> Result<R, CallError> {
        let mut left = self;
        loop {
            match run(left) {
                Err(CallError::Commit { source, .. }) if left.runs_again(&source) => {
                    left = left.once_less();
                    // Whoever came first may be about to come again.
                    std::thread::yield_now();
                }
                end => return end,
            }
        }
    }

    pub(super) fn once_less(self) -> Self {
        match self {
            Conflict::Fail => Conflict::Fail,
            Conflict::Retry(times) => Conflict::Retry(times.saturating_sub(1)),
        }
    }
}

/// Whether somebody committed first.
pub(super) fn is_conflict(source: &CommitError) -> bool {
    matches!(source, CommitError::Conflict { .. } | CommitError::ConflictPresent { .. })
}
