//! The callable registry: functions run through it, and what they change becomes versions.

mod again;
mod batch;
mod callable;
mod caller;
mod compact;
mod conflict;
mod context;
mod declared;
mod draft;
mod erase;
mod error;
mod execute;
mod held;
mod json_schema;
mod kinds;
mod load;
mod manifest;
mod many;
mod meter;
mod observe;
mod once;
mod outcome;
mod pending;
mod plain;
mod replay;
mod replays;
mod stats;
mod stretch;
mod table;
mod told;
mod trace;
mod types;
mod watched;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

pub use batch::{Batch, Expected};
pub use callable::{Arguments, Callable, Parameter, Signature};
pub use caller::{Caller, ValueOf};
pub use compact::{CompactError, Compaction, Retention};
pub use conflict::Conflict;
pub use context::Context;
pub use declared::{Callables, Declared, DoesNotFit, Fits, Probe, gives, takes, takes_context, takes_first};
pub use error::{AddressError, ArgumentError, CallError, RecallError, RegisterError};
pub use held::{Held, Strays};
pub use kinds::{
    Access, CreatedOutput, EntitiesParam, Failure, Output, OutputKind, Param, PlainOutput, PlainParam, Recall,
    TakeParam,
};
pub use load::Arg;
pub use manifest::{Description, Manifest};
pub use many::{Call, Commits};
pub use observe::{
    CutOff, Observation, ObservationKind, Observations, RunNumber, Subscribing, Subscription, Topics, WhenFull,
};
pub use once::{Once, Receipt};
pub use outcome::Outcome;
pub use pending::Pending;
pub use plain::Plain;
pub use replay::{ReplayError, Replayed};
pub use replays::{Replays, Tally};
pub use stats::{CallableStats, Stats};
pub use stretch::Stretch;
pub use table::Strategy;

use crate::entity::Entity;
use crate::history::{Archive, CommitError, History, ReadError};
use crate::id::{Id, Ids};
use crate::store::{Durability, Store, StoreError};
use crate::when::{Clock, When};
use load::Loading;
use observe::Listeners;
use table::{Registered, Table};
use watched::Watching;

struct Inner {
    archive: Arc<Archive>,
    table: Table,
    /// What stands for the runs that make one commit.
    many: Registered,
    listeners: Arc<Listeners>,
    ids: Option<Arc<dyn Ids>>,
    strays: Strays,
    conflict: Conflict,
    watching: Watching,
}

/// Where entities live and functions run on them. Cheap to clone: clones are the same registry.
///
/// ```
/// use heirloom::prelude::*;
///
/// #[derive(Entity, Clone)]
/// struct Student { id: Id<Student>, name: String, gpa: f64 }
///
/// fn raise(student: &mut Student, by: f64) { student.gpa = (student.gpa + by).min(4.0); }
///
/// let registry = Registry::in_memory();
/// registry.register("raise", raise)?.params(["student", "by"])?;
/// let ann = registry.add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
/// let outcome = registry.by("dean").call(raise, (ann, 0.3))?;
/// assert_eq!(outcome.changes().to_string(), "Student Ann: gpa 3.5 -> 3.8");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

/// Builds a registry with a clock, a source of ids or a default of its own.
#[derive(Default)]
#[must_use = "nothing is built until `in_memory`, `open` or `over`"]
pub struct Builder {
    clock: Option<Box<dyn Clock>>,
    ids: Option<Arc<dyn Ids>>,
    strays: Strays,
    conflict: Conflict,
    durability: Durability,
    cache: Option<usize>,
    watching: Watching,
}

/// How much of a store is held in memory unless somebody says otherwise.
const CACHE: usize = 256 << 20;

impl Builder {
    /// Takes the times of commits from this clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Takes the new identities of runs from here.
    pub fn ids(mut self, ids: impl Ids) -> Self {
        self.ids = Some(Arc::new(ids));
        self
    }

    /// What becomes of edits made to held entities outside the registry, unless a call says otherwise.
    pub fn strays(mut self, strays: Strays) -> Self {
        self.strays = strays;
        self
    }

