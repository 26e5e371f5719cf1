//! A tree as of a position: a view that reads what it is asked for.

use std::fmt;
use std::sync::Arc;

use super::{History, ReadError, Store};
use crate::digest::Digest;
use crate::entity::{AnyCell, Entity};
use crate::id::{EntityId, Id};
use crate::lineage::{Ix, OwnerEdge};
use crate::when::{Position, When};

/// An entity with all that it owned at one time. O(1) to make: nothing is read before it is asked for, and what was
/// read once stays as it was.
#[derive(Clone)]
pub struct TreeAt {
    history: History,
    root: Ix,
    at: Position,
}

/// An edge that comes into an entity: from whom, and by which field.
pub type Edge = (EntityId, &'static str);

impl Store {
    /// The name of the field that an edge comes from.
    pub(crate) fn field_name(&self, owner: Ix, field: u16, at: Position) -> &'static str {
        let fields = self.lineages.get(owner).row.meta.fields;
        if let Some(field) = fields.get(usize::from(field)) {
            return field.name;
        }
        // An enum of entities: its variant then has the fields.
        let state = self.lineages.revision(owner, at).and_then(|revision| self.own_state(owner, revision));
        let field = state.and_then(|cell| cell.entity().meta_of().fields.get(usize::from(field)));
        field.map_or("", |field| field.name)
    }
}

impl History {
    /// The tree of an entity as of a time.
    ///
    /// # Errors
    /// The entity is unknown, was not there yet or was removed; or there is no such revision, position, time or tag.
    pub fn tree(&self, root: impl Into<EntityId>, when: impl Into<When>) -> Result<TreeAt, ReadError> {
        let (root, when) = (self.store.locate(root.into())?, when.into());
        let at = self.store.position(Some(root), &when)?;
        let id = self.store.lineages.get(root).id;
        self.store.lineages.alive(root, at).map_err(|gone| self.store.gone(id, gone, &when))?;
        Ok(TreeAt { history: self.clone(), root, at })
    }

    /// Who referred to an entity, and by which field, in whatever tree. The entity itself need not have been there.
    /// O(result · depth) at the head; earlier, also O(references to it that ended since).
    ///
    /// # Errors
    /// There is no such position, time or tag; or it is a revision of an entity that is unknown.
    pub fn referrers(&self, id: impl Into<EntityId>, when: impl Into<When>) -> Result<Vec<Edge>, ReadError> {
        let id = id.into();
        let at = self.store.position(self.store.lineages.find(id), &when.into())?;
        let lineages = &self.store.lineages;
        let edge = |from: Ix, field| (lineages.get(from).id, self.store.field_name(from, field, at));
        Ok(lineages.referrers(id, at).into_iter().map(|referrer| edge(referrer.from, referrer.field)).collect())
    }

    /// Who owned an entity, and in which field; `None` for the root of a tree.
    ///
    /// # Errors
    /// As for [`History::at`].
    pub fn owner(&self, id: impl Into<EntityId>, when: impl Into<When>) -> Result<Option<Edge>, ReadError> {
        let (id, when) = (id.into(), when.into());
        let ix = self.store.locate(id)?;
        let at = self.store.position(Some(ix), &when)?;
        self.store.lineages.alive(ix, at).map_err(|gone| self.store.gone(id, gone, &when))?;
        Ok(self.store.lineages.owner(ix, at).map(|edge| self.edge(edge, at)))
    }

    fn edge(&self, edge: OwnerEdge, at: Position) -> Edge {
        (self.store.lineages.get(edge.owner).id, self.store.field_name(edge.owner, edge.field, at))
    }
}

impl TreeAt {
    /// The identity of its root.
    #[must_use]
    pub fn root(&self) -> EntityId {
        self.history.store.lineages.get(self.root).id
    }

    /// The position as of which it is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// The place of an entity of this tree. O(depth).
    fn locate(&self, id: EntityId) -> Result<Ix, ReadError> {
        let lineages = &self.history.store.lineages;
        let outside = || ReadError::NotInTree { entity: id, root: self.root() };
        let ix = lineages.find(id).ok_or_else(outside)?;
        lineages.alive(ix, self.at).map_err(|_| outside())?;
        let mut climb = ix;
        while climb != self.root {
            climb = lineages.owner(climb, self.at).ok_or_else(outside)?.owner;
        }
        Ok(ix)
    }

