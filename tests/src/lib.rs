//! Fixtures: a project and a lake in a temporary folder, run and queried as the commands do it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "fixtures of tests"
)]

pub mod s3;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lakectl_core::UtcTime;
use lakectl_pipeline::audit::{AuditOptions, AuditReport};
use lakectl_pipeline::engine::{Cancel, Plan, RunReport};
use lakectl_pipeline::lake::{Lake, LakeAddress, Open};
use lakectl_pipeline::stages::Columns;
use lakectl_pipeline::{PipelineError, Project, RunOptions, RunSummary, Selected, Workbench};
use tempfile::TempDir;

/// The time that tests take for now.
pub const NOW: UtcTime = UtcTime::from_micros(1_782_900_000_000_000);

/// A project with settings, and a lake in a folder that goes when this goes.
pub struct Bench {
    /// The project; tests change its texts.
    pub project: Project,
    /// The profile.
    pub profile: String,
    /// `key=value` overrides.
    pub overrides: Vec<String>,
    /// Tasks at the same time.
    pub jobs: usize,
    /// Where the lake is, if not in [`Bench::lake_root`].
    pub address: Option<LakeAddress>,
    folder: TempDir,
    runs: std::cell::Cell<u32>,
}

impl Bench {
    /// A bench of `profile` with the shipped project.
    pub fn new(profile: &str) -> Self {
        Self {
            project: Project::built_in(),
            profile: profile.to_owned(),
            overrides: Vec::new(),
            jobs: 2,
            address: None,
            folder: tempfile::tempdir().unwrap(),
            runs: std::cell::Cell::new(0),
        }
    }

    /// The simulated market over the given days (`YYYY-MM-DD`), forecasting from `forecast` on. A short one (say 50 days)
    /// runs in a few seconds.
    pub fn demo(start: &str, end: &str, forecast: &str) -> Self {
        let mut bench = Self::new("demo");
        bench.set("sources.demo.market.start", start);
        bench.set("sources.demo.market.end", end);
        // Sparse snapshots, so that many days are quick.
        bench.set("sources.demo.market.dense_from", end);
        bench.set("calendar.end", end);
        for coverage in ["options", "daily", "history"] {
            bench.set(&format!("coverage.{coverage}.start"), start);
        }
        bench.set("coverage.forecast.start", forecast);
        bench
    }

    /// The recorded data in `root`.
    pub fn archive(root: &Path) -> Self {
        let mut bench = Self::new("archive");
        bench.set("sources.archive.root", &root.display().to_string());
        bench
    }

    /// Adds an override; the last one of a key wins.
    pub fn set(&mut self, key: &str, value: &str) {
        self.overrides.push(format!("{key}={value}"));
    }

    /// The lake's folder.
    pub fn lake_root(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// A folder beside the lake.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Checks the project under the settings.
    pub fn open(&self) -> Result<Workbench, PipelineError> {
        Workbench::open(self.project.clone(), &self.profile, &self.overrides)
    }

    /// Opens the lake, making it if needed.
    pub fn lake(&self) -> Arc<Lake> {
        let address = self.address.clone();
        let address = address.unwrap_or_else(|| LakeAddress::Folder(self.lake_root()));
        Arc::new(self.open().unwrap().lake(address, Open::OrCreate).unwrap())
    }

    /// Runs until a goal (a table, schema or tag).
    pub fn run_until(&self, goal: &str) -> (RunSummary, RunReport) {
        self.run(&Selected {
            until: Some(goal.to_owned()),
            ..Selected::default()
        })
        .unwrap()
    }

    /// Runs a selection.
    pub fn run(&self, selected: &Selected) -> Result<(RunSummary, RunReport), PipelineError> {
        self.run_with(selected, Cancel::default())
    }

    /// Runs a selection that can be stopped.
    pub fn run_with(
        &self,
        selected: &Selected,
        cancel: Cancel,
    ) -> Result<(RunSummary, RunReport), PipelineError> {
        let number = self.runs.get() + 1;
        self.runs.set(number);
        let options = RunOptions {
            run_id: format!("test-{number:04}"),
            who: "tester@here".to_owned(),
            now: UtcTime::from_micros(NOW.micros() + i64::from(number)),
            jobs: self.jobs,
            events: &|_| {},
            cancel,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let bench = self.open()?;
        runtime.block_on(bench.run(self.lake(), selected, options))
    }

    /// Audits a stage and what it needs, or everything, at some instants; `fresh` computes everything again.
    pub fn audit(
        &self,
        goal: Option<&str>,
        at: &[UtcTime],
        fresh: bool,
    ) -> Result<AuditReport, PipelineError> {
        let options = AuditOptions {
            select: goal.map(str::to_owned).into_iter().collect(),
            at: at.to_vec(),
            samples: 3,
            seed: 1,
            fresh,
            now: NOW,
            jobs: self.jobs,
            scratch: None,
            events: &|_| {},
            cancel: Cancel::default(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(self.open()?.audit_lookahead(&self.lake(), options))
    }

    /// Plans until a goal.
    pub fn plan_until(&self, goal: &str) -> Plan {
        let selected = Selected {
            until: Some(goal.to_owned()),
            ..Selected::default()
        };
        self.open()
            .unwrap()
            .plan(Some(&self.lake()), &selected, NOW)
            .unwrap()
    }

    /// Asks the newest version.
    pub fn sql(&self, query: &str) -> Columns {
        let session = self.open().unwrap().session(self.lake(), None).unwrap();
        let (schema, batches) = session.collect_blocking(query).unwrap();
        Columns::new(&schema, &batches).unwrap()
    }
}

/// The executed tasks of a report as `table partition`, sorted.
pub fn executed(report: &RunReport) -> Vec<String> {
    let mut tasks: Vec<String> = report.executed().iter().map(ToString::to_string).collect();
    tasks.sort();
    tasks
}

/// The tables whose tasks were executed, sorted, each once.
pub fn executed_tables(report: &RunReport) -> Vec<String> {
    let mut tables: Vec<String> = report
        .executed()
        .iter()
        .map(|task| task.table.to_string())
        .collect();
    tables.sort();
    tables.dedup();
    tables
}

/// The folder of recorded market data: `$LAKE_TEST_DATA`, else `shared/data` beside the project. `None`, said aloud, if
/// there is none.
pub fn recorded_data(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("LAKE_TEST_DATA").map_or(beside, PathBuf::from);
    if folder.join("deribit").is_dir() {
        return Some(folder);
    }
    say_skipped(&format!(
        "{test}: no recorded data in {} (set LAKE_TEST_DATA)",
        folder.display()
    ));
    None
}

/// Says aloud that a test was skipped, past the capture of test output.
pub fn say_skipped(what: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED {what}\n"));
}
