//! Containers in which values and entities stand in order: options, boxes, lists, arrays, tuples.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{AnyCell, AnyEntity, ChildChange, Field, Key, Pairs, Plain, Slot, Source};
use crate::digest::Digester;
use crate::id::EntityId;
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Delta, Value};

/// The role of a container of `item`.
const fn role_of(item: Role) -> Role {
    match item {
        Role::Child => Role::Child,
        Role::Reference => Role::Reference,
        _ => Role::Value,
    }
}

impl<F: Field> Field for Option<F> {
    const ROLE: Role = role_of(F::ROLE);
    const HOLDS_ENTITIES: bool = F::HOLDS_ENTITIES;
    const INLINES: bool = F::INLINES;
    const FORGETS: bool = F::FORGETS;

    fn layout(layouter: &mut Layouter) -> String {
        format!("option<{}>", F::layout(layouter))
    }
    fn encode(&self) -> Value {
        match self {
            None => Value::Null,
            Some(inner) => inner.encode().some(),
        }
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(None),
            Value::Some(inner) => F::decode(inner, source).map(Some),
            inner => F::decode(inner, source).map(Some),
        }
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        match (self, after) {
            (None, None) => true,
            (Some(before), Some(after)) => before.same(after, pairs),
            _ => false,
        }
    }
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
        if let Some(inner) = self {
            inner.slots(visit);
        }
    }
    fn pair<'a>(&'a self, after: &'a Self, visit: &mut dyn FnMut(ChildChange<'a>)) {
        match (self, after) {
            (Some(before), Some(after)) => before.pair(after, visit),
            (Some(before), None) => before.slots(&mut |key, slot| visit(ChildChange::Removed(key, slot))),
            (None, Some(after)) => after.slots(&mut |key, slot| visit(ChildChange::Added(key, slot))),
            (None, None) => {}
        }
    }
    fn find(&self, id: EntityId) -> Option<(Key, &dyn Slot)> {
        self.as_ref()?.find(id)
    }
    fn owned(&self) -> usize {
        self.as_ref().map_or(0, Field::owned)
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        if let Some(inner) = self {
            inner.references(visit);
        }
    }
    fn reference_changes(&self, after: &Self, visit: &mut dyn FnMut(bool, EntityId)) {
        match (self, after) {
            (Some(before), Some(after)) => before.reference_changes(after, visit),
            (Some(before), None) => before.references(&mut |id| visit(false, id)),
            (None, Some(after)) => after.references(&mut |id| visit(true, id)),
            (None, None) => {}
        }
    }
    fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
        self.as_mut().is_some_and(|inner| inner.adopt(child))
    }
    fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        self.as_mut().is_some_and(|inner| inner.reach(id, write))
    }
    fn forget(&mut self) {
        if let Some(inner) = self {
            inner.forget();
        }
    }
    fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
        if let Some(inner) = self {
            inner.unsealed(visit);
        }
    }
    fn digest(&self, into: &mut Digester) {
        match self {
            None => into.tag(0),
            Some(inner) => {
                into.tag(1);
                inner.digest(into);
            }
        }
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<F: Plain> Plain for Option<F> {}

impl<F: Field> Field for Box<F> {
    const ROLE: Role = role_of(F::ROLE);
    const HOLDS_ENTITIES: bool = F::HOLDS_ENTITIES;
    const INLINES: bool = F::INLINES;
    const FORGETS: bool = F::FORGETS;
    const FIELDS: &'static [&'static str] = F::FIELDS;
    const ITEM_FIELDS: &'static [&'static str] = F::ITEM_FIELDS;

    fn layout(layouter: &mut Layouter) -> String {
        F::layout(layouter)
    }
    fn encode(&self) -> Value {
        (**self).encode()
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        F::decode(value, source).map(Box::new)
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        (**self).same(after, pairs)
    }
    fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
        (**self).slots(visit);
    }
    fn pair<'a>(&'a self, after: &'a Self, visit: &mut dyn FnMut(ChildChange<'a>)) {
        (**self).pair(after, visit);
    }
    fn find(&self, id: EntityId) -> Option<(Key, &dyn Slot)> {
        (**self).find(id)
    }
    fn owned(&self) -> usize {
        (**self).owned()
    }
    fn delta(&self, after: &Self, key: Option<&str>) -> Option<Delta> {
        (**self).delta(after, key)
    }
    fn references(&self, visit: &mut dyn FnMut(EntityId)) {
        (**self).references(visit);
    }
    fn reference_changes(&self, after: &Self, visit: &mut dyn FnMut(bool, EntityId)) {
        (**self).reference_changes(after, visit);
    }
    fn handle(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        (**self).handle()
    }
    fn restore(handle: &Arc<dyn Any + Send + Sync>) -> Option<Self> {
        F::restore(handle).map(Box::new)
    }
    fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
        (**self).adopt(child)
    }
    fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
        (**self).reach(id, write)
    }
    fn forget(&mut self) {
        (**self).forget();
    }
    fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
        (**self).unsealed(visit);
    }
    fn digest(&self, into: &mut Digester) {
        (**self).digest(into);
    }
    fn absent() -> Option<Self> {
        F::absent().map(Box::new)
    }
}

impl<F: Plain> Plain for Box<F> {}

fn decode_items<F: Field, C: FromIterator<F>>(value: &Value, source: &mut dyn Source) -> Result<C, DecodeError> {
    if let Some(items) = F::decode_list(value) {
        return Ok(items.into_iter().collect());
    }
    let (Value::List(items) | Value::Set(items)) = value else {
        return Err(DecodeError::new("a list", value));
    };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| F::decode(item, source).map_err(|error| error.within(format!("[{index}]"))))
        .collect()
}

