//! Calls under a key: done once, however often and from wherever they are repeated.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore, export, import, verify};
use heirloom::{
    CallError, CommitError, Conflict, Observation, Position, ReadError, RecallError, Receipt, Result, Retention,
};
use proptest::prelude::*;
use serde_json::json;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Account {
    id: Id<Account>,
    balance: i64,
}

fn pay_in(account: &mut Account, amount: i64) -> std::result::Result<i64, String> {
    if amount < 0 {
        return Err("there is less than nothing to pay in".to_owned());
    }
    account.balance += amount;
    Ok(account.balance)
}

/// Every shape that an output has.
type Opened = (Account, Vec<Account>, Option<Account>, Option<String>, BTreeMap<String, i64>, f64);

fn open(balance: i64) -> Opened {
    let account = |_| Account { id: Id::new(), balance };
    let named = BTreeMap::from([("first".to_owned(), balance)]);
    (account(0), (0..2).map(account).collect(), Some(account(0)), None, named, f64::NAN)
}

fn look(account: &Account) -> u64 {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    LOOKS.fetch_add(1, Ordering::Relaxed) + account.balance.unsigned_abs()
}

fn with_callables(registry: Registry) -> Result<Registry> {
    let _ = registry.register("pay in", pay_in)?.params(["account", "amount"])?;
    let _ = registry.register("open", open)?;
    let _ = registry.register("look", look)?;
    Ok(registry)
}

fn over(store: &MemoryStore) -> Result<Registry> {
    with_callables(Registry::builder().over(store.clone())?)
}

/// Registries of every kind.
fn registries() -> Result<Vec<Registry>> {
    let batched = Registry::builder().durability(Durability::Batched).over(MemoryStore::new())?;
    [Registry::in_memory(), Registry::builder().over(MemoryStore::new())?, batched]
        .into_iter()
        .map(with_callables)
        .collect()
}

fn account(registry: &Registry) -> Result<Id<Account>> {
    Ok(registry.add(Account { id: Id::new(), balance: 0 })?)
}

#[test]
fn a_repeated_call_gives_the_first_outcome_and_no_second_version() -> Result<()> {
    for registry in registries()? {
        let id = account(&registry)?;
        let first = registry.by("ann").once("1").call(pay_in, (id, 10))?;
        assert!(!first.is_repeated() && !first.is_unchanged());
        registry.call(pay_in, (id, 5))?;
        let head = registry.history().head();
        for _ in 0..2 {
            let again = registry.by("bob").once("1").call(pay_in, (id, 10))?;
            assert_eq!((*again.value(), again.position()), (10, first.position()));
            assert!(again.is_repeated() && !again.is_unchanged());
            assert_eq!(again.entry()?.author(), Some("ann"));
            assert_eq!(again.changes().to_string(), first.changes().to_string());
        }
        let by_name = registry.once("1").execute("pay in", json!([format!("@{id}"), 10]))?;
        assert_eq!((by_name.value(), by_name.is_repeated()), (&json!(10), true));
        assert_eq!((registry.history().head(), registry.get(id)?.balance), (head, 15));
        assert_eq!(registry.get(Receipt::of("1"))?.key(), "1");
    }
    Ok(())
}

#[test]
fn every_shape_of_a_result_comes_back_with_its_entities_as_they_were_made() -> Result<()> {
    for registry in registries()? {
        let first = registry.once("opened").execute("open", json!([3]))?;
        let id: Id<Account> = first.value()[0].as_str().expect("an address")[1..].parse().expect("an id");
        registry.call(pay_in, (id, 10))?;
        let again = registry.once("opened").execute("open", json!([3]))?;
        assert_eq!(again.value(), first.value());
        assert!(again.is_repeated());
        assert_eq!(registry.get(id)?.balance, 13);
    }
    let registry = Registry::in_memory();
    let open = |balance: i64| (Account { id: Id::new(), balance }, Some(vec![balance]), f64::NAN);
    let _ = registry.register("open", open)?;
    let _ = registry.register("pay in", pay_in)?;
    let first = registry.once("typed").call(open, (3,))?.into_value();
    registry.call(pay_in, (first.0.id, 10))?;
    let (again, list, nan) = registry.once("typed").call(open, (3,))?.into_value();
    assert_eq!((again, list), (first.0, Some(vec![3])));
    assert!(nan.is_nan());
    Ok(())
}

#[test]
fn a_run_that_failed_leaves_the_key_free() -> Result<()> {
    for registry in registries()? {
        let id = account(&registry)?;
        let refused = registry.once("1").call(pay_in, (id, -1));
        assert!(matches!(refused, Err(CallError::Failed { .. })));
        assert!(matches!(registry.get(Receipt::of("1")), Err(ReadError::Unknown { .. })));
        assert_eq!(*registry.once("1").call(pay_in, (id, 1))?.value(), 1);
    }
    Ok(())
}

