//! Entities held outside the registry, with the version they came from.

use std::any::Any;
use std::fmt;
use std::ops::{ControlFlow, Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::error::ArgumentError;
use super::kinds::{Editing, Loaded, typed};
use super::load::Loading;
use super::told::Telling;
use crate::children::LoadFailure;
use crate::diff::{Descend, Walk, Whole, diff_cells};
use crate::entity::{AnyCell, Cell, EncodeFailure, Entity};
use crate::history::{Archive, CommitError, ExpectedHead, Info, Input, OtherRegistryError, Proposal, ReadError};
use crate::id::Id;
use crate::lineage::Ix;
use crate::when::{LATEST, Revision};

/// What becomes of edits that were made to a held entity outside the registry, when a run takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strays {
    /// They become a commit of their own, before the run.
    #[default]
    Commit,
    /// They are an error.
    Refuse,
    /// They are not looked for: the run works on them, and they are part of what it changed.
    Unchecked,
}

/// An entity checked out of the registry: a value to read and edit, that knows the version it came from.
///
/// `registry.save(&mut held)` commits its edits; a callable that is given it treats them as [`Strays`] says.
#[derive(Clone)]
pub struct Held<T> {
    /// Where it was checked out: its place there is no place anywhere else.
    archive: Arc<Archive>,
    pub(super) ix: Ix,
    id: Id<T>,
    revision: Revision,
    base: Arc<Cell<T>>,
    value: T,
}

impl<T: Entity> Held<T> {
    pub(super) fn new(archive: Arc<Archive>, loaded: Loaded<T>) -> Self {
        let value = loaded.before.value().clone();
        Self { archive, ix: loaded.ix, id: loaded.id, revision: loaded.revision, base: loaded.before, value }
    }

    /// The identity of the entity.
    #[must_use]
    pub fn id(&self) -> Id<T> {
        self.id
    }

    /// The revision it came from.
    #[must_use]
    pub fn base(&self) -> Revision {
        self.revision
    }

