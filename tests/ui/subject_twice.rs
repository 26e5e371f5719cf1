use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Order {
    id: Id<Order>,
    #[entity(subject)]
    customer: String,
    #[entity(subject)]
    courier: String,
}

fn main() {}
