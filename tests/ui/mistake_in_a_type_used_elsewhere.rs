use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(nmae = "full_name")]
    name: String,
}

#[derive(Entity, Clone)]
struct School {
    id: Id<School>,
    students: Vec<Student>,
}

fn token() -> &'static str {
    Student::NAME.name()
}

fn main() {}
