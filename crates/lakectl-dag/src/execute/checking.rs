//! Rows that are there and wait for their checks, before others may read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, CheckResult};

use super::{Job, Run};
use crate::board::Gate;
use crate::event::bytes_of;
use crate::{CheckReport, CheckSpec, FailedCheck, Outcome, Plan, Reason, RunEvent, TaskFailure};

/// Tasks on their way through their checks.
pub(super) struct Checking {
    /// By task: how many of the tasks that its checks read are not settled.
    unsettled: Vec<u32>,
    waiting: BTreeMap<usize, Candidate>,
    /// Those of `waiting` that can be asked about.
    ready: BTreeSet<usize>,
    /// Checks to evaluate.
    asked: BTreeMap<usize, CheckSpec>,
    /// Checks that rows failed, and every result that is new.
    pub(super) reports: Vec<CheckReport>,
}

/// Rows that may become those of a task.
struct Candidate {
    outcome: Outcome,
    cells: Vec<Arc<Cell>>,
    stale: Option<usize>,
}

impl Checking {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            unsettled: plan.gates.waits.clone(),
            waiting: BTreeMap::new(),
            ready: BTreeSet::new(),
            asked: BTreeMap::new(),
            reports: Vec::new(),
        }
    }

    /// Notes that a task is settled which these tasks' checks read.
    pub(super) fn release(&mut self, readers: &[u32]) {
        for reader in readers {
            let reader = *reader as usize;
            self.unsettled[reader] -= 1;
            if self.unsettled[reader] == 0 && self.waiting.contains_key(&reader) {
                self.ready.insert(reader);
            }
        }
    }
}

impl Run<'_> {
    /// Takes the rows of a task: at once where it has no checks, else when these are satisfied. Published rows stay
    /// whatever a check says of them now.
    pub(super) fn admit(
        &mut self,
        task: usize,
        outcome: Outcome,
        cells: Vec<Arc<Cell>>,
        stale: Option<usize>,
    ) {
        let checked = self.board.has_checks(task);
        if !checked || outcome == Outcome::Reused {
            self.tell(task, &outcome, &cells);
            self.settled(task, outcome.clone(), cells.clone(), stale);
        }
        if checked {
            let candidate = Candidate {
                outcome,
                cells,
                stale,
            };
            self.checking.waiting.insert(task, candidate);
            if self.checking.unsettled[task] == 0 {
                self.checking.ready.insert(task);
            }
        }
    }

    /// Reports rows that still waited for their checks when the run was stopped: they are kept like all that was computed,
    /// and a run that was stopped publishes nothing.
    pub(super) fn report_unchecked(&mut self) {
        for (task, candidate) in std::mem::take(&mut self.checking.waiting) {
            let report = &mut self.reports[task];
            if report.outcome == Outcome::NotReached {
                report.rows = candidate.cells.first().map_or(0, |cell| cell.rows);
                report.outcome = candidate.outcome;
                report.cells = candidate.cells;
            }
        }
    }

    /// Asks for every check that can be asked, and lets through or holds back what is decided.
    pub(super) fn open_gates(&mut self) {
        while let Some(task) = self.checking.ready.pop_first() {
            let Some(candidate) = self.checking.waiting.remove(&task) else {
                continue;
            };
            let Some(cell) = candidate.cells.first() else {
                continue;
            };
            let gate = self.board.gate(task, cell);
            match self.board.check_spec(task, cell, &gate) {
                Some(spec) => {
                    self.checking.asked.insert(task, spec);
                    self.checking.waiting.insert(task, candidate);
                }
                None => self.decide(task, candidate, gate),
            }
        }
    }

    pub(super) fn next_check(&mut self) -> Option<Job> {
        let (task, spec) = self.checking.asked.pop_first()?;
        Some(Job::Check(task, spec))
    }

    /// Notes what checks found. One that could not be evaluated has failed, and is asked again by the next run.
    pub(super) fn checked(
        &mut self,
        task: usize,
        spec: &CheckSpec,
        results: Vec<Result<CheckResult, TaskFailure>>,
    ) {
        for (number, ask) in spec.asks.iter().enumerate() {
            let result = match results.get(number) {
                Some(Ok(result)) => result.clone(),
                Some(Err(failure)) => unanswered(&failure.message),
                None => unanswered("the runner gave no answer"),
            };
            let lasting = matches!(results.get(number), Some(Ok(_)));
            self.board.found(ask.key, result, lasting);
        }
        self.checking.ready.insert(task);
    }

    fn decide(&mut self, task: usize, candidate: Candidate, gate: Gate) {
        let failed = gate.held();
        let held = !failed.is_empty() && candidate.outcome != Outcome::Reused;
        self.checking.reports.extend(gate.noteworthy(held));
        let Candidate {
            outcome,
            cells,
            stale,
        } = candidate;
        match outcome {
            Outcome::Reused => {}
            Outcome::Ran { reason, .. } if held => {
                let failure = held_back(&failed);
                self.fail(task, reason, failure);
            }
            _ if held => self.block(task, Reason::Held { checks: failed }),
            outcome => {
                self.tell(task, &outcome, &cells);
                self.settled(task, outcome, cells, stale);
            }
        }
    }

    /// Says that a task has its rows.
    fn tell(&self, task: usize, outcome: &Outcome, cells: &[Arc<Cell>]) {
        let task_key = self.plan.tasks[task].task.clone();
        let event = match outcome {
            Outcome::Ran { changed, .. } => RunEvent::Finished {
                task: task_key,
                rows: cells.first().map_or(0, |cell| cell.rows),
                bytes: bytes_of(cells),
                seconds: cells.first().map_or(0.0, |cell| cell.seconds),
                changed: *changed,
            },
            Outcome::Restored => RunEvent::Restored { task: task_key },
            _ => RunEvent::Reused { task: task_key },
        };
        (self.events)(event);
    }
}

fn unanswered(why: &str) -> CheckResult {
    CheckResult {
        passed: false,
        offending: 0,
        example: Some(format!("it could not be evaluated: {why}")),
    }
}

fn held_back(failed: &[FailedCheck]) -> TaskFailure {
    TaskFailure {
        message: Reason::Held {
            checks: failed.to_vec(),
        }
        .to_string(),
        hint: None,
        transient: false,
    }
}
