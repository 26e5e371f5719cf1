//! Why a field has its value: the entry that wrote it, what its run was given, and what made that in turn.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::read::differs;
use super::view::guarded;
use super::{Argument, Entry, History, ReadError, RunPart};
use crate::diff::{Subject, subject};
use crate::entity::{AnyCell, Entity, FieldToken, Identity, TypeRow};
use crate::id::{EntityId, Id};
use crate::lineage::{Ix, Payload};
use crate::value::Value;
use crate::when::{Position, Revision, When};

/// How far an answer to [`History::why`] goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many steps from the version that wrote the field: with 0, it alone is told.
    pub depth: usize,
    /// How many versions are told of in all; the nearest come first.
    pub origins: usize,
}

impl Default for Reach {
    fn default() -> Self {
        Self { depth: 6, origins: 64 }
    }
}

/// Why a field has its value: the version that wrote it and what that rests on, each version once. It prints as an
/// indented text, and turns into JSON.
#[derive(Clone)]
pub struct Why {
    subject: Subject,
    field: &'static str,
    value: Value,
    /// Why the version that wrote it cannot be told, if it cannot.
    lost: Option<ReadError>,
    /// The version that wrote it, then what it rests on, the nearest first.
    origins: Vec<Origin>,
}

/// A version and what made it.
#[derive(Clone)]
pub struct Origin {
    subject: Subject,
    revision: Revision,
    is_removal: bool,
    entry: Result<Entry, ReadError>,
    inputs: Vec<usize>,
    cut: usize,
}

impl Origin {
    /// The entity, as it was called then.
    #[must_use]
    pub fn entity(&self) -> &Subject {
        &self.subject
    }

    /// The revision that the version is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The entry that made it: a run, with its callable, code version and arguments, or a commit of another kind.
    ///
    /// # Errors
    /// Which entry that was is forgotten, or cannot be read.
    pub fn entry(&self) -> Result<&Entry, &ReadError> {
        self.entry.as_ref()
    }

    /// The versions that its run was given, as places among [`Why::origins`].
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// How many versions that its run was given are out of reach, and so not told.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.cut
    }
}

impl Why {
    /// The entity, as it was called then.
    #[must_use]
    pub fn entity(&self) -> &Subject {
        &self.subject
    }

    /// The stored name of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        self.field
    }

    /// Its value. Entities that it owns stand here by their ids.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The version that wrote it.
    ///
    /// # Errors
    /// Whether an earlier one did cannot be told, for what was before the oldest version that still has this value is
    /// forgotten or erased.
    pub fn origin(&self) -> Result<&Origin, &ReadError> {
        match &self.lost {
            Some(lost) => Err(lost),
            None => Ok(&self.origins[0]),
        }
    }

    /// Every version that is told of, once: the one that wrote the field, then those that its run was given, and so on, the
    /// nearest first. Empty if the first cannot be told.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether something is out of reach, and so not told.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.origins.iter().any(|origin| origin.cut > 0)
    }

    /// The answer as JSON: `{"entity", "field", "value", "origins": [...]}`, with `"lost"` if the version that wrote the field
    /// cannot be told. An origin is `{"entity", "revision", "position", "time", "author", "message", "run", "inputs", "cut"}`,
    /// its run `{"callable", "code_version", "arguments"}`; `inputs` are places in the list of origins. One whose entry is
    /// forgotten has `"lost"` in place of what the entry tells.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut why = json!({
            "entity": subject_json(&self.subject),
            "field": self.field,
            "value": self.value.to_json(),
            "origins": self.origins.iter().map(Origin::to_json).collect::<Vec<_>>(),
        });
        if let Some(lost) = &self.lost {
            why["lost"] = json!(lost.to_string());
        }
        why
    }
}

fn subject_json(subject: &Subject) -> Json {
    let mut entity = json!({"type": subject.type_name, "id": subject.id});
    if let Some(label) = &subject.label {
        entity["label"] = json!(label);
    }
    entity
}

fn argument_json(argument: &Argument) -> Json {
    let list = |arguments: &[Argument]| Json::Array(arguments.iter().map(argument_json).collect());
    match argument {
        Argument::Value(value) => value.to_json(),
        Argument::At { value, read } => json!({"value": value.to_json(), "read": list(read)}),
        Argument::Several(arguments) => list(arguments),
        Argument::Entity { .. } | Argument::TooDeep | Argument::Erased => json!(argument.to_string()),
    }
}

