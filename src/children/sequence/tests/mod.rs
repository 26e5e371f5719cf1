//! What the tests of the sequence share: an item that counts looks, and hostile identities.

mod api;
mod cost;
mod model;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::chunk::Key;
use super::node::Parts;
use super::{Difference, Item, Link, Sequence};
use crate::digest::{Digest, Digester};
use crate::id::EntityId;
use crate::order::fewest_moves;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// An item that counts how often somebody looks whether it is the same.
#[derive(Clone, Debug)]
struct Probe(Arc<Content>);

#[derive(Clone, Debug)]
struct Content {
    id: u128,
    value: u32,
    digest: OnceLock<Digest>,
}

impl Probe {
    fn new(id: u128, value: u32) -> Self {
        Self(Arc::new(Content { id, value, digest: OnceLock::new() }))
    }

    fn set(&mut self, value: u32) {
        let content = Arc::make_mut(&mut self.0);
        content.digest.take();
        content.value = value;
    }

    fn pair(&self) -> (u128, u32) {
        (self.0.id, self.0.value)
    }
}

impl Item for Probe {
    fn id(&self) -> EntityId {
        entity(self.0.id)
    }

    fn digest(&self) -> Digest {
        *self.0.digest.get_or_init(|| {
            let mut digester = Digester::new();
            digester.number(u64::from(self.0.value));
            digester.finish()
        })
    }

    fn known_digest(&self) -> Option<Digest> {
        self.0.digest.get().copied()
    }

    fn is_same(&self, other: &Self) -> bool {
        LOOKS.set(LOOKS.get() + 1);
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn entity(id: u128) -> EntityId {
    EntityId::from_bytes(id.to_be_bytes())
}

fn sequence(items: impl IntoIterator<Item = (u128, u32)>) -> Sequence<Probe> {
    Sequence::from_items(items.into_iter().map(|(id, value)| Probe::new(id, value))).expect("ids are distinct")
}

fn numbered(ids: std::ops::Range<u128>) -> Sequence<Probe> {
    sequence(ids.map(|id| (id, 0)))
}

fn content(sequence: &Sequence<Probe>) -> Vec<(u128, u32)> {
    sequence.iter().map(Probe::pair).collect()
}

/// The lengths of the chunks, in items, level by level from the leaves.
fn shape(sequence: &Sequence<Probe>) -> Vec<Vec<usize>> {
    let mut levels = Vec::new();
    let mut links: Vec<&Link<Probe>> = sequence.root.iter().collect();
    while !links.is_empty() {
        levels.push(links.iter().map(|link| link.len).collect());
        links = links.iter().flat_map(|link| children(link)).collect();
    }
    levels.reverse();
    levels
}

fn children(link: &Link<Probe>) -> &[Link<Probe>] {
    match &link.node.parts {
        Parts::Links(links) => links,
        Parts::Items(_) => &[],
    }
}

/// Checks what a node says of those below it, and gives the labels of the items.
fn labels(link: &Link<Probe>) -> Vec<u64> {
    let labels: Vec<u64> = match &link.node.parts {
        Parts::Items(slots) => {
            assert_eq!(slots.last().map(|slot| slot.item.id()), Some(link.last));
            slots.iter().map(|slot| slot.label).collect()
        }
        Parts::Links(links) => {
            assert_eq!(links.last().map(|last| last.last), Some(link.last));
            links.iter().flat_map(labels).collect()
        }
    };
    assert_eq!((labels.len(), labels.last()), (link.len, Some(&link.label)));
    labels
}

/// Checks that this is what would have been built from these items, in every respect.
fn check(sequence: &Sequence<Probe>, model: &[(u128, u32)]) {
    assert_eq!(content(sequence), model);
    let built = self::sequence(model.iter().copied());
    assert_eq!((sequence.len(), sequence.height), (built.len(), built.height));
    assert_eq!(shape(sequence), shape(&built));
    assert_eq!(sequence.digest(), built.digest());
    if let Some(root) = &sequence.root {
        assert!(labels(root).is_sorted_by(|left, right| left < right));
    }
    for (position, &(id, value)) in model.iter().enumerate() {
        assert_eq!(sequence.get_by_id(entity(id)).map(|(at, item)| (at, item.pair())), Some((position, (id, value))));
    }
}

/// Identities without a peak: sorted by their weights.
fn never_cut(count: u128) -> Vec<u128> {
    let mut ids: Vec<u128> = (0..count).collect();
    ids.sort_by_key(|id| Key::new(0, entity(*id)));
    ids
}

/// Identities without a peak at either of the two lowest levels: the longest chain that rises by both weights.
fn never_cut_twice() -> Vec<u128> {
    let mut upper = never_cut(20_000);
    upper.sort_by_key(|id| Key::new(1, entity(*id)));
    let rank: BTreeMap<u128, usize> = upper.into_iter().zip(0..).collect();
    let lower = never_cut(20_000);
    let weighed: Vec<(usize, usize)> = lower.iter().map(|id| (rank[id], 1)).collect();
    lower.into_iter().zip(fewest_moves(&weighed)).filter(|(_, stays)| *stays).map(|(id, _)| id).collect()
}

/// Identities with as many peaks as there can be: the heaviest quarter, falling, and three others after each.
fn always_cut(count: u128) -> Vec<u128> {
    let mut light = never_cut(count);
    let mut heavy = light.split_off(light.len() - light.len() / 4);
    let mut ids = Vec::new();
    while let Some(peak) = heavy.pop() {
        ids.extend(light.drain(..3.min(light.len())));
        ids.push(peak);
    }
    ids.extend(light);
    ids
}
