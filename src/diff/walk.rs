//! The walk over two states: an iterative worklist that stops where both are known to be the same.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::entity::{AnyCell, AnyEntity, ChildChange, Comparison, FieldSet, Key, Pairs, Slot};
use crate::id::EntityId;

/// Where an entity stands: in which field of which owner, under which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot<'a> {
    pub(crate) owner: &'a dyn AnyEntity,
    pub(crate) field: u16,
    pub(crate) key: Key,
}

impl std::fmt::Debug for dyn AnyEntity + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.meta_of().name, self.entity_id())
    }
}

impl PartialEq for dyn AnyEntity + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.entity_id() == other.entity_id()
    }
}

impl Eq for dyn AnyEntity + '_ {}

/// One difference.
pub(crate) enum Difference<'a> {
    /// The entity's own state differs in these fields; a field that owns entities is among them if what it owns, or
    /// the order, differs.
    Changed { before: &'a dyn AnyEntity, after: &'a dyn Slot, fields: FieldSet },
    /// It is of another type now.
    Retyped { before: &'a dyn AnyEntity, after: &'a dyn Slot },
    /// It was copied to be written, and nothing in it or below it differs.
    Equal { before: &'a dyn Slot },
    /// It stands where nothing of its identity stood anywhere; so do those that it owns, but for the moved.
    Added { slot: &'a dyn Slot, spot: Option<Spot<'a>> },
    /// It stands nowhere any more; nor do those that it owned, but for the moved.
    Removed { slot: &'a dyn Slot, spot: Option<Spot<'a>> },
    /// It stands elsewhere.
    Moved { before: &'a dyn Slot, after: &'a dyn Slot, from: Option<Spot<'a>>, to: Option<Spot<'a>> },
    /// It stands elsewhere in the same list; the fewest that explain the new order.
    Reordered { slot: &'a dyn Slot, owner: &'a dyn AnyEntity, field: u16, list: Key, from: usize, to: usize },
}

/// One entity at two places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entity} stands twice: at {first} and at {second}; an entity has one owner, so take it out of one, or refer to it \
     with an `Id`"
)]
#[non_exhaustive]
pub struct RepeatedError {
    /// The entity.
    pub entity: EntityId,
    /// Where it stands first.
    pub first: String,
    /// Where it stands again.
    pub second: String,
}

impl Spot<'_> {
    pub(crate) fn describe(spot: Option<&Self>) -> String {
        match spot {
            None => "the root of a tree".to_owned(),
            Some(spot) => {
                let meta = spot.owner.meta_of();
                let field = meta.fields[usize::from(spot.field)].name;
                format!("{} {} {field}{}", meta.name, spot.owner.entity_id(), spot.key)
            }
        }
    }
}

/// A state as a whole: the place that a root stands in.
pub(crate) struct Whole<'c>(pub(crate) &'c Arc<dyn AnyCell>);

impl Slot for Whole<'_> {
    fn id(&self) -> EntityId {
        self.0.entity().entity_id()
    }
    fn entity(&self) -> &dyn AnyEntity {
        self.0.entity()
    }
    fn cell(&self) -> Option<Arc<dyn AnyCell>> {
        Some(Arc::clone(self.0))
    }
    fn is_same(&self, other: &dyn Slot) -> bool {
        self.address() == other.address()
    }
    fn address(&self) -> usize {
        Arc::as_ptr(self.0).cast::<()>() as usize
    }
}

/// Whether a walk goes into owned entities.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descend {
    Everything,
    OwnStateOnly,
}

/// An entity where it stands; `None` for a root.
pub(crate) type Standing<'a> = (&'a dyn Slot, Option<Spot<'a>>);

/// The owners of an entity that was compared, before and after; none for a root.
pub(crate) type Owners<'a> = (Option<&'a dyn AnyEntity>, Option<&'a dyn AnyEntity>);

