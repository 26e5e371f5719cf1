//! Reading states that only a store has: what was written comes back in the form that its type has today.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::body::{self, damaged};
use super::entry::ReadLine;
use super::numbers::{NO_FIELD, Numbers};
use super::said::{self, within_reach};
use super::seal::{Keys, place_of_state};
use super::{Archive, ReadError, Types, cipher};
use crate::entity::{AnyCell, Load, LoadError, Stamp, TypeRow, owned_ids};
use crate::id::EntityId;
use crate::lineage::{Gone, Lineages, Past, PastKind, PastOwner, PastState, PastVersion, Unreadable, Weight};
use crate::store::{KeyNumber, LayoutRow, OwnerChange, Store, StoreError, VersionBody, VersionRow};
use crate::value::{DecodeError, Patch, Value};
use crate::when::{LATEST, Position, Revision, When};

/// Reads what a store has.
pub(super) struct Reader {
    pub(super) store: Arc<dyn Store>,
    pub(super) types: Arc<Types>,
    pub(super) numbers: Numbers,
    pub(super) keys: Keys,
    me: Weak<Reader>,
    /// What has more in memory, as long as it is there.
    archive: OnceLock<Weak<Archive>>,
    /// States that were read lately.
    states: Cache<(EntityId, Revision), Arc<Stored>, Size>,
    /// Lines of the log that were read lately.
    lines: Cache<Position, KnownLine, Size>,
    /// How often erasures were seen.
    erasures: AtomicU64,
}

/// An own state as it was stored.
pub(super) struct Stored {
    pub(super) value: Arc<Value>,
    weight: Weight,
    layout: Arc<LayoutRow>,
}

/// A line of the log as it was read, and what it takes in memory, about.
#[derive(Clone)]
struct KnownLine {
    line: Arc<ReadLine>,
    bytes: u64,
}

/// One step to a state from the one before.
struct Step {
    patch: Patch,
    weight: Weight,
    layout: Arc<LayoutRow>,
}

/// What a state takes in memory, about.
#[derive(Clone)]
struct Size;

impl Weighter<(EntityId, Revision), Arc<Stored>> for Size {
    fn weight(&self, _: &(EntityId, Revision), state: &Arc<Stored>) -> u64 {
        // Values take some four times as much as their text.
        u64::from(state.weight.whole) * 4 + 256
    }
}

impl Weighter<Position, KnownLine> for Size {
    fn weight(&self, _: &Position, known: &KnownLine) -> u64 {
        known.bytes
    }
}

/// One part of the room in so many is for lines of the log, the rest for states.
const FOR_LINES: usize = 8;

/// Beyond so many versions between two states nobody looks for what stayed.
const FAR: u64 = 65_536;

impl Reader {
    pub(super) fn new(store: Arc<dyn Store>, types: Arc<Types>, room: usize) -> Arc<Self> {
        let for_lines = room / FOR_LINES;
        let for_states = room - for_lines;
        let states = Cache::with_weighter(for_states / 1024, for_states as u64, Size);
        let lines = Cache::with_weighter(for_lines / 1024, for_lines as u64, Size);
        Arc::new_cyclic(|me| Self {
            store,
            types,
            numbers: Numbers::default(),
            keys: Keys::default(),
            me: Weak::clone(me),
            archive: OnceLock::new(),
            states,
            lines,
            erasures: AtomicU64::new(0),
        })
    }

    pub(super) fn set_archive(&self, archive: &Arc<Archive>) {
        _ = self.archive.set(Arc::downgrade(archive));
    }

    pub(super) fn row_of(&self, id: EntityId, revision: Revision) -> Result<VersionRow, Unreadable> {
        if let Some(row) = self.store.version(id, revision).map_err(unreadable)? {
            return Ok(row);
        }
        let horizon = self.store.horizon().map_err(unreadable)?;
        if horizon.0 > 0 {
            return Err(ReadError::Forgotten { asked: revision.into(), horizon }.into());
        }
        Err(damaged(format!("{id}"), format!("it has no {revision}, which another names")).into())
    }

