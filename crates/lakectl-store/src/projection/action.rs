//! The lines of a Delta log, as its protocol names them.

use lakectl_core::{Cell, ColumnType, Contract, Fingerprint, Grain, TableId, UtcTime};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::change::{Origin, TableChange};
use crate::parquet::rows_error;
use crate::{StoreError, TableMeta};

/// A feature of writers that nobody else has: others may read the files, and never write, delete or vacuum.
pub(crate) const WRITER_FEATURE: &str = "lakectl";
/// The application of `txn` actions, whose versions are the lake's.
const APPLICATION: &str = "lakectl";
/// Years that a statistic can be written for.
const WRITABLE_YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// One line. Its form is fixed by the protocol, so names and order of fields are part of what is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    CommitInfo(CommitInfo),
    Protocol(Protocol),
    MetaData(MetaData),
    Txn(Txn),
    Remove(Remove),
    Add(Add),
}

/// What a person sees in the table's history.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitInfo {
    timestamp: i64,
    operation: &'static str,
    engine_info: &'static str,
    lake_version: u64,
    lake_run: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    min_reader_version: i32,
    min_writer_version: i32,
    writer_features: [&'static str; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaData {
    id: String,
    name: String,
    format: Value,
    schema_string: String,
    partition_columns: [&'static str; 0],
    configuration: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    app_id: &'static str,
    version: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    path: String,
    deletion_timestamp: i64,
    data_change: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    path: String,
    partition_values: Map<String, Value>,
    size: u64,
    modification_time: i64,
    data_change: bool,
    stats: String,
}

/// Returns the lines of the Delta version that `change` becomes; the first of a table also says who may write.
pub(crate) fn commit_of(
    table: &TableId,
    meta: Option<&TableMeta>,
    change: &TableChange,
    origin: &Origin,
    first: bool,
) -> Result<Vec<Action>, StoreError> {
    let mut actions = vec![Action::CommitInfo(CommitInfo {
        timestamp: millis(origin.time),
        operation: "WRITE",
        engine_info: "lakectl",
        lake_version: origin.version,
        lake_run: origin.run.clone(),
    })];
    actions.extend(first.then(|| Action::Protocol(protocol())));
    let columns = change.columns.as_ref();
    actions.extend(columns.map(|columns| Action::MetaData(metadata(table, columns))));
    actions.push(Action::Txn(txn(origin.version)));
    for cell in &change.removed {
        actions.push(Action::Remove(Remove {
            path: path_of(table, cell)?,
            deletion_timestamp: millis(origin.time),
            data_change: true,
        }));
    }
    for cell in &change.added {
        actions.push(Action::Add(add(table, meta, cell, origin.time)?));
    }
    Ok(actions)
}

/// Writes actions as the protocol wants them: one line each.
pub(crate) fn lines(table: &TableId, actions: &[Action]) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut bytes, action).map_err(|e| rows_error("project", table, e))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

pub(crate) fn protocol() -> Protocol {
    Protocol {
        min_reader_version: 1,
        min_writer_version: 7,
        writer_features: [WRITER_FEATURE],
    }
}

pub(crate) fn txn(version: u64) -> Txn {
    Txn {
        app_id: APPLICATION,
        version,
    }
}

pub(crate) fn metadata(table: &TableId, columns: &Contract) -> MetaData {
    MetaData {
        id: id_of(table),
        name: table.to_string(),
        format: json!({"provider": "parquet", "options": {}}),
        schema_string: schema_string(columns),
        // All columns are inside the files, and readers disagree about those that are also in the paths.
        partition_columns: [],
        // A reader that keeps house takes old versions of the log away unless they are to be kept for a hundred years.
        configuration: json!({"delta.logRetentionDuration": "interval 36500 days"}),
    }
}

/// Returns the `add` of a cell that has a file. `time` is that of the version that published it.
pub(crate) fn add(
    table: &TableId,
    meta: Option<&TableMeta>,
    cell: &Cell,
    time: UtcTime,
) -> Result<Add, StoreError> {
    Ok(Add {
        path: path_of(table, cell)?,
        partition_values: Map::new(),
        size: cell.file.as_ref().map_or(0, |file| file.bytes),
        modification_time: millis(time),
        data_change: true,
        stats: stats(meta, cell).to_string(),
    })
}

/// A table's identity for its readers' caches: the same after every rebuild.
fn id_of(table: &TableId) -> String {
    let digest = Fingerprint::of(format!("delta {table}").as_bytes()).to_string();
    let part = |range: std::ops::Range<usize>| digest.get(range).unwrap_or_default();
    let parts = [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ];
    parts.join("-")
}

fn millis(time: UtcTime) -> i64 {
    time.micros().div_euclid(1000)
}

fn schema_string(columns: &Contract) -> String {
    let fields = columns.columns().iter().map(|column| {
        let kind = match column.kind {
            ColumnType::Utf8 => "string",
            ColumnType::I64 => "long",
            ColumnType::F64 => "double",
            ColumnType::Bool => "boolean",
            ColumnType::Ts => "timestamp",
            ColumnType::Date => "date",
            ColumnType::Binary => "binary",
        };
        json!({"name": column.name, "type": kind, "nullable": column.nullable, "metadata": {}})
    });
    json!({"type": "struct", "fields": fields.collect::<Vec<_>>()}).to_string()
}

/// The path below the table's folder, as a URI: every byte that could mean something there is escaped.
fn path_of(table: &TableId, cell: &Cell) -> Result<String, StoreError> {
    let path = cell.file.as_ref().map_or("", |file| file.path.as_str());
    let folder = super::data_folder(table);
    let Some(below) = path.strip_prefix(&folder).and_then(|p| p.strip_prefix('/')) else {
        let problem = format!("the file `{path}` is not in the folder {folder}");
        return Err(rows_error("project", table, problem));
    };
    let mut uri = String::with_capacity(below.len());
    for byte in below.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'=' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(uri)
}

/// What readers may leave a file out by: partition columns, which are constant in it, and the range of its times.
fn stats(meta: Option<&TableMeta>, cell: &Cell) -> Value {
    let (mut smallest, mut largest) = (Map::new(), Map::new());
    let mut set = |column: &str, first: Value, last: Value| {
        smallest.insert(column.to_owned(), first);
        largest.insert(column.to_owned(), last);
    };
    if let Some(meta) = meta {
        let kind = |name: &str| meta.contract.get(name).map(|column| column.kind);
        for (column, value) in cell.partition.pairs() {
            // The label of a period is not a value of the rows, the other partition columns are.
            if Grain::of_column(column).is_none() && kind(column) == Some(ColumnType::Utf8) {
                set(column, json!(value), json!(value));
            }
        }
        let writable = |time: UtcTime| WRITABLE_YEARS.contains(&time.day().ymd().0);
        if let (Some(column), Some((first, last))) = (&meta.time_column, cell.times)
            && writable(first)
            && writable(last)
        {
            match kind(column) {
                Some(ColumnType::Ts) => {
                    set(column, json!(first.to_string()), json!(last.to_string()));
                }
                Some(ColumnType::Date) => set(
                    column,
                    json!(first.day().to_string()),
                    json!(last.day().to_string()),
                ),
                _ => {}
            }
        }
    }
    json!({"numRecords": cell.rows, "minValues": smallest, "maxValues": largest, "nullCount": {}})
}
