use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    #[entity(id, skip)]
    id: Id<Student>,
    name: String,
}

fn main() {}
