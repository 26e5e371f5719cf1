//! What the derives read from a type.

use std::{iter, mem};

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{
    Data, DeriveInput, Fields, GenericArgument, GenericParam, Generics, Lifetime, Member, Path, PathArguments, Token,
    Type, TypeParamBound, Visibility, parse_quote,
};

use crate::attr::{Absent, Attrs, Mistakes, Place};
use crate::case::Case;
use crate::check;

/// What both derives need to know of the type as a whole.
pub(crate) struct Item<'a> {
    pub(crate) ident: &'a Ident,
    /// With the bounds that the expansion needs, without lifetimes.
    pub(crate) generics: Generics,
    /// How many lifetimes it has: none, but in what is emitted beside that mistake.
    lifetimes: usize,
    pub(crate) place: Place,
    /// The crate, as a path.
    pub(crate) krate: TokenStream,
    pub(crate) attrs: Attrs,
    /// The stored name.
    pub(crate) name: String,
}

/// A field as it is declared.
pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    pub(crate) vis: &'a Visibility,
    pub(crate) attrs: Attrs,
    /// The stored name; that of a field without one is its position among the stored.
    pub(crate) name: String,
}

/// An entity type.
pub(crate) enum Entity<'a> {
    Struct { id: Box<Field<'a>>, fields: Vec<Field<'a>> },
    Enum(Vec<(&'a Ident, &'a Type)>),
}

/// A variant of a value type; a struct is one.
pub(crate) struct Variant<'a> {
    /// `None` for a struct.
    pub(crate) ident: Option<&'a Ident>,
    pub(crate) attrs: Attrs,
    pub(crate) name: String,
    pub(crate) fields: Vec<Field<'a>>,
    pub(crate) shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Named,
    Tuple,
    Newtype,
    Unit,
}

