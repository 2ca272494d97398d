//! Runs a plan: a ready queue over the tasks, whose verdicts are settled by the same function that planned them, now
//! with the rows of this run.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use lakectl_core::{Cell, Fingerprint};
use tracing::Instrument;

use crate::board::Board;
use crate::event::bytes_of;
use crate::fingerprint::output_fingerprint;
use crate::{
    Cancel, Options, Order, Outcome, Pipeline, Plan, Reason, RunEvent, RunReport, Runner,
    TaskFailure, TaskReport, TaskSpec, Verdict, World,
};

/// Finished cells that are made durable together, unless they took longer than [`WAVE_SECONDS`] to compute.
const WAVE_CELLS: usize = 64;
/// The computing time that a crash may lose.
const WAVE_SECONDS: f64 = 0.5;
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Runs a plan that was made of this pipeline and this world.
///
/// A task that fails holds back only itself: what was published for it stays and is read by others, who are then
/// reported stale; without that, each reader's policy decides. The report says what became of every task.
pub async fn execute<R: Runner>(
    pipeline: &Pipeline,
    plan: &Plan,
    world: &dyn World,
    runner: &R,
    options: &Options,
    events: &(dyn Fn(RunEvent) + Sync),
    cancel: &Cancel,
) -> RunReport {
    events(RunEvent::Planned {
        totals: plan.totals(),
    });
    let mut run = Run::new(pipeline, plan, world, events);
    let mut jobs = FuturesUnordered::new();
    let mut interrupted = false;
    let mut fatal = None;
    while fatal.is_none() {
        run.settle_ready(options.order);
        while jobs.len() < options.jobs.max(1) && !cancel.is_cancelled() {
            let Some((task, spec)) = run.start(options.order) else {
                break;
            };
            let span = tracing::info_span!("task", task = %spec.task);
            jobs.push(attempt(runner, task, spec, options, events).instrument(span));
        }
        let finished = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                interrupted = true;
                break;
            }
            finished = jobs.next() => finished,
        };
        let Some((task, spec, result)) = finished else {
            break;
        };
        run.finish(task, &spec, result);
        if run.wave_is_full() {
            fatal = run.flush(runner);
        }
    }
    drop(jobs);
    if fatal.is_none() {
        fatal = run.flush(runner);
    }
    run.report(interrupted && fatal.is_none(), fatal)
}

/// Runs one task, again and again after transient failures. A panic is a failure of that task alone.
async fn attempt<R: Runner>(
    runner: &R,
    task: usize,
    spec: TaskSpec,
    options: &Options,
    events: &(dyn Fn(RunEvent) + Sync),
) -> (usize, TaskSpec, Result<Vec<Cell>, TaskFailure>) {
    let mut failures = 0;
    loop {
        let result = AssertUnwindSafe(runner.run(spec.clone()))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(panicked()));
        match result {
            Err(failure) if failure.transient && failures < spec.stage.retries => {
                failures += 1;
                events(RunEvent::Retrying {
                    task: spec.task.clone(),
                    attempt: failures,
                    message: failure.message,
                });
                let pause = BACKOFF.saturating_mul(1 << (failures - 1).min(16));
                (options.sleep)(pause.min(BACKOFF_MAX)).await;
            }
            result => return (task, spec, result),
        }
    }
}

fn panicked() -> TaskFailure {
    TaskFailure {
        message: "the computation panicked".to_owned(),
        hint: Some("this is a defect of the program; the message above names the place".to_owned()),
        transient: false,
    }
}

/// A task that has to be computed and waits for a free job.
struct Waiting {
    reason: Reason,
    fingerprint: Fingerprint,
    stale: Option<usize>,
}

/// The state of a run.
struct Run<'a> {
    plan: &'a Plan,
    events: &'a (dyn Fn(RunEvent) + Sync),
    board: Board<'a>,
    /// By task: how many of the tasks it reads are not settled.
    unsettled: Vec<u32>,
    /// Tasks whose inputs are settled.
    ready: BTreeSet<usize>,
    waiting: BTreeMap<usize, Waiting>,
    started: BTreeMap<usize, Waiting>,
    reports: Vec<TaskReport>,
    /// Finished cells that are not durable yet, with their task.
    wave: Vec<(usize, Cell)>,
    /// Failed tasks by the task that was computed from their old rows.
    stale: BTreeMap<usize, usize>,
}

