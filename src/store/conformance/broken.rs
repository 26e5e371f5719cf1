//! Batches that break one rule each.

use super::model::Model;
use super::program;
use crate::id::EntityId;
use crate::store::keys::{KeyChange, KeyNumber};
use crate::store::rows::{Entry, EntryKind, OwnerChange, ReferenceChange, VersionBody};
use crate::when::{Position, Revision};

/// What is wrong, and a batch of which that is true.
pub(super) type Broken = (&'static str, Vec<Entry>);

/// Every rule broken that this batch offers a place to break it.
pub(super) fn of(batch: &[Entry], model: &Model, seed: u64) -> Vec<Broken> {
    let mut all = Vec::new();
    let mut add = |rule, change: &dyn Fn(&mut Vec<Entry>) -> Option<()>| {
        let mut broken = batch.to_vec();
        if change(&mut broken).is_some() {
            all.push((rule, broken));
        }
    };
    add("a position is left out", &|batch| {
        batch.last_mut()?.position.0 += 1;
        Some(())
    });
    add("a position comes twice", &|batch| {
        let last = batch.last()?.clone();
        batch.push(last);
        Some(())
    });
    add("positions begin anew", &|batch| {
        batch.first_mut()?.position = Position(0);
        Some(())
    });
    versions(&mut add);
    bodies(&mut add);
    bases(&mut add, model);
    beside(&mut add, model, seed);
    keys(&mut add, model);
    all
}

type Add<'a> = dyn FnMut(&'static str, &dyn Fn(&mut Vec<Entry>) -> Option<()>) + 'a;

fn versions(add: &mut Add<'_>) {
    add("an entity has two versions in one entry", &|batch| {
        let entry = batch.last_mut()?;
        let mut again = entry.versions.last()?.clone();
        again.revision.0 += 1;
        entry.versions.push(again);
        Some(())
    });
    add("a revision is left out", &|batch| {
        let version = batch.last_mut()?.versions.last_mut()?;
        version.revision.0 += 1;
        version.owner = Some(OwnerChange::Root);
        Some(())
    });
    add("a revision is there already", &|batch| {
        let version = batch.last_mut()?.versions.iter_mut().find(|version| version.revision.0 > 1)?;
        version.revision.0 -= 1;
        version.owner = Some(OwnerChange::Root);
        if let VersionBody::Own { base, .. } = &mut version.body {
            *base = None;
        }
        Some(())
    });
    add("there is no such revision", &|batch| {
        batch.last_mut()?.versions.last_mut()?.revision.0 = 0;
        Some(())
    });
    add("a revision is too high", &|batch| {
        batch.last_mut()?.versions.last_mut()?.revision.0 = u64::MAX;
        Some(())
    });
    add("the first version has no owner", &|batch| {
        let version = batch.last_mut()?.versions.iter_mut().find(|version| version.revision.0 == 1)?;
        version.owner = None;
        Some(())
    });
    add("the first version has no state of its own", &|batch| {
        let version = batch.last_mut()?.versions.iter_mut().find(|version| version.revision.0 == 1)?;
        version.body = VersionBody::Carried { own: Revision(1) };
        Some(())
    });
}

fn bodies(add: &mut Add<'_>) {
    add("a carried version stands on another than the newest state", &|batch| {
        let version = batch.last_mut()?.versions.iter_mut().find(|version| version.revision.0 > 1)?;
        version.body = VersionBody::Carried { own: version.revision };
        Some(())
    });
    add("a difference is to a later version", &|batch| {
        let version = batch.last_mut()?.versions.last_mut()?;
        let revision = version.revision;
        let VersionBody::Own { base, .. } = &mut version.body else { return None };
        *base = Some(revision);
        Some(())
    });
    add("what is carried has no version", &|batch| {
        let version = batch.last_mut()?.versions.last_mut()?;
        version.carried = vec![EntityId::from_bytes([0; 16])];
        Some(())
    });
    add("what is carried comes twice", &|batch| {
        let version = batch.last_mut()?.versions.last_mut()?;
        version.carried = vec![version.entity; 2];
        Some(())
    });
}

fn bases(add: &mut Add<'_>, model: &Model) {
    add("a difference is to an earlier state than the newest", &|batch| {
        for version in &mut batch.first_mut()?.versions {
            let Some(newest) = model.newest(version.entity).map(|row| row.revision) else { continue };
            let VersionBody::Own { base, .. } = &mut version.body else { continue };
            let mut earlier = (1..=newest.0).map(Revision).filter_map(|one| model.version(version.entity, one));
            let Some(first) = earlier.find(|row| matches!(row.body, VersionBody::Own { .. })) else { continue };
            if earlier.any(|row| matches!(row.body, VersionBody::Own { .. })) {
                *base = Some(first.revision);
                return Some(());
            }
        }
        None
    });
    add("a difference is to a version without a state of its own", &|batch| {
        for version in &mut batch.first_mut()?.versions {
            let VersionBody::Own { base, .. } = &mut version.body else { continue };
            let earlier = (1..version.revision.0).map(Revision);
            let is_own = |row: &crate::store::rows::VersionRow| matches!(row.body, VersionBody::Own { .. });
            for revision in earlier {
                if model.version(version.entity, revision).is_some_and(|row| !is_own(&row)) {
                    *base = Some(revision);
                    return Some(());
                }
            }
        }
        None
    });
}

