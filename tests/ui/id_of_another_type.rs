use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    #[entity(id)]
    key: Id<Teacher>,
}

#[derive(Entity, Clone)]
struct Teacher {
    id: Id<Teacher>,
}

fn main() {}
