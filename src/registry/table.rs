//! The table of callables: frozen once registered, read without a lock.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use indexmap::IndexMap;
use once_cell::sync::OnceCell;

use super::callable::{AnyCallable, Parameter};
use super::error::{ArgumentError, CallError, RegisterError};
use super::kinds::Access;
use super::watched::Watched;
use crate::log::Callable as Identity;

/// How runs of a callable go about their work: worked out once, from its parameters and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// It takes no entity and creates none: nothing is compared.
    Computes,
    /// It takes entities by `&` or by value, and gives back none: nothing is compared.
    Reads,
    /// It creates entities and edits none.
    Creates,
    /// It edits one entity.
    EditsOne,
    /// It edits several entities, or a list of them, in one commit: they are checked for overlaps first.
    EditsSeveral,
}

impl Strategy {
    /// Whether a run can change anything.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Strategy::Computes | Strategy::Reads)
    }

    fn of(parameters: &[Parameter], edits: &[bool], creates: bool) -> Self {
        let edits = parameters.iter().zip(edits).filter(|(_, edits)| **edits).map(|(parameter, _)| parameter);
        match edits.clone().count() {
            0 if creates => Strategy::Creates,
            0 if parameters.iter().any(|parameter| parameter.access != Access::Value) => Strategy::Reads,
            0 => Strategy::Computes,
            1 if edits.clone().any(|parameter| parameter.several) => Strategy::EditsSeveral,
            1 => Strategy::EditsOne,
            _ => Strategy::EditsSeveral,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strategy::Computes => "computes",
            Strategy::Reads => "reads",
            Strategy::Creates => "creates",
            Strategy::EditsOne => "edits one",
            Strategy::EditsSeveral => "edits several",
        })
    }
}

/// What there is to know of a callable before its first run.
pub(super) struct Plan {
    pub(super) strategy: Strategy,
    /// Whether two of its entities could be the same, or one own the other, while one is edited.
    pub(super) may_overlap: bool,
}

/// A registered callable.
pub(super) struct Registered {
    pub(super) identity: Arc<Identity>,
    pub(super) type_id: TypeId,
    pub(super) type_name: &'static str,
    pub(super) callable: Box<dyn AnyCallable>,
    pub(super) names: OnceLock<Vec<String>>,
    pub(super) docs: OnceLock<String>,
    pub(super) watched: Watched,
    plan: OnceCell<Plan>,
}

impl Registered {
    pub(super) fn new(
        name: Arc<str>,
        type_id: TypeId,
        type_name: &'static str,
        callable: Box<dyn AnyCallable>,
        watched: Watched,
    ) -> Self {
        Self {
            identity: Arc::new(Identity { name, code_version: OnceLock::new() }),
            type_id,
            type_name,
            callable,
            names: OnceLock::new(),
            docs: OnceLock::new(),
            watched,
            plan: OnceCell::new(),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.identity.name
    }

    pub(super) fn plan(&self) -> &Plan {
        self.plan.get_or_init(|| {
            let parameters = self.callable.parameters();
            let strategy = Strategy::of(&parameters, &self.callable.edits(), self.callable.creates());
            let entities = parameters.iter().filter(|parameter| parameter.access != Access::Value).count();
            let edits = matches!(strategy, Strategy::EditsOne | Strategy::EditsSeveral);
            Plan { strategy, may_overlap: edits && (entities > 1 || strategy == Strategy::EditsSeveral) }
        })
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = self.callable.parameters();
        for (parameter, name) in parameters.iter_mut().zip(self.names.get().into_iter().flatten()) {
            parameter.name = Some(name.clone());
        }
        parameters
    }

    /// The parameters as an error lists them.
    pub(super) fn signature(&self) -> String {
        let parameters = self.parameters();
        if parameters.is_empty() {
            return "none".to_owned();
        }
        let texts: Vec<String> = parameters.iter().map(Parameter::to_string).collect();
        texts.join(", ")
    }

    pub(super) fn argument_error(&self, index: usize, source: ArgumentError) -> CallError {
        let parameter = match self.names.get().and_then(|names| names.get(index)) {
            Some(name) => format!("parameter {name:?}"),
            None => format!("parameter {}", index + 1),
        };
        CallError::Argument { callable: self.name().to_string(), parameter, source }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        let sign = match self.access {
            Access::Reads => "&",
            Access::Edits => "&mut ",
            Access::Takes | Access::Value => "",
        };
        write!(f, "{sign}{}", self.type_name)
    }
}

/// The callables at one time.
#[derive(Clone, Default)]
pub(super) struct Tables {
    by_type: HashMap<TypeId, Arc<Registered>, ahash::RandomState>,
    by_name: IndexMap<Arc<str>, Arc<Registered>, ahash::RandomState>,
}

impl Tables {
    /// The callable of a function's type.
    pub(super) fn by_type(&self, type_id: TypeId) -> Option<&Arc<Registered>> {
        self.by_type.get(&type_id)
    }
}

/// All callables of a registry.
#[derive(Default)]
pub(super) struct Table {
    tables: ArcSwap<Tables>,
    writer: std::sync::Mutex<()>,
}

impl Table {
    /// Adds a callable. `by_type` is whether its type alone tells it from all others.
    pub(super) fn add(&self, registered: Registered, by_type: bool) -> Result<Arc<Registered>, RegisterError> {
        let _guard = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.load());
        if by_type && let Some(taken) = tables.by_type.get(&registered.type_id) {
            return Err(RegisterError::FunctionTaken {
                function: registered.type_name.to_owned(),
                name: taken.name().to_string(),
            });
        }
        if let Some(taken) = tables.by_name.get(registered.name()) {
            return Err(RegisterError::NameTaken {
                name: registered.name().to_string(),
                by: taken.type_name.to_owned(),
            });
        }
        let registered = Arc::new(registered);
        tables.by_name.insert(Arc::clone(registered.name()), Arc::clone(&registered));
        if by_type {
            tables.by_type.insert(registered.type_id, Arc::clone(&registered));
        }
        self.tables.store(Arc::new(tables));
        Ok(registered)
    }

    /// The table as it is now, for looking up without a lock.
    pub(super) fn now(&self) -> Guard<Arc<Tables>> {
        self.tables.load()
    }

    /// Takes a callable out again, which was added and then could not be named as it was to be.
    pub(super) fn remove(&self, registered: &Arc<Registered>) {
        let _guard = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.load());
        tables.by_name.shift_remove(registered.name());
        if tables.by_type.get(&registered.type_id).is_some_and(|known| Arc::ptr_eq(known, registered)) {
            tables.by_type.remove(&registered.type_id);
        }
        self.tables.store(Arc::new(tables));
    }

    pub(super) fn by_name(&self, name: &str) -> Result<Arc<Registered>, CallError> {
        let tables = self.tables.load();
        tables.by_name.get(name).cloned().ok_or_else(|| CallError::UnknownName {
            name: name.to_owned(),
            known: if tables.by_name.is_empty() {
                "none".to_owned()
            } else {
                tables.by_name.keys().map(|name| &**name).collect::<Vec<_>>().join(", ")
            },
        })
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.tables.load().by_name.keys().cloned().collect()
    }

    /// All callables, in the order they were registered.
    pub(super) fn all(&self) -> Vec<Arc<Registered>> {
        self.tables.load().by_name.values().cloned().collect()
    }
}
