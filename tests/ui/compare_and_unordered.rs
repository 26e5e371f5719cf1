use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(compare = same, unordered)]
    tags: Vec<String>,
}

fn same(before: &Vec<String>, after: &Vec<String>) -> bool {
    before == after
}

fn main() {}
