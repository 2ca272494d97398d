//! The lake that most tests begin with, and words for lists of tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use lakectl_core::Day;
use lakectl_pipeline::engine::{Cancel, Outcome, Plan, RunEvent, RunReport, Verdict};
use lakectl_pipeline::lake::Open;
use lakectl_pipeline::{PipelineError, RunOptions, RunSummary, Selected, Workbench};
use lakectl_tests::{Bench, NOW};

/// First day of the demo market of these tests; the range crosses a month and a year.
pub(crate) const START: &str = "2025-12-30";
/// Its last day.
pub(crate) const END: &str = "2026-01-03";
/// The days between, as a set for [`tasks`].
pub(crate) const DAYS: &str = "{2025-12-30,2025-12-31,2026-01-01,2026-01-02,2026-01-03}";

/// The shipped project over five simulated days, with a lake that does not exist yet.
pub(crate) fn demo() -> Bench {
    let mut bench = Bench::demo(START, END, START);
    bench.set("sources.demo.market.dense_from", "2026-12-31");
    bench
}

/// [`demo`] with a lake that holds everything. The first caller computes it, the others get a copy.
pub(crate) fn published() -> Bench {
    static LAKE: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    let files = LAKE.get_or_init(|| {
        let bench = demo();
        let run = go(&bench, &Selected::default());
        assert!(run.summary.is_success(), "{:?}", run.summary.failures);
        files_below(&bench.lake_root())
    });
    let bench = demo();
    write_files(&bench.lake_root(), files);
    bench
}

/// Whether the long forms of tests are wanted: `LAKE_TEST_FULL=1`.
pub(crate) fn full() -> bool {
    std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value != "0")
}

/// Writes what [`files_below`] read.
pub(crate) fn write_files(root: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Every file below a folder with its content, sorted by path.
pub(crate) fn files_below(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                files.push((path.strip_prefix(root).unwrap().to_owned(), bytes));
            }
        }
    }
    files.sort();
    files
}

/// A run with the plan that was made before it.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) summary: RunSummary,
    pub(crate) report: RunReport,
}

/// Plans, runs, and checks that the run did what the plan said.
pub(crate) fn go(bench: &Bench, selected: &Selected) -> Run {
    try_go(bench, selected).unwrap()
}

/// [`go`] for what may be refused.
pub(crate) fn try_go(bench: &Bench, selected: &Selected) -> Result<Run, PipelineError> {
    let plan = bench.open()?.plan(Some(&bench.lake()), selected, NOW)?;
    let (summary, report) = bench.run(selected)?;
    let run = Run {
        plan,
        summary,
        report,
    };
    run.check_plan();
    Ok(run)
}

impl Run {
    fn check_plan(&self) {
        let planned: Vec<String> = self
            .plan
            .tasks
            .iter()
            .map(|task| task.task.to_string())
            .collect();
        let reported: Vec<String> = self
            .report
            .tasks
            .iter()
            .map(|task| task.task.to_string())
            .collect();
        assert_eq!(planned, reported);
        for (plan, report) in self.plan.tasks.iter().zip(&self.report.tasks) {
            let kept = match (&plan.verdict, &report.outcome) {
                (Verdict::Reuse, Outcome::Reused) | (Verdict::Restore, Outcome::Restored) => true,
                (Verdict::Blocked(_), Outcome::Blocked { .. }) => true,
                (Verdict::Run(_), Outcome::Ran { .. } | Outcome::Failed { .. }) => true,
                // An input was to run: with its rows the task runs, is taken from before, or cannot run.
                (Verdict::Pending(_), outcome) => *outcome != Outcome::NotReached,
                // The same for a task that never ran.
                (Verdict::Run(_), Outcome::Restored | Outcome::Blocked { .. }) => {
                    plan.fingerprint.is_none()
                }
                _ => false,
            };
            assert!(
                kept,
                "{}: planned {}, came to {:?}",
                plan.task, plan.verdict, report.outcome
            );
        }
        let (planned, done) = (self.plan.totals(), self.report.totals());
        assert_eq!(planned.total, done.total);
        assert!(done.reused >= planned.reused && done.reused <= planned.reused + planned.pending);
        assert_eq!(done.total, self.summary.tasks.total);
        assert_eq!(done.ran, self.summary.tasks.ran);
    }

    /// The tasks whose outcome passes.
    pub(crate) fn which(&self, pass: impl Fn(&Outcome) -> bool) -> Vec<String> {
        let mut tasks: Vec<String> = self
            .report
            .tasks
            .iter()
            .filter(|task| pass(&task.outcome))
            .map(|task| task.task.to_string())
            .collect();
        tasks.sort();
        tasks
    }

    /// Tasks that were computed, with success or not.
    pub(crate) fn executed(&self) -> Vec<String> {
        lakectl_tests::executed(&self.report)
    }

    /// Tasks that were computed and gave other rows than the published ones.
    pub(crate) fn changed(&self) -> Vec<String> {
        self.which(|outcome| matches!(outcome, Outcome::Ran { changed: true, .. }))
    }

