//! A store in one SQLite file.

mod bytes;
mod check;
mod connect;
mod fault;
mod forget;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod keys;
mod many;
mod names;
#[cfg(feature = "zstd")]
mod pack;
#[cfg(not(feature = "zstd"))]
mod plain;
mod read;
mod remains;
mod report;
mod rows;
mod schema;
mod sql;
mod transaction;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use self::connect::{Found, Mode};
use self::fault::{Fault, Place, Stop};
use self::names::Names;
#[cfg(not(feature = "zstd"))]
use self::plain as pack;
use self::read::Snapshot;
use self::rows::stored;
use self::write::Last;
use super::Store;
use super::chain::Head;
use super::error::{AppendError, StoreError};
use super::keys::{KeyNumber, KeyRow};
use super::rows::{Durability, Entry, EntryRow, LayoutRow, OwnerChange, Query, Sizes, VersionRow};
use super::rules;
use super::sweep::Progress;
use crate::digest::Digest;
use crate::id::EntityId;
use crate::when::{Position, Revision, Timestamp};

/// How many connections for reading are kept open; more are opened while more threads read.
const READERS: usize = 8;

/// How many entities the writer and each reader remember the numbers of.
const WRITER_REMEMBERS: usize = 1 << 17;
const READER_REMEMBERS: usize = 1 << 15;

/// A store in one SQLite file; `docs/format.md` describes it.
///
/// Any number of threads and processes may use one file. One of them writes at a time, readers never wait for it, and
/// each read is one snapshot. Beside the file stand `-wal` and `-shm` while somebody uses it; a copy is made with
/// [`backup`](Self::backup), never of the file alone.
#[derive(Debug)]
pub struct SqliteStore {
    place: Place,
    mode: Mode,
    // Before the writer: the last connection that closes brings the write-ahead log home, and readers cannot.
    readers: Mutex<Vec<Session>>,
    writer: Mutex<Writer>,
}

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct Options {
    wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { wait: Duration::from_secs(5) }
    }
}

impl Options {
    /// How long an append waits for another process that writes, five seconds unless said otherwise; at most 24 days.
    #[must_use]
    pub fn busy_timeout(mut self, wait: Duration) -> Self {
        self.wait = wait.min(Duration::from_secs(24 * 24 * 60 * 60));
        self
    }

    /// Opens the store at a path for reading and writing; one is made if there is no file, or an empty one.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] if something else stands there, [`StoreError::Newer`] if a later version wrote it: what
    /// stands there is not touched. Else why it cannot be read or written.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let place = self.place(path.as_ref())?;
        connect::inspect(&place)?;
        let opened = connect::writer(&place).and_then(Writer::new);
        let writer = opened.map_err(|fault| place.error("opening", fault))?;
        Ok(SqliteStore { place, mode: Mode::Read, readers: Mutex::default(), writer: Mutex::new(writer) })
    }

    /// Opens the store at a path for reading alone: appends and new tags are refused with [`StoreError::ReadOnly`].
    ///
    /// On a medium where SQLite cannot make the files that stand beside a store in use, it is taken for granted that
    /// nobody else writes there either.
    ///
    /// # Errors
    /// As [`open`](Self::open) has them, and if there is no file or an empty one.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let place = self.place(path.as_ref())?;
        match connect::inspect(&place)? {
            Found::Store => {}
            Found::Empty => {
                return Err(StoreError::NotAStore { path: place.path, found: "an empty file".to_owned() });
            }
            Found::Nothing => return Err(place.io("opening", std::io::ErrorKind::NotFound.into())),
        }
        let opened = connect::reader(&place);
        let opened = opened.and_then(|(connection, mode)| Ok((Writer::new(connection)?, mode)));
        let (mut writer, mode) = opened.map_err(|fault| place.error("opening", fault))?;
        writer.writes = false;
        Ok(SqliteStore { place, mode, readers: Mutex::default(), writer: Mutex::new(writer) })
    }

    /// Absolute, so that no name can mean anything but a file to SQLite.
    fn place(&self, path: &Path) -> Result<Place, StoreError> {
        let place = Place { path: path.to_owned(), wait: self.wait };
        let path = std::path::absolute(path).map_err(|error| place.io("opening", error))?;
        Ok(Place { path, ..place })
    }
}

/// A connection and what it remembers, for one thread at a time.
#[derive(Debug)]
struct Session {
    connection: Connection,
    names: Names,
}

/// The one connection that writes.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    names: Names,
    durability: Durability,
    /// What SQLite counted of the commits of others when it was last asked.
    seen: i64,
    /// What it appended last.
    last: Option<Last>,
    writes: bool,
    /// Whether what is deleted is overwritten, as it is once keys are made.
    clears: bool,
}

impl Writer {
    fn new(connection: Connection) -> Result<Self, Fault> {
        let seen = data_version(&connection)?;
        let names = Names::new(WRITER_REMEMBERS);
        Ok(Self { connection, names, durability: Durability::Full, seen, last: None, writes: true, clears: false })
    }

