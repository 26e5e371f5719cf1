//! Real input: 14 years of the world's countries, each state of the data set a commit, kept in one file, and what the
//! history says of it once the file is opened again.
//!
//! `cargo run --release --example countries -- [--on-duplicate last|refuse] [FILE]` reads `countries-history.jsonl.zst` in
//! `$HEIRLOOM_DATA`, else in `../shared/data`, and keeps the history in the file, else in a temporary one. Every total is
//! counted from the changes that the engine found and printed beside the one that an independent script counted; a wrong
//! one ends the program with an error.
#![expect(clippy::print_stdout, reason = "an example prints")]

mod kept;
mod totals;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use heirloom::prelude::*;
use heirloom::store::SqliteStore;
use heirloom::{Position, ReadError, RepeatedId, Version};
use kept::KeptFile;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use totals::{Table, Totals};

/// All countries.
#[derive(Entity, Clone)]
struct World {
    id: Id<Self>,
    countries: Children<Country>,
}

/// A country. Its fields came, went and changed their shape over the years: only its code and its name were always there.
#[derive(Entity, Clone, PartialEq)]
struct Country {
    id: Id<Self>,
    code: String,
    #[entity(value)]
    name: Json,
    #[entity(value)]
    fields: BTreeMap<String, Json>,
}

/// One line of the file.
#[derive(Deserialize)]
struct State {
    commit: String,
    time: Timestamp,
    message: String,
    countries: Vec<Map<String, Json>>,
}

impl Country {
    fn id_of(code: &str) -> Id<Self> {
        Id::from_entity_id(EntityId::derive("Country", code))
    }

    fn from_json(mut fields: Map<String, Json>) -> Result<Self, String> {
        let code = match fields.remove("cca3") {
            Some(Json::String(code)) => code,
            other => return Err(format!("expected a country with its code in `cca3`, found {other:?}")),
        };
        let name = fields.remove("name").ok_or_else(|| format!("country {code} has no name"))?;
        Ok(Self { id: Self::id_of(&code), code, name, fields: fields.into_iter().collect() })
    }

    fn to_json(&self) -> Map<String, Json> {
        let mut fields: Map<String, Json> = self.fields.clone().into_iter().collect();
        fields.insert("cca3".to_owned(), self.code.clone().into());
        fields.insert("name".to_owned(), self.name.clone());
        fields
    }
}

/// A country's name was a text until it became an object.
fn common_name(name: &Json) -> &str {
    name.as_str().or_else(|| name["common"].as_str()).unwrap_or("(no name)")
}

/// What to do with a state that holds one country twice.
#[derive(Clone, Copy, PartialEq)]
enum OnDuplicate {
    /// Leave the whole state out.
    Refuse,
    /// Keep the last of the two.
    Last,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countries: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::of(std::env::args().skip(1))?;
    let source = PathBuf::from(std::env::var_os("HEIRLOOM_DATA").unwrap_or_else(|| "../shared/data".into()))
        .join("countries-history.jsonl.zst");
    if !source.exists() {
        println!("Skipped: there is no {}. Say where it is with HEIRLOOM_DATA=<directory>.", source.display());
        return Ok(());
    }
    println!("The world's countries, from countries.json of github.com/mledoze/countries.");
    println!("The data is made available under the Open Database License, ODbL 1.0.");
    println!();

    let file = KeptFile::at(arguments.file)?;
    let mut import = Import::new(Registry::open(&file.path)?, arguments.on_duplicate);
    if import.registry.history().head() != Position(0) {
        return Err(
            format!("there is a history in {} already: name a file that is not there", file.path.display()).into()
        );
    }
    let unpacked = each_state(&source, |number, state| import.take(number, state))?;
    // All that is said from here on comes from the file.
    import = import.reopened(&file.path)?;
    let wrong = import.report()?;
    import.read_back(&source)?;
    drop(import);
    print_sizes(&file.path, &source, unpacked)?;
    if wrong > 0 {
        return Err(format!("{wrong} of the totals are wrong").into());
    }
    Ok(())
}

struct Arguments {
    on_duplicate: OnDuplicate,
    /// Where the history is to be kept.
    file: Option<PathBuf>,
}

