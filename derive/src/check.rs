//! Mistakes that show only when several parts of a type are seen together.

use std::collections::HashMap;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{DeriveInput, Member, Type};

use crate::ast::{Field, Item, Variant, Variants};
use crate::attr::Mistakes;

/// Refuses a second id, and what an id cannot have.
pub(crate) fn id_alone(ids: &[Field<'_>], mistakes: &mut Mistakes) {
    let Some((first, others)) = ids.split_first() else { return };
    for other in others {
        let first = first.member.to_token_stream();
        match &other.attrs.id {
            Some(said) => {
                mistakes.at(said.word.span(), format!("an entity has one id, and `{first}` is marked already"))
            }
            None => mistakes.at(
                other.ty.span(),
                format!("an entity has one id, and `{first}` could be it too: mark the one that is `#[entity(id)]`"),
            ),
        }
    }
    if let Some(alias) = first.attrs.aliases.first() {
        mistakes.at(alias.span(), "`alias` and `id` exclude each other: the id has one name");
    }
}

/// Refuses a second word on whose the data of an entity is.
pub(crate) fn one_subject(item: &Item<'_>, fields: &[Field<'_>], mistakes: &mut Mistakes) {
    let mut marked = fields.iter().filter_map(|field| Some((field, field.attrs.subject.as_ref()?)));
    let first = match &item.attrs.subject {
        Some(_) => "the struct, so that each is its own subject,".to_owned(),
        None => match marked.next() {
            Some((field, _)) => format!("`{}`", field.member.to_token_stream()),
            None => return,
        },
    };
    for (_, said) in marked {
        let message = format!("the data of an entity belongs to one subject, and {first} is marked already");
        mistakes.at(said.word.span(), message);
    }
}

/// Refuses a stored name, or an alias, that stands for two fields.
pub(crate) fn distinct_names<'f, 'a: 'f>(fields: impl Iterator<Item = &'f Field<'a>>, mistakes: &mut Mistakes) {
    let mut taken: HashMap<String, String> = HashMap::new();
    let fields: Vec<&Field<'_>> = fields.filter(|field| field.is_stored()).collect();
    // Names before aliases: where the two clash, the alias is what is wrong.
    for field in &fields {
        let owner = field.member.to_token_stream().to_string();
        if let Some(other) = taken.insert(field.name.clone(), owner) {
            mistakes.at(field.span(), format!("{:?} is the stored name of `{other}` already", field.name));
        }
    }
    for field in &fields {
        for alias in &field.attrs.aliases {
            let owner = field.member.to_token_stream().to_string();
            if let Some(other) = taken.insert(alias.value(), owner) {
                mistakes.at(alias.span(), format!("{:?} is a stored name of `{other}` already", alias.value()));
            }
        }
    }
}

/// The name of the constant that stands for a field.
pub(crate) fn token_name(member: &Member) -> Option<Ident> {
    match member {
        Member::Named(ident) => {
            let name = syn::ext::IdentExt::unraw(ident).to_string().to_uppercase();
            Some(Ident::new(&name, ident.span()))
        }
        Member::Unnamed(_) => None,
    }
}

/// Refuses fields whose constants would have one name.
pub(crate) fn distinct_tokens(fields: &[Field<'_>], mistakes: &mut Mistakes) {
    let mut taken: HashMap<String, &Member> = HashMap::new();
    for field in fields.iter().filter(|field| field.is_stored()) {
        let Some(token) = token_name(&field.member) else { continue };
        if let Some(other) = taken.insert(token.to_string(), &field.member) {
            let other = other.to_token_stream();
            mistakes.at(field.member.span(), format!("the constant `{token}` stands for the field `{other}` already"));
        }
    }
}

/// Refuses two variants that hold the same entity type: what is read could not tell them apart.
pub(crate) fn distinct_types(variants: &[(&Ident, &Type)], mistakes: &mut Mistakes) {
    let mut taken: HashMap<String, &Ident> = HashMap::new();
    for (variant, ty) in variants {
        let name = ty.to_token_stream().to_string();
        if let Some(other) = taken.insert(name.clone(), variant) {
            mistakes.at(ty.span(), format!("`{other}` holds a `{name}` already: expected each entity type once"));
        }
    }
}

/// Refuses an enum without variants, and what only a struct can have.
pub(crate) fn enum_of_values(input: &DeriveInput, item: &Item<'_>, variants: &Variants, mistakes: &mut Mistakes) {
    if variants.is_empty() {
        mistakes.at(input.ident.span(), "an enum without variants has no values: expected at least one variant");
    }
    if let Some(said) = &item.attrs.absent {
        mistakes.at(said.word.span(), "serde's `default` of a whole type is one of a struct: put it on the fields");
    }
}

/// Refuses a stored name, or an alias, that stands for two variants.
pub(crate) fn distinct_variants(variants: &[Variant<'_>], mistakes: &mut Mistakes) {
    let mut taken: HashMap<String, &Ident> = HashMap::new();
    for variant in variants {
        let Some(ident) = variant.ident else { continue };
        if let Some(other) = taken.insert(variant.name.clone(), ident) {
            let span = variant.attrs.name.as_ref().map_or(ident.span(), |said| said.what.span());
            mistakes.at(span, format!("{:?} is the stored name of `{other}` already", variant.name));
        }
    }
    for variant in variants {
        let Some(ident) = variant.ident else { continue };
        for alias in &variant.attrs.aliases {
            if let Some(other) = taken.insert(alias.value(), ident) {
                mistakes.at(alias.span(), format!("{:?} is a stored name of `{other}` already", alias.value()));
            }
        }
    }
}
