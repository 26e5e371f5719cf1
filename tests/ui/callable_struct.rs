use heirloom::prelude::*;

#[callable]
pub struct Double;

fn main() {}
