//! Random graphs under random edits: the lake has to hold what a clean rebuild gives.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

/// One random stage: grain, whether it has the asset key, and (input, window) pairs.
#[derive(Clone, Debug)]
struct Shape {
    grain: usize,
    keyed: bool,
    inputs: Vec<(usize, usize)>,
    /// Columns beside those that every table has.
    columns: usize,
}

#[derive(Clone, Debug)]
enum Edit {
    /// A document that is new, late or restated.
    Document { eth: bool, day: i32, text: u8 },
    /// The source does not offer a document any more.
    Vanish { eth: bool, day: i32 },
    /// Other code, or code that was there before.
    Code { stage: usize, code: usize },
    /// Another column in the contract.
    Column { stage: usize },
    /// Another grain, other keys, other windows.
    Reshape { stage: usize, shape: Shape },
    /// One asset more or less is covered.
    Cover,
    /// One day more.
    Later,
    /// All tasks of a stage fail.
    Break { stage: usize },
    /// Only a stage and what it needs.
    Only { stage: usize },
    /// A stage is computed again.
    Force { stage: usize },
    /// The documents are fetched again.
    Refresh,
    /// The run is stopped after so many events.
    Stop { events: usize },
}

/// An edit, and how the run after it works.
#[derive(Clone, Debug)]
struct Step {
    edit: Edit,
    jobs: usize,
    newest_first: bool,
}

const GRAINS: [&str; 4] = ["none", "year", "month", "day"];
const CODES: [&str; 4] = ["digest", "parity", "const", "other"];
const WINDOWS: [&str; 8] = [
    "\"self\"",
    "\"all\"",
    "\"all_before\"",
    "{ lookback = \"2d\" }",
    "{ lookback = \"40d\", until = \"start\" }",
    "{ latest_before = \"3d\" }",
    "{ latest_before = \"60d\", missing = \"block\" }",
    "{ window = \"self\", missing = \"accept\" }",
];