    /// What becomes of runs whose inputs someone commits to meanwhile, unless a call says otherwise.
    pub fn on_conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = conflict;
        self
    }

    /// When a commit returns, for a registry that is not in memory: [`Durability::Full`] unless said otherwise.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many bytes of values are held in memory, for a registry that is not in memory alone: about, and 256 MiB
    /// unless said otherwise. What was not used for a while is let go, and read again when it is asked for. Besides, each
    /// entity that was ever looked at costs a few hundred bytes.
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = Some(bytes);
        self
    }

    /// Whether it is counted what the runs of each callable come to and how long they take, for [`Registry::stats`]. It is
    /// not, unless said so: each run then adds to two counters and a histogram, and each callable takes some kilobytes for
    /// each of up to four threads, at most 136.
    pub fn stats(mut self, stats: bool) -> Self {
        self.watching.stats = stats;
        self
    }

    /// Tells listeners of each run that takes longer than this ([`Observation::DidRunSlowly`]), unless its callable says
    /// otherwise: see [`Registration::slow_run`]. No run is slow unless one of them says so.
    pub fn slow_run(mut self, threshold: Duration) -> Self {
        self.watching.slow_run = Some(threshold);
        self
    }

    /// A registry that keeps everything in memory.
    #[must_use]
    pub fn in_memory(mut self) -> Registry {
        let archive = Arc::new(Archive::new(self.clock.take()));
        self.registry(archive)
    }

    /// A registry that keeps everything in this file, which is made if it is not there. See [`Registry::open`].
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "sqlite")]
    pub fn open(self, path: impl AsRef<Path>) -> Result<Registry, StoreError> {
        self.over(crate::store::SqliteStore::open(path)?)
    }

    /// A registry that keeps everything in this store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn over(mut self, store: impl Store) -> Result<Registry, StoreError> {
        let clock = self.clock.take();
        let archive = Archive::over(Arc::new(store), self.durability, self.cache.unwrap_or(CACHE), clock)?;
        Ok(self.registry(archive))
    }

    fn registry(self, archive: Arc<Archive>) -> Registry {
        let Self { ids, strays, conflict, watching, .. } = self;
        archive.types.admit_ours(kinds::row_of::<Receipt>());
        let (table, many, listeners) = (Table::default(), many::registered(watching), Arc::default());
        Registry { inner: Arc::new(Inner { archive, table, many, listeners, ids, strays, conflict, watching }) }
    }
}

/// A callable that was just registered, for saying more of it.
#[must_use = "a registered callable can be left as it is: say so with `let _ =`, or name its parameters"]
pub struct Registration {
    registered: Arc<Registered>,
    registry: Registry,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({})", self.registered.name())
    }
}

impl Registration {
    /// Names the parameters, in order, so that `execute` can be given them by name.
    ///
    /// # Errors
    /// The number of names is not that of the parameters, or one stands twice: then the callable is not registered. Or
    /// they have names already: then it stays as it is.
    pub fn params<const N: usize>(self, names: [&str; N]) -> Result<Self, RegisterError> {
        let name = || self.registered.name().to_string();
        let expected = self.registered.callable.parameters().len();
        if N != expected {
            self.registry.inner.table.remove(&self.registered);
            return Err(RegisterError::ParameterCount { name: name(), expected, found: N });
        }
        if let Some(twice) = (1..N).find(|index| names[..*index].contains(&names[*index])) {
            self.registry.inner.table.remove(&self.registered);
            return Err(RegisterError::ParameterTwice { name: name(), parameter: names[twice].to_owned() });
        }
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        match self.registered.names.set(names) {
            Ok(()) => Ok(self),
            Err(_) => Err(RegisterError::GivenTwice { name: name(), what: "parameter names" }),
        }
    }

    /// Gives the version of its code, which every run records.
    ///
    /// # Errors
    /// It was given already.
    pub fn code_version(self, version: impl Into<Arc<str>>) -> Result<Self, RegisterError> {
        match self.registered.identity.code_version.set(version.into()) {
            Ok(()) => Ok(self),
            Err(_) => Err(RegisterError::GivenTwice { name: self.registered.name().to_string(), what: "code version" }),
        }
    }

    /// Says what it does.
    ///
    /// # Errors
    /// It was said already.
    pub fn docs(self, docs: impl Into<String>) -> Result<Self, RegisterError> {
        match self.registered.docs.set(docs.into()) {
            Ok(()) => Ok(self),
            Err(_) => {
                Err(RegisterError::GivenTwice { name: self.registered.name().to_string(), what: "documentation" })
            }
        }
    }

    /// Whether listeners hear of its runs and their commits. The log has their entries in any case.
    pub fn observed(self, observed: bool) -> Self {
        self.registered.watched.set_observed(observed);
        self
    }

    /// Tells listeners of each of its runs that takes longer than this: [`Observation::DidRunSlowly`].
    pub fn slow_run(self, threshold: Duration) -> Self {
        self.registered.watched.set_slow_run(threshold);
        self
    }
}

