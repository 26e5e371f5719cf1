use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Order {
    id: Id<Order>,
    #[entity(subject)]
    customer: Option<String>,
}

fn main() {}