fn shape() -> impl Strategy<Value = Shape> {
    let shape = (
        0..GRAINS.len(),
        any::<bool>(),
        prop::collection::vec((0..64_usize, 0..WINDOWS.len()), 1..3),
    );
    shape.prop_map(|(grain, keyed, inputs)| Shape {
        grain,
        keyed,
        inputs,
        columns: 0,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stage = || 0..8_usize;
    let edit = prop_oneof![
        6 => (any::<bool>(), 0..7_i32, 0..3_u8).prop_map(|(eth, day, text)| Edit::Document { eth, day, text }),
        2 => (any::<bool>(), 0..7_i32).prop_map(|(eth, day)| Edit::Vanish { eth, day }),
        4 => (stage(), 0..CODES.len()).prop_map(|(stage, code)| Edit::Code { stage, code }),
        1 => stage().prop_map(|stage| Edit::Column { stage }),
        2 => (stage(), shape()).prop_map(|(stage, shape)| Edit::Reshape { stage, shape }),
        1 => Just(Edit::Cover),
        2 => Just(Edit::Later),
        2 => stage().prop_map(|stage| Edit::Break { stage }),
        2 => stage().prop_map(|stage| Edit::Only { stage }),
        1 => stage().prop_map(|stage| Edit::Force { stage }),
        1 => Just(Edit::Refresh),
        2 => (1..60_usize).prop_map(|events| Edit::Stop { events }),
    ];
    let step = (edit, 1..4_usize, any::<bool>()).prop_map(|(edit, jobs, newest_first)| Step {
        edit,
        jobs,
        newest_first,
    });
    prop::collection::vec(step, 1..10)
}

/// Sequences that agreed.
static AGREED: AtomicU32 = AtomicU32::new(0);

/// A line for `cargo xtask faults`, past the capture of test output.
fn tell() {
    if std::env::var_os("LAKE_FAULTS").is_some() {
        let line = format!(
            "FAULTS|random graph with a random sequence of edits: late data, dropped partitions, new columns, reverted code|{}|the rows of a rebuild of everything\n",
            sequences()
        );
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
}

/// How many sequences: `LAKE_TEST_SEQUENCES`, else 10,000 in the long form.
fn sequences() -> u32 {
    let asked = std::env::var("LAKE_TEST_SEQUENCES").ok();
    match asked.and_then(|text| text.parse().ok()) {
        Some(count) => count,
        None if full() => 10_000,
        None => 64,
    }
}

fn declared(shapes: &[Shape]) -> String {
    let mut text = stage("raw.ticks", "harvest", "day", "asset", "")
        + &stage(
            "norm.ticks",
            "normalize",
            "day",
            "asset",
            "\"raw.ticks\" = \"self\"",
        );
    for (index, shape) in shapes.iter().enumerate() {
        let mut inputs = BTreeMap::new();
        for (input, window) in &shape.inputs {
            let name = match input % (index + 1) {
                0 => "norm.ticks".to_owned(),
                earlier => format!("s.t{}", earlier - 1),
            };
            // Without a grain there is no day to count from.
            let window = if shape.grain == 0 {
                window % 2
            } else {
                *window
            };
            inputs.insert(name, WINDOWS[window]);
        }
        let inputs: Vec<String> = inputs.iter().map(|(n, w)| format!("{n:?} = {w}")).collect();
        let keys = if shape.keyed { "asset" } else { "" };
        text += &stage(
            &format!("s.t{index}"),
            "sql",
            GRAINS[shape.grain],
            keys,
            &inputs.join("\n"),
        )
        .replace(
            "x f64?\"",
            &format!(
                "x f64?{}\"",
                (0..shape.columns)
                    .map(|i| format!(", c{i} i64?"))
                    .collect::<String>()
            ),
        );
    }
    text
}

/// The project with what it is declared as.
struct Walk {
    project: Project,
    shapes: Vec<Shape>,
}

impl Walk {
    fn new(shapes: Vec<Shape>) -> Self {
        let project = Project::new(&declared(&shapes)).with_source();
        Self { project, shapes }
    }

    fn stage(&self, number: usize) -> String {
        format!("s.t{}", number % self.shapes.len())
    }

    fn declare(&mut self) {
        let stages = stages(&declared(&self.shapes));
        self.project.pipeline = Pipeline::build(stages, BTreeMap::new()).unwrap();
    }

    fn apply(&mut self, edit: &Edit) {
        let partition = |eth: &bool, offset: i32| {
            let asset = if *eth { "ETH" } else { "BTC" };
            format!("asset={asset}/date={}", day("2026-01-30").plus(offset))
        };
        let count = self.shapes.len();
        match edit {
            Edit::Document { eth, day, text } => {
                let text = match text {
                    0 => String::new(),
                    text => text.to_string(),
                };
                self.project.document(&partition(eth, *day), &text);
            }
            Edit::Vanish { eth, day } => {
                self.project
                    .listed
                    .remove(&partition(eth, *day).parse().unwrap());
            }
            Edit::Code { stage, code } => self.project.code(&self.stage(*stage), CODES[*code]),
            Edit::Column { stage } => {
                self.shapes[stage % count].columns += 1;
                self.declare();
            }
            Edit::Reshape { stage, shape } => {
                self.shapes[stage % count] = shape.clone();
                self.declare();
            }
            Edit::Cover => {
                let keys = &mut self.project.coverages.get_mut("c").unwrap().keys;
                let assets = keys.get_mut("asset").unwrap();
                match assets.len() {
                    1 => assets.push("ETH".to_owned()),
                    _ => assets.truncate(1),
                }
            }
            Edit::Later => self.project.end = self.project.end.plus(1),
            Edit::Break { stage } => self.break_all(&self.stage(*stage)),
            Edit::Only { stage } => self.project.selection.until = Some(self.stage(*stage)),
            Edit::Force { stage } => self.project.force = vec![self.stage(*stage)],
            Edit::Refresh => self.project.refresh = vec!["raw.ticks".to_owned()],
            Edit::Stop { events } => self.project.stop_after = Some(*events),
        }
    }

    fn break_all(&mut self, stage: &str) {
        let plan = self.project.plan().unwrap();
        for entry in &plan.partitions(&table(stage)).unwrap().entries {
            let task = TaskKey {
                table: table(stage),
                partition: entry.key.clone(),
            };
            self.project.calculator.broken.insert(task, 99);
        }
    }

    fn step(&mut self, step: &Step) {
        self.project.jobs = step.jobs;
        self.project.order = match step.newest_first {
            true => Order::Backward,
            false => Order::Forward,
        };
        self.apply(&step.edit);
        self.run();
        let project = &mut self.project;
        project.calculator.broken.clear();
        project.selection = Selection::default();
        project.force.clear();
        project.refresh.clear();
        project.stop_after = None;
        project.cancel = Cancel::default();
    }

    /// Runs, and checks that the run did what the plan had said.
    fn run(&mut self) -> RunReport {
        let plan = self.project.plan().unwrap();
        let report = self.project.run_plan(&plan);
        for (planned, done) in plan.tasks.iter().zip(&report.tasks) {
            let kept = match (&planned.verdict, &done.outcome) {
                (_, Outcome::NotReached) => report.interrupted,
                (Verdict::Reuse, Outcome::Reused) | (Verdict::Restore, Outcome::Restored) => true,
                (Verdict::Run(_), Outcome::Ran { .. } | Outcome::Failed { .. }) => true,
                (Verdict::Blocked(_), Outcome::Blocked { .. }) => true,
                (Verdict::Pending(_), _) => true,
                // It never ran, and an input was not known when it was planned.
                (Verdict::Run(_), Outcome::Restored | Outcome::Blocked { .. }) => {
                    planned.fingerprint.is_none()
                }
                _ => false,
            };
            assert!(
                kept,
                "{}: {} came to {:?}",
                planned.task, planned.verdict, done.outcome
            );
        }
        report
    }

    /// The same declarations and documents in a lake that was never there before. A document that vanished was kept, so it
    /// is offered again as it was fetched.
    fn rebuilt(&self) -> Project {
        let mut rebuilt = Project::new(&declared(&self.shapes));
        rebuilt.codes = self.project.codes.clone();
        rebuilt.end = self.project.end;
        rebuilt.coverages = self.project.coverages.clone();
        rebuilt.listed = self.project.listed.clone();
        rebuilt.calculator.source = self.project.calculator.source.clone();
        let rows = self.project.calculator.rows.lock().unwrap();
        for (task, cell) in &self.project.lake.published {
            if task.table.as_str() == "raw.ticks" && !rebuilt.listed.contains_key(&task.partition) {
                let kept = rows[&cell.rows_hash].clone();
                rebuilt
                    .calculator
                    .source
                    .insert(task.partition.clone(), kept);
                rebuilt
                    .listed
                    .insert(task.partition.clone(), ("kept".to_owned(), true));
            }
        }
        drop(rows);
        rebuilt
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sequences(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_edits_agree_with_a_rebuild(shapes in prop::collection::vec(shape(), 1..6), steps in steps()) {
        let mut walk = Walk::new(shapes);
        walk.run();
        for step in &steps {
            walk.step(step);
        }
        prop_assert!(walk.run().is_success());
        prop_assert!(walk.run().executed().is_empty());
        let mut rebuilt = walk.rebuilt();
        prop_assert!(rebuilt.run().is_success());
        prop_assert_eq!(rebuilt.hashes(), walk.project.hashes());
        if AGREED.fetch_add(1, Ordering::Relaxed) + 1 == sequences() {
            tell();
        }
    }

    #[test]
    fn windows_agree_with_a_search_through_all_partitions(
        grain in 0..4_usize, keyed in any::<bool>(), from in 0..4_usize, from_keyed in any::<bool>(), window in 0..5_usize,
    ) {
        let window = if grain == 0 { window % 2 } else { window };
        let keys = |keyed| if keyed { "asset" } else { "" };
        let text = stage("a.in", "sql", GRAINS[from], keys(from_keyed), "")
            + &stage("a.out", "sql", GRAINS[grain], keys(keyed), &format!("\"a.in\" = {}", WINDOWS[window]));
        let mut project = Project::new(&text);
        project.run();
        let plan = project.plan().unwrap();
        let input = plan.partitions(&table("a.in")).unwrap();
        let reader = project.pipeline.stage_of(&table("a.out")).unwrap();
        for output in &plan.partitions(&table("a.out")).unwrap().entries {
            let days = reader.inputs[0].window.days(output.period);
            let fits = |entry: &&Entry| {
                let (a, b) = (entry.key.get("asset"), output.key.get("asset"));
                days.overlaps(&entry.period) && (a.is_none() || b.is_none() || a == b)
            };
            let mut found: Vec<String> = input.entries.iter().filter(fits).map(|e| e.text.clone()).collect();
            found.sort();
            let task = TaskKey { table: table("a.out"), partition: output.key.clone() };
            let mut granted: Vec<String> = project.seen(&task).iter()
                .map(|seen| seen.split(' ').nth(1).unwrap().to_owned()).collect();
            granted.sort();
            prop_assert_eq!(found, granted);
        }
    }
}