    /// A line of the log. What was read lately is not read again: it never changes, unless something is erased.
    pub(super) fn line(&self, position: Position) -> Result<Option<Arc<ReadLine>>, ReadError> {
        if let Some(known) = self.lines.get(&position) {
            return Ok(Some(known.line));
        }
        let erasures = self.erasures.load(Ordering::SeqCst);
        let Some(row) = self.store.entry(position)? else { return Ok(None) };
        let open = |keys: &[KeyNumber], sealed: &[u8]| self.open_run(position, keys, sealed);
        let line = Arc::new(said::line(&row, &open)?);
        let bytes = 256 + 4 * row.said.len() as u64 + 24 * row.versions.len() as u64;
        self.lines.insert(position, KnownLine { line: Arc::clone(&line), bytes });
        // It may have been read before an erasure, and put there after all was let go.
        if self.erasures.load(Ordering::SeqCst) != erasures {
            self.lines.remove(&position);
        }
        Ok(Some(line))
    }

    fn version_then(&self, id: EntityId, at: Position) -> Result<Option<VersionRow>, Unreadable> {
        self.store.version_at(id, within_reach(at)).map_err(unreadable)
    }

    /// An own state as it was stored. What was read lately is not read again, nor what it builds on.
    pub(super) fn stored(&self, id: EntityId, own: Revision) -> Result<Arc<Stored>, Unreadable> {
        let what = |revision: Revision| format!("{id} {revision}");
        let erasures = self.erasures.load(Ordering::SeqCst);
        let mut steps: Vec<(Revision, Step)> = Vec::new();
        let mut revision = own;
        let mut state = loop {
            if let Some(known) = self.states.get(&(id, revision)) {
                break known;
            }
            let VersionBody::Own { layout, base, mut bytes, seal } = self.row_of(id, revision)?.body else {
                return Err(damaged(what(revision), "it has no state of its own").into());
            };
            if let Some(key) = seal {
                bytes = self.open(id, revision, key, &bytes)?;
            }
            let read = body::read(&bytes).map_err(|detail| damaged(what(revision), detail))?;
            match (read, base) {
                (body::Read::Whole(value, weight), None) => {
                    break Arc::new(Stored { value: Arc::new(value), weight, layout });
                }
                (body::Read::Patch(patch, weight), Some(base)) if base < revision => {
                    steps.push((revision, Step { patch, weight, layout }));
                    revision = base;
                }
                _ => return Err(damaged(what(revision), "it builds on no earlier version").into()),
            }
        };
        // Changed in place from here on, as far as nobody else has it.
        for (revision, Step { patch, weight, layout }) in steps.into_iter().rev() {
            if layout.digest != state.layout.digest {
                return Err(damaged(what(revision), "what it is a difference to has another layout").into());
            }
            let mut value = Arc::try_unwrap(state).map_or_else(|shared| Arc::clone(&shared.value), |own| own.value);
            patch.apply(Arc::make_mut(&mut value)).map_err(|error| damaged(what(revision), error.to_string()))?;
            state = Arc::new(Stored { value, weight, layout });
        }
        self.states.insert((id, own), Arc::clone(&state));
        // It may have been read before an erasure, and put there after all was let go.
        if self.erasures.load(Ordering::SeqCst) != erasures {
            self.states.remove(&(id, own));
        }
        Ok(state)
    }

    /// What was sealed in the body of a state.
    fn open(&self, id: EntityId, revision: Revision, key: KeyNumber, bytes: &[u8]) -> Result<Arc<[u8]>, Unreadable> {
        let Some(secret) = self.keys.secret(&*self.store, key)? else {
            return Err(ReadError::Erased { entity: id, revision }.into());
        };
        let wrong = |why: &str| damaged(format!("{id} {revision}"), why);
        let sealed = body::sealed_in(bytes).ok_or_else(|| wrong("it names a key and is not sealed"))?;
        let opened = cipher::open(&secret, &place_of_state(id, revision), sealed).map_err(wrong)?;
        Ok(opened.into())
    }

    /// Lets go of all that was read: something was erased.
    pub(super) fn let_go(&self) {
        self.erasures.fetch_add(1, Ordering::SeqCst);
        self.keys.forget();
        self.states.clear();
        self.lines.clear();
    }

    fn type_of(&self, id: EntityId, layout: &LayoutRow) -> Result<&'static TypeRow, Unreadable> {
        let row = self.types.by_stored_name(&layout.name);
        row.ok_or_else(|| ReadError::UnknownType { entity: id, name: layout.name.clone() }.into())
    }

    /// What is not of today's layout and cannot be read as if it were.
    fn outdated(
        &self,
        id: EntityId,
        revision: Revision,
        layout: &LayoutRow,
        row: &'static TypeRow,
        why: String,
    ) -> ReadError {
        ReadError::Layout {
            entity: id,
            revision,
            stored: layout.text.clone(),
            today: self.types.layout(row).text().to_owned(),
            reason: why,
            schema: layout.schema,
            schema_today: row.meta.schema,
        }
    }
}

