//! Which identity stands where: order labels, and an index from identities to them.
//!
//! A label is a number that rises along the list; an item keeps its label while others come and go, so that an index
//! may remember it. Where no label is free between two neighbours, those around are labelled anew, in a window that
//! grows until it is sparse enough: O(log n) labels for each insertion, amortised (Bender, Cole, Demaine,
//! Farach-Colton, Zito 2002, "Two simplified algorithms for maintaining order in a list").

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use rpds::HashTrieMapSync;

use super::node::{Link, Parts, Slot};
use super::{Item, Sequence};
use crate::id::EntityId;

/// The label of each identity.
pub(super) type Index = HashTrieMapSync<EntityId, u64, ahash::RandomState>;

/// Up to this length a list is searched without an index.
const SCANNED: usize = 64;
/// The first label of a list: as much room before as after.
const FIRST: u64 = 1 << 63;
/// The distance of labels where there is room: 2^31 items can join at either end, 32 between two neighbours.
const STEP: u64 = 1 << 32;
/// How many items are labelled anew at least.
const WINDOW: usize = 16;
/// The distance of labels that makes a window of this least size sparse enough; twice that for each larger window.
const SPARSE: u64 = 1 << 8;
/// Children of a node of the index: fewer make it deeper, more make a changed path larger.
const DEGREE: u8 = 32;

/// An identity that stands twice in one list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id} stands twice in this list, at {first} and at {second}: an entity has one place")]
pub(crate) struct Repeated {
    id: EntityId,
    first: usize,
    second: usize,
}

impl Repeated {
    /// The identity.
    #[must_use]
    pub(crate) fn id(&self) -> EntityId {
        self.id
    }

    /// The first of its two positions. Where an insertion was refused, positions are those that would have been.
    #[must_use]
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// The second of its two positions.
    #[must_use]
    pub(crate) fn second(&self) -> usize {
        self.second
    }

    /// An item found at one position that was to be inserted at another.
    pub(super) fn at_insertion(id: EntityId, found: usize, inserted: usize) -> Self {
        if found < inserted {
            Self { id, first: found, second: inserted }
        } else {
            Self { id, first: inserted, second: found + 1 }
        }
    }
}

/// Items with fresh labels, none of them twice.
pub(super) fn label_all<I: Item>(items: impl IntoIterator<Item = I>) -> Result<Vec<Slot<I>>, Repeated> {
    let items = items.into_iter();
    let mut positions = HashMap::with_capacity_and_hasher(items.size_hint().0, ahash::RandomState::new());
    let mut slots = Vec::with_capacity(items.size_hint().0);
    for (position, item) in items.enumerate() {
        match positions.entry(item.id()) {
            Entry::Occupied(entry) => {
                return Err(Repeated { id: item.id(), first: *entry.get(), second: position });
            }
            Entry::Vacant(entry) => entry.insert(position),
        };
        slots.push(Slot { label: FIRST + position as u64 * STEP, item });
    }
    Ok(slots)
}

impl<I: Item> Sequence<I> {
    /// The slot of this identity and its position.
    pub(super) fn find(&self, id: EntityId) -> Option<(usize, &Slot<I>)> {
        let root = self.root.as_ref()?;
        if root.len <= SCANNED {
            let mut start = 0;
            return scan(root, id, &mut start);
        }
        let index = self.index.as_ref().expect("a list that is too long to be searched without an index has one");
        let index = index.get_or_init(|| index_of(root));
        let label = index.get(&id)?;
        Some(root.slot_labelled(*label).expect("the index holds the labels of the slots"))
    }

    pub(super) fn index_insert(&mut self, id: EntityId, label: u64) {
        change_index(&mut self.index, |index| index.insert_mut(id, label));
    }

    pub(super) fn index_remove(&mut self, id: EntityId) {
        change_index(&mut self.index, |index| _ = index.remove_mut(&id));
    }

