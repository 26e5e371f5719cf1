use heirloom::{Entity, Id};

#[derive(Entity, Clone)]
struct Grid<const N: usize> {
    id: Id<Grid<N>>,
    cells: [u8; N],
}

#[derive(Entity, Clone)]
struct Cube {
    id: Id<Cube>,
    grid: Grid<3>,
}

#[derive(Entity, Clone)]
enum Shape {
    Flat(Grid<2>),
    Deep(Grid<3>),
}

#[derive(Entity, Clone)]
enum Remedied {
    Flat(Grid<2>),
    Deep(Cube),
}

fn main() {}