impl Arguments {
    fn of(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { on_duplicate: OnDuplicate::Last, file: None };
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--on-duplicate" => match given.next().as_deref() {
                    Some("last") => arguments.on_duplicate = OnDuplicate::Last,
                    Some("refuse") => arguments.on_duplicate = OnDuplicate::Refuse,
                    other => return Err(format!("expected `last` or `refuse`, found `{}`", other.unwrap_or_default())),
                },
                file if arguments.file.is_none() && !file.starts_with('-') => arguments.file = Some(file.into()),
                other => return Err(format!("expected `[--on-duplicate last|refuse] [FILE]`, found `{other}`")),
            }
        }
        Ok(arguments)
    }
}

/// Prints how much the file takes, and the data that it was made of.
fn print_sizes(path: &Path, source: &Path, unpacked: u64) -> Result<(), Box<dyn Error>> {
    let kilobytes = |bytes: u64| format!("{} KB", (bytes + 500) / 1000);
    let sizes = SqliteStore::open_read_only(path)?.sizes()?;
    println!();
    println!("The file of the history: {}.", kilobytes(sizes.file));
    let mut tables = sizes.tables;
    tables.sort_unstable_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let most: Vec<String> =
        tables.iter().take(4).map(|(name, bytes)| format!("{name} {}", kilobytes(*bytes))).collect();
    println!("  of which {}", most.join(", "));
    println!("The same states as JSON: {}; compressed as they came: {}.", kilobytes(unpacked), {
        kilobytes(std::fs::metadata(source)?.len())
    });
    Ok(())
}

/// Reads the file state by state, the first is number 1; how many bytes it was, unpacked.
fn each_state(
    file: &Path,
    mut visit: impl FnMut(usize, State) -> Result<(), Box<dyn Error>>,
) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    let mut decoder = zstd::Decoder::new(File::open(file)?)?;
    decoder.window_log_max(27)?;
    for (index, line) in BufReader::new(decoder).lines().enumerate() {
        let number = index + 1;
        let line = line?;
        bytes += line.len() as u64 + 1;
        visit(number, serde_json::from_str(&line).map_err(|error| format!("state {number}: {error}"))?)?;
    }
    Ok(bytes)
}

/// A country that stands in one state twice.
struct Duplicate {
    number: usize,
    code: String,
    names: [String; 2],
}

/// The countries of a state, each once: in the place of the first of its code, in the shape of the last.
fn keep_last(number: usize, countries: Vec<Country>, duplicates: &mut Vec<Duplicate>) -> Vec<Country> {
    let mut places: HashMap<Id<Country>, usize> = HashMap::new();
    let mut kept: Vec<Country> = Vec::with_capacity(countries.len());
    for country in countries {
        match places.get(&country.id) {
            Some(place) => {
                let names = [&kept[*place], &country].map(|country| common_name(&country.name).to_owned());
                duplicates.push(Duplicate { number, code: country.code.clone(), names });
                kept[*place] = country;
            }
            None => {
                places.insert(country.id, kept.len());
                kept.push(country);
            }
        }
    }
    kept
}

struct Import {
    registry: Registry,
    world: Id<World>,
    on_duplicate: OnDuplicate,
    duplicates: Vec<Duplicate>,
    /// What the engine said to the first state that held a country twice.
    refusal: Option<RepeatedId>,
    /// Where each state is in the log; `None` if it was refused.
    positions: Vec<Option<Position>>,
    codes: HashMap<EntityId, String>,
    first: usize,
    totals: Totals,
    times: Vec<Duration>,
}

impl Import {
    fn new(registry: Registry, on_duplicate: OnDuplicate) -> Self {
        Self {
            registry,
            world: Id::from_entity_id(EntityId::derive("World", "countries")),
            on_duplicate,
            duplicates: Vec::new(),
            refusal: None,
            positions: Vec::new(),
            codes: HashMap::new(),
            first: 0,
            totals: Totals::default(),
            times: Vec::new(),
        }
    }

    /// With a registry that knows nothing but the file. The old one goes first.
    fn reopened(mut self, path: &Path) -> Result<Self, Box<dyn Error>> {
        self.registry = Registry::in_memory();
        self.registry = Registry::open(path)?;
        self.registry.register_type::<World>()?;
        Ok(self)
    }

    fn kept(&self) -> usize {
        self.positions.iter().flatten().count()
    }

