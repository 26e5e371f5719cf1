//! Checksums made to fit again, after somebody edited a store who knows its format.

use rusqlite::Connection;
use rusqlite::types::Value;

/// The checksum of a row, as `docs/format.md` says.
fn sum(table: u8, columns: &[Value]) -> i64 {
    let mut bytes = vec![table];
    for column in columns {
        let (kind, length, rest) = match column {
            Value::Null => {
                bytes.push(0);
                continue;
            }
            Value::Integer(number) => (1, *number, &[][..]),
            Value::Text(text) => (2, text.len() as i64, text.as_bytes()),
            Value::Blob(blob) => (2, blob.len() as i64, &blob[..]),
            Value::Real(_) => panic!("no column holds such"),
        };
        bytes.push(kind);
        bytes.extend(length.to_le_bytes());
        bytes.extend(rest);
    }
    i64::from(crc32fast::hash(&bytes) as i32)
}

/// The tables, their letters, and their keys.
pub(crate) const TABLES: [(&str, u8, &[&str]); 12] = [
    ("layout", b'l', &["id"]),
    ("entity", b'i', &["number"]),
    ("version", b'v', &["key"]),
    ("milestone", b'm', &["entity", "position"]),
    ("edge", b'o', &["child", "since"]),
    ("reference", b'r', &["target", "until", "source", "field"]),
    ("entry", b'e', &["position"]),
    ("rising", b't', &["since"]),
    ("tag", b'n', &["name"]),
    ("horizon", b'h', &["id"]),
    ("key", b'k', &["number"]),
    ("dictionary", b'd', &["id"]),
];

/// Makes every checksum fit again, as somebody would who knows the format; how many did not.
pub(crate) fn mend_checksums(connection: &Connection) -> usize {
    let mut mended = 0;
    for (table, letter, keys) in TABLES {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let count = statement.column_count();
        let places: Vec<usize> = keys.iter().map(|key| statement.column_index(key).unwrap()).collect();
        let read = |row: &rusqlite::Row<'_>| (0..count).map(|column| row.get::<_, Value>(column)).collect();
        let rows: Vec<Vec<Value>> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
        for row in rows {
            let fits = Value::Integer(sum(letter, &row[..count - 1]));
            if row[count - 1] != fits {
                mended += 1;
                let wheres: Vec<String> = keys.iter().map(|key| format!("{key} = ?")).collect();
                let update = format!("UPDATE {table} SET sum = ? WHERE {}", wheres.join(" AND "));
                let mut params = vec![fits];
                params.extend(places.iter().map(|place| row[*place].clone()));
                assert_eq!(connection.execute(&update, rusqlite::params_from_iter(params)).unwrap(), 1);
            }
        }
    }
    mended
}
