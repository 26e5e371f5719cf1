//! Why a field has its value: who wrote it, on what, and what made that.

mod common;

use std::sync::Arc;

use heirloom::prelude::*;
use heirloom::store::MemoryStore;
use heirloom::{Commits, Reach, ReadError, Result, Retention, Why};
use serde_json::json;

use crate::common::{TestClock, id};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Student {
    id: Id<Student>,
    name: String,
    gpa: f64,
    courses: Children<Course>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Course {
    id: Id<Course>,
    title: String,
    credits: u32,
}

fn raise(student: &mut Student, by: f64) {
    student.gpa += by;
}

fn rename(student: &mut Student, name: String) {
    student.name = name;
}

fn like(student: &mut Student, others: Vec<&Student>) {
    student.gpa = others.iter().map(|other| other.gpa).sum::<f64>() / others.len() as f64;
}

fn credit(course: &mut Course) {
    course.credits += 1;
}

fn student(name: &str) -> Student {
    let course = Course { id: id(&format!("{name}'s course")), title: format!("{name}'s course"), credits: 5 };
    let courses = Children::try_from_iter([course]).expect("it stands there once");
    Student { id: id(name), name: name.to_owned(), gpa: 2.0, courses }
}

fn register(registry: &Registry) -> Result<()> {
    let _ = registry.register("raise", raise)?.code_version("7")?.params(["student", "by"])?;
    let _ = registry.register("rename", rename)?;
    let _ = registry.register("like", like)?;
    let _ = registry.register("credit", credit)?;
    Ok(())
}

/// One registry in memory and one over a store, with a clock that stands at the beginning of 1970.
fn registries() -> Result<[Registry; 2]> {
    let builder = || Registry::builder().clock(Arc::new(TestClock::default()));
    let both = [builder().in_memory(), builder().over(MemoryStore::new())?];
    both.iter().try_for_each(register)?;
    Ok(both)
}

/// What is told, without the times.
fn told(why: &Why) -> String {
    why.to_string().replace(" at 1970-01-01T00:00:00Z", "")
}

#[test]
fn who_wrote_a_field_is_told_with_all_that_it_rests_on() -> Result<()> {
    for registry in registries()? {
        let ann = registry.by("registrar").add(student("Ann"))?;
        registry.by("dean").call(raise, (ann, 0.5))?;
        registry.by("dean").message("good work").call(raise, (ann, 1.0))?;
        registry.call(rename, (ann, "Anne".to_owned()))?;
        let why = registry.history().why(ann, Student::GPA)?;
        let expected = r#"
Student Anne: gpa is 3.5
  Student Ann r3: dean raise(Student Ann r2, 1.0) "good work", #3, code 7
    Student Ann r2: dean raise(Student Ann r1, 0.5), #2, code 7
      Student Ann r1: registrar added, #1"#;
        assert_eq!(format!("\n{}", told(&why)), expected);
        let origin = why.origin().expect("nothing is forgotten");
        assert_eq!((origin.revision(), origin.entry().expect("it is there").author()), (Revision(3), Some("dean")));
        assert_eq!((why.field(), why.value()), ("gpa", &Value::F64(3.5)));
        assert!(!why.is_cut());
    }
    Ok(())
}

#[test]
fn a_field_is_explained_as_of_any_time_and_by_its_name() -> Result<()> {
    for registry in registries()? {
        let ann = registry.by("registrar").add(student("Ann"))?;
        let raised = registry.by("dean").call(raise, (ann, 0.5))?.position();
        registry.by("dean").call(raise, (ann, 1.0))?;
        let history = registry.history();
        let then = history.why_at(ann, Student::GPA, raised)?;
        assert_eq!(told(&then).lines().nth(1), Some("  Student Ann r2: dean raise(Student Ann r1, 0.5), #2, code 7"));
        let name = history.why_named(ann, "name", When::Head, Reach::default())?;
        assert_eq!(told(&name), "Student Ann: name is \"Ann\"\n  Student Ann r1: registrar added, #1");
        let nothing = history.why_named(ann, "grade", When::Head, Reach::default()).unwrap_err();
        assert_eq!(
            nothing.to_string(),
            format!("{ann} has no stored field \"grade\": its fields are name, gpa, courses")
        );
    }
    Ok(())
}

#[test]
fn a_change_in_what_it_owns_wrote_no_field_of_the_owner() -> Result<()> {
    for registry in registries()? {
        let ann = registry.add(student("Ann"))?;
        registry.call(credit, (id("Ann's course"),))?;
        let why = registry.history().why(ann, Student::COURSES)?;
        assert_eq!(why.origin().expect("nothing is forgotten").revision(), Revision(1));
        let credits = registry.history().why(id::<Course>("Ann's course"), Course::CREDITS)?;
        let expected = "Course Ann's course: credits is 6
  Course Ann's course r2: credit(Course Ann's course r1), #2
    Course Ann's course r1: added, #1";
        assert_eq!(told(&credits), expected);
    }
    Ok(())
}

