use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(name = "$float")]
    name: String,
}

fn main() {}
