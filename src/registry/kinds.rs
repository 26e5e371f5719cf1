//! Which types a callable may take and give: one implementation per type, so that nothing fits in two ways.

use std::error::Error as StdError;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::error::{ArgumentError, RecallError};
use super::json_schema::{Schemas, created_entity, given_entity, or_null, tuple};
use super::load::{Loading, Read, Used};
use crate::entity::{AnyCell, Cell, Entity, Field, NoSource, Plain, TypeRow, downcast, is_untouched};
use crate::history::{Archive, Argument, ExpectedHead, History, Input, Proposal};
use crate::id::Id;
use crate::lineage::Ix;
use crate::log::Given;
use crate::schema::Layouter;
use crate::value::Value;
use crate::when::{Position, Revision};

/// What a callable does with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// It takes an entity by `&`.
    Reads,
    /// It takes an entity by `&mut`.
    Edits,
    /// It takes an entity by value: what of it is given back is an edit, what is not was read.
    Takes,
    /// It takes a plain value.
    Value,
}

/// A type that a registered function may take: `&T`, `&mut T` or `T` of an entity, a list or an option of these, or a
/// plain value.
///
/// Implemented by `#[derive(Entity)]`, and by `#[derive(Value)]` for your own plain types; others go into
/// [`PlainArg`](super::Plain).
pub trait Param {
    /// How it is taken.
    type Kind;
    /// How a list or an option of it is taken.
    type HolderKind;
}

/// How a parameter is taken.
pub trait ParamKind<P> {
    /// What is held while the callable runs.
    type Slot;
    /// What the callable gets.
    type Item<'s>;
    /// What it does with it.
    const ACCESS: Access;
    /// Whether it is a list of entities.
    const SEVERAL: bool = false;

    /// The type in words.
    fn type_name() -> String;
    /// What the argument is as JSON.
    fn schema(schemas: &mut Schemas) -> Json;
    /// The entity type.
    fn row() -> Option<&'static TypeRow> {
        None
    }
    /// What the callable gets.
    fn item(slot: &mut Self::Slot) -> Self::Item<'_>;
    /// Reads the argument from JSON.
    ///
    /// # Errors
    /// It is not of this type.
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<Self::Slot, ArgumentError>;
    /// Takes the argument as the log has it, to run once more on what was given then.
    ///
    /// # Errors
    /// It is not of this type, or cannot be read any more.
    fn recall(argument: &Argument, loading: &Loading<'_>) -> Result<Self::Slot, ArgumentError>;
    /// What the log keeps of it.
    fn argument(slot: &Self::Slot) -> Given;
    /// Tells the entities that it holds.
    fn used(slot: &Self::Slot, visit: &mut dyn FnMut(Used));
    /// Whether an entity that was given to be edited may have changed; copies that did not are let go.
    fn changed(_: &mut Self::Slot) -> bool {
        false
    }
    /// Gives the entities back after the run; to be asked once.
    fn collect(slot: &mut Self::Slot, into: &mut Proposal);
}

/// An entity as a callable is given it.
pub struct Loaded<T> {
    pub(super) ix: Ix,
    pub(super) id: Id<T>,
    pub(super) revision: Revision,
    pub(super) before: Arc<Cell<T>>,
    /// Whether this very revision was asked for, be it the newest or not.
    pub(super) pinned: bool,
}

/// An entity that a callable may change.
pub struct Editing<T> {
    pub(super) loaded: Loaded<T>,
    /// The copy that the run works on; it becomes a cell only if something in it changed.
    pub(super) after: Option<T>,
}

impl<T: Entity> Editing<T> {
    pub(super) fn of(loaded: Loaded<T>, archive: &Archive) -> Self {
        let after = Some(archive.working_copy(loaded.ix, loaded.revision, loaded.before.value()));
        Self { loaded, after }
    }

    pub(super) fn copying(loaded: Loaded<T>) -> Self {
        let after = Some(loaded.before.value().clone());
        Self { loaded, after }
    }

