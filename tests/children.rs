//! Shared handles: lists of children against a plain `Vec`, cold handles, references, shared values.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use heirloom::__private::{AnyCell, Cell, ChildChange, Key, Layouter, Load, NoSource, Pairs, Slot, Source};
use heirloom::{
    Child, Children, DecodeError, Delta, Digest, Entity, EntityId, Field, Id, LoadError, Meta, References, RepeatedId,
    Role, Shared, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Entity, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Task {
    id: Id<Task>,
    effort: u32,
}

#[derive(Entity, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    id: Id<Plan>,
    tasks: Children<Task>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Node {
    id: Id<Node>,
    depth: u32,
    next: Option<Child<Node>>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Folder {
    id: Id<Folder>,
    depth: u32,
    folders: Children<Folder>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(name = "user")]
struct User {
    id: Id<User>,
    follows: References<Task>,
}

/// Of the same stored form as `User`.
#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(name = "user")]
struct PlainUser {
    id: Id<PlainUser>,
    follows: Vec<Id<Task>>,
}

/// Of the same stored form, by value and by handle.
#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(name = "owner")]
struct ByValue {
    id: Id<ByValue>,
    task: Task,
    spare: Option<Task>,
    list: Vec<Task>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(name = "owner")]
struct ByHandle {
    id: Id<ByHandle>,
    task: Child<Task>,
    spare: Option<Child<Task>>,
    list: Vec<Child<Task>>,
}

const DEPTH: u32 = 100_000;

fn entity(number: u32) -> EntityId {
    EntityId::from_bytes(u128::from(number).to_be_bytes())
}

fn id<T>(number: u32) -> Id<T> {
    Id::from_entity_id(entity(number))
}

fn task(number: u32, effort: u32) -> Task {
    Task { id: id(number), effort }
}

fn tasks(numbers: impl IntoIterator<Item = u32>) -> Children<Task> {
    Children::try_from_iter(numbers.into_iter().map(|number| task(number, 0))).expect("the numbers are distinct")
}

fn numbers(tasks: &Children<Task>) -> Vec<u32> {
    tasks.iter().map(|task| number(task.id.entity_id())).collect()
}

fn number(id: EntityId) -> u32 {
    u128::from_be_bytes(*id.as_bytes()) as u32
}

fn digest(entity: impl Entity) -> Digest {
    Cell::new(entity).digest()
}

fn layout<F: Field>() -> String {
    F::layout(&mut Layouter::default())
}

/// Gives the cells that it was made of.
#[derive(Default)]
struct Cells(HashMap<EntityId, Arc<dyn AnyCell>>);

impl Cells {
    fn of<'a, T: Entity>(entities: impl IntoIterator<Item = &'a T>) -> Self {
        let cell = |entity: &T| (Entity::entity_id(entity), Arc::new(Cell::new(entity.clone())) as Arc<dyn AnyCell>);
        Self(entities.into_iter().map(cell).collect())
    }
}

impl Source for Cells {
    fn cell(&mut self, id: EntityId, _: &'static Meta) -> Result<Arc<dyn AnyCell>, DecodeError> {
        self.0.get(&id).cloned().ok_or_else(|| DecodeError::saying("an entity", "none"))
    }
}

/// Loads tasks, counts how often, and fails while it is told to.
#[derive(Default)]
struct Store {
    loads: AtomicUsize,
    fails: AtomicBool,
}

impl Load for Store {
    fn load(&self, id: EntityId) -> Result<Arc<dyn AnyCell>, LoadError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(LoadError::new(id, "the disk is gone"));
        }
        Ok(Arc::new(Cell::new(task(number(id), 7))))
    }
}

fn cold(number: u32) -> (Child<Task>, Arc<Store>) {
    let store = Arc::new(Store::default());
    (Child::cold(id(number), digest(task(number, 7)), store.clone()), store)
}

// One child.

#[test]
fn a_clone_of_a_handle_keeps_what_it_was_when_the_other_is_written() {
    let mut child = Child::new(task(1, 1));
    let before = child.clone();
    assert!(child.ptr_eq(&before));
    child.effort = 2;
    assert_eq!((before.effort, child.effort), (1, 2));
    assert!(!child.ptr_eq(&before));
    let place: *const Task = &raw const *child;
    child.effort = 3;
    assert!(std::ptr::eq(place, &*child), "what nobody shares is not copied");
    assert_eq!((before.into_inner(), child.into_inner()), (task(1, 1), task(1, 3)));
}

#[test]
fn a_handle_reads_prints_and_serialises_like_its_entity() {
    let child = Child::from(task(1, 2));
    assert_eq!(format!("{child:?}"), format!("{:?}", task(1, 2)));
    let json = serde_json::to_value(&child).expect("it serialises");
    assert_eq!(json, serde_json::to_value(task(1, 2)).expect("it serialises"));
    assert_eq!(serde_json::from_value::<Child<Task>>(json).expect("it reads"), child);
    assert_ne!(child, Child::new(task(1, 3)));
}

#[test]
fn owners_by_value_and_by_handle_have_one_layout_and_one_digest() {
    let [first, second, third] = [task(1, 1), task(2, 2), task(3, 3)];
    let plain = ByValue { id: id(9), task: first.clone(), spare: Some(second.clone()), list: vec![third.clone()] };
    let shared = ByHandle { id: id(9), task: first.into(), spare: Some(second.into()), list: vec![third.into()] };
    assert_eq!(ByValue::META.layout(), ByHandle::META.layout());
    assert_eq!(digest(plain), digest(shared));
    assert_eq!(layout::<Children<Task>>(), layout::<Vec<Task>>());
    assert_eq!(layout::<References<Task>>(), layout::<Vec<Id<Task>>>());
    assert_eq!(layout::<Shared<Vec<String>>>(), layout::<Vec<String>>());
}

