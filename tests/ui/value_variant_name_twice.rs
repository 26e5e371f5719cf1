use heirloom::Value;

#[derive(Value, Clone)]
enum Grade {
    Good,
    #[entity(name = "Good")]
    VeryGood,
}

fn main() {}