    /// The value, without its base.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    fn is_edited(&self, now: &Arc<dyn AnyCell>) -> bool {
        let base: Arc<dyn AnyCell> = Arc::<Cell<T>>::clone(&self.base);
        let (base, now) = (Whole(&base), Whole(now));
        let mut walk = Walk::new(Descend::Everything);
        let mut edited = false;
        walk.compare(&base, &now);
        let walked = walk.run(&mut |difference| match difference {
            crate::diff::Difference::Equal { .. } => ControlFlow::Continue(()),
            _ => {
                edited = true;
                ControlFlow::Break(())
            }
        });
        edited || walked.is_err()
    }

    /// What is to be committed for its edits; `None` if there are none.
    pub(super) fn edits(&self) -> Result<Option<Proposal>, CommitError> {
        let (now, edited) = caught(|| {
            let now: Arc<dyn AnyCell> = Arc::new(Cell::new(self.value.clone()));
            let edited = self.is_edited(&now);
            Ok((now, edited))
        })?;
        Ok(edited.then(|| {
            let mut proposal = Proposal::default();
            proposal.expected.push(ExpectedHead::At(self.ix, self.revision));
            let before: Arc<dyn AnyCell> = Arc::<Cell<T>>::clone(&self.base);
            proposal.inputs.push(Input { ix: self.ix, before, after: now });
            proposal
        }))
    }

    /// Takes the newest version as its base and value. If copying that panics, all stays as it is, and is stale.
    pub(super) fn refresh(&mut self) {
        let archive = &self.archive;
        let revision = archive.lineages.last_revision(self.ix);
        if let Ok(cell) = archive.lineages.cell(self.ix, LATEST) {
            let base: Arc<Cell<T>> = typed(cell);
            if let Ok(value) = catch_unwind(AssertUnwindSafe(|| base.value().clone())) {
                (self.base, self.revision, self.value) = (base, revision, value);
            }
        }
    }

    pub(super) fn check_newest(&self, loading: &Loading<'_>) -> Result<(), ArgumentError> {
        let entity = self.id.entity_id();
        self.check_registry(loading.archive)?;
        let found =
            loading.archive.lineages.revision(self.ix, loading.at).map_err(ReadError::from)?.unwrap_or(Revision(0));
        loading.archive.state(self.ix, loading.at, &crate::when::When::Head)?;
        if found == self.revision {
            return Ok(());
        }
        Err(ArgumentError::Stale { entity, expected: self.revision, found })
    }

    /// Whether it was checked out of this registry.
    pub(super) fn check_registry(&self, archive: &Archive) -> Result<(), OtherRegistryError> {
        if std::ptr::eq(&raw const *self.archive, archive) {
            return Ok(());
        }
        Err(OtherRegistryError { entity: self.id.entity_id() })
    }

    fn loaded(&self) -> Loaded<T> {
        Loaded { ix: self.ix, id: self.id, revision: self.revision, before: Arc::clone(&self.base), pinned: false }
    }

    fn stray(&self, remedy: &'static str) -> ArgumentError {
        let base: Arc<dyn AnyCell> = Arc::<Cell<T>>::clone(&self.base);
        let now: Arc<dyn AnyCell> = Arc::new(Cell::new(self.value.clone()));
        let edits = match diff_cells(&base, &now) {
            Ok(changes) => changes.to_string().replace('\n', "; "),
            Err(repeated) => repeated.to_string(),
        };
        ArgumentError::Stray { entity: self.id.entity_id(), edits, remedy }
    }

    /// As an argument that is read: its edits cannot be committed, for it is only lent.
    pub(super) fn load_unchanged(&self, loading: &Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        self.check_newest(loading)?;
        if loading.caller.strays == Strays::Unchecked {
            return Ok(Loaded { before: Arc::new(Cell::new(self.value.clone())), ..self.loaded() });
        }
        if self.edits()?.is_some() {
            return Err(self.stray("save it first, since a parameter by `&` commits nothing"));
        }
        Ok(self.loaded())
    }

    /// As an argument that is edited.
    pub(super) fn load_edits(&mut self, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        self.check_newest(loading)?;
        match loading.caller.strays {
            Strays::Unchecked => {
                return Ok(Editing { loaded: self.loaded(), after: Some(self.value.clone()) });
            }
            Strays::Refuse if self.edits()?.is_some() => {
                return Err(self.stray("save it first, or let strays be committed"));
            }
            Strays::Refuse => {}
            Strays::Commit => {
                if let Some(proposal) = self.edits()? {
                    self.commit(proposal, loading)?;
                }
            }
        }
        Ok(Editing::of(self.loaded(), loading.archive))
    }

    fn commit(&mut self, mut proposal: Proposal, loading: &mut Loading<'_>) -> Result<(), CommitError> {
        let prepared = caught(|| loading.archive.prepare(&mut proposal))?;
        let mut said = loading.caller.said.as_deref().cloned().unwrap_or_default();
        said.message = Some("edits made outside the registry".into());
        let mut info = Info { said: Some(Arc::new(said)), time: loading.caller.time, ..Info::default() };
        let committed = loading.caller.commit(prepared, &mut info, Telling::Commit)?;
        loading.at = committed.position;
        self.refresh();
        Ok(())
    }
}

/// Does what compares states: what a child that cannot be loaded or a value that cannot be written unwinds with becomes an
/// error, and so does a panic of the user's own code.
pub(super) fn caught<R>(work: impl FnOnce() -> Result<R, CommitError>) -> Result<R, CommitError> {
    let payload = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => return result,
        Err(payload) => payload,
    };
    let payload = match payload.downcast::<EncodeFailure>() {
        Ok(failure) => return Err(CommitError::Unwritable(failure.to_string())),
        Err(payload) => payload,
    };
    match payload.downcast::<LoadFailure>() {
        Ok(failure) => Err(CommitError::Load(failure.0)),
        Err(payload) => Err(CommitError::Panicked(said_by(payload))),
    }
}

/// What a panic said.
pub(super) fn said_by(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => payload,
    };
    match payload.downcast::<&str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => {
            // Letting it go could panic again.
            std::mem::forget(payload);
            "something that is no text".to_owned()
        }
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("base", &self.revision).field("value", &self.value).finish_non_exhaustive()
    }
}