    pub(crate) fn restored(&self) -> Vec<String> {
        self.which(|outcome| *outcome == Outcome::Restored)
    }

    pub(crate) fn failed(&self) -> Vec<String> {
        self.which(|outcome| matches!(outcome, Outcome::Failed { .. }))
    }

    pub(crate) fn blocked(&self) -> Vec<String> {
        self.which(|outcome| matches!(outcome, Outcome::Blocked { .. }))
    }

    /// Why tasks of a table ran, each reason once.
    pub(crate) fn reasons(&self, table: &str) -> BTreeSet<String> {
        let tasks = self
            .report
            .tasks
            .iter()
            .filter(|task| task.task.table.as_str() == table);
        tasks
            .filter_map(|task| match &task.outcome {
                Outcome::Ran { reason, .. } | Outcome::Failed { reason, .. } => {
                    Some(reason.to_string())
                }
                _ => None,
            })
            .collect()
    }
}

/// Expands sets in braces: `options.{greeks,slices} asset=ASSETS/date=DAYS`. `ASSETS`, `DAYS`, `MONTHS` and `YEARS` are
/// those of the demo market. Sorted.
pub(crate) fn tasks(patterns: &[&str]) -> Vec<String> {
    let mut open: Vec<String> = patterns
        .iter()
        .map(|pattern| {
            pattern
                .replace("ASSETS", "{BTC,ETH}")
                .replace("DAYS", DAYS)
                .replace("MONTHS", "{2025-12,2026-01}")
                .replace("YEARS", "{2025,2026}")
        })
        .collect();
    let mut done = Vec::new();
    while let Some(text) = open.pop() {
        match text
            .split_once('{')
            .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            Some((before, (set, after))) => {
                open.extend(set.split(',').map(|word| format!("{before}{word}{after}")))
            }
            None => done.push(text),
        }
    }
    done.sort();
    done
}

/// Compares lists of tasks and shows only what differs.
#[track_caller]
pub(crate) fn assert_tasks(found: &[String], expected: &[String]) {
    let difference = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter()
            .filter(|task| !b.contains(*task))
            .cloned()
            .collect()
    };
    let (extra, missing) = (difference(found, expected), difference(expected, found));
    assert!(
        extra.is_empty() && missing.is_empty(),
        "not expected: {extra:#?}\nmissing: {missing:#?}"
    );
    assert_eq!(found.len(), expected.len(), "a task stands twice");
}

/// `rows_hash` of every published partition.
pub(crate) fn hashes(bench: &Bench) -> BTreeMap<String, String> {
    let head = bench.lake().head().unwrap();
    let cells = head.cells.values().flat_map(|cells| cells.values());
    cells
        .map(|cell| (cell.task().to_string(), cell.rows_hash.to_string()))
        .collect()
}

/// The newest version of the lake.
pub(crate) fn version(bench: &Bench) -> u64 {
    bench.lake().head().unwrap().version
}

/// Replaces one occurrence of `old`, which has to be there, in a text of the project.
#[track_caller]
pub(crate) fn edit(bench: &mut Bench, path: &str, old: &str, new: &str) {
    let text = bench.project.text(path).unwrap();
    assert!(text.contains(old), "`{old}` is not in {path}");
    let text = text.replacen(old, new, 1);
    bench.project.set_text(path, text);
}

/// Replaces one occurrence of `old` inside the block of a stage.
#[track_caller]
pub(crate) fn edit_stage(bench: &mut Bench, path: &str, table: &str, old: &str, new: &str) {
    let text = bench.project.text(path).unwrap();
    let start = text.find(&format!("table = \"{table}\"")).unwrap();
    let end = text[start..]
        .find("[[stage]]")
        .map_or(text.len(), |length| start + length);
    assert!(
        text[start..end].contains(old),
        "`{old}` is not in the stage {table}"
    );
    let block = text[start..end].replacen(old, new, 1);
    let text = format!("{}{block}{}", &text[..start], &text[end..]);
    bench.project.set_text(path, text);
}

pub(crate) fn until(goal: &str) -> Selected {
    Selected {
        until: Some(goal.to_owned()),
        ..Selected::default()
    }
}

pub(crate) fn select(selectors: &[&str]) -> Selected {
    Selected {
        select: selectors.iter().map(|text| (*text).to_owned()).collect(),
        ..Selected::default()
    }
}

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// Runs everything of a checked project in a lake, and hands each event over.
pub(crate) fn run_in(
    opened: &Workbench,
    lake: &Path,
    run: &str,
    cancel: &Cancel,
    events: &(dyn Fn(RunEvent) + Sync),
) -> (RunSummary, RunReport) {
    let options = RunOptions {
        run_id: run.to_owned(),
        who: "tester@here".to_owned(),
        now: NOW,
        jobs: 2,
        events,
        cancel: cancel.clone(),
    };
    let lake = Arc::new(opened.lake(lake, Open::OrCreate).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(opened.run(lake, &Selected::default(), options))
        .unwrap()
}
