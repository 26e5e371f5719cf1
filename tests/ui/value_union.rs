use heirloom::Value;

#[derive(Value, Clone, Copy)]
union Number {
    whole: u32,
    real: f32,
}

fn main() {}
