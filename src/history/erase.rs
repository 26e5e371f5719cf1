//! Erasing: the key of a subject is destroyed, and what was sealed under it is unreadable from then on.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::kept::Kept;
use super::last::value_references;
use super::seal::subject_digest;
use super::{Archive, ReadError, Writer};
use crate::entity::owned_ids;
use crate::id::EntityId;
use crate::lineage::{ENDED, Gone, Ix, Replaced};
use crate::log::Said;
use crate::store::{
    AppendError, Durability, Entry, EntryKind, KeyChange, KeyNumber, OwnerChange, ReferenceChange, StoreError,
    VersionBody,
};
use crate::when::{LATEST, Position, Revision, Timestamp, When};

/// What an erasure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erasure {
    /// The entry that tells of it; `None` if there was nothing to erase, and none was written.
    pub position: Option<Position>,
    /// How many entities have versions that became unreadable.
    pub entities: usize,
    /// How many versions that are.
    pub versions: usize,
    /// Whether remains of the key may still be in a file beside the store, since somebody was reading all the while, or it
    /// could not be written: to erase once more removes them, and so does the next who opens the store.
    pub lingers: bool,
}

/// Why nothing was erased.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// The registry has no store.
    #[error(
        "a registry in memory seals nothing, so nothing of it can be erased alone: build it over a store, such as \
         `Registry::builder().over(MemoryStore::new())`"
    )]
    InMemory,
    /// Something of the subject is still there.
    #[error(
        "{entity} is still there, and what it is would be unreadable: remove it first, with `registry.remove(id)`{}",
        owner.map(|owner| format!(", or take it out of {owner}, which owns it")).unwrap_or_default()
    )]
    Living {
        /// The first such entity that was found.
        entity: EntityId,
        /// Who owns it.
        owner: Option<EntityId>,
    },
    /// The data of the entity was never its own to be erased.
    #[error(
        "{entity} is no subject: erase the one whose data it is by name, with `erase_subject`, or say \
         `#[entity(subject)]` on its type, which seals what is stored of it from then on"
    )]
    NoSubject {
        /// The entity.
        entity: EntityId,
    },
    /// What is there cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        EraseError::Append(error.into())
    }
}

/// What becomes unreadable, and what of the structure ends with it.
#[derive(Default)]
struct Loss {
    entities: usize,
    versions: usize,
    ended: Vec<(EntityId, OwnerChange)>,
    references: Vec<ReferenceChange>,
}

