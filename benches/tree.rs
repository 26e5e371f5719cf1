//! The index of a tree, built from zero, and with the digests of all that is in it.

mod shared;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use heirloom::{Entity, Tree};
use shared::{SIZES, WIDE, crowd, grid_map, plain_map};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let criterion = &mut criterion;
    build(criterion);
    build_digest(criterion);
    criterion.final_summary();
}

const EXPECT: &str = "no entity stands twice";

fn time<T: Entity>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, root: &T) {
    group.throughput(Throughput::Elements(Tree::of(root).expect(EXPECT).len() as u64));
    group.bench_function(name, |bencher| bencher.iter(|| Tree::of(black_box(root)).expect(EXPECT)));
}

/// Of what is already in memory.
fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree/build");
    for size in SIZES {
        time(&mut group, &size.total().to_string(), &grid_map(size));
    }
    time(&mut group, "wide100k", &crowd());
    group.finish();
    let mut group = criterion.benchmark_group("tree/build_plain");
    for size in SIZES {
        time(&mut group, &size.total().to_string(), &plain_map(size));
    }
    group.finish();
}

fn time_digest<T: Entity>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    entities: usize,
    build: impl Fn() -> T,
) {
    group.throughput(Throughput::Elements(entities as u64));
    group.bench_function(name, |bencher| {
        // A fresh one each time: shared handles keep their digests.
        bencher.iter_batched_ref(&build, |root| Tree::of(root).expect(EXPECT).digest(), BatchSize::PerIteration);
    });
}

/// With the digest of every entity, none of which was known before.
fn build_digest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree/build_digest");
    for size in SIZES {
        time_digest(&mut group, &size.total().to_string(), size.total(), || grid_map(size));
    }
    time_digest(&mut group, "wide100k", WIDE + 1, crowd);
    group.finish();
}
