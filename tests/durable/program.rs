//! Random programs: a registry over a store answers as one in memory does, before and after it is opened again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use heirloom::prelude::*;
use heirloom::store::{Durability, MemoryStore, SqliteStore, verify};
use heirloom::{Batch, Expected, Ids, Position};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::answers::{answers, entities};
use crate::common::{Counting, Directory, at, cases};
use crate::faulty::{Faults, Faulty, full};
use crate::world::{Thing, detach, edit, fail, hand_over, look, make, panics, register, thing};

/// One step; numbers stand for entities, and edits say what happens to them.
#[derive(Clone, Debug)]
enum Step {
    Add(u8, Vec<[u8; 3]>),
    Make(u8),
    Edit(u8, Vec<[u8; 3]>),
    HandOver([u8; 4]),
    Detach(u8, u8),
    Look(u8),
    Fail(u8, Vec<[u8; 3]>),
    Panic(u8, Vec<[u8; 3]>),
    Remove(u8),
    Revert(u8, u8),
    Batch(Vec<(u8, u8, [u8; 3])>),
    CheckOut(u8),
    SaveHeld(Vec<[u8; 3]>),
    Tag(u8, u8),
    Reopen,
    Switch,
}

fn step() -> impl Strategy<Value = (Step, u8)> {
    let n = any::<u8>;
    let edits = || vec(any::<[u8; 3]>(), 1..5);
    let step = prop_oneof![
        3 => (n(), edits()).prop_map(|(which, edits)| Step::Add(which, edits)),
        1 => n().prop_map(Step::Make),
        12 => (n(), edits()).prop_map(|(which, edits)| Step::Edit(which, edits)),
        2 => any::<[u8; 4]>().prop_map(Step::HandOver),
        1 => (n(), n()).prop_map(|(which, child)| Step::Detach(which, child)),
        1 => n().prop_map(Step::Look),
        1 => (n(), edits()).prop_map(|(which, edits)| Step::Fail(which, edits)),
        1 => (n(), edits()).prop_map(|(which, edits)| Step::Panic(which, edits)),
        2 => n().prop_map(Step::Remove),
        3 => (n(), n()).prop_map(|(which, back)| Step::Revert(which, back)),
        3 => vec(any::<(u8, u8, [u8; 3])>(), 1..5).prop_map(Step::Batch),
        2 => n().prop_map(Step::CheckOut),
        3 => edits().prop_map(Step::SaveHeld),
        1 => (n(), n()).prop_map(|(name, position)| Step::Tag(name, position)),
        2 => proptest::prelude::Just(Step::Reopen),
        2 => proptest::prelude::Just(Step::Switch),
    ];
    (step, 0..12u8)
}

/// Where new ids come from, however often the registry is opened.
#[derive(Clone, Default)]
struct Same(Arc<Counting>);

impl Ids for Same {
    fn next_id(&self) -> EntityId {
        self.0.next_id()
    }
}

/// What a registry is opened over.
enum Place {
    Memory,
    Store(MemoryStore),
    Faulty(MemoryStore, Faults),
    File(Directory),
}

/// A registry that goes through a program.
struct Run {
    place: Place,
    ids: Same,
    registry: Registry,
    other: Option<Registry>,
    held: Option<Held<Thing>>,
    /// All entities as they were after each position, in words.
    clones: Vec<BTreeMap<EntityId, String>>,
}

fn said<T: Debug>(outcome: heirloom::Result<T>) -> String {
    outcome.map_or_else(|error| format!("refused: {error}"), |outcome| format!("{outcome:?}"))
}

fn open(place: &Place, ids: &Same) -> heirloom::Result<Registry> {
    let builder = Registry::builder().ids(ids.clone()).durability(Durability::Normal);
    let registry = match place {
        Place::Memory => builder.in_memory(),
        Place::Store(store) => builder.over(store.clone())?,
        Place::Faulty(store, faults) => builder.over(Faulty::new(store.clone(), faults.clone(), u64::MAX))?,
        Place::File(directory) => builder.open(directory.file())?,
    };
    register(&registry)?;
    Ok(registry)
}