impl<'a> Run<'a> {
    fn new(
        pipeline: &'a Pipeline,
        plan: &'a Plan,
        world: &'a dyn World,
        events: &'a (dyn Fn(RunEvent) + Sync),
    ) -> Self {
        let mut unsettled = vec![0; plan.tasks.len()];
        for reader in plan.readers.all() {
            unsettled[*reader as usize] += 1;
        }
        let ready = (0..unsettled.len())
            .filter(|task| unsettled[*task] == 0)
            .collect();
        let report = |task: &crate::PlannedTask| TaskReport {
            task: task.task.clone(),
            stage: task.stage,
            outcome: Outcome::NotReached,
            rows: 0,
            seconds: 0.0,
            cells: Vec::new(),
            stale: None,
        };
        Self {
            plan,
            events,
            board: Board::new(pipeline, &plan.scope, world),
            unsettled,
            ready,
            waiting: BTreeMap::new(),
            started: BTreeMap::new(),
            reports: plan.tasks.iter().map(report).collect(),
            wave: Vec::new(),
            stale: BTreeMap::new(),
        }
    }

    /// Settles every ready task that needs no computation, and those that become ready by that.
    fn settle_ready(&mut self, order: Order) {
        while let Some(task) = match order {
            Order::Forward => self.ready.pop_first(),
            Order::Backward => self.ready.pop_last(),
        } {
            self.settle(task);
        }
    }

    fn settle(&mut self, task: usize) {
        let planned = &self.plan.tasks[task];
        // With all rows known at planning time there is nothing left to ask.
        if matches!(planned.verdict, Verdict::Reuse | Verdict::Restore) {
            self.use_cells(task, &planned.verdict, planned.cells.clone(), None);
            return;
        }
        let settled = self.board.settle(task);
        match (settled.verdict, settled.fingerprint) {
            (Verdict::Run(reason), Some(fingerprint)) => {
                let waiting = Waiting {
                    reason,
                    fingerprint,
                    stale: settled.stale,
                };
                self.waiting.insert(task, waiting);
            }
            (verdict @ (Verdict::Reuse | Verdict::Restore), _) => {
                self.use_cells(task, &verdict, settled.cells, settled.stale);
            }
            (Verdict::Blocked(reason) | Verdict::Pending(reason) | Verdict::Run(reason), _) => {
                self.block(task, reason);
            }
        }
    }

    fn use_cells(
        &mut self,
        task: usize,
        verdict: &Verdict,
        cells: Vec<Arc<Cell>>,
        stale: Option<usize>,
    ) {
        let key = self.plan.tasks[task].task.clone();
        let (outcome, event) = match verdict {
            Verdict::Restore => (Outcome::Restored, RunEvent::Restored { task: key }),
            _ => (Outcome::Reused, RunEvent::Reused { task: key }),
        };
        self.settled(task, outcome, cells, stale);
        (self.events)(event);
    }

    fn block(&mut self, task: usize, reason: Reason) {
        (self.events)(RunEvent::Blocked {
            task: self.plan.tasks[task].task.clone(),
            reason: reason.clone(),
        });
        self.hold(task, Outcome::Blocked { reason });
    }

    /// Returns the next task to compute.
    fn start(&mut self, order: Order) -> Option<(usize, TaskSpec)> {
        let (task, waiting) = match order {
            Order::Forward => self.waiting.pop_first(),
            Order::Backward => self.waiting.pop_last(),
        }?;
        let spec = self.board.spec(task, waiting.fingerprint);
        (self.events)(RunEvent::Started {
            task: spec.task.clone(),
            reason: waiting.reason.clone(),
        });
        self.started.insert(task, waiting);
        Some((task, spec))
    }

    fn finish(&mut self, task: usize, spec: &TaskSpec, result: Result<Vec<Cell>, TaskFailure>) {
        let Some(Waiting { reason, stale, .. }) = self.started.remove(&task) else {
            return;
        };
        let checked = result.and_then(|cells| self.stamp(task, spec, cells));
        match checked {
            Ok(cells) => {
                // What a fingerprint was made of is kept with the wave, and not in memory.
                let lean = cells.iter().map(|cell| Arc::new(cell.lean())).collect();
                self.wave.extend(cells.into_iter().map(|cell| (task, cell)));
                let cells: Vec<Arc<Cell>> = lean;
                let changed = self.changed(task, &cells);
                let seconds = cells.first().map_or(0.0, |cell| cell.seconds);
                (self.events)(RunEvent::Finished {
                    task: spec.task.clone(),
                    rows: cells.first().map_or(0, |cell| cell.rows),
                    bytes: bytes_of(&cells),
                    seconds,
                    changed,
                });
                self.reports[task].seconds = seconds;
                self.settled(task, Outcome::Ran { reason, changed }, cells, stale);
            }
            Err(failure) => {
                tracing::debug!(task = %spec.task, "failed: {}", failure.message);
                (self.events)(RunEvent::Failed {
                    task: spec.task.clone(),
                    failure: failure.clone(),
                });
                self.hold(task, Outcome::Failed { reason, failure });
            }
        }
    }

