use heirloom::{Entity, Id};

#[derive(Clone)]
struct Cache;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(skip)]
    cache: Cache,
}

fn main() {}