impl Run {
    fn new(place: Place) -> Self {
        let ids = Same::default();
        let registry = open(&place, &ids).expect("it can be opened");
        Self { place, ids, registry, other: None, held: None, clones: vec![BTreeMap::new()] }
    }

    /// Takes a step, and says what came of it.
    fn take(&mut self, step: &Step, second: u8) -> heirloom::Result<String> {
        let registry = &self.registry;
        let caller = registry.by("somebody").message("as told").property("second", second.to_string());
        let caller = caller.at(at(i64::from(second)));
        let id = |number: u8| thing::<Thing>(number);
        let said = match step {
            Step::Add(which, edits) => {
                let mut new = Thing::new(*which);
                edits.iter().for_each(|numbers| new.edit_outside([1, numbers[1], numbers[2]]));
                format!("{:?}", caller.add(new)?)
            }
            Step::Make(number) => format!("{:?}", caller.call(make, (*number,))?.value()),
            Step::Edit(which, edits) => {
                let outcome = caller.call(edit, (id(*which), edits.clone()))?;
                format!("{} {:?}", outcome.changes(), outcome.versions()?)
            }
            Step::HandOver([from, to, which, place]) => {
                caller.call(hand_over, (id(*from), id(*to), *which, *place))?.changes().to_string()
            }
            Step::Detach(which, child) => format!("{:?}", caller.call(detach, (id(*which), *child))?.value()),
            Step::Look(which) => format!("{:?}", caller.call(look, (id(*which),))?.value()),
            Step::Fail(which, edits) => caller.call(fail, (id(*which), edits.clone()))?.changes().to_string(),
            Step::Panic(which, edits) => caller.call(panics, (id(*which), edits.clone()))?.changes().to_string(),
            Step::Remove(which) => caller.remove(id(*which))?.changes().to_string(),
            Step::Revert(which, back) => {
                let last = registry.history().revision(id(*which))?;
                caller.revert(id(*which), Revision(1 + u64::from(*back) % last.0))?.changes().to_string()
            }
            Step::Batch(parts) => self.commit_batch(caller.batch(), parts)?,
            Step::CheckOut(which) => {
                self.held = Some(registry.checkout(id(*which))?);
                String::new()
            }
            Step::SaveHeld(edits) => {
                let Some(held) = &mut self.held else { return Ok(String::new()) };
                edits.iter().for_each(|numbers| held.edit_outside(*numbers));
                format!("{} {:?} {held:?}", caller.save(held)?.changes(), held.base())
            }
            Step::Tag(name, position) => {
                format!("{:?}", registry.history().tag(format!("tag {}", name % 4), Position(u64::from(position % 8)))?)
            }
            Step::Reopen | Step::Switch => self.go_on_with(matches!(step, Step::Switch))?,
        };
        Ok(said)
    }

    fn commit_batch(&self, mut batch: Batch<'_>, parts: &[(u8, u8, [u8; 3])]) -> heirloom::Result<String> {
        for (what, which, numbers) in parts {
            let id = thing::<Thing>(*which);
            batch = match what % 5 {
                0 => batch.add(Thing::new(*which)),
                1 => batch.remove(id),
                2 => batch.expect(id, Expected::At(Revision(u64::from(numbers[0] % 4)))),
                3 => batch.revert(id, Position(1 + u64::from(numbers[0] % 8))),
                _ => {
                    let Ok(mut now) = self.registry.get(id) else { continue };
                    now.edit_outside(*numbers);
                    batch.save(now)
                }
            };
        }
        Ok(batch.commit()?.changes().to_string())
    }

