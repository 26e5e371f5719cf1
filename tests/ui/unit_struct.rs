use heirloom::Entity;

#[derive(Entity, Clone)]
struct Student;

fn main() {}
