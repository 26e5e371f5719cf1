use heirloom::Value;

#[derive(Value, Clone)]
struct Line(#[entity(name = "sku")] String, u32);

fn main() {}
