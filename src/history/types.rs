//! The type table: which Rust type each stored name stands for.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use once_cell::sync::OnceCell;

use super::TypeError;
use crate::entity::TypeRow;
use crate::schema::Layout;

/// One type: its row, and its layout once somebody asked.
struct Known {
    row: &'static TypeRow,
    layout: OnceCell<Layout>,
}

/// The entity types that a registry has met, by their stored names.
#[derive(Default)]
pub(crate) struct Types {
    by_name: RwLock<HashMap<String, Known, ahash::RandomState>>,
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
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        check(by_name.entry(name.clone()).or_insert(Known { row, layout: OnceCell::new() }))
    }

    /// The layout of a type that was admitted, worked out once.
    pub(crate) fn layout(&self, row: &'static TypeRow) -> Layout {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        match by_name.get(&row.meta.full_name()) {
            Some(known) => known.layout.get_or_init(|| row.meta.layout()).clone(),
            None => row.meta.layout(),
        }
    }
}
