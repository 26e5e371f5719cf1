use heirloom::prelude::*;

struct Pen;

#[callable]
fn sign(pen: Pen, times: u32) -> u32 {
    let _ = pen;
    times
}

fn main() {
    let _ = Registry::in_memory().register_all::<sign>();
}
