use std::collections::BTreeMap;

use heirloom::{Entity, Id};

#[derive(Entity, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Course {
    id: Id<Course>,
}

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    grades: BTreeMap<Course, f64>,
}

fn main() {}
