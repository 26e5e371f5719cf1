use heirloom::Value;

#[derive(Value, Clone)]
struct Line(String, #[serde(default)] u32);

fn main() {}
