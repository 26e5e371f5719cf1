//! A transaction that writes, begun and ended by statements that are prepared once.

use std::ops::Deref;

use rusqlite::Connection;

use super::fault::Fault;
use super::sql;

/// Holds the write lock; what is not committed is rolled back when this goes.
pub(super) struct Transaction<'c>(&'c Connection);

impl<'c> Transaction<'c> {
    /// Waits for its turn as long as the connection's busy timeout says.
    pub(super) fn begin(connection: &'c Connection) -> Result<Self, Fault> {
        connection.prepare_cached(sql::BEGIN_WRITING)?.execute([])?;
        Ok(Self(connection))
    }

    pub(super) fn commit(self) -> Result<(), Fault> {
        self.0.prepare_cached(sql::END)?.execute([])?;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // Some errors end a transaction by themselves. One that could not be rolled back ends with its connection.
        if !self.0.is_autocommit() {
            _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
