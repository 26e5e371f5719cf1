use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
#[entity(rename_all = "camel")]
struct Student {
    id: Id<Student>,
}

fn main() {}