#[test]
fn a_handle_is_the_same_by_identity_and_compared_only_if_it_was_touched() {
    let child = Child::new(task(1, 1));
    let mut touched = child.clone();
    touched.effort = 2;
    let check = |after: &Child<Task>, same: bool, compared: usize| {
        let mut pairs = Pairs::new();
        assert_eq!(child.same(after, &mut pairs), same);
        assert_eq!(pairs.len(), compared);
    };
    check(&child.clone(), true, 0);
    check(&touched, true, 1);
    check(&Child::new(task(2, 1)), false, 0);
}

#[test]
fn a_write_forgets_the_digest_of_a_handle() {
    let mut node = Node { id: id(1), depth: 0, next: Some(Child::new(Node { id: id(2), depth: 1, next: None })) };
    let unsealed = |node: &Node| {
        let mut count = 0;
        node.next.unsealed(&mut |_| count += 1);
        count
    };
    assert_eq!(unsealed(&node), 1);
    let before = digest(node.clone());
    assert_eq!(unsealed(&node), 0, "a digest is kept in the cell, which clones share");
    node.next.as_mut().expect("it is there").depth = 5;
    assert_eq!(unsealed(&node), 1);
    assert_ne!(digest(node), before);
}

#[test]
fn a_handle_takes_over_only_the_cell_of_its_entity() {
    let mut child = Child::new(task(1, 1));
    let check = |child: &mut Child<Task>, cell: Arc<dyn AnyCell>, taken: bool| {
        assert_eq!(child.adopt(&cell), taken);
        assert_eq!(Slot::cell(child).is_some_and(|own| Arc::ptr_eq(&own, &cell)), taken);
    };
    check(&mut child, Arc::new(Cell::new(task(2, 5))), false);
    check(&mut child, Arc::new(Cell::new(Node { id: id(1), depth: 0, next: None })), false);
    check(&mut child, Arc::new(Cell::new(task(1, 5))), true);
    assert_eq!(child.effort, 5);
}

// Cold handles.

#[test]
fn a_cold_handle_loads_once_when_somebody_looks() {
    let (child, store) = cold(4);
    let other = child.clone();
    assert_eq!((child.id(), child.is_resident()), (id(4), false));
    assert_eq!((Slot::id(&child), Field::encode(&child)), (entity(4), Value::Entity(entity(4))));
    assert!(Slot::is_same(&child, &other) && child.ptr_eq(&other) && Slot::address(&child) != 0);
    let owner = |task: Child<Task>| ByHandle { id: id(9), task, spare: None, list: Vec::new() };
    assert_eq!(digest(owner(child.clone())), digest(owner(Child::new(task(4, 7)))), "by the digest that it came with");
    assert_eq!(store.loads.load(Ordering::SeqCst), 0);

    assert_eq!(child.effort, 7);
    assert_eq!(*other, task(4, 7));
    assert!(child.is_resident() && other.is_resident());
    assert_eq!(store.loads.load(Ordering::SeqCst), 1);
    assert!(Slot::is_same(&child, &other) && child.ptr_eq(&other));
    let cell = Slot::cell(&other).expect("a handle has a cell");
    assert_eq!(Slot::address(&child), Arc::as_ptr(&cell).cast::<()>().addr());
}

#[test]
fn a_write_to_a_cold_handle_loads_it_and_leaves_its_clones_as_they_are() {
    let (mut child, store) = cold(4);
    let other = child.clone();
    child.effort += 1;
    assert_eq!((child.effort, other.effort), (8, 7));
    assert_eq!(store.loads.load(Ordering::SeqCst), 1);
    assert_ne!(child, other);
    assert_eq!((child.into_inner(), other.into_inner()), (task(4, 8), task(4, 7)));
}

#[test]
fn a_failed_load_is_an_error_where_one_can_be_given_and_unwinds_elsewhere() {
    let (mut child, store) = cold(4);
    store.fails.store(true, Ordering::SeqCst);
    let error = child.get().expect_err("the load fails");
    assert_eq!(error.to_string(), format!("{} could not be loaded: the disk is gone", entity(4)));
    assert_eq!((error.entity(), error.reason().to_string()), (entity(4), "the disk is gone".to_owned()));
    assert_eq!(format!("{child:?}"), format!("<{error}>"));
    assert!(serde_json::to_string(&child).is_err());
    let payload = catch_unwind(AssertUnwindSafe(|| child.effort)).expect_err("it unwinds");
    assert!(payload.downcast_ref::<&str>().is_none() && payload.downcast_ref::<String>().is_none());
    assert!(catch_unwind(AssertUnwindSafe(|| child.effort = 1)).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| child.clone().into_inner())).is_err());
    assert_eq!(child.id(), id(4));
    store.fails.store(false, Ordering::SeqCst);
    assert_eq!(child.effort, 7, "the next look tries again");
}

#[test]
fn a_loader_that_gives_something_else_is_found_out() {
    struct Wrong(Arc<dyn AnyCell>);
    impl Load for Wrong {
        fn load(&self, _: EntityId) -> Result<Arc<dyn AnyCell>, LoadError> {
            Ok(self.0.clone())
        }
    }
    let check = |cell: Arc<dyn AnyCell>, reason: &str| {
        let child = Child::<Task>::cold(id(1), digest(task(1, 1)), Arc::new(Wrong(cell)));
        assert_eq!(child.get().expect_err("it is not the task").reason().to_string(), reason);
    };
    check(Arc::new(Cell::new(task(2, 0))), &format!("found {} under its id", entity(2)));
    check(Arc::new(Cell::new(Node { id: id(1), depth: 0, next: None })), "expected a Task, found a Node");
}

