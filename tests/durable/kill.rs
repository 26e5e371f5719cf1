//! A process that commits is killed: what it was told is committed is there, and nothing is there in part.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::store::{SqliteStore, verify};
use heirloom::{Expected, Position};

use crate::answers::next;
use crate::common::{Directory, id};
use crate::together::start;

#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Counter {
    pub(crate) id: Id<Counter>,
    pub(crate) count: u64,
    pub(crate) padding: String,
    pub(crate) marks: Children<Mark>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) id: Id<Mark>,
    pub(crate) count: u64,
}

/// Where the file is, for a process that is to be killed.
const FILE: &str = "HEIRLOOM_KILL_FILE";

/// How many counters each commit counts on: all of it is there, or nothing.
const COUNTERS: u64 = 4;

/// How many marks each of them keeps.
const MARKS: usize = 5;

fn counter(writer: u64, number: u64) -> Id<Counter> {
    id(&format!("counter {writer} {number}"))
}

/// Commits the next count of a writer in all its counters at once, and gives the position.
pub(crate) fn count_on(registry: &Registry, writer: u64, padding: usize) -> heirloom::Result<Position> {
    let count = registry.get(counter(writer, 0)).map_or(0, |counter| counter.count) + 1;
    let mut batch = registry.by("counting").batch();
    for number in 0..COUNTERS {
        let mark = Mark { id: id(&format!("mark {writer} {number} {count}")), count };
        // It changes all through, so that it is written out each time.
        let padding: String = (0..padding).map(|at| char::from(b'a' + ((at as u64 * count) % 26) as u8)).collect();
        batch = match registry.get(counter(writer, number)) {
            Ok(mut counter) => {
                (counter.count, counter.padding) = (count, padding);
                counter.marks.push(mark).expect("it is new");
                if counter.marks.len() > MARKS {
                    counter.marks.remove(0);
                }
                batch.save(counter)
            }
            Err(_) => {
                let marks = Children::try_from_iter([mark]).expect("it stands once");
                let id = counter(writer, number);
                batch.expect(id, Expected::Absent).add(Counter { id, count, padding, marks })
            }
        };
    }
    Ok(batch.commit()?.position())
}

/// How far a writer had counted at a position. All its counters agree.
fn count_at(history: &History, writer: u64, position: Position) -> u64 {
    let mut counts = (0..COUNTERS).map(|number| match history.at(counter(writer, number), position) {
        Ok(counter) => {
            let marks: Vec<u64> = counter.marks.iter().map(|mark| mark.count).collect();
            let expected: Vec<u64> = (counter.count.saturating_sub(MARKS as u64) + 1..=counter.count).collect();
            assert_eq!(marks, expected, "a part of {position} is not there");
            counter.count
        }
        // It had not begun; whoever counts finds out if it had.
        Err(_) => 0,
    });
    let first = counts.next().expect("there are some");
    assert!(counts.all(|count| count == first), "a part of {position} is not there");
    first
}

/// As of a position, each commit up to it is there as a whole: each counted on by one.
pub(crate) fn check_at(history: &History, writers: u64, position: Position) {
    let counts: u64 = (0..writers).map(|writer| count_at(history, writer, position)).sum();
    assert_eq!(counts, position.0, "a commit up to {position} is not there");
}

/// Everything up to the head is there as a whole; the head.
pub(crate) fn check(file: &Path) -> u64 {
    let registry = Registry::open(file).expect("it opens");
    let history = registry.history();
    let head = history.head();
    (1..=head.0).for_each(|position| check_at(&history, 1, Position(position)));
    verify(&SqliteStore::open(file).expect("it opens"), None).expect("nothing is wrong");
    head.0
}

#[test]
fn a_process_counts_until_it_is_killed() -> heirloom::Result<()> {
    let Some(file) = std::env::var_os(FILE) else { return Ok(()) };
    let registry = Registry::open(file)?;
    loop {
        let position = count_on(&registry, 0, 40)?;
        let mut out = std::io::stdout();
        writeln!(out, "committed {}", position.0).and_then(|()| out.flush()).expect("somebody listens");
    }
}

/// Kills it after a while; the last position that it said is committed, and how many it said.
pub(crate) fn kill(mut process: Child, wait: Duration) -> (u64, u64) {
    let out = process.stdout.take().expect("it is piped");
    let listener = thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        // The name of the test stands before the first.
        let said = lines.filter_map(|line| line.split_once("committed ")?.1.parse::<u64>().ok());
        said.fold((0, 0), |(last, said), position| (position.max(last), said + 1))
    });
    thread::sleep(wait);
    process.kill().expect("it runs until it is killed");
    process.wait().expect("it ended");
    listener.join().expect("it reads what there is")
}

#[test]
fn what_a_killed_process_was_told_is_committed_is_there() {
    let rounds: u64 = std::env::var("HEIRLOOM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5);
    let (mut seed, mut acknowledged, mut found) = (u64::from(std::process::id()), 0, 0);
    let mut directory = Directory::new("kill");
    let mut before = 0;
    for round in 0..rounds {
        // Each file is killed over a few times: the next one begins with what the one before left.
        if round % 5 == 0 {
            (directory, before) = (Directory::new("kill"), 0);
        }
        let file = directory.file();
        let process = start("kill::a_process_counts_until_it_is_killed", FILE, &file);
        let (last, said) = kill(process, Duration::from_millis(20 + next(&mut seed) % 200));
        let head = if file.exists() { check(&file) } else { 0 };
        assert!(head >= last, "round {round}: {last} was acknowledged, and the head is {head}");
        assert!(
            head <= before + said + 1,
            "round {round}: {said} were acknowledged after {before}: the head is {head}"
        );
        (acknowledged, found, before) = (acknowledged + said, found + head - before, head);
    }
    println!("{rounds} rounds: {acknowledged} commits acknowledged, {found} found");
    assert!(acknowledged > 0 && found >= acknowledged);
}