fn beside(add: &mut Add<'_>, model: &Model, seed: u64) {
    add("a layout has the digest of another", &|batch| {
        let known = model.layouts();
        let bodies = batch.last_mut()?.versions.iter_mut().map(|version| &mut version.body);
        for body in bodies {
            if let VersionBody::Own { layout, .. } = body
                && known.contains(layout)
            {
                let mut other = (**layout).clone();
                other.text.push('!');
                *layout = other.into();
                return Some(());
            }
        }
        None
    });
    add("the owner of an entity changes that never came", &|batch| {
        batch.last_mut()?.ended.push((program::entities(seed).pop()?, OwnerChange::Root));
        Some(())
    });
    add("an entity has an owner twice", &|batch| {
        let entry = batch.last_mut()?;
        let entity = entry.versions.last()?.entity;
        entry.ended.push((entity, OwnerChange::Root));
        Some(())
    });
    add("a reference goes that is not there", &|batch| {
        let (from, to) = (program::entity(seed, 0), program::entity(seed, 1));
        batch.last_mut()?.references = vec![ReferenceChange { from, field: u16::MAX, to, opened: false }];
        Some(())
    });
    add("a reference comes twice", &|batch| {
        let (from, to) = (program::entity(seed, 0), program::entity(seed, 1));
        let change = ReferenceChange { from, field: u16::MAX, to, opened: true };
        batch.last_mut()?.references = vec![change; 2];
        Some(())
    });
    add("a reference comes that is there", &|batch| {
        let open = program::entities(seed).into_iter().find_map(|to| {
            let (from, field) = model.referrers_at(to, model.head().position).pop()?;
            Some(ReferenceChange { from, field, to, opened: true })
        })?;
        batch.first_mut()?.references = vec![open];
        Some(())
    });
}

fn keys(add: &mut Add<'_>, model: &Model) {
    let (last, subject) = (model.keys().last().map_or(0, |row| row.number.0), program::subjects().pop());
    let made = |number: u64| Some(KeyChange::Made { number: KeyNumber(number), subject: subject?, secret: None });
    let own = |entry: &mut Entry, key| {
        let mut bodies = entry.versions.iter_mut().map(|version| &mut version.body);
        let sealed = bodies.find_map(|body| if let VersionBody::Own { seal, .. } = body { Some(seal) } else { None });
        sealed.map(|seal| *seal = Some(key))
    };
    add("the number of a key is left out", &|batch| {
        let entry = batch.first_mut().filter(|entry| entry.kind != EntryKind::Erased)?;
        entry.keys = vec![made(last + 2)?];
        Some(())
    });
    add("a subject gets a second key", &|batch| {
        let entry = batch.first_mut().filter(|entry| entry.kind != EntryKind::Erased)?;
        let subject = model.keys().into_iter().rfind(|row| row.erased.is_none())?.subject;
        entry.keys = vec![KeyChange::Made { number: KeyNumber(last + 1), subject, secret: None }];
        Some(())
    });
    add("a key is erased by an entry that is no erasure", &|batch| {
        let entry = batch.first_mut().filter(|entry| entry.kind != EntryKind::Erased)?;
        let number = model.keys().into_iter().find(|row| row.erased.is_none())?.number;
        entry.keys = vec![KeyChange::Erased { number }];
        Some(())
    });
    add("an erasure erases nothing", &|batch| {
        let entry = batch.last_mut().filter(|entry| entry.versions.is_empty())?;
        (entry.kind, entry.keys) = (EntryKind::Erased, Vec::new());
        Some(())
    });
    add("an erasure makes a key", &|batch| {
        let entry = batch.last_mut().filter(|entry| entry.versions.is_empty())?;
        (entry.kind, entry.keys) = (EntryKind::Erased, vec![made(last + 1)?]);
        Some(())
    });
    add("a key is erased that was never made", &|batch| {
        let entry = batch.first_mut().filter(|entry| entry.versions.is_empty())?;
        (entry.kind, entry.keys) = (EntryKind::Erased, vec![KeyChange::Erased { number: KeyNumber(last + 9) }]);
        Some(())
    });
    add("a key is erased again", &|batch| {
        let entry = batch.first_mut().filter(|entry| entry.versions.is_empty())?;
        let number = model.keys().into_iter().find(|row| row.erased.is_some())?.number;
        (entry.kind, entry.keys) = (EntryKind::Erased, vec![KeyChange::Erased { number }]);
        Some(())
    });
    add("a state is sealed under a key that was never made", &|batch| own(batch.last_mut()?, KeyNumber(last + 9)));
    add("a state is sealed under a key that is erased", &|batch| {
        let erased = model.keys().into_iter().find(|row| row.erased.is_some())?.number;
        own(batch.first_mut()?, erased)
    });
}
