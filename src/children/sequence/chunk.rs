//! Where a list is cut into chunks: a rule that looks at identities alone, and only at those near the cut.
//!
//! The rule is part of the stored format: the shape of a tree, and so its digest, follows from it.
//!
//! A list of at most [`FLAT`] items is one chunk. In a longer one, each key of a level has a weight, a hash of the level and the identity. A key is a **peak** when it is heavier than
//! the [`BEFORE`] keys before it and the [`AFTER`] keys after it, all of which must be there; a chunk ends after each
//! peak. (Bjorner, Blass, Gurevich 2010, "Content-dependent chunking for differential compression, the local maximum
//! approach".) Chunks are then 8 keys long on average and never shorter than 4, so that the tree is low even where
//! somebody chose the identities, and a key decides only about cuts among its nearest neighbours.
//!
//! Chosen identities, sorted by their weights for instance, may have no peak for as long as one likes. So a **run**,
//! which is what lies between two peaks, or a peak and an end of the list, is cut further when it is longer than
//! [`LIMIT`]: deterministic coin tossing (Cole, Vishkin 1986, "Deterministic coin tossing with applications to optimal
//! parallel list ranking") turns the distinct identities into labels below 6, neighbours still distinct, each label
//! depending on the key and the four before it in its run. A chunk ends after each local maximum of the labels that
//! leaves at least [`MARGIN`] keys to both ends of the run. Maxima lie 2 to 10 keys apart. (Mehlhorn, Sundar, Uhrig
//! 1997, "Maintaining dynamic sequences under equality tests in polylogarithmic time", keep whole trees canonical with
//! this alone.)
//!
//! Hence how far a change reaches, with which `splice` saves itself the rest of the list: peaks move only within
//! [`AFTER`] keys before and [`BEFORE`] keys after the keys that changed, cuts of a run that was long and stays long
//! only within [`SETTLED`] keys on either side, and whether a run is long is known after `LIMIT` more.

use std::ops::Range;

use smallvec::SmallVec;

use crate::id::EntityId;

/// The longest list that is one chunk, whatever its keys: copying so many items is cheaper than cutting them.
pub(super) const FLAT: usize = 24;
/// How many keys before a peak are lighter.
pub(super) const BEFORE: usize = 3;
/// How many keys after a peak are lighter.
pub(super) const AFTER: usize = 4;
/// As many keys, or fewer, between two peaks or ends of the list have no peak among them.
pub(super) const WHOLE: usize = BEFORE + AFTER;
/// The longest run that stays one chunk.
pub(super) const LIMIT: usize = 32;
/// How many keys of a long run lie at least on either side of a cut.
const MARGIN: usize = 4;
// So the chunks beside a peak hold all that it is compared with.
const _: () = assert!(MARGIN > BEFORE && MARGIN >= AFTER);
/// How many keys beside a change may see the cuts of a long run move.
pub(super) const SETTLED: usize = AFTER + MARGIN;
/// How many keys beside a change, none of them a peak, prove that they lie in a run longer than `LIMIT`.
pub(super) const LONG: usize = LIMIT + AFTER + 1;

/// An identity at one level, ordered by its weight there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    weight: u64,
    id: EntityId,
}

