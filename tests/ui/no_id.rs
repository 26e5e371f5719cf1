use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    name: String,
    friend: Id<Teacher>,
}

#[derive(Entity, Clone)]
struct Teacher {
    id: Id<Teacher>,
}

fn main() {}
