use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Course {
    id: Id<Course>,
}

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(compare = same_count)]
    courses: Vec<Course>,
}

fn same_count(before: &Vec<Course>, after: &Vec<Course>) -> bool {
    before.len() == after.len()
}

fn main() {}
