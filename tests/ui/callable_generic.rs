use heirloom::prelude::*;

#[callable]
fn first<T: Clone>(items: Vec<T>) -> Option<T> {
    items.first().cloned()
}

fn main() {
    let _ = Registry::in_memory().register_all::<first>();
}