    fn used(&self, access: Access) -> Used {
        self.loaded.used(access)
    }
}

impl<T: Entity> Loaded<T> {
    fn argument(&self) -> Given {
        Given::entity(self.ix, self.revision)
    }

    fn used(&self, access: Access) -> Used {
        Used { ix: self.ix, access, pinned: self.pinned }
    }

    /// What the head must be for what was made of this to be committed.
    fn expect(&self, into: &mut Proposal) {
        // What was is not changed by what comes.
        if !self.pinned {
            into.expected.push(ExpectedHead::At(self.ix, self.revision));
        }
    }
}

/// A parameter `&T`.
pub struct ReadParam;

impl<T: Entity> Param for &T {
    type Kind = ReadParam;
    type HolderKind = EntitiesParam;
}

impl<T: Entity> ParamKind<&T> for ReadParam {
    type Slot = Loaded<T>;
    type Item<'s> = &'s T;
    const ACCESS: Access = Access::Reads;

    fn type_name() -> String {
        T::META.full_name()
    }
    fn schema(_: &mut Schemas) -> Json {
        given_entity(T::META, Access::Reads)
    }
    fn row() -> Option<&'static TypeRow> {
        Some(row_of::<T>())
    }
    fn item(slot: &mut Loaded<T>) -> &T {
        slot.before.value()
    }
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        loading.address(json)
    }
    fn recall(argument: &Argument, loading: &Loading<'_>) -> Result<Loaded<T>, ArgumentError> {
        loading.recorded(argument)
    }
    fn argument(slot: &Loaded<T>) -> Given {
        slot.argument()
    }
    fn used(slot: &Loaded<T>, visit: &mut dyn FnMut(Used)) {
        visit(slot.used(Access::Reads));
    }
    fn collect(slot: &mut Loaded<T>, into: &mut Proposal) {
        slot.expect(into);
    }
}

/// A parameter `&mut T`.
pub struct EditParam;

impl<T: Entity> Param for &mut T {
    type Kind = EditParam;
    type HolderKind = EntitiesParam;
}

impl<T: Entity> ParamKind<&mut T> for EditParam {
    type Slot = Editing<T>;
    type Item<'s> = &'s mut T;
    const ACCESS: Access = Access::Edits;

    fn type_name() -> String {
        T::META.full_name()
    }
    fn schema(_: &mut Schemas) -> Json {
        given_entity(T::META, Access::Edits)
    }
    fn row() -> Option<&'static TypeRow> {
        Some(row_of::<T>())
    }
    fn item(slot: &mut Editing<T>) -> &mut T {
        slot.after.as_mut().expect("a copy is given up after the run")
    }
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        loading.editing(json)
    }
    fn recall(argument: &Argument, loading: &Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        // A copy of its own: what later runs may work on is not taken for this.
        let loaded: Loaded<T> = loading.recorded(argument)?;
        Ok(Editing { after: Some(loaded.before.value().clone()), loaded })
    }
    fn argument(slot: &Editing<T>) -> Given {
        slot.loaded.argument()
    }
    fn used(slot: &Editing<T>, visit: &mut dyn FnMut(Used)) {
        visit(slot.used(Access::Edits));
    }
    fn changed(slot: &mut Editing<T>) -> bool {
        if slot.after.as_ref().is_some_and(|after| is_untouched(slot.loaded.before.value(), after)) {
            slot.after = None;
        }
        slot.after.is_some()
    }
    fn collect(slot: &mut Editing<T>, into: &mut Proposal) {
        let Editing { loaded, after } = slot;
        loaded.expect(into);
        if let Some(after) = after.take() {
            let before: Arc<dyn AnyCell> = Arc::<Cell<T>>::clone(&loaded.before);
            into.inputs.push(Input { ix: loaded.ix, before, after: Arc::new(Cell::new(after)) });
        }
    }
}

