use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(compare = close)]
    grade: f32,
}

fn close(before: &f64, after: &f64) -> bool {
    (before - after).abs() < 0.01
}

fn main() {}
