//! Reading a version's value: as it is kept, or built from its own state and what it owns as of then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::{ENDED, Ix, Lineages, OwnerEdge, Payload, State, Version};
use crate::entity::{AnyCell, AnyEntity, Record, Source, TypeRow};
use crate::id::EntityId;
use crate::schema::Meta;
use crate::value::DecodeError;
use crate::when::{LATEST, Position, Revision};

/// Why an entity has no state at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It was not there yet.
    NotYet,
    /// It, or an owner of it, was removed.
    Removed { entity: EntityId, by: EntityId, revision: Revision },
}

/// Entities that were found gone in one look at many.
#[derive(Default)]
pub(crate) struct KnownGone(Option<HashSet<Ix, ahash::RandomState>>);

/// What a value is built from.
struct Plan {
    index: usize,
    newest: bool,
    base: Base,
    /// The owned entities to be put in.
    needs: Vec<Ix>,
}

enum Base {
    /// A value of an earlier version; whether it is the cached one.
    Value(Arc<dyn AnyCell>, bool),
    Record(Arc<Record>),
}

/// Beyond so many versions since the base it is worth counting whether asking every owned entity is cheaper.
const LONG: usize = 64;

impl Lineages {
    /// Whether an entity is there at a position: it has a version, and neither it nor an owner is removed.
    /// O(1) at the head as long as nothing was removed since it was last asked, else O(depth).
    pub(crate) fn alive(&self, ix: Ix, at: Position) -> Result<(), Gone> {
        let lineage = self.get(ix);
        let removals = self.removals.load(Ordering::Acquire);
        if lineage.alive_at.load(Ordering::Relaxed) == removals {
            let state = lineage.read();
            if state.versions.first().is_some_and(|first| first.position <= at)
                && state.versions.last().is_some_and(|last| last.position <= at)
            {
                return Ok(());
            }
        }
        let mut climb = Some(ix);
        while let Some(step) = climb {
            let state = self.get(step).read();
            let index = state.as_of(at).ok_or(Gone::NotYet)?;
            if matches!(state.versions[index].payload, Payload::Removed { .. }) {
                return Err(Gone::Removed {
                    entity: lineage.id,
                    by: self.get(step).id,
                    revision: Revision(index as u64 + 1),
                });
            }
            climb = match state.owner_since(at) {
                Some((since, Some(OwnerEdge { field: ENDED, .. }))) => {
                    drop(state);
                    return Err(match self.alive(step, Position(since.0 - 1)) {
                        Err(Gone::Removed { by, revision, .. }) => Gone::Removed { entity: lineage.id, by, revision },
                        Ok(()) | Err(Gone::NotYet) => Gone::NotYet,
                    });
                }
                Some((_, Some(edge))) => Some(edge.owner),
                Some((_, None)) | None => None,
            };
        }
        if at >= self.head() && at.0 >= self.last_removal.load(Ordering::Acquire) {
            lineage.alive_at.store(removals, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether an entity that has a lineage is not there now. The owners that were climbed over are known from then on,
    /// so that to ask of each entity of a tree costs O(tree), whatever its depth.
    pub(crate) fn is_gone(&self, ix: Ix, known: &mut KnownGone) -> bool {
        let mut climbed: SmallVec<[Ix; 4]> = SmallVec::new();
        let mut step = ix;
        while !known.0.as_ref().is_some_and(|known| known.contains(&step)) {
            climbed.push(step);
            let state = self.get(step).read();
            if matches!(state.versions.last(), Some(Version { payload: Payload::Removed { .. }, .. })) {
                break;
            }
            match state.owner(LATEST) {
                Some(OwnerEdge { field: ENDED, .. }) => break,
                Some(edge) => step = edge.owner,
                None => return false,
            }
        }
        known.0.get_or_insert_default().extend(climbed);
        true
    }

    /// The value of an entity as of a position. What was not built before costs O(what changed since it was).
    pub(crate) fn cell(&self, ix: Ix, at: Position) -> Result<Arc<dyn AnyCell>, Gone> {
        match self.ready(ix, at)? {
            Some(cell) => Ok(cell),
            None => self.build(ix, at),
        }
    }

    /// The last state that an entity had, whether or not it is there now.
    pub(crate) fn last(&self, ix: Ix) -> Option<Arc<dyn AnyCell>> {
        let at = match self.get(ix).read().versions.last()? {
            Version { position, payload: Payload::Removed { .. } } => Position(position.0 - 1),
            version => version.position,
        };
        self.cell(ix, at).ok()
    }

    /// The newest own state not later than a version: what its own fields are, whatever it owns.
    pub(crate) fn own(&self, ix: Ix, revision: Revision) -> Option<Payload> {
        let index = usize::try_from(revision.0.checked_sub(1)?).ok()?;
        let state = self.get(ix).read();
        (index < state.versions.len()).then(|| state.versions[state.own(index)].payload.clone())
    }

    /// The newest version of an entity and its value, if it is of this type, the value is kept whole, and nothing was
    /// removed since the entity was last seen alive: what nearly every run begins with, in one look.
    pub(crate) fn newest(
        &self,
        id: EntityId,
        row: &'static TypeRow,
        at: Position,
    ) -> Option<(Ix, Revision, Arc<dyn AnyCell>)> {
        let ix = self.find(id)?;
        let lineage = self.get(ix);
        if !lineage.row.is(row) || lineage.alive_at.load(Ordering::Relaxed) != self.removals.load(Ordering::Acquire) {
            return None;
        }
        let state = lineage.read();
        let newest = state.versions.len() - 1;
        let version = &state.versions[newest];
        let cell = match (&version.payload, &state.built) {
            (Payload::Cell(cell), _) => cell,
            (Payload::Carried { .. } | Payload::Record(_), Some((built, cell))) if *built == newest => cell,
            _ => return None,
        };
        (version.position <= at).then(|| (ix, Revision(newest as u64 + 1), Arc::clone(cell)))
    }

    fn ready(&self, ix: Ix, at: Position) -> Result<Option<Arc<dyn AnyCell>>, Gone> {
        let lineage = self.get(ix);
        let state = lineage.read();
        let index = state.as_of(at).ok_or(Gone::NotYet)?;
        match &state.versions[index].payload {
            Payload::Cell(cell) => Ok(Some(Arc::clone(cell))),
            Payload::Removed { .. } => {
                Err(Gone::Removed { entity: lineage.id, by: lineage.id, revision: Revision(index as u64 + 1) })
            }
            Payload::Carried { .. } | Payload::Record(_) => Ok(match &state.built {
                Some((built, cell)) if *built == index => Some(Arc::clone(cell)),
                _ => None,
            }),
        }
    }

    /// Builds the values of an entity and of those below that need it, the deepest first: no depth can overflow the
    /// stack.
    fn build(&self, root: Ix, at: Position) -> Result<Arc<dyn AnyCell>, Gone> {
        let mut built: HashMap<Ix, Arc<dyn AnyCell>, ahash::RandomState> = HashMap::default();
        let mut stack = vec![root];
        while let Some(&ix) = stack.last() {
            if built.contains_key(&ix) {
                stack.pop();
                continue;
            }
            let plan = self.plan(ix, at)?;
            let mut children = Vec::with_capacity(plan.needs.len());
            let waiting = stack.len();
            for need in &plan.needs {
                match built.get(need).cloned().map_or_else(|| self.ready(*need, at), |cell| Ok(Some(cell)))? {
                    Some(cell) => children.push(cell),
                    None => stack.push(*need),
                }
            }
            if stack.len() == waiting {
                let cell = self.assemble(ix, plan, children);
                built.insert(ix, cell);
                stack.pop();
            }
        }
        Ok(built.remove(&root).expect("the loop ends when the root is built"))
    }

    fn plan(&self, ix: Ix, at: Position) -> Result<Plan, Gone> {
        let state = self.get(ix).read();
        let index = state.as_of(at).ok_or(Gone::NotYet)?;
        let newest = index + 1 == state.versions.len();
        let own = state.own(index);
        let (from, base) = match &state.built {
            Some((built, cell)) if (own..=index).contains(built) => (*built, Base::Value(Arc::clone(cell), true)),
            _ => (
                own,
                match &state.versions[own].payload {
                    Payload::Cell(cell) => Base::Value(Arc::clone(cell), false),
                    Payload::Record(record) => Base::Record(Arc::clone(record)),
                    Payload::Carried { .. } | Payload::Removed { .. } => unreachable!("an own version has a state"),
                },
            ),
        };
        let base_position = state.versions[from].position;
        let mut needs: Vec<Ix> = match &base {
            Base::Value(cell, _) if index - from > LONG && index - from > cell.entity().owned() => {
                drop(state);
                self.changed_children(cell.entity(), base_position, at)
            }
            _ => marks(&state, from, index),
        };
        if let Base::Record(record) = &base {
            record.inline_entities(&mut |id| needs.extend(self.find(id)));
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(Plan { index, newest, base, needs })
    }

    /// The owned entities that have a version after one position and not after another.
    fn changed_children(&self, owner: &dyn AnyEntity, after: Position, at: Position) -> Vec<Ix> {
        let mut changed = Vec::new();
        owner.slots(&mut |_, _, slot| {
            changed.extend(self.find(slot.id()).filter(|ix| {
                let state = self.get(*ix).read();
                state.as_of(at).is_some_and(|index| state.versions[index].position > after)
            }));
        });
        changed
    }

    fn assemble(&self, ix: Ix, plan: Plan, mut children: Vec<Arc<dyn AnyCell>>) -> Arc<dyn AnyCell> {
        let mut cell = match plan.base {
            Base::Value(cell, cached) => {
                if cached && plan.newest {
                    // The cached value of an older version is of no use once this one is built: if nobody else holds
                    // it, it is changed in place. Dropped when the lock is released: somebody may have put another there.
                    let old = self.get(ix).write().built.take();
                    drop(old);
                }
                cell
            }
            Base::Record(record) => {
                let lineage = self.get(ix);
                let mut source = Children(children.drain(..).map(|cell| (cell.entity().entity_id(), cell)).collect());
                let restored = lineage.row.restore(lineage.id, &record, &mut source);
                // What the record took is in place; what is left stands under its handles.
                children.extend(source.0.into_values());
                restored.expect("a record restores to the type it was taken from")
            }
        };
        if Arc::get_mut(&mut cell).is_none() {
            cell = cell.duplicate();
        }
        let entity = Arc::get_mut(&mut cell).expect("it was duplicated if it was shared").entity_mut();
        for child in &children {
            let adopted = entity.adopt(child);
            debug_assert!(adopted, "an entity marked as carried is owned directly");
        }
        if plan.newest {
            // What it replaces drops when the lock is released.
            let _old = self.keep(ix, plan.index, &cell);
        }
        cell
    }

    /// Keeps the value of a version, if it is the newest, and gives the one kept before.
    fn keep(&self, ix: Ix, index: usize, cell: &Arc<dyn AnyCell>) -> Option<(usize, Arc<dyn AnyCell>)> {
        let mut state = self.get(ix).write();
        if index + 1 == state.versions.len() { state.built.replace((index, Arc::clone(cell))) } else { None }
    }
}

/// The owned entities that the versions after one index up to another carried.
fn marks(state: &State, from: usize, to: usize) -> Vec<Ix> {
    state.versions[from + 1..=to]
        .iter()
        .filter_map(|version| match &version.payload {
            Payload::Carried { children, .. } => Some(children.iter().copied()),
            _ => None,
        })
        .flatten()
        .collect()
}

/// The values that a record's owned entities have; each is taken once.
struct Children(HashMap<EntityId, Arc<dyn AnyCell>, ahash::RandomState>);

impl Source for Children {
    fn cell(&mut self, id: EntityId, _: &'static Meta) -> Result<Arc<dyn AnyCell>, DecodeError> {
        self.0.remove(&id).ok_or_else(|| DecodeError::saying(format!("the entity {id}"), "none of that id"))
    }
}
