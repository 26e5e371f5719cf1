//! The power fails: what was synced is there, of what came later any part may be, and the store opens all the same.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::store::{Durability, Head};
use heirloom::{Position, Retention};
use rusqlite::Connection;

use crate::answers::next;
use crate::common::Directory;
use crate::kill::{check_at, count_on};
use crate::medium::{Left, Medium, put};
use crate::trace::{FOLDER, SAID, Shim, Step};

/// How the process counts that is watched.
const HOW: &str = "HEIRLOOM_LOSS";

/// How many commits it makes between opening and closing the store, and how often it does that.
const COMMITS: u64 = 40;
const SESSIONS: u64 = 2;

/// How many losses are made of one trace.
const OF_A_TRACE: u64 = 50;

/// How a process counts.
#[derive(Clone, Copy, Debug)]
struct How {
    durability: Durability,
    /// How many threads count, each in counters of its own.
    writers: u64,
}

const ALONE: How = How { durability: Durability::Full, writers: 1 };
const TOGETHER: How = How { durability: Durability::Batched, writers: 3 };
const CARELESS: How = How { durability: Durability::Normal, writers: 1 };

#[test]
fn a_process_counts_in_sight() -> heirloom::Result<()> {
    let (Some(folder), Ok(how)) = (env::var_os(FOLDER), env::var(HOW)) else { return Ok(()) };
    let (number, seed) = how.split_once(' ').expect("two numbers");
    let how = [ALONE, TOGETHER, CARELESS][number.parse::<usize>().expect("a number")];
    let mut seed = seed.parse().expect("a number");
    (0..SESSIONS).try_for_each(|_| count(Path::new(&folder), how, &mut seed))
}

/// Opens the store, counts, and closes it, while somebody else brings the log home again and again.
fn count(folder: &Path, how: How, seed: &mut u64) -> heirloom::Result<()> {
    let file = folder.join("a.heirloom");
    let registry = Registry::builder().durability(how.durability).open(&file)?;
    let said = OpenOptions::new().create(true).append(true).open(folder.join(SAID)).expect("it can be made");
    let counting = AtomicU64::new(how.writers);
    let seeds: Vec<u64> = (0..=how.writers).map(|_| next(seed)).collect();
    thread::scope(|scope| {
        let (registry, said, counting) = (&registry, &said, &counting);
        for writer in 0..how.writers {
            let seed = seeds[writer as usize];
            scope.spawn(move || {
                let counted = count_and_say(registry, writer, COMMITS / how.writers, said, seed);
                counting.fetch_sub(1, Ordering::Release);
                counted.expect("it counts");
            });
        }
        scope.spawn(|| bring_home(&file, counting, seeds[how.writers as usize]));
    });
    Ok(())
}