#[test]
fn cold_handles_in_a_list_are_loaded_one_by_one() {
    let store = Arc::new(Store::default());
    let handle = |number| Child::<Task>::cold(id(number), digest(task(number, 7)), store.clone());
    let mut list = Children::try_from_iter((0..200).map(handle)).expect("they are distinct");
    assert_eq!(list.position(id(150)), Some(150));
    let before = list.clone();
    list.move_to(0, 100);
    list.remove_id(id(50));
    list[10].effort = 1;
    let loaded = store.loads.load(Ordering::SeqCst);
    assert_eq!((loaded, list.handles().filter(|child| child.is_resident()).count()), (1, 1));
    assert_eq!(digest(Plan { id: id(1), tasks: before.clone() }), {
        let tasks = Children::try_from_iter((0..200).map(|number| task(number, 7))).expect("they are distinct");
        digest(Plan { id: id(1), tasks })
    });
    assert!(before.delta(&list, None).is_some());
    assert_eq!(store.loads.load(Ordering::SeqCst), loaded, "nothing of this looks inside");
}

// Depth.

#[test]
fn a_chain_of_handles_is_built_copied_edited_digested_and_dropped() {
    let mut chain = Child::new(Node { id: id(DEPTH), depth: DEPTH, next: None });
    for depth in (0..DEPTH).rev() {
        chain = Child::new(Node { id: id(depth), depth, next: Some(chain) });
    }
    let before = chain.clone();
    let before_digest = Slot::cell(&before).expect("a handle has a cell").digest();
    let mut node = &mut chain;
    while node.next.is_some() {
        node = node.next.as_mut().expect("it was there");
    }
    node.depth = 0;
    let count = |mut node: &Child<Node>| {
        let mut sum = u64::from(node.depth);
        while let Some(next) = &node.next {
            node = next;
            sum += u64::from(node.depth);
        }
        sum
    };
    assert_eq!(count(&before) - count(&chain), u64::from(DEPTH));
    assert_ne!(Slot::cell(&chain).expect("a handle has a cell").digest(), before_digest);
    drop(before);
    assert_eq!(count(&chain), u64::from(DEPTH) * u64::from(DEPTH - 1) / 2);
    let head = chain.into_inner();
    drop(head);
}

#[test]
fn lists_within_lists_are_built_copied_edited_digested_and_dropped() {
    let mut root = Folder { id: id(DEPTH), depth: DEPTH, folders: Children::new() };
    for depth in (0..DEPTH).rev() {
        root = Folder { id: id(depth), depth, folders: Children::try_from([root]).expect("it is one") };
    }
    let before = root.clone();
    let mut folder = &mut root;
    while !folder.folders.is_empty() {
        folder = &mut folder.folders[0];
    }
    folder.folders.push(Folder { id: id(DEPTH + 1), depth: 0, folders: Children::new() }).expect("it is new");
    let [before_cell, cell] = [before, root].map(Cell::new);
    assert_ne!(before_cell.digest(), cell.digest());
    let cell: Arc<dyn AnyCell> = Arc::new(cell);
    drop(before_cell);
    drop(cell);
}

#[test]
fn a_chain_that_was_loaded_step_by_step_is_dropped() {
    struct Chain;
    impl Load for Chain {
        fn load(&self, at: EntityId) -> Result<Arc<dyn AnyCell>, LoadError> {
            let depth = number(at);
            let next = (depth < DEPTH).then(|| link(depth + 1));
            Ok(Arc::new(Cell::new(Node { id: id(depth), depth, next })))
        }
    }
    fn link(depth: u32) -> Child<Node> {
        Child::cold(id(depth), Digest::from_bytes([0; 32]), Arc::new(Chain))
    }
    let chain = link(0);
    let mut node = &chain;
    while let Some(next) = &node.next {
        node = next;
    }
    assert_eq!(node.depth, DEPTH);
    drop(chain);
}

#[test]
fn a_panic_in_somebodys_drop_leaves_later_drops_as_they_were() {
    #[derive(Clone, PartialEq, Serialize, Deserialize)]
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0 || std::thread::panicking(), "boom");
        }
    }
    #[derive(Entity, Clone)]
    struct Armed {
        id: Id<Armed>,
        #[entity(value)]
        bomb: Bomb,
        nodes: Children<Node>,
    }
    let nodes = Children::try_from_iter((0..9).map(|depth| Node { id: id(depth), depth, next: None }));
    let armed = Child::new(Armed { id: id(99), bomb: Bomb(true), nodes: nodes.expect("they are distinct") });
    let node = armed.nodes.handle(0).cloned().expect("it is there");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(armed))).is_err());
    let mut chain = node;
    for depth in 10..DEPTH {
        chain = Child::new(Node { id: id(depth), depth, next: Some(chain) });
    }
    drop(chain);
}

// Lists.

#[test]
fn a_repeat_is_refused_and_nothing_changes() {
    let check = |edit: fn(&mut Children<Task>) -> Result<(), RepeatedId>, number: u32, first: usize, second: usize| {
        let mut list = tasks([1, 2, 3]);
        let before = list.clone();
        let error = edit(&mut list).expect_err("it is a repeat");
        assert_eq!((error.id(), error.first(), error.second()), (entity(number), first, second));
        assert_eq!(
            error.to_string(),
            format!(
                "{} would stand twice in this list, at {first} and at {second}: take one of both out",
                entity(number)
            )
        );
        assert_eq!(list, before);
        assert!(list.handles().zip(before.handles()).all(|(left, right)| left.ptr_eq(right)));
    };
    check(|list| list.push(task(2, 9)), 2, 1, 3);
    check(|list| list.insert(0, task(3, 9)), 3, 0, 3);
    check(|list| list.try_extend([task(4, 0), task(5, 0), task(4, 0)]), 4, 3, 5);
    check(|list| list.try_extend([task(4, 0), task(1, 0)]), 1, 0, 4);
    check(|_| Children::try_from(vec![task(1, 0), task(2, 0), task(1, 0)]).map(drop), 1, 0, 2);
    check(|_| Children::try_from([task(1, 0), task(1, 0)]).map(drop), 1, 0, 1);
}

