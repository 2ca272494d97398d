//! Checks as gates: whether a task's rows may enter a version.
//!
//! A result is known by the digest of the check and of all rows that it read, so no check looks at the same rows twice,
//! whichever way they come: computed, restored, or published long ago.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lakectl_core::{
    Cell, CheckResult, DayRange, Fingerprint, FingerprintBuilder, Severity, TableId, TaskKey,
};
use serde::Serialize;

use super::{Board, Granted, Scope, Settled};
use crate::fingerprint::window_digest;
use crate::plan::planned_reads;
use crate::{BoundInput, CheckDecl, Grant, Pipeline, Reason, StageDecl, Verdict};

/// A check that rows failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FailedCheck {
    /// Its name.
    pub check: String,
    /// What it found.
    #[serde(flatten)]
    pub result: CheckResult,
}

impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check `{}` failed: {}", self.check, self.result)
    }
}

/// What a check says of a task's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The task.
    pub task: TaskKey,
    /// The check's name.
    pub check: String,
    /// The digest of what it asks.
    pub digest: Fingerprint,
    /// What a failure does.
    pub severity: Severity,
    /// The digest of the check and of all rows that it read.
    pub key: Fingerprint,
    /// The digest of the checked rows.
    pub rows_hash: Fingerprint,
    /// What it found.
    pub result: CheckResult,
    /// Whether somebody accepted the failure.
    pub accepted: bool,
    /// Whether this run found it, and it holds for these rows for ever.
    pub new: bool,
    /// Whether the rows are held back on its account.
    pub held: bool,
}

impl CheckReport {
    /// Tells whether the rows may not enter a version.
    pub fn blocks(&self) -> bool {
        !self.result.passed && !self.accepted && self.severity == Severity::Block
    }

    fn failure(&self) -> FailedCheck {
        FailedCheck {
            check: self.check.clone(),
            result: self.result.clone(),
        }
    }
}

/// A check that a plan knows no result of, for rows that are there already: a run evaluates it. Rows that a run computes are
/// checked as well, and not counted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenCheck {
    /// The table.
    pub table: TableId,
    /// The check's name.
    pub check: String,
    /// What a failure does.
    pub severity: Severity,
    /// Partitions whose rows it has not looked at.
    pub partitions: usize,
    /// Partitions where it also reads rows that this run may change: it is evaluated if they do.
    pub pending: usize,
}

/// A check to evaluate.
#[derive(Clone, Debug)]
pub struct CheckAsk {
    /// Its place in the stage's checks.
    pub check: usize,
    /// The digest of the check and of all rows that it reads.
    pub key: Fingerprint,
    /// What it reads besides the checked rows, by declared name.
    pub grants: BTreeMap<TableId, Vec<Grant>>,
}

/// Checks of one task to evaluate together.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// The stage.
    pub stage: Arc<StageDecl>,
    /// The task.
    pub task: TaskKey,
    /// The days of its partition.
    pub period: DayRange,
    /// The checked rows: those of the main table.
    pub cell: Arc<Cell>,
    /// The checks.
    pub asks: Vec<CheckAsk>,
}

/// What is known of a task's checks.
#[derive(Default)]
pub(crate) struct Gate {
    /// Results, of those checks that have one.
    pub(crate) reports: Vec<CheckReport>,
    /// Checks without a result whose rows are known.
    asks: Vec<CheckAsk>,
    /// Checks that read rows which are not known yet, by their places in the stage's checks.
    waits: Vec<usize>,
}

impl Gate {
    /// Tells whether every check has its result.
    pub(crate) fn is_decided(&self) -> bool {
        self.asks.is_empty() && self.waits.is_empty()
    }

    /// Returns the places of the checks without a result, with whether what they read is known.
    pub(crate) fn open(&self) -> impl Iterator<Item = (usize, bool)> {
        let asks = self.asks.iter().map(|ask| (ask.check, true));
        asks.chain(self.waits.iter().map(|check| (*check, false)))
    }

