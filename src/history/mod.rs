//! History: commits, lineages, every state as of any time. Here entities and the log meet.

mod clock;
mod commit;
mod entry;
mod error;
mod prepare;
mod proposal;
mod read;
mod settle;
mod spare;
mod tree;
mod types;
mod view;
mod writes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

pub use entry::{Argument, Entry, Run};
pub use error::{CommitError, OtherRegistryError, ReadError, TypeError};
pub use tree::{Edge, TreeAt};
pub use view::{FieldVersion, Version, VersionKind, Versions};

pub(crate) use commit::{Committed, Info};
pub use proposal::Proposal;
pub(crate) use proposal::{Expected as ExpectedHead, Input, Prepared};
pub(crate) use types::Types;

use crate::lineage::Lineages;
use crate::log::{Log, Times};
use crate::when::{Clock, Position};
use clock::Reading;
use spare::Spares;

/// The one branch that there is for now.
pub(crate) const MAIN: &str = "main";

/// Everything that is kept.
pub(crate) struct Store {
    pub(crate) lineages: Lineages,
    pub(crate) log: Log,
    pub(crate) types: Types,
    spares: Spares,
    clock: Option<Box<dyn Clock>>,
    tags: RwLock<HashMap<String, Position>>,
    /// Whoever holds it may append.
    writer: Mutex<Writer>,
}

/// What only the writer changes.
struct Writer {
    reading: Reading,
    times: Times,
}

impl Store {
    pub(crate) fn new(clock: Option<Box<dyn Clock>>) -> Self {
        Self {
            lineages: Lineages::new(),
            log: Log::new(),
            types: Types::default(),
            spares: Spares::default(),
            clock,
            tags: RwLock::default(),
            writer: Mutex::new(Writer { reading: Reading::new(), times: Times::default() }),
        }
    }
}

/// The history of a registry on one branch: what was, when, and who did it. Reads see everything that was committed
/// before they began, and never wait for a writer's work.
#[derive(Clone)]
pub struct History {
    pub(crate) store: Arc<Store>,
    branch: &'static str,
}

impl History {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, branch: MAIN }
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
