//! Taking up what runs could not do: exactly the tasks that failed or were blocked and still have no right rows.

use std::collections::BTreeSet;

use lakectl_core::{TaskKey, UtcTime};
use lakectl_store::Lake;

use crate::notes::Open;
use crate::summary::{Attempt, Failure, OpenFailure, RunSummary};
use crate::{CheckFailure, PipelineError, Selected, Sources, Workbench};

/// What runs left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What failed or was blocked, with the run that tried it last and what was tried before.
    pub failures: Vec<OpenFailure>,
    /// What the last run failed at as a whole: no task of it can be tried alone.
    pub whole: Vec<OpenFailure>,
    /// Failed checks that somebody has to do something about: computing the same rows again is no help.
    pub checks: Vec<CheckFailure>,
}

impl Undone {
    /// Returns the tasks.
    pub fn tasks(&self) -> BTreeSet<TaskKey> {
        let failures = self.failures.iter();
        failures.filter_map(|f| f.failure.task_key()).collect()
    }

    /// Adds what was tried before to the failures of a run that tried again.
    pub fn tell(&self, summary: &mut RunSummary) {
        for failure in &mut summary.failures {
            let mut known = self.failures.iter();
            if let Some(before) = known.find(|f| f.failure.task == failure.task) {
                failure.attempts = before.history();
            }
        }
    }
}

impl OpenFailure {
    /// Returns the earlier attempts with this one.
    fn history(&self) -> Vec<Attempt> {
        let mut attempts = self.failure.attempts.clone();
        attempts.push(Attempt {
            run: self.run.clone(),
            message: self.failure.message.clone(),
        });
        attempts
    }
}

impl Failure {
    /// Reads the task from the words of a note; a failure of the run itself is none.
    pub(crate) fn task_key(&self) -> Option<TaskKey> {
        let (table, partition) = self.task.split_once(' ')?;
        Some(TaskKey {
            table: table.parse().ok()?,
            partition: partition.parse().ok()?,
        })
    }
}

impl Workbench {
    /// Returns what failed or was blocked in earlier runs and is still open, as `status` lists it.
    ///
    /// # Errors
    /// [`PipelineError`] if the lake cannot be read or planned.
    pub fn undone(&self, lake: &Lake, now: UtcTime) -> Result<Undone, PipelineError> {
        let sources = self
            .sources(Some(lake))
            .unwrap_or_else(|_| Sources::unlisted());
        let plan = self.plan_with(&sources, Some(lake), &Selected::default(), now)?;
        let open = Open::of(lake, &plan)?;
        let mut checks = self.check_failures(lake, &plan, now)?;
        checks.retain(CheckFailure::counts);
        Ok(Undone {
            failures: open.tasks,
            whole: open.whole,
            checks,
        })
    }
}
