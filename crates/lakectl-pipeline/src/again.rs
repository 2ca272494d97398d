//! A run that lost the race for the next version plans again. What it has computed and fetched before is not lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use lakectl_core::{Cell, TaskKey};
use lakectl_dag::{Outcome, RunReport, StageKind, TaskReport};
use lakectl_store::{Lake, Snapshot, WriteSpec, schema_of};

use crate::harvest::{self, StoredDocument};
use crate::{PipelineError, RunOptions, Workbench};

/// What the earlier attempts of a run have done.
#[derive(Default)]
pub(crate) struct Earlier {
    /// Tasks that were computed.
    ran: BTreeMap<TaskKey, TaskReport>,
}

impl Earlier {
    /// Adds an attempt whose commit came too late.
    pub(crate) fn add(&mut self, report: RunReport) {
        for task in report.tasks {
            if matches!(task.outcome, Outcome::Ran { .. }) {
                self.ran.insert(task.task.clone(), task);
            }
        }
    }

    /// Returns the raw partitions that this run has fetched, each joined with what another run has fetched for it since.
    /// They stand for new ones in the next attempt: a source may not give the same documents twice.
    pub(crate) fn fetched(
        &self,
        bench: &Workbench,
        lake: &Lake,
        (began, head): (&Snapshot, &Snapshot),
        options: &RunOptions<'_>,
    ) -> Result<Vec<Arc<Cell>>, PipelineError> {
        let stages = bench.assembly.pipeline.stages();
        let raw = self
            .ran
            .values()
            .filter(|task| stages[task.stage].kind == StageKind::Harvest);
        let mut fetched = Vec::new();
        for ours in raw.flat_map(|task| &task.cells) {
            let at = |version: &Snapshot| version.cell(&ours.table, &ours.partition).cloned();
            let (base, theirs) = (at(began), at(head));
            let rows = |cell: &Option<Arc<Cell>>| cell.as_ref().map(|cell| cell.rows_hash);
            if rows(&base) == rows(&theirs) || rows(&theirs) == Some(ours.rows_hash) {
                fetched.push(Arc::clone(ours));
            } else if let Some(theirs) = theirs
                && bench.keeps_documents(&ours.table)
            {
                let sides = Sides {
                    base: base.as_deref(),
                    ours,
                    theirs: &theirs,
                };
                fetched.push(Arc::new(bench.join(lake, &sides, &options.run_id)?));
            }
        }
        Ok(fetched)
    }

    /// Returns the report of the last attempt, in which what was computed before counts as computed.
    pub(crate) fn joined_to(mut self, mut report: RunReport) -> RunReport {
        for task in &mut report.tasks {
            let taken = matches!(task.outcome, Outcome::Restored | Outcome::Reused);
            let Some(ran) = self.ran.remove(&task.task).filter(|_| taken) else {
                continue;
            };
            let same = |(a, b): (&Arc<Cell>, &Arc<Cell>)| a.fingerprint == b.fingerprint;
            if task.cells.iter().zip(&ran.cells).all(same) {
                task.outcome = ran.outcome;
                task.seconds = ran.seconds;
            }
        }
        report
    }
}

/// A raw partition that two have added documents to.
pub(crate) struct Sides<'a> {
    /// What both began with.
    pub(crate) base: Option<&'a Cell>,
    /// What one has: its fingerprint is that of the joined partition.
    pub(crate) ours: &'a Cell,
    /// What the other has published.
    pub(crate) theirs: &'a Cell,
}

impl Workbench {
    /// Tells whether a raw table keeps every document that was ever fetched; a simulation gives its own again.
    pub(crate) fn keeps_documents(&self, table: &lakectl_core::TableId) -> bool {
        let bound = self.assembly.datasets.get(table);
        bound.is_some_and(|bound| !harvest::can_repeat(bound))
    }

    /// Writes and records the union of two sides of a raw partition.
    pub(crate) fn join(
        &self,
        lake: &Lake,
        sides: &Sides<'_>,
        run: &str,
    ) -> Result<Cell, PipelineError> {
        let clock = Instant::now();
        let documents = |cell: Option<&Cell>| -> Result<Vec<StoredDocument>, PipelineError> {
            match cell {
                Some(cell) => harvest::stored(&lake.read(cell, None)?),
                None => Ok(Vec::new()),
            }
        };
        let (ours, theirs) = (sides.ours, sides.theirs);
        let stage = self.assembly.pipeline.stage_of(&ours.table);
        let contract = stage.map(|stage| stage.contract.clone());
        let schema = schema_of(&contract.unwrap_or_default());
        let (base, theirs) = (documents(sides.base)?, documents(Some(theirs))?);
        let all = harvest::join(&base, documents(Some(ours))?, theirs);
        let spec = WriteSpec {
            compress: harvest::is_compressible(all.iter().map(|one| &one.document)),
            ..WriteSpec::default()
        };
        let rows = harvest::rows(all, &schema)?;
        let written = lake.write_rows(&ours.table, &ours.partition, &[rows], &schema, &spec)?;
        let seconds = clock.elapsed().as_secs_f64();
        let parts = lake.parts(ours)?;
        let cell = written.into_cell(ours.task(), ours.fingerprint, parts, run, seconds);
        lake.record(run, std::slice::from_ref(&cell))?;
        Ok(cell.lean())
    }
}
