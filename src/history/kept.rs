//! An archive over a store: what is committed lands there before anybody sees it, and what somebody else appended is
//! taken in.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};

use smallvec::SmallVec;

use super::body::damaged;
use super::group::{Landed, Wanted};
use super::numbers::Renumbered;
use super::reader::Reader;
use super::{Archive, CommitError, Prepared, ReadError, Writer, said};
use crate::id::EntityId;
use crate::lineage::{Batch, ENDED, Ix, Lineages, Made, OwnerEdge, PastKind, Replaced, WriteTarget};
use crate::store::{
    AppendError, Durability, Entry, EntryKind, Head, OwnerChange, ReferenceChange, Store, StoreError, Version,
    VersionBody,
};
use crate::when::{Clock, Position, Revision, Timestamp};

/// A value takes about so many times as much memory as its text.
const TEXT: usize = 4;

/// The store under an archive.
pub(crate) struct Kept {
    pub(super) store: Arc<dyn Store>,
    pub(super) durability: Durability,
    pub(super) reader: Arc<Reader>,
}

/// What a commit became in memory, before the store has it.
struct Applied {
    made: Made,
    /// Entities that have no version of it, and that ended with their owner.
    ended: Vec<Ix>,
}

/// Why nothing was appended.
#[derive(Clone)]
pub(super) enum Failed {
    Append(AppendError),
    Read(ReadError),
}

impl From<AppendError> for Failed {
    fn from(error: AppendError) -> Self {
        Failed::Append(error)
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Failed::Read(error)
    }
}

impl From<Failed> for CommitError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Append(error) => CommitError::Store(error),
            Failed::Read(error) => CommitError::Read(error),
        }
    }
}

impl Archive {
    /// An archive of what a store has, and of what will come to it, that holds about `room` bytes of it in memory.
    pub(crate) fn over(
        store: Arc<dyn Store>,
        durability: Durability,
        room: usize,
        clock: Option<Box<dyn Clock>>,
    ) -> Result<Arc<Self>, StoreError> {
        let head = store.head()?;
        let mut archive = Self::new(clock);
        let reader = Reader::new(Arc::clone(&store), Arc::clone(&archive.types), room / 2);
        archive.lineages = Lineages::over(Arc::<Reader>::clone(&reader), head.position);
        archive.lineages.set_room(room / 2 / TEXT);
        archive.writer.get_mut().unwrap_or_else(PoisonError::into_inner).head = head;
        archive.kept = Some(Kept { store, durability, reader: Arc::clone(&reader) });
        let archive = Arc::new(archive);
        reader.set_archive(&archive);
        Ok(archive)
    }

    /// Takes in what others appended, unless a writer is at work, which then does. Reads never wait for one.
    #[inline]
    pub(crate) fn refresh(&self) -> Result<(), ReadError> {
        match &self.kept {
            None => Ok(()),
            Some(kept) => self.refresh_from(kept),
        }
    }