#[test]
fn a_moved_child_keeps_its_identity_and_its_cell() {
    let mut from = tasks(0..100);
    let mut to = tasks(200..300);
    let kept = from.handle(40).cloned().expect("it is there");
    let taken = from.remove_id(id(40)).expect("it is there");
    assert!(taken.ptr_eq(&kept));
    to.insert(7, taken).expect("it is new there");
    assert!(!from.contains(id(40)));
    assert_eq!(to.position(id(40)), Some(7));
    assert!(to.handle(7).is_some_and(|child| child.ptr_eq(&kept)));
}

#[test]
fn a_list_reads_like_a_vec() {
    let mut list = Children::try_from([task(3, 30), task(1, 10), task(2, 20)]).expect("they are distinct");
    assert_eq!((list.len(), list.is_empty(), Children::<Task>::default().is_empty()), (3, false, true));
    assert_eq!((list.first(), list.last()), (Some(&task(3, 30)), Some(&task(2, 20))));
    assert_eq!((list.get(1), list.get(3), list.handle(3)), (Some(&task(1, 10)), None, None));
    assert_eq!((list.by_id(id(1)), list.by_id(id(9))), (Some(&task(1, 10)), None));
    assert!(list.get_mut(3).is_none() && list.by_id_mut(id(9)).is_none());
    assert!(list.remove(3).is_none() && list.remove_id(id(9)).is_none());
    assert_eq!(list.iter().rev().map(|task| task.effort).collect::<Vec<_>>(), [20, 10, 30]);
    assert_eq!(list.iter().len(), 3);
    assert_eq!(list.iter_mut().len(), 3);
    assert_eq!(format!("{list:?}"), format!("{:?}", [task(3, 30), task(1, 10), task(2, 20)]));
    list.sort_by(|left, right| left.effort.cmp(&right.effort));
    assert_eq!(numbers(&list), [1, 2, 3]);
    list.by_id_mut(id(2)).expect("it is there").effort = 0;
    list[2].effort = 1;
    for task in &mut list {
        task.effort += 1;
    }
    assert_eq!((&list).into_iter().map(|task| task.effort).collect::<Vec<_>>(), [11, 1, 2]);
    list.retain(|task| task.effort != 1);
    assert_eq!(list.clone().into_iter().map(Child::into_inner).collect::<Vec<_>>(), [task(1, 11), task(3, 2)]);
    list.clear();
    assert_eq!((list.first(), list.last()), (None, None));
}

#[test]
fn positions_past_the_end_panic_as_those_of_a_vec() {
    let check = |edit: fn(&mut Children<Task>), message: &str| {
        let mut list = tasks([1, 2, 3]);
        let payload = catch_unwind(AssertUnwindSafe(|| edit(&mut list))).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some(message));
        assert_eq!(list, tasks([1, 2, 3]));
    };
    check(|list| _ = &list[3], "index out of bounds: the len is 3 but the index is 3");
    check(|list| list[3].effort = 1, "index out of bounds: the len is 3 but the index is 3");
    check(|list| _ = list.insert(4, task(9, 9)), "insertion position (is 4) should be <= len (is 3)");
    check(|list| list.move_to(0, 3), "move from 0 to 3 is out of range for a length of 3");
}

#[test]
fn a_list_serialises_as_a_list_and_repeats_do_not_read() {
    let plan = Plan { id: id(1), tasks: tasks([5, 4]) };
    let json = serde_json::to_value(&plan).expect("it serialises");
    assert_eq!(json["tasks"].as_array().map(Vec::len), Some(2));
    assert_eq!(serde_json::from_value::<Plan>(json.clone()).expect("it reads"), plan);
    let mut repeated = json;
    repeated["tasks"][1] = repeated["tasks"][0].clone();
    let error = serde_json::from_value::<Plan>(repeated).expect_err("a repeat");
    assert!(error.to_string().contains("would stand twice in this list, at 0 and at 1"), "{error}");
}

#[test]
fn a_list_is_read_from_its_canonical_form() {
    let list = tasks(0..100);
    let mut source = Cells::of(&list);
    let read = Children::<Task>::decode(&list.encode(), &mut source).expect("all are there");
    assert_eq!(read, list);
    assert_eq!(Children::<Task>::absent(), Some(Children::new()));
    assert_eq!(Child::<Task>::absent(), None);
    let mut check = |value: Value, error: &str| {
        let found = Children::<Task>::decode(&value, &mut source).expect_err("it is wrong");
        assert_eq!(found.to_string(), error);
    };
    let at = |number| Value::Entity(entity(number));
    check(Value::Null, "expected a list, found null");
    check(Value::List(vec![at(1), at(200)]), "[1]: expected an entity, found none");
    check(
        Value::List(vec![at(1), at(2), at(1)]),
        &format!(
            "expected each entity once, found {} would stand twice in this list, at 0 and at 2: take one of both out",
            entity(1)
        ),
    );
}

