//! What the benches are run on: the grid map in its sizes, behind shared handles and held by value, a list of 100,000,
//! a chain of 10,000, and numbers that look random and are the same in each run.
#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod growing;

use heirloom::{Child, Children, Entity, EntityId, Id};

/// Grid maps by how many entities they have in all: one root, nodes, agents in each node.
pub(crate) const SIZES: [Size; 3] = [Size::new(10, 10), Size::new(50, 50), Size::new(222, 500)];

/// The sizes of the reference workload.
pub(crate) const REFERENCE_SIZES: [Size; 5] =
    [Size::new(10, 10), Size::new(20, 20), Size::new(50, 20), Size::new(50, 50), Size::new(100, 50)];

/// How many stand in the wide list.
pub(crate) const WIDE: usize = 100_000;

/// How many stand in the chain.
pub(crate) const DEEP: usize = 10_000;

/// How many nodes, and how many agents in each.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) agents: usize,
}

impl Size {
    const fn new(nodes: usize, agents: usize) -> Self {
        Self { nodes, agents }
    }

    /// All entities, the root included.
    pub(crate) fn total(self) -> usize {
        1 + self.nodes + self.nodes * self.agents
    }
}

/// A map, its nodes and agents behind shared handles.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct GridMap {
    pub(crate) id: Id<Self>,
    pub(crate) nodes: Children<Node>,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A place on the map.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) id: Id<Self>,
    pub(crate) position: (i32, i32),
    pub(crate) agents: Children<Agent>,
}

/// Somebody at a place.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Agent {
    pub(crate) id: Id<Self>,
    pub(crate) name: String,
    pub(crate) speed: f64,
}

/// One parent of many.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Crowd {
    pub(crate) id: Id<Self>,
    pub(crate) agents: Children<Agent>,
}

/// A link of a chain: each owns the next.
#[derive(Entity, Clone, Debug)]
pub(crate) struct Link {
    pub(crate) id: Id<Self>,
    pub(crate) load: f64,
    pub(crate) next: Option<Child<Link>>,
}

/// The same map with everything held by value.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct PlainMap {
    pub(crate) id: Id<Self>,
    pub(crate) nodes: Vec<PlainNode>,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A place on the plain map.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct PlainNode {
    pub(crate) id: Id<Self>,
    pub(crate) position: (i32, i32),
    pub(crate) agents: Vec<Agent>,
}

/// Two maps, so that nodes have another parent to move to.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Atlas {
    pub(crate) id: Id<Self>,
    pub(crate) maps: Children<GridMap>,
}

/// Two parents of many.
#[derive(Entity, Clone, Debug, PartialEq)]
pub(crate) struct Crowds {
    pub(crate) id: Id<Self>,
    pub(crate) crowds: Children<Crowd>,
}

/// An agent with some name and speed.
pub(crate) fn agent(number: usize) -> Agent {
    Agent { id: Id::new(), name: format!("agent {number}"), speed: 1.0 + number as f64 }
}

fn position(number: usize) -> (i32, i32) {
    (number as i32 % 10, number as i32 / 10)
}

/// A map of this size.
pub(crate) fn grid_map(size: Size) -> GridMap {
    let agents = |node: usize| {
        Children::try_from_iter((0..size.agents).map(|index| agent(node * size.agents + index)))
            .expect("the agents are all new")
    };
    let nodes = (0..size.nodes).map(|node| Node { id: Id::new(), position: position(node), agents: agents(node) });
    let nodes = Children::try_from_iter(nodes).expect("the nodes are all new");
    GridMap { id: Id::new(), nodes, width: 10, height: size.nodes.div_ceil(10) as u32 }
}

/// The same with everything held by value.
pub(crate) fn plain_map(size: Size) -> PlainMap {
    let agents = |node: usize| (0..size.agents).map(|index| agent(node * size.agents + index)).collect();
    let nodes = (0..size.nodes).map(|node| PlainNode { id: Id::new(), position: position(node), agents: agents(node) });
    PlainMap { id: Id::new(), nodes: nodes.collect(), width: 10, height: size.nodes.div_ceil(10) as u32 }
}

/// A list of [`WIDE`] agents.
pub(crate) fn crowd() -> Crowd {
    let agents = Children::try_from_iter((0..WIDE).map(agent)).expect("the agents are all new");
    Crowd { id: Id::new(), agents }
}

/// A chain of [`DEEP`] links; also the id of the last.
pub(crate) fn chain() -> (Link, Id<Link>) {
    let last = Link { id: Id::new(), load: 0.0, next: None };
    let id = last.id;
    let add = |next: Link, _| Link { id: Id::new(), load: 0.0, next: Some(Child::new(next)) };
    ((1..DEEP).fold(last, add), id)
}

/// The ids of all agents of a map.
pub(crate) fn agent_ids(map: &GridMap) -> Vec<Id<Agent>> {
    map.nodes.iter().flat_map(|node| node.agents.iter().map(|agent| agent.id)).collect()
}

/// The ids of everything in a map.
pub(crate) fn all_ids(map: &GridMap) -> Vec<EntityId> {
    let mut ids = vec![map.id.into()];
    for node in &map.nodes {
        ids.push(node.id.into());
        ids.extend(node.agents.iter().map(|agent| EntityId::from(agent.id)));
    }
    ids
}

/// Numbers that look random and are the same in each run: SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// So many picks out of these.
    pub(crate) fn picks<T: Copy>(&mut self, from: &[T], count: usize) -> Vec<T> {
        (0..count).map(|_| from[self.below(from.len())]).collect()
    }
}
