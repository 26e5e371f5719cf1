use heirloom::prelude::*;

#[callable(name = "double", name = "twice")]
fn double(number: u64) -> u64 {
    number * 2
}

fn main() {}
