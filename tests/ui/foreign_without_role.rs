use heirloom::{Entity, Id};

#[derive(Clone)]
struct Address {
    street: String,
}

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    name: String,
    address: Address,
}

fn main() {}
