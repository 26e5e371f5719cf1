//! What there is to know of callables, for people and for programs that call them by name.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::Registry;
use super::callable::Parameter;
use super::error::CallError;
use super::json_schema::{Schemas, Way, tuple};
use super::table::{Registered, Strategy};

/// What there is to know of a callable. It prints as a line, and serialises as a tool that a language model can be given:
/// `{"name", "description", "code_version"?, "strategy", "input_schema", "output_schema"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name.
    pub name: String,
    /// The function it is.
    pub function: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// What it gives back.
    pub output: String,
    /// How its runs go about their work.
    pub strategy: Strategy,
    /// The version of its code, if it was given one.
    pub code_version: Option<String>,
    /// What was said of it.
    pub docs: Option<String>,
    /// The arguments that `execute` takes, as JSON Schema (draft 2020-12): an object by the names of the parameters; a list
    /// where they have none, which few tool-calling programs take, so name them.
    ///
    /// An entity is the text of its address. `{"$at": "@<id>.field"}` is taken in the place of any plain value too, and is
    /// left out here.
    pub input_schema: Json,
    /// The value that `execute` gives back, as JSON Schema.
    pub output_schema: Json,
}

impl Description {
    fn of(registered: &Registered) -> Self {
        Self {
            name: registered.name().to_string(),
            function: registered.type_name.to_owned(),
            parameters: registered.parameters(),
            output: registered.callable.output(),
            strategy: registered.plan().strategy,
            code_version: registered.identity.code_version.get().map(|version| version.to_string()),
            docs: registered.docs.get().cloned(),
            input_schema: input_schema(registered),
            output_schema: {
                let mut schemas = Schemas::new(Way::GivenBack);
                let schema = registered.callable.given_back(&mut schemas);
                schemas.finish(schema)
            },
        }
    }
}

fn input_schema(registered: &Registered) -> Json {
    let mut schemas = Schemas::new(Way::Given);
    let given = registered.callable.given(&mut schemas);
    let schema = match registered.names.get() {
        None if !given.is_empty() => tuple(given),
        names => {
            let names = names.map(Vec::as_slice).unwrap_or_default();
            let properties: Map<String, Json> = names.iter().cloned().zip(given).collect();
            json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
        }
    };
    schemas.finish(schema)
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<String> = self.parameters.iter().map(Parameter::to_string).collect();
        write!(f, "{}({}) -> {}: {}", self.name, parameters.join(", "), self.output, self.strategy)
    }
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tool = serializer.serialize_struct("Description", 5 + usize::from(self.code_version.is_some()))?;
        tool.serialize_field("name", &self.name)?;
        match &self.docs {
            Some(docs) => tool.serialize_field("description", docs)?,
            None => tool.serialize_field("description", &self.to_string())?,
        }
        if let Some(version) = &self.code_version {
            tool.serialize_field("code_version", version)?;
        }
        tool.serialize_field("strategy", &self.strategy.to_string())?;
        tool.serialize_field("input_schema", &self.input_schema)?;
        tool.serialize_field("output_schema", &self.output_schema)?;
        tool.end()
    }
}

/// All callables of a registry, to be given to a program that calls them by name: a tool-calling model, a generator of
/// clients. It serialises as `{"jsonSchemaDialect", "tools": [...]}`, each tool as [`Description`] says.
///
/// ```
/// use heirloom::prelude::*;
/// use serde_json::json;
///
/// #[derive(Entity, Clone)]
/// struct Student { id: Id<Student>, gpa: f64 }
///
/// fn raise(student: &mut Student, by: u8) { student.gpa += f64::from(by); }
///
/// let registry = Registry::in_memory();
/// let _ = registry.register("raise", raise)?.params(["student", "by"])?.docs("Raises a student's grade.")?;
/// let tool = &json!(registry.manifest())["tools"][0];
/// assert_eq!(tool["description"], "Raises a student's grade.");
/// assert_eq!(tool["input_schema"]["required"], json!(["student", "by"]));
/// assert_eq!(tool["input_schema"]["properties"]["by"], json!({"type": "integer", "minimum": 0, "maximum": 255}));
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The callables, in the order they were registered.
    pub tools: Vec<Description>,
}

impl Manifest {
    /// The dialect of all schemas in it.
    pub const DIALECT: &'static str = "https://json-schema.org/draft/2020-12/schema";
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut manifest = serializer.serialize_struct("Manifest", 2)?;
        manifest.serialize_field("jsonSchemaDialect", Self::DIALECT)?;
        manifest.serialize_field("tools", &self.tools)?;
        manifest.end()
    }
}

impl Registry {
    /// What there is to know of a callable.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn describe(&self, name: &str) -> Result<Description, CallError> {
        Ok(Description::of(&*self.inner.table.by_name(name)?))
    }

    /// What there is to know of all callables, for programs that call them by name.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let tools = self.inner.table.all().iter().map(|registered| Description::of(registered)).collect();
        Manifest { tools }
    }
}