impl Registry {
    /// A registry that keeps everything in memory, and loses it when the last clone goes.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::builder().in_memory()
    }

    /// A registry that keeps everything in one file: it is there again when the file is next opened. The file is made if
    /// it is not there.
    ///
    /// Opening reads no more than the newest entry, whatever the file holds; entities are read when somebody asks for
    /// them. Several processes may have one file open. A commit is checked against what all of them committed; a read
    /// takes in what others did, unless a commit of its own process is just under way, which then does. With the builder,
    /// a file can be given another [`Durability`].
    ///
    /// # Errors
    /// It is no store, was made by a newer version, is in a place where nothing can be written, or cannot be read.
    #[cfg(feature = "sqlite")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder().open(path)
    }

    /// Begins a registry with a clock, a source of ids or a default of its own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Registers a function or closure under a name, and takes in the types of its entities. One with
    /// [`#[callable]`](macro@crate::callable) says all of this itself: [`Registry::register_all`].
    ///
    /// # Errors
    /// The name is taken, the function is registered already, or another type has the stored name of one of these.
    pub fn register<F, M>(&self, name: &str, function: F) -> Result<Registration, RegisterError>
    where
        F: Callable<M>,
        M: 'static,
    {
        self.register_saying(name, function, |_| ())
    }

    /// The names of all callables, in the order they were registered.
    #[must_use]
    pub fn callables(&self) -> Vec<Arc<str>> {
        self.inner.table.names()
    }

    /// What was, when, and who did it.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(Arc::clone(&self.inner.archive))
    }

    /// What everything is kept in, for what a store does beside a history: [`sizes`](Store::sizes),
    /// [`export`](crate::store::export). What is appended to it past the registry, the registry takes in when it next
    /// commits.
    ///
    /// # Errors
    /// [`StoreError::InMemory`] if the registry has none.
    pub fn store(&self) -> Result<&dyn Store, StoreError> {
        self.inner.archive.store()
    }

    /// Copies everything to a file where none is yet, while others go on reading and writing: the history as it was at
    /// one moment of the call, whole entries alone. O(its size).
    ///
    /// # Errors
    /// The registry is in memory, its store makes no copies ([`StoreError::Unsupported`]), something stands at the path,
    /// or it cannot be written; then nothing is left there.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        self.store()?.backup(path.as_ref())
    }

    /// Calls and commits in somebody's name.
    pub fn by(&self, author: impl Into<Arc<str>>) -> Caller<'_> {
        self.caller().by(author)
    }

    /// Calls and commits of which more is to be said.
    pub fn caller(&self) -> Caller<'_> {
        Caller::new(self)
    }

    /// See [`Caller::call`].
    ///
    /// # Errors
    /// As there.
    pub fn call<F, M, A>(&self, function: F, arguments: A) -> Result<Outcome<ValueOf<F::Output>>, CallError>
    where
        F: Callable<M>,
        A: Arguments<F::Signature>,
    {
        self.caller().call(function, arguments)
    }

    /// See [`Caller::submit`].
    ///
    /// # Errors
    /// As there.
    pub fn submit<F, M, A>(&self, function: F, arguments: A) -> Result<Pending<'_, ValueOf<F::Output>, A>, CallError>
    where
        F: Callable<M>,
        A: Arguments<F::Signature>,
    {
        self.caller().submit(function, arguments)
    }

    /// See [`Caller::execute`].
    ///
    /// # Errors
    /// As there.
    pub fn execute(&self, name: &str, arguments: impl Into<Json>) -> Result<Outcome<Json>, CallError> {
        self.caller().execute(name, arguments)
    }

    /// See [`Caller::execute_many`].
    pub fn execute_many<C: Into<Call>>(
        &self,
        calls: impl IntoIterator<Item = C>,
        commits: Commits,
    ) -> Vec<Result<Outcome<Json>, CallError>> {
        self.caller().execute_many(calls, commits)
    }

    /// See [`Caller::add`].
    ///
    /// # Errors
    /// As there.
    pub fn add<T: Entity>(&self, entity: T) -> Result<Id<T>, CommitError> {
        self.caller().add(entity)
    }

    /// See [`Caller::save`].
    ///
    /// # Errors
    /// As there.
    pub fn save<T: Entity>(&self, held: &mut Held<T>) -> Result<Outcome<()>, CommitError> {
        self.caller().save(held)
    }

    /// See [`Caller::remove`].
    ///
    /// # Errors
    /// As there.
    pub fn remove<T: Entity>(&self, id: Id<T>) -> Result<Outcome<()>, CommitError> {
        self.caller().remove(id)
    }

    /// See [`Caller::revert`].
    ///
    /// # Errors
    /// As there.
    pub fn revert<T: Entity>(&self, id: Id<T>, when: impl Into<When>) -> Result<Outcome<()>, CommitError> {
        self.caller().revert(id, when)
    }

    /// See [`Caller::batch`].
    pub fn batch(&self) -> Batch<'_> {
        self.caller().batch()
    }

    /// The entity as it is now.
    ///
    /// # Errors
    /// It is unknown, of another type, or removed.
    pub fn get<T: Entity>(&self, id: Id<T>) -> Result<T, ReadError> {
        self.history().get(id)
    }

    /// The entity as it is now, to be read and edited outside, with the version it came from.
    ///
    /// # Errors
    /// It is unknown, of another type, or removed.
    pub fn checkout<T: Entity>(&self, id: Id<T>) -> Result<Held<T>, ReadError> {
        let caller = self.caller();
        Loading::new(&caller).entity(id).map(|loaded| Held::new(Arc::clone(&self.inner.archive), loaded))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("callables", &self.callables()).finish_non_exhaustive()
    }
}
