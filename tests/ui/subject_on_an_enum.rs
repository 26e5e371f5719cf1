use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Customer {
    id: Id<Customer>,
}

#[derive(Entity, Clone)]
#[entity(subject)]
enum Party {
    Customer(Customer),
}

fn main() {}
