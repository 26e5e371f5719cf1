//! Keys in a file: the bytes of one stand in one place alone, where they are overwritten when it is erased.

use std::time::Duration;

use rusqlite::{Connection, Row};

use super::bytes::Sum;
use super::fault::{Fault, Place, Stop};
use super::names::Names;
use super::read::Snapshot;
use super::rows::{self, stored};
use super::sql;
use crate::digest::Digest;
use crate::id::EntityId;
use crate::store::keys::{KeyChange, KeyNumber, KeyRow, Secret};
use crate::store::rules;
use crate::when::{Position, Revision};

/// How many bytes a secret has, and how many its row: with them stand four of a checksum. A column of its own for it
/// would be of one length before the secret is overwritten and of another after, and a row that changes its length moves
/// others, whose old places SQLite need not clear.
const SECRET: usize = 32;
const BYTES: usize = SECRET + 4;

/// One row of `key`.
pub(super) struct KeyColumns {
    pub(super) number: i64,
    pub(super) subject: Digest,
    pub(super) erased: Option<Position>,
}

impl KeyColumns {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Fault> {
        let (number, subject, erased) = (rows::int(row, 0)?, rows::blob(row, 1)?, rows::maybe_int(row, 2)?);
        let name = || format!("the row {number} of key");
        sum_of_key(number, subject, erased).check(rows::int(row, 3)?, name)?;
        let wrong = || Fault::damaged(name(), "a column does not hold what it is for");
        Ok(Self {
            number,
            subject: subject.try_into().map(Digest::from_bytes).map_err(|_| wrong())?,
            erased: erased.map(|erased| rows::position(erased, name)).transpose()?,
        })
    }

    /// The number of the key, which is above zero.
    fn key(&self) -> KeyNumber {
        KeyNumber(self.number.unsigned_abs())
    }
}

fn sum_of_key(number: i64, subject: &[u8], erased: Option<i64>) -> Sum {
    Sum::of(b'k').int(number).blob(subject).maybe_int(erased)
}

/// What stands in `secret` for these bytes.
fn secret_blob(number: i64, secret: &[u8; SECRET]) -> [u8; BYTES] {
    let mut blob = [0; BYTES];
    let sum = Sum::of(b's').int(number).blob(secret).bytes();
    blob[..SECRET].copy_from_slice(secret);
    blob[SECRET..].copy_from_slice(&sum);
    blob
}

/// One row of `secret`: `None` if it was destroyed, or never came.
pub(super) fn secret(row: &Row<'_>) -> Result<Option<Secret>, Fault> {
    let (number, blob) = (rows::int(row, 0)?, rows::blob(row, 1)?);
    let secret = blob.get(..SECRET).and_then(|secret| secret.try_into().ok());
    match secret {
        Some(secret) if blob == secret_blob(number, &secret) => Ok(Secret::new(secret)),
        _ => Err(Fault::damaged(format!("the row {number} of secret"), "its checksum does not fit")),
    }
}

fn number_of(key: KeyNumber) -> i64 {
    i64::try_from(key.0).unwrap_or(i64::MAX)
}

impl Snapshot<'_> {
    fn with_secret(&self, columns: &KeyColumns) -> Result<KeyRow, Fault> {
        let missing = || Fault::damaged(format!("the row {} of secret", columns.number), "it is not there");
        let secret = self.one(sql::SECRET, [columns.number], secret)?.ok_or_else(missing)?;
        if secret.is_some() && columns.erased.is_some() {
            let name = format!("the row {} of secret", columns.number);
            return Err(Fault::damaged(name, "it is there, and was erased"));
        }
        Ok(KeyRow { number: columns.key(), subject: columns.subject, secret, erased: columns.erased })
    }

    pub(super) fn key(&self, number: KeyNumber) -> Result<Option<KeyRow>, Fault> {
        let columns = self.one(sql::KEY, [number_of(number)], KeyColumns::read)?;
        columns.map(|columns| self.with_secret(&columns)).transpose()
    }

    pub(super) fn key_of(&self, subject: Digest) -> Result<Option<KeyRow>, Fault> {
        let columns = self.one(sql::KEY_OF, [subject.as_bytes()], KeyColumns::read)?;
        columns.map(|columns| self.with_secret(&columns)).transpose()
    }

    pub(super) fn last_key(&self) -> Result<Option<KeyNumber>, Fault> {
        let highest = self.one(sql::HIGHEST_KEY, [], |row| rows::maybe_int(row, 0))?;
        Ok(highest.flatten().map(|number| KeyNumber(number.unsigned_abs())))
    }

    pub(super) fn sealed(&mut self, key: KeyNumber) -> Result<Vec<(EntityId, Revision)>, Fault> {
        let found = self.all(sql::SEALED, [number_of(key)], |row| rows::int(row, 0))?;
        let revision = |key: i64| Revision(key.cast_unsigned() & u64::from(u32::MAX));
        found.into_iter().map(|key| Ok((self.names.id(self.connection, key >> 32)?, revision(key)))).collect()
    }

    /// What an entry did to a key, by the number that it names and whether it made it.
    pub(super) fn key_change(&self, number: i64, made: bool) -> Result<KeyChange, Fault> {
        let key = KeyNumber(number.unsigned_abs());
        if !made {
            return Ok(KeyChange::Erased { number: key });
        }
        let missing = || Fault::damaged(format!("the row {number} of key"), "it is not there, and an entry names it");
        let row = self.key(key)?.ok_or_else(missing)?;
        Ok(KeyChange::Made { number: key, subject: row.subject, secret: row.secret })
    }
}

