use heirloom::prelude::*;

#[callable]
fn double(number: impl Into<u64>) -> impl Into<u64> {
    number.into() * 2
}

fn main() {}
