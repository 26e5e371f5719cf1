//! Histories in a file, beside bare SQLite that is given as many bytes, and large ones beside small ones.

mod shared;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use heirloom::store::{Durability, SqliteStore, Store};
use heirloom::{Id, Pending, Registry, Revision};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use shared::growing::Growing;
use shared::{Agent, Crowd, GridMap, Random, SIZES, Size, agent_ids, crowd, grid_map};

/// Commits that a file gathers before it is made anew.
const MOST: usize = 20_000;

/// How often the watched agent of a large history was edited.
const WATCHED: usize = 1000;

/// Small and large histories, by their commits.
const COMMITS: [usize; 2] = [1000, 1_000_000];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let criterion = &mut criterion;
    commits(criterion, "full", Durability::Full);
    commits(criterion, "normal", Durability::Normal);
    commits_of_threads(criterion);
    bulk_load(criterion);
    reads(criterion);
    deep_call_cold(criterion);
    criterion.final_summary();
}

fn set_speed(agent: &mut Agent, speed: f64) {
    agent.speed = speed;
}

/// A folder of its own, which goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = target().join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the target folder can be written");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// On the disk where everything is built, and not in memory as a temporary folder may be.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn open(file: &Path, durability: Durability) -> Registry {
    let registry = Registry::builder().durability(durability).open(file).expect("the file is a store");
    registry.register_type::<GridMap>().expect("the names differ");
    let _ = registry.register("set_speed", set_speed).expect("the names differ");
    registry
}

/// What stands in a file, all rows and index entries: how many rows of tables, and the bytes of all together.
fn held(file: &Path) -> (u64, u64) {
    let connection = Connection::open(file).expect("the file is there");
    let count = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("it can be counted").cast_unsigned()
    };
    let tables =
        ["layout", "entity", "version", "milestone", "edge", "reference", "entry", "rising", "tag", "dictionary"];
    let rows = tables.iter().map(|table| count(&format!("SELECT count(*) FROM {table}"))).sum();
    (rows, count("SELECT sum(payload) FROM dbstat WHERE name NOT LIKE 'sqlite%'"))
}

/// A bare table, with the settings of a store.
fn bare(file: &Path, durability: Durability) -> Connection {
    let connection = Connection::open(file).expect("the folder can be written");
    let level = if durability == Durability::Normal { "NORMAL" } else { "FULL" };
    let settings = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {level}; PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE row (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    );
    connection.execute_batch(&settings).expect("nothing stands in the file");
    connection
}

const ADD_ROW: &str = "INSERT INTO row (bytes) VALUES (?1)";

/// Leaves of 2,551 edited by eight threads, each its own, with one sync for all that wait: the time of one commit.
/// `8threads` keep some commits under way each; `8callers` wait for each, so that a sync is for eight at most.
fn commits_of_threads(criterion: &mut Criterion) {
    batched(criterion, "8threads", 32);
    batched(criterion, "8callers", 1);
}

fn landed<V, A>(pending: Option<Pending<'_, V, A>>) {
    let outcome = pending.map(Pending::wait).transpose().expect("nobody else edits it");
    assert!(outcome.is_some_and(|outcome| !outcome.is_unchanged()));
}

