//! Fewest moves between two orders.

/// Which blocks stay: those of a heaviest increasing subsequence.
pub(crate) fn fewest_moves(_blocks: &[(usize, usize)]) -> Vec<bool> {
    Vec::new()
}