/// What a store's error is to a reader.
pub(super) fn unreadable(error: StoreError) -> Unreadable {
    match error {
        StoreError::Forgotten { position, horizon } => ReadError::Forgotten { asked: position.into(), horizon }.into(),
        error => ReadError::from(error).into(),
    }
}

fn version(row: VersionRow) -> PastVersion {
    let kind = match row.body {
        VersionBody::Own { .. } => PastKind::Own,
        VersionBody::Carried { own } => PastKind::Carried(own),
        VersionBody::Removed { own } => PastKind::Removed(own),
    };
    PastVersion { revision: row.revision, position: row.position, kind, carried: row.carried }
}

impl Past for Reader {
    fn newest(&self, id: EntityId) -> Result<Option<PastVersion>, Unreadable> {
        Ok(self.store.newest(id).map_err(unreadable)?.map(version))
    }
    fn missing(&self, ids: &[EntityId]) -> Result<Vec<EntityId>, Unreadable> {
        self.store.missing(ids).map_err(unreadable)
    }
    fn version_at(&self, id: EntityId, at: Position) -> Result<Option<PastVersion>, Unreadable> {
        Ok(self.version_then(id, at)?.map(version))
    }
    fn version(&self, id: EntityId, revision: Revision) -> Result<Option<PastVersion>, Unreadable> {
        if let Some(row) = self.store.version(id, revision).map_err(unreadable)? {
            return Ok(Some(version(row)));
        }
        let newest = self.store.newest(id).map_err(unreadable)?;
        if revision.0 > 0 && newest.is_some_and(|newest| newest.revision > revision) {
            return self.row_of(id, revision).map(version).map(Some);
        }
        Ok(None)
    }
    fn owner_at(&self, id: EntityId, at: Position) -> Result<Option<PastOwner>, Unreadable> {
        let at = within_reach(at);
        let Some((since, owner)) = self.store.owner_at(id, at).map_err(unreadable)? else { return Ok(None) };
        let owner = match owner {
            OwnerChange::Root => None,
            OwnerChange::Owned { owner, field } => Some((owner, self.field_today(owner, since, field)?)),
            OwnerChange::Ended { owner } => Some((owner, crate::lineage::ENDED)),
        };
        Ok(Some((since, owner)))
    }
    fn referrers_at(&self, id: EntityId, at: Position) -> Result<Vec<(EntityId, u16)>, Unreadable> {
        let at = within_reach(at);
        let stored = self.store.referrers_at(id, at).map_err(unreadable)?;
        let today = |(from, field)| Ok((from, self.field_today(from, at, field)?));
        let mut referrers: Vec<(EntityId, u16)> = stored.into_iter().map(today).collect::<Result<_, Unreadable>>()?;
        referrers.retain(|(_, field)| *field != NO_FIELD);
        Ok(referrers)
    }
    fn is_known(&self, at: Position) -> Result<bool, Unreadable> {
        Ok(self.store.kept_from(at).map_err(unreadable)? == at)
    }
    fn row(&self, id: EntityId, own: Revision) -> Result<&'static TypeRow, Unreadable> {
        match self.row_of(id, own)?.body {
            VersionBody::Own { layout, .. } => self.type_of(id, &layout),
            _ => Err(damaged(format!("{id} {own}"), "it has no state of its own").into()),
        }
    }
    fn state(&self, id: EntityId, own: Revision) -> Result<PastState, Unreadable> {
        let stored = self.stored(id, own)?;
        let (layout, mut value, mut weight) = (&stored.layout, Arc::clone(&stored.value), stored.weight);
        let row = self.type_of(id, layout)?;
        if layout.digest != self.types.layout_row(row).digest {
            let upcast = self.types.upcast(row, layout.schema, Value::clone(&value));
            value = Arc::new(upcast.map_err(|why| self.outdated(id, own, layout, row, why))?);
            // A difference to it would be one of another layout.
            weight = Weight::default();
        }
        let mut inline = Vec::new();
        if row.holds_inline {
            inline_ids(row, &value, &mut inline);
        }
        Ok(PastState { row, value, weight, inline })
    }
    fn undecodable(&self, id: EntityId, own: Revision, error: DecodeError) -> Unreadable {
        let layout = match self.stored(id, own) {
            Ok(stored) => Arc::clone(&stored.layout),
            Err(error) => return error,
        };
        let Some(row) = self.types.by_stored_name(&layout.name) else {
            return ReadError::UnknownType { entity: id, name: layout.name.clone() }.into();
        };
        if layout.digest == self.types.layout_row(row).digest {
            return damaged(format!("{id} {own}"), error.to_string()).into();
        }
        self.outdated(id, own, &layout, row, error.to_string()).into()
    }
    fn loader(&self, owner: EntityId, at: Position) -> Arc<dyn Load> {
        let reader = self.me.upgrade().expect("it is asked while somebody holds it");
        Arc::new(Loader { reader, owner, at, changed: Mutex::new(None) })
    }
}

