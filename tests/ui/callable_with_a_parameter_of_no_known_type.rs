use heirloom::prelude::*;

struct Pen;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    gpa: f64,
}

#[callable]
fn sign(student: &mut Student, pen: Pen) {
    let _ = (student, pen);
}

fn main() {
    let _ = Registry::in_memory().register_all::<sign>();
}