    /// Returns the failed checks that hold the rows back.
    pub(crate) fn held(&self) -> Vec<FailedCheck> {
        let blocking = self.reports.iter().filter(|report| report.blocks());
        blocking.map(CheckReport::failure).collect()
    }

    /// Returns the reports of failures, and of all that this run found.
    pub(crate) fn noteworthy(self, held: bool) -> impl Iterator<Item = CheckReport> {
        let told = |report: &CheckReport| report.new || !report.result.passed;
        let told = self.reports.into_iter().filter(told);
        told.map(move |mut report| {
            report.held = held && report.blocks();
            report
        })
    }
}

/// Which checks wait for which tasks. Checks of one task may read another's rows, and are then evaluated after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gates {
    /// By task: how many tasks its checks read.
    pub(crate) waits: Vec<u32>,
    /// By task: the tasks whose checks read it.
    pub(crate) readers: Vec<Vec<u32>>,
}

impl Gates {
    pub(crate) fn of(pipeline: &Pipeline, scope: &Scope) -> Self {
        let mut gates = Self {
            waits: vec![0; scope.tasks.len()],
            readers: vec![Vec::new(); scope.tasks.len()],
        };
        let reads = |stage: &usize| pipeline.check_inputs(*stage).iter().any(|i| !i.is_empty());
        if !(0..pipeline.stages().len()).any(|stage| reads(&stage)) {
            return gates;
        }
        let numbers: BTreeMap<(u32, u32), usize> = scope
            .tasks
            .iter()
            .enumerate()
            .map(|(number, task)| ((task.stage as u32, task.entry as u32), number))
            .collect();
        let mut read = Vec::new();
        for (number, task) in scope.tasks.iter().enumerate() {
            read.clear();
            for input in check_windows(pipeline, task.stage) {
                planned_reads(pipeline, scope, (task.stage, task.entry), input, &mut read);
            }
            read.sort_unstable();
            read.dedup();
            let others = read.iter().filter_map(|read| numbers.get(read));
            for other in others.filter(|other| **other != number) {
                gates.waits[number] += 1;
                gates.readers[*other].push(number as u32);
            }
        }
        gates
    }
}

/// Returns the places of what a stage's checks read, among the windows of its tasks.
fn check_windows(pipeline: &Pipeline, stage: usize) -> Range<usize> {
    let own = pipeline.inputs(stage).len();
    own..own + pipeline.check_inputs(stage).iter().flatten().count()
}

/// Returns those of [`check_windows`] that its tasks need: other tables. Of its own table a check looks at what there is.
pub(crate) fn needed_windows(pipeline: &Pipeline, stage: usize) -> impl Iterator<Item = usize> {
    let own = pipeline.main_table(stage);
    check_windows(pipeline, stage)
        .filter(move |place| !pipeline.window(stage, *place).tables.contains(&own))
}

