//! The registry: what can be called, what a run leaves behind, and who hears of it.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{Counting, TestClock, for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::{CallError, Digest, Observation, Result, RunEnd, Strategy, Strays, VersionKind};
use serde_json::json;

/// The versions of the last commit: label or type, and kind.
fn last_versions(registry: &Registry) -> Vec<(EntityId, VersionKind)> {
    let history = registry.history();
    let mut versions: Vec<_> = history
        .versions(history.head())
        .expect("the head is there")
        .iter()
        .map(|version| (version.entity, version.kind))
        .collect();
    versions.sort_unstable_by_key(|(entity, _)| *entity);
    versions
}

fn sorted<const N: usize>(mut versions: [(EntityId, VersionKind); N]) -> Vec<(EntityId, VersionKind)> {
    versions.sort_unstable_by_key(|(entity, _)| *entity);
    versions.into()
}

/// What everything is now: nothing changed exactly when this did not.
fn snapshot(registry: &Registry, root: EntityId) -> (Digest, Revision) {
    let history = registry.history();
    (history.digest(root, When::Head).expect("it is there"), history.revision(root).expect("it is there"))
}

for_both_schools! {
    fn raise(student: &mut Student, by: f64) {
        student.gpa += by;
    }
    fn level(students: Vec<&mut Student>) {
        students.into_iter().for_each(|student| student.gpa = 3.0);
    }
    fn mean(students: Vec<&Student>) -> f64 {
        students.iter().map(|student| student.gpa).sum::<f64>() / students.len() as f64
    }
    fn exchange(one: &mut Student, other: &mut Student) {
        std::mem::swap(&mut one.gpa, &mut other.gpa);
    }
    fn copy(from: &Student, to: &mut Student) {
        to.gpa = from.gpa;
    }
    fn detach(school: &mut School, index: usize) -> Student {
        take(&mut school.students, index)
    }
    fn found(name: String) -> School {
        School { id: Id::new(), name, students: list(vec![]), alumni: list(vec![]) }
    }
    fn enrol(name: String) -> (Student, Course, u32) {
        let course = Course { id: Id::new(), title: "Intro".into(), credits: 1 };
        (Student { id: Id::new(), name, gpa: 0.0, courses: list(vec![]), mentor: None }, course, 7)
    }
    fn check_gpa(student: &mut Student, most: f64) -> Result<f64, String> {
        student.gpa += 1.0;
        if student.gpa > most { Err(format!("{} is more than {most}", student.gpa)) } else { Ok(student.gpa) }
    }
    fn six(a: u8, b: u16, c: u32, d: u64, e: String, f: Option<bool>) -> String {
        format!("{a}{b}{c}{d}{e}{f:?}")
    }
    fn crash(student: &mut Student) {
        student.gpa = 0.0;
        std::panic::resume_unwind(Box::new("out of chalk"));
    }
    fn copy_in(school: &mut School, student: &Student) {
        push(&mut school.alumni, student.clone());
    }
    fn other_id(student: &mut Student) {
        student.id = Id::new();
    }

    impl Student {
        fn mentored_by(&mut self, mentor: Id<Student>) {
            self.mentor = Some(mentor);
        }
        fn is_good(&self) -> bool {
            self.gpa > 3.0
        }
    }

    fn registry() -> Result<Registry> {
        let registry = Registry::in_memory();
        let _ = registry.register("raise", raise)?.params(["student", "by"])?.docs("More is better.")?;
        let _ = registry.register("level", level)?;
        let _ = registry.register("mean", mean)?;
        let _ = registry.register("exchange", exchange)?;
        let _ = registry.register("copy", copy)?;
        let _ = registry.register("detach", detach)?;
        let _ = registry.register("found", found)?;
        let _ = registry.register("enrol", enrol)?;
        let _ = registry.register("check gpa", check_gpa)?;
        let _ = registry.register("six", six)?;
        let _ = registry.register("crash", crash)?;
        let _ = registry.register("copy in", copy_in)?;
        let _ = registry.register("other id", other_id)?;
        let _ = registry.register("mentored by", Student::mentored_by)?;
        let _ = registry.register("is good", Student::is_good)?;
        let _ = registry.register("nothing", || ())?;
        registry.add(small_school!())?;
        Ok(registry)
    }

    fn names() -> (Id<School>, Id<Student>, Id<Student>, Id<Course>) {
        (id("Hill"), id("Ann"), id("Bob"), id("Algebra"))
    }

    #[test]
    fn functions_of_many_shapes_are_called() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob, _) = names();
        assert_eq!(registry.call(mean, (vec![ann, bob],))?.into_value(), 2.75);
        registry.call(raise, (ann, 0.5))?;
        assert!(registry.call(Student::is_good, (ann,))?.into_value());
        registry.call(Student::mentored_by, (ann, bob))?;
        assert_eq!(registry.get(ann)?.mentor, Some(bob));
        registry.call(copy, (ann, bob))?;
        assert_eq!(registry.get(bob)?.gpa, 4.0);
        registry.call(level, (vec![ann, bob],))?;
        assert_eq!((registry.get(ann)?.gpa, registry.get(bob)?.gpa), (3.0, 3.0));
        assert_eq!(registry.call(six, (1, 2, 3, 4, "x".to_owned(), Some(true)))?.into_value(), "1234xSome(true)");
        let double = |number: u64| number * 2;
        let _ = registry.register("double", double)?;
        assert_eq!(registry.call(double, (21,))?.into_value(), 42);
        Ok(())
    }

    #[test]
    fn what_is_given_back_and_not_there_is_created() -> Result<()> {
        let registry = registry()?;
        let school = registry.call(found, ("Dale".to_owned(),))?;
        assert_eq!(registry.get(school.value().id)?, *school.value());
        assert_eq!(last_versions(&registry), [(school.value().id.into(), VersionKind::Own)]);
        let (student, course, number) = registry.call(enrol, ("Dan".to_owned(),))?.into_value();
        assert_eq!(number, 7);
        assert_eq!((registry.get(student.id)?, registry.get(course.id)?), (student, course));
        Ok(())
    }

    #[test]
    fn detaching_makes_a_root_with_its_lineage_and_its_owner_a_version_without_it() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, _, algebra) = names();
        let outcome = registry.call(detach, (hill, 0))?;
        assert_eq!(last_versions(&registry), sorted([(hill.into(), VersionKind::Own), (ann.into(), VersionKind::Own)]));
        assert_eq!(outcome.changes().to_string(), "Student Ann: moved from School Hill students[0] to the root of a tree");
        assert_eq!(registry.history().revision(ann)?, Revision(2));
        registry.call(raise, (ann, 1.0))?;
        assert_eq!(last_versions(&registry), [(ann.into(), VersionKind::Own)]);
        assert_eq!(registry.get(hill)?.students.len(), 1);
        assert_eq!(registry.history().revision(algebra)?, Revision(1));
        Ok(())
    }

    #[test]
    fn an_edit_deep_inside_gives_it_and_its_owners_a_version_and_nobody_else() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, _, algebra) = names();
        let credit = |course: &mut Course| course.credits += 1;
        let _ = registry.register("credit", credit)?;
        registry.call(credit, (algebra,))?;
        assert_eq!(
            last_versions(&registry),
            sorted([
                (hill.into(), VersionKind::Carried),
                (ann.into(), VersionKind::Carried),
                (algebra.into(), VersionKind::Own),
            ])
        );
        assert_eq!(registry.get(hill)?.students[0].courses[0].credits, 6);
        Ok(())
    }

    #[test]
    fn inputs_of_one_tree_all_land_or_are_refused() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, bob, _) = names();
        registry.call(exchange, (ann, bob))?;
        let school = registry.get(hill)?;
        assert_eq!((school.students[0].gpa, school.students[1].gpa), (2.0, 3.5));
        let move_in = |school: &mut School, student: &mut Student| {
            school.name = student.name.clone();
        };
        let _ = registry.register("move in", move_in)?;
        let before = (snapshot(&registry, hill.into()), registry.history().head());
        let check = |error: Result<(), CallError>, expected: String| {
            assert_eq!(error.expect_err("they overlap").to_string(), expected);
            assert_eq!((snapshot(&registry, hill.into()), registry.history().head()), before);
        };
        check(
            registry.call(exchange, (ann, ann)).map(drop),
            format!("\"exchange\" was given {ann} twice: a run edits an entity through one parameter"),
        );
        check(
            registry.call(copy, (ann, ann)).map(drop),
            format!("\"copy\" was given {ann} twice: a run edits an entity through one parameter"),
        );
        check(
            registry.call(level, (vec![ann, bob, ann],)).map(drop),
            format!("\"level\" was given {ann} twice: a run edits an entity through one parameter"),
        );
        check(
            registry.call(move_in, (hill, bob)).map(drop),
            format!("\"move in\" was given {hill} and {bob}, which that one owns: give the outer one alone"),
        );
        // Reading alone may overlap.
        assert_eq!(registry.call(mean, (vec![ann, ann],))?.into_value(), 2.0);
        Ok(())
    }

    #[test]
    fn a_run_that_fails_leaves_its_entry_in_the_log_alone() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, _, _) = names();
        let check = |error: Result<(), CallError>, text: &str, end: RunEnd| {
            assert_eq!(error.expect_err("it fails").to_string(), text);
            let history = registry.history();
            let entry = history.entries().next_back().expect("there is one").expect("it reads");
            assert_eq!(entry.run().expect("a callable ran").end(), &end);
            assert_eq!(entry.version_count(), 0);
        };
        let before = snapshot(&registry, hill.into());
        check(
            registry.call(check_gpa, (ann, 4.0)).map(drop),
            "\"check gpa\" failed: 4.5 is more than 4",
            RunEnd::Failed("4.5 is more than 4".into()),
        );
        check(
            registry.call(crash, (ann,)).map(drop),
            "\"crash\" panicked: out of chalk",
            RunEnd::Panicked("out of chalk".into()),
        );
        let twice = format!(
            "{ann} already stands at School {hill} students and would stand at School {hill} alumni[1] too: take it out \
             of the first in the same commit, or refer to it with an `Id`"
        );
        let copies = |school: &mut School| {
            let ann = school.students[0].clone();
            push(&mut school.alumni, ann);
        };
        let _ = registry.register("copies", copies)?;
        check(
            registry.call(copies, (hill,)).map(drop),
            &format!("\"copies\" ran, and nothing of it was kept: {twice}"),
            RunEnd::Refused(twice),
        );
        assert_eq!(snapshot(&registry, hill.into()), before);
        assert_eq!(registry.call(check_gpa, (ann, 5.0))?.into_value(), 4.5);
        Ok(())
    }

    #[test]
    fn a_run_that_changes_nothing_is_an_entry_without_versions() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, _, _) = names();
        let before = snapshot(&registry, hill.into());
        let outcome = registry.by("dean").call(raise, (ann, 0.0))?;
        assert!(outcome.is_unchanged());
        assert_eq!(outcome.entry()?.to_string().split_once("Z ").expect("a time").1, "dean raise: no version");
        assert_eq!(snapshot(&registry, hill.into()), before);
        Ok(())
    }

    #[test]
    fn a_callable_is_described() -> Result<()> {
        let registry = registry()?;
        let table = [
            ("raise", "raise(student: &mut Student, by: f64) -> unit: edits one", Strategy::EditsOne),
            ("level", "level(&mut list<Student>) -> unit: edits several", Strategy::EditsSeveral),
            ("mean", "mean(&list<Student>) -> f64: reads", Strategy::Reads),
            ("exchange", "exchange(&mut Student, &mut Student) -> unit: edits several", Strategy::EditsSeveral),
            ("copy", "copy(&Student, &mut Student) -> unit: edits one", Strategy::EditsOne),
            ("found", "found(text) -> School: creates", Strategy::Creates),
            ("enrol", "enrol(text) -> (Student, Course, u32): creates", Strategy::Creates),
            ("nothing", "nothing() -> unit: computes", Strategy::Computes),
            ("check gpa", "check gpa(&mut Student, f64) -> result<f64>: edits one", Strategy::EditsOne),
        ];
        for (name, text, strategy) in table {
            let description = registry.describe(name)?;
            assert_eq!((description.to_string().as_str(), description.strategy), (text, strategy));
        }
        assert_eq!(registry.describe("raise")?.docs.as_deref(), Some("More is better."));
        assert_eq!(registry.callables()[..3], ["raise".into(), "level".into(), "mean".into()]);
        Ok(())
    }

    #[test]
    fn strays_are_committed_refused_or_not_looked_for() -> Result<()> {
        let (_, ann, _, _) = names();
        let edited = || -> Result<(Registry, Held<Student>)> {
            let registry = registry()?;
            let mut held = registry.checkout(ann)?;
            held.name = "Anna".into();
            Ok((registry, held))
        };
        // A commit of their own, and then the run.
        let (registry, mut held) = edited()?;
        let outcome = registry.by("dean").call(raise, (&mut held, 0.5))?;
        assert_eq!(outcome.changes().to_string(), "Student Anna: gpa 3.5 -> 4.0");
        assert_eq!(
            registry.history().of(ann)?.to_string(),
            "r3 dean raise gpa 3.5 -> 4.0\nr2 dean \"edits made outside the registry\" name \"Ann\" -> \"Anna\"\nr1 added"
        );
        assert_eq!((held.base(), held.gpa, held.name.as_str()), (Revision(3), 4.0, "Anna"));
        // An error.
        let (registry, mut held) = edited()?;
        let error = registry.caller().strays(Strays::Refuse).call(raise, (&mut held, 0.5)).expect_err("it was edited");
        assert_eq!(
            error.to_string(),
            format!(
                "\"raise\", parameter \"student\": {ann} was edited outside the registry (Student Anna: name \"Ann\" -> \
                 \"Anna\"): save it first, or let strays be committed"
            )
        );
        assert_eq!((registry.history().revision(ann)?, held.name.as_str()), (Revision(1), "Anna"));
        // Part of what the run changed.
        let (registry, mut held) = edited()?;
        let outcome = registry.caller().strays(Strays::Unchecked).call(raise, (&mut held, 0.5))?;
        assert_eq!(outcome.changes().to_string(), "Student Anna: name \"Ann\" -> \"Anna\"\nStudent Anna: gpa 3.5 -> 4.0");
        assert_eq!(registry.history().revision(ann)?, Revision(2));
        // Whoever holds what is no longer the newest is told so, whatever was chosen.
        for strays in [Strays::Commit, Strays::Refuse, Strays::Unchecked] {
            let (registry, mut held) = edited()?;
            registry.call(raise, (ann, 0.5))?;
            let error = registry.caller().strays(strays).call(raise, (&mut held, 0.5)).expect_err("it is stale");
            assert_eq!(
                error.to_string(),
                format!(
                    "\"raise\", parameter \"student\": {ann} is at r2, not r1: someone committed since; look at it again, \
                     or check it out again"
                )
            );
            assert_eq!(registry.get(ann)?.name, "Ann");
        }
        Ok(())
    }

    #[test]
    fn an_id_that_a_run_replaces_is_refused() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, _, _) = names();
        let before = snapshot(&registry, hill.into());
        let error = registry.call(other_id, (ann,)).expect_err("an identity stays");
        assert!(matches!(error, CallError::Commit { .. }), "{error}");
        assert_eq!(snapshot(&registry, hill.into()), before);
        Ok(())
    }

    #[test]
    fn every_observation_is_heard_once_and_in_order() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, _, _) = names();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&heard);
        let subscription = registry.subscribe(move |observation: &Observation| {
            let text = match observation {
                Observation::WillRun { callable, entities, .. } => format!("will run {callable} on {}", entities.len()),
                Observation::DidRun { callable, .. } => format!("did run {callable}"),
                Observation::DidCommit { callable, versions, .. } => format!("did commit {callable:?} {versions}"),
                Observation::DidNotChange { callable, .. } => format!("did not change {callable}"),
                Observation::DidFail { callable, reason, .. } => format!("did fail {callable}: {reason}"),
                other => format!("{other:?}"),
            };
            inner.lock().expect("nobody panics").push(text);
        });
        let take = || std::mem::take(&mut *heard.lock().expect("nobody panics"));
        for _ in 0..3 {
            registry.call(raise, (ann, 0.1))?;
            assert_eq!(take(), ["will run raise on 1", "did run raise", "did commit Some(\"raise\") 2"]);
        }
        registry.call(raise, (ann, 0.0))?;
        assert_eq!(take(), ["will run raise on 1", "did run raise", "did not change raise"]);
        drop(registry.call(crash, (ann,)));
        assert_eq!(take(), ["will run crash on 1", "did fail crash: out of chalk"]);
        drop(registry.call(check_gpa, (ann, 0.0)));
        assert_eq!(take().len(), 3);
        registry.remove(hill)?;
        assert_eq!(take(), ["did commit None 1"]);
        registry.revert(hill, Revision(1))?;
        assert_eq!(take().len(), 1);

        let head = registry.history().head();
        registry.caller().observed(false).call(raise, (ann, 0.1))?;
        registry.set_observed(false);
        registry.call(raise, (ann, 0.1))?;
        registry.set_observed(true);
        drop(subscription);
        registry.call(raise, (ann, 0.1))?;
        assert_eq!(take(), Vec::<String>::new());
        assert_eq!(registry.history().head().0, head.0 + 3, "the log has its entry in any case");
        Ok(())
    }

    #[test]
    fn a_handler_that_panics_is_cut_off_and_one_that_calls_is_heard_in_turn() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob, _) = names();
        let (calls, commits) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&calls);
        let _cut_off = registry.subscribe(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            std::panic::resume_unwind(Box::new("no"));
        });
        let (inner, count) = (registry.clone(), Arc::clone(&commits));
        let _calls_on = registry.subscribe(move |observation| {
            if matches!(observation, Observation::DidCommit { .. }) && count.fetch_add(1, Ordering::Relaxed) == 0 {
                inner.call(raise, (bob, 1.0)).expect("a handler may call");
            }
        });
        registry.call(raise, (ann, 1.0))?;
        assert_eq!((calls.load(Ordering::Relaxed), commits.load(Ordering::Relaxed)), (1, 2));
        assert_eq!((registry.get(ann)?.gpa, registry.get(bob)?.gpa), (4.5, 3.0));
        Ok(())
    }

    #[test]
    fn runs_on_different_entities_from_two_threads_all_land() -> Result<()> {
        let registry = Registry::in_memory();
        let _ = registry.register("raise", raise)?;
        let add = |name: &str| {
            registry.add(Student { id: id(name), name: name.into(), gpa: 0.0, courses: list(vec![]), mentor: None })
        };
        let ids = [add("one")?, add("other")?];
        std::thread::scope(|scope| {
            for id in ids {
                let registry = &registry;
                scope.spawn(move || (0..100).for_each(|_| drop(registry.call(raise, (id, 1.0)).expect("nobody else"))));
            }
        });
        for id in ids {
            assert_eq!((registry.get(id)?.gpa, registry.history().revision(id)?), (100.0, Revision(101)));
        }
        assert_eq!(registry.history().head().0, 202);
        assert!(registry.history().entries().zip(1..).all(|(entry, position)| entry.expect("it reads").position().0 == position));
        Ok(())
    }

    #[test]
    fn an_injected_clock_and_ids_make_runs_repeatable() -> Result<()> {
        let run = || -> Result<Vec<String>> {
            let clock = Arc::new(TestClock::default());
            let registry = Registry::builder().clock(Arc::clone(&clock)).ids(Counting::default()).in_memory();
            let _ = registry.register("found", found)?;
            let _ = registry.register("enrol", enrol)?;
            let mut told = Vec::new();
            for name in ["Hill", "Dale"] {
                clock.set(told.len() as i64);
                let school = registry.call(found, (name.to_owned(),))?.into_value().id;
                told.push(format!("{school} {}", registry.history().digest(school, When::Head)?));
            }
            registry.call(enrol, ("Dan".to_owned(),))?;
            told.extend(registry.history().entries().map(|entry| entry.expect("it reads").to_string()));
            Ok(told)
        };
        assert_eq!(run()?, run()?);
        assert!(run()?[0].starts_with("00000000-0000-0000-0000-000000000001 "));
        Ok(())
    }

    #[test]
    fn a_closure_that_captures_runs_by_name_and_a_function_has_one() -> Result<()> {
        let registry = registry()?;
        let (_, ann, _, _) = names();
        let bonus = 0.5;
        let _ = registry.register("bonus", move |student: &mut Student| student.gpa += bonus)?;
        registry.execute("bonus", json!([format!("@{ann}")]))?;
        assert_eq!(registry.get(ann)?.gpa, 4.0);
        assert!(registry.register("again", raise).is_err());
        fn stranger(_: &mut Student) {}
        assert!(matches!(registry.call(stranger, (ann,)), Err(CallError::Unregistered { .. })));
        Ok(())
    }
}

