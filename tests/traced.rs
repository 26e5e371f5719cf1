//! What a subscriber of `tracing` is told.
#![cfg(feature = "tracing")]

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heirloom::Result;
use heirloom::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id as SpanId, Record};
use tracing::{Event, Metadata, Subscriber};

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

/// Writes down what it is told, a line each.
#[derive(Clone, Default)]
struct Writing {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // How long it took differs each time.
        if field.name() != "duration" {
            write!(self.0, " {}={value:?}", field.name()).expect("a text takes all");
        }
    }
}

impl Writing {
    fn write(&self, what: &str, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(what.to_owned());
        record(&mut fields);
        self.lines.lock().expect("nobody panics").push(fields.0);
    }
}

impl Subscriber for Writing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> SpanId {
        self.write(span.metadata().name(), |fields| span.record(fields));
        SpanId::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _: &SpanId, values: &Record<'_>) {
        self.write("record", |fields| values.record(fields));
    }
    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}
    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata().level().as_str(), |fields| event.record(fields));
    }
    fn enter(&self, span: &SpanId) {
        self.write(&format!("enter {}", span.into_u64()), |_| ());
    }
    fn exit(&self, span: &SpanId) {
        self.write(&format!("exit {}", span.into_u64()), |_| ());
    }
}

#[test]
fn a_run_is_a_span_and_its_commit_one_within_it() -> Result<()> {
    let registry = Registry::builder().slow_run(Duration::ZERO).in_memory();
    let _ = registry.register("fill", fill)?.slow_run(Duration::from_secs(3600));
    let _ = registry.register("burst", burst)?;
    let id = registry.add(Tank { id: Id::new(), litres: 0 })?;
    let writing = Writing::default();
    tracing::subscriber::with_default(writing.clone(), || -> Result<()> {
        registry.by("ann").call(fill, (id, 1))?;
        registry.call(burst, (id,)).expect_err("it panics");
        Ok(())
    })?;
    let expected = [
        "run callable=\"fill\" author=\"ann\"",
        "enter 1",
        "commit",
        "enter 2",
        "record position=2",
        "record versions=1",
        "exit 2",
        "exit 1",
        "run callable=\"burst\"",
        "enter 3",
        "WARN message=a run was slow callable=\"burst\" threshold=0ns",
        "DEBUG message=a run came to nothing callable=\"burst\" reason=\"too much\"",
        "commit",
        "enter 4",
        "record position=3",
        "record versions=0",
        "exit 4",
        "exit 3",
    ];
    assert_eq!(*writing.lines.lock().expect("nobody panics"), expected);
    Ok(())
}
