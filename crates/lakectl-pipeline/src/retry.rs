//! Taking up what the last run could not do: exactly the tasks that failed or were blocked.

use std::collections::BTreeSet;

use lakectl_core::TaskKey;
use lakectl_store::Lake;

use crate::notes::{self, RunNote};
use crate::summary::{Attempt, Failure, RunSummary};
use crate::{PipelineError, Workbench};

/// What the last run left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// The run; empty if there was none.
    pub run: String,
    /// What failed or was blocked, with what was tried before.
    pub failures: Vec<Failure>,
}

impl Undone {
    /// Returns the tasks.
    pub fn tasks(&self) -> BTreeSet<TaskKey> {
        self.failures.iter().filter_map(|f| task(&f.task)).collect()
    }

    /// Adds what was tried before to the failures of a run that tried again.
    pub fn tell(&self, summary: &mut RunSummary) {
        for failure in &mut summary.failures {
            if let Some(before) = self.failures.iter().find(|f| f.task == failure.task) {
                failure.attempts = before.history(&self.run);
            }
        }
    }
}

impl Failure {
    /// Returns the earlier attempts with this one, which `run` made.
    fn history(&self, run: &str) -> Vec<Attempt> {
        let mut attempts = self.attempts.clone();
        attempts.push(Attempt {
            run: run.to_owned(),
            message: self.message.clone(),
        });
        attempts
    }
}

/// Reads a task from the words of a note; a failure of the run itself is no task.
fn task(text: &str) -> Option<TaskKey> {
    let (table, partition) = text.split_once(' ')?;
    Some(TaskKey {
        table: table.parse().ok()?,
        partition: partition.parse().ok()?,
    })
}

impl Workbench {
    /// Returns what failed or was blocked in the last run.
    ///
    /// # Errors
    /// [`PipelineError::Store`] if the notes cannot be read.
    pub fn undone(&self, lake: &Lake) -> Result<Undone, PipelineError> {
        Ok(match notes::newest(lake, 1)?.pop() {
            Some(RunNote { run, failures, .. }) => Undone { run, failures },
            None => Undone::default(),
        })
    }
}

/// Tells whether the last note of a lake lists failures, so that a run without any has to leave one that does not.
pub(crate) fn has_open_note(lake: &Lake) -> bool {
    let newest = notes::newest(lake, 1).unwrap_or_default();
    newest.first().is_some_and(|note| !note.failures.is_empty())
}