impl Key {
    pub(super) fn new(level: u32, id: EntityId) -> Self {
        let bits = u128::from_be_bytes(*id.as_bytes());
        let salt = (u64::from(level) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { weight: scramble(scramble((bits >> 64) as u64 ^ salt) ^ bits as u64), id }
    }

    fn bits(&self) -> u128 {
        u128::from_be_bytes(*self.id.as_bytes())
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The first peak in this range of a list, of which `keys` holds all that lie near.
fn next_peak(keys: &[Key], mut range: Range<usize>) -> Option<usize> {
    range.start = range.start.max(BEFORE);
    range.end = range.end.min(keys.len().saturating_sub(AFTER));
    while range.start < range.end {
        let at = range.start;
        // What lies between this key and a heavier one near is lighter than that, which lies near it too.
        if let Some(heavier) = (at + 1..=at + AFTER).find(|after| keys[*after] > keys[at]) {
            range.start = heavier;
        } else if keys[at - BEFORE..at].iter().all(|before| *before < keys[at]) {
            return Some(at);
        } else {
            range.start = at + 1;
        }
    }
    None
}

/// Where chunks end, counted in keys.
pub(super) type Ends = SmallVec<[usize; 8]>;

/// The ends of the chunks that fill `region` of `keys`.
///
/// A chunk begins where the region does and one ends where it does. The first run of the region may begin earlier,
/// where `run` begins, and its last end later, where `run` ends; beyond the region there are no peaks in it.
pub(super) fn chunk_ends(keys: &[Key], region: Range<usize>, run: Range<usize>) -> Ends {
    let mut ends = Ends::new();
    let mut start = run.start;
    let mut rest = region.clone();
    while let Some(peak) = next_peak(keys, rest.clone()) {
        cut_run(keys, start..peak + 1, &region, &mut ends);
        ends.push(peak + 1);
        (start, rest.start) = (peak + 1, peak + 1);
    }
    if start < region.end {
        cut_run(keys, start..run.end, &region, &mut ends);
        if ends.last() != Some(&region.end) {
            debug_assert_eq!(region.end, run.end, "a region that ends within a run ends at a cut of it");
            ends.push(region.end);
        }
    }
    ends
}

/// Adds the ends of chunks within this run that lie in the region, if it is a long one.
fn cut_run(keys: &[Key], run: Range<usize>, region: &Range<usize>, ends: &mut Ends) {
    if run.len() <= LIMIT {
        return;
    }
    let labels = labels(&keys[run.clone()]);
    for at in MARGIN - 1..labels.len() - MARGIN {
        let end = run.start + at + 1;
        let is_cut = labels[at] > labels[at - 1] && labels[at] > labels[at + 1];
        if is_cut && end > region.start && end <= region.end {
            ends.push(end);
        }
    }
}

/// A label below 6 for each key of a run, different from that of its neighbours.
fn labels(run: &[Key]) -> Vec<u8> {
    // 128 bits leave 256 labels, these 16, these 8, and these 6.
    let first = |at: usize| toss(at.checked_sub(1).map(|left| run[left].bits()), run[at].bits());
    let mut labels: Vec<u8> = (0..run.len()).map(first).collect();
    for _ in 0..3 {
        for at in (0..labels.len()).rev() {
            let left = at.checked_sub(1).map(|left| labels[left].into());
            labels[at] = toss(left, labels[at].into());
        }
    }
    labels
}

/// The lowest bit in which this differs from its left neighbour, and which way. The first of a run behaves as if it
/// differed in the lowest of all, which keeps it different from the second.
fn toss(left: Option<u128>, own: u128) -> u8 {
    let bit = left.map_or(0, |left| (left ^ own).trailing_zeros());
    (2 * bit) as u8 + (own >> bit & 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: impl IntoIterator<Item = u128>) -> Vec<Key> {
        ids.into_iter().map(|id| Key::new(0, EntityId::from_bytes(id.to_be_bytes()))).collect()
    }

    fn lengths(keys: &[Key]) -> Vec<usize> {
        let ends = chunk_ends(keys, 0..keys.len(), 0..keys.len());
        let starts = std::iter::once(0).chain(ends.iter().copied());
        ends.iter().zip(starts).map(|(end, start)| end - start).collect()
    }

    #[test]
    fn the_rule_is_a_promise() {
        assert_eq!(lengths(&keys(0..64)), GOLDEN);
        let mut never_cut = keys(0..64);
        never_cut.sort();
        assert_eq!(lengths(&never_cut), GOLDEN_SORTED);
    }

    #[test]
    fn chunks_are_eight_long_on_average() {
        let keys = keys(0..100_000);
        let lengths = lengths(&keys);
        let mean = keys.len() as f64 / lengths.len() as f64;
        assert!((7.8..8.2).contains(&mean), "{mean}");
        assert!(lengths.iter().all(|length| (4..=LIMIT).contains(length)));
    }

    #[test]
    fn chosen_ids_still_give_chunks_of_bounded_length() {
        let mut rising = keys(0..20_000);
        rising.sort();
        let mut falling = rising.clone();
        falling.reverse();
        for keys in [rising, falling] {
            let lengths = lengths(&keys);
            assert!(lengths.iter().all(|length| (2..=16).contains(length)), "{lengths:?}");
        }
    }

    #[test]
    fn labels_of_neighbours_differ() {
        for run in [keys(0..5_000), keys((0..128).map(|bit| 1 << bit)), keys((0..4_000).map(|id| id << 100))] {
            let labels = labels(&run);
            assert!(labels.iter().all(|label| *label < 6));
            assert!(labels.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }

    const GOLDEN: &[usize] = &[7, 6, 9, 4, 6, 10, 6, 11, 5];
    const GOLDEN_SORTED: &[usize] = &[5, 2, 3, 3, 2, 3, 3, 2, 3, 3, 2, 2, 3, 4, 2, 2, 3, 2, 2, 2, 2, 2, 2, 5];
}
