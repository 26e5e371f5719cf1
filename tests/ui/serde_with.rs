use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[serde(with = "somewhere")]
    name: String,
}

fn main() {}
