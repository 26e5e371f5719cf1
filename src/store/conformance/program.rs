//! Random programs: what a history could append, in every shape that the rules allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::id::EntityId;
use crate::store::keys::{KeyChange, KeyNumber, Secret};
use crate::store::rows::{Entry, EntryKind, LayoutRow, OwnerChange, ReferenceChange, Version, VersionBody};
use crate::when::{Position, Revision, Timestamp};

/// How many entities a program is about.
const ENTITIES: u64 = 9;

/// Numbers from a seed, the same on every machine: splitmix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a random program appends, one after the other from the empty store on: at most so many batches.
///
/// Entities are added, edited, carried, removed and come back, some of it sealed, keys are made and erased, owners change, references come and go (also to entities
/// that are never there), runs end without versions, and times run backwards. O(batches).
#[must_use]
pub fn program(seed: u64, batches: usize) -> Vec<Vec<Entry>> {
    let mut writing = Writing::new(seed);
    (0..batches)
        .map(|_| {
            let count = if writing.random.chance(15) { 1 + writing.random.below(3) } else { 1 };
            (0..count).map(|_| writing.entry()).collect()
        })
        .collect()
}

/// An entity of the programs of this seed; those from `ENTITIES` on are only ever referred to.
pub(super) fn entity(seed: u64, number: u64) -> EntityId {
    let mut random = Random::new(seed ^ number.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.next().to_be_bytes());
    bytes[8..].copy_from_slice(&random.next().to_be_bytes());
    EntityId::from_bytes(bytes)
}

/// All entities of which the programs of a seed may speak.
pub(super) fn entities(seed: u64) -> Vec<EntityId> {
    (0..ENTITIES + 2).map(|number| entity(seed, number)).collect()
}

/// What is known of an entity.
#[derive(Clone, Default)]
struct Known {
    revision: u64,
    /// All revisions with a state of their own.
    own: Vec<u64>,
}

/// How many subjects have keys in the programs.
const SUBJECTS: u64 = 4;

/// A subject of the programs.
pub(super) fn subject(number: u64) -> Digest {
    Digest::from_bytes([u8::try_from(number).unwrap_or(0); 32])
}

/// All subjects of which the programs may speak, and one that has no key.
pub(super) fn subjects() -> Vec<Digest> {
    (0..=SUBJECTS).map(subject).collect()
}

/// The keys of a program, which it draws from numbers of their own.
struct Keys {
    random: Random,
    last: u64,
    /// Those that are not erased, with their subjects.
    living: Vec<(KeyNumber, u64)>,
}

impl Keys {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed.rotate_left(17) ^ 0x6b65_7973), last: 0, living: Vec::new() }
    }

    fn any(&mut self) -> Option<usize> {
        let place = self.random.below(self.living.len() as u64);
        usize::try_from(place).ok().filter(|place| *place < self.living.len())
    }

    /// Has an entry make a key, seal some of its states, or erase keys.
    fn change(&mut self, entry: &mut Entry) {
        if entry.versions.is_empty() {
            while let Some(place) = self.any().filter(|_| self.random.chance(50)) {
                let (number, _) = self.living.swap_remove(place);
                entry.keys.push(KeyChange::Erased { number });
                entry.kind = EntryKind::Erased;
            }
            return;
        }
        let made = self.random.below(SUBJECTS);
        if self.random.chance(30) && self.living.iter().all(|(_, subject)| *subject != made) {
            self.last += 1;
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&self.random.next().to_le_bytes());
            // Now and then without its bytes, as one comes that was erased since.
            let secret = if self.random.chance(10) { None } else { Secret::new(bytes) };
            let number = KeyNumber(self.last);
            entry.keys.push(KeyChange::Made { number, subject: subject(made), secret });
            self.living.push((number, made));
        }
        for version in &mut entry.versions {
            if let VersionBody::Own { seal, .. } = &mut version.body
                && self.random.chance(40)
            {
                *seal = self.any().map(|place| self.living[place].0);
            }
        }
    }
}

struct Writing {
    seed: u64,
    random: Random,
    position: u64,
    time: i64,
    known: BTreeMap<u64, Known>,
    open: Vec<(EntityId, u16, EntityId)>,
    keys: Keys,
}

