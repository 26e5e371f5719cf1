//! The hash chain: every entry's hash holds what the entry holds and the hash of the one before.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Store;
use super::error::{StoreError, VerifyError};
use super::keys::KeyChange;
use super::rows::{Entry, LayoutRow, OwnerChange, Version, VersionBody};
use crate::digest::{Digest, Digester};
use crate::id::EntityId;
use crate::when::Position;

/// The newest entry of a store and its hash, which vouches for all entries up to it. Kept elsewhere, it tells later
/// whether the log was cut or written anew: see [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The newest position; 0 if there is none.
    pub position: Position,
    /// The hash of its entry; zeros if there is none.
    pub hash: Digest,
}

/// It prints as the position and the hash, and is read from that: one line to keep elsewhere.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.position.0, self.hash)
    }
}

/// A text that is no head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no head: a position and 64 hexadecimal digits are")]
pub struct HeadError(String);

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let parts = text.trim().split_once(' ');
        let head = parts.and_then(|(position, hash)| {
            Some(Self { position: Position(position.parse().ok()?), hash: Digest::parse(hash.trim())? })
        });
        head.ok_or_else(|| HeadError(text.chars().take(100).collect()))
    }
}

impl Head {
    /// The head of a store without entries.
    pub const EMPTY: Self = Self { position: Position(0), hash: Digest::from_bytes([0; 32]) };

    /// The head after one more entry, of which [`body_digest`] gave the digest. O(1).
    pub(crate) fn then(&self, body: Digest) -> Self {
        let position = Position(self.position.0.saturating_add(1));
        let mut digester = Digester::new();
        digester.bytes(b"heirloom entry 1");
        digester.digest(self.hash);
        digester.number(position.0);
        digester.digest(body);
        Self { position, hash: digester.finish() }
    }
}

/// The digest of everything that an entry holds but its position. O(its bytes).
pub(crate) fn body_digest(entry: &Entry) -> Digest {
    let mut digester = Digester::new();
    digester.bytes(b"heirloom body 1");
    digester.number(entry.time.as_micros().cast_unsigned());
    digester.tag(entry.kind as u8);
    digester.bytes(&entry.said);
    let mut layouts = Layouts::default();
    digester.number(entry.versions.len() as u64);
    for version in &entry.versions {
        write_version(&mut digester, version, &mut layouts);
    }
    digester.number(entry.ended.len() as u64);
    for (entity, owner) in &entry.ended {
        write_id(&mut digester, *entity);
        write_owner(&mut digester, Some(*owner));
    }
    digester.number(entry.references.len() as u64);
    for change in &entry.references {
        write_id(&mut digester, change.from);
        digester.number(u64::from(change.field));
        write_id(&mut digester, change.to);
        digester.tag(u8::from(change.opened));
    }
    if !entry.keys.is_empty() {
        digester.number(entry.keys.len() as u64);
        entry.keys.iter().for_each(|change| write_key(&mut digester, change));
    }
    digester.finish()
}

/// Without the bytes of a key: the chain is the same before and after they are destroyed.
fn write_key(digester: &mut Digester, change: &KeyChange) {
    digester.number(change.number().0);
    match change {
        KeyChange::Made { subject, .. } => {
            digester.tag(1);
            digester.digest(*subject);
        }
        KeyChange::Erased { .. } => digester.tag(0),
    }
}

fn write_version(digester: &mut Digester, version: &Version, layouts: &mut Layouts) {
    write_id(digester, version.entity);
    digester.number(version.revision.0);
    match &version.body {
        VersionBody::Own { layout, base, bytes, seal } => {
            match seal {
                None => digester.tag(0),
                Some(key) => {
                    digester.tag(3);
                    digester.number(key.0);
                }
            }
            digester.digest(layouts.digest(layout));
            digester.tag(u8::from(base.is_some()));
            digester.number(base.map_or(0, |base| base.0));
            digester.bytes(bytes);
        }
        VersionBody::Carried { own } => {
            digester.tag(1);
            digester.number(own.0);
        }
        VersionBody::Removed { own } => {
            digester.tag(2);
            digester.number(own.0);
        }
    }
    digester.number(version.carried.len() as u64);
    for entity in &version.carried {
        write_id(digester, *entity);
    }
    write_owner(digester, version.owner);
}

fn write_id(digester: &mut Digester, entity: EntityId) {
    digester.fixed(entity.as_bytes());
}

fn write_owner(digester: &mut Digester, owner: Option<OwnerChange>) {
    match owner {
        None => digester.tag(0),
        Some(OwnerChange::Root) => digester.tag(1),
        Some(OwnerChange::Owned { owner, field }) => {
            digester.tag(2);
            write_id(digester, owner);
            digester.number(u64::from(field));
        }
        Some(OwnerChange::Ended { owner }) => {
            digester.tag(3);
            write_id(digester, owner);
        }
    }
}

