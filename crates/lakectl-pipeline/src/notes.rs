//! What runs leave behind for people: what they did, what it took, and what they could not do.
//!
//! A note is written once, at the end of a run that did something, also of one that failed or was stopped. It is no part
//! of the lake's state: nothing is computed from it.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::{PartitionKey, TableId, TaskKey, UtcTime};
use lakectl_dag::{Outcome, Plan, RunReport, Verdict};
use lakectl_store::Lake;
use serde::{Deserialize, Serialize};

use crate::memory::peak_memory_bytes;
use crate::summary::{Failure, OpenFailure, RunSummary, TaskCounts};
use crate::{PipelineError, RunOptions, Workbench};

/// Runs that are looked back to for open failures, and failures that one run keeps.
const RUNS_MAX: usize = 50;
const FAILURES_MAX: usize = 1_000;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunNote {
    /// The run.
    pub run: String,
    /// Who ran it.
    pub who: String,
    /// When it began.
    pub started: UtcTime,
    /// When it ended.
    pub finished: UtcTime,
    /// The version that holds its results, or the one that it began with.
    pub version: u64,
    /// `done`, `failed` (some tasks were, or the whole run) or `interrupted`.
    pub outcome: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The most memory that the process had until then; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Tasks by outcome.
    pub tasks: TaskCounts,
    /// What failed and what was blocked.
    pub failures: Vec<Failure>,
    /// Why tasks were computed, each reason once.
    reasons: Vec<String>,
    /// Tasks that were not merely reused, by table.
    done: BTreeMap<TableId, Vec<Done>>,
}

/// One task of a note; a list of values, because there may be many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Done(
    PartitionKey,
    String,
    Option<usize>,
    u64,
    u64,
    f64,
    #[serde(default)] Option<u64>,
);

/// One task of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskNote<'a> {
    /// The table.
    pub table: &'a TableId,
    /// The partition.
    pub partition: &'a PartitionKey,
    /// `restored`, `ran`, `failed`, `blocked` or `not_reached`.
    pub outcome: &'a str,
    /// Why it was, or could not be, computed.
    pub reason: Option<&'a str>,
    /// Rows of the main table.
    pub rows: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Seconds of computation.
    pub seconds: f64,
    /// The most memory that the process had when it ended: tasks beside it have their share in that. `None` for a task that
    /// was not computed, and where the system does not tell.
    pub process_peak_memory_bytes: Option<u64>,
}

impl RunNote {
    /// Notes a run.
    fn of(
        summary: &RunSummary,
        report: &RunReport,
        peaks: &BTreeMap<TaskKey, u64>,
        options: &RunOptions<'_>,
    ) -> Self {
        let mut note = Self {
            run: summary.run_id.clone(),
            who: options.who.clone(),
            started: options.now,
            finished: UtcTime::from_micros(options.now.micros() + (summary.seconds * 1e6) as i64),
            version: summary.version,
            outcome: summary.outcome().to_owned(),
            seconds: summary.seconds,
            peak_memory_bytes: peak_memory_bytes(),
            tasks: summary.tasks,
            failures: summary
                .failures
                .iter()
                .take(FAILURES_MAX)
                .cloned()
                .collect(),
            reasons: Vec::new(),
            done: BTreeMap::new(),
        };
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for task in report.tasks.iter().filter(|t| t.outcome != Outcome::Reused) {
            let reason = task.outcome.reason().map(ToString::to_string);
            let reason = reason.map(|reason| {
                let next = numbers.len();
                *numbers.entry(reason).or_insert(next)
            });
            note.done
                .entry(task.task.table.clone())
                .or_default()
                .push(Done(
                    task.task.partition.clone(),
                    task.outcome.word().to_owned(),
                    reason,
                    task.rows,
                    task.bytes(),
                    task.seconds,
                    peaks.get(&task.task).copied(),
                ));
        }
        note.reasons = vec![String::new(); numbers.len()];
        for (reason, number) in numbers {
            note.reasons[number] = reason;
        }
        note
    }

