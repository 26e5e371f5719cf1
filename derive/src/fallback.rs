//! What is emitted beside the mistakes: implementations that are never run, so that one mistake is one error.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, Member};

use crate::ast::Item;
use crate::attr::{Mistakes, Place};
use crate::check::token_name;
use crate::{entity, value};

pub(crate) fn entity(input: &DeriveInput, mistakes: &syn::Error) -> TokenStream {
    let item = Item::parse(input, Place::EntityStruct, &mut Mistakes::default());
    let (mistakes, krate, header) = (mistakes.to_compile_error(), &item.krate, item.header(quote!(Entity)));
    let (field_impl, tokens) = (entity::field_impl(&item), tokens(&item, input));
    quote! {
        #mistakes

        #header {
            const META: &'static #krate::Meta = &#krate::Meta {
                name: "", aliases: &[], schema: 1, id: "", subject: ::core::option::Option::None, fields: &[], variants: &[], parameters: &[],
            };
            const HOLDS_INLINE: bool = false;
            const SETTLES: bool = false;

            fn entity_id(&self) -> #krate::EntityId {
                ::core::unreachable!()
            }
            fn visit<'visit, __Visit: #krate::__private::Visit<'visit>>(&'visit self, _: &mut __Visit) {}
            fn visit_pair<'visit, __Visit: #krate::__private::VisitPair<'visit>>(
                &'visit self,
                _: &'visit Self,
                _: &mut __Visit,
            ) -> bool {
                ::core::unreachable!()
            }
            fn visit_mut<__Visit: #krate::__private::VisitMut>(&mut self, _: &mut __Visit) {}
            fn assemble<__Source: #krate::__private::Assemble>(
                _: #krate::EntityId,
                _: &mut __Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                ::core::unreachable!()
            }
        }

        #field_impl
        #tokens
    }
}

/// The constants of all named fields: whoever uses one made no mistake there.
fn tokens(item: &Item<'_>, input: &DeriveInput) -> TokenStream {
    let Data::Struct(data) = &input.data else { return TokenStream::new() };
    let Fields::Named(fields) = &data.fields else { return TokenStream::new() };
    if input.generics.lifetimes().next().is_some() {
        return TokenStream::new();
    }
    let (krate, header) = (&item.krate, item.own_header());
    let mut known = HashSet::new();
    let tokens = fields.named.iter().filter_map(|field| {
        let (vis, ty, ident) = (&field.vis, &field.ty, field.ident.as_ref()?);
        let token = token_name(&Member::Named(ident.clone())).filter(|token| known.insert(token.to_string()))?;
        Some(quote! {
            #vis const #token: #krate::FieldToken<Self, #ty> = #krate::FieldToken::new(0, |entity| &entity.#ident);
        })
    });
    // Allowed: whoever derives is not to be warned of what the derive writes.
    quote! {
        #[allow(missing_docs)]
        #header {
            #(#tokens)*
        }
    }
}

pub(crate) fn value(input: &DeriveInput, mistakes: &syn::Error) -> TokenStream {
    let item = Item::parse(input, Place::ValueType, &mut Mistakes::default());
    let (mistakes, krate, header) =
        (mistakes.to_compile_error(), &item.krate, item.header(quote!(__private::ValueType)));
    let field_impl = value::field_impl(&item, &[]);
    quote! {
        #mistakes

        #header {
            const NAME: &'static str = "";
            const IS_ENUM: bool = false;
            const VARIANTS: &'static [#krate::__private::value_type::VariantRow] = &[];
            const PARAMETERS: &'static [fn(&mut #krate::__private::Layouter) -> ::std::string::String] = &[];

            fn variant(&self) -> usize {
                ::core::unreachable!()
            }
            fn visit<'visit, __Visit: #krate::__private::Visit<'visit>>(&'visit self, _: &mut __Visit) {}
            fn visit_pair<'visit, __Visit: #krate::__private::VisitPair<'visit>>(
                &'visit self,
                _: &'visit Self,
                _: &mut __Visit,
            ) -> bool {
                ::core::unreachable!()
            }
            fn build<__Source: #krate::__private::Assemble>(
                _: usize,
                _: &mut __Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                ::core::unreachable!()
            }
        }

        #field_impl
    }
}
