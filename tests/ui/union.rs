use heirloom::Entity;

#[derive(Entity, Clone, Copy)]
union Number {
    whole: u32,
    real: f32,
}

fn main() {}