    /// Goes on with a registry that was opened just now, or with the other of two over one store.
    fn go_on_with(&mut self, other: bool) -> heirloom::Result<String> {
        self.held = None;
        if matches!(self.place, Place::Memory) {
            return Ok(String::new());
        }
        let next = self.other.take().filter(|_| other).map_or_else(|| open(&self.place, &self.ids), Ok)?;
        let before = std::mem::replace(&mut self.registry, next);
        self.other = other.then_some(before);
        Ok(String::new())
    }

    /// Takes down how everything is now.
    fn learn(&mut self) {
        let history = self.registry.history();
        if history.head().0 < self.clones.len() as u64 {
            return;
        }
        let now = entities(&history).expect("it reads").into_iter().filter_map(|entity| {
            let thing = self.registry.get::<Thing>(Id::from_entity_id(entity)).ok()?;
            Some((entity, format!("{thing:?}")))
        });
        self.clones.push(now.collect());
    }

    /// Every state is the one that was taken down.
    fn check_clones(&self) {
        let history = self.registry.history();
        let entities = entities(&history).expect("it reads");
        for (position, clones) in self.clones.iter().enumerate().skip(1) {
            for entity in &entities {
                let id = Id::<Thing>::from_entity_id(*entity);
                let read = history.at(id, Position(position as u64)).ok().map(|thing| format!("{thing:?}"));
                assert_eq!(read.as_ref(), clones.get(entity), "{entity} at {position}");
            }
        }
    }

    fn verify(&self) {
        let verified = match &self.place {
            Place::Memory => return,
            Place::Store(store) | Place::Faulty(store, _) => verify(store, None),
            Place::File(directory) => verify(&SqliteStore::open(directory.file()).expect("it is there"), None),
        };
        verified.expect("nothing is wrong");
    }
}

fn check_answers(expected: &Run, found: &Run, seed: u64, when: &str) {
    let told = answers(&expected.registry, seed).expect("it reads");
    let found = answers(&found.registry, seed).expect("it reads");
    for (told, found) in told.iter().zip(&found) {
        assert_eq!(found, told, "{when}");
    }
    assert_eq!(found.len(), told.len(), "{when}");
}

/// Takes a step while the store is full, which must leave nothing, or while somebody else commits first, which must
/// change nothing in what the step does.
fn take_with_faults(memory: &mut Run, durable: &mut Run, step: &Step, second: u8) {
    let Place::Faulty(store, faults) = &durable.place else { return };
    let (faults, number) = (faults.clone(), durable.clones.len());
    let made = durable.ids.0.0.load(Ordering::Relaxed);
    let is_full = second % 4 == 1 && !matches!(step, Step::SaveHeld(_));
    let somebody = move |registry: &Registry| {
        registry.caller().at(at(i64::from(second))).add(Thing::stranger(number)).map(drop).expect("it is new");
    };
    let comes_first = second % 4 == 2;
    if is_full {
        faults.set(Box::new(full));
    } else if comes_first {
        let mut other = Some(open(&Place::Store(store.clone()), &Same::default()).expect("it opens"));
        faults.set(Box::new(move || {
            other.take().iter().for_each(somebody);
            Ok(())
        }));
    } else {
        faults.set(Box::new(|| Ok(())));
    }
    let mut found = said(durable.take(step, second));
    let met = faults.clear() > 0;
    if is_full && met {
        assert!(found.contains("full"), "{found}");
        durable.ids.0.0.store(made, Ordering::Relaxed);
        found = said(durable.take(step, second));
    } else if comes_first && met {
        somebody(&memory.registry);
        memory.learn();
        durable.clones.push(memory.clones.last().cloned().unwrap_or_default());
    }
    assert_eq!(found, said(memory.take(step, second)), "{step:?}");
}

/// What every program begins with.
fn begins() -> [(Step, u8); 3] {
    [1, 2, 3].map(|root| (Step::Add(root, vec![[1, 0, root * 20 + 4], [1, 1, root * 5]]), 4))
}

