use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Course {
    id: Id<Course>,
}

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(unordered)]
    courses: Vec<Course>,
}

fn main() {}
