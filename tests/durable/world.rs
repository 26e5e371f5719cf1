//! A small world with everything that an entity can hold, and functions that do to it what a list of numbers says.

use std::collections::BTreeMap;

use heirloom::prelude::*;

use crate::common::id;

#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Hall {
    id: Id<Hall>,
    pub(crate) name: String,
    score: f64,
    pub(crate) lines: Vec<String>,
    things: Children<Thing>,
    plain: Vec<Thing>,
    one: Option<Child<Thing>>,
    nested: BTreeMap<String, Vec<Thing>>,
    friend: Option<Id<Thing>>,
    #[entity(unordered)]
    friends: Vec<Id<Thing>>,
    #[entity(unordered)]
    pub(crate) tags: Vec<u8>,
    #[entity(skip)]
    seen: u32,
}

#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Desk {
    id: Id<Desk>,
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
    drawers: Children<Thing>,
    friends: Vec<Id<Thing>>,
}

#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) enum Thing {
    Hall(Hall),
    Desk(Desk),
}

/// Entities have the numbers up to this one, and those that runs number by themselves.
pub(crate) const NUMBERS: u8 = 10;

pub(crate) fn thing<T>(number: u8) -> Id<T> {
    id(&format!("thing {}", number % NUMBERS))
}

impl Thing {
    pub(crate) fn new(number: u8) -> Self {
        let name = format!("thing {number}");
        match number % 3 {
            0 => Thing::Desk(Desk::new(thing(number), name)),
            _ => Thing::Hall(Hall::new(thing(number), name)),
        }
    }

    /// One that no number stands for.
    pub(crate) fn stranger(number: usize) -> Self {
        Thing::Desk(Desk::new(id(&format!("stranger {number}")), "of somebody else".to_owned()))
    }

    /// What it owns directly: how much.
    fn owned(&self) -> usize {
        match self {
            Thing::Desk(desk) => desk.drawers.len(),
            Thing::Hall(hall) => {
                let nested: usize = hall.nested.values().map(Vec::len).sum();
                hall.things.len() + hall.plain.len() + usize::from(hall.one.is_some()) + nested
            }
        }
    }

    fn child_mut(&mut self, mut at: usize) -> Option<&mut Thing> {
        let hall = match self {
            Thing::Desk(desk) => return desk.drawers.get_mut(at),
            Thing::Hall(hall) => hall,
        };
        if at < hall.things.len() {
            return hall.things.get_mut(at);
        }
        at -= hall.things.len();
        let nested = hall.nested.values_mut().flatten();
        hall.plain.iter_mut().chain(hall.one.as_deref_mut()).chain(nested).nth(at)
    }

    fn take(&mut self, mut at: usize) -> Option<Thing> {
        let hall = match self {
            Thing::Desk(desk) => return desk.drawers.remove(at).map(Child::into_inner),
            Thing::Hall(hall) => hall,
        };
        if at < hall.things.len() {
            return hall.things.remove(at).map(Child::into_inner);
        }
        at -= hall.things.len();
        if at < hall.plain.len() {
            return Some(hall.plain.remove(at));
        }
        at -= hall.plain.len();
        if hall.one.is_some() {
            if at == 0 {
                return hall.one.take().map(Child::into_inner);
            }
            at -= 1;
        }
        for list in hall.nested.values_mut() {
            if at < list.len() {
                return Some(list.remove(at));
            }
            at -= list.len();
        }
        None
    }

    fn put(&mut self, place: u8, thing: Thing) {
        let hall = match self {
            // What is there already stays, and the other goes.
            Thing::Desk(desk) => {
                return drop(desk.drawers.insert(usize::from(place) % (desk.drawers.len() + 1), thing));
            }
            Thing::Hall(hall) => hall,
        };
        match place % 6 {
            0 | 1 => drop(hall.things.insert(usize::from(place / 6) % (hall.things.len() + 1), thing)),
            2 => hall.plain.insert(usize::from(place / 6) % (hall.plain.len() + 1), thing),
            3 if hall.one.is_none() => hall.one = Some(Child::new(thing)),
            _ => hall.nested.entry(format!("key {}", place % 4)).or_default().push(thing),
        }
    }

    /// One of the tree, by a way of numbers; a number that leads nowhere ends the way.
    fn below(&mut self, way: u8) -> &mut Thing {
        let owned = self.owned();
        if way.is_multiple_of(3) || owned == 0 {
            return self;
        }
        let child = usize::from(way) % owned;
        self.child_mut(child).expect("it was counted").below(way / 3)
    }

    fn name_mut(&mut self) -> &mut String {
        match self {
            Thing::Desk(desk) => &mut desk.name,
            Thing::Hall(hall) => &mut hall.name,
        }
    }

    fn lines_mut(&mut self) -> &mut Vec<String> {
        match self {
            Thing::Desk(desk) => &mut desk.lines,
            Thing::Hall(hall) => &mut hall.lines,
        }
    }

