//! An ordered list of things with identities that shares what it does not change.
//!
//! It is a tree of chunks whose shape follows from the identities and their order alone (see [`chunk`]), so that two
//! lists of the same content are the same tree, node by node, however each came about. Edits copy a path; a clone, or
//! learning that nothing changed, is O(1).

mod chunk;
mod diff;
mod iter;
mod labels;
mod node;
mod splice;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};

pub(crate) use self::diff::Difference;
pub(crate) use self::iter::{Iter, IterMut};
use self::labels::Index;
pub(crate) use self::labels::Repeated;
use self::node::{Link, Slot};
use crate::digest::Digest;
use crate::id::EntityId;

/// What a sequence holds: something with an identity and a digest.
pub(crate) trait Item: Clone {
    /// Who this is; the same for as long as it stands in the sequence.
    fn id(&self) -> EntityId;

    /// The digest of the content, which may take long the first time. Two items of one identity and one digest are
    /// equal.
    fn digest(&self) -> Digest;

    /// The digest, if it is known without work.
    fn known_digest(&self) -> Option<Digest>;

    /// Whether both are one without looking inside: a yes is certain, a no proves nothing.
    fn is_same(&self, other: &Self) -> bool;
}

/// An ordered, id-keyed, persistent list: no identity stands in it twice.
#[derive(Clone)]
pub(crate) struct Sequence<I> {
    root: Option<Link<I>>,
    /// How many levels of nodes there are.
    height: u32,
    /// Where each identity stands, built when first needed. Clones share it until one of them moves something. None as
    /// long as the list has always been short.
    index: Option<Arc<OnceLock<Index>>>,
}

impl<I: Item> Sequence<I> {
    /// One without items.
    pub(crate) fn new() -> Self {
        Self { root: None, height: 0, index: None }
    }

    /// One with these items in this order, in O(n).
    ///
    /// # Errors
    /// [`Repeated`] if an identity occurs twice.
    pub(crate) fn from_items(items: impl IntoIterator<Item = I>) -> Result<Self, Repeated> {
        let slots = labels::label_all(items)?;
        let index = labels::index_for(slots.len());
        let (root, height) = splice::build(slots);
        Ok(Self { root, height, index })
    }

