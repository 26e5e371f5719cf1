//! Commits to a store: alone, or those of many callers in one append, each told when its own is durable.
//!
//! Whoever waits for a commit while nobody leads takes all that was put down by then to the store as one, and the others
//! find theirs done. A leader who had company lately waits a moment for it: one sync is then for all of them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::kept::Kept;
use super::{Archive, CommitError, Committed, Info, Prepared, Writer};
use crate::lineage::{Made, Replaced};
use crate::store::Durability;
use crate::when::{Position, Timestamp};

/// How many commits wait at most; who comes then waits for its own.
const MOST: usize = 1024;

/// A leader waits for company at most this long, and at most a quarter of what an append takes.
const LONGEST: Duration = Duration::from_millis(1);

/// Hears of a commit that was made, before any later one is. It runs no code of users.
pub(crate) type Tell = Box<dyn FnOnce(Committed) + Send>;

/// What waits to be committed.
#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
    /// Something was done, or nobody leads any more.
    done: Condvar,
    /// The company that a leader waits for is there.
    complete: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Wanted>,
    leading: bool,
    /// How many were under way when the last append ended, and how long it took.
    company: usize,
    took: Duration,
}

/// One commit that somebody wants.
pub(super) struct Wanted {
    pub(super) prepared: Option<Prepared>,
    pub(super) info: Info,
    /// What the store is given of `info`.
    pub(super) said: Arc<[u8]>,
    pub(super) given: Option<Timestamp>,
    tell: Option<Tell>,
    done: Done,
}

type Done = Arc<Mutex<Option<End>>>;

/// What became of it.
struct End {
    prepared: Option<Prepared>,
    info: Info,
    result: Result<Landed, CommitError>,
}

/// A commit that the store has.
pub(super) struct Landed {
    pub(super) position: Position,
    pub(super) made: Made,
}

/// A commit that is made, or under way.
pub(crate) enum Begun {
    Made(Committed),
    UnderWay(Ticket),
}

/// Stands for a commit that is under way.
pub(crate) struct Ticket(Done);

impl Archive {
    /// Commits to the store, or puts it down for a common append.
    pub(super) fn begin_kept(
        &self,
        kept: &Kept,
        prepared: Option<Prepared>,
        info: &mut Info,
        given: Option<Timestamp>,
        tell: Option<Tell>,
    ) -> Result<Begun, CommitError> {
        let done = Done::default();
        let said = self.said_bytes(info.said.as_deref(), info.run.as_ref());
        let wanted = Wanted { prepared, info: std::mem::take(info), said, given, tell, done: Arc::clone(&done) };
        let ticket = Ticket(done);
        if kept.durability != Durability::Batched {
            drop(self.land_all(kept, vec![wanted]));
            return self.wait(ticket, info).map(Begun::Made);
        }
        let mut state = self.group.state();
        state.waiting.push(wanted);
        let waiting = state.waiting.len();
        if waiting == state.company {
            self.group.complete.notify_one();
        }
        drop(state);
        if waiting >= MOST {
            return self.wait(ticket, info).map(Begun::Made);
        }
        Ok(Begun::UnderWay(ticket))
    }

    /// Waits until a commit is made or refused; who is refused gets back what was said of it.
    pub(crate) fn wait(&self, ticket: Ticket, info: &mut Info) -> Result<Committed, CommitError> {
        let End { prepared, info: given_back, result } = self.end_of(&ticket);
        match result {
            Ok(Landed { position, made }) => {
                self.keep_spare(prepared, &made);
                Ok(Committed { position, versions: made.len() })
            }
            Err(error) => {
                *info = given_back;
                // What is said of the run next is theirs, too.
                info.subjects.extend(prepared.iter().flat_map(Prepared::subjects));
                Err(error)
            }
        }
    }

    fn end_of(&self, ticket: &Ticket) -> End {
        let mut state = None;
        loop {
            if let Some(end) = ticket.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return end;
            }
            // The end may have come before the lock was had, so it is looked for once more.
            let mut now = match state.take() {
                None => {
                    state = Some(self.group.state());
                    continue;
                }
                Some(state) => state,
            };
            if now.leading {
                state = Some(self.group.done.wait(now).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            now.leading = true;
            let leading = Leading(&self.group);
            let mut now = self.group.gather(now);
            let wanted = std::mem::take(&mut now.waiting);
            drop(now);
            assert!(!wanted.is_empty(), "whoever led this commit panicked before it was told of");
            let kept = self.kept.as_ref().expect("only a history in a store has commits under way");
            let (count, start) = (wanted.len(), Instant::now());
            let replaced = self.land_all(kept, wanted);
            let mut now = self.group.state();
            (now.company, now.took) = (count + now.waiting.len(), start.elapsed());
            drop(now);
            drop(leading);
            // May run the user's code, so it comes last.
            drop(replaced);
        }
    }

    /// Takes what is wanted to the store as one, and says of each what became of it. What cannot be committed is told so,
    /// and the rest is not held up by it. Gives what was replaced: dropping it may run the user's code.
    #[must_use = "what was replaced is let go of when nobody waits for it"]
    fn land_all(&self, kept: &Kept, wanted: Vec<Wanted>) -> Replaced {
        let mut replaced = Replaced::new();
        let mut results: Vec<Option<Result<Landed, CommitError>>> = Vec::new();
        results.resize_with(wanted.len(), || None);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.land(kept, &mut writer, &wanted, &mut results, &mut replaced);
        for (Wanted { prepared, info, tell, done, .. }, result) in wanted.into_iter().zip(results) {
            let result = result.expect("each is landed or refused");
            if let (Some(tell), Ok(Landed { position, made })) = (tell, &result) {
                tell(Committed { position: *position, versions: made.len() });
            }
            *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(End { prepared, info, result });
        }
        replaced
    }

    fn land(
        &self,
        kept: &Kept,
        writer: &mut Writer,
        wanted: &[Wanted],
        results: &mut [Option<Result<Landed, CommitError>>],
        replaced: &mut Replaced,
    ) {
        match self.append_all(kept, writer, wanted, results, replaced) {
            Err(failed) => {
                for result in results.iter_mut().filter(|result| result.is_none()) {
                    *result = Some(Err(failed.clone().into()));
                }
            }
            Ok(landed) => {
                for (at, position, made) in landed {
                    for (ix, cell) in wanted[at].prepared.iter().flat_map(|prepared| &prepared.keep) {
                        self.lineages.keep_built(*ix, position, cell, replaced);
                    }
                    self.lineages.publish(position);
                    results[at] = Some(Ok(Landed { position, made }));
                }
            }
        }
    }
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a moment for those who were under way lately.
    fn gather<'g>(&'g self, mut state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        let (start, longest) = (Instant::now(), LONGEST.min(state.took / 4));
        while state.waiting.len() < state.company {
            let Some(left) = longest.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { break };
            (state, _) = self.complete.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

/// Somebody leads; whatever becomes of it, somebody else may afterwards.
struct Leading<'g>(&'g Group);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.state().leading = false;
        self.0.done.notify_all();
    }
}
