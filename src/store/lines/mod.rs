//! A store as lines of JSON, which `docs/format.md` describes: out of one store, into another.

mod error;
mod export;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod import;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub use error::{ExportError, ImportError};
pub use export::export;
pub use import::import;

use super::chain::Head;
use super::keys::{KeyChange, KeyNumber, Secret};
use super::rows::{EntryKind, LayoutRow, OwnerChange, ReferenceChange};
use crate::digest::Digest;
use crate::id::EntityId;
use crate::when::{Position, Timestamp};

/// The number of the format.
const FORMAT: u32 = 1;

/// The longest line that is written and read, in bytes: an entry stands on one line.
pub const LONGEST_LINE: usize = 1 << 28;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Heirloom(Header),
    #[serde(borrow)]
    Entry(Box<EntryLine<'a>>),
    Tag(TagLine),
    End(HeadLine),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    after: HeadLine,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    position: u64,
    hash: Hex,
}

impl HeadLine {
    fn of(head: &Head) -> Self {
        Self { position: head.position.0, hash: Hex(head.hash) }
    }

    fn head(&self) -> Head {
        Head { position: Position(self.position), hash: self.hash.0 }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TagLine {
    name: String,
    position: u64,
}

/// One entry with the layouts that no line before it has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine<'a> {
    position: u64,
    time: Time,
    kind: Kind,
    #[serde(borrow)]
    said: Bytes<'a>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<KeyLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layouts: Vec<LayoutLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", borrow)]
    versions: Vec<VersionLine<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ended: Vec<(EntityId, Owner)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    references: Vec<ReferenceLine>,
    hash: Hex,
}

/// What an entry does to a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum KeyLine {
    Made {
        number: u64,
        subject: Hex,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<Base64>,
    },
    Erased(u64),
}

impl KeyLine {
    fn of(change: &KeyChange) -> Self {
        match change {
            KeyChange::Made { number, subject, secret } => KeyLine::Made {
                number: number.0,
                subject: Hex(*subject),
                secret: secret.as_ref().map(|secret| Base64(secret.as_bytes().to_vec())),
            },
            KeyChange::Erased { number } => KeyLine::Erased(number.0),
        }
    }

