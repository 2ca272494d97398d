//! Tests of declarations, of every format on small bodies, and of recorded files.

mod candles;
mod chains;
mod declarations;
mod files;
mod fuzz;
mod metrics;
mod recorded;
mod venues;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use bytes::Bytes;
use lakectl_core::UtcTime;

use crate::{Dataset, Document, Parsed, SourceError, parse};

/// Reads a declaration written as the body of a dataset's block.
fn try_dataset(text: &str) -> Result<Dataset, SourceError> {
    let value: toml::Table = text.parse().unwrap();
    Dataset::from_toml("archive", "x", value.into())
}

fn dataset(text: &str) -> Dataset {
    try_dataset(text).unwrap()
}

fn time(text: &str) -> UtcTime {
    text.parse().unwrap()
}

fn document(name: &str, body: impl Into<Vec<u8>>, at: &str) -> Document {
    let request = format!("archive:{name}");
    Document::new(
        name,
        request,
        "text/csv",
        Bytes::from(body.into()),
        Some(time(at)),
    )
}

fn read(dataset: &Dataset, body: &str, at: &str) -> Parsed {
    parse(dataset, &document("x", body, at), 0, true)
}

/// `row reason severity` of every reject; `-` for the whole document.
fn rejects(parsed: &Parsed) -> Vec<String> {
    let batch = &parsed.rejects;
    let row = batch["row"].as_primitive::<arrow::datatypes::Int64Type>();
    let (reason, severity) = (texts(batch, "reason"), texts(batch, "severity"));
    (0..batch.num_rows())
        .map(|i| {
            let place = if row.is_null(i) {
                "-".to_owned()
            } else {
                row.value(i).to_string()
            };
            format!("{place} {} {}", reason[i], severity[i])
        })
        .collect()
}

fn texts(batch: &arrow::array::RecordBatch, column: &str) -> Vec<String> {
    let array = batch[column].as_string::<i32>();
    array
        .iter()
        .map(|text| text.unwrap_or("null").to_owned())
        .collect()
}

fn floats(parsed: &Parsed, column: &str) -> Vec<Option<f64>> {
    parsed.rows[column]
        .as_primitive::<Float64Type>()
        .iter()
        .collect()
}

fn times(parsed: &Parsed, column: &str) -> Vec<String> {
    let array = parsed.rows[column].as_primitive::<TimestampMicrosecondType>();
    let text = |micros: Option<i64>| {
        micros.map_or("null".to_owned(), |micros| {
            UtcTime::from_micros(micros).to_string()
        })
    };
    array.iter().map(text).collect()
}

fn words(parsed: &Parsed, column: &str) -> Vec<String> {
    texts(&parsed.rows, column)
}
