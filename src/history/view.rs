//! An entity's versions as a list that prints as it is, and the changes of one commit.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::hidden::Place;
use super::{Entry, History, ReadError};
use crate::children::loading;
use crate::diff::{ChangeKind, Changes, Descend, Difference, Recorder, Subject, Walk, Whole, subject};
use crate::entity::AnyCell;
use crate::id::EntityId;
use crate::lineage::{Gone, Ix, Payload};
use crate::log::RunEnd;
use crate::when::{Position, Revision, Timestamp, When};

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
    pub time: Timestamp,
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
    pub(super) fn new(history: History, ix: Ix) -> Result<Self, ReadError> {
        let last = history.archive.lineages.revision(ix, history.head())?.map_or(0, |revision| revision.0);
        Ok(Self { history, ix, last })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.last).unwrap_or(usize::MAX)
    }

    /// Never: an entity that is known has a version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last == 0
    }

    /// The versions, newest first; `.rev()` turns them round. Each is read when it is asked for: an error says that
    /// this one cannot be.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Result<Version, ReadError>> + '_ {
        (1..=self.last).rev().filter_map(|revision| self.get(Revision(revision)).transpose())
    }

    /// The version of a revision; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn get(&self, revision: Revision) -> Result<Option<Version>, ReadError> {
        if revision.0 > self.last {
            return Ok(None);
        }
        let version = self.history.version(self.ix, revision)?;
        if let Some(version) = &version {
            self.history.archive.first_known(self.ix, revision, version.position)?;
        }
        Ok(version)
    }
}

impl Version {
    /// The entry of the log that made it: time, author, run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entry(&self) -> Result<Entry, ReadError> {
        self.history.entry(self.position)
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
    ///
    /// # Errors
    /// They cannot be read.
    pub fn changes(&self) -> Result<Changes, ReadError> {
        guarded(|| self.history.changes_about(self.ix, self.revision, self.position))
    }

