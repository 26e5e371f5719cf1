//! Whatever stands in the file of a store is read or refused: the test asks it of a few files, `tests/fuzz` of many.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use heirloom::prelude::*;
use heirloom::store::{SqliteStore, verify};
use heirloom::{Position, ReadError, Retention};
use rusqlite::Connection;
use rusqlite::types::Value as Column;

use crate::mend::{TABLES, mend_checksums};

#[derive(Entity, Clone, Debug)]
struct School {
    id: Id<School>,
    name: String,
    students: Children<Student>,
    best: Option<Child<Student>>,
}

#[derive(Entity, Clone, Debug)]
struct Student {
    id: Id<Student>,
    name: String,
    courses: Vec<Course>,
    friends: Vec<Id<Student>>,
}

#[derive(Entity, Clone, Debug)]
struct Course {
    id: Id<Course>,
    notes: Vec<String>,
}

fn id<T>(name: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive("mutated", name))
}

fn note(course: &mut Course, note: String) {
    course.notes.push(note);
}

fn student(name: &str, friends: &[&str]) -> Student {
    let course = Course { id: id(&format!("course of {name}")), notes: vec!["a note".repeat(9); 3] };
    let friends = friends.iter().map(|friend| id(friend)).collect();
    Student { id: id(name), name: name.to_owned(), courses: vec![course], friends }
}

/// The file of a store with something of everything, and its bytes after it was closed.
fn make(path: &Path) -> heirloom::Result<Vec<u8>> {
    let registry = Registry::open(path)?;
    let _ = registry.register("note", note)?;
    let mut students = Children::new();
    for (name, friends) in [("Ann", &["Bob"][..]), ("Bob", &[]), ("Cid", &["Ann", "nobody"])] {
        students.push(student(name, friends)).expect("each stands once");
    }
    let best = Some(Child::new(student("Dan", &["Ann"])));
    registry.by("dean").add(School { id: id("Hill"), name: "Hill".to_owned(), students, best })?;
    for times in 0..20 {
        registry.by("dean").call(note, (id::<Course>("course of Ann"), format!("note {times}")))?;
    }
    let mut school = registry.get(id::<School>("Hill"))?;
    school.students.remove(1);
    school.best = None;
    registry.batch().save(school).commit()?;
    registry.add(student("Bob", &["Cid"]))?;
    registry.remove(id::<Student>("Cid")).map(drop).or_else(|_| registry.remove(id::<Student>("Bob")).map(drop))?;
    registry.history().tag("early", Position(2))?;
    let _ = registry.compact(&Retention::new().entries(18), 100).expect("it forgets");
    drop(registry);
    Ok(fs::read(path).expect("it is there"))
}

/// Everything that is told, in words; the first thing that cannot be told is an error.
fn told(path: &Path) -> Result<String, ReadError> {
    let registry = Registry::builder().over(SqliteStore::open_read_only(path)?)?;
    for admitted in [registry.register_type::<School>(), registry.register_type::<Student>()] {
        admitted.expect("no two types have one name");
    }
    let history = registry.history();
    let mut told = format!("{:?} {:?}", history.tags()?, history.horizon()?);
    let names = ["Hill", "Ann", "Bob", "Cid", "Dan", "nobody", "course of Ann", "course of Bob"];
    let mut wrong = None;
    let mut tell = |answer: Result<String, ReadError>| match answer {
        Ok(answer) => told.push_str(&answer),
        Err(error @ (ReadError::Store(_) | ReadError::Unreadable { .. })) => wrong = wrong.take().or(Some(error)),
        Err(error) => told.push_str(&error.to_string()),
    };
    for entry in history.entries().take(40) {
        tell(entry.map(|entry| format!("{entry} {:?}", entry.run())));
    }
    for position in (0..30).map(Position) {
        tell(history.changes(position).map(|changes| changes.to_string()));
        tell(history.versions(position).map(|versions| format!("{versions:?}")));
        for name in names {
            let entity = EntityId::derive("mutated", name);
            tell(history.owner(entity, position).map(|owner| format!("{owner:?}")));
            tell(history.referrers(entity, position).map(|referrers| format!("{referrers:?}")));
            let tree = history.tree(entity, position);
            tell(tree.and_then(|tree| Ok(format!("{:?} {} {}", tree.ids()?, tree.path(entity)?, tree.digest()?))));
        }
        tell(history.at(id::<School>("Hill"), position).map(|school| format!("{:?}", school.name)));
        tell(history.at(id::<Student>("Ann"), position).map(|student| format!("{student:?}")));
    }
    for name in names {
        let entity = EntityId::derive("mutated", name);
        tell(history.of(entity).map(|versions| versions.to_string()));
        tell(history.diff(entity, Position(8), history.head()).map(|changes| changes.to_string()));
    }
    tell(history.field(id::<Course>("course of Ann"), Course::NOTES).map(|notes| format!("{notes:?}")));
    tell(
        history
            .verify(None)
            .map(|head| head.to_string())
            .map_err(|error| ReadError::Unreadable { reason: error.to_string() }),
    );
    wrong.map_or(Ok(told), Err)
}

