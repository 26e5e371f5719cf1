//! Who an entity is: identities that outlive every change, typed and untyped.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The identity of an entity, whatever its type: a UUID.
///
/// New identities are version 7 (they sort by the time they were made); those derived from a type and a natural key
/// are version 8, so that importing the same data twice gives the same identities.
///
/// ```
/// # use heirloom::EntityId;
/// let id: EntityId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
/// assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
/// # Ok::<(), heirloom::IdError>(())
/// ```
// On a boundary of eight, so that a copy is two whole words wherever it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(align(8))]
pub struct EntityId(Uuid);

impl Hash for EntityId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(*self.as_bytes()));
    }
}

impl EntityId {
    /// A new identity, unlike any other. Inside a run it comes from the registry's [`Ids`].
    #[must_use]
    pub fn new() -> Self {
        let injected = SOURCE.with_borrow(|source| source.as_ref().map(|ids| ids.next_id()));
        injected.unwrap_or_else(|| Self(Uuid::now_v7()))
    }

    /// The identity that a type's stored name and a natural key give, the same on every machine: a version 8 UUID
    /// over the BLAKE3 hash of both.
    #[must_use]
    pub fn derive(type_name: &str, key: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("heirloom 2026 entity id from type and key");
        hasher.update(&(type_name.len() as u64).to_le_bytes());
        hasher.update(type_name.as_bytes());
        hasher.update(key.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(Uuid::new_v8(bytes))
    }

    /// The identity with these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of this identity.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl Default for EntityId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id: expected a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct IdError {
    text: String,
}

impl FromStr for EntityId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match Uuid::try_parse(text) {
            Ok(uuid) => Ok(Self(uuid)),
            Err(_) => Err(IdError { text: text.chars().take(80).collect() }),
        }
    }
}

/// The identity of an entity of type `T`.
///
/// As the field of `T` itself it is that entity's identity; as a field of another entity it is a reference.
pub struct Id<T: ?Sized> {
    id: EntityId,
    of: PhantomData<fn() -> T>,
}

impl<T: ?Sized> Id<T> {
    /// A new identity, unlike any other. Inside a run it comes from the registry's [`Ids`].
    #[must_use]
    pub fn new() -> Self {
        Self::from_entity_id(EntityId::new())
    }

    /// This identity taken as one of a `T`. Nothing is checked here: a registry that is asked for it checks the type.
    #[must_use]
    pub const fn from_entity_id(id: EntityId) -> Self {
        Self { id, of: PhantomData }
    }

    /// The identity without its type.
    #[must_use]
    pub const fn entity_id(self) -> EntityId {
        self.id
    }
}

impl<T: ?Sized> Default for Id<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ?Sized> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Id<T> {}

impl<T: ?Sized> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<T: ?Sized> Eq for Id<T> {}

impl<T: ?Sized> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: ?Sized> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl<T: ?Sized> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<T: ?Sized> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}

impl<T: ?Sized> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}

impl<T: ?Sized> From<Id<T>> for EntityId {
    fn from(id: Id<T>) -> Self {
        id.id
    }
}

impl<T: ?Sized> FromStr for Id<T> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self::from_entity_id)
    }
}

impl<T: ?Sized> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

impl<'de, T: ?Sized> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EntityId::deserialize(deserializer).map(Self::from_entity_id)
    }
}

/// The identity of one run, drawn when the run asks for it: a UUID that no entity and no other run has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(EntityId);

impl RunId {
    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The random bytes of this run, the same on every machine.
    pub(crate) fn random(self) -> blake3::OutputReader {
        let mut hasher = blake3::Hasher::new_derive_key("heirloom 2026 random bytes of a run");
        hasher.update(self.as_bytes());
        hasher.finalize_xof()
    }
}

impl From<EntityId> for RunId {
    fn from(id: EntityId) -> Self {
        Self(id)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for RunId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

/// Where new identities come from. A registry built with one hands it to every run, so that a run can be repeated and
/// give the same identities.
pub trait Ids: Send + Sync + 'static {
    /// The next identity; never one that was given before.
    fn next_id(&self) -> EntityId;
}

thread_local! {
    static SOURCE: RefCell<Option<Arc<dyn Ids>>> = const { RefCell::new(None) };
}

/// Runs `body` with new identities of this thread drawn from `ids`.
pub(crate) fn with_ids<R>(ids: &Arc<dyn Ids>, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<dyn Ids>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SOURCE.with_borrow_mut(|source| *source = self.0.take());
        }
    }
    let _restore = Restore(SOURCE.with_borrow_mut(|source| source.replace(Arc::clone(ids))));
    body()
}
