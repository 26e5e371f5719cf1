//! Running recorded runs again, on what they were given, without keeping anything.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Registry;
use super::again::{Again, Redrawn, Rerun, told};
use super::callable::{AnyCallable, Callable, Typed};
use super::error::ArgumentError;
use super::held::caught;
use super::kinds::row_of;
use super::once::Receipt;
use super::replays::Replays;
use super::stretch::Stretch;
use super::table::Registered;
use crate::diff::Changes;
use crate::entity::LoadError;
use crate::history::{CommitError, Entry, Proposal, ReadError, Recorded, Run};
use crate::id::EntityId;
use crate::log::RunEnd;
use crate::value::Value;
use crate::when::Position;

/// What came of a run that was run again, beside what was recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Replayed {
    /// It ended as it did then, and leaves what it left then.
    Equal,
    /// It ended as it did then, and leaves something else: this, from what was recorded to what it leaves now.
    Different(Changes),
    /// It ended as it did then, and gives back something else. Only runs under a key have in the log what they gave back.
    Returned {
        /// What it gave back then; an entity that it created is a reference to it.
        recorded: Value,
        /// What it gives back now.
        replayed: Value,
        /// From what was recorded to what it leaves now.
        changes: Changes,
    },
    /// It came to another end.
    Ended {
        /// How it ended then.
        recorded: RunEnd,
        /// How it ended now.
        replayed: RunEnd,
        /// From what was recorded to what it leaves now. A run that did not return leaves all as it was.
        changes: Changes,
    },
}

impl Replayed {
    /// Whether all is as it was recorded.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        matches!(self, Replayed::Equal)
    }

    /// From what was recorded to what the run leaves now; `None` if these are the same.
    #[must_use]
    pub fn changes(&self) -> Option<&Changes> {
        match self {
            Replayed::Equal => None,
            Replayed::Different(changes) | Replayed::Returned { changes, .. } | Replayed::Ended { changes, .. } => {
                Some(changes).filter(|changes| !changes.is_empty())
            }
        }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Replayed::Equal => f.write_str("equal"),
            Replayed::Different(changes) => write!(f, "{changes}"),
            Replayed::Returned { recorded, replayed, changes } => {
                write!(f, "gives back {replayed} now, and gave {recorded} then{}", below(changes))
            }
            Replayed::Ended { recorded, replayed, changes } => {
                write!(f, "{} now, and {} then{}", ended(replayed), ended(recorded), below(changes))
            }
        }
    }
}

/// Changes on lines of their own.
fn below(changes: &Changes) -> String {
    if changes.is_empty() { String::new() } else { format!("\n{changes}") }
}

fn ended(end: &RunEnd) -> String {
    match end {
        RunEnd::Returned => "returned".to_owned(),
        RunEnd::Failed(reason) => format!("failed ({reason})"),
        RunEnd::Panicked(reason) => format!("panicked ({reason})"),
        RunEnd::Refused(reason) => format!("was refused ({reason})"),
    }
}