impl Origin {
    fn to_json(&self) -> Json {
        let mut origin = json!({
            "entity": subject_json(&self.subject),
            "revision": self.revision,
            "inputs": self.inputs,
            "cut": self.cut,
        });
        match &self.entry {
            Err(lost) => origin["lost"] = json!(lost.to_string()),
            Ok(entry) => {
                origin["position"] = json!(entry.position());
                origin["time"] = json!(entry.time());
                origin["author"] = json!(entry.author());
                origin["message"] = json!(entry.message());
                origin["run"] = json!(entry.run().map(|run| json!({
                    "callable": run.callable(),
                    "code_version": run.code_version(),
                    "arguments": run.arguments().iter().map(argument_json).collect::<Vec<_>>(),
                })));
            }
        }
        origin
    }

    /// The line that it prints, without its name in front: `dean raise(Student Ann r2, 0.3) "good work", #4 at ...`.
    fn line(&self, names: &HashMap<(EntityId, Revision), &Subject>) -> String {
        let entry = match &self.entry {
            Ok(entry) => entry,
            Err(error) => return format!("<{error}>"),
        };
        let mut words: Vec<String> = entry.author().map(str::to_owned).into_iter().collect();
        let mut code = String::new();
        match entry.run() {
            Some(run) => {
                let call = |callable: &str, arguments: &[Argument]| {
                    let given: Vec<String> = arguments.iter().map(|argument| told(argument, names)).collect();
                    format!("{callable}({})", given.join(", "))
                };
                words.push(match run.parts().as_slice() {
                    [] => call(run.callable(), &run.arguments()),
                    parts => {
                        let told = |part: &RunPart| {
                            let code = part.code_version.as_ref().map(|version| format!(" by code {version}"));
                            call(&part.callable, &part.arguments) + &code.unwrap_or_default()
                        };
                        let parts: Vec<String> = parts.iter().map(told).collect();
                        format!("{} of {}", run.callable(), parts.join(", "))
                    }
                });
                code = run.code_version().map(|version| format!(", code {version}")).unwrap_or_default();
            }
            None if self.is_removal => words.push("removed".to_owned()),
            None if self.revision == Revision(1) => words.push("added".to_owned()),
            None => words.push("changed".to_owned()),
        }
        words.extend(entry.message().map(|message| format!("{message:?}")));
        format!("{}, {} at {}{code}", words.join(" "), entry.position(), entry.time())
    }
}

/// An argument as a text tells it: a version by the name that its entity had.
fn told(argument: &Argument, names: &HashMap<(EntityId, Revision), &Subject>) -> String {
    match argument {
        Argument::Entity { id, revision } => match names.get(&(*id, *revision)) {
            Some(subject) => format!("{subject} {revision}"),
            None => argument.to_string(),
        },
        Argument::Several(arguments) => {
            let all: Vec<String> = arguments.iter().map(|argument| told(argument, names)).collect();
            format!("[{}]", all.join(", "))
        }
        Argument::At { value, read } => {
            let read: Vec<String> = read.iter().map(|argument| told(argument, names)).collect();
            format!("{} of {}", shortened(value), read.join(", "))
        }
        Argument::Value(value) => shortened(value),
        Argument::TooDeep | Argument::Erased => argument.to_string(),
    }
}

/// A value as a line can hold it.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is {}", self.subject, self.field, shortened(&self.value))?;
        if let Some(lost) = &self.lost {
            return write!(f, ", and who wrote it cannot be told\n  <{lost}>");
        }
        let names = self.origins.iter().map(|origin| ((origin.subject.id, origin.revision), &origin.subject)).collect();
        let mut told = vec![false; self.origins.len()];
        // What is still to be told, the next one last, with how far it is indented.
        let mut stack = vec![(0, 1)];
        while let Some((place, depth)) = stack.pop() {
            let origin = &self.origins[place];
            write!(f, "\n{:indent$}{} {}: ", "", origin.subject, origin.revision, indent = 2 * depth)?;
            if std::mem::replace(&mut told[place], true) {
                f.write_str("told above")?;
                continue;
            }
            f.write_str(&origin.line(&names))?;
            if origin.cut > 0 {
                write!(f, "; {} more that it was given {} out of reach", origin.cut, are(origin.cut))?;
            }
            stack.extend(origin.inputs.iter().rev().map(|input| (*input, depth + 1)));
        }
        Ok(())
    }
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

impl fmt::Debug for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.subject, self.revision, self.line(&HashMap::new()))
    }
}

