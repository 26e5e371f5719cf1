use heirloom::prelude::*;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    gpa: f64,
}

#[callable]
fn count(least: f64, groups: Vec<Vec<Student>>) -> usize {
    groups.iter().flatten().filter(|student| student.gpa >= least).count()
}

fn main() {
    let _ = Registry::in_memory().register_all::<count>();
}