/// A parameter `T`: the run owns a copy of the entity.
pub struct TakeParam;

impl<T: Entity> ParamKind<T> for TakeParam {
    type Slot = Editing<T>;
    type Item<'s> = T;
    const ACCESS: Access = Access::Takes;

    fn type_name() -> String {
        T::META.full_name()
    }
    fn schema(_: &mut Schemas) -> Json {
        given_entity(T::META, Access::Takes)
    }
    fn row() -> Option<&'static TypeRow> {
        Some(row_of::<T>())
    }
    fn item(slot: &mut Editing<T>) -> T {
        slot.after.take().expect("a callable runs once with its arguments")
    }
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        loading.taking(json)
    }
    fn recall(argument: &Argument, loading: &Loading<'_>) -> Result<Editing<T>, ArgumentError> {
        <EditParam as ParamKind<&mut T>>::recall(argument, loading)
    }
    fn argument(slot: &Editing<T>) -> Given {
        slot.loaded.argument()
    }
    fn used(slot: &Editing<T>, visit: &mut dyn FnMut(Used)) {
        visit(slot.used(Access::Takes));
    }
    fn collect(slot: &mut Editing<T>, into: &mut Proposal) {
        slot.loaded.expect(into);
        into.taken.push((slot.loaded.ix, Arc::<Cell<T>>::clone(&slot.loaded.before) as Arc<dyn AnyCell>));
    }
}

/// A parameter that is a list or an option of entities.
pub struct EntitiesParam;

impl<P: Param> Param for Vec<P> {
    type Kind = P::HolderKind;
    type HolderKind = PlainParam;
}

impl<P: Param> ParamKind<Vec<P>> for EntitiesParam
where
    P::Kind: ParamKind<P>,
{
    type Slot = Vec<<P::Kind as ParamKind<P>>::Slot>;
    type Item<'s> = Vec<<P::Kind as ParamKind<P>>::Item<'s>>;
    const ACCESS: Access = P::Kind::ACCESS;
    const SEVERAL: bool = true;

    fn type_name() -> String {
        format!("list<{}>", P::Kind::type_name())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        json!({"type": "array", "items": P::Kind::schema(schemas)})
    }
    fn row() -> Option<&'static TypeRow> {
        P::Kind::row()
    }
    fn item(slot: &mut Self::Slot) -> Self::Item<'_> {
        slot.iter_mut().map(P::Kind::item).collect()
    }
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<Self::Slot, ArgumentError> {
        let items = json.as_array().ok_or_else(|| ArgumentError::expected("a list of addresses", json))?;
        items.iter().map(|item| P::Kind::read(item, loading)).collect()
    }
    fn recall(argument: &Argument, loading: &Loading<'_>) -> Result<Self::Slot, ArgumentError> {
        match argument {
            Argument::Several(all) => all.iter().map(|one| P::Kind::recall(one, loading)).collect(),
            other => Err(ArgumentError::recorded(&format!("several of {}", P::Kind::type_name()), other)),
        }
    }
    fn argument(slot: &Self::Slot) -> Given {
        Given::Several(Box::new(slot.iter().map(P::Kind::argument).collect()))
    }
    fn used(slot: &Self::Slot, visit: &mut dyn FnMut(Used)) {
        slot.iter().for_each(|one| P::Kind::used(one, visit));
    }
    fn changed(slot: &mut Self::Slot) -> bool {
        slot.iter_mut().fold(false, |changed, one| changed | P::Kind::changed(one))
    }
    fn collect(slot: &mut Self::Slot, into: &mut Proposal) {
        slot.iter_mut().for_each(|one| P::Kind::collect(one, into));
    }
}

impl<P: Param> Param for Option<P> {
    type Kind = P::HolderKind;
    type HolderKind = PlainParam;
}

