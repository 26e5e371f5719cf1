//! Lines: what comes back, and what is refused where.

use std::sync::Arc;

use super::fuzz;
use super::import::Import;
use super::{ImportError, export, import};
use crate::store::conformance::program;
use crate::store::rows::{Durability, Entry, EntryKind, LayoutRow, Version, VersionBody};
use crate::store::{AppendError, Head, MemoryStore, OwnerChange, Store, verify};
use crate::{Digest, EntityId, Position, Revision, Timestamp};

fn store(seed: u64, batches: usize) -> (MemoryStore, Head) {
    let (store, mut head) = (MemoryStore::new(), Head::EMPTY);
    for batch in program(seed, batches) {
        head = store.append(&head, &batch, Durability::Normal).unwrap();
    }
    store.tag("first", Position(1)).unwrap();
    store.tag("before", Position(0)).unwrap();
    (store, head)
}

fn lines_of(store: &dyn Store, after: u64) -> Vec<String> {
    let mut lines = Vec::new();
    export(store, Position(after), &mut lines).unwrap();
    String::from_utf8(lines).unwrap().lines().map(|line| format!("{line}\n")).collect()
}

fn read(lines: &[String], into: &dyn Store) -> Result<Head, ImportError> {
    import(&mut lines.concat().as_bytes(), into)
}

#[test]
fn programs_come_back_with_their_heads() {
    for seed in 0..20 {
        let (store, head) = store(seed, 60);
        fuzz::comes_back(&store, head);
    }
    fuzz::comes_back(&MemoryStore::new(), Head::EMPTY);
}

#[test]
fn an_import_goes_on_from_any_prefix() {
    let (store, head) = store(3, 40);
    let all = lines_of(&store, 0);
    for cut in (1..all.len()).step_by(7) {
        let copy = MemoryStore::new();
        let stopped = read(&all[..cut], &copy);
        assert!(matches!(stopped, Err(ImportError::Cut { line }) if line == cut as u64), "{stopped:?}");
        let there = copy.head().unwrap().position;
        assert_eq!(there.0, (cut as u64 - 1).min(head.position.0));
        assert_eq!(read(&all, &copy).unwrap(), head);
        // What is there already comes once more without harm, and an export may begin later.
        assert_eq!(read(&lines_of(&store, there.0), &copy).unwrap(), head);
        assert_eq!(copy.tags().unwrap(), store.tags().unwrap());
    }
    let (empty, later) = (MemoryStore::new(), lines_of(&store, 5));
    assert!(matches!(read(&later, &empty), Err(ImportError::Gap { after: Position(5), head: Position(0) })));
}

