use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Course {
    id: Id<Course>,
}

#[derive(Entity, Clone)]
#[entity(name = "Course")]
struct Lecture {
    id: Id<Lecture>,
}

#[derive(Entity, Clone)]
enum Subject {
    Course(Course),
    Lecture(Lecture),
}

fn main() {}
