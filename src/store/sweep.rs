//! Forgetting: what nobody may ask for any more goes, a bounded piece of the log at a time.
//!
//! The log is gone through once, from its beginning to the horizon. Where an entry follows on something (a version on
//! the one before, an owner on another, the end of a reference on the reference), what it follows on goes, unless a tag
//! stands between the two, or a version that stays builds on it.

use crate::when::Position;

/// How far a store has forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first position as of which everything can be read; 0 if nothing was ever forgotten.
    pub(crate) horizon: Position,
    /// The last entry that was gone through.
    pub(crate) swept: Position,
    /// How much of the one after it was gone through.
    pub(crate) place: usize,
}

impl Mark {
    /// Raises the horizon, which never sinks, to a position that is there.
    pub(crate) fn raise(&mut self, horizon: Position, head: Position) {
        self.horizon = self.horizon.max(horizon.min(head));
    }

    /// Whether everything below the horizon was gone through.
    pub(crate) fn is_done(&self) -> bool {
        self.swept >= self.horizon
    }
}

/// What went in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The first position as of which everything can be read.
    pub horizon: Position,
    /// How many versions went.
    pub versions: usize,
    /// Whether there is more to do.
    pub more: bool,
}

/// The positions that have tags, in order.
pub(crate) struct Tagged(Vec<Position>);

impl Tagged {
    pub(crate) fn new(tags: impl IntoIterator<Item = Position>) -> Self {
        let mut tags: Vec<Position> = tags.into_iter().collect();
        tags.sort_unstable();
        Self(tags)
    }

    /// Whether there is one from a position on and before another.
    pub(crate) fn any(&self, from: Position, until: Position) -> bool {
        let first = self.0.get(self.0.partition_point(|tag| *tag < from));
        first.is_some_and(|tag| *tag < until)
    }
}

/// The first position from `at` on as of which everything can be read; `tag` tells the first from one on that has a tag.
pub(crate) fn kept_from<E>(
    at: Position,
    horizon: Position,
    tag: impl FnOnce(Position) -> Result<Option<Position>, E>,
) -> Result<Position, E> {
    if at >= horizon || at.0 == 0 {
        return Ok(at);
    }
    Ok(tag(at)?.map_or(horizon, |tag| tag.min(horizon)))
}

/// One thing that an entry did, by what stands for an entity in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<E> {
    /// It made a version, and changed the owner or not.
    Version { entity: E, revision: u64, owner: bool },
    /// It changed an owner alone.
    Owner(E),
    /// It changed a reference.
    Reference { from: E, field: u16, to: E, opened: bool },
}

/// A version as it is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stands {
    pub(crate) revision: u64,
    pub(crate) position: Position,
    /// The version that it builds on.
    pub(crate) on: Option<u64>,
}

/// What a store has, to be gone through.
pub(crate) trait Sweep {
    type Entity: Copy;
    type Error;

    /// All that an entry did, always in the same order.
    fn items(&mut self, entry: Position) -> Result<Vec<Item<Self::Entity>>, Self::Error>;
    /// The last version that is there of those up to a revision.
    fn version(&mut self, entity: Self::Entity, until: u64) -> Result<Option<Stands>, Self::Error>;
    fn drop_version(&mut self, entity: Self::Entity, version: Stands) -> Result<(), Self::Error>;
    /// Since when the last owner stands that is there and came before a position.
    fn owner_before(&mut self, entity: Self::Entity, before: Position) -> Result<Option<Position>, Self::Error>;
    fn drop_owner(&mut self, entity: Self::Entity, since: Position) -> Result<(), Self::Error>;
    /// Lets a reference go that ended, if no tag needs it.
    fn drop_reference(
        &mut self,
        reference: (Self::Entity, u16, Self::Entity),
        until: Position,
        tagged: &Tagged,
    ) -> Result<(), Self::Error>;
}

/// Goes on where a mark says, and moves it; how many versions went. About `budget` things are looked at.
pub(crate) fn sweep<S: Sweep>(
    store: &mut S,
    mark: &mut Mark,
    tagged: &Tagged,
    budget: usize,
) -> Result<usize, S::Error> {
    let mut left = budget.max(1);
    let mut went = 0;
    while !mark.is_done() && left > 0 {
        let entry = Position(mark.swept.0 + 1);
        let items = store.items(entry)?;
        left -= 1;
        while let Some(item) = items.get(mark.place) {
            if left == 0 && went > 0 {
                return Ok(went);
            }
            let finished = follow(store, *item, entry, tagged, &mut left, &mut went)?;
            if !finished {
                return Ok(went);
            }
            mark.place += 1;
            left = left.saturating_sub(1);
        }
        *mark = Mark { swept: entry, place: 0, ..*mark };
    }
    Ok(went)
}

/// Lets go of what one item follows on; `false` if the budget did not suffice.
fn follow<S: Sweep>(
    store: &mut S,
    item: Item<S::Entity>,
    at: Position,
    tagged: &Tagged,
    left: &mut usize,
    went: &mut usize,
) -> Result<bool, S::Error> {
    let owned = match item {
        Item::Version { entity, revision, owner } => {
            if revision > 1 && !follow_version(store, entity, revision, tagged, left, went)? {
                return Ok(false);
            }
            owner.then_some(entity)
        }
        Item::Owner(entity) => Some(entity),
        Item::Reference { opened: true, .. } => None,
        Item::Reference { from, field, to, opened: false } => {
            store.drop_reference((from, field, to), at, tagged)?;
            None
        }
    };
    if let Some(entity) = owned
        && let Some(since) = store.owner_before(entity, at)?
        && !tagged.any(since, at)
    {
        store.drop_owner(entity, since)?;
    }
    Ok(true)
}

/// Lets go of the versions before one, down to the first that must stay. Those below that one stay as they are: nothing
/// that decides about them has changed.
fn follow_version<S: Sweep>(
    store: &mut S,
    entity: S::Entity,
    revision: u64,
    tagged: &Tagged,
    left: &mut usize,
    went: &mut usize,
) -> Result<bool, S::Error> {
    let Some(next) = store.version(entity, revision)?.filter(|next| next.revision == revision) else {
        return Ok(true);
    };
    while let Some(before) = store.version(entity, revision - 1)? {
        // All that builds on a version comes before the next with a state of its own, or is that one.
        if next.on == Some(before.revision) || tagged.any(before.position, next.position) {
            break;
        }
        if *left == 0 && *went > 0 {
            return Ok(false);
        }
        store.drop_version(entity, before)?;
        *left = left.saturating_sub(1);
        *went += 1;
    }
    Ok(true)
}