impl<P: Param> ParamKind<Option<P>> for EntitiesParam
where
    P::Kind: ParamKind<P>,
{
    type Slot = Option<<P::Kind as ParamKind<P>>::Slot>;
    type Item<'s> = Option<<P::Kind as ParamKind<P>>::Item<'s>>;
    const ACCESS: Access = P::Kind::ACCESS;

    fn type_name() -> String {
        format!("option<{}>", P::Kind::type_name())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        or_null(P::Kind::schema(schemas))
    }
    fn row() -> Option<&'static TypeRow> {
        P::Kind::row()
    }
    fn item(slot: &mut Self::Slot) -> Self::Item<'_> {
        slot.as_mut().map(P::Kind::item)
    }
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<Self::Slot, ArgumentError> {
        (!json.is_null()).then(|| P::Kind::read(json, loading)).transpose()
    }
    fn recall(argument: &Argument, loading: &Loading<'_>) -> Result<Self::Slot, ArgumentError> {
        match argument {
            Argument::Value(Value::Null) => Ok(None),
            argument => P::Kind::recall(argument, loading).map(Some),
        }
    }
    fn argument(slot: &Self::Slot) -> Given {
        slot.as_ref().map_or(Given::Null, P::Kind::argument)
    }
    fn used(slot: &Self::Slot, visit: &mut dyn FnMut(Used)) {
        slot.iter().for_each(|one| P::Kind::used(one, visit));
    }
    fn changed(slot: &mut Self::Slot) -> bool {
        slot.as_mut().is_some_and(P::Kind::changed)
    }
    fn collect(slot: &mut Self::Slot, into: &mut Proposal) {
        slot.iter_mut().for_each(|one| P::Kind::collect(one, into));
    }
}

/// A parameter that is a plain value.
pub struct PlainParam;

impl<V: Plain> ParamKind<V> for PlainParam {
    type Slot = PlainSlot<V>;
    type Item<'s> = V;
    const ACCESS: Access = Access::Value;

    fn type_name() -> String {
        V::layout(&mut Layouter::default())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        schemas.value::<V>()
    }
    fn item(slot: &mut PlainSlot<V>) -> V {
        slot.value.take().expect("a callable runs once with its arguments")
    }
    fn read(json: &Json, loading: &mut Loading<'_>) -> Result<PlainSlot<V>, ArgumentError> {
        let value = loading.value(json)?;
        let value = V::decode(&value, &mut NoSource).map_err(ArgumentError::Decode)?;
        Ok(PlainSlot { value: Some(value), read: loading.take_read() })
    }
    fn recall(argument: &Argument, _: &Loading<'_>) -> Result<PlainSlot<V>, ArgumentError> {
        match argument {
            Argument::Value(value) | Argument::At { value, .. } => {
                Ok(PlainSlot::of(V::decode(value, &mut NoSource).map_err(ArgumentError::Decode)?))
            }
            other => Err(ArgumentError::recorded(&<Self as ParamKind<V>>::type_name(), other)),
        }
    }
    fn argument(slot: &PlainSlot<V>) -> Given {
        let value = slot.value.as_ref().map(Field::encode).unwrap_or_default();
        if slot.read.is_empty() {
            return Given::value(value);
        }
        Given::At(Box::new((value, slot.read.iter().map(|read| Given::entity(read.ix, read.revision)).collect())))
    }
    fn used(_: &PlainSlot<V>, _: &mut dyn FnMut(Used)) {}
    fn collect(slot: &mut PlainSlot<V>, into: &mut Proposal) {
        let now = slot.read.iter().filter(|read| !read.pinned);
        into.expected.extend(now.map(|read| ExpectedHead::At(read.ix, read.revision)));
    }
}

/// A plain argument, until the callable takes it.
pub struct PlainSlot<V> {
    value: Option<V>,
    /// The entities in which it was found.
    read: Vec<Read>,
}

impl<V> PlainSlot<V> {
    pub(super) fn of(value: V) -> Self {
        Self { value: Some(value), read: Vec::new() }
    }
}