/// Makes or destroys a key; its number.
pub(super) fn change(
    connection: &Connection,
    names: &mut Names,
    change: &KeyChange,
    position: Position,
) -> Result<i64, Stop> {
    let snapshot = Snapshot { connection, names };
    let refused = |why| Stop::Append(rules::refused(position, why));
    let number = number_of(change.number());
    match change {
        KeyChange::Made { number: key, subject, secret } => {
            let other = snapshot.one(sql::KEY_OF, [subject.as_bytes()], KeyColumns::read)?;
            rules::check_made(*key, snapshot.last_key()?, other.map(|other| other.key())).map_err(refused)?;
            let sum = sum_of_key(number, subject.as_bytes(), None).finish();
            connection.prepare_cached(sql::ADD_KEY)?.execute((number, subject.as_bytes(), sum))?;
            let blob = secret_blob(number, secret.as_ref().map_or(&[0; SECRET], Secret::as_bytes));
            connection.prepare_cached(sql::ADD_SECRET)?.execute((number, blob))?;
        }
        KeyChange::Erased { number: key } => {
            let columns = snapshot.one(sql::KEY, [number], KeyColumns::read)?;
            rules::check_living(*key, columns.as_ref().map(|columns| columns.erased)).map_err(refused)?;
            let subject = columns.map(|columns| columns.subject).unwrap_or(Digest::from_bytes([0; 32]));
            let sum = sum_of_key(number, subject.as_bytes(), Some(stored(position))).finish();
            connection.prepare_cached(sql::ERASE_KEY)?.execute((number, stored(position), sum))?;
            // As long as what stood there, and in its place.
            let blob = secret_blob(number, &[0; SECRET]);
            connection.prepare_cached(sql::SET_SECRET)?.execute((number, blob))?;
        }
    }
    Ok(number)
}

/// Checks that what a version is sealed under is there and not erased; its number.
pub(super) fn check_seal(
    connection: &Connection,
    names: &mut Names,
    key: KeyNumber,
    position: Position,
) -> Result<i64, Stop> {
    let columns = Snapshot { connection, names }.one(sql::KEY, [number_of(key)], KeyColumns::read)?;
    let refused = |why| Stop::Append(rules::refused(position, why));
    rules::check_living(key, columns.map(|columns| columns.erased)).map_err(refused)?;
    Ok(number_of(key))
}

/// Brings the write-ahead log home and cuts it, so that no earlier state of a page is left in it; `false` if somebody
/// who reads needs one.
pub(super) fn scrub(connection: &Connection) -> Result<bool, Fault> {
    let mut statement = connection.prepare(sql::CUT_LOG)?;
    Ok(statement.query_row([], |row| row.get::<_, i64>(0))? == 0)
}

/// Cuts a log that was left by somebody who erased and got no further.
pub(super) fn scrub_what_was_left(connection: &Connection, place: &Place) -> Result<(), Fault> {
    if connection.prepare(sql::ANY_ERASURE)?.exists([])? {
        // Nobody waits for others here: who uses the file meanwhile does it, or is asked to again.
        connection.busy_timeout(Duration::ZERO)?;
        scrub(connection)?;
        connection.busy_timeout(place.wait)?;
    }
    Ok(())
}