impl Writing {
    fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        Self { seed, random, position: 0, time: 0, known: BTreeMap::new(), open: Vec::new(), keys: Keys::new(seed) }
    }

    fn any(&mut self) -> EntityId {
        entity(self.seed, self.random.below(ENTITIES + 1))
    }

    fn entry(&mut self) -> Entry {
        self.position += 1;
        self.time += match self.random.below(10) {
            0 | 1 => -i64::try_from(self.random.below(9)).unwrap_or(0),
            2 => 0,
            _ => i64::try_from(self.random.below(5)).unwrap_or(0),
        };
        let versions = if self.random.chance(80) { self.versions() } else { Vec::new() };
        let kind = match self.random.below(3) {
            _ if versions.is_empty() => {
                let ends = [EntryKind::Unchanged, EntryKind::Failed, EntryKind::Panicked, EntryKind::Refused];
                ends[usize::try_from(self.random.below(4)).unwrap_or(0)]
            }
            0 => EntryKind::Commit,
            _ => EntryKind::Run,
        };
        let ended = if self.random.chance(15) { self.ended(&versions) } else { Vec::new() };
        let references = if self.random.chance(50) { self.references() } else { Vec::new() };
        let position = Position(self.position);
        let (time, said) = (Timestamp::from_micros(self.time), self.bytes(40));
        let mut entry = Entry { position, time, kind, said, versions, ended, references, keys: Vec::new() };
        self.keys.change(&mut entry);
        entry
    }

    fn bytes(&mut self, most: u64) -> Arc<[u8]> {
        // Now and then more than a page of a file.
        let most = if self.random.chance(2) { most * 500 } else { most };
        let length = self.random.below(most);
        (0..length).map(|_| self.random.next().to_le_bytes()[0]).collect()
    }

    fn versions(&mut self) -> Vec<Version> {
        // The first entity in most of them, so that it has many versions.
        let mut numbers: Vec<u64> =
            (0..ENTITIES).filter(|number| self.random.chance(if *number == 0 { 75 } else { 20 })).collect();
        for index in (1..numbers.len()).rev() {
            let other = self.random.below(index as u64 + 1);
            numbers.swap(index, usize::try_from(other).unwrap_or(0));
        }
        let here: Vec<EntityId> = numbers.iter().map(|number| entity(self.seed, *number)).collect();
        numbers.into_iter().map(|number| self.version(number, &here)).collect()
    }

    fn version(&mut self, number: u64, here: &[EntityId]) -> Version {
        let mut known = self.known.remove(&number).unwrap_or_default();
        let newest = known.own.last().copied();
        known.revision += 1;
        let body = match (newest, self.random.below(10)) {
            (Some(own), 0..=3) => VersionBody::Carried { own: Revision(own) },
            (Some(own), 4) => VersionBody::Removed { own: Revision(own) },
            _ => {
                let whole = self.random.below(known.own.len() as u64 * 2) >= known.own.len() as u64;
                let base = newest.filter(|_| !whole).map(Revision);
                known.own.push(known.revision);
                VersionBody::Own { layout: self.layout(), base, bytes: self.bytes(60), seal: None }
            }
        };
        let entity = entity(self.seed, number);
        let mut carried: Vec<EntityId> = here.iter().copied().filter(|other| *other != entity).collect();
        carried.retain(|_| self.random.chance(40));
        carried.sort_unstable();
        let owner = (known.revision == 1 || self.random.chance(15)).then(|| self.owner());
        let revision = Revision(known.revision);
        self.known.insert(number, known);
        Version { entity, revision, body, carried, owner }
    }

    fn layout(&mut self) -> Arc<LayoutRow> {
        let number = self.random.below(3);
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(self.seed ^ number).to_le_bytes());
        let name = format!("Type{}", number / 2);
        let text = format!("entity {name} schema {number}\n");
        let schema = u32::try_from(number).unwrap_or(0);
        Arc::new(LayoutRow { digest: Digest::from_bytes(digest), name, schema, text })
    }

    fn owner(&mut self) -> OwnerChange {
        match self.random.below(6) {
            0 | 1 => OwnerChange::Root,
            2 => OwnerChange::Ended { owner: self.any() },
            _ => {
                let field = u16::try_from(self.random.below(1 << 16)).unwrap_or(0);
                OwnerChange::Owned { owner: self.any(), field }
            }
        }
    }

    fn ended(&mut self, versions: &[Version]) -> Vec<(EntityId, OwnerChange)> {
        let here = |id: &EntityId| versions.iter().any(|version| version.entity == *id);
        let all: Vec<EntityId> = self.known.keys().map(|number| entity(self.seed, *number)).collect();
        let mut ended = Vec::new();
        for id in all.into_iter().filter(|id| !here(id)) {
            if self.random.chance(30) {
                ended.push((id, self.owner()));
            }
        }
        ended
    }

    fn references(&mut self) -> Vec<ReferenceChange> {
        let mut changes: Vec<ReferenceChange> = Vec::new();
        for _ in 0..self.random.below(5) {
            let close =
                (!self.open.is_empty() && self.random.chance(40)).then(|| self.random.below(self.open.len() as u64));
            let (from, field, to) = match close.and_then(|index| self.open.get(usize::try_from(index).ok()?).copied()) {
                Some(open) => open,
                None => {
                    let to = entity(self.seed, self.random.below(ENTITIES + 2));
                    (self.any(), u16::try_from(self.random.below(3)).unwrap_or(0), to)
                }
            };
            if changes.iter().any(|change| (change.from, change.field, change.to) == (from, field, to)) {
                continue;
            }
            let before = self.open.len();
            self.open.retain(|open| *open != (from, field, to));
            let opened = self.open.len() == before;
            if opened {
                self.open.push((from, field, to));
            }
            changes.push(ReferenceChange { from, field, to, opened });
        }
        changes
    }
}