    /// Does what three numbers say.
    pub(crate) fn edit(&mut self, [what, way, with]: [u8; 3]) {
        let at = self.below(way);
        match what % 13 {
            0 => *at.name_mut() = format!("name {}", with % 4),
            1 | 2 => at.put(way ^ with, Thing::new(with)),
            3 => drop(at.take(usize::from(with) % at.owned().max(1))),
            4 | 5 => {
                let taken = at.take(usize::from(with) % at.owned().max(1));
                taken.into_iter().for_each(|taken| self.below(with.rotate_left(3)).put(with.rotate_right(3), taken));
            }
            6 => {
                let lines = at.lines_mut();
                let place = usize::from(with) % (lines.len() + 1);
                lines.insert(place, format!("a line of some length, so that differences are worth it: {with}"));
            }
            7 => {
                let lines = at.lines_mut();
                lines.truncate(lines.len().saturating_sub(usize::from(with) % 3));
            }
            8 => at.refer(way, with),
            9 => at.order(with),
            10 => {
                if let Thing::Hall(hall) = at {
                    hall.tags = (0..with % 5).map(|tag| way.wrapping_mul(tag)).collect();
                    hall.score = if with < 9 { f64::NAN } else { f64::from(with / 16) };
                }
            }
            11 => at.put(with, Thing::Desk(Desk::new(Id::new(), "made in a run".to_owned()))),
            _ => at.dissolve(with),
        }
    }

    /// The same where no run is: ids that are made there are nobody's to repeat.
    pub(crate) fn edit_outside(&mut self, numbers: [u8; 3]) {
        if numbers[0] % 13 != 11 {
            self.edit(numbers);
        }
    }

    fn refer(&mut self, way: u8, with: u8) {
        let list = match self {
            Thing::Desk(desk) => &mut desk.friends,
            Thing::Hall(hall) if way & 1 == 0 => {
                hall.friend = (with < 200).then(|| thing(with));
                return;
            }
            Thing::Hall(hall) => &mut hall.friends,
        };
        match list.len() {
            0..3 => list.push(thing(with)),
            _ => drop(list.remove(usize::from(with) % 3)),
        }
    }

    fn order(&mut self, by: u8) {
        match self {
            Thing::Desk(desk) => desk.friends.reverse(),
            Thing::Hall(hall) => {
                hall.seen += 1;
                hall.friends.reverse();
                hall.tags.reverse();
                let places = usize::from(by) % hall.plain.len().max(1);
                hall.plain.rotate_left(places);
                if hall.things.len() > 1 {
                    hall.things.move_to(usize::from(by) % hall.things.len(), usize::from(by / 8) % hall.things.len());
                }
            }
        }
    }

    /// One that it owns goes, and what that one owned stays.
    fn dissolve(&mut self, which: u8) {
        let Some(mut gone) = self.take(usize::from(which) % self.owned().max(1)) else { return };
        while let Some(inner) = gone.take(0) {
            self.put(which, inner);
        }
    }
}

impl Hall {
    fn new(id: Id<Hall>, name: String) -> Self {
        Hall {
            id,
            name,
            score: 1.5,
            lines: Vec::new(),
            things: Children::new(),
            plain: Vec::new(),
            one: None,
            nested: BTreeMap::new(),
            friend: None,
            friends: Vec::new(),
            tags: Vec::new(),
            seen: 7,
        }
    }
}

impl Desk {
    fn new(id: Id<Desk>, name: String) -> Self {
        Desk { id, name, lines: Vec::new(), drawers: Children::new(), friends: Vec::new() }
    }
}

pub(crate) fn edit(thing: &mut Thing, edits: Vec<[u8; 3]>) {
    edits.into_iter().for_each(|numbers| thing.edit(numbers));
}

/// What one owns goes to another.
pub(crate) fn hand_over(from: &mut Thing, to: &mut Thing, which: u8, place: u8) {
    let taken = from.take(usize::from(which) % from.owned().max(1));
    taken.into_iter().for_each(|taken| to.below(which).put(place, taken));
}

pub(crate) fn make(number: u8) -> Thing {
    Thing::new(number)
}

/// One that is owned becomes a root.
pub(crate) fn detach(thing: &mut Thing, which: u8) -> Option<Thing> {
    thing.take(usize::from(which) % thing.owned().max(1))
}

pub(crate) fn look(thing: &Thing) -> u32 {
    u32::try_from(format!("{thing:?}").len()).expect("it is short")
}

pub(crate) fn fail(thing: &mut Thing, edits: Vec<[u8; 3]>) -> Result<(), String> {
    edit(thing, edits);
    Err("as it should".to_owned())
}

pub(crate) fn panics(thing: &mut Thing, edits: Vec<[u8; 3]>) {
    edit(thing, edits);
    // Without a word on the terminal.
    std::panic::resume_unwind(Box::new("as it should"));
}

pub(crate) fn register(registry: &Registry) -> heirloom::Result<()> {
    let _ = registry.register("edit", edit)?.code_version("3")?;
    let _ = registry.register("hand over", hand_over)?;
    let _ = registry.register("make", make)?;
    let _ = registry.register("detach", detach)?;
    let _ = registry.register("look", look)?;
    let _ = registry.register("fail", fail)?;
    let _ = registry.register("panics", panics)?;
    Ok(())
}
