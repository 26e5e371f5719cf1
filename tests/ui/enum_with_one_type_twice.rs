use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Course {
    id: Id<Course>,
}

#[derive(Entity, Clone)]
enum Subject {
    Morning(Course),
    Evening(Course),
}

fn main() {}
