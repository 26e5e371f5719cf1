//! Types with constant parameters: each value of a parameter makes a type of its own, with a name of its own.

use heirloom::prelude::*;
use heirloom::{Meta, to_json};

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Grid<const N: usize> {
    id: Id<Self>,
    cells: [u8; N],
    corner: Corner<N>,
    inner: Option<Box<Cell<N, true>>>,
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Cell<const N: usize, const ROUND: bool> {
    id: Id<Cell<N, ROUND>>,
    size: u8,
}

#[derive(heirloom::Value, Clone, Debug, PartialEq)]
struct Corner<const N: usize> {
    at: [u8; N],
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
struct Mixed<const SIGN: char, T: PartialEq, const LOW: i8 = -1> {
    id: Id<Self>,
    items: Vec<T>,
}

#[derive(heirloom::Entity, Clone, Debug, PartialEq)]
enum Either<const N: usize> {
    Grid(Grid<N>),
    Cell(Cell<N, false>),
}

fn grid<const N: usize>() -> Grid<N> {
    Grid { id: Id::new(), cells: [0; N], corner: Corner { at: [1; N] }, inner: None }
}

fn check_name(meta: &Meta, expected: &str) {
    assert_eq!(meta.full_name(), expected);
    let first = format!("entity {expected} schema 1\n");
    assert!(meta.layout().text().starts_with(&first), "{}", meta.layout().text());
}

#[test]
fn the_full_name_has_the_constants_in_their_order() {
    check_name(Grid::<2>::META, "Grid<2>");
    check_name(Cell::<0, true>::META, "Cell<0, true>");
    check_name(Mixed::<'x', u8>::META, "Mixed<'x', u8, -1>");
    check_name(Mixed::<',', Grid<3>, 5>::META, "Mixed<',', @Grid<3>, 5>");
    check_name(Either::<4>::META, "Either<4>");
}

#[test]
fn a_layout_names_each_type_with_its_constants() {
    let layout = Grid::<2>::META.layout();
    let expected = "entity Grid<2> schema 1\n  cells: value [u8; 2]\n  corner: value Corner<2>\n  \
                    inner: child option<@Cell<2, true>>\nCorner<2> = struct{at: [u8; 2]}\n";
    assert_eq!(layout.text(), expected);
    assert_ne!(layout.digest(), Grid::<3>::META.layout().digest());
}

#[test]
fn types_that_differ_in_a_constant_live_in_one_registry() {
    let registry = Registry::in_memory();
    let (two, three) = (grid::<2>(), grid::<3>());
    assert_eq!(registry.add(two.clone()).expect("the first of its type"), two.id);
    assert_eq!(registry.add(three.clone()).expect("another type"), three.id);
    assert_eq!(registry.get(two.id).expect("it was added"), two);
    assert_eq!(registry.get(three.id).expect("it was added"), three);
    assert_ne!(registry.layout::<Grid<2>>(), registry.layout::<Grid<3>>());

    let mut held = registry.checkout(three.id).expect("it was added");
    held.cells[2] = 7;
    held.inner = Some(Box::new(Cell { id: Id::new(), size: 1 }));
    registry.save(&mut held).expect("nobody else edits it");
    let saved = registry.get(three.id).expect("it was added");
    assert_eq!(to_json(&saved).expect("it is not deep")["cells"], serde_json::json!({"$bytes": "AAAH"}));
}
