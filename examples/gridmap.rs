//! The reference workload: agents that move from node to node of a map, each move a run through the registry, with every
//! version checked against a plain model that knows nothing of this crate.
//!
//! `cargo run --release --example gridmap` prints what an operation costs in time, versions and memory. It ends with an
//! error if a check fails.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use heirloom::prelude::*;
use heirloom::{ChangeKind, Changes, Outcome, Position};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// A map of places.
#[derive(Entity, Clone, Debug)]
struct GridMap {
    id: Id<Self>,
    nodes: Children<Node>,
    width: u32,
    height: u32,
}

/// A place, with those who are there.
#[derive(Entity, Clone, Debug)]
struct Node {
    id: Id<Self>,
    position: (u32, u32),
    agents: Children<Agent>,
}

/// Somebody who moves about.
#[derive(Entity, Clone, Debug)]
struct Agent {
    id: Id<Self>,
    name: String,
    speed: f64,
}

/// The first operation: an agent goes from one node to another.
fn move_agent(map: &mut GridMap, from: usize, agent: usize, to: usize) -> Result<(), String> {
    let taken = map.nodes[from].agents.remove(agent).ok_or("there is no such agent")?;
    map.nodes[to].agents.push(taken).map_err(|error| error.to_string())
}

/// The second operation: an agent changes its speed.
fn set_speed(agent: &mut Agent, speed: f64) {
    agent.speed = speed;
}

/// The sizes: how many nodes, and how many agents in each.
const SIZES: [(usize, usize); 5] = [(10, 10), (20, 20), (50, 20), (50, 50), (100, 50)];

/// How many times each operation is done.
const OPERATIONS: usize = 500;

/// How many of the versions before the newest are read back after each operation; at the end all are.
const LOOK_BACK: usize = 3;

/// The most that a version may cost in memory.
const MOST_HEAP: usize = 4096;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gridmap: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    println!("Each operation is one run through the registry; figures are medians, heap is what remains allocated.");
    println!(
        "'checked' is the time of a run after a check, which leaves nothing of the map in the processor's caches."
    );
    println!();
    println!(
        "{:>8} {:>9}  {:<14} {:>8} {:>10} {:>12} {:>16}",
        "map", "entities", "operation", "us/run", "us checked", "versions/run", "heap bytes/run"
    );
    let mut checks = 0;
    for (nodes, agents) in SIZES {
        let start = map_of(nodes, agents);
        let model = Model::of(&start);
        for (label, steps) in [("move an agent", moves(&model)), ("edit one speed", edits(&model))] {
            let checked = run_checked(&start, &model, &steps)?;
            let plain = run_through(&start, &model, &steps)?;
            checks += plain.checks + checked.checks;
            println!(
                "{:>8} {:>9}  {label:<14} {:>8.2} {:>10.2} {:>12} {:>16}",
                format!("{nodes}x{agents}"),
                1 + nodes + nodes * agents,
                micros(plain.median),
                micros(checked.median),
                plain.versions as f64 / OPERATIONS as f64,
                plain.heap / OPERATIONS,
            );
        }
    }
    println!();
    println!("{checks} checks passed: which entities got a version, what changed, what every version reads as.");
    println!();
    println!("Heap per version after 100 commits of one leaf (at most {MOST_HEAP} bytes):");
    let map = map_of(50, 50);
    let leaves: Vec<_> = map.nodes.iter().flat_map(|node| node.agents.iter().map(|agent| agent.id)).collect();
    one_leaf_commits("a map of 2,551", map, &leaves)?;
    let crowd = Node { id: Id::new(), position: (0, 0), agents: agents_of(0, 100_000) };
    let leaves: Vec<_> = crowd.agents.iter().map(|agent| agent.id).collect();
    one_leaf_commits("one parent of 100,000", crowd, &leaves)
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

fn agents_of(node: usize, count: usize) -> Children<Agent> {
    let agent = |number| Agent { id: Id::new(), name: format!("agent {node}.{number}"), speed: 1.0 };
    Children::try_from_iter((0..count).map(agent)).expect("the agents are all new")
}