impl Archive {
    /// Erases a subject; `itself` is the entity that it is, if it was named so.
    pub(crate) fn erase(
        &self,
        name: &str,
        itself: Option<EntityId>,
        said: Option<&Said>,
        time: Option<Timestamp>,
    ) -> Result<Erasure, EraseError> {
        let kept = self.kept.as_ref().ok_or(EraseError::InMemory)?;
        let given = time.or_else(|| self.clock.as_ref().map(|clock| clock.now()));
        let (subject, said) = (subject_digest(name), self.said_bytes(said, None));
        // Outlives the lock: what was replaced may run the user's code when it is dropped.
        let mut replaced = Replaced::new();
        let erased = {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                self.catch_up(kept, &mut writer, &mut replaced)?;
                let Some(key) = kept.store.key_of(subject)? else {
                    break itself.map_or(Ok(None), |entity| check_subject(kept, entity).map(|()| None));
                };
                let loss = self.loss(kept, key.number)?;
                let position = Position(writer.head.position.0 + 1);
                let time = given.unwrap_or_else(|| writer.reading.time(None));
                match self.append_erasure(kept, &mut writer, (position, time, Arc::clone(&said)), key.number, loss) {
                    Err(AppendError::Moved { found }) if found != writer.head => {
                        self.behind.store(true, Ordering::Release);
                    }
                    Err(error) => break Err(error.into()),
                    Ok(loss) => {
                        // It is taken in as if somebody else had appended it: whatever is in memory is let go of. If that
                        // fails it is done before the next look, and fails there.
                        self.behind.store(true, Ordering::Release);
                        _ = self.catch_up(kept, &mut writer, &mut replaced);
                        break Ok(Some((position, loss)));
                    }
                }
            }
        };
        drop(replaced);
        let (scrubbed, erased) = (kept.store.scrub(), erased?);
        let Some((position, loss)) = erased else {
            return Ok(Erasure { position: None, entities: 0, versions: 0, lingers: !scrubbed? });
        };
        // What is erased is erased, whatever becomes of its remains.
        let lingers = !scrubbed.unwrap_or(false);
        Ok(Erasure { position: Some(position), entities: loss.entities, versions: loss.versions, lingers })
    }

    fn append_erasure(
        &self,
        kept: &Kept,
        writer: &mut Writer,
        (position, time, said): (Position, Timestamp, Arc<[u8]>),
        key: KeyNumber,
        mut loss: Loss,
    ) -> Result<Loss, AppendError> {
        let entry = Entry {
            position,
            time,
            kind: EntryKind::Erased,
            said,
            versions: Vec::new(),
            ended: std::mem::take(&mut loss.ended),
            references: std::mem::take(&mut loss.references),
            keys: vec![KeyChange::Erased { number: key }],
        };
        kept.store.append(&writer.head, &[entry], Durability::Full)?;
        Ok(loss)
    }

    /// What goes with a key; refused if something goes that is still there.
    fn loss(&self, kept: &Kept, key: KeyNumber) -> Result<Loss, EraseError> {
        let mut loss = Loss::default();
        let mut revisions: HashMap<EntityId, Revision, ahash::RandomState> = HashMap::default();
        for (entity, revision) in kept.store.sealed(key)? {
            loss.versions += 1;
            let last = revisions.entry(entity).or_insert(revision);
            *last = revision.max(*last);
        }
        loss.entities = revisions.len();
        for (entity, last) in revisions {
            let Some(ix) = self.lineages.find(entity).map_err(ReadError::from)? else { continue };
            // Only older states of it are under this key, and it is another subject's now.
            if self.own_of_newest(kept, entity)? != Some(last) {
                continue;
            }
            match self.lineages.alive(ix, LATEST) {
                Ok(()) => {
                    let owner = self.lineages.last_owner(ix).map(|edge| self.lineages.get(edge.owner).id);
                    return Err(EraseError::Living { entity, owner });
                }
                Err(gone @ Gone::Unreadable(_)) => return Err(self.gone(entity, gone, &When::Head).into()),
                Err(Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. }) => {}
            }
            self.end_structure(kept, ix, last, &mut loss)?;
        }
        Ok(loss)
    }

    fn own_of_newest(&self, kept: &Kept, entity: EntityId) -> Result<Option<Revision>, EraseError> {
        Ok(kept.store.newest(entity)?.map(|row| match row.body {
            VersionBody::Own { .. } => row.revision,
            VersionBody::Carried { own } | VersionBody::Removed { own } => own,
        }))
    }

    /// Ends what a state says that is about to become unreadable: an entity that comes back after that does not know what
    /// it owned and referred to.
    fn end_structure(&self, kept: &Kept, ix: Ix, own: Revision, loss: &mut Loss) -> Result<(), EraseError> {
        let owner = self.lineages.get(ix).id;
        let state = match kept.reader.stored(owner, own).map_err(ReadError::from) {
            // Its key never came here, and so nobody could read it.
            Err(ReadError::Erased { .. }) => return Ok(()),
            state => state?,
        };
        let (mut owned, mut referred) = (Vec::new(), Vec::new());
        owned_ids(&state.value, &mut |id| owned.push(id));
        for id in owned {
            let child = self.lineages.find(id).map_err(ReadError::from)?;
            let edge = child.and_then(|child| self.lineages.last_owner(child));
            if edge.is_some_and(|edge| edge.owner == ix && edge.field != ENDED) {
                loss.ended.push((id, OwnerChange::Ended { owner }));
            }
        }
        value_references(&state.value, &mut |to| referred.push(to));
        referred.sort_unstable();
        referred.dedup();
        for to in referred {
            let open = kept.store.referrers_at(to, Position(i64::MAX as u64 - 1))?;
            let own = open.into_iter().filter(|(from, _)| *from == owner);
            loss.references.extend(own.map(|(from, field)| ReferenceChange { from, field, to, opened: false }));
        }
        Ok(())
    }

    /// Lets go of all that is in memory of what a store has: some of it was erased.
    pub(super) fn let_go_of_erased(&self, kept: &Kept, replaced: &mut Replaced) {
        kept.reader.let_go();
        self.lineages.let_go_all(replaced);
        self.spares.let_go(replaced);
    }
}

/// Refuses an entity without a key that never had one: somebody takes for erased what is stored in the clear.
fn check_subject(kept: &Kept, entity: EntityId) -> Result<(), EraseError> {
    let mut row = kept.store.newest(entity)?;
    if let Some(VersionBody::Carried { own } | VersionBody::Removed { own }) = row.as_ref().map(|row| &row.body) {
        row = kept.store.version(entity, *own)?;
    }
    match row.map(|row| row.body) {
        Some(VersionBody::Own { seal: None, .. }) => Err(EraseError::NoSubject { entity }),
        _ => Ok(()),
    }
}
