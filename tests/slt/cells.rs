//! Cells of text as Arrow columns, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use lakectl_core::{Column, ColumnType, Contract, Day, DayRange, UtcTime};
use lakectl_store::schema_of;

use crate::script::{Expected, Row};

const DAY: i64 = 86_400_000_000;

/// Builds a table; a column that a row leaves out is the default, else null, else empty.
pub(crate) fn table(contract: &Contract, rows: &[Row], defaults: Option<&Row>) -> RecordBatch {
    for name in rows.iter().flat_map(Row::keys) {
        assert!(contract.get(name).is_some(), "there is no column {name}");
    }
    let columns = contract.columns().iter().map(|column| -> ArrayRef {
        let default = defaults.and_then(|row| row.get(&column.name));
        let cells = rows.iter().map(|row| {
            let cell = row.get(&column.name).or(default).map(String::as_str);
            match cell {
                Some("-") => None,
                Some(cell) => Some(cell),
                None if column.nullable => None,
                None => Some(empty(column)),
            }
        });
        match column.kind {
            ColumnType::Utf8 => Arc::new(StringArray::from_iter(cells)),
            ColumnType::F64 => Arc::new(Float64Array::from_iter(cells.map(|c| c.map(number)))),
            ColumnType::I64 => Arc::new(Int64Array::from_iter(
                cells.map(|c| c.map(|c| c.parse::<i64>().unwrap())),
            )),
            ColumnType::Bool => Arc::new(BooleanArray::from_iter(
                cells.map(|c| c.map(|c| c == "true")),
            )),
            ColumnType::Ts => Arc::new(
                TimestampMicrosecondArray::from_iter(cells.map(|c| c.map(micros)))
                    .with_timezone("UTC"),
            ),
            ColumnType::Date => Arc::new(Date32Array::from_iter(
                cells.map(|c| c.map(|c| (micros(c) / DAY) as i32)),
            )),
            ColumnType::Binary => panic!("no bytes here"),
        }
    });
    RecordBatch::try_new(schema_of(contract), columns.collect()).unwrap()
}

const fn empty(column: &Column) -> &'static str {
    match column.kind {
        ColumnType::Utf8 | ColumnType::Binary => "",
        ColumnType::F64 | ColumnType::I64 => "0",
        ColumnType::Bool => "false",
        ColumnType::Ts | ColumnType::Date => "1970-01-01",
    }
}

/// A number, or a product of numbers (`100*1.5`).
fn number(cell: &str) -> f64 {
    let parse = |text: &str| {
        text.trim()
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("{cell}"))
    };
    cell.split('*').map(parse).product()
}

/// `2026-01-05 +9h -1us`: a day and lengths.
fn micros(cell: &str) -> i64 {
    let mut words = cell.split_whitespace();
    let base: UtcTime = words.next().unwrap().parse().unwrap();
    base.micros() + words.map(length).sum::<i64>()
}

fn length(word: &str) -> i64 {
    let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let unit = match &word[split..] {
        "us" => 1,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => DAY,
        other => panic!("unit {other}"),
    };
    word[..split].parse::<i64>().unwrap() * unit
}

fn days(batch: &RecordBatch, column: &str) -> Vec<i32> {
    let array = batch.column_by_name(column).unwrap();
    match array.data_type() {
        DataType::Date32 => array.as_primitive::<Date32Type>().values().to_vec(),
        _ => array
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .iter()
            .map(|t| t.div_euclid(DAY) as i32)
            .collect(),
    }
}

/// Keeps the rows of the days that a window grants.
pub(crate) fn cut(batch: &RecordBatch, column: &str, window: DayRange) -> RecordBatch {
    let inside = |day: i32| Some(window.start.days() <= day && day < window.end.days());
    let keep: BooleanArray = days(batch, column).into_iter().map(inside).collect();
    filter_record_batch(batch, &keep).unwrap()
}

/// Compares the looked-at columns of a result with the expected rows.
pub(crate) fn differences(found: &RecordBatch, expected: Option<&Expected>) -> Option<String> {
    let none = Expected {
        columns: Vec::new(),
        rows: Vec::new(),
    };
    let expected = expected.unwrap_or(&none);
    let mut lines = Vec::new();
    if found.num_rows() != expected.rows.len() {
        lines.push(format!(
            "{} rows, expected {}",
            found.num_rows(),
            expected.rows.len()
        ));
    }
    for (index, row) in expected.rows.iter().enumerate().take(found.num_rows()) {
        for column in &expected.columns {
            let array = found
                .column_by_name(column)
                .unwrap_or_else(|| panic!("the result has no column {column}"));
            if !agrees(array, index, &row[column]) {
                let shown = show(array, index);
                lines.push(format!(
                    "row {index} {column}: found {shown}, expected {}",
                    row[column]
                ));
            }
        }
    }
    if lines.is_empty() {
        return None;
    }
    for index in 0..found.num_rows().min(60) {
        let shown = expected.columns.iter().map(|column| {
            let array = found.column_by_name(column).unwrap();
            show(array, index)
        });
        lines.push(shown.collect::<Vec<_>>().join(" | "));
    }
    Some(lines.join("\n"))
}

fn agrees(array: &ArrayRef, row: usize, cell: &str) -> bool {
    if cell == "?" {
        return true;
    }
    if array.is_null(row) || cell == "-" {
        return array.is_null(row) && cell == "-";
    }
    match array.data_type() {
        DataType::Float64 => {
            let decimals = cell.split_once('.').map_or(0, |(_, digits)| digits.len());
            let half = 0.5 * 10_f64.powi(-(decimals as i32)) * 1.000_001;
            (array.as_primitive::<Float64Type>().value(row) - number(cell)).abs() <= half
        }
        DataType::Timestamp(_, _) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row) == micros(cell)
        }
        DataType::Date32 => {
            i64::from(array.as_primitive::<Date32Type>().value(row)) == micros(cell) / DAY
        }
        _ => show(array, row) == cell,
    }
}

fn show(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "-".to_owned();
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Date32 => {
            Day::from_days(array.as_primitive::<Date32Type>().value(row)).to_string()
        }
        _ => UtcTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
            .to_string(),
    }
}