fn map_of(nodes: usize, agents: usize) -> GridMap {
    let node = |number: usize| Node {
        id: Id::new(),
        position: ((number % 10) as u32, (number / 10) as u32),
        agents: agents_of(number, agents),
    };
    let nodes = Children::try_from_iter((0..nodes).map(node)).expect("the nodes are all new");
    GridMap { id: Id::new(), width: 10, height: nodes.len().div_ceil(10) as u32, nodes }
}

/// The map as plain data. A clone is a state to keep: what does not change is shared.
#[derive(Clone)]
struct Model {
    id: Id<GridMap>,
    size: (u32, u32),
    nodes: Vec<Rc<NodeModel>>,
}

#[derive(Clone, PartialEq)]
struct NodeModel {
    id: Id<Node>,
    position: (u32, u32),
    agents: Vec<Rc<AgentModel>>,
}

#[derive(Clone, PartialEq)]
struct AgentModel {
    id: Id<Agent>,
    name: String,
    speed: f64,
}

impl Model {
    fn of(map: &GridMap) -> Self {
        let agent = |agent: &Agent| Rc::new(AgentModel { id: agent.id, name: agent.name.clone(), speed: agent.speed });
        let node = |node: &Node| {
            let agents = node.agents.iter().map(agent).collect();
            Rc::new(NodeModel { id: node.id, position: node.position, agents })
        };
        Self { id: map.id, size: (map.width, map.height), nodes: map.nodes.iter().map(node).collect() }
    }

    fn ids(&self) -> impl Iterator<Item = EntityId> + '_ {
        let below = self.nodes.iter().flat_map(|node| {
            std::iter::once(EntityId::from(node.id)).chain(node.agents.iter().map(|agent| agent.id.into()))
        });
        std::iter::once(self.id.into()).chain(below)
    }

    fn is(&self, map: &GridMap) -> bool {
        map.id == self.id
            && (map.width, map.height) == self.size
            && map.nodes.len() == self.nodes.len()
            && map.nodes.iter().zip(&self.nodes).all(|(node, model)| model.is(node))
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Move { from, agent, to } => {
                let taken = Rc::make_mut(&mut self.nodes[from]).agents.remove(agent);
                Rc::make_mut(&mut self.nodes[to]).agents.push(taken);
            }
            Step::Edit { node, agent, speed } => {
                Rc::make_mut(&mut Rc::make_mut(&mut self.nodes[node]).agents[agent]).speed = speed;
            }
        }
    }
}

impl NodeModel {
    fn is(&self, node: &Node) -> bool {
        node.id == self.id
            && node.position == self.position
            && node.agents.len() == self.agents.len()
            && node.agents.iter().zip(&self.agents).all(|(agent, model)| model.is(agent))
    }
}

impl AgentModel {
    fn is(&self, agent: &Agent) -> bool {
        agent.id == self.id && agent.name == self.name && agent.speed == self.speed
    }
}

/// One operation.
#[derive(Clone, Copy)]
enum Step {
    Move { from: usize, agent: usize, to: usize },
    Edit { node: usize, agent: usize, speed: f64 },
}

/// Numbers that look random and are the same in each run: SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Random agents of random nodes, each to another node.
fn moves(model: &Model) -> Vec<Step> {
    let mut random = Random(1);
    let mut agents: Vec<usize> = model.nodes.iter().map(|node| node.agents.len()).collect();
    let mut steps = Vec::new();
    while steps.len() < OPERATIONS {
        let (from, to) = (random.below(agents.len()), random.below(agents.len()));
        if from != to && agents[from] > 0 {
            steps.push(Step::Move { from, agent: random.below(agents[from]), to });
            agents[from] -= 1;
            agents[to] += 1;
        }
    }
    steps
}

/// A new speed for random agents of random nodes.
fn edits(model: &Model) -> Vec<Step> {
    let mut random = Random(2);
    let edit = |number| {
        let node = random.below(model.nodes.len());
        Step::Edit { node, agent: random.below(model.nodes[node].agents.len()), speed: 2.0 + number as f64 }
    };
    (0..OPERATIONS).map(edit).collect()
}