/// A type that a registered function may give back.
#[diagnostic::on_unimplemented(
    message = "a callable cannot give back a `{Self}`",
    label = "expected nothing, a plain value, an entity, or a tuple, list, option or `Result` of these",
    note = "a type of your own: put `#[derive(Value)]` or `#[derive(Entity)]` on it"
)]
pub trait Output: Sized {
    /// How it is unpacked.
    type Kind: OutputKind<Self>;
}

/// What a callable failed with.
pub type Failure = Box<dyn StdError + Send + Sync>;

/// How an output is unpacked.
pub trait OutputKind<R> {
    /// What the caller gets.
    type Value;
    /// Whether it may hold entities, which then are created by the run, or given back.
    const CREATES: bool;

    /// The type in words.
    fn type_name() -> String;
    /// What it is as JSON.
    fn schema(schemas: &mut Schemas) -> Json;
    /// Whether it may hold entities of this type.
    fn gives(_row: &'static TypeRow) -> bool {
        false
    }
    /// Takes the entities out.
    ///
    /// # Errors
    /// The callable returned an error.
    fn unpack(output: R, created: &mut Vec<Arc<dyn AnyCell>>) -> Result<Self::Value, Failure>;
    /// The value as JSON; a created entity is its address.
    fn json(value: &Self::Value) -> Json;
    /// The value as it is kept with the run; a created entity is a reference to it.
    fn record(value: &Self::Value) -> Value;
    /// The value that was kept.
    ///
    /// # Errors
    /// It is not of this type, or an entity cannot be read any more.
    fn recall(kept: &Value, recall: &Recall<'_>) -> Result<Self::Value, RecallError>;
}

/// Where a result that was kept is looked up.
pub struct Recall<'h> {
    pub(super) history: &'h History,
    /// Where its run is.
    pub(super) position: Position,
}

impl Recall<'_> {
    fn misfit(&self, expected: String, kept: &Value) -> RecallError {
        RecallError::Misfit { position: self.position, expected, found: kept.kind().to_owned() }
    }
}

/// An output that is a plain value.
pub struct PlainOutput;

impl<V: Field> OutputKind<V> for PlainOutput {
    type Value = V;
    const CREATES: bool = false;

    fn type_name() -> String {
        V::layout(&mut Layouter::default())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        schemas.value::<V>()
    }
    fn unpack(output: V, _: &mut Vec<Arc<dyn AnyCell>>) -> Result<V, Failure> {
        Ok(output)
    }
    fn json(value: &V) -> Json {
        value.encode().to_json()
    }
    fn record(value: &V) -> Value {
        value.encode()
    }
    fn recall(kept: &Value, _: &Recall<'_>) -> Result<V, RecallError> {
        Ok(V::decode(kept, &mut NoSource)?)
    }
}

/// An output that is an entity: created by the run, or one that it was given by value.
pub struct CreatedOutput;

impl<T: Entity> OutputKind<T> for CreatedOutput {
    type Value = T;
    const CREATES: bool = true;

    fn type_name() -> String {
        T::META.full_name()
    }
    fn schema(_: &mut Schemas) -> Json {
        created_entity(T::META)
    }
    fn gives(row: &'static TypeRow) -> bool {
        row_of::<T>().is(row)
    }
    fn unpack(output: T, created: &mut Vec<Arc<dyn AnyCell>>) -> Result<T, Failure> {
        created.push(Arc::new(Cell::new(output.clone())));
        Ok(output)
    }
    fn json(value: &T) -> Json {
        json!(format!("@{}", value.entity_id()))
    }
    fn record(value: &T) -> Value {
        Value::Reference(value.entity_id())
    }
    fn recall(kept: &Value, recall: &Recall<'_>) -> Result<T, RecallError> {
        let Value::Reference(id) = kept else { return Err(recall.misfit(T::META.full_name(), kept)) };
        Ok(recall.history.at(Id::<T>::from_entity_id(*id), recall.position)?)
    }
}

