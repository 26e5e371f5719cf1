//! What differs between two states of a sequence, at a cost that follows the difference.
//!
//! Both trees are unfolded from the top, level by level. A node that both hold, wherever it stands, is a block that did
//! not change and is not unfolded: since chunks are cut by content, an item that is gone from the front leaves the
//! chunks after it as they were. What remains in the end is the items of a few leaves.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::node::{Link, Part, Slot};
use super::{Item, Sequence};
use crate::digest::Digest;
use crate::order::fewest_moves;

/// One difference between two states of a sequence. Positions are those in the state that they are named after.
#[derive(Debug)]
pub(crate) enum Difference<'a, I> {
    /// The identity is in both, and the items are neither [the same](Item::is_same) nor known to have one digest.
    Touched {
        /// Its position and item before.
        before: (usize, &'a I),
        /// Its position and item after.
        after: (usize, &'a I),
    },
    /// The identity is only in the state before, at this position.
    Removed(usize, &'a I),
    /// The identity is only in the state after, at this position.
    Added(usize, &'a I),
    /// The identity is in both and stands elsewhere among those that are: of these, as few as explain the order.
    Reordered {
        /// Its position before.
        before: usize,
        /// Its position after.
        after: usize,
        /// The item after.
        item: &'a I,
    },
}

/// A place in one state.
type Placed<'a, P> = (usize, &'a P);

type PlacedSlots<'a, I> = Vec<Placed<'a, Slot<I>>>;

/// See [`Sequence::diff`].
pub(super) fn diff<'a, I: Item>(
    before: &'a Sequence<I>,
    after: &'a Sequence<I>,
    visit: &mut dyn FnMut(Difference<'a, I>),
) {
    if before.is_same(after) {
        return;
    }
    if before.height == after.height && diff_narrow(before, after, visit) {
        return;
    }
    let mut blocks = Blocks(Vec::new());
    let (old, new) = differing_slots(before, after, &mut blocks);
    let partners = partners(&old, &new, |old, new| old.1.item.id() == new.1.item.id(), |slot| [Some(slot.1.item.id())]);
    for (position, slot) in without(&old, &partners) {
        visit(Difference::Removed(position, &slot.item));
    }
    let mut told = Vec::new();
    for (&(after, slot), partner) in new.iter().zip(&partners) {
        let Some(partner) = *partner else {
            told.push((after, Difference::Added(after, &slot.item)));
            continue;
        };
        let (before, old_slot) = old[partner];
        blocks.add(before, after, 1);
        if !is_equal(&old_slot.item, &slot.item) {
            told.push((after, Difference::Touched { before: (before, &old_slot.item), after: (after, &slot.item) }));
        }
    }
    blocks.for_each_moved(|before, position| {
        let item = after.get(position).expect("a block lies within both states");
        told.push((position, Difference::Reordered { before, after: position, item }));
    });
    // Stable: an item that was touched and moved is told as touched first.
    told.sort_by_key(|&(position, _)| position);
    told.into_iter().for_each(|(_, difference)| visit(difference));
}

/// How many nodes a level may keep in the narrow search; more are left to the general one.
const NARROW: usize = 16;

/// Tells the difference if it lies in one place and is only items that came, or only items that went, or only items that
/// were touched, which most are; says no otherwise, and tells nothing. Nothing is hashed.
fn diff_narrow<'a, I: Item>(
    before: &'a Sequence<I>,
    after: &'a Sequence<I>,
    visit: &mut dyn FnMut(Difference<'a, I>),
) -> bool {
    let (Some(mut old), Some(mut new)) = (before.root.as_ref(), after.root.as_ref()) else { return false };
    let mut start = 0;
    for level in (1..before.height).rev() {
        let (all_old, all_new) = (Link::parts_of(&old.node), Link::parts_of(&new.node));
        let (begin, end) = common_ends(all_old, all_new, Link::is_same);
        start += all_old[..begin].iter().map(|link| link.len).sum::<usize>();
        match (&all_old[begin..all_old.len() - end], &all_new[begin..all_new.len() - end]) {
            ([old_rest], [new_rest]) => (old, new) = (old_rest, new_rest),
            (old_rest, new_rest) => {
                return diff_wide(level, start, old_rest.iter().collect(), new_rest.iter().collect(), visit);
            }
        }
    }
    diff_slots(start, Slot::parts_of(&old.node), Slot::parts_of(&new.node), |slot| slot, visit)
}

/// Goes on where several nodes of a level differ, of which there are so many levels.
fn diff_wide<'a, I: Item>(
    mut levels: u32,
    mut start: usize,
    mut old: Vec<&'a Link<I>>,
    mut new: Vec<&'a Link<I>>,
    visit: &mut dyn FnMut(Difference<'a, I>),
) -> bool {
    while old.len() <= NARROW && new.len() <= NARROW {
        if levels == 1 {
            let (old, new): (Vec<&'a Slot<I>>, Vec<&'a Slot<I>>) = (parts_below(&old), parts_below(&new));
            return diff_slots(start, &old, &new, |slot| *slot, visit);
        }
        (old, new, levels) = (parts_below(&old), parts_below(&new), levels - 1);
        let (begin, end) = common_ends(&old, &new, |old, new| old.is_same(new));
        start += old[..begin].iter().map(|link| link.len).sum::<usize>();
        old = old[begin..old.len() - end].into();
        new = new[begin..new.len() - end].into();
    }
    false
}

/// The parts of these nodes, in order.
fn parts_below<'a, I, P: Part<I>>(links: &[&'a Link<I>]) -> Vec<&'a P> {
    let mut parts = Vec::with_capacity(links.iter().map(|link| P::parts_of(&link.node).len()).sum());
    links.iter().for_each(|link| parts.extend(P::parts_of(&link.node)));
    parts
}