/// Who hears of the differences; it breaks when it has heard enough.
pub(crate) type Tell<'t, 'a> = dyn FnMut(Difference<'a>) -> ControlFlow<()> + 't;

/// A walk: give it what to compare, then run it.
pub(crate) struct Walk<'a> {
    descend: Descend,
    pairs: Pairs<'a>,
    /// The owners of everything that was compared, if somebody wants to know the way to it.
    trail: Option<HashMap<EntityId, Owners<'a>, ahash::RandomState>>,
    /// What moved: neither new nor gone, though it stands in an owner that is. Most walks find nothing that did.
    /// Each with the place where it stands now.
    moved: Option<HashMap<EntityId, Option<Spot<'a>>, ahash::RandomState>>,
    /// What has moved and stands in yet another place.
    twice: Option<Standing<'a>>,
    /// Of what was looked through below what was removed, the owner; what was matched there, with where it stood; and
    /// what was found to have left its owner since.
    owned_by: HashMap<EntityId, Option<EntityId>, ahash::RandomState>,
    matched: Vec<Standing<'a>>,
    left: HashSet<EntityId, ahash::RandomState>,
    stopped: bool,
    /// In the order they were met, so that what is told has a stable order.
    added: Vec<Standing<'a>>,
    removed: Vec<Standing<'a>>,
    /// Moves that no comparison finds.
    expected: Vec<(Option<Standing<'a>>, Option<Standing<'a>>)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(descend: Descend) -> Self {
        Self {
            descend,
            pairs: Pairs::new(),
            trail: None,
            moved: None,
            twice: None,
            owned_by: HashMap::default(),
            matched: Vec::new(),
            left: HashSet::default(),
            stopped: false,
            added: Vec::new(),
            removed: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Keeps the owners of everything that is compared.
    pub(crate) fn keep_trail(&mut self) {
        self.trail = Some(HashMap::default());
        self.pairs = Pairs::every();
    }

    /// Compares two states of one entity; of two entities, the one went and the other came.
    pub(crate) fn compare(&mut self, before: &'a dyn Slot, after: &'a dyn Slot) {
        if before.id() == after.id() {
            self.pairs.push((before, after));
        } else {
            self.remove_root(before);
            self.add_root(after);
        }
    }

    /// Takes an entity that stands as a root now.
    pub(crate) fn add_root(&mut self, slot: &'a dyn Slot) {
        self.added.push((slot, None));
    }

    /// Takes an entity that stood as a root and stands there no more.
    pub(crate) fn remove_root(&mut self, slot: &'a dyn Slot) {
        self.removed.push((slot, None));
    }

    /// Takes where an entity stood or stands, if that is in an owner that is not compared.
    pub(crate) fn expect_move(&mut self, from: Option<Standing<'a>>, to: Option<Standing<'a>>) {
        self.expected.push((from, to));
    }

    /// Tells every difference: first those of own states, from the top, then what moved, was removed and was added.
    /// Whoever is told may break; then nothing more is told.
    pub(crate) fn run(&mut self, tell: &mut Tell<'_, 'a>) -> Result<(), RepeatedError> {
        self.drain_pairs(tell);
        for (from, to) in std::mem::take(&mut self.expected) {
            self.removed.extend(from);
            self.added.extend(to);
        }
        if self.added.is_empty() || self.removed.is_empty() {
            self.check_repeats()?;
        } else {
            self.match_moves(tell)?;
            self.check_matched();
        }
        if let Some((slot, second)) = &self.twice {
            let first = self.moved.as_ref().and_then(|moved| moved.get(&slot.id())).and_then(Option::as_ref);
            return Err(RepeatedError {
                entity: slot.id(),
                first: Spot::describe(first),
                second: Spot::describe(second.as_ref()),
            });
        }
        for (slot, spot) in std::mem::take(&mut self.removed) {
            self.tell(tell, Difference::Removed { slot, spot });
        }
        for (slot, spot) in std::mem::take(&mut self.added) {
            self.tell(tell, Difference::Added { slot, spot });
        }
        Ok(())
    }

    /// What moved, of all that was told.
    pub(crate) fn has_moved(&self, id: EntityId) -> bool {
        self.moved_to(id).is_some()
    }

    /// Where it stands now, if it moved.
    pub(crate) fn moved_to(&self, id: EntityId) -> Option<&Option<Spot<'a>>> {
        self.moved.as_ref()?.get(&id)
    }

    /// The owners of what was compared, if they were kept.
    pub(crate) fn owners(&self, id: EntityId) -> Owners<'a> {
        self.trail.as_ref().and_then(|trail| trail.get(&id).copied()).unwrap_or_default()
    }

    fn tell(&mut self, tell: &mut Tell<'_, 'a>, difference: Difference<'a>) {
        self.stopped = self.stopped || tell(difference).is_break();
    }

    fn drain_pairs(&mut self, tell: &mut Tell<'_, 'a>) {
        while let Some((before, after)) = self.pairs.pop() {
            if self.stopped {
                return;
            }
            if before.is_same(after) || same_digest(before, after) {
                continue;
            }
            let (old, new) = (before.entity(), after.entity());
            let first_child = self.pairs.len();
            match old.compare(new, &mut self.pairs) {
                Comparison::Same => {
                    if self.pairs.len() == first_child && before.address() != 0 {
                        self.tell(tell, Difference::Equal { before });
                    }
                }
                Comparison::Fields(fields) => {
                    for field in &fields {
                        self.pair_field(old, new, *field, tell);
                    }
                    self.tell(tell, Difference::Changed { before: old, after, fields });
                }
                Comparison::Retyped => {
                    old.slots(&mut |field, key, slot| self.went(slot, Spot { owner: old, field, key }));
                    new.slots(&mut |field, key, slot| self.came(slot, Spot { owner: new, field, key }));
                    self.tell(tell, Difference::Retyped { before: old, after });
                }
            }
            if let Some(trail) = &mut self.trail {
                trail.extend(self.pairs[first_child..].iter().map(|(child, _)| (child.id(), (Some(old), Some(new)))));
            }
            if self.descend == Descend::OwnStateOnly {
                self.pairs.truncate(first_child);
            } else {
                // The worklist is a stack: turned round, it yields the children in their order.
                self.pairs[first_child..].reverse();
            }
        }
    }

    fn pair_field(&mut self, old: &'a dyn AnyEntity, new: &'a dyn AnyEntity, field: u16, tell: &mut Tell<'_, 'a>) {
        let mut stopped = self.stopped;
        let mut tell = |difference| stopped = stopped || tell(difference).is_break();
        old.pair(field, new, &mut |change| match change {
            ChildChange::Paired(before, after) => self.pairs.push((before, after)),
            ChildChange::Removed(key, slot) => self.went(slot, Spot { owner: old, field, key }),
            ChildChange::Added(key, slot) => self.came(slot, Spot { owner: new, field, key }),
            ChildChange::Moved { from, to, slot } => tell(Difference::Moved {
                before: slot,
                after: slot,
                from: Some(Spot { owner: old, field, key: from }),
                to: Some(Spot { owner: new, field, key: to }),
            }),
            ChildChange::Reordered { list, from, to, slot } => {
                tell(Difference::Reordered { slot, owner: new, field, list, from, to });
            }
        });
        self.stopped = stopped;
    }

    /// Takes what stands in an owner no more, unless it is known where it went.
    fn went(&mut self, slot: &'a dyn Slot, spot: Spot<'a>) {
        if !self.owned_by.is_empty() {
            self.left.insert(slot.id());
        }
        if !self.has_moved(slot.id()) {
            self.removed.push((slot, Some(spot)));
        }
    }

    /// Takes what stands in an owner anew, unless it is known that it came there.
    fn came(&mut self, slot: &'a dyn Slot, spot: Spot<'a>) {
        match self.moved.as_ref().and_then(|moved| moved.get(&slot.id())) {
            None => self.added.push((slot, Some(spot))),
            Some(to) if to.as_ref() == Some(&spot) => {}
            Some(_) => self.twice = Some((slot, Some(spot))),
        }
    }

    /// Matches what was added with what was removed: first as they are, then what stands deeper in both.
    fn match_moves(&mut self, tell: &mut Tell<'_, 'a>) -> Result<(), RepeatedError> {
        let mut open = true;
        while open {
            self.match_directly(tell)?;
            if self.pairs.is_empty() {
                open = self.descend == Descend::Everything
                    && !self.added.is_empty()
                    && !self.removed.is_empty()
                    && self.match_deeply(tell);
            }
            self.drain_pairs(tell);
        }
        Ok(())
    }

    fn match_directly(&mut self, tell: &mut Tell<'_, 'a>) -> Result<(), RepeatedError> {
        self.check_repeats()?;
        let mut gone: HashMap<EntityId, usize, ahash::RandomState> =
            self.removed.iter().enumerate().map(|(at, (slot, _))| (slot.id(), at)).collect();
        let mut removed: Vec<Option<Standing<'a>>> = std::mem::take(&mut self.removed).into_iter().map(Some).collect();
        for (after, to) in std::mem::take(&mut self.added) {
            match gone.remove(&after.id()).and_then(|at| removed[at].take()) {
                Some((before, from)) => {
                    self.moved(before, after, from, to, tell);
                }
                None => self.added.push((after, to)),
            }
        }
        self.removed.extend(removed.into_iter().flatten());
        Ok(())
    }

    fn moved(
        &mut self,
        before: &'a dyn Slot,
        after: &'a dyn Slot,
        from: Option<Spot<'a>>,
        to: Option<Spot<'a>>,
        tell: &mut Tell<'_, 'a>,
    ) {
        self.moved.get_or_insert_default().insert(after.id(), to.clone());
        if let Some(trail) = &mut self.trail {
            let owners = (from.as_ref().map(|spot| spot.owner), to.as_ref().map(|spot| spot.owner));
            trail.insert(after.id(), owners);
        }
        if self.descend == Descend::Everything && !before.is_same(after) {
            self.pairs.push((before, after));
        }
        let stays = match (&from, &to) {
            (Some(from), Some(to)) => {
                // By its name: where the owner is of another type now, the same position may be another field.
                let name = |spot: &Spot<'_>| spot.owner.meta_of().fields[usize::from(spot.field)].name;
                from.owner.entity_id() == to.owner.entity_id() && name(from) == name(to) && from.key == to.key
            }
            (None, None) => true,
            _ => false,
        };
        if !stays {
            self.tell(tell, Difference::Moved { before, after, from, to });
        }
    }

    /// Looks below what was added and removed for entities that stand in both: those left a removed owner, or came
    /// into a new one. Whether there were any. The cost is that of what was added and removed.
    fn match_deeply(&mut self, tell: &mut Tell<'_, 'a>) -> bool {
        let mut gone: HashMap<EntityId, Standing<'a>, ahash::RandomState> = HashMap::default();
        let mut stack: Vec<(Standing<'a>, Option<EntityId>)> =
            self.removed.iter().map(|standing| (standing.clone(), None)).collect();
        while let Some(((slot, spot), holder)) = stack.pop() {
            if !self.has_moved(slot.id()) {
                let (owner, id) = (slot.entity(), slot.id());
                let mut push = |field, key, slot| stack.push(((slot, Some(Spot { owner, field, key })), Some(id)));
                owner.slots(&mut push);
                self.owned_by.entry(id).or_insert(holder);
                gone.insert(id, (slot, spot));
            }
        }
        let mut any = false;
        let mut stack = self.added.clone();
        while let Some((slot, spot)) = stack.pop() {
            if let Some(to) = self.moved_to(slot.id()) {
                if *to != spot {
                    self.twice = Some((slot, spot));
                }
                continue;
            }
            match gone.remove(&slot.id()) {
                Some((before, from)) => {
                    any = true;
                    self.matched.push((before, from.clone()));
                    self.moved(before, slot, from, spot, tell);
                }
                None => {
                    let owner = slot.entity();
                    owner.slots(&mut |field, key, slot| stack.push((slot, Some(Spot { owner, field, key }))));
                }
            }
        }
        if any {
            let moved = self.moved.as_ref();
            let stays = |id: EntityId| moved.is_some_and(|moved| !moved.contains_key(&id));
            self.added.retain(|(slot, _)| stays(slot.id()));
            self.removed.retain(|(slot, _)| stays(slot.id()));
        }
        any
    }

    /// What stood below something that was removed was taken for moved from there. If an owner between the two moved too,
    /// it must have left that one: else it stands in it as ever, and twice.
    fn check_matched(&mut self) {
        // Those below which nothing stays.
        let mut gone: HashSet<EntityId, ahash::RandomState> = HashSet::default();
        for (slot, spot) in std::mem::take(&mut self.matched) {
            let (mut way, mut id) = (Vec::new(), slot.id());
            while !self.left.contains(&id) && !gone.contains(&id) {
                let Some(holder) = self.owned_by.get(&id).copied().flatten() else { break };
                if self.has_moved(holder) {
                    self.twice = Some((slot, spot));
                    return;
                }
                way.push(id);
                id = holder;
            }
            // Not the first, which has moved: what it owned may stay in it.
            gone.extend(way.into_iter().skip(1));
        }
    }

    fn check_repeats(&self) -> Result<(), RepeatedError> {
        if self.added.len() < 2 {
            return Ok(());
        }
        let mut seen: HashMap<EntityId, &Option<Spot<'a>>, ahash::RandomState> = HashMap::default();
        for (slot, spot) in &self.added {
            if let Some(first) = seen.insert(slot.id(), spot) {
                return Err(RepeatedError {
                    entity: slot.id(),
                    first: Spot::describe(first.as_ref()),
                    second: Spot::describe(spot.as_ref()),
                });
            }
        }
        Ok(())
    }
}

/// Compared before descending: where both digests are known, equal ones end the walk. A digest counts an enum of entities
/// as its variant, so that of another Rust type can equal it.
fn same_digest(before: &dyn Slot, after: &dyn Slot) -> bool {
    if before.address() == 0 || after.address() == 0 {
        return false;
    }
    let known = |slot: &dyn Slot| slot.cell().and_then(|cell| Some((cell.known_digest()?, cell.entity().row())));
    known(before).zip(known(after)).is_some_and(|((before, was), (after, is))| before == after && was.is(is))
}
