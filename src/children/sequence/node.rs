//! The nodes of a sequence's tree, and the walks down to a place in it.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::Item;
use crate::digest::{Digest, Digester};
use crate::id::EntityId;

/// What the digest of a leaf begins with.
const LEAF: u8 = b'l';
/// What the digest of an inner node begins with.
const INNER: u8 = b'n';

/// An item and its order label: labels rise along the sequence, so that a label tells a place. They are bookkeeping of
/// one process and enter neither the shape nor the digest.
#[derive(Clone)]
pub(super) struct Slot<I> {
    pub(super) label: u64,
    pub(super) item: I,
}

/// The way down to a node, with what one must know to pass it by.
#[derive(Clone)]
pub(super) struct Link<I> {
    pub(super) node: Arc<Node<I>>,
    /// How many items are below.
    pub(super) len: usize,
    /// The identity of the last of them.
    pub(super) last: EntityId,
    /// The label of the last of them.
    pub(super) label: u64,
}

/// One chunk: of items, or of nodes that are all of the level below.
#[derive(Clone)]
pub(super) struct Node<I> {
    pub(super) parts: Parts<I>,
    /// Forgotten by everyone who takes `parts` mutably, except to write labels.
    digest: OnceLock<Digest>,
}

#[derive(Clone)]
pub(super) enum Parts<I> {
    Items(Box<[Slot<I>]>),
    Links(Box<[Link<I>]>),
}

/// What a chunk consists of: slots in a leaf, links above.
pub(super) trait Part<I>: Clone {
    fn id(&self) -> EntityId;
    fn len(&self) -> usize;
    fn label(&self) -> u64;

    /// How many of these parts, which begin at item 0, end at or before this item.
    fn before(parts: &[Self], item: usize) -> usize {
        let ends = parts.iter().scan(0, |end, part| {
            *end += part.len();
            Some(*end)
        });
        ends.take_while(|end| *end <= item).count()
    }

    fn parts_of(node: &Node<I>) -> &[Self];
    fn into_parts(parts: Vec<Self>) -> Parts<I>;
}

impl<I: Item> Part<I> for Slot<I> {
    fn id(&self) -> EntityId {
        self.item.id()
    }

    fn len(&self) -> usize {
        1
    }

    fn label(&self) -> u64 {
        self.label
    }

    fn before(parts: &[Self], item: usize) -> usize {
        parts.len().min(item)
    }

    fn parts_of(node: &Node<I>) -> &[Self] {
        match &node.parts {
            Parts::Items(slots) => slots,
            Parts::Links(_) => unreachable!("nodes of the first level hold items"),
        }
    }

    fn into_parts(parts: Vec<Self>) -> Parts<I> {
        Parts::Items(parts.into_boxed_slice())
    }
}

impl<I: Item> Part<I> for Link<I> {
    fn id(&self) -> EntityId {
        self.last
    }

    fn len(&self) -> usize {
        self.len
    }

    fn label(&self) -> u64 {
        self.label
    }

    fn parts_of(node: &Node<I>) -> &[Self] {
        match &node.parts {
            Parts::Links(links) => links,
            Parts::Items(_) => unreachable!("nodes above the first level hold links"),
        }
    }

    fn into_parts(parts: Vec<Self>) -> Parts<I> {
        Parts::Links(parts.into_boxed_slice())
    }
}

impl<I: Item> Link<I> {
    /// A new node of these parts, of which there is at least one.
    pub(super) fn new<P: Part<I>>(parts: Vec<P>) -> Self {
        let (last, label) = (last_of(&parts).id(), last_of(&parts).label());
        let len = parts.iter().map(P::len).sum();
        Self { node: Arc::new(Node { parts: P::into_parts(parts), digest: OnceLock::new() }), len, last, label }
    }