    fn refresh_from(&self, kept: &Kept) -> Result<(), ReadError> {
        // What another reader was told while a writer was at work may not have been taken in yet.
        if !kept.store.has_moved()? && !self.behind.load(Ordering::Acquire) {
            return Ok(());
        }
        self.behind.store(true, Ordering::Release);
        let mut replaced = Replaced::new();
        match self.writer.try_lock() {
            Ok(mut writer) => self.catch_up(kept, &mut writer, &mut replaced),
            Err(TryLockError::Poisoned(poisoned)) => self.catch_up(kept, &mut poisoned.into_inner(), &mut replaced),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    /// Takes in what others appended. The caller holds the writer's lock.
    pub(super) fn catch_up(&self, kept: &Kept, writer: &mut Writer, replaced: &mut Replaced) -> Result<(), ReadError> {
        if !kept.store.has_moved()? && !self.behind.load(Ordering::Acquire) {
            return Ok(());
        }
        loop {
            let head = kept.store.head()?;
            match self.take_in(kept, writer, head, replaced) {
                // What it reads may be forgotten by then.
                Err(_) if kept.store.head()? != head => {}
                done => break done?,
            }
        }
        self.behind.store(false, Ordering::Release);
        Ok(())
    }

    /// Takes in what others appended up to a head.
    fn take_in(&self, kept: &Kept, writer: &mut Writer, head: Head, replaced: &mut Replaced) -> Result<(), ReadError> {
        if head == writer.head {
            return Ok(());
        }
        self.check_goes_on(kept, &writer.head, &head)?;
        self.lineages.begin_epoch(head.position);
        kept.reader.numbers.forget();
        kept.reader.keys.forget();
        let mut erased = false;
        let mut touched: Vec<EntityId> = Vec::new();
        for position in (writer.head.position.0 + 1..=head.position.0).map(Position) {
            let entry = kept.store.entry(position)?;
            let entry = entry.ok_or_else(|| damaged(format!("entry {position} of the log"), "it is not there"))?;
            erased |= entry.kind == EntryKind::Erased;
            touched.extend(entry.versions.iter().map(|(entity, _)| *entity));
            touched.extend(&entry.ended);
        }
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            self.lineages.renew(id, replaced)?;
        }
        if erased {
            self.let_go_of_erased(kept, replaced);
        }
        writer.head = head;
        self.lineages.publish(head.position);
        Ok(())
    }

    /// Whether the store still has what was taken in. If not, what is in memory is of another history.
    fn check_goes_on(&self, kept: &Kept, known: &Head, head: &Head) -> Result<(), ReadError> {
        let same =
            known.position.0 == 0 || kept.store.entry(known.position)?.is_some_and(|entry| entry.hash == known.hash);
        if same && head.position > known.position {
            return Ok(());
        }
        Err(ReadError::Unreadable {
            reason: format!(
                "the store was at {} and is at {}, by another way: it was cut or replaced while it was open, so open it \
                 again",
                known.position, head.position
            ),
        })
    }

    /// Checks what each commit expects, and appends those that hold: to what is in memory, unseen, and then to the store
    /// as one. What does not hold has its result; the others give where they landed, by their places.
    pub(super) fn append_all(
        &self,
        kept: &Kept,
        writer: &mut Writer,
        wanted: &[Wanted],
        results: &mut [Option<Result<Landed, CommitError>>],
        replaced: &mut Replaced,
    ) -> Result<Vec<(usize, Position, Made)>, Failed> {
        loop {
            // Nobody is asked whether somebody else appended meanwhile: then the store refuses, and tells.
            if self.behind.load(Ordering::Acquire) {
                self.catch_up(kept, writer, replaced)?;
            }
            let (mut applied, mut entries) = (Vec::new(), Vec::with_capacity(wanted.len()));
            for (at, wanted) in wanted.iter().enumerate() {
                let position = Position(writer.head.position.0 + 1 + entries.len() as u64);
                let ready = wanted.prepared.as_ref().map_or(Ok(Renumbered::default()), |prepared| {
                    self.check(prepared)?;
                    Ok(self.renumbered(kept, prepared)?)
                });
                // The last that can fail before the entry is in memory.
                let ready = ready.and_then(|renumbered| Ok((renumbered, self.seal(kept, wanted, position)?)));
                match ready {
                    Err(error) => results[at] = Some(Err(error)),
                    Ok((renumbered, sealed)) => {
                        let time = wanted.given.unwrap_or_else(|| writer.reading.time(wanted.info.ended));
                        let prepared = wanted.prepared.as_ref().map(|prepared| (prepared, &renumbered));
                        let (done, mut entry) = self.apply(position, time, prepared, wanted, replaced);
                        sealed.into_iter().for_each(|sealed| sealed.put_into(&mut entry));
                        applied.push((at, done));
                        entries.push(entry);
                    }
                }
            }
            if entries.is_empty() {
                return Ok(Vec::new());
            }
            match kept.store.append(&writer.head, &entries, kept.durability) {
                Ok(head) => {
                    writer.head = head;
                    for (at, applied) in &applied {
                        self.settle_in(wanted[*at].prepared.as_ref(), &applied.made, replaced);
                    }
                    let positions = entries.iter().map(|entry| entry.position);
                    let landed = applied.into_iter().zip(positions);
                    return Ok(landed.map(|((at, applied), position)| (at, position, applied.made)).collect());
                }
                Err(error) => {
                    kept.reader.keys.forget();
                    for (_, applied) in applied.iter().rev() {
                        self.lineages.roll_back(&applied.made, &applied.ended, entries[0].position, replaced);
                    }
                    // Who was refused for the sake of one of these was refused for nothing.
                    results.iter_mut().for_each(|result| *result = None);
                    match error {
                        AppendError::Moved { found } if found != writer.head => {
                            self.behind.store(true, Ordering::Release);
                        }
                        error => return Err(error.into()),
                    }
                }
            }
        }
    }

    /// Appends to what is in memory, unseen, and says what the store is to be given.
    fn apply(
        &self,
        position: Position,
        time: Timestamp,
        prepared: Option<(&Prepared, &Renumbered)>,
        wanted: &Wanted,
        replaced: &mut Replaced,
    ) -> (Applied, Entry) {
        let (mut made, mut ended, mut versions, mut references) = (Made::new(), Vec::new(), Vec::new(), Vec::new());
        if let Some((prepared, renumbered)) = prepared {
            ended.extend(prepared.batch.ended.iter().map(|(ix, _)| *ix));
            let Batch { ended: ends, writes } = &prepared.batch;
            made = self.lineages.append(ends, writes.iter().cloned(), position, replaced);
            ended.retain(|ix| self.lineages.owner_from(*ix, position).is_some());
            versions = self.versions_of(prepared, &made, position);
            references = references_of(&prepared.batch, renumbered, &versions);
        }
        let ended_with = |ix: &Ix| {
            let owner = self.lineages.last_owner(*ix)?.owner;
            Some((self.lineages.get(*ix).id, OwnerChange::Ended { owner: self.lineages.get(owner).id }))
        };
        let entry = Entry {
            position,
            time,
            kind: said::kind(wanted.info.run.as_ref(), versions.len()),
            said: Arc::clone(&wanted.said),
            versions,
            ended: ended.iter().filter_map(ended_with).collect(),
            references,
            keys: Vec::new(),
        };
        (Applied { made, ended }, entry)
    }

    /// The versions that a batch became, as the store is given them.
    fn versions_of(&self, prepared: &Prepared, made: &Made, position: Position) -> Vec<Version> {
        let lineages = &self.lineages;
        let mut carried: HashMap<Ix, SmallVec<[EntityId; 2]>, ahash::RandomState> = HashMap::default();
        if made.len() > 1 {
            // What has its first version changed in nothing: it was not there before.
            for (ix, _) in made.iter().filter(|(_, index)| *index > 0) {
                if let Some(edge) = lineages.last_owner(Ix(*ix)) {
                    carried.entry(edge.owner).or_default().push(lineages.get(Ix(*ix)).id);
                }
            }
        }
        let revision = |index: u32| Revision(u64::from(index) + 1);
        let of = |(at, (ix, index)): (usize, &(u32, u32))| {
            let ix = Ix(*ix);
            let (kind, owner) = lineages.newest_kind(ix, position);
            let body = match kind {
                PastKind::Carried(own) => VersionBody::Carried { own },
                PastKind::Removed(own) => VersionBody::Removed { own },
                PastKind::Own => {
                    let body = prepared.bodies[at].as_ref().expect("every own state of a kept batch has its body");
                    VersionBody::Own {
                        layout: Arc::clone(&body.layout),
                        base: body.base,
                        bytes: Arc::clone(&body.bytes),
                        seal: None,
                    }
                }
            };
            let mut carried = carried.remove(&ix).unwrap_or_default().into_vec();
            carried.sort_unstable();
            let owner = owner.map(|edge| self.owner_change(edge));
            Version { entity: lineages.get(ix).id, revision: revision(*index), body, carried, owner }
        };
        made.iter().enumerate().map(of).collect()
    }

    fn owner_change(&self, edge: Option<OwnerEdge>) -> OwnerChange {
        match edge {
            None => OwnerChange::Root,
            Some(OwnerEdge { owner, field: ENDED }) => OwnerChange::Ended { owner: self.lineages.get(owner).id },
            Some(OwnerEdge { owner, field }) => OwnerChange::Owned { owner: self.lineages.get(owner).id, field },
        }
    }

    /// What is left to do in memory once the store has a commit.
    fn settle_in(&self, prepared: Option<&Prepared>, made: &Made, replaced: &mut Replaced) {
        let Some(prepared) = prepared else { return };
        for ((ix, _), body) in made.iter().zip(&prepared.bodies) {
            if let Some(body) = body {
                self.lineages.weigh(Ix(*ix), body.weight);
            }
        }
        self.lineages.trim(made, replaced);
        self.lineages.make_room(replaced);
    }
}

/// The references that come and go, each once, those that go first.
fn references_of(batch: &Batch, renumbered: &Renumbered, versions: &[Version]) -> Vec<ReferenceChange> {
    let mut references: Vec<ReferenceChange> = Vec::new();
    for (at, (write, version)) in batch.writes.iter().zip(versions).enumerate() {
        debug_assert!(!matches!(write.target, WriteTarget::New { id, .. } if id != version.entity));
        let changes = renumbered.get(&at).map_or(&write.references[..], Vec::as_slice);
        let mut own: Vec<ReferenceChange> = changes
            .iter()
            .map(|change| ReferenceChange {
                from: version.entity,
                field: change.field,
                to: change.to,
                opened: change.opened,
            })
            .collect();
        own.sort_unstable();
        own.dedup();
        // What goes and comes in one commit stays.
        let stays: Vec<(u16, EntityId)> = own
            .iter()
            .filter(|change| change.opened && own.binary_search(&ReferenceChange { opened: false, ..**change }).is_ok())
            .map(|change| (change.field, change.to))
            .collect();
        // In the order of `own`, which is that of fields and ids.
        own.retain(|change| stays.binary_search(&(change.field, change.to)).is_err());
        references.extend(own);
    }
    references.sort_by_key(|change| change.opened);
    references
}
