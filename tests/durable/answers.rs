//! Everything that a registry answers about its history, in words.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

use heirloom::prelude::*;
use heirloom::{Changes, Position, ReadError};

use crate::common::at;
use crate::world::{Desk, Hall, NUMBERS, Thing, thing};

/// The answer, or why there is none.
fn debug<T: Debug>(answer: Result<T, ReadError>) -> String {
    answer.map_or_else(|error| format!("refused: {error}"), |answer| format!("{answer:?}"))
}

fn display<T: Display>(answer: Result<T, ReadError>) -> String {
    answer.map_or_else(|error| format!("refused: {error}"), |answer| answer.to_string())
}

/// As JSON, for which more is loaded.
fn json(changes: Result<Changes, ReadError>) -> String {
    changes.map_or_else(
        |error| format!("refused: {error}"),
        |changes| changes.to_json().map_or_else(|_| "nowhere".to_owned(), |json| json.to_string()),
    )
}

/// All entities that ever came, and those that could have.
pub(crate) fn entities(history: &History) -> heirloom::Result<Vec<EntityId>> {
    let mut entities: BTreeSet<EntityId> = (0..NUMBERS).map(|number| thing::<Thing>(number).entity_id()).collect();
    for position in (1..=history.head().0).map(Position) {
        entities.extend(history.versions(position)?.iter().map(|version| version.entity));
    }
    Ok(entities.into_iter().collect())
}

fn of_positions(history: &History, answers: &mut Vec<String>) -> heirloom::Result<()> {
    for entry in history.entries() {
        let entry = entry?;
        let position = entry.position();
        let properties: Vec<_> = entry.properties().collect();
        answers.push(format!("{entry} {properties:?} {:?}", entry.version_count()));
        if let Some(run) = entry.run() {
            answers.push(format!("{} {:?} {:?} {:?}", run.callable(), run.code_version(), run.arguments(), run.end()));
        }
        let changes = history.changes(position);
        answers.push(format!("changes of {position}: {}", display(changes.clone())));
        answers.push(format!("changes of {position}: {}", json(changes)));
        for version in history.versions(position)? {
            answers.push(format!("{version:?} {version} {}", display(version.to_json())));
        }
    }
    Ok(())
}

fn of_an_entity(history: &History, entity: EntityId, seed: &mut u64, answers: &mut Vec<String>) {
    let (id, hall, desk) =
        (Id::<Thing>::from_entity_id(entity), Id::from_entity_id(entity), Id::from_entity_id(entity));
    answers.push(format!("of {entity}: {} {}", display(history.of(entity)), debug(history.of(id))));
    answers.push(format!("revision of {entity}: {}", debug(history.revision(entity))));
    answers.push(format!("{} {}", debug(history.field(hall, Hall::NAME)), debug(history.field(hall, Hall::TAGS))));
    answers.push(format!("{} {}", debug(history.field(desk, Desk::NAME)), debug(history.field(desk, Desk::LINES))));
    let head = history.head().0;
    for position in (0..=head + 1).map(Position) {
        let what = format!("{entity} at {position}");
        answers.push(format!("{what}: {}", debug(history.at(id, position))));
        answers.push(format!("{what}: digest {}", debug(history.digest(entity, position))));
        answers.push(format!("{what}: owner {}", debug(history.owner(id, position))));
        answers.push(format!("{what}: referrers {}", debug(history.referrers(id, position))));
        of_a_tree(history, entity, position, answers);
    }
    for revision in (0..=history.revision(entity).map_or(1, |last| last.0 + 1)).map(Revision) {
        answers.push(format!("{entity} {revision}: {}", debug(history.at(id, revision))));
    }
    for _ in 0..4 {
        let (from, to) = (Position(1 + next(seed) % head.max(1)), Position(1 + next(seed) % head.max(1)));
        let changes = history.diff(entity, from, to);
        answers.push(format!("diff of {entity} from {from} to {to}: {}", display(changes.clone())));
        answers.push(json(changes));
    }
}

fn of_a_tree(history: &History, entity: EntityId, position: Position, answers: &mut Vec<String>) {
    let tree = match history.tree(entity, position) {
        Ok(tree) => tree,
        Err(error) => return answers.push(format!("no tree of {entity} at {position}: {error}")),
    };
    let ids = tree.ids().unwrap_or_default();
    answers.push(format!("tree of {entity} at {position}: {ids:?} {}", debug(tree.digest())));
    for id in ids {
        let (path, owner) = (display(tree.path(id)), debug(tree.owner(id)));
        answers.push(format!("{id} {path} {owner} {} {}", debug(tree.children(id)), debug(tree.referrers(id))));
    }
}

/// A number that follows from the one before.
pub(crate) fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Everything that a registry tells. The entities are asked for in an order that the seed gives; the answers do not
/// depend on it.
pub(crate) fn answers(registry: &Registry, seed: u64) -> heirloom::Result<Vec<String>> {
    let history = registry.history();
    let mut answers = vec![format!("{} {:?}", history.head(), history.tags()?)];
    let mut seed = seed;
    let mut entities = entities(&history)?;
    let mut order = seed | 1;
    for last in (1..entities.len()).rev() {
        entities.swap(last, next(&mut order) as usize % (last + 1));
    }
    for entity in &entities {
        of_an_entity(&history, *entity, &mut seed, &mut answers);
        answers.push(format!(
            "{} {}",
            history.contains(*entity),
            debug(registry.get::<Thing>(Id::from_entity_id(*entity)))
        ));
    }
    of_positions(&history, &mut answers)?;
    for second in 0..12 {
        answers.push(format!("at {second}: {}", debug(history.position(at(second)))));
        let entity = entities[second as usize % entities.len()];
        answers.push(debug(history.at::<Thing>(Id::from_entity_id(entity), at(second))));
    }
    Ok(answers)
}
