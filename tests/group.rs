//! Commits to a store: many threads in one append, and stores that refuse.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use heirloom::prelude::*;
use heirloom::store::{
    AppendError, Durability, Entry, EntryRow, Head, KeyNumber, KeyRow, LayoutRow, MemoryStore, OwnerChange, Progress,
    Query, Store, StoreError, VersionRow, verify,
};
use heirloom::{CallError, CommitError, Commits, Digest, EntityId, Observation, Position, Result};
use serde_json::json;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Bank {
    id: Id<Bank>,
    accounts: Children<Account>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Account {
    id: Id<Account>,
    amount: i64,
}

fn pay(from: &mut Account, to: &mut Account, amount: i64) {
    from.amount -= amount;
    to.amount += amount;
}

fn account(number: usize) -> Id<Account> {
    Id::from_entity_id(EntityId::derive("account", &number.to_string()))
}

const ACCOUNTS: usize = 6;

fn bank(registry: &Registry) -> Result<Id<Bank>> {
    let accounts = (0..ACCOUNTS).map(|number| Account { id: account(number), amount: 100 });
    Ok(registry.add(Bank { id: Id::new(), accounts: Children::try_from_iter(accounts)? })?)
}

fn total(registry: &Registry, bank: Id<Bank>) -> Result<i64> {
    Ok(registry.get(bank)?.accounts.iter().map(|account| account.amount).sum())
}

/// A store that counts appends, and refuses when it is told to.
struct Shaky {
    inner: Mutex<MemoryStore>,
    appends: AtomicU64,
    /// Refuses each append whose number is a multiple of this.
    refuses: u64,
    /// How long an append takes to get to the disk.
    takes: Duration,
}

impl Shaky {
    fn slow(takes: Duration) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), appends: AtomicU64::new(0), refuses: 0, takes })
    }

    fn store(&self) -> MemoryStore {
        self.inner.lock().expect("no test panics here").clone()
    }

    fn replaced_by(&self, other: &Shaky) {
        *self.inner.lock().expect("no test panics here") = other.store();
    }
}

impl Shaky {
    fn new(refuses: u64) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(MemoryStore::new()),
            appends: AtomicU64::new(0),
            refuses,
            takes: Duration::ZERO,
        })
    }
}

/// A handle that a test keeps.
struct Handle(Arc<Shaky>);

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> $result {
            self.0.inner.lock().expect("no test panics here").$name($($argument),*)
        })*
    };
}

impl Store for Handle {
    fn append(
        &self,
        after: &Head,
        entries: &[Entry],
        durability: Durability,
    ) -> std::result::Result<Head, AppendError> {
        let number = self.0.appends.fetch_add(1, Ordering::Relaxed) + 1;
        thread::sleep(self.0.takes);
        if self.0.refuses > 0 && number.is_multiple_of(self.0.refuses) {
            let source = Arc::new(std::io::Error::other("the disk is full"));
            return Err(StoreError::Io { doing: "appending".to_owned(), source }.into());
        }
        self.0.inner.lock().expect("no test panics here").append(after, entries, durability)
    }
    forward! {
        head() -> std::result::Result<Head, StoreError>;
        has_moved() -> std::result::Result<bool, StoreError>;
        entry(position: Position) -> std::result::Result<Option<Arc<EntryRow>>, StoreError>;
        horizon() -> std::result::Result<Position, StoreError>;
        kept_from(position: Position) -> std::result::Result<Position, StoreError>;
        forget(horizon: Position, budget: usize) -> std::result::Result<Progress, StoreError>;
        find(query: &Query) -> std::result::Result<Vec<Position>, StoreError>;
        position_at(time: Timestamp) -> std::result::Result<Option<Position>, StoreError>;
        newest(entity: EntityId) -> std::result::Result<Option<VersionRow>, StoreError>;
        version_at(entity: EntityId, position: Position) -> std::result::Result<Option<VersionRow>, StoreError>;
        version(entity: EntityId, revision: Revision) -> std::result::Result<Option<VersionRow>, StoreError>;
        owner_at(entity: EntityId, position: Position) -> std::result::Result<Option<(Position, OwnerChange)>, StoreError>;
        referrers_at(entity: EntityId, position: Position) -> std::result::Result<Vec<(EntityId, u16)>, StoreError>;
        entities(after: Option<EntityId>, limit: usize) -> std::result::Result<Vec<EntityId>, StoreError>;
        layouts() -> std::result::Result<Vec<Arc<LayoutRow>>, StoreError>;
        tags() -> std::result::Result<Vec<(String, Position)>, StoreError>;
        tag(name: &str, position: Position) -> std::result::Result<Position, StoreError>;
        read(position: Position) -> std::result::Result<Option<Entry>, StoreError>;
        check() -> std::result::Result<(), StoreError>;
        key(number: KeyNumber) -> std::result::Result<Option<KeyRow>, StoreError>;
        key_of(subject: Digest) -> std::result::Result<Option<KeyRow>, StoreError>;
        last_key() -> std::result::Result<Option<KeyNumber>, StoreError>;
        sealed(key: KeyNumber) -> std::result::Result<Vec<(EntityId, Revision)>, StoreError>;
        scrub() -> std::result::Result<bool, StoreError>;
    }
}

