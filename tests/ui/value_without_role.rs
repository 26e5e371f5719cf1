use heirloom::Value;

#[derive(Clone)]
struct Address;

#[derive(Value, Clone)]
struct Plan {
    addresses: Vec<Address>,
}

fn main() {}
