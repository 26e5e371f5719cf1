//! A tree as of a position: a view that reads what it is asked for.

use std::fmt;
use std::sync::Arc;

use super::view::guarded;
use super::{Archive, History, ReadError};
use crate::digest::Digest;
use crate::entity::{AnyCell, Entity, Identity};
use crate::id::{EntityId, Id};
use crate::lineage::{Gone, Ix, OwnerEdge};
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

impl Archive {
    /// The name of the field that an edge comes from.
    pub(crate) fn field_name(&self, owner: Ix, field: u16, at: Position) -> Result<&'static str, ReadError> {
        let fields = self.lineages.row(owner)?.meta.fields;
        if let Some(field) = fields.get(usize::from(field)) {
            return Ok(field.name);
        }
        // An enum of entities: its variant then has the fields.
        let Some(revision) = self.lineages.revision(owner, at)? else { return Ok("") };
        let state = self.own_state(owner, revision)?;
        let field = state.and_then(|cell| cell.entity().meta_of().fields.get(usize::from(field)));
        Ok(field.map_or("", |field| field.name))
    }
}

impl History {
    /// The tree of an entity as of a time.
    ///
    /// # Errors
    /// The entity is unknown, was not there yet or was removed; or there is no such revision, position, time or tag.
    pub fn tree(&self, root: impl Identity, when: impl Into<When>) -> Result<TreeAt, ReadError> {
        let (root, when) = (self.archive.locate(self.archive.identify(&root)?)?, when.into());
        let at = self.archive.position(Some(root), &when)?;
        let id = self.archive.lineages.get(root).id;
        self.archive.lineages.alive(root, at).map_err(|gone| self.archive.gone(id, gone, &when))?;
        Ok(TreeAt { history: self.clone(), root, at })
    }

    /// Who referred to an entity, and by which field, in whatever tree, sorted by identity. The entity itself need not
    /// have been there.
    /// O(result · depth) at the head; earlier, also O(references to it that ended since).
    ///
    /// # Errors
    /// There is no such position, time or tag; or it is a revision of an entity that is unknown.
    pub fn referrers(&self, id: impl Identity, when: impl Into<When>) -> Result<Vec<Edge>, ReadError> {
        let id = self.archive.identify(&id)?;
        let at = self.archive.position(self.archive.find(id)?, &when.into())?;
        let lineages = &self.archive.lineages;
        let edge = |from: Ix, field| Ok((lineages.get(from).id, self.archive.field_name(from, field, at)?));
        lineages.referrers(id, at)?.into_iter().map(|referrer| edge(referrer.from, referrer.field)).collect()
    }

    /// Who owned an entity, and in which field; `None` for the root of a tree.
    ///
    /// # Errors
    /// As for [`History::at`].
    pub fn owner(&self, id: impl Identity, when: impl Into<When>) -> Result<Option<Edge>, ReadError> {
        let (id, when) = (self.archive.identify(&id)?, when.into());
        let ix = self.archive.locate(id)?;
        let at = self.archive.position(Some(ix), &when)?;
        self.archive.lineages.alive(ix, at).map_err(|gone| self.archive.gone(id, gone, &when))?;
        self.archive.lineages.owner(ix, at)?.map(|edge| self.edge(edge, at)).transpose()
    }

    fn edge(&self, edge: OwnerEdge, at: Position) -> Result<Edge, ReadError> {
        Ok((self.archive.lineages.get(edge.owner).id, self.archive.field_name(edge.owner, edge.field, at)?))
    }
}

impl TreeAt {
    /// The identity of its root.
    #[must_use]
    pub fn root(&self) -> EntityId {
        self.history.archive.lineages.get(self.root).id
    }