#[test]
fn what_two_versions_rest_on_is_told_once() -> Result<()> {
    for registry in registries()? {
        let [ann, bob, cid] = ["Ann", "Bob", "Cid"].map(student);
        let [ann, bob, cid] = [registry.add(ann)?, registry.add(bob)?, registry.add(cid)?];
        registry.call(raise, (ann, 1.0))?;
        registry.call(like, (bob, vec![ann]))?;
        registry.call(like, (cid, vec![ann, bob]))?;
        let why = registry.history().why(cid, Student::GPA)?;
        let expected = "Student Cid: gpa is 3.0
  Student Cid r2: like(Student Cid r1, [Student Ann r2, Student Bob r2]), #6
    Student Cid r1: added, #3
    Student Ann r2: raise(Student Ann r1, 1.0), #4, code 7
      Student Ann r1: added, #1
    Student Bob r2: like(Student Bob r1, [Student Ann r2]), #5
      Student Bob r1: added, #2
      Student Ann r2: told above";
        assert_eq!(told(&why), expected);
        assert_eq!(why.origins().len(), 6);
    }
    Ok(())
}

#[test]
fn an_argument_that_was_found_by_its_address_is_told_with_the_version_it_was_found_in() -> Result<()> {
    for registry in registries()? {
        let (ann, bob) = (registry.add(student("Ann"))?, registry.add(student("Bob"))?);
        registry.execute("raise", json!([format!("@{ann}"), {"$at": format!("@{bob}.gpa")}]))?;
        let why = registry.history().why(ann, Student::GPA)?;
        let expected = "Student Ann: gpa is 4.0
  Student Ann r2: raise(Student Ann r1, 2.0 of Student Bob r1), #3, code 7
    Student Ann r1: added, #1
    Student Bob r1: added, #2";
        assert_eq!(told(&why), expected);
    }
    Ok(())
}

