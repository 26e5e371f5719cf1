//! What a store is given of who did what: author, message, properties and run, as one value.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::damaged;
use super::entry::{Argument, ReadLine, ReadRun};
use super::seal::place_of_run;
use super::{Archive, ReadError, cipher};
use crate::id::EntityId;
use crate::log::{Drawn, Properties, Ran, RunEnd, Said};
use crate::store::{EntryKind, EntryRow, KeyNumber, Secret, StoreError};
use crate::value::{Name, Value, from_stored, to_stored};
use crate::when::{Position, Revision, Timestamp};

/// What stands for an argument that nests deeper than anything is written.
const TOO_DEEP: &str = "nested too deep to be recorded";

/// What a reason is once it is erased.
const ERASED: &str = "what was said of it is erased";

/// Fields that are there.
#[derive(Default)]
struct Fields(Vec<(Name, Value)>);

impl Fields {
    /// What is said of a commit, whatever made it.
    fn of(said: Option<&Said>) -> Self {
        let mut fields = Fields::default();
        if let Some(said) = said {
            fields.put("author", said.author.as_deref().map(text));
            fields.put("message", said.message.as_deref().map(text));
            let properties = said.properties.iter().map(|(name, value)| (text(name), text(value)));
            fields.put("properties", (!said.properties.is_empty()).then(|| Value::Map(properties.collect())));
        }
        fields
    }

    fn put(&mut self, name: &'static str, value: Option<Value>) {
        self.0.extend(value.map(|value| (Name::Borrowed(name), value)));
    }
}

fn text(text: &str) -> Value {
    Value::text(text)
}

impl Archive {
    /// What is said of a commit and its run, in the stored form.
    pub(super) fn said_bytes(&self, said: Option<&Said>, run: Option<&Ran>) -> Arc<[u8]> {
        let mut fields = Fields::of(said);
        fields.put("run", run.map(|run| self.run_value(run, Argument::to_value)));
        match to_stored(&Value::Struct(fields.0)) {
            Ok(bytes) => bytes.into(),
            // Arguments are recorded, not kept for use: one that nests deeper than anything is written stands as words.
            Err(_) => self.said_bytes_without_arguments(said, run),
        }
    }

    fn said_bytes_without_arguments(&self, said: Option<&Said>, run: Option<&Ran>) -> Arc<[u8]> {
        let mut fields = Fields::of(said);
        fields.put("run", run.map(|run| self.run_value(run, |_| text(TOO_DEEP))));
        to_stored(&Value::Struct(fields.0)).expect("text and numbers nest no deeper than a few levels").into()
    }

    /// What is said of a run that concerns subjects: its plain arguments, its result and the reason for which it came to
    /// nothing can be read by whoever has all of their keys. `None` if it has none of these.
    pub(super) fn said_sealed(
        &self,
        said: Option<&Said>,
        run: &Ran,
        position: Position,
        keys: &BTreeMap<KeyNumber, Option<Secret>>,
    ) -> Result<Option<Arc<[u8]>>, StoreError> {
        let arguments = self.arguments(&run.given);
        let plain = arguments.iter().filter(|argument| !argument.names_entities_alone());
        let hidden = |argument: &dyn Fn(&Argument) -> Value| {
            let mut fields = Fields::default();
            fields.put("arguments", Some(Value::List(plain.clone().map(argument).collect())));
            fields.put("reason", reason(run).map(text));
            fields.put("result", run.result().cloned());
            to_stored(&Value::Struct(fields.0))
        };
        if plain.clone().next().is_none() && reason(run).is_none() && run.result().is_none() {
            return Ok(None);
        }
        let hidden = hidden(&Argument::to_value).or_else(|_| hidden(&|_| text(TOO_DEEP)));
        let hidden = hidden.expect("text nests no deeper than a few levels");
        // Where one of the keys is gone already, this goes after it: nobody has the key that is taken then.
        let secrets: Option<Vec<&Secret>> = keys.values().map(Option::as_ref).collect();
        let secret = secrets.map_or_else(cipher::secret, |secrets| Ok(cipher::joined(secrets.into_iter())))?;
        let sealed = cipher::seal(&secret, &place_of_run(position), &hidden)?;
        let mut fields = Fields::of(said);
        let mut run = self.run_fields(run, Argument::without_plain);
        run.put("keys", Some(Value::List(keys.keys().map(|key| Value::unsigned(key.0.into())).collect())));
        run.put("sealed", Some(Value::Bytes(sealed.into())));
        fields.put("run", Some(Value::Struct(run.0)));
        let bytes = to_stored(&Value::Struct(fields.0)).expect("text and numbers nest no deeper than a few levels");
        Ok(Some(bytes.into()))
    }