/// Counts, and writes down what was acknowledged.
fn count_and_say(registry: &Registry, writer: u64, times: u64, said: &File, mut seed: u64) -> heirloom::Result<()> {
    let (history, mut said) = (registry.history(), said);
    let mut say = |what: String| said.write_all(what.as_bytes()).expect("there is room");
    for _ in 0..times {
        let padding = if next(&mut seed).is_multiple_of(4) { 6_000 } else { 40 };
        let position = count_on(registry, writer, padding)?;
        say(format!("head {}\n", history.store_head()?));
        match next(&mut seed) % 12 {
            0 => {
                history.tag(position.to_string(), position)?;
                say(format!("tag {}\n", position.0));
            }
            1 => {
                let compacted = registry.compact(&Retention::new().entries(30), 40)?;
                say(format!("horizon {}\n", compacted.horizon.0));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Brings the log home in all the ways there are, as anybody may with a connection of his own.
fn bring_home(file: &Path, counting: &AtomicU64, mut seed: u64) {
    let connection = Connection::open(file).expect("it is there");
    while counting.load(Ordering::Acquire) > 0 {
        let way = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][next(&mut seed) as usize % 4];
        // If somebody else does it just now, the next time.
        _ = connection.query_row(&format!("PRAGMA wal_checkpoint({way})"), [], |_| Ok(()));
        thread::sleep(Duration::from_millis(next(&mut seed) % 30));
    }
}

/// What had been acknowledged.
#[derive(Default)]
struct Said {
    head: Option<Head>,
    tags: Vec<Position>,
    horizon: Position,
}

impl Said {
    fn until(steps: &[Step]) -> Self {
        let mut all = Self::default();
        let said = steps.iter().filter_map(|step| if let Step::Said(said) = step { Some(said) } else { None });
        for (what, text) in said.filter_map(|said| said.trim_end().split_once(' ')) {
            let position = || Position(text.parse().expect("a position"));
            match what {
                "head" => all.head = all.head.into_iter().chain(text.parse().ok()).max_by_key(|head| head.position),
                "tag" => all.tags.push(position()),
                _ => all.horizon = all.horizon.max(position()),
            }
        }
        all
    }

    fn position(&self) -> u64 {
        self.head.map_or(0, |head| head.position.0)
    }
}

/// Opens a store after a loss, and looks at all of it: the head. It goes on as if nothing had been.
fn reopen(file: &Path, how: How, said: &Said) -> u64 {
    let registry = Registry::open(file).expect("it opens");
    let history = registry.history();
    let head = history.head();
    history.verify(said.head.as_ref()).expect("all is as it was acknowledged");
    let horizon = history.horizon().expect("it reads");
    assert!(horizon >= said.horizon, "{} had been forgotten, and {horizon} found", said.horizon);
    let tags = history.tags().expect("it reads");
    for tag in &said.tags {
        assert_eq!(tags.get(&tag.to_string()), Some(tag), "a tag that was put is gone");
    }
    // Some of the older ones: all were verified.
    let old = (horizon.0.max(1)..=head.0).step_by(7);
    let readable = old.chain(head.0.saturating_sub(4).max(horizon.0 + 1)..=head.0).map(Position);
    readable.chain(tags.into_values()).for_each(|position| check_at(&history, how.writers, position));
    assert_eq!(count_on(&registry, 0, 40).expect("it goes on").0, head.0 + 1);
    // The last one that closes it brings the log home.
    drop((history, registry));
    let history = Registry::open(file).expect("it opens again").history();
    check_at(&history, how.writers, Position(head.0 + 1));
    head.0
}

/// What a process did that counted in this way.
fn watch(shim: &Shim, how: How, seed: &mut u64) -> Vec<Step> {
    let folder = Directory::new("watched");
    let number = match how.durability {
        Durability::Full => 0,
        Durability::Batched => 1,
        _ => 2,
    };
    let path = fs::canonicalize(folder.file().parent().expect("it is in a folder")).expect("it is there");
    let how = format!("{number} {}", next(seed));
    let steps = shim.watch("loss::a_process_counts_in_sight", &path, &[(HOW, how)]);
    let stands = fs::read_dir(&path).expect("it is there").map(|entry| entry.expect("it reads"));
    let stands = stands.map(|entry| (entry.file_name().into_string().expect("it is text"), entry.path()));
    let stands: BTreeMap<_, _> = stands.filter(|(name, _)| name != SAID && !name.ends_with("-shm")).collect();
    let told = Medium::after(&steps, None).lost(Left::All, seed);
    assert!(told.keys().eq(stands.keys()), "{:?} stand there, and {stands:?} were told of", told.keys());
    for (name, path) in stands {
        assert!(told[&*name] == fs::read(path).expect("it reads"), "not all was told that was done to {name}");
    }
    steps
}

/// A loss of power at some moment.
struct Loss {
    folder: Directory,
    said: Said,
    /// What is left, for whoever looks for the reason.
    left: String,
    is_homecoming: bool,
}

impl Loss {
    /// At any moment; syncs of what has a name ending so are taken for none.
    fn of(steps: &[Step], ignored: Option<&str>, seed: &mut u64) -> Self {
        // Now and then while the store is being made.
        let made = steps.iter().position(|step| matches!(step, Step::Said(_))).expect("something was said");
        let last = if next(seed).is_multiple_of(8) { made } else { steps.len() };
        let moment = next(seed) as usize % (last + 1);
        let medium = Medium::after(&steps[..moment], ignored);
        let left = Left::any(&medium, seed);
        let folder = Directory::new("lost");
        put(&medium.lost(left, seed), folder.file().parent().expect("it is in a folder"));
        let said = Said::until(&steps[..moment]);
        let left = format!("a loss after {moment} of {} steps that leaves {left:?}", steps.len());
        Self { folder, said, left, is_homecoming: medium.is_under_way("a.heirloom") }
    }
}

/// From the environment, if it is there.
fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn any_seed() -> u64 {
    let seed = number("HEIRLOOM_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("HEIRLOOM_SEED={seed}");
    seed
}

#[test]
fn what_was_acknowledged_outlives_a_loss_of_power_at_any_moment() {
    let Some(shim) = Shim::new() else { return };
    let (moments, mut seed) = (number("HEIRLOOM_LOSSES").unwrap_or(100), any_seed());
    let (mut losses, mut homecomings, mut acknowledged, mut more) = (0, 0, 0, 0);
    while losses < moments {
        let how = if (losses / OF_A_TRACE).is_multiple_of(2) { ALONE } else { TOGETHER };
        let steps = watch(&shim, how, &mut seed);
        for _ in 0..OF_A_TRACE.min(moments - losses) {
            let loss = Loss::of(&steps, None, &mut seed);
            println!("{how:?}: {}", loss.left);
            let (found, said) = (reopen(&loss.folder.file(), how, &loss.said), loss.said.position());
            assert!(found >= said, "{said} was acknowledged, and {found} found");
            (losses, homecomings) = (losses + 1, homecomings + u64::from(loss.is_homecoming));
            (acknowledged, more) = (acknowledged + said, more + found - said);
        }
    }
    println!("{losses} losses, {homecomings} of these while the main file was written:");
    println!("{acknowledged} commits that were acknowledged found, and {more} more");
}

#[test]
fn with_normal_the_last_may_be_lost_and_nothing_is_there_in_part() {
    let Some(shim) = Shim::new() else { return };
    let mut seed = any_seed();
    let steps = watch(&shim, CARELESS, &mut seed);
    let (mut losses, mut lost) = (0, 0);
    for _ in 0..number("HEIRLOOM_LOSSES").unwrap_or(100).max(80) / 4 {
        let loss = Loss::of(&steps, None, &mut seed);
        println!("{}", loss.left);
        // Tags and the horizon are always written in full, and all commits before them.
        let said = Said { head: None, ..loss.said };
        let found = reopen(&loss.folder.file(), CARELESS, &said);
        (losses, lost) = (losses + 1, lost + u64::from(loss.said.head.is_some_and(|head| head.position.0 > found)));
    }
    println!("{lost} of {losses} losses took commits that had been acknowledged");
    assert!(lost > 0, "with a log that is hardly synced, something is lost");
}

#[test]
fn a_log_that_is_not_synced_would_be_seen() {
    let Some(shim) = Shim::new() else { return };
    let mut seed = any_seed();
    let steps = watch(&shim, ALONE, &mut seed);
    let flagged = (0..20).filter(|_| {
        let loss = Loss::of(&steps, Some("-wal"), &mut seed);
        catch_unwind(AssertUnwindSafe(|| reopen(&loss.folder.file(), ALONE, &loss.said))).is_err()
    });
    let flagged = flagged.count();
    println!("{flagged} of 20 losses are flagged");
    assert!(flagged > 0, "a sync that is missing is not seen");
}
