//! Trees of entities that need no registry: paths, owners, references, and what stands twice.

mod common;

use std::collections::BTreeMap;

use common::{for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::{RepeatedError, Tree};

for_both_schools! {
    #[test]
    fn every_entity_has_its_path_and_its_owner() -> Result<(), RepeatedError> {
        let school = small_school!();
        let tree = Tree::of(&school)?;
        let table = [
            ("Hill", "", None),
            ("Ann", "students[0]", Some(("Hill", "students"))),
            ("Botany", "students[0].courses[1]", Some(("Ann", "courses"))),
            ("Chemistry", "students[1].courses[0]", Some(("Bob", "courses"))),
            ("Zoe", "alumni[0]", Some(("Hill", "alumni"))),
        ];
        for (name, path, owner) in table {
            let entity = id::<()>(name).entity_id();
            assert_eq!(tree.path(entity).as_deref(), Some(path));
            assert_eq!(tree.owner(entity), owner.map(|(owner, field)| (id::<()>(owner).entity_id(), field)));
            assert_eq!(tree.subject(entity).and_then(|subject| subject.label).as_deref(), Some(name));
        }
        assert_eq!(tree.len(), 7);
        assert_eq!(tree.ids().next(), Some(school.id.into()));
        assert_eq!(tree.get(id::<Student>("Ann")).map(|ann| ann.gpa), Some(3.5));
        assert!(tree.get(id::<Course>("Ann")).is_none());
        assert_eq!((tree.contains(id::<Student>("Ann")), tree.contains(id::<Student>("Nobody"))), (true, false));
        Ok(())
    }

    #[test]
    fn it_is_known_who_refers_to_whom() -> Result<(), RepeatedError> {
        let mut school = small_school!();
        school.students[0].mentor = Some(id("Zoe"));
        school.students[1].mentor = Some(id("Zoe"));
        school.alumni[0].mentor = Some(id("Nobody"));
        let tree = Tree::of(&school)?;
        let referrers = |name: &str| tree.referrers(id::<Student>(name)).collect::<Vec<_>>();
        assert_eq!(
            referrers("Zoe"),
            [(id::<()>("Ann").entity_id(), "mentor"), (id::<()>("Bob").entity_id(), "mentor")]
        );
        assert_eq!(referrers("Nobody"), [(id::<()>("Zoe").entity_id(), "mentor")]);
        assert_eq!(referrers("Ann"), []);
        Ok(())
    }

    #[test]
    fn what_stands_twice_is_refused_with_both_places() {
        let mut school = small_school!();
        let algebra = school.students[0].courses[0].clone();
        push(&mut school.students[1].courses, algebra);
        let [algebra, ann, bob] = ["Algebra", "Ann", "Bob"].map(id::<()>);
        assert_eq!(
            Tree::of(&school).expect_err("Algebra stands twice").to_string(),
            format!(
                "{algebra} stands twice: at Student {ann} courses[0] and at Student {bob} courses[1]; an entity has one \
                 owner, so take it out of one, or refer to it with an `Id`"
            )
        );
    }

    #[test]
    fn a_tree_of_the_past_is_a_view() -> heirloom::Result<()> {
        let registry = Registry::in_memory();
        let hill = registry.add(small_school!())?;
        let mut school = registry.checkout(hill)?;
        let algebra = take(&mut school.students[0].courses, 0);
        push(&mut school.students[1].courses, algebra);
        school.students[0].mentor = Some(id("Zoe"));
        registry.save(&mut school)?;
        let history = registry.history();
        let (then, now) = (history.tree(hill, Revision(1))?, history.tree(hill, When::Head)?);
        let algebra = id::<Course>("Algebra");
        assert_eq!(then.owner(algebra)?, Some((id::<()>("Ann").entity_id(), "courses")));
        assert_eq!(now.owner(algebra)?, Some((id::<()>("Bob").entity_id(), "courses")));
        assert_eq!((then.get(id::<Student>("Ann"))?.courses.len(), now.get(id::<Student>("Ann"))?.courses.len()), (2, 1));
        assert_eq!(then.referrers(id::<Student>("Zoe"))?, []);
        assert_eq!(now.referrers(id::<Student>("Zoe"))?, [(id::<()>("Ann").entity_id(), "mentor")]);
        Ok(())
    }
}

#[derive(Entity, Clone)]
struct Crate {
    id: Id<Crate>,
    inner: BTreeMap<String, Vec<Crate>>,
}

#[test]
fn a_path_leads_through_containers() -> Result<(), RepeatedError> {
    let empty = |name: &str| Crate { id: id(name), inner: BTreeMap::new() };
    let mut outer = empty("outer");
    outer.inner.insert("a b".into(), vec![empty("first"), empty("second")]);
    let tree = Tree::of(&outer)?;
    assert_eq!(tree.path(id::<Crate>("second")).as_deref(), Some("inner[\"a b\"][1]"));
    // The root within itself.
    let mut ring = empty("ring");
    ring.inner.insert("x".into(), vec![empty("ring")]);
    assert!(Tree::of(&ring).expect_err("it stands twice").to_string().contains("at the root of a tree and at Crate"));
    Ok(())
}
