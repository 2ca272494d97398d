//! What earlier runs could not do, kept in the lake for those who look in the morning.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_dag::{Plan, Verdict};
use lakectl_store::Lake;

use crate::retry::has_open_note;
use crate::summary::{Failure, OpenFailure, RunSummary};
use crate::{PipelineError, Workbench};

/// Runs that are looked back to, and failures that one run keeps.
const RUNS_MAX: usize = 50;
const FAILURES_MAX: usize = 1_000;

/// Leaves a note of a run's failures; a run without any leaves one if the last run had some. A disk that refuses it has told so before, and the note is not worth failing for.
pub(crate) fn leave(lake: &Lake, summary: &RunSummary) {
    let kept = &summary.failures[..summary.failures.len().min(FAILURES_MAX)];
    if kept.is_empty() && !has_open_note(lake) {
        return;
    }
    if let Ok(text) = serde_json::to_vec_pretty(kept) {
        let _ = lake.leave_note(&summary.run_id, &text);
    }
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
        for (run, text) in lake.notes(RUNS_MAX)? {
            // A note that cannot be read says nothing; it is no part of the lake's state.
            let failures: Vec<Failure> = serde_json::from_slice(&text).unwrap_or_default();
            for failure in failures.into_iter().filter(|f| stale.contains(&f.task)) {
                let run = run.clone();
                open.entry(failure.task.clone())
                    .or_insert(OpenFailure { run, failure });
            }
        }
        Ok(open.into_values().collect())
    }
}
