//! What the Python framework that this follows in spirit gets wrong: a test for each line of the design's table.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::{Result, Strays};

for_both_schools! {
    fn credit(course: &mut Course) {
        course.credits += 1;
    }
    fn move_course(from: &mut Student, to: &mut Student) {
        let course = take(&mut from.courses, 0);
        push(&mut to.courses, course);
    }
    fn detach(school: &mut School) -> Student {
        take(&mut school.students, 0)
    }
    fn touch(school: &mut School) {
        for student in &mut school.students {
            student.gpa += 0.0;
        }
    }
    fn reverse(student: &mut Student) {
        let first = take(&mut student.courses, 0);
        push(&mut student.courses, first);
    }

    fn registry() -> Result<Registry> {
        let registry = Registry::in_memory();
        let _ = registry.register("credit", credit)?;
        let _ = registry.register("move course", move_course)?;
        let _ = registry.register("detach", detach)?;
        let _ = registry.register("touch", touch)?;
        let _ = registry.register("reverse", reverse)?;
        registry.add(small_school!())?;
        Ok(registry)
    }

    fn revisions(registry: &Registry) -> Vec<u64> {
        let ids = [id::<()>("Hill"), id("Ann"), id("Bob"), id("Zoe"), id("Algebra"), id("Botany"), id("Chemistry")];
        ids.iter().map(|id| registry.history().revision(EntityId::from(*id)).expect("it is known").0).collect()
    }

    #[test]
    fn a_leaf_edit_is_stored_in_its_own_call() -> Result<()> {
        let registry = registry()?;
        for round in 1..=3 {
            let outcome = registry.call(credit, (id::<Course>("Algebra"),))?;
            assert_eq!(outcome.changes().to_string(), format!("Course Algebra: credits {} -> {}", round + 4, round + 5));
            assert_eq!(registry.get(id::<School>("Hill"))?.students[0].courses[0].credits, round + 5);
        }
        Ok(())
    }

    #[test]
    fn a_reorder_is_told_as_what_it_is() -> Result<()> {
        let outcome = registry()?.call(reverse, (id::<Student>("Ann"),))?;
        assert_eq!(outcome.changes().to_string(), "Course Algebra: moved 0 -> 1 in Student Ann courses");
        Ok(())
    }

    #[test]
    fn editing_a_result_changes_no_stored_version() -> Result<()> {
        let registry = registry()?;
        let hill = id::<School>("Hill");
        let before = registry.history().digest(hill, When::Head)?;
        let mut read = registry.get(hill)?;
        read.students[0].gpa = 0.0;
        read.students[0].courses[0].credits = 0;
        let mut detached = registry.call(detach, (hill,))?.into_value();
        detached.name.clear();
        assert_eq!(registry.history().digest(hill, Revision(1))?, before);
        assert_eq!(registry.get(id::<Student>("Ann"))?.name, "Ann");
        Ok(())
    }

    #[test]
    fn a_call_that_changes_nothing_makes_no_version() -> Result<()> {
        let registry = registry()?;
        assert!(registry.by("dean").call(touch, (id::<School>("Hill"),))?.is_unchanged());
        assert_eq!(revisions(&registry), [1; 7]);
        Ok(())
    }

    #[test]
    fn a_move_gives_root_source_target_and_moved_a_version_each() -> Result<()> {
        let registry = registry()?;
        let outcome = registry.call(move_course, (id::<Student>("Ann"), id::<Student>("Bob")))?;
        assert_eq!(revisions(&registry), [2, 2, 2, 1, 2, 1, 1]);
        assert_eq!(outcome.changes().len(), 1, "the change list is one move");
        Ok(())
    }

    #[test]
    fn of_two_calls_on_one_state_one_conflicts_and_there_is_one_head() -> Result<()> {
        let registry = registry()?;
        let ann = id::<Student>("Ann");
        let (mut one, mut other) = (registry.checkout(ann)?, registry.checkout(ann)?);
        one.gpa = 1.0;
        other.gpa = 2.0;
        registry.save(&mut one)?;
        assert!(registry.save(&mut other).is_err());
        assert_eq!((registry.get(ann)?.gpa, registry.history().of(ann)?.len()), (1.0, 2));
        Ok(())
    }

    #[test]
    fn several_inputs_of_one_tree_all_land() -> Result<()> {
        let registry = registry()?;
        registry.call(move_course, (id::<Student>("Bob"), id::<Student>("Zoe")))?;
        let school = registry.get(id::<School>("Hill"))?;
        assert_eq!((school.students[1].courses.len(), school.alumni[0].courses.len()), (0, 1));
        assert!(registry.call(move_course, (id::<Student>("Ann"), id::<Student>("Ann"))).is_err());
        Ok(())
    }

    #[test]
    fn skipping_the_check_for_strays_is_honoured() -> Result<()> {
        let registry = registry()?;
        let mut held = registry.checkout(id::<Course>("Algebra"))?;
        held.title.push('!');
        registry.caller().strays(Strays::Unchecked).call(credit, (&mut held,))?;
        assert_eq!(registry.history().of(held.id())?.len(), 2, "one commit, not one for the stray and one for the run");
        Ok(())
    }

    #[test]
    fn nothing_grows_but_versions() -> Result<()> {
        let registry = registry()?;
        for _ in 0..50 {
            registry.call(credit, (id::<Course>("Algebra"),))?;
        }
        assert_eq!(revisions(&registry), [51, 51, 1, 1, 51, 1, 1]);
        assert_eq!(registry.callables().len(), 5);
        let read = registry.get(id::<School>("Hill"))?;
        assert_eq!(format!("{read:?}").len(), format!("{:?}", registry.history().at(read.id, Revision(45))?).len());
        Ok(())
    }

    #[test]
    fn no_observation_is_lost_after_the_first_call() -> Result<()> {
        let registry = registry()?;
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let _subscription = registry.subscribe(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        for call in 1..=20 {
            registry.call(credit, (id::<Course>("Algebra"),))?;
            assert_eq!(heard.load(Ordering::Relaxed), 3 * call);
        }
        Ok(())
    }

    #[test]
    fn detaching_leaves_the_parent_a_version_without_it() -> Result<()> {
        let registry = registry()?;
        registry.call(credit, (id::<Course>("Algebra"),))?;
        registry.call(detach, (id::<School>("Hill"),))?;
        assert_eq!(revisions(&registry), [3, 3, 1, 1, 2, 1, 1]);
        assert_eq!(registry.get(id::<School>("Hill"))?.students.len(), 1);
        assert_eq!(registry.history().owner(id::<Student>("Ann"), When::Head)?, None);
        assert_eq!(registry.history().owner(id::<Student>("Ann"), Revision(2))?.map(|(_, field)| field), Some("students"));
        Ok(())
    }
}

#[test]
fn removals_renames_and_swaps_in_lists_and_maps_are_each_told() -> Result<()> {
    use std::collections::BTreeMap;
    #[derive(Entity, Clone)]
    struct Sheet {
        id: Id<Sheet>,
        list: Vec<String>,
        map: BTreeMap<String, i32>,
    }
    let sheet = Sheet {
        id: id("sheet"),
        list: ["a", "b", "c"].map(String::from).into(),
        map: [("x".to_owned(), 1), ("y".to_owned(), 2)].into(),
    };
    let check = |edit: fn(&mut Sheet), expected: &str| -> Result<()> {
        let registry = Registry::in_memory();
        let _ = registry.register("edit", move |sheet: &mut Sheet| edit(sheet))?;
        let sheet = registry.add(sheet.clone())?;
        let outcome = registry.execute("edit", serde_json::json!([format!("@{sheet}")]))?;
        let name = format!("Sheet {}: ", &sheet.to_string()[28..]);
        assert_eq!(outcome.changes().to_string().replace(&name, ""), expected);
        Ok(())
    };
    check(|sheet| drop(sheet.list.remove(1)), "list[1] - \"b\"")?;
    check(|sheet| sheet.map.retain(|key, _| key != "x"), "map[\"x\"] - 1")?;
    check(|sheet| sheet.list.rotate_left(1), "list[0] - \"a\"\nlist[2] + \"a\"")?;
    check(
        |sheet| {
            let value = sheet.map.remove("x");
            sheet.map.extend(value.map(|value| ("z".to_owned(), value)));
        },
        "map[\"x\"] - 1\nmap[\"z\"] + 1",
    )?;
    check(|sheet| sheet.map = [("x".to_owned(), 2), ("y".to_owned(), 1)].into(), "map[\"x\"] 1 -> 2\nmap[\"y\"] 2 -> 1")
}
