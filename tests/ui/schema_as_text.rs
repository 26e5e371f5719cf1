use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
#[entity(schema = "2")]
struct Student {
    id: Id<Student>,
}

fn main() {}