    /// The position as of which it is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// The place of an entity of this tree. O(depth).
    fn locate(&self, id: EntityId) -> Result<Ix, ReadError> {
        // It may have been forgotten since the view was made.
        self.history.archive.check_known(self.at, &When::Position(self.at))?;
        let lineages = &self.history.archive.lineages;
        let outside = || ReadError::NotInTree { entity: id, root: self.root() };
        let ix = lineages.find(id)?.ok_or_else(outside)?;
        lineages.alive(ix, self.at).map_err(|gone| match gone {
            Gone::Unreadable(error) => error.into(),
            Gone::NotYet | Gone::Removed { .. } | Gone::Ended { .. } => outside(),
        })?;
        let mut climb = ix;
        while climb != self.root {
            climb = lineages.owner(climb, self.at)?.ok_or_else(outside)?.owner;
        }
        Ok(ix)
    }

    fn cell(&self, ix: Ix) -> Result<Arc<dyn AnyCell>, ReadError> {
        self.history.archive.check_known(self.at, &When::Position(self.at))?;
        self.history.archive.state(ix, self.at, &When::Position(self.at))
    }

    /// Whether an entity is in it. O(depth).
    #[must_use]
    pub fn contains(&self, id: impl Identity) -> bool {
        self.locate(id.identity()).is_ok()
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
    pub fn owner(&self, id: impl Identity) -> Result<Option<Edge>, ReadError> {
        let ix = self.locate(id.identity())?;
        let owner = self.history.archive.lineages.owner(ix, self.at)?.filter(|_| ix != self.root);
        owner.map(|edge| self.history.edge(edge, self.at)).transpose()
    }

    /// Who in this tree referred to an entity, and by which field. The entity may stand elsewhere.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn referrers(&self, id: impl Identity) -> Result<Vec<Edge>, ReadError> {
        let mut referrers = self.history.referrers(id, self.at)?;
        referrers.retain(|(from, _)| self.contains(*from));
        Ok(referrers)
    }

    /// What an entity of it owned directly, in order.
    ///
    /// # Errors
    /// It is not in this tree.
    pub fn children(&self, id: impl Identity) -> Result<Vec<EntityId>, ReadError> {
        let cell = self.cell(self.locate(id.identity())?)?;
        let mut children = Vec::new();
        guarded(|| {
            cell.entity().slots(&mut |_, _, slot| children.push(slot.id()));
            Ok(())
        })?;
        Ok(children)
    }

    /// The way from the root to an entity of it, such as `nodes[3].agents[0]`; empty for the root. O(depth · log n) under
    /// shared handles.
    ///
    /// # Errors
    /// It is not in this tree.
    pub fn path(&self, id: impl Identity) -> Result<String, ReadError> {
        let archive = &self.history.archive;
        let mut ix = self.locate(id.identity())?;
        let mut steps = Vec::new();
        while ix != self.root {
            let child = archive.lineages.get(ix).id;
            let Some(edge) = archive.lineages.owner(ix, self.at)? else { break };
            let owner = self.cell(edge.owner)?;
            let key = guarded(|| Ok(owner.entity().find(child).map_or(String::new(), |(_, key, _)| key.to_string())))?;
            steps.push(format!("{}{key}", archive.field_name(edge.owner, edge.field, self.at)?));
            ix = edge.owner;
        }
        steps.reverse();
        Ok(steps.join("."))
    }

    /// The identities of all entities in it, owners before what they own. O(n).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn ids(&self) -> Result<Vec<EntityId>, ReadError> {
        let root = self.cell(self.root)?;
        let mut ids = Vec::new();
        guarded(|| {
            let mut stack = vec![root.entity()];
            while let Some(entity) = stack.pop() {
                ids.push(entity.entity_id());
                let children = stack.len();
                entity.slots(&mut |_, _, slot| stack.push(slot.entity()));
                stack[children..].reverse();
            }
            Ok(ids)
        })
    }

    /// The content digest of the whole.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn digest(&self) -> Result<Digest, ReadError> {
        guarded(|| Ok(self.cell(self.root)?.digest()))
    }
}

impl fmt::Debug for TreeAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.root(), self.at)
    }
}
