use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student(Id<Student>, String);

fn main() {}