/// The entities that stand by value in a state.
fn inline_ids(row: &TypeRow, value: &Value, ids: &mut Vec<EntityId>) {
    let (meta, fields) = match value {
        Value::Variant(variant) => {
            let name = variant.0.as_ref();
            let meta = row.meta.leaf(name);
            (meta, &variant.1)
        }
        fields => (Some(row.meta), fields),
    };
    let (Some(meta), Value::Struct(fields)) = (meta, fields) else { return };
    for (name, value) in fields {
        if meta.field(name).is_some_and(|field| meta.fields[field].inlines) {
            owned_ids(value, &mut |id| ids.push(id));
        }
    }
}

/// What changed in what an entity owns, between its loader's state and another.
struct Changed {
    other: Position,
    /// `None` if there is too much to look through.
    ids: Option<HashSet<EntityId, ahash::RandomState>>,
}

/// Loads what one entity owned as of one position.
struct Loader {
    reader: Arc<Reader>,
    owner: EntityId,
    at: Position,
    changed: Mutex<Option<Arc<Changed>>>,
}

impl Loader {
    fn changed(&self, other: Position) -> Arc<Changed> {
        let mut kept = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(changed) if changed.other == other => Arc::clone(changed),
            _ => {
                let changed = Arc::new(Changed { other, ids: self.look(other) });
                *kept = Some(Arc::clone(&changed));
                changed
            }
        }
    }

    /// The owned entities that have versions between both positions. O(versions of the owner between them).
    fn look(&self, other: Position) -> Option<HashSet<EntityId, ahash::RandomState>> {
        let (from, to) = (self.at.min(other), self.at.max(other));
        let store = &self.reader.store;
        let newest = self.reader.version_then(self.owner, to).ok()??;
        let oldest = self.reader.version_then(self.owner, from).ok()??;
        if newest.revision.0 - oldest.revision.0 > FAR {
            return None;
        }
        let mut ids: HashSet<EntityId, ahash::RandomState> = newest.carried.into_iter().collect();
        for revision in (oldest.revision.0 + 1..newest.revision.0).map(Revision) {
            ids.extend(store.version(self.owner, revision).ok()??.carried);
        }
        Some(ids)
    }

    fn read(&self, id: EntityId) -> Result<Arc<dyn AnyCell>, ReadError> {
        let read = |lineages: &Lineages, gone: &dyn Fn(Gone) -> ReadError| {
            let ix = lineages.find(id)?.ok_or(ReadError::Unknown { entity: id })?;
            lineages.cell(ix, self.at).map_err(gone)
        };
        match self.reader.archive.get().and_then(Weak::upgrade) {
            Some(archive) => read(&archive.lineages, &|gone| archive.gone(id, gone, &When::Position(self.at))),
            // The registry is gone, and the store still there.
            None => read(&Lineages::over(Arc::<Reader>::clone(&self.reader), LATEST), &|gone| match gone {
                Gone::Unreadable(error) => error.into(),
                Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. } => ReadError::Unknown { entity: id },
            }),
        }
    }
}

impl Load for Loader {
    fn load(&self, id: EntityId) -> Result<Arc<dyn AnyCell>, LoadError> {
        self.read(id).map_err(|error| LoadError::new(id, error))
    }
    fn stamp(&self) -> Option<Stamp> {
        Some(Stamp { history: Arc::as_ptr(&self.reader).addr(), owner: self.owner, at: self.at })
    }
    fn is_unchanged(&self, id: EntityId, other: Stamp) -> bool {
        self.changed(other.at).ids.as_ref().is_some_and(|changed| !changed.contains(&id))
    }
}
