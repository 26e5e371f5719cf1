use heirloom::Entity;

#[derive(Entity, Clone)]
enum Subject {}

fn main() {}