    fn cell(&self, ix: Ix) -> Result<Arc<dyn AnyCell>, ReadError> {
        self.history.store.state(ix, self.at, &When::Position(self.at))
    }

    /// Whether an entity is in it. O(depth).
    #[must_use]
    pub fn contains(&self, id: impl Into<EntityId>) -> bool {
        self.locate(id.into()).is_ok()
    }

    /// An entity of it, with all that it owned.
    ///
    /// # Errors
    /// It is not in this tree, or of another type.
    pub fn get<T: Entity>(&self, id: Id<T>) -> Result<T, ReadError> {
        self.locate(id.entity_id())?;
        self.history.at(id, self.at)
    }

    /// Who owned an entity of it, and in which field; `None` for the root of the tree.
    ///
    /// # Errors
    /// It is not in this tree.
    pub fn owner(&self, id: impl Into<EntityId>) -> Result<Option<Edge>, ReadError> {
        let ix = self.locate(id.into())?;
        let owner = self.history.store.lineages.owner(ix, self.at).filter(|_| ix != self.root);
        Ok(owner.map(|edge| self.history.edge(edge, self.at)))
    }

    /// Who in this tree referred to an entity, and by which field. The entity may stand elsewhere.
    ///
    /// # Errors
    /// None for now; a store on disk may fail to be read.
    pub fn referrers(&self, id: impl Into<EntityId>) -> Result<Vec<Edge>, ReadError> {
        let mut referrers = self.history.referrers(id, self.at)?;
        referrers.retain(|(from, _)| self.contains(*from));
        Ok(referrers)
    }

    /// What an entity of it owned directly, in order.
    ///
    /// # Errors
    /// It is not in this tree.
    pub fn children(&self, id: impl Into<EntityId>) -> Result<Vec<EntityId>, ReadError> {
        let cell = self.cell(self.locate(id.into())?)?;
        let mut children = Vec::new();
        cell.entity().slots(&mut |_, _, slot| children.push(slot.id()));
        Ok(children)
    }

    /// The way from the root to an entity of it, such as `nodes[3].agents[0]`; empty for the root. O(depth · log n) under
    /// shared handles.
    ///
    /// # Errors
    /// It is not in this tree.
    pub fn path(&self, id: impl Into<EntityId>) -> Result<String, ReadError> {
        let store = &self.history.store;
        let mut ix = self.locate(id.into())?;
        let mut steps = Vec::new();
        while ix != self.root {
            let child = store.lineages.get(ix).id;
            let Some(edge) = store.lineages.owner(ix, self.at) else { break };
            let owner = self.cell(edge.owner)?;
            let key = owner.entity().find(child).map_or(String::new(), |(_, key, _)| key.to_string());
            steps.push(format!("{}{key}", store.field_name(edge.owner, edge.field, self.at)));
            ix = edge.owner;
        }
        steps.reverse();
        Ok(steps.join("."))
    }

    /// The identities of all entities in it, owners before what they own. O(n).
    ///
    /// # Errors
    /// None for now; a store on disk may fail to be read.
    pub fn ids(&self) -> Result<Vec<EntityId>, ReadError> {
        let root = self.cell(self.root)?;
        let mut ids = Vec::new();
        let mut stack = vec![root.entity()];
        while let Some(entity) = stack.pop() {
            ids.push(entity.entity_id());
            let children = stack.len();
            entity.slots(&mut |_, _, slot| stack.push(slot.entity()));
            stack[children..].reverse();
        }
        Ok(ids)
    }

    /// The content digest of the whole.
    ///
    /// # Errors
    /// None for now; a store on disk may fail to be read.
    pub fn digest(&self) -> Result<Digest, ReadError> {
        Ok(self.cell(self.root)?.digest())
    }
}

impl fmt::Debug for TreeAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.root(), self.at)
    }
}
