//! Bytes are promises: what an earlier heirloom sealed is opened, and what it erased stays erased.
//!
//! `tests/golden/sealed.jsonl` was written by `write_the_sealed_lines`, which is run by hand and only for a format that has
//! none yet: `cargo test --test erasure -- --ignored`.

use std::fs;
use std::path::PathBuf;

use heirloom::prelude::*;
use heirloom::store::{MemoryStore, export, import};
use heirloom::{Argument, Position, ReadError, RunEnd};

use crate::common::id;
use crate::{Customer, MARKER, a_shop, contains, customer, erased, note, order, register};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sealed.jsonl")
}

#[test]
#[ignore = "writes the golden file of a format that has none"]
fn write_the_sealed_lines() -> heirloom::Result<()> {
    assert!(!golden().exists(), "golden files are never written anew");
    let store = MemoryStore::new();
    let registry = Registry::builder().over(store.clone())?;
    register(&registry)?;
    a_shop(&registry)?;
    registry.add(customer("Cid"))?;
    registry.add(order("other", "Cid"))?;
    registry.call(note, (id::<Customer>("Cid"), MARKER.to_owned()))?;
    registry.batch().remove(id::<Customer>("Cid")).remove(id::<crate::Order>("other")).commit()?;
    registry.by("privacy").erase(id::<Customer>("Cid"))?;
    let mut lines = Vec::new();
    export(&store, Position(0), &mut lines)?;
    fs::write(golden(), lines).expect("it is writable");
    Ok(())
}

#[test]
fn what_an_earlier_heirloom_sealed_is_opened() -> heirloom::Result<()> {
    let (lines, store) = (fs::read(golden()).expect("it is there"), MemoryStore::new());
    assert!(!contains(&lines, MARKER.as_bytes()));
    import(&mut lines.as_slice(), &store)?;
    let registry = Registry::builder().over(store)?;
    register(&registry)?;
    let (history, ann, cid) = (registry.history(), id::<Customer>("Ann"), id::<Customer>("Cid"));
    assert_eq!(history.verify(None)?.position, Position(11));
    assert_eq!(registry.get(ann)?.notes, [format!("calls often, {MARKER}")]);
    assert_eq!(history.at(ann, Revision(1))?.name, format!("Ann: {MARKER}"));
    assert_eq!(registry.get(id::<crate::Order>("order"))?.customer, ann);
    let failed = history.entry(Position(5))?;
    let run = failed.run().expect("a run made it");
    assert_eq!(run.end(), &RunEnd::Failed(format!("bad: {MARKER} is refused")));
    assert_eq!(run.arguments()[1], Argument::Value(heirloom::Value::text(format!("bad: {MARKER}"))));
    erased(history.at(cid, Revision(1)));
    assert!(matches!(registry.get(cid), Err(ReadError::Removed { .. })));
    assert!(history.entry(Position(9))?.run().is_some_and(|run| run.is_erased()));
    let _ = registry.call(note, (ann, "and goes on".to_owned()))?;
    assert_eq!(registry.get(ann)?.notes.len(), 2);
    Ok(())
}