/// Why a run could not be run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The entry is no run.
    #[error(
        "{position} is no run: only an entry that a callable made can be replayed, and `Entry::run` tells which are"
    )]
    NoRun {
        /// The entry.
        position: Position,
    },
    /// It is several runs that made one commit.
    #[error(
        "{position} is one commit of several runs: each was given what those before it left, which is not recorded, so that \
         none of them can be replayed; `Run::parts` tells what they were given"
    )]
    Together {
        /// The entry.
        position: Position,
    },
    /// Its callable is not known here.
    #[error(
        "no callable is named {callable:?} now: register one under that name, or give a function with `replay_with`; \
         known are {known}"
    )]
    UnknownCallable {
        /// The name.
        callable: String,
        /// The names there are.
        known: String,
    },
    /// It was given more, or less, than the callable takes now.
    #[error(
        "the run at {position} was given {found} arguments, as far as is recorded, and {callable:?} takes {expected} \
         ({parameters}): replay it with a function that takes what was given then, by `replay_with`"
    )]
    ArgumentCount {
        /// The run.
        position: Position,
        /// The callable.
        callable: String,
        /// How many it takes.
        expected: usize,
        /// Its parameters.
        parameters: String,
        /// How many were given.
        found: usize,
    },
    /// What it was given does not fit any more.
    #[error(
        "the run at {position} was given {argument} for {parameter} of {callable:?}: {source}; replay it with a function \
         that takes this, by `replay_with`"
    )]
    Argument {
        /// The run.
        position: Position,
        /// The callable.
        callable: String,
        /// The parameter.
        parameter: String,
        /// What was given.
        argument: String,
        /// Why it does not fit.
        #[source]
        source: ArgumentError,
    },
    /// What it was given cannot be read any more: it is forgotten or erased, or stored by a layout that leads nowhere.
    #[error("the run at {position} was given {argument}, and what that was cannot be read: {source}")]
    Input {
        /// The run.
        position: Position,
        /// What was given.
        argument: String,
        /// Why it cannot be read.
        #[source]
        source: ReadError,
    },
    /// What was sealed of it is erased.
    #[error(
        "what the run at {position} was given is erased with a subject whom it concerned, here for good: who ran it and \
         when is still told, and no more"
    )]
    Erased {
        /// The run.
        position: Position,
    },
    /// Two entities that the function edits were given of which one owns the other, or one twice.
    #[error(
        "the run at {position} was given {outer} and {inner}, which {} and one of which the function edits: replay it with \
         one that edits neither, or takes the outer one alone",
        if outer == inner { "are the same," } else { "that one owned," }
    )]
    Overlap {
        /// The run.
        position: Position,
        /// The owner.
        outer: EntityId,
        /// What it owned.
        inner: EntityId,
    },
    /// A shared child could not be loaded while the callable ran.
    #[error("the run at {position} could not go on: {source}")]
    Load {
        /// The run.
        position: Position,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// The log, or what the run left then, cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What a comparison came to.
enum Compared {
    Changes(Changes),
    /// It is to be run once more, with these identities.
    Redraw(Vec<Option<EntityId>>),
}

/// What is run again in place of what was recorded.
pub(super) enum Code {
    Registered(Arc<Registered>),
    Given(Box<dyn AnyCallable>),
}

impl Code {
    fn callable(&self) -> &dyn AnyCallable {
        match self {
            Code::Registered(registered) => &*registered.callable,
            Code::Given(callable) => &**callable,
        }
    }

    fn parameters(&self) -> Vec<String> {
        let parameters = match self {
            Code::Registered(registered) => registered.parameters(),
            Code::Given(callable) => callable.parameters(),
        };
        parameters.iter().map(|parameter| format!("parameter {parameter}")).collect()
    }
}

impl Registry {
    /// Runs a recorded run again, by the callable that has its name now, and tells what is different. Nothing is stored, and
    /// no listener hears of it.
    ///
    /// It is given what it was given then: the entities at the revisions that the log names, plain arguments as they were
    /// recorded, and a [`Context`](crate::Context) that tells it the same author, message, properties, time and random numbers. What
    /// it did not ask for then and asks for now follows from its entry: the time is that of the entry.
    ///
    /// Compared is how it ended, with the reason if it came to nothing, and what it left: every entity that it was given and
    /// changed, then or now, with all that it owns, and every entity that it gave back. A plain value that it gives back is
    /// compared if it ran under a key ([`Caller::once`](crate::Caller::once)): of others it is not recorded. What identities
    /// it drew is not recorded either: it is given those of the entities
    /// that came with it, in their order. If these then do not stand where they stood, as when it drew some in vain or kept
    /// one as a mere value, it is run once more, with each identity in the place where it is found.
    ///
    /// What a callable reads elsewhere, as through [`Context::history`](crate::Context::history), and what it does elsewhere, it reads and does as of
    /// today. A [`Held`](crate::Held) entity whose edits were not looked for
    /// ([`Strays::Unchecked`](crate::Strays::Unchecked)) is given without them. Whether a commit would be
    /// refused for what others committed is not tried: a run that was refused for that is told as one that now returned.
    ///
    /// ```
    /// use heirloom::prelude::*;
    ///
    /// #[derive(Entity, Clone)]
    /// struct Student { id: Id<Student>, name: String, gpa: f64 }
    ///
    /// fn raise(student: &mut Student, by: f64) { student.gpa += by; }
    ///
    /// let registry = Registry::in_memory();
    /// let _ = registry.register("raise", raise)?;
    /// let ann = registry.add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
    /// let raised = registry.call(raise, (ann, 0.75))?.position();
    /// assert!(registry.replay(raised)?.is_equal());
    /// assert_eq!(registry.history().head(), raised);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no run at this position, or several that made one commit; no callable has its name now; or what it was given
    /// does not fit, is forgotten or is erased.
    pub fn replay(&self, position: Position) -> Result<Replayed, ReplayError> {
        let entry = self.history().entry(position)?;
        let run = entry.run().ok_or(ReplayError::NoRun { position })?;
        if run.stands_for_several() {
            return Err(ReplayError::Together { position });
        }
        self.run_again(&entry, run, &self.code(run.callable())?)
    }

    /// Runs all runs of a callable again that a stretch of the log has, by the callable that has this name now: one for each
    /// step of the iterator, oldest first. See [`Registry::replay`]. A commit of several runs, of which this is one, is told
    /// once, and cannot be replayed ([`ReplayError::Together`]).
    ///
    /// # Errors
    /// No callable has this name now, or the stretch is not one of this log.
    pub fn replay_all(&self, callable: &str, stretch: impl Stretch) -> Result<Replays<'_>, ReplayError> {
        self.replays(callable, self.code(callable)?, stretch)
    }

    /// Runs all runs of a callable again that a stretch of the log has, by a function in its place: what this would have
    /// done with what happened then. It need not be registered. See [`Registry::replay`].
    ///
    /// ```
    /// use heirloom::prelude::*;
    ///
    /// #[derive(Entity, Clone)]
    /// struct Student { id: Id<Student>, name: String, gpa: f64 }
    ///
    /// fn raise(student: &mut Student, by: f64) { student.gpa += by; }
    /// fn raise_within_bounds(student: &mut Student, by: f64) { student.gpa = (student.gpa + by).min(4.0); }
    ///
    /// let registry = Registry::in_memory();
    /// let _ = registry.register("raise", raise)?;
    /// let ann = registry.add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
    /// registry.call(raise, (ann, 0.25))?;
    /// registry.call(raise, (ann, 0.5))?;
    ///
    /// let mut replays = registry.replay_with("raise", raise_within_bounds, ..)?;
    /// let (_, first) = replays.next().expect("two runs are recorded");
    /// let (_, second) = replays.next().expect("two runs are recorded");
    /// assert!(first?.is_equal());
    /// assert_eq!(second?.to_string(), "Student Ann: gpa 4.25 -> 4.0");
    /// assert_eq!(replays.tally().to_string(), "1 equal, 1 different, 0 ended otherwise, 0 not replayed");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// The stretch is not one of this log, or an entity type of the function has the stored name of another.
    pub fn replay_with<F, M>(
        &self,
        callable: &str,
        function: F,
        stretch: impl Stretch,
    ) -> Result<Replays<'_>, ReplayError>
    where
        F: Callable<M>,
        M: 'static,
    {
        let code: Box<dyn AnyCallable> = Box::new(Typed { function, marker: PhantomData::<fn() -> M> });
        for row in code.rows().into_iter().flatten() {
            self.inner.archive.types.admit_all(row).map_err(ReadError::from)?;
        }
        self.replays(callable, Code::Given(code), stretch)
    }

    fn code(&self, name: &str) -> Result<Code, ReplayError> {
        self.inner.table.by_name(name).map(Code::Registered).map_err(|_| {
            let known = self.callables();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            ReplayError::UnknownCallable { callable: name.to_owned(), known }
        })
    }

    fn replays(&self, callable: &str, code: Code, stretch: impl Stretch) -> Result<Replays<'_>, ReplayError> {
        let (next, last) = stretch.ends().within(&self.history())?;
        Ok(Replays::new(self, callable, code, next, last))
    }

    pub(super) fn run_again(&self, entry: &Entry, run: Run<'_>, code: &Code) -> Result<Replayed, ReplayError> {
        let position = entry.position();
        if run.is_erased() {
            return Err(ReplayError::Erased { position });
        }
        let recorded = Recorded::of(&self.history(), entry, row_of::<Receipt>())?;
        let (arguments, parameters) = (run.arguments(), code.parameters());
        let again = |ids: &Arc<Redrawn>| -> Result<Again, ReplayError> {
            code.callable().again(&Rerun {
                registry: self,
                position,
                callable: run.callable().into(),
                arguments: &arguments,
                parameters: &parameters,
                told: told(entry, run),
                tells_result: run.result().is_some(),
                may_overlap: matches!(code, Code::Given(_)),
                ids: Arc::<Redrawn>::clone(ids),
            })
        };
        let ids = Redrawn::new(position, recorded.came().into_iter().map(Some).collect());
        let Again { mut end, mut result, mut proposal } = again(&ids)?;
        let compared = caught(|| {
            let sides = recorded.beside(&mut proposal)?;
            Ok(match recorded.redrawn(&sides, &ids.drawn())? {
                Some(known) => Compared::Redraw(known),
                None => Compared::Changes(sides.changes()?),
            })
        });
        let compared = match compared {
            Ok(Compared::Changes(changes)) => Ok(changes),
            Ok(Compared::Redraw(known)) => {
                Again { end, result, proposal } = again(&Redrawn::new(position, known))?;
                caught(|| recorded.beside(&mut proposal)?.changes())
            }
            Err(error) => Err(error),
        };
        let changes = match compared {
            Ok(changes) => changes,
            Err(CommitError::Read(error)) => return Err(error.into()),
            Err(CommitError::Load(source)) => return Err(ReplayError::Load { position, source }),
            // What it left cannot be committed, so that it leaves all as it was.
            Err(error) => {
                end = match error {
                    CommitError::Panicked(message) => RunEnd::Panicked(message),
                    refused => RunEnd::Refused(refused.to_string()),
                };
                let unchanged = caught(|| recorded.beside(&mut Proposal::default())?.changes());
                unchanged.unwrap_or_else(|error| Changes::unreadable(&error.to_string()))
            }
        };
        if end != *run.end() {
            return Ok(Replayed::Ended { recorded: run.end().clone(), replayed: end, changes });
        }
        if let (Some(recorded), Some(replayed)) = (run.result(), result)
            && *recorded != replayed
        {
            return Ok(Replayed::Returned { recorded: recorded.clone(), replayed, changes });
        }
        let is_equal = changes.is_empty() && changes.unread().is_none();
        Ok(if is_equal { Replayed::Equal } else { Replayed::Different(changes) })
    }
}
