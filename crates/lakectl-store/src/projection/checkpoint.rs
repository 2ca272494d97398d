//! Delta checkpoints: all files of a table at one version as Parquet, so that readers need not replay a long log.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use lakectl_core::TableId;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::action::{self, Action};
use crate::parquet::rows_error;
use crate::{Snapshot, StoreError, TableMeta};

/// Lines brought into columns at a time.
const LINES_AT_ONCE: usize = 16_384;

/// A checkpoint and what the file `_last_checkpoint` says of it.
pub(crate) struct Checkpoint {
    pub(crate) parquet: Vec<u8>,
    pub(crate) pointer: Vec<u8>,
}

/// Returns the checkpoint of `table` as it is in `snapshot`, which is its Delta version `version`.
///
/// Removed files are left out: only who vacuums needs them, and nobody may. The modification times are that of the
/// snapshot, so that nothing before it has to be known.
pub(crate) fn checkpoint_of(
    table: &TableId,
    meta: &TableMeta,
    snapshot: &Snapshot,
    version: u64,
) -> Result<Checkpoint, StoreError> {
    let failed = |e| rows_error("project", table, e);
    let properties = WriterProperties::builder()
        .set_created_by("lakectl".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let schema = schema();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).map_err(failed)?;
    let head = [
        Ok(Action::Protocol(action::protocol())),
        Ok(Action::MetaData(action::metadata(table, &meta.contract))),
        Ok(Action::Txn(action::txn(snapshot.version))),
    ];
    let cells = snapshot.partitions(table).map(|(_, cell)| cell);
    let adds = cells.filter(|cell| cell.file.is_some()).map(|cell| {
        Ok(Action::Add(action::add(
            table,
            Some(meta),
            cell,
            snapshot.time,
        )?))
    });
    let mut actions = head.into_iter().chain(adds).peekable();
    let mut size = 0;
    while actions.peek().is_some() {
        let some = actions.by_ref().take(LINES_AT_ONCE);
        let some = some.collect::<Result<Vec<Action>, StoreError>>()?;
        let batch = columns_of(table, &schema, &some)?;
        writer.write(&batch).map_err(failed)?;
        size += some.len();
    }
    let parquet = writer.into_inner().map_err(failed)?;
    let pointer = json!({"version": version, "size": size, "sizeInBytes": parquet.len()});
    let pointer = pointer.to_string().into_bytes();
    Ok(Checkpoint { parquet, pointer })
}

/// Brings actions into columns, by way of the very lines that the log has.
fn columns_of(
    table: &TableId,
    schema: &SchemaRef,
    actions: &[Action],
) -> Result<RecordBatch, StoreError> {
    let failed = |e| rows_error("project", table, e);
    let mut decoder = ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(actions.len())
        .build_decoder()
        .map_err(failed)?;
    decoder
        .decode(&action::lines(table, actions)?)
        .map_err(failed)?;
    let batch = decoder.flush().map_err(failed)?;
    Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema))))
}

/// The columns of a checkpoint, one for each kind of action that it may hold.
fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let integer = |name: &str| Field::new(name, DataType::Int32, true);
    let yes = |name: &str| Field::new(name, DataType::Boolean, true);
    let list = |name: &str| Field::new_list(name, text("element"), true);
    let map = |name: &str| {
        let key = Field::new("key", DataType::Utf8, false);
        Field::new_map(name, "key_value", key, text("value"), false, true)
    };
    let group = |name: &str, fields: Vec<Field>| {
        Field::new(name, DataType::Struct(Fields::from(fields)), true)
    };
    let protocol = vec![
        integer("minReaderVersion"),
        integer("minWriterVersion"),
        list("readerFeatures"),
        list("writerFeatures"),
    ];
    let metadata = vec![
        text("id"),
        text("name"),
        text("description"),
        group("format", vec![text("provider"), map("options")]),
        text("schemaString"),
        list("partitionColumns"),
        map("configuration"),
        long("createdTime"),
    ];
    let txn = vec![text("appId"), long("version"), long("lastUpdated")];
    let add = vec![
        text("path"),
        map("partitionValues"),
        long("size"),
        long("modificationTime"),
        yes("dataChange"),
        text("stats"),
        map("tags"),
    ];
    let remove = vec![text("path"), long("deletionTimestamp"), yes("dataChange")];
    Arc::new(Schema::new(vec![
        group("protocol", protocol),
        group("metaData", metadata),
        group("txn", txn),
        group("add", add),
        group("remove", remove),
    ]))
}
