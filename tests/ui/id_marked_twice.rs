use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    #[entity(id)]
    id: Id<Student>,
    #[entity(id)]
    other: Id<Student>,
}

fn main() {}
