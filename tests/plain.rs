//! Trees held by value: a run on one works on a state before that was brought up to date, and nobody can tell.

mod common;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{Folder as _, Spec, folder_id, for_all_folders, id};
use heirloom::prelude::*;
use heirloom::{CallError, Digest, Result, Strays};
use indexmap::IndexMap;
use proptest::prelude::*;
use smallvec::SmallVec;

/// One step of a program; what it does is told by `kind`, the rest says where.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u8,
    root: u8,
    which: u8,
    value: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Small edits are what spares are kept for; the rest comes in between.
    let kind = prop_oneof![6 => 0..4u8, 3 => 4..14u8, 2 => 14..23u8];
    let step = (kind, 0..4u8, 1..26u8, 0..26u8).prop_map(|(kind, root, which, value)| Step {
        kind,
        root: if root == 3 { 20 } else { 1 },
        which,
        value,
    });
    proptest::collection::vec(step, 1..40)
}

/// Two trees: 1 owns 2 to 10 in all ways and at several depths, 20 owns 21 and 22.
fn trees() -> [Spec; 2] {
    let leaf = Spec::new;
    let keyed = |key: &str, spec: Spec| BTreeMap::from([(key.to_owned(), spec)]);
    let inner = Spec { list: vec![leaf(5), leaf(6)], keyed: keyed("x", leaf(7)), ..leaf(4) };
    let list = vec![Spec { list: vec![leaf(3), inner], ..leaf(2) }, Spec { extra: Some(leaf(9).into()), ..leaf(8) }];
    [Spec { list, keyed: keyed("k", leaf(10)), ..leaf(1) }, Spec { list: vec![leaf(21), leaf(22)], ..leaf(20) }]
}

