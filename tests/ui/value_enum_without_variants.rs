use heirloom::Value;

#[derive(Value, Clone)]
enum Never {}

fn main() {}