/// Runs `body` until it is not in conflict with what others committed.
fn retried(mut body: impl FnMut() -> std::result::Result<(), CallError>) -> std::result::Result<u64, CallError> {
    let mut conflicts = 0;
    loop {
        match body() {
            Err(CallError::Commit { source: CommitError::Conflict { .. }, .. }) => conflicts += 1,
            Ok(()) => return Ok(conflicts),
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn eight_threads_share_appends_and_no_update_is_lost() -> Result<()> {
    const EACH: usize = 60;
    let shaky = Shaky::slow(Duration::from_millis(2));
    let registry = Registry::builder().durability(Durability::Batched).over(Handle(Arc::clone(&shaky)))?;
    let _ = registry.register("pay", pay)?;
    let bank = bank(&registry)?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let listening = registry.subscribe(move |observation| {
        if let Observation::DidCommit { position, .. } = observation {
            heard.lock().expect("no test panics here").push(position.0);
        }
    });
    let commits: u64 = thread::scope(|scope| {
        let registry = &registry;
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..EACH {
                        let (from, to) = ((thread + round) % ACCOUNTS, (thread + round + 1 + round % 4) % ACCOUNTS);
                        if from != to {
                            retried(|| registry.call(pay, (account(from), account(to), 7)).map(drop))
                                .expect("it is paid");
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        registry.history().head().0
    });
    drop(listening);
    assert_eq!(total(&registry, bank)?, 600);
    let paid = registry.history().versions(Position(commits))?.len();
    assert!(paid == 0 || paid == 3);
    let mut told = told.lock().expect("no test panics here").clone();
    let sorted = {
        let mut sorted = told.clone();
        sorted.sort_unstable();
        sorted
    };
    assert_eq!(told, sorted, "commits are told in the order of the log");
    told.dedup();
    assert_eq!(told.len(), sorted.len(), "each once");
    // Alone, each entry would be an append of its own.
    let appends = shaky.appends.load(Ordering::Relaxed);
    assert!(appends * 3 < commits, "{commits} commits in {appends} appends");
    verify(&shaky.store(), None)?;
    let again = Registry::builder().over(Handle(shaky))?;
    assert_eq!(total(&again, bank)?, 600);
    Ok(())
}

#[test]
fn many_calls_on_different_entities_share_an_append() -> Result<()> {
    let shaky = Shaky::new(0);
    let registry = Registry::builder().durability(Durability::Batched).over(Handle(Arc::clone(&shaky)))?;
    let _ = registry.register("pay", pay)?;
    let bank = bank(&registry)?;
    let pays = |pairs: &[(usize, usize)]| {
        let before = shaky.appends.load(Ordering::Relaxed);
        let address = |number: usize| format!("@{}", account(number));
        let calls = pairs.iter().map(|(from, to)| ("pay", json!([address(*from), address(*to), 1])));
        let results = registry.execute_many(calls, Commits::OneEach);
        assert!(results.iter().all(|result| result.is_ok()), "{results:?}");
        shaky.appends.load(Ordering::Relaxed) - before
    };
    assert_eq!(pays(&[(0, 1), (2, 3), (4, 5)]), 1);
    // The last sees what the first left, so it waits for that.
    assert_eq!(pays(&[(0, 1), (2, 3), (1, 4)]), 2);
    assert_eq!((registry.get(account(1))?.amount, total(&registry, bank)?), (101, 600));
    assert_eq!(registry.history().head().0, 7);
    Ok(())
}

#[test]
fn what_is_submitted_lands_in_one_append_and_is_told_in_the_order_of_the_log() -> Result<()> {
    let shaky = Shaky::new(0);
    let registry = Registry::builder().durability(Durability::Batched).over(Handle(Arc::clone(&shaky)))?;
    let _ = registry.register("pay", pay)?;
    let bank = bank(&registry)?;
    let before = shaky.appends.load(Ordering::Relaxed);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let listening = registry.subscribe(move |observation| {
        if let Observation::DidCommit { position, .. } | Observation::DidFail { position, .. } = observation {
            heard.lock().expect("no test panics here").push(position.0);
        }
    });
    let caller = registry.by("ann");
    let mut under_way = Vec::new();
    for number in 0..ACCOUNTS / 2 {
        under_way.push(caller.submit(pay, (account(2 * number), account(2 * number + 1), 1))?);
    }
    // What they pay is not seen yet, so this is in conflict with the first of them.
    let late = caller.submit(pay, (account(0), account(3), 50))?;
    assert_eq!(registry.get(account(0))?.amount, 100);
    let dropped = caller.submit(pay, (account(4), account(5), 50))?;
    for pending in under_way {
        let outcome = pending.wait()?;
        assert_eq!(outcome.entry()?.author(), Some("ann"));
        assert_eq!(outcome.versions()?.len(), 3);
    }
    assert_eq!(shaky.appends.load(Ordering::Relaxed), before + 1);
    let refused = late.wait().expect_err("account 0 was paid from meanwhile");
    assert!(matches!(refused, CallError::Commit { source: CommitError::Conflict { .. }, .. }), "{refused}");
    drop(dropped);
    let ends: Vec<String> = registry
        .history()
        .entries()
        .map(|entry| entry.map(|entry| entry.to_string()))
        .collect::<std::result::Result<_, _>>()?;
    assert_eq!(ends.len(), 6, "the tree, three payments and two refusals: {ends:#?}");
    assert_eq!(*told.lock().expect("no test panics here"), [2, 3, 4, 5, 6]);
    drop(listening);
    assert_eq!(total(&registry, bank)?, 600);
    verify(&shaky.store(), None)?;
    Ok(())
}

#[test]
fn a_held_entity_that_was_submitted_is_as_it_was_committed_once_waited_for() -> Result<()> {
    for durability in [Durability::Full, Durability::Batched] {
        let registry = Registry::builder().durability(durability).over(MemoryStore::new())?;
        let _ = registry.register("pay", pay)?;
        bank(&registry)?;
        let (mut from, mut to) = (registry.checkout(account(0))?, registry.checkout(account(1))?);
        registry.submit(pay, (&mut from, &mut to, 30))?.wait()?;
        assert_eq!((from.amount, to.amount), (70, 130));
        registry.call(pay, (&mut to, &mut from, 10))?;
        assert_eq!((from.amount, to.amount), (80, 120));
    }
    Ok(())
}

#[test]
fn what_is_submitted_and_never_waited_for_does_not_pile_up() -> Result<()> {
    let shaky = Shaky::new(0);
    let registry = Registry::builder().durability(Durability::Batched).over(Handle(Arc::clone(&shaky)))?;
    let _ = registry.register("pay", pay)?;
    bank(&registry)?;
    let before = shaky.appends.load(Ordering::Relaxed);
    let pending: Vec<_> =
        (0..2000).map(|_| registry.submit(pay, (account(0), account(1), 0))).collect::<std::result::Result<_, _>>()?;
    assert_eq!(shaky.appends.load(Ordering::Relaxed), before + 1, "the store was given what waited");
    drop(pending);
    assert_eq!(registry.history().head(), Position(2001));
    Ok(())
}

#[test]
fn a_commit_that_the_store_refuses_leaves_nothing() -> Result<()> {
    for durability in [Durability::Full, Durability::Batched] {
        let shaky = Shaky::new(5);
        let registry = Registry::builder().durability(durability).over(Handle(Arc::clone(&shaky)))?;
        let _ = registry.register("pay", pay)?;
        let bank = bank(&registry)?;
        let (mut paid, mut refused) = (0, 0);
        for round in 0..20 {
            let (from, to) = (account(round % ACCOUNTS), account((round + 1) % ACCOUNTS));
            let before = (registry.get(bank)?, registry.history().of(bank)?.to_string(), registry.history().head());
            match registry.call(pay, (from, to, 5)) {
                Ok(_) => paid += 1,
                Err(CallError::Commit { source: CommitError::Store(error), .. }) => {
                    refused += 1;
                    assert!(error.to_string().contains("the disk is full"), "{error}");
                    // The entry of the refused run may have landed since.
                    let after = registry.history().of(bank)?.to_string();
                    assert_eq!((registry.get(bank)?, after), (before.0, before.1));
                }
                Err(error) => return Err(error.into()),
            }
            assert_eq!(total(&registry, bank)?, 600);
            let new = Account { id: Id::new(), amount: round as i64 };
            let id = new.id;
            match registry.add(new) {
                Ok(_) => assert_eq!(registry.get(id)?.amount, round as i64),
                Err(_) => assert!(registry.get(id).is_err() && !registry.history().contains(id)),
            }
        }
        assert!(paid > 5 && refused > 3, "{paid} paid, {refused} refused");
        verify(&shaky.store(), None)?;
        let again = Registry::builder().over(Handle(shaky))?;
        assert_eq!(again.get(bank)?, registry.get(bank)?);
        assert_eq!(again.history().of(bank)?.to_string(), registry.history().of(bank)?.to_string());
    }
    Ok(())
}

#[test]
fn a_run_that_the_log_cannot_take_is_told_of_all_the_same() -> Result<()> {
    let registry = Registry::builder().over(Handle(Shaky::new(2)))?;
    let _ = registry.register("pay", pay)?;
    let _ = registry.register("fail", |_: &mut Account| Err::<(), _>("no money".to_owned()))?;
    bank(&registry)?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let _listening = registry.subscribe(move |observation| {
        let told = match observation {
            Observation::DidNotRecord { callable, reason, .. } => format!("{callable}: {reason}"),
            other => format!("{:?}", other.kind()),
        };
        heard.lock().expect("no test panics here").push(told);
    });
    let failed = registry.execute("fail", serde_json::json!([format!("@{}", account(0))]));
    assert!(matches!(failed.expect_err("it fails"), CallError::Unrecorded { .. }));
    assert_eq!(*told.lock().expect("no test panics here"), ["WillRun", "DidRun", "fail: no money"]);
    Ok(())
}

#[test]
fn a_store_that_was_replaced_while_it_was_open_is_refused() -> Result<()> {
    let shaky = Shaky::new(0);
    let registry = Registry::builder().over(Handle(Arc::clone(&shaky)))?;
    let bank = bank(&registry)?;
    // Another history of the same length, and one entry more.
    let other = Shaky::new(0);
    let elsewhere = Registry::builder().over(Handle(Arc::clone(&other)))?;
    for number in 0..2 {
        elsewhere.add(Account { id: account(10 + number), amount: 1 })?;
    }
    shaky.replaced_by(&other);
    let refused = registry.add(Account { id: account(9), amount: 1 }).expect_err("it is another history");
    assert!(refused.to_string().contains("open it again"), "{refused}");
    assert_eq!(elsewhere.history().head(), Position(2), "nothing was appended to it");
    let _ = bank;
    Ok(())
}

/// Panics when it is dropped, once it is told to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Fuse(bool);

impl Drop for Fuse {
    fn drop(&mut self) {
        assert!(!self.0 || thread::panicking() || !LIT.load(Ordering::Relaxed), "the fuse is lit");
    }
}

static LIT: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[derive(Entity, Clone, Debug, PartialEq)]
struct Bomb {
    id: Id<Bomb>,
    #[entity(value)]
    fuse: Fuse,
}

#[test]
fn a_drop_that_panics_holds_nobody_up() -> Result<()> {
    for durability in [Durability::Full, Durability::Batched] {
        // Without room, the next commit lets go of what the one before left in memory.
        let registry = Registry::builder().durability(durability).cache(1).over(MemoryStore::new())?;
        registry.add(Bomb { id: Id::new(), fuse: Fuse(true) })?;
        LIT.store(true, Ordering::Relaxed);
        let add = || registry.add(Account { id: account(1), amount: 1 });
        let exploded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(add));
        LIT.store(false, Ordering::Relaxed);
        assert!(exploded.is_err(), "the bomb went off within the commit");
        // The commit was made all the same, and whoever comes next does not wait for it to be told for ever.
        registry.batch().save(Account { id: account(1), amount: 2 }).commit()?;
        assert_eq!(registry.get(account(1))?.amount, 2);
    }
    Ok(())
}
