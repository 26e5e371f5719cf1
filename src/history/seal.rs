//! Sealing what a store is given: each state under the key of the subject whose it is, as late as it can be done.
//!
//! It is done under the writer's lock, after what others appended was taken in. An erasure is an entry of the log, so
//! either it was seen, and its key is not known here any more, or the append that follows is refused, for the head moved.

use std::collections::{BTreeMap, HashMap, btree_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::{damaged, sealed};
use super::group::Wanted;
use super::kept::Kept;
use super::reader::Reader;
use super::{Archive, CommitError, Info, ReadError, cipher};
use crate::digest::{Digest, Digester};
use crate::entity::{AnyCell, AnyEntity};
use crate::id::EntityId;
use crate::lineage::{Ix, WriteTarget};
use crate::log::Given;
use crate::schema::SubjectOf;
use crate::store::{
    AppendError, Entry, KeyChange, KeyNumber, KeyRow, Secret, Store, StoreError, VersionBody, VersionRow,
};
use crate::value::Value;
use crate::when::{Position, Revision};

/// How many keys are remembered.
const REMEMBERED: usize = 1 << 16;

/// What a store knows a subject by.
pub(super) fn subject_digest(name: &str) -> Digest {
    let mut digester = Digester::new();
    digester.bytes(b"heirloom subject 1");
    digester.bytes(name.as_bytes());
    digester.finish()
}

/// The subject whose data the own state of an entity is, if its type says so. O(1) if not.
pub(super) fn subject_of(entity: &dyn AnyEntity) -> Option<Digest> {
    match entity.meta_of().subject? {
        SubjectOf::Itself => Some(subject_digest(&entity.entity_id().to_string())),
        SubjectOf::Field(field) => Some(subject_digest(&name_in(&entity.encode_field(field)))),
    }
}

/// The name that the value of a field is.
fn name_in(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Reference(id) => id.to_string(),
        other => other.to_string(),
    }
}

/// Where a sealed state belongs: nowhere else can it be opened.
pub(super) fn place_of_state(entity: EntityId, revision: Revision) -> Vec<u8> {
    [&b"heirloom state 1"[..], entity.as_bytes(), &revision.0.to_le_bytes()].concat()
}

/// Where the sealed part of what is said of a run belongs.
pub(super) fn place_of_run(position: Position) -> Vec<u8> {
    [&b"heirloom run 1"[..], &position.0.to_le_bytes()].concat()
}

/// Keys that were used lately.
#[derive(Default)]
pub(super) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    secrets: HashMap<KeyNumber, Secret, ahash::RandomState>,
    numbers: HashMap<Digest, KeyNumber, ahash::RandomState>,
    /// The last that was made, if that was looked up.
    last: Option<u64>,
    /// How often all was forgotten.
    forgotten: u64,
}

impl Keys {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: others appended, or an append was refused.
    pub(super) fn forget(&self) {
        let mut known = self.known();
        *known = Known { forgotten: known.forgotten + 1, ..Known::default() };
    }

    /// The bytes of a key; `None` if they are not there.
    pub(super) fn secret(&self, store: &dyn Store, number: KeyNumber) -> Result<Option<Secret>, ReadError> {
        let forgotten = {
            let known = self.known();
            if let Some(secret) = known.secrets.get(&number) {
                return Ok(Some(secret.clone()));
            }
            known.forgotten
        };
        let row = store.key(number)?;
        let row =
            row.ok_or_else(|| damaged(number.to_string(), "it was never made, and something is sealed under it"))?;
        let mut known = self.known();
        // What was read before an erasure was seen is not kept beyond it.
        if known.forgotten == forgotten
            && let Some(secret) = &row.secret
        {
            known.keep(number, secret);
        }
        Ok(row.secret)
    }
}

impl Known {
    fn keep(&mut self, number: KeyNumber, secret: &Secret) {
        if self.secrets.len() >= REMEMBERED {
            (self.secrets, self.numbers) = Default::default();
        }
        self.secrets.insert(number, secret.clone());
    }
}

