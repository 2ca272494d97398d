//! What runs leave behind for people: what they did, what it took, and what they could not do.
//!
//! A note is written once, at the end of a run that did something, also of one that failed or was stopped. It is no part
//! of the lake's state: nothing is computed from it.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::{PartitionKey, TableId, UtcTime};
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
struct Done(PartitionKey, String, Option<usize>, u64, u64, f64);

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
}

impl RunNote {
    /// Notes a run.
    fn of(summary: &RunSummary, report: &RunReport, options: &RunOptions<'_>) -> Self {
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
                move |Done(partition, outcome, reason, rows, bytes, seconds)| TaskNote {
                    table,
                    partition,
                    outcome,
                    reason: reason.and_then(|number| Some(self.reasons.get(number)?.as_str())),
                    rows: *rows,
                    bytes: *bytes,
                    seconds: *seconds,
                },
            )
        })
    }
}

/// Leaves the note of a run that did something. A disk that refuses it has told so before, and the note is not worth
/// failing for.
pub(crate) fn leave(
    lake: &Lake,
    summary: &RunSummary,
    report: &RunReport,
    options: &RunOptions<'_>,
) {
    if report.is_idle() && summary.failures.is_empty() {
        return;
    }
    if let Ok(text) = serde_json::to_vec(&RunNote::of(summary, report, options)) {
        let _ = lake.leave_note(&summary.run_id, &text);
    }
}

/// Reads the newest notes, newest first. One that cannot be read says nothing.
pub(crate) fn newest(lake: &Lake, most: usize) -> Result<Vec<RunNote>, PipelineError> {
    let notes = lake.notes(most)?.into_iter();
    Ok(notes
        .filter_map(|(_, text)| serde_json::from_slice(&text).ok())
        .collect())
}

impl Workbench {
    /// Returns the failures of earlier runs whose tasks still have no right rows by `plan`, each task's newest one.
    ///
    /// # Errors
    /// [`PipelineError::Store`] if the notes cannot be read.
    pub fn open_failures(
        &self,
        lake: &Lake,
        plan: &Plan,
    ) -> Result<Vec<OpenFailure>, PipelineError> {
        let stale = plan
            .tasks
            .iter()
            .filter(|task| task.verdict != Verdict::Reuse);
        let stale: BTreeSet<String> = stale.map(|task| task.task.to_string()).collect();
        let mut open: BTreeMap<String, OpenFailure> = BTreeMap::new();
        for note in newest(lake, RUNS_MAX)? {
            for failure in note
                .failures
                .into_iter()
                .filter(|f| stale.contains(&f.task))
            {
                let run = note.run.clone();
                open.entry(failure.task.clone())
                    .or_insert(OpenFailure { run, failure });
            }
        }
        Ok(open.into_values().collect())
    }
}
