//! Walks over the items of a sequence.

use std::iter::FusedIterator;
use std::slice;

use smallvec::SmallVec;

use super::Item;
use super::node::{Link, Parts, Slot};

/// The items of a sequence in order, from either end.
///
/// It keeps a leaf at each end and goes down from the root for the next one, so that there is nothing to drop: a list can
/// be changed while the iterator of a finished search still has a name.
#[derive(Clone)]
pub(crate) struct Iter<'a, I> {
    root: Option<&'a Link<I>>,
    /// The position of the next item from the front, and the one after the next from the back.
    begin: usize,
    end: usize,
    front: slice::Iter<'a, Slot<I>>,
    back: slice::Iter<'a, Slot<I>>,
}

impl<'a, I: Item> Iter<'a, I> {
    pub(super) fn new(root: Option<&'a Link<I>>) -> Self {
        Self { root, begin: 0, end: root.map_or(0, |root| root.len), front: [].iter(), back: [].iter() }
    }
}

impl<'a, I: Item> Iterator for Iter<'a, I> {
    type Item = &'a I;

    fn next(&mut self) -> Option<&'a I> {
        if self.begin == self.end {
            return None;
        }
        if self.front.as_slice().is_empty() {
            let (slots, place) = self.root?.leaf(self.begin);
            self.front = slots[place..].iter();
        }
        self.begin += 1;
        self.front.next().map(|slot| &slot.item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.begin, Some(self.end - self.begin))
    }
}

impl<'a, I: Item> DoubleEndedIterator for Iter<'a, I> {
    fn next_back(&mut self) -> Option<&'a I> {
        if self.begin == self.end {
            return None;
        }
        if self.back.as_slice().is_empty() {
            let (slots, place) = self.root?.leaf(self.end - 1);
            self.back = slots[..=place].iter();
        }
        self.end -= 1;
        self.back.next_back().map(|slot| &slot.item)
    }
}

impl<I: Item> ExactSizeIterator for Iter<'_, I> {}

impl<I: Item> FusedIterator for Iter<'_, I> {}

/// The items of a sequence in order, to be changed.
pub(crate) struct IterMut<'a, I> {
    links: SmallVec<[slice::IterMut<'a, Link<I>>; 8]>,
    slots: slice::IterMut<'a, Slot<I>>,
    remaining: usize,
}

impl<'a, I: Item> IterMut<'a, I> {
    pub(super) fn new(root: Option<&'a mut Link<I>>) -> Self {
        let remaining = root.as_ref().map_or(0, |root| root.len);
        let links: &mut [Link<I>] = root.map_or(&mut [], slice::from_mut);
        Self { links: SmallVec::from_iter([links.iter_mut()]), slots: [].iter_mut(), remaining }
    }
}

impl<'a, I: Item> Iterator for IterMut<'a, I> {
    type Item = &'a mut I;

    fn next(&mut self) -> Option<&'a mut I> {
        loop {
            if let Some(slot) = self.slots.next() {
                self.remaining -= 1;
                return Some(&mut slot.item);
            }
            match self.links.last_mut()?.next() {
                Some(link) => match link.parts_mut() {
                    Parts::Items(slots) => self.slots = slots.iter_mut(),
                    Parts::Links(links) => self.links.push(links.iter_mut()),
                },
                None => _ = self.links.pop(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<I: Item> ExactSizeIterator for IterMut<'_, I> {}

impl<I: Item> FusedIterator for IterMut<'_, I> {}
