//! An ordered list of owned entities behind shared handles.

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::{DerefMut, Index, IndexMut};
use std::vec;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::child::Child;
use super::items::{Items, Keyed};
use super::repeated::RepeatedId;
use super::sequence;
use crate::entity::Entity;
use crate::id::Id;

/// Owned entities in order, each behind a [`Child`] handle: copied when written, never compared when untouched.
///
/// It reads like a `Vec` and finds by identity too. Every edit costs O(log n), a clone O(1), and what two states share
/// they share in memory; the engine and the store look only at the rest. No identity stands in it twice: what would
/// make one do so is refused.
///
/// Whoever writes through `&mut T` may assign another id: from then on it is another entity, here and for the engine.
/// If two have the same then, the next commit is refused.
///
/// ```
/// # use heirloom::{Children, Entity, Id};
/// #[derive(Entity, Clone, Debug, PartialEq)]
/// struct Task { id: Id<Task>, title: String }
/// #[derive(Entity, Clone, Debug, PartialEq)]
/// struct Plan { id: Id<Plan>, tasks: Children<Task> }
///
/// let mut plan = Plan { id: Id::new(), tasks: Children::new() };
/// for title in ["design", "build"] {
///     plan.tasks.push(Task { id: Id::new(), title: title.into() })?;
/// }
/// let before = plan.clone();
/// plan.tasks[1].title = "build it".into();
/// plan.tasks.move_to(1, 0);
/// assert_eq!(before.tasks[1].title, "build");
/// assert_eq!(plan.tasks.position(before.tasks[1].id), Some(0));
/// # Ok::<(), heirloom::RepeatedId>(())
/// ```
#[derive(Clone)]
pub struct Children<T: Entity> {
    pub(super) items: Items<T>,
}

impl<T: Entity> Children<T> {
    /// No entities.
    #[must_use]
    pub fn new() -> Self {
        Self { items: Items::new() }
    }

    /// These entities, or handles to them, in this order, in O(n).
    ///
    /// # Errors
    /// An identity occurs twice.
    pub fn try_from_iter<C: Into<Child<T>>>(entities: impl IntoIterator<Item = C>) -> Result<Self, RepeatedId> {
        Ok(Self { items: Items::from_children(entities.into_iter().map(Into::into))? })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.in_order().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.in_order().is_empty()
    }

    /// The entity at this position, in O(log n).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.handle(index).map(|child| &**child)
    }

    /// The handle at this position, in O(log n): clone it to share the entity.
    #[must_use]
    pub fn handle(&self, index: usize) -> Option<&Child<T>> {
        self.items.in_order().get(index).map(|item| &item.child)
    }

    /// The first entity.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.get(0)
    }

    /// The last entity.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Where the entity of this identity stands, in O(log n), but O(n) for the first question that is put to a long
    /// list or to one that was written through [`iter_mut`](Self::iter_mut).
    #[must_use]
    pub fn position(&self, id: Id<T>) -> Option<usize> {
        self.items.position(id.entity_id())
    }

    /// The entity of this identity; costs as [`position`](Self::position).
    #[must_use]
    pub fn by_id(&self, id: Id<T>) -> Option<&T> {
        self.get(self.position(id)?)
    }

    /// Whether the entity of this identity is here; costs as [`position`](Self::position).
    #[must_use]
    pub fn contains(&self, id: Id<T>) -> bool {
        self.position(id).is_some()
    }

    /// The entity at this position to be written, in O(log n): copied first if it is shared.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        (index < self.len()).then_some(())?;
        self.items.expose(index).map(DerefMut::deref_mut)
    }

    /// The entity of this identity to be written: copied first if it is shared. Costs as [`position`](Self::position).
    pub fn by_id_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.get_mut(self.position(id)?)
    }

    /// Puts an entity, or a handle to one, at the end; costs as [`position`](Self::position).
    ///
    /// # Errors
    /// An entity of its identity is here already. Then nothing changes, and the one that was to come is dropped.
    pub fn push(&mut self, entity: impl Into<Child<T>>) -> Result<(), RepeatedId> {
        Ok(self.items.change().push(Keyed::new(entity.into()))?)
    }

    /// Puts an entity, or a handle to one, before the one at this position, or at the end; costs as
    /// [`position`](Self::position).
    ///
    /// # Errors
    /// An entity of its identity is here already. Then nothing changes, and the one that was to come is dropped.
    ///
    /// # Panics
    /// If `index` is greater than the length, as `Vec::insert`.
    pub fn insert(&mut self, index: usize, entity: impl Into<Child<T>>) -> Result<(), RepeatedId> {
        Ok(self.items.change().insert(index, Keyed::new(entity.into()))?)
    }

    /// Puts these entities, or handles to them, at the end.
    ///
    /// # Errors
    /// An entity of one of their identities is here already, or comes twice. Then nothing changes.
    pub fn try_extend<C: Into<Child<T>>>(&mut self, entities: impl IntoIterator<Item = C>) -> Result<(), RepeatedId> {
        let mut extended = self.clone();
        entities.into_iter().try_for_each(|entity| extended.push(entity))?;
        *self = extended;
        Ok(())
    }

    /// Takes the entity at this position out, in O(log n). `None` if there is none.
    ///
    /// It keeps its identity and stays shared: pushed into another list, it has moved there.
    pub fn remove(&mut self, index: usize) -> Option<Child<T>> {
        self.items.change().remove(index).map(|item| item.child)
    }

    /// Takes the entity of this identity out; costs as [`position`](Self::position). `None` if it is not here.
    pub fn remove_id(&mut self, id: Id<T>) -> Option<Child<T>> {
        self.remove(self.position(id)?)
    }

    /// Takes the entity at `from` out and puts it back so that it stands at `to`, in O(log n).
    ///
    /// # Panics
    /// If there is no entity at `from` or at `to`.
    pub fn move_to(&mut self, from: usize, to: usize) {
        self.items.change().move_to(from, to);
    }

    /// Takes out all entities that `keep` says no to, in O(n).
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let gone: Vec<usize> =
            self.iter().enumerate().filter(|(_, entity)| !keep(entity)).map(|(index, _)| index).collect();
        if gone.len() == self.len() {
            return self.clear();
        }
        // One by one, and not built anew: what stays is still shared with other states.
        let items = self.items.change();
        gone.into_iter().rev().for_each(|index| _ = items.remove(index));
    }

    /// Takes out all entities.
    pub fn clear(&mut self) {
        self.items = Items::new();
    }

    /// Puts the entities in order, those that compare equal in the order that they had. O(n log n), or O(n) and no
    /// change if they are in order.
    pub fn sort_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        if self.iter().is_sorted_by(|left, right| compare(left, right).is_le()) {
            return;
        }
        let mut items: Vec<Keyed<T>> = self.items.change().iter().cloned().collect();
        items.sort_by(|left, right| compare(&left.child, &right.child));
        self.items.reorder(items);
    }

    /// The entities in order, from either end.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { items: self.items.in_order().iter() }
    }

    /// The entities in order, to be written. Each that the iterator comes to is copied if it is shared, whether it is
    /// written or not; the engine sees that those that were not are the same.
    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        IterMut { items: self.items.expose_all().iter_mut() }
    }

    /// The handles in order, from either end.
    pub fn handles(&self) -> impl DoubleEndedIterator<Item = &Child<T>> + ExactSizeIterator + FusedIterator + Clone {
        self.items.in_order().iter().map(|item| &item.child)
    }
}

