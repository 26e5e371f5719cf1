use heirloom::prelude::*;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    gpa: f64,
}

#[callable]
fn keep(student: &'static mut Student) {
    student.gpa = 4.0;
}

fn main() {
    let _ = Registry::in_memory().register_all::<keep>();
}