    /// Commits a state.
    fn take(&mut self, number: usize, state: State) -> Result<(), Box<dyn Error>> {
        let countries: Vec<Country> = state.countries.into_iter().map(Country::from_json).collect::<Result<_, _>>()?;
        for country in &countries {
            self.codes.entry(country.id.into()).or_insert_with(|| country.code.clone());
        }
        let (given, found_before) = (countries.len(), self.duplicates.len());
        let duplicated = (self.refusal.is_none()).then(|| countries.clone());
        let countries = keep_last(number, countries, &mut self.duplicates);
        if countries.len() < given {
            if let Some(duplicated) = duplicated {
                // The list itself refuses them, and says what stands twice.
                self.refusal = Children::try_from(duplicated).err();
            }
            for duplicate in &self.duplicates[found_before..] {
                let Duplicate { number, code, names: [first, last] } = duplicate;
                println!("State {number} holds {code} twice, as {first} and as {last}.");
            }
            if self.on_duplicate == OnDuplicate::Refuse {
                self.positions.push(None);
                return Ok(());
            }
        }
        let start = Instant::now();
        let caller = self
            .registry
            .by("mledoze/countries")
            .message(state.message)
            .property("commit", state.commit)
            .at(state.time);
        if self.kept() == 0 {
            self.first = countries.len();
            caller.add(World { id: self.world, countries: Children::try_from(countries)? })?;
            self.positions.push(Some(self.registry.history().head()));
            return Ok(());
        }
        let mut world = self.registry.checkout(self.world)?;
        advance(&mut world.countries, countries)?;
        let outcome = caller.save(&mut world)?;
        self.times.push(start.elapsed());
        self.positions.push(Some(outcome.position()));
        if outcome.is_unchanged() {
            self.totals.unchanged += 1;
        }
        self.totals.count(number, &outcome.changes(), &self.codes);
        Ok(())
    }

