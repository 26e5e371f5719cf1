//! What holds of any bytes that are read as lines: the tests ask it of a few, `tests/fuzz` of many.

use super::import::Import;
use super::{export, import};
use crate::store::memory::MemoryStore;
use crate::store::{Head, Store, verify};
use crate::when::Position;

/// A line that is longer is refused here.
const LONGEST: usize = 1 << 16;

/// What is read is a store that verifies, and comes back from its own lines; what is refused leaves one too. Hashes are
/// not compared the first time: nobody would come past them by chance.
pub(crate) fn lines(bytes: &[u8]) {
    let store = MemoryStore::new();
    let read = Import::new(&store, false, LONGEST).and_then(|import| import.read(&mut &*bytes));
    let head = verify(&store, None).expect("whatever was read, what is stored is whole");
    if let Ok(read) = read {
        assert!(read == head, "an import gives the head of the store");
    }
    comes_back(&store, head);
}

/// A store comes back from its lines.
pub(super) fn comes_back(store: &dyn Store, head: Head) {
    let mut lines = Vec::new();
    assert!(export(store, Position(0), &mut lines).expect("a store in memory is exported") == head);
    let copy = MemoryStore::new();
    let read = import(&mut lines.as_slice(), &copy);
    assert!(read.as_ref().is_ok_and(|read| *read == head), "{read:?}\n{}", String::from_utf8_lossy(&lines));
    for position in (1..=head.position.0).map(Position) {
        assert_eq!(copy.read(position), store.read(position));
    }
    assert_eq!(copy.tags(), store.tags());
}
