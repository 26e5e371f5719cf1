//! Why an item was refused: its identity stands in the list already.

use super::sequence::Repeated;
use crate::id::EntityId;

/// An identity that would stand twice in one list.
///
/// Where an insertion was refused, the positions are those that both would have had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id} would stand twice in this list, at {first} and at {second}: take one of both out")]
pub struct RepeatedId {
    id: EntityId,
    first: usize,
    second: usize,
}

impl RepeatedId {
    /// The identity.
    #[must_use]
    pub fn id(&self) -> EntityId {
        self.id
    }

    /// The first of its two positions.
    #[must_use]
    pub fn first(&self) -> usize {
        self.first
    }

    /// The second of its two positions.
    #[must_use]
    pub fn second(&self) -> usize {
        self.second
    }
}

impl From<Repeated> for RepeatedId {
    fn from(repeated: Repeated) -> Self {
        Self { id: repeated.id(), first: repeated.first(), second: repeated.second() }
    }
}
