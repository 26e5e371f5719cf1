//! Ways to call: by name with JSON, under a key, many at once, and from two threads.

mod shared;

use std::hint::black_box;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use heirloom::{Call, Commits, Id, Registry};
use serde_json::json;
use shared::growing::Growing;
use shared::{Agent, SIZES, agent_ids, grid_map};

/// Versions that a state gathers before it is built anew.
const MOST: usize = 100_000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let criterion = &mut criterion;
    execute_json(criterion);
    once(criterion);
    execute_many(criterion);
    parallel(criterion);
    criterion.final_summary();
}

fn set_speed(agent: &mut Agent, speed: f64) {
    agent.speed = speed;
}

fn read_speed(agent: &Agent) -> f64 {
    agent.speed
}

/// Work of its own, of some five microseconds.
fn set_after_work(agent: &mut Agent, speed: f64) {
    static TURNS: OnceLock<u64> = OnceLock::new();
    let turn = |turns: u64| (0..turns).fold(1_u64, |sum, turn| black_box(sum.wrapping_mul(turn | 1)));
    let turns = *TURNS.get_or_init(|| {
        let start = Instant::now();
        black_box(turn(10_000_000));
        (10_000_000.0 * 5e-6 / start.elapsed().as_secs_f64()) as u64
    });
    black_box(turn(turns));
    agent.speed = speed;
}

/// 2,551 entities in memory, and the ids of the agents among them.
fn registry() -> (Registry, Vec<Id<Agent>>) {
    let registry = Registry::in_memory();
    let names = "the names differ";
    let _ = registry.register("set_speed", set_speed).and_then(|set| set.params(["agent", "speed"])).expect(names);
    let _ = registry.register("read_speed", read_speed).expect(names);
    let _ = registry.register("set_after_work", set_after_work).expect(names);
    let map = grid_map(SIZES[1]);
    let agents = agent_ids(&map);
    registry.add(map).expect("a tree without repetitions");
    (registry, agents)
}

/// One small call by name: arguments as a list and by name, and one that reads. The JSON is made within.
fn execute_json(criterion: &mut Criterion) {
    let build = || {
        let (registry, agents) = registry();
        let addresses: Vec<String> = agents.iter().map(|agent| format!("@{agent}")).collect();
        (registry, addresses)
    };
    let mut group = criterion.benchmark_group("registry/execute_json");
    let mut edits = Growing::new(MOST, build);
    group.bench_function("edit", |bencher| {
        bencher.iter_custom(|steps| {
            edits.time(steps, |(registry, addresses), number| {
                let arguments = json!([addresses[number % addresses.len()], number as f64 + 0.5]);
                black_box(registry.execute("set_speed", arguments).expect("nothing stands against it"));
            })
        });
    });
    let mut named = Growing::new(MOST, build);
    group.bench_function("edit_by_names", |bencher| {
        bencher.iter_custom(|steps| {
            named.time(steps, |(registry, addresses), number| {
                let arguments = json!({"agent": addresses[number % addresses.len()], "speed": number as f64 + 0.5});
                black_box(registry.execute("set_speed", arguments).expect("nothing stands against it"));
            })
        });
    });
    let mut reads = Growing::new(MOST, build);
    group.bench_function("read", |bencher| {
        bencher.iter_custom(|steps| {
            reads.time(steps, |(registry, addresses), number| {
                let arguments = json!([addresses[number % addresses.len()]]);
                black_box(registry.execute("read_speed", arguments).expect("nothing stands against it"));
            })
        });
    });
    group.finish();
}

/// An edit without a key, the first under one, and one that is repeated.
fn once(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/once");
    let mut without = Growing::new(MOST, registry);
    group.bench_function("without_key", |bencher| {
        bencher.iter_custom(|steps| {
            without.time(steps, |(registry, agents), number| {
                let given = (agents[number % agents.len()], number as f64 + 0.5);
                black_box(registry.call(set_speed, given).expect("nothing stands against it"));
            })
        });
    });
    let mut first = Growing::new(MOST, registry);
    group.bench_function("first", |bencher| {
        bencher.iter_custom(|steps| {
            first.time(steps, |(registry, agents), number| {
                let given = (agents[number % agents.len()], number as f64 + 0.5);
                black_box(registry.once(format!("{number}")).call(set_speed, given).expect("the key is new"));
            })
        });
    });
    let (registry, agents) = registry();
    registry.once("key").call(set_speed, (agents[0], 7.5)).expect("the key is new");
    group.bench_function("repeated", |bencher| {
        bencher.iter(|| black_box(registry.once("key").call(set_speed, (agents[0], 7.5)).expect("it was called")));
    });
    group.finish();
}

/// A hundred edits as one call: the time of all.
fn execute_many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/execute_many");
    for (name, commits) in [("100_one_each", Commits::OneEach), ("100_one_for_all", Commits::OneForAll)] {
        let mut growing = Growing::new(MOST / 100, registry);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|steps| {
                growing.time(steps, |(registry, agents), number| {
                    let call =
                        |agent: &Id<Agent>| Call::new("set_speed", json!([format!("@{agent}"), number as f64 + 0.5]));
                    let results = registry.execute_many(agents[..100].iter().map(call), commits);
                    assert!(results.iter().all(Result::is_ok), "nothing stands against them");
                })
            });
        });
    }
    group.finish();
}

/// Edits of agents by one thread, and by two that have half of the agents each: the time of all, by the edit.
fn parallel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry/parallel");
    for threads in [1, 2] {
        group.bench_function(format!("tiny/{threads}threads"), |bencher| {
            bencher.iter_custom(|steps| {
                by_threads(steps, threads, &|registry, agent, speed| {
                    black_box(registry.call(set_speed, (agent, speed)).expect("nobody else edits it"));
                })
            });
        });
        group.bench_function(format!("5us/{threads}threads"), |bencher| {
            bencher.iter_custom(|steps| {
                by_threads(steps, threads, &|registry, agent, speed| {
                    black_box(registry.call(set_after_work, (agent, speed)).expect("nobody else edits it"));
                })
            });
        });
    }
    group.finish();
}

fn by_threads(steps: u64, threads: usize, call: &(dyn Fn(&Registry, Id<Agent>, f64) + Sync)) -> Duration {
    let mut timed = Duration::ZERO;
    let mut left = usize::try_from(steps).expect("as many steps as anybody waits for");
    while left > 0 {
        let (registry, agents) = registry();
        let now = left.min(MOST);
        let start = Instant::now();
        thread::scope(|scope| {
            for (thread, own) in agents.chunks(agents.len() / threads).take(threads).enumerate() {
                let registry = &registry;
                scope.spawn(move || {
                    for number in (thread..now).step_by(threads) {
                        call(registry, own[number % own.len()], number as f64 + 0.5);
                    }
                });
            }
        });
        timed += start.elapsed();
        left -= now;
    }
    timed
}
