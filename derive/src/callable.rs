//! The expansion of `#[callable]`: the function as it is, and beside it what it says of itself.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, FnArg, GenericParam, ItemFn, Lit, LitStr, Meta, Pat, Path, ReturnType, Signature, Type};

use crate::attr::{Mistakes, Said, given, one_of, path, set, skip_rest, text};

/// So many parameters, besides a `&Context`, have an implementation.
const MOST: usize = 6;

const OPTIONS: [&str; 3] = ["name", "version", "crate"];

/// What stands in `#[callable(...)]`.
#[derive(Default)]
struct Options {
    name: Option<Said<LitStr>>,
    version: Option<Said<Expr>>,
    krate: Option<Said<Path>>,
}

/// A parameter as it is declared.
struct Parameter<'a> {
    name: String,
    ty: &'a Type,
}

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = Options::parse(options, &mut mistakes);
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        // What is no Rust at all, the compiler tells better.
        Err(_) if syn::parse2::<syn::Item>(item.clone()).is_err() => return item,
        Err(_) => {
            let message = "`#[callable]` stands on a function: expected `fn name(...) { ... }`";
            let mistake = syn::Error::new(item_span(&item), message).to_compile_error();
            return quote!(#mistake #item);
        }
    };
    if let Some(receiver) = function.sig.receiver() {
        let name = function.sig.ident.unraw();
        let message = format!(
            "a method needs no `#[callable]`: expected none here, and `registry.register(\"{name}\", Type::{name})` where it \
             is registered"
        );
        // Beside a method no type can stand.
        let mistake = syn::Error::new(receiver.self_token.span, message).to_compile_error();
        return quote!(#item #mistake);
    }
    check(&function.sig, &mut mistakes);
    let parameters = parameters(&function.sig, &mut mistakes);
    let beside = match mistakes.finish(()) {
        Ok(()) => beside(&options, &function, &parameters),
        Err(mistakes) => beside_mistakes(&options, &function, &mistakes),
    };
    quote!(#item #beside)
}

/// The word that says what an item is.
fn item_span(item: &TokenStream) -> Span {
    let words = item.clone().into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if word != "pub" => Some(word.span()),
        _ => None,
    });
    words.unwrap_or_else(Span::call_site)
}

impl Options {
    fn parse(tokens: TokenStream, mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            let Some(word) = meta.path.get_ident().cloned() else {
                return Err(meta.error(format!("expected {}", one_of(&OPTIONS))));
            };
            match word.unraw().to_string().as_str() {
                "name" => {
                    let name = text(&meta, "name = \"raise\"")?;
                    if name.value().is_empty() {
                        mistakes.at(name.span(), "the name of a callable is not empty");
                    }
                    set(&mut options.name, word, name, mistakes);
                }
                "version" => {
                    let version: Expr = given(&meta, "version = \"2\"")?.parse()?;
                    if matches!(&version, Expr::Lit(literal) if !matches!(literal.lit, Lit::Str(_))) {
                        mistakes.at(version.span(), "expected text: `version = \"2\"`");
                    }
                    set(&mut options.version, word, version, mistakes);
                }
                "crate" => set(&mut options.krate, word, path(&meta, "crate = path::to::heirloom")?, mistakes),
                _ => {
                    let message = format!("unknown option `{word}` of `#[callable]`: expected {}", one_of(&OPTIONS));
                    mistakes.at(word.span(), message);
                    return skip_rest(&meta);
                }
            }
            Ok(())
        });
        if let Err(error) = parser.parse2(tokens) {
            mistakes.push(error);
        }
        options
    }

    fn krate(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::heirloom), |said| said.what.to_token_stream())
    }
}

