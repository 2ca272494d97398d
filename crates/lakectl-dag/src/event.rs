//! What happens during a run, for progress lines, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakectl_core::{Cell, TableId, TaskKey};
use serde::Serialize;

use crate::{Reason, TaskFailure};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run begins.
    Planned {
        /// The verdicts of the plan.
        totals: Totals,
    },
    /// A task begins to compute.
    Started {
        /// The task.
        task: TaskKey,
        /// Why.
        reason: Reason,
    },
    /// A task failed and is tried again.
    Retrying {
        /// The task.
        task: TaskKey,
        /// The number of failures so far.
        attempt: u32,
        /// What went wrong.
        message: String,
    },
    /// A task has its rows.
    Finished {
        /// The task.
        task: TaskKey,
        /// Rows of the main table.
        rows: u64,
        /// Bytes of all its files.
        bytes: u64,
        /// Seconds of computation.
        seconds: f64,
        /// Whether the rows differ from the published ones.
        changed: bool,
    },
    /// The published cells of a task are right.
    Reused {
        /// The task.
        task: TaskKey,
    },
    /// Earlier cells of a task are published again.
    Restored {
        /// The task.
        task: TaskKey,
    },
    /// A task failed.
    Failed {
        /// The task.
        task: TaskKey,
        /// What went wrong.
        failure: TaskFailure,
    },
    /// A task cannot be computed.
    Blocked {
        /// The task.
        task: TaskKey,
        /// Why.
        reason: Reason,
    },
    /// So many finished cells are durable now.
    Flushed {
        /// The number of cells.
        cells: usize,
    },
    /// The results of the run are published. Told by whoever commits, after the run.
    Committed {
        /// The version that holds them.
        version: u64,
    },
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The published cells are right.
    Reused,
    /// Earlier cells are published again.
    Restored,
    /// It was computed.
    Ran {
        /// Why.
        reason: Reason,
        /// Whether the rows differ from the published ones; if not, nothing after it had to be computed on its account.
        changed: bool,
    },
    /// It was computed in vain. What was published before stays.
    Failed {
        /// Why it was computed.
        reason: Reason,
        /// What went wrong.
        failure: TaskFailure,
    },
    /// It could not be computed. What was published before stays.
    Blocked {
        /// Why.
        reason: Reason,
    },
    /// The run ended before.
    NotReached,
}

impl Outcome {
    /// Returns `reused`, `restored`, `ran`, `failed`, `blocked` or `not_reached`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Restored => "restored",
            Self::Ran { .. } => "ran",
            Self::Failed { .. } => "failed",
            Self::Blocked { .. } => "blocked",
            Self::NotReached => "not_reached",
        }
    }

    /// Returns why the task was, or could not be, computed.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Ran { reason, .. } | Self::Failed { reason, .. } | Self::Blocked { reason } => {
                Some(reason)
            }
            Self::Reused | Self::Restored | Self::NotReached => None,
        }
    }
}

/// One task of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    /// The task.
    pub task: TaskKey,
    /// The index of its stage.
    pub stage: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// Rows of the main table that are now valid; 0 if there are none.
    pub rows: u64,
    /// Seconds of computation in this run.
    pub seconds: f64,
    /// The valid cells in the order of the stage's outputs; for a task that failed, none.
    pub cells: Vec<Arc<Cell>>,
    /// The failed or blocked task whose old rows this one was computed from, directly or not.
    pub stale: Option<TaskKey>,
}

/// Numbers of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All tasks.
    pub total: usize,
    /// Reused.
    pub reused: usize,
    /// Restored.
    pub restored: usize,
    /// Computed, or to be computed.
    pub ran: usize,
    /// Plans only: may have to be computed.
    pub pending: usize,
    /// Failed.
    pub failed: usize,
    /// Blocked.
    pub blocked: usize,
    /// Not reached before the run ended.
    pub not_reached: usize,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// The tasks in the plan's order.
    pub tasks: Vec<TaskReport>,
    /// Whether the run was cancelled. What is done is kept.
    pub interrupted: bool,
    /// Why the run gave up, if results could not be made durable.
    pub fatal: Option<TaskFailure>,
}

impl TaskReport {
    /// Returns the bytes of the files of its valid cells.
    pub fn bytes(&self) -> u64 {
        bytes_of(&self.cells)
    }
}

pub(crate) fn bytes_of(cells: &[Arc<Cell>]) -> u64 {
    let files = cells.iter().filter_map(|cell| cell.file.as_ref());
    files.map(|file| file.bytes).sum()
}

impl RunReport {
    /// Counts the outcomes.
    pub fn totals(&self) -> Totals {
        self.tasks.iter().fold(Totals::default(), add)
    }

    /// Counts the outcomes of each stage by its table.
    pub fn stages(&self) -> BTreeMap<TableId, Totals> {
        let mut stages: BTreeMap<TableId, Totals> = BTreeMap::new();
        for task in &self.tasks {
            let totals = stages.entry(task.task.table.clone()).or_default();
            *totals = add(*totals, task);
        }
        stages
    }

    /// Returns the tasks whose runner was called, with success or not, in the plan's order.
    pub fn executed(&self) -> Vec<TaskKey> {
        let ran = |task: &&TaskReport| {
            matches!(task.outcome, Outcome::Ran { .. } | Outcome::Failed { .. })
        };
        self.tasks
            .iter()
            .filter(ran)
            .map(|task| task.task.clone())
            .collect()
    }

    /// Tells whether the run did, or tried, anything at all.
    pub fn is_idle(&self) -> bool {
        let mut tasks = self.tasks.iter();
        self.fatal.is_none() && tasks.all(|task| task.outcome == Outcome::Reused)
    }

    /// Returns the cells that the next version has to take in: computed and restored ones.
    pub fn new_cells(&self) -> Vec<Arc<Cell>> {
        let new =
            |task: &&TaskReport| matches!(task.outcome, Outcome::Ran { .. } | Outcome::Restored);
        let tasks = self.tasks.iter().filter(new);
        tasks.flat_map(|task| task.cells.iter().cloned()).collect()
    }

    /// Tells whether every task of the plan has valid cells.
    pub fn is_success(&self) -> bool {
        let totals = self.totals();
        !self.interrupted
            && self.fatal.is_none()
            && totals.failed + totals.blocked + totals.not_reached == 0
    }
}

fn add(mut totals: Totals, task: &TaskReport) -> Totals {
    totals.total += 1;
    match task.outcome {
        Outcome::Reused => totals.reused += 1,
        Outcome::Restored => totals.restored += 1,
        Outcome::Ran { .. } => totals.ran += 1,
        Outcome::Failed { .. } => totals.failed += 1,
        Outcome::Blocked { .. } => totals.blocked += 1,
        Outcome::NotReached => totals.not_reached += 1,
    }
    totals
}
