use std::collections::BTreeMap;

use heirloom::prelude::*;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    gpa: f64,
}

#[callable]
fn count(least: f64, students: BTreeMap<String, Student>) -> usize {
    students.values().filter(|student| student.gpa >= least).count()
}

fn main() {
    let _ = Registry::in_memory().register_all::<count>();
}
