use heirloom::Value;

#[derive(Value, Clone)]
struct Plan {
    #[entity(key = "sku")]
    lines: Vec<String>,
}

fn main() {}
