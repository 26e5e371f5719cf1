//! Forgetting in a file: one bounded transaction, and pages given back.

use rusqlite::{Connection, TransactionBehavior};

use super::bytes::version_key;
use super::fault::Fault;
use super::names::Names;
use super::read::{Snapshot, keys_of};
use super::rows::{self, OwnerColumns, ReferenceColumns, VersionColumns, stored};
use super::sql;
use crate::store::sweep::{Item, Mark, Progress, Stands, Sweep, Tagged, kept_from, sweep};
use crate::when::Position;

/// One step of forgetting.
pub(super) fn forget(
    connection: &mut Connection,
    names: &mut Names,
    horizon: Position,
    budget: usize,
) -> Result<Progress, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut snapshot = Snapshot { connection: &transaction, names };
    let before = snapshot.mark()?;
    let mut mark = before;
    mark.raise(horizon, snapshot.head()?.position);
    let tagged = snapshot.tagged()?;
    let versions = sweep(&mut snapshot, &mut mark, &tagged, budget)?;
    if mark != before {
        let place = i64::try_from(mark.place).unwrap_or(i64::MAX);
        let (horizon, swept) = (stored(mark.horizon), stored(mark.swept));
        let sum = rows::sum_of_horizon(horizon, swept, place).finish();
        transaction.prepare_cached(sql::SET_HORIZON)?.execute((horizon, swept, place, sum))?;
    }
    let free = give_back(&transaction, budget)?;
    transaction.commit()?;
    Ok(Progress { horizon: mark.horizon, versions, more: !mark.is_done() || free })
}

/// Gives free pages back to the file, some at a time; whether there are more. Not where another program made the file so
/// that it cannot.
fn give_back(connection: &Connection, budget: usize) -> Result<bool, Fault> {
    let count = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let before = count("freelist_count")?;
    if before == 0 {
        return Ok(false);
    }
    let most = i64::try_from(budget.max(1)).unwrap_or(i64::MAX).min(before);
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({most})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    let after = count("freelist_count")?;
    Ok(after > 0 && after < before)
}

impl Snapshot<'_> {
    /// How far was forgotten.
    pub(super) fn mark(&self) -> Result<Mark, Fault> {
        Ok(self.one(sql::HORIZON, [], rows::horizon)?.unwrap_or_default())
    }

    /// The first position from one on as of which everything can be read.
    pub(super) fn kept_from(&self, at: Position, horizon: Position) -> Result<Position, Fault> {
        kept_from(at, horizon, |at| {
            let tag = self.one(sql::TAG_FROM, [stored(at)], rows::tag)?;
            Ok(tag.map(|(_, position)| position))
        })
    }

    pub(super) fn tagged(&self) -> Result<Tagged, Fault> {
        Ok(Tagged::new(self.tags()?.into_iter().map(|(_, position)| position)))
    }
}

impl Sweep for Snapshot<'_> {
    type Entity = i64;
    type Error = Fault;

    fn items(&mut self, entry: Position) -> Result<Vec<Item<i64>>, Fault> {
        let missing = || Fault::damaged(format!("the row {} of entry", entry.0), "it is not there");
        let made = self.entry_columns(entry)?.ok_or_else(missing)?.made;
        let versions = made.versions.iter().map(|made| Item::Version {
            entity: made.number,
            revision: made.revision.into(),
            owner: made.owner,
        });
        let ended = made.ended.iter().map(|number| Item::Owner(*number));
        let references = made.references.iter().map(|made| Item::Reference {
            from: made.source,
            field: made.field,
            to: made.target,
            opened: made.opened,
        });
        Ok(versions.chain(ended).chain(references).collect())
    }

    fn version(&mut self, entity: i64, until: u64) -> Result<Option<Stands>, Fault> {
        let [first, _] = keys_of(entity, 0);
        let Some(last) = version_key(entity, until) else { return Ok(None) };
        self.one(sql::NEWEST, [first, last], |row| {
            let columns = VersionColumns::read(row)?;
            let wrong = |_| Fault::damaged(columns.name(), "what it builds on is no revision");
            Ok(Stands {
                revision: columns.revision(),
                position: rows::position(columns.position, || columns.name())?,
                on: columns.own.map(u64::try_from).transpose().map_err(wrong)?,
            })
        })
    }

    fn drop_version(&mut self, entity: i64, version: Stands) -> Result<(), Fault> {
        if let Some(key) = version_key(entity, version.revision) {
            self.connection.prepare_cached(sql::DROP_VERSION)?.execute([key])?;
        }
        Ok(())
    }

    fn owner_before(&mut self, entity: i64, before: Position) -> Result<Option<Position>, Fault> {
        self.one(sql::OWNER_AT, [entity, stored(before) - 1], |row| {
            let columns = OwnerColumns::read(row)?;
            rows::position(columns.since, || columns.name())
        })
    }

    fn drop_owner(&mut self, entity: i64, since: Position) -> Result<(), Fault> {
        self.connection.prepare_cached(sql::DROP_OWNER)?.execute([entity, stored(since)])?;
        Ok(())
    }

    fn drop_reference(
        &mut self,
        (source, field, target): (i64, u16, i64),
        until: Position,
        tagged: &Tagged,
    ) -> Result<(), Fault> {
        let key = (target, stored(until), source, i64::from(field));
        let since = self.one(sql::REFERENCE, key, |row| {
            let columns = ReferenceColumns::read(row)?;
            rows::position(columns.since, || columns.name())
        })?;
        if since.is_some_and(|since| !tagged.any(since, until)) {
            self.connection.prepare_cached(sql::END_REFERENCE)?.execute(key)?;
        }
        Ok(())
    }
}
