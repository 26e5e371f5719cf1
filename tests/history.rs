//! History: every version as it was, whoever asks for it, whenever and in whatever order.

mod common;

use std::sync::{Arc, Barrier};

use common::{TestClock, at, for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::{CommitError, Digest, Expected, FieldVersion, Position, ReadError, Result, Tree, VersionKind, diff};

for_both_schools! {
    fn raise(student: &mut Student, by: f64) {
        student.gpa += by;
    }

    /// Moves a course between two students.
    fn swap_course(from: &mut Student, to: &mut Student) {
        let course = take(&mut from.courses, 0);
        push(&mut to.courses, course);
    }

    fn registry() -> Result<(Registry, Arc<TestClock>)> {
        let clock = Arc::new(TestClock::default());
        let registry = Registry::builder().clock(Arc::clone(&clock)).in_memory();
        let _ = registry.register("raise", raise)?.params(["student", "by"])?.code_version("v7")?;
        let _ = registry.register("swap course", swap_course)?;
        clock.set(100);
        registry.by("ann").add(small_school!())?;
        Ok((registry, clock))
    }

    #[test]
    fn a_commit_says_who_when_what_and_by_which_run() -> Result<()> {
        let (registry, clock) = registry()?;
        clock.set(200);
        let ann = id::<Student>("Ann");
        let outcome = registry.by("dean").message("for the prize").property("ticket", "17").call(raise, (ann, 0.25))?;
        let entry = outcome.entry()?;
        assert_eq!(entry.to_string(), "#2 1970-01-01T00:03:20Z dean raise \"for the prize\": 2 versions");
        assert_eq!((entry.author(), entry.message()), (Some("dean"), Some("for the prize")));
        assert_eq!((entry.property("ticket"), entry.property("none")), (Some("17"), None));
        assert_eq!(entry.properties().collect::<Vec<_>>(), [("ticket", "17")]);
        assert_eq!(entry.time(), at(200));
        let run = entry.run().expect("a callable made it");
        assert_eq!((run.callable(), run.code_version()), ("raise", Some("v7")));
        let arguments: Vec<String> = run.arguments().iter().map(ToString::to_string).collect();
        assert_eq!(arguments, [format!("@{ann}#r1"), "0.25".to_owned()]);
        // A time of its own.
        let outcome = registry.by("dean").at(at(150)).call(raise, (ann, 0.25))?;
        assert_eq!(outcome.entry().expect("it reads").time(), at(150));
        Ok(())
    }

    #[test]
    fn a_lineage_prints_as_it_is() -> Result<()> {
        let (registry, _) = registry()?;
        let ann = id::<Student>("Ann");
        registry.by("dean").call(raise, (ann, 0.25))?;
        registry.by("zoe").call(swap_course, (ann, id::<Student>("Bob")))?;
        assert_eq!(
            registry.history().of(ann)?.to_string(),
            "r3 zoe swap course Course Algebra: moved from Student Ann courses[0] to Student Bob courses[1]\n\
             r2 dean raise gpa 3.5 -> 3.75\n\
             r1 ann added"
        );
        assert_eq!(
            registry.history().of(id::<School>("Hill"))?.to_string(),
            "r3 zoe swap course carried by Student Ann, Student Bob\n\
             r2 dean raise carried by Student Ann\n\
             r1 ann added"
        );
        let versions = registry.history().of(id::<Course>("Algebra"))?;
        let kinds: Vec<_> = versions.iter().map(|version| version.map(|version| (version.revision, version.kind, version.predecessor))).collect::<std::result::Result<_, _>>()?;
        assert_eq!(
            kinds,
            [(Revision(2), VersionKind::Own, Some(Revision(1))), (Revision(1), VersionKind::Own, None)]
        );
        Ok(())
    }

    #[test]
    fn a_state_is_found_by_revision_position_time_and_tag() -> Result<()> {
        let (registry, clock) = registry()?;
        let (history, ann) = (registry.history(), id::<Student>("Ann"));
        // Times run backwards: the highest position not later than a time counts.
        for (time, by) in [(300, 1.0), (200, 2.0), (400, 4.0)] {
            clock.set(time);
            registry.call(raise, (ann, by))?;
        }
        history.tag("prize", Position(2))?;
        let gpa = |when: When| history.at(ann, when).map(|ann| ann.gpa);
        let table: [(When, f64); 12] = [
            (When::Head, 10.5),
            (Revision(1).into(), 3.5),
            (Revision(2).into(), 4.5),
            (Revision(4).into(), 10.5),
            (Position(1).into(), 3.5),
            (Position(3).into(), 6.5),
            (at(100).into(), 3.5),
            (at(199).into(), 3.5),
            (at(200).into(), 6.5),
            (at(300).into(), 6.5),
            (at(400).into(), 10.5),
            (When::Tag("prize".into()), 4.5),
        ];
        for (when, expected) in table {
            assert_eq!(gpa(when.clone())?, expected, "{when}");
        }
        let school: School = history.at(id::<School>("Hill"), Position(3))?;
        assert_eq!(school.students[0].gpa, 6.5);
        assert_eq!(gpa(at(99).into()), Err(ReadError::TooEarly { when: at(99).into() }));
        Ok(())
    }

    #[test]
    fn any_two_versions_are_compared() -> Result<()> {
        let (registry, _) = registry()?;
        let (history, ann, hill) = (registry.history(), id::<Student>("Ann"), id::<School>("Hill"));
        registry.call(raise, (ann, 0.25))?;
        registry.call(swap_course, (ann, id::<Student>("Bob")))?;
        let check = |from: u64, to: u64, expected: &str| -> Result<()> {
            assert_eq!(history.diff(hill, Position(from), Position(to))?.to_string(), expected);
            let state = |at: u64| history.at(hill, Position(at));
            assert_eq!(diff(&state(from)?, &state(to)?)?.to_string(), expected);
            Ok(())
        };
        check(1, 1, "")?;
        check(1, 2, "Student Ann: gpa 3.5 -> 3.75")?;
        check(2, 1, "Student Ann: gpa 3.75 -> 3.5")?;
        check(2, 3, "Course Algebra: moved from Student Ann courses[0] to Student Bob courses[1]")?;
        check(
            1,
            3,
            "Student Ann: gpa 3.5 -> 3.75\nCourse Algebra: moved from Student Ann courses[0] to Student Bob courses[1]",
        )
    }

    #[test]
    fn a_fields_history_has_an_entry_for_each_value() -> Result<()> {
        let (registry, clock) = registry()?;
        let ann = id::<Student>("Ann");
        clock.set(200);
        registry.by("dean").call(raise, (ann, 0.25))?;
        registry.call(swap_course, (ann, id::<Student>("Bob")))?;
        clock.set(300);
        registry.call(raise, (ann, 0.0))?;
        registry.by("dean").call(raise, (ann, -0.25))?;
        let values: Vec<(u64, f64, Option<String>)> = registry
            .history()
            .field(ann, Student::GPA)?
            .into_iter()
            .map(|FieldVersion { revision, value, author, .. }| (revision.0, value, author))
            .collect();
        let dean = || Some("dean".to_owned());
        assert_eq!(values, [(1, 3.5, Some("ann".into())), (2, 3.75, dean()), (4, 3.5, dean())]);
        Ok(())
    }

    #[test]
    fn a_revert_is_a_new_version_and_loses_nothing() -> Result<()> {
        let (registry, _) = registry()?;
        let (history, ann, hill) = (registry.history(), id::<Student>("Ann"), id::<School>("Hill"));
        let first: School = history.get(hill)?;
        registry.call(raise, (ann, 0.25))?;
        registry.call(swap_course, (ann, id::<Student>("Bob")))?;
        let third: School = history.get(hill)?;
        let outcome = registry.by("dean").revert(hill, Revision(1))?;
        assert_eq!(outcome.changes().len(), 2, "{}", outcome.changes());
        assert_eq!(history.get(hill)?, first);
        assert_eq!(history.revision(hill)?, Revision(4));
        assert_eq!(history.at(hill, Revision(3))?, third);
        registry.revert(hill, Revision(3))?;
        assert_eq!(history.get(hill)?, third);
        // As it is already: an entry without versions.
        assert!(registry.revert(hill, Revision(3))?.is_unchanged());
        assert_eq!(history.revision(hill)?, Revision(5));
        Ok(())
    }

    #[test]
    fn a_revert_of_what_is_owned_elsewhere_since_is_a_conflict() -> Result<()> {
        let (registry, _) = registry()?;
        let (ann, bob, algebra) = (id::<Student>("Ann"), id::<Student>("Bob"), id::<Course>("Algebra"));
        registry.call(swap_course, (ann, bob))?;
        let head = registry.history().head();
        let error = registry.revert(ann, Revision(1)).expect_err("Bob has it").to_string();
        assert_eq!(
            error,
            format!(
                "{algebra} already stands at Student {bob} courses and would stand at Student {ann} courses[0] too: \
                 take it out of the first in the same commit, or refer to it with an `Id`"
            )
        );
        assert_eq!(registry.history().head(), head);
        Ok(())
    }

    #[test]
    fn a_removal_is_a_version_and_a_return_goes_on_from_there() -> Result<()> {
        let (registry, _) = registry()?;
        let (history, ann, hill) = (registry.history(), id::<Student>("Ann"), id::<School>("Hill"));
        let first: School = history.get(hill)?;
        registry.by("dean").remove(hill)?;
        assert_eq!((history.contains(hill), history.contains(ann)), (false, false));
        assert_eq!(history.revision(hill)?, Revision(2));
        assert_eq!(history.revision(ann)?, Revision(1));
        assert_eq!(history.at(hill, Revision(1))?, first);
        assert_eq!(history.at(ann, Revision(1))?, first.students[0]);
        registry.by("dean").revert(hill, Revision(1))?;
        assert_eq!(history.get(hill)?, first);
        assert_eq!((history.revision(hill)?, history.revision(ann)?), (Revision(3), Revision(2)));
        assert_eq!(history.of(hill)?.to_string(), "r3 dean added\nr2 dean removed\nr1 ann added");
        assert!(history.at(ann, Position(2)).is_err(), "it was away");
        Ok(())
    }

    #[test]
    fn what_an_owner_comes_back_without_stays_away() -> Result<()> {
        let (registry, _) = registry()?;
        let (history, ann, bob, hill) =
            (registry.history(), id::<Student>("Ann"), id::<Student>("Bob"), id::<School>("Hill"));
        let mut school: School = history.get(hill)?;
        let ann_then: Student = history.get(ann)?;
        registry.remove(hill)?;
        drop(take(&mut school.students, 0));
        registry.add(school)?;
        assert_eq!((history.contains(ann), history.contains(id::<Course>("Algebra")), history.contains(bob)), (false, false, true));
        assert_eq!(
            history.get(ann).expect_err("it is gone").to_string(),
            format!(
                "{ann} was removed with {hill}, which owned it, in that one's r2: read it as of an earlier revision, \
                 or add it again"
            ),
        );
        // It can come back on its own, and is a root then.
        registry.add(ann_then.clone())?;
        assert_eq!((history.get(ann)?, history.revision(ann)?), (ann_then, Revision(2)));
        Ok(())
    }

    #[test]
    fn what_goes_is_told_as_it_was_last() -> Result<()> {
        let (registry, _) = registry()?;
        let _ = registry.register("drop first", |school: &mut School| drop(take(&mut school.students, 0)))?;
        let _ = registry.register("rename", |student: &mut Student| student.name = "Anna".into())?;
        registry.execute("rename", serde_json::json!([format!("@{}", id::<Student>("Ann"))]))?;
        let outcome = registry.execute("drop first", serde_json::json!([format!("@{}", id::<School>("Hill"))]))?;
        assert_eq!(outcome.changes().to_string(), "Student Anna: removed from School Hill students[0]");
        assert_eq!(outcome.changes().to_json()?[0]["before"]["name"], "Anna");
        Ok(())
    }

    #[test]
    fn a_head_may_be_expected() -> Result<()> {
        let (registry, _) = registry()?;
        let (ann, bob) = (id::<Student>("Ann"), id::<Student>("Bob"));
        let edited = || -> Result<Student> { Ok(Student { gpa: 1.0, ..registry.get(bob)? }) };
        let check = |id: EntityId, expected: Expected| -> Result<Option<String>> {
            Ok(registry.batch().expect(id, expected).save(edited()?).commit().err().map(|error| error.to_string()))
        };
        registry.call(raise, (ann, 1.0))?;
        assert_eq!(
            check(ann.into(), Expected::At(Revision(1)))?,
            Some(format!("{ann} is at r2, not r1: someone committed first; read it again and retry")),
        );
        assert_eq!(
            check(ann.into(), Expected::Absent)?,
            Some(format!("{ann} is at r2, and was expected not to be there: someone added it first")),
        );
        assert_eq!(check(ann.into(), Expected::At(Revision(2)))?, None);
        assert_eq!(check(ann.into(), Expected::Any)?, None);
        assert_eq!(check(id::<Student>("Nobody").into(), Expected::Absent)?, None);
        Ok(())
    }

    #[test]
    fn a_held_entity_that_is_stale_is_a_conflict() -> Result<()> {
        let (registry, _) = registry()?;
        let ann = id::<Student>("Ann");
        let mut held = registry.checkout(ann)?;
        registry.call(raise, (ann, 1.0))?;
        let head = registry.history().head();
        held.gpa = 0.0;
        let error = registry.save(&mut held).expect_err("it is stale");
        assert!(
            matches!(error, CommitError::Conflict { entity, expected: Revision(1), found: Revision(2) } if entity == ann.into())
        );
        assert_eq!(registry.history().head(), head);
        assert_eq!(registry.get(ann)?.gpa, 4.5);
        Ok(())
    }

    #[test]
    fn of_two_writers_on_one_entity_one_conflicts() -> Result<()> {
        let (registry, _) = registry()?;
        let ann = id::<Student>("Ann");
        let barrier = Barrier::new(2);
        let write = |by: f64| {
            let mut held = registry.checkout(ann).expect("it is there");
            held.gpa += by;
            barrier.wait();
            registry.save(&mut held)
        };
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| write(1.0));
            let other = write(2.0);
            (one.join().expect("it does not panic"), other)
        });
        let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
        assert!(won.is_ok());
        assert_eq!(
            lost.expect_err("one of two").to_string(),
            format!("{ann} is at r2, not r1: someone committed first; read it again and retry")
        );
        assert_eq!(registry.history().of(ann)?.len(), 2);
        Ok(())
    }

    #[test]
    fn what_was_read_must_still_be_so() -> Result<()> {
        let (registry, _) = registry()?;
        let (ann, bob) = (id::<Student>("Ann"), id::<Student>("Bob"));
        let inner = registry.clone();
        // While this runs on Bob, and reads Ann, somebody changes Ann.
        let _ = registry.register("level", move |bob: &mut Student, ann: &Student| {
            inner.call(raise, (id::<Student>("Ann"), 1.0)).expect("nothing is locked while a callable runs");
            bob.gpa = ann.gpa;
        })?;
        let error = registry
            .execute("level", serde_json::json!([format!("@{bob}"), format!("@{ann}")]))
            .expect_err("what it read has changed")
            .to_string();
        assert_eq!(
            error,
            format!(
                "\"level\" ran, and nothing of it was kept: {ann} is at r2, not r1: someone committed first; read it \
                 again and retry"
            )
        );
        assert_eq!(registry.get(bob)?.gpa, 2.0);
        Ok(())
    }

    #[test]
    fn equal_states_have_equal_digests_however_they_came_about() -> Result<()> {
        let (one, _) = registry()?;
        let (other, _) = registry()?;
        let (ann, bob, hill) = (id::<Student>("Ann"), id::<Student>("Bob"), id::<School>("Hill"));
        one.call(raise, (ann, 1.0))?;
        one.call(raise, (bob, 1.0))?;
        one.call(swap_course, (ann, bob))?;
        other.call(swap_course, (ann, bob))?;
        other.call(raise, (bob, 0.5))?;
        other.call(raise, (bob, 0.5))?;
        other.call(raise, (ann, 1.0))?;
        let mut built = small_school!();
        let algebra = take(&mut built.students[0].courses, 0);
        push(&mut built.students[1].courses, algebra);
        built.students[0].gpa = 4.5;
        built.students[1].gpa = 3.0;
        let digest = |registry: &Registry| -> Result<Digest> { Ok(registry.history().digest(hill, When::Head)?) };
        let expected = Tree::of(&built)?.digest();
        assert_eq!((digest(&one)?, digest(&other)?), (expected, expected));
        assert_ne!(one.history().digest(hill, Revision(1))?, expected);
        Ok(())
    }

    #[test]
    fn something_moved_into_an_owner_that_returns_goes_along() -> Result<()> {
        let (registry, _) = registry()?;
        let (history, hill, algebra) = (registry.history(), id::<School>("Hill"), id::<Course>("Algebra"));
        let bob: Student = history.get(id::<Student>("Bob"))?;
        let _ = registry.register("drop bob", |school: &mut School| drop(take(&mut school.students, 1)))?;
        registry.execute("drop bob", serde_json::json!([format!("@{hill}")]))?;
        let mut school: School = history.get(hill)?;
        let mut returning = bob;
        let course = take(&mut school.students[0].courses, 0);
        push(&mut returning.courses, course);
        push(&mut school.students, returning);
        let outcome = registry.batch().save(school.clone()).commit()?;
        assert_eq!(history.get(hill)?, school);
        assert_eq!(
            outcome.changes().to_string(),
            "Course Algebra: moved from Student Ann courses[0] to Student Bob courses[1]\n\
             Student Bob: added to School Hill students[1]"
        );
        assert_eq!((history.revision(id::<Student>("Bob"))?, history.revision(algebra)?), (Revision(3), Revision(2)));
        Ok(())
    }

    #[test]
    fn a_wide_owner_is_read_back_at_every_revision_in_any_order() -> Result<()> {
        let (registry, _) = registry()?;
        let class = Student {
            id: id("class"),
            name: "Class".into(),
            gpa: 0.0,
            courses: list((0..200).map(|number| Course { id: id(&format!("c{number}")), title: String::new(), credits: 0 }).collect()),
            mentor: None,
        };
        registry.add(class)?;
        let _ = registry.register("credit", |course: &mut Course, credits: u32| course.credits = credits)?;
        for round in 1..=100_u32 {
            let course = id::<Course>(&format!("c{}", round * 7 % 50));
            registry.execute("credit", serde_json::json!([format!("@{course}"), round]))?;
        }
        let expected = |revision: u64| -> Vec<u32> {
            let mut credits = vec![0; 50];
            (1..revision).for_each(|round| credits[(round * 7 % 50) as usize] = round as u32);
            credits
        };
        for revision in [101, 1, 50, 2, 100, 49, 51, 25, 75, 101] {
            let class: Student = registry.history().at(id("class"), Revision(revision))?;
            let credits: Vec<u32> = class.courses.iter().take(50).map(|course| course.credits).collect();
            assert_eq!(credits, expected(revision), "{revision}");
        }
        Ok(())
    }
}

