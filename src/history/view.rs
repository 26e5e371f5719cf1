//! An entity's versions as a list that prints as it is, and the changes of one commit.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Entry, History, ReadError, Run};
use crate::diff::{ChangeKind, Changes, Descend, Difference, Recorder, Spot, Standing, Subject, Walk, Whole, subject};
use crate::entity::AnyCell;
use crate::id::EntityId;
use crate::lineage::{Ix, Payload};
use crate::log::RunEnd;
use crate::when::{Position, Revision, Timestamp};

/// Why a version was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VersionKind {
    /// Its fields, what it owns directly, or its place changed.
    Own,
    /// Something deeper in it changed.
    Carried,
    /// It was removed.
    Removed,
}

/// One version of an entity.
#[derive(Clone)]
pub struct Version {
    /// The entity.
    pub entity: EntityId,
    /// Its number in the lineage.
    pub revision: Revision,
    /// The position of the commit that made it.
    pub position: Position,
    /// Why it was made.
    pub kind: VersionKind,
    /// The revision it came from; `None` for the first.
    pub predecessor: Option<Revision>,
    history: History,
    ix: Ix,
}

/// One value that a field had.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FieldVersion<F> {
    /// The revision that brought it.
    pub revision: Revision,
    /// The position of the commit.
    pub position: Position,
    /// When that was.
    pub time: Option<Timestamp>,
    /// Who did it.
    pub author: Option<String>,
    /// The value.
    pub value: F,
}

/// The versions of an entity, newest first. It prints one line each.
#[derive(Clone)]
pub struct Versions {
    history: History,
    ix: Ix,
    last: u64,
}

impl Versions {
    pub(super) fn new(history: History, ix: Ix) -> Self {
        let last = history.store.lineages.revision(ix, history.head()).map_or(0, |revision| revision.0);
        Self { history, ix, last }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.last).expect("versions are held in memory")
    }

    /// Never: an entity that is known has a version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last == 0
    }

    /// The versions, newest first; `.rev()` turns them round.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Version> + '_ {
        (1..=self.last).rev().filter_map(|revision| self.get(Revision(revision)))
    }

    /// The version of a revision.
    #[must_use]
    pub fn get(&self, revision: Revision) -> Option<Version> {
        if revision.0 > self.last {
            return None;
        }
        let (position, payload) = self.history.store.lineages.version(self.ix, revision)?;
        Some(Version {
            entity: self.history.store.lineages.get(self.ix).id,
            revision,
            position,
            kind: match payload {
                Payload::Cell(_) | Payload::Record(_) => VersionKind::Own,
                Payload::Carried { .. } => VersionKind::Carried,
                Payload::Removed { .. } => VersionKind::Removed,
            },
            predecessor: revision.0.checked_sub(1).filter(|before| *before > 0).map(Revision),
            history: self.history.clone(),
            ix: self.ix,
        })
    }
}

impl Version {
    /// The entry of the log that made it: time, author, run.
    #[must_use]
    pub fn entry(&self) -> Entry {
        self.history.entry(self.position).expect("a version is published with its entry")
    }

