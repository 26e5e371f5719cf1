//! Reading lines into a store.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use super::{EntryLine, FORMAT, Header, ImportError, LONGEST_LINE, Line, State, TagLine, VersionLine};
use crate::digest::Digest;
use crate::store::Store;
use crate::store::chain::{Head, body_digest};
use crate::store::error::AppendError;
use crate::store::keys::KeyNumber;
use crate::store::rows::{Durability, Entry, LayoutRow, Version, VersionBody};
use crate::when::{Position, Revision};

/// So many entries, or so many bytes of lines, are appended at once.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 22;

/// Appends the entries that [`export`](super::export) wrote, and takes over the tags; the head of the store then.
///
/// The store is empty, or has the entries before the first line or some of those that follow: the import goes on from
/// there, so one that was stopped is begun again. Every entry's hash is worked out and compared before it is appended; a
/// line is no longer than [`LONGEST_LINE`](super::LONGEST_LINE). O(what is read · log n).
///
/// # Errors
/// The first line that is wrong, with its number; lines that end too early; a store with another history, or one that
/// cannot be written. The entries of all lines before are in the store then, and nothing of that line.
pub fn import(lines: &mut dyn BufRead, store: &dyn Store) -> Result<Head, ImportError> {
    Import::new(store, true, LONGEST_LINE)?.read(lines)
}

pub(super) struct Import<'s> {
    store: &'s dyn Store,
    /// Whether the hashes that the lines name are compared.
    is_strict: bool,
    longest: usize,
    line: u64,
    stage: Stage,
    /// The head by the lines that were read.
    head: Head,
    /// The head of the store.
    stored: Head,
    layouts: HashMap<Digest, Arc<LayoutRow>, ahash::RandomState>,
    /// What is to be appended, by the lines of each.
    pending: Vec<Entry>,
    pending_lines: Vec<u64>,
    pending_bytes: usize,
    pending_head: Head,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Entries,
    Tags,
    Over,
}

impl<'s> Import<'s> {
    pub(super) fn new(store: &'s dyn Store, is_strict: bool, longest: usize) -> Result<Self, ImportError> {
        let stored = store.head()?;
        Ok(Self {
            store,
            is_strict,
            longest,
            line: 0,
            stage: Stage::Header,
            head: Head::EMPTY,
            stored,
            layouts: HashMap::default(),
            pending: Vec::new(),
            pending_lines: Vec::new(),
            pending_bytes: 0,
            pending_head: stored,
        })
    }

    pub(super) fn read(mut self, lines: &mut dyn BufRead) -> Result<Head, ImportError> {
        let read = self.read_all(lines);
        // Whatever was wrong: what stands before it is kept.
        self.append()?;
        read?;
        Ok(self.stored)
    }

    fn read_all(&mut self, lines: &mut dyn BufRead) -> Result<(), ImportError> {
        let mut text = Vec::new();
        loop {
            text.clear();
            self.line += 1;
            let most = self.longest as u64 + 1;
            let read = Read::take(&mut *lines, most).read_until(b'\n', &mut text);
            read.map_err(|error| ImportError::Read { line: self.line, source: Arc::new(error) })?;
            if text.is_empty() {
                let line = self.line - 1;
                return if self.stage == Stage::Over { Ok(()) } else { Err(ImportError::Cut { line }) };
            }
            match text.pop_if(|last| *last == b'\n') {
                Some(_) => self.take(&text)?,
                None if text.len() > self.longest => {
                    return Err(self.wrong(format!("it is longer than {} bytes", self.longest)));
                }
                // A last line without its end may itself be cut.
                None => return Err(ImportError::Cut { line: self.line }),
            }
        }
    }

    fn wrong(&self, why: impl Into<String>) -> ImportError {
        ImportError::Line { line: self.line, why: why.into() }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), ImportError> {
        let line: Line<'_> = serde_json::from_slice(text).map_err(|error| self.wrong(error.to_string()))?;
        match (self.stage, line) {
            (Stage::Header, Line::Heirloom(header)) => self.begin(&header),
            (Stage::Entries, Line::Entry(entry)) => self.entry(*entry, text.len()),
            (Stage::Entries | Stage::Tags, Line::Tag(tag)) => self.tag(&tag),
            (Stage::Entries | Stage::Tags, Line::End(end)) => {
                if end.position != self.head.position.0 || (self.is_strict && end.hash.0 != self.head.hash) {
                    let (end, head) = (Position(end.position), self.head.position);
                    return Err(
                        self.wrong(format!("it names {end} as the end, and the entries before it end at {head}"))
                    );
                }
                self.stage = Stage::Over;
                Ok(())
            }
            (stage, line) => {
                let expected = match stage {
                    Stage::Header => "the first line of an export",
                    Stage::Entries => "an entry, a tag or the end",
                    Stage::Tags => "a tag or the end",
                    Stage::Over => "nothing after the end",
                };
                Err(self.wrong(format!("expected {expected}, found {line:?}")))
            }
        }
    }