#[derive(Entity, Clone, Debug)]
struct Link {
    id: Id<Link>,
    depth: u32,
    next: Option<Child<Link>>,
}

fn deepen(link: &mut Link, by: u32) {
    link.depth += by;
}

#[test]
fn a_chain_of_a_hundred_thousand_is_built_edited_read_compared_and_dropped() -> Result<()> {
    let link = |depth: u32, next| Link { id: id(&depth.to_string()), depth, next };
    let mut chain = link(100_000, None);
    for depth in (0..100_000).rev() {
        chain = link(depth, Some(Child::new(chain)));
    }
    let registry = Registry::in_memory();
    let _ = registry.register("deepen", deepen)?;
    let (root, deepest) = (registry.add(chain)?, id::<Link>("100000"));
    let outcome = registry.call(deepen, (deepest, 5))?;
    assert_eq!(outcome.versions()?.len(), 100_001);
    assert_eq!(outcome.changes().len(), 1);
    let history = registry.history();
    let mut at = &history.get(root)?;
    while let Some(next) = &at.next {
        at = next;
    }
    assert_eq!(at.depth, 100_005);
    assert_eq!(history.diff(root, Revision(1), Revision(2))?.to_string().matches("depth 100000 -> 100005").count(), 1);
    assert_ne!(history.digest(root, Revision(1))?, history.digest(root, Revision(2))?);
    assert_eq!(registry.revert(deepest, Revision(1))?.versions()?.len(), 100_001);
    registry.remove(root)?;
    Ok(())
}

