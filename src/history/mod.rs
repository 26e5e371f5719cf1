//! History: commits, lineages, every state as of any time. Here entities and the log meet.

mod body;
mod cipher;
mod clock;
mod commit;
mod entry;
mod erase;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod group;
mod hidden;
mod horizon;
mod kept;
mod last;
mod lock;
mod numbers;
mod prepare;
mod proposal;
mod read;
mod reader;
mod recorded;
mod said;
mod seal;
mod settle;
mod spare;
mod tree;
mod types;
mod view;
mod vouch;
mod why;
mod writes;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

pub use entry::{Argument, Entry, Run, RunPart};
pub use erase::{EraseError, Erasure};
pub use error::{CommitError, OtherRegistryError, ReadError, TypeError};
pub use lock::LockError;
pub use tree::{Edge, TreeAt};
pub use view::{FieldVersion, Version, VersionKind, Versions};
pub use why::{Origin, Reach, Why};

pub(crate) use commit::{Committed, Info};
pub(crate) use group::Begun;
pub use proposal::Proposal;
pub(crate) use proposal::{Expected as ExpectedHead, Input, Prepared};
pub(crate) use recorded::Recorded;
pub(crate) use settle::entity_of;
pub(crate) use types::Types;

use crate::lineage::Lineages;
use crate::log::{Log, Times};
use crate::store::Head;
use crate::when::{Clock, Position};
use clock::Reading;
use group::Group;
use kept::Kept;
use spare::Spares;

/// The one branch that there is for now.
pub(crate) const MAIN: &str = "main";

/// Everything that is kept.
pub(crate) struct Archive {
    pub(crate) lineages: Lineages,
    pub(crate) log: Log,
    pub(crate) types: Arc<Types>,
    spares: Spares,
    clock: Option<Box<dyn Clock>>,
    tags: RwLock<BTreeMap<String, Position>>,
    /// Whoever holds it may append.
    writer: Mutex<Writer>,
    /// What everything is kept in, if that is not memory alone.
    kept: Option<Kept>,
    group: Group,
    /// Whether others appended to the store what has not been taken in.
    behind: AtomicBool,
}

/// What only the writer changes.
struct Writer {
    reading: Reading,
    times: Times,
    /// The newest entry of the store that was taken in.
    head: Head,
}

impl Archive {
    pub(crate) fn new(clock: Option<Box<dyn Clock>>) -> Self {
        Self {
            lineages: Lineages::new(),
            log: Log::new(),
            types: Arc::default(),
            spares: Spares::default(),
            clock,
            tags: RwLock::default(),
            writer: Mutex::new(Writer { reading: Reading::new(), times: Times::default(), head: Head::EMPTY }),
            kept: None,
            group: Group::default(),
            behind: AtomicBool::new(false),
        }
    }
}

/// The history of a registry on one branch: what was, when, and who did it. Reads see everything that was committed
/// before they began, and never wait for a writer's work.
#[derive(Clone)]
pub struct History {
    pub(crate) archive: Arc<Archive>,
    branch: &'static str,
}

impl History {
    pub(crate) fn new(archive: Arc<Archive>) -> Self {
        Self { archive, branch: MAIN }
    }

    /// The name of the branch.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.branch
    }

    /// The same history on another branch.
    ///
    /// # Errors
    /// There is no branch of that name; for now there is `main` alone.
    pub fn on(&self, branch: &str) -> Result<Self, ReadError> {
        match branch {
            MAIN => Ok(self.clone()),
            _ => Err(ReadError::NoBranch { branch: branch.to_owned(), known: MAIN.to_owned() }),
        }
    }
}