#[test]
fn another_history_is_refused() {
    let (first, _) = store(1, 20);
    let (second, head) = store(2, 20);
    let refused = |after| match read(&lines_of(&first, after), &second) {
        Err(ImportError::OtherHistory { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!((refused(0), refused(4)), (2, 1));
    assert_eq!(verify(&second, None).unwrap(), head);
    let (tagged, _) = store(1, 20);
    tagged.tag("later", Position(2)).unwrap();
    first.tag("later", Position(3)).unwrap();
    let taken = read(&lines_of(&first, 0), &tagged);
    assert!(matches!(&taken, Err(ImportError::TagTaken { tag, at: Position(2), .. }) if tag == "later"), "{taken:?}");
}

/// What an import of edited lines says; the store has all entries before the line.
fn check(edit: impl Fn(&mut Vec<String>), expected_line: u64, expected: &str) {
    let (store, _) = store(7, 12);
    let mut lines = lines_of(&store, 0);
    edit(&mut lines);
    let copy = MemoryStore::new();
    let error = read(&lines, &copy).expect_err(expected);
    let ImportError::Line { line, why } = &error else { panic!("{error}") };
    assert!(*line == expected_line && why.contains(expected), "line {line}: {why}");
    let there = verify(&copy, None).unwrap().position.0;
    assert_eq!(there, expected_line.saturating_sub(2).min(store.head().unwrap().position.0));
}

#[test]
fn a_bad_line_is_told_by_its_number_and_leaves_whole_entries() {
    check(|lines| lines.swap(4, 5), 5, "and #4 follows");
    check(|lines| drop(lines.remove(3)), 4, "and #3 follows");
    check(|lines| lines.insert(3, lines[3].clone()), 5, "it is the entry #3");
    check(|lines| lines[6] = lines[6].replacen("\"said\"", "\"sand\"", 1), 7, "unknown field `sand`");
    check(|lines| lines[6] = "{}\n".into(), 7, "expected value");
    check(|lines| lines[6] = "\n".into(), 7, "EOF");
    check(|lines| lines[6] = lines[6].replacen("{\"entry\"", "{\"entri\"", 1), 7, "unknown variant `entri`");
    check(|lines| lines[6].insert(0, '['), 7, "expected");
    check(|lines| lines[6] = lines[6].replacen("\"position\"", "\"position\":1,\"position\"", 1), 7, "duplicate field");
    check(|lines| lines[3] = lines[3].replacen("\"kind\":\"", "\"kind\":\"x", 1), 4, "unknown variant");
    check(|lines| lines[2] = change_hash(&lines[2]), 3, "its hash does not follow");
    check(|lines| drop(lines.remove(0)), 1, "expected the first line of an export, found an entry");
    check(|lines| lines.insert(4, lines[0].clone()), 5, "expected an entry, a tag or the end, found the first line");
}

fn change_hash(line: &str) -> String {
    let at = line.rfind("\"hash\":\"").unwrap() + 8;
    let digit = if &line[at..=at] == "0" { "1" } else { "0" };
    format!("{}{digit}{}", &line[..at], &line[at + 1..])
}

#[test]
fn the_end_is_the_end() {
    let (store, head) = store(7, 12);
    let (all, count) = (lines_of(&store, 0), head.position.0 + 1);
    let refused = |lines: &[String]| read(lines, &MemoryStore::new()).unwrap_err().to_string();
    let end = all.last().unwrap().clone();
    assert!(refused(&[&all[..], std::slice::from_ref(&end)].concat()).contains("expected nothing after the end"));
    let early = [&all[..5], std::slice::from_ref(&end)].concat();
    assert!(refused(&early).starts_with(&format!("line 6: it names {} as the end", head.position)));
    let tag = "{\"tag\":{\"name\":\"late\",\"position\":99999}}\n".to_owned();
    assert!(refused(&[&all[..count as usize], &[tag]].concat()).contains("it tags #99999"));
    let cut = all.concat();
    let cut = import(&mut &cut.as_bytes()[..cut.len() - 1], &MemoryStore::new());
    assert!(matches!(cut, Err(ImportError::Cut { line }) if line == all.len() as u64), "{cut:?}");
    let newer = all[0].replace("\"format\":1", "\"format\":2");
    assert!(matches!(read(&[newer], &MemoryStore::new()), Err(ImportError::Newer { found: 2, known: 1 })));
    assert!(matches!(read(&[], &MemoryStore::new()), Err(ImportError::Cut { line: 0 })));
}

#[test]
fn hostile_lines_are_bounded() {
    let import = |bytes: &[u8]| Import::new(&MemoryStore::new(), false, 1000).unwrap().read(&mut &*bytes);
    let error = import(&[b'['; 5000]).unwrap_err().to_string();
    assert!(error.starts_with("line 1: it is longer than 1000 bytes"), "{error}");
    let header =
        format!("{{\"heirloom\":{{\"format\":1,\"after\":{{\"position\":0,\"hash\":\"{}\"}}}}}}\n", "0".repeat(64));
    let deep = format!("{header}{}\n", "[".repeat(900));
    assert!(matches!(import(deep.as_bytes()), Err(ImportError::Line { line: 2, .. })));
    // JSON that a body may be is not descended into.
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let hash = "0".repeat(64);
    let entry = format!(
        "{header}{{\"entry\":{{\"position\":1,\"time\":0,\"kind\":\"commit\",\"said\":{{\"json\":{nested}}},\"hash\":\"{hash}\"}}}}\n"
    );
    let read = Import::new(&MemoryStore::new(), false, 1 << 20).unwrap().read(&mut entry.as_bytes());
    assert!(matches!(read, Err(ImportError::Cut { line: 2 })), "{read:?}");
}

#[test]
fn bytes_of_any_kind_come_back_and_json_is_readable() {
    let layout =
        LayoutRow { digest: Digest::from_bytes([7; 32]), name: "A".into(), schema: 1, text: "entity A\n".into() };
    let layout = Arc::new(layout);
    let said: [&[u8]; 7] = [b"", b"{}", b" {}", b"{}\n", b"\"\xff\"", b"{\"a\": 1.0e5}", b"x\r"];
    let (store, mut head) = (MemoryStore::new(), Head::EMPTY);
    for (at, said) in (1..).zip(said) {
        let body = VersionBody::Own {
            layout: Arc::clone(&layout),
            base: None,
            bytes: [&[1], said].concat().into(),
            seal: None,
        };
        let owner = (at == 1).then_some(OwnerChange::Root);
        let entity = EntityId::from_bytes([1; 16]);
        let version = Version { entity, revision: Revision(at), body, carried: vec![], owner };
        let time = Timestamp::from_micros(if at == 3 { i64::MIN } else { 5 });
        let (kind, said) = (EntryKind::Commit, said.into());
        let entry = Entry {
            position: Position(at),
            time,
            kind,
            said,
            versions: vec![version],
            ended: vec![],
            references: vec![],
            keys: vec![],
        };
        head = store.append(&head, &[entry], Durability::Full).unwrap();
    }
    fuzz::comes_back(&store, head);
    let lines = lines_of(&store, 0);
    assert!(
        lines[1].contains("\"time\":\"1970-01-01T00:00:00.000005Z\",\"kind\":\"commit\",\"said\":{\"base64\":\"\"}")
    );
    assert!(lines[2].contains("\"said\":{\"json\":{}}") && lines[2].contains("\"body\":{\"after\":[\"AQ==\",{}]}"));
    assert!(lines[3].contains("\"time\":-9223372036854775808"), "{}", lines[3]);
    assert!(lines[6].contains("\"body\":{\"after\":[\"AQ==\",{\"a\": 1.0e5}]}"), "{}", lines[6]);
    assert!(lines[1].contains("\"layouts\"") && !lines[2].contains("\"layouts\""));
}

#[test]
fn an_entry_that_breaks_a_rule_is_told_by_its_line() {
    let (store, _) = store(7, 12);
    let mut lines = lines_of(&store, 0);
    lines[5] = lines[5].replacen("\"revision\":", "\"revision\":7", 1);
    let copy = MemoryStore::new();
    let read = Import::new(&copy, false, 1 << 20).unwrap().read(&mut lines.concat().as_bytes());
    let refused = matches!(
        read,
        Err(ImportError::Append { line: 6, source: AppendError::Refused { position: Position(5), .. } })
    );
    assert!(refused || !lines[5].contains("\"revision\""), "{read:?}");
    assert_eq!(copy.head().unwrap().position, Position(4));
}

#[test]
fn bytes_that_nobody_wrote_are_refused_without_harm() {
    let (store, _) = store(11, 10);
    let text = lines_of(&store, 0).concat().into_bytes();
    for at in (0..text.len()).step_by(31) {
        for byte in [b'"', b'9', 0xff] {
            let mut text = text.clone();
            text[at] = byte;
            fuzz::lines(&text);
        }
        fuzz::lines(&text[..at]);
    }
}
