//! Insertion and removal: a few chunks around a change are cut anew, level by level, until nothing above need know.

use std::iter;
use std::mem;
use std::ops::Range;

use smallvec::SmallVec;

use super::chunk::{self, Ends, Key};
use super::node::{Link, Part, Slot};
use super::{Item, Sequence};

/// The tree of all these items, and its height.
pub(super) fn build<I: Item>(slots: Vec<Slot<I>>) -> (Option<Link<I>>, u32) {
    match slots.len() {
        0 => (None, 0),
        1..=chunk::FLAT => (Some(Link::new(slots)), 1),
        _ => grow(1, cut_all(0, slots)),
    }
}

/// The tree of all these nodes of one level, and its height.
fn grow<I: Item>(mut level: u32, mut links: Vec<Link<I>>) -> (Option<Link<I>>, u32) {
    while links.len() > 1 {
        links = cut_all(level, links);
        level += 1;
    }
    let Some(mut root) = links.pop() else { return (None, 0) };
    // What a removal leaves may stand alone in its level, and then is the root itself.
    while let Some(only) = root.only_child() {
        root = only.clone();
        level -= 1;
    }
    (Some(root), level)
}

/// The chunks of a whole level.
fn cut_all<I: Item, P: Part<I>>(level: u32, parts: Vec<P>) -> Vec<Link<I>> {
    let keys: Vec<Key> = parts.iter().map(|part| Key::new(level, part.id())).collect();
    let mut parts = parts.into_iter();
    let mut start = 0;
    let ends = chunk::chunk_ends(&keys, 0..keys.len(), 0..keys.len()).into_iter();
    let links = ends.map(|end| {
        let chunk = parts.by_ref().take(end - start).collect();
        start = end;
        Link::new(chunk)
    });
    links.collect()
}

impl<I: Item> Sequence<I> {
    /// Puts `fresh` in the place of `removed` items from this position on. One of both at least is not nothing.
    pub(super) fn splice(&mut self, position: usize, removed: usize, fresh: Option<Slot<I>>) {
        let (before, after) = (self.len(), self.len() - removed + usize::from(fresh.is_some()));
        if before <= chunk::FLAT || after <= chunk::FLAT {
            let mut slots = Vec::with_capacity(after);
            if let Some(root) = &self.root {
                root.collect_slots(0..position, &mut slots);
                slots.extend(fresh);
                root.collect_slots(position + removed..before, &mut slots);
            } else {
                slots.extend(fresh);
            }
            (self.root, self.height) = build(slots);
            return;
        }
        let root = self.root.as_mut().expect("more than a few items stand in a tree");
        let mut change = Change { old: position..position + removed, fresh: fresh.into_iter().collect() }
            .cut(&Level::of(root, self.height, 0));
        for level in 1..self.height {
            let levels = self.height - level;
            if change.keeps_shape_of(root.descend(levels, change.old.start.min(root.len - 1))) {
                let link = change.fresh.pop().expect("a change that keeps the shape has one part");
                root.replace(levels, change.old.start, link);
                return;
            }
            change = change.cut(&Level::of(root, self.height, level));
        }
        // The root is the one node of its level: it was replaced, or nodes join it on one side.
        let mut links = change.fresh.into_vec();
        if change.old.start > 0 {
            links.insert(0, root.clone());
        } else if change.old.end < root.len {
            links.push(root.clone());
        }
        (self.root, self.height) = grow(self.height, links);
    }
}

/// The parts of one level as they were before the change: those of the nodes that are so many levels below the root.
struct Level<'a, I> {
    root: &'a Link<I>,
    depth: u32,
    number: u32,
}

/// A chunk of a level, and the items of the list that lie in it.
struct Chunk<'a, P> {
    parts: &'a [P],
    items: Range<usize>,
}

/// Where what is looked at on one side of a change ends.
struct Edge {
    /// The item at which the chunks that are cut anew end.
    region: usize,
    /// The same, or further away the item up to which the run is known that goes on there.
    run: usize,
}

