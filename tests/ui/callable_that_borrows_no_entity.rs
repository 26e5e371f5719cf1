use heirloom::prelude::*;

#[callable]
fn length(times: u32, text: &String) -> usize {
    text.len() * times as usize
}

fn main() {
    let _ = Registry::in_memory().register_all::<length>();
}
