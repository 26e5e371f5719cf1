//! The expansion of `#[derive(Value)]`.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::DeriveInput;

use crate::ast::{Field, Item, Shape, Variant, constructor, parse_value};
use crate::rows;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let (item, variants) = parse_value(input)?;
    let is_enum = variants.iter().any(|variant| variant.ident.is_some());
    let value_type = value_type(&item, &variants, is_enum);
    let stored_names: Vec<&str> = match variants.as_slice() {
        [Variant { ident: None, shape: Shape::Named, fields, .. }] => {
            fields.iter().filter(|field| field.is_stored()).map(|field| field.name.as_str()).collect()
        }
        _ => Vec::new(),
    };
    let field_impl = field_impl(&item, &stored_names);
    Ok(quote!(#value_type #field_impl))
}

/// The stored fields of a variant: position among them, the name it is bound to, itself.
fn stored<'v, 'a>(variant: &'v Variant<'a>, prefix: &str) -> Vec<(Literal, Ident, &'v Field<'a>)> {
    let stored = variant.fields.iter().filter(|field| field.is_stored()).enumerate();
    stored
        .map(|(index, field)| (Literal::usize_unsuffixed(index), format_ident!("__{prefix}_{index}"), field))
        .collect()
}

/// The pattern of a variant, with its stored fields bound.
fn pattern(variant: &Variant<'_>, prefix: &str) -> TokenStream {
    let constructor = constructor(variant);
    let bound = stored(variant, prefix).into_iter().map(|(_, bound, field)| {
        let member = &field.member;
        quote!(#member: #bound,)
    });
    quote!(#constructor { #(#bound)* .. })
}

fn variant_row(item: &Item<'_>, variant: &Variant<'_>) -> TokenStream {
    let krate = &item.krate;
    let rows = stored(variant, "field").into_iter().map(|(_, _, field)| rows::row(item, field));
    let rows = quote!(&[#(#rows),*]);
    let fields = match variant.shape {
        Shape::Named => quote!(Named(#rows)),
        Shape::Tuple => quote!(Tuple(#rows)),
        Shape::Newtype => quote!(Newtype(#rows)),
        Shape::Unit => quote!(Unit),
    };
    let (name, aliases) = (&variant.name, &variant.attrs.aliases);
    quote!((#name, &[#(#aliases),*], #krate::__private::ValueFields::#fields))
}

fn value_type(item: &Item<'_>, variants: &[Variant<'_>], is_enum: bool) -> TokenStream {
    let Item { krate, name, .. } = item;
    let (value_type_header, parameters) = (item.header(quote!(__private::ValueType)), item.parameters());
    let rows = variants.iter().map(|variant| variant_row(item, variant));
    let indices: Vec<Literal> = (0..variants.len()).map(Literal::usize_unsuffixed).collect();
    let constructors = variants.iter().map(constructor);
    let visits = variants.iter().map(|variant| {
        let pattern = pattern(variant, "field");
        let visits = stored(variant, "field").into_iter().map(|(index, bound, field)| {
            let kept = rows::kept(item, field);
            quote!(#kept::tell(#bound, #index, __visit);)
        });
        quote!(#pattern => { #(#visits)* })
    });
    let visits_pair = variants.iter().map(|variant| {
        let (before, after) = (pattern(variant, "before"), pattern(variant, "after"));
        let bound = stored(variant, "before").into_iter().zip(stored(variant, "after"));
        let visits = bound.map(|((index, before, field), (_, after, _))| {
            let kept = rows::kept(item, field);
            quote!(#kept::tell_pair(#before, #after, #index, __visit);)
        });
        quote! {
            (#before, #after) => {
                #(#visits)*
                true
            }
        }
    });
    let builds = variants.iter().enumerate().map(|(number, variant)| build(item, variant, number));
    // Allowed: whoever derives is not to be warned of what the derive writes.
    quote! {
        #[allow(unreachable_patterns)]
        #value_type_header {
            const NAME: &'static str = #name;
            const IS_ENUM: bool = #is_enum;
            const VARIANTS: &'static [#krate::__private::value_type::VariantRow] = &[#(#rows),*];
            const PARAMETERS: &'static [fn(&mut #krate::__private::Layouter) -> ::std::string::String] = &[#parameters];

            fn variant(&self) -> usize {
                match self {
                    #(#constructors { .. } => #indices,)*
                }
            }
            fn visit<'visit, __Visit: #krate::__private::Visit<'visit>>(&'visit self, __visit: &mut __Visit) {
                match self {
                    #(#visits)*
                }
            }
            fn visit_pair<'visit, __Visit: #krate::__private::VisitPair<'visit>>(
                &'visit self,
                __after: &'visit Self,
                __visit: &mut __Visit,
            ) -> bool {
                match (self, __after) {
                    #(#visits_pair)*
                    _ => false,
                }
            }
            fn build<__Source: #krate::__private::Assemble>(
                __variant: usize,
                __source: &mut __Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                match __variant {
                    #(#builds)*
                    _ => ::core::unreachable!("there is no such variant"),
                }
            }
        }
    }
}

fn build(item: &Item<'_>, variant: &Variant<'_>, number: usize) -> TokenStream {
    let krate = &item.krate;
    let constructor = constructor(variant);
    let pattern = Literal::usize_unsuffixed(number);
    let reads = stored(variant, "field").into_iter().map(|(index, _, field)| {
        let (kept, member, absent) = (rows::kept(item, field), &field.member, field.absent(item));
        let row = quote!(&<Self as #krate::__private::ValueType>::VARIANTS[#pattern].2.rows()[#index]);
        quote!(#member: #kept::read(__source, #row, #absent)?,)
    });
    let defaults = variant.fields.iter().filter(|field| !field.is_stored()).map(|field| {
        let (ty, member) = (field.ty, &field.member);
        quote!(#member: <#ty as ::core::default::Default>::default(),)
    });
    quote!(#pattern => ::core::result::Result::Ok(#constructor { #(#reads)* #(#defaults)* }),)
}

/// What makes the type a value wherever one may stand.
pub(crate) fn field_impl(item: &Item<'_>, stored_names: &[&str]) -> TokenStream {
    let krate = &item.krate;
    let value_type = quote!(#krate::__private::value_type);
    let (field_header, plain_header) = (item.header(quote!(Field)), item.header(quote!(Plain)));
    let (param_header, output_header) = (item.header(quote!(__private::Param)), item.header(quote!(__private::Output)));
    quote! {
        #field_header {
            const ROLE: #krate::Role = #krate::Role::Value;
            const FIELDS: &'static [&'static str] = &[#(#stored_names),*];

            fn layout(layouter: &mut #krate::__private::Layouter) -> ::std::string::String {
                #value_type::layout::<Self>(layouter)
            }
            fn encode(&self) -> #krate::Value {
                #value_type::encode(self)
            }
            fn decode(
                value: &#krate::Value,
                source: &mut dyn #krate::__private::Source,
            ) -> ::core::result::Result<Self, #krate::DecodeError> {
                #value_type::decode(value, source)
            }
            fn same<'same>(&'same self, after: &'same Self, _: &mut #krate::__private::Pairs<'same>) -> bool {
                #value_type::same(self, after)
            }
            fn references(&self, visit: &mut dyn ::core::ops::FnMut(#krate::EntityId)) {
                #value_type::references(self, visit);
            }
        }

        #plain_header {}

        #param_header {
            type Kind = #krate::__private::PlainParam;
            type HolderKind = #krate::__private::PlainParam;
        }

        #output_header {
            type Kind = #krate::__private::PlainOutput;
        }
    }
}
