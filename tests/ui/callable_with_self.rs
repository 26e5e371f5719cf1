use heirloom::prelude::*;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    gpa: f64,
}

impl Student {
    #[callable]
    fn raise(&mut self, by: f64) {
        self.gpa += by;
    }
}

fn main() {}