/// What every list does alike.
macro_rules! list_methods {
    ($item:ident) => {
        const ROLE: Role = role_of($item::ROLE);
        const HOLDS_ENTITIES: bool = $item::HOLDS_ENTITIES;
        const INLINES: bool = $item::INLINES;
        const FORGETS: bool = $item::FORGETS;
        const ITEM_FIELDS: &'static [&'static str] = $item::FIELDS;

        fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
            self.len() == after.len() && self.iter().zip(after.iter()).all(|(before, after)| before.same(after, pairs))
        }
        fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
            for (index, item) in self.iter().enumerate() {
                item.slots(&mut |key, slot| visit(Key::Index(index).then(key), slot));
            }
        }
        fn find(&self, id: EntityId) -> Option<(Key, &dyn Slot)> {
            let mut items = self.iter().enumerate();
            items.find_map(|(index, item)| item.find(id).map(|(key, slot)| (Key::Index(index).then(key), slot)))
        }
        fn references(&self, visit: &mut dyn FnMut(EntityId)) {
            self.iter().for_each(|item| item.references(visit));
        }
        fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
            self.iter_mut().any(|item| item.adopt(child))
        }
        fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
            self.iter_mut().any(|item| item.reach(id, write))
        }
        fn forget(&mut self) {
            self.iter_mut().for_each(Field::forget);
        }
        fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
            self.iter().for_each(|item| item.unsealed(visit));
        }
        fn digest(&self, into: &mut Digester) {
            if $item::HOLDS_ENTITIES {
                into.number(self.len() as u64);
                self.iter().for_each(|item| item.digest(into));
            } else {
                self.encode().digest(into);
            }
        }
    };
}

/// What growing lists do alike besides.
macro_rules! growing_methods {
    () => {
        fn layout(layouter: &mut Layouter) -> String {
            format!("list<{}>", F::layout(layouter))
        }
        fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
            decode_items(value, source)
        }
        fn absent() -> Option<Self> {
            F::HOLDS_ENTITIES.then(Self::default)
        }
    };
}

impl<F: Field> Field for Vec<F> {
    list_methods!(F);
    growing_methods!();

    fn encode(&self) -> Value {
        F::encode_list(self)
    }
}

impl<F: Plain> Plain for Vec<F> {}

impl<F: Field> Field for VecDeque<F> {
    list_methods!(F);
    growing_methods!();

    fn encode(&self) -> Value {
        F::encode_list(self.clone().make_contiguous())
    }
}

impl<F: Plain> Plain for VecDeque<F> {}

impl<F: Field, const N: usize> Field for SmallVec<[F; N]> {
    list_methods!(F);
    growing_methods!();

    fn encode(&self) -> Value {
        F::encode_list(self)
    }
}

impl<F: Plain, const N: usize> Plain for SmallVec<[F; N]> {}

impl<F: Field, const N: usize> Field for [F; N] {
    list_methods!(F);

    fn layout(layouter: &mut Layouter) -> String {
        format!("[{}; {N}]", F::layout(layouter))
    }
    fn encode(&self) -> Value {
        F::encode_list(self)
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        let items: Vec<F> = decode_items(value, source)?;
        let found = items.len();
        items.try_into().map_err(|_| DecodeError::saying(format!("a list of {N}"), format!("one of {found}")))
    }
}

impl<F: Plain, const N: usize> Plain for [F; N] {}

macro_rules! tuples {
    ($(($($name:ident $index:tt),+);)*) => {$(
        impl<$($name: Field),+> Field for ($($name,)+) {
            const ROLE: Role = if false $(|| matches!($name::ROLE, Role::Child))+ { Role::Child } else { Role::Value };
            const HOLDS_ENTITIES: bool = false $(|| $name::HOLDS_ENTITIES)+;
            const INLINES: bool = false $(|| $name::INLINES)+;
            const FORGETS: bool = false $(|| $name::FORGETS)+;

            fn layout(layouter: &mut Layouter) -> String {
                let parts = [$($name::layout(layouter)),+];
                format!("({})", parts.join(", "))
            }
            fn encode(&self) -> Value {
                Value::List(vec![$(self.$index.encode()),+])
            }
            fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
                const PARTS: usize = [$($index),+].len();
                match value {
                    Value::List(items) if items.len() == PARTS => Ok(($(
                        $name::decode(&items[$index], source)
                            .map_err(|error| error.within(format!("[{}]", $index)))?,
                    )+)),
                    _ => Err(DecodeError::new(format!("a list of {PARTS}"), value)),
                }
            }
            fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
                true $(&& self.$index.same(&after.$index, pairs))+
            }
            fn slots<'a>(&'a self, visit: &mut dyn FnMut(Key, &'a dyn Slot)) {
                $(self.$index.slots(&mut |key, slot| visit(Key::Part($index).then(key), slot));)+
            }
            fn references(&self, visit: &mut dyn FnMut(EntityId)) {
                $(self.$index.references(visit);)+
            }
            fn adopt(&mut self, child: &Arc<dyn AnyCell>) -> bool {
                false $(|| self.$index.adopt(child))+
            }
            fn reach(&mut self, id: EntityId, write: &mut dyn FnMut(&mut dyn AnyEntity)) -> bool {
                false $(|| self.$index.reach(id, write))+
            }
            fn forget(&mut self) {
                $(self.$index.forget();)+
            }
            fn unsealed<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Slot)) {
                $(self.$index.unsealed(visit);)+
            }
            fn digest(&self, into: &mut Digester) {
                $(self.$index.digest(into);)+
            }
        }

        impl<$($name: Plain),+> Plain for ($($name,)+) {}
    )*};
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, G 5);
}
