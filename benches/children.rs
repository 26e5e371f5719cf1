//! A list of 100,000 entities behind shared handles.

mod shared;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use heirloom::{Children, Digest, Digester, Field};
use shared::{Agent, Random, WIDE, crowd};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let criterion = &mut criterion;
    digest_after_edit(criterion);
    edits(criterion);
    criterion.final_summary();
}

fn digest(agents: &Children<Agent>) -> Digest {
    let mut digester = Digester::new();
    Field::digest(agents, &mut digester);
    digester.finish()
}

/// The digest of the whole after one of its entities was edited: only what lies above it is digested again.
fn digest_after_edit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("children/digest_after_edit");
    let mut agents = crowd().agents;
    let (mut random, mut speed) = (Random(5), 0.5);
    digest(&agents);
    group.bench_function("wide100k", |bencher| {
        bencher.iter(|| {
            speed += 1.0;
            agents[random.below(WIDE)].speed = speed;
            digest(&agents)
        });
    });
    group.finish();
}

/// Edits of a list of which another state keeps the old version, and a clone.
fn edits(criterion: &mut Criterion) {
    let before = crowd().agents;
    let mut random = Random(6);
    // The first question by identity builds the index.
    assert_eq!(before.position(before[7].id), Some(7));

    let mut group = criterion.benchmark_group("children/edit");
    group.bench_function("wide100k", |bencher| {
        bencher.iter(|| {
            let mut after = before.clone();
            after[random.below(WIDE)].speed = -1.0;
            after
        });
    });
    group.finish();
    let mut group = criterion.benchmark_group("children/move");
    group.bench_function("wide100k", |bencher| {
        bencher.iter(|| {
            let mut after = before.clone();
            after.move_to(random.below(WIDE), random.below(WIDE));
            after
        });
    });
    group.finish();
    let mut group = criterion.benchmark_group("children/by_id");
    let ids: Vec<_> = before.iter().map(|agent| agent.id).collect();
    group.bench_function("wide100k", |bencher| {
        bencher.iter(|| black_box(&before).by_id(ids[random.below(WIDE)]).expect("it is in the list").speed);
    });
    group.finish();
}
