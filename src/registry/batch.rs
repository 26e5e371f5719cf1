//! Commits without a callable: added, saved and removed entities as one.

use std::sync::Arc;

use super::caller::Caller;
use super::held::{Held, caught};
use super::kinds::row_of;
use super::outcome::Outcome;
use super::told::Telling;
use crate::entity::{Cell, Entity};
use crate::history::{CommitError, ExpectedHead, Input, Prepared, Proposal, ReadError};
use crate::id::{EntityId, Id};
use crate::lineage::{Gone, Ix};
use crate::when::{Revision, When};

/// What the head of an entity must be for a commit to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// It must not be there.
    Absent,
    /// It must be at this revision.
    At(Revision),
}

/// A commit in the making: `registry.by("ann").batch().add(x).save(y).remove(z).commit()?`. Either all of it is
/// committed, or nothing.
#[must_use = "nothing is committed until `commit`"]
pub struct Batch<'r> {
    caller: Caller<'r>,
    proposal: Proposal,
    /// The first thing that was wrong: told at `commit`, so that calls can be chained.
    error: Option<CommitError>,
}

impl<'r> Batch<'r> {
    fn new(caller: Caller<'r>) -> Self {
        // What others committed is part of what the heads are. What fails here fails again where something is read.
        _ = caller.registry.inner.archive.refresh();
        Self { caller, proposal: Proposal::default(), error: None }
    }

    fn attempt(mut self, work: impl FnOnce(&mut Self) -> Result<(), CommitError>) -> Self {
        if self.error.is_none() {
            self.error = work(&mut self).err();
        }
        self
    }

    fn locate<T: Entity>(&self, id: Id<T>) -> Result<Ix, ReadError> {
        self.caller.registry.inner.archive.locate_typed(id.entity_id(), row_of::<T>())
    }

    /// Adds an entity with all that it owns, as the root of a tree. One that was removed returns and continues its
    /// revisions.
    #[allow(clippy::should_implement_trait)] // It adds to the registry, and takes no other batch.
    pub fn add<T: Entity>(mut self, entity: T) -> Self {
        self.proposal.created.push(Arc::new(Cell::new(entity)));
        self
    }

    /// Takes a whole state of an entity that is there: what differs from its head is what changed.
    pub fn save<T: Entity>(self, entity: T) -> Self {
        self.attempt(|batch| {
            let archive = &batch.caller.registry.inner.archive;
            let ix = batch.locate(Id::<T>::from_entity_id(entity.entity_id()))?;
            let at = archive.lineages.head();
            let before = archive.state(ix, at, &When::Head)?;
            let revision = archive.lineages.revision(ix, at)?.unwrap_or(Revision(0));
            batch.proposal.expected.push(ExpectedHead::At(ix, revision));
            batch.proposal.inputs.push(Input { ix, before, after: Arc::new(Cell::new(entity)) });
            Ok(())
        })
    }

    /// Takes the edits of a held entity; its base must still be the newest version.
    pub fn save_held<T: Entity>(self, held: &Held<T>) -> Self {
        self.attempt(|batch| {
            held.check_registry(&batch.caller.registry.inner.archive)?;
            match held.edits()? {
                Some(edits) => {
                    batch.proposal.expected.extend(edits.expected);
                    batch.proposal.inputs.extend(edits.inputs);
                }
                None => batch.proposal.expected.push(ExpectedHead::At(held.ix, held.base())),
            }
            Ok(())
        })
    }

    /// Removes a root with all that it owns. Its versions stay readable.
    pub fn remove<T: Entity>(self, id: Id<T>) -> Self {
        self.attempt(|batch| {
            let archive = &batch.caller.registry.inner.archive;
            let ix = batch.locate(id)?;
            let before = archive.state(ix, archive.lineages.head(), &When::Head)?;
            if let Some(edge) = archive.lineages.last_owner(ix) {
                let owner = archive.lineages.get(edge.owner).id;
                return Err(CommitError::Owned { entity: id.entity_id(), owner });
            }
            let revision = archive.lineages.last_revision(ix);
            batch.proposal.expected.push(ExpectedHead::At(ix, revision));
            batch.proposal.removed.push((ix, before));
            Ok(())
        })
    }

    /// Restores an entity as it was: its own fields and what it owned then. Nothing is lost: it is a new version.
    pub fn revert<T: Entity>(self, id: Id<T>, when: impl Into<When>) -> Self {
        let when = when.into();
        self.attempt(|batch| {
            let archive = &batch.caller.registry.inner.archive;
            let ix = batch.locate(id)?;
            let then = archive.state(ix, archive.position(Some(ix), &when)?, &when)?;
            let head = archive.lineages.head();
            let revision = archive.lineages.revision(ix, head)?.unwrap_or(Revision(0));
            match archive.lineages.alive(ix, head) {
                Ok(()) => {
                    let before = archive.state(ix, head, &When::Head)?;
                    batch.proposal.expected.push(ExpectedHead::At(ix, revision));
                    batch.proposal.inputs.push(Input { ix, before, after: then });
                }
                Err(gone) => {
                    if let Some(edge) = archive.lineages.last_owner(ix) {
                        // Where it stood is its owner's to say.
                        let owner = archive.lineages.get(edge.owner).id;
                        return Err(match gone {
                            Gone::Removed { .. } | Gone::Ended { .. } => {
                                CommitError::WasOwned { entity: id.entity_id(), owner }
                            }
                            Gone::NotYet | Gone::Unreadable(_) => archive.gone(id.entity_id(), gone, &when).into(),
                        });
                    }
                    batch.proposal.created.push(then);
                }
            }
            Ok(())
        })
    }