impl Board<'_> {
    /// Notes what a check found; `lasting` if that holds for its rows for ever.
    pub(crate) fn found(&mut self, key: Fingerprint, result: CheckResult, lasting: bool) {
        self.found.insert(key, (result, lasting));
    }

    /// Tells whether a task's rows have to pass any check.
    pub(crate) fn has_checks(&self, task: usize) -> bool {
        let checks = &self.pipeline.stages()[self.scope.tasks[task].stage].checks;
        checks.iter().any(|check| !check.depends_on_clock())
    }

    /// Decides what has to happen to a task, with what is known of the checks of its rows: rows that were computed
    /// before are not published again if a check is known to hold them back.
    pub(crate) fn judge(&self, task: usize) -> Settled {
        let mut settled = self.settle(task);
        let Some(cell) = settled.cells.first() else {
            return settled;
        };
        settled.gate = self.gate(task, cell);
        let checks = settled.gate.held();
        if settled.verdict == Verdict::Restore && !checks.is_empty() {
            settled.verdict = Verdict::Blocked(Reason::Held { checks });
            settled.cells.clear();
        }
        settled
    }

    /// Asks what is known of the checks of a task whose main rows are these.
    pub(crate) fn gate(&self, task: usize, cell: &Cell) -> Gate {
        let mut gate = Gate::default();
        if !self.has_checks(task) {
            return gate;
        }
        let stage = self.scope.tasks[task].stage;
        let checks = self.pipeline.stages()[stage].checks.iter();
        let inputs = self.pipeline.check_inputs(stage);
        let mut next = self.pipeline.inputs(stage).len();
        for (number, (check, inputs)) in checks.zip(inputs).enumerate() {
            let places = next..next + inputs.len();
            next = places.end;
            if check.depends_on_clock() {
                continue;
            }
            let Some(windows) = self.check_windows(task, places) else {
                gate.waits.push(number);
                continue;
            };
            let key = self.check_key(task, check, cell, inputs, &windows);
            let found = self.found.get(&key).map(|(result, _)| result.clone());
            match found.or_else(|| self.world.checked(&key)) {
                Some(result) => gate
                    .reports
                    .push(self.report(task, check, cell, key, result)),
                None => gate.asks.push(CheckAsk {
                    check: number,
                    key,
                    grants: self.check_grants(inputs, &windows),
                }),
            }
        }
        gate
    }

    /// Returns the checks of a task that have to be evaluated, if there are any.
    pub(crate) fn check_spec(
        &self,
        task: usize,
        cell: &Arc<Cell>,
        gate: &Gate,
    ) -> Option<CheckSpec> {
        if gate.asks.is_empty() {
            return None;
        }
        let of = &self.scope.tasks[task];
        Some(CheckSpec {
            stage: self.pipeline.stages()[of.stage].clone(),
            task: of.key.clone(),
            period: self.scope.entry(self.pipeline, of).period,
            cell: Arc::clone(cell),
            asks: gate.asks.clone(),
        })
    }

    /// Returns the members of every window of a check; `None` while rows of one are not known.
    fn check_windows(&self, task: usize, places: Range<usize>) -> Option<Vec<Vec<Granted>>> {
        let task = &self.scope.tasks[task];
        places.map(|place| self.granted(task, place).ok()).collect()
    }

    fn check_grants(
        &self,
        inputs: &[BoundInput],
        windows: &[Vec<Granted>],
    ) -> BTreeMap<TableId, Vec<Grant>> {
        let pairs = inputs.iter().zip(windows);
        pairs
            .map(|(input, members)| {
                let grants = members.iter().map(|member| self.grant(member)).collect();
                (input.name.clone(), grants)
            })
            .collect()
    }

    fn check_key(
        &self,
        task: usize,
        check: &CheckDecl,
        cell: &Cell,
        inputs: &[BoundInput],
        windows: &[Vec<Granted>],
    ) -> Fingerprint {
        let of = &self.scope.tasks[task];
        let mut key = FingerprintBuilder::new("check")
            .field("check", check.digest.as_bytes())
            .field("table", of.key.table.as_str())
            .field("partition", &self.scope.entry(self.pipeline, of).text)
            .field("rows", cell.rows_hash.as_bytes());
        for (input, members) in inputs.iter().zip(windows) {
            let digest = window_digest(members.iter().map(|member| member.digest));
            key.push(input.name.as_str(), digest.as_bytes());
        }
        key.finish()
    }

    fn report(
        &self,
        task: usize,
        check: &CheckDecl,
        cell: &Cell,
        key: Fingerprint,
        result: CheckResult,
    ) -> CheckReport {
        let task = self.scope.tasks[task].key.clone();
        let failed = !result.passed;
        CheckReport {
            accepted: failed && self.world.accepted(&task, &check.digest, &cell.rows_hash),
            new: self.found.get(&key).is_some_and(|(_, lasting)| *lasting),
            task,
            check: check.name.clone(),
            digest: check.digest,
            severity: check.severity,
            key,
            rows_hash: cell.rows_hash,
            result,
            held: false,
        }
    }
}
