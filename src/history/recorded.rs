//! What a run left, as it was recorded, beside what it leaves when it is run again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::settle::settle_all;
use super::{Argument, CommitError, Entry, History, Proposal, ReadError};
use crate::diff::{Changes, Descend, Recorder, Walk, Whole};
use crate::entity::{AnyCell, Slot, TypeRow};
use crate::id::EntityId;
use crate::lineage::Ix;
use crate::log::RunEnd;
use crate::value::Value;
use crate::when::{Position, Revision, When};

type Cells = Option<Arc<dyn AnyCell>>;

/// What a recorded run left.
pub(crate) struct Recorded {
    history: History,
    /// Its position, and that of what it found.
    at: Position,
    before: Position,
    /// The entities that it was given and that it left otherwise.
    changed: Vec<Ix>,
    /// The roots of trees that came, or that left their owners, in the order in which the log has them.
    roots: Vec<Ix>,
    /// The entities that it made versions of.
    made: HashMap<EntityId, Made, ahash::RandomState>,
}

/// A version that a run made.
struct Made {
    revision: Revision,
    /// Whether the entity came with it.
    came: bool,
}

/// What two runs left.
pub(crate) struct Sides {
    /// Each entity that they were given as the one left it, and as the other did.
    pairs: Vec<(Cells, Cells)>,
    /// The roots that came with the one, and with the other, in order.
    roots: Vec<Arc<dyn AnyCell>>,
    created: Vec<Arc<dyn AnyCell>>,
}

impl Recorded {
    /// What the run of an entry left, but for entities of a type that it did not make itself.
    pub(crate) fn of(history: &History, entry: &Entry, beside: &'static TypeRow) -> Result<Self, ReadError> {
        let at = entry.position();
        let before = Position(at.0 - 1);
        let mut recorded = Self {
            history: history.clone(),
            at,
            before,
            changed: Vec::new(),
            roots: Vec::new(),
            made: HashMap::default(),
        };
        let Some(run) = entry.run().filter(|run| *run.end() == RunEnd::Returned) else { return Ok(recorded) };
        let made = entry.made()?;
        if made.is_empty() {
            return Ok(recorded);
        }
        history.archive.check_commit(at)?;
        let lineages = &history.archive.lineages;
        for (ix, revision) in made {
            let came = !history.is_there(ix, before)?;
            if came && lineages.row(ix)?.is(beside) {
                continue;
            }
            if lineages.owner(ix, at)?.is_none() && (came || lineages.owner(ix, before)?.is_some()) {
                recorded.roots.push(ix);
            }
            recorded.made.insert(lineages.get(ix).id, Made { revision, came });
        }
        let mut given = Vec::new();
        run.arguments().iter().for_each(|argument| entities_in(argument, &mut given));
        for (id, revision) in given {
            let ix = history.archive.locate(id)?;
            let is_next = recorded.made.get(&id).is_some_and(|made| made.revision == Revision(revision.0 + 1));
            if is_next && !recorded.roots.contains(&ix) && !recorded.changed.contains(&ix) {
                recorded.changed.push(ix);
            }
        }
        Ok(recorded)
    }

    /// The identities that came with it, sorted: those that are made one after the other sort as they were made.
    pub(crate) fn came(&self) -> Vec<EntityId> {
        let mut came: Vec<EntityId> = self.made.iter().filter(|(_, made)| made.came).map(|(id, _)| *id).collect();
        came.sort_unstable();
        came
    }

    /// What it left, beside what another run would.
    pub(crate) fn beside(&self, proposal: &mut Proposal) -> Result<Sides, CommitError> {
        for input in &proposal.inputs {
            let (entity, found) = (input.before.entity().entity_id(), input.after.entity().entity_id());
            if entity != found {
                return Err(CommitError::Identity { entity, found });
            }
        }
        settle_all(proposal);
        let mut pairs = Vec::new();
        for input in &proposal.inputs {
            let made = self.made.contains_key(&input.before.entity().entity_id());
            let recorded = if made { self.state(input.ix, self.at)? } else { Some(Arc::clone(&input.before)) };
            pairs.push((recorded, Some(Arc::clone(&input.after))));
        }
        for ix in self.changed_beside(proposal)? {
            pairs.push((self.state(ix, self.at)?, self.state(ix, self.before)?));
        }
        let mut roots = Vec::new();
        for root in &self.roots {
            roots.extend(self.state(*root, self.at)?);
        }
        Ok(Sides { pairs, roots, created: proposal.created.clone() })
    }

