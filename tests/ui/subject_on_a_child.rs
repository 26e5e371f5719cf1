use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Customer {
    id: Id<Customer>,
}

#[derive(Entity, Clone)]
struct Order {
    id: Id<Order>,
    #[entity(subject)]
    customer: Customer,
}

fn main() {}
