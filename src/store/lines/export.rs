//! Writing a store as lines.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use super::{
    Bytes, EntryLine, ExportError, FORMAT, HeadLine, Header, Hex, KeyLine, Kind, LONGEST_LINE, LayoutLine, Line, Owner,
    ReferenceLine, State, TagLine, Time, VersionLine,
};
use crate::digest::Digest;
use crate::store::Store;
use crate::store::chain::Head;
use crate::store::error::StoreError;
use crate::store::rows::{Entry, EntryRow, Version, VersionBody};
use crate::when::Position;

/// The layouts that were written.
type Written = HashSet<Digest, ahash::RandomState>;

/// Writes the entries after a position (0 is before the first) as lines of JSON, each with the layouts that are first
/// used there, then the tags, then an end; the head up to which that is. [`import`](super::import) reads it, and so can
/// anybody: `docs/format.md` describes the lines.
///
/// The keys of what is sealed are among the lines, as far as they are not erased: whoever has the lines has them.
///
/// It is the store as it was when this was called; what is appended meanwhile is left out. Whoever wants to be sure of it
/// verifies the store first. O(what is written); one entry is in memory at a time.
///
/// ```
/// use heirloom::Position;
/// use heirloom::store::{MemoryStore, Store, export, import};
///
/// let (store, mut lines) = (MemoryStore::new(), Vec::new());
/// let head = export(&store, Position(0), &mut lines)?;
/// let copy = MemoryStore::new();
/// assert_eq!(import(&mut lines.as_slice(), &copy)?, head);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The store cannot be read, has no such position, or has an entry that no line can hold; or the lines cannot be written.
pub fn export(store: &dyn Store, after: Position, out: &mut dyn Write) -> Result<Head, ExportError> {
    let head = store.head()?;
    let begin = match after {
        Position(0) => Head::EMPTY,
        position if position > head.position => return Err(ExportError::NoEntry { position, head: head.position }),
        position => Head { position, hash: row(store, position)?.hash },
    };
    write(out, after, &Line::Heirloom(Header { format: FORMAT, after: HeadLine::of(&begin) }))?;
    let mut written = Written::default();
    let mut last = begin;
    for position in (after.0 + 1..=head.position.0).map(Position) {
        let entry = store.read(position)?.ok_or_else(|| missing(position))?;
        last = Head { position, hash: row(store, position)?.hash };
        write(out, position, &entry_line(&entry, last.hash, &mut written))?;
    }
    for (name, position) in store.tags()? {
        if position <= head.position {
            write(out, position, &Line::Tag(TagLine { name, position: position.0 }))?;
        }
    }
    write(out, head.position, &Line::End(HeadLine::of(&last)))?;
    out.flush().map_err(|error| ExportError::Write(Arc::new(error)))?;
    Ok(last)
}

fn row(store: &dyn Store, position: Position) -> Result<Arc<EntryRow>, StoreError> {
    store.entry(position)?.ok_or_else(|| missing(position))
}

fn missing(position: Position) -> StoreError {
    StoreError::Damaged { what: format!("the entry {position}"), detail: "it is not there".to_owned() }
}

fn write(out: &mut dyn Write, position: Position, line: &Line<'_>) -> Result<(), ExportError> {
    let failed = |error: std::io::Error| ExportError::Write(Arc::new(error));
    let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
    if text.len() > LONGEST_LINE {
        return Err(ExportError::TooLong { position });
    }
    text.push(b'\n');
    out.write_all(&text).map_err(failed)
}

fn entry_line<'a>(entry: &'a Entry, hash: Digest, written: &mut Written) -> Line<'a> {
    let mut layouts = Vec::new();
    for version in &entry.versions {
        if let VersionBody::Own { layout, .. } = &version.body
            && written.insert(layout.digest)
        {
            layouts.push(LayoutLine::of(layout));
        }
    }
    Line::Entry(Box::new(EntryLine {
        position: entry.position.0,
        time: Time::of(entry.time),
        kind: Kind::of(entry.kind),
        said: Bytes::of(&entry.said),
        keys: entry.keys.iter().map(KeyLine::of).collect(),
        layouts,
        versions: entry.versions.iter().map(version_line).collect(),
        ended: entry.ended.iter().map(|(entity, owner)| (*entity, Owner::of(*owner))).collect(),
        references: entry.references.iter().map(ReferenceLine::of).collect(),
        hash: Hex(hash),
    }))
}

fn version_line(version: &Version) -> VersionLine<'_> {
    VersionLine {
        entity: version.entity,
        revision: version.revision.0,
        state: match &version.body {
            VersionBody::Own { layout, base, bytes, seal } => State::Own {
                layout: Hex(layout.digest),
                base: base.map(|base| base.0),
                key: seal.map(|key| key.0),
                body: Bytes::of(bytes),
            },
            VersionBody::Carried { own } => State::Carried(own.0),
            VersionBody::Removed { own } => State::Removed(own.0),
        },
        carried: version.carried.clone(),
        owner: version.owner.map(Owner::of),
    }
}
