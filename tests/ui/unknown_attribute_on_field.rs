use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(rename = "full_name")]
    name: String,
}

fn main() {}
