//! Entities that a callable takes by value or perhaps: what is given back is an edit, what is not was read.

mod common;

use common::{for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::{Access, Argument, CallError, CommitError, Result, RunEnd, Strategy};
use serde_json::json;

for_both_schools! {
    fn raise(student: Student, by: f64) -> Student {
        Student { gpa: student.gpa + by, ..student }
    }
    fn gpa(student: Student) -> f64 {
        student.gpa
    }
    fn best(students: Vec<Student>) -> Option<Student> {
        students.into_iter().max_by(|one, other| one.gpa.total_cmp(&other.gpa)).map(|best| raise(best, 0.25))
    }
    fn level(students: Vec<Student>) -> Vec<Student> {
        students.into_iter().rev().map(|student| Student { gpa: 3.0, ..student }).collect()
    }
    fn exchange(one: Student, other: Student) -> Result<(Student, Student), String> {
        let (first, second) = (one.gpa, other.gpa);
        Ok((Student { gpa: second, ..one }, Student { gpa: first, ..other }))
    }
    fn double(student: Student) -> (Student, Student) {
        (student.clone(), Student { id: id("double"), courses: list(vec![]), ..student })
    }
    fn twice(student: Student) -> (Student, Student) {
        (student.clone(), student)
    }
    fn free(mut student: Student) -> (Student, Course) {
        let course = take(&mut student.courses, 0);
        (student, course)
    }
    fn rob(mut student: Student) -> Course {
        take(&mut student.courses, 0)
    }
    fn expel(school: &mut School, student: Student) -> Student {
        school.name.clear();
        student
    }
    fn name_of(student: Option<&Student>) -> Option<String> {
        student.map(|student| student.name.clone())
    }
    fn rename(student: Option<&mut Student>, name: String) -> bool {
        student.map(|student| student.name = name).is_some()
    }
    fn perhaps(student: Option<Student>, by: Option<f64>) -> Option<Student> {
        Some(raise(student?, by?))
    }

    impl Student {
        fn promoted(self) -> Self {
            Self { gpa: 4.0, ..self }
        }
    }

    fn registry() -> Result<Registry> {
        let registry = Registry::in_memory();
        let _ = registry.register("raise", raise)?.params(["student", "by"])?;
        let _ = registry.register("gpa", gpa)?;
        let _ = registry.register("best", best)?;
        let _ = registry.register("level", level)?;
        let _ = registry.register("exchange", exchange)?;
        let _ = registry.register("double", double)?;
        let _ = registry.register("twice", twice)?;
        let _ = registry.register("free", free)?;
        let _ = registry.register("rob", rob)?;
        let _ = registry.register("expel", expel)?;
        let _ = registry.register("name of", name_of)?;
        let _ = registry.register("rename", rename)?;
        let _ = registry.register("perhaps", perhaps)?;
        registry.add(small_school!())?;
        Ok(registry)
    }

    fn names() -> (Id<School>, Id<Student>, Id<Student>) {
        (id("Hill"), id("Ann"), id("Bob"))
    }

    #[test]
    fn one_that_is_given_back_is_a_new_version_of_it() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, bob) = names();
        let outcome = registry.call(raise, (ann, 0.25))?;
        assert_eq!(outcome.changes().to_string(), "Student Ann: gpa 3.5 -> 3.75");
        assert_eq!((outcome.value().gpa, registry.get(ann)?.gpa), (3.75, 3.75));
        assert_eq!((registry.history().revision(ann)?, registry.history().revision(hill)?), (Revision(2), Revision(2)));
        let outcome = registry.execute("raise", json!({"student": format!("@{bob}"), "by": 1}))?;
        assert_eq!(outcome.changes().to_string(), "Student Bob: gpa 2.0 -> 3.0");
        assert_eq!(*outcome.value(), json!(format!("@{bob}")));
        assert_eq!(registry.get(hill)?.students.len(), 2, "both stand where they stood");
        Ok(())
    }

    #[test]
    fn methods_and_closures_take_them_too() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob) = names();
        let _ = registry.register("promoted", Student::promoted)?;
        let outcome = registry.call(Student::promoted, (ann,))?;
        assert_eq!(outcome.changes().to_string(), "Student Ann: gpa 3.5 -> 4.0");
        let lower = |student: Student, by: Option<f64>| raise(student, -by.unwrap_or(1.0));
        let _ = registry.register("lower", lower)?;
        registry.call(lower, (bob, None))?;
        assert_eq!(registry.get(bob)?.gpa, 1.0);
        Ok(())
    }

    #[test]
    fn one_that_is_given_back_as_it_was_did_not_change() -> Result<()> {
        let registry = registry()?;
        let (_, ann, _) = names();
        assert!(registry.call(raise, (ann, 0.0))?.is_unchanged());
        assert!(registry.execute("raise", json!([format!("@{ann}"), 0]))?.is_unchanged());
        assert_eq!(registry.history().revision(ann)?, Revision(1));
        Ok(())
    }

    #[test]
    fn one_that_is_not_given_back_was_read() -> Result<()> {
        let registry = registry()?;
        let (_, ann, _) = names();
        let outcome = registry.call(gpa, (ann,))?;
        assert_eq!((*outcome.value(), outcome.is_unchanged()), (3.5, true));
        let entry = outcome.entry()?;
        let arguments = entry.run().expect("a callable made it").arguments();
        assert!(matches!(arguments[0], Argument::Entity { revision: Revision(1), .. }), "{arguments:?}");
        registry.call(raise, (ann, 0.5))?;
        let then = registry.execute("gpa", json!([format!("@{ann}#1")]))?;
        assert_eq!(*then.value(), json!(3.5), "as it was, since it cannot be given back");
        Ok(())
    }

    #[test]
    fn a_list_of_them_is_taken_and_any_of_them_given_back() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob) = names();
        let outcome = registry.call(level, (vec![ann, bob],))?;
        assert_eq!(outcome.changes().to_string(), "Student Bob: gpa 2.0 -> 3.0\nStudent Ann: gpa 3.5 -> 3.0");
        registry.execute("raise", json!([format!("@{bob}"), 0.25]))?;
        let outcome = registry.execute("best", json!([[format!("@{ann}"), format!("@{bob}")]]))?;
        assert_eq!(outcome.changes().to_string(), "Student Bob: gpa 3.25 -> 3.5");
        assert_eq!(*outcome.value(), json!(format!("@{bob}")));
        Ok(())
    }

    #[test]
    fn several_are_given_back_in_one_commit_and_one_is_not_taken_twice() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, bob) = names();
        let outcome = registry.call(exchange, (ann, bob))?;
        assert_eq!(outcome.changes().to_string(), "Student Ann: gpa 3.5 -> 2.0\nStudent Bob: gpa 2.0 -> 3.5");
        let same = registry.call(exchange, (ann, ann)).expect_err("it is the same");
        assert!(matches!(same, CallError::SameTwice { .. }), "{same}");
        let same = registry.execute("level", json!([[format!("@{ann}"), format!("@{ann}")]])).expect_err("it is the same");
        assert!(matches!(same, CallError::SameTwice { .. }), "{same}");
        let within = registry.call(expel, (hill, ann)).expect_err("one owns the other");
        assert!(matches!(within, CallError::Overlap { .. }), "{within}");
        Ok(())
    }

    #[test]
    fn what_is_given_back_under_another_identity_is_created() -> Result<()> {
        let registry = registry()?;
        let (_, ann, _) = names();
        let outcome = registry.call(double, (ann,))?;
        assert_eq!(outcome.changes().to_string(), "Student Ann: added");
        assert_eq!(registry.history().revision(ann)?, Revision(1));
        assert_eq!(registry.get(id::<Student>("double"))?.name, "Ann");
        let twice = registry.call(twice, (ann,)).expect_err("it has one place");
        assert!(matches!(twice, CallError::Commit { .. }), "{twice}");
        Ok(())
    }

    #[test]
    fn what_was_taken_apart_is_given_back_in_parts() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob) = names();
        registry.call(free, (ann,))?;
        assert_eq!(registry.get(ann)?.courses.len(), 1);
        assert_eq!(registry.history().owner(id::<Course>("Algebra"), When::Head)?, None, "it is a root now");
        // The student still owns what was taken out of a copy that was not given back.
        let robbed = registry.call(rob, (bob,)).expect_err("it has an owner");
        assert!(robbed.to_string().contains(&id::<Course>("Chemistry").to_string()), "{robbed}");
        assert_eq!(registry.get(bob)?.courses.len(), 1);
        Ok(())
    }

    #[test]
    fn one_that_somebody_committed_to_meanwhile_is_not_given_back() -> Result<()> {
        let registry = registry()?;
        let (_, ann, _) = names();
        let other = registry.clone();
        let _ = registry.register("overtaken", move |student: Student| {
            other.call(raise, (student.id, 0.25)).expect("nobody comes before this one");
            raise(student, 0.125)
        })?;
        let conflict = registry.execute("overtaken", json!([format!("@{ann}")])).expect_err("somebody was first");
        assert!(matches!(conflict, CallError::Commit { source: CommitError::Conflict { .. }, .. }), "{conflict}");
        assert_eq!(registry.get(ann)?.gpa, 3.75, "nothing is lost");
        assert!(matches!(registry.history().entry(registry.history().head())?.run().map(|run| run.end().clone()), Some(RunEnd::Refused(_))));
        let stale = registry.execute("raise", json!([format!("@{ann}#1"), 1])).expect_err("it is at r2");
        assert!(stale.to_string().contains("is at r2, not r1"), "{stale}");
        Ok(())
    }

    #[test]
    fn a_held_one_is_taken_with_its_edits_and_is_then_what_was_given_back() -> Result<()> {
        let registry = registry()?;
        let mut held = registry.checkout(names().1)?;
        held.name.push('a');
        registry.call(raise, (&mut held, 0.25))?;
        assert_eq!((held.base(), held.name.as_str(), held.gpa), (Revision(3), "Anna", 3.75));
        registry.call(perhaps, (Some(&mut held), Some(0.25)))?;
        assert_eq!((held.base(), held.gpa), (Revision(4), 4.0));
        Ok(())
    }

    #[test]
    fn there_may_be_none() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob) = names();
        let address = json!(format!("@{ann}"));
        let nobody = None::<Id<Student>>;
        assert_eq!(registry.call(name_of, (Some(ann),))?.into_value().as_deref(), Some("Ann"));
        assert_eq!(registry.call(name_of, (Some(&registry.checkout(bob)?),))?.into_value().as_deref(), Some("Bob"));
        assert_eq!(registry.call(name_of, (nobody,))?.into_value(), None);
        assert_eq!(*registry.execute("name of", json!([address]))?.value(), json!("Ann"));
        assert_eq!(*registry.execute("name of", json!([null]))?.value(), json!(null));

        assert!(registry.call(rename, (Some(ann), "Anna".to_owned()))?.into_value());
        assert!(registry.call(rename, (nobody, "Anna".to_owned()))?.is_unchanged());
        let outcome = registry.execute("rename", json!([address, "Anne"]))?;
        assert_eq!(outcome.changes().to_string(), "Student Anne: name \"Anna\" -> \"Anne\"");
        assert!(registry.execute("rename", json!([null, "Anna"]))?.is_unchanged());

        registry.call(perhaps, (Some(ann), Some(0.25)))?;
        assert_eq!(registry.call(perhaps, (nobody, Some(0.25)))?.into_value(), None);
        assert!(registry.call(perhaps, (Some(ann), None::<f64>))?.is_unchanged());
        registry.execute("perhaps", json!([address, 0.25]))?;
        let nothing = registry.execute("perhaps", json!([null, 0.25]))?;
        assert_eq!((nothing.value(), registry.get(ann)?.gpa), (&json!(null), 4.0));
        assert_eq!(nothing.entry()?.run().expect("a callable made it").arguments()[0].to_string(), "null");
        Ok(())
    }

    #[test]
    fn they_are_described() -> Result<()> {
        let registry = registry()?;
        let table = [
            ("raise", "raise(student: Student, by: f64) -> Student: edits one", Strategy::EditsOne),
            ("gpa", "gpa(Student) -> f64: reads", Strategy::Reads),
            ("best", "best(list<Student>) -> option<Student>: edits several", Strategy::EditsSeveral),
            ("exchange", "exchange(Student, Student) -> result<(Student, Student)>: edits several", Strategy::EditsSeveral),
            ("rob", "rob(Student) -> Course: creates", Strategy::Creates),
            ("name of", "name of(&option<Student>) -> option<text>: reads", Strategy::Reads),
            ("rename", "rename(&mut option<Student>, text) -> bool: edits one", Strategy::EditsOne),
            ("perhaps", "perhaps(option<Student>, option<f64>) -> option<Student>: edits one", Strategy::EditsOne),
        ];
        for (name, text, strategy) in table {
            let description = registry.describe(name)?;
            assert_eq!((description.to_string().as_str(), description.strategy), (text, strategy));
        }
        assert_eq!(registry.describe("raise")?.parameters.iter().map(|one| one.access).collect::<Vec<_>>(), [Access::Takes, Access::Value]);
        Ok(())
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Animal {
    Egg(Egg),
    Bird(Bird),
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Egg {
    id: Id<Egg>,
    name: String,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Bird {
    id: Id<Bird>,
    name: String,
    song: String,
}

fn hatch(animal: Animal) -> Animal {
    match animal {
        Animal::Egg(Egg { id, name }) => {
            Animal::Bird(Bird { id: Id::from_entity_id(id.entity_id()), name, song: "tweet".into() })
        }
        bird => bird,
    }
}

fn alone(animal: Animal) -> Option<Bird> {
    match hatch(animal) {
        Animal::Bird(bird) => Some(bird),
        Animal::Egg(_) => None,
    }
}

#[test]
fn an_enum_may_be_given_back_as_another_variant_and_not_as_another_type() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("hatch", hatch)?;
    let _ = registry.register("alone", alone)?;
    let id = registry.add(Animal::Egg(Egg { id: id("it"), name: "Tweety".into() }))?;
    let other = registry.call(alone, (id,)).expect_err("an animal stays one");
    assert!(matches!(other, CallError::Commit { .. }), "{other}");
    registry.call(hatch, (id,))?;
    assert!(matches!(registry.get(id)?, Animal::Bird(_)));
    assert_eq!(registry.history().revision(id)?, Revision(2));
    Ok(())
}