/// What the function as a whole must be.
fn check(signature: &Signature, mistakes: &mut Mistakes) {
    if let Some(word) = &signature.asyncness {
        let message = "an `async fn` cannot be registered yet: expected a `fn` that returns when it is done";
        mistakes.at(word.span, message);
    }
    if let Some(word) = &signature.unsafety {
        let message = "a registry cannot promise what an `unsafe fn` asks of its caller: wrap it in a safe `fn`";
        mistakes.at(word.span, message);
    }
    let generic = signature.generics.params.iter().find_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    if let Some(generic) = generic {
        let message = format!(
            "a callable has no `{generic}` to choose when it is called by name: expected a function for each type, which \
             may call this one"
        );
        mistakes.at(generic.span(), message);
    }
    if let ReturnType::Type(_, ty) = &signature.output {
        let message = "what a callable gives back has a type with a name: expected it in place of `impl`";
        refuse_impl(ty, message, mistakes);
    }
}

fn refuse_impl(ty: &Type, message: &str, mistakes: &mut Mistakes) {
    if let Some(word) = find_impl(ty.to_token_stream()) {
        mistakes.at(word.span(), message);
    }
}

fn find_impl(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if word == "impl" => Some(word),
        TokenTree::Group(group) => find_impl(group.stream()),
        _ => None,
    })
}

/// The `'static` of a reference.
fn find_static(tokens: TokenStream) -> Option<Ident> {
    let mut after = "";
    tokens.into_iter().find_map(|token| {
        let before = std::mem::take(&mut after);
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '&' => after = "&",
            TokenTree::Punct(sign) if sign.as_char() == '\'' && before == "&" => after = "&'",
            TokenTree::Ident(word) if word == "static" && before == "&'" => return Some(word),
            TokenTree::Group(group) => return find_static(group.stream()),
            _ => {}
        }
        None
    })
}

fn parameters<'a>(signature: &'a Signature, mistakes: &mut Mistakes) -> Vec<Parameter<'a>> {
    let mut parameters = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(typed) = input else { continue };
        refuse_impl(&typed.ty, "a parameter of a callable has one type: expected it in place of `impl`", mistakes);
        if let Some(lifetime) = find_static(typed.ty.to_token_stream()) {
            mistakes.at(lifetime.span(), "what a run is given ends with the run: expected no `'static` here");
        }
        let name = match &*typed.pat {
            Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.unraw().to_string(),
            // Nobody gives it.
            Pat::Wild(_) if parameters.is_empty() && is_context(&typed.ty) => String::new(),
            pattern => {
                let message = "a parameter of a callable has a name, by which it is given: expected a name here, and the \
                               pattern in the body";
                mistakes.at(pattern.span(), message);
                String::new()
            }
        };
        parameters.push(Parameter { name, ty: &typed.ty });
    }
    let most = MOST + usize::from(parameters.first().is_some_and(|first| is_context(first.ty)));
    if let Some(more) = parameters.get(most) {
        let message = format!(
            "a callable takes up to {MOST} parameters, besides a `&Context`: expected what belongs together in a struct \
             with `#[derive(Value)]`"
        );
        mistakes.at(more.ty.span(), message);
    }
    parameters
}

/// Whether this is written as the context is; the compiler tells whether it is the context.
fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    reference.mutability.is_none() && path.path.segments.last().is_some_and(|segment| segment.ident == "Context")
}

