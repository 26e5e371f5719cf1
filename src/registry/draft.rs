//! What the calls of one commit have come to so far: states that stand in for those that are committed.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::ArgumentError;
use crate::digest::Digest;
use crate::entity::AnyCell;
use crate::history::{Archive, CommitError, ExpectedHead, Info, Input, Proposal, entity_of};
use crate::id::EntityId;
use crate::lineage::Ix;
use crate::log::Ran;
use crate::when::{Position, When};

/// A commit of several runs in the making. Each run takes the states that those before it left, and gives back its own.
pub(super) struct Draft {
    /// As of when everything is read that no run has changed.
    pub(super) at: Position,
    states: States,
    runs: Vec<Ran>,
    /// The subjects whom the runs concern.
    subjects: Vec<Digest>,
}

#[derive(Clone, Default)]
struct States {
    /// The entities that may have changed, with the committed state and the newest one. None of them owns another.
    edited: IndexMap<Ix, Edited, ahash::RandomState>,
    /// Whatever owns one of these, however far up.
    owners: HashSet<Ix, ahash::RandomState>,
    created: Vec<Arc<dyn AnyCell>>,
    expected: HashSet<ExpectedHead, ahash::RandomState>,
    /// Entities that come.
    new: HashSet<EntityId, ahash::RandomState>,
    /// Whether an entity comes, moves or goes: then nothing less than the whole tells whether a run fits.
    reshapes: bool,
}

#[derive(Clone)]
struct Edited {
    before: Arc<dyn AnyCell>,
    after: Arc<dyn AnyCell>,
}

impl Draft {
    pub(super) fn new(at: Position) -> Self {
        Self { at, states: States::default(), runs: Vec::new(), subjects: Vec::new() }
    }

    /// Notes a run that is part of it.
    pub(super) fn ran(&mut self, info: Info) {
        self.runs.extend(info.run);
        self.subjects.extend(info.subjects);
    }

    /// What is to be committed, the runs that did it, and the subjects whom these concern.
    pub(super) fn finish(self) -> (Proposal, Vec<Ran>, Vec<Digest>) {
        (self.states.proposal(), self.runs, self.subjects)
    }

    /// Refuses an entity that it brings: that has no place yet from which it could be taken.
    pub(super) fn refuse_new(&self, entity: EntityId) -> Result<(), ArgumentError> {
        if self.states.new.contains(&entity) { Err(ArgumentError::Unsettled { entity }) } else { Ok(()) }
    }

    /// The state in which the runs so far left an entity; `None` if they left it and all that it owns alone.
    pub(super) fn state(&self, archive: &Archive, ix: Ix) -> Result<Option<Arc<dyn AnyCell>>, ArgumentError> {
        let unsettled = || ArgumentError::Unsettled { entity: archive.lineages.get(ix).id };
        if let Some((top, way)) = self.states.place(archive, ix) {
            return cell_inside(&self.states.edited[&top].after, &way).ok_or_else(unsettled).map(Some);
        }
        if !self.states.owners.contains(&ix) {
            return Ok(None);
        }
        let mut state = archive.state(ix, self.at, &When::Head)?;
        for (inner, edited) in &self.states.edited {
            if let Some(way) = way_down(archive, ix, *inner)
                && !put_inside(&mut state, &way, &edited.after)
            {
                return Err(unsettled());
            }
        }
        Ok(Some(state))
    }

    /// Takes in what a run did; if it does not fit what is there already, all stays as it was.
    ///
    /// Runs that change no more than fields of entities are compared by themselves. Once an entity comes, moves or goes,
    /// each run is tried with the whole: O(draft).
    pub(super) fn take_in(&mut self, archive: &Archive, mut part: Proposal) -> Result<(), CommitError> {
        part.give_back();
        if !self.states.reshapes {
            // Without what it expects, or the state of a draft would be kept as that of a revision.
            let mut alone = Proposal { expected: Default::default(), ..part.clone() };
            let prepared = archive.prepare(&mut alone)?;
            if prepared.is_none_or(|prepared| prepared.keeps_places()) {
                if part.inputs.iter().all(|input| self.states.takes_as_it_is(archive, input.ix)) {
                    return self.states.put(archive, part, self.at);
                }
                // Putting one state into another runs the user's `Clone`, which may panic half way through.
                let mut states = self.states.clone();
                states.put(archive, part, self.at)?;
                self.states = states;
                return Ok(());
            }
        }
        let mut whole = self.states.clone();
        whole.put(archive, part, self.at)?;
        let prepared = archive.prepare(&mut whole.proposal())?;
        if let Some(prepared) = prepared {
            whole.reshapes |= !prepared.keeps_places();
            whole.new = prepared.new_entities().collect();
        }
        self.states = whole;
        Ok(())
    }
}

