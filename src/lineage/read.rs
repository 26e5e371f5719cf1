//! Reading a version's value: as it is kept, or built from its own state and what it owns as of then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::past::{PastKind, PastState, Place, Presence, Unreadable, index_of, not_there};
use super::{ENDED, Ix, Lineages, OwnerEdge, Payload, Replaced, State, Version};
use crate::entity::{AnyCell, AnyEntity, Load, Record, Source, TypeRow};
use crate::id::EntityId;
use crate::schema::Meta;
use crate::value::DecodeError;
use crate::when::{LATEST, Position, Revision};

/// Why an entity has no state at a position.
#[derive(Clone, Debug)]
pub(crate) enum Gone {
    /// It was not there yet.
    NotYet,
    /// It, or an owner of it, was removed.
    Removed { by: EntityId, revision: Revision },
    /// It went with an owner that came back without it; how is forgotten.
    Ended { owner: EntityId },
    /// What is known of it could not be read.
    Unreadable(Unreadable),
}

impl From<Unreadable> for Gone {
    fn from(error: Unreadable) -> Self {
        Gone::Unreadable(error)
    }
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
    /// The position of the version.
    at: Position,
}

enum Base {
    /// A value of an earlier version; whether it is the cached one.
    Value(Arc<dyn AnyCell>, bool),
    Record(Arc<Record>),
    /// An own state from the store, by its index.
    Stored(usize, PastState),
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
            let Some(Presence { index, removed, owner }) = self.presence(step, at)? else { return Err(Gone::NotYet) };
            if removed {
                return Err(Gone::Removed { by: self.get(step).id, revision: Revision(index as u64 + 1) });
            }
            climb = match owner {
                Some((since, Some(OwnerEdge { field: ENDED, owner }))) => return Err(self.ended(step, since, owner)),
                Some((_, Some(edge))) => Some(edge.owner),
                Some((_, None)) | None => None,
            };
        }
        if at >= self.head() && at.0 >= self.last_removal.load(Ordering::Acquire) {
            lineage.alive_at.store(removals, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How an entity went that ended with an owner.
    fn ended(&self, ix: Ix, since: Position, owner: Ix) -> Gone {
        let before = Position(since.0 - 1);
        let known = self.past.as_ref().map_or(Ok(true), |past| past.is_known(before));
        match known {
            Err(error) => return Gone::Unreadable(error),
            Ok(false) => return Gone::Ended { owner: self.get(owner).id },
            Ok(true) => {}
        }
        match self.alive(ix, before) {
            Err(Gone::Ended { owner }) => Gone::Ended { owner },
            Err(Gone::Removed { by, revision, .. }) => Gone::Removed { by, revision },
            Err(Gone::Unreadable(error)) => Gone::Unreadable(error),
            Ok(()) | Err(Gone::NotYet) => Gone::NotYet,
        }
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
    pub(crate) fn last(&self, ix: Ix) -> Result<Option<Arc<dyn AnyCell>>, Unreadable> {
        let at = match self.get(ix).read().versions.last() {
            None => return Ok(None),
            Some(Version { position, payload: Payload::Removed { .. } }) => Position(position.0 - 1),
            Some(version) => version.position,
        };
        match self.cell(ix, at) {
            Ok(cell) => Ok(Some(cell)),
            Err(Gone::Unreadable(error)) => Err(error),
            Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => Ok(None),
        }
    }

    /// The newest own state not later than a version: what its own fields are, whatever it owns. With its revision.
    pub(crate) fn own(&self, ix: Ix, revision: Revision) -> Result<Option<(Revision, Payload)>, Unreadable> {
        let Some((_, payload)) = self.version(ix, revision)? else { return Ok(None) };
        let own = match payload {
            Payload::Carried { own, .. } | Payload::Removed { own } => Revision(u64::from(own) + 1),
            payload => return Ok(Some((revision, payload))),
        };
        Ok(self.version(ix, own)?.map(|(_, payload)| (own, payload)))
    }

    /// The newest version of an entity and its value, if it is of this type, the value is kept whole, and nothing was
    /// removed since the entity was last seen alive: what nearly every run begins with, in one look.
    pub(crate) fn newest(
        &self,
        id: EntityId,
        row: &'static TypeRow,
        at: Position,
    ) -> Option<(Ix, Revision, Arc<dyn AnyCell>)> {
        let ix = self.known(id)?;
        let lineage = self.get(ix);
        if !lineage.row.get().is_some_and(|known| known.is(row))
            || lineage.alive_at.load(Ordering::Relaxed) != self.removals.load(Ordering::Acquire)
        {
            return None;
        }
        let state = lineage.read();
        let newest = state.newest();
        let version = state.versions.last()?;
        let cell = match (&version.payload, &state.built) {
            (Payload::Cell(cell), _) => cell,
            (Payload::Carried { .. } | Payload::Record(_) | Payload::Stored, Some((built, cell)))
                if *built == newest =>
            {
                cell
            }
            _ => return None,
        };
        if self.is_kept() {
            lineage.holding.touch();
        }
        (version.position <= at).then(|| (ix, Revision(newest as u64 + 1), Arc::clone(cell)))
    }

    fn ready(&self, ix: Ix, at: Position) -> Result<Option<Arc<dyn AnyCell>>, Gone> {
        let lineage = self.get(ix);
        let removed = |index| Gone::Removed { by: lineage.id, revision: Revision(index as u64 + 1) };
        let state = lineage.read();
        let index = match state.as_of(at) {
            Place::Here(index) => index,
            Place::NotYet => return Err(Gone::NotYet),
            // Whether it was there is seen when it is built.
            Place::Earlier => return Ok(None),
        };
        match state.payload(index) {
            Some(Payload::Cell(cell)) => Ok(Some(Arc::clone(cell))),
            Some(Payload::Removed { .. }) => Err(removed(index)),
            _ => Ok(match &state.built {
                Some((built, cell)) if *built == index => Some(Arc::clone(cell)),
                _ => None,
            }),
        }
    }

    /// Builds the values of an entity and of those below that need it, the deepest first: no depth can overflow the
    /// stack.
    fn build(&self, root: Ix, at: Position) -> Result<Arc<dyn AnyCell>, Gone> {
        self.build_by(root, at, None)
    }

    /// The value of a version that brought a state of its own, which the store has: as of that version.
    pub(crate) fn stored_cell(&self, ix: Ix, own: Revision, at: Position) -> Result<Arc<dyn AnyCell>, Gone> {
        let index = index_of(own) as usize;
        let plan = self.plan_stored(ix, index, false, index, at)?;
        self.build_by(ix, at, Some(plan))
    }

    fn build_by(&self, root: Ix, at: Position, mut first: Option<Plan>) -> Result<Arc<dyn AnyCell>, Gone> {
        let mut built: HashMap<Ix, Arc<dyn AnyCell>, ahash::RandomState> = HashMap::default();
        let erasures = self.erasures.load(Ordering::SeqCst);
        let mut stack = vec![root];
        while let Some(&ix) = stack.last() {
            if built.contains_key(&ix) {
                stack.pop();
                continue;
            }
            let plan = match first.take() {
                Some(plan) => plan,
                None => self.plan(ix, at)?,
            };
            let mut children = Vec::with_capacity(plan.needs.len());
            let waiting = stack.len();
            for need in &plan.needs {
                match built.get(need).cloned().map_or_else(|| self.ready(*need, at), |cell| Ok(Some(cell)))? {
                    Some(cell) => children.push(cell),
                    None => stack.push(*need),
                }
            }
            if stack.len() == waiting {
                let cell = self.assemble(ix, plan, children)?;
                built.insert(ix, cell);
                stack.pop();
            }
        }
        let mut replaced = Replaced::new();
        if self.erasures.load(Ordering::SeqCst) != erasures {
            self.let_go_of_built(built.keys().copied(), &mut replaced);
        }
        self.make_room(&mut replaced);
        Ok(built.remove(&root).expect("the loop ends when the root is built"))
    }

    fn plan(&self, ix: Ix, at: Position) -> Result<Plan, Gone> {
        let lineage = self.get(ix);
        let state = lineage.read();
        let index = match state.as_of(at) {
            Place::Here(index) => index,
            Place::NotYet => return Err(Gone::NotYet),
            Place::Earlier => {
                drop(state);
                let version = self.past().version_at(lineage.id, at)?.ok_or(Gone::NotYet)?;
                let own = match version.kind {
                    PastKind::Own => version.revision,
                    PastKind::Carried(own) => own,
                    PastKind::Removed(_) => {
                        return Err(Gone::Removed { by: lineage.id, revision: version.revision });
                    }
                };
                let index = index_of(version.revision) as usize;
                return self.plan_stored(ix, index, false, index_of(own) as usize, version.position);
            }
        };
        let newest = index == state.newest();
        let own = state.own(index);
        let (from, base) = match (&state.built, state.payload(own)) {
            (Some((built, cell)), _) if (own..=index).contains(built) => (*built, Base::Value(Arc::clone(cell), true)),
            (_, Some(Payload::Cell(cell))) => (own, Base::Value(Arc::clone(cell), false)),
            (_, Some(Payload::Record(record))) => (own, Base::Record(Arc::clone(record))),
            _ => {
                let position = state.version(index).map_or(at, |version| version.position);
                drop(state);
                return self.plan_stored(ix, index, newest, own, position);
            }
        };
        let base_position = state.version(from).map_or(at, |version| version.position);
        let mut needs: Vec<Ix> = match &base {
            Base::Value(cell, _) if index - from > LONG && index - from > cell.entity().owned() => {
                drop(state);
                self.changed_children(cell.entity(), base_position, at)?
            }
            _ => {
                let marks = marks(&state, from, index);
                drop(state);
                marks
            }
        };
        if let Base::Record(record) = &base {
            let mut held = Vec::new();
            record.inline_entities(&mut |id| held.push(id));
            for id in held {
                // One under a handle that was cold when the record was taken may be in the store alone.
                needs.extend(self.find(id)?);
            }
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(Plan { index, newest, base, needs, at: base_position })
    }

    /// What a value is built from whose own state the store has. What it owned behind handles is read when somebody
    /// looks, as of the position of the version.
    fn plan_stored(&self, ix: Ix, index: usize, newest: bool, own: usize, at: Position) -> Result<Plan, Gone> {
        let state = self.past().state(self.get(ix).id, Revision(own as u64 + 1))?;
        let mut needs = Vec::with_capacity(state.inline.len());
        for id in &state.inline {
            needs.push(self.find(*id)?.ok_or_else(|| not_there(*id, "an owned entity"))?);
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(Plan { index, newest, base: Base::Stored(own, state), needs, at })
    }

    /// The owned entities that have a version after one position and not after another.
    fn changed_children(&self, owner: &dyn AnyEntity, after: Position, at: Position) -> Result<Vec<Ix>, Unreadable> {
        let mut changed = Vec::new();
        let mut failed = None;
        owner.slots(&mut |_, _, slot| {
            // What is not in memory has not changed since it was put there.
            if let Some(ix) = self.known(slot.id()) {
                match self.changed_in(ix, after, at) {
                    Ok(true) => changed.push(ix),
                    Ok(false) => {}
                    Err(error) => failed = Some(error),
                }
            }
        });
        failed.map_or(Ok(changed), Err)
    }

    /// Whether an entity has a version after one position and not after another.
    fn changed_in(&self, ix: Ix, after: Position, at: Position) -> Result<bool, Unreadable> {
        let lineage = self.get(ix);
        {
            let state = lineage.read();
            match state.as_of(at) {
                Place::Here(index) => return Ok(state.version(index).is_some_and(|version| version.position > after)),
                Place::NotYet => return Ok(false),
                Place::Earlier => {}
            }
        }
        Ok(self.past().version_at(lineage.id, at)?.is_some_and(|version| version.position > after))
    }

    fn assemble(
        &self,
        ix: Ix,
        plan: Plan,
        mut children: Vec<Arc<dyn AnyCell>>,
    ) -> Result<Arc<dyn AnyCell>, Unreadable> {
        let lineage = self.get(ix);
        let by_id = |children: &mut Vec<Arc<dyn AnyCell>>| {
            children.drain(..).map(|cell| (cell.entity().entity_id(), cell)).collect()
        };
        let mut cell = match plan.base {
            Base::Value(cell, cached) => {
                if cached && plan.newest {
                    // The cached value of an older version is of no use once this one is built: if nobody else holds
                    // it, it is changed in place. Dropped when the lock is released: somebody may have put another there.
                    let old = lineage.write().built.take();
                    drop(old);
                }
                cell
            }
            Base::Record(record) => {
                let mut source = Children { cells: by_id(&mut children), loader: None };
                let restored = self.row(ix)?.restore(lineage.id, &record, &mut source);
                // What the record took is in place; what is left stands under its handles.
                children.extend(source.cells.into_values());
                restored.expect("a record restores to the type it was taken from")
            }
            Base::Stored(own, state) => {
                let (past, id) = (self.past(), lineage.id);
                let mut source = Children { cells: by_id(&mut children), loader: Some(past.loader(id, plan.at)) };
                let decoded = state.row.decode(id, &state.value, &mut source);
                let cell = decoded.map_err(|error| past.undecodable(id, Revision(own as u64 + 1), error))?;
                let is_newest = {
                    let mut known = lineage.write();
                    let is_newest = known.own(known.newest()) == own;
                    if is_newest {
                        known.weight = state.weight;
                    }
                    is_newest
                };
                if is_newest && plan.newest {
                    self.hold(ix, state.weight.whole);
                }
                cell
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
        Ok(cell)
    }

    /// Keeps the value of a version, if it is the newest, and gives the one kept before.
    fn keep(&self, ix: Ix, index: usize, cell: &Arc<dyn AnyCell>) -> Option<(usize, Arc<dyn AnyCell>)> {
        let mut state = self.get(ix).write();
        if index == state.newest() { state.built.replace((index, Arc::clone(cell))) } else { None }
    }
}

/// The owned entities that the versions after one index up to another carried; both are here.
fn marks(state: &State, from: usize, to: usize) -> Vec<Ix> {
    state.versions[from + 1 - state.first..=to - state.first]
        .iter()
        .filter_map(|version| match &version.payload {
            Payload::Carried { children, .. } => Some(children.iter().copied()),
            _ => None,
        })
        .flatten()
        .collect()
}

/// The values of owned entities, each taken once, and where those behind handles are loaded from.
struct Children {
    cells: HashMap<EntityId, Arc<dyn AnyCell>, ahash::RandomState>,
    loader: Option<Arc<dyn Load>>,
}

impl Source for Children {
    fn cell(&mut self, id: EntityId, _: &'static Meta) -> Result<Arc<dyn AnyCell>, DecodeError> {
        self.cells.remove(&id).ok_or_else(|| DecodeError::saying(format!("the entity {id}"), "none of that id"))
    }
    fn loader(&self) -> Option<Arc<dyn Load>> {
        self.loader.clone()
    }
}
