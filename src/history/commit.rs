//! Committing: what was expected is checked and the batch appended, as one, by one writer at a time.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::group::{Begun, Tell};
use super::proposal::Expected;
use super::{Archive, CommitError, Prepared};
use crate::digest::Digest;
use crate::id::EntityId;
use crate::lineage::{Batch, Gone, KnownGone, Made, OwnerChange, Replaced, Target, WriteTarget};
use crate::log::{Ran, Said};
use crate::when::{LATEST, Position, Revision, Timestamp};

/// What is said of a commit.
#[derive(Default)]
pub(crate) struct Info {
    pub(crate) said: Option<Arc<Said>>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) run: Option<Ran>,
    /// Subjects whom the run concerns beside those that its commit and its arguments name.
    pub(crate) subjects: Vec<Digest>,
    /// When the run ended, by the monotonic clock: spares reading the other one.
    pub(crate) ended: Option<Instant>,
    /// The number that listeners know the run by, once they were told of it.
    pub(crate) number: Option<u64>,
}

impl Info {
    /// Takes down when the run ended, and how long it took.
    pub(crate) fn ran(&mut self, ended: Instant, took: Duration) {
        self.ended = Some(ended);
        if let Some(run) = &mut self.run {
            run.nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        }
    }
}

/// What a commit became.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    pub(crate) position: Position,
    pub(crate) versions: usize,
}

impl Archive {
    /// Checks what is expected and appends everything, or nothing; `None` is an entry without versions. What is said of
    /// the commit is taken, and given back if it is refused. `tell` hears of it before any later one is made.
    ///
    /// Where commits share appends it is left under way, and [`wait`](Self::wait) tells what became of it.
    pub(crate) fn begin(
        &self,
        mut prepared: Option<Prepared>,
        info: &mut Info,
        tell: Option<impl FnOnce(Committed) + Send + 'static>,
    ) -> Result<Begun, CommitError> {
        // A given clock is asked before the lock is taken: it may do as it likes.
        let given = info.time.or_else(|| self.clock.as_ref().map(|clock| clock.now()));
        if let Some(kept) = &self.kept {
            let tell = tell.map(|tell| Box::new(tell) as Tell);
            return self.begin_kept(kept, prepared, info, given, tell);
        }
        // Dropping a value may run the user's code, so what was prepared and what it replaces outlive the lock: they were
        // there before it, and no part of them is dropped below, whether the commit is made or refused.
        let mut replaced = Replaced::new();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let time = given.unwrap_or_else(|| writer.reading.time(info.ended));
        let position = Position(self.lineages.head().0 + 1);
        let mut made = Made::new();
        if let Some(prepared) = &mut prepared {
            self.check(prepared)?;
            let Batch { ended, writes } = std::mem::take(&mut prepared.batch);
            made = self.lineages.append(&ended, writes.into_iter(), position, &mut replaced);
            for (ix, cell) in &prepared.keep {
                self.lineages.keep_built(*ix, position, cell, &mut replaced);
            }
        }
        let versions = made.len();
        let spared = prepared.as_ref().and_then(|prepared| prepared.spare.as_ref()?.revision_in(&made));
        self.log.append(position, time, &mut info.said, &mut info.run, made, &mut writer.times);
        self.lineages.publish(position);
        let committed = Committed { position, versions };
        if let Some(tell) = tell {
            tell(committed);
        }
        drop(writer);
        // What the lineage no longer keeps may be the very state that is spared.
        drop(replaced);
        if let (Some(spare), Some(revision)) = (prepared.and_then(|prepared| prepared.spare), spared) {
            self.spares.put(spare, revision);
        }
        Ok(Begun::Made(committed))
    }

    /// Keeps the state before a commit for a later run to work on.
    pub(super) fn keep_spare(&self, prepared: Option<Prepared>, made: &Made) {
        if let Some(spare) = prepared.and_then(|prepared| prepared.spare)
            && let Some(revision) = spare.revision_in(made)
        {
            self.spares.put(spare, revision);
        }
    }

    /// Whether what is expected holds now.
    pub(crate) fn check(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let mut gone = KnownGone::default();
        for expected in &prepared.expected {
            match *expected {
                Expected::At(ix, expected) => self.check_head(ix, expected)?,
                Expected::Absent(entity) => self.check_absent(entity)?,
                Expected::Gone(ix, last_seen) => self.check_gone(ix, last_seen, &mut gone)?,
            }
        }
        for write in &prepared.batch.writes {
            if let WriteTarget::Known(ix) = write.target
                && self.lineages.never_was(ix)
            {
                let (entity, none) = (self.lineages.get(ix).id, Revision(0));
                return Err(CommitError::Conflict { entity, expected: Revision(1), found: none });
            }
            // Whoever came since this was prepared is in memory, unless it was somebody else who appended.
            if let WriteTarget::New { id, .. } = write.target
                && (self.lineages.known(id).is_some() || prepared.epoch != self.lineages.epoch())
            {
                self.check_absent(id)?;
            }
            // An owner that somebody removed since takes nothing in.
            if let OwnerChange::Owned { owner: Target::Known(owner), .. } = write.owner {
                let id = self.lineages.get(owner).id;
                self.lineages.alive(owner, LATEST).map_err(|gone| self.gone(id, gone, &LATEST.into()))?;
            }
        }
        Ok(())
    }

    fn check_head(&self, ix: crate::lineage::Ix, expected: Revision) -> Result<(), CommitError> {
        let entity = self.lineages.get(ix).id;
        let found = self.lineages.last_revision(ix);
        if found != expected {
            return Err(CommitError::Conflict { entity, expected, found });
        }
        match self.lineages.alive(ix, LATEST) {
            Ok(()) => Ok(()),
            Err(gone) => Err(self.gone(entity, gone, &LATEST.into()).into()),
        }
    }

    fn check_gone(&self, ix: crate::lineage::Ix, last_seen: Revision, gone: &mut KnownGone) -> Result<(), CommitError> {
        let entity = self.lineages.get(ix).id;
        let found = self.lineages.last_revision(ix);
        match self.lineages.is_gone(ix, gone) {
            false => Err(CommitError::ConflictPresent { entity, found }),
            true if found != last_seen => Err(CommitError::Conflict { entity, expected: last_seen, found }),
            true => Ok(()),
        }
    }

    fn check_absent(&self, entity: EntityId) -> Result<(), CommitError> {
        let Some(ix) = self.lineages.find(entity)? else { return Ok(()) };
        match self.lineages.alive(ix, LATEST) {
            Ok(()) => Err(CommitError::ConflictPresent { entity, found: self.lineages.last_revision(ix) }),
            // It was removed while this was being prepared, and would now return: that needs its lineage.
            Err(Gone::Removed { .. } | Gone::Ended { .. }) => {
                Err(CommitError::Conflict { entity, expected: Revision(0), found: self.lineages.last_revision(ix) })
            }
            Err(Gone::NotYet) => Ok(()),
            Err(Gone::Unreadable(error)) => Err(error.into()),
        }
    }
}
