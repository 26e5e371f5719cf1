//! How much of what a store has is held in memory: values that were not used for a while are let go, and read again when
//! somebody asks.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::{Ix, Lineages, Payload, Replaced, State};

/// What a value takes beside its fields, about.
const OVERHEAD: u32 = 256;

/// So many lineages are looked at in one step, so that nobody waits for all of it to be made room in.
const STEP: usize = 256;

/// The room there is for values.
#[derive(Default)]
pub(super) struct Room {
    /// In bytes of the stored form; 0 if there is no end to it.
    budget: usize,
    held: AtomicUsize,
    /// Where the last look for what can go ended.
    hand: AtomicUsize,
}

/// What one lineage holds.
#[derive(Default)]
pub(super) struct Holding {
    bytes: AtomicU32,
    used: AtomicBool,
}

impl Holding {
    /// Notes that it is of use.
    pub(super) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl Lineages {
    /// Holds values of about so many bytes at most.
    pub(crate) fn set_room(&mut self, budget: usize) {
        self.room.budget = budget.max(1);
    }

    /// Notes that a lineage holds a value whose fields take so many bytes.
    pub(super) fn hold(&self, ix: Ix, bytes: u32) {
        if self.room.budget == 0 {
            return;
        }
        let holding = &self.get(ix).holding;
        holding.touch();
        let bytes = bytes.saturating_add(OVERHEAD);
        let before = holding.bytes.swap(bytes, Ordering::Relaxed);
        self.room.held.fetch_add(bytes as usize, Ordering::Relaxed);
        self.room.held.fetch_sub(before as usize, Ordering::Relaxed);
    }

    /// Lets go of values that were not used since the last look, if more is held than there is room for.
    pub(crate) fn make_room(&self, replaced: &mut Replaced) {
        let room = &self.room;
        if room.budget == 0 || room.held.load(Ordering::Relaxed) <= room.budget {
            return;
        }
        let count = self.rows.count();
        for _ in 0..STEP.min(2 * count) {
            if room.held.load(Ordering::Relaxed) <= room.budget {
                return;
            }
            let at = room.hand.fetch_add(1, Ordering::Relaxed) % count;
            let Some(lineage) = self.rows.get(at) else { continue };
            if lineage.holding.used.swap(false, Ordering::Relaxed) {
                continue;
            }
            let mut state = lineage.write();
            // What no reader sees yet, the store may not have.
            if state.versions.last().is_none_or(|newest| newest.position > self.head()) {
                continue;
            }
            state.let_go(replaced);
            drop(state);
            let held = lineage.holding.bytes.swap(0, Ordering::Relaxed);
            room.held.fetch_sub(held as usize, Ordering::Relaxed);
        }
    }
}

impl Lineages {
    /// Lets go of every value, for the store has it, or had it until it was erased. The caller holds the writer's lock,
    /// and nothing is under way.
    pub(crate) fn let_go_all(&self, replaced: &mut Replaced) {
        self.erasures.fetch_add(1, Ordering::SeqCst);
        for (_, lineage) in self.rows.iter() {
            lineage.write().let_go(replaced);
            let held = lineage.holding.bytes.swap(0, Ordering::Relaxed);
            self.room.held.fetch_sub(held as usize, Ordering::Relaxed);
        }
    }

    /// Lets go of values that were built while something was erased, from what was read before.
    pub(super) fn let_go_of_built(&self, built: impl Iterator<Item = Ix>, replaced: &mut Replaced) {
        for ix in built {
            let old = self.get(ix).write().built.take();
            replaced.extend(old.map(|(_, cell)| Payload::Cell(cell)));
        }
    }
}

impl State {
    /// Keeps of each version only what it is; its state is read from the store.
    fn let_go(&mut self, replaced: &mut Replaced) {
        replaced.extend(self.built.take().map(|(_, cell)| Payload::Cell(cell)));
        for version in &mut self.versions {
            if matches!(version.payload, Payload::Cell(_) | Payload::Record(_)) {
                replaced.push(std::mem::replace(&mut version.payload, Payload::Stored));
            }
        }
    }
}