    /// Of the entities that the recorded run left otherwise, those that the other run left as they were. A run cannot edit
    /// an entity and its owner: if both were given, the one that was only read is told with the other.
    fn changed_beside(&self, proposal: &Proposal) -> Result<Vec<Ix>, ReadError> {
        let edited: Vec<Ix> = proposal.inputs.iter().map(|input| input.ix).collect();
        let mut beside = Vec::new();
        for ix in self.changed.iter().filter(|ix| !edited.contains(ix)) {
            let is_within = self.is_within(*ix, &edited)? || self.is_within(*ix, &self.changed)?;
            let mut holds = false;
            for edited in &edited {
                holds |= self.is_within(*edited, std::slice::from_ref(ix))?;
            }
            if !is_within && !holds {
                beside.push(*ix);
            }
        }
        Ok(beside)
    }

    /// Whether one of these owned an entity, at whatever depth, before the run.
    fn is_within(&self, ix: Ix, owners: &[Ix]) -> Result<bool, ReadError> {
        let lineages = &self.history.archive.lineages;
        let mut owner = lineages.owner(ix, self.before)?;
        while let Some(edge) = owner {
            if owners.contains(&edge.owner) {
                return Ok(true);
            }
            owner = lineages.owner(edge.owner, self.before)?;
        }
        Ok(false)
    }

    /// An entity as of a position; `None` if it is not there then.
    fn state(&self, ix: Ix, at: Position) -> Result<Cells, ReadError> {
        if !self.history.is_there(ix, at)? {
            return Ok(None);
        }
        self.history.archive.state(ix, at, &When::Position(at)).map(Some)
    }

    /// The identities that the other run is to be given, for each that it drew, if it did not have those that the recorded run
    /// had in their place.
    pub(crate) fn redrawn(
        &self,
        sides: &Sides,
        drawn: &[EntityId],
    ) -> Result<Option<Vec<Option<EntityId>>>, ReadError> {
        if drawn.is_empty() {
            return Ok(None);
        }
        let matched = self.matched(sides, drawn)?;
        let known: Vec<Option<EntityId>> = drawn.iter().map(|id| matched.get(id).copied()).collect();
        let is_right = |(drawn, known): (&EntityId, &Option<EntityId>)| match known {
            Some(known) => known == drawn,
            None => !self.made.get(drawn).is_some_and(|made| made.came),
        };
        let is_right = drawn.iter().zip(&known).all(is_right);
        Ok((!is_right).then_some(known))
    }

    /// Which identities the recorded run had for those that the other run drew: an entity that came is the one that stands
    /// at the same place, in the order of the places, down from what both runs left; and an identity that no entity has
    /// is the one that is mentioned at the same place. O(what the owners of what came hold directly).
    fn matched(&self, sides: &Sides, drawn: &[EntityId]) -> Result<Matched, ReadError> {
        let drawn = drawn.iter().copied().collect();
        let mut matching = Matching { made: &self.made, drawn, matched: Matched::default(), mentions: Vec::new() };
        let given = sides.pairs.iter().filter_map(|(recorded, other)| recorded.as_ref().zip(other.as_ref()));
        let came = sides.roots.iter().filter(|cell| matching.came(&Whole(cell)));
        let new = sides.created.iter().filter(|cell| matching.drawn.contains(&cell.entity().entity_id()));
        let pairs: Vec<(Whole<'_>, Whole<'_>)> =
            given.chain(came.zip(new)).map(|(recorded, other)| (Whole(recorded), Whole(other))).collect();
        let mut stack: Vec<(&dyn Slot, &dyn Slot)> = pairs.iter().map(|pair| (&pair.0 as _, &pair.1 as _)).collect();
        while let Some((recorded, replayed)) = stack.pop() {
            if !recorded.is_same(replayed) {
                matching.pair(recorded, replayed, &mut stack);
            }
        }
        let Matching { mut matched, mentions, .. } = matching;
        let mut taken: HashSet<EntityId, ahash::RandomState> = matched.values().copied().collect();
        for (recorded, drawn) in mentions {
            if !matched.contains_key(&drawn) && !taken.contains(&recorded) && self.never_was(recorded)? {
                matched.insert(drawn, recorded);
                taken.insert(recorded);
            }
        }
        Ok(matched)
    }

    /// Whether no entity had an identity by then.
    fn never_was(&self, id: EntityId) -> Result<bool, ReadError> {
        let archive = &self.history.archive;
        Ok(match archive.find(id)? {
            None => true,
            Some(ix) => archive.lineages.revision(ix, self.at)?.is_none(),
        })
    }
}

/// The identities that one run drew, with those that another has in their place.
type Matched = HashMap<EntityId, EntityId, ahash::RandomState>;

/// Finding which of what one run left is which of what the other did.
struct Matching<'m> {
    made: &'m HashMap<EntityId, Made, ahash::RandomState>,
    drawn: HashSet<EntityId, ahash::RandomState>,
    matched: Matched,
    /// Identities that are mentioned at the same place.
    mentions: Vec<(EntityId, EntityId)>,
}