/// One column of one row, as a few bytes say; whether there was enough of them.
fn edit(connection: &Connection, bytes: &mut impl Iterator<Item = u8>) -> Option<()> {
    let mut next = || bytes.next();
    let (table, _, keys) = TABLES[usize::from(next()?) % TABLES.len()];
    let (row, column, what, number) = (next()?, next()?, next()?, next()?);
    let statement = connection.prepare(&format!("SELECT * FROM {table}")).expect("the table is there");
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let column = &columns[usize::from(column) % (columns.len() - 1)];
    let key = keys.join(" || '-' || ");
    let find = format!(
        "SELECT {column} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {row} % (SELECT max(1, count(*)) FROM {table})"
    );
    let found: Column = connection.query_row(&find, [], |row| row.get(0)).unwrap_or(Column::Null);
    let put = match (what % 6, found) {
        (0, _) => Column::Null,
        (1, Column::Integer(found)) => Column::Integer(found.wrapping_add(i64::from(number.cast_signed()))),
        (2, Column::Integer(found)) => Column::Integer(found ^ 1 << (number % 64)),
        (_, Column::Integer(_)) => Column::Integer(number.into()),
        (1, Column::Blob(found)) => Column::Blob(found[..usize::from(number) % (found.len() + 1)].to_vec()),
        (2, Column::Blob(found)) => Column::Blob([&found[..], &[number]].concat()),
        (_, Column::Blob(mut found)) => {
            let (at, length) = (usize::from(number), found.len().max(1));
            found.get_mut(at % length).into_iter().for_each(|byte| *byte = byte.wrapping_add(what / 6 + 1));
            Column::Blob(found)
        }
        (_, Column::Text(mut found)) => {
            found.insert(0, char::from(what));
            Column::Text(found)
        }
        (_, other) => other,
    };
    let edit = format!(
        "UPDATE {table} SET {column} = ?1 WHERE ({key}) = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {row} % \
         (SELECT max(1, count(*)) FROM {table}))"
    );
    // A column that takes no such thing, or has it already, stays.
    _ = connection.execute(&edit, [put]);
    Some(())
}

/// A file is read, or what is wrong is told, whatever is done to it. The first byte says how many columns are changed, with
/// checksums that fit; then come bytes that are changed wherever they stand. A file whose bytes were changed and nothing
/// else tells what it told before, or that something is wrong.
pub(crate) fn file(bytes: &[u8]) {
    static MADE: OnceLock<(PathBuf, Vec<u8>, String)> = OnceLock::new();
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (folder, made, truth) = MADE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("heirloom-mutated-{}", std::process::id()));
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary directory can be made");
        let path = folder.join("made");
        let made = make(&path).expect("it is made");
        let truth = told(&path).expect("it reads");
        (folder, made, truth)
    });
    let path = folder.join(format!("{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let mut bytes = bytes.iter().copied();
    let edits = bytes.next().unwrap_or(0) % 4;
    let mut found = made.clone();
    if edits > 0 {
        fs::write(&path, &found).expect("there is room");
        let connection = Connection::open(&path).expect("it opens");
        (0..edits).try_for_each(|_| edit(&connection, &mut bytes));
        mend_checksums(&connection);
        drop(connection);
        found = fs::read(&path).expect("it is there");
    }
    while let (Some(page), Some(high), Some(low), Some(by)) = (bytes.next(), bytes.next(), bytes.next(), bytes.next()) {
        let at = (usize::from(page) << 12 | usize::from(high & 15) << 8 | usize::from(low)) % found.len();
        found[at] ^= by;
    }
    fs::write(&path, &found).expect("there is room");
    if let Ok(told) = told(&path)
        && edits == 0
    {
        assert!(told == *truth, "bytes were changed, and nobody told");
    }
    _ = SqliteStore::open(&path).map(|store| verify(&store, None).is_ok());
    for beside in ["", "-wal", "-shm", "-journal"] {
        _ = fs::remove_file(folder.join(format!("{}{beside}", path.file_name().expect("it has one").display())));
    }
}

/// What the fuzzer found.
#[test]
fn what_once_panicked_is_read_or_refused() {
    // A version at the position 0, before which there is none.
    file(&[2, 2, 130, 1, 27, 0, 0, 0, 0, 0, 0, 0, 1, 1, 8]);
}

#[test]
fn any_file_is_read_or_refused() {
    let tries: u64 = std::env::var("HEIRLOOM_FILES").ok().and_then(|tries| tries.parse().ok()).unwrap_or(20);
    let mut seed = u64::from(std::process::id());
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    for _ in 0..tries {
        let length = 1 + usize::from(next()) % 24;
        let bytes: Vec<u8> = (0..length).map(|_| next()).collect();
        let held = std::panic::catch_unwind(|| file(&bytes));
        assert!(held.is_ok(), "it panicked: {bytes:?}");
    }
}
