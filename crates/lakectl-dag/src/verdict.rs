//! What has to happen to a task, decided by one function for planning and execution alike.

use std::fmt;
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, TableId, TaskKey};
use serde::Serialize;

use crate::Change;

/// Why a task has to run, waits or cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// There is no published result.
    NeverRun,
    /// Parts of the published result's fingerprint differ.
    Changed {
        /// The parts, definition before inputs.
        changes: Vec<Change>,
    },
    /// It was asked for.
    Forced,
    /// A new fetch was asked for.
    Refresh,
    /// The task has several tables and one of them is not published.
    OutputMissing {
        /// The table.
        table: TableId,
    },
    /// An input's task is going to run, and its rows may come out different.
    InputMayChange {
        /// The input's task.
        task: TaskKey,
    },
    /// An input's task failed, nothing was published for it before, and this stage does not go on without it.
    InputWithheld {
        /// The input's task.
        task: TaskKey,
    },
    /// Another run has published it by another definition since this run began, and is not undone by it.
    Overtaken {
        /// That run.
        run: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRun => f.write_str("never run"),
            Self::Changed { changes } if changes.is_empty() => {
                f.write_str("computed by another version of lakectl, of the same parts")
            }
            Self::Changed { changes } => {
                for (i, change) in changes.iter().take(3).enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    write!(f, "{separator}{change}")?;
                }
                match changes.len().saturating_sub(3) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            Self::Forced => f.write_str("forced"),
            Self::Refresh => f.write_str("refresh"),
            Self::OutputMissing { table } => write!(f, "no published rows of {table}"),
            Self::InputMayChange { task } => write!(f, "{task} may change"),
            Self::InputWithheld { task } => write!(f, "{task} is withheld"),
            Self::Overtaken { run } => {
                write!(f, "run {run} published it by another definition meanwhile")
            }
        }
    }
}

/// What has to happen to a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The published cells are right.
    Reuse,
    /// Cells with this fingerprint were computed before and are published again.
    Restore,
    /// It has to be computed.
    Run(Reason),
    /// It has to be computed only if an input's rows change, which is not known yet.
    Pending(Reason),
    /// It cannot be computed.
    Blocked(Reason),
}

impl Verdict {
    /// Returns `reuse`, `restore`, `run`, `pending` or `blocked`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Reuse => "reuse",
            Self::Restore => "restore",
            Self::Run(_) => "run",
            Self::Pending(_) => "pending",
            Self::Blocked(_) => "blocked",
        }
    }

    /// Returns the reason, if the verdict has one.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Reuse | Self::Restore => None,
            Self::Run(reason) | Self::Pending(reason) | Self::Blocked(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{}: {reason}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// What is known of a task's inputs.
pub(crate) enum Inputs {
    /// All of it: the fingerprint.
    Known(Fingerprint),
    /// The rows of this task are not known yet.
    Unknown(TaskKey),
    /// The rows of this task are withheld and the policy is to block.
    Withheld(TaskKey),
}

/// What was asked for, beyond what is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    None,
    Force,
    Refresh,
}

/// Everything that decides one verdict. `outputs` pairs each table that the task makes with its published cell.
pub(crate) struct Question<'a> {
    pub(crate) outputs: &'a [(TableId, Option<Arc<Cell>>)],
    pub(crate) inputs: Inputs,
    pub(crate) demand: Demand,
    /// An earlier result may stand in for a new one.
    pub(crate) restorable: bool,
    /// The fingerprint of each output, given the task's.
    pub(crate) output_fingerprint: &'a dyn Fn(Fingerprint, &TableId) -> Fingerprint,
    /// The parts of the fingerprint that differ from those of a published cell; while `inputs` is not known, only those of
    /// the definition.
    pub(crate) changes: &'a dyn Fn(&Cell) -> Vec<Change>,
    pub(crate) cached: &'a dyn Fn(&Fingerprint) -> Option<Arc<Cell>>,
}

/// Returns the verdict, with the task's cells if it is `Reuse` or `Restore`.
pub(crate) fn verdict(question: &Question<'_>) -> (Verdict, Vec<Arc<Cell>>) {
    let wanted = match &question.inputs {
        Inputs::Known(fingerprint) => Some(*fingerprint),
        Inputs::Unknown(_) => None,
        Inputs::Withheld(task) => {
            let reason = Reason::InputWithheld { task: task.clone() };
            return (Verdict::Blocked(reason), Vec::new());
        }
    };
    match question.demand {
        Demand::Force => return (Verdict::Run(Reason::Forced), Vec::new()),
        Demand::Refresh => return (Verdict::Run(Reason::Refresh), Vec::new()),
        Demand::None => {}
    }
    if let Some(fingerprint) = wanted {
        let hit = |cell: &Cell, table: &TableId| {
            cell.fingerprint == (question.output_fingerprint)(fingerprint, table)
        };
        let published = |(table, cell): &(TableId, Option<Arc<Cell>>)| {
            cell.clone().filter(|cell| hit(cell, table))
        };
        if let Some(cells) = question.outputs.iter().map(published).collect() {
            return (Verdict::Reuse, cells);
        }
        let cached = |(table, _): &(TableId, Option<Arc<Cell>>)| {
            (question.cached)(&(question.output_fingerprint)(fingerprint, table))
        };
        let cells: Option<Vec<Arc<Cell>>> = question.outputs.iter().map(cached).collect();
        if let Some(cells) = cells.filter(|_| question.restorable) {
            return (Verdict::Restore, cells);
        }
    }
    (why_stale(question), Vec::new())
}

/// Names why a task without a usable result has to run, or that this depends on an input.
fn why_stale(question: &Question<'_>) -> Verdict {
    let Some((_, Some(main))) = question.outputs.first() else {
        return Verdict::Run(Reason::NeverRun);
    };
    if let Some((table, _)) = question.outputs.iter().find(|(_, cell)| cell.is_none()) {
        let table = table.clone();
        return Verdict::Run(Reason::OutputMissing { table });
    }
    let changes = (question.changes)(main);
    match &question.inputs {
        Inputs::Unknown(task) if changes.is_empty() => {
            Verdict::Pending(Reason::InputMayChange { task: task.clone() })
        }
        _ => Verdict::Run(Reason::Changed { changes }),
    }
}
