//! What holds of any bytes that a store gives back: the tests ask it of a few, `tests/fuzz` of many.

use std::path::Path;

use heirloom_derive::{Entity, Value};

use super::body::{self, Read};
use super::entry::Argument;
use super::{Types, lock, said};
use crate::children::Children;
use crate::digest::Digest;
use crate::entity::TypeRow;
use crate::id::Id;
use crate::schema::layout_digest;
use crate::store::{EntryKind, EntryRow};
use crate::value::to_stored;
use crate::when::{Position, Timestamp};

/// A body is read as a state or as a difference with its weight, which is written and read as the same, or refused.
pub(crate) fn body(bytes: &[u8]) {
    match body::read(bytes) {
        Ok(Read::Whole(value, weight)) => {
            assert!(weight.whole > 0 && weight.patched == 0 && weight.steps == 0);
            to_stored(&value).expect("what was read is written");
        }
        Ok(Read::Patch(patch, weight)) => {
            let patch = patch.to_bytes().expect("what was read is written");
            let written = body::with_weight(weight, &patch);
            let again = body::read(&written);
            assert!(matches!(again, Ok(Read::Patch(_, again)) if again == weight), "{bytes:?}");
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

/// What is said of an entry, of a kind that the first byte gives, is read or refused; its arguments come back.
pub(crate) fn said(bytes: &[u8]) {
    use EntryKind::{Commit, Failed, Panicked, Refused, Run, Unchanged};
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let kinds = [Commit, Run, Unchanged, Failed, Panicked, Refused];
    let nothing = Digest::from_bytes([0; 32]);
    let row = EntryRow {
        position: Position(1),
        time: Timestamp::from_micros(0),
        kind: kinds[usize::from(*kind) % kinds.len()],
        said: bytes.into(),
        versions: Vec::new(),
        ended: Vec::new(),
        body: nothing,
        hash: nothing,
    };
    // What is sealed is erased, or opens to the very bytes.
    for erased in [true, false] {
        let Ok(line) = said::line(&row, &|_, sealed| Ok((!erased).then(|| sealed.to_vec()))) else { continue };
        for argument in line.run.into_iter().flat_map(|run| run.arguments) {
            _ = argument.to_string();
            assert!(Argument::of(&argument.to_value()).is_some_and(|again| again == argument), "{argument:?}");
        }
    }
}

#[derive(Entity, Clone)]
enum Room {
    Hall(Hall),
    Desk(Desk),
}

#[derive(Entity, Clone)]
#[entity(alias = "Aula")]
struct Hall {
    id: Id<Hall>,
    name: String,
    rooms: Children<Room>,
    #[entity(unordered)]
    doors: Vec<Door>,
}

#[derive(Entity, Clone)]
struct Desk {
    id: Id<Desk>,
    of: Option<Id<Hall>>,
}

#[derive(Value, Clone, PartialEq)]
enum Door {
    Open,
    Wide(u8),
}

/// The text of a layout leads to a type of today or not, and a lock in which it stands is read; a lock of any text is
/// read or refused.
pub(crate) fn layout(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let types = Types::default();
    let row = TypeRow::of::<Room>();
    types.admit_all(row).expect("no two types have one name");
    for row in [row, TypeRow::of::<Hall>()] {
        let today = row.meta.layout();
        lock::path_to(&types, row, 1, today.text()).expect("a layout leads to itself");
        assert!(lock::path_to(&types, row, 1, text).is_err_and(|why| !why.is_empty()) || !text.is_empty());
        row.meta.is_stored_as(text);
    }
    let path = Path::new("lock");
    _ = lock::parse(path, text);
    let block = format!("layout {}\n{text}", layout_digest(text));
    _ = lock::parse(path, &block);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_gives_back_is_read_or_refused() {
        let bodies: [&[u8]; 7] = [
            b"",
            b"\x01",
            b"\x01{\"a\":1}",
            b"\x02\x01\x02\x03{\"a\":1}",
            b"\x02\x80",
            b"\x02\xff\xff\xff\xff\x7f\0\0{}",
            b"\x09{}",
        ];
        bodies.into_iter().for_each(body);
        let run = br#"{"run":{"callable":"a","arguments":[{"$variant":["several",[{"$variant":["value",1]}]]},2],"nanos":1}}"#;
        for kind in 0..6 {
            for bytes in [&b"{}"[..], br#"{"author":"dean","properties":{"$map":{"a":"b"}}}"#, run, b"{", b"1"] {
                said(&[&[kind], bytes].concat());
            }
        }
    }

    #[test]
    fn a_layout_of_any_text_leads_somewhere_or_not() {
        let today = TypeRow::of::<Room>().meta.layout();
        layout(today.text().as_bytes());
        for at in 0..today.text().len() {
            layout(&today.text().as_bytes()[..at]);
            let mut text = today.text().as_bytes().to_vec();
            text[at] ^= 1;
            layout(&text);
        }
        for text in ["", "entity", "entity a schema 1\n  : value \n", "entity Room<<@> schema 1\n  | <\n = \n", "<@,@"]
        {
            layout(text.as_bytes());
        }
    }
}