#[test]
fn a_key_that_was_used_for_something_else_is_refused_and_says_where() -> Result<()> {
    for registry in registries()? {
        let (id, other) = (account(&registry)?, account(&registry)?);
        let first = registry.once("1").call(pay_in, (id, 10))?.position();
        let taken = |refused: std::result::Result<i64, CallError>| match refused {
            Err(CallError::KeyTaken { key, position, callable }) => {
                assert_eq!((&*key, position, &*callable), ("1", first, "pay in"));
            }
            other => panic!("{other:?}"),
        };
        taken(registry.once("1").call(pay_in, (id, 11)).map(heirloom::Outcome::into_value));
        taken(registry.once("1").call(pay_in, (other, 10)).map(heirloom::Outcome::into_value));
        taken(registry.once("1").call(look, (id,)).map(|_| 0));
        taken(registry.once("1").execute("pay in", json!([format!("@{id}"), 11])).map(|_| 0));
        assert_eq!((registry.get(id)?.balance, registry.get(other)?.balance), (10, 0));
    }
    Ok(())
}

#[test]
fn it_is_repeated_also_when_what_was_given_is_gone() -> Result<()> {
    for registry in registries()? {
        let id = account(&registry)?;
        registry.once("1").call(pay_in, (id, 10))?;
        registry.remove(id)?;
        assert_eq!(*registry.once("1").call(pay_in, (id, 10))?.value(), 10);
        assert!(registry.once("1").execute("pay in", json!([format!("@{id}"), 10]))?.is_repeated());
    }
    Ok(())
}

#[test]
fn a_run_that_changes_nothing_is_done_once_too_and_counts_as_unchanged() -> Result<()> {
    for registry in registries()? {
        let id = account(&registry)?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let _subscription = registry.subscribe(move |observation| ear.lock().unwrap().push(observation.clone()));
        let first = registry.once("look").call(look, (id,))?;
        let again = registry.once("look").call(look, (id,))?;
        assert_eq!((first.value(), first.position()), (again.value(), again.position()));
        assert!(first.is_unchanged() && again.is_unchanged() && again.is_repeated());
        let heard = heard.lock().unwrap();
        assert!(matches!(heard.last(), Some(Observation::DidNotChange { .. })), "{heard:?}");
    }
    Ok(())
}

#[test]
fn who_removes_the_receipt_frees_the_key() -> Result<()> {
    for registry in registries()? {
        let id = account(&registry)?;
        for balance in [10, 20, 30] {
            assert_eq!(*registry.once("1").call(pay_in, (id, 10))?.value(), balance);
            assert!(registry.once("1").call(pay_in, (id, 10))?.is_repeated());
            registry.remove(Receipt::of("1"))?;
        }
    }
    Ok(())
}

#[test]
fn edits_that_are_held_are_not_committed_for_the_sake_of_a_repeated_call() -> Result<()> {
    let registry = with_callables(Registry::in_memory())?;
    let id = account(&registry)?;
    let mut held = registry.checkout(id)?;
    registry.once("1").call(pay_in, (&mut held, 10))?;
    held.balance = 99;
    let head = registry.history().head();
    assert_eq!(*registry.once("1").call(pay_in, (&mut held, 10))?.value(), 10);
    assert_eq!((registry.history().head(), registry.get(id)?.balance, held.balance), (head, 10, 99));
    Ok(())
}

#[test]
fn of_many_threads_under_one_key_one_does_it_and_all_hear_of_it() -> Result<()> {
    const KEYS: u64 = 20;
    for conflict in [Conflict::Fail, Conflict::Retry(3)] {
        for registry in registries()? {
            let accounts = (0..KEYS).map(|_| account(&registry)).collect::<Result<Vec<_>>>()?;
            let head = registry.history().head();
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for (number, id) in (1..).zip(&accounts) {
                            let caller = registry.caller().on_conflict(conflict).once(format!("key {number}"));
                            // The account is the same for all, so they are in conflict over it as well.
                            let mut values = (0..1000).filter_map(|_| match caller.call(pay_in, (*id, number)) {
                                Ok(outcome) => Some(outcome.into_value()),
                                Err(CallError::Commit { source: CommitError::Conflict { .. }, .. }) => None,
                                Err(error) => panic!("{error}"),
                            });
                            assert_eq!(values.next(), Some(number));
                        }
                    });
                }
            });
            for (number, id) in (1..).zip(&accounts) {
                assert_eq!(registry.get(*id)?.balance, number);
                assert_eq!(registry.history().revision(*id)?, Revision(2));
            }
            if conflict != Conflict::Fail {
                assert_eq!(registry.history().head().0, head.0 + KEYS, "who comes late leaves no entry");
            }
        }
    }
    Ok(())
}

