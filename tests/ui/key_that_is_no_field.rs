use heirloom::{Entity, Id, Value};

#[derive(Value, Clone)]
struct Line {
    sku: String,
    amount: u32,
}

#[derive(Entity, Clone)]
struct Order {
    id: Id<Order>,
    #[entity(key = "skv")]
    lines: Vec<Line>,
}

fn main() {}
