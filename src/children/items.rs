//! The items of a list of children, each under its identity.
//!
//! A sequence must know the identity of each item for as long as it stands in it, while `&mut T` lets anybody assign
//! another. So identities are kept beside the handles, and which places were handed out for writing is remembered:
//! there alone one may be out of date, and it is put right before anybody asks by identity.

use once_cell::sync::OnceCell;

use super::child::Child;
use super::sequence::{Item, Repeated, Sequence};
use crate::digest::Digest;
use crate::entity::Entity;
use crate::id::EntityId;

/// A handle and the identity under which it stands in a sequence.
pub(super) struct Keyed<T: Entity> {
    key: EntityId,
    pub(super) child: Child<T>,
}

impl<T: Entity> Keyed<T> {
    pub(super) fn new(child: Child<T>) -> Self {
        Self { key: child.entity_id(), child }
    }

    fn is_outdated(&self) -> bool {
        self.key != self.child.entity_id()
    }
}

impl<T: Entity> Clone for Keyed<T> {
    fn clone(&self) -> Self {
        Self { key: self.key, child: self.child.clone() }
    }
}

impl<T: Entity> Item for Keyed<T> {
    fn id(&self) -> EntityId {
        self.key
    }
    fn digest(&self) -> Digest {
        self.child.digest()
    }
    fn known_digest(&self) -> Option<Digest> {
        self.child.known_digest()
    }
    fn is_same(&self, other: &Self) -> bool {
        self.child.is_same_state(&other.child)
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Items<T: Entity> {
    sequence: Sequence<Keyed<T>>,
    exposed: Exposed,
    /// What a look at the exposed places found; forgotten at every change.
    found: OnceCell<Found<T>>,
}

/// The places where an entity may have been given another identity.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exposed {
    Nowhere,
    At(usize),
    Everywhere,
}

#[derive(Clone)]
enum Found<T: Entity> {
    /// All stand under their identities.
    UpToDate,
    /// The same items under the identities that they have now.
    Outdated(Box<Sequence<Keyed<T>>>),
    /// Two have one identity, so that they cannot all stand under theirs.
    Repeats,
}

impl<T: Entity> Items<T> {
    pub(super) fn new() -> Self {
        Self::of(Sequence::new())
    }

    pub(super) fn from_children(children: impl IntoIterator<Item = Child<T>>) -> Result<Self, Repeated> {
        Sequence::from_items(children.into_iter().map(Keyed::new)).map(Self::of)
    }

    fn of(sequence: Sequence<Keyed<T>>) -> Self {
        Self { sequence, exposed: Exposed::Nowhere, found: OnceCell::new() }
    }

    /// The items by position.
    pub(super) fn in_order(&self) -> &Sequence<Keyed<T>> {
        &self.sequence
    }

    /// The items by identity: the same at the same positions.
    pub(super) fn by_id(&self) -> &Sequence<Keyed<T>> {
        match self.found() {
            Some(Found::Outdated(sequence)) => sequence,
            _ => &self.sequence,
        }
    }

    /// Whether somebody gave one entity the identity of another of these, so that [`by_id`](Self::by_id) is no help.
    pub(super) fn has_repeats(&self) -> bool {
        matches!(self.found(), Some(Found::Repeats))
    }

    /// Where the entity of this identity stands.
    pub(super) fn position(&self, id: EntityId) -> Option<usize> {
        if self.has_repeats() {
            return self.sequence.iter().position(|item| item.child.entity_id() == id);
        }
        self.by_id().position(id)
    }

    /// The items to be added to, taken from and moved.
    pub(super) fn change(&mut self) -> &mut Sequence<Keyed<T>> {
        self.found();
        self.exposed = match self.found.take() {
            Some(Found::Outdated(sequence)) => {
                self.sequence = *sequence;
                Exposed::Nowhere
            }
            Some(Found::Repeats) => Exposed::Everywhere,
            Some(Found::UpToDate) | None => Exposed::Nowhere,
        };
        &mut self.sequence
    }

    /// The handle at this position to be written through.
    pub(super) fn expose(&mut self, position: usize) -> Option<&mut Child<T>> {
        if self.exposed == Exposed::At(position) {
            self.found.take();
        } else {
            self.change();
            if self.exposed == Exposed::Nowhere {
                self.exposed = Exposed::At(position);
            }
        }
        self.sequence.get_mut(position).map(|item| &mut item.child)
    }

    /// All items to be written through.
    pub(super) fn expose_all(&mut self) -> &mut Sequence<Keyed<T>> {
        self.change();
        self.exposed = Exposed::Everywhere;
        &mut self.sequence
    }

    /// Puts a handle in the place of the one at this position, which is to the same entity.
    pub(super) fn replace(&mut self, position: usize, child: Child<T>) {
        let sequence = self.change();
        if let Some(key) = sequence.get(position).map(|item| item.key) {
            sequence.replace(position, Keyed { key, child });
        }
    }

    /// Puts the same items in another order.
    pub(super) fn reorder(&mut self, items: Vec<Keyed<T>>) {
        self.change();
        self.sequence = Sequence::from_items(items).expect("they stood in a sequence under the same identities");
    }

    fn found(&self) -> Option<&Found<T>> {
        (self.exposed != Exposed::Nowhere).then(|| self.found.get_or_init(|| self.look()))
    }

    fn look(&self) -> Found<T> {
        let outdated = |position: &usize| self.sequence.get(*position).is_some_and(Keyed::is_outdated);
        let renewed = match self.exposed {
            Exposed::At(position) if outdated(&position) => {
                let mut sequence = self.sequence.clone();
                let item = sequence.remove(position).expect("it was looked at above");
                sequence.insert(position, Keyed::new(item.child.clone())).map(|()| sequence)
            }
            Exposed::Everywhere if self.sequence.iter().any(Keyed::is_outdated) => {
                Sequence::from_items(self.sequence.iter().map(|item| Keyed::new(item.child.clone())))
            }
            _ => return Found::UpToDate,
        };
        renewed.map_or(Found::Repeats, |sequence| Found::Outdated(Box::new(sequence)))
    }
}
