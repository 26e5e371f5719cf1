//! The macros of heirloom: `#[derive(Entity)]`, `#[derive(Value)]` and `#[callable]`.
//!
//! The expansion is data: one static row and one visit for each field. What is done with them stands in the crate.

mod ast;
mod attr;
mod callable;
mod case;
mod check;
mod entity;
mod fallback;
mod rows;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct, or an enum of entities, an entity: see the chapter on modelling in heirloom's documentation.
///
/// On the type: `#[entity(name = "...", alias = "...", rename_all = "...", schema = 2, crate = path)]`.
/// On a field: `#[entity(id, skip, value, name = "...", alias = "...", key = "...", compare = path, unordered)]`.
/// Of serde's attributes, `default` and `alias` are read.
#[proc_macro_derive(Entity, attributes(entity, serde))]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    entity::derive(&input).unwrap_or_else(|mistakes| fallback::entity(&input, &mistakes)).into()
}

/// Makes a plain struct or enum a value that entities, arguments and results may hold.
///
/// On the type: `#[entity(name = "...", rename_all = "...", crate = path)]`.
/// On a field: `#[entity(skip, value, name = "...", alias = "...")]`.
/// On a variant: `#[entity(name = "...", alias = "...")]`.
/// Of serde's attributes, `default` and `alias` are read.
#[proc_macro_derive(Value, attributes(entity, serde))]
pub fn derive_value(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    value::derive(&input).unwrap_or_else(|mistakes| fallback::value(&input, &mistakes)).into()
}

/// In the attribute: `#[callable(name = "...", version = "...", crate = path)]`. The name is the function's unless another
/// is given. The version is any constant text, such as `env!("CARGO_PKG_VERSION")`; without it there is none, for what a
/// function does depends on more than its own text. A method, a closure or a function of generic type is registered by
/// `Registry::register`.
#[proc_macro_attribute]
pub fn callable(options: TokenStream, item: TokenStream) -> TokenStream {
    callable::expand(options.into(), item.into()).into()
}