fn check(steps: &[(Step, u8)], seed: u64, place: Place) {
    let (mut memory, mut durable) = (Run::new(Place::Memory), Run::new(place));
    for (step, second) in begins().iter().chain(steps) {
        if matches!(durable.place, Place::Faulty(..)) {
            take_with_faults(&mut memory, &mut durable, step, *second);
        } else {
            let told = said(memory.take(step, *second));
            assert_eq!(said(durable.take(step, *second)), told, "{step:?}");
        }
        memory.learn();
        durable.learn();
        assert_eq!(durable.clones.last(), memory.clones.last(), "{step:?}");
    }
    memory.check_clones();
    check_answers(&memory, &durable, seed, "before it was opened again");
    durable.check_clones();
    (durable.held, durable.other) = (None, None);
    durable.registry = open(&durable.place, &durable.ids).expect("it opens again");
    match seed % 2 {
        0 => durable.check_clones(),
        _ => check_answers(&memory, &durable, seed.rotate_left(9), "after it was opened again"),
    }
    durable.verify();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(24) / 2) })]
    #[test]
    fn a_registry_over_a_store_answers_as_one_in_memory(steps in vec(step(), 1..24), seed in any::<u64>()) {
        check(&steps, seed, Place::Store(MemoryStore::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(24) / 4) })]
    #[test]
    fn a_registry_in_a_file_answers_as_one_in_memory(steps in vec(step(), 1..24), seed in any::<u64>()) {
        check(&steps, seed, Place::File(Directory::new("program")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(24) / 2) })]
    #[test]
    fn what_a_store_refuses_leaves_nothing(steps in vec(step(), 1..24), seed in any::<u64>()) {
        check(&steps, seed, Place::Faulty(MemoryStore::new(), Faults::default()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(24) / 24) })]
    #[test]
    fn long_programs_too(steps in vec(step(), 66..76), seed in any::<u64>()) {
        check(&steps, seed, Place::Store(MemoryStore::new()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(24) / 2) })]
    #[test]
    fn what_long_programs_leave_reads_as_it_was(steps in vec(step(), 66..76)) {
        let mut run = Run::new(Place::Store(MemoryStore::new()));
        for (step, second) in begins().iter().chain(&steps) {
            _ = run.take(step, *second);
            run.learn();
        }
        run.check_clones();
        run.registry = open(&run.place, &run.ids).expect("it opens again");
        run.check_clones();
        run.verify();
    }
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_and_never_a_panic() -> heirloom::Result<()> {
    let store = MemoryStore::new();
    let mut run = Run::new(Place::Store(store.clone()));
    let edits = |seed: u8| (0..5).map(|at| [1 + at % 4, seed.wrapping_mul(at), seed.wrapping_add(7 * at)]).collect();
    for number in 0..6 {
        run.take(&Step::Add(number, Vec::new()), number)?;
    }
    for seed in 0..6 {
        // Some are refused.
        _ = run.take(&Step::Edit(seed, edits(seed * 11)), seed);
        _ = run.take(&Step::Remove(seed * 3), seed);
        _ = run.take(&Step::Revert(seed * 3, 1), seed);
    }
    for reads in (1..).step_by(29) {
        let registry = Registry::builder().over(Faulty::new(store.clone(), Faults::default(), reads))?;
        register(&registry)?;
        let told = catch_unwind(AssertUnwindSafe(|| answers(&registry, reads)));
        let told = told.unwrap_or_else(|_| panic!("it unwound after {reads} reads"));
        let committed = catch_unwind(AssertUnwindSafe(|| {
            let held = registry.checkout(thing::<Thing>(4))?;
            let mut batch = registry.batch().save(held.clone().into_inner()).add(Thing::new(0));
            batch = batch.revert(thing::<Thing>(5), Revision(1)).remove(thing::<Thing>(3));
            batch.commit()?;
            Ok::<_, heirloom::Error>(())
        }));
        assert!(committed.is_ok(), "a commit unwound after {reads} reads");
        if told.is_ok_and(|told| !told.iter().any(|answer| answer.contains("nowhere"))) {
            return Ok(());
        }
    }
    Ok(())
}
