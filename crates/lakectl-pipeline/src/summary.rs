//! What a run has to say, for people and for programs.

use std::collections::BTreeMap;

use lakectl_core::TableId;
use lakectl_dag::{CheckReport, Outcome, Pipeline, Plan, Reason, RunReport};
use lakectl_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::checks::CheckFailure;
use crate::{PipelineError, Sources};

/// Numbers of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// All tasks of the plan.
    pub total: usize,
    /// Published and still right.
    pub reused: usize,
    /// Computed before and published again.
    pub restored: usize,
    /// Computed.
    pub ran: usize,
    /// Failed.
    pub failed: usize,
    /// Not computed because of an input.
    pub blocked: usize,
}

/// One stage of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageSummary {
    /// The stage's name, which is that of its main table.
    pub stage: String,
    /// The table it makes.
    pub table: String,
    /// `harvest`, `normalize`, `sql` or `native`.
    pub kind: String,
    /// Tasks whose published rows are still right.
    pub reused: usize,
    /// Tasks whose earlier rows are published again.
    pub restored: usize,
    /// Tasks computed.
    pub ran: usize,
    /// Tasks failed.
    pub failed: usize,
    /// Tasks blocked.
    pub blocked: usize,
    /// Rows now valid in the planned partitions.
    pub rows: u64,
    /// Seconds of computation, summed over tasks.
    pub seconds: f64,
    /// Why tasks ran: the first one's reason, and of how many it was not the only one.
    pub reason: Option<String>,
}

/// A failure of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The task.
    pub task: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What came of trying it before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The run.
    pub run: String,
    /// What was wrong.
    pub message: String,
}

impl Failure {
    /// The failure of a whole run.
    pub(crate) fn of_run(error: &PipelineError) -> Self {
        Self {
            task: "the run".to_owned(),
            message: error.to_string(),
            hint: error.hint(),
            attempts: Vec::new(),
        }
    }
}

/// A failure of an earlier run whose task still has no right rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenFailure {
    /// The run.
    pub run: String,
    /// What failed and why.
    #[serde(flatten)]
    pub failure: Failure,
}

/// Rejected rows of one table by reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantine {
    /// The quarantine table.
    pub table: String,
    /// The reason's code.
    pub reason: String,
    /// `reject` or `warn`.
    pub severity: String,
    /// Number of entries.
    pub rows: u64,
    /// Documents concerned.
    pub documents: u64,
    /// One of the details.
    pub example: String,
}

/// The newest forecast of an asset and horizon.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The asset.
    pub asset: String,
    /// The decision time.
    pub as_of: String,
    /// The horizon in hours.
    pub horizon_hours: i64,
    /// The price at the decision time, USD.
    pub price: f64,
    /// Quantiles of the log return: 5, 25, 50, 75, 95 per cent.
    pub quantiles: [f64; 5],
    /// Feature families present, and what was degraded.
    pub basis: String,
}

/// What a run did. [`RunSummary::json`] is the machine form.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// Names the run.
    pub run_id: String,
    /// The lake's version after it.
    pub version: u64,
    /// The profile.
    pub profile: String,
    /// Numbers of tasks.
    pub tasks: TaskCounts,
    /// The stages in the order of the graph.
    pub stages: Vec<StageSummary>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Where the lake is.
    pub lake: String,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// Failed and blocked tasks.
    pub failures: Vec<Failure>,
    /// Checks that rows failed: held back, published before the check was there, or accepted.
    pub checks: Vec<CheckFailure>,
    /// Partitions that their source does not list any more; they are kept.
    pub vanished: Vec<String>,
    /// Published partitions that this run dropped, because the declarations have no place for them any more.
    pub dropped: Vec<String>,
    /// Tasks computed from rows that are kept although their own task failed.
    pub stale: Vec<String>,
    /// What went wrong beside the rows, such as a projection for other engines that is behind.
    pub warnings: Vec<String>,
    /// Entries in the quarantine of the tables that this run planned, warnings included.
    pub quarantined: u64,
}

impl RunSummary {
    /// Tells whether every planned task has valid rows.
    pub fn is_success(&self) -> bool {
        !self.interrupted
            && self.failures.is_empty()
            && !self.checks.iter().any(CheckFailure::counts)
    }

    /// Returns `done`, `failed` or `interrupted`.
    pub fn outcome(&self) -> &'static str {
        match (self.interrupted, self.failures.is_empty()) {
            (true, _) => "interrupted",
            (false, true) => "done",
            (false, false) => "failed",
        }
    }
}

/// Counts the outcomes of a report.
pub(crate) fn counts(report: &RunReport) -> TaskCounts {
    let totals = report.totals();
    TaskCounts {
        total: totals.total,
        reused: totals.reused,
        restored: totals.restored,
        ran: totals.ran,
        failed: totals.failed,
        blocked: totals.blocked,
    }
}

