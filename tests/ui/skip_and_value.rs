use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(skip, value)]
    cache: String,
}

fn main() {}
