//! Random programs against a model that keeps a clone of everything after every step.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Folder as _, Spec, folder_id, for_all_folders};
use heirloom::store::{Durability, MemoryStore, verify};
use heirloom::{CallError, CommitError, EntityId, Id, Position, Registry, Revision, Tree, VersionKind};
use proptest::prelude::*;

/// All trees, by the number of their roots.
type World = BTreeMap<u8, Spec>;

/// One step of a program; the numbers are turned into what there is at the time.
#[derive(Clone, Copy, Debug)]
enum Step {
    AddRoot {
        number: u8,
    },
    AddTo {
        owner: u8,
        number: u8,
    },
    Rename {
        which: u8,
        name: u8,
    },
    RenameThroughOwner {
        which: u8,
        name: u8,
    },
    RenameInTree {
        which: u8,
        name: u8,
    },
    Mark {
        which: u8,
        marks: u8,
    },
    MoveBetween {
        which: u8,
        to: u8,
    },
    MoveInTree {
        which: u8,
        to: u8,
    },
    ToExtra {
        which: u8,
    },
    ToKey {
        which: u8,
        key: u8,
    },
    Remove {
        which: u8,
    },
    Dissolve {
        which: u8,
    },
    Detach {
        which: u8,
    },
    Adopt {
        root: u8,
        to: u8,
    },
    Revert {
        which: u8,
        back: u8,
    },
    Rotate {
        which: u8,
        by: u8,
    },
    Touch {
        which: u8,
    },
    SaveHeld {
        which: u8,
        name: u8,
    },
    Fail {
        which: u8,
    },
    Panic {
        which: u8,
    },
    Read {
        which: u8,
        back: u8,
    },
    /// Goes on with a registry that was opened just now, over the same store.
    Reopen,
    /// Goes on with the other of two registries over the same store.
    Switch,
}

/// What a registry keeps its history in.
#[derive(Clone, Debug)]
enum Keeping {
    Memory,
    Store(MemoryStore),
    #[cfg(feature = "sqlite")]
    File(std::sync::Arc<common::Directory>),
}

impl Keeping {
    fn open(&self) -> heirloom::Result<Registry> {
        let builder = Registry::builder().durability(Durability::Normal);
        Ok(match self {
            Keeping::Memory => builder.in_memory(),
            Keeping::Store(store) => builder.over(store.clone())?,
            #[cfg(feature = "sqlite")]
            Keeping::File(directory) => builder.open(directory.file())?,
        })
    }

