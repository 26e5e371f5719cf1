//! Who refers to whom, over time: the incoming edges of references.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::Ix;
use crate::id::EntityId;
use crate::when::Position;

/// One reference that came or went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReferenceChange {
    pub(crate) field: u16,
    pub(crate) to: EntityId,
    pub(crate) opened: bool,
}

/// An entity that refers to another, and the field that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Referrer {
    pub(crate) from: Ix,
    pub(crate) field: u16,
}

struct Interval {
    by: Referrer,
    since: Position,
    until: Position,
}

#[derive(Default)]
struct Edges {
    open: HashMap<Referrer, Position, ahash::RandomState>,
    /// In the order in which they closed.
    closed: Vec<Interval>,
}

impl std::hash::Hash for Referrer {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.from.0) << 16 | u64::from(self.field));
    }
}

const SHARDS: usize = 16;

type Shard = RwLock<HashMap<EntityId, Edges, ahash::RandomState>>;

/// The incoming references of all entities, also of those that do not exist.
pub(super) struct Incoming {
    shards: Box<[Shard]>,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    fn shard(&self, id: EntityId) -> &Shard {
        &self.shards[usize::from(id.as_bytes()[15]) % SHARDS]
    }

    pub(super) fn change(&self, from: Ix, change: ReferenceChange, at: Position) {
        let by = Referrer { from, field: change.field };
        let mut shard = self.shard(change.to).write().unwrap_or_else(PoisonError::into_inner);
        let edges = shard.entry(change.to).or_default();
        if change.opened {
            edges.open.entry(by).or_insert(at);
        } else if let Some(since) = edges.open.remove(&by) {
            edges.closed.push(Interval { by, since, until: at });
        }
    }

    /// Who referred to `to` at a position, in a stable order. O(result) at the head, plus what has closed since before
    /// it.
    pub(super) fn referrers(&self, to: EntityId, at: Position) -> Vec<Referrer> {
        let shard = self.shard(to).read().unwrap_or_else(PoisonError::into_inner);
        let Some(edges) = shard.get(&to) else { return Vec::new() };
        let first = edges.closed.partition_point(|interval| interval.until <= at);
        let mut found: Vec<Referrer> = edges
            .open
            .iter()
            .filter(|(_, since)| **since <= at)
            .map(|(by, _)| *by)
            .chain(edges.closed[first..].iter().filter(|interval| interval.since <= at).map(|interval| interval.by))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