    /// Reads the source again, and every state out of the history beside it.
    fn read_back(&self, source: &Path) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let mut positions = self.positions.iter();
        each_state(source, |number, state| {
            // A state that was refused has no position.
            match positions.next().expect("as many as there were states") {
                Some(position) => self.check_reads_back(number, *position, state),
                None => Ok(()),
            }
        })?;
        let (kept, seconds) = (self.kept(), start.elapsed().as_secs_f64());
        println!();
        println!(
            "Read back from the file: all {kept} states equal the lines that they came from ({seconds:.1} s, reading those \
             included)."
        );
        Ok(())
    }

    /// Whether a state reads back as the line of the file that it came from.
    fn check_reads_back(&self, number: usize, position: Position, state: State) -> Result<(), Box<dyn Error>> {
        let world = self.registry.history().at(self.world, position)?;
        let source: Vec<Country> = state.countries.into_iter().map(Country::from_json).collect::<Result<_, _>>()?;
        let source = keep_last(number, source, &mut Vec::new());
        let same = world.countries.len() == source.len()
            && world.countries.iter().zip(&source).all(|(read, source)| read.to_json() == source.to_json());
        if !same {
            return Err(format!("state {number} reads back otherwise than it was given").into());
        }
        let entry = self.registry.history().entry(position)?;
        let said = (entry.time(), entry.message(), entry.property("commit"));
        if said != (state.time, Some(state.message.as_str()), Some(state.commit.as_str())) {
            return Err(format!("state {number} has another time, message or commit than it was given").into());
        }
        Ok(())
    }

    /// Prints everything and gives the number of wrong totals.
    fn report(&self) -> Result<usize, Box<dyn Error>> {
        if let Some(refusal) = &self.refusal {
            let refused = self.codes.get(&refusal.id()).map_or("?", String::as_str);
            println!("Given both, the list of countries refuses them: {refusal} ({refused}).");
            let carried_on = match self.on_duplicate {
                OnDuplicate::Last => "The last of the two was kept, as asked (--on-duplicate last).",
                OnDuplicate::Refuse => "These states were left out, as asked (--on-duplicate refuse).",
            };
            println!("{carried_on}");
            println!();
        }
        let mut table = Table { compared: self.on_duplicate == OnDuplicate::Last, wrong: 0 };
        self.print_totals(&mut table)?;
        self.print_most_changed(&mut table);
        self.print_eswatini(&mut table)?;
        let mut times = self.times.clone();
        times.sort_unstable();
        println!();
        println!(
            "Time for each state, from check-out to commit: median {:.2} ms, longest {:.2} ms, all {:.0} ms.",
            millis(times[times.len() / 2]),
            millis(times[times.len() - 1]),
            millis(times.iter().sum())
        );
        Ok(table.wrong)
    }

    fn print_totals(&self, table: &mut Table) -> Result<(), Box<dyn Error>> {
        let totals = &self.totals;
        let list = |events: &[(usize, String)]| {
            events.iter().map(|(number, code)| format!("{number} {code}")).collect::<Vec<_>>().join(", ")
        };
        let last = self.registry.get(self.world)?.countries.len();
        println!("{:<42} {:>22} {:>22}", "", "found", "expected");
        table.row("states committed", self.kept(), "235");
        table.row("countries in the first state", self.first, "248");
        table.row("countries in the last state", last, "250");
        table.row("countries added", totals.added.len(), "5");
        table.row("  at state", list(&totals.added), "3 CCK, 22 KOS, 101 UNK, 141 SHN, 141 BES");
        table.row("countries removed", totals.removed.len(), "3");
        table.row("  at state", list(&totals.removed), "95 BES, 95 SHN, 101 KOS");
        table.row("countries changed, over all states", totals.changed, "14286");
        table.row("fields changed, over all states", totals.fields, "20554");
        for (field, expected) in [
            ("translations", "6548"),
            ("altSpellings", "760"),
            ("language", "757"),
            ("callingCode", "756"),
            ("relevance", "751"),
            ("name", "634"),
        ] {
            table.row(&format!("  {field}"), totals.by_field.get(field).copied().unwrap_or_default(), expected);
        }
        table.row("states in another order", totals.reorders, "5");
        table.row("states in which nothing changed", totals.unchanged, "7");
        Ok(())
    }

    fn print_most_changed(&self, table: &mut Table) {
        let mut counts: Vec<(&str, usize)> = self
            .totals
            .by_country
            .iter()
            .map(|(id, count)| (self.codes.get(id).map_or("?", String::as_str), *count))
            .collect();
        counts.sort_unstable_by_key(|(code, count)| (std::cmp::Reverse(*count), code.to_owned()));
        println!();
        println!("The ten most changed countries, by states in which they changed:");
        for (rank, (code, count)) in counts.into_iter().take(10).enumerate() {
            let expected = ["BRN 65", "TLS 65", "CUW 64"].get(rank).copied();
            let name = self.registry.get(Country::id_of(code));
            let name = name.map_or_else(|_| "(gone)".to_owned(), |country| common_name(&country.name).to_owned());
            match expected {
                Some(expected) => table.row(&format!("  {name}"), format!("{code} {count}"), expected),
                None => println!("  {name:<40} {:>22}", format!("{code} {count}")),
            }
        }
    }

    fn print_eswatini(&self, table: &mut Table) -> Result<(), Box<dyn Error>> {
        let history = self.registry.history();
        let id = Country::id_of("SWZ");
        let mut names: Vec<(Json, Version)> = Vec::new();
        let versions = history.of(id)?;
        for version in versions.iter().rev() {
            let version = version?;
            let name = history.at(id, version.revision)?.name;
            if names.last().is_none_or(|(last, _)| *last != name) {
                names.push((name, version));
            }
        }
        let values = names.len();
        names.dedup_by(|(later, _), (earlier, _)| common_name(later) == common_name(earlier));
        println!();
        println!("The name of SWZ: in {} versions it had {values} values, and these common names:", versions.len());
        let state = |position| self.positions.iter().position(|at| *at == Some(position)).map_or(0, |index| index + 1);
        let described: Vec<String> = names
            .iter()
            .map(|(name, version)| {
                let (state, time) = (state(version.position), version.entry()?.time());
                Ok(format!("{} from state {state} ({time})", common_name(name)))
            })
            .collect::<Result<_, ReadError>>()?;
        for (index, line) in described.iter().enumerate() {
            match index {
                1 => table.row("", line.as_str(), "Eswatini from state 153 (2018-09-20T14:56:27Z)"),
                _ => println!("  {line}"),
            }
        }
        table.row("  common names", names.len(), "2");
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Turns the countries into those of the next state. What is the same is not touched, so that both states share it.
fn advance(countries: &mut Children<Country>, next: Vec<Country>) -> Result<(), RepeatedId> {
    let ids: Vec<Id<Country>> = next.iter().map(|country| country.id).collect();
    let stays: HashSet<Id<Country>> = ids.iter().copied().collect();
    countries.retain(|country| stays.contains(&country.id));
    for (index, country) in next.into_iter().enumerate() {
        match countries.by_id(country.id) {
            Some(before) if *before == country => {}
            Some(_) => {
                if let Some(before) = countries.by_id_mut(country.id) {
                    *before = country;
                }
            }
            None => countries.insert(index.min(countries.len()), country)?,
        }
    }
    for (to, id) in ids.into_iter().enumerate() {
        match countries.position(id) {
            Some(from) if from != to => countries.move_to(from, to),
            _ => {}
        }
    }
    Ok(())
}
