use heirloom::Value;

#[derive(Value, Clone)]
struct Line<'a> {
    sku: &'a str,
}

fn main() {}
