//! Structs that aggregates return: named numbers and a status.

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::scalar::ScalarStructBuilder;
use datafusion::common::{Result, ScalarValue};

/// The fields of a struct in their order. What is not known has a value of its type without content.
pub(super) type Record = Vec<(&'static str, ScalarValue)>;

/// A number, or none; one that is not finite is none.
pub(super) fn number(value: Option<f64>) -> ScalarValue {
    ScalarValue::Float64(value.filter(|v| v.is_finite()))
}

/// A count, or none.
pub(super) fn count(value: Option<usize>) -> ScalarValue {
    ScalarValue::Int64(value.and_then(|n| i64::try_from(n).ok()))
}

/// A word.
pub(super) fn word(value: Option<&str>) -> ScalarValue {
    ScalarValue::Utf8(value.map(str::to_owned))
}

/// Numbers in a list, or none.
pub(super) fn list(values: Option<&[f64]>) -> ScalarValue {
    let items: Vec<ScalarValue> = values
        .unwrap_or_default()
        .iter()
        .map(|x| number(Some(*x)))
        .collect();
    match values {
        Some(_) => ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Float64)),
        None => ScalarValue::new_null_list(DataType::Float64, true, 1),
    }
}

/// The type of such a struct.
pub(super) fn record_type(record: &Record) -> DataType {
    DataType::Struct(fields(record))
}

/// The struct itself.
pub(super) fn record_value(record: Record) -> Result<ScalarValue> {
    let fields = fields(&record);
    fields
        .iter()
        .zip(record)
        .fold(ScalarStructBuilder::new(), |row, (field, (_, value))| {
            row.with_scalar(field.clone(), value)
        })
        .build()
}

fn fields(record: &Record) -> Fields {
    record
        .iter()
        .map(|(name, value)| Field::new(*name, value.data_type(), true))
        .collect()
}

/// Rows of a group without a missing value, as `N` numbers each.
pub(super) fn complete_rows<const N: usize>(columns: &[&[f64]]) -> Vec<[f64; N]> {
    let rows = columns.first().map_or(0, |column| column.len());
    (0..rows)
        .map(|row| std::array::from_fn(|i| columns[i][row]))
        .filter(|row: &[f64; N]| !row.iter().any(|value| value.is_nan()))
        .collect()
}

/// The one value that a column has in all rows; the error names the case.
pub(super) fn only<const N: usize>(
    rows: &[[f64; N]],
    column: usize,
    several: &'static str,
) -> std::result::Result<f64, &'static str> {
    let first = rows.first().ok_or("no_rows")?[column];
    if rows.iter().all(|row| row[column] == first) {
        Ok(first)
    } else {
        Err(several)
    }
}
