use heirloom::prelude::*;

struct Pen;

#[callable]
fn buy(price: u32) -> Result<Pen, String> {
    let _ = price;
    Ok(Pen)
}

fn main() {
    let _ = Registry::in_memory().register_all::<buy>();
}
