use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
#[entity(table = "students")]
struct Student {
    id: Id<Student>,
}

fn main() {}