for_all_folders! {
    /// The folder of a number in a tree.
    fn find(folder: &mut F, number: u8) -> Option<&mut F> {
        if folder.number == number {
            return Some(folder);
        }
        let holds = |child: &F| child.spec().find(number).is_some();
        if let Some(at) = folder.list.iter().position(holds) {
            return find(&mut folder.list[at], number);
        }
        if folder.extra.as_deref().is_some_and(holds) {
            return find(folder.extra.as_deref_mut()?, number);
        }
        let key = folder.keyed.iter().find(|(_, child)| holds(child))?.0.clone();
        find(&mut **folder.keyed.get_mut(&key)?, number)
    }

    fn act(root: &mut F, kind: u8, which: u8, value: u8) -> std::result::Result<(), String> {
        let known = root.spec().numbers();
        let name = format!("n{value}");
        let missing = || format!("{which} is not here");
        let found = find(root, which).ok_or_else(missing);
        match kind {
            0 => found?.set_name(&name),
            1 => found?.set_marks(vec![value]),
            2 => {
                found?.set_name(&name);
                find(root, value).ok_or_else(missing)?.set_marks(vec![which]);
            }
            3 => {
                let found = found?;
                found.touch();
                found.set_name(&name);
            }
            4 if known.contains(&(30 + value)) => return Err("it is there".to_owned()),
            4 => found?.push(F::of(&Spec::new(30 + value))),
            5 => {
                let owner = root.spec().owner_of(which).ok_or_else(missing)?;
                find(root, owner).ok_or_else(missing)?.take(which);
            }
            6 => {
                let owner = root.spec().owner_of(which).ok_or_else(missing)?;
                let inside = root.spec().find(which).is_some_and(|spec| spec.find(value).is_some());
                if inside || !known.contains(&value) {
                    return Err("it cannot go there".to_owned());
                }
                let taken = find(root, owner).and_then(|owner| owner.take(which)).ok_or_else(missing)?;
                find(root, value).ok_or_else(missing)?.push(taken);
            }
            7 => found?.rotate(value.into()),
            8 => found?.touch(),
            9 => {
                found?.set_name(&name);
                resume_unwind(Box::new("it panicked"));
            }
            10 => {
                found?.set_name(&name);
                return Err("it failed".to_owned());
            }
            11 => {
                let found = found?;
                let before = found.name.clone();
                found.set_name("other");
                found.set_name(&before);
            }
            12 => root.set_name(&name),
            13 => {
                for number in known {
                    find(root, number).ok_or_else(missing)?.set_marks(vec![value, number]);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rename(folder: &mut F, name: String) {
        folder.set_name(&name);
    }

    fn hand_over(from: &mut F, to: &mut F, which: u8) {
        if let Some(owner) = from.spec().owner_of(which)
            && let Some(taken) = find(from, owner).and_then(|owner| owner.take(which))
        {
            to.push(taken);
        }
    }

    fn registry() -> Registry {
        let registry = Registry::in_memory();
        let _ = registry.register("act", act).expect("the names differ");
        let _ = registry.register("rename", rename).expect("the names differ");
        let _ = registry.register("hand over", hand_over).expect("the names differ");
        for tree in trees() {
            registry.add(F::of(&tree)).expect("no number stands twice");
        }
        registry
    }

    fn step(registry: &Registry, step: Step) -> std::result::Result<String, heirloom::Error> {
        let Step { kind, root, which, value } = step;
        let (root, number) = (folder_id::<F>(root), root);
        let revision = |back: u8| {
            let newest = registry.history().revision(root).map_or(1, |revision| revision.0);
            Revision(newest - u64::from(back) % newest)
        };
        let name = format!("n{value}");
        Ok(match kind {
            14 => format!("{:?}", registry.history().at(root, revision(value))?.spec()),
            15 | 16 => {
                let mut held = registry.checkout(root)?;
                if let Some(found) = find(&mut held, which) {
                    found.set_name(&name);
                }
                if kind == 15 {
                    registry.save(&mut held)?.changes().to_string()
                } else {
                    let strays = if value % 2 == 0 { Strays::Commit } else { Strays::Unchecked };
                    registry.caller().strays(strays).call(act, (&mut held, 1, which, value))?.changes().to_string()
                }
            }
            17 | 18 => registry.call(rename, (folder_id::<F>(which), name))?.changes().to_string(),
            19 => {
                let to = folder_id::<F>(21 - number);
                registry.call(hand_over, (root, to, which))?.changes().to_string()
            }
            20 => format!("{:?}", registry.get(root)?.spec()),
            21 => {
                let mut held = registry.checkout(root)?;
                registry.call(act, (&mut held, 0, which, value))?.changes().to_string()
            }
            22 => registry.revert(root, revision(value))?.changes().to_string(),
            _ => registry.call(act, (root, kind, which, value))?.changes().to_string(),
        })
    }

    /// What became of each step, and in the end every state of both trees; their digests apart.
    pub(super) fn run(program: &[Step], clones: bool) -> (Vec<String>, Vec<Digest>) {
        let registry = registry();
        let history = registry.history();
        let mut held = Vec::new();
        let mut told = Vec::new();
        for one in program {
            told.push(step(&registry, *one).unwrap_or_else(|error| error.to_string()));
            let revisions: Vec<_> = (0..60).filter_map(|number| history.revision(folder_id::<F>(number)).ok()).collect();
            told.push(format!("{one:?}: {revisions:?}"));
            // A state that somebody holds cannot be worked on.
            if clones {
                held.extend([1, 20].map(|root| registry.checkout(folder_id::<F>(root))));
            }
        }
        let mut digests = Vec::new();
        for root in [1, 20].map(folder_id::<F>) {
            for revision in 1..=history.revision(root).expect("it was added").0 {
                let state = history.at(root, Revision(revision)).map(|state| state.spec());
                told.push(format!("{state:?}"));
                digests.extend(history.digest(root, Revision(revision)));
                if let Ok(spec) = state {
                    let fresh = Registry::in_memory();
                    fresh.add(F::of(&spec)).expect("no number stands twice");
                    assert_eq!(fresh.history().digest(root, When::Head).ok(), digests.last().copied());
                }
            }
        }
        (told, digests)
    }

    #[test]
    fn two_threads_on_one_tree_lose_nothing() -> Result<()> {
        const EACH: usize = 60;
        let registry = registry();
        let root = folder_id::<F>(1);
        std::thread::scope(|scope| {
            for which in [5, 9] {
                let registry = &registry;
                scope.spawn(move || {
                    for round in 0..EACH {
                        let value = u8::try_from(round + 1).expect("few rounds");
                        while let Err(error) = registry.call(act, (root, 1, which, value)) {
                            assert!(matches!(error, CallError::Commit { .. }), "{error}");
                        }
                        registry.call(act, (root, 8, which, 0)).map(drop).unwrap_or_default();
                    }
                });
            }
        });
        let history = registry.history();
        assert_eq!(history.revision(root)?, Revision(2 * EACH as u64 + 1));
        for revision in 1..=history.revision(root)?.0 {
            let state = history.at(root, Revision(revision))?.spec();
            let rounds = [5, 9].map(|number| state.find(number).and_then(|spec| spec.marks.first().copied()));
            let sum: u64 = rounds.into_iter().flatten().map(u64::from).sum();
            assert_eq!(sum, revision - 1);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_brought_up_state_is_as_good_as_a_clone(program in steps()) {
        let (told, digests) = plain::run(&program, false);
        prop_assert_eq!(&(told.clone(), digests), &plain::run(&program, true));
        prop_assert_eq!(mixed::run(&program, false), mixed::run(&program, true));
        let (shared, _) = shared::run(&program, false);
        for (plain, shared) in told.iter().zip(&shared) {
            prop_assert_eq!(plain, shared);
        }
    }
}

#[derive(Entity, Debug, PartialEq)]
struct Leaf {
    id: Id<Leaf>,
    value: u32,
}

/// How many leaves were copied; whether the next copy panics.
static COPIES: AtomicUsize = AtomicUsize::new(0);
static PANICS: AtomicBool = AtomicBool::new(false);

impl Clone for Leaf {
    fn clone(&self) -> Self {
        if PANICS.load(Ordering::Relaxed) {
            resume_unwind(Box::new("no copies"));
        }
        COPIES.fetch_add(1, Ordering::Relaxed);
        Self { id: self.id, value: self.value }
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Either {
    Leaf(Leaf),
    Pot(Pot),
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Pot {
    id: Id<Pot>,
    name: String,
    leaf: Leaf,
    behind: Child<Leaf>,
}

/// Every way to hold an entity by value.
#[derive(Entity, Clone, Debug, PartialEq)]
struct Shelf {
    id: Id<Shelf>,
    whole: Pot,
    option: Option<Pot>,
    boxed: Box<Pot>,
    list: Vec<Pot>,
    deque: VecDeque<Pot>,
    small: SmallVec<[Pot; 2]>,
    array: [Pot; 2],
    tuple: (u32, Pot),
    nested: Vec<Option<(Pot, String)>>,
    tree_map: BTreeMap<String, Pot>,
    hash_map: HashMap<String, Pot>,
    index_map: IndexMap<String, Pot>,
    either: Vec<Either>,
}

fn leaf(name: &str) -> Leaf {
    Leaf { id: id(&format!("leaf of {name}")), value: 0 }
}

fn pot(name: &str) -> Pot {
    let behind = Leaf { id: id(&format!("leaf behind {name}")), value: 0 };
    Pot { id: id(name), name: name.to_owned(), leaf: leaf(name), behind: Child::new(behind) }
}

fn shelf() -> Shelf {
    let keyed = |name: &str| [("a", 'a'), ("b", 'b')].map(|(key, end)| (key.to_owned(), pot(&format!("{name} {end}"))));
    Shelf {
        id: id("shelf"),
        whole: pot("whole"),
        option: Some(pot("option")),
        boxed: Box::new(pot("boxed")),
        list: vec![pot("list a"), pot("list b")],
        deque: [pot("deque a"), pot("deque b")].into(),
        small: [pot("small a"), pot("small b"), pot("small c")].into_iter().collect(),
        array: [pot("array a"), pot("array b")],
        tuple: (7, pot("tuple")),
        nested: vec![None, Some((pot("nested"), "beside".to_owned()))],
        tree_map: keyed("tree map").into(),
        hash_map: keyed("hash map").into(),
        index_map: keyed("index map").into(),
        either: vec![Either::Leaf(leaf("either")), Either::Pot(pot("either pot"))],
    }
}

/// All pots of a shelf; the leaf that stands alone is last.
fn pots(shelf: &mut Shelf) -> (Vec<&mut Pot>, &mut Leaf) {
    let [Either::Leaf(alone), Either::Pot(last)] = shelf.either.as_mut_slice() else { panic!("it stays as it is") };
    let mut pots = vec![&mut shelf.whole, &mut *shelf.boxed, &mut shelf.tuple.1, last];
    pots.extend(&mut shelf.option);
    pots.extend(&mut shelf.list);
    pots.extend(&mut shelf.deque);
    pots.extend(&mut shelf.small);
    pots.extend(&mut shelf.array);
    pots.extend(shelf.nested.iter_mut().flatten().map(|(pot, _)| pot));
    pots.extend(shelf.tree_map.values_mut());
    pots.extend(shelf.hash_map.iter_mut().collect::<BTreeMap<_, _>>().into_values());
    pots.extend(shelf.index_map.values_mut());
    (pots, alone)
}

/// Edits the leaf of a pot, then the pot, then the leaf behind it, then the leaf that stands alone.
fn edit(shelf: &mut Shelf, which: usize, part: usize, value: u32) {
    let (mut pots, alone) = pots(shelf);
    let pot = &mut pots[which];
    match part {
        0 => pot.leaf.value = value,
        1 => pot.name = format!("{value}"),
        2 => pot.behind.value = value,
        _ => alone.value = value,
    }
}

/// The counter of copies is one for all tests: those that look at it take turns.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn with_shelf(test: impl FnOnce(&Registry, Id<Shelf>) -> Result<()>) -> Result<()> {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let registry = Registry::in_memory();
    let _ = registry.register("edit", edit)?;
    let shelf = registry.add(shelf())?;
    test(&registry, shelf)
}

fn copies(work: impl FnOnce()) -> usize {
    let before = COPIES.load(Ordering::Relaxed);
    work();
    COPIES.load(Ordering::Relaxed) - before
}

#[test]
fn what_is_held_in_any_container_is_brought_up_to_date() -> Result<()> {
    with_shelf(|registry, id| {
        let mut model = shelf();
        let count = pots(&mut model).0.len();
        for which in 0..count {
            for part in [0, 1, 2, 3, 0, 1] {
                let value = u32::try_from(10 * which + part).expect("few") + 1_000;
                edit(&mut model, which, part, value);
                registry.call(edit, (id, which, part, value))?;
                registry.call(edit, (id, which, part, value))?;
                assert_eq!(registry.get(id)?, model);
                let fresh = Registry::in_memory();
                fresh.add(model.clone())?;
                assert_eq!(registry.history().digest(id, When::Head)?, fresh.history().digest(id, When::Head)?);
            }
        }
        Ok(())
    })
}

#[test]
fn a_run_on_a_tree_held_by_value_copies_what_changed_and_not_the_tree() -> Result<()> {
    with_shelf(|registry, id| {
        let all = copies(|| drop(registry.get(id)));
        assert!(all > 20, "a shelf has many leaves: {all}");
        let call =
            |which, part, value| copies(|| drop(registry.call(edit, (id, which, part, value)).expect("it runs")));
        assert!(call(0, 0, 1) >= all, "the first run copies all");
        for round in 2..10 {
            // The leaf for its version, and the one before for the spare.
            assert!(call(round as usize % 4, 0, round) <= 3);
            assert!(call(round as usize % 4, 0, round) <= 3, "a run that changes nothing gives its copy back");
            assert!(call(round as usize % 4, 1, round) <= 5);
        }
        let held = registry.checkout(id)?;
        call(0, 0, 100);
        assert!(call(0, 0, 101) >= all, "a state that is held is not worked on");
        drop(held);
        Ok(())
    })
}

#[test]
fn a_copy_that_panics_leaves_everything_as_it_was() -> Result<()> {
    with_shelf(|registry, id| {
        registry.call(edit, (id, 0, 0, 1))?;
        registry.call(edit, (id, 1, 0, 2))?;
        let before = registry.get(id)?;
        PANICS.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            let called = catch_unwind(AssertUnwindSafe(|| registry.call(edit, (id, 2, 0, 3))));
            assert!(!matches!(called, Ok(Ok(_))), "a copy is needed");
        }
        PANICS.store(false, Ordering::Relaxed);
        assert_eq!(registry.get(id)?, before);
        assert_eq!(registry.history().revision(id)?, Revision(3));
        let outcome = registry.call(edit, (id, 2, 0, 3))?;
        assert_eq!(outcome.changes().len(), 1);
        assert_eq!(registry.get(id)?.whole.leaf.value, 1);
        Ok(())
    })
}
