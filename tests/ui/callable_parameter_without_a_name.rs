use heirloom::prelude::*;

#[callable]
fn sum((one, other): (u64, u64)) -> u64 {
    one + other
}

fn main() {}
