//! Canonical rows: checks what may be stored, and digests rows independently of Arrow, Parquet and batch sizes.
//!
//! A digest begins with the columns' names and types. Each value is a tag byte, 0 for null and 1 for a value, then
//! little-endian bytes: 8 for an integer, a float or a time, 4 for a date, 1 for a truth value, and for text or bytes
//! a 4-byte length before them. A null has zeros in the place of its value (a length of zero for text).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, RecordBatchOptions,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use lakectl_core::{
    Contract, Day, Fingerprint, FingerprintBuilder, MICROS_PER_DAY, PartitionKey, TableId, UtcTime,
};

use crate::StoreError;
use crate::parquet::{is_utc, join, rows_error};

const CHUNK_ROWS: usize = 2048;
const CHUNK_BYTES: usize = 1 << 20;

/// Brings rows into the types of `schema` as one batch, or names the value that may not be stored.
///
/// Text and bytes may come in any of Arrow's layouts. Negative zero becomes zero: the two are one value to a digest,
/// so they must be one value to a reader.
pub(crate) fn conform(
    table: &TableId,
    partition: &PartitionKey,
    batches: &[RecordBatch],
    schema: &SchemaRef,
) -> Result<RecordBatch, StoreError> {
    let mut parts = Vec::with_capacity(batches.len());
    for batch in batches {
        check_columns(table, batch, schema)?;
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns
            .map(
                |(column, field)| match column.data_type() == field.data_type() {
                    true => Ok(Arc::clone(column)),
                    false => {
                        cast(column, field.data_type()).map_err(|e| rows_error("convert", table, e))
                    }
                },
            )
            .collect::<Result<Vec<_>, _>>()?;
        // Nulls are checked below, where the row can be named; until then every column may hold them.
        parts.push(rebuild(table, &loose(schema), columns, batch.num_rows())?);
    }
    let joined = join(table, &loose(schema), &parts)?;
    let mut columns = Vec::with_capacity(joined.num_columns());
    for (column, field) in joined.columns().iter().zip(schema.fields()) {
        let wrong = |row, problem| StoreError::Value {
            table: table.clone(),
            partition: partition.clone(),
            column: field.name().clone(),
            row,
            problem,
        };
        if !field.is_nullable()
            && let Some(row) = first_null(column)
        {
            return Err(wrong(row, "is null but may not be,"));
        }
        columns.push(match column.data_type() {
            DataType::Float64 => {
                finite(column).map_err(|row| wrong(row, "is not a finite number"))?
            }
            _ => Arc::clone(column),
        });
    }
    rebuild(table, schema, columns, joined.num_rows())
}

fn loose(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

fn rebuild(
    table: &TableId,
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, StoreError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| rows_error("join", table, e))
}

fn check_columns(
    table: &TableId,
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<(), StoreError> {
    let found = batch.schema();
    let same = found.fields().len() == schema.fields().len()
        && found
            .fields()
            .iter()
            .zip(schema.fields())
            .all(|(a, b)| a.name() == b.name() && same_kind(a.data_type(), b.data_type()));
    if same {
        return Ok(());
    }
    let list = |schema: &SchemaRef| {
        let fields = schema.fields().iter();
        let fields = fields.map(|f| format!("{} {}", f.name(), f.data_type()));
        fields.collect::<Vec<_>>().join(", ")
    };
    Err(StoreError::Columns {
        table: table.clone(),
        expected: list(schema),
        found: list(&found),
    })
}

/// Tells whether the two types hold the same values in different layouts.
fn same_kind(found: &DataType, wanted: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Dictionary, LargeBinary, LargeUtf8, Timestamp, Utf8, Utf8View,
    };
    match (found, wanted) {
        (LargeUtf8 | Utf8View, Utf8) | (LargeBinary | BinaryView, Binary) => true,
        (Dictionary(_, value), wanted) => same_kind(value, wanted),
        (
            Timestamp(TimeUnit::Microsecond, Some(zone)),
            Timestamp(TimeUnit::Microsecond, Some(_)),
        ) => is_utc(zone),
        (found, wanted) => found == wanted,
    }
}

fn first_null(column: &ArrayRef) -> Option<usize> {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0)?;
    (0..nulls.len()).find(|row| nulls.is_null(*row))
}