    /// Returns the tasks that were not merely reused, by table.
    pub fn done(&self) -> impl Iterator<Item = TaskNote<'_>> {
        self.done.iter().flat_map(move |(table, tasks)| {
            tasks.iter().map(
                move |Done(partition, outcome, reason, rows, bytes, seconds, peak)| TaskNote {
                    table,
                    partition,
                    outcome,
                    reason: reason.and_then(|number| Some(self.reasons.get(number)?.as_str())),
                    rows: *rows,
                    bytes: *bytes,
                    seconds: *seconds,
                    process_peak_memory_bytes: *peak,
                },
            )
        })
    }
}

/// Leaves the note of a run that did something. A disk that refuses it is not worth failing for, but worth a warning, which
/// is returned.
pub(crate) fn leave(
    lake: &Lake,
    summary: &RunSummary,
    report: &RunReport,
    peaks: &BTreeMap<TaskKey, u64>,
    options: &RunOptions<'_>,
) -> Option<String> {
    if report.is_idle() && summary.failures.is_empty() {
        return None;
    }
    let note = RunNote::of(summary, report, peaks, options);
    let error = lake
        .leave_note(&summary.run_id, summary.version, &note)
        .err()?;
    Some(format!(
        "this run is not in `system.runs`, and `run --retry-failed` does not know of it: {error}"
    ))
}

/// Reads all notes, newest first by the runs' names.
pub(crate) fn all(lake: &Lake) -> Result<Vec<RunNote>, PipelineError> {
    Ok(lake
        .notes(usize::MAX)?
        .into_iter()
        .collect::<Result<_, _>>()?)
}

/// Reads the newest notes, those of the newest version first: whose clock was wrong is not last for that. One that cannot be
/// read is told of and passed over.
fn newest(lake: &Lake, most: usize) -> Result<Vec<RunNote>, PipelineError> {
    let mut notes: Vec<RunNote> = Vec::new();
    for note in lake.notes(most)? {
        match note {
            Ok(note) => notes.push(note),
            Err(error) => tracing::warn!("what a run failed at is not known: {error}"),
        }
    }
    notes.sort_by(|a, b| (b.version, &b.run).cmp(&(a.version, &a.run)));
    Ok(notes)
}

/// What runs could not do and nobody has done since.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Tasks, each with the failure of the run that tried it last.
    pub(crate) tasks: Vec<OpenFailure>,
    /// What the last run failed at as a whole.
    pub(crate) whole: Vec<OpenFailure>,
}

impl Open {
    /// Reads the newest notes for tasks that still have no right rows by `plan`.
    pub(crate) fn of(lake: &Lake, plan: &Plan) -> Result<Self, PipelineError> {
        let stale = plan
            .tasks
            .iter()
            .filter(|task| task.verdict != Verdict::Reuse);
        let mut stale: BTreeSet<String> = stale.map(|task| task.task.to_string()).collect();
        let mut open = Self::default();
        for (age, note) in newest(lake, RUNS_MAX)?.into_iter().enumerate() {
            for failure in &note.failures {
                let run = note.run.clone();
                let failure = failure.clone();
                if stale.remove(&failure.task) {
                    open.tasks.push(OpenFailure { run, failure });
                } else if age == 0 && failure.task_key().is_none() {
                    open.whole.push(OpenFailure { run, failure });
                }
            }
            // What went well after it failed is stale for another reason.
            for done in note.done().filter(|done| done.is_well()) {
                stale.remove(&format!("{} {}", done.table, done.partition));
            }
        }
        open.tasks
            .sort_by(|a, b| a.failure.task.cmp(&b.failure.task));
        Ok(open)
    }
}

impl TaskNote<'_> {
    fn is_well(&self) -> bool {
        ["ran", "restored"].contains(&self.outcome)
    }
}

impl Workbench {
    /// Returns the failures of earlier runs whose tasks still have no right rows by `plan`, each task's newest one, and what
    /// the last run failed at as a whole.
    ///
    /// # Errors
    /// [`PipelineError::Store`] if the notes cannot be read.
    pub fn open_failures(
        &self,
        lake: &Lake,
        plan: &Plan,
    ) -> Result<Vec<OpenFailure>, PipelineError> {
        let open = Open::of(lake, plan)?;
        Ok(open.whole.into_iter().chain(open.tasks).collect())
    }
}
