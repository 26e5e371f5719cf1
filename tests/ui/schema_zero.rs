use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
#[entity(schema = 0)]
struct Student {
    id: Id<Student>,
}

fn main() {}
