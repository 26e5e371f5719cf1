//! What is erased says so wherever it is read, and all else is told.

use heirloom::prelude::*;
use heirloom::store::{EntryKind, MemoryStore, Query};
use heirloom::{Argument, CommitError, EraseError, Position, ReadError, RunEnd};

use crate::common::id;
use crate::{Card, Customer, MARKER, Shop, a_shop, customer, erased, in_both, note, order};

#[test]
fn what_is_still_there_is_not_erased() -> heirloom::Result<()> {
    in_both(|registry| {
        let (ann, order) = a_shop(registry)?;
        let before = registry.history().head();
        let refused = registry.erase(ann).expect_err("Ann is there");
        assert!(matches!(refused, EraseError::Living { owner: None, .. }), "{refused}");
        registry.remove(ann)?;
        let refused = registry.erase(ann).expect_err("her order is there");
        assert!(matches!(refused, EraseError::Living { entity, .. } if entity == order.entity_id()), "{refused}");
        assert!(refused.to_string().contains("registry.remove(id)"));
        assert_eq!((registry.history().head().0, registry.get(order)?.customer), (before.0 + 1, ann));
        Ok(())
    })
}

#[test]
fn every_way_to_read_what_is_erased_says_so_and_all_else_is_told() -> heirloom::Result<()> {
    in_both(|registry| {
        let (ann, order) = a_shop(registry)?;
        let history = registry.history();
        // What was read before is not remembered either.
        let known = history.entry(Position(4))?;
        assert!(known.run().is_some_and(|run| !run.is_erased() && run.arguments().len() == 2));
        drop(known);
        registry.remove(ann)?;
        registry.remove(order)?;
        let erasure = registry.by("privacy").message("asked for").erase(ann)?;
        assert_eq!((erasure.entities, erasure.versions, erasure.lingers), (2, 3, false));
        let head = erasure.position.expect("there was something to erase");
        erased(history.at(ann, Revision(1)));
        erased(history.at(ann, Position(4)));
        erased(history.at(order, Revision(1)));
        erased(history.field(ann, Customer::NAME));
        erased(history.field_since(ann, Customer::NAME, Revision(2)));
        erased(history.diff(ann, Revision(1), Revision(2)));
        erased(history.digest(ann, Revision(1)));
        erased(history.changes(Position(1)));
        erased(history.changes(Position(4)));
        let reverted = registry.revert(ann, Revision(1)).expect_err("it is erased");
        assert!(matches!(reverted, CommitError::Read(ReadError::Erased { .. })), "{reverted}");
        assert!(matches!(registry.get(ann), Err(ReadError::Removed { .. })));
        // Who, when and how often is told.
        let versions: Vec<_> = history.of(ann)?.iter().collect::<Result<_, _>>()?;
        let told: Vec<_> = versions.iter().map(|version| (version.revision.0, version.position.0)).collect();
        assert_eq!(told, [(3, 7), (2, 4), (1, 1)]);
        versions.iter().for_each(|version| erased(version.changes()));
        assert_eq!(versions[2].entry()?.author(), Some("clerk"));
        assert_eq!(
            history.of(ann)?.to_string(),
            "r3 removed, erased\nr2 clerk note changed, erased\nr1 clerk added, erased"
        );
        // So it is for what its runs were given.
        let run = history.entry(Position(4))?;
        let run = run.run().expect("a run made it");
        assert!(run.is_erased() && run.callable() == "note");
        assert_eq!(run.arguments(), [Argument::Entity { id: ann.into(), revision: Revision(1) }, Argument::Erased]);
        let failed = history.entry(Position(5))?;
        let end = failed.run().map(|run| run.end().clone());
        assert_eq!(end, Some(RunEnd::Failed("what was said of it is erased".to_owned())));
        let other = history.entry(Position(6))?;
        assert!(other.run().is_some_and(|run| !run.is_erased() && run.arguments()[1].to_string().contains("tall")));
        // And the erasure is an entry.
        let entry = history.entry(head)?;
        assert_eq!(
            (entry.kind(), entry.author(), entry.message()),
            (EntryKind::Erased, Some("privacy"), Some("asked for"))
        );
        assert!(entry.to_string().ends_with(": erased"), "{entry}");
        assert_eq!(history.query(&Query::Kind(EntryKind::Erased, head, 9))?.len(), 1);
        // Bob is as he was, and what is Ann's own card is not Ann.
        assert_eq!(registry.get(id::<Customer>("Bob"))?.notes, ["tall"]);
        assert_eq!(history.at(id::<Card>("card"), Position(1))?.number, 7);
        assert_eq!(history.verify(None)?.position, head);
        Ok(())
    })
}

