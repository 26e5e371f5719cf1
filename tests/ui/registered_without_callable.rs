use heirloom::prelude::*;

#[callable]
fn double(number: u64) -> u64 {
    number * 2
}

fn main() {
    let _ = Registry::in_memory().register_all::<(double, u64)>();
}
