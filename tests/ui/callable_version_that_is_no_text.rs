use heirloom::prelude::*;

#[callable(version = 2)]
fn double(number: u64) -> u64 {
    number * 2
}

fn main() {}
