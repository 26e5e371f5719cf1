//! Insertion and removal: a few chunks around a change are cut anew, level by level, until nothing above need know.

use std::mem;
use std::ops::Range;

use smallvec::SmallVec;

use super::chunk::{self, Key};
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
        let fresh = Vec::from_iter(fresh);
        let root = self.root.as_mut().expect("more than a few items stand in a tree");
        let mut change = Change { old: position..position + removed, fresh }.cut(&Level::of(root, self.height, 0));
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
        let mut links = change.fresh;
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
    level: u32,
}

impl<'a, I: Item> Level<'a, I> {
    fn of(root: &'a Link<I>, height: u32, level: u32) -> Self {
        Self { root, depth: height - level - 1, level }
    }

    /// The chunk that holds this item, and at which item it begins.
    fn chunk_at(&self, position: usize) -> (usize, &'a Link<I>) {
        self.root.descend(self.depth, position)
    }
}

/// At one level, parts that take the place of those that held a range of the items before.
struct Change<P> {
    old: Range<usize>,
    fresh: Vec<P>,
}

impl<I: Item> Change<Link<I>> {
    /// Whether only this node is replaced, by one that no cut can tell from it.
    fn keeps_shape_of(&self, (start, node): (usize, &Link<I>)) -> bool {
        self.old == (start..start + node.len) && self.fresh.len() == 1 && self.fresh[0].last == node.last
    }
}

impl<P> Change<P> {
    /// The change that this one means one level above.
    fn cut<I: Item>(self, level: &Level<'_, I>) -> Change<Link<I>>
    where
        P: Part<I>,
    {
        let before = Side::before(level, self.old.start);
        let after = Side::after(level, self.old.end);
        let mut old = before.edge..after.edge;
        let window = Window { before, fresh: self.fresh, after };
        let chunks = window.chunks(level.level);
        // What came out as it was needs no change above.
        let mut chunks = &chunks[..];
        while let [chunk, rest @ ..] = chunks
            && let Some(link) = window.kept_before(chunk)
        {
            old.start += link.len;
            chunks = rest;
        }
        while let [rest @ .., chunk] = chunks
            && let Some(link) = window.kept_after(chunk)
        {
            old.end -= link.len;
            chunks = rest;
        }
        Change { old, fresh: chunks.iter().map(|chunk| window.link(chunk)).collect() }
    }
}

/// The neighbourhood of a change. Places in it count its parts from the first on.
struct Window<'a, I, P> {
    before: Side<'a, I, P>,
    fresh: Vec<P>,
    after: Side<'a, I, P>,
}

impl<'a, I: Item, P: Part<I>> Window<'a, I, P> {
    /// The place of the first fresh part.
    fn first(&self) -> usize {
        self.before.parts.len()
    }

    /// The place after the last fresh part.
    fn rest(&self) -> usize {
        self.first() + self.fresh.len()
    }

    /// The chunks of the region, cut anew.
    fn chunks(&self, level: u32) -> Vec<Range<usize>> {
        let fresh = self.fresh.iter().map(|part| Key::new(level, part.id()));
        let mut keys = Vec::with_capacity(self.rest() + self.after.keys.len());
        keys.extend(self.before.keys.iter().rev());
        keys.extend(fresh);
        keys.extend_from_slice(&self.after.keys);
        let region = self.first() - self.before.region..self.rest() + self.after.region;
        let run = self.first() - self.before.run..self.rest() + self.after.run;
        let mut start = region.start;
        chunk::chunk_ends(&keys, region, run).into_iter().map(|end| mem::replace(&mut start, end)..end).collect()
    }

    /// The old node of this chunk, if it is one that lies before the change.
    fn kept_before(&self, chunk: &Range<usize>) -> Option<&'a Link<I>> {
        let first = self.first();
        (chunk.end <= first).then(|| self.before.kept(first - chunk.end..first - chunk.start))?
    }

    /// The old node of this chunk, if it is one that lies after the change.
    fn kept_after(&self, chunk: &Range<usize>) -> Option<&'a Link<I>> {
        let rest = self.rest();
        (chunk.start >= rest).then(|| self.after.kept(chunk.start - rest..chunk.end - rest))?
    }

    fn link(&self, chunk: &Range<usize>) -> Link<I> {
        match self.kept_before(chunk).or_else(|| self.kept_after(chunk)) {
            Some(link) => link.clone(),
            None => Link::new(chunk.clone().map(|place| self.part(place).clone()).collect()),
        }
    }

    fn part(&self, place: usize) -> &P {
        match place {
            place if place < self.first() => self.before.parts[self.first() - 1 - place],
            place if place < self.rest() => &self.fresh[place - self.first()],
            place => self.after.parts[place - self.rest()],
        }
    }
}

