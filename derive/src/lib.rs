//! The derive macros of heirloom: `#[derive(Entity)]` and `#[derive(Value)]`.
