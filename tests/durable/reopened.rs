//! A registry over a file: what was committed is there when the file is opened again.

use heirloom::PlainArg;
use heirloom::Result;
use heirloom::prelude::*;

use crate::common::Directory;

#[derive(Entity, Clone, Debug, PartialEq)]
struct School {
    id: Id<School>,
    name: String,
    students: Children<Student>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Student {
    id: Id<Student>,
    name: String,
    gpa: f64,
    courses: Vec<Course>,
    friend: Option<Id<Student>>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Course {
    id: Id<Course>,
    name: String,
}

fn raise(student: &mut Student, by: f64) {
    student.gpa += by;
}

fn rename(course: &mut Course, name: String) {
    course.name = name;
}

fn enrol(school: &mut School, name: String) {
    let course = Course { id: Id::new(), name: format!("{name}'s first") };
    let student = Student { id: Id::new(), name, gpa: 3.0, courses: vec![course], friend: None };
    school.students.push(student).expect("a new id is not there yet");
}

fn open(path: &std::path::Path) -> Result<Registry> {
    let registry = Registry::open(path)?;
    let _ = registry.register("raise", raise)?;
    let _ = registry.register("rename", rename)?;
    let _ = registry.register("enrol", enrol)?;
    Ok(registry)
}

fn student(name: &str) -> Student {
    let courses = vec![Course { id: key(name), name: format!("{name} 101") }];
    Student { id: key(name), name: name.to_owned(), gpa: 3.5, courses, friend: None }
}

#[test]
fn what_was_committed_is_there_when_the_file_is_opened_again() -> Result<()> {
    let directory = Directory::new("reopened");
    let file = directory.file();
    let (ann, bob): (Id<Student>, Id<Student>) = (key("Ann"), key("Bob"));
    let hill: Id<School> = key("Hill");
    let (told, digest) = {
        let registry = open(&file)?;
        let mut students = Children::new();
        students.push(student("Ann"))?;
        students.push(Student { friend: Some(ann), ..student("Bob") })?;
        registry.by("founder").add(School { id: hill, name: "Hill".into(), students })?;
        let outcome = registry.by("dean").message("well done").call(raise, (ann, 0.25))?;
        assert_eq!(outcome.changes().to_string(), "Student Ann: gpa 3.5 -> 3.75");
        registry.call(enrol, (hill, "Cid".to_owned()))?;
        registry.call(rename, (key("Bob"), "Bob 102".to_owned()))?;
        let history = registry.history();
        (history.of(hill)?.to_string() + &history.of(ann)?.to_string(), history.digest(hill, When::Head)?)
    };
    let registry = open(&file)?;
    let history = registry.history();
    assert_eq!(history.head().0, 4);
    assert_eq!(registry.get(ann)?.gpa, 3.75);
    assert_eq!(history.at(ann, Revision(1))?.gpa, 3.5);
    assert_eq!(history.of(hill)?.to_string() + &history.of(ann)?.to_string(), told);
    assert_eq!(history.digest(hill, When::Head)?, digest);
    assert_eq!(registry.get(hill)?.students.len(), 3);
    assert_eq!(registry.get(bob)?.courses[0].name, "Bob 102");
    assert_eq!(history.referrers(ann, When::Head)?.len(), 1);
    let entry = history.entry(heirloom::Position(2))?;
    assert_eq!((entry.author(), entry.message()), (Some("dean"), Some("well done")));
    assert_eq!(
        history.diff(hill, Revision(1), When::Head)?.len(),
        3,
        "{}",
        history.diff(hill, Revision(1), When::Head)?
    );
    registry.by("dean").revert(ann, Revision(1))?;
    assert_eq!(registry.get(ann)?.gpa, 3.5);
    assert_eq!(history.revision(ann)?, Revision(3));
    Ok(())
}

fn key<T: Entity>(key: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive(T::META.name, key))
}

#[test]
fn what_is_said_beside_an_argument_that_nests_too_deep_is_kept() -> heirloom::Result<()> {
    fn count(counted: PlainArg<serde_json::Value>) -> bool {
        counted.0.is_array()
    }
    let directory = Directory::new("deep");
    let deep = (0..200).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    let registry = Registry::open(directory.file())?;
    let _ = registry.register("count", count)?;
    registry.by("dean").property("ticket", "7").call(count, (PlainArg(deep),))?;
    drop(registry);
    let entry = Registry::open(directory.file())?.history().entry(heirloom::Position(1))?;
    assert_eq!((entry.author(), entry.property("ticket")), (Some("dean"), Some("7")));
    let arguments = entry.run().expect("a callable made it").arguments();
    assert_eq!(arguments[0].to_string(), "<nested too deep to be recorded>");
    Ok(())
}
