//! A bank whose process is killed in the middle of a day's transfers, and which goes on where it was.
//!
//! Eight tellers make the day's transfers into one file, each under a key of its own. The process is killed while they are
//! at it. The next one is given the very same transfers: what was done is not done again, what was not is done. In the
//! evening there is a batch of transfers as one commit, and the one that is poisoned takes no other with it.
//!
//! `cargo run --release --example bank` ends with an error if a check fails.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use heirloom::prelude::*;
use heirloom::store::Durability;
use heirloom::{Call, Commits, Conflict, Receipt};
use serde_json::json;

#[derive(Entity, Clone, Debug)]
struct Bank {
    id: Id<Self>,
    accounts: Children<Account>,
}

#[derive(Entity, Clone, Debug)]
struct Account {
    id: Id<Self>,
    owner: String,
    balance: i64,
}

/// Gives back what is left.
fn transfer(from: &mut Account, to: &mut Account, amount: i64) -> Result<i64, String> {
    if amount > from.balance {
        return Err(format!("{} has {} and not {amount}", from.owner, from.balance));
    }
    from.balance -= amount;
    to.balance += amount;
    Ok(from.balance)
}

const ACCOUNTS: usize = 100;
const OPENING: i64 = 1_000_000;
const TRANSFERS: usize = 4_000;
const TELLERS: usize = 8;
/// So many are acknowledged when the process is killed, or a few more.
const KILLED_AFTER: usize = 1_000;
/// Where the process that is killed is told of its file.
const FILE: &str = "HEIRLOOM_BANK";

/// One of the day's transfers: from which account to which other, and how much.
fn of_the_day(number: usize) -> (usize, usize, i64) {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |shift: u32, of: usize| (mixed >> shift) as usize % of;
    let from = pick(8, ACCOUNTS);
    (from, (from + 1 + pick(24, ACCOUNTS - 1)) % ACCOUNTS, 1 + pick(40, 500) as i64)
}

fn account(number: usize) -> Id<Account> {
    Id::from_entity_id(EntityId::derive("Account", &number.to_string()))
}

fn key(number: usize) -> String {
    format!("day 1, transfer {number}")
}

fn open(file: &Path) -> heirloom::Result<Registry> {
    // Many tellers share a sync; each hears of its transfer once that is on the disk.
    let registry = Registry::builder().durability(Durability::Batched).open(file)?;
    let _ = registry.register("transfer", transfer)?.params(["from", "to", "amount"])?;
    Ok(registry)
}

/// Eight tellers make the day's transfers; `told` hears of each that is done, and whether it had been done before.
fn make_all(registry: &Registry, told: impl Fn(usize, bool) + Sync) -> heirloom::Result<()> {
    let teller = |teller: usize| -> heirloom::Result<()> {
        let caller = registry.by(format!("teller {teller}")).on_conflict(Conflict::Retry(1_000));
        for number in (teller..TRANSFERS).step_by(TELLERS) {
            let (from, to, amount) = of_the_day(number);
            let made = caller.clone().once(key(number)).call(transfer, (account(from), account(to), amount))?;
            told(number, made.is_repeated());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let tellers: Vec<_> = (0..TELLERS).map(|number| scope.spawn(move || teller(number))).collect();
        tellers.into_iter().try_for_each(|teller| teller.join().expect("a teller does not panic"))
    })
}

/// The process that is killed: it tells of each transfer that is done, by its number.
fn until_killed(file: &Path) -> Result<(), Box<dyn Error>> {
    let out = Mutex::new(std::io::stdout());
    make_all(&open(file)?, |number, _| {
        let mut out = out.lock().expect("a teller does not panic");
        // Nobody may be there any more to hear it.
        let _ = writeln!(out, "{number}").and_then(|()| out.flush());
    })?;
    Ok(())
}