impl<'a, I: Item> Level<'a, I> {
    fn of(root: &'a Link<I>, height: u32, number: u32) -> Self {
        Self { root, depth: height - number - 1, number }
    }

    fn key<P: Part<I>>(&self, part: &P) -> Key {
        Key::new(self.number, part.id())
    }

    /// The chunk that holds this item.
    fn chunk_at<P: Part<I>>(&self, item: usize) -> Chunk<'a, P> {
        let (start, node) = self.root.descend(self.depth, item);
        Chunk { parts: P::parts_of(&node.node), items: start..start + node.len }
    }

    /// The chunks that begin before this item, from the nearest on.
    fn chunks_before<P: Part<I> + 'a>(&self, item: usize) -> impl Iterator<Item = Chunk<'a, P>> {
        let mut edge = item;
        iter::from_fn(move || {
            let chunk = self.chunk_at(edge.checked_sub(1)?);
            edge = chunk.items.start;
            Some(chunk)
        })
    }

    /// The chunks that end after this item, from the nearest on.
    fn chunks_after<P: Part<I> + 'a>(&self, item: usize) -> impl Iterator<Item = Chunk<'a, P>> {
        let mut edge = item;
        iter::from_fn(move || {
            let chunk = (edge < self.root.len).then(|| self.chunk_at(edge))?;
            edge = chunk.items.end;
            Some(chunk)
        })
    }

    /// Whether a chunk ends before this item, which one does, with a peak.
    fn is_peak_before<P: Part<I>>(&self, item: usize) -> bool {
        let (left, right) = (self.chunk_at::<P>(item - 1).parts, self.chunk_at::<P>(item).parts);
        // No chunk beside a peak is too short to hold all that the peak is compared with.
        let (Some(left), Some(right)) = (left.last_chunk::<{ chunk::BEFORE + 1 }>(), right.first_chunk()) else {
            return false;
        };
        let [before @ .., peak] = left;
        let after: &[P; chunk::AFTER] = right;
        let peak = self.key(peak);
        after.iter().chain(before).all(|part| self.key(part) < peak)
    }

    /// Where to end before a change that begins at this item.
    fn edge_before<P: Part<I>>(&self, item: usize) -> Edge {
        let chunks = self.chunks_before::<P>(item);
        let steps = chunks.map(|chunk| (P::before(chunk.parts, item - chunk.items.start), chunk.items.start));
        self.edge::<P>(item, 0, chunk::AFTER, steps)
    }

    /// Where to end after a change that ends at this item.
    fn edge_after<P: Part<I>>(&self, item: usize) -> Edge {
        let chunks = self.chunks_after::<P>(item);
        let steps = chunks.map(|chunk| {
            let skipped = P::before(chunk.parts, item.saturating_sub(chunk.items.start));
            (chunk.parts.len() - skipped, chunk.items.end)
        });
        self.edge::<P>(item, self.root.len, chunk::BEFORE + 1, steps)
    }

    /// Where to end, going from this item to the last chunk by chunk; each gives its number of keys and its far end.
    ///
    /// That is at the end of the list, or at a peak that so many keys keep from the change. What lies between two such
    /// ends is cut as if it were a list of its own: a peak is heavier than all that might become one beside it.
    fn edge<P: Part<I>>(
        &self,
        from: usize,
        last: usize,
        firm: usize,
        mut steps: impl Iterator<Item = (usize, usize)>,
    ) -> Edge {
        let (mut edge, mut held, mut settled) = (from, 0, None);
        while edge != last && (held < firm || !self.is_peak_before::<P>(edge)) {
            if held >= chunk::LONG {
                // A run known to be long: the nearest of its cuts that cannot move will do.
                return Edge { region: settled.unwrap_or(edge), run: edge };
            }
            let (keys, end) = steps.next().expect("the last chunk ends with the list");
            (held, edge) = (held + keys, end);
            if held >= chunk::SETTLED {
                settled.get_or_insert(edge);
            }
        }
        Edge { region: edge, run: edge }
    }

    /// Adds the parts of these items, which begin and end with a part, chunk by chunk.
    fn collect<P: Part<I>>(&self, items: Range<usize>, into: &mut Pieces<'a, P>) {
        let mut begin = items.start;
        while begin < items.end {
            let chunk = self.chunk_at::<P>(begin);
            let first = P::before(chunk.parts, begin - chunk.items.start);
            let end = P::before(chunk.parts, items.end - chunk.items.start);
            into.add(&chunk.parts[first..end]);
            begin = chunk.items.end;
        }
    }
}

