//! What is forgotten: asked where positions are resolved, and again below whatever reads the store.

use super::{Archive, History, ReadError};
use crate::id::EntityId;
use crate::lineage::{Gone, Ix};
use crate::store::{Progress, StoreError};
use crate::when::{Position, Revision, Timestamp, When};

impl Archive {
    /// Refuses what was asked for if it means a position that is forgotten.
    pub(super) fn check_known(&self, at: Position, asked: &When) -> Result<(), ReadError> {
        if self.is_known(at)? { Ok(()) } else { Err(self.forgotten(asked.clone())) }
    }

    /// Refuses what a commit changed if the state before it, or after, is forgotten.
    pub(super) fn check_commit(&self, position: Position) -> Result<(), ReadError> {
        self.check_known(Position(position.0 - 1), &When::Position(position))?;
        self.check_known(position, &When::Position(position))
    }

    /// Whether everything can be asked for as of a position.
    pub(super) fn is_known(&self, at: Position) -> Result<bool, ReadError> {
        Ok(self.known_from(at)? == at)
    }

    /// The first position from this one on as of which everything can be asked for.
    fn known_from(&self, at: Position) -> Result<Position, ReadError> {
        Ok(self.kept.as_ref().map_or(Ok(at), |kept| kept.store.kept_from(at))?)
    }

    /// What was asked for is forgotten.
    fn forgotten(&self, asked: impl Into<When>) -> ReadError {
        match self.horizon() {
            Ok(horizon) => ReadError::Forgotten { asked: asked.into(), horizon },
            Err(error) => error,
        }
    }

    /// The first position at which a revision that was made at a position can be asked for.
    pub(super) fn first_known(&self, ix: Ix, revision: Revision, made: Position) -> Result<Position, ReadError> {
        let at = self.known_from(made)?;
        if at != made && self.lineages.revision(ix, at)? != Some(revision) {
            return Err(self.forgotten(revision));
        }
        Ok(at)
    }

    /// The same, if the entity is as it was then: it may have gone with an owner since.
    pub(super) fn as_of_revision(&self, ix: Ix, revision: Revision, made: Position) -> Result<Position, ReadError> {
        let at = self.first_known(ix, revision, made)?;
        if at == made {
            return Ok(at);
        }
        let entity = self.lineages.get(ix).id;
        match self.lineages.alive(ix, at) {
            Ok(()) => Ok(at),
            Err(Gone::Removed { by, .. }) if by == entity => Ok(at),
            Err(Gone::Unreadable(error)) => Err(error.into()),
            Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => Err(self.forgotten(revision)),
        }
    }

    /// What an entity ended with, when that can no longer be told.
    pub(super) fn ended(&self, entity: EntityId, owner: EntityId) -> ReadError {
        match self.horizon() {
            Ok(horizon) => ReadError::Ended { entity, owner, horizon },
            Err(error) => error,
        }
    }

    /// The position of the first version of an entity that is known, where its very first is forgotten.
    pub(super) fn first_of(&self, entity: EntityId) -> Result<Position, ReadError> {
        let Some(kept) = &self.kept else { return Ok(Position(0)) };
        let mut at = kept.store.horizon()?;
        loop {
            match kept.store.version_at(entity, at) {
                // It has risen since.
                Err(StoreError::Forgotten { horizon, .. }) if horizon > at => at = horizon,
                row => return Ok(row?.map_or(Position(0), |row| row.position)),
            }
        }
    }

    fn horizon(&self) -> Result<Position, ReadError> {
        Ok(self.kept.as_ref().map_or(Ok(Position(0)), |kept| kept.store.horizon())?)
    }

    /// The time now, by the clock of the commits.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| std::time::SystemTime::now().into(), |clock| clock.now())
    }

    /// One step of forgetting; `None` if everything is in memory.
    pub(crate) fn forget(&self, horizon: Position, budget: usize) -> Result<Option<Progress>, StoreError> {
        self.kept.as_ref().map(|kept| kept.store.forget(horizon, budget)).transpose()
    }

    /// The position that a time stands for; 0 if nothing had happened yet.
    pub(crate) fn position_of_time(&self, time: Timestamp) -> Result<Position, StoreError> {
        let found = self.kept.as_ref().map_or(Ok(None), |kept| kept.store.position_at(time))?;
        Ok(found.unwrap_or_default())
    }
}

impl History {
    /// The first position as of which everything can be read; 0 as long as nothing was forgotten. Below it, only the
    /// log is told, and what tags name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn horizon(&self) -> Result<Position, ReadError> {
        self.archive.horizon()
    }
}