    /// Expects something of the head of an entity, whether or not it is part of the commit.
    pub fn expect(self, id: impl Into<EntityId>, expected: Expected) -> Self {
        let id = id.into();
        self.attempt(|batch| {
            let archive = &batch.caller.registry.inner.archive;
            match expected {
                Expected::Any => {}
                Expected::Absent => batch.proposal.expected.push(ExpectedHead::Absent(id)),
                Expected::At(revision) => batch.proposal.expected.push(ExpectedHead::At(archive.locate(id)?, revision)),
            }
            Ok(())
        })
    }

    /// Adds a part under a savepoint: if something is wrong with it, it alone is left out, and the batch goes on as if
    /// it had never been there. Parts may have parts of their own. O(batch), for the part must fit what is there already.
    ///
    /// ```
    /// # use heirloom::prelude::*;
    /// # #[derive(Entity, Clone)]
    /// # struct Student { id: Id<Student>, name: String }
    /// # let registry = Registry::in_memory();
    /// # let (ann, bob) = (Student { id: Id::new(), name: "Ann".into() }, Student { id: Id::new(), name: "Bob".into() });
    /// let mut batch = registry.by("dean").batch().add(ann.clone());
    /// let left_out = batch.nested(|part| part.add(bob).add(ann)).unwrap_err();
    /// assert!(left_out.to_string().contains("stands twice"));
    /// assert_eq!(batch.commit()?.versions()?.len(), 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// What was wrong with the part, as [`Batch::commit`] would say it. What others commit later is found there.
    pub fn nested(&mut self, part: impl FnOnce(Self) -> Self) -> Result<(), CommitError> {
        let part = part(Self::new(self.caller.clone()));
        if let Some(error) = part.error {
            return Err(error);
        }
        if self.error.is_some() {
            return Ok(());
        }
        let whole = self.proposal.clone().with(part.proposal);
        refuse_overlaps(&self.caller, &whole)?;
        let archive = &self.caller.registry.inner.archive;
        let mut trial = whole.clone();
        let prepared = caught(|| archive.prepare(&mut trial))?;
        archive.check(&prepared.unwrap_or_else(|| Prepared::only(trial.expected)))?;
        self.proposal = whole;
        Ok(())
    }

    /// Commits it all. A commit that changes nothing is an entry without versions.
    ///
    /// # Errors
    /// Something was wrong with a part; someone committed first; or an entity would stand at two places.
    pub fn commit(mut self) -> Result<Outcome<()>, CommitError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        refuse_overlaps(&self.caller, &self.proposal)?;
        let registry = self.caller.registry;
        let archive = &registry.inner.archive;
        let prepared = caught(|| archive.prepare(&mut self.proposal))?;
        let prepared = prepared.unwrap_or_else(|| Prepared::only(self.proposal.expected));
        let mut info = self.caller.info(None);
        let committed = self.caller.commit(Some(prepared), &mut info, Telling::Commit)?;
        Ok(Outcome::new((), committed, registry.history()))
    }
}

/// Refuses parts of which one owns another.
fn refuse_overlaps(caller: &Caller<'_>, proposal: &Proposal) -> Result<(), CommitError> {
    let lineages = &caller.registry.inner.archive.lineages;
    let inputs = proposal.inputs.iter().map(|input| input.ix);
    let mut parts: Vec<Ix> = inputs.chain(proposal.removed.iter().map(|(ix, _)| *ix)).collect();
    parts.sort_unstable();
    if let Some(pair) = parts.windows(2).find(|pair| pair[0] == pair[1]) {
        let entity = lineages.get(pair[0]).id;
        return Err(CommitError::Overlap { outer: entity, inner: entity });
    }
    for part in &parts {
        let mut owner = lineages.last_owner(*part);
        while let Some(edge) = owner {
            if parts.binary_search(&edge.owner).is_ok() {
                let (outer, inner) = (lineages.get(edge.owner).id, lineages.get(*part).id);
                return Err(CommitError::Overlap { outer, inner });
            }
            owner = lineages.last_owner(edge.owner);
        }
    }
    Ok(())
}

impl<'r> Caller<'r> {
    /// Begins a commit of several parts.
    pub fn batch(&self) -> Batch<'r> {
        Batch::new(self.clone())
    }

    /// Adds an entity with all that it owns, as the root of a tree, and gives its id.
    ///
    /// # Errors
    /// It is there already, owns something that stands elsewhere or twice, or its type's stored name is another's.
    pub fn add<T: Entity>(&self, entity: T) -> Result<Id<T>, CommitError> {
        let id = Id::from_entity_id(entity.entity_id());
        self.batch().add(entity).commit()?;
        Ok(id)
    }

    /// Commits the edits of a held entity; it then holds the new version.
    ///
    /// # Errors
    /// Someone committed since it was checked out, or the edits break a rule of trees.
    pub fn save<T: Entity>(&self, held: &mut Held<T>) -> Result<Outcome<()>, CommitError> {
        let outcome = self.batch().save_held(held).commit()?;
        held.refresh();
        Ok(outcome)
    }

    /// Removes a root with all that it owns.
    ///
    /// # Errors
    /// It is unknown, of another type, removed already, or owned.
    pub fn remove<T: Entity>(&self, id: Id<T>) -> Result<Outcome<()>, CommitError> {
        self.batch().remove(id).commit()
    }

    /// Restores an entity as it was, as a new version.
    ///
    /// # Errors
    /// It was not there then, or something that it owned then is owned elsewhere since.
    pub fn revert<T: Entity>(&self, id: Id<T>, when: impl Into<When>) -> Result<Outcome<()>, CommitError> {
        self.batch().revert(id, when).commit()
    }
}