    /// `None` if nobody wrote it so.
    fn change(&self) -> Option<KeyChange> {
        Some(match self {
            KeyLine::Made { number, subject, secret: None } => {
                KeyChange::Made { number: KeyNumber(*number), subject: subject.0, secret: None }
            }
            KeyLine::Made { number, subject, secret: Some(Base64(bytes)) } => {
                let secret = Some(Secret::new(bytes.as_slice().try_into().ok()?)?);
                KeyChange::Made { number: KeyNumber(*number), subject: subject.0, secret }
            }
            KeyLine::Erased(number) => KeyChange::Erased { number: KeyNumber(*number) },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutLine {
    digest: Hex,
    name: String,
    schema: u32,
    text: String,
}

impl LayoutLine {
    fn of(layout: &LayoutRow) -> Self {
        let LayoutRow { digest, name, schema, text } = layout;
        Self { digest: Hex(*digest), name: name.clone(), schema: *schema, text: text.clone() }
    }

    fn row(self) -> LayoutRow {
        LayoutRow { digest: self.digest.0, name: self.name, schema: self.schema, text: self.text }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionLine<'a> {
    entity: EntityId,
    revision: u64,
    #[serde(borrow)]
    state: State<'a>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    carried: Vec<EntityId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum State<'a> {
    Own {
        layout: Hex,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<u64>,
        #[serde(borrow)]
        body: Bytes<'a>,
    },
    Carried(u64),
    Removed(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Owner {
    Root,
    Owned(EntityId, u16),
    Ended(EntityId),
}

impl Owner {
    fn of(change: OwnerChange) -> Self {
        match change {
            OwnerChange::Root => Owner::Root,
            OwnerChange::Owned { owner, field } => Owner::Owned(owner, field),
            OwnerChange::Ended { owner } => Owner::Ended(owner),
        }
    }

    fn change(&self) -> OwnerChange {
        match *self {
            Owner::Root => OwnerChange::Root,
            Owner::Owned(owner, field) => OwnerChange::Owned { owner, field },
            Owner::Ended(owner) => OwnerChange::Ended { owner },
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReferenceLine {
    from: EntityId,
    field: u16,
    to: EntityId,
    /// Whether it came, and not went.
    comes: bool,
}

impl ReferenceLine {
    fn of(change: &ReferenceChange) -> Self {
        let ReferenceChange { from, field, to, opened } = *change;
        Self { from, field, to, comes: opened }
    }

    fn change(&self) -> ReferenceChange {
        ReferenceChange { from: self.from, field: self.field, to: self.to, opened: self.comes }
    }
}

/// A time as RFC 3339 has it; beyond its years, microseconds.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Time {
    Micros(i64),
    Text(Timestamp),
}

impl Time {
    fn of(time: Timestamp) -> Self {
        if time.to_string().parse() == Ok(time) { Time::Text(time) } else { Time::Micros(time.as_micros()) }
    }

    fn timestamp(&self) -> Timestamp {
        match self {
            Time::Micros(micros) => Timestamp::from_micros(*micros),
            Time::Text(time) => *time,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Commit,
    Run,
    Unchanged,
    Failed,
    Panicked,
    Refused,
    Erased,
}

impl Kind {
    fn of(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Commit => Kind::Commit,
            EntryKind::Run => Kind::Run,
            EntryKind::Unchanged => Kind::Unchanged,
            EntryKind::Failed => Kind::Failed,
            EntryKind::Panicked => Kind::Panicked,
            EntryKind::Refused => Kind::Refused,
            EntryKind::Erased => Kind::Erased,
        }
    }

    fn kind(&self) -> EntryKind {
        match self {
            Kind::Commit => EntryKind::Commit,
            Kind::Run => EntryKind::Run,
            Kind::Unchanged => EntryKind::Unchanged,
            Kind::Failed => EntryKind::Failed,
            Kind::Panicked => EntryKind::Panicked,
            Kind::Refused => EntryKind::Refused,
            Kind::Erased => EntryKind::Erased,
        }
    }
}

/// Bytes, as JSON that stands in the line as it is where they are that, or where they are that but for a few at their beginning.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bytes<'a> {
    #[serde(borrow)]
    Json(&'a RawValue),
    After(Base64, #[serde(borrow)] &'a RawValue),
    Base64(Base64),
}

/// How many bytes stand before the JSON of what histories store: none of what is said, the codec of a whole state, the
/// codec of a difference with the weights of its base.
const BEFORE: [usize; 3] = [0, 1, 13];

impl<'a> Bytes<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        for before in BEFORE {
            if let Some((head, tail)) = bytes.split_at_checked(before)
                && let Some(json) = json(tail)
            {
                return if head.is_empty() { Bytes::Json(json) } else { Bytes::After(Base64(head.to_vec()), json) };
            }
        }
        Bytes::Base64(Base64(bytes.to_vec()))
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Bytes::Json(json) => Cow::Borrowed(json.get().as_bytes()),
            Bytes::After(head, json) => Cow::Owned([&head.0, json.get().as_bytes()].concat()),
            Bytes::Base64(bytes) => Cow::Borrowed(&bytes.0),
        }
    }
}

/// The JSON that bytes are, if they come back from a line as they are.
fn json(bytes: &[u8]) -> Option<&RawValue> {
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return None;
    }
    let json: &RawValue = serde_json::from_slice(bytes).ok()?;
    (json.get().len() == bytes.len()).then_some(json)
}

struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// A digest in hexadecimal digits.
#[derive(Clone, Copy, PartialEq)]
struct Hex(Digest);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Digest::parse(&text).map(Self).ok_or_else(|| D::Error::custom("a digest has 64 hexadecimal digits"))
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Line::Heirloom(_) => "the first line",
            Line::Entry(_) => "an entry",
            Line::Tag(_) => "a tag",
            Line::End(_) => "the end",
        })
    }
}
