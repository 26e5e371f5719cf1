//! What of all observations a listener wants to hear.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Observation, ObservationKind};
use crate::entity::{Entity, TypeRow};
use crate::history::{Archive, History, ReadError};
use crate::id::EntityId;
use crate::lineage::Ix;
use crate::log::Given;
use crate::registry::kinds::row_of;

/// What of all observations a listener wants to hear.
///
/// [`all`](Self::all) is everything; each question that is then answered, of what kind, by which callable, on which
/// entities, leaves less. Two answers to one question are alternatives.
///
/// ```
/// # use heirloom::prelude::*;
/// # use heirloom::{ObservationKind, Topics};
/// # #[derive(Entity, Clone)] struct Student { id: Id<Student> }
/// # #[derive(Entity, Clone)] struct Course { id: Id<Course> }
/// // Commits and failures of `raise` or `enrol` that concern a student or a course.
/// let topics = Topics::all()
///     .kind(ObservationKind::DidCommit)
///     .kind(ObservationKind::DidFail)
///     .callable("raise")
///     .callable("enrol")
///     .entities::<Student>()
///     .entities::<Course>();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "topics are for `Registry::subscribe_to`"]
pub struct Topics {
    kinds: Option<Kinds>,
    callables: Vec<Arc<str>>,
    types: Vec<&'static TypeRow>,
    entities: Vec<EntityId>,
}

impl Topics {
    /// Everything that the registry does.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only this kind, or another one that is named so. Commits without a callable, such as those of a batch, are heard
    /// like all others; a listener that was cut off is told of only to who names that kind.
    pub fn kind(mut self, kind: ObservationKind) -> Self {
        self.kinds = Some(Kinds::of(kind) | self.kinds.unwrap_or(Kinds::NONE));
        self
    }

    /// Only runs of the callable of this name, or of another one that is named so. It need not be registered yet.
    pub fn callable(mut self, name: impl Into<Arc<str>>) -> Self {
        self.callables.push(name.into());
        self
    }

    /// Only what concerns this entity, or others that are named so or are of a type that is.
    ///
    /// All of a run concerns the entities that it was given; a commit also concerns those of which it made a version.
    pub fn entity(mut self, id: impl Into<EntityId>) -> Self {
        self.entities.push(id.into());
        self
    }

    /// Only what concerns an entity of this type, or others that are named so; see [`entity`](Self::entity).
    pub fn entities<T: Entity>(mut self) -> Self {
        self.types.push(row_of::<T>());
        self
    }

    /// The kinds that can be heard.
    pub(super) fn kinds(&self) -> Kinds {
        let by_entity = if self.asks_for_entities() { Kinds::BY_ENTITY } else { Kinds::NONE };
        self.kinds.unwrap_or(Kinds::WORK) | by_entity
    }

    pub(super) fn asks_for_entities(&self) -> bool {
        !self.types.is_empty() || !self.entities.is_empty()
    }

    /// Whether something of these kinds may be heard, that a callable does or none.
    pub(super) fn hears(&self, kinds: Kinds, callable: Option<&str>) -> bool {
        self.kinds.unwrap_or(Kinds::WORK).meets(kinds)
            && (self.callables.is_empty()
                || callable.is_some_and(|callable| self.callables.iter().any(|name| **name == *callable)))
    }

    /// Whether what concerns these entities is heard. What cannot be read is heard rather than missed.
    pub(super) fn concerns(&self, entities: &[Ix], archive: &Archive) -> bool {
        let is_one = |ix: &Ix| {
            let of_type = |row: &&'static TypeRow| match archive.check_type(*ix, row) {
                Ok(()) => true,
                Err(ReadError::WrongType { .. } | ReadError::UnknownType { .. }) => false,
                Err(_) => true,
            };
            self.entities.contains(&archive.lineages.get(*ix).id) || self.types.iter().any(of_type)
        };
        !self.asks_for_entities() || entities.iter().any(is_one)
    }
}

/// The entities that an observation concerns.
#[derive(Default)]
pub(in crate::registry) struct Concerned(SmallVec<[Ix; 2]>);

impl Concerned {
    /// Those that a run was given.
    pub(in crate::registry) fn given(given: &[Given]) -> Self {
        fn gather(given: &[Given], all: &mut SmallVec<[Ix; 2]>) {
            for one in given {
                match one {
                    Given::Entity(ix, _) => all.push(*ix),
                    Given::At(at) => gather(&at.1, all),
                    Given::Several(several) => gather(several, all),
                    Given::Null | Given::Bool(_) | Given::Int(_) | Given::F64(_) | Given::Value(_) => {}
                }
            }
        }
        let mut all = SmallVec::new();
        gather(given, &mut all);
        Self(all)
    }

    pub(super) fn entities(&self) -> &[Ix] {
        &self.0
    }

    /// With those of which the commit that is told of made a version; `None` if that cannot be read.
    pub(super) fn with_made(mut self, observation: &Observation, history: &History) -> Option<Self> {
        if let Some(position) = observation.position() {
            let made = history.entry(position).and_then(|entry| entry.made()).ok()?;
            self.0.extend(made.into_iter().map(|(ix, _)| ix));
        }
        Some(self)
    }
}

/// Several kinds of observations, and whether somebody asks which entities they concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Kinds(u32);

impl Kinds {
    pub(in crate::registry) const NONE: Kinds = Kinds(0);
    /// All but that a listener was cut off.
    const WORK: Kinds = Kinds((1 << ObservationKind::DidCutOff as u32) - 1);
    pub(super) const BY_ENTITY: Kinds = Kinds(1 << 31);

    pub(in crate::registry) const fn of(kind: ObservationKind) -> Self {
        Kinds(1 << kind as u32)
    }

    pub(in crate::registry) const fn and(self, kind: ObservationKind) -> Self {
        Kinds(self.0 | 1 << kind as u32)
    }

    pub(super) const fn meets(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Kinds(bits)
    }
}

impl std::ops::BitOr for Kinds {
    type Output = Kinds;

    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}
