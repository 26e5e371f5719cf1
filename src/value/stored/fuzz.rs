//! What holds of any bytes that are read: the tests ask it of a few, `tests/fuzz` of many.

use super::{Edit, Patch, from_bytes, to_bytes};
use crate::digest::Digester;
use crate::value::{Delta, Value};

/// What is read as a value is written, and what is written reads as the same value.
pub(crate) fn value(bytes: &[u8]) {
    if let Ok(value) = from_bytes(bytes) {
        comes_back(&value);
    }
}

/// The value comes back exactly.
pub(super) fn comes_back(value: &Value) {
    let bytes = to_bytes(value).expect("a canonical value that is not too deep is written");
    let read = from_bytes(&bytes).expect("what was written is read");
    assert_eq!(read, *value, "{}", String::from_utf8_lossy(&bytes));
    let digest = |value: &Value| {
        let mut digester = Digester::new();
        value.digest(&mut digester);
        digester.finish()
    };
    assert!(digest(&read) == digest(value), "{}", String::from_utf8_lossy(&bytes));
}

/// Of two lines: what is read as a patch is written, reads as the same, and applied to the other line makes what can be
/// stored, or refuses. Two values: what leads from one to the other can be stored and does so.
pub(crate) fn patch(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(first), second) = (lines.next(), lines.next().unwrap_or_default()) else { return };
    let other = from_bytes(second);
    if let Ok(patch) = Patch::from_bytes(first) {
        patch_comes_back(&patch);
        if let Ok(mut state) = other.clone()
            && patch.apply(&mut state).is_ok()
        {
            comes_back(&state);
        }
    }
    if let (Ok(before), Ok(after)) = (from_bytes(first), other) {
        leads_there(&before, &after);
    }
}

/// The patch comes back exactly: as it is read.
fn patch_comes_back(patch: &Patch) -> Patch {
    let bytes = patch.to_bytes().expect("a patch of canonical values that is not too deep is written");
    let read = Patch::from_bytes(&bytes).expect("what was written is read");
    assert_eq!(read, *patch, "{}", String::from_utf8_lossy(&bytes));
    read
}

/// What makes one state of the other is stored, comes back and makes it, if it is a matter of fields.
pub(super) fn leads_there(before: &Value, after: &Value) {
    for key in [None, Some("id")] {
        let Some(patch) = between(before, after, key) else { continue };
        let mut state = before.clone();
        patch_comes_back(&patch).apply(&mut state).expect("it was made for this state");
        assert_eq!(state, *after);
        assert_eq!(to_bytes(&state), to_bytes(after));
    }
}

/// The patch that makes one state of the other, if it is a matter of fields.
pub(super) fn between(before: &Value, after: &Value, key: Option<&str>) -> Option<Patch> {
    let delta = Delta::between(before.clone(), after.clone(), key)?;
    delta.leaves(&mut |_| {});
    delta.own_leaves(&mut |_| {});
    assert_eq!(delta.clone().inverse().inverse(), delta);
    match (before, Edit::from(delta)) {
        (Value::Struct(_), Edit::Fields(fields)) => Some(Patch { variant: None, fields }),
        (Value::Variant(_), Edit::Fields(mut held)) => match held.pop()? {
            (name, Edit::Fields(fields)) => Some(Patch { variant: Some(name), fields }),
            _ => None,
        },
        _ => None,
    }
}
