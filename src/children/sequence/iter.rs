//! Walks over the items of a sequence.

use std::iter::FusedIterator;
use std::slice;

use smallvec::SmallVec;

use super::Item;
use super::node::{Link, Parts, Slot};

/// The items of a sequence in order, from either end.
#[derive(Clone)]
pub(crate) struct Iter<'a, I> {
    front: Cursor<'a, I>,
    back: Cursor<'a, I>,
    /// How many items neither end has given: the ends do not see each other.
    remaining: usize,
}

/// Where a walk is: the links that it has yet to visit at each level, and the slots of the leaf.
#[derive(Clone)]
struct Cursor<'a, I> {
    links: SmallVec<[slice::Iter<'a, Link<I>>; 8]>,
    slots: slice::Iter<'a, Slot<I>>,
}

impl<'a, I: Item> Iter<'a, I> {
    pub(super) fn new(root: Option<&'a Link<I>>) -> Self {
        let links: &[Link<I>] = root.map_or(&[], slice::from_ref);
        let cursor = Cursor { links: SmallVec::from_iter([links.iter()]), slots: [].iter() };
        Self { front: cursor.clone(), back: cursor, remaining: root.map_or(0, |root| root.len) }
    }
}

impl<'a, I> Cursor<'a, I> {
    fn enter(&mut self, link: &'a Link<I>) {
        match &link.node.parts {
            Parts::Items(slots) => self.slots = slots.iter(),
            Parts::Links(links) => self.links.push(links.iter()),
        }
    }

    fn next(&mut self) -> Option<&'a I> {
        loop {
            if let Some(slot) = self.slots.next() {
                return Some(&slot.item);
            }
            match self.links.last_mut()?.next() {
                Some(link) => self.enter(link),
                None => _ = self.links.pop(),
            }
        }
    }

    fn next_back(&mut self) -> Option<&'a I> {
        loop {
            if let Some(slot) = self.slots.next_back() {
                return Some(&slot.item);
            }
            match self.links.last_mut()?.next_back() {
                Some(link) => self.enter(link),
                None => _ = self.links.pop(),
            }
        }
    }
}

impl<'a, I> Iterator for Iter<'a, I> {
    type Item = &'a I;

    fn next(&mut self) -> Option<&'a I> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.front.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<'a, I> DoubleEndedIterator for Iter<'a, I> {
    fn next_back(&mut self) -> Option<&'a I> {
        self.remaining = self.remaining.checked_sub(1)?;
        self.back.next_back()
    }
}

impl<I> ExactSizeIterator for Iter<'_, I> {}

impl<I> FusedIterator for Iter<'_, I> {}

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