impl<T: Entity> Default for Children<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Entity> TryFrom<Vec<T>> for Children<T> {
    type Error = RepeatedId;

    fn try_from(entities: Vec<T>) -> Result<Self, RepeatedId> {
        Self::try_from_iter(entities)
    }
}

impl<T: Entity, const N: usize> TryFrom<[T; N]> for Children<T> {
    type Error = RepeatedId;

    fn try_from(entities: [T; N]) -> Result<Self, RepeatedId> {
        Self::try_from_iter(entities)
    }
}

/// # Panics
/// If there is no entity at this position.
impl<T: Entity> Index<usize> for Children<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        self.get(index).unwrap_or_else(|| out_of_bounds(index, self.len()))
    }
}

/// # Panics
/// If there is no entity at this position.
impl<T: Entity> IndexMut<usize> for Children<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        let len = self.len();
        self.get_mut(index).unwrap_or_else(|| out_of_bounds(index, len))
    }
}

pub(super) fn out_of_bounds(index: usize, len: usize) -> ! {
    panic!("index out of bounds: the len is {len} but the index is {index}")
}

impl<T: Entity + fmt::Debug> fmt::Debug for Children<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.handles()).finish()
    }
}

impl<T: Entity + PartialEq> PartialEq for Children<T> {
    fn eq(&self, other: &Self) -> bool {
        self.items.in_order().is_same(other.items.in_order())
            || self.len() == other.len() && self.handles().eq(other.handles())
    }
}

impl<T: Entity + Eq> Eq for Children<T> {}

impl<T: Entity + Serialize> Serialize for Children<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.handles())
    }
}

impl<'de, T: Entity + Deserialize<'de>> Deserialize<'de> for Children<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Entity + Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Children<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of {}", T::META.name)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Children<T>, A::Error> {
                let mut children = Vec::<Child<T>>::new();
                while let Some(child) = items.next_element()? {
                    children.push(child);
                }
                Children::try_from_iter(children).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<'a, T: Entity> IntoIterator for &'a Children<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Entity> IntoIterator for &'a mut Children<T> {
    type Item = &'a mut T;
    type IntoIter = IterMut<'a, T>;

    fn into_iter(self) -> IterMut<'a, T> {
        self.iter_mut()
    }
}

impl<T: Entity> IntoIterator for Children<T> {
    type Item = Child<T>;
    type IntoIter = vec::IntoIter<Child<T>>;

    fn into_iter(self) -> vec::IntoIter<Child<T>> {
        self.handles().cloned().collect::<Vec<_>>().into_iter()
    }
}

/// The entities of a [`Children`] in order, from either end.
#[derive(Clone)]
pub struct Iter<'a, T: Entity> {
    items: sequence::Iter<'a, Keyed<T>>,
}

impl<'a, T: Entity> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.items.next().map(|item| &*item.child)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<'a, T: Entity> DoubleEndedIterator for Iter<'a, T> {
    fn next_back(&mut self) -> Option<&'a T> {
        self.items.next_back().map(|item| &*item.child)
    }
}

impl<T: Entity> ExactSizeIterator for Iter<'_, T> {}

impl<T: Entity> FusedIterator for Iter<'_, T> {}

/// The entities of a [`Children`] in order, to be written.
pub struct IterMut<'a, T: Entity> {
    items: sequence::IterMut<'a, Keyed<T>>,
}

impl<'a, T: Entity> Iterator for IterMut<'a, T> {
    type Item = &'a mut T;

    fn next(&mut self) -> Option<&'a mut T> {
        self.items.next().map(|item| &mut *item.child)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<T: Entity> ExactSizeIterator for IterMut<'_, T> {}

impl<T: Entity> FusedIterator for IterMut<'_, T> {}
