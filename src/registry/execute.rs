//! Calls by name, with arguments as JSON.

use serde_json::Value as Json;

use super::caller::Caller;
use super::error::CallError;
use super::outcome::Outcome;
use super::table::Registered;

impl Caller<'_> {
    /// Runs a callable by name, with arguments as a JSON list, or as an object once `.params([...])` named them.
    ///
    /// A parameter that is an entity takes an address, `"@<id>"`, or `null` if it may be absent; a plain one takes its value, in which
    /// `{"$at": "@<id>.field"}` stands for what is at that address. Either may name a revision, `"@<id>#3"`: what is read is
    /// then as it was, and what is edited must still be at that one. The value comes back as JSON, a created entity as its
    /// address.
    ///
    /// # Errors
    /// As for [`Caller::call`]; besides, no callable of this name, or arguments that do not fit.
    pub fn execute(&self, name: &str, arguments: impl Into<Json>) -> Result<Outcome<Json>, CallError> {
        self.execute_json(name, &arguments.into())
    }

    pub(super) fn execute_json(&self, name: &str, arguments: &Json) -> Result<Outcome<Json>, CallError> {
        let registered = self.registry.inner.table.by_name(name)?;
        let given = in_order(&registered, arguments)?;
        self.until_it_ends(&mut |caller| {
            let _span = caller.span(&registered);
            if let Some(first) = registered.callable.first(caller, &registered, &given)? {
                return Ok(first);
            }
            let (value, begun) = registered.callable.start(caller, &registered, &given)?;
            caller.settle(&registered, value, begun)
        })
    }
}

/// The arguments in the order of the parameters.
pub(super) fn in_order<'j>(registered: &Registered, arguments: &'j Json) -> Result<Vec<&'j Json>, CallError> {
    let callable = || registered.name().to_string();
    let expected = registered.callable.parameters().len();
    match arguments {
        Json::Array(items) if items.len() == expected => Ok(items.iter().collect()),
        Json::Array(items) => Err(CallError::ArgumentCount {
            callable: callable(),
            expected,
            parameters: registered.signature(),
            found: items.len(),
        }),
        Json::Null if expected == 0 => Ok(Vec::new()),
        Json::Object(named) => {
            let names = match registered.names.get() {
                Some(names) => names.as_slice(),
                None if expected == 0 => &[],
                None => return Err(CallError::Unnamed { callable: callable() }),
            };
            if let Some(unknown) = named.keys().find(|name| !names.contains(name)) {
                return Err(CallError::UnknownArgument {
                    callable: callable(),
                    argument: unknown.clone(),
                    parameters: registered.signature(),
                });
            }
            let find = |name: &String| {
                named.get(name).ok_or_else(|| CallError::MissingArgument {
                    callable: callable(),
                    parameter: name.clone(),
                    parameters: registered.signature(),
                })
            };
            names.iter().map(find).collect()
        }
        other => {
            Err(CallError::ArgumentShape { callable: callable(), found: other.to_string().chars().take(80).collect() })
        }
    }
}