#[test]
fn a_removed_chain_of_twenty_thousand_returns_at_once_in_whatever_order() -> Result<()> {
    const LENGTH: u32 = 20_000;
    let chain = |order: &mut dyn Iterator<Item = u32>| {
        let link = |next, depth: u32| Some(Child::new(Link { id: id(&depth.to_string()), depth, next }));
        order.fold(None, link).expect("it has links").into_inner()
    };
    let registry = Registry::in_memory();
    let top = registry.add(chain(&mut (0..LENGTH).rev()))?;
    registry.remove(top)?;
    // Each that returns was gone with an owner far above.
    let outcome = registry.revert(top, Revision(1))?;
    assert_eq!(outcome.versions()?.len(), LENGTH as usize);
    registry.remove(top)?;
    // Turned round, so that each returns before what owned it.
    let bottom = registry.add(chain(&mut (0..LENGTH)))?;
    let history = registry.history();
    assert_eq!((history.revision(bottom)?, history.revision(top)?), (Revision(3), Revision(5)));
    assert_eq!(history.get(top)?.depth, 0);
    Ok(())
}

#[derive(Entity, Clone, Debug)]
struct Wide {
    id: Id<Wide>,
    links: Children<Link>,
}

#[test]
fn one_edit_below_an_owner_of_a_hundred_thousand_makes_two_versions() -> Result<()> {
    let links = (0..100_000_u32).map(|depth| Link { id: id(&depth.to_string()), depth, next: None });
    let registry = Registry::in_memory();
    let _ = registry.register("deepen", deepen)?;
    let root = registry.add(Wide { id: id("wide"), links: Children::try_from_iter(links)? })?;
    for round in 0..100_u32 {
        assert_eq!(registry.call(deepen, (id::<Link>(&(round * 997).to_string()), 1))?.versions()?.len(), 2);
    }
    let history = registry.history();
    assert_eq!(history.diff(root, Revision(1), Revision(101))?.len(), 100);
    assert_eq!(history.get(root)?.links[997].depth, 998);
    assert_eq!(history.at(root, Revision(2))?.links[997].depth, 997);
    Ok(())
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Sensor {
    id: Id<Sensor>,
    value: i64,
    #[entity(skip)]
    cache: i64,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Plant {
    id: Id<Plant>,
    name: String,
    plain: Vec<Sensor>,
    shared: Children<Sensor>,
    one: Option<Child<Sensor>>,
}

#[test]
fn skipped_fields_are_default_on_every_read() -> Result<()> {
    fn work(plant: &mut Plant, edits: bool) {
        let sensors = plant.plain.iter_mut().chain(&mut plant.shared).chain(plant.one.as_deref_mut());
        for sensor in sensors {
            sensor.cache += 1;
            sensor.value += i64::from(edits);
        }
    }
    let sensor = |name: &str| Sensor { id: id(name), value: 0, cache: 9 };
    let registry = Registry::in_memory();
    let _ = registry.register("work", work)?;
    let plant = registry.add(Plant {
        id: id("plant"),
        name: "P".into(),
        plain: vec![sensor("a"), sensor("b")],
        shared: Children::try_from_iter([sensor("c"), sensor("d")])?,
        one: Some(Child::new(sensor("e"))),
    })?;
    let check = |revision: u64, value: i64| -> Result<()> {
        for when in [When::Revision(Revision(revision)), When::Head] {
            let plant = registry.history().at(plant, when)?;
            for sensor in plant.plain.iter().chain(&plant.shared).chain(plant.one.as_deref()) {
                assert_eq!((sensor.value, sensor.cache), (value, 0), "{sensor:?}");
            }
        }
        Ok(())
    };
    check(1, 0)?;
    assert!(registry.call(work, (plant, false))?.is_unchanged());
    check(1, 0)?;
    assert_eq!(registry.call(work, (plant, true))?.versions()?.len(), 6);
    check(2, 1)?;
    assert_eq!(registry.get(id::<Sensor>("c"))?.cache, 0);
    Ok(())
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Garden {
    id: Id<Garden>,
    name: String,
    sensors: Children<Sensor>,
    one: Option<Child<Sensor>>,
}

#[test]
fn skipped_fields_below_handles_are_default_on_every_read() -> Result<()> {
    fn work(garden: &mut Garden, edits: usize, renames: bool) {
        for (index, sensor) in garden.sensors.iter_mut().chain(garden.one.as_deref_mut()).enumerate() {
            sensor.cache += 1;
            sensor.value += i64::from(index < edits);
        }
        if renames {
            garden.name.push('!');
        }
    }
    let sensor = |name: &str| Sensor { id: id(name), value: 0, cache: 9 };
    for (edits, renames) in [(0, false), (0, true), (1, false), (1, true), (3, false), (3, true)] {
        let registry = Registry::in_memory();
        let _ = registry.register("work", work)?;
        let garden = registry.add(Garden {
            id: id("garden"),
            name: "G".into(),
            sensors: Children::try_from_iter([sensor("c"), sensor("d")])?,
            one: Some(Child::new(sensor("e"))),
        })?;
        registry.call(work, (garden, edits, renames))?;
        for revision in (1..=registry.history().revision(garden)?.0).map(Revision) {
            let garden = registry.history().at(garden, revision)?;
            for (index, sensor) in garden.sensors.iter().chain(garden.one.as_deref()).enumerate() {
                let value = i64::from(revision.0 == 2 && index < edits);
                assert_eq!((sensor.value, sensor.cache), (value, 0), "{edits} {renames} {revision} {sensor:?}");
            }
        }
        let garden = registry.checkout(garden)?;
        assert!(garden.sensors.iter().all(|sensor| sensor.cache == 0), "{edits} {renames}: {garden:?}");
    }
    Ok(())
}

#[test]
fn a_tag_stays_and_a_branch_is_named() -> Result<()> {
    let registry = Registry::in_memory();
    registry.add(Sensor { id: id("a"), value: 1, cache: 0 })?;
    registry.add(Sensor { id: id("b"), value: 1, cache: 0 })?;
    let history = registry.history();
    assert_eq!(history.tag("first", Position(1))?, Position(1));
    assert_eq!(history.tag("first", Position(1))?, Position(1));
    let text = |error: ReadError| error.to_string();
    assert_eq!(
        text(history.tag("first", When::Head).expect_err("it stands")),
        "the tag \"first\" stands at #1 already: tags stay, so choose another name"
    );
    assert_eq!(
        text(history.position(When::Tag("last".into())).expect_err("there is none")),
        "there is no tag \"last\": known are first"
    );
    assert_eq!(history.on("main")?.branch(), "main");
    assert_eq!(text(history.on("dev").err().expect("there is one")), "there is no branch \"dev\": known is main");
    registry.by("dean").on("main")?.add(Sensor { id: id("c"), value: 1, cache: 0 })?;
    assert!(registry.by("dean").on("dev").is_err());
    Ok(())
}

#[test]
fn of_two_threads_that_bring_one_entity_back_one_does() {
    let sensor = Sensor { id: id("back"), value: 0, cache: 0 };
    for _ in 0..100 {
        let registry = Registry::in_memory();
        let back = registry.add(sensor.clone()).expect("it is new");
        registry.remove(back).expect("it is there");
        let returned = std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| registry.add(sensor.clone()).is_ok()));
            threads.map(|thread| thread.join().expect("adding does not panic")).iter().filter(|ok| **ok).count()
        });
        assert_eq!(returned, 1);
        assert_eq!(registry.history().revision(back).expect("it is known"), Revision(3));
    }
}

#[test]
fn what_an_owner_takes_with_it_is_gone_for_every_thread_that_looked_meanwhile() {
    for round in 0..50 {
        let registry = Registry::in_memory();
        let garden = Garden {
            id: id("garden"),
            name: "G".into(),
            sensors: Children::try_from_iter((0..20).map(|at| Sensor {
                id: id(&format!("{round} {at}")),
                value: 0,
                cache: 0,
            }))
            .expect("no id stands twice"),
            one: None,
        };
        let sensors: Vec<Id<Sensor>> = garden.sensors.iter().map(|sensor| sensor.id).collect();
        let garden = registry.add(garden).expect("it is new");
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for _ in 0..20 {
                    sensors.iter().for_each(|sensor| _ = registry.history().contains(*sensor));
                }
            });
            start.wait();
            registry.remove(garden).expect("it is there");
        });
        assert!(sensors.iter().all(|sensor| !registry.history().contains(*sensor)), "round {round}");
    }
}
