//! What stands beside reading and appending: copies, sizes, query plans.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::SqliteStore;
use super::connect::beside;
use super::fault::{Fault, Place};
use super::{many, pack, rows, sql};
use crate::store::error::StoreError;
use crate::store::rows::Sizes;

impl SqliteStore {
    /// How large the store is, table by table. O(its size).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn sizes(&self) -> Result<Sizes, StoreError> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.reading("measuring", |snapshot| {
            let count = |pragma| snapshot.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
            let free = count("freelist_count")?.saturating_mul(count("page_size")?);
            Ok(Sizes {
                file: length(&self.place.path),
                write_ahead_log: length(&beside(&self.place.path, "-wal")),
                tables: tables(snapshot.connection).unwrap_or_default(),
                free: u64::try_from(free).unwrap_or(0),
                saved: saved(snapshot.connection)?,
            })
        })
    }

    /// Copies the store as it is now to a path where no file is yet; others read and write meanwhile. O(its size).
    ///
    /// # Errors
    /// Something stands at the path, or it cannot be read or written; then no file is left there.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let to = Place { path: path.as_ref().to_owned(), wait: self.place.wait };
        let absolute = std::path::absolute(&to.path).map_err(|error| to.io("writing", error))?;
        let to = Place { path: absolute, ..to };
        // Made here, so that a file of somebody else is never written or removed.
        fs::File::create_new(&to.path).map_err(|error| to.io("writing", error))?;
        let copied = self.reading("copying", |snapshot| {
            let mut target = Connection::open(&to.path)?;
            let backup = Backup::new(snapshot.connection, &mut target)?;
            // At one go: readers do not hold up writers.
            match backup.step(-1)? {
                StepResult::Done => Ok(()),
                _ => Err(Fault::Store(StoreError::Busy { path: to.path.clone(), waited: to.wait })),
            }
        });
        if copied.is_err() {
            // What failed is told; that a rest of it could not be removed is not worth more words.
            let _ = fs::remove_file(&to.path);
        }
        copied
    }

    /// How SQLite goes about every statement: its name, and one line for each step.
    ///
    /// # Errors
    /// It cannot be read.
    #[doc(hidden)]
    pub fn plans(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.reading("explaining the statements of", |snapshot| {
            let mut plans = Vec::new();
            for (name, sql) in sql::ALL.iter().copied().chain(many::all()) {
                let mut statement = snapshot.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
                let steps = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3))?;
                plans.push((name.to_owned(), steps.collect::<Result<Vec<_>, _>>()?.join("\n")));
            }
            Ok(plans)
        })
    }
}

/// By how much bodies are smaller than they were.
fn saved(connection: &Connection) -> Result<u64, Fault> {
    let mut statement = connection.prepare("SELECT body FROM version WHERE dictionary IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut saved = 0;
    while let Some(row) = rows.next()? {
        let packed = rows::blob(row, 0)?;
        if let Some((length, _)) = pack::length(packed) {
            saved += (length as u64).saturating_sub(packed.len() as u64);
        }
    }
    Ok(saved)
}

fn tables(connection: &Connection) -> Result<Vec<(String, u64)>, Fault> {
    let mut statement = connection.prepare("SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
    let sizes = rows.map(|row| row.map(|(name, size)| (name, u64::try_from(size).unwrap_or(0))));
    Ok(sizes.collect::<Result<_, _>>()?)
}
