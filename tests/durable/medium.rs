//! What a medium holds after a loss of power: all that was synced, and of the rest any part.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use crate::answers::next;
use crate::trace::Step;

/// What is torn is torn between sectors.
const SECTOR: usize = 512;

/// The file of the folder itself: names are synced with it.
const FOLDER: u32 = 1;

/// What is left of that which was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    Nothing,
    All,
    /// What was done before a step, and so many sectors of that step.
    Before(usize, usize),
    /// Each sector as it was at some time since.
    Times,
    /// Of each write, each of its sectors or not.
    Pieces,
}

impl Left {
    /// One of them, at random, for a loss before a step.
    pub(crate) fn any(medium: &Medium<'_>, seed: &mut u64) -> Self {
        match next(seed) % 7 {
            0 | 1 => Left::Nothing,
            2 => Left::All,
            3 | 4 => {
                let since = medium.oldest().unwrap_or(medium.now);
                let step = since + next(seed) as usize % (medium.now - since + 1);
                Left::Before(step, next(seed) as usize % 10)
            }
            5 => Left::Times,
            _ => Left::Pieces,
        }
    }
}

/// A file: its bytes as they were when it was last synced, and what was done to it since.
#[derive(Default)]
struct File<'t> {
    synced: Vec<u8>,
    since: Vec<(usize, &'t Step)>,
}

/// What a name stood for when the folder was last synced, and since.
#[derive(Default)]
struct Name {
    synced: Option<u32>,
    since: Vec<(usize, Option<u32>)>,
}

/// The files of a folder after some steps of a trace.
#[derive(Default)]
pub(crate) struct Medium<'t> {
    files: BTreeMap<u32, File<'t>>,
    names: BTreeMap<&'t str, Name>,
    /// At which step a sync began.
    syncs: HashMap<u64, usize>,
    now: usize,
}

impl<'t> Medium<'t> {
    /// After these steps. A sync of a name ending so is taken for none.
    pub(crate) fn after(steps: &'t [Step], ignored: Option<&str>) -> Self {
        let mut medium = Self::default();
        for step in steps {
            medium.take(step, ignored);
        }
        medium
    }

    fn take(&mut self, step: &'t Step, ignored: Option<&str>) {
        let now = self.now;
        self.now += 1;
        match step {
            Step::Said(_) => {}
            Step::Named { file, name } => self.names.entry(name).or_default().since.push((now, Some(*file))),
            Step::Unnamed { name } => self.names.entry(name).or_default().since.push((now, None)),
            Step::Wrote { file, .. } | Step::Cut { file, .. } | Step::Grew { file, .. } => {
                self.files.entry(*file).or_default().since.push((now, step));
            }
            Step::SyncBegan { number } => _ = self.syncs.insert(*number, now),
            Step::SyncEnded { file, number } => {
                let began = self.syncs[number];
                let is_ignored = |name: &str| ignored.is_some_and(|ignored| name.ends_with(ignored));
                if !self.names_of(*file).any(is_ignored) {
                    self.sync(*file, began);
                }
            }
        }
    }