/// Runs the tellers in a process of their own, and kills it; the transfers that it had acknowledged.
fn killed(file: &Path) -> Result<HashSet<usize>, Box<dyn Error>> {
    let mut child = Command::new(env::current_exe()?).env(FILE, file).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("it has an output")?).lines();
    let mut acknowledged = HashSet::new();
    for line in lines {
        acknowledged.insert(line?.parse()?);
        if acknowledged.len() == KILLED_AFTER {
            child.kill()?;
        }
    }
    child.wait()?;
    Ok(acknowledged)
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(file) = env::var_os(FILE) {
        return until_killed(Path::new(&file));
    }
    let folder = env::temp_dir().join(format!("heirloom-bank-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let done = a_day(&folder.join("bank.heirloom"));
    fs::remove_dir_all(&folder)?;
    done
}

fn a_day(file: &Path) -> Result<(), Box<dyn Error>> {
    let registry = open(file)?;
    let accounts = (0..ACCOUNTS).map(|number| Account {
        id: account(number),
        owner: format!("customer {number}"),
        balance: OPENING,
    });
    let bank = registry.add(Bank { id: Id::new(), accounts: Children::try_from_iter(accounts)? })?;
    drop(registry);

    let acknowledged = killed(file)?;
    println!("{} of {TRANSFERS} transfers were acknowledged when the process was killed", acknowledged.len());

    let registry = open(file)?;
    let sum = |bank: &Bank| bank.accounts.iter().map(|account| account.balance).sum::<i64>();
    let expected = OPENING * ACCOUNTS as i64;
    ensure(sum(&registry.get(bank)?) == expected, "no money was lost with the process")?;
    let done = (0..TRANSFERS).filter(|number| registry.get(Receipt::of(&key(*number))).is_ok()).count();
    println!("{done} are in the file: {} whose answer was never heard", done - acknowledged.len());

    let repeated = Mutex::new(HashSet::new());
    make_all(&registry, |number, before| {
        if before {
            repeated.lock().expect("a teller does not panic").insert(number);
        }
    })?;
    let repeated = repeated.into_inner()?;
    println!("all are asked for again: {} had been made, {} are made now", repeated.len(), TRANSFERS - repeated.len());
    ensure(acknowledged.is_subset(&repeated), "what was acknowledged was there")?;
    ensure(repeated.len() == done, "nothing is done twice")?;
    ensure(sum(&registry.get(bank)?) == expected, "sums are preserved")?;
    check_histories(&registry)?;
    in_the_evening(&registry)?;
    ensure(sum(&registry.get(bank)?) == expected, "a batch preserves sums too")?;

    let history = registry.history();
    println!("the last of customer 7:\n{}", last_of(&history.of(account(7))?.to_string(), 3));
    println!("every entry is vouched for: {}", history.verify(None)?);
    Ok(())
}

/// Transfers as one commit, one of which cannot be made.
fn in_the_evening(registry: &Registry) -> Result<(), Box<dyn Error>> {
    let transfer = |from, to, amount| {
        let address = |number| format!("@{}", account(number));
        Call::new("transfer", json!({"from": address(from), "to": address(to), "amount": amount}))
    };
    let batch = [transfer(1, 2, 100), transfer(2, 3, 2 * OPENING), transfer(2, 3, 100), transfer(3, 1, 100)];
    let before = registry.history().head();
    let results = registry.by("evening").execute_many(batch, Commits::OneForAll);
    for result in &results {
        match result {
            Ok(outcome) => println!("  in the batch: {} left", outcome.value()),
            Err(error) => println!("  in the batch: {error}"),
        }
    }
    let made: Vec<bool> = results.iter().map(Result::is_ok).collect();
    ensure(made == [true, false, true, true], "the poisoned transfer takes no other with it")?;
    // One entry for those that were made, and one for the one that was not.
    ensure(registry.history().head().0 == before.0 + 2, "a batch is one commit")?;
    Ok(())
}

/// Each account has a version for each of its transfers, and each differs from the one before by what was transferred.
fn check_histories(registry: &Registry) -> Result<(), Box<dyn Error>> {
    let mut versions = 0;
    for number in 0..ACCOUNTS {
        let mut expected: Vec<i64> = (0..TRANSFERS)
            .filter_map(|transfer| {
                let (from, to, amount) = of_the_day(transfer);
                (from == number).then_some(-amount).or((to == number).then_some(amount))
            })
            .collect();
        let balances = registry.history().field(account(number), Account::BALANCE)?;
        let mut found: Vec<i64> = balances.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
        expected.sort_unstable();
        found.sort_unstable();
        ensure(found == expected, "the history of each account has each of its transfers, once")?;
        versions += balances.len();
    }
    println!("{versions} versions of {ACCOUNTS} accounts, each with the transfer that made it");
    Ok(())
}

fn last_of(text: &str, lines: usize) -> String {
    text.lines().take(lines).map(|line| format!("  {line}\n")).collect::<String>().trim_end().to_owned()
}

fn ensure(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {what}").into()) }
}