#[test]
fn who_opens_the_store_after_a_crash_and_whoever_else_has_it_open_hear_of_the_first_call() -> Result<()> {
    let store = MemoryStore::new();
    let (first, second) = (over(&store)?, over(&store)?);
    let id = account(&first)?;
    // The answer to this one never arrives.
    let position = first.once("1").call(pay_in, (id, 10))?.position();
    assert_eq!(second.once("1").call(pay_in, (id, 10))?.position(), position);
    drop((first, second));
    let again = over(&store)?;
    let outcome = again.once("1").call(pay_in, (id, 10))?;
    assert_eq!((*outcome.value(), outcome.position(), again.get(id)?.balance), (10, position, 10));
    verify(&store, None).expect("nothing is wrong");
    // And where it was copied to.
    let mut lines = Vec::new();
    export(&store, Position(0), &mut lines)?;
    let copy = MemoryStore::new();
    import(&mut &*lines, &copy)?;
    assert_eq!(over(&copy)?.once("1").call(pay_in, (id, 10))?.position(), position);
    Ok(())
}

#[test]
fn what_is_forgotten_is_told_as_such_and_plain_results_stay() -> Result<()> {
    let store = MemoryStore::new();
    let registry = over(&store)?;
    let open = |balance: i64| Account { id: Id::new(), balance };
    let _ = registry.register("open one", open)?;
    let made = registry.once("open").call(open, (1,))?.into_value();
    registry.once("pay").call(pay_in, (made.id, 10))?;
    for _ in 0..5 {
        registry.call(pay_in, (made.id, 1))?;
    }
    while registry.compact(&Retention::new().entries(1), 100)?.more {}
    assert_eq!(*registry.once("pay").call(pay_in, (made.id, 10))?.value(), 11);
    let refused = registry.once("open").call(open, (1,));
    let forgotten =
        matches!(&refused, Err(CallError::Recall { source: RecallError::Read(ReadError::Forgotten { .. }), .. }));
    assert!(forgotten, "{refused:?}");
    Ok(())
}

#[test]
fn a_result_of_another_type_than_today_is_an_error_and_not_a_guess() -> Result<()> {
    let store = MemoryStore::new();
    let first = over(&store)?;
    let id = account(&first)?;
    first.once("1").call(pay_in, (id, 10))?;
    drop(first);
    let today = Registry::builder().over(store)?;
    let _ = today.register("pay in", |account: &mut Account, amount: i64| format!("{} {amount}", account.balance))?;
    let refused = today.once("1").execute("pay in", json!([format!("@{id}"), 10]));
    assert!(matches!(refused, Err(CallError::Recall { source: RecallError::Decode(_), .. })), "{refused:?}");
    assert_eq!(today.get(id)?.balance, 10);
    Ok(())
}

#[test]
fn the_lock_of_layouts_has_no_word_of_receipts() -> Result<()> {
    let registry = with_callables(Registry::in_memory())?;
    let id = account(&registry)?;
    registry.once("1").call(pay_in, (id, 10))?;
    let path = std::env::temp_dir().join(format!("heirloom-once-{}.lock", std::process::id()));
    registry.write_lock(&path)?;
    let lock = std::fs::read_to_string(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it was written");
    assert!(lock.contains("Account") && !lock.contains("Receipt"), "{lock}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_repeated_and_reopened_each_key_is_done_once(
        steps in proptest::collection::vec((0_u8..6, 0_i64..4, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let store = MemoryStore::new();
        let mut registry = over(&store).unwrap();
        let id = account(&registry).unwrap();
        let (mut balance, mut done) = (0, BTreeMap::new());
        for (key, amount, reopen, by_name) in steps {
            if reopen {
                registry = over(&store).unwrap();
            }
            let once = registry.once(format!("key {key}"));
            let called = if by_name {
                let outcome = once.execute("pay in", json!({"account": format!("@{id}"), "amount": amount}));
                outcome.map(|outcome| outcome.value().as_i64().unwrap())
            } else {
                once.call(pay_in, (id, amount)).map(heirloom::Outcome::into_value)
            };
            let (first, after) = *done.entry(key).or_insert_with(|| {
                balance += amount;
                (amount, balance)
            });
            if first == amount {
                prop_assert_eq!(called.unwrap(), after);
            } else {
                let taken = matches!(called, Err(CallError::KeyTaken { .. }));
                prop_assert!(taken);
            }
            prop_assert_eq!(registry.get(id).unwrap().balance, balance);
        }
    }
}
