use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Student {
    id: Id<Student>,
    #[entity(name = "full_name")]
    #[entity(name = "whole_name")]
    name: String,
}

fn main() {}
