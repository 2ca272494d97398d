//! A lake in memory, and the tests of the engine on it.

mod declaring;
mod graphs;
mod incremental;
mod random;
mod selecting;
mod speed;
mod trouble;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use lakectl_core::{
    Cell, Day, DayRange, Fingerprint, FingerprintBuilder, Grain, PartitionKey, Parts, TableId,
    TaskKey,
};
use tokio::runtime::Runtime;

use crate::*;

type Rows = Vec<(Day, String)>;

/// Whether the long forms of tests are wanted: `LAKE_TEST_FULL=1`.
fn full() -> bool {
    std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value != "0")
}

fn table(text: &str) -> TableId {
    text.parse().unwrap()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn key(table: &str, partition: &str) -> TaskKey {
    TaskKey {
        table: table.parse().unwrap(),
        partition: partition.parse().unwrap(),
    }
}

/// What is published and what was ever computed.
#[derive(Clone, Default)]
struct Lake {
    published: BTreeMap<TaskKey, Arc<Cell>>,
    cache: BTreeMap<Fingerprint, Arc<Cell>>,
    /// Runs that have published a partition since the run that asks began.
    newer: BTreeMap<TaskKey, String>,
}

impl World for Lake {
    fn published(&self, table: &TableId) -> Vec<(PartitionKey, Arc<Cell>)> {
        let first = TaskKey {
            table: table.clone(),
            partition: PartitionKey::default(),
        };
        let cells = self.published.range(first..);
        cells
            .take_while(|(task, _)| task.table == *table)
            .map(|(task, cell)| (task.partition.clone(), cell.clone()))
            .collect()
    }

    fn cached(&self, fingerprint: &Fingerprint) -> Option<Arc<Cell>> {
        self.cache.get(fingerprint).cloned()
    }

    fn overtaken_by(&self, published: &Cell) -> Option<String> {
        self.newer.get(&published.task()).cloned()
    }
}

/// Computes rows from the grants. A stage's `code` part says how: `digest` depends on every granted row, `parity` keeps
/// one bit of that, `const` depends on nothing.
#[derive(Default)]
struct Calculator {
    source: BTreeMap<PartitionKey, Rows>,
    rows: Mutex<BTreeMap<Fingerprint, Rows>>,
    flushed: Mutex<Vec<Cell>>,
    /// Message of a failure by task, and how often a transient one happens.
    broken: BTreeMap<TaskKey, u32>,
    attempts: Mutex<BTreeMap<TaskKey, u32>>,
    noise: bool,
    disk_full: bool,
    seen: Mutex<BTreeMap<TaskKey, Vec<String>>>,
}

impl Runner for Calculator {
    async fn run(&self, task: TaskSpec) -> Result<Vec<Cell>, TaskFailure> {
        tokio::task::yield_now().await;
        if let Some(count) = self.broken.get(&task.task) {
            let mut attempts = self.attempts.lock().unwrap();
            let attempt = attempts.entry(task.task.clone()).or_default();
            *attempt += 1;
            assert!(*count != 13, "thirteen");
            if *attempt <= *count {
                return Err(TaskFailure {
                    message: "broken".to_owned(),
                    hint: None,
                    transient: *count < 13,
                });
            }
        }
        let rows = self.compute(&task);
        let cell = |table: &TableId| {
            let main = *table == task.task.table;
            self.store(&task, table, if main { rows.clone() } else { Rows::new() })
        };
        Ok(task.stage.outputs().map(cell).collect())
    }

    fn flush(&self, cells: &[Cell]) -> Result<(), TaskFailure> {
        if self.disk_full {
            return Err(TaskFailure {
                message: "disk is full".to_owned(),
                hint: None,
                transient: false,
            });
        }
        self.flushed.lock().unwrap().extend_from_slice(cells);
        Ok(())
    }
}

impl Calculator {
    fn granted(&self, task: &TaskSpec) -> Vec<(Day, String)> {
        let stored = self.rows.lock().unwrap();
        let mut seen = Vec::new();
        let mut granted = Vec::new();
        for (name, grants) in &task.grants {
            for grant in grants {
                let state = match grant.state {
                    State::Rows(_) => "",
                    State::Empty => " empty",
                    State::Absent => " absent",
                    State::Withheld => " withheld",
                };
                let cut = grant
                    .member
                    .cut
                    .map_or_else(String::new, |cut| format!(" {}..{}", cut.start, cut.end));
                seen.push(format!("{name} {}{cut}{state}", grant.member.partition));
                let Some(cell) = &grant.cell else { continue };
                for (day, text) in stored.get(&cell.rows_hash).into_iter().flatten() {
                    if grant.member.cut.is_none_or(|cut| cut.contains(*day)) {
                        let place = format!("{name} {} {text}", grant.member.partition);
                        granted.push((*day, place));
                    }
                }
            }
        }
        self.seen.lock().unwrap().insert(task.task.clone(), seen);
        granted
    }

    fn compute(&self, task: &TaskSpec) -> Rows {
        if task.stage.kind == StageKind::Harvest {
            return self
                .source
                .get(&task.task.partition)
                .cloned()
                .unwrap_or_default();
        }
        let granted = self.granted(task);
        let mut code = task.parts.get("code").cloned().unwrap_or_default();
        if self.noise {
            code.push_str("noise");
        }
        // One row a day of the partition up to the last granted day; one row alone without a grain.
        let days: BTreeSet<Day> = match task.stage.grain {
            Grain::None => granted.iter().map(|(day, _)| *day).collect(),
            _ if granted.is_empty() => BTreeSet::new(),
            Grain::Day => BTreeSet::from([task.period.start]),
            _ => granted.iter().map(|(day, _)| *day).collect(),
        };
        days.into_iter()
            .filter(|day| task.period.contains(*day))
            .map(|day| {
                let mut builder = FingerprintBuilder::new("row").field("code", &code);
                for (at, text) in &granted {
                    if task.stage.grain == Grain::Day || *at <= day {
                        builder.push("row", format!("{at} {text}"));
                    }
                }
                let digest = builder.finish();
                let value = match code.as_str() {
                    "const" => "same".to_owned(),
                    "parity" => (digest.seed() % 2).to_string(),
                    _ => digest.short(),
                };
                (day, value)
            })
            .collect()
    }

    fn store(&self, task: &TaskSpec, table: &TableId, rows: Rows) -> Cell {
        let digest = |rows: &[&(Day, String)]| {
            let text: Vec<String> = rows.iter().map(|(d, t)| format!("{d} {t}")).collect();
            Fingerprint::of(text.join("\n").as_bytes())
        };
        let all: Vec<&(Day, String)> = rows.iter().collect();
        let rows_hash = digest(&all);
        let mut days = BTreeMap::new();
        if task.stage.grain != Grain::Day {
            for (day, _) in &rows {
                let of_day: Vec<_> = rows.iter().filter(|(d, _)| d == day).collect();
                days.insert(*day, digest(&of_day));
            }
        }
        let count = rows.len() as u64;
        self.rows.lock().unwrap().insert(rows_hash, rows);
        Cell {
            table: table.clone(),
            partition: task.task.partition.clone(),
            fingerprint: Fingerprint::of(b"to be stamped"),
            parts: Parts::new(),
            rows_hash,
            days,
            rows: count,
            file: None,
            times: None,
            run: "test".to_owned(),
            seconds: 0.01,
        }
    }
}

/// A whole small project: declarations, source, lake.
struct Project {
    pipeline: Pipeline,
    codes: BTreeMap<TableId, Parts>,
    coverages: BTreeMap<String, Coverage>,
    listed: BTreeMap<PartitionKey, (String, bool)>,
    end: Day,
    lake: Lake,
    calculator: Calculator,
    selection: Selection,
    force: Vec<String>,
    refresh: Vec<String>,
    jobs: usize,
    order: Order,
    cancel: Cancel,
    /// Asks the run to end after so many events.
    stop_after: Option<usize>,
    events: Mutex<Vec<RunEvent>>,
}

impl Project {
    fn new(toml: &str) -> Self {
        Self::of(stages(toml))
    }

    fn of(stages: Vec<StageDecl>) -> Self {
        let assets = vec!["BTC".to_owned(), "ETH".to_owned()];
        let coverage = Coverage {
            keys: BTreeMap::from([("asset".to_owned(), assets)]),
            start: day("2026-01-30"),
        };
        Self {
            pipeline: Pipeline::build(stages, BTreeMap::new()).unwrap(),
            codes: BTreeMap::new(),
            coverages: BTreeMap::from([("c".to_owned(), coverage)]),
            listed: BTreeMap::new(),
            end: day("2026-02-04"),
            lake: Lake::default(),
            calculator: Calculator::default(),
            selection: Selection::default(),
            force: Vec::new(),
            refresh: Vec::new(),
            jobs: 2,
            order: Order::Forward,
            cancel: Cancel::default(),
            stop_after: None,
            events: Mutex::default(),
        }
    }

    /// Puts one row a day into the source for each asset and day.
    fn with_source(mut self) -> Self {
        for asset in ["BTC", "ETH"] {
            for date in Grain::Day.periods(DayRange::new(day("2026-01-30"), self.end)) {
                self.document(&format!("asset={asset}/date={date}"), "1");
            }
        }
        self
    }

    fn document(&mut self, partition: &str, text: &str) {
        let partition: PartitionKey = partition.parse().unwrap();
        let rows: Rows = match (text, partition.days()) {
            ("", _) | (_, None) => Vec::new(),
            (text, Some(days)) => vec![(days.start, text.to_owned())],
        };
        self.calculator.source.insert(partition.clone(), rows);
        self.listed.insert(partition, (text.to_owned(), true));
    }

    fn code(&mut self, stage: &str, code: &str) {
        let parts = Parts::from([("code".to_owned(), code.to_owned())]);
        self.codes.insert(table(stage), parts);
    }

    fn plan(&self) -> Result<Plan, PlanError> {
        let listing = |(partition, (token, sealed)): (&PartitionKey, &(String, bool))| Listing {
            partition: partition.clone(),
            token: token.clone(),
            sealed: *sealed,
            note: None,
        };
        let raw: Vec<Listing> = self.listed.iter().map(listing).collect();
        let harvests = self.pipeline.stages().iter();
        let harvests = harvests.filter(|stage| stage.kind == StageKind::Harvest);
        plan(
            &self.pipeline,
            &self.lake,
            &PlanRequest {
                selection: self.selection.clone(),
                force: self.force.clone(),
                refresh: self.refresh.clone(),
                end: self.end,
                coverages: &self.coverages,
                listings: &harvests.map(|s| (s.table.clone(), raw.clone())).collect(),
                definitions: &self.codes,
            },
        )
    }

    /// Plans, runs and publishes.
    fn run(&mut self) -> RunReport {
        let plan = self.plan().unwrap();
        self.run_plan(&plan)
    }

    /// Runs a plan and publishes what came of it.
    fn run_plan(&mut self, plan: &Plan) -> RunReport {
        let report = self.execute(plan);
        for cell in self.calculator.flushed.lock().unwrap().drain(..) {
            self.lake.cache.insert(cell.fingerprint, Arc::new(cell));
        }
        if !report.interrupted {
            for cell in report.new_cells() {
                // What a report says of a cell is without the parts that were kept with it.
                let kept = self.lake.cache.get(&cell.fingerprint).cloned();
                self.lake
                    .published
                    .insert(cell.task(), kept.unwrap_or(cell));
            }
            for task in &plan.abandoned {
                self.lake.published.remove(task);
            }
        }
        report
    }

    fn execute(&self, plan: &Plan) -> RunReport {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(2).build().unwrap()
        });
        let options = Options {
            jobs: self.jobs,
            order: self.order,
            sleep: Arc::new(|_| Box::pin(std::future::ready(()))),
        };
        let before = self.events.lock().unwrap().len();
        runtime.block_on(execute(
            &self.pipeline,
            plan,
            &self.lake,
            &self.calculator,
            &options,
            &|event| {
                let mut events = self.events.lock().unwrap();
                events.push(event);
                if self.stop_after == Some(events.len() - before) {
                    self.cancel.cancel();
                }
            },
            &self.cancel,
        ))
    }

    /// Runs and returns the executed tasks as text, without the common day.
    fn executed(&mut self) -> Vec<String> {
        let report = self.run();
        assert!(report.is_success(), "{:?}", report.totals());
        report.executed().iter().map(ToString::to_string).collect()
    }

    fn seen(&self, task: &TaskKey) -> Vec<String> {
        self.calculator.seen.lock().unwrap()[task].clone()
    }

    fn hashes(&self) -> BTreeMap<TaskKey, Fingerprint> {
        let cells = self.lake.published.iter();
        cells
            .map(|(key, cell)| (key.clone(), cell.rows_hash))
            .collect()
    }
}

