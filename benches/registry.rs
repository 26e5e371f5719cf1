//! Whole runs through the registry, beside what they are measured against.

mod shared;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use heirloom::{Entity, EntityId, Id, ObservationKind, Registry, Topics};
use imbl::OrdMap;
use shared::growing::Growing;
use shared::{
    Agent, DEEP, GridMap, Link, Node, PlainMap, REFERENCE_SIZES, Random, SIZES, Size, WIDE, agent_ids, all_ids, chain,
    crowd, grid_map, plain_map,
};

/// Versions that a state gathers before it is built anew, so that memory stays within bounds.
const MOST: usize = 200_000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let criterion = &mut criterion;
    ordmap(criterion);
    edit_leaf(criterion);
    edit_leaf_deep(criterion);
    no_change(criterion);
    no_change_random(criterion);
    observation_off(criterion);
    moves(criterion);
    clone_eq(criterion);
    edit_leaf_plain(criterion);
    add(criterion);
    criterion.final_summary();
}

fn set_speed(agent: &mut Agent, speed: f64) {
    agent.speed = speed;
}

fn set_load(link: &mut Link, load: f64) {
    link.load = load;
}

fn set_speed_in(map: &mut PlainMap, node: usize, agent: usize, speed: f64) {
    map.nodes[node].agents[agent].speed = speed;
}

fn move_agent(map: &mut GridMap, from: usize, agent: usize, to: usize) {
    let taken = map.nodes[from].agents.remove(agent).expect("the agent stands there");
    map.nodes[to].agents.push(taken).expect("no agent stands at two places");
}

fn hand_over(from: &mut Node, to: &mut Node, agent: usize) {
    let taken = from.agents.remove(agent).expect("the agent stands there");
    to.agents.push(taken).expect("no agent stands at two places");
}

fn check_agent(agent: &mut Agent) {
    if agent.speed < 0.0 {
        agent.speed = 0.0;
    }
}

fn read_agent(agent: &Agent) -> f64 {
    agent.speed
}

fn check_map(map: &mut GridMap) {
    if map.width == 0 {
        map.width = 1;
    }
}

fn read_map(map: &GridMap) -> u32 {
    map.width
}

/// A registry that holds this, and knows all the functions above.
fn registry_of<T: Entity>(root: T) -> Registry {
    let registry = Registry::in_memory();
    let names = "the names differ";
    let _ = registry.register("set_speed", set_speed).expect(names);
    let _ = registry.register("set_load", set_load).expect(names);
    let _ = registry.register("set_speed_in", set_speed_in).expect(names);
    let _ = registry.register("move_agent", move_agent).expect(names);
    let _ = registry.register("hand_over", hand_over).expect(names);
    let _ = registry.register("check_agent", check_agent).expect(names);
    let _ = registry.register("read_agent", read_agent).expect(names);
    let _ = registry.register("check_map", check_map).expect(names);
    let _ = registry.register("read_map", read_map).expect(names);
    registry.add(root).expect("a tree without repetitions");
    registry
}

/// One row of the bare map: what an agent is.
#[derive(Clone, PartialEq)]
struct Row {
    name: String,
    speed: f64,
}

fn row(number: usize) -> Arc<Row> {
    Arc::new(Row { name: format!("agent {number}"), speed: 1.0 })
}

/// The yardstick: a bare persistent map of which every version is kept.
fn ordmap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("baseline/ordmap");
    let maps = SIZES.map(|size| {
        let map = grid_map(size);
        (size.total().to_string(), all_ids(&map), agent_ids(&map).into_iter().map(EntityId::from).collect())
    });
    let wide: Vec<EntityId> = crowd().agents.iter().map(|agent| agent.id.into()).collect();
    for (name, ids, leaves) in maps.into_iter().chain([("wide100k".to_owned(), wide.clone(), wide)]) {
        let leaves: Vec<EntityId> = leaves;
        let picks = Random(1).picks(&leaves, MOST);
        let build = || {
            let mut versions = Vec::with_capacity(MOST + 1);
            versions
                .push(ids.iter().enumerate().map(|(number, id)| (*id, row(number))).collect::<OrdMap<_, Arc<Row>>>());
            versions
        };
        let mut growing = Growing::new(MOST, build);
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |versions, number| {
                    let before = versions.last().expect("it begins with one");
                    let mut after = before.clone();
                    let mut edited = Row::clone(&after[&picks[number]]);
                    edited.speed = number as f64 + 0.5;
                    after.insert(picks[number], Arc::new(edited));
                    assert_eq!(before.diff(&after).count(), 1);
                    versions.push(after);
                })
            });
        });
    }
    group.finish();
}