    /// The version as JSON:
    /// `{"revision", "position", "kind", "time", "author", "message", "callable", "changes": [...]}`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn to_json(&self) -> Result<Json, ReadError> {
        let entry = self.entry()?;
        Ok(json!({
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
            "callable": entry.run().map(|run| run.callable()),
            "changes": self.changes()?.to_json()?,
        }))
    }

    /// What happened to it, where its own changes do not say: it came, or went, with an owner that the commit tells of.
    fn in_a_word(&self) -> Result<&'static str, ReadError> {
        Ok(match self.kind {
            VersionKind::Removed => "removed",
            _ if self.history.is_there(self.ix, Position(self.position.0 - 1))? => "changed",
            _ => "added",
        })
    }

    /// The entities that carried it along.
    fn carried_by(&self) -> Result<Vec<Subject>, ReadError> {
        let archive = &self.history.archive;
        let mut subjects = Vec::new();
        for child in archive.lineages.carried(self.ix, self.revision)? {
            if let Some(revision) = archive.lineages.revision(child, self.position)?
                && let Some(cell) = archive.own_state(child, revision)?
            {
                subjects.push(subject(cell.entity()));
            }
        }
        Ok(subjects)
    }

    /// The line that it prints, but for its revision.
    fn line(&self) -> Result<String, ReadError> {
        let mut line = String::new();
        let entry = self.entry()?;
        if let Some(author) = entry.author() {
            line.push_str(&format!(" {author}"));
        }
        if let Some(run) = entry.run() {
            line.push_str(&format!(" {}", run.callable()));
        }
        if let Some(message) = entry.message() {
            line.push_str(&format!(" {message:?}"));
        }
        if self.kind == VersionKind::Carried {
            let children = match self.carried_by() {
                Err(ReadError::Erased { .. }) => "what is erased".to_owned(),
                children => children?.iter().map(Subject::to_string).collect::<Vec<_>>().join(", "),
            };
            return Ok(format!("{line} carried by {children}"));
        }
        let mut details: Vec<String> = Vec::new();
        let changes = match self.changes() {
            // What happened is told, and not to what.
            Err(ReadError::Erased { .. }) => return Ok(format!("{line} {}, erased", self.in_a_word()?)),
            changes => changes?,
        };
        for change in &changes {
            if change.entity.id == self.entity {
                details.extend(change.details());
            } else {
                details.push(change.to_string());
            }
        }
        if details.is_empty() {
            details.push(self.in_a_word()?.to_owned());
        }
        Ok(format!("{line} {}", details.join(", ")))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.revision)?;
        match self.line() {
            Ok(line) => f.write_str(&line),
            Err(error) => write!(f, " <{error}>"),
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
            f.write_str(if index > 0 { "\n" } else { "" })?;
            match version {
                Ok(version) => write!(f, "{version}")?,
                Err(error) => write!(f, "<{error}>")?,
            }
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
pub(super) struct Step {
    pub(super) ix: Ix,
    pub(super) before: Option<Arc<dyn AnyCell>>,
    pub(super) after: Option<Arc<dyn AnyCell>>,
}

/// The steps of a commit that can tell of one entity.
type Tellers = HashMap<Ix, Step, ahash::RandomState>;

impl History {
    /// What a commit changed, found from the versions that it made: O(c log n), and for an owner among these also what was
    /// carried in it since its last own version.
    ///
    /// # Errors
    /// There is no entry at this position, or it cannot be read.
    pub fn changes(&self, position: Position) -> Result<Changes, ReadError> {
        let entry = self.entry(position)?;
        if entry.run().is_some_and(|run| *run.end() != RunEnd::Returned) {
            return Ok(Changes::default());
        }
        if entry.version_count() > 0 {
            self.archive.check_commit(position)?;
        }
        guarded(|| {
            let mut steps = Vec::new();
            for (ix, revision) in entry.made()? {
                steps.extend(self.step(ix, revision)?);
            }
            self.compare(&steps, position, Recorder::default())
        })
    }

    /// What a commit changed in one entity that it made a version of.
    fn changes_about(&self, ix: Ix, revision: Revision, position: Position) -> Result<Changes, ReadError> {
        self.archive.check_commit(position)?;
        let lineages = &self.archive.lineages;
        let entity = lineages.get(ix).id;
        let mut tellers = Tellers::default();
        tellers.extend(self.step(ix, revision)?.map(|step| (ix, step)));
        self.add_owners(ix, position, &mut tellers)?;
        let known = tellers.len();
        let steps: Vec<Step> = tellers.values().cloned().collect();
        let changes = self.compare(&steps, position, Recorder::about(entity))?;
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
        for other in others {
            if let Some(other) = lineages.find(other)?
                && let Some(step) = self.step_through(other, position)?
            {
                tellers.insert(other, step);
                self.add_owners(other, position, &mut tellers)?;
            }
        }
        let is_own = |kind: &ChangeKind| matches!(kind, ChangeKind::Changed { .. } | ChangeKind::Retyped { .. });
        let told_by_one = known < 2 || changes.len() < 2 || changes.iter().all(|change| is_own(&change.kind));
        if told_by_one && tellers.len() == known {
            return Ok(changes);
        }
        self.compare(&self.in_order(&tellers, position)?, position, Recorder::about(entity))
    }

    /// Adds the steps of the owners that an entity had before a commit and has after it.
    fn add_owners(&self, ix: Ix, position: Position, tellers: &mut Tellers) -> Result<(), ReadError> {
        for at in [Position(position.0 - 1), position] {
            if let Some(edge) = self.archive.lineages.owner(ix, at)?
                && !tellers.contains_key(&edge.owner)
            {
                tellers.extend(self.step_through(edge.owner, position)?.map(|step| (edge.owner, step)));
            }
        }
        Ok(())
    }

    /// The step of an entity that a commit changed, which was there before and is there after.
    fn step_through(&self, ix: Ix, position: Position) -> Result<Option<Step>, ReadError> {
        let lineages = &self.archive.lineages;
        let Some(revision) = lineages.revision(ix, position)? else { return Ok(None) };
        let Some((made, payload)) = lineages.version(ix, revision)? else { return Ok(None) };
        let stays = made == position && payload.is_own() && self.is_there(ix, Position(position.0 - 1))?;
        if stays { self.step(ix, revision) } else { Ok(None) }
    }

    /// Whether an entity is there as of a position.
    pub(super) fn is_there(&self, ix: Ix, at: Position) -> Result<bool, ReadError> {
        match self.archive.lineages.alive(ix, at) {
            Ok(()) => Ok(true),
            Err(Gone::Unreadable(error)) => Err(error.into()),
            Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => Ok(false),
        }
    }

    /// Steps in the order in which the commit made them, which is that of what they tell.
    fn in_order(&self, tellers: &Tellers, position: Position) -> Result<Vec<Step>, ReadError> {
        let made = self.entry(position)?.made()?;
        Ok(made.iter().filter_map(|(ix, _)| tellers.get(ix).cloned()).take(tellers.len()).collect())
    }

    /// What these steps of a commit tell.
    fn compare(&self, steps: &[Step], position: Position, mut recorder: Recorder) -> Result<Changes, ReadError> {
        let wholes: Vec<(Option<Whole<'_>>, Option<Whole<'_>>)> =
            steps.iter().map(|step| (step.before.as_ref().map(Whole), step.after.as_ref().map(Whole))).collect();
        let mut walk = Walk::new(Descend::OwnStateOnly);
        for (before, after) in wholes.iter().rev() {
            // Entities that are new or gone and owned are told of by their owners.
            if let (Some(before), Some(after)) = (before, after) {
                walk.compare(before, after);
            }
        }
        let hidden = self.hidden_moves(steps, position)?;
        for (from, to) in &hidden {
            walk.expect_move(from.as_ref().and_then(Place::standing), to.as_ref().and_then(Place::standing));
        }
        for (step, (before, after)) in steps.iter().zip(&wholes) {
            let was_root = self.archive.lineages.owner(step.ix, Position(position.0 - 1))?.is_none();
            let is_root = self.archive.lineages.owner(step.ix, position)?.is_none();
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
        let (lineages, before) = (&self.archive.lineages, Position(position.0 - 1));
        let mut failed = None;
        changes.put_whole_states(|id| {
            let cell =
                lineages.find(id).map_err(Gone::from).and_then(|ix| lineages.cell(ix.ok_or(Gone::NotYet)?, before));
            cell.map_err(|gone| {
                if let Gone::Unreadable(error) = gone {
                    failed = Some(error);
                }
            })
            .ok()
        });
        failed.map_or(Ok(changes), |error| Err(error.into()))
    }

    /// The versions that a commit made: those of what changed, then those of the owners that were carried along.
    ///
    /// # Errors
    /// There is no entry at this position, or it cannot be read.
    pub fn versions(&self, position: Position) -> Result<Vec<Version>, ReadError> {
        let mut versions = Vec::new();
        let entry = self.entry(position)?;
        if entry.version_count() > 0 {
            self.archive.check_known(position, &When::Position(position))?;
        }
        for (ix, revision) in entry.made()? {
            versions.extend(self.version(ix, revision)?);
        }
        Ok(versions)
    }

    fn version(&self, ix: Ix, revision: Revision) -> Result<Option<Version>, ReadError> {
        let Some((position, payload)) = self.archive.lineages.version(ix, revision)? else { return Ok(None) };
        Ok(Some(Version {
            entity: self.archive.lineages.get(ix).id,
            revision,
            position,
            kind: match payload {
                Payload::Cell(_) | Payload::Record(_) | Payload::Stored => VersionKind::Own,
                Payload::Carried { .. } => VersionKind::Carried,
                Payload::Removed { .. } => VersionKind::Removed,
            },
            predecessor: revision.0.checked_sub(1).filter(|before| *before > 0).map(Revision),
            history: self.clone(),
            ix,
        }))
    }

    fn step(&self, ix: Ix, revision: Revision) -> Result<Option<Step>, ReadError> {
        let archive = &self.archive;
        let Some((position, payload)) = archive.lineages.version(ix, revision)? else { return Ok(None) };
        let after = match payload {
            Payload::Carried { .. } => return Ok(None),
            Payload::Removed { .. } => None,
            Payload::Cell(cell) => Some(cell),
            Payload::Record(_) | Payload::Stored => archive.own_state(ix, revision)?,
        };
        let there_before = self.is_there(ix, Position(position.0 - 1))?;
        let before = if there_before { archive.own_state(ix, Revision(revision.0 - 1))? } else { None };
        Ok(Some(Step { ix, before, after }))
    }
}

/// Does what looks at states: a child that cannot be loaded becomes an error.
pub(super) fn guarded<R>(work: impl FnOnce() -> Result<R, ReadError>) -> Result<R, ReadError> {
    loading(work)?
}
