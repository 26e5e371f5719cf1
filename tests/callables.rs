//! Functions with `#[callable]`: what they say of themselves, and how they are registered.

mod common;

use common::id;
use heirloom::prelude::*;
use heirloom::{Callables, Context, RegisterError, Result, Strategy};
use serde_json::json;

#[derive(Entity, Clone, Debug, PartialEq)]
struct Student {
    id: Id<Student>,
    name: String,
    gpa: f64,
}

#[derive(Value, Clone, Debug, PartialEq)]
struct Rule {
    most: f64,
}

/// Raises a grade.
///
///   - never above what the rule says
#[callable(version = "2")]
fn raise(student: &mut Student, by: f64, r#in: Rule) {
    student.gpa = (student.gpa + by).min(r#in.most);
}

#[callable(name = "sign", version = env!("CARGO_PKG_VERSION"))]
fn put_name(context: &Context, student: &mut Student, mut suffix: Option<String>) -> Option<String> {
    student.name = context.author().unwrap_or("nobody").to_owned() + suffix.as_deref().unwrap_or_default();
    suffix.take()
}

#[callable]
fn nothing() {}

#[callable]
fn six(_: &Context, a: u8, b: u16, c: u32, d: u64, e: String, f: Option<&Student>) -> String {
    format!("{a}{b}{c}{d}{e}{}", f.map_or("nobody", |student| &student.name))
}

#[callable]
#[expect(clippy::needless_lifetimes, reason = "a lifetime may have a name")]
fn best<'s>(students: Vec<&'s Student>, least: f64) -> Result<String, String> {
    let best =
        students.iter().filter(|student| student.gpa >= least).max_by(|one, other| one.gpa.total_cmp(&other.gpa));
    best.map(|best| best.name.clone()).ok_or_else(|| "nobody is that good".to_owned())
}

mod school {
    use super::*;

    #[callable]
    pub(crate) fn enrol(name: String, gpa: f64) -> Student {
        Student { id: id(&name), name, gpa }
    }

    /// What there is to register.
    pub(crate) type All = (enrol, promote);

    #[callable]
    pub(super) fn promote(student: Student) -> Student {
        Student { gpa: 4.0, ..student }
    }
}

fn registry() -> Result<Registry> {
    let registry = Registry::in_memory();
    registry.register_all::<(raise, (put_name, nothing, six), school::All)>()?;
    registry.register_all::<best>()?;
    registry.add(Student { id: id("Ann"), name: "Ann".into(), gpa: 3.5 })?;
    Ok(registry)
}

#[test]
fn it_says_its_name_its_parameters_its_documentation_and_its_version() -> Result<()> {
    let registry = registry()?;
    let table = [
        ("raise", "raise(student: &mut Student, by: f64, in: Rule) -> unit: edits one", Some("2")),
        ("sign", "sign(student: &mut Student, suffix: option<text>) -> option<text>: edits one", Some("0.1.0")),
        ("nothing", "nothing() -> unit: computes", None),
        ("six", "six(a: u8, b: u16, c: u32, d: u64, e: text, f: &option<Student>) -> text: reads", None),
        ("best", "best(students: &list<Student>, least: f64) -> result<text>: reads", None),
        ("enrol", "enrol(name: text, gpa: f64) -> Student: creates", None),
        ("promote", "promote(student: Student) -> Student: edits one", None),
    ];
    for (name, text, version) in table {
        let about = registry.describe(name)?;
        assert_eq!((about.to_string().as_str(), about.code_version.as_deref()), (text, version));
    }
    let docs = registry.describe("raise")?.docs;
    assert_eq!(docs.as_deref(), Some("Raises a grade.\n\n  - never above what the rule says"));
    assert_eq!(registry.describe("nothing")?.docs, None);
    Ok(())
}

#[test]
fn it_is_called_as_the_function_that_it_still_is_and_by_name() -> Result<()> {
    let registry = registry()?;
    let ann: Id<Student> = id("Ann");
    let mut aside = Student { id: ann, name: "Ann".into(), gpa: 1.0 };
    raise(&mut aside, 1.0, Rule { most: 4.0 });
    assert_eq!(aside.gpa, 2.0);
    let outcome = registry.call(raise, (ann, 0.25, Rule { most: 4.0 }))?;
    assert_eq!(outcome.entry()?.run().expect("a callable made it").code_version(), Some("2"));
    let named = json!({"student": format!("@{ann}"), "by": 1, "in": {"most": 3.8}});
    assert_eq!(registry.execute("raise", named)?.changes().to_string(), "Student Ann: gpa 3.75 -> 3.8");
    registry.by("dean").execute("sign", json!({"student": format!("@{ann}"), "suffix": "!"}))?;
    registry.call(school::promote, (ann,))?;
    assert_eq!(registry.get(ann)?, Student { id: ann, name: "dean!".into(), gpa: 4.0 });
    assert_eq!(registry.call(best, (vec![ann], 3.0))?.into_value(), "dean!");
    let six_of = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": "five", "f": null});
    assert_eq!(*registry.execute("six", six_of)?.value(), json!("1234fivenobody"));
    registry.call(school::enrol, ("Bob".to_owned(), 2.0))?;
    assert_eq!(registry.get(id::<Student>("Bob"))?.gpa, 2.0);
    Ok(())
}

#[test]
fn it_may_stand_in_the_body_of_a_function() -> Result<()> {
    #[callable]
    fn halve(student: &mut Student) {
        student.gpa /= 2.0;
    }
    let registry = registry()?;
    registry.register_all::<halve>()?;
    registry.call(halve, (id("Ann"),))?;
    assert_eq!(registry.get(id::<Student>("Ann"))?.gpa, 1.75);
    Ok(())
}

#[test]
fn all_of_them_are_registered_or_none() -> Result<()> {
    fn each<C: Callables>(registry: &Registry) -> std::result::Result<(), RegisterError> {
        registry.register_all::<C>()
    }
    let registry = Registry::in_memory();
    let _ = registry.register("sign", |text: String| text)?;
    let taken = each::<(raise, nothing, put_name, best)>(&registry).expect_err("one name is taken");
    assert!(matches!(taken, RegisterError::NameTaken { .. }), "{taken}");
    assert_eq!(*registry.callables(), ["sign".into()]);
    each::<(raise, nothing, best)>(&registry)?;
    let again = each::<(school::enrol, raise)>(&registry).expect_err("it is there already");
    assert!(again.to_string().contains("raise"), "{again}");
    assert_eq!(registry.callables().len(), 4);
    assert_eq!(registry.describe("raise")?.strategy, Strategy::EditsOne);
    Ok(())
}

#[cfg(feature = "inventory")]
#[test]
fn what_is_linked_is_registered_at_once() -> Result<()> {
    let registry = Registry::in_memory();
    registry.register_all::<school::promote>()?;
    registry.register_linked()?;
    let names: Vec<_> = registry.callables().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["promote", "best", "enrol", "halve", "nothing", "raise", "sign", "six"]);
    assert_eq!(registry.describe("raise")?.code_version.as_deref(), Some("2"));
    registry.register_linked()?;
    assert_eq!(registry.callables().len(), 8, "they are there already");
    Ok(())
}
