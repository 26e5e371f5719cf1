//! Calls by name with JSON: by position, by parameter name, by address.

mod common;

use std::collections::BTreeMap;

use common::{for_both_schools, id, small_school};
use heirloom::Result;
use heirloom::prelude::*;
use serde_json::{Value as Json, json};

#[derive(Value, Clone, Debug, PartialEq)]
struct Grade {
    course: String,
    points: f64,
}

for_both_schools! {
    fn raise(student: &mut Student, by: f64) {
        student.gpa += by;
    }
    fn name_of(student: &Student) -> String {
        student.name.clone()
    }
    fn say(text: String) -> String {
        text
    }
    fn point_at(student: Id<Student>) -> Id<Student> {
        student
    }
    fn rename_all(students: Vec<&mut Student>, names: Vec<String>) {
        students.into_iter().zip(names).for_each(|(student, name)| student.name = name);
    }
    fn grade(student: &mut Student, grades: Vec<Grade>, weights: BTreeMap<String, f64>, extra: Option<u32>) -> f64 {
        let weight = |grade: &Grade| weights.get(&grade.course).copied().unwrap_or(1.0);
        student.gpa = grades.iter().map(|grade| grade.points * weight(grade)).sum::<f64>() + f64::from(extra.unwrap_or(0));
        student.gpa
    }
    fn found(name: String) -> School {
        School { id: id(&name), name, students: list(vec![]), alumni: list(vec![]) }
    }
    fn unit() {}

    fn registry() -> Result<Registry> {
        let registry = Registry::in_memory();
        let _ = registry.register("raise", raise)?.params(["student", "by"])?;
        let _ = registry.register("name of", name_of)?;
        let _ = registry.register("say", say)?.params(["text"])?;
        let _ = registry.register("point at", point_at)?;
        let _ = registry.register("rename all", rename_all)?;
        let _ = registry.register("grade", grade)?.params(["student", "grades", "weights", "extra"])?;
        let _ = registry.register("found", found)?;
        let _ = registry.register("unit", unit)?;
        registry.add(small_school!())?;
        Ok(registry)
    }

    fn addresses() -> (String, String, String) {
        (format!("@{}", id::<School>("Hill")), format!("@{}", id::<Student>("Ann")), format!("@{}", id::<Student>("Bob")))
    }

    #[test]
    fn arguments_come_by_position_or_by_name() -> Result<()> {
        let registry = registry()?;
        let (_, ann, bob) = addresses();
        let table: [(&str, Json, Json); 9] = [
            ("raise", json!([ann, 0.5]), Json::Null),
            ("raise", json!({"by": 0.5, "student": ann}), Json::Null),
            ("raise", json!([ann, 1]), Json::Null),
            ("name of", json!([ann]), json!("Ann")),
            ("unit", json!([]), Json::Null),
            ("unit", Json::Null, Json::Null),
            ("unit", json!({}), Json::Null),
            ("rename all", json!([[ann, bob], ["A", "B"]]), Json::Null),
            (
                "grade",
                json!({
                    "student": bob,
                    "grades": [{"course": "x", "points": 1.5}, {"points": 2.0, "course": "y"}],
                    "weights": {"y": 2.0},
                    "extra": null,
                }),
                json!(5.5),
            ),
        ];
        for (name, arguments, expected) in table {
            let outcome = registry.execute(name, arguments.clone())?;
            assert_eq!(outcome.value(), &expected, "{name} {arguments}");
        }
        let (ann, bob) = (registry.get(id::<Student>("Ann"))?, registry.get(id::<Student>("Bob"))?);
        assert_eq!((ann.gpa, ann.name.as_str(), bob.gpa, bob.name.as_str()), (5.5, "A", 5.5, "B"));
        Ok(())
    }

    #[test]
    fn a_created_entity_comes_back_as_its_address() -> Result<()> {
        let registry = registry()?;
        let dale = id::<School>("Dale");
        assert_eq!(registry.execute("found", json!(["Dale"]))?.into_value(), json!(format!("@{dale}")));
        assert_eq!(registry.get(dale)?.name, "Dale");
        Ok(())
    }

    #[test]
    fn a_string_is_an_address_only_where_an_entity_is_taken() -> Result<()> {
        let registry = registry()?;
        let (_, ann, _) = addresses();
        assert_eq!(registry.execute("say", json!([ann]))?.into_value(), json!(ann));
        assert_eq!(registry.execute("name of", json!([{"$at": ann}]))?.into_value(), json!("Ann"));
        assert_eq!(registry.execute("point at", json!([{"$at": ann}]))?.into_value(), json!(ann[1..]));
        assert_eq!(registry.execute("point at", json!([ann[1..]]))?.into_value(), json!(ann[1..]));
        Ok(())
    }

    #[test]
    fn what_stands_at_an_address_is_taken() -> Result<()> {
        let registry = registry()?;
        let (hill, ann, bob) = addresses();
        let check = |address: String, expected: &str| -> Result<()> {
            let outcome = registry.execute("say", json!([{"$at": address}]))?;
            assert_eq!(outcome.value(), &json!(expected), "{address}");
            Ok(())
        };
        check(format!("{ann}.name"), "Ann")?;
        check(format!("{hill}.students[1].name"), "Bob")?;
        check(format!("{hill}.students[0].courses[1].title"), "Botany")?;
        check(format!("{hill}.alumni[0].name"), "Zoe")?;
        check(format!("{ann}#1.name"), "Ann")?;
        registry.execute("raise", json!([ann, {"$at": format!("{bob}.gpa")}]))?;
        assert_eq!(registry.get(id::<Student>("Ann"))?.gpa, 5.5);
        let grades = json!([{"course": {"$at": format!("{ann}.name")}, "points": {"$at": format!("{bob}.gpa")}}]);
        assert_eq!(registry.execute("grade", json!([bob, grades, {"Ann": 2.0}, 1]))?.into_value(), json!(5.0));
        Ok(())
    }

    fn compare(before: &Student, now: &mut Student) -> f64 {
        now.name = format!("{} again", before.name);
        now.gpa - before.gpa
    }

    #[test]
    fn an_address_may_name_a_revision() -> Result<()> {
        let registry = registry()?;
        let _ = registry.register("compare", compare)?;
        let (hill, ann, _) = addresses();
        registry.execute("raise", json!([ann, 0.5]))?;
        registry.execute("rename all", json!([[ann], ["Anna"]]))?;
        assert_eq!(*registry.execute("name of", json!([format!("{ann}#2")]))?.value(), json!("Ann"));
        assert_eq!(*registry.execute("name of", json!([format!("{ann}#r3")]))?.value(), json!("Anna"));
        let was = |address: String| Ok::<_, heirloom::Error>(registry.execute("say", json!([{"$at": address}]))?.into_value());
        assert_eq!(was(format!("{hill}#2.students[0].name"))?, json!("Ann"));
        assert_eq!(was(format!("{hill}#3.students[0].name"))?, json!("Anna"));
        // As it was beside as it is: one entity, and no conflict with what comes.
        let compared = registry.execute("compare", json!([format!("{ann}#1"), ann]))?;
        assert_eq!(*compared.value(), json!(0.5));
        assert_eq!(registry.get(id::<Student>("Ann"))?.name, "Ann again");
        let arguments = compared.entry()?.run().expect("a callable made it").arguments();
        assert_eq!(arguments[0].to_string(), format!("{ann}#r1"));
        // What is edited must be the newest, so that nobody edits what is not there any more.
        registry.execute("raise", json!([format!("{ann}#4"), 0.5]))?;
        let stale = registry.execute("raise", json!([format!("{ann}#4"), 0.5])).expect_err("it is at r5");
        assert!(stale.to_string().contains("is at r5, not r4"), "{stale}");
        for wrong in ["#", "#x", "#-1", "#1.5", "#+1", "#99999999999999999999", "#r"] {
            assert!(registry.execute("name of", json!([format!("{ann}{wrong}")])).is_err(), "{wrong}");
        }
        let unknown = registry.execute("name of", json!([format!("{ann}#9")])).expect_err("there are five");
        assert!(unknown.to_string().contains("r9"), "{unknown}");
        Ok(())
    }
}