/// What takes the place of plain bytes in an entry.
#[derive(Default)]
pub(super) struct Sealed {
    /// Of each write of the batch that is sealed.
    pub(super) bodies: HashMap<usize, (Arc<[u8]>, KeyNumber), ahash::RandomState>,
    /// The keys that are made for it.
    pub(super) keys: Vec<KeyChange>,
    /// What is said, if a run has something to hide.
    pub(super) said: Option<Arc<[u8]>>,
}

/// Keys while one entry is sealed: what it makes is known to others once all of it went well.
struct Sealing<'k> {
    kept: &'k Kept,
    made: Vec<(KeyNumber, Digest, Secret)>,
    /// All that concern the entry. One without its bytes is erased.
    concerned: BTreeMap<KeyNumber, Option<Secret>>,
}

impl Sealing<'_> {
    /// The key of a subject: the one there is, or one that is made.
    fn key_of(&mut self, subject: Digest) -> Result<(KeyNumber, Secret), StoreError> {
        if let Some((number, _, secret)) = self.made.iter().find(|(_, made, _)| *made == subject) {
            return Ok((*number, secret.clone()));
        }
        {
            let known = self.kept.reader.keys.known();
            if let Some(number) = known.numbers.get(&subject)
                && let Some(secret) = known.secrets.get(number)
            {
                return Ok((*number, secret.clone()));
            }
        }
        if let Some(KeyRow { number, secret, .. }) = self.kept.store.key_of(subject)? {
            let missing = || StoreError::Damaged {
                what: number.to_string(),
                detail: "its bytes never came here, and its subject was not erased: import the rest".to_owned(),
            };
            let secret = secret.ok_or_else(missing)?;
            let mut known = self.kept.reader.keys.known();
            known.keep(number, &secret);
            known.numbers.insert(subject, number);
            return Ok((number, secret));
        }
        let known = self.kept.reader.keys.known().last;
        let last = match known {
            Some(last) => last,
            None => self.kept.store.last_key()?.map_or(0, |last| last.0),
        };
        let number = KeyNumber(last + self.made.len() as u64 + 1);
        let secret = cipher::secret()?;
        self.made.push((number, subject, secret.clone()));
        Ok((number, secret))
    }

    /// Makes what was made known to what is sealed next, and gives it to the entry.
    fn finish(self) -> Vec<KeyChange> {
        let mut known = self.kept.reader.keys.known();
        let mut keys = Vec::with_capacity(self.made.len());
        for (number, subject, secret) in self.made {
            known.keep(number, &secret);
            known.numbers.insert(subject, number);
            known.last = Some(number.0);
            keys.push(KeyChange::Made { number, subject, secret: Some(secret) });
        }
        keys
    }
}

impl Archive {
    /// Notes whom a run concerns by what it made, whatever becomes of that: its arguments say something of them.
    pub(crate) fn concern(&self, info: &mut Info, created: &[Arc<dyn AnyCell>]) {
        if self.types.seals() {
            info.subjects.extend(created.iter().filter_map(|cell| subject_of(cell.entity())));
        }
    }