    /// Checks that the cells are those of the task, stamps them, and compares them with earlier ones of the same
    /// fingerprint.
    fn stamp(
        &self,
        task: usize,
        spec: &TaskSpec,
        cells: Vec<Cell>,
    ) -> Result<Vec<Cell>, TaskFailure> {
        let right = cells.len() == spec.stage.outputs().count()
            && cells
                .iter()
                .zip(spec.stage.outputs())
                .all(|(cell, table)| cell.table == *table && cell.partition == spec.task.partition);
        if !right {
            return Err(defect(format!(
                "{} returned cells of other tables or partitions",
                spec.task
            )));
        }
        let stamp = |mut cell: Cell| {
            cell.fingerprint = output_fingerprint(spec.fingerprint, &spec.task.table, &cell.table);
            cell.parts = spec.parts.clone();
            match self.board.contradicts(task, &cell) {
                None => Ok(cell),
                Some(old) => Err(defect(format!(
                    "{} is not deterministic: fingerprint {} gave rows {} in run {} and {} now",
                    cell.task(),
                    cell.fingerprint.short(),
                    old.rows_hash,
                    old.run,
                    cell.rows_hash
                ))),
            }
        };
        cells.into_iter().map(stamp).collect()
    }

    fn changed(&self, task: usize, cells: &[Arc<Cell>]) -> bool {
        cells.iter().any(|cell| {
            let old = self.board.published_cell(task, &cell.table);
            old.is_none_or(|old| old.rows_hash != cell.rows_hash)
        })
    }

    fn settled(
        &mut self,
        task: usize,
        outcome: Outcome,
        cells: Vec<Arc<Cell>>,
        stale: Option<usize>,
    ) {
        self.board.done(task, &cells, stale);
        if let Some(root) = stale {
            self.stale.insert(task, root);
        }
        let report = &mut self.reports[task];
        report.outcome = outcome;
        report.rows = cells.first().map_or(0, |cell| cell.rows);
        report.cells = cells;
        self.release(task);
    }

    fn hold(&mut self, task: usize, outcome: Outcome) {
        self.board.held(task);
        self.reports[task].outcome = outcome;
        self.release(task);
    }

    fn release(&mut self, task: usize) {
        let plan = self.plan;
        for reader in plan.readers(task) {
            let reader = *reader as usize;
            self.unsettled[reader] -= 1;
            if self.unsettled[reader] == 0 {
                self.ready.insert(reader);
            }
        }
    }

    fn wave_is_full(&self) -> bool {
        let seconds: f64 = self.wave.iter().map(|(_, cell)| cell.seconds).sum();
        self.wave.len() >= WAVE_CELLS || seconds >= WAVE_SECONDS
    }

    /// Makes the wave durable. If that fails its tasks have failed, and the run has to end.
    fn flush<R: Runner>(&mut self, runner: &R) -> Option<TaskFailure> {
        let (tasks, cells): (Vec<usize>, Vec<Cell>) =
            std::mem::take(&mut self.wave).into_iter().unzip();
        if cells.is_empty() {
            return None;
        }
        let Err(failure) = runner.flush(&cells) else {
            (self.events)(RunEvent::Flushed { cells: cells.len() });
            return None;
        };
        for task in tasks {
            let report = &mut self.reports[task];
            if let Outcome::Ran { reason, .. } = &report.outcome {
                report.outcome = Outcome::Failed {
                    reason: reason.clone(),
                    failure: failure.clone(),
                };
                report.rows = 0;
                report.cells.clear();
            }
        }
        Some(failure)
    }

    fn report(mut self, interrupted: bool, fatal: Option<TaskFailure>) -> RunReport {
        for (task, root) in &self.stale {
            self.reports[*task].stale = Some(self.plan.tasks[*root].task.clone());
        }
        let left = |task: &TaskReport| task.outcome == Outcome::NotReached;
        RunReport {
            interrupted: interrupted && self.reports.iter().any(left),
            tasks: self.reports,
            fatal,
        }
    }
}

fn defect(message: String) -> TaskFailure {
    TaskFailure {
        message,
        hint: Some(
            "this is a defect of the stage or of the program; nothing was published for it"
                .to_owned(),
        ),
        transient: false,
    }
}
