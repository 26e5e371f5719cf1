use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Customer {
    #[entity(id, subject)]
    id: Id<Customer>,
}

fn main() {}