    fn names_of(&self, file: u32) -> impl Iterator<Item = &'t str> {
        let ever =
            move |name: &Name| name.since.iter().map(|(_, file)| *file).chain([name.synced]).any(|f| f == Some(file));
        self.names.iter().filter(move |(_, name)| ever(name)).map(|(name, _)| *name)
    }

    /// What was done to a file before a step is on the medium, and so is its name. So are all names with the folder.
    fn sync(&mut self, file: u32, before: usize) {
        for name in self.names.values_mut() {
            let settles = |(at, named): &(usize, Option<u32>)| *at < before && (file == FOLDER || *named == Some(file));
            if let Some(last) = name.since.iter().rposition(settles) {
                name.synced = name.since.drain(..=last).next_back().expect("it is there").1;
            }
        }
        if let Some(file) = self.files.get_mut(&file) {
            let synced = file.since.partition_point(|(at, _)| *at < before);
            let done: Vec<_> = file.since.drain(..synced).collect();
            file.synced = left(std::mem::take(&mut file.synced), &done, &mut |_, _, _| true, None);
        }
    }

    /// The first step that is not on the medium for certain.
    fn oldest(&self) -> Option<usize> {
        let names = self.names.values().filter_map(|name| Some(name.since.first()?.0));
        names.chain(self.files.values().filter_map(|file| Some(file.since.first()?.0))).min()
    }

    /// Whether something was done to what has this name that is not on the medium for certain.
    pub(crate) fn is_under_way(&self, name: &str) -> bool {
        let named = self.names.get(name).and_then(|name| name.since.last().map_or(name.synced, |(_, file)| *file));
        named.and_then(|file| self.files.get(&file)).is_some_and(|file| !file.since.is_empty())
    }

    /// What is found after a loss of power: names and bytes.
    pub(crate) fn lost(&self, left: Left, seed: &mut u64) -> BTreeMap<&'t str, Vec<u8>> {
        let mut found = BTreeMap::new();
        for (name, stands) in &self.names {
            let reach = match left {
                Left::Nothing => 0,
                Left::All => stands.since.len(),
                Left::Before(step, _) => stands.since.partition_point(|(at, _)| *at < step),
                Left::Times | Left::Pieces => next(seed) as usize % (stands.since.len() + 1),
            };
            let file = stands.since[..reach].last().map_or(stands.synced, |(_, file)| *file);
            if let Some(file) = file {
                found.insert(*name, self.files.get(&file).map_or_else(Vec::new, |file| file.after_loss(left, seed)));
            }
        }
        found
    }
}

impl File<'_> {
    fn after_loss(&self, found: Left, seed: &mut u64) -> Vec<u8> {
        let since = &self.since;
        let mut any = |steps: usize| next(seed) as usize % (steps + 1);
        let left = |keeps: Keeps<'_>, steps| left(self.synced.clone(), since, keeps, steps);
        match found {
            Left::Nothing => self.synced.clone(),
            Left::All => left(&mut |_, _, _| true, None),
            Left::Before(step, reach) => {
                let keeps = |at, piece| at < step || at == step && piece < reach;
                left(&mut |at, piece, _| keeps(at, piece), Some(since.partition_point(|(at, _)| keeps(*at, 0))))
            }
            Left::Times => {
                let (mut times, length) = (HashMap::new(), any(since.len()));
                let mut time = || since.get(any(since.len())).map_or(usize::MAX, |(at, _)| *at);
                left(&mut |at, _, sector| at < *times.entry(sector).or_insert_with(&mut time), Some(length))
            }
            Left::Pieces => {
                let length = any(since.len());
                left(&mut |_, _, _| any(1) == 0, Some(length))
            }
        }
    }
}

/// Whether a piece of what was done is kept: the step, the place of the piece in that, and the sector.
type Keeps<'k> = &'k mut dyn FnMut(usize, usize, usize) -> bool;

/// The bytes with those pieces of what was done since that are kept; the length is that after so many steps, or all.
fn left(mut found: Vec<u8>, since: &[(usize, &Step)], keeps: Keeps<'_>, steps: Option<usize>) -> Vec<u8> {
    let mut lengths = vec![found.len()];
    for (at, step) in since {
        let before = lengths.last().copied().unwrap_or(0);
        let zeros: Vec<u8>;
        let (from, bytes, length) = match step {
            Step::Wrote { at, bytes, .. } => (*at, bytes.as_slice(), before.max(at + bytes.len())),
            Step::Cut { length, .. } => {
                zeros = vec![0; found.len().saturating_sub(*length)];
                (*length, zeros.as_slice(), *length)
            }
            Step::Grew { length, .. } => (*length, &[][..], before.max(*length)),
            _ => unreachable!("nothing else is done to a file"),
        };
        lengths.push(length);
        let (mut place, end) = (from, from + bytes.len());
        found.resize(found.len().max(end).max(length), 0);
        for piece in 0.. {
            if place == end {
                break;
            }
            let to = end.min((place / SECTOR + 1) * SECTOR);
            if keeps(*at, piece, place / SECTOR) {
                found[place..to].copy_from_slice(&bytes[place - from..to - from]);
            }
            place = to;
        }
    }
    found.resize(lengths[steps.unwrap_or(since.len())], 0);
    found
}

/// Writes what was found into an empty folder.
pub(crate) fn put(found: &BTreeMap<&str, Vec<u8>>, folder: &Path) {
    for (name, bytes) in found {
        fs::write(folder.join(name), bytes).expect("there is room");
    }
}
