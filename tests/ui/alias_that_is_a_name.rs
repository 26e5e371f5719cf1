use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    name: String,
    #[entity(alias = "name")]
    full_name: String,
}

fn main() {}
