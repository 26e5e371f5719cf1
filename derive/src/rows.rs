//! The rows and visits that both derives write for a field.

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::{Field, Item};
use crate::attr::Place;

/// The type of the field as what the crate knows of it, in the way the field is kept.
pub(crate) fn kept(item: &Item<'_>, field: &Field<'_>) -> TokenStream {
    let (krate, ty) = (&item.krate, field.ty);
    let way = match (&field.attrs.value, item.place) {
        (Some(_), _) => quote!(ForeignField),
        (None, Place::ValueType) => quote!(ValueField),
        (None, _) => quote!(EntityField),
    };
    quote!(<#ty as #krate::__private::#way>)
}

/// The static row of a stored field.
pub(crate) fn row(item: &Item<'_>, field: &Field<'_>) -> TokenStream {
    let (krate, kept, name, aliases) = (&item.krate, kept(item, field), &field.name, &field.attrs.aliases);
    let key = match &field.attrs.key {
        Some(said) => {
            let key = &said.what;
            quote!(::core::option::Option::Some(#key))
        }
        None => quote!(::core::option::Option::None),
    };
    let unordered = field.attrs.unordered.is_some();
    let optional = match (&field.attrs.absent, &item.attrs.absent) {
        (None, None) => quote!(#kept::may_be_absent),
        _ => quote!(|| true),
    };
    quote! {
        #krate::FieldMeta {
            name: #name,
            aliases: &[#(#aliases),*],
            role: #kept::ROLE,
            key: #key,
            unordered: #unordered,
            inlines: #kept::INLINES,
            optional: #optional,
            layout: #kept::layout,
        }
    }
}
