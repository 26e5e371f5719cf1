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
        let new = registry.history().entries().skip(head.0 as usize).map(|entry| entry.expect("it reads").version_count()).sum::<usize>();
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
        check_execute("raise", json!(["@HILL", 1.0]), "\"raise\", parameter \"student\": HILL is a School, not a Student: ask for it by an `Id<School>`, or give the Student an identity of its own")?;
        check_execute(
            "raise",
            json!(["ANN", 1.0]),
            "\"raise\", parameter \"student\": \"ANN\" is not an address: expected \"@<id>\", \"@<id>.field\", \
             \"@<id>.list[3]\" or \"@<id>.map[\\\"key\\\"]\", each also as of a \
             revision, \"@<id>#3\"",
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
            "GONE was not there yet at #1: it is known from #2 on",
        )?;
        check(
            |registry| registry.revert(id::<Student>("Ann"), Revision(7)),
            "ANN has no r7: its revisions go from r1 to r1",
        )?;
        check(|registry| registry.get(id::<Course>("Ann")), "ANN is a Student, not a Course: ask for it by an `Id<Student>`, or give the Course an identity of its own")
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

#[derive(Entity, Clone, Debug, PartialEq)]
struct Dot {
    id: Id<Dot>,
    x: i32,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Ring {
    id: Id<Ring>,
    x: i32,
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Figure {
    Dot(Dot),
    Ring(Ring),
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Dots {
    id: Id<Dots>,
    kids: Children<Dot>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Figures {
    id: Id<Figures>,
    kids: Children<Figure>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Album {
    Dots(Dots),
    Figures(Figures),
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Sheet {
    id: Id<Sheet>,
    dots: Vec<Dot>,
    rings: Vec<Ring>,
    figures: Vec<Figure>,
    shared_dots: Children<Dot>,
    shared_figures: Children<Figure>,
    both: (Option<Dot>, Option<Figure>),
    album: Option<Album>,
}

/// `inline` and `whole` by value, `shared` and `kid` under handles, all of them dots; and one figure.
fn sheet() -> Sheet {
    let dot = |name| Dot { id: id(name), x: 1 };
    let shared = |name| Children::try_from_iter([dot(name)]).expect("one id does not stand twice");
    Sheet {
        id: id("sheet"),
        dots: vec![dot("inline")],
        rings: vec![],
        figures: vec![Figure::Dot(dot("figure"))],
        shared_dots: shared("shared"),
        shared_figures: Children::new(),
        both: (Some(dot("whole")), None),
        album: Some(Album::Dots(Dots { id: id("album"), kids: shared("kid") })),
    }
}

/// A run that would leave `entity`, a `found`, where an `expected` stands: it is refused, and all is as it was.
fn check_type_stays(edit: fn(&mut Sheet), entity: &str, found: &str, expected: &str) -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("edit", edit)?;
    let _ = registry.register("grow", |dot: &mut Dot| dot.x += 1)?;
    let _ = registry.register("grow figure", |figure: &mut Figure| match figure {
        Figure::Dot(Dot { x, .. }) | Figure::Ring(Ring { x, .. }) => *x += 1,
    })?;
    let root = registry.add(sheet())?;
    let error = registry.execute("edit", json!([format!("@{root}")])).err().map(|error| error.to_string());
    let entity = EntityId::from(id::<()>(entity));
    assert_eq!(
        error,
        Some(format!(
            "\"edit\" ran, and nothing of it was kept: {entity} is a {found}, not a {expected}: ask for it by an \
             `Id<{found}>`, or give the {expected} an identity of its own"
        ))
    );
    assert_eq!((registry.get(root)?, registry.history().revision(root)?), (sheet(), Revision(1)));
    let grow = if found == "Figure" { "grow figure" } else { "grow" };
    registry.execute(grow, json!([format!("@{entity}")]))?;
    registry.revert(root, Revision(1))?;
    assert_eq!((registry.get(root)?, registry.history().revision(entity)?), (sheet(), Revision(3)));
    Ok(())
}

#[test]
fn an_entity_does_not_move_to_where_another_type_stands() -> Result<()> {
    let to_figures = |sheet: &mut Sheet| sheet.figures.push(Figure::Dot(sheet.dots.remove(0)));
    check_type_stays(to_figures, "inline", "Dot", "Figure")?;
    let from_figures = |sheet: &mut Sheet| match sheet.figures.remove(0) {
        Figure::Dot(dot) => sheet.dots.push(dot),
        Figure::Ring(ring) => sheet.rings.push(ring),
    };
    check_type_stays(from_figures, "figure", "Figure", "Dot")?;
    let under_handles = |sheet: &mut Sheet| {
        let dot = sheet.shared_dots.remove(0).expect("there is one").into_inner();
        sheet.shared_figures.push(Figure::Dot(dot)).expect("it stands there alone");
    };
    check_type_stays(under_handles, "shared", "Dot", "Figure")?;
    let within_a_field = |sheet: &mut Sheet| sheet.both = (None, sheet.both.0.take().map(Figure::Dot));
    check_type_stays(within_a_field, "whole", "Dot", "Figure")
}

#[test]
fn another_type_does_not_take_the_identity_of_what_goes() -> Result<()> {
    let a_ring = |sheet: &mut Sheet| {
        let dot = sheet.dots.remove(0);
        sheet.rings.push(Ring { id: Id::from_entity_id(dot.id.entity_id()), x: 2 });
    };
    check_type_stays(a_ring, "inline", "Dot", "Ring")?;
    let an_album = |sheet: &mut Sheet| {
        let kids = std::mem::take(&mut sheet.shared_dots);
        sheet.dots.clear();
        sheet.album = Some(Album::Dots(Dots { id: id("inline"), kids }));
    };
    check_type_stays(an_album, "inline", "Dot", "Album")
}

fn into_figures(sheet: &mut Sheet) {
    let Some(Album::Dots(Dots { kids, .. })) = sheet.album.take() else { return };
    let kids = Children::try_from_iter(kids.into_iter().map(|dot| Figure::Dot(dot.into_inner())));
    sheet.album = Some(Album::Figures(Figures { id: id("album"), kids: kids.expect("none stands twice") }));
}

#[test]
fn what_a_retyped_owner_keeps_under_the_same_name_keeps_its_type_too() -> Result<()> {
    check_type_stays(into_figures, "kid", "Dot", "Figure")
}

#[test]
fn an_equal_digest_does_not_hide_another_type() -> Result<()> {
    let (here, elsewhere) = (Registry::in_memory(), Registry::in_memory());
    let mut other = sheet();
    into_figures(&mut other);
    here.add(sheet())?;
    elsewhere.add(other)?;
    // A digest counts a figure as the dot that it is, and is kept under the handle.
    let digest = |registry: &Registry| registry.history().digest(EntityId::from(id::<()>("kid")), When::Head);
    here.history().digest(id::<Sheet>("sheet"), When::Head)?;
    elsewhere.history().digest(id::<Sheet>("sheet"), When::Head)?;
    assert_eq!(digest(&here)?, digest(&elsewhere)?);
    let error = here.batch().save(elsewhere.get(id::<Sheet>("sheet"))?).commit().err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("is a Dot, not a Figure")));
    assert_eq!(here.get(id::<Sheet>("sheet"))?, sheet());
    Ok(())
}

#[test]
fn a_figure_turns_into_another_in_a_place_for_figures() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("turn", |sheet: &mut Sheet| {
        let ring = Figure::Ring(Ring { id: id("figure"), x: 3 });
        sheet.figures.clear();
        sheet.shared_figures.push(ring).expect("it stands there alone");
    })?;
    let root = registry.add(sheet())?;
    let outcome = registry.execute("turn", json!([format!("@{root}")]))?;
    assert!(outcome.changes().to_string().contains("Dot -> Ring"), "{}", outcome.changes());
    assert_eq!(registry.get(id::<Figure>("figure"))?, Figure::Ring(Ring { id: id("figure"), x: 3 }));
    registry.revert(root, Revision(1))?;
    assert_eq!(registry.get(root)?, sheet());
    Ok(())
}