    /// Seals what an entry at a position is given of subjects; `None`, at the cost of a look at each body, if nothing is.
    ///
    /// To be called with the writer's lock, before the entry is put into memory: nothing can fail after that.
    pub(super) fn seal(&self, kept: &Kept, wanted: &Wanted, position: Position) -> Result<Option<Sealed>, CommitError> {
        let bodies = wanted.prepared.iter().flat_map(|prepared| &prepared.bodies).flatten();
        let is_sealed = bodies.into_iter().any(|body| body.subject.is_some()) || !wanted.info.subjects.is_empty();
        if !is_sealed && (wanted.info.run.is_none() || !self.types.seals()) {
            return Ok(None);
        }
        let mut sealing = Sealing { kept, made: Vec::new(), concerned: BTreeMap::new() };
        let mut result = Sealed::default();
        let store = |error| CommitError::Store(AppendError::Store(error));
        if let Some(prepared) = &wanted.prepared {
            for (at, (write, body)) in prepared.batch.writes.iter().zip(&prepared.bodies).enumerate() {
                let Some((body, subject)) = body.as_ref().and_then(|body| Some((body, body.subject?))) else {
                    continue;
                };
                let (number, secret) = sealing.key_of(subject).map_err(store)?;
                let (entity, revision) = match write.target {
                    WriteTarget::New { id, .. } => (id, Revision(1)),
                    WriteTarget::Known(ix) => {
                        (self.lineages.get(ix).id, Revision(self.lineages.last_revision(ix).0 + 1))
                    }
                };
                let bytes = cipher::seal(&secret, &place_of_state(entity, revision), &body.bytes).map_err(store)?;
                result.bodies.insert(at, (sealed(&bytes), number));
                sealing.concerned.insert(number, Some(secret));
            }
        }
        if let Some(run) = &wanted.info.run {
            for subject in &wanted.info.subjects {
                let (number, secret) = sealing.key_of(*subject).map_err(store)?;
                sealing.concerned.insert(number, Some(secret));
            }
            for number in self.keys_of_inputs(kept, &run.given)? {
                if let btree_map::Entry::Vacant(place) = sealing.concerned.entry(number) {
                    place.insert(kept.reader.keys.secret(&*kept.store, number)?);
                }
            }
            if !sealing.concerned.is_empty() {
                result.said =
                    self.said_sealed(wanted.info.said.as_deref(), run, position, &sealing.concerned).map_err(store)?;
            }
        }
        result.keys = sealing.finish();
        Ok(Some(result))
    }

    /// The keys under which the entities are sealed that a run was given.
    fn keys_of_inputs(&self, kept: &Kept, given: &[Given]) -> Result<Vec<KeyNumber>, ReadError> {
        let mut inputs = Vec::new();
        entities_in(given, &mut inputs);
        let mut keys = Vec::new();
        for (ix, revision) in inputs {
            if !self.lineages.row(ix)?.meta.seals() {
                continue;
            }
            let id = self.lineages.get(ix).id;
            let mut row = match kept.reader.row_of(id, revision).map_err(ReadError::from) {
                // Since it was read, it was superseded and forgotten.
                Err(ReadError::Forgotten { .. }) => kept.store.newest(id)?,
                row => Some(row?),
            };
            if let Some(VersionRow { body: VersionBody::Carried { own } | VersionBody::Removed { own }, .. }) = row {
                row = Some(kept.reader.row_of(id, own)?);
            }
            if let Some(VersionRow { body: VersionBody::Own { seal: Some(key), .. }, .. }) = row {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// The entities among what a run was given.
fn entities_in(given: &[Given], found: &mut Vec<(Ix, Revision)>) {
    for given in given {
        match given {
            Given::Entity(ix, revision) => found.push((*ix, Revision(u64::from(*revision)))),
            Given::At(at) => entities_in(&at.1, found),
            Given::Several(given) => entities_in(given, found),
            Given::Null | Given::Bool(_) | Given::Int(_) | Given::F64(_) | Given::Value(_) => {}
        }
    }
}

impl Reader {
    /// What is sealed of a run; `None` if it is erased.
    pub(super) fn open_run(
        &self,
        position: Position,
        keys: &[KeyNumber],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let mut secrets = Vec::with_capacity(keys.len());
        for number in keys {
            match self.keys.secret(&*self.store, *number)? {
                Some(secret) => secrets.push(secret),
                None => return Ok(None),
            }
        }
        let opened = cipher::open(&cipher::joined(secrets.iter()), &place_of_run(position), sealed);
        opened.map(Some).map_err(|why| damaged(format!("entry {position} of the log"), why))
    }
}

impl Sealed {
    /// Puts what is sealed in the place of what is not. An entry's versions begin with those of the batch, in its order.
    pub(super) fn put_into(self, entry: &mut Entry) {
        for (at, (sealed, key)) in self.bodies {
            if let VersionBody::Own { bytes, seal, .. } = &mut entry.versions[at].body {
                (*bytes, *seal) = (sealed, Some(key));
            }
        }
        entry.keys = self.keys;
        if let Some(said) = self.said {
            entry.said = said;
        }
    }
}