fn batched(criterion: &mut Criterion, name: &str, under_way: usize) {
    const THREADS: usize = 8;
    let folder = Folder::new(name);
    let map = grid_map(SIZES[1]);
    let agents = agent_ids(&map);
    let registry = open(&folder.file(), Durability::Batched);
    registry.add(map).expect("a tree without repetitions");
    let mut speed = 0.5;
    criterion.benchmark_group("durable/commit_batched").bench_function(name, |bencher| {
        bencher.iter_custom(|commits| {
            let start = Instant::now();
            thread::scope(|scope| {
                for own in agents.chunks(agents.len() / THREADS).take(THREADS) {
                    let registry = &registry;
                    scope.spawn(move || {
                        let mut pending = VecDeque::with_capacity(under_way);
                        // Rounded up, so that no thread has none; what is counted is what was asked for.
                        for number in 0..commits.div_ceil(THREADS as u64) {
                            let agent = own[number as usize % own.len()];
                            if pending.len() == under_way {
                                landed(pending.pop_front());
                            }
                            let submitted = registry.submit(set_speed, (agent, speed + number as f64));
                            pending.push_back(submitted.expect("it is registered"));
                        }
                        pending.into_iter().for_each(|pending| landed(Some(pending)));
                    });
                }
            });
            speed += 1e9;
            let made = commits.div_ceil(THREADS as u64) * THREADS as u64;
            start.elapsed().mul_f64(commits as f64 / made as f64)
        });
    });
}

/// One leaf of 2,551 edited through the registry, beside a transaction that inserts one row of as many bytes.
fn commits(criterion: &mut Criterion, name: &str, durability: Durability) {
    let mut number = 0;
    let mut build = || {
        number += 1;
        let folder = Folder::new(&format!("commits-{name}-{number}"));
        let map = grid_map(SIZES[1]);
        let picks = Random(1).picks(&agent_ids(&map), MOST);
        let registry = open(&folder.file(), durability);
        registry.add(map).expect("a tree without repetitions");
        // Before the folder, which goes once nobody has its file open.
        (registry, picks, folder)
    };
    let bytes = {
        let (registry, picks, folder) = build();
        let (_, before) = held(&folder.file());
        for (number, agent) in picks.iter().take(WATCHED).enumerate() {
            registry.call(set_speed, (*agent, number as f64 + 0.5)).expect("nobody else commits");
        }
        let (_, after) = held(&folder.file());
        usize::try_from(after - before).expect("few bytes") / WATCHED
    };
    println!("a commit of one leaf takes {bytes} bytes in the tables and indexes");

    let mut group = criterion.benchmark_group("baseline/sqlite_row");
    let mut files = 0;
    let mut growing = Growing::new(MOST, || {
        files += 1;
        let folder = Folder::new(&format!("bare-{name}-{files}"));
        (bare(&folder.file(), durability), vec![7_u8; bytes], folder)
    });
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|steps| {
            growing.time(steps, |(connection, row, _), _| {
                let transaction = connection.transaction().expect("nobody else writes");
                transaction.prepare_cached(ADD_ROW).and_then(|mut add| add.execute([&*row])).expect("it fits");
                transaction.commit().expect("there is room");
            })
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("durable");
    let mut growing = Growing::new(MOST, build);
    group.bench_function(format!("commit_{name}"), |bencher| {
        bencher.iter_custom(|steps| {
            growing.time(steps, |(registry, picks, _), number| {
                let outcome = registry.call(set_speed, (picks[number], number as f64 + 0.5));
                assert!(!outcome.expect("nobody else commits").is_unchanged());
            })
        });
    });
    group.finish();
}

/// What a store put into a file, to be put into another by SQLite alone.
struct Copied {
    schema: String,
    tables: Vec<(String, Vec<Vec<Value>>)>,
}

impl Copied {
    fn of(file: &Path) -> Self {
        let connection = Connection::open(file).expect("the file is there");
        let texts = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).expect("SQLite keeps its schema");
            let rows = statement.query_map([], |row| row.get(0)).expect("it can be read");
            rows.collect::<Result<_, _>>().expect("it is text")
        };
        let schema =
            texts("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'").join(";\n");
        let names = texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
        let rows = |name: &String| {
            let mut statement = connection.prepare(&format!("SELECT * FROM {name}")).expect("it is there");
            let count = statement.column_count();
            let row = |row: &Row<'_>| (0..count).map(|column| row.get(column)).collect();
            statement.query_map([], row).and_then(Iterator::collect).expect("it can be read")
        };
        Self { schema, tables: names.into_iter().map(|name| (name.clone(), rows(&name))).collect() }
    }

    fn insert(&self, file: &Path) -> Duration {
        let mut connection = bare(file, Durability::Full);
        connection.execute_batch(&self.schema).expect("nothing of it is there");
        let start = Instant::now();
        let transaction = connection.transaction().expect("nobody else writes");
        for (name, rows) in self.tables.iter().filter(|(_, rows)| !rows.is_empty()) {
            let places = vec!["?"; rows[0].len()].join(", ");
            let mut add = transaction.prepare(&format!("INSERT INTO {name} VALUES ({places})")).expect("it is there");
            for row in rows {
                add.execute(params_from_iter(row)).expect("it fits");
            }
        }
        transaction.commit().expect("there is room");
        start.elapsed()
    }
}