impl History {
    /// Why a field has the value that it has now: who last wrote it, by which callable, on what, and what made that.
    ///
    /// A version rests on the versions that the run which made it was given: its entities as they were, and those in which
    /// a plain argument was found by its address. What a callable reads beside its arguments, as through
    /// [`Context::history`](crate::Context::history), is not recorded and not told.
    ///
    /// O(own versions since the field was written · depth in its tree + versions told of): the entity's own versions are
    /// looked at from the newest back until the value differs, and no further.
    ///
    /// ```
    /// use heirloom::prelude::*;
    ///
    /// #[derive(Entity, Clone)]
    /// struct Student { id: Id<Student>, name: String, gpa: f64 }
    ///
    /// fn raise(student: &mut Student, by: f64) { student.gpa += by; }
    ///
    /// let registry = Registry::in_memory();
    /// let _ = registry.register("raise", raise)?;
    /// let ann = registry.by("registrar").add(Student { id: Id::new(), name: "Ann".into(), gpa: 3.5 })?;
    /// registry.by("dean").call(raise, (ann, 0.25))?;
    ///
    /// let why = registry.history().why(ann, Student::GPA)?;
    /// let told: Vec<String> = why.to_string().lines().map(|line| line.split(", #").next().unwrap_or("").into()).collect();
    /// assert_eq!(told, [
    ///     "Student Ann: gpa is 3.75",
    ///     "  Student Ann r2: dean raise(Student Ann r1, 0.25)", // , #2 at 2026-01-05T10:00:00Z
    ///     "    Student Ann r1: registrar added",                // , #1 at 2026-01-05T09:00:00Z
    /// ]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`History::at`]. That an earlier version is forgotten or erased is no error, but part of the answer.
    pub fn why<T: Entity, F>(&self, id: Id<T>, field: FieldToken<T, F>) -> Result<Why, ReadError> {
        self.why_at(id, field, When::Head)
    }

    /// Why a field had the value that it had then: see [`History::why`].
    ///
    /// # Errors
    /// As there.
    pub fn why_at<T: Entity, F>(
        &self,
        id: Id<T>,
        field: FieldToken<T, F>,
        when: impl Into<When>,
    ) -> Result<Why, ReadError> {
        let ix = self.archive.locate_typed(id.entity_id(), TypeRow::of::<T>())?;
        guarded(|| self.explain(ix, field.name(), &when.into(), Reach::default()))
    }

    /// Why the field of a name has, or had, its value, told as far back as is asked for: see [`History::why`].
    ///
    /// # Errors
    /// As there; and [`ReadError::NoField`] if the entity has no stored field of this name.
    pub fn why_named(
        &self,
        id: impl Identity,
        field: &str,
        when: impl Into<When>,
        reach: Reach,
    ) -> Result<Why, ReadError> {
        let ix = self.archive.locate(self.archive.identify(&id)?)?;
        guarded(|| self.explain(ix, field, &when.into(), reach))
    }