/// One leaf by its id, everything behind shared handles.
fn edit_leaf(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/edit_leaf");
    for size in SIZES {
        let build = || {
            let map = grid_map(size);
            let picks = Random(1).picks(&agent_ids(&map), MOST);
            (registry_of(map), picks)
        };
        let mut growing = Growing::new(MOST, build);
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_custom(|steps| growing.time(steps, edit_one));
        });
    }
    let build = || {
        let crowd = crowd();
        let ids: Vec<Id<Agent>> = crowd.agents.iter().map(|agent| agent.id).collect();
        (registry_of(crowd), Random(1).picks(&ids, MOST))
    };
    let mut growing = Growing::new(MOST, build);
    group.bench_function("wide100k", |bencher| bencher.iter_custom(|steps| growing.time(steps, edit_one)));
    group.finish();
}

fn edit_one((registry, picks): &mut (Registry, Vec<Id<Agent>>), number: usize) {
    let outcome = registry.call(set_speed, (picks[number], number as f64 + 0.5)).expect("nobody else commits");
    assert!(!outcome.is_unchanged());
}

/// The last of a chain: each of its owners gets a version.
fn edit_leaf_deep(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/edit_leaf");
    group.sample_size(10);
    let build = || {
        let (chain, last) = chain();
        (registry_of(chain), last)
    };
    let mut growing = Growing::new(MOST / DEEP * 10, build);
    group.bench_function("deep10k", |bencher| {
        bencher.iter_custom(|steps| {
            growing.time(steps, |(registry, last), number| {
                let outcome = registry.call(set_load, (*last, number as f64 + 0.5)).expect("nobody else commits");
                assert!(!outcome.is_unchanged());
            })
        });
    });
    group.finish();
}

/// Runs that change nothing: edits and reads of a leaf and of the root, beside the functions alone.
fn no_change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("baseline/plain_call");
    for size in SIZES {
        let map = grid_map(size);
        let leaf: &Agent = &map.nodes[size.nodes / 2].agents[size.agents / 2];
        let total = size.total();
        group.bench_function(BenchmarkId::new("edit_leaf", total), |bencher| {
            bencher.iter(|| {
                let mut copy = black_box(leaf).clone();
                check_agent(&mut copy);
                copy
            });
        });
        group.bench_function(BenchmarkId::new("read_leaf", total), |bencher| {
            bencher.iter(|| read_agent(black_box(leaf)));
        });
        group.bench_function(BenchmarkId::new("edit_root", total), |bencher| {
            bencher.iter(|| {
                let mut copy = black_box(&map).clone();
                check_map(&mut copy);
                copy
            });
        });
        group.bench_function(BenchmarkId::new("read_root", total), |bencher| {
            bencher.iter(|| read_map(black_box(&map)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("registry/no_change");
    for size in SIZES {
        let total = size.total();
        let build = || {
            let map = grid_map(size);
            let (id, leaf) = (map.id, map.nodes[size.nodes / 2].agents[size.agents / 2].id);
            (registry_of(map), id, leaf)
        };
        let expected = "nothing stands against it";
        // The log has an entry of each run, changed or not.
        let mut growing = Growing::new(5 * MOST, build);
        group.bench_function(BenchmarkId::new("edit_leaf", total), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, _, leaf), _| {
                    black_box(registry.call(check_agent, (*leaf,)).expect(expected));
                })
            });
        });
        group.bench_function(BenchmarkId::new("read_leaf", total), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, _, leaf), _| {
                    black_box(registry.call(read_agent, (*leaf,)).expect(expected));
                })
            });
        });
        group.bench_function(BenchmarkId::new("edit_root", total), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, id, _), _| {
                    black_box(registry.call(check_map, (*id,)).expect(expected));
                })
            });
        });
        group.bench_function(BenchmarkId::new("read_root", total), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, id, _), _| {
                    black_box(registry.call(read_map, (*id,)).expect(expected));
                })
            });
        });
    }
    group.finish();
}