    /// A label for an item that comes before the one at this position; labels around may change to make room.
    pub(super) fn label_for(&mut self, position: usize) -> u64 {
        loop {
            let before = position.checked_sub(1).and_then(|before| self.slot(before)).map(|slot| slot.label);
            let after = self.slot(position).map(|slot| slot.label);
            let free = match (before, after) {
                (None, None) => Some(FIRST),
                (Some(before), None) => before.checked_add(STEP).or_else(|| between(before, u64::MAX)),
                (None, Some(after)) => after.checked_sub(STEP).or_else(|| between(0, after)),
                (Some(before), Some(after)) => between(before, after),
            };
            match free {
                Some(label) => return label,
                None => self.make_room(position),
            }
        }
    }

    /// Labels the items around this position anew, as few as give enough room.
    fn make_room(&mut self, position: usize) {
        let len = self.len();
        let (mut window, mut sparse) = (WINDOW, SPARSE);
        loop {
            let from = position.saturating_sub(window / 2).min(len.saturating_sub(window));
            let count = window.min(len - from);
            let low = from.checked_sub(1).and_then(|before| self.slot(before)).map_or(0, |slot| slot.label);
            let high = self.slot(from + count).map_or(u64::MAX, |slot| slot.label);
            let distance = ((high - low) / (count as u64 + 1)).min(STEP);
            if distance >= sparse || count == len {
                let first = match (from == 0, from + count == len) {
                    (true, true) => FIRST - (count as u64 / 2) * distance,
                    (true, false) => high - distance * count as u64,
                    (false, _) => low + distance,
                };
                self.relabel(from, count, first, distance);
                return;
            }
            window *= 4;
            sparse *= 2;
        }
    }

    fn relabel(&mut self, from: usize, count: usize, first: u64, distance: u64) {
        let Some(root) = &mut self.root else { return };
        let labels = (0..count as u64).map(|index| first + index * distance);
        change_index(&mut self.index, |index| {
            for (position, label) in (from..).zip(labels.clone()) {
                index.insert_mut(root.slot(position).item.id(), label);
            }
        });
        root.relabel(from, &mut labels.peekable());
    }
}

/// What a new list of this length keeps its index in.
pub(super) fn index_for(len: usize) -> Option<Arc<OnceLock<Index>>> {
    (len > SCANNED).then(Arc::default)
}

/// Changes the index if there is one. If not, parts with the clones: one of them may build theirs at any time.
fn change_index(shared: &mut Option<Arc<OnceLock<Index>>>, change: impl FnOnce(&mut Index)) {
    let Some(shared) = shared else { return };
    if shared.get().is_none() {
        *shared = Arc::default();
    } else if let Some(index) = Arc::make_mut(shared).get_mut() {
        change(index);
    }
}

/// A label between these two, if there is one.
fn between(low: u64, high: u64) -> Option<u64> {
    (high - low >= 2).then(|| low + (high - low) / 2)
}

fn scan<'a, I: Item>(link: &'a Link<I>, id: EntityId, start: &mut usize) -> Option<(usize, &'a Slot<I>)> {
    match &link.node.parts {
        Parts::Items(slots) => {
            let found = slots.iter().position(|slot| slot.item.id() == id);
            let found = found.map(|index| (*start + index, &slots[index]));
            *start += slots.len();
            found
        }
        Parts::Links(links) => links.iter().find_map(|link| scan(link, id, start)),
    }
}

fn index_of<I: Item>(root: &Link<I>) -> Index {
    let mut index = Index::new_with_hasher_and_degree_and_ptr_kind(ahash::RandomState::new(), DEGREE);
    add_to_index(root, &mut index);
    index
}

fn add_to_index<I: Item>(link: &Link<I>, index: &mut Index) {
    match &link.node.parts {
        Parts::Items(slots) => slots.iter().for_each(|slot| index.insert_mut(slot.item.id(), slot.label)),
        Parts::Links(links) => links.iter().for_each(|link| add_to_index(link, index)),
    }
}