/// 100,000 entities in one commit, beside the same rows put into the same tables by SQLite alone, and beside as many rows
/// of as many bytes put into one table without an index.
fn bulk_load(criterion: &mut Criterion) {
    let crowd = crowd();
    let add = |file: &Path, crowd: Crowd| {
        let registry = Registry::open(file).expect("the folder can be written");
        let start = Instant::now();
        registry.add(crowd).expect("a tree without repetitions");
        start.elapsed()
    };
    let (rows, bytes, copy) = {
        let folder = Folder::new("bulk-measured");
        add(&folder.file(), crowd.clone());
        let (rows, bytes) = held(&folder.file());
        (rows, bytes, Copied::of(&folder.file()))
    };
    println!("100,000 entities are {rows} rows of {bytes} bytes in the tables and indexes");
    let row = vec![7_u8; usize::try_from(bytes / rows).expect("few bytes")];
    let timed = |steps: u64, mut step: Box<dyn FnMut(&Path) -> Duration + '_>| {
        let step = |_| {
            let folder = Folder::new("bulk");
            step(&folder.file())
        };
        (0..steps).map(step).sum::<Duration>()
    };

    let mut group = criterion.benchmark_group("baseline/sqlite_rows");
    group.sample_size(10);
    group.bench_function("bulk_load", |bencher| {
        bencher.iter_custom(|steps| {
            timed(
                steps,
                Box::new(|file| {
                    let mut connection = bare(file, Durability::Full);
                    let start = Instant::now();
                    let transaction = connection.transaction().expect("nobody else writes");
                    let mut add = transaction.prepare_cached(ADD_ROW).expect("the table is there");
                    for _ in 0..rows {
                        add.execute([&row]).expect("it fits");
                    }
                    drop(add);
                    transaction.commit().expect("there is room");
                    start.elapsed()
                }),
            )
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("baseline/sqlite_same_rows");
    group.sample_size(10);
    group.bench_function("bulk_load", |bencher| {
        bencher.iter_custom(|steps| timed(steps, Box::new(|file| copy.insert(file))));
    });
    group.finish();

    let mut group = criterion.benchmark_group("durable");
    group.sample_size(10);
    group.bench_function("bulk_load", |bencher| {
        bencher.iter_custom(|steps| timed(steps, Box::new(|file| add(file, crowd.clone()))));
    });
    group.finish();
}

/// A history of so many commits: one agent was edited a thousand times, at even distances, and between that others. It is
/// kept in the target folder, since the large one takes a minute to make.
fn history(commits: usize) -> (PathBuf, Id<Agent>) {
    let map = with_fixed_ids(grid_map(SIZES[1]));
    let agents = agent_ids(&map);
    let (watched, others) = (agents[1234], Random(4).picks(&agents, commits));
    let file = target().join(format!("history-{commits}.heirloom"));
    let whole = |file: &Path| {
        let store = SqliteStore::open_read_only(file).ok()?;
        (store.head().ok()?.position.0 == commits as u64).then_some(())
    };
    if whole(&file).is_none() {
        let _ = fs::remove_file(&file);
        let registry = open(&file, Durability::Normal);
        registry.add(map).expect("a tree without repetitions");
        // The map itself is the first.
        for (number, other) in others.into_iter().enumerate().skip(1) {
            let agent = if number % (commits / WATCHED) == 0 { watched } else { other };
            registry.call(set_speed, (agent, number as f64 + 0.5)).expect("nobody else commits");
        }
    }
    (file, watched)
}

/// The same map with ids that are the same in each run.
fn with_fixed_ids(mut map: GridMap) -> GridMap {
    use heirloom::EntityId;
    let id = |kind: &str, number: usize| EntityId::derive(kind, &number.to_string());
    let mut agents = 0..;
    let mut agent = |agent: &Agent| {
        let number = agents.next().expect("there is no end to numbers");
        Agent { id: Id::from_entity_id(id("agent", number)), ..agent.clone() }
    };
    let mut nodes = Vec::new();
    for (number, node) in map.nodes.iter().enumerate() {
        let agents = node.agents.iter().map(&mut agent).collect::<Vec<_>>();
        let agents = heirloom::Children::try_from(agents).expect("the agents are all new");
        nodes.push(shared::Node { id: Id::from_entity_id(id("node", number)), agents, ..node.clone() });
    }
    map.id = Id::from_entity_id(id("map", 0));
    map.nodes = heirloom::Children::try_from(nodes).expect("the nodes are all new");
    map
}

/// Reads in a small and in a large history, and opening them.
fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("durable");
    for commits in COMMITS {
        let (file, watched) = history(commits);
        group.bench_function(BenchmarkId::new("open", commits), |bencher| {
            bencher.iter_custom(|steps| {
                let open = |_| {
                    let start = Instant::now();
                    let registry = open(&file, Durability::Normal);
                    let took = start.elapsed();
                    drop(registry);
                    took
                };
                (0..steps).map(open).sum()
            });
        });
        let registry = open(&file, Durability::Normal);
        let history = registry.history();
        let last = history.revision(watched).expect("it is there").0;
        let mut random = Random(5);
        group.bench_function(BenchmarkId::new("at_revision", commits), |bencher| {
            bencher.iter(|| {
                let revision = Revision(1 + random.below(last as usize) as u64);
                history.at(watched, revision).expect("it is there")
            });
        });
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("field_history_1000", commits), |bencher| {
            bencher.iter(|| {
                let values = history.field(watched, Agent::SPEED).expect("it is there");
                assert_eq!(values.len() as u64, last);
            });
        });
        group.sample_size(20);
        group.bench_function(BenchmarkId::new("tail_100", commits), |bencher| {
            bencher.iter(|| {
                let entries = history.entries().rev().take(100).collect::<Result<Vec<_>, _>>();
                assert_eq!(entries.expect("they are there").len(), 100);
            });
        });
    }
    group.finish();
}

/// Opening a file and editing one deep leaf, nothing of it in memory before.
fn deep_call_cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("durable/deep_call_cold");
    for size in [SIZES[0], SIZES[2]] {
        let folder = Folder::new(&format!("cold-{}", Size::total(size)));
        let file = folder.file();
        let map = grid_map(size);
        let picks = Random(6).picks(&agent_ids(&map), 1000);
        open(&file, Durability::Normal).add(map).expect("a tree without repetitions");
        let mut number = 0;
        group.bench_function(size.total().to_string(), |bencher| {
            bencher.iter_custom(|steps| {
                let mut call = |_| {
                    number += 1;
                    let start = Instant::now();
                    let registry = open(&file, Durability::Normal);
                    let outcome = registry.call(set_speed, (picks[number % picks.len()], number as f64 + 0.5));
                    let took = start.elapsed();
                    assert!(!outcome.expect("nobody else commits").is_unchanged());
                    took
                };
                (0..steps).map(&mut call).sum()
            });
        });
    }
    group.finish();
}
