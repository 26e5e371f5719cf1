use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[serde(default, rename = "fullName")]
    name: String,
}

fn main() {}
