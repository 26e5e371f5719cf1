use std::collections::BTreeMap;

use heirloom::prelude::*;

#[derive(Entity, Clone)]
struct Student {
    id: Id<Self>,
    name: String,
}

fn enroll(names: Vec<String>) -> BTreeMap<String, Student> {
    names.into_iter().map(|name| (name.clone(), Student { id: Id::new(), name })).collect()
}

fn main() {
    let _ = Registry::in_memory().register("enroll", enroll);
}