#[test]
fn writing_nothing_through_iter_mut_changes_nothing() {
    let before = tasks(0..1000);
    let mut after = before.clone();
    after.iter_mut().for_each(|_| {});
    assert_eq!(before, after);
    let mut pairs = Pairs::new();
    assert!(before.same(&after, &mut pairs));
    assert_eq!(pairs.len(), 1000, "touched, so to be compared");
    assert_eq!(before.delta(&after, None), None);
    let digest_of = |tasks| digest(Plan { id: id(1), tasks });
    assert_eq!(digest_of(before.clone()), digest_of(after.clone()));
    pairs.clear();
    assert!(before.same(&after, &mut pairs) && pairs.is_empty(), "equal by their digests now");
}

#[test]
fn a_handle_of_a_list_is_kept_and_given_back() {
    let list = tasks(0..100);
    let handle = list.handle_of();
    let restored = Children::<Task>::restore(&handle).expect("it is of this type");
    assert!(restored.handles().zip(list.handles()).all(|(left, right)| left.ptr_eq(right)));
    assert!(Children::<Node>::restore(&handle).is_none());
}

/// `Field::handle`, which `Children::handle` hides.
trait HandleOf: Field {
    fn handle_of(&self) -> Arc<dyn std::any::Any + Send + Sync> {
        Field::handle(self).expect("a list of children has a handle")
    }
}

impl HandleOf for Children<Task> {}

#[test]
fn a_list_takes_over_the_cell_of_one_of_its_entities() {
    let mut list = tasks(0..500);
    let before = list.clone();
    let cell: Arc<dyn AnyCell> = Arc::new(Cell::new(task(123, 9)));
    assert!(list.adopt(&cell));
    assert_eq!((list[123].effort, before[123].effort), (9, 0));
    assert!(Slot::cell(list.handle(123).expect("it is there")).is_some_and(|own| Arc::ptr_eq(&own, &cell)));
    let Some((key, slot)) = list.find(entity(123)) else { panic!("it is there") };
    assert_eq!((key, slot.id()), (Key::Index(123), entity(123)));
    assert!(!list.adopt(&(Arc::new(Cell::new(task(900, 9))) as Arc<dyn AnyCell>)));
    assert!(!list.adopt(&(Arc::new(Cell::new(Node { id: id(5), depth: 0, next: None })) as Arc<dyn AnyCell>)));
    assert!(list.find(entity(900)).is_none());
    assert_eq!((Field::owned(&list), Children::<Task>::ROLE, Children::<Task>::INLINES), (500, Role::Child, false));
}

#[test]
fn what_is_assigned_another_id_is_another_entity() {
    let before = tasks(0..200);
    let mut list = before.clone();
    list[50].id = id(1000);
    assert_eq!((list.position(id(1000)), list.position(id(50))), (Some(50), None));
    assert!(!before.same(&list, &mut Pairs::new()));
    assert_eq!(told(&before, &list), (vec![(50, 50)], vec![(50, 1000)], Vec::new()));
    check_delta(&before, &list);
    let rebuilt = Children::try_from_iter(list.iter().cloned()).expect("they are distinct");
    assert_eq!(digest_of(&list), digest_of(&rebuilt));
    list.push(task(50, 0)).expect("that identity is free");
    assert_eq!(list.push(task(1000, 0)).expect_err("this one is not").first(), 50);
    let cell: Arc<dyn AnyCell> = Arc::new(Cell::new(task(1000, 5)));
    assert!(list.adopt(&cell));
    assert_eq!(list.remove_id(id(1000)).map(|child| child.effort), Some(5));
}

#[test]
fn values_are_swapped_by_assignment_as_in_a_vec() {
    let before = tasks(0..200);
    let mut list = before.clone();
    let (left, right) = (list[20].clone(), list[90].clone());
    list[20] = right;
    assert_eq!(list.position(id(90)), Some(20), "two have one identity for a while: the first is found");
    assert!(!list.contains(id(20)));
    let slots = list.handles().filter(|child| child.id() == id(90)).count();
    assert_eq!(slots, 2, "the engine sees both and refuses them");
    assert!(!before.same(&list, &mut Pairs::new()));
    check_delta(&before, &list);
    list[90] = left;
    assert_eq!((list.position(id(90)), list.position(id(20))), (Some(20), Some(90)));
    let (removed, added, _) = told(&before, &list);
    assert!(removed.is_empty() && added.is_empty());
    check_delta(&before, &list);
    list.iter_mut().for_each(|task| task.id = id(number(task.id.entity_id()) + 1));
    assert_eq!((list.position(id(91)), list.position(id(0)), list.len()), (Some(20), None, 200));
}

fn digest_of(tasks: &Children<Task>) -> Digest {
    digest(Plan { id: id(1), tasks: tasks.clone() })
}

/// What a comparison tells: removed and added, each with its position, and reordered.
type Told = (Vec<(usize, u32)>, Vec<(usize, u32)>, Vec<(usize, usize, u32)>);

fn told(before: &Children<Task>, after: &Children<Task>) -> Told {
    let (mut removed, mut added, mut reordered) = (Vec::new(), Vec::new(), Vec::new());
    let at = |key: Key| key.index().expect("it stands in a list");
    before.pair(after, &mut |change| match change {
        ChildChange::Paired(before, after) => assert_eq!(before.id(), after.id()),
        ChildChange::Removed(key, slot) => removed.push((at(key), number(slot.id()))),
        ChildChange::Added(key, slot) => added.push((at(key), number(slot.id()))),
        ChildChange::Moved { .. } => panic!("nothing has another key than its position"),
        ChildChange::Reordered { from, to, slot, .. } => reordered.push((from, to, number(slot.id()))),
    });
    (removed, added, reordered)
}

