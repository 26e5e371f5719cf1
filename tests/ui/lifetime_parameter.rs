use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student<'a> {
    id: Id<Self>,
    name: &'a str,
}

fn main() {}
