//! What a recorder of the `metrics` facade is given.
#![cfg(feature = "metrics")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use heirloom::Result;
use heirloom::prelude::*;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

#[derive(Entity, Clone, Debug, PartialEq)]
struct Tank {
    id: Id<Tank>,
    litres: i64,
}

fn fill(tank: &mut Tank, by: i64) {
    tank.litres += by;
}

fn burst(_: &mut Tank) {
    std::panic::resume_unwind(Box::new("too much"));
}

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// Counts what it is given under the name with its labels.
#[derive(Default)]
struct Counting(Counts);

struct One(Counts, String);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        *self.0.lock().expect("nobody panics").entry(self.1.clone()).or_default() += value;
    }
    fn absolute(&self, _: u64) {}
}

impl HistogramFn for One {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds));
        self.increment(1);
    }
}

impl Counting {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<String> = key.labels().map(|label| format!(" {}", label.value())).collect();
        Arc::new(One(Arc::clone(&self.0), format!("{}{}", key.name(), labels.concat())))
    }
}

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

#[test]
fn runs_and_entries_are_counted_and_timed() -> Result<()> {
    let recorder = Counting::default();
    metrics::with_local_recorder(&recorder, || -> Result<()> {
        let registry = Registry::in_memory();
        let _ = registry.register("fill", fill)?;
        let _ = registry.register("burst", burst)?;
        let id = registry.add(Tank { id: Id::new(), litres: 0 })?;
        registry.call(fill, (id, 1))?;
        registry.call(fill, (id, 0))?;
        registry.call(burst, (id,)).expect_err("it panics");
        let stale = registry.submit(fill, (id, 1))?;
        stale.wait()?;
        Ok(())
    })?;
    let counts: Vec<String> =
        recorder.0.lock().expect("nobody panics").iter().map(|(name, count)| format!("{name}: {count}")).collect();
    let expected = [
        "heirloom_entries_total: 5",
        "heirloom_run_seconds burst: 1",
        "heirloom_run_seconds fill: 3",
        "heirloom_runs_total burst failed: 1",
        "heirloom_runs_total fill changed: 2",
        "heirloom_runs_total fill unchanged: 1",
        "heirloom_versions_total: 3",
    ];
    assert_eq!(counts, expected);
    Ok(())
}