/// The same on a leaf drawn anew each time, beside a program that finds it by its id in a map: both wait for memory.
fn no_change_random(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("baseline/plain_call_random");
    for size in SIZES {
        let map = grid_map(size);
        let leaves: HashMap<Id<Agent>, Agent> =
            map.nodes.iter().flat_map(|node| node.agents.iter().map(|agent| (agent.id, agent.clone()))).collect();
        let picks = Random(1).picks(&agent_ids(&map), MOST);
        let mut next = picks.iter().cycle();
        let mut pick = || &leaves[next.next().expect("the picks begin again")];
        group.bench_function(BenchmarkId::new("edit_leaf", size.total()), |bencher| {
            bencher.iter(|| {
                let mut copy = pick().clone();
                check_agent(&mut copy);
                copy
            });
        });
        group.bench_function(BenchmarkId::new("read_leaf", size.total()), |bencher| {
            bencher.iter(|| read_agent(pick()));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("registry/no_change_random");
    for size in SIZES {
        let build = || {
            let map = grid_map(size);
            let picks = Random(1).picks(&agent_ids(&map), MOST);
            (registry_of(map), picks)
        };
        let expected = "nothing stands against it";
        let mut growing = Growing::new(5 * MOST, build);
        group.bench_function(BenchmarkId::new("edit_leaf", size.total()), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, picks), number| {
                    black_box(registry.call(check_agent, (picks[number % MOST],)).expect(expected));
                })
            });
        });
        group.bench_function(BenchmarkId::new("read_leaf", size.total()), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, picks), number| {
                    black_box(registry.call(read_agent, (picks[number % MOST],)).expect(expected));
                })
            });
        });
    }
    group.finish();
}

/// A run that changes nothing, with listeners off, with none, with one that wants something else, and with one that hears
/// all of it; then the same as its runs are counted.
fn observation_off(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/observation_off");
    let build = |registry: Registry| {
        let _ = registry.register("check_agent", check_agent).expect("the names differ");
        let map = grid_map(SIZES[1]);
        let leaf = map.nodes[0].agents[0].id;
        registry.add(map).expect("a tree without repetitions");
        (registry, leaf)
    };
    let time = |(registry, leaf): &mut (Registry, Id<Agent>), _| {
        black_box(registry.call(check_agent, (*leaf,)).expect("nothing stands against it"));
    };
    let heard = |topics: Topics| {
        let (registry, leaf) = build(Registry::in_memory());
        let subscription = registry.subscribe_to(topics).handler(|observation| {
            black_box(observation);
        });
        ((registry, leaf), subscription)
    };
    let mut off = Growing::new(5 * MOST, || {
        let (registry, leaf) = build(Registry::in_memory());
        registry.set_observed(false);
        (registry, leaf)
    });
    group.bench_function("off", |bencher| bencher.iter_custom(|steps| off.time(steps, time)));
    let mut unheard = Growing::new(5 * MOST, || build(Registry::in_memory()));
    group.bench_function("unheard", |bencher| bencher.iter_custom(|steps| unheard.time(steps, time)));
    let mut otherwise = Growing::new(5 * MOST, || heard(Topics::all().kind(ObservationKind::DidFail)));
    group.bench_function("heard_otherwise", |bencher| {
        bencher.iter_custom(|steps| otherwise.time(steps, |(state, _), number| time(state, number)));
    });
    let mut all = Growing::new(5 * MOST, || heard(Topics::all()));
    group.bench_function("heard", |bencher| {
        bencher.iter_custom(|steps| all.time(steps, |(state, _), number| time(state, number)));
    });
    let mut counted = Growing::new(5 * MOST, || build(Registry::builder().stats(true).in_memory()));
    group.bench_function("counted", |bencher| bencher.iter_custom(|steps| counted.time(steps, time)));
    group.finish();
}

/// One step of the reference workload: out of this node the agent at this position, into that node.
#[derive(Clone, Copy)]
struct Move {
    from: usize,
    agent: usize,
    to: usize,
}

