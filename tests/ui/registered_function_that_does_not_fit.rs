use heirloom::prelude::*;

struct Pen;

fn sign(pen: Pen) {
    let _ = pen;
}

fn main() {
    let _ = Registry::in_memory().register("sign", sign);
}