fn check_delta<F: Field>(before: &F, after: &F) {
    let (mut value, target) = (before.encode(), after.encode());
    match before.delta(after, None) {
        None => assert_eq!(value, target),
        Some(delta) => {
            assert!(matches!(delta, Delta::List { .. }));
            delta.apply(&mut value).expect("it fits");
            assert_eq!(value, target);
            delta.inverse().apply(&mut value).expect("it fits");
            assert_eq!(value, before.encode());
        }
    }
}

/// One edit. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Edit {
    Push(u32),
    Insert(usize, u32),
    Extend(Vec<u32>),
    Remove(usize),
    RemoveId(u32),
    Move(usize, usize),
    Set(usize, u32),
    SetById(u32, u32),
    SetAll(u32),
    Rename(usize, u32),
    Swap(usize, usize),
    Shift,
    Retain(u32),
    Sort,
}

fn edit() -> impl Strategy<Value = Edit> {
    let number = || 0..400_u32;
    let at = || 0..400_usize;
    prop_oneof![
        number().prop_map(Edit::Push),
        (at(), number()).prop_map(|(at, number)| Edit::Insert(at, number)),
        vec(number(), 0..4).prop_map(Edit::Extend),
        at().prop_map(Edit::Remove),
        number().prop_map(Edit::RemoveId),
        (at(), at()).prop_map(|(from, to)| Edit::Move(from, to)),
        (at(), number()).prop_map(|(at, effort)| Edit::Set(at, effort)),
        (number(), number()).prop_map(|(number, effort)| Edit::SetById(number, effort)),
        number().prop_map(Edit::SetAll),
        (at(), 400..500_u32).prop_map(|(at, number)| Edit::Rename(at, number)),
        (at(), at()).prop_map(|(left, right)| Edit::Swap(left, right)),
        Just(Edit::Shift),
        (2..20_u32).prop_map(Edit::Retain),
        Just(Edit::Sort),
    ]
}

/// Makes the edit in both and gives what it answered, which has to be the same.
fn perform(edit: &Edit, list: &mut Children<Task>, model: &mut Vec<Task>) {
    let len = model.len();
    let find = |model: &[Task], number: u32| model.iter().position(|task| task.id == id(number));
    match *edit {
        Edit::Push(number) => {
            let known = find(model, number);
            let pushed = list.push(task(number, 0));
            assert_eq!(pushed.err().map(|error| (error.first(), error.second())), known.map(|at| (at, len)));
            if known.is_none() {
                model.push(task(number, 0));
            }
        }
        Edit::Insert(at, number) => {
            let (at, known) = (at % (len + 1), find(model, number).is_some());
            assert_eq!(list.insert(at, task(number, 0)).is_err(), known);
            if !known {
                model.insert(at, task(number, 0));
            }
        }
        Edit::Extend(ref numbers) => {
            let mut seen: HashSet<u32> = HashSet::new();
            let fits = numbers.iter().all(|number| find(model, *number).is_none() && seen.insert(*number));
            assert_eq!(list.try_extend(numbers.iter().map(|number| task(*number, 0))).is_ok(), fits);
            if fits {
                model.extend(numbers.iter().map(|number| task(*number, 0)));
            }
        }
        Edit::Remove(at) => {
            let removed = (at < len).then(|| model.remove(at));
            assert_eq!(list.remove(at).map(Child::into_inner), removed);
        }
        Edit::RemoveId(number) => {
            let removed = find(model, number).map(|at| model.remove(at));
            assert_eq!(list.remove_id(id(number)).map(Child::into_inner), removed);
        }
        Edit::Move(from, to) if len > 0 => {
            let (from, to) = (from % len, to % len);
            list.move_to(from, to);
            let task = model.remove(from);
            model.insert(to, task);
        }
        Edit::Set(at, effort) => {
            let (found, place) = (list.get_mut(at), model.get_mut(at));
            assert_eq!(found, place);
            found.into_iter().chain(place).for_each(|task| task.effort = effort);
        }
        Edit::SetById(number, effort) => {
            let place = find(model, number).map(|at| &mut model[at]);
            let found = list.by_id_mut(id(number));
            assert_eq!(found, place);
            found.into_iter().chain(place).for_each(|task| task.effort = effort);
        }
        Edit::SetAll(effort) => {
            list.iter_mut().chain(model).for_each(|task| task.effort = task.effort.max(effort));
        }
        Edit::Rename(at, number) if len > 0 && find(model, number).is_none() => {
            list[at % len].id = id(number);
            model[at % len].id = id(number);
        }
        Edit::Swap(left, right) if len > 0 => {
            let (left, right) = (left % len, right % len);
            model.swap(left, right);
            list[left] = model[left].clone();
            list[right] = model[right].clone();
        }
        Edit::Shift => {
            list.iter_mut().chain(model).for_each(|task| task.id = id(number(task.id.entity_id()) + 1));
        }
        Edit::Retain(modulus) => {
            let keep = |task: &Task| !number(task.id.entity_id()).is_multiple_of(modulus);
            list.retain(keep);
            model.retain(keep);
        }
        Edit::Sort => {
            let order = |left: &Task, right: &Task| (left.effort, left.id).cmp(&(right.effort, right.id));
            list.sort_by(order);
            model.sort_by(order);
        }
        Edit::Move(..) | Edit::Rename(..) | Edit::Swap(..) => {}
    }
}

