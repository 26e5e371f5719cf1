use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    key: Id<Student>,
    #[entity(name = "key")]
    name: String,
}

fn main() {}
