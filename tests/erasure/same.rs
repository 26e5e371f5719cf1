//! Sealed types beside the same in the clear.

use heirloom::prelude::*;
use heirloom::store::{MemoryStore, Store, VersionBody, verify};
use heirloom::{Position, ReadError};
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::common::id;
use crate::erased;

/// The same customer in the clear.
#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(name = "Customer")]
struct Plain {
    id: Id<Plain>,
    name: String,
    notes: Vec<String>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
#[entity(name = "Customer", subject)]
struct Sealed {
    id: Id<Sealed>,
    name: String,
    notes: Vec<String>,
}

macro_rules! program {
    ($type:ident, $registry:expr, $steps:expr) => {{
        let (registry, mut told): (&Registry, Vec<String>) = ($registry, Vec::new());
        for step in $steps {
            let (who, what) = (step % 3, step / 3 % 6);
            let key: Id<$type> = id(&format!("customer {who}"));
            let done = match (registry.get(key), what) {
                (Err(_), _) => registry
                    .add($type { id: key, name: format!("{step}"), notes: vec!["a long note ".repeat(40)] })
                    .map(|_| ()),
                (Ok(_), 0) => registry.remove(key).map(|_| ()),
                (Ok(_), 1) => registry.revert(key, Revision(1)).map(|_| ()),
                (Ok(mut customer), 2) => {
                    customer.name = format!("{step}");
                    registry.batch().save(customer).commit().map(|_| ())
                }
                (Ok(mut customer), _) => {
                    customer.notes.push(format!("note {step}"));
                    registry.batch().save(customer).commit().map(|_| ())
                }
            };
            told.push(format!("{done:?}"));
        }
        told
    }};
}

macro_rules! answers {
    ($type:ident, $registry:expr, $who:expr) => {{
        let history = $registry.history();
        let mut told = Vec::new();
        for who in $who {
            let key: Id<$type> = id(&format!("customer {who}"));
            told.push(format!("{:?}", history.of(key).map(|versions| versions.to_string())));
            for position in (1..=history.head().0).map(Position) {
                let state = history.at(key, position).map(|customer| (customer.name, customer.notes));
                told.push(format!("{state:?} {:?}", history.changes(position).map(|changes| changes.len())));
            }
        }
        told
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sealed_types_answer_like_plain_ones_until_they_are_erased(steps in proptest::collection::vec(any::<u8>(), 1..40)) {
        let (plain, sealed) = (MemoryStore::new(), MemoryStore::new());
        let (first, second) = (Registry::builder().over(plain).unwrap(), Registry::builder().over(sealed.clone()).unwrap());
        assert_eq!(program!(Plain, &first, steps.clone()), program!(Sealed, &second, steps.clone()));
        assert_eq!(answers!(Plain, &first, 0..3), answers!(Sealed, &second, 0..3));
        // The same from what is stored, with nothing in memory.
        let third = Registry::builder().over(sealed.clone()).unwrap();
        assert_eq!(answers!(Plain, &first, 0..3), answers!(Sealed, &third, 0..3));
        let gone: Id<Sealed> = id("customer 0");
        if second.get(gone).is_ok() {
            second.remove(gone).unwrap();
            first.remove(id::<Plain>("customer 0")).unwrap();
        }
        let head = second.history().head();
        let erasure = second.erase(gone).unwrap();
        for registry in [&second, &third] {
            let history = registry.history();
            for position in (1..=head.0).map(Position) {
                for who in 1..3 {
                    let (plain, sealed): (Id<Plain>, Id<Sealed>) = (id(&format!("customer {who}")), id(&format!("customer {who}")));
                    let expected = first.history().at(plain, position).map(|customer| (customer.name, customer.notes));
                    assert_eq!(history.at(sealed, position).map(|customer| (customer.name, customer.notes)), expected);
                }
                let expected = first.history().at(id::<Plain>("customer 0"), position).map(|_| ());
                match history.at(gone, position) {
                    Err(ReadError::Erased { .. }) => assert!(expected.is_ok()),
                    other => assert_eq!(other.map(|_| ()), expected, "{:?}", erasure),
                }
            }
        }
        verify(&sealed, None).unwrap();
    }
}

#[test]
fn a_type_that_is_marked_later_seals_from_then_on() -> heirloom::Result<()> {
    let store = MemoryStore::new();
    let first = Registry::builder().over(store.clone())?;
    let long = vec!["a long note ".repeat(40)];
    first.add(Plain { id: id("Ann"), name: "Ann".into(), notes: long.clone() })?;
    drop(first);
    let second = Registry::builder().over(store.clone())?;
    let ann: Id<Sealed> = id("Ann");
    let mut held = second.checkout(ann)?;
    held.name = "Anna".to_owned();
    second.save(&mut held)?;
    let VersionBody::Own { base, seal, .. } = store.newest(ann.entity_id())?.expect("it is there").body else {
        panic!("it is an own state")
    };
    // A difference to what is in the clear would say as much as it does.
    assert_eq!((base, seal.is_some()), (None, true));
    second.remove(ann)?;
    second.erase(ann)?;
    assert_eq!(second.history().at(ann, Revision(1))?.notes, long);
    erased(second.history().at(ann, Revision(2)));
    Ok(())
}
