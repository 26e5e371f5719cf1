//! Two processes with four threads each, on one file: no update is lost.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use heirloom::prelude::*;
use heirloom::store::{Durability, SqliteStore, verify};
use heirloom::{CallError, CommitError, Position};

use crate::answers::next;
use crate::common::{Directory, id};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Bank {
    id: Id<Bank>,
    accounts: Children<Account>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Account {
    id: Id<Account>,
    balance: i64,
    transfers: u64,
}

const ACCOUNTS: u64 = 6;
const BALANCE: i64 = 1_000;
const THREADS: u64 = 4;

/// Where the file is, for a process that another started.
const FILE: &str = "HEIRLOOM_TEST_FILE";

fn transfer(from: &mut Account, to: &mut Account, amount: i64) {
    from.balance -= amount;
    to.balance += amount;
    from.transfers += 1;
    to.transfers += 1;
}

fn account(number: u64) -> Id<Account> {
    id(&format!("account {number}"))
}

fn open(file: &Path) -> heirloom::Result<Registry> {
    let registry = Registry::builder().durability(Durability::Normal).open(file)?;
    let _ = registry.register("transfer", transfer)?;
    Ok(registry)
}

/// How many transfers each thread makes: more where somebody asks for them.
fn transfers() -> u64 {
    std::env::var("HEIRLOOM_TRANSFERS").ok().and_then(|count| count.parse().ok()).unwrap_or(25)
}

/// Transfers, each of which says whose it is and which, until all are committed.
fn transfer_all(file: &Path, process: &str) -> heirloom::Result<()> {
    // One registry that only reads sees what both processes do, too.
    let (registry, reading) = (open(file)?, open(file)?);
    let writers = AtomicU64::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (registry, writers) = (registry.clone(), &writers);
            scope.spawn(move || {
                // Also when it fails: or those who read would wait for it for ever.
                let _done = Done(writers);
                (0..transfers()).for_each(|number| transfer_one(&registry, process, thread, number));
            });
        }
        for (seed, registry) in [&registry, &reading].into_iter().enumerate() {
            let writers = &writers;
            scope.spawn(move || read_until(registry, seed as u64, writers));
        }
    });
    Ok(())
}

/// One writer fewer, however it ends.
struct Done<'w>(&'w AtomicU64);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

fn transfer_one(registry: &Registry, process: &str, thread: u64, number: u64) {
    let mut seed = thread + number * 64 + process.len() as u64 * 100_000;
    let from = next(&mut seed) % ACCOUNTS;
    let to = (from + 1 + next(&mut seed) % (ACCOUNTS - 1)) % ACCOUNTS;
    let amount = (next(&mut seed) % 90) as i64;
    let caller = registry.by(format!("{process} {thread} {number}"));
    loop {
        match caller.call(transfer, (account(from), account(to), amount)) {
            Ok(_) => return,
            Err(CallError::Commit { source: CommitError::Conflict { .. }, .. }) => {}
            Err(error) => panic!("{process} {thread} {number}: {error}"),
        }
    }
}

/// Reads while others write: each state is one that was committed.
fn read_until(registry: &Registry, mut seed: u64, writers: &AtomicU64) {
    let (history, bank) = (registry.history(), id::<Bank>("bank"));
    let mut last = 0;
    while writers.load(Ordering::Acquire) > 0 {
        let head = history.head();
        assert!(head.0 >= last, "the head goes on alone");
        last = head.0;
        for position in [head, Position(1 + next(&mut seed) % head.0)] {
            let read = history.at(bank, position).expect("it reads");
            assert_eq!(read.accounts.iter().map(|account| account.balance).sum::<i64>(), ACCOUNTS as i64 * BALANCE);
            for of in read.accounts.iter() {
                assert_eq!(&history.at(of.id, position).expect("it reads"), of, "{position}");
            }
        }
    }
}

/// Starts this test program again, for one test that does the work of another process.
pub(crate) fn start(test: &str, variable: &str, file: &Path) -> Child {
    let program = std::env::current_exe().expect("this program is a file");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(variable, file).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.spawn().expect("a process can be started")
}

#[test]
fn another_process_transfers() -> heirloom::Result<()> {
    match std::env::var_os(FILE) {
        Some(file) => transfer_all(Path::new(&file), "the other process"),
        None => Ok(()),
    }
}

#[test]
fn two_processes_with_four_threads_each_lose_no_update() -> heirloom::Result<()> {
    let directory = Directory::new("together");
    let file = directory.file();
    let accounts = (0..ACCOUNTS).map(|number| Account { id: account(number), balance: BALANCE, transfers: 0 });
    let accounts = Children::try_from_iter(accounts).expect("each stands once");
    let bank: Id<Bank> = id("bank");
    // What one process keeps of it is kept up with what the other does.
    let watching = open(&file)?;
    watching.add(Bank { id: bank, accounts })?;
    let mut other = start("together::another_process_transfers", FILE, &file);
    let transferred = transfer_all(&file, "this process");
    assert!(other.wait().expect("it ends").success());
    transferred?;
    for registry in [watching, open(&file)?] {
        check(&registry, bank)?;
    }
    verify(&SqliteStore::open(&file)?, None).expect("nothing is wrong");
    Ok(())
}

fn check(registry: &Registry, bank: Id<Bank>) -> heirloom::Result<()> {
    let history = registry.history();
    let mut authors = BTreeSet::new();
    for (index, entry) in history.entries().enumerate() {
        let entry = entry?;
        assert_eq!(entry.position(), Position(index as u64 + 1));
        if entry.version_count() > 0 {
            let author = entry.author().unwrap_or("the founder").to_owned();
            assert!(authors.insert(author), "{entry} is there twice");
            let balances: i64 =
                history.at(bank, entry.position())?.accounts.iter().map(|account| account.balance).sum();
            assert_eq!(balances, ACCOUNTS as i64 * BALANCE, "{entry}");
        }
    }
    let of = |process: &'static str| authors.iter().filter(|author| author.starts_with(process)).count() as u64;
    assert_eq!((of("this process"), of("the other process")), (THREADS * transfers(), THREADS * transfers()));
    let now = registry.get(bank)?;
    let ends: u64 = now.accounts.iter().map(|account| account.transfers).sum();
    assert_eq!(ends, 2 * 2 * THREADS * transfers(), "no update is lost");
    for number in 0..ACCOUNTS {
        let last = history.revision(account(number))?;
        let account = registry.get(account(number))?;
        assert_eq!(account.transfers, last.0 - 1, "one version for each transfer");
    }
    Ok(())
}
