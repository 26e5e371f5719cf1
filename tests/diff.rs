//! What changed: nothing is missed, nothing is made up, and it prints as it is.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use common::{for_both_schools, id, small_school};
use heirloom::prelude::*;
use heirloom::{Changes, diff, diff_each};
use indexmap::IndexMap;
use serde_json::json;

fn check_changes<T: Entity>(before: &T, after: &T, expected: &str) {
    assert_eq!(changes(before, after).to_string(), expected);
}

/// The changes, whose way back must say as much.
fn changes<T: Entity>(before: &T, after: &T) -> Changes {
    let there = diff(before, after).expect("no entity stands twice");
    let back = diff(after, before).expect("no entity stands twice");
    assert_eq!(there.is_empty(), back.is_empty(), "{there}\n-- and back --\n{back}");
    assert_eq!(there.len(), back.len(), "{there}\n-- and back --\n{back}");
    there
}

for_both_schools! {
    fn check(edit: impl FnOnce(&mut School), expected: &str) {
        let before = small_school!();
        let mut after = before.clone();
        edit(&mut after);
        check_changes(&before, &after, expected);
        let mut apart = small_school!();
        apart.name = before.name.clone();
        check_changes(&before, &apart, "");
    }

    #[test]
    fn an_edit_names_entity_field_before_and_after() {
        check(|school| school.name = "Dale".into(), r#"School Dale: name "Hill" -> "Dale""#);
        check(|school| school.students[0].gpa = 3.8, "Student Ann: gpa 3.5 -> 3.8");
        check(|school| school.students[0].courses[1].credits = 6, "Course Botany: credits 5 -> 6");
        check(
            |school| {
                school.students[0].courses[1].credits = 6;
                school.students[1].gpa = 2.1;
                school.name = "Dale".into();
            },
            "School Dale: name \"Hill\" -> \"Dale\"\nCourse Botany: credits 5 -> 6\nStudent Bob: gpa 2.0 -> 2.1",
        );
    }

    #[test]
    fn what_comes_and_goes_is_said_with_its_place() {
        check(|school| drop(take(&mut school.students, 0)), "Student Ann: removed from School Hill students[0]");
        check(
            |school| drop(take(&mut school.students[0].courses, 0)),
            "Course Algebra: removed from Student Ann courses[0]",
        );
        check(
            |school| put(&mut school.students[1].courses, 0, Course { id: Id::new(), title: "Zen".into(), credits: 1 }),
            "Course Zen: added to Student Bob courses[0]",
        );
        check(
            |school| school.students[0].mentor = Some(id("Bob")),
            &format!("Student Ann: mentor null -> @{}", id::<Student>("Bob")),
        );
    }

    #[test]
    fn a_reorder_is_the_fewest_moves() {
        check(
            |school| {
                let ann = take(&mut school.students, 0);
                push(&mut school.students, ann);
            },
            "Student Ann: moved 0 -> 1 in School Hill students",
        );
        let names = ["a", "b", "c", "d", "e"];
        let course = |name: &str| Course { id: id(name), title: name.to_owned(), credits: 1 };
        let courses = |order: &[usize]| Student {
            id: id("Ann"),
            name: "Ann".into(),
            gpa: 1.0,
            courses: list(order.iter().map(|at| course(names[*at])).collect()),
            mentor: None,
        };
        let table: [(&[usize], &str); 4] = [
            (&[4, 0, 1, 2, 3], "Course e: moved 4 -> 0 in Student Ann courses"),
            (&[1, 2, 3, 4, 0], "Course a: moved 0 -> 4 in Student Ann courses"),
            (&[0, 3, 2, 1, 4], "2 moves"),
            (&[4, 3, 2, 1, 0], "4 moves"),
        ];
        for (order, expected) in table {
            let found = changes(&courses(&[0, 1, 2, 3, 4]), &courses(order));
            let text = if expected.ends_with("moves") { format!("{} moves", found.len()) } else { found.to_string() };
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn two_entities_that_swap_their_fields_have_both_changed() {
        check(
            |school| {
                school.students[0].gpa = 2.0;
                school.students[1].gpa = 3.5;
            },
            "Student Ann: gpa 3.5 -> 2.0\nStudent Bob: gpa 2.0 -> 3.5",
        );
        check(
            |school| {
                school.students[0].courses[0].title = "Botany".into();
                school.students[0].courses[1].title = "Algebra".into();
            },
            "Course Botany: title \"Algebra\" -> \"Botany\"\nCourse Algebra: title \"Botany\" -> \"Algebra\"",
        );
    }

    #[test]
    fn a_move_is_one_change_wherever_it_goes() {
        // Between two parents.
        check(
            |school| {
                let course = take(&mut school.students[0].courses, 0);
                push(&mut school.students[1].courses, course);
            },
            "Course Algebra: moved from Student Ann courses[0] to Student Bob courses[1]",
        );
        // Between two fields of one parent.
        check(
            |school| {
                let bob = take(&mut school.students, 1);
                push(&mut school.alumni, bob);
            },
            "Student Bob: moved from School Hill students[1] to School Hill alumni[1]",
        );
        // And changed on the way, and something below it too.
        check(
            |school| {
                let mut bob = take(&mut school.students, 1);
                bob.gpa = 2.5;
                bob.courses[0].credits = 1;
                push(&mut school.alumni, bob);
            },
            "Student Bob: moved from School Hill students[1] to School Hill alumni[1]\n\
             Student Bob: gpa 2.0 -> 2.5\nCourse Chemistry: credits 5 -> 1",
        );
        // Two that change places.
        check(
            |school| {
                let (ann, zoe) = (take(&mut school.students, 0), take(&mut school.alumni, 0));
                put(&mut school.students, 0, zoe);
                push(&mut school.alumni, ann);
            },
            "Student Zoe: moved from School Hill alumni[0] to School Hill students[0]\n\
             Student Ann: moved from School Hill students[0] to School Hill alumni[0]",
        );
    }

    #[test]
    fn what_leaves_a_removed_owner_or_comes_into_a_new_one_has_moved() {
        check(
            |school| {
                let mut ann = take(&mut school.students, 0);
                let algebra = take(&mut ann.courses, 0);
                push(&mut school.students[0].courses, algebra);
            },
            "Course Algebra: moved from Student Ann courses[0] to Student Bob courses[1]\n\
             Student Ann: removed from School Hill students[0]",
        );
        check(
            |school| {
                let algebra = take(&mut school.students[0].courses, 0);
                let dan = Student { id: id("Dan"), name: "Dan".into(), gpa: 1.0, courses: list(vec![algebra]), mentor: None };
                push(&mut school.alumni, dan);
            },
            "Course Algebra: moved from Student Ann courses[0] to Student Dan courses[0]\n\
             Student Dan: added to School Hill alumni[1]",
        );
        // From a removed owner into a new one.
        check(
            |school| {
                let mut ann = take(&mut school.students, 0);
                let algebra = take(&mut ann.courses, 0);
                let dan = Student { id: id("Dan"), name: "Dan".into(), gpa: 1.0, courses: list(vec![algebra]), mentor: None };
                push(&mut school.students, dan);
            },
            "Course Algebra: moved from Student Ann courses[0] to Student Dan courses[0]\n\
             Student Ann: removed from School Hill students[0]\n\
             Student Dan: added to School Hill students[1]",
        );
    }

    #[test]
    fn nothing_is_made_up() {
        check(|_| {}, "");
        check(
            |school| {
                for student in &mut school.students {
                    student.gpa += 0.0;
                    for course in &mut student.courses {
                        course.title = course.title.clone();
                    }
                }
            },
            "",
        );
        check(
            |school| {
                let ann = take(&mut school.students, 0);
                put(&mut school.students, 0, ann);
            },
            "",
        );
        let mut before = small_school!();
        before.students[0].gpa = f64::NAN;
        let mut after = before.clone();
        after.students[0].gpa = -f64::NAN;
        check_changes(&before, &after, "");
    }

    #[test]
    fn zeros_of_different_sign_differ() {
        let mut before = small_school!();
        before.students[0].gpa = 0.0;
        let mut after = before.clone();
        after.students[0].gpa = -0.0;
        check_changes(&before, &after, "Student Ann: gpa 0.0 -> -0.0");
    }

    #[test]
    fn removing_the_first_of_ten_thousand_is_one_change() {
        let course = |number: u64| Course {
            id: id(&number.to_string()),
            title: number.to_string(),
            credits: 1,
        };
        let before = Student {
            id: id("Ann"),
            name: "Ann".into(),
            gpa: 1.0,
            courses: list((0..10_000).map(course).collect()),
            mentor: None,
        };
        let mut after = before.clone();
        drop(take(&mut after.courses, 0));
        check_changes(&before, &after, "Course 0: removed from Student Ann courses[0]");
        put(&mut after.courses, 5000, course(20_000));
        after.courses[9000].credits = 2;
        check_changes(
            &before,
            &after,
            "Course 9000: credits 1 -> 2\nCourse 0: removed from Student Ann courses[0]\n\
             Course 20000: added to Student Ann courses[5000]",
        );
    }

    #[test]
    fn the_visitor_may_break() {
        let before = small_school!();
        let mut after = before.clone();
        after.name = "Dale".into();
        after.students[0].gpa = 0.0;
        after.students[1].courses[0].credits = 0;
        drop(take(&mut after.alumni, 0));
        for most in 1..=4 {
            let mut heard = 0;
            diff_each(&before, &after, |_| {
                heard += 1;
                if heard == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }).expect("no entity stands twice");
            assert_eq!(heard, most);
        }
        let mut text = Vec::new();
        diff_each(&before, &after, |change| {
            text.push(change.to_string());
            ControlFlow::Continue(())
        }).expect("no entity stands twice");
        assert_eq!(text.join("\n"), changes(&before, &after).to_string());
    }

    #[test]
    fn one_entity_that_comes_to_two_places_is_refused_with_both() {
        let before = small_school!();
        let mut after = before.clone();
        let dan = Student { id: id("Dan"), name: "Dan".into(), gpa: 1.0, courses: list(vec![]), mentor: None };
        push(&mut after.students, dan.clone());
        push(&mut after.alumni, dan);
        let (dan, hill) = (id::<Student>("Dan"), id::<School>("Hill"));
        assert_eq!(
            diff(&before, &after).expect_err("Dan stands twice").to_string(),
            format!(
                "{dan} stands twice: at School {hill} students[2] and at School {hill} alumni[1]; an entity has one \
                 owner, so take it out of one, or refer to it with an `Id`"
            ),
        );
    }

    #[test]
    fn the_json_twin_says_the_same() {
        let before = small_school!();
        let mut after = before.clone();
        after.students[0].gpa = 3.8;
        let algebra = take(&mut after.students[0].courses, 0);
        push(&mut after.students[1].courses, algebra);
        drop(take(&mut after.students[0].courses, 0));
        let entity = |kind: &str, label: &str| json!({"type": kind, "id": id::<()>(label), "label": label});
        let place = |owner: &str, key: usize| json!({"owner": id::<()>(owner), "field": "courses", "key": key});
        let expected = json!([
            {"kind": "changed", "entity": entity("Student", "Ann"), "path": "/gpa", "before": 3.5, "after": 3.8},
            {"kind": "moved", "entity": entity("Course", "Algebra"), "before": place("Ann", 0), "after": place("Bob", 1)},
            {
                "kind": "removed",
                "entity": entity("Course", "Botany"),
                "before": {"id": id::<()>("Botany"), "title": "Botany", "credits": 5},
            },
        ]);
        assert_eq!(changes(&before, &after).to_json().expect("all is in memory"), expected);
    }
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Book {
    id: Id<Book>,
    title: String,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Circle {
    id: Id<Circle>,
    radius: f64,
    inside: Vec<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Square {
    id: Id<Square>,
    side: f64,
    inside: Vec<Book>,
}

/// Its second field is not the circle's.
#[derive(Entity, Clone, Debug, PartialEq)]
struct Ring {
    id: Id<Ring>,
    inside: Vec<Book>,
    around: Vec<Book>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
enum Shape {
    Circle(Circle),
    Ring(Ring),
    Square(Square),
}

#[derive(Value, Clone, Debug, PartialEq)]
struct Note {
    page: u32,
    text: String,
}

#[derive(Value, Clone, Debug, PartialEq)]
enum Mood {
    Calm,
    Loud { volume: u32 },
    Mixed(u8, u8),
}

#[derive(Entity, Clone, Debug, PartialEq)]
struct Shelf {
    id: Id<Shelf>,
    numbers: Vec<i64>,
    maybe: Option<i64>,
    names: BTreeMap<String, i64>,
    in_order: IndexMap<String, i64>,
    tags: BTreeSet<String>,
    notes: Vec<Note>,
    mood: Mood,
    nested: BTreeMap<String, Vec<Option<i64>>>,
    book: Option<Book>,
    boxed: Box<Book>,
    pair: (Book, i64),
    two: [Book; 2],
    by_name: HashMap<String, Book>,
    by_child: BTreeMap<String, Child<Book>>,
    deep: Vec<BTreeMap<String, Vec<Book>>>,
    shapes: Vec<Shape>,
}

fn book(title: &str) -> Book {
    Book { id: id(title), title: title.to_owned() }
}

fn shelf() -> Shelf {
    let entries = |names: &[&str]| -> BTreeMap<String, Book> {
        names.iter().map(|name| ((*name).to_owned(), book(name))).collect()
    };
    Shelf {
        id: id("shelf"),
        numbers: vec![1, 2, 3],
        maybe: Some(7),
        names: [("a".to_owned(), 1), ("b".to_owned(), 2)].into(),
        in_order: [("x".to_owned(), 1), ("y".to_owned(), 2)].into(),
        tags: ["red".to_owned(), "blue".to_owned()].into(),
        notes: vec![Note { page: 1, text: "one".into() }, Note { page: 2, text: "two".into() }],
        mood: Mood::Calm,
        nested: [("k".to_owned(), vec![Some(1), None])].into(),
        book: Some(book("B")),
        boxed: Box::new(book("X")),
        pair: (book("P"), 1),
        two: [book("T0"), book("T1")],
        by_name: entries(&["n1", "n2"]).into_iter().collect(),
        by_child: entries(&["c1", "c2"]).into_iter().map(|(key, book)| (key, Child::new(book))).collect(),
        deep: vec![[("d".to_owned(), vec![book("D1"), book("D2")])].into(), [("f".to_owned(), vec![])].into()],
        shapes: vec![
            Shape::Circle(Circle { id: id("s1"), radius: 1.0, inside: vec![book("I1")] }),
            Shape::Square(Square { id: id("s2"), side: 2.0, inside: vec![] }),
        ],
    }
}

fn check_shelf(edit: impl FnOnce(&mut Shelf), expected: &str) {
    let before = shelf();
    let mut after = before.clone();
    edit(&mut after);
    let shelf = format!("Shelf {}", &id::<Shelf>("shelf").to_string()[28..]);
    check_changes(&before, &after, &expected.replace("SHELF", &shelf));
    check_changes(&before, &self::shelf(), "");
}

#[test]
fn changes_in_values_are_told_element_by_element() {
    check_shelf(|shelf| shelf.numbers = vec![2, 3], "SHELF: numbers[0] - 1");
    check_shelf(|shelf| shelf.numbers.push(1), "SHELF: numbers[3] + 1");
    check_shelf(|shelf| shelf.numbers[1] = 5, "SHELF: numbers[1] 2 -> 5");
    check_shelf(|shelf| shelf.maybe = None, "SHELF: maybe 7 -> null");
    check_shelf(|shelf| shelf.names.retain(|key, _| key != "a"), "SHELF: names[\"a\"] - 1");
    check_shelf(|shelf| shelf.names.extend([("b".to_owned(), 3)]), "SHELF: names[\"b\"] 2 -> 3");
    check_shelf(|shelf| shelf.tags.retain(|tag| tag != "red"), "SHELF: tags - \"red\"");
    check_shelf(|shelf| shelf.tags.extend(["green".to_owned()]), "SHELF: tags + \"green\"");
    check_shelf(|shelf| shelf.notes[1].text = "2".into(), "SHELF: notes[1].text \"two\" -> \"2\"");
    check_shelf(|shelf| shelf.mood = Mood::Loud { volume: 3 }, "SHELF: mood Calm -> Loud({volume: 3})");
    check_shelf(|shelf| shelf.mood = Mood::Mixed(1, 2), "SHELF: mood Calm -> Mixed([1, 2])");
    check_shelf(
        |shelf| shelf.nested.get_mut("k").expect("it is there")[1] = Some(4),
        "SHELF: nested[\"k\"][1] null -> 4",
    );
    check_shelf(|shelf| shelf.nested.get_mut("k").expect("it is there").truncate(1), "SHELF: nested[\"k\"][1] - null");
    // A renamed key: gone under the one, new under the other.
    check_shelf(
        |shelf| {
            let value = shelf.names.remove("a").expect("it is there");
            shelf.names.insert("z".into(), value);
        },
        "SHELF: names[\"a\"] - 1\nSHELF: names[\"z\"] + 1",
    );
    // Two values swapped.
    check_shelf(
        |shelf| {
            shelf.names.insert("a".into(), 2);
            shelf.names.insert("b".into(), 1);
        },
        "SHELF: names[\"a\"] 1 -> 2\nSHELF: names[\"b\"] 2 -> 1",
    );
    // The order of a map that has one.
    check_shelf(|shelf| shelf.in_order.reverse(), "SHELF: in_order[\"x\"] moved 0 -> 1");
}

#[test]
fn a_reorder_of_values_is_told() {
    let before = shelf();
    let mut after = before.clone();
    after.numbers.swap(0, 2);
    assert!(!changes(&before, &after).is_empty());
    after.numbers = vec![2, 3, 1];
    check_changes(
        &before,
        &after,
        &format!("Shelf {0}: numbers[0] - 1\nShelf {0}: numbers[2] + 1", &id::<Shelf>("shelf").to_string()[28..]),
    );
}

#[test]
fn entities_are_found_in_every_container() {
    check_shelf(|shelf| shelf.book.as_mut().expect("it is there").title = "b".into(), "Book b: title \"B\" -> \"b\"");
    check_shelf(|shelf| shelf.boxed.title = "x".into(), "Book x: title \"X\" -> \"x\"");
    check_shelf(|shelf| shelf.pair.0.title = "p".into(), "Book p: title \"P\" -> \"p\"");
    check_shelf(|shelf| shelf.two[1].title = "t".into(), "Book t: title \"T1\" -> \"t\"");
    check_shelf(
        |shelf| shelf.by_name.get_mut("n2").expect("it is there").title = "n".into(),
        "Book n: title \"n2\" -> \"n\"",
    );
    check_shelf(
        |shelf| shelf.by_child.get_mut("c2").expect("it is there").title = "c".into(),
        "Book c: title \"c2\" -> \"c\"",
    );
    check_shelf(
        |shelf| shelf.deep[0].get_mut("d").expect("it is there")[1].title = "d".into(),
        "Book d: title \"D2\" -> \"d\"",
    );
    check_shelf(
        |shelf| {
            if let Shape::Circle(circle) = &mut shelf.shapes[0] {
                circle.inside[0].title = "i".into()
            }
        },
        "Book i: title \"I1\" -> \"i\"",
    );
    check_shelf(
        |shelf| {
            if let Shape::Circle(circle) = &mut shelf.shapes[0] {
                circle.radius = 2.0
            }
        },
        &format!("Circle {}: radius 1.0 -> 2.0", &id::<Shelf>("s1").to_string()[28..]),
    );
}

#[test]
fn entities_come_go_and_move_in_every_container() {
    check_shelf(|shelf| shelf.book = None, "Book B: removed from SHELF book");
    check_shelf(|shelf| drop(shelf.by_name.remove("n1")), "Book n1: removed from SHELF by_name[\"n1\"]");
    check_shelf(|shelf| drop(shelf.by_child.remove("c1")), "Book c1: removed from SHELF by_child[\"c1\"]");
    check_shelf(
        |shelf| drop(shelf.deep[0].remove("d")),
        "Book D1: removed from SHELF deep[0][\"d\"][0]\nBook D2: removed from SHELF deep[0][\"d\"][1]",
    );
    check_shelf(|shelf| *shelf.boxed = book("Y"), "Book X: removed from SHELF boxed\nBook Y: added to SHELF boxed");
    check_shelf(
        |shelf| {
            let book = shelf.by_name.remove("n1").expect("it is there");
            shelf.by_name.insert("renamed".into(), book);
        },
        "Book n1: moved from SHELF by_name[\"n1\"] to SHELF by_name[\"renamed\"]",
    );
    check_shelf(
        |shelf| {
            let book = shelf.by_child.remove("c1").expect("it is there");
            shelf.by_child.insert("renamed".into(), book);
        },
        "Book c1: moved from SHELF by_child[\"c1\"] to SHELF by_child[\"renamed\"]",
    );
    check_shelf(
        |shelf| {
            let book = shelf.deep[0].get_mut("d").expect("it is there").remove(0);
            shelf.deep[1].insert("e".into(), vec![book]);
        },
        "Book D1: moved from SHELF deep[0][\"d\"][0] to SHELF deep[1][\"e\"][0]",
    );
    check_shelf(|shelf| shelf.two.swap(0, 1), "Book T0: moved 0 -> 1 in SHELF two");
    check_shelf(
        |shelf| std::mem::swap(&mut *shelf.boxed, &mut shelf.pair.0),
        "Book P: moved from SHELF pair[0] to SHELF boxed\nBook X: moved from SHELF boxed to SHELF pair[0]",
    );
    check_shelf(
        |shelf| {
            let book = shelf.book.take().expect("it is there");
            shelf.by_child.insert("b".into(), Child::new(book));
        },
        "Book B: moved from SHELF book to SHELF by_child[\"b\"]",
    );
    check_shelf(|shelf| shelf.pair.1 = 2, "SHELF: pair[1] 1 -> 2");
}

#[test]
fn another_type_under_one_id_is_told() {
    let s1 = &id::<Shelf>("s1").to_string()[28..];
    let check = |after: Shape, expected: &str| {
        check_shelf(|shelf| shelf.shapes[0] = after, &expected.replace("S1", s1));
    };
    let inside = || vec![book("I1")];
    check(Shape::Square(Square { id: id("s1"), side: 1.0, inside: inside() }), "Square S1: Circle -> Square");
    check(
        Shape::Square(Square { id: id("s1"), side: 1.0, inside: vec![] }),
        "Square S1: Circle -> Square\nBook I1: removed from Circle S1 inside[0]",
    );
    check(Shape::Ring(Ring { id: id("s1"), inside: inside(), around: vec![] }), "Ring S1: Circle -> Ring");
    check(
        Shape::Ring(Ring { id: id("s1"), inside: vec![], around: inside() }),
        "Ring S1: Circle -> Ring\nBook I1: moved from Circle S1 inside[0] to Ring S1 around[0]",
    );
}

#[test]
fn a_reorder_in_a_list_of_lists_names_the_list() {
    check_shelf(
        |shelf| shelf.deep[0].get_mut("d").expect("it is there").swap(0, 1),
        "Book D1: moved 0 -> 1 in SHELF deep[0][\"d\"]",
    );
}

#[test]
fn two_states_of_two_entities_are_no_states_of_one() {
    let mut found = changes(&book("one"), &book("other")).to_string();
    assert_eq!(found, "Book one: removed\nBook other: added");
    found = changes(&book("one"), &Book { id: id("other"), ..book("one") }).to_string();
    assert_eq!(found, "Book one: removed\nBook one: added");
}

#[test]
fn removing_the_first_of_a_list_of_pairs_is_one_removal() {
    #[derive(heirloom::Entity, Clone)]
    struct Line {
        id: Id<Line>,
        name: String,
    }
    #[derive(heirloom::Entity, Clone)]
    struct Order {
        id: Id<Order>,
        lines: Vec<(Line, u32)>,
    }
    let line = |name: &str| Line { id: Id::new(), name: name.into() };
    let before = Order { id: Id::new(), lines: vec![(line("a"), 1), (line("b"), 2), (line("c"), 3)] };
    let mut after = before.clone();
    after.lines.remove(0);
    let changes = heirloom::diff(&before, &after).expect("no entity stands twice");
    let order = format!("Order {}", &before.id.to_string()[28..]);
    // Of the pair: the number, and the line beside it.
    let expected = format!("{order}: lines[0][1] - 1\nLine a: removed from {order} lines[0][0]");
    assert_eq!(changes.to_string(), expected);
}