fn stages(toml: &str) -> Vec<StageDecl> {
    match parse_stages("test.toml", toml) {
        Ok(stages) => stages,
        Err(error) => panic!("{error}"),
    }
}

/// One stage in short: `name kind grain keys`, then its inputs as TOML lines.
fn stage(name: &str, kind: &str, grain: &str, keys: &str, inputs: &str) -> String {
    let keys: Vec<String> = keys.split_whitespace().map(|k| format!("{k:?}")).collect();
    let coverage = match (grain, keys.is_empty(), kind) {
        (_, _, "harvest" | "normalize") | ("none", true, _) => "",
        _ => "coverage = \"c\"\n",
    };
    format!(
        "[[stage]]\ntable = \"{name}\"\nkind = \"{kind}\"\ngrain = \"{grain}\"\nkeys = [{}]\n{coverage}\
         primary_key = [\"t\"]\ntime_column = \"t\"\ncolumns = \"asset utf8, t ts, x f64?\"\n[stage.inputs]\n{inputs}\n",
        keys.join(", ")
    )
}

/// Documents by asset and day -> typed rows -> daily -> smoothed -> by year, and a report of everything.
fn chain() -> String {
    [
        stage("raw.ticks", "harvest", "day", "asset", ""),
        stage(
            "norm.ticks",
            "normalize",
            "day",
            "asset",
            "\"raw.ticks\" = \"self\"",
        ),
        stage(
            "a.daily",
            "sql",
            "day",
            "asset",
            "\"norm.ticks\" = \"self\"",
        ),
        stage(
            "a.smooth",
            "sql",
            "day",
            "asset",
            "\"a.daily\" = { lookback = \"2d\" }",
        ),
        stage(
            "a.yearly",
            "sql",
            "year",
            "asset",
            "\"a.smooth\" = \"self\"",
        ),
        stage("b.report", "sql", "none", "", "\"a.yearly\" = \"all\""),
    ]
    .concat()
}
