//! Trees: an entity with all that it owns, and the edges that come in: who owns whom, who refers to whom.

use std::collections::HashMap;
use std::fmt;

use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::diff::{RepeatedError, Subject, subject};
use crate::digest::Digest;
use crate::entity::{AnyEntity, Entity, Key, Slot};
use crate::id::{EntityId, Id};

/// The place among the nodes of an owner, its field and the key there.
type Owned = (usize, u16, Key);

/// One entity of a tree.
struct Node<'a> {
    entity: &'a dyn AnyEntity,
    owner: Option<Owned>,
}

/// An index of an entity that need not be in any registry: every entity in it by its id, with its incoming edges.
///
/// Built in O(n), in document order: owners before what they own.
///
/// ```
/// # use heirloom::prelude::*;
/// # use heirloom::Tree;
/// #[derive(Entity, Clone)]
/// struct Course { id: Id<Course>, name: String, after: Option<Id<Course>> }
/// #[derive(Entity, Clone)]
/// struct School { id: Id<School>, courses: Vec<Course> }
///
/// let algebra = Course { id: Id::new(), name: "Algebra".into(), after: None };
/// let geometry = Course { id: Id::new(), name: "Geometry".into(), after: Some(algebra.id) };
/// let school = School { id: Id::new(), courses: vec![algebra.clone(), geometry.clone()] };
///
/// let tree = Tree::of(&school)?;
/// assert_eq!(tree.len(), 3);
/// assert_eq!(tree.path(geometry.id).unwrap(), "courses[1]");
/// assert_eq!(tree.referrers(algebra.id).collect::<Vec<_>>(), [(geometry.id.into(), "after")]);
/// # Ok::<(), heirloom::RepeatedError>(())
/// ```
pub struct Tree<'a> {
    nodes: IndexMap<EntityId, Node<'a>, ahash::RandomState>,
    referrers: HashMap<EntityId, SmallVec<[(usize, u16); 2]>, ahash::RandomState>,
}

impl<'a> Tree<'a> {
    /// The tree of an entity.
    ///
    /// # Errors
    /// One entity stands at two places.
    pub fn of<T: Entity>(root: &'a T) -> Result<Self, RepeatedError> {
        let mut tree = Tree { nodes: IndexMap::default(), referrers: HashMap::default() };
        let mut stack: Vec<(&'a dyn Slot, Option<Owned>)> = vec![(root, None)];
        while let Some((slot, owner)) = stack.pop() {
            let entity = slot.entity();
            let index = tree.nodes.len();
            if let Some(first) = tree.nodes.insert(slot.id(), Node { entity, owner }) {
                return Err(tree.repeated(slot.id(), first.owner.as_ref()));
            }
            entity.references(&mut |field, to| tree.referrers.entry(to).or_default().push((index, field)));
            let (children, owned) = (stack.len(), entity.owned());
            stack.reserve(owned);
            tree.nodes.reserve(owned);
            entity.slots(&mut |field, key, child| stack.push((child, Some((index, field, key)))));
            stack[children..].reverse();
        }
        Ok(tree)
    }

    fn repeated(&self, entity: EntityId, first: Option<&Owned>) -> RepeatedError {
        let second = self.nodes.get(&entity).and_then(|node| node.owner.as_ref());
        let describe = |place: Option<&Owned>| match place {
            None => "the root of a tree".to_owned(),
            Some((owner, field, key)) => {
                let owner = self.nodes[*owner].entity;
                let field = owner.meta_of().fields[usize::from(*field)].name;
                format!("{} {} {field}{key}", owner.meta_of().name, owner.entity_id())
            }
        };
        RepeatedError { entity, first: describe(first), second: describe(second) }
    }

    /// How many entities it has, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a tree has its root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The identities, owners before what they own.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = EntityId> + '_ {
        self.nodes.keys().copied()
    }

    /// Whether an entity is in it.
    #[must_use]
    pub fn contains(&self, id: impl Into<EntityId>) -> bool {
        self.nodes.contains_key(&id.into())
    }

    /// The entity of an id, if it is in the tree and of this type.
    #[must_use]
    pub fn get<T: Entity>(&self, id: Id<T>) -> Option<&'a T> {
        self.nodes.get(&id.entity_id())?.entity.as_any().downcast_ref()
    }

    /// What an entity is and is called.
    #[must_use]
    pub fn subject(&self, id: impl Into<EntityId>) -> Option<Subject> {
        self.nodes.get(&id.into()).map(|node| subject(node.entity))
    }

    /// Who owns an entity, and in which field.
    #[must_use]
    pub fn owner(&self, id: impl Into<EntityId>) -> Option<(EntityId, &'static str)> {
        let (owner, field, _) = self.nodes.get(&id.into())?.owner.as_ref()?;
        let owner = self.nodes[*owner].entity;
        Some((owner.entity_id(), owner.meta_of().fields[usize::from(*field)].name))
    }

    /// Who refers to an entity, which need not be in the tree: each with the field that does.
    pub fn referrers(&self, id: impl Into<EntityId>) -> impl Iterator<Item = (EntityId, &'static str)> + '_ {
        self.referrers.get(&id.into()).into_iter().flatten().map(|(from, field)| {
            let entity = self.nodes[*from].entity;
            (entity.entity_id(), entity.meta_of().fields[usize::from(*field)].name)
        })
    }

    /// The way from the root to an entity, such as `nodes[3].agents[0]`; empty for the root. O(depth).
    #[must_use]
    pub fn path(&self, id: impl Into<EntityId>) -> Option<String> {
        let mut steps = Vec::new();
        let mut node = self.nodes.get(&id.into())?;
        while let Some((owner, field, key)) = &node.owner {
            let owner = &self.nodes[*owner];
            steps.push(format!("{}{key}", owner.entity.meta_of().fields[usize::from(*field)].name));
            node = owner;
        }
        steps.reverse();
        Some(steps.join("."))
    }

    /// The content digest of the whole. O(n) for entities held by value; shared handles keep theirs.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.nodes[0].entity.digest()
    }
}

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.nodes.keys().map(|id| (id, self.path(*id)))).finish()
    }
}
