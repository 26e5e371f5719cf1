//! Which items of a reordered list have moved: as few as can be.

/// For each block whether it stays, the others having moved: those that stay keep their order and weigh the most.
///
/// Each block is its position before and its weight (how many items it stands for), and they come in their order
/// after. The answer is a maximum-weight increasing subsequence of the positions, found in O(k log k) with a Fenwick
/// tree of prefix maxima (Fenwick 1994, "A new data structure for cumulative frequency tables").
pub(crate) fn fewest_moves(blocks: &[(usize, usize)]) -> Vec<bool> {
    if blocks.is_sorted_by(|left, right| left.0 < right.0) {
        return vec![true; blocks.len()];
    }
    let mut positions: Vec<usize> = blocks.iter().map(|&(before, _)| before).collect();
    positions.sort_unstable();
    positions.dedup();
    let mut heaviest = Heaviest { tree: vec![NOTHING; positions.len() + 1] };
    let mut previous = Vec::with_capacity(blocks.len());
    for (index, &(before, weight)) in blocks.iter().enumerate() {
        let rank = positions.partition_point(|&position| position < before);
        let (below, end) = heaviest.below(rank);
        previous.push(end);
        heaviest.raise(rank, (below + weight, Some(index)));
    }
    let mut stays = vec![false; blocks.len()];
    let mut end = heaviest.below(positions.len()).1;
    while let Some(index) = end {
        stays[index] = true;
        end = previous[index];
    }
    stays
}

/// The weight of an increasing subsequence and the block that ends it.
type Chain = (usize, Option<usize>);

const NOTHING: Chain = (0, None);

/// The heaviest chain that ends at each rank, as a Fenwick tree: slot `i` holds the maximum of the ranks that it
/// covers.
struct Heaviest {
    tree: Vec<Chain>,
}

impl Heaviest {
    /// The heaviest chain that ends at a rank less than this.
    fn below(&self, mut rank: usize) -> Chain {
        let mut best = NOTHING;
        while rank > 0 {
            if self.tree[rank].0 > best.0 {
                best = self.tree[rank];
            }
            rank &= rank - 1;
        }
        best
    }

    fn raise(&mut self, rank: usize, chain: Chain) {
        let mut slot = rank + 1;
        while slot < self.tree.len() {
            if chain.0 > self.tree[slot].0 {
                self.tree[slot] = chain;
            }
            slot += slot & slot.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fewest_moves;

    #[test]
    fn what_moved_is_the_least_that_explains_the_order() {
        let check = |blocks: &[(usize, usize)], expected: &[bool]| assert_eq!(fewest_moves(blocks), expected);
        check(&[], &[]);
        check(&[(3, 1)], &[true]);
        check(&[(0, 1), (1, 5), (7, 1)], &[true, true, true]);
        check(&[(2, 1), (0, 1), (1, 1)], &[false, true, true]);
        check(&[(2, 3), (0, 1), (1, 1)], &[true, false, false]);
        check(&[(9, 1), (0, 100), (100, 50), (4, 1)], &[false, true, true, false]);
    }

    proptest! {
        #[test]
        fn no_choice_is_heavier(
            blocks in proptest::collection::vec((0..40_usize, 1..9_usize), 0..12)
        ) {
            let weigh = |keeps: &dyn Fn(usize) -> bool| {
                let kept: Vec<_> = (0..blocks.len()).filter(|&index| keeps(index)).map(|index| blocks[index]).collect();
                let rises = kept.is_sorted_by(|left, right| left.0 < right.0);
                rises.then(|| kept.iter().map(|block| block.1).sum::<usize>())
            };
            let stays = fewest_moves(&blocks);
            let best = (0..1_usize << blocks.len()).filter_map(|mask| weigh(&|index| mask >> index & 1 == 1)).max();
            prop_assert_eq!(weigh(&|index| stays[index]), best);
        }
    }
}
