//! The type table: which Rust type each stored name stands for.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use once_cell::sync::OnceCell;

use super::TypeError;
use crate::entity::TypeRow;
use crate::schema::Layout;
use crate::store::LayoutRow;
use crate::value::Value;

/// One type: its row, and its layout once somebody asked.
struct Known {
    row: &'static TypeRow,
    /// Whether it is a type of this crate, which keeps what it stored readable by itself.
    ours: bool,
    layout: OnceCell<Layout>,
    stored: OnceCell<Arc<LayoutRow>>,
    upcasters: BTreeMap<u32, Upcaster>,
}

impl Known {
    fn new(row: &'static TypeRow) -> Self {
        Self { row, ours: false, layout: OnceCell::new(), stored: OnceCell::new(), upcasters: BTreeMap::new() }
    }

    fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| self.row.meta.layout())
    }
}

/// What makes of a state of one schema a state of the next.
pub(crate) type Upcaster = Arc<dyn Fn(Value) -> Result<Value, Box<dyn Error + Send + Sync>> + Send + Sync>;

/// The entity types that a registry has met, by their stored names.
#[derive(Default)]
pub(crate) struct Types {
    by_name: RwLock<HashMap<String, Known, ahash::RandomState>>,
    /// Whether states of one of them are sealed.
    seals: AtomicBool,
}

impl Types {
    /// Takes in a type. O(1); the name is built anew only for generic types.
    ///
    /// # Errors
    /// Another type has the same stored name.
    pub(crate) fn admit(&self, row: &'static TypeRow) -> Result<(), TypeError> {
        let name = row.meta.full_name();
        let check = |known: &Known| {
            if known.row.is(row) {
                return Ok(());
            }
            Err(TypeError {
                name: name.clone(),
                first: known.row.type_name().to_owned(),
                second: row.type_name().to_owned(),
            })
        };
        if let Some(known) = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return check(known);
        }
        if row.meta.seals() {
            self.seals.store(true, Ordering::Relaxed);
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        check(by_name.entry(name.clone()).or_insert_with(|| Known::new(row)))
    }

    /// Takes in a type of this crate, before any of a user's.
    pub(crate) fn admit_ours(&self, row: &'static TypeRow) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(row.meta.full_name(), Known { ours: true, ..Known::new(row) });
    }

    /// Whether states of a type that was taken in are sealed.
    pub(super) fn seals(&self) -> bool {
        self.seals.load(Ordering::Relaxed)
    }

    /// Takes in a type with all that it owns.
    ///
    /// # Errors
    /// Another type has the same stored name.
    pub(crate) fn admit_all(&self, row: &'static TypeRow) -> Result<(), TypeError> {
        self.admit(row)?;
        let mut waiting = row.owned_rows();
        while let Some(row) = waiting.pop() {
            if !self.is_known(row) {
                self.admit(row)?;
                waiting.extend(row.owned_rows());
            }
        }
        Ok(())
    }

    /// Whether a type was taken in.
    pub(crate) fn is_known(&self, row: &'static TypeRow) -> bool {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(&row.meta.full_name()).is_some_and(|known| known.row.is(row))
    }

    /// The type that is stored under a name, or once was.
    pub(crate) fn by_stored_name(&self, name: &str) -> Option<&'static TypeRow> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let known = by_name.get(name).map(|known| known.row);
        known.or_else(|| by_name.values().map(|known| known.row).find(|row| row.meta.is_stored_as(name)))
    }

    /// All types that were taken in, but for those of this crate.
    pub(super) fn rows_of_users(&self) -> Vec<&'static TypeRow> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.values().filter(|known| !known.ours).map(|known| known.row).collect()
    }

    /// The schemas, from one on and below today's, that there is an upcaster from.
    pub(super) fn upcasters(&self, row: &'static TypeRow, from: u32) -> Vec<u32> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let known = by_name.get(&row.meta.full_name());
        let steps = known.map(|known| known.upcasters.range(from..row.meta.schema.max(from)));
        steps.into_iter().flatten().map(|(from, _)| *from).collect()
    }

    /// Registers what makes of a state of this schema one of the next.
    ///
    /// # Errors
    /// The type's stored name is another's; or there is one for this schema already.
    pub(crate) fn add_upcaster(&self, row: &'static TypeRow, from: u32, upcaster: Upcaster) -> Result<bool, TypeError> {
        self.admit_all(row)?;
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let known = by_name.entry(row.meta.full_name()).or_insert_with(|| Known::new(row));
        let is_new = !known.upcasters.contains_key(&from);
        known.upcasters.entry(from).or_insert(upcaster);
        Ok(is_new)
    }

    /// A state of an earlier schema, brought to today's as far as there are upcasters.
    ///
    /// # Errors
    /// What an upcaster said.
    pub(crate) fn upcast(&self, row: &'static TypeRow, from: u32, mut state: Value) -> Result<Value, String> {
        let upcasters: Vec<(u32, Upcaster)> = {
            let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
            let known = by_name.get(&row.meta.full_name());
            let steps = known.map(|known| known.upcasters.range(from..row.meta.schema.max(from)));
            steps.into_iter().flatten().map(|(from, upcaster)| (*from, Arc::clone(upcaster))).collect()
        };
        for (from, upcaster) in upcasters {
            let step = catch_unwind(AssertUnwindSafe(|| upcaster(state)));
            state = match step {
                Ok(Ok(state)) => state,
                Ok(Err(error)) => return Err(format!("the upcaster from schema {from} says: {error}")),
                Err(_) => return Err(format!("the upcaster from schema {from} panicked")),
            };
        }
        Ok(state)
    }

    /// The layout of a type, worked out once for one that was admitted.
    pub(crate) fn layout(&self, row: &'static TypeRow) -> Layout {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        match by_name.get(&row.meta.full_name()) {
            Some(known) => known.layout().clone(),
            None => row.meta.layout(),
        }
    }

    /// The layout of a type as a store is given it.
    pub(crate) fn layout_row(&self, row: &'static TypeRow) -> Arc<LayoutRow> {
        let of = |layout: &Layout| {
            Arc::new(LayoutRow {
                digest: layout.digest(),
                name: row.meta.full_name(),
                schema: row.meta.schema,
                text: layout.text().to_owned(),
            })
        };
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        match by_name.get(&row.meta.full_name()) {
            Some(known) => Arc::clone(known.stored.get_or_init(|| of(known.layout()))),
            None => of(&row.meta.layout()),
        }
    }
}
