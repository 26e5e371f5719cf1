//! Somebody else appends while a registry reads the store, at any of its reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heirloom::prelude::*;
use heirloom::store::{MemoryStore, verify};
use heirloom::{CallError, CommitError, Position, Revision, When};

use crate::answers::next;
use crate::common::id;
use crate::faulty::Faulty;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Bank {
    id: Id<Bank>,
    accounts: Children<Account>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Account {
    id: Id<Account>,
    balance: i64,
}

const BANKS: u64 = 3;
const ACCOUNTS: u64 = 6;

fn bank(number: u64) -> Id<Bank> {
    id(&format!("bank {number}"))
}

fn account(number: u64) -> Id<Account> {
    id(&format!("account {number}"))
}

fn pay(from: &mut Account, to: &mut Account, amount: i64) {
    from.balance -= amount;
    to.balance += amount;
}

fn touch(account: &mut Account) {
    account.balance += 1;
}

/// Moves the first account, if there is one.
fn relocate(from: &mut Bank, to: &mut Bank) -> Result<(), String> {
    let account = from.accounts.remove(0).ok_or("there is none")?;
    to.accounts.push(account).map_err(|error| error.to_string())
}

fn with_callables(registry: Registry) -> heirloom::Result<Registry> {
    let _ = registry.register("pay", pay)?;
    let _ = registry.register("relocate", relocate)?;
    Ok(registry)
}

/// One call of many: what others committed first is a conflict, and never anything else.
fn step(registry: &Registry, seed: &mut u64) {
    let two = |seed: &mut u64, of: u64| {
        let from = next(seed) % of;
        (from, (from + 1 + next(seed) % (of - 1)) % of)
    };
    let called = if next(seed).is_multiple_of(3) {
        let (from, to) = two(seed, BANKS);
        registry.call(relocate, (bank(from), bank(to))).map(drop)
    } else {
        let (from, to) = two(seed, ACCOUNTS);
        registry.call(pay, (account(from), account(to), 5)).map(drop)
    };
    match called {
        Ok(()) | Err(CallError::Failed { .. }) => {}
        Err(CallError::Commit { source: CommitError::Conflict { .. }, .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

fn balances(registry: &Registry, at: Position) -> heirloom::Result<i64> {
    let mut sum = 0;
    for number in 0..BANKS {
        let bank = registry.history().at(bank(number), at)?;
        sum += bank.accounts.iter().map(|account| account.balance).sum::<i64>();
    }
    Ok(sum)
}

fn run(mut seed: u64) -> heirloom::Result<()> {
    let store = MemoryStore::new();
    let other = with_callables(Registry::builder().over(store.clone())?)?;
    let accounts = (0..ACCOUNTS).map(|number| Account { id: account(number), balance: 100 });
    let mut accounts = Some(Children::try_from_iter(accounts).expect("each stands once"));
    for number in 0..BANKS {
        other.add(Bank { id: bank(number), accounts: accounts.take().unwrap_or_default() })?;
    }
    let founded = other.history().head();
    let (also, others) = (other.clone(), AtomicU64::new(next(&mut seed)));
    // So often for each call: whoever is overtaken at each read never catches up.
    let left = Arc::new(AtomicU64::new(0));
    let overtakes = Arc::clone(&left);
    let overtake = move || {
        let mut seed = others.load(Ordering::Relaxed);
        if next(&mut seed).is_multiple_of(6) && overtakes.load(Ordering::Relaxed) > 0 {
            overtakes.fetch_sub(1, Ordering::Relaxed);
            step(&also, &mut seed);
        }
        others.store(seed, Ordering::Relaxed);
    };
    let registry = with_callables(Registry::builder().over(Faulty::overtaken(store.clone(), Box::new(overtake)))?)?;
    for _ in 0..40 {
        left.store(next(&mut seed) % 4, Ordering::Relaxed);
        step(&registry, &mut seed);
        if next(&mut seed).is_multiple_of(4) {
            step(&other, &mut seed);
        }
    }
    verify(&store, None).expect("nothing is wrong");
    let again = Registry::builder().over(store)?;
    for position in (founded.0..=again.history().head().0).map(Position) {
        assert_eq!(balances(&again, position)?, 100 * ACCOUNTS.cast_signed(), "{position}");
    }
    assert_eq!(balances(&registry, again.history().head())?, 100 * ACCOUNTS.cast_signed());
    Ok(())
}

#[test]
fn what_comes_between_two_reads_is_a_conflict_and_never_half_seen() -> heirloom::Result<()> {
    (0..80).try_for_each(run)
}

#[test]
fn what_somebody_else_added_is_found_by_whoever_first_asks_for_it() -> heirloom::Result<()> {
    type Read = fn(&Registry, Id<Account>) -> heirloom::Result<()>;
    let reads: [(&str, Read); 9] = [
        ("get", |registry, id| Ok(registry.get(id).map(drop)?)),
        ("at", |registry, id| Ok(registry.history().at(id, Revision(1)).map(drop)?)),
        ("of", |registry, id| Ok(registry.history().of(id).map(drop)?)),
        ("revision", |registry, id| Ok(registry.history().revision(id).map(drop)?)),
        ("owner", |registry, id| Ok(registry.history().owner(id, When::Head).map(drop)?)),
        ("referrers", |registry, id| Ok(registry.history().referrers(id, Revision(1)).map(drop)?)),
        ("tree", |registry, id| Ok(registry.history().tree(id, When::Head).map(drop)?)),
        ("field", |registry, id| Ok(registry.history().field(id, Account::BALANCE).map(drop)?)),
        ("call", |registry, id| Ok(registry.call(touch, (id,)).map(drop)?)),
    ];
    let store = MemoryStore::new();
    let (writer, reader) = (Registry::builder().over(store.clone())?, Registry::builder().over(store)?);
    let _ = reader.register("touch", touch)?;
    for (number, (name, read)) in (0..).zip(reads) {
        let id = writer.add(Account { id: account(number), balance: 0 })?;
        read(&reader, id).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    Ok(())
}
