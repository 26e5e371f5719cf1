//! Large values that are copied only when they are written.

use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::{fmt, ptr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digester;
use crate::entity::{Field, Pairs, Plain, Source};
use crate::id::EntityId;
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Delta, Value};

/// A large value of an entity's own behind a shared pointer, so that copying the entity does not copy it.
///
/// It reads like the value, and everywhere else counts as the value. A clone is O(1); the first write to a shared one
/// copies the value.
///
/// ```
/// # use heirloom::{Entity, Id, Shared};
/// #[derive(Entity, Clone, Debug, PartialEq)]
/// struct Photo { id: Id<Photo>, pixels: Shared<Vec<u8>> }
///
/// let before = Photo { id: Id::new(), pixels: Shared::new(vec![0; 1 << 20]) };
/// let mut photo = before.clone();
/// photo.pixels[0] = 255;
/// assert_eq!((before.pixels[0], photo.pixels[0]), (0, 255));
/// ```
#[derive(Default, Eq)]
pub struct Shared<V> {
    value: Arc<V>,
}

impl<V> Shared<V> {
    /// This value, to be shared.
    #[must_use]
    pub fn new(value: V) -> Self {
        Self { value: Arc::new(value) }
    }

    /// Whether both share one value, in O(1): a yes is certain, a no proves nothing.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        ptr::eq(&*self.value, &*other.value)
    }
}

impl<V: Clone> Shared<V> {
    /// The value to be written: copied first if it is shared.
    pub fn make_mut(&mut self) -> &mut V {
        Arc::make_mut(&mut self.value)
    }

    /// The value, out of the handle: copied if others share it.
    #[must_use]
    pub fn into_inner(self) -> V {
        Arc::unwrap_or_clone(self.value)
    }
}

impl<V> Deref for Shared<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: Clone> DerefMut for Shared<V> {
    fn deref_mut(&mut self) -> &mut V {
        self.make_mut()
    }
}

impl<V> Clone for Shared<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value) }
    }
}

impl<V> From<V> for Shared<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

impl<V: fmt::Debug> fmt::Debug for Shared<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<V: PartialEq> PartialEq for Shared<V> {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other) || self.value == other.value
    }
}

impl<V: Hash> Hash for Shared<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<V: Serialize> Serialize for Shared<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Shared<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        V::deserialize(deserializer).map(Self::new)
    }
}

impl<V: Plain> Field for Shared<V> {
    const ROLE: Role = V::ROLE;
    const FIELDS: &'static [&'static str] = V::FIELDS;
    const ITEM_FIELDS: &'static [&'static str] = V::ITEM_FIELDS;

    fn layout(layouter: &mut Layouter) -> String {
        V::layout(layouter)
    }
    fn encode(&self) -> Value {
        (**self).encode()
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        V::decode(value, source).map(Self::new)
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        self.ptr_eq(after) || (**self).same(after, pairs)
    }
    fn delta(&self, after: &Self, key: Option<&str>) -> Option<Delta> {
        if self.ptr_eq(after) {
            return None;
        }
        (**self).delta(after, key)
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        (**self).references(visit);
    }
    fn reference_changes(&self, after: &Self, visit: &mut dyn FnMut(bool, EntityId)) {
        if !self.ptr_eq(after) {
            (**self).reference_changes(after, visit);
        }
    }
    fn digest(&self, into: &mut Digester) {
        (**self).digest(into);
    }
    fn absent() -> Option<Self> {
        V::absent().map(Self::new)
    }
}

impl<V: Plain> Plain for Shared<V> {}