impl States {
    fn proposal(&self) -> Proposal {
        let input = |(ix, Edited { before, after }): (&Ix, &Edited)| Input {
            ix: *ix,
            before: Arc::clone(before),
            after: Arc::clone(after),
        };
        Proposal {
            inputs: self.edited.iter().map(input).collect(),
            created: self.created.clone(),
            taken: Vec::new(),
            removed: Vec::new(),
            expected: self.expected.iter().copied().collect(),
        }
    }

    /// Whether the state of an entity has no other to be put into, and none that is part of it.
    fn takes_as_it_is(&self, archive: &Archive, ix: Ix) -> bool {
        let apart = || !self.owners.contains(&ix) && !owners(archive, ix).any(|owner| self.edited.contains_key(&owner));
        self.edited.contains_key(&ix) || apart()
    }

    fn put(&mut self, archive: &Archive, part: Proposal, at: Position) -> Result<(), CommitError> {
        for Input { ix, before, after } in part.inputs {
            if let Some((top, way)) = self.place(archive, ix) {
                if !put_inside(&mut self.edited[&top].after, &way, &after) {
                    let (outer, inner) = (archive.lineages.get(top).id, archive.lineages.get(ix).id);
                    return Err(CommitError::Overlap { outer, inner });
                }
                continue;
            }
            let before = if self.owners.contains(&ix) {
                // What it owns is part of its state from now on.
                self.edited.retain(|inner, _| way_down(archive, ix, *inner).is_none());
                archive.state(ix, at, &When::Head)?
            } else {
                before
            };
            self.owners.extend(owners(archive, ix));
            self.edited.insert(ix, Edited { before, after });
        }
        self.created.extend(part.created);
        self.expected.extend(part.expected);
        Ok(())
    }

    /// The edited entity in whose tree an entity stands, itself maybe, and the way down to it.
    fn place(&self, archive: &Archive, ix: Ix) -> Option<(Ix, Vec<EntityId>)> {
        let top = std::iter::once(ix).chain(owners(archive, ix)).find(|owner| self.edited.contains_key(owner))?;
        Some((top, way_down(archive, top, ix)?))
    }
}

/// What owns an entity, from the inside out.
pub(super) fn owners(archive: &Archive, ix: Ix) -> impl Iterator<Item = Ix> {
    let owner = |ix: &Ix| archive.lineages.last_owner(*ix).map(|edge| edge.owner);
    std::iter::successors(owner(&ix), owner)
}

/// The ids from below an entity down to one that it owns; none from an entity to itself.
fn way_down(archive: &Archive, top: Ix, ix: Ix) -> Option<Vec<EntityId>> {
    let mut way = Vec::new();
    let mut step = ix;
    while step != top {
        way.push(archive.lineages.get(step).id);
        step = archive.lineages.last_owner(step)?.owner;
    }
    way.reverse();
    Some(way)
}

/// The entities along a way, from the outside in.
fn cells_along(top: &Arc<dyn AnyCell>, way: &[EntityId]) -> Option<Vec<Arc<dyn AnyCell>>> {
    let mut cells: Vec<Arc<dyn AnyCell>> = Vec::with_capacity(way.len());
    for id in way {
        let owner = cells.last().unwrap_or(top);
        let (_, _, slot) = owner.entity().find(*id)?;
        let cell = slot.cell().unwrap_or_else(|| slot.entity().to_cell());
        cells.push(cell);
    }
    Some(cells)
}

/// The entity at the end of a way.
fn cell_inside(top: &Arc<dyn AnyCell>, way: &[EntityId]) -> Option<Arc<dyn AnyCell>> {
    Some(cells_along(top, way)?.pop().unwrap_or_else(|| Arc::clone(top)))
}

/// Puts a state in the place of that at the end of a way; `false` if the way leads nowhere.
fn put_inside(top: &mut Arc<dyn AnyCell>, way: &[EntityId], state: &Arc<dyn AnyCell>) -> bool {
    let Some((_, above)) = way.split_last() else {
        *top = Arc::clone(state);
        return true;
    };
    let Some(mut cells) = cells_along(top, above) else { return false };
    let mut state = Arc::clone(state);
    while let Some(mut owner) = cells.pop() {
        if !entity_of(&mut owner).adopt(&state) {
            return false;
        }
        state = owner;
    }
    entity_of(top).adopt(&state)
}
