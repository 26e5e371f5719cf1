//! What must still be there, and what must not be, where something was forgotten.

use ahash::AHashMap;

use super::fault::Fault;
use super::rows::stored;
use crate::store::sweep::{Mark, Tagged};
use crate::when::Position;

/// Where an entry did something: its position, and the place among all that it did.
pub(super) type At = (i64, usize);

/// What came last, entity by entity.
pub(super) struct Remains {
    mark: Mark,
    tagged: Tagged,
    versions: AHashMap<i64, Last>,
    owners: AHashMap<i64, (i64, bool)>,
    /// Whether a version is not there any more.
    lacks: bool,
}

/// The last version of an entity so far.
#[derive(Clone, Copy)]
struct Last {
    revision: i64,
    position: i64,
    there: bool,
    /// One that is there only if the next that is builds on it.
    waits: Option<i64>,
}

impl Remains {
    pub(super) fn new(mark: Mark, tagged: Tagged) -> Self {
        Self { mark, tagged, versions: AHashMap::new(), owners: AHashMap::new(), lacks: false }
    }

    /// Whether something was gone through, so that what it follows on went.
    fn is_swept(&self, (position, place): At) -> bool {
        let swept = stored(self.mark.swept);
        position <= swept || (position == swept + 1 && place < self.mark.place)
    }

    /// Whether it was gone through in part at least.
    fn is_begun(&self, (position, place): At) -> bool {
        let next = position == stored(self.mark.swept) + 1 && position <= stored(self.mark.horizon);
        self.is_swept((position, place)) || (next && place == self.mark.place)
    }

    fn has_tag(&self, from: i64, until: i64) -> bool {
        let position = |number: i64| Position(u64::try_from(number).unwrap_or(0));
        self.tagged.any(position(from), position(until))
    }

    /// A version that an entry made; whether it is there, and what it builds on.
    pub(super) fn version(
        &mut self,
        number: i64,
        revision: i64,
        at: At,
        there: bool,
        on: Option<i64>,
    ) -> Result<(), Fault> {
        let name = |revision: i64| format!("the row {} of version", number << 32 | revision);
        let last = self.versions.get(&number).copied();
        if revision != last.map_or(1, |last| last.revision + 1) {
            return Err(Fault::damaged(name(revision), "its revision does not follow"));
        }
        self.lacks |= !there;
        let mut waits = None;
        if let Some(last) = last {
            let needed = self.has_tag(last.position, at.0);
            if !last.there && (needed || !self.is_begun(at)) {
                return Err(Fault::damaged(name(last.revision), "it is not there, and nothing of it may be forgotten"));
            }
            let stays = last.there && !needed && self.is_swept(at);
            waits = if stays { Some(last.revision) } else { last.waits };
            if there && waits.is_some() {
                if waits != on && self.is_swept(at) {
                    let which = waits.unwrap_or(last.revision);
                    return Err(Fault::damaged(name(which), "it is there, and was forgotten"));
                }
                waits = None;
            }
        }
        self.versions.insert(number, Last { revision, position: at.0, there, waits });
        Ok(())
    }

    /// An owner that an entry gave; whether its row is there.
    pub(super) fn owner(&mut self, child: i64, at: At, there: bool) -> Result<(), Fault> {
        if let Some((since, was_there)) = self.owners.insert(child, (at.0, there))
            && self.is_gone(since, at) == was_there
        {
            return Err(unfit(format!("the row {child}, {since} of edge")));
        }
        Ok(())
    }

    /// Whether what stood from a position until something must not be there any more.
    pub(super) fn is_gone(&self, since: i64, until: At) -> bool {
        self.is_swept(until) && !self.has_tag(since, until.0)
    }

    /// Whether all versions are there that ever were.
    pub(super) fn is_whole(&self) -> bool {
        !self.lacks
    }

    /// Checks that what came last is there, and that the horizon stands where it can.
    pub(super) fn finish(&self, head: Position) -> Result<(), Fault> {
        let Mark { horizon, swept, place } = self.mark;
        if horizon > head || swept > horizon || (place > 0 && swept == horizon) {
            return Err(Fault::damaged("the row 1 of horizon", "it does not fit the entries"));
        }
        if let Some((number, last)) = self.versions.iter().find(|(_, last)| !last.there) {
            return Err(unfit(format!("the row {} of version", number << 32 | last.revision)));
        }
        match self.owners.iter().find(|(_, (_, there))| !there) {
            Some((child, (since, _))) => Err(unfit(format!("the row {child}, {since} of edge"))),
            None => Ok(()),
        }
    }
}

pub(super) fn unfit(name: String) -> Fault {
    Fault::damaged(name, "it does not follow from the entries, or is not there")
}
