//! The cut of the starts: a partition that begins later has the same rows for the days that remain.
//!
//! A task reads from a fixed number of days before its partition on, so the first rows of a partition have seen less than the
//! last ones. If the warm-up is long enough for what the query does, no row can tell. If it is not, rows depend on where
//! partitions begin, and those of another grain, or of a lake that begins later, would be others.

use std::collections::BTreeSet;
use std::sync::Arc;

use lakectl_core::{Cell, DayRange, Grain, TaskKey, UtcTime};
use lakectl_dag::{Outcome, Pipeline, Selection, StageDecl, StageKind, Window};

use super::compare::Comparison;
use super::process::{AuditWorld, LESS_RUN, Phase, Process, rows};
use super::{Claim, is_audited};
use crate::PipelineError;
use crate::reader::CellReader;
use crate::rows::cut_rows;
use crate::summary::failures;

/// The coverage of a stage whose partitions begin later. No profile can declare such a name.
const LATER: &str = "audit: later start";

/// Returns why the partitions of a stage cannot begin later, or `None` if they can.
pub(super) fn fixed(pipeline: &Pipeline, index: usize) -> Option<&'static str> {
    let stage = &pipeline.stages()[index];
    if !matches!(stage.kind, StageKind::Sql | StageKind::Native(_)) {
        return Some("its partitions are those of documents");
    }
    if stage.coverage.is_none() || stage.time_column.is_none() {
        return Some("its partitions have no days");
    }
    let unbounded = |window: &Window| matches!(window, Window::All | Window::AllBefore);
    if stage.inputs.iter().any(|input| unbounded(&input.window)) {
        return Some("a window without a bound reads all there is");
    }
    match stage.grain {
        Grain::None => Some("it has one partition for all days"),
        Grain::Day => Some("a partition of one day cannot begin later"),
        Grain::Month | Grain::Year if is_anchored(pipeline, index) => Some(
            "anchored to the calendar: it is refitted, or reads what is, at the start of a partition",
        ),
        Grain::Month | Grain::Year => None,
    }
}

/// Tells whether a stage declares that its rows belong to the start of their partition: a window ends there, or the rows of
/// such a stage are read for the same period.
fn is_anchored(pipeline: &Pipeline, index: usize) -> bool {
    let stage = &pipeline.stages()[index];
    stage
        .inputs
        .iter()
        .zip(pipeline.inputs(index))
        .any(|(input, bound)| {
            let makers = || bound.tables.iter().map(|table| pipeline.tables()[*table].1);
            match input.window {
                Window::Lookback { until_start, .. } => until_start,
                Window::LatestBefore { .. } => true,
                Window::SelfPeriod => makers().any(|maker| is_anchored(pipeline, maker)),
                Window::AllBefore | Window::All => false,
            }
        })
}

impl Process<'_> {
    /// Computes the partitions that hold an instant as if they began on its day. Returns whether it was stopped.
    pub(super) async fn starts(&mut self, at: UtcTime) -> Result<bool, PipelineError> {
        let stages: Vec<usize> = self.tables.keys().copied().collect();
        for index in stages {
            let stage = Arc::clone(&self.pipeline().stages()[index]);
            let fixed = fixed(self.pipeline(), index).is_some();
            if fixed || !is_audited(&stage) || !self.begins_before(&stage, at) {
                continue;
            }
            if self.start(index, &stage, at).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells whether a partition of the stage begins before the day of the instant and holds it.
    fn begins_before(&self, stage: &StageDecl, at: UtcTime) -> bool {
        let (day, coverages) = (at.day(), &self.bench.assembly.coverages);
        let coverage = stage.coverage.as_ref().and_then(|name| coverages.get(name));
        let first = coverage.map(|coverage| coverage.start.max(stage.grain.floor(day)));
        day < self.end && first.is_some_and(|first| first < day)
    }

    async fn start(
        &mut self,
        index: usize,
        stage: &StageDecl,
        at: UtcTime,
    ) -> Result<bool, PipelineError> {
        let (_folder, reader) = self.scratch()?;
        let whole = Arc::clone(&self.whole);
        let mut stages: Vec<StageDecl> = self
            .pipeline()
            .stages()
            .iter()
            .map(|stage| StageDecl::clone(stage))
            .collect();
        stages[index].coverage = Some(LATER.to_owned());
        let pipeline = Pipeline::build(stages, self.pipeline().unions().clone())?;
        let mut coverages = self.bench.assembly.coverages.clone();
        let own = stage.coverage.as_ref().and_then(|name| coverages.get(name));
        if let Some(mut later) = own.cloned() {
            later.start = at.day();
            coverages.insert(LATER.to_owned(), later);
        }
        let report = self
            .execute(Phase {
                pipeline: &pipeline,
                coverages: &coverages,
                selection: Selection {
                    select: vec![stage.table.to_string()],
                    days: DayRange::new(at.day(), at.day().plus(1)),
                    ..Selection::default()
                },
                world: AuditWorld {
                    pipeline: &pipeline,
                    base: &self.base,
                    cells: &whole,
                    hidden: BTreeSet::new(),
                    planned: BTreeSet::new(),
                },
                reader: Arc::clone(&reader),
                cut: None,
                run: LESS_RUN,
                events: &|_| {},
            })
            .await?;
        if report.interrupted {
            return Ok(true);
        }
        self.failures.extend(failures(&report));
        let keys = stage.primary_key.iter().map(String::as_str);
        let mut comparison = Comparison::new(&stage.table, &stage.contract, keys);
        for task in report
            .tasks
            .iter()
            .filter(|task| task.task.table == stage.table)
        {
            if let (Outcome::Ran { .. }, Some(after)) = (&task.outcome, task.cells.first()) {
                compare(&mut comparison, &whole, &reader, stage, after, at)?;
            }
        }
        self.take(index, 0, Claim::EarlierStart, at, comparison, 0);
        Ok(false)
    }
}

/// Compares the rows of the days from the instant's on.
fn compare(
    comparison: &mut Comparison<'_>,
    whole: &super::cut::Cells,
    reader: &CellReader,
    stage: &StageDecl,
    after: &Cell,
    at: UtcTime,
) -> Result<(), PipelineError> {
    let task: TaskKey = after.task();
    let (Some(before), Some(column)) = (whole.get(&task), stage.time_column.as_deref()) else {
        return Ok(());
    };
    let remaining = DayRange::new(at.day(), DayRange::ALL.end);
    let kept = |cell: &Cell| cut_rows(&rows(reader, stage, cell)?, column, remaining);
    comparison.rows(&kept(before)?, &kept(after)?)
}
