use std::collections::HashSet;

use heirloom::{Entity, Id};

#[derive(Entity, Clone, PartialEq, Eq, Hash)]
struct Course {
    id: Id<Course>,
}

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    courses: HashSet<Course>,
}

fn main() {}