/// Random moves, each possible after those before it.
fn random_moves(size: Size, count: usize) -> Vec<Move> {
    let mut random = Random(2);
    let mut agents = vec![size.agents; size.nodes];
    let mut moves = Vec::with_capacity(count);
    while moves.len() < count {
        let (from, to) = (random.below(size.nodes), random.below(size.nodes));
        if from != to && agents[from] > 0 {
            moves.push(Move { from, agent: random.below(agents[from]), to });
            agents[from] -= 1;
            agents[to] += 1;
        }
    }
    moves
}

/// The reference workload: an agent goes from one node to another.
fn moves(criterion: &mut Criterion) {
    const MOST_MOVES: usize = MOST / 2;
    let mut group = criterion.benchmark_group("registry/move_in_map");
    for size in REFERENCE_SIZES {
        let moves = random_moves(size, MOST_MOVES);
        let build = || {
            let map = grid_map(size);
            let id = map.id;
            (registry_of(map), id)
        };
        let mut growing = Growing::new(MOST_MOVES, build);
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, id), number| {
                    let Move { from, agent, to } = moves[number];
                    let outcome = registry.call(move_agent, (*id, from, agent, to)).expect("nobody else commits");
                    assert!(!outcome.is_unchanged());
                })
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("registry/move");
    for size in REFERENCE_SIZES {
        let moves = random_moves(size, MOST_MOVES);
        let build = || {
            let map = grid_map(size);
            let nodes: Vec<Id<Node>> = map.nodes.iter().map(|node| node.id).collect();
            (registry_of(map), nodes)
        };
        let mut growing = Growing::new(MOST_MOVES, build);
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, nodes), number| {
                    let Move { from, agent, to } = moves[number];
                    let outcome =
                        registry.call(hand_over, (nodes[from], nodes[to], agent)).expect("nobody else commits");
                    assert!(!outcome.is_unchanged());
                })
            });
        });
    }
    group.finish();
}

/// What a program without the registry does to see what a function changed: a copy, an edit, a comparison.
fn clone_eq(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("baseline/clone_eq");
    for size in SIZES {
        let mut map = plain_map(size);
        let mut random = Random(3);
        let mut speed = 0.5;
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter(|| {
                let mut after = map.clone();
                speed += 1.0;
                set_speed_in(&mut after, random.below(size.nodes), random.below(size.agents), speed);
                assert!(after != map);
                map = after;
            });
        });
    }
    group.finish();
}

/// One leaf of a tree held by value: through its root, and by its own id.
fn edit_leaf_plain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/edit_leaf_plain");
    for size in SIZES {
        let mut random = Random(3);
        let build = || {
            let map = plain_map(size);
            let id = map.id;
            (registry_of(map), id)
        };
        let mut growing = Growing::new(MOST, build);
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, id), number| {
                    let (node, agent) = (random.below(size.nodes), random.below(size.agents));
                    let arguments = (*id, node, agent, number as f64 + 0.5);
                    let outcome = registry.call(set_speed_in, arguments).expect("nobody else commits");
                    assert!(!outcome.is_unchanged());
                })
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("registry/edit_leaf_plain_by_id");
    for size in SIZES {
        let build = || {
            let map = plain_map(size);
            let ids: Vec<Id<Agent>> =
                map.nodes.iter().flat_map(|node| node.agents.iter().map(|agent| agent.id)).collect();
            (registry_of(map), Random(1).picks(&ids, MOST))
        };
        let mut growing = Growing::new(MOST, build);
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_custom(|steps| growing.time(steps, edit_one));
        });
    }
    group.finish();
}

/// The whole tree as the first commit of a registry.
fn add(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/add");
    group.sample_size(10);
    for size in SIZES {
        group.throughput(criterion::Throughput::Elements(size.total() as u64));
        let map = grid_map(size);
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_batched(
                || (Registry::in_memory(), map.clone()),
                |(registry, map)| {
                    registry.add(map).expect("a tree without repetitions");
                    registry
                },
                criterion::BatchSize::PerIteration,
            );
        });
    }
    let crowd = crowd();
    group.throughput(criterion::Throughput::Elements(WIDE as u64 + 1));
    group.bench_function("wide100k", |bencher| {
        bencher.iter_batched(
            || (Registry::in_memory(), crowd.clone()),
            |(registry, crowd)| {
                registry.add(crowd).expect("a tree without repetitions");
                registry
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}
