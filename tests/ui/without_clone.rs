use heirloom::{Entity, Id};

#[derive(Entity)]
struct Student {
    id: Id<Student>,
    name: String,
}

fn main() {}
