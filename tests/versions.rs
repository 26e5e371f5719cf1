//! What a version tells of its entity, over random programs of entities that change their type, many edits to a commit.

mod common;

use std::collections::BTreeMap;

use heirloom::prelude::*;
use heirloom::{Change, ChangeKind, Position};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use serde_json::Value as Json;

use common::{cases, id};

#[derive(Entity, Clone)]
struct Crate {
    id: Id<Crate>,
    name: u8,
    list: Vec<Part>,
    more: Children<Part>,
    keyed: BTreeMap<String, Part>,
}

#[derive(Entity, Clone)]
struct Rack {
    id: Id<Rack>,
    name: u8,
    more: Children<Part>,
    list: Children<Part>,
    keyed: BTreeMap<String, Child<Part>>,
}

#[derive(Entity, Clone)]
enum Part {
    Crate(Crate),
    Rack(Rack),
}

/// Where a part stands: in which field of which other; the fields after the lists are keys.
type Standing = Option<(u8, u8)>;

#[derive(Clone, Copy)]
struct Item {
    number: u8,
    name: u8,
    rack: bool,
    standing: Standing,
}

/// All parts; those of one list in the order of its items.
#[derive(Clone, Default)]
struct World(Vec<Item>);

impl World {
    fn find(&mut self, number: u8) -> Option<&mut Item> {
        self.0.iter_mut().find(|item| item.number == number)
    }

    fn roots(&self) -> Vec<u8> {
        self.0.iter().filter(|item| item.standing.is_none()).map(|item| item.number).collect()
    }

    fn owned(&self, owner: u8) -> impl Iterator<Item = (u8, &Item)> {
        self.0.iter().filter_map(move |item| match item.standing {
            Some((at, field)) if at == owner => Some((field, item)),
            _ => None,
        })
    }

    /// A part and all that it owns.
    fn tree(&self, number: u8) -> Vec<u8> {
        let mut tree = vec![number];
        let mut next = 0;
        while let Some(owner) = tree.get(next).copied() {
            tree.extend(self.owned(owner).map(|(_, item)| item.number));
            next += 1;
        }
        tree
    }

    fn remove(&mut self, number: u8) {
        let tree = self.tree(number);
        self.0.retain(|item| !tree.contains(&item.number));
    }

    fn build(&self, item: &Item) -> Part {
        let of = |field: u8| -> Vec<Part> {
            self.owned(item.number).filter(|(at, _)| *at == field).map(|(_, item)| self.build(item)).collect()
        };
        let keyed = self.owned(item.number).filter(|(field, _)| *field > 1);
        let keyed = keyed.map(|(field, item)| (format!("{field} {}", item.number), self.build(item)));
        let shared = |parts| Children::try_from_iter::<Part>(parts).expect("each stands once");
        let (name, list, more) = (item.name, of(0), shared(of(1)));
        match item.rack {
            false => Part::Crate(Crate { id: part(item.number), name, list, more, keyed: keyed.collect() }),
            true => {
                let keyed = keyed.map(|(key, part)| (key, Child::new(part))).collect();
                Part::Rack(Rack { id: part(item.number), name, more, list: shared(list), keyed })
            }
        }
    }

    /// Takes a part with all that it owns.
    fn learn(&mut self, read: &Part, standing: Standing) {
        let number = (0..NUMBERS).find(|number| part::<Part>(*number).entity_id() == read.entity_id());
        let number = number.expect("it is one of these");
        let field = |key: &str| key.split(' ').next().and_then(|field| field.parse().ok()).expect("a field");
        let (name, rack, parts): (u8, bool, Vec<(u8, &Part)>) = match read {
            Part::Crate(Crate { name, list, more, keyed, .. }) => {
                let lists = list.iter().map(|part| (0, part)).chain(more.iter().map(|part| (1, part)));
                (*name, false, lists.chain(keyed.iter().map(|(key, part)| (field(key), part))).collect())
            }
            Part::Rack(Rack { name, list, more, keyed, .. }) => {
                let lists = list.iter().map(|part| (0, part)).chain(more.iter().map(|part| (1, part)));
                (*name, true, lists.chain(keyed.iter().map(|(key, part)| (field(key), &**part))).collect())
            }
        };
        self.0.push(Item { number, name, rack, standing });
        parts.into_iter().for_each(|(field, part)| self.learn(part, Some((number, field))));
    }

    /// One of the parts that there are.
    fn pick(&mut self, which: u8) -> Option<&mut Item> {
        let count = self.0.len();
        self.0.get_mut(usize::from(which) % count.max(1))
    }

    fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Place { number, name, owner, field } => {
                let inside = self.tree(number);
                let mut owners: Vec<Standing> = vec![None];
                owners.extend(self.0.iter().map(|item| Some((item.number, field))));
                owners.retain(|owner| owner.is_none_or(|(owner, _)| !inside.contains(&owner)));
                let standing = owners[usize::from(owner) % owners.len()];
                match self.find(number) {
                    Some(item) => item.standing = standing,
                    None => self.0.push(Item { number, name, rack: name % 2 == 0, standing }),
                }
            }
            Edit::Name { which, name } => self.pick(which).into_iter().for_each(|item| item.name = name),
            Edit::Retype { which } => self.pick(which).into_iter().for_each(|item| item.rack = !item.rack),
            Edit::ToEnd { which } => {
                if let Some(at) = usize::from(which).checked_rem(self.0.len()) {
                    self.0[at..].rotate_left(1);
                }
            }
            Edit::Remove { which } => {
                if let Some(number) = self.pick(which).map(|item| item.number) {
                    self.remove(number);
                }
            }
            Edit::Dissolve { which } => {
                let Some(Item { number, standing, .. }) = self.pick(which).copied() else { return };
                let inner = self.0.iter_mut().filter(|item| item.standing.is_some_and(|(owner, _)| owner == number));
                inner.for_each(|item| item.standing = standing);
                self.remove(number);
            }
        }
    }
}

const NUMBERS: u8 = 10;

fn part<T>(number: u8) -> Id<T> {
    id(&format!("part {number}"))
}

/// What is placed comes or moves, to one of the owners that there are or to none; what is dissolved goes, and what it
/// owned stays in its place.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Place { number: u8, name: u8, owner: u8, field: u8 },
    Name { which: u8, name: u8 },
    Retype { which: u8 },
    ToEnd { which: u8 },
    Remove { which: u8 },
    Dissolve { which: u8 },
}

#[derive(Clone, Debug)]
enum Step {
    Edits(Vec<Edit>),
    Revert { number: u8, back: u8 },
}

fn edit() -> impl Strategy<Value = Edit> {
    let n = any::<u8>;
    prop_oneof![
        16 => (0..NUMBERS, n(), n(), (0..8u8).prop_map(|field| field.saturating_sub(4)))
            .prop_map(|(number, name, owner, field)| Edit::Place { number, name, owner, field }),
        3 => (n(), n()).prop_map(|(which, name)| Edit::Name { which, name }),
        1 => n().prop_map(|which| Edit::Retype { which }),
        6 => n().prop_map(|which| Edit::ToEnd { which }),
        1 => n().prop_map(|which| Edit::Remove { which }),
        1 => n().prop_map(|which| Edit::Dissolve { which }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(edit(), 1..12).prop_map(Step::Edits),
        1 => (0..NUMBERS, any::<u8>()).prop_map(|(number, back)| Step::Revert { number, back }),
    ]
}

fn take(registry: &Registry, world: &mut World, step: &Step) -> heirloom::Result<()> {
    match step {
        Step::Edits(edits) => {
            let mut after = world.clone();
            edits.iter().for_each(|edit| after.edit(*edit));
            let mut batch = registry.batch();
            for item in &after.0 {
                batch = match item.standing {
                    None if world.roots().contains(&item.number) => batch.save(after.build(item)),
                    None => batch.add(after.build(item)),
                    Some(_) => batch,
                };
            }
            for root in world.roots().into_iter().filter(|root| !after.roots().contains(root)) {
                batch = batch.remove::<Part>(part(root));
            }
            batch.commit()?;
            *world = after;
        }
        Step::Revert { number, back } => {
            let part = part::<Part>(*number);
            let Ok(last) = registry.history().revision(part) else { return Ok(()) };
            // It was gone then, or what it owned is owned elsewhere since: no commit.
            if registry.revert(part, Revision(1 + u64::from(*back) % last.0)).is_ok() {
                let standing = world.find(*number).and_then(|item| item.standing);
                world.remove(*number);
                world.learn(&registry.get(part)?, standing);
            }
        }
    }
    Ok(())
}

fn is_about(change: &Change, entity: EntityId) -> bool {
    let places = match &change.kind {
        ChangeKind::Added { place, .. } | ChangeKind::Removed { place, .. } => [place.as_ref(), None],
        ChangeKind::Moved { from, to } => [from.as_ref(), to.as_ref()],
        ChangeKind::Reordered { place, .. } => [Some(place), None],
        _ => [None, None],
    };
    change.entity.id == entity || places.into_iter().flatten().any(|place| place.owner.id == entity)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(128)) })]
    #[test]
    fn the_changes_of_a_version_are_those_of_the_commit_that_tell_of_its_entity(steps in vec(step(), 1..16)) {
        let registry = Registry::in_memory();
        let mut world = World::default();
        for step in &steps {
            take(&registry, &mut world, step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
        }
        let history = registry.history();
        for position in (1..=history.head().0).map(Position) {
            let whole = history.changes(position).expect("it is there");
            let mut lines = whole.to_json().expect("it loads").as_array().expect("a list").clone().into_iter();
            // Each change with its lines of JSON, which are as many as it prints.
            let whole: Vec<(&Change, Vec<Json>)> = whole
                .iter()
                .map(|change| (change, lines.by_ref().take(change.to_string().lines().count()).collect()))
                .collect();
            assert_eq!(lines.next(), None);
            for version in history.versions(position).expect("it is there") {
                let about = whole.iter().filter(|(change, _)| is_about(change, version.entity));
                let (expected, json): (Vec<&Change>, Vec<&[Json]>) = about.map(|(change, lines)| (*change, &**lines)).unzip();
                let told = version.changes().expect("it reads");
                assert_eq!(format!("{told:?}"), format!("{expected:?}"), "{version:?}");
                assert_eq!(told.to_json().expect("it loads"), Json::Array(json.concat()), "{version:?}");
            }
        }
    }
}
