//! Spares: a state of a tree held by value that nobody needs any more becomes the working copy of a later run, once it
//! was given what it lacks. So a run on such a tree need not copy all of it.

use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use super::Archive;
use super::proposal::Expected;
use crate::entity::{AnyCell, AnyEntity, Entity, downcast};
use crate::id::EntityId;
use crate::lineage::{Ix, Made, OwnerChange, Payload, Replaced, Write, WriteTarget};
use crate::when::Revision;

/// Beyond so many changed entities, to be looked for one by one, a copy of all is as good.
const MOST_BEHIND: usize = 8;

/// Beyond so many steps down a copy is left to the user's own `Clone`, which must be fit for that depth.
const MOST_STEPS: usize = 32;

/// So many trees are held twice at most: those edited last.
const MOST_SPARES: usize = 16;

/// The ids from below an entity down to one that it holds by value.
type Way = SmallVec<[EntityId; 3]>;

/// A state that is as another one but for these entities.
pub(crate) struct Spare {
    ix: Ix,
    cell: Arc<dyn AnyCell>,
    behind: SmallVec<[Way; 1]>,
}

impl Spare {
    /// A state that lacks nothing.
    pub(super) fn whole(ix: Ix, cell: Arc<dyn AnyCell>) -> Box<Self> {
        Box::new(Self { ix, cell, behind: SmallVec::new() })
    }

    /// The revision that a commit gave its entity.
    pub(super) fn revision_in(&self, made: &Made) -> Option<Revision> {
        let (_, index) = made.iter().find(|(ix, _)| *ix == self.ix.0)?;
        Some(Revision(u64::from(*index) + 1))
    }

    /// With the revision that a run found its entity at.
    pub(super) fn unchanged(self: Box<Self>, expected: &[Expected]) -> Option<(Box<Self>, Revision)> {
        let revision = expected.iter().find_map(|expected| match expected {
            Expected::At(ix, revision) if *ix == self.ix => Some(*revision),
            _ => None,
        })?;
        Some((self, revision))
    }

    /// The state, made the same as `newest`; `None` if somebody else holds it, or `newest` is not as expected.
    fn brought_up_to<T: Entity>(self, newest: &T) -> Option<T> {
        let mut copy = Arc::try_unwrap(downcast::<T>(self.cell)?).ok()?.into_value();
        self.behind.iter().all(|way| bring(&mut copy, newest, way)).then_some(copy)
    }
}

/// Makes what stands at the end of a way the same. The way is short, so it may be followed by recursion.
fn bring(old: &mut dyn AnyEntity, new: &dyn AnyEntity, way: &[EntityId]) -> bool {
    let Some((id, rest)) = way.split_first() else { return old.copy_from(new) };
    let Some((_, _, slot)) = new.find(*id) else { return false };
    let mut done = false;
    old.reach(*id, &mut |old| done = bring(old, slot.entity(), rest));
    done
}

/// The spares of an archive, the last edited last.
#[derive(Default)]
pub(super) struct Spares(Mutex<Vec<(Revision, Box<Spare>)>>);

impl Spares {
    /// Keeps a spare for runs that begin at this revision, unless there is a newer one.
    pub(super) fn put(&self, spare: Box<Spare>, revision: Revision) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = spares.iter().position(|(_, known)| known.ix == spare.ix);
        if known.is_some_and(|at| spares[at].0 > revision) {
            return;
        }
        let full = (spares.len() == MOST_SPARES).then_some(0);
        let superseded = known.or(full).map(|at| spares.remove(at));
        spares.push((revision, spare));
        // A whole tree may end here: nobody should wait for that.
        drop(spares);
        drop(superseded);
    }

    /// Lets go of all of them: something was erased.
    pub(super) fn let_go(&self, replaced: &mut Replaced) {
        let spares = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        replaced.extend(spares.into_iter().map(|(_, spare)| Payload::Cell(spare.cell)));
    }

    /// The spare for a run that begins at this revision; it is the run's from now on.
    fn take(&self, ix: Ix, revision: Revision) -> Option<Box<Spare>> {
        let (kept_for, spare) = {
            let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = spares.iter().position(|(kept_for, spare)| spare.ix == ix && *kept_for <= revision)?;
            spares.remove(at)
        };
        (kept_for == revision).then_some(spare)
    }
}

impl Archive {
    /// A copy of an entity's state for a run to work on. O(what changed last) where there is a spare.
    #[inline]
    pub(crate) fn working_copy<T: Entity>(&self, ix: Ix, revision: Revision, state: &T) -> T {
        let spare = if T::HOLDS_INLINE { self.spares.take(ix, revision) } else { None };
        spare.and_then(|spare| spare.brought_up_to(state)).unwrap_or_else(|| state.clone())
    }

    /// The state before some writes as a spare for the one after, if they changed nothing but a few entities that it
    /// holds by value.
    pub(super) fn spare(&self, ix: Ix, before: &Arc<dyn AnyCell>, writes: &[Write]) -> Option<Box<Spare>> {
        if writes.len() > MOST_BEHIND {
            return None;
        }
        let behind = writes.iter().map(|write| self.way(ix, write)).collect::<Option<_>>()?;
        Some(Box::new(Spare { ix, cell: Arc::clone(before), behind }))
    }

    /// The way to a written entity that stays where it is; `None` for any other, and for `top` itself.
    fn way(&self, top: Ix, write: &Write) -> Option<Way> {
        let Write { target: WriteTarget::Known(ix), payload: Some(_), owner: OwnerChange::Keep, .. } = write else {
            return None;
        };
        let mut way = Way::new();
        let mut step = *ix;
        while step != top {
            let edge = self.lineages.last_owner(step)?;
            // The fields of an enum of entities are those of its variants: what stands there is seen when it is reached.
            let field = self.lineages.row(edge.owner).ok()?.meta.fields.get(usize::from(edge.field));
            if way.len() == MOST_STEPS || field.is_some_and(|field| !field.inlines) {
                return None;
            }
            way.push(self.lineages.get(step).id);
            step = edge.owner;
        }
        way.reverse();
        (!way.is_empty()).then_some(way)
    }
}
