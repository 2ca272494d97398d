//! The cut of knowledge: rows that were known by an instant come out the same when later ones are dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use lakectl_core::{Cell, DayRange, UtcTime};
use lakectl_dag::{Outcome, RunReport, StageKind};

use super::compare::Comparison;
use super::cut::{Cut, known_by};
use super::process::{AuditWorld, LESS_RUN, Phase, Process, rows};
use super::{AuditEvent, Claim, is_audited, is_cut};
use crate::PipelineError;
use crate::reader::CellReader;
use crate::summary::failures;

impl Process<'_> {
    /// Computes what is known by an instant from nothing later, and compares. Returns whether it was stopped.
    pub(super) async fn knowledge(&mut self, at: UtcTime) -> Result<bool, PipelineError> {
        let (_folder, reader) = self.scratch()?;
        let stages = self.pipeline().stages().iter();
        let hidden = stages
            .filter(|stage| self.options.fresh || is_cut(stage))
            .flat_map(|stage| stage.outputs().cloned());
        let tell = |event| (self.options.events)(AuditEvent::Task(event));
        let report = self
            .execute(Phase {
                pipeline: self.pipeline(),
                coverages: &self.bench.assembly.coverages,
                selection: self.selection(self.days_until(at)?),
                world: AuditWorld {
                    pipeline: self.pipeline(),
                    base: &self.base,
                    cells: &self.whole,
                    hidden: hidden.collect(),
                    planned: BTreeSet::new(),
                },
                reader: Arc::clone(&reader),
                cut: Some(Cut {
                    until: at,
                    fresh: self.options.fresh,
                    whole: Arc::clone(&self.whole),
                    times: Arc::clone(&self.times),
                }),
                run: LESS_RUN,
                events: &tell,
            })
            .await?;
        if report.interrupted {
            return Ok(true);
        }
        self.failures.extend(failures(&report));
        for index in self.tables.keys().copied().collect::<Vec<_>>() {
            let stage = self.stage(index);
            // Normalised rows were cut and not made again; what documents give is a claim of its own.
            if is_audited(stage) && stage.kind != StageKind::Normalize {
                self.compare(index, at, &report, &reader)?;
            }
        }
        Ok(false)
    }

    /// The partitions that can hold a row known by `at`. Rows dated later than that should not be known yet; where some say
    /// that they are, everything is computed.
    fn days_until(&self, at: UtcTime) -> Result<DayRange, PipelineError> {
        let end = at.day().plus(2);
        for index in self.tables.keys() {
            let stage = self.stage(*index);
            if !is_audited(stage) || stage.kind == StageKind::Normalize {
                continue;
            }
            for cell in self.cells_of(&stage.table) {
                let later = cell.partition.days().is_some_and(|days| days.start >= end);
                let range = match later {
                    true => self.times.range(&self.reader, stage, cell)?,
                    false => None,
                };
                if range.is_some_and(|(first, _)| first <= at) {
                    return Ok(DayRange::ALL);
                }
            }
        }
        Ok(DayRange::new(DayRange::ALL.start, end))
    }

    /// Compares one table with what a run without later knowledge says of it.
    fn compare(
        &mut self,
        index: usize,
        at: UtcTime,
        report: &RunReport,
        reader: &CellReader,
    ) -> Result<(), PipelineError> {
        let stage = self.stage(index);
        let keys = stage.primary_key.iter().map(String::as_str);
        let mut comparison = Comparison::new(&stage.table, &stage.contract, keys);
        let mut computed = 0;
        let done = |outcome: &Outcome| {
            !matches!(
                outcome,
                Outcome::Failed { .. } | Outcome::Blocked { .. } | Outcome::NotReached
            )
        };
        let tasks = report.tasks.iter();
        for task in tasks.filter(|task| task.stage == index && done(&task.outcome)) {
            let (Some(before), Some(after)) = (self.whole.get(&task.task), task.cells.first())
            else {
                continue;
            };
            computed += usize::from(after.run == LESS_RUN);
            if before.rows_hash == after.rows_hash {
                comparison.same(self.times.count(reader, stage, before, at)?);
                continue;
            }
            let known = |cell: &Cell| known_by(&rows(reader, stage, cell)?, at);
            comparison.rows(&known(before)?, &known(after)?)?;
        }
        self.take(index, 0, Claim::LaterKnowledge, at, comparison, computed);
        Ok(())
    }
}
