//! A handle to one owned entity: it reads like the entity and copies it when it is written while shared.

use std::any::Any;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cold::{Cold, unwind};
use super::drops::let_go;
use crate::digest::{Digest, Digester};
use crate::entity::{
    AnyCell, AnyEntity, Cell, Entity, Field, Key, Load, LoadError, Pairs, Slot, Source, decode_cell, downcast, inline,
};
use crate::id::{EntityId, Id};
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Value};

/// An owned entity behind a shared handle: copied when written, never compared when untouched.
///
/// It stands in a field as the entity itself would, and reads and writes like it. A clone is O(1) and shares the
/// entity; the first write to a shared one copies that entity alone, since those that it owns through handles stay
/// shared.
///
/// A handle that came from a store may be cold: it knows its id, and the first look loads the entity. If that fails
/// inside a registered function, the run ends with an error; elsewhere it unwinds. [`get`](Self::get) is the look that
/// cannot unwind.
///
/// ```
/// # use heirloom::{Child, Entity, Id};
/// #[derive(Entity, Clone, Debug, PartialEq)]
/// struct Engine { id: Id<Engine>, power: u32 }
/// #[derive(Entity, Clone, Debug, PartialEq)]
/// struct Car { id: Id<Car>, engine: Child<Engine> }
///
/// let mut car = Car { id: Id::new(), engine: Child::new(Engine { id: Id::new(), power: 90 }) };
/// let before = car.clone();
/// car.engine.power += 10;
/// assert_eq!((before.engine.power, car.engine.power), (90, 100));
/// ```
pub struct Child<T: Entity> {
    repr: Repr<T>,
}

enum Repr<T: Entity> {
    Resident(Arc<Cell<T>>),
    Cold(Arc<Cold<T>>),
    /// Its cell was taken out: only while it is dropped.
    Gone,
}

impl<T: Entity> Child<T> {
    /// A handle to this entity.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self::from_cell(Arc::new(Cell::new(value)))
    }

    /// A handle whose entity `loader` has, in the state with this digest. It is loaded when somebody looks.
    #[doc(hidden)]
    #[must_use]
    pub fn cold(id: Id<T>, digest: Digest, loader: Arc<dyn Load>) -> Self {
        Self { repr: Repr::Cold(Arc::new(Cold::new(id.entity_id(), Some(digest), loader))) }
    }

    /// A handle to the entity in this cell.
    pub(super) fn from_cell(cell: Arc<Cell<T>>) -> Self {
        Self { repr: Repr::Resident(cell) }
    }

    /// The identity of the entity, known without loading it.
    #[must_use]
    pub fn id(&self) -> Id<T> {
        Id::from_entity_id(self.entity_id())
    }

    pub(super) fn entity_id(&self) -> EntityId {
        match &self.repr {
            Repr::Resident(cell) => Entity::entity_id(cell.value()),
            Repr::Cold(cold) => cold.id(),
            Repr::Gone => gone(),
        }
    }

    /// The entity. A cold handle loads it first; the next call tries again if that fails.
    ///
    /// # Errors
    /// It could not be loaded.
    pub fn get(&self) -> Result<&T, LoadError> {
        self.shared_cell().map(|cell| cell.value())
    }

    /// Whether the entity is in memory, so that a look at it loads nothing.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        match &self.repr {
            Repr::Resident(_) => true,
            Repr::Cold(cold) => cold.loaded().is_some(),
            Repr::Gone => gone(),
        }
    }

    /// The entity, out of the handle: copied if others share it, and loaded if it is cold.
    #[must_use]
    pub fn into_inner(mut self) -> T {
        let cell = match mem::replace(&mut self.repr, Repr::Gone) {
            Repr::Resident(cell) => cell,
            Repr::Cold(cold) => Arc::clone(cold.cell().unwrap_or_else(|error| unwind(error))),
            Repr::Gone => gone(),
        };
        Arc::try_unwrap(cell).map_or_else(|shared| shared.value().clone(), Cell::into_value)
    }

    /// Whether both share one entity in one state, in O(1): a yes is certain, a no proves nothing.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    /// Whether both are certainly in one state: they share it, or came from one place of one history.
    pub(super) fn is_same_state(&self, other: &Self) -> bool {
        match (&self.repr, &other.repr) {
            _ if self.ptr_eq(other) => true,
            (Repr::Cold(cold), Repr::Cold(other)) => cold.is_same(other),
            _ => false,
        }
    }

    /// The digest, if it is known without work.
    pub(super) fn known_digest(&self) -> Option<Digest> {
        match &self.repr {
            Repr::Resident(cell) => cell.known_digest(),
            Repr::Cold(cold) => cold.known_digest(),
            Repr::Gone => gone(),
        }
    }

    /// The digest; the first request costs O(what is not digested yet).
    pub(super) fn digest(&self) -> Digest {
        match &self.repr {
            Repr::Resident(cell) => cell.digest(),
            Repr::Cold(cold) => match cold.known_digest() {
                Some(digest) => digest,
                None => cold.cell().unwrap_or_else(|error| unwind(error)).digest(),
            },
            Repr::Gone => gone(),
        }
    }

    fn shared_cell(&self) -> Result<&Arc<Cell<T>>, LoadError> {
        match &self.repr {
            Repr::Resident(cell) => Ok(cell),
            Repr::Cold(cold) => cold.cell(),
            Repr::Gone => gone(),
        }
    }
}