    fn set(&mut self, durability: Durability) -> Result<(), Fault> {
        if self.durability != durability {
            let level = if durability == Durability::Normal { "NORMAL" } else { "FULL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        Ok(())
    }

    fn append(&mut self, after: &Head, entries: &[Entry], durability: Durability) -> Result<Head, Stop> {
        self.set(durability)?;
        if !self.clears && entries.iter().any(|entry| !entry.keys.is_empty()) {
            // A page that becomes the top of a table is copied, and cleared only then.
            self.connection.pragma_update(None, "secure_delete", "FAST")?;
            self.clears = true;
        }
        let appended = write::append(&self.connection, &mut self.names, &mut self.last, after, entries);
        if !matches!(appended, Ok(_) | Err(Stop::Append(AppendError::Moved { .. }))) {
            // Numbers that were given in the transaction went with it.
            self.names.clear();
        }
        appended
    }

    fn tag(&mut self, name: &str, position: Position) -> Result<Position, Fault> {
        self.set(Durability::Full)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let snapshot = Snapshot { connection: &transaction, names: &mut self.names };
        if let Some((_, stands)) = snapshot.one(sql::TAG, [name], rows::tag)? {
            return Ok(stands);
        }
        let head = snapshot.head()?.position;
        if position > head {
            return Err(Fault::Store(StoreError::NoEntry { position, head }));
        }
        let horizon = snapshot.mark()?.horizon;
        if snapshot.kept_from(position, horizon)? != position {
            return Err(Fault::Store(StoreError::Forgotten { position, horizon }));
        }
        let number = stored(position);
        let sum = rows::sum_of_tag(name.as_bytes(), number).finish();
        transaction.prepare_cached(sql::ADD_TAG)?.execute((name, number, sum))?;
        transaction.commit()?;
        Ok(position)
    }
}

impl Writer {
    fn forget(&mut self, horizon: Position, budget: usize) -> Result<Progress, Fault> {
        self.set(Durability::Full)?;
        forget::forget(&mut self.connection, &mut self.names, horizon, budget)
    }
}

/// A number that changes when another connection commits, and only then.
fn data_version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.prepare_cached(sql::DATA_VERSION)?.query_row([], |row| row.get(0))?)
}

impl SqliteStore {
    /// How a file is opened, where the defaults do not fit.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Opens the store at a path for reading and writing; see [`Options::open`].
    ///
    /// # Errors
    /// As [`Options::open`] has them.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Options::default().open(path)
    }

    /// Opens the store at a path for reading alone; see [`Options::open_read_only`].
    ///
    /// # Errors
    /// As [`Options::open_read_only`] has them.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Options::default().open_read_only(path)
    }

    /// Reads within one snapshot, on a connection that no other thread uses meanwhile.
    fn reading<T>(
        &self,
        doing: &str,
        read: impl FnOnce(&mut Snapshot<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let free = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let read = |mut session: Session| {
            // Prepared, for most reads take less time than SQLite takes to understand them.
            session.connection.prepare_cached(sql::BEGIN)?.execute([])?;
            let found = read(&mut Snapshot { connection: &session.connection, names: &mut session.names })?;
            session.connection.prepare_cached(sql::END)?.execute([])?;
            Ok::<_, Fault>((session, found))
        };
        let session = match free {
            Some(session) => Ok(session),
            None => connect::connect(&self.place, self.mode)
                .map(|connection| Session { connection, names: Names::new(READER_REMEMBERS) }),
        };
        // One that failed is closed, and its transaction with it.
        let (session, found) = session.and_then(read).map_err(|fault| self.place.error(doing, fault))?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(session);
        }
        Ok(found)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(|poisoned| {
            // What a thread learned that panicked may have been rolled back.
            let mut writer = poisoned.into_inner();
            writer.names.clear();
            writer
        });
        if writer.writes { Ok(writer) } else { Err(StoreError::ReadOnly { path: self.place.path.clone() }) }
    }
}

impl Store for SqliteStore {
    fn head(&self) -> Result<Head, StoreError> {
        self.reading("reading the head of", |snapshot| snapshot.head())
    }

    fn append(&self, after: &Head, entries: &[Entry], durability: Durability) -> Result<Head, AppendError> {
        rules::check_entries(after, entries)?;
        self.writer()?.append(after, entries, durability).map_err(|stop| match stop {
            Stop::Append(error) => error,
            Stop::Fault(fault) => AppendError::Store(self.place.error("appending to", fault)),
        })
    }