/// An output made of others.
pub struct NestedOutput;

impl<R: Output> Output for Vec<R> {
    type Kind = NestedOutput;
}

impl<R: Output> OutputKind<Vec<R>> for NestedOutput {
    type Value = Vec<<R::Kind as OutputKind<R>>::Value>;
    const CREATES: bool = R::Kind::CREATES;

    fn type_name() -> String {
        format!("list<{}>", R::Kind::type_name())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        json!({"type": "array", "items": R::Kind::schema(schemas)})
    }
    fn gives(row: &'static TypeRow) -> bool {
        R::Kind::gives(row)
    }
    fn unpack(output: Vec<R>, created: &mut Vec<Arc<dyn AnyCell>>) -> Result<Self::Value, Failure> {
        output.into_iter().map(|one| R::Kind::unpack(one, created)).collect()
    }
    fn json(value: &Self::Value) -> Json {
        Json::Array(value.iter().map(R::Kind::json).collect())
    }
    fn record(value: &Self::Value) -> Value {
        Value::List(value.iter().map(R::Kind::record).collect())
    }
    fn recall(kept: &Value, recall: &Recall<'_>) -> Result<Self::Value, RecallError> {
        let Value::List(kept) = kept else {
            return Err(recall.misfit(<Self as OutputKind<Vec<R>>>::type_name(), kept));
        };
        kept.iter().map(|kept| R::Kind::recall(kept, recall)).collect()
    }
}

impl<R: Output> Output for Option<R> {
    type Kind = NestedOutput;
}

impl<R: Output> OutputKind<Option<R>> for NestedOutput {
    type Value = Option<<R::Kind as OutputKind<R>>::Value>;
    const CREATES: bool = R::Kind::CREATES;

    fn type_name() -> String {
        format!("option<{}>", R::Kind::type_name())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        or_null(R::Kind::schema(schemas))
    }
    fn gives(row: &'static TypeRow) -> bool {
        R::Kind::gives(row)
    }
    fn unpack(output: Option<R>, created: &mut Vec<Arc<dyn AnyCell>>) -> Result<Self::Value, Failure> {
        output.map(|one| R::Kind::unpack(one, created)).transpose()
    }
    fn json(value: &Self::Value) -> Json {
        value.as_ref().map_or(Json::Null, R::Kind::json)
    }
    fn record(value: &Self::Value) -> Value {
        value.as_ref().map_or(Value::Null, |value| Value::some(R::Kind::record(value)))
    }
    fn recall(kept: &Value, recall: &Recall<'_>) -> Result<Self::Value, RecallError> {
        match kept {
            Value::Null => Ok(None),
            Value::Some(kept) => R::Kind::recall(kept, recall).map(Some),
            kept => R::Kind::recall(kept, recall).map(Some),
        }
    }
}

impl<R: Output, E: Into<Failure>> Output for Result<R, E> {
    type Kind = NestedOutput;
}

impl<R: Output, E: Into<Failure>> OutputKind<Result<R, E>> for NestedOutput {
    type Value = <R::Kind as OutputKind<R>>::Value;
    const CREATES: bool = R::Kind::CREATES;

    fn type_name() -> String {
        format!("result<{}>", R::Kind::type_name())
    }
    fn schema(schemas: &mut Schemas) -> Json {
        R::Kind::schema(schemas)
    }
    fn gives(row: &'static TypeRow) -> bool {
        R::Kind::gives(row)
    }
    fn unpack(output: Result<R, E>, created: &mut Vec<Arc<dyn AnyCell>>) -> Result<Self::Value, Failure> {
        output.map_err(Into::into).and_then(|one| R::Kind::unpack(one, created))
    }
    fn json(value: &Self::Value) -> Json {
        R::Kind::json(value)
    }
    fn record(value: &Self::Value) -> Value {
        R::Kind::record(value)
    }
    fn recall(kept: &Value, recall: &Recall<'_>) -> Result<Self::Value, RecallError> {
        R::Kind::recall(kept, recall)
    }
}