    fn run_value(&self, run: &Ran, argument: impl Fn(&Argument) -> Value) -> Value {
        let mut fields = self.run_fields(run, argument);
        fields.put("reason", reason(run).map(text));
        fields.put("result", run.result().cloned());
        Value::Struct(fields.0)
    }

    fn run_fields(&self, run: &Ran, argument: impl Fn(&Argument) -> Value) -> Fields {
        let mut fields = Fields::default();
        fields.put("callable", Some(text(&run.callable.name)));
        fields.put("code_version", run.callable.code_version.get().map(|version| text(version)));
        fields.put("arguments", Some(Value::List(self.arguments(&run.given).iter().map(argument).collect())));
        fields.put("nanos", Some(Value::unsigned(run.nanos.into())));
        let Drawn { id, now } = run.drawn();
        fields.put("id", id.map(|id| text(&id.to_string())));
        fields.put("now", now.map(|now| Value::Int(now.as_micros())));
        fields
    }
}

/// Why a run came to nothing.
fn reason(run: &Ran) -> Option<&str> {
    match run.end() {
        RunEnd::Returned => None,
        RunEnd::Failed(reason) | RunEnd::Panicked(reason) | RunEnd::Refused(reason) => Some(reason),
    }
}

/// What an entry tells of.
pub(super) fn kind(run: Option<&Ran>, versions: usize) -> EntryKind {
    match run.map(Ran::end) {
        None => EntryKind::Commit,
        Some(RunEnd::Returned) if versions == 0 => EntryKind::Unchanged,
        Some(RunEnd::Returned) => EntryKind::Run,
        Some(RunEnd::Failed(_)) => EntryKind::Failed,
        Some(RunEnd::Panicked(_)) => EntryKind::Panicked,
        Some(RunEnd::Refused(_)) => EntryKind::Refused,
    }
}

impl Argument {
    pub(super) fn to_value(&self) -> Value {
        match self {
            Argument::Entity { id, revision } => {
                Value::variant("entity", Value::List(vec![Value::Reference(*id), Value::unsigned(revision.0.into())]))
            }
            Argument::Value(value) => Value::variant("value", value.clone()),
            Argument::At { value, read } => Value::variant("at", Value::List(vec![value.clone(), all_to_value(read)])),
            Argument::Several(arguments) => Value::variant("several", all_to_value(arguments)),
            Argument::TooDeep => text(TOO_DEEP),
            Argument::Erased => Value::variant("sealed", Value::Null),
        }
    }

    /// Whether it says no more than which entities were given: that is told for good.
    fn names_entities_alone(&self) -> bool {
        match self {
            Argument::Entity { .. } => true,
            Argument::Several(arguments) => arguments.iter().all(Argument::names_entities_alone),
            Argument::Value(_) | Argument::At { .. } | Argument::TooDeep | Argument::Erased => false,
        }
    }

    /// What is said in the clear of one that may be sealed.
    fn without_plain(&self) -> Value {
        if self.names_entities_alone() { self.to_value() } else { Argument::Erased.to_value() }
    }

    pub(super) fn of(value: &Value) -> Option<Self> {
        if matches!(value, Value::Text(words) if **words == *TOO_DEEP) {
            return Some(Argument::TooDeep);
        }
        let Value::Variant(variant) = value else { return None };
        Some(match (variant.0.as_ref(), &variant.1) {
            ("entity", Value::List(parts)) => match parts.as_slice() {
                [Value::Reference(id), Value::Int(revision)] => {
                    Argument::Entity { id: *id, revision: Revision(u64::try_from(*revision).ok()?) }
                }
                _ => return None,
            },
            ("value", value) => Argument::Value(value.clone()),
            ("at", Value::List(parts)) => match parts.as_slice() {
                [value, read] => Argument::At { value: value.clone(), read: all_of(read)? },
                _ => return None,
            },
            ("several", arguments) => Argument::Several(all_of(arguments)?),
            ("sealed", Value::Null) => Argument::Erased,
            _ => return None,
        })
    }
}

fn all_to_value(arguments: &[Argument]) -> Value {
    Value::List(arguments.iter().map(Argument::to_value).collect())
}

fn all_of(value: &Value) -> Option<Vec<Argument>> {
    match value {
        Value::List(items) => items.iter().map(Argument::of).collect(),
        _ => None,
    }
}

/// Opens what is sealed under keys; nothing, if it is erased.
type Open<'o> = dyn Fn(&[KeyNumber], &[u8]) -> Result<Option<Vec<u8>>, ReadError> + 'o;

