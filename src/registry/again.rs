//! A function, run once more on what a recorded run was given and told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::Registry;
use super::callable::{Callable, Signature};
use super::caller::wanted;
use super::context::{Context, Told};
use super::error::ArgumentError;
use super::held::said_by;
use super::kinds::{Access, Output, OutputKind};
use super::load::Loading;
use super::replay::ReplayError;
use crate::children::LoadFailure;
use crate::entity::EncodeFailure;
use crate::history::{Argument, CommitError, Entry, Proposal, ReadError, Run};
use crate::id::{EntityId, Ids, RunId, with_ids};
use crate::lineage::Ix;
use crate::log::{RunEnd, Said};
use crate::value::Value;
use crate::when::Position;

/// A run to be run once more: what it was given and told.
pub(super) struct Rerun<'r> {
    pub(super) registry: &'r Registry,
    pub(super) position: Position,
    pub(super) callable: Arc<str>,
    pub(super) arguments: &'r [Argument],
    /// The parameters, for errors.
    pub(super) parameters: &'r [String],
    pub(super) told: Told,
    /// Whether what it gives back is to be told, since it was recorded.
    pub(super) tells_result: bool,
    /// Whether its parameters may overlap, since another function was recorded.
    pub(super) may_overlap: bool,
    pub(super) ids: Arc<dyn Ids>,
}

/// What came of running once more: what would be committed, and how it ended.
pub(super) struct Again {
    pub(super) end: RunEnd,
    /// What it gave back, if that is to be told.
    pub(super) result: Option<Value>,
    pub(super) proposal: Proposal,
}

impl Again {
    fn ended(end: RunEnd) -> Self {
        Self { end, result: None, proposal: Proposal::default() }
    }
}

impl Rerun<'_> {
    /// Runs a function on it.
    pub(super) fn run<F: Callable<M>, M>(&self, function: &F) -> Result<Again, ReplayError> {
        let (expected, found) = (F::Signature::COUNT, self.arguments.len());
        if expected != found {
            return Err(ReplayError::ArgumentCount {
                position: self.position,
                callable: self.callable.to_string(),
                expected,
                parameters: self.parameters.join(", "),
                found,
            });
        }
        let caller = self.registry.caller();
        let loading = Loading::new(&caller);
        match catch_unwind(AssertUnwindSafe(|| self.run_loaded(function, &loading))) {
            Ok(again) => again,
            Err(payload) => match payload.downcast::<LoadFailure>() {
                Ok(failure) => Err(ReplayError::Load { position: self.position, source: failure.0 }),
                Err(payload) => Ok(Again::ended(match payload.downcast::<EncodeFailure>() {
                    Ok(failure) => RunEnd::Refused(CommitError::Unwritable(failure.to_string()).to_string()),
                    Err(payload) => RunEnd::Panicked(said_by(payload)),
                })),
            },
        }
    }

    fn run_loaded<F: Callable<M>, M>(&self, function: &F, loading: &Loading<'_>) -> Result<Again, ReplayError> {
        let recalled = F::Signature::recall(self.arguments, loading);
        let mut slots = recalled.map_err(|(index, source)| self.argument_error(index, source))?;
        if self.may_overlap {
            let mut used = Vec::new();
            F::Signature::used(&slots, &mut |one| used.push((one.ix, one.access != Access::Reads)));
            self.refuse_overlaps(&used)?;
        }
        let context = F::TAKES_CONTEXT.then(|| Context::recorded(self.registry, &self.callable, self.told.clone()));
        let returned = with_ids(&self.ids, || function.invoke(context.as_ref(), &mut slots));
        let mut created = Vec::new();
        let value = match <F::Output as Output>::Kind::unpack(returned, &mut created) {
            Ok(value) => value,
            Err(failure) => return Ok(Again::ended(RunEnd::Failed(failure.to_string()))),
        };
        let result = self.tells_result.then(|| <F::Output as Output>::Kind::record(&value));
        let mut proposal = wanted::<F, M>(&mut slots, created).unwrap_or_default();
        proposal.give_back();
        Ok(Again { end: RunEnd::Returned, result, proposal })
    }

    fn argument_error(&self, index: usize, source: ArgumentError) -> ReplayError {
        let (position, argument) = (self.position, self.arguments[index].to_string());
        match source {
            ArgumentError::Read(ReadError::WrongType { .. }) => {}
            ArgumentError::Read(source) => return ReplayError::Input { position, argument, source },
            _ => {}
        }
        let parameter = self.parameters.get(index).cloned().unwrap_or_default();
        ReplayError::Argument { position, callable: self.callable.to_string(), parameter, argument, source }
    }

    /// Refuses what a call would have refused then, by who owned what when the run was committed.
    fn refuse_overlaps(&self, used: &[(Ix, bool)]) -> Result<(), ReplayError> {
        let lineages = &self.registry.inner.archive.lineages;
        let overlap = |outer, inner| ReplayError::Overlap {
            position: self.position,
            outer: lineages.get(outer).id,
            inner: lineages.get(inner).id,
        };
        for (at, (ix, edits)) in used.iter().enumerate() {
            if used[..at].iter().any(|(other, also)| other == ix && (*edits || *also)) {
                return Err(overlap(*ix, *ix));
            }
            let mut step = *ix;
            while let Some(edge) = lineages.owner(step, Position(self.position.0 - 1)).map_err(ReadError::from)? {
                step = edge.owner;
                if used.iter().any(|(other, also)| *other == step && (*edits || *also)) {
                    return Err(overlap(step, *ix));
                }
            }
        }
        Ok(())
    }
}

/// The identities of a run that is run again: those that the recorded run is taken to have drawn, in order; where none is
/// known, one that follows from the place of the run in the log.
pub(super) struct Redrawn {
    position: Position,
    known: Vec<Option<EntityId>>,
    drawn: Mutex<Vec<EntityId>>,
}

impl Redrawn {
    pub(super) fn new(position: Position, known: Vec<Option<EntityId>>) -> Arc<Self> {
        Arc::new(Self { position, known, drawn: Mutex::default() })
    }

    pub(super) fn drawn(&self) -> Vec<EntityId> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Ids for Redrawn {
    fn next_id(&self) -> EntityId {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.get(drawn.len()).copied().flatten();
        let id = known.unwrap_or_else(|| derived(self.position, &drawn.len().to_string()));
        drawn.push(id);
        id
    }
}

/// An identity that a replay needs and that was not recorded: the same each time.
fn derived(position: Position, what: &str) -> EntityId {
    EntityId::derive("heirloom replay", &format!("{position} {what}"))
}

/// What a run was told of itself.
pub(super) fn told(entry: &Entry, run: Run<'_>) -> Told {
    let position = entry.position();
    let said = Said {
        author: entry.author().map(Into::into),
        message: entry.message().map(Into::into),
        properties: entry.properties().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    };
    let now = run.now().unwrap_or_else(|| entry.time());
    let id = run.id().unwrap_or_else(|| RunId::from(derived(position, "run")));
    Told { said: Arc::new(said), now, id }
}
