use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(name)]
    name: String,
}

fn main() {}
