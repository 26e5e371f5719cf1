//! Letting go of cells without recursion: a chain of any length drops on a stack of any size.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;

use crate::entity::AnyCell;

/// How much room the queue keeps between two drops.
const KEPT: usize = 256;

thread_local! {
    static DROPS: Drops = const { Drops { running: Cell::new(false), waiting: RefCell::new(Vec::new()) } };
}

/// The cells that wait while another is dropped by this thread.
struct Drops {
    running: Cell<bool>,
    waiting: RefCell<Vec<Arc<dyn AnyCell>>>,
}

/// Drops the cell and, one after the other, those that only it held.
pub(super) fn let_go(cell: Arc<dyn AnyCell>) {
    let mut next = Some(cell);
    // Once the thread ends and its storage is gone, what is left drops as it is.
    _ = DROPS.try_with(|drops| {
        if drops.running.replace(true) {
            drops.waiting.borrow_mut().extend(next.take());
            return;
        }
        let _done = Done(drops);
        while let Some(cell) = next.take() {
            drop(cell);
            next = drops.waiting.borrow_mut().pop();
        }
    });
}

/// Makes the next drop the outermost again, whether this one came to its end or somebody's `drop` panicked.
struct Done<'a>(&'a Drops);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.borrow_mut();
        let left = if waiting.is_empty() && waiting.capacity() <= KEPT { Vec::new() } else { mem::take(&mut *waiting) };
        drop(waiting);
        self.0.running.set(false);
        drop(left);
    }
}
