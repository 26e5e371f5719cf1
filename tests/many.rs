//! Many calls by name at once: each has its own result, and a poisoned one takes no other with it.

mod common;

use std::sync::Mutex;

use common::{for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::store::{Durability, EntryKind, MemoryStore};
use heirloom::{Argument, Call, CallError, Commits, Conflict, Context, Outcome, Result};
use serde_json::{Value as Json, json};

const BOTH: [Commits; 2] = [Commits::OneEach, Commits::OneForAll];

/// What each call came to, in a word or two.
fn told(results: &[Result<Outcome<Json>, CallError>]) -> Vec<String> {
    let tell = |result: &Result<Outcome<Json>, CallError>| match result {
        Ok(outcome) => outcome.value().to_string(),
        Err(error) => error.to_string(),
    };
    results.iter().map(tell).collect()
}

fn registries() -> Result<Vec<Registry>> {
    let batched = Registry::builder().durability(Durability::Batched);
    Ok(vec![Registry::in_memory(), Registry::builder().over(MemoryStore::new())?, batched.over(MemoryStore::new())?])
}

fn entries(registry: &Registry, since: usize) -> Result<Vec<String>> {
    let told = |entry: heirloom::Entry| {
        let text = entry.to_string();
        text.splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
    };
    Ok(registry.history().entries().skip(since).map(|entry| entry.map(told)).collect::<Result<_, _>>()?)
}

for_both_schools! {
    fn raise(student: &mut Student, by: f64) -> std::result::Result<f64, String> {
        if by < 0.0 {
            return Err("grades only rise".to_owned());
        }
        student.gpa += by;
        Ok(student.gpa)
    }
    fn rename(student: &mut Student, name: String) -> String {
        assert!(!name.is_empty(), "nobody has no name");
        std::mem::replace(&mut student.name, name)
    }
    fn honour(school: &mut School) -> Vec<String> {
        school.name.push('!');
        school.students.iter().map(|student| format!("{} {}", student.name, student.gpa)).collect()
    }
    fn graduate(school: &mut School) {
        let student = take(&mut school.students, 0);
        push(&mut school.alumni, student);
    }
    fn retitle(course: &mut Course, title: String) {
        course.title = title;
    }
    fn average(school: &School) -> f64 {
        school.students.iter().map(|student| student.gpa).sum::<f64>() / school.students.len() as f64
    }
    fn enroll(school: &mut School, name: String) {
        push(&mut school.students, Student { id: id(&name), name, gpa: 0.0, courses: list(vec![]), mentor: None });
    }
    fn transfer(from: &mut School, to: &mut School) {
        let student = take(&mut from.students, 0);
        push(&mut to.students, student);
    }
    fn found(name: String) -> School {
        School { id: id(&name), name, students: list(vec![]), alumni: list(vec![]) }
    }
    fn swap_names(one: &mut Student, other: &mut Student) {
        std::mem::swap(&mut one.name, &mut other.name);
    }

    fn fill(registry: &Registry) -> Result<()> {
        let _ = registry.register("raise", raise)?.params(["student", "by"])?.code_version("7")?;
        let _ = registry.register("rename", rename)?;
        let _ = registry.register("honour", honour)?;
        let _ = registry.register("graduate", graduate)?;
        let _ = registry.register("retitle", retitle)?;
        let _ = registry.register("average", average)?;
        let _ = registry.register("enroll", enroll)?;
        let _ = registry.register("transfer", transfer)?;
        let _ = registry.register("found", found)?;
        let _ = registry.register("swap names", swap_names)?;
        registry.add(small_school!())?;
        registry.add(found("Dale".to_owned()))?;
        Ok(())
    }

    fn address<T: Entity>(name: &str) -> String {
        format!("@{}", id::<T>(name))
    }

    fn check(test: impl Fn(&Registry, Commits) -> Result<()>) -> Result<()> {
        for commits in BOTH {
            for registry in registries()? {
                fill(&registry)?;
                test(&registry, commits)?;
            }
        }
        Ok(())
    }

    #[test]
    fn a_poisoned_call_takes_no_other_with_it() -> Result<()> {
        check(|registry, commits| {
            let ann = address::<Student>("Ann");
            let results = registry.by("dean").execute_many(
                [
                    ("raise", json!([ann, 0.25])),
                    ("raise", json!([ann, -1])),
                    ("rename", json!([ann, ""])),
                    ("raze", json!([ann, 1])),
                    ("raise", json!({"student": ann, "to": 4})),
                    ("enroll", json!([address::<School>("Hill"), "Bob"])),
                    ("found", json!(["Dale"])),
                    ("raise", json!({"student": ann, "by": 0.25})),
                ],
                commits,
            );
            let told = told(&results);
            let refusals = ["only rise", "no name", "no callable is named", "has no parameter \"to\""];
            assert!(refusals.iter().zip(&told[1..]).all(|(why, told)| told.contains(why)), "{told:?}");
            assert!(results[5].is_err() || told[5].contains("panicked"), "{told:?}");
            assert!(told[6].contains("is in this registry already"), "{told:?}");
            assert_eq!((told[0].as_str(), told[7].as_str()), ("3.75", "4.0"));
            assert_eq!(registry.get(id::<Student>("Ann"))?.gpa, 4.0);
            Ok(())
        })
    }

    #[test]
    fn each_call_sees_what_those_before_it_did() -> Result<()> {
        check(|registry, commits| {
            let (hill, ann, botany) = (address::<School>("Hill"), address::<Student>("Ann"), address::<Course>("Botany"));
            let results = registry.execute_many(
                [
                    // The entity itself, what owns it, what it owns, a value by its address.
                    ("raise", json!([ann, 0.5])),
                    ("rename", json!([ann, "Anna"])),
                    ("average", json!([hill])),
                    ("honour", json!([hill])),
                    ("raise", json!([ann, 0.5])),
                    ("retitle", json!([botany, "Beetles"])),
                    ("raise", json!([address::<Student>("Bob"), {"$at": format!("{hill}.students[0].gpa")}])),
                    ("retitle", json!([botany, {"$at": format!("{hill}.name")}])),
                    ("honour", json!([hill])),
                    ("rename", json!([ann, {"$at": format!("{ann}.courses[1].title")}])),
                ],
                commits,
            );
            let expected = [
                "4.0", "\"Ann\"", "3.0", r#"["Anna 4","Bob 2"]"#, "4.5", "null", "6.5", "null", r#"["Anna 4.5","Bob 6.5"]"#,
                "\"Anna\"",
            ];
            assert_eq!(told(&results), expected, "{commits:?}");
            let hill = registry.get(id::<School>("Hill"))?;
            assert_eq!((hill.name.as_str(), hill.students[0].name.as_str()), ("Hill!!", "Hill!"));
            assert_eq!(registry.get(id::<Course>("Botany"))?.title, "Hill!");
            Ok(())
        })
    }

    #[test]
    fn entities_come_and_move_among_the_calls() -> Result<()> {
        check(|registry, commits| {
            let (hill, dale) = (address::<School>("Hill"), address::<School>("Dale"));
            let results = registry.execute_many(
                [
                    ("enroll", json!([hill, "Cid"])),
                    ("transfer", json!([hill, dale])),
                    ("found", json!(["Glen"])),
                    ("raise", json!([address::<Student>("Bob"), 1])),
                    ("transfer", json!([hill, dale])),
                    ("graduate", json!([dale])),
                    ("honour", json!([dale])),
                    ("honour", json!([hill])),
                ],
                commits,
            );
            let glen = format!("\"{}\"", address::<School>("Glen"));
            let expected = ["null", "null", glen.as_str(), "3.0", "null", "null", r#"["Bob 3"]"#, r#"["Cid 0"]"#];
            assert_eq!(told(&results), expected, "{commits:?}");
            let owner = registry.history().tree(id::<School>("Dale"), When::Head)?.ids()?;
            assert_eq!(owner.len(), 6, "Dale, Ann with two courses, Bob with one");
            Ok(())
        })
    }

    #[test]
    fn one_commit_has_one_entry_that_tells_its_runs() -> Result<()> {
        for registry in registries()? {
            fill(&registry)?;
            let (hill, ann) = (address::<School>("Hill"), address::<Student>("Ann"));
            let calls = [
                ("raise", json!([ann, 0.5])),
                ("raise", json!([ann, -1])),
                ("average", json!([hill])),
                ("swap names", json!([ann, address::<Student>("Bob")])),
            ];
            let results = registry.by("dean").execute_many(calls, Commits::OneForAll);
            assert_eq!(
                entries(&registry, 2)?,
                ["dean raise: failed: grades only rise", "dean execute_many: 3 versions"],
            );
            let outcome = results[0].as_ref().expect("it came to its end");
            assert_eq!(results[3].as_ref().expect("it came to its end").position(), outcome.position());
            assert_eq!(
                outcome.changes().to_string(),
                "Student Bob: name \"Ann\" -> \"Bob\"\nStudent Bob: gpa 3.5 -> 4.0\nStudent Ann: name \"Bob\" -> \"Ann\""
            );
            let entry = outcome.entry()?;
            let parts = entry.run().expect("it is a run").parts();
            let told: Vec<String> = parts
                .iter()
                .map(|part| {
                    let arguments: Vec<String> = part.arguments.iter().map(Argument::to_string).collect();
                    format!("{} {:?} {}", part.callable, part.code_version, arguments.join(" "))
                })
                .collect();
            let bob = address::<Student>("Bob");
            let expected = [
                format!("raise Some(\"7\") {ann}#r1 0.5"),
                format!("average None {hill}#r1"),
                format!("swap names None {ann}#r1 {bob}#r1"),
            ];
            assert_eq!(told, expected);
            assert_eq!(entry.kind(), EntryKind::Run);
            let single = registry.call(raise, (id::<Student>("Ann"), 0.0))?.entry()?;
            assert!(single.run().expect("it is a run").parts().is_empty());
        }
        Ok(())
    }

    #[test]
    fn one_commit_each_has_an_entry_each() -> Result<()> {
        for registry in registries()? {
            fill(&registry)?;
            let ann = address::<Student>("Ann");
            let calls = [json!([ann, 0.5]), json!([ann, -1]), json!([address::<Student>("Bob"), 1])];
            registry.by("dean").execute_many(calls.map(|arguments| ("raise", arguments)), Commits::OneEach);
            let raised = "dean raise: 2 versions";
            assert_eq!(entries(&registry, 2)?, [raised, "dean raise: failed: grades only rise", raised]);
        }
        Ok(())
    }

    #[test]
    fn what_an_earlier_call_of_one_commit_brought_or_took_away_cannot_be_named() -> Result<()> {
        for registry in registries()? {
            fill(&registry)?;
            let (hill, dale) = (address::<School>("Hill"), address::<School>("Dale"));
            let calls = [
                ("enroll", json!([hill, "Cid"])),
                ("raise", json!([address::<Student>("Cid"), 1])),
                ("transfer", json!([hill, dale])),
                ("raise", json!([address::<Student>("Ann"), 1])),
                ("raise", json!([address::<Student>("Bob"), {"$at": format!("{}.gpa", address::<Student>("Ann"))}])),
                ("raise", json!([address::<Student>("Bob"), 1])),
            ];
            let results = registry.execute_many(calls.clone(), Commits::OneForAll);
            let told = told(&results);
            for index in [1, 3, 4] {
                assert!(told[index].contains("by an earlier call of the same commit: give this call to the next one"), "{told:?}");
            }
            assert_eq!(told[5], "3.0");
            assert!(matches!(results[1], Err(CallError::Argument { .. })));
            // In the next one they can.
            let results = registry.execute_many([calls[1].clone(), calls[3].clone()], Commits::OneForAll);
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        }
        Ok(())
    }
}

#[derive(Entity, Clone)]
struct Counter {
    id: Id<Counter>,
    count: u64,
}

fn count(counter: &mut Counter) -> u64 {
    counter.count += 1;
    counter.count
}

fn counter(registry: &Registry, name: &str) -> Result<(Id<Counter>, Json)> {
    let id = registry.add(Counter { id: id(name), count: 0 })?;
    Ok((id, json!([format!("@{id}")])))
}

/// Counts, and has somebody else count meanwhile the first so many times.
fn disturbed(registry: &Registry, times: u32) -> Result<()> {
    let (other, left) = (registry.clone(), Mutex::new(times));
    let count_disturbed = move |counter: &mut Counter| {
        let mut left = left.lock().expect("nobody panics");
        if *left > 0 {
            *left -= 1;
            other.call(count, (counter.id,)).expect("nobody disturbs this one");
        }
        counter.count += 1;
        counter.count
    };
    let _ = registry.register("disturbed", count_disturbed)?;
    Ok(())
}

#[test]
fn a_conflict_refuses_all_of_one_commit_or_runs_all_of_it_again() -> Result<()> {
    for registry in registries()? {
        let _ = registry.register("count", count)?;
        disturbed(&registry, 2)?;
        let ((one, first), (two, second)) = (counter(&registry, "one")?, counter(&registry, "two")?);
        let calls = || [("count", second.clone()), ("disturbed", first.clone()), ("raze", json!([]))];
        let results = registry.execute_many(calls(), Commits::OneForAll);
        for result in &results[..2] {
            let Err(CallError::Together { calls, source, .. }) = result else { panic!("{result:?}") };
            assert!(*calls == 2 && source.to_string().contains("is at r2, not r1"), "{source}");
        }
        assert!(matches!(results[2], Err(CallError::UnknownName { .. })));
        assert_eq!((registry.get(one)?.count, registry.get(two)?.count), (1, 0));
        let last = registry.history().entries().next_back().expect("the refused one")?;
        assert_eq!(last.kind(), EntryKind::Refused);
        assert_eq!(last.run().map(|run| run.parts().len()), Some(2));

        let results = registry.caller().on_conflict(Conflict::Retry(3)).execute_many(calls(), Commits::OneForAll);
        assert_eq!(told(&results)[..2], ["1", "3"]);
        assert_eq!((registry.get(one)?.count, registry.get(two)?.count), (3, 1));
    }
    Ok(())
}

#[test]
fn a_conflict_of_one_commit_each_concerns_that_one_alone() -> Result<()> {
    for registry in registries()? {
        let _ = registry.register("count", count)?;
        disturbed(&registry, 2)?;
        let ((_, first), (_, second)) = (counter(&registry, "one")?, counter(&registry, "two")?);
        let calls = || [("count", second.clone()), ("disturbed", first.clone()), ("count", first.clone())];
        let results = registry.execute_many(calls(), Commits::OneEach);
        assert!(matches!(results[1], Err(CallError::Commit { .. })), "{results:?}");
        assert_eq!((told(&results)[0].as_str(), told(&results)[2].as_str()), ("1", "2"));
        let results = registry.caller().on_conflict(Conflict::Retry(1)).execute_many(calls(), Commits::OneEach);
        assert_eq!(told(&results), ["2", "4", "5"]);
    }
    Ok(())
}

#[test]
fn calls_are_read_from_json() -> Result<()> {
    let registry = Registry::in_memory();
    let _ = registry.register("count", count)?;
    let (_, arguments) = counter(&registry, "one")?;
    let script =
        json!([{"name": "count", "arguments": arguments}, {"name": "count", "input": arguments}, {"name": "count"}]);
    let calls: Vec<Call> = serde_json::from_value(script).expect("it is a list of calls");
    let results = registry.execute_many(calls, Commits::OneForAll);
    assert_eq!(told(&results)[..2], ["1", "2"]);
    assert!(told(&results)[2].contains("takes its arguments as a JSON list"), "{results:?}");
    Ok(())
}

#[test]
fn nothing_is_committed_where_no_call_came_to_its_end() -> Result<()> {
    let registry = Registry::in_memory();
    for commits in BOTH {
        assert!(registry.execute_many([("raze", json!([]))], commits)[0].is_err());
        assert!(registry.execute_many(Vec::<Call>::new(), commits).is_empty());
    }
    assert_eq!(registry.history().head().0, 0);
    Ok(())
}

#[test]
fn what_a_run_was_told_is_in_its_part_of_the_entry() -> Result<()> {
    fn stamp(context: &Context, counter: &mut Counter) -> String {
        counter.count = context.random();
        format!("{} {}", context.run_id(), context.now())
    }
    for registry in registries()? {
        let _ = registry.register("stamp", stamp)?;
        let (_, arguments) = counter(&registry, "one")?;
        let results = registry.execute_many([("stamp", arguments.clone()), ("stamp", arguments)], Commits::OneForAll);
        let entry = results[0].as_ref().expect("it came to its end").entry()?;
        let parts = entry.run().expect("it is a run").parts();
        let stamps = parts.iter().map(|part| json!(format!("{} {}", part.id.expect("drawn"), part.now.expect("told"))));
        assert_eq!(stamps.map(|stamp| stamp.to_string()).collect::<Vec<_>>(), told(&results));
    }
    Ok(())
}

#[test]
fn no_callable_takes_the_name_that_stands_for_many() {
    let registry = Registry::in_memory();
    let taken = registry.register("execute_many", count).expect_err("the log means something else by it");
    assert!(taken.to_string().contains("choose another name"), "{taken}");
}

#[test]
fn what_is_taken_by_value_and_given_back_is_an_edit_in_a_commit_of_many_too() -> Result<()> {
    #[derive(Entity, Clone)]
    struct Counter {
        id: Id<Counter>,
        count: i64,
    }
    fn count(counter: Counter, by: i64) -> Counter {
        Counter { count: counter.count + by, ..counter }
    }
    for commits in BOTH {
        for registry in registries()? {
            let _ = registry.register("count", count)?;
            let counter = registry.add(Counter { id: Id::new(), count: 0 })?;
            let calls = [1, 2, 4].map(|by| Call::new("count", json!([format!("@{counter}"), by])));
            let results = registry.execute_many(calls, commits);
            assert!(results.iter().all(std::result::Result::is_ok), "{:?}", told(&results));
            assert_eq!(registry.get(counter)?.count, 7);
        }
    }
    Ok(())
}

#[test]
fn each_run_of_a_commit_of_many_is_told_from_its_beginning_to_its_end() -> Result<()> {
    fn nothing() {}
    let registry = Registry::in_memory();
    let _ = registry.register("nothing", nothing)?;
    let heard = std::sync::Arc::new(Mutex::new(Vec::new()));
    let ear = std::sync::Arc::clone(&heard);
    let _subscription = registry.subscribe(move |observation| {
        let told = (observation.kind(), observation.callable().map(str::to_owned), observation.run());
        ear.lock().expect("nobody panics").push(told);
    });
    let _ =
        registry.execute_many([Call::new("nothing", json!([])), Call::new("nothing", json!([]))], Commits::OneForAll);
    let heard = heard.lock().expect("nobody panics");
    let told: Vec<_> =
        heard.iter().map(|(kind, callable, _)| format!("{kind:?} {}", callable.as_deref().unwrap_or(""))).collect();
    let one = ["WillRun nothing", "DidRun nothing", "DidJoin nothing"];
    assert_eq!(told, [&one[..], &one, &["DidNotChange execute_many"]].concat());
    assert!(heard[0].2.is_some() && heard[0].2 == heard[2].2 && heard[2].2 != heard[3].2);
    Ok(())
}