    /// How many items it holds.
    pub(crate) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.len)
    }

    /// Whether it holds no item.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The item at this position, in O(log n).
    pub(crate) fn get(&self, position: usize) -> Option<&I> {
        self.slot(position).map(|slot| &slot.item)
    }

    /// Where the item of this identity stands, in O(log n), or O(n) for the first question of a long list.
    pub(crate) fn position(&self, id: EntityId) -> Option<usize> {
        self.get_by_id(id).map(|(position, _)| position)
    }

    /// The item of this identity and where it stands; costs as [`position`](Self::position).
    pub(crate) fn get_by_id(&self, id: EntityId) -> Option<(usize, &I)> {
        self.find(id).map(|(position, slot)| (position, &slot.item))
    }

    /// Puts an item before the one at this position, or at the end, in O(log n).
    ///
    /// # Errors
    /// [`Repeated`] if an item of this identity is there already; nothing changes then.
    ///
    /// # Panics
    /// If `position` is greater than the length, as `Vec::insert`.
    pub(crate) fn insert(&mut self, position: usize, item: I) -> Result<(), Repeated> {
        let len = self.len();
        assert!(position <= len, "insertion position (is {position}) should be <= len (is {len})");
        if let Some(found) = self.position(item.id()) {
            return Err(Repeated::at_insertion(item.id(), found, position));
        }
        let label = self.label_for(position);
        self.index_insert(item.id(), label);
        self.splice(position, 0, Some(Slot { label, item }));
        if self.index.is_none() {
            self.index = labels::index_for(len + 1);
        }
        Ok(())
    }

    /// Puts an item at the end, in O(log n).
    ///
    /// # Errors
    /// [`Repeated`] if an item of this identity is there already; nothing changes then.
    pub(crate) fn push(&mut self, item: I) -> Result<(), Repeated> {
        self.insert(self.len(), item)
    }

    /// Takes the item at this position out, in O(log n). `None` if there is none.
    pub(crate) fn remove(&mut self, position: usize) -> Option<I> {
        let item = self.get(position)?.clone();
        self.splice(position, 1, None);
        self.index_remove(item.id());
        Some(item)
    }

    /// Takes the item at `from` out and puts it back so that it stands at `to`, in O(log n).
    ///
    /// # Panics
    /// If there is no item at `from` or at `to`.
    pub(crate) fn move_to(&mut self, from: usize, to: usize) {
        let len = self.len();
        assert!(from < len && to < len, "move from {from} to {to} is out of range for a length of {len}");
        if from == to {
            return;
        }
        let item = self.get(from).expect("checked above").clone();
        self.splice(from, 1, None);
        let label = self.label_for(to);
        self.index_insert(item.id(), label);
        self.splice(to, 0, Some(Slot { label, item }));
    }

    /// Puts an item in the place of the one with the same identity at this position and gives that one back, in O(log
    /// n). `None` if there is none. The shape stays, and an item that [is the same](Item::is_same) copies nothing.
    pub(crate) fn replace(&mut self, position: usize, item: I) -> Option<I> {
        let old = self.get(position)?;
        debug_assert!(old.id() == item.id(), "replaced by an item of another identity");
        if old.is_same(&item) {
            return Some(item);
        }
        self.get_mut(position).map(|place| mem::replace(place, item))
    }

    /// The item at this position to be changed, in O(log n): what is shared on the way to it is copied, and the digests
    /// there are forgotten. The caller keeps the item's identity as it is.
    pub(crate) fn get_mut(&mut self, position: usize) -> Option<&mut I> {
        let root = self.root.as_mut().filter(|root| position < root.len)?;
        Some(root.item_mut(position))
    }

    /// The items in order, from either end.
    pub(crate) fn iter(&self) -> Iter<'_, I> {
        Iter::new(self.root.as_ref())
    }

    /// The items in order, to be changed. Nodes are copied, and their digests forgotten, as the iterator comes to them.
    /// The caller keeps the identities as they are.
    pub(crate) fn iter_mut(&mut self) -> IterMut<'_, I> {
        IterMut::new(self.root.as_mut())
    }

    /// The digest of the items in their order, the same for the same content however it came about. Kept in every node:
    /// after an edit it costs what the edit copied.
    pub(crate) fn digest(&self) -> Digest {
        self.root.as_ref().map_or_else(node::empty_digest, Link::digest)
    }

    /// Visits the items of which [`digest`](Self::digest) would have to compute the digest.
    ///
    /// A caller whose items hold sequences themselves computes these first, from the bottom up, lest the computation
    /// recurse as deep as they are nested.
    pub(crate) fn for_each_unknown_digest<'a>(&'a self, visit: &mut dyn FnMut(&'a I)) {
        if let Some(root) = &self.root {
            root.for_each_unknown_digest(visit);
        }
    }

    /// Whether both are one without looking inside: a yes is certain, a no proves nothing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(root), Some(other)) => Arc::ptr_eq(&root.node, &other.node),
            (None, None) => true,
            _ => false,
        }
    }

    /// Tells what differs between this and a later state, in O(c log n) for c changes if one came about by editing the
    /// other, or if both know their digests: subtrees that both hold are passed by, wherever they stand.
    ///
    /// First come the removed items, in their order before; then the rest, in their order after.
    pub(crate) fn diff<'a>(&'a self, after: &'a Self, visit: &mut dyn FnMut(Difference<'a, I>)) {
        diff::diff(self, after, visit);
    }

    fn slot(&self, position: usize) -> Option<&Slot<I>> {
        let root = self.root.as_ref().filter(|root| position < root.len)?;
        Some(root.slot(position))
    }
}

impl<I: Item> Default for Sequence<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Item + fmt::Debug> fmt::Debug for Sequence<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, I: Item> IntoIterator for &'a Sequence<I> {
    type Item = &'a I;
    type IntoIter = Iter<'a, I>;

    fn into_iter(self) -> Iter<'a, I> {
        self.iter()
    }
}
