use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(value, key = "sku")]
    lines: Vec<String>,
}

fn main() {}