fn gone() -> ! {
    unreachable!("nobody sees a handle while it is dropped")
}

impl<T: Entity> Deref for Child<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.get().unwrap_or_else(|error| unwind(error))
    }
}

impl<T: Entity> DerefMut for Child<T> {
    fn deref_mut(&mut self) -> &mut T {
        if let Repr::Cold(cold) = &self.repr {
            let cell = Arc::clone(cold.cell().unwrap_or_else(|error| unwind(error)));
            self.repr = Repr::Resident(cell);
        }
        match &mut self.repr {
            Repr::Resident(cell) => Arc::make_mut(cell).value_mut(),
            Repr::Cold(_) | Repr::Gone => gone(),
        }
    }
}

impl<T: Entity> Drop for Child<T> {
    fn drop(&mut self) {
        // Looked at first: most drops are of one handle among several.
        if matches!(&self.repr, Repr::Resident(cell) if Arc::strong_count(cell) == 1)
            && let Repr::Resident(cell) = mem::replace(&mut self.repr, Repr::Gone)
        {
            let_go(cell);
        }
    }
}

impl<T: Entity> Clone for Child<T> {
    fn clone(&self) -> Self {
        let repr = match &self.repr {
            Repr::Resident(cell) => Repr::Resident(Arc::clone(cell)),
            Repr::Cold(cold) => Repr::Cold(Arc::clone(cold)),
            Repr::Gone => gone(),
        };
        Self { repr }
    }
}

impl<T: Entity> From<T> for Child<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Entity + Default> Default for Child<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Entity + fmt::Debug> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Ok(value) => value.fmt(f),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

impl<T: Entity + PartialEq> PartialEq for Child<T> {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other) || **self == **other
    }
}

impl<T: Entity + Eq> Eq for Child<T> {}

impl<T: Entity + Serialize> Serialize for Child<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T: Entity + Deserialize<'de>> Deserialize<'de> for Child<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

impl<T: Entity> Slot for Child<T> {
    fn id(&self) -> EntityId {
        self.entity_id()
    }
    fn entity(&self) -> &dyn AnyEntity {
        &**self
    }
    fn cell(&self) -> Option<Arc<dyn AnyCell>> {
        let cell = self.shared_cell().unwrap_or_else(|error| unwind(error));
        Some(Arc::clone(cell) as Arc<dyn AnyCell>)
    }
    fn is_same(&self, other: &dyn Slot) -> bool {
        if self.address() == other.address() {
            return true;
        }
        other.handle().and_then(|other| other.downcast_ref::<Self>()).is_some_and(|other| self.is_same_state(other))
    }
    fn handle(&self) -> Option<&dyn Any> {
        Some(self)
    }
    fn address(&self) -> usize {
        let of_cell = |cell: &Arc<Cell<T>>| Arc::as_ptr(cell).addr();
        match &self.repr {
            Repr::Resident(cell) => of_cell(cell),
            Repr::Cold(cold) => cold.loaded().map_or_else(|| Arc::as_ptr(cold).addr(), of_cell),
            Repr::Gone => gone(),
        }
    }
}

impl<T: Entity> Field for Child<T> {
    const ROLE: Role = Role::Child;
    const HOLDS_ENTITIES: bool = true;

    fn layout(layouter: &mut Layouter) -> String {
        inline::layout::<T>(layouter)
    }
    fn encode(&self) -> Value {
        Value::Entity(self.entity_id())
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        match (value, source.loader()) {
            (Value::Entity(id), Some(loader)) => Ok(Self { repr: Repr::Cold(Arc::new(Cold::new(*id, None, loader))) }),
            _ => decode_cell(value, source).map(Self::from_cell),
        }
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        if self.is_same_state(after) {
            return true;
        }
        let same = self.entity_id() == after.entity_id();
        if same {
            pairs.push((self, after));
        }
        same
    }
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
        visit(Key::Whole, self);
    }
    fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
        if child.entity().entity_id() != self.entity_id() {
            return false;
        }
        let Some(cell) = downcast(Arc::clone(child)) else { return false };
        *self = Self::from_cell(cell);
        true
    }
    fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
        if self.known_digest().is_none() {
            visit(self);
        }
    }
    fn digest(&self, into: &mut Digester) {
        into.digest(self.digest());
    }
}
