//! Real input: 14 years of the world's countries, each state of the data set a commit, and what the history says of it.
//!
//! `cargo run --release --example countries -- [--on-duplicate last|refuse]` reads `countries-history.jsonl.zst` in
//! `$HEIRLOOM_DATA`, else in `../shared/data`. Every total is counted from the changes that the engine found and printed
//! beside the one that an independent script counted; a wrong one ends the program with an error.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use heirloom::prelude::*;
use heirloom::{Change, ChangeKind, Delta, Position, RepeatedId, Version};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

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
    let on_duplicate = on_duplicate()?;
    let file = PathBuf::from(std::env::var_os("HEIRLOOM_DATA").unwrap_or_else(|| "../shared/data".into()))
        .join("countries-history.jsonl.zst");
    if !file.exists() {
        println!("Skipped: there is no {}. Say where it is with HEIRLOOM_DATA=<directory>.", file.display());
        return Ok(());
    }
    println!("The world's countries, from countries.json of github.com/mledoze/countries.");
    println!("The data is made available under the Open Database License, ODbL 1.0.");
    println!();

    let mut import = Import::new(on_duplicate);
    each_state(&file, |number, state| import.take(number, state))?;
    let kept = import.kept();
    let wrong = import.report()?;

    let start = Instant::now();
    let mut positions = import.positions.iter();
    each_state(&file, |number, state| {
        // A state that was refused has no position.
        match positions.next().expect("as many as there were states") {
            Some(position) => import.check_reads_back(number, *position, state),
            None => Ok(()),
        }
    })?;
    println!();
    println!(
        "Read back: all {kept} states equal the lines that they came from ({:.1} s, reading the file again included).",
        start.elapsed().as_secs_f64()
    );
    if wrong > 0 {
        return Err(format!("{wrong} of the totals are wrong").into());
    }
    Ok(())
}

fn on_duplicate() -> Result<OnDuplicate, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--on-duplicate", "last"] => Ok(OnDuplicate::Last),
        ["--on-duplicate", "refuse"] => Ok(OnDuplicate::Refuse),
        _ => Err(format!("expected nothing or `--on-duplicate last|refuse`, found `{}`", arguments.join(" "))),
    }
}

/// Reads the file state by state; the first is number 1.
fn each_state(
    file: &PathBuf,
    mut visit: impl FnMut(usize, State) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut decoder = zstd::Decoder::new(File::open(file)?)?;
    decoder.window_log_max(27)?;
    for (index, line) in BufReader::new(decoder).lines().enumerate() {
        let number = index + 1;
        let state = serde_json::from_str(&line?).map_err(|error| format!("state {number}: {error}"))?;
        visit(number, state)?;
    }
    Ok(())
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

/// What the engine said of all commits.
#[derive(Default)]
struct Totals {
    added: Vec<(usize, String)>,
    removed: Vec<(usize, String)>,
    changed: usize,
    fields: usize,
    by_field: BTreeMap<String, usize>,
    by_country: HashMap<EntityId, usize>,
    reorders: usize,
    unchanged: usize,
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
    fn new(on_duplicate: OnDuplicate) -> Self {
        Self {
            registry: Registry::in_memory(),
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
                let (state, time) = (state(version.position), version.entry().time());
                format!("{} from state {state} ({time})", common_name(name))
            })
            .collect();
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

impl Totals {
    /// Counts what the engine found in one commit.
    fn count(&mut self, number: usize, changes: &[Change], codes: &HashMap<EntityId, String>) {
        let code = |change: &Change| codes.get(&change.entity.id).cloned().unwrap_or_default();
        let mut changed: HashSet<EntityId> = HashSet::new();
        let mut reordered = false;
        for change in changes.iter().filter(|change| change.entity.type_name == "Country") {
            match &change.kind {
                ChangeKind::Added { .. } => self.added.push((number, code(change))),
                ChangeKind::Removed { .. } => self.removed.push((number, code(change))),
                ChangeKind::Changed { field, delta } => {
                    changed.insert(change.entity.id);
                    for field in fields_of(field, delta) {
                        self.fields += 1;
                        *self.by_field.entry(field).or_default() += 1;
                    }
                }
                ChangeKind::Reordered { .. } => reordered = true,
                _ => {}
            }
        }
        self.changed += changed.len();
        self.reorders += usize::from(reordered);
        for id in changed {
            *self.by_country.entry(id).or_default() += 1;
        }
    }
}

/// The fields of the data set that differ: the name by itself, all others as entries of one map.
fn fields_of(field: &str, delta: &Delta) -> Vec<String> {
    let key = |key: &Value| match key {
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    };
    match delta {
        Delta::Map { removed, inserted, changed, .. } if field == "fields" => removed
            .iter()
            .chain(inserted)
            .map(|(_, name, _)| key(name))
            .chain(changed.iter().map(|(name, _)| key(name)))
            .collect(),
        _ => vec![field.to_owned()],
    }
}

/// Rows of what was found beside what was expected.
struct Table {
    compared: bool,
    wrong: usize,
}

impl Table {
    fn row(&mut self, what: &str, found: impl ToString, expected: &str) {
        let found = found.to_string();
        let verdict = match (self.compared, found == expected) {
            (false, _) => "",
            (true, true) => "ok",
            (true, false) => "WRONG",
        };
        self.wrong += usize::from(verdict == "WRONG");
        // What is long is the same on both sides, unless it is wrong.
        match found.len() > 22 && verdict != "WRONG" {
            true => println!("{what:<20} {found:>66} {verdict}"),
            false => println!("{what:<42} {found:>22} {expected:>22} {verdict}"),
        }
    }
}
