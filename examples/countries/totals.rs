//! What the engine found in all states, counted, and shown beside what an independent script counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use heirloom::{Change, ChangeKind, Delta, EntityId, Value};

/// What the engine said of all commits.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) added: Vec<(usize, String)>,
    pub(crate) removed: Vec<(usize, String)>,
    pub(crate) changed: usize,
    pub(crate) fields: usize,
    pub(crate) by_field: BTreeMap<String, usize>,
    pub(crate) by_country: HashMap<EntityId, usize>,
    pub(crate) reorders: usize,
    pub(crate) unchanged: usize,
}

impl Totals {
    /// Counts what the engine found in one commit.
    pub(crate) fn count(&mut self, number: usize, changes: &[Change], codes: &HashMap<EntityId, String>) {
        let code = |change: &Change| codes.get(&change.entity.id).cloned().unwrap_or_default();
        let mut changed: HashSet<EntityId> = HashSet::new();
        let mut reordered = false;
        for change in changes.iter().filter(|change| change.entity.type_name == "Country") {
            match &change.kind {
                ChangeKind::Added { .. } => self.added.push((number, code(change))),
                ChangeKind::Removed { .. } => self.removed.push((number, code(change))),
                ChangeKind::Changed { field, delta } => {
                    changed.insert(change.entity.id);
                    for field in fields_of(field, delta) {
                        self.fields += 1;
                        *self.by_field.entry(field).or_default() += 1;
                    }
                }
                ChangeKind::Reordered { .. } => reordered = true,
                _ => {}
            }
        }
        self.changed += changed.len();
        self.reorders += usize::from(reordered);
        for id in changed {
            *self.by_country.entry(id).or_default() += 1;
        }
    }
}

/// The fields of the data set that differ: the name by itself, all others as entries of one map.
fn fields_of(field: &str, delta: &Delta) -> Vec<String> {
    let key = |key: &Value| match key {
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    };
    match delta {
        Delta::Map { removed, inserted, changed, .. } if field == "fields" => removed
            .iter()
            .chain(inserted)
            .map(|(_, name, _)| key(name))
            .chain(changed.iter().map(|(name, _)| key(name)))
            .collect(),
        _ => vec![field.to_owned()],
    }
}

/// Rows of what was found beside what was expected.
pub(crate) struct Table {
    pub(crate) compared: bool,
    pub(crate) wrong: usize,
}

impl Table {
    pub(crate) fn row(&mut self, what: &str, found: impl ToString, expected: &str) {
        let found = found.to_string();
        let verdict = match (self.compared, found == expected) {
            (false, _) => "",
            (true, true) => "ok",
            (true, false) => "WRONG",
        };
        self.wrong += usize::from(verdict == "WRONG");
        // What is long is the same on both sides, unless it is wrong.
        match found.len() > 22 && verdict != "WRONG" {
            true => println!("{what:<20} {found:>66} {verdict}"),
            false => println!("{what:<42} {found:>22} {expected:>22} {verdict}"),
        }
    }
}
