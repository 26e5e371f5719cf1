//! What is written of changes when the children that they are about cannot be loaded: an error, whatever read fails.

use heirloom::prelude::*;
use heirloom::store::MemoryStore;
use heirloom::{JsonPatchError, LoadError, Patch, Position, to_json};

use crate::common::id;
use crate::faulty::{Faults, Faulty};

#[derive(Entity, Clone, Debug, PartialEq)]
struct School {
    id: Id<School>,
    name: String,
    rooms: Children<Room>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Room {
    id: Id<Room>,
    desks: Children<Desk>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Desk {
    id: Id<Desk>,
    seats: u32,
}

fn school() -> heirloom::Result<School> {
    let desks = Children::try_from_iter([Desk { id: id("desk"), seats: 2 }])?;
    let rooms = Children::try_from_iter([Room { id: id("room"), desks }])?;
    Ok(School { id: id("Hill"), name: "Hill".into(), rooms })
}

/// How often something was written, and how often a child was missing.
struct Told {
    written: usize,
    missing: usize,
}

impl Told {
    fn take<T, E>(&mut self, told: Result<T, E>, is_missing: impl Fn(&E) -> bool) {
        match told {
            Ok(_) => self.written += 1,
            Err(error) => {
                assert!(is_missing(&error));
                self.missing += 1;
            }
        }
    }
}

#[test]
fn what_cannot_be_loaded_is_an_error_of_whoever_writes_it() -> heirloom::Result<()> {
    let store = MemoryStore::new();
    let registry = Registry::builder().over(store.clone())?;
    let hill = registry.add(school()?)?;
    let _ = registry.register("clear", |school: &mut School| school.rooms.clear())?;
    registry.execute("clear", serde_json::json!([format!("@{hill}")]))?;
    let [mut whole, mut operations, mut patches, mut states] = [const { Told { written: 0, missing: 0 } }; 4];
    for reads in 0..60 {
        let faulty = || Registry::builder().over(Faulty::new(store.clone(), Faults::default(), reads));
        let history = || {
            let registry = faulty()?;
            registry.register_type::<School>()?;
            Ok::<_, heirloom::Error>(registry.history())
        };
        let changes = |position| history().and_then(|history| Ok(history.changes(Position(position))?));
        if let Ok(added) = changes(1) {
            whole.take(added.to_json(), |_: &LoadError| true);
        }
        if let Ok(removed) = changes(2) {
            patches.take(Patch::try_from(&removed), |_: &LoadError| true);
        }
        if let Ok(back) = history().and_then(|history| Ok(history.diff(hill, Position(2), Position(1))?)) {
            operations.take(back.to_json_patch(), |error| matches!(error, JsonPatchError::Load(_)));
        }
        if let Ok(state) = history().and_then(|history| Ok(history.at(hill, Position(1))?)) {
            states.take(to_json(&state), |error| matches!(error, JsonPatchError::Load(_)));
        }
    }
    for told in [whole, operations, patches, states] {
        assert!(told.written > 0 && told.missing > 0, "{} {}", told.written, told.missing);
    }
    Ok(())
}