/// Checks all that can be asked of the list.
fn check_list(list: &Children<Task>, model: &[Task]) {
    assert_eq!(list.len(), model.len());
    assert!(list.iter().eq(model) && list.iter().rev().eq(model.iter().rev()));
    for (at, task) in model.iter().enumerate() {
        assert_eq!((list.position(task.id), list.get(at), list.by_id(task.id)), (Some(at), Some(task), Some(task)));
    }
    for absent in (0..500).map(id).filter(|id| model.iter().all(|task| task.id != *id)).take(20) {
        assert!(!list.contains(absent));
    }
    let built = Children::try_from_iter(model.iter().cloned()).expect("the model has no repeats");
    assert_eq!(digest_of(list), digest_of(&built));
    let mut slots = Vec::new();
    list.slots(&mut |key, slot| slots.push((key, slot.id())));
    assert!(slots.into_iter().eq(model.iter().enumerate().map(|(at, task)| (Key::Index(at), task.id.entity_id()))));
    let json = serde_json::to_string(list).expect("it serialises");
    assert_eq!(json, serde_json::to_string(model).expect("it serialises"));
    assert_eq!(serde_json::from_str::<Children<Task>>(&json).expect("it reads"), *list);
}

/// Checks what a comparison of two states says against the models.
fn check_comparison(before: (&Children<Task>, &[Task]), after: (&Children<Task>, &[Task])) {
    let ids = |model: &[Task]| model.iter().map(|task| number(task.id.entity_id())).collect::<Vec<_>>();
    let (old, new) = (ids(before.1), ids(after.1));
    let only = |these: &[u32], those: &[u32]| {
        let those: HashSet<u32> = those.iter().copied().collect();
        these.iter().copied().enumerate().filter(|(_, number)| !those.contains(number)).collect::<Vec<_>>()
    };
    let (removed, added, reordered) = told(before.0, after.0);
    assert_eq!((removed, added), (only(&old, &new), only(&new, &old)));
    let moved: HashSet<u32> = reordered.iter().map(|(_, _, number)| *number).collect();
    assert!(reordered.iter().all(|&(from, to, number)| (old[from], new[to]) == (number, number)));
    let stays = |these: &[u32], those: &[u32]| {
        let those: HashSet<u32> = those.iter().copied().filter(|number| !moved.contains(number)).collect();
        these.iter().copied().filter(|number| those.contains(number)).collect::<Vec<_>>()
    };
    assert_eq!(stays(&old, &new), stays(&new, &old));

    let mut paired = HashSet::new();
    before.0.pair(after.0, &mut |change| {
        if let ChildChange::Paired(before, _) = change {
            assert!(paired.insert(number(before.id())));
        }
    });
    for task in after.1 {
        let differs = before.1.iter().any(|old| old.id == task.id && old.effort != task.effort);
        assert!(!differs || paired.contains(&number(task.id.entity_id())));
    }
    let mut pairs = Pairs::new();
    assert_eq!(before.0.same(after.0, &mut pairs), old == new);
    if old == new {
        assert_eq!(pairs.iter().map(|(before, _)| number(before.id())).collect::<HashSet<_>>(), paired);
    }
    check_delta(before.0, after.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn children_are_a_vec_that_remembers(start in 0..250_u32, programs in vec(vec(edit(), 1..6), 1..6)) {
        let mut list = tasks(0..start);
        let mut model: Vec<Task> = list.iter().cloned().collect();
        let mut states = vec![(list.clone(), model.clone())];
        for program in &programs {
            for edit in program {
                perform(edit, &mut list, &mut model);
            }
            // Taken before anything is asked of it, too.
            states.push((list.clone(), model.clone()));
            let (before, before_model) = &states[states.len() - 2];
            check_comparison((before, before_model), (&list, &model));
            check_comparison((&list, &model), (before, before_model));
            check_list(&list, &model);
        }
        for (state, model) in &states {
            check_list(state, model);
            check_comparison((state, model), (&states[0].0, &states[0].1));
        }
    }

    #[test]
    fn references_are_a_vec_that_remembers(start in 0..150_u32, edits in vec(edit(), 0..24)) {
        let mut model: Vec<Id<Task>> = (0..start).map(id).collect();
        let mut list = References::try_from(model.clone()).expect("they are distinct");
        let before = (list.clone(), model.clone());
        for edit in &edits {
            perform_on_references(edit, &mut list, &mut model);
        }
        for (list, model) in [&before, &(list.clone(), model.clone())] {
            prop_assert!(list.iter().eq(model.iter().copied()) && list.iter().rev().eq(model.iter().rev().copied()));
            prop_assert_eq!(list.len(), model.len());
            prop_assert!(model.iter().enumerate().all(|(at, id)| list.position(*id) == Some(at) && list[at] == *id));
            prop_assert_eq!(list.encode(), model.encode());
            prop_assert_eq!(&References::decode(&model.encode(), &mut NoSource).expect("it reads"), list);
            let json = serde_json::to_string(model).expect("it serialises");
            prop_assert_eq!(&serde_json::to_string(list).expect("it serialises"), &json);
            prop_assert_eq!(&serde_json::from_str::<References<Task>>(&json).expect("it reads"), list);
            let user = |follows| digest(User { id: id(1), follows });
            let built = References::try_from_iter(model.iter().copied()).expect("the model has no repeats");
            prop_assert_eq!(user(list.clone()), user(built));
        }
        prop_assert_eq!(before.0.same(&list, &mut Pairs::new()), before.1 == model);
        prop_assert_eq!(before.0 == list, before.1 == model);
        check_delta(&before.0, &list);
        let (mut changes, mut expected) = (Vec::new(), Vec::new());
        before.0.reference_changes(&list, &mut |new, id| changes.push((new, id)));
        before.1.reference_changes(&model, &mut |new, id| expected.push((new, id)));
        changes.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(changes, expected);
    }
}

fn perform_on_references(edit: &Edit, list: &mut References<Task>, model: &mut Vec<Id<Task>>) {
    let len = model.len();
    let is_known = |model: &[Id<Task>], number: u32| model.contains(&id(number));
    match *edit {
        Edit::Push(number) => {
            let known = is_known(model, number);
            assert_eq!(list.push(id(number)).is_err(), known);
            model.extend((!known).then(|| id(number)));
        }
        Edit::Insert(at, number) => {
            let (at, known) = (at % (len + 1), is_known(model, number));
            assert_eq!(list.insert(at, id(number)).is_err(), known);
            if !known {
                model.insert(at, id(number));
            }
        }
        Edit::Extend(ref numbers) => {
            let mut seen = HashSet::new();
            let fits = numbers.iter().all(|number| !is_known(model, *number) && seen.insert(*number));
            assert_eq!(list.try_extend(numbers.iter().map(|number| id(*number))).is_ok(), fits);
            model.extend(numbers.iter().filter(|_| fits).map(|number| id(*number)));
        }
        Edit::Remove(at) => assert_eq!(list.remove(at), (at < len).then(|| model.remove(at))),
        Edit::RemoveId(number) => {
            let at = model.iter().position(|known| *known == id(number));
            at.map(|at| model.remove(at));
            assert_eq!(list.remove_id(id(number)), at);
        }
        Edit::Move(from, to) if len > 0 => {
            list.move_to(from % len, to % len);
            let moved = model.remove(from % len);
            model.insert(to % len, moved);
        }
        Edit::Retain(modulus) => {
            let keep = |id: Id<Task>| !number(id.entity_id()).is_multiple_of(modulus);
            list.retain(keep);
            model.retain(|id| keep(*id));
        }
        _ => {}
    }
}

// References.

#[test]
fn references_stand_for_entities_that_stand_elsewhere() {
    let mut list = References::try_from([id::<Task>(1), id(2)]).expect("they are distinct");
    assert_eq!((References::<Task>::ROLE, References::<Task>::HOLDS_ENTITIES), (Role::Reference, false));
    let mut visited = Vec::new();
    list.references(&mut |id| visited.push(id));
    assert_eq!(visited, [entity(1), entity(2)]);
    assert_eq!((list.first(), list.last(), list.get(2)), (Some(id(1)), Some(id(2)), None));
    let error = list.push(id(1)).expect_err("a repeat");
    assert_eq!((error.id(), error.first(), error.second()), (entity(1), 0, 2));
    assert_eq!(list.clone().into_iter().collect::<Vec<_>>(), [id(1), id(2)]);
    assert_eq!(format!("{list:?}"), format!("[{}, {}]", entity(1), entity(2)));
    list.clear();
    assert!(list.is_empty() && list == References::default());
    let repeated = Value::List(vec![Value::Reference(entity(1)), Value::Reference(entity(1))]);
    assert!(References::<Task>::decode(&repeated, &mut NoSource).is_err());
    assert!(serde_json::from_str::<References<Task>>(&format!("[\"{0}\", \"{0}\"]", entity(1))).is_err());
    assert_eq!(User::META.layout().text(), PlainUser::META.layout().text());
}

// Values.

#[test]
fn a_shared_value_is_copied_when_it_is_written_while_shared() {
    let mut value = Shared::new(vec![1, 2, 3]);
    let before = value.clone();
    assert!(value.ptr_eq(&before) && value.same(&before, &mut Pairs::new()));
    value[0] = 9;
    value.make_mut().push(4);
    assert_eq!((&*before, &*value), (&vec![1, 2, 3], &vec![9, 2, 3, 4]));
    let place = value.as_ptr();
    value[1] = 8;
    assert_eq!(value.as_ptr(), place, "what nobody shares is not copied");
    assert_eq!((before.clone().into_inner(), Shared::from(vec![1, 2, 3])), (vec![1, 2, 3], before));
}

#[test]
fn a_shared_value_counts_as_the_value() {
    let check = |plain: Vec<Id<Task>>, other: Vec<Id<Task>>| {
        let (shared, other_shared) = (Shared::new(plain.clone()), Shared::new(other.clone()));
        assert_eq!(shared.encode(), plain.encode());
        assert_eq!(Shared::decode(&plain.encode(), &mut NoSource).expect("it reads"), shared);
        let same = plain.same(&other, &mut Pairs::new());
        assert_eq!(shared.same(&other_shared, &mut Pairs::new()), same);
        assert_eq!(shared.delta(&other_shared, None), plain.delta(&other, None));
        let (mut left, mut right) = (Vec::new(), Vec::new());
        shared.reference_changes(&other_shared, &mut |new, id| left.push((new, id)));
        plain.reference_changes(&other, &mut |new, id| right.push((new, id)));
        assert_eq!(left, right);
        assert_eq!(serde_json::to_string(&shared).ok(), serde_json::to_string(&plain).ok());
        assert_eq!(format!("{shared:?}"), format!("{plain:?}"));
    };
    check(vec![id(1), id(2)], vec![id(1), id(2)]);
    check(vec![id(1), id(2)], vec![id(2), id(3)]);
    assert_eq!(Shared::<Vec<Id<Task>>>::ROLE, Vec::<Id<Task>>::ROLE);
    assert_eq!(Shared::<Option<u8>>::absent(), Some(Shared::new(None)));
}

#[test]
fn handles_go_from_thread_to_thread() {
    fn check<F: Send + Sync + 'static>() {}
    check::<Child<Folder>>();
    check::<Children<Folder>>();
    check::<References<Folder>>();
    check::<Shared<String>>();
    let list = tasks(0..2000);
    std::thread::scope(|scope| {
        for part in 0..4 {
            let mut own = list.clone();
            scope.spawn(move || {
                for at in (part..2000).step_by(4) {
                    own[at].effort = 1;
                }
                assert_eq!(own.iter().filter(|task| task.effort == 1).count(), 500);
            });
        }
    });
    assert!(list.iter().all(|task| task.effort == 0));
}
