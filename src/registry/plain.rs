//! Arguments and results of types that are only serde's.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kinds::{Output, Param, PlainOutput, PlainParam};

use crate::entity::{Field, Foreign, Handling, Pairs, Source};
use crate::schema::{Layouter, Role};
use crate::value::{DecodeError, Value};

/// A value of a foreign type, kept through serde: `fn plan(trip: &mut Trip, on: Plain<chrono::NaiveDate>)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plain<V>(pub V);

impl<V> Field for Plain<V>
where
    V: Serialize + DeserializeOwned + PartialEq + Clone + Send + Sync + 'static,
{
    const ROLE: Role = Role::Value;

    fn layout(layouter: &mut Layouter) -> String {
        <Foreign as Handling<V>>::layout(layouter)
    }
    fn encode(&self) -> Value {
        Foreign::encode(&self.0)
    }
    fn decode(value: &Value, source: &mut dyn Source) -> Result<Self, DecodeError> {
        Foreign::decode(value, source).map(Plain)
    }
    fn same<'a>(&'a self, after: &'a Self, pairs: &mut Pairs<'a>) -> bool {
        Foreign::same(&self.0, &after.0, pairs)
    }
}

impl<V> crate::entity::Plain for Plain<V> where
    V: Serialize + DeserializeOwned + PartialEq + Clone + Send + Sync + 'static
{
}

impl<V> Param for Plain<V> {
    type Kind = PlainParam;
    type HolderKind = PlainParam;
}

impl<V> Output for Plain<V>
where
    Self: Field,
{
    type Kind = PlainOutput;
}
