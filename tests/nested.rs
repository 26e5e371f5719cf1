//! Parts of a batch under savepoints.

use heirloom::prelude::*;
use heirloom::store::MemoryStore;
use heirloom::{EntityId, Expected, Result};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Team {
    id: Id<Team>,
    name: String,
    members: Children<Member>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Member {
    id: Id<Member>,
    name: String,
}

fn id<T>(name: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive("test", name))
}

fn team(name: &str, members: &[&str]) -> Team {
    let members = members.iter().map(|name| Member { id: id(name), name: (*name).to_owned() });
    Team { id: id(name), name: name.to_owned(), members: Children::try_from_iter(members).expect("each once") }
}

fn check(test: impl Fn(&Registry) -> Result<()>) -> Result<()> {
    test(&Registry::in_memory())?;
    test(&Registry::builder().over(MemoryStore::new())?)
}

#[test]
fn a_failed_part_loses_only_itself() -> Result<()> {
    check(|registry| {
        registry.add(team("red", &["ann"]))?;
        let mut batch = registry.by("chief").batch().add(team("blue", &["bob"]));
        // Ann stands in another team.
        let refused = batch.nested(|part| part.add(team("green", &["cid", "ann"]))).expect_err("ann has a place");
        assert!(refused.to_string().contains("already stands at Team"), "{refused}");
        // Bob comes with the batch itself.
        let refused = batch.nested(|part| part.add(team("grey", &["bob"]))).expect_err("bob has a place");
        assert!(refused.to_string().contains("stands twice"), "{refused}");
        batch.nested(|part| part.add(team("white", &["dan"])))?;
        let outcome = batch.commit()?;
        assert_eq!(outcome.versions()?.len(), 4);
        let names = ["red", "blue", "green", "grey", "white"];
        let there: Vec<bool> = names.iter().map(|name| registry.history().contains(id::<Team>(name))).collect();
        assert_eq!(there, [true, true, false, false, true]);
        assert!(!registry.history().contains(id::<Member>("cid")));
        Ok(())
    })
}

#[test]
fn parts_have_parts_of_their_own() -> Result<()> {
    check(|registry| {
        let mut batch = registry.batch();
        batch.nested(|mut outer| {
            let inner = outer.nested(|inner| inner.add(team("red", &["ann"])).add(team("blue", &["ann"])));
            assert!(inner.is_err());
            outer.add(team("green", &["cid"]))
        })?;
        assert_eq!(batch.commit()?.versions()?.len(), 2);
        Ok(())
    })
}

#[test]
fn a_part_that_expects_what_does_not_hold_is_left_out() -> Result<()> {
    check(|registry| {
        let red = registry.add(team("red", &[]))?;
        let mut batch = registry.batch().add(team("blue", &[]));
        let stale = batch.nested(|part| part.add(team("green", &[])).expect(red, Expected::At(Revision(7))));
        assert!(stale.expect_err("it is at r1").to_string().contains("r1"), "it names what was found");
        batch.nested(|part| part.expect(red, Expected::At(Revision(1))).remove(red))?;
        batch.commit()?;
        let history = registry.history();
        assert_eq!([red, id("blue"), id("green")].map(|team: Id<Team>| history.contains(team)), [false, true, false]);
        Ok(())
    })
}

#[test]
fn two_edits_of_one_entity_are_refused_in_the_second_part() -> Result<()> {
    check(|registry| {
        let red = registry.add(team("red", &["ann"]))?;
        let renamed = |name: &str| Team { name: name.to_owned(), ..team("red", &["ann"]) };
        let mut batch = registry.batch();
        batch.nested(|part| part.save(renamed("crimson")))?;
        assert!(batch.nested(|part| part.save(renamed("scarlet"))).is_err());
        batch.commit()?;
        assert_eq!(registry.get(red)?.name, "crimson");
        Ok(())
    })
}
