//! The cut of the documents: what a document gives does not depend on documents recorded after it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use lakectl_core::{Cell, Contract, DayRange, TableId, TaskKey, UtcTime};
use lakectl_dag::StageKind;
use lakectl_sources::rejects_contract;
use lakectl_store::schema_of;

use super::compare::Comparison;
use super::process::Process;
use super::{Claim, is_audited};
use crate::PipelineError;
use crate::assembly::BoundDataset;
use crate::compute::parse_partition;
use crate::harvest::{self, StoredDocument};
use crate::rows::{NORM_ORDER, REJECTS_ORDER};

impl Process<'_> {
    /// Parses the documents recorded by an instant without the later ones and compares their rows and rejects.
    pub(super) fn documents(&mut self, at: UtcTime) -> Result<(), PipelineError> {
        let assembly = std::sync::Arc::clone(&self.bench.assembly);
        for index in self.tables.keys().copied().collect::<Vec<_>>() {
            let stage = &assembly.pipeline.stages()[index];
            let raw = stage.inputs.first().map(|input| &input.table);
            let bound = raw.and_then(|raw| assembly.datasets.get(raw));
            let Some(bound) = bound.filter(|_| stage.kind == StageKind::Normalize) else {
                continue;
            };
            if !is_audited(stage) {
                continue;
            }
            let rejects = rejects_contract();
            let mut comparisons = [
                Comparison::new(&bound.norm, &stage.contract, NORM_ORDER),
                Comparison::new(&bound.quarantine, &rejects, REJECTS_ORDER),
            ];
            let partitions: Vec<_> = self.base.partitions(&bound.raw).collect();
            let mut parsed = 0;
            for (_, cell) in partitions {
                parsed += usize::from(self.partition(bound, cell, at, &mut comparisons)?);
            }
            for (place, comparison) in comparisons.into_iter().enumerate() {
                self.take(index, place, Claim::LaterDocuments, at, comparison, parsed);
            }
        }
        Ok(())
    }

    /// Compares one partition; tells whether documents had to be parsed again.
    fn partition(
        &self,
        bound: &BoundDataset,
        raw: &Cell,
        at: UtcTime,
        comparisons: &mut [Comparison<'_>; 2],
    ) -> Result<bool, PipelineError> {
        let result = |table: &TableId| {
            self.whole.get(&TaskKey {
                table: table.clone(),
                partition: raw.partition.clone(),
            })
        };
        let (Some(rows), Some(rejects)) = (result(&bound.norm), result(&bound.quarantine)) else {
            return Ok(false);
        };
        let names = Names::of(&self.outlines(bound, raw)?, at);
        if names.early.is_empty() {
            return Ok(false);
        }
        if names.late.is_empty() {
            comparisons[0].same(rows.rows);
            comparisons[1].same(rejects.rows);
            return Ok(false);
        }
        let stored = harvest::stored(&self.reader.home(raw).read(raw, None)?)?;
        let (early, late): (Vec<_>, Vec<_>) = stored
            .into_iter()
            .partition(|document| names.early.contains(&document.document.name));
        // A body that a later name has as well says nothing of which of the two gave a row.
        let ids = |documents: &[StoredDocument]| -> BTreeSet<String> {
            documents
                .iter()
                .map(|d| d.document.id.to_string())
                .collect()
        };
        let alone: BTreeSet<String> = ids(&early).difference(&ids(&late)).cloned().collect();
        let period = raw.partition.days().unwrap_or(DayRange::ALL);
        let assembly = &self.bench.assembly;
        let after = parse_partition(assembly, bound, &raw.partition, period, vec![early])?;
        let before = [
            self.all(rows, comparisons[0].contract())?,
            self.all(rejects, comparisons[1].contract())?,
        ];
        for ((comparison, before), after) in
            comparisons.iter_mut().zip(before).zip([after.0, after.1])
        {
            comparison.rows(
                &of_documents(&before, &alone)?,
                &of_documents(&after, &alone)?,
            )?;
        }
        Ok(true)
    }

    /// Reads the names and times of the documents of a partition, without their bodies.
    fn outlines(
        &self,
        bound: &BoundDataset,
        raw: &Cell,
    ) -> Result<Vec<(String, Option<UtcTime>)>, PipelineError> {
        let columns = ["name", "document_time"].map(str::to_owned);
        let batches = self.reader.home(raw).read(raw, Some(&columns))?;
        let mut outlines = Vec::new();
        for batch in &batches {
            let names = batch.column(0).as_string::<i32>();
            let times = batch
                .column(1)
                .as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            for (name, time) in names.iter().zip(times) {
                let name = name.unwrap_or_default().to_owned();
                let stored = time.map(UtcTime::from_micros);
                let time = harvest::declared_time(bound, &name, stored);
                outlines.push((name, time));
            }
        }
        Ok(outlines)
    }

    fn all(&self, cell: &Cell, contract: &Contract) -> Result<RecordBatch, PipelineError> {
        let batches = self.reader.read(cell)?;
        let schema = schema_of(contract);
        Ok(arrow::compute::concat_batches(&schema, batches.iter())?)
    }
}

/// The names of a partition's documents. Of bodies under one name the later ones decide about the earlier, so a name counts
/// as late if one of its bodies is; a document without a time is there from the beginning.
struct Names {
    early: BTreeSet<String>,
    late: BTreeSet<String>,
}

impl Names {
    fn of(outlines: &[(String, Option<UtcTime>)], at: UtcTime) -> Self {
        let mut newest: BTreeMap<&String, Option<UtcTime>> = BTreeMap::new();
        for (name, time) in outlines {
            let entry = newest.entry(name).or_default();
            *entry = (*entry).max(*time);
        }
        let (late, early): (Vec<_>, Vec<_>) = newest
            .into_iter()
            .partition(|(_, time)| time.is_some_and(|time| time > at));
        let names = |pairs: Vec<(&String, Option<UtcTime>)>| -> BTreeSet<String> {
            pairs.into_iter().map(|(name, _)| name.clone()).collect()
        };
        Self {
            early: names(early),
            late: names(late),
        }
    }
}

/// Returns the rows that came from some documents.
fn of_documents(rows: &RecordBatch, ids: &BTreeSet<String>) -> Result<RecordBatch, PipelineError> {
    let Some(column) = rows.column_by_name("document_id") else {
        return Err(PipelineError::stage("rows that do not name their document"));
    };
    let keep: BooleanArray = column
        .as_string::<i32>()
        .iter()
        .map(|id| Some(id.is_some_and(|id| ids.contains(id))))
        .collect();
    Ok(filter_record_batch(rows, &keep)?)
}
