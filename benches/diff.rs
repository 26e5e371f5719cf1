//! Differences between two states behind shared handles: what they cost follows what changed.

mod shared;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use heirloom::{Children, Entity, Id, diff, diff_each};
use shared::{Atlas, Crowd, GridMap, Random, SIZES, Size, WIDE, crowd, grid_map};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let criterion = &mut criterion;
    identical(criterion);
    one_leaf(criterion);
    one_percent(criterion);
    moved_subtree(criterion);
    criterion.final_summary();
}

/// Times the difference of two states that have so many changes.
fn time<T: Entity>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, before: &T, after: &T, changes: usize) {
    let expect = "no entity stands twice";
    assert_eq!(diff(before, after).expect(expect).len(), changes);
    group.bench_function(name, |bencher| {
        bencher.iter(|| diff(black_box(before), black_box(after)).expect(expect));
    });
}

/// Two clones of one state: as a list of changes, and told one by one.
fn identical(criterion: &mut Criterion) {
    let maps = SIZES.map(grid_map);
    let crowd = crowd();
    let mut group = criterion.benchmark_group("diff/identical");
    for map in &maps {
        time(&mut group, &name(map), map, &map.clone(), 0);
    }
    time(&mut group, "wide100k", &crowd, &crowd.clone(), 0);
    group.finish();
    let mut group = criterion.benchmark_group("diff/identical_each");
    for before in &maps {
        let after = before.clone();
        group.bench_function(name(before), |bencher| {
            bencher.iter(|| {
                let mut heard = 0;
                let told = diff_each(black_box(before), black_box(&after), |_| {
                    heard += 1;
                    ControlFlow::Continue(())
                });
                told.expect("no entity stands twice");
                assert_eq!(heard, 0);
            });
        });
    }
    group.finish();
}

fn name(map: &GridMap) -> String {
    (1 + map.nodes.iter().map(|node| 1 + node.agents.len()).sum::<usize>()).to_string()
}

/// The map with other speeds of so many agents.
fn with_edits(map: &GridMap, size: Size, count: usize) -> GridMap {
    let mut map = map.clone();
    let mut random = Random(4);
    let mut left = count;
    while left > 0 {
        let agent = &mut map.nodes[random.below(size.nodes)].agents[random.below(size.agents)];
        if agent.speed > 0.0 {
            agent.speed = -agent.speed;
            left -= 1;
        }
    }
    map
}

fn one_leaf(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff/one_leaf");
    for size in SIZES {
        let before = grid_map(size);
        time(&mut group, &name(&before), &before, &with_edits(&before, size, 1), 1);
    }
    let before = crowd();
    let mut after = before.clone();
    after.agents[WIDE / 3].speed = -1.0;
    time(&mut group, "wide100k", &before, &after, 1);
    group.finish();
}

fn one_percent(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff/one_percent");
    for size in SIZES {
        let before = grid_map(size);
        let count = size.total() / 100;
        let after = with_edits(&before, size, count);
        group.throughput(criterion::Throughput::Elements(count as u64));
        time(&mut group, &name(&before), &before, &after, count);
    }
    group.finish();
}

/// A node, with all its agents, goes from one map of an atlas to the other; in the wide list a single agent does.
fn moved_subtree(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff/moved_subtree");
    for size in SIZES {
        let half = Size { nodes: size.nodes / 2, ..size };
        let maps = Children::try_from([grid_map(half), grid_map(half)]).expect("the maps are new");
        let before = Atlas { id: Id::new(), maps };
        let mut after = before.clone();
        let node = after.maps[0].nodes.remove(half.nodes / 2).expect("there is one in the middle");
        after.maps[1].nodes.push(node).expect("it stands nowhere now");
        time(&mut group, &size.total().to_string(), &before, &after, 1);
    }
    let first = crowd();
    let second = Crowd { id: Id::new(), agents: Children::new() };
    let before = shared::Crowds { id: Id::new(), crowds: Children::try_from([first, second]).expect("both are new") };
    let mut after = before.clone();
    let agent = after.crowds[0].agents.remove(WIDE / 2).expect("there is one in the middle");
    after.crowds[1].agents.push(agent).expect("it stands nowhere now");
    time(&mut group, "wide100k", &before, &after, 1);
    group.finish();
}