    fn verify(&self) {
        match self {
            Keeping::Memory => {}
            Keeping::Store(store) => drop(verify(store, None).expect("nothing is wrong")),
            #[cfg(feature = "sqlite")]
            Keeping::File(directory) => {
                let store = heirloom::store::SqliteStore::open(directory.file()).expect("it is there");
                verify(&store, None).expect("nothing is wrong");
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    prop_oneof![
        1 => (0..12u8).prop_map(|number| Step::AddRoot { number }),
        4 => (n(), 0..12u8).prop_map(|(owner, number)| Step::AddTo { owner, number }),
        2 => (n(), 0..3u8).prop_map(|(which, name)| Step::Rename { which, name }),
        2 => (n(), 0..3u8).prop_map(|(which, name)| Step::RenameThroughOwner { which, name }),
        1 => (n(), 0..3u8).prop_map(|(which, name)| Step::RenameInTree { which, name }),
        1 => (n(), 0..9u8).prop_map(|(which, marks)| Step::Mark { which, marks }),
        2 => (n(), n()).prop_map(|(which, to)| Step::MoveBetween { which, to }),
        2 => (n(), n()).prop_map(|(which, to)| Step::MoveInTree { which, to }),
        1 => n().prop_map(|which| Step::ToExtra { which }),
        1 => (n(), 0..3u8).prop_map(|(which, key)| Step::ToKey { which, key }),
        1 => n().prop_map(|which| Step::Remove { which }),
        1 => n().prop_map(|which| Step::Dissolve { which }),
        1 => n().prop_map(|which| Step::Detach { which }),
        1 => (n(), n()).prop_map(|(root, to)| Step::Adopt { root, to }),
        2 => (n(), n()).prop_map(|(which, back)| Step::Revert { which, back }),
        1 => (n(), n()).prop_map(|(which, by)| Step::Rotate { which, by }),
        1 => n().prop_map(|which| Step::Touch { which }),
        1 => (n(), 0..3u8).prop_map(|(which, name)| Step::SaveHeld { which, name }),
        1 => n().prop_map(|which| Step::Fail { which }),
        1 => n().prop_map(|which| Step::Panic { which }),
        2 => (n(), n()).prop_map(|(which, back)| Step::Read { which, back }),
        1 => Just(Step::Reopen),
        2 => Just(Step::Switch),
    ]
}

fn find(world: &World, number: u8) -> Option<&Spec> {
    world.values().find_map(|root| root.find(number))
}

fn find_mut(world: &mut World, number: u8) -> Option<&mut Spec> {
    world.values_mut().find_map(|root| root.find_mut(number))
}

fn owner_of(world: &World, number: u8) -> Option<u8> {
    world.values().find_map(|root| root.owner_of(number))
}

fn root_of(world: &World, number: u8) -> u8 {
    world.values().find(|root| root.find(number).is_some()).expect("it is there").number
}

fn alive(world: &World) -> Vec<u8> {
    world.values().flat_map(Spec::numbers).collect()
}

fn pick(from: &[u8], which: u8) -> Option<u8> {
    (!from.is_empty()).then(|| from[usize::from(which) % from.len()])
}

/// What an entity itself is: its own fields, what it owns directly, and its place.
#[derive(PartialEq)]
struct Own {
    name: String,
    marks: Vec<u8>,
    list: Vec<u8>,
    extra: Option<u8>,
    keyed: Vec<(String, u8)>,
    place: Option<(u8, String)>,
}

fn owns(world: &World) -> BTreeMap<u8, Own> {
    fn go(spec: &Spec, place: Option<(u8, String)>, found: &mut BTreeMap<u8, Own>) {
        let own = Own {
            name: spec.name.clone(),
            marks: spec.marks.clone(),
            list: spec.list.iter().map(|child| child.number).collect(),
            extra: spec.extra.as_ref().map(|child| child.number),
            keyed: spec.keyed.iter().map(|(key, child)| (key.clone(), child.number)).collect(),
            place,
        };
        found.insert(spec.number, own);
        let at = |field: String| Some((spec.number, field));
        spec.list.iter().for_each(|child| go(child, at("list".into()), found));
        spec.extra.iter().for_each(|child| go(child, at("extra".into()), found));
        spec.keyed.iter().for_each(|(key, child)| go(child, at(format!("keyed {key}")), found));
    }
    let mut found = BTreeMap::new();
    world.values().for_each(|root| go(root, None, &mut found));
    found
}

/// Who gets a version between two worlds, and which.
fn expected_versions(before: &World, after: &World) -> BTreeMap<u8, VersionKind> {
    let (old, new) = (owns(before), owns(after));
    let mut versions = BTreeMap::new();
    for (number, own) in &new {
        if old.get(number) != Some(own) {
            versions.insert(*number, VersionKind::Own);
        }
    }
    for number in versions.keys().copied().collect::<Vec<_>>() {
        let mut at = owner_of(after, number);
        while let Some(owner) = at {
            versions.entry(owner).or_insert(VersionKind::Carried);
            at = owner_of(after, owner);
        }
    }
    for (number, own) in &old {
        // What goes with its owner has no version of its own.
        let owner_stays = own.place.as_ref().is_none_or(|(owner, _)| new.contains_key(owner));
        if !new.contains_key(number) && owner_stays {
            versions.insert(*number, VersionKind::Removed);
        }
    }
    versions
}

for_all_folders! {
    fn rename(folder: &mut F, name: String) {
        folder.name = name;
    }
    fn rename_owned(owner: &mut F, number: u8, name: String) {
        find_owned(owner, number).expect("the model says so").name = name;
    }
    fn rename_deep(root: &mut F, number: u8, name: String) {
        find_deep(root, number).expect("the model says so").name = name;
    }
    fn find_owned(owner: &mut F, number: u8) -> Option<&mut F> {
        if let Some(at) = (0..owner.list.len()).find(|at| owner.list[*at].number == number) {
            return Some(&mut owner.list[at]);
        }
        if owner.extra.as_ref().is_some_and(|extra| extra.number == number) {
            return owner.extra.as_deref_mut();
        }
        owner.keyed.values_mut().find(|child| child.number == number).map(|child| &mut **child)
    }
    fn find_deep(root: &mut F, number: u8) -> Option<&mut F> {
        if root.number == number {
            return Some(root);
        }
        let mut way = vec![number];
        let spec = root.spec();
        while let Some(owner) = spec.owner_of(way[way.len() - 1]) {
            way.push(owner);
        }
        let mut at = root;
        for step in way.iter().rev().skip(1) {
            at = find_owned(at, *step)?;
        }
        Some(at)
    }
    fn mark(folder: &mut F, marks: Vec<u8>) {
        folder.set_marks(marks);
    }
    fn add_to(owner: &mut F, number: u8) {
        owner.push(F::of(&Spec::new(number)));
    }
    fn move_between(from: &mut F, to: &mut F, number: u8) {
        to.push(from.take(number).expect("the model says so"));
    }
    fn move_deep(root: &mut F, from: u8, to: u8, number: u8) {
        let child = find_deep(root, from).and_then(|from| from.take(number)).expect("the model says so");
        find_deep(root, to).expect("the model says so").push(child);
    }
    fn to_extra(owner: &mut F, number: u8) {
        let child = owner.take(number).expect("the model says so");
        if let Some(other) = owner.extra.take() {
            owner.push(other.clone_inner());
        }
        owner.extra = Some(child.into());
    }
    fn to_key(owner: &mut F, number: u8, key: String) {
        let child = owner.take(number).expect("the model says so");
        if let Some(other) = owner.keyed.remove(&key) {
            owner.push(other.clone_inner());
        }
        owner.keyed.insert(key, child.into());
    }
    fn remove_owned(owner: &mut F, number: u8) {
        owner.take(number).expect("the model says so");
    }
    /// Removes an owned folder and keeps what it owned.
    fn dissolve(owner: &mut F, number: u8) {
        let mut child = owner.take(number).expect("the model says so");
        for inner in child.spec().owned().map(|inner| inner.number).collect::<Vec<_>>() {
            owner.push(child.take(inner).expect("it owns it"));
        }
    }
    fn detach(owner: &mut F, number: u8) -> Option<F> {
        owner.take(number)
    }
    fn rotate(folder: &mut F, by: usize) {
        folder.rotate(by);
    }
    fn touch(folder: &mut F) {
        folder.touch();
    }
    fn fail(folder: &mut F) -> Result<(), String> {
        folder.name = "failed".into();
        folder.list = Default::default();
        Err("as it should".into())
    }
    fn panics(folder: &mut F) {
        folder.name = "panicked".into();
        folder.extra = None;
        // Without a word on the terminal.
        std::panic::resume_unwind(Box::new("as it should"));
    }

    trait CloneInner {
        fn clone_inner(&self) -> F;
    }
    impl<C: std::ops::Deref<Target = F>> CloneInner for C {
        fn clone_inner(&self) -> F {
            (**self).clone()
        }
    }

    fn registry(keeping: &Keeping) -> heirloom::Result<Registry> {
        let registry = keeping.open()?;
        let _ = registry.register("rename", rename)?;
        let _ = registry.register("rename owned", rename_owned)?;
        let _ = registry.register("rename deep", rename_deep)?;
        let _ = registry.register("mark", mark)?;
        let _ = registry.register("add to", add_to)?;
        let _ = registry.register("move between", move_between)?;
        let _ = registry.register("move deep", move_deep)?;
        let _ = registry.register("to extra", to_extra)?;
        let _ = registry.register("to key", to_key)?;
        let _ = registry.register("remove owned", remove_owned)?;
        let _ = registry.register("dissolve", dissolve)?;
        let _ = registry.register("detach", detach)?;
        let _ = registry.register("rotate", rotate)?;
        let _ = registry.register("touch", touch)?;
        let _ = registry.register("fail", fail)?;
        let _ = registry.register("panics", panics)?;
        Ok(registry)
    }

    /// A registry and what it should hold.
    struct Run {
        keeping: Keeping,
        registry: Registry,
        /// Another registry over the same store.
        other: Option<Registry>,
        /// The worlds after each position, from 0.
        worlds: Vec<World>,
        /// The positions and kinds of the versions of each.
        versions: BTreeMap<u8, Vec<(u64, VersionKind)>>,
    }

    impl Run {
        fn world(&self) -> &World {
            self.worlds.last().expect("there is one from the start")
        }

        fn id(number: u8) -> Id<F> {
            folder_id(number)
        }

        /// Takes one step in the registry and in the model.
        fn take(&mut self, step: Step) -> heirloom::Result<()> {
            let mut world = self.world().clone();
            let all = alive(&world);
            let owned: Vec<u8> = all.iter().copied().filter(|number| owner_of(&world, *number).is_some()).collect();
            let name = |name: u8| format!("name {name}");
            let registry = self.registry.clone();
            match step {
                Step::AddRoot { number } => {
                    let added = registry.add(F::of(&Spec::new(number)));
                    if all.contains(&number) {
                        assert!(matches!(added, Err(CommitError::Present { .. } | CommitError::SecondOwner { .. })), "{added:?}");
                        return Ok(());
                    }
                    added?;
                    world.insert(number, Spec::new(number));
                }
                Step::AddTo { owner, number } => {
                    let Some(owner) = pick(&all, owner) else { return Ok(()) };
                    let added = registry.call(add_to, (Self::id(owner), number));
                    if all.contains(&number) {
                        // Its own id within a shared list is refused there, which the test's `push` turns into a panic.
                        assert!(added.is_err(), "{added:?}");
                    } else {
                        added?;
                        find_mut(&mut world, owner).expect("it was picked").list.push(Spec::new(number));
                    }
                }
                Step::Rename { which, name: new } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    registry.call(rename, (Self::id(number), name(new)))?;
                    find_mut(&mut world, number).expect("it was picked").name = name(new);
                }
                Step::RenameThroughOwner { which, name: new } => {
                    let Some(number) = pick(&owned, which) else { return Ok(()) };
                    let owner = owner_of(&world, number).expect("it is owned");
                    registry.call(rename_owned, (Self::id(owner), number, name(new)))?;
                    find_mut(&mut world, number).expect("it was picked").name = name(new);
                }
                Step::RenameInTree { which, name: new } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    registry.call(rename_deep, (Self::id(root_of(&world, number)), number, name(new)))?;
                    find_mut(&mut world, number).expect("it was picked").name = name(new);
                }
                Step::Mark { which, marks } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    let marks: Vec<u8> = (0..marks % 3).map(|mark| mark * marks).collect();
                    registry.call(mark, (Self::id(number), marks.clone()))?;
                    find_mut(&mut world, number).expect("it was picked").marks = marks;
                }
                Step::MoveBetween { which, to } => {
                    let (Some(number), Some(to)) = (pick(&owned, which), pick(&all, to)) else { return Ok(()) };
                    let from = owner_of(&world, number).expect("it is owned");
                    let moved = registry.call(move_between, (Self::id(from), Self::id(to), number));
                    if from == to {
                        assert!(matches!(moved, Err(CallError::SameTwice { .. })), "{moved:?}");
                        return Ok(());
                    }
                    let holds = |outer: u8, inner: u8| find(&world, outer).is_some_and(|outer| outer.find(inner).is_some());
                    if holds(from, to) || holds(to, from) {
                        assert!(matches!(moved, Err(CallError::Overlap { .. })), "{moved:?}");
                        return Ok(());
                    }
                    moved?;
                    let child = find_mut(&mut world, from).and_then(|from| from.take(number)).expect("it is there");
                    find_mut(&mut world, to).expect("it was picked").list.push(child);
                }
                Step::MoveInTree { which, to } => {
                    let Some(number) = pick(&owned, which) else { return Ok(()) };
                    let root = root_of(&world, number);
                    let inside = find(&world, number).expect("it was picked").numbers();
                    let mut places = world[&root].numbers();
                    places.retain(|place| !inside.contains(place));
                    let to = pick(&places, to).expect("its owner is one");
                    let from = owner_of(&world, number).expect("it is owned");
                    registry.call(move_deep, (Self::id(root), from, to, number))?;
                    let child = find_mut(&mut world, from).and_then(|from| from.take(number)).expect("it is there");
                    find_mut(&mut world, to).expect("it was picked").list.push(child);
                }
                Step::ToExtra { which } => {
                    let Some(number) = pick(&owned, which) else { return Ok(()) };
                    let owner = owner_of(&world, number).expect("it is owned");
                    registry.call(to_extra, (Self::id(owner), number))?;
                    let owner = find_mut(&mut world, owner).expect("it is there");
                    let child = owner.take(number).expect("it is there");
                    let other = owner.extra.replace(Box::new(child));
                    owner.list.extend(other.map(|other| *other));
                }
                Step::ToKey { which, key } => {
                    let Some(number) = pick(&owned, which) else { return Ok(()) };
                    let owner = owner_of(&world, number).expect("it is owned");
                    let key = format!("key {key}");
                    registry.call(to_key, (Self::id(owner), number, key.clone()))?;
                    let owner = find_mut(&mut world, owner).expect("it is there");
                    let child = owner.take(number).expect("it is there");
                    let other = owner.keyed.insert(key, child);
                    owner.list.extend(other);
                }
                Step::Remove { which } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    match owner_of(&world, number) {
                        Some(owner) => {
                            let refused = registry.remove(Self::id(number));
                            assert!(matches!(refused, Err(CommitError::Owned { .. })), "{refused:?}");
                            registry.call(remove_owned, (Self::id(owner), number))?;
                            find_mut(&mut world, owner).and_then(|owner| owner.take(number)).expect("it is there");
                        }
                        None => {
                            registry.remove(Self::id(number))?;
                            world.remove(&number);
                        }
                    }
                }
                Step::Dissolve { which } => {
                    let Some(number) = pick(&owned, which) else { return Ok(()) };
                    let owner = owner_of(&world, number).expect("it is owned");
                    registry.call(dissolve, (Self::id(owner), number))?;
                    let owner = find_mut(&mut world, owner).expect("it is there");
                    let child = owner.take(number).expect("it is there");
                    owner.list.extend(child.owned().cloned());
                }
                Step::Detach { which } => {
                    let Some(number) = pick(&owned, which) else { return Ok(()) };
                    let owner = owner_of(&world, number).expect("it is owned");
                    registry.call(detach, (Self::id(owner), number))?;
                    let child = find_mut(&mut world, owner).and_then(|owner| owner.take(number)).expect("it is there");
                    world.insert(number, child);
                }
                Step::Adopt { root, to } => {
                    let roots: Vec<u8> = world.keys().copied().collect();
                    let (Some(root), Some(to)) = (pick(&roots, root), pick(&all, to)) else { return Ok(()) };
                    if world[&root].find(to).is_some() {
                        return Ok(());
                    }
                    let mut owner: F = registry.get(Self::id(to))?;
                    owner.push(registry.get(Self::id(root))?);
                    // Standing at two places is refused; leaving the one in the same commit is a move.
                    let refused = registry.batch().save(owner.clone()).commit();
                    assert!(matches!(refused, Err(CommitError::SecondOwner { .. })), "{refused:?}");
                    registry.batch().save(owner).remove(Self::id(root)).commit()?;
                    let child = world.remove(&root).expect("it is a root");
                    find_mut(&mut world, to).expect("it was picked").list.push(child);
                }
                Step::Revert { which, back } => {
                    let known: Vec<u8> = self.versions.keys().copied().collect();
                    let Some(number) = pick(&known, which) else { return Ok(()) };
                    let versions = &self.versions[&number];
                    let index = versions.len() - 1 - usize::from(back) % versions.len();
                    let then = find(&self.worlds[versions[index].0 as usize], number).cloned();
                    let reverted = registry.revert(Self::id(number), Revision(index as u64 + 1));
                    let Some(then) = then else {
                        assert!(matches!(reverted, Err(CommitError::Read(_))), "{reverted:?}");
                        return Ok(());
                    };
                    let now = find(&world, number).map(Spec::numbers);
                    let elsewhere = |inner: &u8| all.contains(inner) && !now.iter().flatten().any(|own| own == inner);
                    let was_root = self.removed_as_root(number);
                    if now.is_none() && !was_root {
                        assert!(reverted.is_err(), "it was not a root, so where it would stand is not known");
                        return Ok(());
                    }
                    if then.numbers().iter().any(elsewhere) {
                        assert!(matches!(reverted, Err(CommitError::SecondOwner { .. })), "{reverted:?}");
                        return Ok(());
                    }
                    reverted?;
                    match find_mut(&mut world, number) {
                        Some(place) => *place = then,
                        None => drop(world.insert(number, then)),
                    }
                }
                Step::Rotate { which, by } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    registry.call(rotate, (Self::id(number), usize::from(by)))?;
                    let list = &mut find_mut(&mut world, number).expect("it was picked").list;
                    let places = usize::from(by) % list.len().max(1);
                    list.rotate_left(places);
                }
                Step::Touch { which } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    assert!(registry.call(touch, (Self::id(number),))?.is_unchanged());
                }
                Step::SaveHeld { which, name: new } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    let mut held = registry.checkout(Self::id(number))?;
                    held.name = name(new);
                    held.rotate(1);
                    registry.save(&mut held)?;
                    let spec = find_mut(&mut world, number).expect("it was picked");
                    spec.name = name(new);
                    let places = 1 % spec.list.len().max(1);
                    spec.list.rotate_left(places);
                    assert_eq!(held.spec(), *spec);
                }
                Step::Fail { which } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    let failed = registry.call(fail, (Self::id(number),));
                    assert!(matches!(failed, Err(CallError::Failed { .. })), "{failed:?}");
                }
                Step::Panic { which } => {
                    let Some(number) = pick(&all, which) else { return Ok(()) };
                    let panicked = registry.call(panics, (Self::id(number),));
                    assert!(matches!(panicked, Err(CallError::Panicked { .. })), "{panicked:?}");
                }
                Step::Read { which, back } => {
                    let known: Vec<u8> = self.versions.keys().copied().collect();
                    let Some(number) = pick(&known, which) else { return Ok(()) };
                    let position = usize::from(back) % self.worlds.len();
                    self.check_at(number, position);
                    return Ok(());
                }
                Step::Reopen | Step::Switch if matches!(self.keeping, Keeping::Memory) => return Ok(()),
                Step::Reopen => {
                    self.registry = self::registry(&self.keeping)?;
                    return Ok(());
                }
                Step::Switch => {
                    let other = match self.other.take() {
                        Some(other) => other,
                        None => self::registry(&self.keeping)?,
                    };
                    self.other = Some(std::mem::replace(&mut self.registry, other));
                    return Ok(());
                }
            }
            self.learn(world);
            Ok(())
        }

        /// Whether a removed folder was a root when it went.
        fn removed_as_root(&self, number: u8) -> bool {
            let last = self.worlds.iter().rev().find(|world| find(world, number).is_some());
            last.is_some_and(|world| world.contains_key(&number))
        }

        /// Takes the world after a commit, whose versions must be those that it takes.
        fn learn(&mut self, world: World) {
            let head = self.registry.history().head();
            assert_eq!(head.0, self.worlds.len() as u64, "one entry of the log");
            let expected = expected_versions(self.world(), &world);
            let made = self.registry.history().versions(head).expect("the head is there");
            let made: BTreeMap<EntityId, VersionKind> = made.iter().map(|version| (version.entity, version.kind)).collect();
            let ids = expected.iter().map(|(number, kind)| (Self::id(*number).entity_id(), *kind)).collect();
            assert_eq!(made, ids, "{expected:?}");
            for (number, kind) in expected {
                self.versions.entry(number).or_default().push((head.0, kind));
            }
            self.check_changes(&world);
            self.worlds.push(world);
        }

        /// What a commit says it changed is what a look at both states finds.
        fn check_changes(&self, world: &World) {
            let history = self.registry.history();
            let (before, after) = (self.world(), world);
            let differ: Vec<u8> = before.keys().chain(after.keys()).copied().collect::<BTreeSet<u8>>().into_iter()
                .filter(|root| before.get(root) != after.get(root)).collect();
            let [root] = differ.as_slice() else { return };
            if !before.contains_key(root) || !after.contains_key(root) {
                return;
            }
            let lines = |changes: heirloom::Changes| {
                let mut lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
                lines.sort_unstable();
                lines
            };
            let head = history.head();
            let told = lines(history.changes(head).expect("the head is there"));
            let found = history.diff(Self::id(*root), Position(head.0 - 1), head).expect("it is there at both");
            assert_eq!(told, lines(found.clone()));
            let state = |at: u64| history.at::<F>(Self::id(*root), Position(at)).expect("it is there at both");
            let patch = heirloom::Patch::try_from(&history.changes(head).expect("the head is there")).expect("it loads");
            assert_eq!(patch.apply(&state(head.0 - 1)).expect("it fits"), state(head.0));
            assert_eq!(patch.inverse().apply(&state(head.0)).expect("it fits"), state(head.0 - 1));
        }

        fn check_at(&self, number: u8, position: usize) {
            let read: Result<F, _> = self.registry.history().at(Self::id(number), Position(position as u64));
            match find(&self.worlds[position], number) {
                Some(spec) => assert_eq!(&read.expect("it was there").spec(), spec),
                None => assert!(read.is_err(), "{number} was not there at {position}"),
            }
        }

        /// Reads everything, in an order that `seed` gives.
        fn check_all(&self, seed: u64) {
            let history = self.registry.history();
            let mut reads: Vec<(u8, usize)> = Vec::new();
            for (number, versions) in &self.versions {
                let found: Vec<(u64, VersionKind)> = history
                    .of(Self::id(*number))
                    .expect("it is known")
                    .iter()
                    .rev()
                    .map(|version| version.expect("it reads"))
                    .map(|version| (version.position.0, version.kind))
                    .collect();
                assert_eq!(&found, versions, "{number}");
                reads.extend((0..versions.len()).map(|index| (*number, index)));
            }
            let mut state = seed | 1;
            for at in (1..reads.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                reads.swap(at, (state >> 33) as usize % (at + 1));
            }
            for (number, index) in reads {
                let (position, _) = self.versions[&number][index];
                let revision = Revision(index as u64 + 1);
                let read: Result<F, _> = history.at(Self::id(number), revision);
                let Some(spec) = find(&self.worlds[position as usize], number) else {
                    assert!(read.is_err(), "{number} {revision} is a removal");
                    continue;
                };
                assert_eq!(&read.expect("it was there").spec(), spec, "{number} {revision}");
                let digest = history.digest(Self::id(number), revision).expect("it was there");
                let built = F::of(spec);
                assert_eq!(digest, Tree::of(&built).expect("each stands once").digest(), "{number} {revision}");
            }
            for (position, _) in self.worlds.iter().enumerate() {
                self.versions.keys().for_each(|number| if position > 0 { self.check_at(*number, position) });
            }
        }
    }

    fn check_program(steps: &[Step], seed: u64, keeping: Keeping) {
        let registry = registry(&keeping).expect("each name is given once");
        let (worlds, versions) = (vec![World::new()], BTreeMap::new());
        let mut run = Run { keeping, registry, other: None, worlds, versions };
        for step in steps {
            run.take(*step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
        }
        run.check_all(seed);
        if !matches!(run.keeping, Keeping::Memory) {
            run.other = None;
            run.registry = self::registry(&run.keeping).expect("it opens again");
            run.check_all(seed.rotate_left(7));
        }
        run.keeping.verify();
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(common::cases(64)) })]
        #[test]
        fn every_revision_is_what_the_model_says(steps in prop::collection::vec(step(), 1..40), seed in any::<u64>()) {
            check_program(&steps, seed, Keeping::Memory);
        }

        #[test]
        fn over_a_store_too(steps in prop::collection::vec(step(), 1..40), seed in any::<u64>()) {
            check_program(&steps, seed, Keeping::Store(MemoryStore::new()));
        }
    }

    #[cfg(feature = "sqlite")]
    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(common::cases(64) / 8) })]
        #[test]
        fn and_in_a_file(steps in prop::collection::vec(step(), 1..40), seed in any::<u64>()) {
            let directory = common::Directory::new("model");
            check_program(&steps, seed, Keeping::File(directory.into()));
        }
    }
}
