//! The expansion of `#[derive(Entity)]`.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Member, Type};

use crate::ast::{Entity, Field, Item};
use crate::check::token_name;
use crate::rows;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let (item, entity) = Entity::parse(input)?;
    let (entity_impl, beside) = match &entity {
        Entity::Struct { id, fields } => (of_struct(&item, id, fields), beside_struct(&item, fields)),
        Entity::Enum(variants) => (of_enum(&item, variants), beside_enum(&item, variants)),
    };
    let field_impl = field_impl(&item);
    Ok(quote!(#entity_impl #field_impl #beside))
}

fn of_struct(item: &Item<'_>, id: &Field<'_>, fields: &[Field<'_>]) -> TokenStream {
    let Item { krate, name, .. } = item;
    let entity_header = item.header(quote!(Entity));
    let schema = item.attrs.schema.as_ref().map_or(1, |said| said.what);
    let (aliases, parameters) = (item.aliases(), item.parameters());
    let stored: Vec<(Literal, &Field<'_>)> = fields
        .iter()
        .filter(|field| field.is_stored())
        .enumerate()
        .map(|(index, field)| (Literal::usize_unsuffixed(index), field))
        .collect();
    let skipped: Vec<&Field<'_>> = fields.iter().filter(|field| !field.is_stored()).collect();
    let kept: Vec<TokenStream> = stored.iter().map(|(_, field)| rows::kept(item, field)).collect();
    let rows = stored.iter().map(|(_, field)| rows::row(item, field));
    let settles = !skipped.is_empty() || stored.iter().any(|(_, field)| judge(item, field).is_some());
    let (id_member, id_name, id_type) = (&id.member, &id.name, id.ty);
    let index: Vec<&Literal> = stored.iter().map(|(index, _)| index).collect();
    let member: Vec<&Member> = stored.iter().map(|(_, field)| &field.member).collect();
    let visits_pair = stored.iter().zip(&kept).map(|((index, field), kept)| {
        let member = &field.member;
        match judge(item, field) {
            Some(judge) => quote!(#kept::tell_judged(&self.#member, &__after.#member, #index, __visit, #judge);),
            None => quote!(#kept::tell_pair(&self.#member, &__after.#member, #index, __visit);),
        }
    });
    let absent = stored.iter().map(|(_, field)| field.absent(item));
    let defaults = skipped.iter().map(|field| {
        let (ty, member) = (field.ty, &field.member);
        quote!(#member: <#ty as ::core::default::Default>::default(),)
    });
    let keep_judged = keep_judged(item, fields);
    let forget_skipped = forget_skipped(item, &skipped);
    let checks = if item.is_generic() { checks(item, fields) } else { Vec::new() };
    let subject = subject(item, &stored);

    quote! {
        #entity_header {
            const META: &'static #krate::Meta = &#krate::Meta {
                name: #name,
                aliases: &[#aliases],
                schema: #schema,
                id: #id_name,
                subject: #subject,
                fields: &[#(#rows),*],
                variants: &[],
                parameters: &[#parameters],
            };
            const HOLDS_INLINE: bool = false #(|| #kept::INLINES)*;
            const SETTLES: bool = #settles;

            fn entity_id(&self) -> #krate::EntityId {
                <#id_type as #krate::__private::OwnId<Self>>::get(&self.#id_member)
            }
            fn visit<'visit, __Visit: #krate::__private::Visit<'visit>>(&'visit self, __visit: &mut __Visit) {
                #(#kept::tell(&self.#member, #index, __visit);)*
            }
            fn visit_pair<'visit, __Visit: #krate::__private::VisitPair<'visit>>(
                &'visit self,
                __after: &'visit Self,
                __visit: &mut __Visit,
            ) -> bool {
                #(const { #checks };)*
                #(#visits_pair)*
                true
            }
            fn visit_mut<__Visit: #krate::__private::VisitMut>(&mut self, __visit: &mut __Visit) {
                #(#kept::tell_mut(&mut self.#member, #index, __visit);)*
            }
            fn assemble<__Source: #krate::__private::Assemble>(
                __id: #krate::EntityId,
                __source: &mut __Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                ::core::result::Result::Ok(Self {
                    #id_member: <#id_type as #krate::__private::OwnId<Self>>::of(__id),
                    #(#member: #kept::read(__source, &<Self as #krate::Entity>::META.fields[#index], #absent)?,)*
                    #(#defaults)*
                })
            }
            #keep_judged
            #forget_skipped
        }
    }
}

/// Whose the data is.
fn subject(item: &Item<'_>, stored: &[(Literal, &Field<'_>)]) -> TokenStream {
    let krate = &item.krate;
    let named = stored.iter().find(|(_, field)| field.attrs.subject.is_some());
    match (&item.attrs.subject, named) {
        (Some(said), _) => quote_spanned!(said.word.span()=> #krate::__private::subject::itself()),
        (None, Some((index, field))) => {
            let ty = field.ty;
            quote_spanned!(ty.span()=> #krate::__private::subject::named_by::<#ty>(#index))
        }
        (None, None) => quote!(::core::option::Option::None),
    }
}

/// The function that says whether two of a field are the same, if it is not the type's own.
fn judge(item: &Item<'_>, field: &Field<'_>) -> Option<TokenStream> {
    let (krate, ty) = (&item.krate, field.ty);
    match (&field.attrs.compare, &field.attrs.unordered) {
        (Some(said), _) => {
            let path = &said.what;
            Some(quote_spanned!(path.span()=> #krate::__private::value_type::judge::<#ty>(#path)))
        }
        (None, Some(_)) => Some(quote!(#krate::__private::value_type::same_unordered::<#ty>)),
        (None, None) => None,
    }
}

fn keep_judged(item: &Item<'_>, fields: &[Field<'_>]) -> Option<TokenStream> {
    let krate = &item.krate;
    let keeps: Vec<TokenStream> = fields
        .iter()
        .filter_map(|field| {
            let (judge, member) = (judge(item, field)?, &field.member);
            Some(quote!(#krate::__private::value_type::keep(&mut self.#member, &__before.#member, #judge);))
        })
        .collect();
    (!keeps.is_empty()).then(|| {
        quote! {
            fn keep_judged(&mut self, __before: &Self) {
                #(#keeps)*
            }
        }
    })
}

fn forget_skipped(_: &Item<'_>, skipped: &[&Field<'_>]) -> Option<TokenStream> {
    let forgets = skipped.iter().map(|field| {
        let (ty, member) = (field.ty, &field.member);
        quote!(self.#member = <#ty as ::core::default::Default>::default();)
    });
    (!skipped.is_empty()).then(|| {
        quote! {
            fn forget_skipped(&mut self) {
                #(#forgets)*
            }
        }
    })
}

/// What only the compiler can check, each as an assertion on the word that may be wrong.
fn checks(item: &Item<'_>, fields: &[Field<'_>]) -> Vec<TokenStream> {
    let krate = &item.krate;
    let mut checks = Vec::new();
    for field in fields.iter().filter(|field| field.attrs.value.is_none()) {
        let (ty, member) = (field.ty, field.member.to_token_stream());
        if let Some(said) = &field.attrs.key {
            let key = &said.what;
            let message = format!(
                "{:?} is no stored field of the items of `{member}`: expected a list of a struct \
                 with `#[derive(Value)]` and one of its fields",
                key.value(),
            );
            checks.push(quote_spanned! {key.span()=>
                ::core::assert!(
                    #krate::__private::value_type::is_field(<#ty as #krate::Field>::ITEM_FIELDS, #key), "{}", #message
                )
            });
        }
        let judged = field.attrs.compare.as_ref().map(|said| &said.word);
        if let Some(word) = judged.or(field.attrs.unordered.as_ref().map(|said| &said.word)) {
            let message = format!(
                "`{word}` is for values, and `{member}` owns entities: they are matched by identity and \
                 compare themselves"
            );
            checks.push(quote_spanned! {word.span()=>
                ::core::assert!(!<#ty as #krate::Field>::HOLDS_ENTITIES, "{}", #message)
            });
        }
    }
    checks
}

/// The constants that name the fields, and the checks.
fn beside_struct(item: &Item<'_>, fields: &[Field<'_>]) -> TokenStream {
    let krate = &item.krate;
    let own_header = item.own_header();
    let checks = if item.is_generic() { Vec::new() } else { checks(item, fields) };
    let tokens = fields.iter().filter(|field| field.is_stored()).enumerate().filter_map(|(index, field)| {
        let (vis, ty, member) = (field.vis, field.ty, &field.member);
        let token = token_name(member)?;
        let doc = format!("The stored field `{}`.", member.to_token_stream());
        Some(quote! {
            #[doc = #doc]
            #vis const #token: #krate::FieldToken<Self, #ty> =
                #krate::FieldToken::new(#index, |entity: &Self| &entity.#member);
        })
    });
    quote! {
        #(const _: () = #checks;)*
        #own_header {
            #(#tokens)*
        }
    }
}

/// What only the compiler can check of an enum: that the stored names of its entity types tell them apart. Without their
/// parameters: what is stored says `Grid`, whether of two or of three.
fn check_names(item: &Item<'_>, variants: &[(&Ident, &Type)]) -> TokenStream {
    let (krate, ident) = (&item.krate, item.ident);
    let types = variants.iter().map(|(_, ty)| ty);
    let message = format!(
        "two variants of `{ident}` hold entities of one stored name: `#[entity(name = \"...\")]` on one of the two types \
         gives it another; if both are one generic type, hold one of them in an entity of its own with another name"
    );
    quote_spanned! {ident.span()=>
        ::core::assert!(
            #krate::__private::value_type::are_distinct(&[#(<#types as #krate::Entity>::META.name),*]), "{}", #message
        )
    }
}

fn beside_enum(item: &Item<'_>, variants: &[(&Ident, &Type)]) -> TokenStream {
    let check = check_names(item, variants);
    if item.is_generic() { TokenStream::new() } else { quote!(const _: () = #check;) }
}

fn of_enum(item: &Item<'_>, variants: &[(&Ident, &Type)]) -> TokenStream {
    let Item { krate, name, .. } = item;
    let entity_header = item.header(quote!(Entity));
    let schema = item.attrs.schema.as_ref().map_or(1, |said| said.what);
    let (aliases, parameters) = (item.aliases(), item.parameters());
    let (variant, ty): (Vec<&Ident>, Vec<&Type>) = variants.iter().copied().unzip();
    let check = item.is_generic().then(|| check_names(item, variants)).map(|check| quote!(const { #check };));
    // Allowed: whoever derives is not to be warned of what the derive writes.
    quote! {
        #[allow(unreachable_patterns)]
        #entity_header {
            const META: &'static #krate::Meta = &#krate::Meta {
                name: #name,
                aliases: &[#aliases],
                schema: #schema,
                id: "id",
                subject: ::core::option::Option::None,
                fields: &[],
                variants: &[#(|| <#ty as #krate::Entity>::META),*],
                parameters: &[#parameters],
            };
            const HOLDS_INLINE: bool = false #(|| <#ty as #krate::Entity>::HOLDS_INLINE)*;
            const SETTLES: bool = false #(|| <#ty as #krate::Entity>::SETTLES)*;

            fn entity_id(&self) -> #krate::EntityId {
                match self {
                    #(Self::#variant(entity) => <#ty as #krate::Entity>::entity_id(entity),)*
                }
            }
            fn meta_of(&self) -> &'static #krate::Meta {
                match self {
                    #(Self::#variant(entity) => <#ty as #krate::Entity>::meta_of(entity),)*
                }
            }
            fn visit<'visit, __Visit: #krate::__private::Visit<'visit>>(&'visit self, __visit: &mut __Visit) {
                match self {
                    #(Self::#variant(entity) => <#ty as #krate::Entity>::visit(entity, __visit),)*
                }
            }
            fn visit_pair<'visit, __Visit: #krate::__private::VisitPair<'visit>>(
                &'visit self,
                __after: &'visit Self,
                __visit: &mut __Visit,
            ) -> bool {
                #check
                match (self, __after) {
                    #((Self::#variant(before), Self::#variant(after)) =>
                        <#ty as #krate::Entity>::visit_pair(before, after, __visit),)*
                    _ => false,
                }
            }
            fn visit_mut<__Visit: #krate::__private::VisitMut>(&mut self, __visit: &mut __Visit) {
                match self {
                    #(Self::#variant(entity) => <#ty as #krate::Entity>::visit_mut(entity, __visit),)*
                }
            }
            fn assemble<__Source: #krate::__private::Assemble>(
                __id: #krate::EntityId,
                __source: &mut __Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                #(
                    if __source.is(<#ty as #krate::Entity>::META) {
                        return <#ty as #krate::Entity>::assemble(__id, __source).map(Self::#variant);
                    }
                )*
                ::core::result::Result::Err(__source.unknown_variant(<Self as #krate::Entity>::META))
            }
            fn keep_judged(&mut self, __before: &Self) {
                match (self, __before) {
                    #((Self::#variant(after), Self::#variant(before)) =>
                        <#ty as #krate::Entity>::keep_judged(after, before),)*
                    _ => {}
                }
            }
            fn forget_skipped(&mut self) {
                match self {
                    #(Self::#variant(entity) => <#ty as #krate::Entity>::forget_skipped(entity),)*
                }
            }
        }
    }
}

/// What makes the entity the field of another, and a parameter and the result of a callable.
pub(crate) fn field_impl(item: &Item<'_>) -> TokenStream {
    let krate = &item.krate;
    let field_header = item.header(quote!(Field));
    let (param_header, output_header) = (item.header(quote!(__private::Param)), item.header(quote!(__private::Output)));
    let inline = quote!(#krate::__private::inline);
    quote! {
        #field_header {
            const ROLE: #krate::Role = #krate::Role::Child;
            const HOLDS_ENTITIES: bool = true;
            const INLINES: bool = true;
            // Whether it does would be asked of itself where entities nest: `true` is the answer that is never wrong.
            const FORGETS: bool = true;

            fn layout(layouter: &mut #krate::__private::Layouter) -> ::std::string::String {
                #inline::layout::<Self>(layouter)
            }
            fn encode(&self) -> #krate::Value {
                #krate::Value::Entity(#krate::Entity::entity_id(self))
            }
            fn decode(
                value: &#krate::Value,
                source: &mut dyn #krate::__private::Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                #inline::decode(value, source)
            }
            fn same<'same>(&'same self, after: &'same Self, pairs: &mut #krate::__private::Pairs<'same>) -> bool {
                #inline::same(self, after, pairs)
            }
            fn slots<'slot>(
                &'slot self,
                visit: &mut dyn ::core::ops::FnMut(#krate::__private::Key, &'slot dyn #krate::__private::Slot),
            ) {
                visit(#krate::__private::Key::Whole, self);
            }
            fn adopt(&mut self, child: &::std::sync::Arc<dyn #krate::__private::AnyCell>) -> bool {
                #inline::adopt(self, child)
            }
            fn reach(
                &mut self,
                id: #krate::EntityId,
                write: &mut dyn ::core::ops::FnMut(&mut dyn #krate::__private::AnyEntity),
            ) -> bool {
                #inline::reach(self, id, write)
            }
            fn forget(&mut self) {
                #inline::forget(self);
            }
            fn unsealed<'slot>(
                &'slot self,
                visit: &mut dyn ::core::ops::FnMut(&'slot dyn #krate::__private::Slot),
            ) {
                #krate::__private::AnyEntity::unsealed(self, visit);
            }
            fn digest(&self, into: &mut #krate::Digester) {
                #inline::digest(self, into);
            }
        }

        #param_header {
            type Kind = #krate::__private::TakeParam;
            type HolderKind = #krate::__private::EntitiesParam;
        }

        #output_header {
            type Kind = #krate::__private::CreatedOutput;
        }
    }
}