fn registry_of(map: &GridMap) -> Result<Registry, heirloom::Error> {
    let registry = Registry::in_memory();
    let _ = registry.register("move_agent", move_agent)?.params(["map", "from", "agent", "to"])?;
    let _ = registry.register("set_speed", set_speed)?.params(["agent", "speed"])?;
    registry.add(map.clone())?;
    Ok(registry)
}

/// What a step is called with: all that has to be looked up for it is looked up before.
enum Call {
    Move(Id<GridMap>, usize, usize, usize),
    Edit(Id<Agent>, f64),
}

impl Call {
    fn of(step: Step, model: &Model) -> Self {
        match step {
            Step::Move { from, agent, to } => Self::Move(model.id, from, agent, to),
            Step::Edit { node, agent, speed } => Self::Edit(model.nodes[node].agents[agent].id, speed),
        }
    }

    fn run(self, registry: &Registry) -> Result<(Outcome<()>, Duration), heirloom::CallError> {
        let start = Instant::now();
        let outcome = match self {
            Self::Move(map, from, agent, to) => registry.call(move_agent, (map, from, agent, to)),
            Self::Edit(agent, speed) => registry.call(set_speed, (agent, speed)),
        }?;
        Ok((outcome, start.elapsed()))
    }
}

/// What the runs of one operation cost.
struct Cost {
    median: Duration,
    versions: usize,
    heap: usize,
    checks: usize,
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// All steps, one straight after the other; then every version is read back.
fn run_through(map: &GridMap, model: &Model, steps: &[Step]) -> Result<Cost, Box<dyn Error>> {
    let registry = registry_of(map)?;
    let calls: Vec<Call> = steps.iter().map(|step| Call::of(*step, model)).collect();
    let mut times = Vec::with_capacity(steps.len());
    let mut positions = Vec::with_capacity(steps.len());
    let before = HEAP.current_usage();
    for call in calls {
        let (outcome, time) = call.run(&registry)?;
        positions.push(outcome.position());
        times.push(time);
    }
    let heap = HEAP.current_usage().saturating_sub(before);
    let (history, mut model, mut versions, mut checks) = (registry.history(), model.clone(), 0, Checks::default());
    for (step, position) in steps.iter().zip(&positions) {
        model.apply(*step);
        checks.that(model.is(&history.at(model.id, *position)?), || format!("{position} reads back otherwise"))?;
        versions += history.versions(*position)?.len();
    }
    Ok(Cost { median: median(times), versions, heap, checks: checks.passed })
}

/// All steps, with everything that is promised checked after each of them.
fn run_checked(map: &GridMap, model: &Model, steps: &[Step]) -> Result<Cost, Box<dyn Error>> {
    let registry = registry_of(map)?;
    let history = registry.history();
    let mut model = model.clone();
    let mut revisions: HashMap<EntityId, u64> = model.ids().map(|id| (id, 1)).collect();
    let mut states: Vec<(Position, Model)> = vec![(history.head(), model.clone())];
    let (mut times, mut checks, mut versions) = (Vec::new(), Checks::default(), 0);
    for (number, step) in steps.iter().enumerate() {
        let held = registry.checkout(model.id)?;
        let before = model.clone();
        let (outcome, time) = Call::of(*step, &model).run(&registry)?;
        times.push(time);
        model.apply(*step);
        states.push((outcome.position(), model.clone()));
        let wrong = |what: &str| format!("{} nodes, operation {}: {what}", model.nodes.len(), number + 1);

        let touched = touched_by(*step, &before);
        let made: Vec<EntityId> = outcome.versions()?.iter().map(|version| version.entity).collect();
        checks.that(made.len() == touched.len(), || wrong(&format!("it made {} versions", made.len())))?;
        checks.that(made.iter().all(|id| touched.contains(id)), || wrong("another entity has a new version"))?;
        versions += made.len();
        for id in touched {
            *revisions.entry(id).or_default() += 1;
        }
        for id in model.ids() {
            let revision = history.revision(id)?.0;
            checks.that(revision == revisions[&id], || wrong(&format!("{id} is at revision {revision}")))?;
        }
        checks.that(before.is(&held), || wrong("the map that was checked out before is not what it was"))?;
        checks.that(is_told(*step, &before, &outcome.changes()), || wrong("the changes are told otherwise"))?;
        check_parts(&registry, *step, &model, &mut checks).map_err(|error| wrong(&error.to_string()))?;
        for (position, state) in states.iter().rev().take(LOOK_BACK + 1) {
            let read = history.at(state.id, *position)?;
            checks.that(state.is(&read), || wrong(&format!("the version of {position} reads back otherwise")))?;
        }
    }
    for (position, state) in &states {
        let read = history.at(state.id, *position)?;
        checks.that(state.is(&read), || format!("at the end, the version of {position} reads back otherwise"))?;
    }
    Ok(Cost { median: median(times), versions, heap: 0, checks: checks.passed })
}

/// The entities that a step gives a new version.
fn touched_by(step: Step, before: &Model) -> BTreeSet<EntityId> {
    let node = |index: usize| EntityId::from(before.nodes[index].id);
    let agent_of = |node: usize, agent: usize| EntityId::from(before.nodes[node].agents[agent].id);
    match step {
        Step::Move { from, agent, to } => [before.id.into(), node(from), node(to), agent_of(from, agent)].into(),
        Step::Edit { node: at, agent, .. } => [before.id.into(), node(at), agent_of(at, agent)].into(),
    }
}

/// Whether the changes are the one that the step made.
fn is_told(step: Step, before: &Model, changes: &Changes) -> bool {
    let [change] = &changes[..] else { return false };
    match (step, &change.kind) {
        (Step::Move { from, agent, to }, ChangeKind::Moved { from: Some(source), to: Some(target) }) => {
            change.entity.id == before.nodes[from].agents[agent].id.into()
                && source.owner.id == before.nodes[from].id.into()
                && target.owner.id == before.nodes[to].id.into()
        }
        (Step::Edit { node, agent, .. }, ChangeKind::Changed { field, .. }) => {
            change.entity.id == before.nodes[node].agents[agent].id.into() && field == "speed"
        }
        _ => false,
    }
}

/// The nodes and the agent of a step, read by their own ids.
fn check_parts(registry: &Registry, step: Step, after: &Model, checks: &mut Checks) -> Result<(), Box<dyn Error>> {
    let (nodes, agent) = match step {
        Step::Move { from, to, .. } => (vec![from, to], after.nodes[to].agents.last().expect("it was put there")),
        Step::Edit { node, agent, .. } => (vec![node], &after.nodes[node].agents[agent]),
    };
    for node in nodes {
        let node = &after.nodes[node];
        checks.that(node.is(&registry.get(node.id)?), || format!("node {} reads back otherwise", node.id))?;
    }
    checks.that(agent.is(&registry.get(agent.id)?), || format!("agent {} reads back otherwise", agent.id))?;
    Ok(())
}

/// Counts what was checked.
#[derive(Default)]
struct Checks {
    passed: usize,
}

impl Checks {
    fn that(&mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
        if !holds {
            return Err(otherwise());
        }
        self.passed += 1;
        Ok(())
    }
}

/// What remains on the heap of each of 100 commits that edit one leaf.
fn one_leaf_commits<T: Entity>(what: &str, root: T, leaves: &[Id<Agent>]) -> Result<(), Box<dyn Error>> {
    const COMMITS: usize = 100;
    let registry = Registry::in_memory();
    let _ = registry.register("set_speed", set_speed)?;
    registry.add(root)?;
    let mut random = Random(3);
    let before = HEAP.current_usage();
    for number in 0..COMMITS {
        registry.call(set_speed, (leaves[random.below(leaves.len())], 2.0 + number as f64))?;
    }
    let each = HEAP.current_usage().saturating_sub(before) / COMMITS;
    println!("  {what:<24} {each:>6} bytes");
    if each > MOST_HEAP {
        return Err(format!("{what}: {each} bytes of heap for each version are more than {MOST_HEAP}").into());
    }
    Ok(())
}