/// Returns the column without negative zeros, or the row of a value that is not finite.
fn finite(column: &ArrayRef) -> Result<ArrayRef, usize> {
    let floats: &Float64Array = column.as_primitive::<Float64Type>();
    let values = floats.values();
    if !values.iter().all(|value| value.is_finite()) {
        let bad = |row: &usize| floats.is_valid(*row) && !values[*row].is_finite();
        if let Some(row) = (0..values.len()).find(bad) {
            return Err(row);
        }
    }
    let negative_zero = (-0.0_f64).to_bits();
    if values.iter().any(|value| value.to_bits() == negative_zero) {
        return Ok(Arc::new(
            floats.unary::<_, Float64Type>(|value| value + 0.0),
        ));
    }
    Ok(Arc::clone(column))
}

/// The times of a column that says when.
#[derive(Debug)]
pub(crate) struct Times {
    /// The day of each row; a row without a time has none.
    days: Vec<Option<Day>>,
    /// Smallest and largest time.
    pub(crate) range: Option<(UtcTime, UtcTime)>,
}

impl Times {
    /// Reads a time or date column; `None` if the column is neither or does not exist.
    pub(crate) fn of(batch: &RecordBatch, name: &str) -> Option<Self> {
        let column = batch.column_by_name(name)?;
        let micros: Vec<Option<i64>> = match column.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => column
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .collect(),
            DataType::Date32 => column
                .as_primitive::<Date32Type>()
                .iter()
                .map(|day| day.map(|day| i64::from(day) * MICROS_PER_DAY))
                .collect(),
            _ => return None,
        };
        let times = || micros.iter().flatten().copied().map(UtcTime::from_micros);
        Some(Self {
            range: times().min().zip(times().max()),
            days: micros
                .iter()
                .map(|micros| micros.map(|micros| UtcTime::from_micros(micros).day()))
                .collect(),
        })
    }

    /// Returns the first row without a time.
    pub(crate) fn first_null(&self) -> Option<usize> {
        self.days.iter().position(Option::is_none)
    }
}

/// The digests of some rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) rows: Fingerprint,
    pub(crate) days: BTreeMap<Day, Fingerprint>,
}

/// Digests the rows of a batch that came from [`conform`].
///
/// With `times`, which must hold a time for every row, each day has a digest of its rows, and the digest of all is
/// made from those of the days and the order in which the rows' days follow each other.
pub(crate) fn digest(batch: &RecordBatch, contract: &Contract, times: Option<&Times>) -> Digests {
    let columns: Vec<Lane> = batch.columns().iter().filter_map(Lane::of).collect();
    let header = header(contract);
    let Some(times) = times else {
        let mut hasher = start(&header);
        encode_chunks(&columns, batch.num_rows(), |_, _, bytes| {
            hasher.update(bytes);
        });
        return Digests {
            rows: finish(&hasher),
            days: BTreeMap::new(),
        };
    };
    let mut hashers: BTreeMap<Day, blake3::Hasher> = BTreeMap::new();
    let mut runs: Vec<(Day, u64)> = Vec::new();
    encode_chunks(&columns, batch.num_rows(), |first, starts, bytes| {
        let days = &times.days[first..first + starts.len() - 1];
        let mut row = 0;
        for run in days.chunk_by(|a, b| a == b) {
            let part = &bytes[starts[row]..starts[row + run.len()]];
            row += run.len();
            let Some(day) = run[0] else { continue };
            hashers
                .entry(day)
                .or_insert_with(|| start(&header))
                .update(part);
            match runs.last_mut() {
                Some((last, count)) if *last == day => *count += run.len() as u64,
                _ => runs.push((day, run.len() as u64)),
            }
        }
    });
    let days: BTreeMap<Day, Fingerprint> = hashers
        .iter()
        .map(|(day, hasher)| (*day, finish(hasher)))
        .collect();
    let mut all = FingerprintBuilder::new("rows by day").field("columns", &header);
    for (day, digest) in &days {
        all.push(&day.to_string(), digest.as_bytes());
    }
    let mut order = Vec::with_capacity(runs.len() * 12);
    for (day, count) in &runs {
        order.extend_from_slice(&day.days().to_le_bytes());
        order.extend_from_slice(&count.to_le_bytes());
    }
    Digests {
        rows: all.field("order", order).finish(),
        days,
    }
}

/// Names and logical types; whether a column may be null does not change its rows.
fn header(contract: &Contract) -> Vec<u8> {
    let mut bytes = b"rows".to_vec();
    for column in contract.columns() {
        for word in [column.name.as_str(), column.kind.word()] {
            bytes.extend_from_slice(&(word.len() as u32).to_le_bytes());
            bytes.extend_from_slice(word.as_bytes());
        }
    }
    bytes
}

fn start(header: &[u8]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(header.len() as u32).to_le_bytes());
    hasher.update(header);
    hasher
}

fn finish(hasher: &blake3::Hasher) -> Fingerprint {
    Fingerprint::from_bytes(*hasher.finalize().as_bytes())
}