/// The digests of whole layout rows, each worked out once per entry for runs of versions of one type.
#[derive(Default)]
struct Layouts {
    last: Option<(Arc<LayoutRow>, Digest)>,
}

impl Layouts {
    fn digest(&mut self, layout: &Arc<LayoutRow>) -> Digest {
        match &self.last {
            Some((row, digest)) if Arc::ptr_eq(row, layout) => *digest,
            _ => {
                let digest = layout_digest(layout);
                self.last = Some((Arc::clone(layout), digest));
                digest
            }
        }
    }
}

fn layout_digest(layout: &LayoutRow) -> Digest {
    let mut digester = Digester::new();
    digester.bytes(b"heirloom stored layout 1");
    digester.digest(layout.digest);
    digester.bytes(layout.name.as_bytes());
    digester.number(u64::from(layout.schema));
    digester.bytes(layout.text.as_bytes());
    digester.finish()
}

/// Reads everything and works out every hash anew; the head up to which all is as it was written.
///
/// Where something was forgotten, what an entry held is vouched for by the digest that its row keeps: the chain is
/// whole, and that the digest is the right one of what went can no longer be told. `docs/format.md` says what that means.
///
/// With a head that was kept from earlier it also tells whether that very entry is still there: entries may have come
/// after it, but the chain must pass through it. O(everything); entries that come meanwhile are not looked at.
///
/// # Errors
/// The first entry that is wrong, a log that was cut or written anew, or the first thing beside the entries that is
/// wrong.
pub fn verify(store: &dyn Store, expected: Option<&Head>) -> Result<Head, VerifyError> {
    let found = store.head()?;
    let cut = |expected: &Head| VerifyError::CutTail { expected: *expected, found };
    let expects = |head: &Head| match expected {
        Some(expected) if expected.position == head.position && expected != head => Err(cut(expected)),
        _ => Ok(()),
    };
    let mut head = Head::EMPTY;
    expects(&head)?;
    while head.position < found.position {
        head = follow(store, &head)?;
        expects(&head)?;
    }
    if head.hash != found.hash {
        return Err(wrong(head.position, "the head of the store has another hash"));
    }
    match expected {
        Some(expected) if expected.position > found.position => return Err(cut(expected)),
        _ => {}
    }
    let horizon = store.horizon()?;
    if horizon > store.head()?.position {
        return Err(wrong(horizon, "the horizon stands there, and there is no such entry"));
    }
    store.check()?;
    Ok(head)
}

/// The head after the next entry, which must be as it was written.
fn follow(store: &dyn Store, head: &Head) -> Result<Head, VerifyError> {
    let position = Position(head.position.0 + 1);
    let row = store.entry(position).map_err(|error| placed(position, error))?;
    let Some(row) = row else { return Err(wrong(position, "it is not there")) };
    if row.position != position {
        return Err(wrong(position, "another entry stands in its place"));
    }
    let next = head.then(row.body);
    if next.hash != row.hash {
        return Err(wrong(position, "its hash does not follow from what it holds and the hash before it"));
    }
    let entry = match store.read(position) {
        Err(StoreError::Forgotten { .. }) if may_be_forgotten(store, position)? => return Ok(next),
        read => read.map_err(|error| placed(position, error))?,
    };
    let Some(entry) = entry else { return Err(wrong(position, "it is not there")) };
    if entry.position != position || body_digest(&entry) != row.body {
        return Err(wrong(position, "its digest is not that of what it holds"));
    }
    let versions = entry.versions.iter().map(|version| (version.entity, version.revision));
    if !versions.eq(row.versions.iter().copied()) {
        return Err(wrong(position, "the list of its versions is another than they are"));
    }
    Ok(next)
}

/// Whether an entry need not be whole.
fn may_be_forgotten(store: &dyn Store, position: Position) -> Result<bool, StoreError> {
    Ok(store.kept_from(position)? > position)
}

fn wrong(position: Position, why: &str) -> VerifyError {
    VerifyError::Entry { position, why: why.to_owned() }
}

/// Damage belongs to the entry at which it was met; everything else is no fault of the entry.
fn placed(position: Position, error: StoreError) -> VerifyError {
    match error {
        StoreError::Damaged { what, detail } => VerifyError::Entry { position, why: format!("{what}: {detail}") },
        StoreError::Forgotten { .. } => wrong(position, "it is not whole, and nothing of it may be forgotten"),
        other => VerifyError::Store(other),
    }
}
