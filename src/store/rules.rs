//! What every backend asks of the entries that it is given.

use std::hash::Hash;

use ahash::AHashSet;

use super::chain::Head;
use super::error::AppendError;
use super::keys::{KeyChange, KeyNumber};
use super::rows::{Entry, EntryKind, ReferenceChange, Version, VersionBody};
use crate::id::EntityId;
use crate::when::{Position, Revision};

/// The highest revision that is stored.
pub(crate) const HIGHEST_REVISION: u64 = u32::MAX as u64;

/// The refusal of one entry.
pub(crate) fn refused(position: Position, why: impl Into<String>) -> AppendError {
    AppendError::Refused { position, why: why.into() }
}

/// Checks what can be told from the entries alone.
pub(crate) fn check_entries(after: &Head, entries: &[Entry]) -> Result<(), AppendError> {
    let mut expected = after.position;
    for entry in entries {
        expected = Position(expected.0.saturating_add(1));
        if entry.position != expected || i64::try_from(expected.0).is_err() {
            return Err(refused(entry.position, format!("its position does not follow: {expected} does")));
        }
        check_entry(entry).map_err(|why| refused(entry.position, why))?;
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), String> {
    let versions = entry.versions.iter().map(|version| version.entity);
    let here = distinct(versions).map_err(|entity| format!("two versions of {entity}"))?;
    for version in &entry.versions {
        check_version(version, &here)?;
    }
    let ended = distinct(entry.ended.iter().map(|(entity, _)| *entity));
    for entity in ended.map_err(|entity| format!("two owners of {entity}"))? {
        if here.contains(&entity) {
            return Err(format!("{entity} has a version, which says what its owner is"));
        }
    }
    let references = entry.references.iter().map(|change| (change.from, change.field, change.to));
    let twice = |(from, field, to)| format!("the reference from field {field} of {from} to {to} changes twice");
    distinct(references).map_err(twice)?;
    check_keys(entry)
}

/// Checks that keys are erased by an entry that does just that, and made by others.
fn check_keys(entry: &Entry) -> Result<(), String> {
    distinct(entry.keys.iter().map(KeyChange::number)).map_err(|number| format!("{number} changes twice"))?;
    let erases = entry.kind == EntryKind::Erased;
    if erases && (entry.keys.is_empty() || !entry.versions.is_empty()) {
        return Err("an erasure destroys keys, and makes no versions".to_owned());
    }
    match entry.keys.iter().find(|change| matches!(change, KeyChange::Erased { .. }) != erases) {
        Some(change) if erases => Err(format!("an erasure makes {}", change.number())),
        Some(change) => Err(format!("{} is destroyed, and the entry is no erasure", change.number())),
        None => Ok(()),
    }
}

/// All of them, or the first that comes twice.
fn distinct<T: Copy + Eq + Hash>(all: impl ExactSizeIterator<Item = T>) -> Result<AHashSet<T>, T> {
    let mut seen = AHashSet::with_capacity(all.len());
    for one in all {
        if !seen.insert(one) {
            return Err(one);
        }
    }
    Ok(seen)
}

fn check_version(version: &Version, here: &AHashSet<EntityId>) -> Result<(), String> {
    let Version { entity, revision, body, carried, owner } = version;
    if revision.0 == 0 || revision.0 > HIGHEST_REVISION {
        return Err(format!("{entity} has no {revision}: they go from r1 to r{HIGHEST_REVISION}"));
    }
    if revision.0 == 1 && owner.is_none() {
        return Err(format!("the first version of {entity} does not say what owns it"));
    }
    if let VersionBody::Own { base: Some(base), .. } = body
        && (base.0 == 0 || base >= revision)
    {
        return Err(format!("{revision} of {entity} is a difference to {base}, which is not earlier"));
    }
    if !carried.is_sorted_by(|one, next| one < next) {
        return Err(format!("what {revision} of {entity} carries is not in the order of the ids"));
    }
    match carried.iter().find(|carried| !here.contains(carried)) {
        Some(other) => Err(format!("{revision} of {entity} carries {other}, which has no version here")),
        None => Ok(()),
    }
}

/// What an entity's next version has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) revision: Revision,
    /// The newest with a state of its own.
    pub(crate) own: Revision,
}

impl Newest {
    /// What a version is to the one that follows it.
    pub(crate) fn of(revision: Revision, body: &VersionBody) -> Self {
        match body {
            VersionBody::Own { .. } => Self { revision, own: revision },
            VersionBody::Carried { own } | VersionBody::Removed { own } => Self { revision, own: *own },
        }
    }
}

/// Checks that a version follows on the newest of its entity.
pub(crate) fn check_follows(version: &Version, newest: Option<Newest>) -> Result<(), String> {
    let Version { entity, revision, body, .. } = version;
    let expected = newest.map_or(1, |newest| newest.revision.0.saturating_add(1));
    if revision.0 != expected {
        return Err(format!("{revision} of {entity} does not follow: r{expected} does"));
    }
    match (body, newest) {
        (VersionBody::Own { base: Some(base), .. }, Some(newest)) if *base != newest.own => Err(format!(
            "{revision} of {entity} is a difference to {base}, and the newest state of its own is {}",
            newest.own
        )),
        (VersionBody::Own { .. }, _) => Ok(()),
        (_, None) => Err(format!("the first version of {entity} has no state of its own")),
        (VersionBody::Carried { own } | VersionBody::Removed { own }, Some(newest)) if *own != newest.own => {
            Err(format!("{revision} of {entity} stands on {own}, and the newest state of its own is {}", newest.own))
        }
        _ => Ok(()),
    }
}

/// Checks that a key can be made: it is the next one, and its subject has no other that is not erased.
pub(crate) fn check_made(number: KeyNumber, last: Option<KeyNumber>, other: Option<KeyNumber>) -> Result<(), String> {
    let next = KeyNumber(last.map_or(1, |last| last.0.saturating_add(1)));
    match other {
        _ if number != next => Err(format!("{number} does not follow: {next} does")),
        Some(other) => Err(format!("{number} is made for a subject that has {other}, which is not erased")),
        None => Ok(()),
    }
}

/// Checks that a key is there and not erased; `erased` tells since when it is.
pub(crate) fn check_living(number: KeyNumber, erased: Option<Option<Position>>) -> Result<(), String> {
    match erased {
        None => Err(format!("{number} was never made")),
        Some(Some(position)) => Err(format!("{number} was erased in {position}")),
        Some(None) => Ok(()),
    }
}

pub(crate) fn unknown(entity: EntityId) -> String {
    format!("{entity} gets another owner and was never here")
}

pub(crate) fn reference_stands(change: &ReferenceChange) -> String {
    let ReferenceChange { from, field, to, opened } = change;
    let state = if *opened { "comes and is there already" } else { "goes and is not there" };
    format!("the reference from field {field} of {from} to {to} {state}")
}

pub(crate) fn other_layout(name: &str) -> String {
    format!("the layout of {name} has the digest of another that is stored")
}