    fn explain(&self, ix: Ix, name: &str, when: &When, reach: Reach) -> Result<Why, ReadError> {
        let at = self.archive.position(Some(ix), when)?;
        let state = self.archive.state(ix, at, when)?;
        let entity = state.entity();
        let meta = entity.meta_of();
        let index = meta.field(name).ok_or_else(|| ReadError::NoField {
            entity: entity.entity_id(),
            field: name.to_owned(),
            known: meta.fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", "),
        })?;
        let mut why = Why {
            subject: subject(entity),
            field: meta.fields[index].name,
            value: u16::try_from(index).map_or(Value::Null, |field| entity.encode_field(field)),
            lost: None,
            origins: Vec::new(),
        };
        let newest = self.archive.lineages.revision(ix, at)?.unwrap_or(Revision(0));
        match self.writer_of(ix, newest, index) {
            Ok(written) => why.origins = self.origins(ix, written, reach)?,
            Err(lost @ (ReadError::Forgotten { .. } | ReadError::Erased { .. })) => why.lost = Some(lost),
            Err(error) => return Err(error),
        }
        Ok(why)
    }

    /// The revision that brought the value that a field has in another: the newest own one before which it was a different
    /// one, or the entity was not there.
    fn writer_of(&self, ix: Ix, newest: Revision, field: usize) -> Result<Revision, ReadError> {
        let (archive, lineages) = (&self.archive, &self.archive.lineages);
        let Some((mut written, _)) = lineages.own(ix, newest)? else { return Ok(newest) };
        let Some(mut state) = archive.own_state(ix, newest)? else { return Ok(written) };
        while written > Revision(1) {
            let before = Revision(written.0 - 1);
            let Some((position, payload)) = lineages.version(ix, before)? else { break };
            archive.first_known(ix, before, position)?;
            let Some((made, _)) = lineages.version(ix, written)? else { break };
            // What returns after it went brings all of its fields.
            if matches!(payload, Payload::Removed { .. }) || !self.is_there(ix, Position(made.0 - 1))? {
                break;
            }
            let Some(earlier) = archive.own_state(ix, before)? else { break };
            if differs(earlier.entity(), state.entity(), field) {
                break;
            }
            let Some((own, _)) = lineages.own(ix, before)? else { break };
            (written, state) = (own, earlier);
        }
        Ok(written)
    }

    /// What a version rests on, breadth first, so that what is out of reach is what is farthest.
    fn origins(&self, ix: Ix, revision: Revision, reach: Reach) -> Result<Vec<Origin>, ReadError> {
        let mut origins = vec![self.made(ix, revision)?];
        let mut places = HashMap::from([((ix, revision), 0)]);
        let mut queue = VecDeque::from([(0, 0)]);
        while let Some((place, depth)) = queue.pop_front() {
            let run = origins[place].entry.as_ref().ok().and_then(Entry::run);
            let mut given = Vec::new();
            for argument in run.map(|run| run.arguments()).unwrap_or_default() {
                versions_in(argument, &mut given);
            }
            for (id, revision) in given {
                let input = self.archive.locate(id)?;
                let known = places.get(&(input, revision)).copied();
                match known {
                    Some(known) if origins[place].inputs.contains(&known) => {}
                    Some(known) => origins[place].inputs.push(known),
                    None if depth >= reach.depth || origins.len() >= reach.origins => origins[place].cut += 1,
                    None => {
                        let new = origins.len();
                        origins.push(self.made(input, revision)?);
                        places.insert((input, revision), new);
                        origins[place].inputs.push(new);
                        queue.push_back((new, depth + 1));
                    }
                }
            }
        }
        Ok(origins)
    }

    /// What made a version.
    fn made(&self, ix: Ix, revision: Revision) -> Result<Origin, ReadError> {
        let told = lost(self.maker(ix, revision))?;
        // What is forgotten has no name, whatever memory still has of it.
        let state = if told.is_ok() { lost(self.archive.own_state(ix, revision))?.ok().flatten() } else { None };
        let (entry, is_removal) = match told {
            Ok((entry, is_removal)) => (Ok(entry), is_removal),
            Err(lost) => (Err(lost), false),
        };
        Ok(Origin { subject: self.called(ix, state)?, revision, is_removal, entry, inputs: Vec::new(), cut: 0 })
    }

    /// The entry that made a version, and whether it is a removal.
    fn maker(&self, ix: Ix, revision: Revision) -> Result<(Entry, bool), ReadError> {
        let lineages = &self.archive.lineages;
        let Some((position, payload)) = lineages.version(ix, revision)? else {
            let last = lineages.revision(ix, self.head())?.unwrap_or(Revision(0));
            return Err(ReadError::NoRevision { entity: lineages.get(ix).id, asked: revision, last });
        };
        self.archive.first_known(ix, revision, position)?;
        Ok((self.entry(position)?, matches!(payload, Payload::Removed { .. })))
    }

    /// What to call an entity, by its state if there is one.
    fn called(&self, ix: Ix, state: Option<Arc<dyn AnyCell>>) -> Result<Subject, ReadError> {
        if let Some(state) = state {
            return Ok(subject(state.entity()));
        }
        let lineages = &self.archive.lineages;
        Ok(Subject { id: lineages.get(ix).id, type_name: lineages.row(ix)?.meta.name, label: None })
    }
}

/// What is forgotten or erased is part of an answer; whatever else goes wrong is not.
fn lost<R>(read: Result<R, ReadError>) -> Result<Result<R, ReadError>, ReadError> {
    match read {
        Err(lost @ (ReadError::Forgotten { .. } | ReadError::Erased { .. })) => Ok(Err(lost)),
        Err(error) => Err(error),
        Ok(read) => Ok(Ok(read)),
    }
}

/// The versions that an argument names, or in which it was found.
fn versions_in(argument: Argument, found: &mut Vec<(EntityId, Revision)>) {
    match argument {
        Argument::Entity { id, revision } => found.push((id, revision)),
        Argument::At { read: arguments, .. } | Argument::Several(arguments) => {
            arguments.into_iter().for_each(|argument| versions_in(argument, found));
        }
        Argument::Value(_) | Argument::TooDeep | Argument::Erased => {}
    }
}
