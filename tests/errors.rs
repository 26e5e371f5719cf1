//! Bad input: each mistake gets an error that names the thing and the remedy, and nothing has changed.

mod common;

use common::{for_both_schools, id, small_school};
use heirloom::Result;
use heirloom::prelude::*;
use serde_json::{Value as Json, json};

for_both_schools! {
    fn raise(student: &mut Student, by: f64) {
        student.gpa += by;
    }
    fn note(student: &Student, text: String, times: u8) -> String {
        format!("{} {text} {times}", student.name)
    }
    fn crash(_: &mut Student) {
        std::panic::resume_unwind(Box::new("out of chalk"));
    }
    fn twin(school: &mut School) {
        let ann = school.students[0].clone();
        push(&mut school.alumni, ann);
    }
    fn rebrand(student: &mut Student) {
        student.id = id("Eve");
    }

    fn registry() -> Result<Registry> {
        let registry = Registry::in_memory();
        let _ = registry.register("raise", raise)?.params(["student", "by"])?;
        let _ = registry.register("note", note)?;
        let _ = registry.register("crash", crash)?;
        let _ = registry.register("twin", twin)?;
        let _ = registry.register("rebrand", rebrand)?;
        registry.add(small_school!())?;
        registry.add(Student { id: id("Gone"), name: "Gone".into(), gpa: 0.0, courses: list(vec![]), mentor: None })?;
        registry.remove(id::<Student>("Gone"))?;
        Ok(registry)
    }

    /// `HILL`, `ANN` and so on stand for ids.
    fn with_ids(text: &str) -> String {
        ["Hill", "Ann", "Bob", "Zoe", "Gone", "Eve", "Algebra", "Nobody"]
            .iter()
            .fold(text.to_owned(), |text, name| text.replace(&name.to_uppercase(), &id::<()>(name).to_string()))
    }

    /// Does something wrong: the error is this, and nothing but a failed run in the log is new.
    fn check<V, E: std::fmt::Display>(wrong: impl FnOnce(&Registry) -> Result<V, E>, expected: &str) -> Result<()> {
        let registry = registry()?;
        let state = || -> Result<_> {
            let history = registry.history();
            Ok((history.digest(id::<School>("Hill"), When::Head)?, history.revision(id::<School>("Hill"))?))
        };
        let (before, head) = (state()?, registry.history().head());
        let error = wrong(&registry).err().map(|error| error.to_string());
        assert_eq!(error, Some(with_ids(expected)));
        assert_eq!(state()?, before, "{expected}");
        let new = registry.history().entries().skip(head.0 as usize).map(|entry| entry.version_count()).sum::<usize>();
        assert_eq!(new, 0, "{expected}");
        Ok(())
    }

    fn check_execute(name: &str, arguments: Json, expected: &str) -> Result<()> {
        let arguments: Json = serde_json::from_str(&with_ids(&arguments.to_string())).expect("it was JSON");
        check(|registry| registry.execute(name, arguments), expected)
    }

    #[test]
    fn a_callable_that_is_not_there_or_there_already() -> Result<()> {
        check_execute("rise", json!([]), "no callable is named \"rise\": known are raise, note, crash, twin, rebrand")?;
        check(
            |registry| registry.register("raise", |_: &mut Student| ()),
            &format!(
                "\"raise\" is registered already, for {}: choose another name",
                std::any::type_name_of_val(&raise)
            ),
        )?;
        check(
            |registry| registry.register("lift", raise),
            &format!(
                "{} is registered already, as \"raise\": a function has one name, so that `call` can find it",
                std::any::type_name_of_val(&raise)
            ),
        )?;
        check(
            |registry| registry.register("lift", |_: &mut Student, _: f64| ())?.params(["student"]),
            "\"lift\" takes 2 parameters, and 1 names were given: give one for each, in order, and register it \
             again",
        )
    }

    #[test]
    fn arguments_of_the_wrong_number_shape_or_type() -> Result<()> {
        check_execute("raise", json!(["@ANN"]), "\"raise\" takes 2 arguments (student: &mut Student, by: f64), and 1 were given")?;
        check_execute("raise", json!({"student": "@ANN"}), "\"raise\" was given no \"by\": its parameters are student: &mut Student, by: f64")?;
        check_execute(
            "raise",
            json!({"student": "@ANN", "by": 1, "to": 2}),
            "\"raise\" has no parameter \"to\": its parameters are student: &mut Student, by: f64",
        )?;
        check_execute("raise", json!("@ANN"), "\"raise\" takes its arguments as a JSON list, or as an object by name, not as \"@ANN\"")?;
        check_execute("note", json!({"a": 1}), "the parameters of \"note\" have no names: give a list, or name them with `.params([...])`")?;
        check_execute("raise", json!([7, 1.0]), "\"raise\", parameter \"student\": expected the address of a Student, such as \"@<id>\", found 7")?;
        check_execute("raise", json!(["@ANN", "much"]), "\"raise\", parameter \"by\": expected a number, found text \"much\"")?;
        check_execute("note", json!(["@ANN", 7, 1]), "\"note\", parameter 2: expected text, found an integer 7")?;
        check_execute("note", json!(["@ANN", "x", 300]), "\"note\", parameter 3: expected an integer from 0 to 255, found an integer 300")
    }

    #[test]
    fn an_address_that_leads_nowhere() -> Result<()> {
        check_execute("raise", json!(["@NOBODY", 1.0]), "\"raise\", parameter \"student\": NOBODY is not in this registry: add it first, or check the id")?;
        check_execute("raise", json!(["@HILL", 1.0]), "\"raise\", parameter \"student\": HILL is a School, not a Student: ask for it by an `Id<School>`")?;
        check_execute(
            "raise",
            json!(["ANN", 1.0]),
            "\"raise\", parameter \"student\": \"ANN\" is not an address: expected \"@<id>\", \"@<id>.field\", \
             \"@<id>.list[3]\" or \"@<id>.map[\\\"key\\\"]\"",
        )?;
        check_execute(
            "raise",
            json!(["@ANN.gpa", 1.0]),
            "\"raise\", parameter \"student\": \"@ANN.gpa\" leads into an entity, and an entity is expected here: give \
             \"@<id>\" alone",
        )?;
        check_execute(
            "raise",
            json!(["@ANN", {"$at": "@ANN.nonsense"}]),
            "\"raise\", parameter \"by\": \"@ANN.nonsense\" leads nowhere: @ANN has no .nonsense; its fields are name, \
             gpa, courses, mentor",
        )?;
        check_execute(
            "raise",
            json!(["@ANN", {"$at": "@HILL.students[7].gpa"}]),
            "\"raise\", parameter \"by\": \"@HILL.students[7].gpa\" leads nowhere: @HILL.students has no [7]; it is a \
             list of 2",
        )?;
        check_execute(
            "raise",
            json!(["@GONE", 1.0]),
            "\"raise\", parameter \"student\": GONE was removed in its r2: read it as of an earlier revision, or add it again",
        )
    }

    #[test]
    fn a_run_that_ends_badly() -> Result<()> {
        check_execute("crash", json!(["@ANN"]), "\"crash\" panicked: out of chalk")?;
        check_execute(
            "twin",
            json!(["@HILL"]),
            "\"twin\" ran, and nothing of it was kept: ANN already stands at School HILL students and would stand at \
             School HILL alumni[1] too: take it out of the first in the same commit, or refer to it with an `Id`",
        )?;
        check_execute(
            "rebrand",
            json!(["@ANN"]),
            "\"rebrand\" ran, and nothing of it was kept: ANN came back as EVE: an identity stays, so leave it as it is, \
             and create what is to be another entity",
        )
    }

    #[test]
    fn commits_that_break_a_rule() -> Result<()> {
        check(
            |registry| registry.add(small_school!()),
            "HILL is in this registry already: change it with a callable that takes it by `&mut`, or `save` it",
        )?;
        check(|registry| registry.remove(id::<Student>("Ann")), "ANN is owned by HILL: take it out of that one instead")?;
        check(
            |registry| registry.remove(id::<Student>("Gone")),
            "GONE was removed in its r2: read it as of an earlier revision, or add it again",
        )?;
        check(
            |registry| {
                let mut school = small_school!();
                school.id = id("Eve");
                let zoe = Student { id: id("Nobody"), name: "N".into(), gpa: 0.0, courses: list(vec![]), mentor: None };
                school.students = list(vec![zoe.clone()]);
                school.alumni = list(vec![zoe]);
                registry.add(school)
            },
            "NOBODY stands twice: at EVE (as what it owns) and at School EVE alumni[0]; an entity has one owner, so take \
             it out of one, or refer to it with an `Id`",
        )?;
        check(
            |registry| {
                let (school, ann): (School, Student) = (registry.get(id("Hill"))?, registry.get(id("Ann"))?);
                Ok::<_, heirloom::Error>(registry.batch().save(school).save(ann).commit()?)
            },
            "ANN is owned by HILL, and both are in this commit: give the outer one alone",
        )
    }

    #[test]
    fn revisions_and_positions_that_are_not_there() -> Result<()> {
        let at = |when: When| move |registry: &Registry| registry.history().at(id::<Student>("Ann"), when);
        check(at(Revision(0).into()), "ANN has no r0: its revisions go from r1 to r1")?;
        check(at(Revision(2).into()), "ANN has no r2: its revisions go from r1 to r1")?;
        check(at(heirloom::Position(0).into()), "the log has no #0: its entries go from #1 to #3")?;
        check(at(heirloom::Position(9).into()), "the log has no #9: its entries go from #1 to #3")?;
        check(at(When::Tag("x".into())), "there is no tag \"x\": known are none")?;
        check(
            |registry| registry.history().at(id::<Student>("Gone"), heirloom::Position(1)),
            "GONE was not there yet at #1: it came at #2",
        )?;
        check(
            |registry| registry.revert(id::<Student>("Ann"), Revision(7)),
            "ANN has no r7: its revisions go from r1 to r1",
        )?;
        check(|registry| registry.get(id::<Course>("Ann")), "ANN is a Student, not a Course: ask for it by an `Id<Student>`")
    }
}

#[derive(Entity, Clone)]
#[entity(name = "Student")]
struct Impostor {
    id: Id<Impostor>,
}

#[test]
fn two_types_of_one_stored_name() -> Result<()> {
    let registry = Registry::in_memory();
    registry.add(common::plain::Course { id: id("c"), title: "C".into(), credits: 1 })?;
    registry.register_type::<Impostor>()?;
    let error = registry.register_type::<common::plain::Student>().expect_err("the name is taken").to_string();
    assert_eq!(
        error,
        "errors::Impostor and errors::common::plain::Student are both stored as \"Student\": give one of them another \
         name with `#[entity(name = \"...\")]`"
    );
    Ok(())
}
