use heirloom::Value;

#[derive(Value, Clone)]
#[serde(tag = "kind")]
enum Grade {
    Good,
    Bad,
}

fn main() {}