/// A line of the log as it was stored.
pub(super) fn line(row: &EntryRow, open: &Open<'_>) -> Result<ReadLine, ReadError> {
    let what = || format!("entry {} of the log", row.position);
    let value = from_stored(&row.said).map_err(|error| damaged(what(), error.to_string()))?;
    let said = Said {
        author: text_of(&value, "author").map(Into::into),
        message: text_of(&value, "message").map(Into::into),
        properties: properties(&value).ok_or_else(|| damaged(what(), "its properties are no texts"))?,
    };
    let run = match value.get("run") {
        None => None,
        Some(run) => {
            let wrong = || damaged(what(), "its run is not as runs are written");
            let hidden = match run.get("sealed") {
                None => Hidden::Nothing,
                Some(sealed) => hidden_in(run, sealed, open)?.ok_or_else(wrong)?,
            };
            Some(read_run(run, &hidden, row.kind).ok_or_else(wrong)?)
        }
    };
    let made: Vec<(EntityId, Revision)> = row.versions.clone();
    Ok(ReadLine { time: row.time, kind: row.kind, said, run, made })
}

fn text_of<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    match value.get(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn properties(value: &Value) -> Option<Properties> {
    match value.get("properties") {
        None => Some(Properties::new()),
        Some(Value::Map(entries)) => entries
            .iter()
            .map(|(name, value)| match (name, value) {
                (Value::Text(name), Value::Text(value)) => Some((name.to_string(), value.to_string())),
                _ => None,
            })
            .collect(),
        Some(_) => None,
    }
}

/// What is sealed of a run.
enum Hidden {
    Nothing,
    Opened(Value),
    Erased,
}

/// Opens what is sealed of a run; `None` if nobody wrote it so.
fn hidden_in(run: &Value, sealed: &Value, open: &Open<'_>) -> Result<Option<Hidden>, ReadError> {
    let (Value::Bytes(sealed), Some(Value::List(keys))) = (sealed, run.get("keys")) else { return Ok(None) };
    let number = |key: &Value| match key {
        Value::Int(number) => u64::try_from(*number).ok().map(KeyNumber),
        _ => None,
    };
    let Some(keys) = keys.iter().map(number).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(opened) = open(&keys, sealed)? else { return Ok(Some(Hidden::Erased)) };
    Ok(from_stored(&opened).ok().map(Hidden::Opened))
}

fn read_run(run: &Value, hidden: &Hidden, kind: EntryKind) -> Option<ReadRun> {
    let Some(Value::List(arguments)) = run.get("arguments") else { return None };
    let reason = || match hidden {
        Hidden::Nothing => text_of(run, "reason").map(str::to_owned),
        Hidden::Opened(hidden) => text_of(hidden, "reason").map(str::to_owned),
        Hidden::Erased => Some(ERASED.to_owned()),
    };
    let mut plain = match hidden {
        Hidden::Opened(hidden) => match hidden.get("arguments") {
            Some(Value::List(plain)) => plain.iter(),
            _ => return None,
        },
        Hidden::Nothing | Hidden::Erased => [].iter(),
    };
    let read = |argument: &Value| Argument::of(argument).unwrap_or_else(|| Argument::Value(argument.clone()));
    Some(ReadRun {
        callable: text_of(run, "callable")?.to_owned(),
        code_version: text_of(run, "code_version").map(str::to_owned),
        arguments: arguments
            .iter()
            .map(|argument| match read(argument) {
                Argument::Erased => plain.next().map_or(Argument::Erased, read),
                argument => argument,
            })
            .collect(),
        erased: matches!(hidden, Hidden::Erased),
        result: match hidden {
            Hidden::Opened(hidden) => hidden.get("result").cloned(),
            Hidden::Nothing | Hidden::Erased => run.get("result").cloned(),
        },
        end: match kind {
            EntryKind::Failed => RunEnd::Failed(reason()?),
            EntryKind::Panicked => RunEnd::Panicked(reason()?),
            EntryKind::Refused => RunEnd::Refused(reason()?),
            _ => RunEnd::Returned,
        },
        nanos: match run.get("nanos")? {
            Value::Int(nanos) => u64::try_from(*nanos).ok()?,
            Value::Large(nanos) => u64::try_from(**nanos).ok()?,
            _ => return None,
        },
        drawn: Drawn {
            id: text_of(run, "id").map(str::parse).transpose().ok()?,
            now: match run.get("now") {
                None => None,
                Some(Value::Int(micros)) => Some(Timestamp::from_micros(*micros)),
                Some(_) => return None,
            },
        },
    })
}

/// The position that a store can tell: it counts with a sign.
pub(super) fn within_reach(position: Position) -> Position {
    Position(position.0.min(i64::MAX as u64))
}