enum Values<'a> {
    Four(&'a [i32]),
    Truth(&'a BooleanArray),
    Text { offsets: &'a [i32], data: &'a [u8] },
    Floats(&'a [f64]),
    Wide(&'a [i64]),
}

/// One column, ready to be written row by row.
struct Lane<'a> {
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Lane<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let values = match column.data_type() {
            DataType::Utf8 => {
                let text = column.as_string::<i32>();
                Values::Text {
                    offsets: text.value_offsets(),
                    data: text.value_data(),
                }
            }
            DataType::Binary => {
                let blob = column.as_binary::<i32>();
                Values::Text {
                    offsets: blob.value_offsets(),
                    data: blob.value_data(),
                }
            }
            DataType::Int64 => Values::Wide(column.as_primitive::<Int64Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::Wide(column.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Float64 => Values::Floats(column.as_primitive::<Float64Type>().values()),
            DataType::Date32 => Values::Four(column.as_primitive::<Date32Type>().values()),
            DataType::Boolean => Values::Truth(column.as_boolean()),
            _ => return None,
        };
        Some(Self {
            values,
            nulls: column.nulls().filter(|nulls| nulls.null_count() > 0),
        })
    }

    fn is_valid(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }

    /// Bytes that every row takes, tag included.
    fn width(&self) -> usize {
        match &self.values {
            Values::Wide(_) | Values::Floats(_) => 9,
            Values::Four(_) | Values::Text { .. } => 5,
            Values::Truth(_) => 2,
        }
    }

    /// Bytes that the text of this row takes.
    fn text(&self, row: usize) -> &'a [u8] {
        match &self.values {
            Values::Text { offsets, data } if self.is_valid(row) => {
                &data[offsets[row] as usize..offsets[row + 1] as usize]
            }
            _ => &[],
        }
    }

    /// Writes rows `first..` at the cursors and moves these on.
    fn write(&self, first: usize, cursors: &mut [usize], buffer: &mut [u8]) {
        match &self.values {
            Values::Wide(v) => self.fixed(first, cursors, buffer, |row| v[row].to_le_bytes()),
            Values::Floats(v) => self.fixed(first, cursors, buffer, |row| v[row].to_le_bytes()),
            Values::Four(v) => self.fixed(first, cursors, buffer, |row| v[row].to_le_bytes()),
            Values::Truth(v) => self.fixed(first, cursors, buffer, |row| [v.value(row).into()]),
            Values::Text { .. } => {
                for (row, cursor) in (first..).zip(cursors) {
                    let text = self.text(row);
                    let end = *cursor + 5 + text.len();
                    let slot = &mut buffer[*cursor..end];
                    slot[0] = self.is_valid(row).into();
                    slot[1..5].copy_from_slice(&(text.len() as u32).to_le_bytes());
                    slot[5..].copy_from_slice(text);
                    *cursor = end;
                }
            }
        }
    }

    fn fixed<const N: usize>(
        &self,
        first: usize,
        cursors: &mut [usize],
        buffer: &mut [u8],
        value: impl Fn(usize) -> [u8; N],
    ) {
        for (row, cursor) in (first..).zip(cursors) {
            let slot = &mut buffer[*cursor..*cursor + N + 1];
            if self.is_valid(row) {
                slot[0] = 1;
                slot[1..].copy_from_slice(&value(row));
            } else {
                slot.fill(0);
            }
            *cursor += N + 1;
        }
    }
}

/// Gives the canonical bytes of ranges of rows to `take(first row, starts of the rows and the end, bytes)`.
fn encode_chunks(columns: &[Lane], rows: usize, mut take: impl FnMut(usize, &[usize], &[u8])) {
    let fixed: usize = columns.iter().map(Lane::width).sum();
    let texts: Vec<&Lane> = columns
        .iter()
        .filter(|lane| matches!(lane.values, Values::Text { .. }))
        .collect();
    let (mut starts, mut cursors, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0;
    while first < rows {
        starts.clear();
        starts.push(0);
        let mut end = 0;
        while first + starts.len() <= rows && starts.len() <= CHUNK_ROWS && end < CHUNK_BYTES {
            let row = first + starts.len() - 1;
            end += fixed + texts.iter().map(|lane| lane.text(row).len()).sum::<usize>();
            starts.push(end);
        }
        let count = starts.len() - 1;
        cursors.clone_from(&starts);
        cursors.truncate(count);
        buffer.resize(end.max(buffer.len()), 0);
        for lane in columns {
            lane.write(first, &mut cursors, &mut buffer);
        }
        take(first, &starts, &buffer[..end]);
        first += count;
    }
}