#[test]
fn erasing_again_and_erasing_nothing_write_nothing() -> heirloom::Result<()> {
    in_both(|registry| {
        let (ann, order) = a_shop(registry)?;
        let shop = registry.add(Shop { id: id("shop"), name: "Hill".into(), customers: Children::new() })?;
        registry.remove(ann)?;
        registry.remove(order)?;
        registry.erase(ann)?;
        let head = registry.history().head();
        for nothing in
            [registry.erase(ann)?, registry.erase_subject("nobody")?, registry.erase_subject(&ann.to_string())?]
        {
            assert_eq!((nothing.position, nothing.entities, nothing.versions), (None, 0, 0));
        }
        let refused = registry.erase(shop).expect_err("a shop is nobody's");
        assert!(matches!(refused, EraseError::NoSubject { .. }), "{refused}");
        assert_eq!(registry.history().head(), head);
        Ok(())
    })
}

#[test]
fn who_comes_again_gets_another_key_and_only_what_is_new_is_there() -> heirloom::Result<()> {
    in_both(|registry| {
        let (ann, order_id) = a_shop(registry)?;
        registry.remove(ann)?;
        registry.remove(order_id)?;
        let before = registry.erase(ann)?.position.expect("there was something");
        let history = registry.history();
        registry.add(customer("Ann"))?;
        registry.call(note, (ann, "is back".to_owned()))?;
        assert_eq!((history.revision(ann)?, registry.get(ann)?.notes), (Revision(5), vec!["is back".to_owned()]));
        erased(history.at(ann, Revision(2)));
        assert_eq!(history.at(ann, Revision(4))?.notes, Vec::<String>::new());
        // What it owned and referred to went with it.
        assert!(!history.contains(id::<Card>("card")));
        assert_eq!(history.referrers(id::<Customer>("Bob"), When::Head)?, []);
        registry.add(Card { id: id("card"), number: 8 })?;
        registry.remove(ann)?;
        let again = registry.erase(ann)?;
        assert_eq!(again.versions, 2);
        assert!(again.position > Some(before));
        erased(history.at(ann, Revision(4)));
        history.verify(None)?;
        Ok(())
    })
}

#[test]
fn data_that_changes_hands_is_whole_for_each() -> heirloom::Result<()> {
    in_both(|registry| {
        registry.add(customer("Ann"))?;
        registry.add(customer("Bob"))?;
        let order = registry.add(order("order", "Ann"))?;
        let mut held = registry.checkout(order)?;
        held.customer = id("Bob");
        registry.save(&mut held)?;
        held.address = "elsewhere".to_owned();
        registry.save(&mut held)?;
        registry.remove(id::<Customer>("Ann"))?;
        let erasure = registry.erase(id::<Customer>("Ann"))?;
        assert_eq!((erasure.entities, erasure.versions), (2, 2));
        erased(registry.history().at(order, Revision(1)));
        assert_eq!(registry.history().at(order, Revision(2))?.customer, id("Bob"));
        assert_eq!(registry.get(order)?.address, "elsewhere");
        registry.remove(id::<Customer>("Bob"))?;
        let refused = registry.erase(id::<Customer>("Bob"));
        assert!(matches!(refused, Err(EraseError::Living { .. })), "{refused:?}");
        Ok(())
    })
}

