//! Rows on their way in and out of a task: sorted, cut to a window, held against their partition.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{SortColumn, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Date32Type, Field, SchemaRef, TimestampMicrosecondType};
use lakectl_core::{DayRange, Grain, PartitionKey, UtcTime};
use lakectl_dag::{Member, StageDecl};

use crate::PipelineError;

/// The order of normalised rows: by time, then whatever names the row, then by arrival.
pub(crate) const NORM_ORDER: [&str; 9] = [
    "event_time",
    "asset",
    "instrument",
    "metric",
    "series",
    "venue",
    "document_time",
    "document_id",
    "sequence",
];
/// The order of rejects.
pub(crate) const REJECTS_ORDER: [&str; 3] = ["document", "row", "reason"];

/// Sorts by those of the columns that there are.
pub(crate) fn sorted(rows: &RecordBatch, order: &[&str]) -> Result<RecordBatch, PipelineError> {
    let columns: Vec<SortColumn> = order
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn {
            values: Arc::clone(values),
            options: None,
        })
        .collect();
    if rows.num_rows() < 2 {
        return Ok(rows.clone());
    }
    Ok(take_record_batch(
        rows,
        &lexsort_to_indices(&columns, None)?,
    )?)
}

/// The day of each row; `None` where the column is null.
fn days_of(rows: &RecordBatch, column: &str) -> Result<Vec<Option<i32>>, PipelineError> {
    let values = rows
        .column_by_name(column)
        .ok_or_else(|| PipelineError::stage(format!("there is no time column `{column}`")))?;
    match values.data_type() {
        DataType::Date32 => Ok(values.as_primitive::<Date32Type>().iter().collect()),
        DataType::Timestamp(_, _) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>();
            Ok(micros
                .iter()
                .map(|t| t.map(|t| UtcTime::from_micros(t).day().days()))
                .collect())
        }
        other => Err(PipelineError::stage(format!(
            "the time column `{column}` is of type {other}"
        ))),
    }
}

/// Returns the rows whose time lies in `cut`.
pub(crate) fn cut_rows(
    batch: &RecordBatch,
    column: &str,
    cut: DayRange,
) -> Result<RecordBatch, PipelineError> {
    let inside = |day: Option<i32>| day.map(|day| cut.start.days() <= day && day < cut.end.days());
    let keep: BooleanArray = days_of(batch, column)?.into_iter().map(inside).collect();
    Ok(filter_record_batch(batch, &keep)?)
}

/// Refuses rows that a reader would look for in another partition.
pub(crate) fn check_membership(
    stage: &StageDecl,
    partition: &PartitionKey,
    period: DayRange,
    rows: &RecordBatch,
) -> Result<(), PipelineError> {
    let wrong = |row: usize, column: &str, found: String| {
        PipelineError::stage(format!(
            "row {row} has {column} = {found}, which does not belong to partition {partition}; nothing was stored"
        ))
    };
    for key in &stage.keys {
        let expected = partition.get(key).unwrap_or_default();
        let Some(values) = rows.column_by_name(key) else {
            return Err(PipelineError::stage(format!(
                "the partition column `{key}` is not among the columns"
            )));
        };
        let values = values.as_string::<i32>();
        if let Some(row) =
            (0..values.len()).find(|row| values.is_null(*row) || values.value(*row) != expected)
        {
            let found = if values.is_null(row) {
                "null"
            } else {
                values.value(row)
            };
            return Err(wrong(row, key, format!("`{found}`")));
        }
    }
    if let (Some(column), true) = (&stage.time_column, stage.grain != Grain::None) {
        let inside = |day: &Option<i32>| {
            day.is_some_and(|day| period.start.days() <= day && day < period.end.days())
        };
        let days = days_of(rows, column)?;
        if let Some(row) = days.iter().position(|day| !inside(day)) {
            let found = days[row].map_or("null".to_owned(), |day| {
                lakectl_core::Day::from_days(day).to_string()
            });
            return Err(wrong(row, column, found));
        }
    }
    Ok(())
}

/// Brings rows into the declared columns by name: a cell that is kept although its task failed, or that no plan reaches
/// any more, has the columns of its own day.
pub(crate) fn in_order(
    member: &Member,
    schema: &SchemaRef,
    batch: RecordBatch,
) -> Result<RecordBatch, PipelineError> {
    let found = batch.schema();
    let same =
        |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && a.data_type() == b.data_type();
    if found.fields().len() == schema.fields().len()
        && found.fields().iter().zip(schema.fields()).all(same)
    {
        return Ok(batch);
    }
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
        _ => Err(PipelineError::stage(format!(
            "{} {} was written under another contract and has no column `{}` of type {}; compute it first",
            member.table,
            member.partition,
            field.name(),
            field.data_type()
        ))),
    });
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        columns.collect::<Result<_, _>>()?,
    )?)
}