    fn begin(&mut self, header: &Header) -> Result<(), ImportError> {
        if header.format > FORMAT {
            return Err(ImportError::Newer { found: header.format, known: FORMAT });
        }
        let after = header.after.head();
        if header.format == 0 || (after.position.0 == 0 && after != Head::EMPTY) {
            return Err(self.wrong("nobody wrote a first line like this"));
        }
        if after.position > self.stored.position {
            return Err(ImportError::Gap { after: after.position, head: self.stored.position });
        }
        self.head = after;
        self.stage = Stage::Entries;
        if after.position.0 == 0 { Ok(()) } else { self.compare() }
    }

    /// Compares the head of the lines with what the store has at its position.
    fn compare(&self) -> Result<(), ImportError> {
        let row = self.store.entry(self.head.position)?;
        if row.is_some_and(|row| row.hash == self.head.hash) {
            return Ok(());
        }
        let why = format!("the entry {} is another", self.head.position);
        Err(ImportError::OtherHistory { line: self.line, why })
    }

    fn entry(&mut self, line: EntryLine<'_>, size: usize) -> Result<(), ImportError> {
        let expected = Position(self.head.position.0.saturating_add(1));
        if line.position != expected.0 {
            return Err(self.wrong(format!("it is the entry {}, and {expected} follows", Position(line.position))));
        }
        let hash = line.hash;
        let entry = self.entry_of(line)?;
        let head = self.head.then(body_digest(&entry));
        if self.is_strict && head.hash != hash.0 {
            return Err(self.wrong("its hash does not follow from what it holds and the entries before it"));
        }
        self.head = head;
        if head.position <= self.stored.position {
            return self.compare();
        }
        self.pending.push(entry);
        self.pending_lines.push(self.line);
        self.pending_bytes += size;
        self.pending_head = head;
        if self.pending.len() >= BATCH || self.pending_bytes >= BATCH_BYTES { self.append() } else { Ok(()) }
    }

    fn entry_of(&mut self, line: EntryLine<'_>) -> Result<Entry, ImportError> {
        for layout in line.layouts {
            let row = layout.row();
            if self.layouts.insert(row.digest, Arc::new(row)).is_some() {
                return Err(self.wrong("it brings a layout that a line before it brought"));
            }
        }
        let keys = line.keys.iter().map(super::KeyLine::change).collect::<Option<_>>();
        let keys = keys.ok_or_else(|| self.wrong("the bytes of a key are 32, and not all zeros"))?;
        let versions = line.versions.iter().map(|version| self.version(version)).collect::<Result<_, _>>()?;
        Ok(Entry {
            position: Position(line.position),
            time: line.time.timestamp(),
            kind: line.kind.kind(),
            said: line.said.bytes().into(),
            versions,
            ended: line.ended.iter().map(|(entity, owner)| (*entity, owner.change())).collect(),
            references: line.references.iter().map(super::ReferenceLine::change).collect(),
            keys,
        })
    }

    fn version(&self, line: &VersionLine<'_>) -> Result<Version, ImportError> {
        let body = match &line.state {
            State::Own { layout, base, key, body } => {
                let Some(layout) = self.layouts.get(&layout.0) else {
                    return Err(self.wrong(format!("no line has the layout {} that it names", layout.0)));
                };
                VersionBody::Own {
                    layout: Arc::clone(layout),
                    base: base.map(Revision),
                    bytes: body.bytes().into(),
                    seal: key.map(KeyNumber),
                }
            }
            State::Carried(own) => VersionBody::Carried { own: Revision(*own) },
            State::Removed(own) => VersionBody::Removed { own: Revision(*own) },
        };
        Ok(Version {
            entity: line.entity,
            revision: Revision(line.revision),
            body,
            carried: line.carried.clone(),
            owner: line.owner.as_ref().map(super::Owner::change),
        })
    }

    /// Appends what is pending: all of it, or what stands before the entry that the store refuses.
    fn append(&mut self) -> Result<(), ImportError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (mut entries, lines) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.pending_lines));
        self.pending_bytes = 0;
        let failed = match self.store.append(&self.stored, &entries, Durability::Full) {
            Ok(head) => {
                self.stored = head;
                return Ok(());
            }
            Err(error) => error,
        };
        let mut line = lines.first().copied().unwrap_or_default();
        if let AppendError::Refused { position, .. } = &failed
            && let Some(at) = entries.iter().position(|entry| entry.position == *position)
        {
            line = lines[at];
            entries.truncate(at);
            if let Ok(head) = self.store.append(&self.stored, &entries, Durability::Full) {
                self.stored = head;
            }
        }
        Err(ImportError::Append { line, source: failed })
    }

    fn tag(&mut self, tag: &TagLine) -> Result<(), ImportError> {
        self.stage = Stage::Tags;
        let position = Position(tag.position);
        if position > self.head.position {
            return Err(self.wrong(format!("it tags {position}, and the entries end at {}", self.head.position)));
        }
        self.append()?;
        match self.store.tag(&tag.name, position)? {
            at if at == position => Ok(()),
            at => Err(ImportError::TagTaken { line: self.line, tag: tag.name.clone(), at }),
        }
    }
}