/// What lies on one side of a change, as far as its cuts may move or tell something; counted away from the change.
struct Side<'a, I, P> {
    keys: SmallVec<[Key; 24]>,
    parts: SmallVec<[&'a P; 24]>,
    chunks: SmallVec<[OldChunk<'a, I>; 4]>,
    /// How many keys belong to the chunks that are cut anew.
    region: usize,
    /// How many keys belong to those, or to the run that the last of them lies in.
    run: usize,
    /// The item at which the region ends.
    edge: usize,
}

/// A chunk, or what the change left of it.
struct OldChunk<'a, I> {
    /// Its node, if it is whole.
    node: Option<&'a Link<I>>,
    /// How many keys there are up to its end, counted away from the change.
    end: usize,
    /// The item at that end.
    edge: usize,
}

impl<'a, I: Item, P: Part<I>> Side<'a, I, P> {
    fn new(edge: usize) -> Self {
        Self { keys: SmallVec::new(), parts: SmallVec::new(), chunks: SmallVec::new(), region: 0, run: 0, edge }
    }

    /// What lies before this item.
    fn before(level: &Level<'a, I>, item: usize) -> Self {
        let mut side = Self::new(item);
        loop {
            let held = side.keys.len();
            if side.edge == 0 {
                return side.ending_with(held, 0);
            }
            if held >= chunk::LONG {
                return side.ending_within_run(held);
            }
            let (start, link) = level.chunk_at(side.edge - 1);
            let parts = P::parts_of(&link.node);
            let count = parts_before(parts, side.edge - start);
            side.hold(level.level, parts[..count].iter().rev());
            // The chunk is a neighbour only if it ends where no peak can have come or gone.
            if held >= chunk::AFTER && side.is_peak_before(held) {
                let edge = side.edge;
                return side.ending_with(held, edge);
            }
            side.close((count == parts.len()).then_some(link), start);
        }
    }

    /// What lies from this item on.
    fn after(level: &Level<'a, I>, item: usize) -> Self {
        let mut side = Self::new(item);
        let mut index = 0;
        loop {
            while side.edge < level.root.len
                && side.chunks.get(index).is_none_or(|c| side.keys.len() < c.end + chunk::AFTER)
            {
                let (start, link) = level.chunk_at(side.edge);
                let parts = P::parts_of(&link.node);
                let skipped = parts_before(parts, side.edge - start);
                side.hold(level.level, parts[skipped..].iter());
                side.close((skipped == 0).then_some(link), start + link.len);
            }
            let held = side.keys.len();
            let Some(chunk) = side.chunks.get(index) else {
                return side.ending_with(held, level.root.len);
            };
            let (end, edge) = (chunk.end, chunk.edge);
            if edge == level.root.len || (end > chunk::BEFORE && chunk::is_peak(&side.keys, end - 1)) {
                return side.ending_with(end, edge);
            }
            if end >= chunk::LONG {
                return side.ending_within_run(end);
            }
            index += 1;
        }
    }

    fn hold(&mut self, level: u32, parts: impl Iterator<Item = &'a P> + Clone) {
        self.keys.extend(parts.clone().map(|part| Key::new(level, part.id())));
        self.parts.extend(parts);
    }

    fn close(&mut self, node: Option<&'a Link<I>>, edge: usize) {
        self.chunks.push(OldChunk { node, end: self.keys.len(), edge });
        self.edge = edge;
    }

    /// Whether a chunk before the change ends with a peak, being the last that is held, from this key on.
    fn is_peak_before(&self, held: usize) -> bool {
        let around = self.keys.get(held - chunk::AFTER..=held + chunk::BEFORE);
        let mut around: SmallVec<[Key; chunk::BEFORE + chunk::AFTER + 1]> = around.unwrap_or_default().into();
        around.reverse();
        chunk::is_peak(&around, chunk::BEFORE)
    }

    /// The region ends where a run does.
    fn ending_with(mut self, keys: usize, edge: usize) -> Self {
        (self.region, self.run, self.edge) = (keys, keys, edge);
        self
    }

    /// The region ends within a run known to be long, at the nearest cut that cannot move.
    fn ending_within_run(mut self, run: usize) -> Self {
        let settled = self.chunks.iter().find(|chunk| chunk.end >= chunk::SETTLED);
        let settled = settled.expect("a long run has many chunks");
        (self.region, self.run, self.edge) = (settled.end, run, settled.edge);
        self
    }

    /// The node of the chunk of these keys, if that is an old one.
    fn kept(&self, keys: Range<usize>) -> Option<&'a Link<I>> {
        let index = self.chunks.iter().position(|chunk| chunk.end == keys.end)?;
        let start = index.checked_sub(1).map_or(0, |before| self.chunks[before].end);
        self.chunks[index].node.filter(|_| start == keys.start)
    }
}

/// How many of these parts, which begin at item 0, lie before this item.
fn parts_before<I, P: Part<I>>(parts: &[P], item: usize) -> usize {
    let ends = parts.iter().scan(0, |end, part| {
        *end += part.len();
        Some(*end)
    });
    ends.take_while(|end| *end <= item).count()
}
