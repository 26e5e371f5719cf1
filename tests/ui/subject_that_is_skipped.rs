use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Order {
    id: Id<Order>,
    #[entity(skip, subject)]
    customer: String,
}

fn main() {}