#[test]
fn what_is_out_of_reach_is_counted() -> Result<()> {
    for registry in registries()? {
        let (ann, bob) = (registry.add(student("Ann"))?, registry.add(student("Bob"))?);
        for _ in 0..20 {
            registry.call(raise, (ann, 0.5))?;
        }
        registry.call(like, (bob, vec![ann]))?;
        let history = registry.history();
        let alone = history.why_named(bob, "gpa", When::Head, Reach { depth: 0, origins: 64 })?;
        let expected = "Student Bob: gpa is 12.0
  Student Bob r2: like(@*#r1, [@*#r21]), #23; 2 more that it was given are out of reach";
        let anonymous = told(&alone).replace(&bob.to_string(), "*").replace(&ann.to_string(), "*");
        assert_eq!(anonymous, expected);
        assert!(alone.is_cut());
        let few = history.why_named(bob, "gpa", When::Head, Reach { depth: 64, origins: 5 })?;
        assert_eq!((few.origins().len(), few.origins()[4].cut()), (5, 1));
        let all = history.why_named(bob, "gpa", When::Head, Reach { depth: 64, origins: 64 })?;
        assert_eq!((all.origins().len(), all.is_cut()), (23, false));
    }
    Ok(())
}

#[test]
fn a_field_of_what_returned_was_written_when_it_returned() -> Result<()> {
    for registry in registries()? {
        let ann = registry.add(student("Ann"))?;
        registry.remove(ann)?;
        registry.by("registrar").add(student("Ann"))?;
        registry.call(rename, (ann, "Anne".to_owned()))?;
        let why = registry.history().why(ann, Student::GPA)?;
        assert_eq!(told(&why), "Student Anne: gpa is 2.0\n  Student Ann r3: registrar changed, #3");
    }
    Ok(())
}

#[test]
fn a_chain_of_any_length_is_told() -> Result<()> {
    let registry = Registry::in_memory();
    register(&registry)?;
    let ann = registry.add(student("Ann"))?;
    for _ in 0..5_000 {
        registry.call(raise, (ann, 1.0))?;
    }
    let reach = Reach { depth: usize::MAX, origins: usize::MAX };
    let why = registry.history().why_named(ann, "gpa", When::Head, reach)?;
    assert_eq!((why.origins().len(), why.to_string().lines().count()), (5_001, 5_002));
    Ok(())
}

#[test]
fn what_is_forgotten_is_told_as_such_and_what_was_written_since_is_told_in_full() -> Result<()> {
    let registry = Registry::builder().clock(Arc::new(TestClock::default())).over(MemoryStore::new())?;
    register(&registry)?;
    let (ann, bob) = (registry.add(student("Ann"))?, registry.add(student("Bob"))?);
    registry.call(raise, (ann, 1.0))?;
    registry.call(rename, (ann, "Anne".to_owned()))?;
    while registry.compact(&Retention::new().entries(0), 1000)?.more {}
    registry.call(like, (bob, vec![ann]))?;
    let history = registry.history();
    let gpa = history.why(ann, Student::GPA)?;
    assert!(matches!(gpa.origin(), Err(ReadError::Forgotten { .. })), "{gpa}");
    assert_eq!(
        told(&gpa),
        "Student Anne: gpa is 3.0, and who wrote it cannot be told
  <what there was at r2 is forgotten: everything can be read from #4 on, and as of tags before it>"
    );
    assert_eq!(gpa.to_json()["lost"], json!(gpa.origin().unwrap_err().to_string()));
    let like = history.why(bob, Student::GPA)?;
    let told = told(&like);
    assert_eq!(told.lines().next(), Some("Student Bob: gpa is 3.0"));
    assert_eq!(told.lines().nth(1), Some("  Student Bob r2: like(Student Bob r1, [Student Anne r3]), #5"));
    assert_eq!(told.lines().count(), 5, "{told}");
    assert!(matches!(history.why_at(ann, Student::GPA, Revision(2)), Err(ReadError::Forgotten { .. })));
    Ok(())
}

#[test]
#[cfg(feature = "erasure")]
fn what_is_erased_is_told_as_such() -> Result<()> {
    #[derive(Entity, Clone)]
    #[entity(subject)]
    struct Customer {
        id: Id<Customer>,
        name: String,
    }
    #[derive(Entity, Clone)]
    struct Report {
        id: Id<Report>,
        text: String,
    }
    fn report(report: &mut Report, of: &Customer, words: String) {
        report.text = format!("{} {words}", of.name.len());
    }
    let registry = Registry::builder().clock(Arc::new(TestClock::default())).over(MemoryStore::new())?;
    let _ = registry.register("report", report)?;
    let ann = registry.add(Customer { id: id("Ann"), name: "Ann".into() })?;
    let page = registry.add(Report { id: id("page"), text: String::new() })?;
    registry.call(report, (page, ann, "letters".to_owned()))?;
    registry.remove(ann)?;
    registry.erase(ann)?;
    let why = registry.history().why(page, Report::TEXT)?;
    let told = told(&why).replace(&page.to_string()[28..], "*").replace(&ann.to_string()[28..], "+");
    let expected = "Report *: text is \"3 letters\"
  Report * r2: report(Report * r1, Customer + r1, <erased>), #3
    Report * r1: added, #2
    Customer + r1: added, #1";
    assert_eq!(told, expected);
    Ok(())
}

#[test]
fn an_answer_has_a_json_twin() -> Result<()> {
    for registry in registries()? {
        let ann = registry.by("registrar").add(student("Ann"))?;
        registry.by("dean").message("good work").call(raise, (ann, 0.5))?;
        let entity = json!({"type": "Student", "id": ann, "label": "Ann"});
        let expected = json!({
            "entity": entity,
            "field": "gpa",
            "value": 2.5,
            "origins": [
                {
                    "entity": entity, "revision": 2, "inputs": [1], "cut": 0, "position": 2, "time": "1970-01-01T00:00:00Z",
                    "author": "dean", "message": "good work",
                    "run": {"callable": "raise", "code_version": "7", "arguments": [format!("@{ann}#r1"), 0.5]},
                },
                {
                    "entity": entity, "revision": 1, "inputs": [], "cut": 0, "position": 1, "time": "1970-01-01T00:00:00Z",
                    "author": "registrar", "message": null, "run": null,
                },
            ],
        });
        assert_eq!(registry.history().why(ann, Student::GPA)?.to_json(), expected);
    }
    Ok(())
}

#[test]
fn of_a_commit_of_many_each_run_is_told_with_what_it_was_given() -> Result<()> {
    let registry = Registry::in_memory();
    register(&registry)?;
    registry.add(student("Ann"))?;
    let ann = format!("@{}", id::<Student>("Ann"));
    let calls = [("raise", json!([ann, 0.5])), ("rename", json!([ann, "Anne"]))];
    assert!(registry.by("dean").execute_many(calls, Commits::OneForAll).iter().all(std::result::Result::is_ok));
    let told = registry.history().why(id::<Student>("Ann"), Student::GPA)?.to_string();
    assert!(
        told.contains(
            "r2: dean execute_many of raise(Student Ann r1, 0.5) by code 7, rename(Student Ann r1, \"Anne\")"
        ),
        "{told}"
    );
    assert!(told.contains("Student Ann r1: added"), "{told}");
    Ok(())
}