    /// Whether both are known to lead to the same content.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.node, &other.node) {
            return true;
        }
        self.known_digest().is_some_and(|digest| other.known_digest() == Some(digest))
    }

    pub(super) fn known_digest(&self) -> Option<Digest> {
        self.node.digest.get().copied()
    }

    /// The digest of the node, from here on known to it and to all below.
    pub(super) fn digest(&self) -> Digest {
        *self.node.digest.get_or_init(|| {
            let mut digester = Digester::new();
            match &self.node.parts {
                Parts::Items(slots) => write_leaf(&mut digester, slots),
                Parts::Links(links) => {
                    digester.tag(INNER);
                    digester.number(links.len() as u64);
                    links.iter().for_each(|link| digester.digest(link.digest()));
                }
            }
            digester.finish()
        })
    }

    /// See `Sequence::for_each_unknown_digest`.
    pub(super) fn for_each_unknown_digest<'a>(&'a self, visit: &mut dyn FnMut(&'a I)) {
        if self.known_digest().is_some() {
            return;
        }
        match &self.node.parts {
            Parts::Items(slots) => {
                slots.iter().filter(|slot| slot.item.known_digest().is_none()).for_each(|slot| visit(&slot.item));
            }
            Parts::Links(links) => links.iter().for_each(|link| link.for_each_unknown_digest(visit)),
        }
    }

    /// Adds the slots of this range below, in order.
    pub(super) fn collect_slots(&self, range: Range<usize>, into: &mut Vec<Slot<I>>) {
        match &self.node.parts {
            Parts::Items(slots) => into.extend_from_slice(&slots[range]),
            Parts::Links(links) => {
                let mut start = 0;
                for link in links {
                    let (from, to) = (range.start.max(start), range.end.min(start + link.len));
                    if from < to {
                        link.collect_slots(from - start..to - start, into);
                    }
                    start += link.len;
                }
            }
        }
    }

    /// The one child of a node that has no more.
    pub(super) fn only_child(&self) -> Option<&Self> {
        match &self.node.parts {
            Parts::Links(links) if links.len() == 1 => links.first(),
            _ => None,
        }
    }

    /// The parts of the node, no longer shared and about to change.
    pub(super) fn parts_mut(&mut self) -> &mut Parts<I> {
        let node = Arc::make_mut(&mut self.node);
        node.digest.take();
        &mut node.parts
    }

    /// The slot at this place below, which is there.
    pub(super) fn slot(&self, position: usize) -> &Slot<I> {
        let (slots, place) = self.leaf(position);
        &slots[place]
    }

    /// The slots of the leaf with this place below, which is there, and its place among them.
    pub(super) fn leaf(&self, mut position: usize) -> (&[Slot<I>], usize) {
        let mut link = self;
        loop {
            match &link.node.parts {
                Parts::Items(slots) => return (slots, position),
                Parts::Links(links) => link = &links[child_at(links, &mut position)],
            }
        }
    }

    /// The item at this place below, which is there.
    pub(super) fn item_mut(&mut self, mut position: usize) -> &mut I {
        let mut link = self;
        loop {
            match link.parts_mut() {
                Parts::Items(slots) => return &mut slots[position].item,
                Parts::Links(links) => link = &mut links[child_at(links, &mut position)],
            }
        }
    }

    /// The place of the slot with this label, and the slot.
    pub(super) fn slot_labelled(&self, label: u64) -> Option<(usize, &Slot<I>)> {
        let mut link = self;
        let mut start = 0;
        loop {
            match &link.node.parts {
                Parts::Items(slots) => {
                    let index = slots.binary_search_by_key(&label, |slot| slot.label).ok()?;
                    return Some((start + index, &slots[index]));
                }
                Parts::Links(links) => {
                    let index = links.partition_point(|link| link.label < label);
                    start += links[..index].iter().map(|link| link.len).sum::<usize>();
                    link = links.get(index)?;
                }
            }
        }
    }

    /// The node so many levels below that holds this place, and where the node begins.
    pub(super) fn descend(&self, levels: u32, position: usize) -> (usize, &Self) {
        let mut link = self;
        let mut within = position;
        for _ in 0..levels {
            let links = Self::parts_of(&link.node);
            link = &links[child_at(links, &mut within)];
        }
        (position - within, link)
    }

    /// Puts another node of the same level and last identity in the place of the one so many levels below.
    pub(super) fn replace(&mut self, levels: u32, mut position: usize, new: Self) {
        if levels == 0 {
            *self = new;
            return;
        }
        if let Parts::Links(links) = self.parts_mut() {
            links[child_at(links, &mut position)].replace(levels - 1, position, new);
            let (len, label) = (links.iter().map(|link| link.len).sum(), last_of(links).label);
            (self.len, self.label) = (len, label);
        }
    }

    /// Writes labels to the slots from this place on, as many as there are. Digests stay: labels do not enter them.
    pub(super) fn relabel(&mut self, from: usize, labels: &mut Peekable<impl Iterator<Item = u64>>) {
        match &mut Arc::make_mut(&mut self.node).parts {
            Parts::Items(slots) => {
                slots[from..].iter_mut().zip(labels).for_each(|(slot, label)| slot.label = label);
                self.label = last_of(slots).label;
            }
            Parts::Links(links) => {
                let mut start = 0;
                for link in links.iter_mut() {
                    let end = start + link.len;
                    if from < end && labels.peek().is_some() {
                        link.relabel(from.saturating_sub(start), labels);
                    }
                    start = end;
                }
                self.label = last_of(links).label;
            }
        }
    }
}

fn last_of<P>(parts: &[P]) -> &P {
    parts.last().expect("a chunk holds at least one part")
}

/// The index of the link that holds this place, which becomes a place below that link.
fn child_at<I>(links: &[Link<I>], position: &mut usize) -> usize {
    let mut index = 0;
    while *position >= links[index].len {
        *position -= links[index].len;
        index += 1;
    }
    index
}

fn write_leaf<I: Item>(digester: &mut Digester, slots: &[Slot<I>]) {
    digester.tag(LEAF);
    digester.number(slots.len() as u64);
    for slot in slots {
        digester.fixed(slot.item.id().as_bytes());
        digester.digest(slot.item.digest());
    }
}

/// The digest of a sequence without items.
pub(super) fn empty_digest() -> Digest {
    let mut digester = Digester::new();
    digester.tag(LEAF);
    digester.number(0);
    digester.finish()
}