macro_rules! tuple_outputs {
    ($(($($name:ident $index:tt),+);)*) => {$(
        impl<$($name: Output),+> Output for ($($name,)+) {
            type Kind = NestedOutput;
        }

        impl<$($name: Output),+> OutputKind<($($name,)+)> for NestedOutput {
            type Value = ($(<$name::Kind as OutputKind<$name>>::Value,)+);
            const CREATES: bool = false $(|| $name::Kind::CREATES)+;

            fn type_name() -> String {
                format!("({})", [$($name::Kind::type_name()),+].join(", "))
            }
            fn schema(schemas: &mut Schemas) -> Json {
                tuple(vec![$($name::Kind::schema(schemas)),+])
            }
            fn gives(row: &'static TypeRow) -> bool {
                false $(|| $name::Kind::gives(row))+
            }
            fn unpack(output: ($($name,)+), created: &mut Vec<Arc<dyn AnyCell>>) -> Result<Self::Value, Failure> {
                Ok(($($name::Kind::unpack(output.$index, created)?,)+))
            }
            fn json(value: &Self::Value) -> Json {
                Json::Array(vec![$($name::Kind::json(&value.$index)),+])
            }
            fn record(value: &Self::Value) -> Value {
                Value::List(vec![$($name::Kind::record(&value.$index)),+])
            }
            fn recall(kept: &Value, recall: &Recall<'_>) -> Result<Self::Value, RecallError> {
                let misfit = || recall.misfit(<Self as OutputKind<($($name,)+)>>::type_name(), kept);
                let Value::List(parts) = kept else { return Err(misfit()) };
                Ok(($($name::Kind::recall(parts.get($index).ok_or_else(misfit)?, recall)?,)+))
            }
        }
    )*};
}

tuple_outputs! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, G 5);
}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {$(
        impl Param for $type {
            type Kind = PlainParam;
            type HolderKind = PlainParam;
        }
        impl Output for $type {
            type Kind = PlainOutput;
        }
    )*};
}

plain! {
    (), bool, char, String, Box<str>, Arc<str>, std::time::Duration,
    i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64,
    crate::id::EntityId,
}

impl<T: 'static> Param for Id<T> {
    type Kind = PlainParam;
    type HolderKind = PlainParam;
}

impl<T: 'static> Output for Id<T> {
    type Kind = PlainOutput;
}

macro_rules! plain_containers {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<$($generics)*> Param for $type {
            type Kind = PlainParam;
            type HolderKind = PlainParam;
        }
    )*};
}

plain_containers! {
    [P: Param, const N: usize] [P; N];
    [K: Param, V: Param] std::collections::BTreeMap<K, V>;
    [K: Param, V: Param, S] std::collections::HashMap<K, V, S>;
    [K: Param, V: Param, S] indexmap::IndexMap<K, V, S>;
    [T: Param] std::collections::BTreeSet<T>;
    [T: Param, S] std::collections::HashSet<T, S>;
    [A: Param, B: Param] (A, B);
    [A: Param, B: Param, C: Param] (A, B, C);
}

// Of plain values alone: an entity in a map would be given back and never be created.
impl<K, V> Output for std::collections::BTreeMap<K, V>
where
    Self: Plain,
{
    type Kind = PlainOutput;
}

impl<K, V, S> Output for std::collections::HashMap<K, V, S>
where
    Self: Plain,
{
    type Kind = PlainOutput;
}

/// The entity with its type: its row was compared when it was found.
pub(super) fn typed<T: Entity>(cell: Arc<dyn AnyCell>) -> Arc<Cell<T>> {
    downcast(cell).expect("the type was checked against the row")
}

/// The row of an entity parameter's type.
pub(super) const fn row_of<T: Entity>() -> &'static TypeRow {
    TypeRow::of::<T>()
}