/// The type of the function's name, and what it says of the function.
fn beside(options: &Options, function: &ItemFn, parameters: &[Parameter<'_>]) -> TokenStream {
    let (krate, ident) = (options.krate(), &function.sig.ident);
    let (conditions, marker) = (conditions(function), marker(function));
    let name = match &options.name {
        Some(said) => said.what.to_token_stream(),
        None => ident.unraw().to_string().to_token_stream(),
    };
    let names = parameters.iter().map(|parameter| &parameter.name);
    let docs = option(docs(&function.attrs));
    let version = option(options.version.as_ref().map(|said| &said.what));
    let checks = checks(&krate, function, parameters);
    let spanned = at(&krate, ident.span());
    let register = quote_spanned! {ident.span()=>
        #spanned::__private::Probe::new(#ident).register_declared(__registry, __declared)
    };
    // Allowed: whoever marks a function is not to be warned of what is written beside it.
    quote! {
        #marker

        #conditions
        #[allow(deprecated, clippy::all, clippy::pedantic, clippy::nursery)]
        const _: () = {
            #checks

            static __DECLARED: #krate::__private::Declared = #krate::__private::Declared {
                name: #name,
                parameters: &[#(#names),*],
                docs: #docs,
                code_version: #version,
                register: |__registry, __declared| {
                    use #krate::__private::{DoesNotFit as _, Fits as _};
                    #register
                },
            };

            #[automatically_derived]
            impl #krate::Callables for #ident {
                fn declared() -> ::std::vec::Vec<&'static #krate::__private::Declared> {
                    ::std::vec![&__DECLARED]
                }
            }

            #krate::__link!(__DECLARED);
        };
    }
}

/// The mistakes, and a type that is never registered, so that one mistake is one error.
fn beside_mistakes(options: &Options, function: &ItemFn, mistakes: &syn::Error) -> TokenStream {
    let (krate, ident, mistakes) = (options.krate(), &function.sig.ident, mistakes.to_compile_error());
    let (conditions, marker) = (conditions(function), marker(function));
    quote! {
        #mistakes

        #marker

        #conditions
        #[automatically_derived]
        impl #krate::Callables for #ident {
            fn declared() -> ::std::vec::Vec<&'static #krate::__private::Declared> {
                ::core::unreachable!()
            }
        }
    }
}

/// A type that stands for the function where only a type can: types have names of their own.
fn marker(function: &ItemFn) -> TokenStream {
    let (vis, ident, conditions) = (&function.vis, &function.sig.ident, conditions(function));
    quote! {
        #conditions
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, unreachable_pub)]
        #vis struct #ident {}
    }
}

/// That each parameter and the output fit, each said on its own type.
fn checks(krate: &TokenStream, function: &ItemFn, parameters: &[Parameter<'_>]) -> TokenStream {
    let (generics, conditions) = (&function.sig.generics, &function.sig.generics.where_clause);
    let takes = parameters.iter().enumerate().map(|(index, Parameter { ty, .. })| {
        let takes = match index {
            0 if parameters.len() > MOST => quote_spanned!(ty.span()=> takes_context),
            0 => quote_spanned!(ty.span()=> takes_first),
            _ => quote_spanned!(ty.span()=> takes),
        };
        let krate = at(krate, ty.span());
        quote_spanned!(ty.span()=> #krate::__private::#takes::<#ty>();)
    });
    let gives = match &function.sig.output {
        ReturnType::Type(_, ty) => {
            let krate = at(krate, ty.span());
            quote_spanned!(ty.span()=> #krate::__private::gives::<#ty>();)
        }
        ReturnType::Default => TokenStream::new(),
    };
    quote! {
        #[allow(dead_code, clippy::extra_unused_lifetimes)]
        fn __fits #generics () #conditions {
            #(#takes)*
            #gives
        }
    }
}

/// The same words, as if they stood elsewhere.
fn at(tokens: &TokenStream, span: Span) -> TokenStream {
    let moved = tokens.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    moved.collect()
}

/// Under which conditions the function is compiled.
fn conditions(function: &ItemFn) -> TokenStream {
    let conditions = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    quote!(#(#conditions)*)
}

/// What the comments say, without the space that begins each line.
fn docs(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes.iter().filter_map(doc_line).collect();
    let text = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(said) = &attribute.meta else { return None };
    let Expr::Lit(literal) = &said.value else { return None };
    match &literal.lit {
        Lit::Str(text) if said.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

fn option(what: Option<impl ToTokens>) -> TokenStream {
    match what {
        Some(what) => quote!(::core::option::Option::Some(#what)),
        None => quote!(::core::option::Option::None),
    }
}