/// The parts that a level has around a change after it. Places count them.
struct Pieces<'a, P> {
    slices: SmallVec<[&'a [P]; 8]>,
    len: usize,
}

impl<'a, P: Clone> Pieces<'a, P> {
    fn add(&mut self, slice: &'a [P]) {
        self.slices.push(slice);
        self.len += slice.len();
    }

    fn copy(&self, range: Range<usize>) -> Vec<P> {
        let mut copy = Vec::with_capacity(range.len());
        let mut start = 0;
        for slice in &self.slices {
            let place = |place: usize| place.saturating_sub(start).min(slice.len());
            copy.extend_from_slice(&slice[place(range.start)..place(range.end)]);
            start += slice.len();
        }
        copy
    }
}

/// At one level, parts that take the place of those that held a range of the items before.
struct Change<P> {
    old: Range<usize>,
    fresh: SmallVec<[P; 2]>,
}

impl<I: Item> Change<Link<I>> {
    /// Whether only this node is replaced, by one that no cut can tell from it.
    fn keeps_shape_of(&self, (start, node): (usize, &Link<I>)) -> bool {
        self.old == (start..start + node.len) && self.fresh.len() == 1 && self.fresh[0].last == node.last
    }
}

impl<P> Change<P> {
    /// The change that this one means one level above.
    fn cut<I: Item>(&self, level: &Level<'_, I>) -> Change<Link<I>>
    where
        P: Part<I>,
    {
        let before = level.edge_before::<P>(self.old.start);
        let after = level.edge_after::<P>(self.old.end);
        let mut pieces = Pieces { slices: SmallVec::new(), len: 0 };
        level.collect(before.run..before.region, &mut pieces);
        let start = pieces.len;
        level.collect(before.region..self.old.start, &mut pieces);
        pieces.add(&self.fresh);
        level.collect(self.old.end..after.region, &mut pieces);
        let end = pieces.len;
        level.collect(after.region..after.run, &mut pieces);
        let ends = if pieces.len <= chunk::WHOLE {
            Ends::from_iter((start < end).then_some(end))
        } else {
            let mut keys = Vec::with_capacity(pieces.len);
            pieces.slices.iter().for_each(|slice| keys.extend(slice.iter().map(|part| level.key(part))));
            chunk::chunk_ends(&keys, start..end, 0..keys.len())
        };

        // What came out as it was needs no change above: as many parts in the same place, none of them fresh.
        let mut old = before.region..after.region;
        let (mut start, mut ends) = (start, &ends[..]);
        while let [end, rest @ ..] = ends
            && old.start < self.old.start
            && let chunk = level.chunk_at::<P>(old.start)
            && chunk.items.end <= self.old.start
            && chunk.parts.len() == end - start
        {
            (old.start, start, ends) = (chunk.items.end, *end, rest);
        }
        while let [rest @ .., end] = ends
            && old.end > self.old.end
            && let chunk = level.chunk_at::<P>(old.end - 1)
            && chunk.items.start >= self.old.end
            && chunk.parts.len() == end - rest.last().unwrap_or(&start)
        {
            (old.end, ends) = (chunk.items.start, rest);
        }
        let fresh = ends.iter().map(|&end| Link::new(pieces.copy(mem::replace(&mut start, end)..end)));
        Change { old, fresh: fresh.collect() }
    }
}