/// How many are the same from the beginning, and how many of the others from the end.
fn common_ends<'a, T>(old: &'a [T], new: &'a [T], same: impl Fn(&'a T, &'a T) -> bool) -> (usize, usize) {
    let begin = old.iter().zip(new).take_while(|(old, new)| same(old, new)).count();
    let (old, new) = (&old[begin..], &new[begin..]);
    (begin, old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| same(old, new)).count())
}

fn diff_slots<'s, 'a: 's, I: Item, S>(
    start: usize,
    old: &'s [S],
    new: &'s [S],
    slot: impl Fn(&'s S) -> &'a Slot<I>,
    visit: &mut dyn FnMut(Difference<'a, I>),
) -> bool {
    let item = |slots: &'s [S], place: usize| &slot(&slots[place]).item;
    let (begin, end) = common_ends(old, new, |old, new| slot(old).item.id() == slot(new).item.id());
    let (old_rest, new_rest) = (old.len() - end, new.len() - end);
    if begin < old_rest && begin < new_rest {
        return false;
    }
    for place in begin..old_rest {
        visit(Difference::Removed(start + place, item(old, place)));
    }
    let paired = |before: usize, after: usize, visit: &mut dyn FnMut(Difference<'a, I>)| {
        let (old, new) = (item(old, before), item(new, after));
        if !is_equal(old, new) {
            visit(Difference::Touched { before: (start + before, old), after: (start + after, new) });
        }
    };
    (0..begin).for_each(|place| paired(place, place, visit));
    for place in begin..new_rest {
        visit(Difference::Added(start + place, item(new, place)));
    }
    (0..end).for_each(|offset| paired(old_rest + offset, new_rest + offset, visit));
    true
}

fn is_equal<I: Item>(before: &I, after: &I) -> bool {
    before.is_same(after) || before.known_digest().is_some_and(|digest| after.known_digest() == Some(digest))
}

/// The slots of the leaves that only one state holds; what both hold becomes blocks.
fn differing_slots<'a, I: Item>(
    before: &'a Sequence<I>,
    after: &'a Sequence<I>,
    blocks: &mut Blocks,
) -> (PlacedSlots<'a, I>, PlacedSlots<'a, I>) {
    let place_root = |root: &'a Option<Link<I>>| root.iter().map(|root| (0, root)).collect::<Vec<_>>();
    let (mut old, mut new) = (place_root(&before.root), place_root(&after.root));
    let mut level = before.height.max(after.height);
    loop {
        if before.height >= level && after.height >= level {
            set_aside_common(&mut old, &mut new, blocks);
        }
        if level <= 1 {
            return (unfold(&old), unfold(&new));
        }
        if before.height >= level {
            old = unfold(&old);
        }
        if after.height >= level {
            new = unfold(&new);
        }
        level -= 1;
    }
}