#[test]
fn an_owner_stays_readable_but_for_the_times_when_it_held_what_is_erased() -> heirloom::Result<()> {
    in_both(|registry| {
        let customers = Children::try_from_iter([customer("Ann"), customer("Bob")])?;
        let shop = registry.add(Shop { id: id("shop"), name: "Hill".into(), customers })?;
        let mut held = registry.checkout(shop)?;
        held.customers.remove(0);
        registry.save(&mut held)?;
        let history = registry.history();
        assert_eq!(registry.erase(id::<Customer>("Ann"))?.versions, 1);
        assert_eq!(registry.get(shop)?.customers.len(), 1);
        let then = history.at(shop, Revision(1))?;
        assert_eq!((then.name.as_str(), then.customers.len()), ("Hill", 2));
        let handles: Vec<_> = then.customers.handles().map(|handle| handle.get().map_err(ReadError::from)).collect();
        assert!(handles[1].as_ref().is_ok_and(|bob| bob.name.starts_with("Bob")));
        erased(handles[0].clone());
        erased(history.changes(Position(2)));
        erased(history.at(id::<Customer>("Ann"), Position(1)));
        let mut held = registry.checkout(shop)?;
        held.name = "Dale".to_owned();
        registry.save(&mut held)?;
        assert_eq!(history.changes(Position(4))?.to_string(), "Shop Dale: name \"Hill\" -> \"Dale\"");
        let reverted = registry.revert(shop, Revision(1));
        assert!(reverted.is_err());
        assert_eq!(registry.get(shop)?.name, "Dale");
        Ok(())
    })
}

#[test]
fn what_is_sealed_is_forgotten_like_all_else() -> heirloom::Result<()> {
    in_both(|registry| {
        let (ann, order) = a_shop(registry)?;
        let (history, all) = (registry.history(), heirloom::Retention::new().entries(1));
        while registry.compact(&all, 10)?.more {}
        assert!(registry.get(ann)?.notes[0].contains(MARKER));
        registry.call(note, (ann, "more".to_owned()))?;
        registry.remove(ann)?;
        registry.remove(order)?;
        registry.erase(ann)?;
        while registry.compact(&all, 10)?.more {}
        registry.add(customer("Ann"))?;
        while registry.compact(&all, 10)?.more {}
        assert_eq!(registry.get(ann)?, customer("Ann"));
        assert!(history.at(ann, Revision(2)).is_err());
        history.verify(None)?;
        Ok(())
    })
}

#[test]
fn a_registry_without_a_store_says_that_it_seals_nothing() -> heirloom::Result<()> {
    let registry = Registry::in_memory();
    let ann = registry.add(customer("Ann"))?;
    registry.remove(ann)?;
    assert!(matches!(registry.erase(ann), Err(EraseError::InMemory)));
    Ok(())
}

#[test]
fn a_subject_has_whatever_names_it() -> heirloom::Result<()> {
    #[derive(Entity, Clone, Debug)]
    struct Visit {
        id: Id<Visit>,
        #[entity(subject)]
        patient: u64,
        ward: String,
    }
    #[derive(Entity, Clone)]
    struct Letter {
        id: Id<Letter>,
        #[entity(subject)]
        to: String,
    }
    let registry = Registry::builder().over(MemoryStore::new())?;
    let visit = registry.add(Visit { id: id("visit"), patient: 4711, ward: "B".into() })?;
    let letter = registry.add(Letter { id: id("letter"), to: "4711".into() })?;
    registry.remove(visit)?;
    assert!(matches!(registry.erase_subject("4711"), Err(EraseError::Living { .. })));
    registry.remove(letter)?;
    assert_eq!(registry.erase_subject("4711")?.entities, 2);
    erased(registry.history().at(visit, Revision(1)));
    Ok(())
}
