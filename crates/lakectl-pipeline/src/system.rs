//! System tables that the pipeline knows the rows of: `system.runs`, `system.tasks`, `system.lineage`.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use arrow::array::RecordBatch;
use lakectl_core::{Contract, UtcTime};
use lakectl_sql::SystemTable;
use lakectl_store::{Lake, schema_of};

use crate::lineage::Lineage;
use crate::notes::{self, RunNote};
use crate::stages::{Out, batch};
use crate::{PipelineError, Workbench};

const RUNS: &str = "run utf8, who utf8, started ts, finished ts, version i64, outcome utf8, tasks i64, reused i64, \
                    restored i64, ran i64, failed i64, blocked i64, seconds f64, peak_memory_bytes i64?";
const TASKS: &str = "run utf8, table utf8, partition utf8, outcome utf8, reason utf8?, rows i64, bytes i64, seconds f64, \
                     process_peak_memory_bytes i64?";
const LINEAGE: &str = "table utf8, column utf8, input_table utf8, input_column utf8, kind utf8";

impl Workbench {
    /// Returns the system tables of a lake beside those that a version has of itself.
    pub(crate) fn system_tables(
        &self,
        lake: &Arc<Lake>,
    ) -> Result<Vec<SystemTable>, PipelineError> {
        let (of_runs, of_tasks) = (Arc::clone(lake), Arc::clone(lake));
        let (assembly, params) = (Arc::clone(&self.assembly), self.settings.params.clone());
        Ok(vec![
            made("runs", RUNS, move |contract| {
                runs(&all_notes(&of_runs)?, contract)
            })?,
            made("tasks", TASKS, move |contract| {
                tasks(&all_notes(&of_tasks)?, contract)
            })?,
            made("lineage", LINEAGE, move |contract| {
                // Queries are planned on a thread of their own: this one may be driving the query that asks.
                let found = thread::scope(|scope| {
                    let reading = scope.spawn(|| Lineage::of(&assembly, &params));
                    reading.join().unwrap_or_else(|panic| resume_unwind(panic))
                });
                lineage(&found?, contract)
            })?,
        ])
    }
}

fn made(
    name: &'static str,
    columns: &str,
    make: impl Fn(&Contract) -> Result<RecordBatch, PipelineError> + Send + Sync + 'static,
) -> Result<SystemTable, PipelineError> {
    let contract: Contract = columns.parse()?;
    let own = contract.clone();
    let rows = move || make(&own).map_err(|error| error.to_string());
    Ok(SystemTable::new(name, contract, rows))
}

/// Oldest first.
fn all_notes(lake: &Lake) -> Result<Vec<RunNote>, PipelineError> {
    let mut notes = notes::all(lake)?;
    notes.reverse();
    Ok(notes)
}

fn whole(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

fn runs(notes: &[RunNote], contract: &Contract) -> Result<RecordBatch, PipelineError> {
    let texts = |of: fn(&RunNote) -> &str| {
        Out::Utf8(notes.iter().map(|note| Some(of(note).to_owned())).collect())
    };
    let times = |of: fn(&RunNote) -> UtcTime| {
        Out::Ts(notes.iter().map(|note| Some(of(note).micros())).collect())
    };
    let counts = |of: fn(&RunNote) -> usize| {
        Out::I64(notes.iter().map(|note| whole(of(note) as u64)).collect())
    };
    let memory = notes
        .iter()
        .map(|note| note.peak_memory_bytes.and_then(whole));
    let columns = vec![
        texts(|note| &note.run),
        texts(|note| &note.who),
        times(|note| note.started),
        times(|note| note.finished),
        Out::I64(notes.iter().map(|note| whole(note.version)).collect()),
        texts(|note| &note.outcome),
        counts(|note| note.tasks.total),
        counts(|note| note.tasks.reused),
        counts(|note| note.tasks.restored),
        counts(|note| note.tasks.ran),
        counts(|note| note.tasks.failed),
        counts(|note| note.tasks.blocked),
        Out::F64(notes.iter().map(|note| Some(note.seconds)).collect()),
        Out::I64(memory.collect()),
    ];
    batch(&schema_of(contract), columns)
}

fn tasks(notes: &[RunNote], contract: &Contract) -> Result<RecordBatch, PipelineError> {
    let (mut runs, mut tables, mut partitions) = (vec![], vec![], vec![]);
    let (mut outcomes, mut reasons) = (vec![], vec![]);
    let (mut rows, mut bytes, mut seconds, mut peaks) = (vec![], vec![], vec![], vec![]);
    for note in notes {
        for task in note.done() {
            runs.push(Some(note.run.clone()));
            tables.push(Some(task.table.to_string()));
            partitions.push(Some(task.partition.to_string()));
            outcomes.push(Some(task.outcome.to_owned()));
            reasons.push(task.reason.map(str::to_owned));
            rows.push(whole(task.rows));
            bytes.push(whole(task.bytes));
            seconds.push(Some(task.seconds));
            peaks.push(task.process_peak_memory_bytes.and_then(whole));
        }
    }
    let columns = vec![
        Out::Utf8(runs),
        Out::Utf8(tables),
        Out::Utf8(partitions),
        Out::Utf8(outcomes),
        Out::Utf8(reasons),
        Out::I64(rows),
        Out::I64(bytes),
        Out::F64(seconds),
        Out::I64(peaks),
    ];
    batch(&schema_of(contract), columns)
}

fn lineage(lineage: &Lineage, contract: &Contract) -> Result<RecordBatch, PipelineError> {
    let edges: Vec<_> = lineage.edges().collect();
    let texts = |of: &dyn Fn(usize) -> String| {
        Out::Utf8((0..edges.len()).map(|index| Some(of(index))).collect())
    };
    let columns = vec![
        texts(&|i| edges[i].output.table.to_string()),
        texts(&|i| edges[i].output.column.clone()),
        texts(&|i| edges[i].input.table.to_string()),
        texts(&|i| edges[i].input.column.clone()),
        texts(&|i| edges[i].kind.word().to_owned()),
    ];
    batch(&schema_of(contract), columns)
}