impl<'a> Item<'a> {
    pub(crate) fn parse(input: &'a DeriveInput, place: Place, mistakes: &mut Mistakes) -> Self {
        let attrs = Attrs::parse(&input.attrs, place, mistakes);
        let krate = krate(&attrs);
        let bound: TypeParamBound = match place {
            Place::ValueType => parse_quote!(#krate::Plain),
            _ => parse_quote!(#krate::Field),
        };
        let mut generics = input.generics.clone();
        let lifetimes = take_lifetimes(&mut generics);
        if let Some(lifetime) = lifetimes.first() {
            let what = if place == Place::ValueType { "a value" } else { "an entity" };
            let message = format!("{what} owns its data and outlives every borrow: expected no lifetime parameter");
            mistakes.at(lifetime.span(), message);
        }
        generics.type_params_mut().for_each(|parameter| parameter.bounds.push(bound.clone()));
        let name = attrs.name.as_ref().map_or_else(|| input.ident.unraw().to_string(), |said| said.what.value());
        Self { ident: &input.ident, generics, lifetimes: lifetimes.len(), place, krate, attrs, name }
    }

    /// The beginning of an implementation of a trait of the crate: `impl<..> Trait for Type<..> where ..`.
    pub(crate) fn header(&self, of: TokenStream) -> TokenStream {
        let (krate, target) = (&self.krate, self.target());
        let mut generics = self.generics.clone();
        if !self.is_generic() {
            // Said at each implementation in the same words, a missing `Clone` is one error.
            let clone = quote_spanned!(self.ident.span()=> #target: ::core::clone::Clone);
            generics.make_where_clause().predicates.push(parse_quote!(#clone));
        }
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        // Allowed: whoever derives is not to be warned of what the derive writes.
        quote! {
            #[automatically_derived]
            #[allow(trivial_bounds, deprecated, clippy::all, clippy::pedantic, clippy::nursery)]
            impl #impl_generics #krate::#of for #target #where_clause
        }
    }

    /// The beginning of an implementation of the type's own.
    pub(crate) fn own_header(&self) -> TokenStream {
        let target = self.target();
        let (impl_generics, _, where_clause) = self.generics.split_for_impl();
        // Allowed: whoever derives is not to be warned of what the derive writes.
        quote! {
            #[automatically_derived]
            #[allow(dead_code, deprecated, non_upper_case_globals, clippy::all, clippy::pedantic, clippy::nursery)]
            impl #impl_generics #target #where_clause
        }
    }

    fn target(&self) -> TokenStream {
        let (ident, lifetimes) = (self.ident, iter::repeat_n(quote!('static), self.lifetimes));
        let parameters = self.generics.params.iter().map(|parameter| match parameter {
            GenericParam::Type(parameter) => &parameter.ident,
            GenericParam::Const(parameter) => &parameter.ident,
            GenericParam::Lifetime(_) => unreachable!("lifetimes were taken out"),
        });
        let mut arguments = lifetimes.chain(parameters.map(ToTokens::to_token_stream)).peekable();
        match arguments.peek() {
            Some(_) => quote!(#ident<#(#arguments),*>),
            None => quote!(#ident),
        }
    }

    /// Whether the type has parameters, so that its constants are known only where it is used.
    pub(crate) fn is_generic(&self) -> bool {
        !self.generics.params.is_empty()
    }

    /// The aliases as the items of an array.
    pub(crate) fn aliases(&self) -> TokenStream {
        let aliases = &self.attrs.aliases;
        quote!(#(#aliases),*)
    }

    /// The names of the parameters, by layout or by value, as the items of an array.
    pub(crate) fn parameters(&self) -> TokenStream {
        let krate = &self.krate;
        let names = self.generics.params.iter().map(|parameter| match parameter {
            GenericParam::Type(parameter) => {
                let ident = &parameter.ident;
                quote!(<#ident as #krate::Field>::layout)
            }
            GenericParam::Const(parameter) => {
                let ident = &parameter.ident;
                quote!(|_| #krate::__private::constant_name(&#ident))
            }
            GenericParam::Lifetime(_) => unreachable!("lifetimes were taken out"),
        });
        quote!(#(#names),*)
    }
}

/// Takes the lifetimes out of the generics, and with them the conditions, which may speak of them.
fn take_lifetimes(generics: &mut Generics) -> Vec<Lifetime> {
    let lifetimes: Vec<Lifetime> = generics.lifetimes().map(|parameter| parameter.lifetime.clone()).collect();
    if !lifetimes.is_empty() {
        let params = mem::take(&mut generics.params);
        generics.params =
            params.into_iter().filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_))).collect();
        generics.where_clause = None;
    }
    lifetimes
}

/// The path of the crate: as `crate = path` says, or the one under its own name.
pub(crate) fn krate(attrs: &Attrs) -> TokenStream {
    attrs.krate.as_ref().map_or_else(
        || quote!(::heirloom),
        |said| {
            let path = &said.what;
            quote!(#path)
        },
    )
}

impl<'a> Field<'a> {
    fn parse(
        field: &'a syn::Field,
        position: usize,
        place: Place,
        case: Option<Case>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let attrs = Attrs::parse(&field.attrs, place, mistakes);
        let (member, name) = match &field.ident {
            Some(ident) => {
                let name = ident.unraw().to_string();
                let cased = case.map_or_else(|| name.clone(), |case| case.of_field(&name));
                let stored = attrs.name.as_ref().map_or(cased, |said| said.what.value());
                (Member::Named(ident.clone()), stored)
            }
            None => (Member::from(position), position.to_string()),
        };
        Self { member, ty: &field.ty, vis: &field.vis, attrs, name }
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.attrs.skip.is_none()
    }

    /// The word that names the field, for a mistake in its name.
    pub(crate) fn span(&self) -> Span {
        match (&self.attrs.name, &self.member) {
            (Some(said), _) => said.what.span(),
            (None, Member::Named(ident)) => ident.span(),
            (None, Member::Unnamed(index)) => index.span,
        }
    }
}

impl<'a> Entity<'a> {
    pub(crate) fn parse(input: &'a DeriveInput) -> syn::Result<(Item<'a>, Self)> {
        let mut mistakes = Mistakes::default();
        let (item, entity) = match &input.data {
            Data::Struct(data) => {
                let item = Item::parse(input, Place::EntityStruct, &mut mistakes);
                let entity = parse_entity(input, &item, &data.fields, &mut mistakes);
                (item, entity)
            }
            Data::Enum(data) => {
                let item = Item::parse(input, Place::EntityEnum, &mut mistakes);
                if data.variants.is_empty() {
                    mistakes.at(
                        input.ident.span(),
                        format!("an enum of entities has at least one variant: expected such as `{0}({0})`", "Circle"),
                    );
                }
                let variants: Vec<_> =
                    data.variants.iter().filter_map(|variant| parse_entity_variant(variant, &mut mistakes)).collect();
                check::distinct_types(&variants, &mut mistakes);
                (item, Some(Entity::Enum(variants)))
            }
            Data::Union(data) => {
                let message = "a union cannot be an entity: expected a struct with named fields or an enum of entities";
                return Err(syn::Error::new(data.union_token.span, message));
            }
        };
        match entity {
            Some(entity) => mistakes.finish((item, entity)),
            None => Err(mistakes.finish(()).expect_err("why there is no entity was said")),
        }
    }
}

fn parse_entity<'a>(
    input: &'a DeriveInput,
    item: &Item<'a>,
    fields: &'a Fields,
    mistakes: &mut Mistakes,
) -> Option<Entity<'a>> {
    let Fields::Named(named) = fields else {
        mistakes.at(
            input.ident.span(),
            format!("an entity has named fields: expected `struct {} {{ id: Id<Self>, ... }}`", input.ident),
        );
        return None;
    };
    let case = item.attrs.rename_all.as_ref().map(|said| said.what);
    let fields: Vec<Field<'a>> = named
        .named
        .iter()
        .enumerate()
        .map(|(position, field)| Field::parse(field, position, Place::EntityField, case, mistakes))
        .collect();
    // Where one is marked, the others of such a type are references.
    let marked = fields.iter().any(|field| field.attrs.id.is_some());
    let (ids, stored): (Vec<_>, Vec<_>) = fields.into_iter().partition(|field| match marked {
        true => field.attrs.id.is_some(),
        false => !field.attrs.says_role() && is_own_id(field.ty, &input.ident),
    });
    check::id_alone(&ids, mistakes);
    check::distinct_names(ids.iter().chain(&stored), mistakes);
    check::one_subject(item, &stored, mistakes);
    check::distinct_tokens(&stored, mistakes);
    match ids.into_iter().next() {
        Some(id) => Some(Entity::Struct { id: Box::new(id), fields: stored }),
        None => {
            let message = format!(
                "an entity has an id: expected a field `id: Id<{}>`, or one marked `#[entity(id)]`",
                input.ident
            );
            mistakes.at(input.ident.span(), message);
            None
        }
    }
}

/// Whether the type is `Id<Self>`, or `Id` of the type's own name with whatever parameters.
fn is_own_id(ty: &Type, own: &Ident) -> bool {
    let Some(segment) = last_segment(ty).filter(|segment| segment.ident == "Id") else { return false };
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return false };
    let mut arguments = arguments.args.iter();
    let (Some(GenericArgument::Type(of)), None) = (arguments.next(), arguments.next()) else { return false };
    last_segment(of).is_some_and(|segment| segment.ident == "Self" || segment.ident == *own)
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        Type::Paren(inner) => last_segment(&inner.elem),
        Type::Group(inner) => last_segment(&inner.elem),
        _ => None,
    }
}

fn parse_entity_variant<'a>(variant: &'a syn::Variant, mistakes: &mut Mistakes) -> Option<(&'a Ident, &'a Type)> {
    Attrs::parse(&variant.attrs, Place::EntityVariant, mistakes);
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            Attrs::parse(&fields.unnamed[0].attrs, Place::EntityVariant, mistakes);
            Some((&variant.ident, &fields.unnamed[0].ty))
        }
        _ => {
            let message = format!(
                "a variant of an enum of entities holds one entity: expected such as `{0}({0})`; an enum of plain \
                 values takes `#[derive(Value)]`",
                variant.ident
            );
            mistakes.at(variant.ident.span(), message);
            None
        }
    }
}

impl Field<'_> {
    /// What takes the place of this field if it is absent, as the function that gives it.
    pub(crate) fn absent(&self, item: &Item<'_>) -> TokenStream {
        let (ty, member) = (self.ty, &self.member);
        let of_struct =
            |whole: TokenStream| quote!(::core::option::Option::Some(|| ::core::clone::Clone::clone(&#whole.#member)));
        match (&self.attrs.absent, &item.attrs.absent) {
            (Some(said), _) => match &said.what {
                Absent::Default => quote!(::core::option::Option::Some(<#ty as ::core::default::Default>::default)),
                Absent::Call(path) => quote!(::core::option::Option::Some(#path)),
            },
            (None, Some(said)) => match &said.what {
                Absent::Default => of_struct(quote!(<Self as ::core::default::Default>::default())),
                Absent::Call(path) => of_struct(quote!(#path())),
            },
            (None, None) => quote!(::core::option::Option::None),
        }
    }
}

/// A value type: its variants, one for a struct.
pub(crate) fn parse_value(input: &DeriveInput) -> syn::Result<(Item<'_>, Vec<Variant<'_>>)> {
    let mut mistakes = Mistakes::default();
    let item = Item::parse(input, Place::ValueType, &mut mistakes);
    let case = item.attrs.rename_all.as_ref().map(|said| said.what);
    let variants = match &input.data {
        Data::Struct(data) => {
            vec![parse_shape(None, Attrs::default(), item.name.clone(), &data.fields, case, &mut mistakes)]
        }
        Data::Enum(data) => {
            check::enum_of_values(input, &item, &data.variants, &mut mistakes);
            let variants = data.variants.iter().map(|variant| {
                let attrs = Attrs::parse(&variant.attrs, Place::ValueVariant, &mut mistakes);
                let own = variant.ident.unraw().to_string();
                let cased = case.map_or_else(|| own.clone(), |case| case.of_variant(&own));
                let name = attrs.name.as_ref().map_or(cased, |said| said.what.value());
                parse_shape(Some(&variant.ident), attrs, name, &variant.fields, None, &mut mistakes)
            });
            variants.collect()
        }
        Data::Union(data) => {
            let message = "a union cannot be a value: expected a struct or an enum";
            return Err(syn::Error::new(data.union_token.span, message));
        }
    };
    check::distinct_variants(&variants, &mut mistakes);
    mistakes.finish((item, variants))
}

fn parse_shape<'a>(
    ident: Option<&'a Ident>,
    attrs: Attrs,
    name: String,
    fields: &'a Fields,
    case: Option<Case>,
    mistakes: &mut Mistakes,
) -> Variant<'a> {
    let place = if matches!(fields, Fields::Named(_)) { Place::ValueField } else { Place::ValuePosition };
    let mut parsed: Vec<Field<'a>> = Vec::new();
    for (position, field) in fields.iter().enumerate() {
        let mut field = Field::parse(field, position, place, case, mistakes);
        if place == Place::ValuePosition {
            field.name = parsed.iter().filter(|field| field.is_stored()).count().to_string();
        }
        parsed.push(field);
    }
    let stored = parsed.iter().filter(|field| field.is_stored()).count();
    let shape = match fields {
        Fields::Named(_) => Shape::Named,
        Fields::Unnamed(_) if stored == 0 => Shape::Unit,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Shape::Newtype,
        Fields::Unnamed(_) => Shape::Tuple,
        Fields::Unit => Shape::Unit,
    };
    check::distinct_names(parsed.iter(), mistakes);
    Variant { ident, attrs, name, fields: parsed, shape }
}

/// The variants of an enum, as syn gives them.
pub(crate) type Variants = Punctuated<syn::Variant, Token![,]>;

/// The path of a variant, or of the struct.
pub(crate) fn constructor(variant: &Variant<'_>) -> Path {
    match variant.ident {
        Some(ident) => parse_quote!(Self::#ident),
        None => parse_quote!(Self),
    }
}
