//! An ordered list of references to entities that stand elsewhere.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::Index;
use std::vec;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::children::out_of_bounds;
use super::field::{decode_items, delta};
use super::repeated::RepeatedId;
use super::sequence::{self, Difference, Item, Sequence};
use crate::digest::{Digest, Digester};
use crate::entity::{Field, Pairs, Plain, Source};
use crate::id::{EntityId, Id};
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Delta, Value};

/// References in order, for an entity that points at very many.
///
/// What [`Children`](super::Children) is to owned entities, it is to references: every edit costs O(log n), a clone
/// O(1), and the engine looks only at what changed. No reference stands in it twice: what would make one do so is
/// refused. For a few, `Vec<Id<T>>` is as good.
///
/// ```
/// # use heirloom::{Entity, Id, References};
/// #[derive(Entity, Clone, Debug, PartialEq)]
/// struct User { id: Id<User>, follows: References<User> }
///
/// let (ada, bob) = (Id::new(), Id::new());
/// let mut user = User { id: Id::new(), follows: References::new() };
/// user.follows.push(ada)?;
/// user.follows.insert(0, bob)?;
/// assert!(user.follows.push(ada).is_err());
/// assert_eq!(user.follows.iter().collect::<Vec<_>>(), [bob, ada]);
/// # Ok::<(), heirloom::RepeatedId>(())
/// ```
pub struct References<T> {
    ids: Sequence<Id<T>>,
}

impl<T> Item for Id<T> {
    fn id(&self) -> EntityId {
        self.entity_id()
    }
    // There is nothing but the id to digest: it stands for itself.
    fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.entity_id().as_bytes());
        Digest::from_bytes(bytes)
    }
    fn known_digest(&self) -> Option<Digest> {
        Some(Item::digest(self))
    }
    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl<T> References<T> {
    /// No references.
    #[must_use]
    pub fn new() -> Self {
        Self { ids: Sequence::new() }
    }

    /// These references in this order, in O(n).
    ///
    /// # Errors
    /// One occurs twice.
    pub fn try_from_iter(ids: impl IntoIterator<Item = Id<T>>) -> Result<Self, RepeatedId> {
        Ok(Self { ids: Sequence::from_items(ids)? })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The reference at this position, in O(log n).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Id<T>> {
        self.ids.get(index).copied()
    }

    /// The first reference.
    #[must_use]
    pub fn first(&self) -> Option<Id<T>> {
        self.get(0)
    }

    /// The last reference.
    #[must_use]
    pub fn last(&self) -> Option<Id<T>> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Where this reference stands, in O(log n), or O(n) for the first question that is put to a long list.
    #[must_use]
    pub fn position(&self, id: Id<T>) -> Option<usize> {
        self.ids.position(id.entity_id())
    }

    /// Whether this reference is here; costs as [`position`](Self::position).
    #[must_use]
    pub fn contains(&self, id: Id<T>) -> bool {
        self.position(id).is_some()
    }

    /// Puts a reference at the end; costs as [`position`](Self::position).
    ///
    /// # Errors
    /// It is here already; nothing changes then.
    pub fn push(&mut self, id: Id<T>) -> Result<(), RepeatedId> {
        Ok(self.ids.push(id)?)
    }

    /// Puts a reference before the one at this position, or at the end; costs as [`position`](Self::position).
    ///
    /// # Errors
    /// It is here already; nothing changes then.
    ///
    /// # Panics
    /// If `index` is greater than the length, as `Vec::insert`.
    pub fn insert(&mut self, index: usize, id: Id<T>) -> Result<(), RepeatedId> {
        Ok(self.ids.insert(index, id)?)
    }

    /// Puts these references at the end.
    ///
    /// # Errors
    /// One is here already, or comes twice; nothing changes then.
    pub fn try_extend(&mut self, ids: impl IntoIterator<Item = Id<T>>) -> Result<(), RepeatedId> {
        let mut extended = self.clone();
        ids.into_iter().try_for_each(|id| extended.push(id))?;
        *self = extended;
        Ok(())
    }

    /// Takes the reference at this position out, in O(log n). `None` if there is none.
    pub fn remove(&mut self, index: usize) -> Option<Id<T>> {
        self.ids.remove(index)
    }

    /// Takes this reference out and tells where it stood; costs as [`position`](Self::position). `None` if it is not
    /// here.
    pub fn remove_id(&mut self, id: Id<T>) -> Option<usize> {
        let index = self.position(id)?;
        self.ids.remove(index);
        Some(index)
    }

    /// Takes the reference at `from` out and puts it back so that it stands at `to`, in O(log n).
    ///
    /// # Panics
    /// If there is no reference at `from` or at `to`.
    pub fn move_to(&mut self, from: usize, to: usize) {
        self.ids.move_to(from, to);
    }

    /// Takes out all references that `keep` says no to, in O(n).
    pub fn retain(&mut self, mut keep: impl FnMut(Id<T>) -> bool) {
        let gone: Vec<usize> = self.iter().enumerate().filter(|(_, id)| !keep(*id)).map(|(index, _)| index).collect();
        if gone.len() == self.len() {
            return self.clear();
        }
        gone.into_iter().rev().for_each(|index| _ = self.ids.remove(index));
    }

    /// Takes out all references.
    pub fn clear(&mut self) {
        self.ids = Sequence::new();
    }

    /// The references in order, from either end.
    pub fn iter(&self) -> ReferenceIter<'_, T> {
        ReferenceIter { ids: self.ids.iter() }
    }
}