#[test]
fn the_commit_of_stray_edits_is_observed_and_says_when_it_was() -> Result<()> {
    fn look(thing: &mut Thing) {
        let _ = thing;
    }
    let registry = Registry::in_memory();
    let _ = registry.register("look", look)?;
    let thing = registry.add(Thing { id: Id::new(), size: 1 })?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let _subscription = registry.subscribe(move |observation| {
        if let Observation::DidCommit { position, callable, .. } = observation {
            hears.lock().expect("no handler panics").push((*position, callable.clone()));
        }
    });
    let mut held = registry.checkout(thing)?;
    held.size = 2;
    let time: Timestamp = "2018-09-20T16:56:27+02:00".parse()?;
    registry.by("dean").at(time).call(look, (&mut held,))?;
    let heard = heard.lock().expect("no handler panics").clone();
    assert_eq!(heard, [(heirloom::Position(2), None)]);
    let entry = registry.history().entry(heirloom::Position(2))?;
    assert_eq!((entry.time(), entry.author()), (time, Some("dean")));
    Ok(())
}

#[derive(heirloom::Entity, Clone, Debug)]
struct Thing {
    id: Id<Thing>,
    size: u32,
}

#[test]
fn a_held_value_that_cannot_be_written_is_an_error_wherever_it_is_compared() -> Result<()> {
    #[derive(Clone, PartialEq, serde::Deserialize)]
    struct Shy(bool);
    impl serde::Serialize for Shy {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            if self.0 { Err(serde::ser::Error::custom("too shy")) } else { serializer.serialize_bool(self.0) }
        }
    }
    #[derive(heirloom::Entity, Clone)]
    struct Guest {
        id: Id<Guest>,
        #[entity(value)]
        shy: Shy,
    }
    fn greet(guest: &mut Guest) {
        let _ = guest;
    }
    let registry = Registry::in_memory();
    let _ = registry.register("greet", greet)?;
    let guest = registry.add(Guest { id: Id::new(), shy: Shy(false) })?;
    let mut held = registry.checkout(guest)?;
    held.shy = Shy(true);
    let saved = registry.save(&mut held).expect_err("it cannot be compared").to_string();
    assert!(saved.contains("too shy"), "{saved}");
    let called = registry.call(greet, (&mut held,)).expect_err("it cannot be compared").to_string();
    assert!(called.contains("too shy"), "{called}");
    assert_eq!(registry.history().revision(guest)?, Revision(1));
    Ok(())
}
