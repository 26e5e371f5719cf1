use heirloom::{Entity, Id};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Address {
    street: String,
}

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(value)]
    address: Option<Address>,
}

fn main() {}