impl<T> Clone for References<T> {
    fn clone(&self) -> Self {
        Self { ids: self.ids.clone() }
    }
}

impl<T> Default for References<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TryFrom<Vec<Id<T>>> for References<T> {
    type Error = RepeatedId;

    fn try_from(ids: Vec<Id<T>>) -> Result<Self, RepeatedId> {
        Self::try_from_iter(ids)
    }
}

impl<T, const N: usize> TryFrom<[Id<T>; N]> for References<T> {
    type Error = RepeatedId;

    fn try_from(ids: [Id<T>; N]) -> Result<Self, RepeatedId> {
        Self::try_from_iter(ids)
    }
}

/// # Panics
/// If there is no reference at this position.
impl<T> Index<usize> for References<T> {
    type Output = Id<T>;

    fn index(&self, index: usize) -> &Id<T> {
        self.ids.get(index).unwrap_or_else(|| out_of_bounds(index, self.len()))
    }
}

impl<T> fmt::Debug for References<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T> PartialEq for References<T> {
    fn eq(&self, other: &Self) -> bool {
        self.ids.is_same(&other.ids) || self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T> Eq for References<T> {}

impl<T> Serialize for References<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de, T> Deserialize<'de> for References<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T> Visitor<'de> for List<T> {
            type Value = References<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of ids")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<References<T>, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = items.next_element()? {
                    ids.push(id);
                }
                References::try_from_iter(ids).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<'a, T> IntoIterator for &'a References<T> {
    type Item = Id<T>;
    type IntoIter = ReferenceIter<'a, T>;

    fn into_iter(self) -> ReferenceIter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for References<T> {
    type Item = Id<T>;
    type IntoIter = vec::IntoIter<Id<T>>;

    fn into_iter(self) -> vec::IntoIter<Id<T>> {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

/// The references of a [`References`] in order, from either end.
#[derive(Clone)]
pub struct ReferenceIter<'a, T> {
    ids: sequence::Iter<'a, Id<T>>,
}

impl<T> Iterator for ReferenceIter<'_, T> {
    type Item = Id<T>;

    fn next(&mut self) -> Option<Id<T>> {
        self.ids.next().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ids.size_hint()
    }
}

impl<T> DoubleEndedIterator for ReferenceIter<'_, T> {
    fn next_back(&mut self) -> Option<Id<T>> {
        self.ids.next_back().copied()
    }
}

impl<T> ExactSizeIterator for ReferenceIter<'_, T> {}

impl<T> FusedIterator for ReferenceIter<'_, T> {}

impl<T: 'static> Field for References<T> {
    const ROLE: Role = Role::Reference;

    fn layout(layouter: &mut Layouter) -> String {
        format!("list<{}>", Id::<T>::layout(layouter))
    }
    fn encode(&self) -> Value {
        Value::List(self.iter().map(|id| id.encode()).collect())
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        Self::try_from_iter(decode_items(value, source)?)
            .map_err(|repeated| DecodeError::saying("each reference once", repeated.to_string()))
    }
    fn same<'a>(&'a self, after: &'a Self, _: &mut Pairs<'a>) -> bool {
        if self.ids.is_same(&after.ids) {
            return true;
        }
        let mut same = self.len() == after.len();
        if same {
            self.ids.diff(&after.ids, &mut |_| same = false);
        }
        same
    }
    fn delta(&self, after: &Self, _: Option<&str>) -> Option<Delta> {
        delta(&self.ids, &after.ids, Value::Reference)
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        self.iter().for_each(|id| visit(id.entity_id()));
    }
    fn reference_changes(&self, after: &Self, visit: &mut dyn FnMut(bool, EntityId)) {
        self.ids.diff(&after.ids, &mut |difference| match difference {
            Difference::Removed(_, id) => visit(false, id.entity_id()),
            Difference::Added(_, id) => visit(true, id.entity_id()),
            Difference::Touched { .. } | Difference::Reordered { .. } => {}
        });
    }
    fn digest(&self, into: &mut Digester) {
        into.digest(self.ids.digest());
    }
}

impl<T: 'static> Plain for References<T> {}