    /// Own appends are not counted, for the connection that makes them is asked. While another thread of this store
    /// appends, the answer is `true`, and the next one tells again.
    fn has_moved(&self) -> Result<bool, StoreError> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(true),
        };
        let seen = data_version(&writer.connection).map_err(|fault| self.place.error("asking about", fault))?;
        let moved = seen != writer.seen;
        writer.seen = seen;
        Ok(moved)
    }

    fn entry(&self, position: Position) -> Result<Option<Arc<EntryRow>>, StoreError> {
        self.reading("reading an entry of", |snapshot| snapshot.entry(position))
    }

    fn horizon(&self) -> Result<Position, StoreError> {
        self.reading("reading the horizon of", |snapshot| Ok(snapshot.mark()?.horizon))
    }

    fn kept_from(&self, position: Position) -> Result<Position, StoreError> {
        self.reading("reading the horizon of", |snapshot| snapshot.kept_from(position, snapshot.mark()?.horizon))
    }

    fn forget(&self, horizon: Position, budget: usize) -> Result<Progress, StoreError> {
        self.writer()?.forget(horizon, budget).map_err(|fault| self.place.error("forgetting in", fault))
    }

    fn find(&self, query: &Query) -> Result<Vec<Position>, StoreError> {
        self.reading("reading entries of", |snapshot| snapshot.find(query))
    }

    fn position_at(&self, time: Timestamp) -> Result<Option<Position>, StoreError> {
        self.reading("reading times of", |snapshot| snapshot.position_at(time))
    }

    fn newest(&self, entity: EntityId) -> Result<Option<VersionRow>, StoreError> {
        self.reading("reading a version of", |snapshot| snapshot.newest(entity))
    }

    fn missing(&self, entities: &[EntityId]) -> Result<Vec<EntityId>, StoreError> {
        self.reading("looking for entities of", |snapshot| snapshot.missing(entities))
    }

    fn version_at(&self, entity: EntityId, position: Position) -> Result<Option<VersionRow>, StoreError> {
        self.reading("reading a version of", |snapshot| snapshot.version_at(entity, position))
    }

    fn version(&self, entity: EntityId, revision: Revision) -> Result<Option<VersionRow>, StoreError> {
        self.reading("reading a version of", |snapshot| snapshot.version(entity, revision))
    }

    fn owner_at(&self, entity: EntityId, position: Position) -> Result<Option<(Position, OwnerChange)>, StoreError> {
        self.reading("reading an owner of", |snapshot| snapshot.owner_at(entity, position))
    }

    fn referrers_at(&self, entity: EntityId, position: Position) -> Result<Vec<(EntityId, u16)>, StoreError> {
        self.reading("reading references of", |snapshot| snapshot.referrers_at(entity, position))
    }

    fn entities(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, StoreError> {
        self.reading("reading entities of", |snapshot| snapshot.entities(after, limit))
    }

    fn layouts(&self) -> Result<Vec<Arc<LayoutRow>>, StoreError> {
        self.reading("reading layouts of", |snapshot| snapshot.layouts())
    }

    fn tags(&self) -> Result<Vec<(String, Position)>, StoreError> {
        self.reading("reading tags of", |snapshot| snapshot.tags())
    }

    fn tag(&self, name: &str, position: Position) -> Result<Position, StoreError> {
        self.writer()?.tag(name, position).map_err(|fault| self.place.error("tagging", fault))
    }

    fn read(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        self.reading("reading an entry of", |snapshot| snapshot.read(position))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.reading("checking", |snapshot| check::check(snapshot))
    }

    fn key(&self, number: KeyNumber) -> Result<Option<KeyRow>, StoreError> {
        self.reading("reading a key of", |snapshot| snapshot.key(number))
    }

    fn key_of(&self, subject: Digest) -> Result<Option<KeyRow>, StoreError> {
        self.reading("reading a key of", |snapshot| snapshot.key_of(subject))
    }

    fn last_key(&self) -> Result<Option<KeyNumber>, StoreError> {
        self.reading("reading the last key of", |snapshot| snapshot.last_key())
    }

    fn sealed(&self, key: KeyNumber) -> Result<Vec<(EntityId, Revision)>, StoreError> {
        self.reading("reading what is sealed in", |snapshot| snapshot.sealed(key))
    }

    fn scrub(&self) -> Result<bool, StoreError> {
        keys::scrub(&self.writer()?.connection).map_err(|fault| self.place.error("cutting the log of", fault))
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        SqliteStore::backup(self, path)
    }

    fn sizes(&self) -> Result<Sizes, StoreError> {
        SqliteStore::sizes(self)
    }
}

#[cfg(test)]
mod tests {
    use super::SqliteStore;
    use crate::store::conformance::program;
    use crate::store::{AppendError, Durability, Head, Store, StoreError, verify};

    #[test]
    fn a_full_disk_is_told_and_leaves_nothing() {
        let path = std::env::temp_dir().join(format!("heirloom-full-{}", std::process::id()));
        let store = SqliteStore::open(&path).unwrap();
        let limit = |pages: i64| {
            let writer = store.writer().unwrap();
            writer.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        limit(40);
        let mut head = Head::EMPTY;
        let (mut full, mut kept) = (0, 0);
        for batch in program(1, 300) {
            let appended = store.append(&head, &batch, Durability::Normal).or_else(|error| {
                assert!(matches!(error, AppendError::Store(StoreError::Full { .. })), "{error}");
                assert_eq!(verify(&store, Some(&head)).unwrap(), head);
                full += 1;
                limit(100_000);
                store.append(&head, &batch, Durability::Normal)
            });
            head = appended.unwrap();
            kept += batch.len() as u64;
        }
        assert_eq!((full, verify(&store, Some(&head)).unwrap().position.0), (1, kept));
        drop(store);
        std::fs::remove_file(path).unwrap();
    }
}