    /// What the commit changed in this entity itself: its fields, its place, and what came into it, went out of it or
    /// changed places in it. For a carried version, no more than that it changed places in its owner.
    ///
    /// These are the changes of the commit ([`History::changes`]) that tell of the entity or of what it owns directly,
    /// in the same order. The cost is that of what can tell: comparing the entity's own state; its owner's, if the
    /// commit changed that one itself too; and the other owner's, for what came from one or went to one. For a version
    /// with which it came or went, a look at each entity that it owned directly. Nothing else of the commit is read, but
    /// where several of these tell of places, its list of versions is looked through for their order: O(versions of the
    /// commit).
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.history.changes_about(self.ix, self.revision, self.position)
    }

    /// The version as JSON:
    /// `{"revision", "position", "kind", "time", "author", "message", "callable", "changes": [...]}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let entry = self.entry();
        json!({
            "revision": self.revision,
            "position": self.position,
            "kind": match self.kind {
                VersionKind::Own => "own",
                VersionKind::Carried => "carried",
                VersionKind::Removed => "removed",
            },
            "time": entry.time(),
            "author": entry.author(),
            "message": entry.message(),
            "callable": entry.run().map(Run::callable),
            "changes": self.changes().to_json(),
        })
    }

    /// What happened to it, where its own changes do not say: it came, or went, with an owner that the commit tells of.
    fn in_a_word(&self) -> &'static str {
        let before = Position(self.position.0 - 1);
        match self.kind {
            VersionKind::Removed => "removed",
            _ if self.history.store.lineages.alive(self.ix, before).is_err() => "added",
            _ => "changed",
        }
    }

    /// The entities that carried it along.
    fn carried_by(&self) -> Vec<Subject> {
        let store = &self.history.store;
        let Some((position, Payload::Carried { children, .. })) = store.lineages.version(self.ix, self.revision) else {
            return Vec::new();
        };
        children
            .iter()
            .filter_map(|child| {
                let revision = store.lineages.revision(*child, position)?;
                store.own_state(*child, revision).map(|cell| subject(cell.entity()))
            })
            .collect()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.revision)?;
        let entry = self.entry();
        if let Some(author) = entry.author() {
            write!(f, " {author}")?;
        }
        if let Some(run) = entry.run() {
            write!(f, " {}", run.callable())?;
        }
        if let Some(message) = entry.message() {
            write!(f, " {message:?}")?;
        }
        match self.kind {
            VersionKind::Carried => {
                let children: Vec<String> = self.carried_by().iter().map(Subject::to_string).collect();
                write!(f, " carried by {}", children.join(", "))
            }
            VersionKind::Own | VersionKind::Removed => {
                let mut details: Vec<String> = Vec::new();
                for change in &self.changes() {
                    if change.entity.id == self.entity {
                        details.extend(change.details());
                    } else {
                        details.push(change.to_string());
                    }
                }
                if details.is_empty() {
                    details.push(self.in_a_word().to_owned());
                }
                write!(f, " {}", details.join(", "))
            }
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {} ({:?})", self.entity, self.revision, self.position, self.kind)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, version) in self.iter().enumerate() {
            write!(f, "{}{version}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One entity's own state before and after a commit.
#[derive(Clone)]
struct Step {
    ix: Ix,
    before: Option<Arc<dyn AnyCell>>,
    after: Option<Arc<dyn AnyCell>>,
}

/// The steps of a commit that can tell of one entity.
type Tellers = HashMap<Ix, Step, ahash::RandomState>;

/// An owned entity, by the state of its owner.
struct Place {
    owner: Arc<dyn AnyCell>,
    entity: EntityId,
}

impl Place {
    fn standing(&self) -> Option<Standing<'_>> {
        let owner = self.owner.entity();
        owner.find(self.entity).map(|(field, key, slot)| (slot, Some(Spot { owner, field, key })))
    }
}

impl History {
    /// What a commit changed, found from the versions that it made: O(c log n), and for an owner among these also what was
    /// carried in it since its last own version.
    ///
    /// # Errors
    /// There is no entry at this position.
    pub fn changes(&self, position: Position) -> Result<Changes, ReadError> {
        let line = self.line(position)?;
        if line.run.as_ref().is_some_and(|ran| *ran.end() != RunEnd::Returned) {
            return Ok(Changes::default());
        }
        let steps: Vec<Step> = self
            .store
            .log
            .made(line)
            .iter()
            .filter_map(|(ix, index)| self.step(Ix(*ix), u64::from(*index) + 1))
            .collect();
        Ok(self.compare(&steps, position, Recorder::default()))
    }

    /// What a commit changed in one entity that it made a version of.
    fn changes_about(&self, ix: Ix, revision: Revision, position: Position) -> Changes {
        let lineages = &self.store.lineages;
        let entity = lineages.get(ix).id;
        let mut tellers = Tellers::default();
        tellers.extend(self.step(ix, revision.0).map(|step| (ix, step)));
        self.add_owners(ix, position, &mut tellers);
        let known = tellers.len();
        let steps: Vec<Step> = tellers.values().cloned().collect();
        let changes = self.compare(&steps, position, Recorder::about(entity));
        // What came or went may have moved: then its other end tells of it too.
        let mut others: Vec<EntityId> = changes
            .iter()
            .filter(|change| matches!(change.kind, ChangeKind::Added { .. } | ChangeKind::Removed { .. }))
            .map(|change| change.entity.id)
            .collect();
        // An entity that comes or goes is not compared, and nobody told of what it owns.
        if let Some(Step { before: Some(whole), after: None, .. } | Step { before: None, after: Some(whole), .. }) =
            tellers.get(&ix)
        {
            whole.entity().slots(&mut |_, _, slot| others.push(slot.id()));
        }
        for other in others.into_iter().filter_map(|id| lineages.find(id)) {
            if let Some(step) = self.step_through(other, position) {
                tellers.insert(other, step);
                self.add_owners(other, position, &mut tellers);
            }
        }
        let is_own = |kind: &ChangeKind| matches!(kind, ChangeKind::Changed { .. } | ChangeKind::Retyped { .. });
        let told_by_one = known < 2 || changes.len() < 2 || changes.iter().all(|change| is_own(&change.kind));
        if told_by_one && tellers.len() == known {
            return changes;
        }
        self.compare(&self.in_order(&tellers, position), position, Recorder::about(entity))
    }

    /// Adds the steps of the owners that an entity had before a commit and has after it.
    fn add_owners(&self, ix: Ix, position: Position, tellers: &mut Tellers) {
        for at in [Position(position.0 - 1), position] {
            if let Some(edge) = self.store.lineages.owner(ix, at)
                && !tellers.contains_key(&edge.owner)
            {
                tellers.extend(self.step_through(edge.owner, position).map(|step| (edge.owner, step)));
            }
        }
    }

    /// The step of an entity that a commit changed, which was there before and is there after.
    fn step_through(&self, ix: Ix, position: Position) -> Option<Step> {
        let lineages = &self.store.lineages;
        let revision = lineages.revision(ix, position)?;
        let (made, payload) = lineages.version(ix, revision)?;
        let stays = made == position
            && matches!(payload, Payload::Cell(_) | Payload::Record(_))
            && lineages.alive(ix, Position(position.0 - 1)).is_ok();
        if stays { self.step(ix, revision.0) } else { None }
    }

    /// Steps in the order in which the commit made them, which is that of what they tell.
    fn in_order(&self, tellers: &Tellers, position: Position) -> Vec<Step> {
        let made = self.store.log.get(position).map_or(&[][..], |line| self.store.log.made(line));
        made.iter().filter_map(|(ix, _)| tellers.get(&Ix(*ix)).cloned()).take(tellers.len()).collect()
    }

    /// What these steps of a commit tell.
    fn compare(&self, steps: &[Step], position: Position, mut recorder: Recorder) -> Changes {
        let wholes: Vec<(Option<Whole<'_>>, Option<Whole<'_>>)> =
            steps.iter().map(|step| (step.before.as_ref().map(Whole), step.after.as_ref().map(Whole))).collect();
        let mut walk = Walk::new(Descend::OwnStateOnly);
        for (before, after) in wholes.iter().rev() {
            // Entities that are new or gone and owned are told of by their owners.
            if let (Some(before), Some(after)) = (before, after) {
                walk.compare(before, after);
            }
        }
        let hidden = self.hidden_moves(steps, position);
        for (from, to) in &hidden {
            walk.expect_move(from.as_ref().and_then(Place::standing), to.as_ref().and_then(Place::standing));
        }
        for (step, (before, after)) in steps.iter().zip(&wholes) {
            let was_root = self.store.lineages.owner(step.ix, Position(position.0 - 1)).is_none();
            let is_root = self.store.lineages.owner(step.ix, position).is_none();
            if let Some(after) = after
                && is_root
                && (before.is_none() || !was_root)
            {
                walk.add_root(after);
            }
            if let Some(before) = before
                && was_root
                && (after.is_none() || !is_root)
            {
                walk.remove_root(before);
            }
        }
        walk.run(&mut |difference: Difference<'_>| recorder.record(difference))
            .expect("a commit holds no entity twice");
        let mut changes = recorder.finish();
        let (lineages, before) = (&self.store.lineages, Position(position.0 - 1));
        changes.put_whole_states(|id| lineages.find(id).and_then(|ix| lineages.cell(ix, before).ok()));
        changes
    }

    /// Where the moved entities of a commit stood in what it removed, and stand in what it added: their owners are not
    /// compared, so that nobody tells of it.
    fn hidden_moves(&self, steps: &[Step], position: Position) -> Vec<(Option<Place>, Option<Place>)> {
        let lineages = &self.store.lineages;
        let (before, after) = (Position(position.0 - 1), position);
        let hidden = |ix: Ix, here: Position, there: Position| {
            let owner = lineages.owner(ix, here)?.owner;
            lineages.alive(owner, there).is_err().then_some(())?;
            Some(Place { owner: lineages.cell(owner, here).ok()?, entity: lineages.get(ix).id })
        };
        steps
            .iter()
            .filter(|step| step.before.is_some() && step.after.is_some())
            .map(|step| (hidden(step.ix, before, after), hidden(step.ix, after, before)))
            .filter(|(from, to)| from.is_some() || to.is_some())
            .collect()
    }

    /// The versions that a commit made: those of what changed, then those of the owners that were carried along.
    ///
    /// # Errors
    /// There is no entry at this position.
    pub fn versions(&self, position: Position) -> Result<Vec<Version>, ReadError> {
        let line = self.line(position)?;
        let version =
            |(ix, index): &(u32, u32)| Versions::new(self.clone(), Ix(*ix)).get(Revision(u64::from(*index) + 1));
        Ok(self.store.log.made(line).iter().filter_map(version).collect())
    }

    fn step(&self, ix: Ix, revision: u64) -> Option<Step> {
        let store = &self.store;
        let (position, payload) = store.lineages.version(ix, Revision(revision))?;
        let after = match payload {
            Payload::Carried { .. } => return None,
            Payload::Removed { .. } => None,
            Payload::Cell(cell) => Some(cell),
            Payload::Record(_) => store.lineages.cell(ix, position).ok(),
        };
        let earlier = Position(position.0 - 1);
        let there_before = store.lineages.alive(ix, earlier).is_ok();
        let before = if there_before { store.own_state(ix, Revision(revision - 1)) } else { None };
        Some(Step { ix, before, after })
    }
}