/// Takes out of both lists, which are of one level, the nodes that both hold.
fn set_aside_common<'a, I: Item>(
    old: &mut Vec<Placed<'a, Link<I>>>,
    new: &mut Vec<Placed<'a, Link<I>>>,
    blocks: &mut Blocks,
) {
    let keys = |link: &Placed<'a, Link<I>>| {
        [Some(Content::Pointer(Arc::as_ptr(&link.1.node).addr())), link.1.known_digest().map(Content::Digest)]
    };
    let partners = partners(old, new, |old, new| old.1.is_same(new.1), keys);
    for (&(after, link), partner) in new.iter().zip(&partners) {
        if let Some(partner) = *partner {
            blocks.add(old[partner].0, after, link.len);
        }
    }
    *old = without(old, &partners);
    let mut partners = partners.iter();
    new.retain(|_| partners.next().is_some_and(Option::is_none));
}

/// How to recognise a node.
#[derive(PartialEq, Eq, Hash)]
enum Content {
    Pointer(usize),
    Digest(Digest),
}

/// The parts of these nodes.
fn unfold<'a, I, P: Part<I>>(nodes: &[Placed<'a, Link<I>>]) -> Vec<Placed<'a, P>> {
    let mut placed = Vec::with_capacity(nodes.len() * 8);
    for &(start, link) in nodes {
        let mut position = start;
        for part in P::parts_of(&link.node) {
            placed.push((position, part));
            position += part.len();
        }
    }
    placed
}

/// For each of `new` the index of the same in `old`, where everything is the same as at most one.
fn partners<T, K: Hash + Eq, const N: usize>(
    old: &[T],
    new: &[T],
    is_same: impl Fn(&T, &T) -> bool,
    keys: impl Fn(&T) -> [Option<K>; N],
) -> Vec<Option<usize>> {
    // Compared from both ends before anything is hashed: most differences are in one place.
    let begin = old.iter().zip(new).take_while(|(old, new)| is_same(old, new)).count();
    let (old_rest, new_rest) = (&old[begin..], &new[begin..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| is_same(old, new)).count();
    let old_middle = &old_rest[..old_rest.len() - end];
    let new_middle = &new_rest[..new_rest.len() - end];

    let mut partners: Vec<Option<usize>> = (0..begin).map(Some).collect();
    if old_middle.is_empty() || new_middle.is_empty() || (old_middle.len() == 1 && new_middle.len() == 1) {
        partners.resize(begin + new_middle.len(), None);
    } else {
        let mut places = HashMap::with_capacity_and_hasher(old_middle.len(), ahash::RandomState::new());
        for (place, old) in (begin..).zip(old_middle) {
            places.extend(keys(old).into_iter().flatten().map(|key| (key, place)));
        }
        let find = |new: &T| keys(new).into_iter().flatten().find_map(|key| places.get(&key).copied());
        partners.extend(new_middle.iter().map(find));
    }
    partners.extend((old.len() - end..old.len()).map(Some));
    partners
}

/// Those of `old` that are nobody's partner.
fn without<T: Copy>(old: &[T], partners: &[Option<usize>]) -> Vec<T> {
    let mut is_single = vec![true; old.len()];
    partners.iter().flatten().for_each(|&partner| is_single[partner] = false);
    old.iter().zip(is_single).filter(|(_, is_single)| *is_single).map(|(old, _)| *old).collect()
}

/// What both states hold, in runs of items that follow one another in both.
struct Blocks(Vec<Block>);

struct Block {
    before: usize,
    after: usize,
    len: usize,
}

impl Blocks {
    fn add(&mut self, before: usize, after: usize, len: usize) {
        match self.0.last_mut() {
            Some(last) if last.before + last.len == before && last.after + last.len == after => last.len += len,
            _ => self.0.push(Block { before, after, len }),
        }
    }

    /// Gives the positions, before and after, of the fewest items that explain the order of all.
    fn for_each_moved(mut self, mut visit: impl FnMut(usize, usize)) {
        self.0.sort_unstable_by_key(|block| block.after);
        let weighed: Vec<(usize, usize)> = self.0.iter().map(|block| (block.before, block.len)).collect();
        for (block, stays) in self.0.iter().zip(fewest_moves(&weighed)) {
            if !stays {
                (0..block.len).for_each(|offset| visit(block.before + offset, block.after + offset));
            }
        }
    }
}