impl Matching<'_> {
    fn came(&self, slot: &dyn Slot) -> bool {
        self.made.get(&slot.id()).is_some_and(|made| made.came)
    }

    /// Takes two entities as the same, and finds what they own that is the same.
    fn pair<'a>(
        &mut self,
        recorded: &'a dyn Slot,
        replayed: &'a dyn Slot,
        stack: &mut Vec<(&'a dyn Slot, &'a dyn Slot)>,
    ) {
        if self.drawn.contains(&replayed.id()) && self.came(recorded) {
            self.matched.insert(replayed.id(), recorded.id());
        }
        let (recorded, replayed) = (recorded.entity(), replayed.entity());
        self.mentioned(&recorded.encode(), &replayed.encode());
        let mut new: HashMap<u16, Vec<&dyn Slot>> = HashMap::new();
        let mut known: HashMap<EntityId, &dyn Slot> = HashMap::new();
        replayed.slots(&mut |field, _, slot| {
            if self.drawn.contains(&slot.id()) {
                new.entry(field).or_default().push(slot);
            } else {
                known.insert(slot.id(), slot);
            }
        });
        let mut next: HashMap<u16, usize> = HashMap::new();
        recorded.slots(&mut |field, _, slot| {
            if self.came(slot) {
                let next = next.entry(field).or_default();
                stack.extend(new.get(&field).and_then(|new| new.get(*next)).map(|other| (slot, *other)));
                *next += 1;
            } else if self.made.contains_key(&slot.id()) {
                stack.extend(known.get(&slot.id()).map(|other| (slot, *other)));
            }
        });
    }

    /// Finds identities that stand at the same place of two values.
    fn mentioned(&mut self, recorded: &Value, replayed: &Value) {
        let mut stack = vec![(recorded, replayed)];
        while let Some(pair) = stack.pop() {
            match pair {
                (Value::Reference(recorded), Value::Reference(drawn)) if self.drawn.contains(drawn) => {
                    self.mentions.push((*recorded, *drawn));
                }
                (Value::List(recorded), Value::List(replayed)) => stack.extend(recorded.iter().zip(replayed)),
                (Value::Map(recorded), Value::Map(replayed)) => {
                    for ((key, value), (other_key, other)) in recorded.iter().zip(replayed) {
                        stack.extend([(key, other_key), (value, other)]);
                    }
                }
                (Value::Struct(recorded), Value::Struct(replayed)) => {
                    stack.extend(recorded.iter().zip(replayed).map(|(one, other)| (&one.1, &other.1)));
                }
                (Value::Variant(recorded), Value::Variant(replayed)) => stack.push((&recorded.1, &replayed.1)),
                (Value::Some(recorded), Value::Some(replayed)) => stack.push((recorded, replayed)),
                _ => {}
            }
        }
    }
}

impl Sides {
    /// What the other run leaves differently.
    pub(crate) fn changes(&self) -> Result<Changes, CommitError> {
        let pairs: Vec<(Option<Whole<'_>>, Option<Whole<'_>>)> = self
            .pairs
            .iter()
            .map(|(recorded, other)| (recorded.as_ref().map(Whole), other.as_ref().map(Whole)))
            .collect();
        let roots: Vec<Whole<'_>> = self.roots.iter().map(Whole).collect();
        let created: Vec<Whole<'_>> = self.created.iter().map(Whole).collect();
        let mut alone: HashMap<EntityId, &Whole<'_>, ahash::RandomState> =
            roots.iter().map(|root| (root.id(), root)).collect();
        let mut walk = Walk::new(Descend::Everything);
        for created in created.iter().rev() {
            match alone.remove(&created.id()) {
                Some(root) => walk.compare(root, created),
                None => walk.add_root(created),
            }
        }
        roots.iter().filter(|root| alone.contains_key(&root.id())).for_each(|root| walk.remove_root(root));
        for pair in pairs.iter().rev() {
            match pair {
                (Some(recorded), Some(other)) => walk.compare(recorded, other),
                (Some(recorded), None) => walk.remove_root(recorded),
                (None, Some(other)) => walk.add_root(other),
                (None, None) => {}
            }
        }
        let mut recorder = Recorder::default();
        walk.run(&mut |difference| recorder.record(difference))?;
        drop(walk);
        let changes = recorder.finish();
        Ok(match (self.pairs.as_slice(), self.roots.len() + self.created.len()) {
            ([(Some(recorded), Some(other))], 0) => changes.between(Arc::clone(recorded), Arc::clone(other)),
            _ => changes,
        })
    }
}

/// The entities that a run was given as such.
fn entities_in(argument: &Argument, found: &mut Vec<(EntityId, Revision)>) {
    match argument {
        Argument::Entity { id, revision } => found.push((*id, *revision)),
        Argument::Several(arguments) => arguments.iter().for_each(|argument| entities_in(argument, found)),
        Argument::At { .. } | Argument::Value(_) | Argument::TooDeep | Argument::Erased => {}
    }
}
