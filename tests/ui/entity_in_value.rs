use heirloom::{Entity, Id, Value};

#[derive(Entity, Clone)]
struct Course {
    id: Id<Course>,
}

#[derive(Value, Clone)]
struct Plan {
    first: Course,
}

fn main() {}