/// Sums a report by stage, in the order of the graph.
pub(crate) fn stages(pipeline: &Pipeline, report: &RunReport) -> Vec<StageSummary> {
    let mut by_stage: BTreeMap<usize, (StageSummary, BTreeMap<String, usize>)> = BTreeMap::new();
    for task in &report.tasks {
        let (summary, reasons) = by_stage.entry(task.stage).or_insert_with(|| {
            let decl = &pipeline.stages()[task.stage];
            (
                StageSummary::new(decl.kind.word(), &decl.table),
                BTreeMap::new(),
            )
        });
        summary.rows += task.rows;
        summary.seconds += task.seconds;
        match &task.outcome {
            Outcome::Reused => summary.reused += 1,
            Outcome::Restored => summary.restored += 1,
            Outcome::Ran { reason, .. } => {
                summary.ran += 1;
                *reasons.entry(reason.to_string()).or_default() += 1;
            }
            Outcome::Failed { .. }
            | Outcome::Blocked {
                reason: Reason::Held { .. },
            } => summary.failed += 1,
            Outcome::Blocked { .. } => summary.blocked += 1,
            Outcome::NotReached => {}
        }
    }
    let told = by_stage.into_values().map(|(mut summary, reasons)| {
        let most = reasons.iter().max_by_key(|(_, count)| **count);
        summary.reason = most.map(|(reason, count)| match summary.ran - count {
            0 => reason.clone(),
            others => format!("{reason} ({others} others differ)"),
        });
        summary
    });
    told.collect()
}

impl StageSummary {
    fn new(kind: &str, table: &TableId) -> Self {
        Self {
            stage: table.to_string(),
            table: table.to_string(),
            kind: kind.to_owned(),
            ..Self::default()
        }
    }
}

/// Lists what failed and what was blocked.
pub(crate) fn failures(report: &RunReport) -> Vec<Failure> {
    let mut failures: Vec<Failure> = report
        .tasks
        .iter()
        .filter_map(|task| {
            let (message, hint) = match &task.outcome {
                Outcome::Failed { failure, .. } => (failure.message.clone(), failure.hint.clone()),
                Outcome::Blocked {
                    reason: reason @ Reason::Held { .. },
                } => (reason.to_string(), None),
                Outcome::Blocked { reason } => (format!("blocked: {reason}"), way_out(reason)),
                _ => return None,
            };
            let held = report.checks.iter().find(|c| c.held && c.task == task.task);
            Some(Failure {
                task: task.task.to_string(),
                message,
                hint: hint.or_else(|| held.map(how_to_accept)),
                attempts: Vec::new(),
            })
        })
        .collect();
    if let Some(fatal) = &report.fatal {
        let task = "the run".to_owned();
        failures.insert(
            0,
            Failure {
                task,
                message: fatal.message.clone(),
                hint: fatal.hint.clone(),
                attempts: Vec::new(),
            },
        );
    }
    failures
}

/// Lists what could not be looked into of the sources that the planned stages need.
pub(crate) fn closed(pipeline: &Pipeline, plan: &Plan, sources: &Sources) -> Vec<Failure> {
    if sources.closed().is_empty() {
        return Vec::new();
    }
    let planned = plan.tasks.iter().map(|task| task.stage).collect();
    let needed = pipeline.ancestors(&planned);
    let is_needed = |raw: &TableId| {
        let mut stages = needed.union(&planned);
        stages.any(|stage| pipeline.stages()[*stage].table == *raw)
    };
    let closed = sources.closed().iter().filter(|(raw, _)| is_needed(raw));
    closed
        .map(|(raw, error)| Failure {
            task: raw.to_string(),
            message: format!("{error}: what is published of {raw} stays"),
            hint: Some("let the program read it, then run again".to_owned()),
            attempts: Vec::new(),
        })
        .collect()
}

/// Says that versions are gone which runs and projections have seen.
pub(crate) fn lost(error: &StoreError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// What to do about a task that nothing of its own holds up.
fn way_out(reason: &Reason) -> Option<String> {
    match reason {
        Reason::Overtaken { .. } => Some(
            "decide which definition is to stand, then run that one again: it begins with what is published now; `lakectl log` says who made that run and why"
                .to_owned(),
        ),
        _ => None,
    }
}

fn how_to_accept(held: &CheckReport) -> String {
    format!(
        "what was published before stays; if the rows are right, `override accept-check {} {} {} --why ...` on this lake publishes them as they are",
        held.check, held.task.table, held.task.partition
    )
}

/// Lists the tasks that were computed from rows of a failed task's former result.
pub(crate) fn stale(report: &RunReport) -> Vec<String> {
    let stale = report.tasks.iter().filter(|task| task.stale.is_some());
    stale.map(|task| task.task.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_overtaken_is_told_what_to_do() {
        let run = "theirs".to_owned();
        let hint = way_out(&Reason::Overtaken { run }).unwrap();
        assert!(hint.contains("lakectl log"), "{hint}");
        assert_eq!(way_out(&Reason::NeverRun), None);
    }
}
