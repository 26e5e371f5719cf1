use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    name: String,
    #[entity(name = "name")]
    full_name: String,
}

fn main() {}
