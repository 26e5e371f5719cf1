use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
#[serde(rename_all = "camelCase")]
struct Student {
    id: Id<Student>,
    full_name: String,
}

fn main() {}
