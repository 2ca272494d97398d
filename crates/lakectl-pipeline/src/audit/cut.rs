//! The cut: rows known after an instant are left out where rows enter the graph.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use lakectl_core::{Cell, Fingerprint, TaskKey, UtcTime};
use lakectl_dag::{StageDecl, StageKind, TaskSpec, output_fingerprint};
use lakectl_store::schema_of;

use super::{KNOWN_AT, is_cut};
use crate::PipelineError;
use crate::compute::{Output, Shared, write_spec};
use crate::reader::CellReader;

/// Results by task.
pub(super) type Cells = BTreeMap<TaskKey, Arc<Cell>>;

/// What a run of an audit must not know, and what the same definitions give when nothing is left out.
#[derive(Clone)]
pub(crate) struct Cut {
    /// The last instant whose knowledge stays.
    pub(super) until: UtcTime,
    /// Whether canonical tables are computed even if they read the same as without a cut.
    pub(super) fresh: bool,
    /// The results without a cut.
    pub(super) whole: Arc<Cells>,
    /// When their rows were known.
    pub(super) times: Arc<KnownTimes>,
}

impl Cut {
    /// Returns the results of a task that follow from those without a cut by leaving rows out, if they do.
    ///
    /// Normalised rows are cut and not parsed again. A canonical table whose inputs were not touched is cut as well; one
    /// that reads less than before has to be computed.
    pub(crate) fn cells(
        &self,
        shared: &Shared,
        spec: &TaskSpec,
    ) -> Result<Option<Vec<Cell>>, PipelineError> {
        let stage = &spec.stage;
        if !is_cut(stage) {
            return Ok(None);
        }
        let mut cells = Vec::new();
        for table in stage.outputs() {
            let task = TaskKey {
                table: table.clone(),
                partition: spec.task.partition.clone(),
            };
            let found = self.whole.get(&task).filter(|cell| {
                let wanted = output_fingerprint(spec.fingerprint, &stage.table, table);
                stage.kind == StageKind::Normalize || (!self.fresh && cell.fingerprint == wanted)
            });
            match found {
                Some(cell) if *table == stage.table => {
                    cells.push(self.without_later(shared, spec, cell)?);
                }
                Some(cell) => cells.push((**cell).clone()),
                None => return Ok(None),
            }
        }
        Ok(Some(cells))
    }

    /// Leaves out the rows of a cell that are known later; a cell that loses none stays where it is.
    fn without_later(
        &self,
        shared: &Shared,
        spec: &TaskSpec,
        cell: &Cell,
    ) -> Result<Cell, PipelineError> {
        let clock = Instant::now();
        let stage = &spec.stage;
        let range = self.times.range(&shared.reader, stage, cell)?;
        if range.is_none_or(|(_, last)| last <= self.until) {
            return Ok(cell.clone());
        }
        let schema = schema_of(&stage.contract);
        let rows = match range {
            Some((first, _)) if first <= self.until => shared.reader.read(cell)?,
            _ => Arc::from([]),
        };
        let output = Output {
            table: stage.table.clone(),
            rows: known_by(&concat_batches(&schema, rows.iter())?, self.until)?,
            schema,
            spec: write_spec(stage),
        };
        shared.write(spec, output, clock)
    }

    /// Leaves out what a computed canonical table says of later times.
    pub(crate) fn known(
        &self,
        stage: &StageDecl,
        rows: RecordBatch,
    ) -> Result<RecordBatch, PipelineError> {
        match is_cut(stage) {
            true => known_by(&rows, self.until),
            false => Ok(rows),
        }
    }
}

/// Leaves out the rows known after `until`; rows without `known_at` stay.
pub(super) fn known_by(rows: &RecordBatch, until: UtcTime) -> Result<RecordBatch, PipelineError> {
    let Some(column) = rows.column_by_name(KNOWN_AT) else {
        return Ok(rows.clone());
    };
    let known = column.as_primitive::<TimestampMicrosecondType>();
    let keep: BooleanArray = known
        .iter()
        .map(|t| Some(t.is_some_and(|t| t <= until.micros())))
        .collect();
    Ok(filter_record_batch(rows, &keep)?)
}

/// From when to when the rows of files were known, each file looked at once.
#[derive(Default)]
pub(super) struct KnownTimes(Mutex<BTreeMap<Fingerprint, Option<(UtcTime, UtcTime)>>>);

impl KnownTimes {
    /// Returns the first and the last time at which a row of the cell could be used; `None` if no row says so.
    pub(super) fn range(
        &self,
        reader: &CellReader,
        stage: &StageDecl,
        cell: &Cell,
    ) -> Result<Option<(UtcTime, UtcTime)>, PipelineError> {
        let Some(file) = &cell.file else {
            return Ok(None);
        };
        // The guarded map is valid after every statement.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(range) = lock().get(&file.hash) {
            return Ok(*range);
        }
        let mut range: Option<(i64, i64)> = None;
        for known in known_times(reader, stage, cell)? {
            range = Some(range.map_or((known, known), |(first, last)| {
                (first.min(known), last.max(known))
            }));
        }
        let range =
            range.map(|(first, last)| (UtcTime::from_micros(first), UtcTime::from_micros(last)));
        lock().insert(file.hash, range);
        Ok(range)
    }

    /// Counts the rows of a cell that were known by `until`.
    pub(super) fn count(
        &self,
        reader: &CellReader,
        stage: &StageDecl,
        cell: &Cell,
        until: UtcTime,
    ) -> Result<u64, PipelineError> {
        match self.range(reader, stage, cell)? {
            None => Ok(0),
            Some((_, last)) if last <= until => Ok(cell.rows),
            Some((first, _)) if first > until => Ok(0),
            Some(_) => {
                let known = known_times(reader, stage, cell)?;
                Ok(known.iter().filter(|t| **t <= until.micros()).count() as u64)
            }
        }
    }
}

/// Reads when the rows of a cell were known, in microseconds.
fn known_times(
    reader: &CellReader,
    stage: &StageDecl,
    cell: &Cell,
) -> Result<Vec<i64>, PipelineError> {
    if stage.contract.get(KNOWN_AT).is_none() {
        return Ok(Vec::new());
    }
    let batches = reader.home(cell).read(cell, Some(&[KNOWN_AT.to_owned()]))?;
    let columns = batches.iter().map(|batch| batch.column(0));
    Ok(columns
        .flat_map(|column| column.as_primitive::<TimestampMicrosecondType>().iter())
        .flatten()
        .collect())
}
