//! Helpers, and the tests of the store by subject.

mod branches;
mod checkpoints;
mod collecting;
mod commits;
mod copying;
mod faults;
mod opening;
mod projection;
mod racing;
mod simulate;
mod verifying;
mod writing;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use lakectl_core::{Cell, Contract, Fingerprint, Grain, PartitionKey, TableId, TaskKey, UtcTime};

use crate::{CommitRequest, Lake, Open, Snapshot, TableMeta, WriteSpec, schema_of};

const CONTRACT: &str =
    "asset utf8, event_time ts, level f64?, n i64?, up bool?, day date?, note utf8?, blob binary?";

fn contract() -> Contract {
    CONTRACT.parse().unwrap()
}

fn schema() -> SchemaRef {
    schema_of(&contract())
}

fn table(name: &str) -> TableId {
    name.parse().unwrap()
}

fn key(text: &str) -> PartitionKey {
    text.parse().unwrap()
}

fn lake(root: &Path) -> Lake {
    Lake::open(root, "demo", Open::OrCreate).unwrap()
}

/// One row of the test contract: hour, level, n, note.
type Row = (i64, Option<f64>, Option<i64>, Option<&'static str>);

fn batch(rows: &[Row]) -> RecordBatch {
    let times = rows.iter().map(|r| r.0 * 3_600_000_000);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["BTC"; rows.len()])),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.2).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|r| r.2.map(|n| n > 0))
                .collect::<BooleanArray>(),
        ),
        Arc::new(
            rows.iter()
                .map(|r| Some((r.0 / 24) as i32))
                .collect::<Date32Array>(),
        ),
        Arc::new(rows.iter().map(|r| r.3).collect::<StringArray>()),
        Arc::new(
            rows.iter()
                .map(|r| r.3.map(str::as_bytes))
                .collect::<BinaryArray>(),
        ),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn hours(count: i64) -> Vec<Row> {
    let notes = [Some("a"), None, Some(""), Some("longer text")];
    (0..count)
        .map(|h| {
            let level = (h % 5 != 3).then_some(h as f64 / 4.0);
            (
                h,
                level,
                (h % 7 != 2).then_some(h - 3),
                notes[h as usize % 4],
            )
        })
        .collect()
}

fn spec(daily: bool) -> WriteSpec {
    WriteSpec {
        time_column: Some("event_time".to_owned()),
        daily,
        compress: true,
    }
}

/// Writes rows and returns their cell, not yet recorded. `code` stands for the definition.
fn made(lake: &Lake, name: &str, partition: &str, run: &str, code: &str, rows: &[Row]) -> Cell {
    let (table, partition) = (table(name), key(partition));
    let written = lake
        .write_rows(&table, &partition, &[batch(rows)], &schema(), &spec(false))
        .unwrap();
    let fingerprint = Fingerprint::of(format!("{table} {partition} {code}").as_bytes());
    let task = TaskKey { table, partition };
    written.into_cell(task, fingerprint, Default::default(), run, 0.5)
}

fn meta() -> TableMeta {
    TableMeta {
        contract: contract(),
        keys: Vec::new(),
        grain: Grain::Day,
        time_column: Some("event_time".to_owned()),
        primary_key: vec!["event_time".to_owned()],
    }
}

fn request<'a>(base: &'a Snapshot, run: &str, hour: i64, cells: Vec<Cell>) -> CommitRequest<'a> {
    let time = UtcTime::from_micros(hour * 3_600_000_000);
    let tables = cells.iter().map(|cell| (cell.table.clone(), meta()));
    CommitRequest {
        tables: tables.collect(),
        cells,
        ..CommitRequest::new(base, run, time, "test")
    }
}

/// Writes, records and commits one partition on the head.
fn publish(lake: &Lake, name: &str, partition: &str, run: &str, rows: &[Row]) -> Snapshot {
    let cell = made(lake, name, partition, run, run, rows);
    lake.record(run, std::slice::from_ref(&cell)).unwrap();
    let head = lake.head().unwrap();
    let hour = head.version as i64 + 1;
    lake.commit(request(&head, run, hour, vec![cell])).unwrap()
}
