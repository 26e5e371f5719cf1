//! Rows that are inserted many at a time: SQLite then begins one statement for all of them.

use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, Statement};

use super::fault::Fault;
use super::rows::{EntityRow, OwnerColumns, VersionColumns};
use super::sql;

/// How many rows one statement takes. With more, beginning one no longer shows.
pub(super) const MANY: usize = 32;

static ADD_ENTITIES: LazyLock<String> = LazyLock::new(|| many(sql::ADD_ENTITY));
static ADD_VERSIONS: LazyLock<String> = LazyLock::new(|| many(sql::ADD_VERSION));
static ADD_OWNERS: LazyLock<String> = LazyLock::new(|| many(sql::ADD_OWNER));

/// All of them, with names.
pub(super) fn all() -> [(&'static str, &'static str); 3] {
    [("add entities", &ADD_ENTITIES), ("add versions", &ADD_VERSIONS), ("add owners", &ADD_OWNERS)]
}

/// The statement that inserts many rows, of the one that inserts one.
fn many(one: &str) -> String {
    let (before, rest) = one.split_once("VALUES (").expect("the statements that insert rows say so");
    let (row, after) = rest.split_once(')').expect("the statements that insert rows name their columns");
    let row = format!("({})", vec!["?"; row.split(',').count()].join(", "));
    format!("{before}VALUES {}{after}", vec![row; MANY].join(", "))
}

/// A row to be inserted.
pub(super) trait Insert {
    const ONE: &str;
    fn many() -> &'static str;
    /// Gives a statement its columns.
    fn bind(&self, columns: &mut Columns<'_, '_>) -> Result<(), Fault>;
}

/// The columns of a statement, one after the other.
pub(super) struct Columns<'s, 'c> {
    statement: &'s mut Statement<'c>,
    next: usize,
}

impl Columns<'_, '_> {
    pub(super) fn int(&mut self, number: impl Into<Option<i64>>) -> Result<(), Fault> {
        self.next += 1;
        Ok(self.statement.raw_bind_parameter(self.next, number.into())?)
    }

    pub(super) fn blob(&mut self, blob: Option<&[u8]>) -> Result<(), Fault> {
        self.next += 1;
        Ok(self.statement.raw_bind_parameter(self.next, blob)?)
    }
}

/// Rows that wait until there are many.
pub(super) struct Waiting<'c, R> {
    connection: &'c Connection,
    one: CachedStatement<'c>,
    many: Option<CachedStatement<'c>>,
    rows: Vec<R>,
}

impl<'c, R: Insert> Waiting<'c, R> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, Fault> {
        Ok(Self { connection, one: connection.prepare_cached(R::ONE)?, many: None, rows: Vec::new() })
    }

    /// Inserts one row at once; whether it was not there.
    pub(super) fn insert(&mut self, row: &R) -> Result<bool, Fault> {
        row.bind(&mut Columns { statement: &mut self.one, next: 0 })?;
        Ok(self.one.raw_execute()? == 1)
    }

    /// Takes a row that is to be inserted; whether there are enough for [`flush`](Self::flush).
    pub(super) fn push(&mut self, row: R) -> bool {
        self.rows.push(row);
        self.rows.len() == MANY
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Inserts the rows that wait, and visits each, with whether it was not there. Of many at once it is told so of all
    /// if one was.
    pub(super) fn flush(&mut self, mut visit: impl FnMut(&R, bool) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut rows = std::mem::take(&mut self.rows);
        if rows.len() == MANY {
            let statement = match &mut self.many {
                Some(statement) => statement,
                none => none.insert(self.connection.prepare_cached(R::many())?),
            };
            let mut columns = Columns { statement, next: 0 };
            rows.iter().try_for_each(|row| row.bind(&mut columns))?;
            let added = statement.raw_execute()? == MANY;
            rows.iter().try_for_each(|row| visit(row, added))?;
        } else {
            for row in &rows {
                let added = self.insert(row)?;
                visit(row, added)?;
            }
        }
        rows.clear();
        self.rows = rows;
        Ok(())
    }
}

impl Insert for EntityRow {
    const ONE: &str = sql::ADD_ENTITY;

    fn many() -> &'static str {
        &ADD_ENTITIES
    }

    fn bind(&self, columns: &mut Columns<'_, '_>) -> Result<(), Fault> {
        columns.int(self.number)?;
        columns.blob(Some(self.id.as_bytes()))?;
        columns.int(self.came)?;
        columns.int(self.sum())
    }
}

impl<B: AsRef<[u8]>> Insert for VersionColumns<B> {
    const ONE: &str = sql::ADD_VERSION;

    fn many() -> &'static str {
        &ADD_VERSIONS
    }

    fn bind(&self, columns: &mut Columns<'_, '_>) -> Result<(), Fault> {
        columns.int(self.key)?;
        columns.int(self.position)?;
        columns.int(self.kind as i64)?;
        columns.int(self.own)?;
        columns.int(self.layout)?;
        columns.int(self.dictionary)?;
        columns.blob(self.body.as_ref().map(B::as_ref))?;
        columns.blob(self.carried.as_ref().map(B::as_ref))?;
        columns.int(self.seal)?;
        columns.int(self.sum().finish())
    }
}

impl Insert for OwnerColumns {
    const ONE: &str = sql::ADD_OWNER;

    fn many() -> &'static str {
        &ADD_OWNERS
    }

    fn bind(&self, columns: &mut Columns<'_, '_>) -> Result<(), Fault> {
        columns.int(self.child)?;
        columns.int(self.since)?;
        columns.int(self.owner)?;
        columns.int(self.field)?;
        columns.int(self.sum().finish())
    }
}
