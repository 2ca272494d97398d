//! Arrow and Parquet as the lake uses them: seven column types, one set of writer settings.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use lakectl_core::{Cell, Column, ColumnType, Contract, TableId};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::StoreError;

/// Verbatim documents; they are compressed already and have no useful statistics.
const BODY: &str = "body";
const ROW_GROUP_ROWS: usize = 131_072;
/// Files of fewer rows are packed by Snappy: each column of a file has a coder of its own, and to set up one of zstd, for writing
/// and again for each reading, takes longer than a small column does. Computed floats hardly shrink in either.
const SMALL_ROWS: usize = 8_192;
const BATCH_ROWS: usize = 16_384;
const CREATED_BY: &str = "lakectl";
const KNOWN_TYPES: &str = "Utf8, Int64, Float64, Boolean, Timestamp(us, UTC), Date32 and Binary";

/// Returns the column contract of an Arrow schema.
///
/// # Errors
/// [`StoreError::ColumnType`] for a column of any other type, lists and structs included;
/// [`StoreError::Core`] if two columns have one name.
pub fn contract_of(schema: &Schema) -> Result<Contract, StoreError> {
    let columns = schema.fields().iter().map(|field| {
        Ok(Column {
            name: field.name().clone(),
            kind: kind_of(field)?,
            nullable: field.is_nullable(),
        })
    });
    let columns = columns.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Contract::new(columns)?)
}

fn kind_of(field: &Field) -> Result<ColumnType, StoreError> {
    Ok(match field.data_type() {
        DataType::Utf8 => ColumnType::Utf8,
        DataType::Int64 => ColumnType::I64,
        DataType::Float64 => ColumnType::F64,
        DataType::Boolean => ColumnType::Bool,
        DataType::Date32 => ColumnType::Date,
        DataType::Binary => ColumnType::Binary,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => ColumnType::Ts,
        other => {
            return Err(StoreError::ColumnType {
                column: field.name().clone(),
                found: other.to_string(),
                known: KNOWN_TYPES,
            });
        }
    })
}

/// Tells whether a time zone's name means UTC.
pub(crate) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

/// Returns the Arrow schema of a column contract.
pub fn schema_of(contract: &Contract) -> SchemaRef {
    let fields = contract.columns().iter().map(|column| {
        let kind = match column.kind {
            ColumnType::Utf8 => DataType::Utf8,
            ColumnType::I64 => DataType::Int64,
            ColumnType::F64 => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Ts => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnType::Date => DataType::Date32,
            ColumnType::Binary => DataType::Binary,
        };
        Field::new(&column.name, kind, column.nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The same rows give the same bytes: every setting is fixed, and the file says nothing about its writer.
fn properties(contract: &Contract, rows: usize, compress: bool) -> WriterProperties {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level of zstd"));
    let small = rows < SMALL_ROWS && contract.get(BODY).is_none();
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(if small { Compression::SNAPPY } else { zstd })
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    if !compress && contract.get(BODY).is_some() {
        let body = ColumnPath::from(BODY);
        builder = builder
            .set_column_compression(body.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(body.clone(), false)
            .set_column_statistics_enabled(body, EnabledStatistics::None);
    }
    builder.build()
}

/// Returns the Parquet file of `batch`.
pub(crate) fn encode(
    table: &TableId,
    batch: &RecordBatch,
    contract: &Contract,
    compress: bool,
) -> Result<Vec<u8>, StoreError> {
    let failed = |e: parquet::errors::ParquetError| rows_error("encode", table, e);
    let options = ArrowWriterOptions::new()
        .with_properties(properties(contract, batch.num_rows(), compress))
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// Returns the rows of a file whose digest was verified, with the columns of `projection` in its order.
pub(crate) fn decode(
    cell: &Cell,
    bytes: Vec<u8>,
    projection: Option<&[String]>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let batches: Vec<RecordBatch> =
        batches(&cell.table, bytes, projection)?.collect::<Result<_, _>>()?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows as u64 != cell.rows {
        let problem = format!("expected {} rows, found {rows}", cell.rows);
        return Err(rows_error("decode", &cell.table, problem));
    }
    Ok(batches)
}

/// Returns what can be read of a damaged file. Nothing that comes out of it may be believed unverified.
pub(crate) fn salvage(
    table: &TableId,
    bytes: Vec<u8>,
    projection: Option<&[String]>,
) -> Vec<RecordBatch> {
    // Decoders of damaged bytes may give up in any way.
    let read = std::panic::catch_unwind(|| {
        let batches = batches(table, bytes, projection).ok()?;
        Some(batches.map_while(Result::ok).collect())
    });
    read.ok().flatten().unwrap_or_default()
}

fn batches(
    table: &TableId,
    bytes: Vec<u8>,
    projection: Option<&[String]>,
) -> Result<impl Iterator<Item = Result<RecordBatch, StoreError>>, StoreError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let mut builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(bytes), options)
            .map_err(|e| rows_error("decode", table, e))?
            .with_batch_size(BATCH_ROWS);
    let mut order = None;
    if let Some(names) = projection {
        let indices = indices_of(table, builder.schema(), names)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), indices.iter().copied());
        builder = builder.with_projection(mask);
        // The reader keeps the file's order; bring the columns into the asked one.
        let mut sorted = indices.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let place = |index| sorted.binary_search(&index).unwrap_or_default();
        order = Some(indices.into_iter().map(place).collect::<Vec<_>>());
    }
    let reader = builder
        .build()
        .map_err(|e| rows_error("decode", table, e))?;
    let table = table.clone();
    Ok(reader.map(move |batch| {
        let batch = batch.map_err(|e| rows_error("decode", &table, e))?;
        match &order {
            Some(order) => batch
                .project(order)
                .map_err(|e| rows_error("decode", &table, e)),
            None => Ok(batch),
        }
    }))
}

/// Returns text columns of a file, row by row.
pub(crate) fn texts(
    table: &TableId,
    bytes: Vec<u8>,
    columns: &[&str],
) -> Result<Vec<Vec<String>>, StoreError> {
    let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    let mut rows = Vec::new();
    for batch in batches(table, bytes, Some(&names))? {
        let batch = batch?;
        let texts = batch
            .columns()
            .iter()
            .zip(&names)
            .map(|(column, name)| {
                column.as_string_opt::<i32>().ok_or_else(|| {
                    rows_error("decode", table, format!("column `{name}` is not text"))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let row = |i| texts.iter().map(|text| text.value(i).to_owned()).collect();
        rows.extend((0..batch.num_rows()).map(row));
    }
    Ok(rows)
}

fn indices_of(
    table: &TableId,
    schema: &Schema,
    names: &[String],
) -> Result<Vec<usize>, StoreError> {
    let found = names.iter().map(|name| {
        schema.index_of(name).map_err(|_| StoreError::NoColumn {
            table: table.clone(),
            column: name.clone(),
            known: names_of(schema),
        })
    });
    found.collect()
}

fn names_of(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(", ")
}

/// Joins batches of one schema.
pub(crate) fn join(
    table: &TableId,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<RecordBatch, StoreError> {
    match batches {
        [batch] => Ok(batch.clone()),
        _ => concat_batches(schema, batches).map_err(|e| rows_error("join", table, e)),
    }
}

/// Wraps a library's message.
pub(crate) fn rows_error(
    action: &'static str,
    table: &TableId,
    problem: impl std::fmt::Display,
) -> StoreError {
    StoreError::Rows {
        action,
        table: table.clone(),
        problem: problem.to_string(),
    }
}
