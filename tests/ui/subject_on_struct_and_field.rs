use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
#[entity(subject)]
struct Order {
    id: Id<Order>,
    #[entity(subject)]
    customer: String,
}

fn main() {}
