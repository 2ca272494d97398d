//! Bars as Parquet: any integer, float, decimal or text column that can be cast, times as timestamps, dates or declared
//! integers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit as ArrowUnit, TimestampMicrosecondType,
};
use bytes::Bytes;
use lakectl_core::UtcTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::{ColumnSpec, ColumnUnit};
use crate::dataset::Dataset;
use crate::number::Number;
use crate::reject::{DocumentError, Reason};
use crate::sink::{At, CandleDraft, Sink, Times};
use crate::time_text::in_range;
use crate::units::TimeField;

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let batch = read(body)?;
    let columns = Columns::bind(dataset, &batch)?;
    for row in 0..batch.num_rows() {
        let raw = || columns.raw(row);
        let asset = columns.asset.as_ref().map(|asset| asset.as_string::<i32>());
        let draft = CandleDraft {
            times: Times {
                event: columns.event.get(row),
                vendor: columns.vendor.get(row),
                known_after: columns.known_after.get(row),
            },
            asset: asset
                .filter(|asset| asset.is_valid(row))
                .map(|asset| asset.value(row)),
            prices: [0, 1, 2, 3].map(|i| columns.numbers[i].get(row)),
            volume: columns.numbers[4].get(row),
        };
        sink.candle(
            At {
                row: row as i64 + 1,
                raw: &raw,
            },
            &draft,
        );
    }
    Ok(())
}

/// Reads the whole file. The decoder is not ours; a damaged file must not take the process down, so a panic of it counts as damage.
fn read(body: &[u8]) -> Result<RecordBatch, DocumentError> {
    if !body.starts_with(b"PAR1") {
        return Err(DocumentError::new(Reason::UnknownFormat, "not Parquet"));
    }
    if body.len() < 12 || !body.ends_with(b"PAR1") {
        return Err(DocumentError::new(
            Reason::Truncated,
            "the footer is missing",
        ));
    }
    let body = Bytes::copy_from_slice(body);
    let decode = || -> Result<RecordBatch, String> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(body).map_err(|e| e.to_string())?;
        let schema = builder.schema().clone();
        let reader = builder.build().map_err(|e| e.to_string())?;
        let batches: Vec<RecordBatch> = reader
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())?;
        concat_batches(&schema, &batches).map_err(|e| e.to_string())
    };
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(batch)) => Ok(batch),
        Ok(Err(error)) => Err(DocumentError::new(Reason::Damaged, error)),
        Err(_) => Err(DocumentError::new(
            Reason::Damaged,
            "the Parquet decoder gave up",
        )),
    }
}

struct Columns {
    asset: Option<ArrayRef>,
    event: TimeColumn,
    vendor: TimeColumn,
    known_after: TimeColumn,
    /// Open, high, low, close, volume.
    numbers: [NumberColumn; 5],
}

impl Columns {
    fn bind(dataset: &Dataset, batch: &RecordBatch) -> Result<Self, DocumentError> {
        let find = |ours: &str| Self::find(dataset, batch, ours);
        let number = |ours: &str| match find(ours)? {
            Some((spec, array)) => NumberColumn::new(ours, spec, array),
            None => Ok(NumberColumn(None)),
        };
        let time = |ours: &str| match find(ours)? {
            Some((spec, array)) => TimeColumn::new(ours, spec, array),
            None => Ok(TimeColumn(None)),
        };
        Ok(Self {
            asset: match find("asset")? {
                Some((_, array)) => Some(to(array, &DataType::Utf8, "asset")?),
                None => None,
            },
            event: time("event_time")?,
            vendor: time("vendor_time")?,
            known_after: time("known_after")?,
            numbers: [
                number("open")?,
                number("high")?,
                number("low")?,
                number("close")?,
                number("volume")?,
            ],
        })
    }

    fn find<'a>(
        dataset: &'a Dataset,
        batch: &'a RecordBatch,
        ours: &str,
    ) -> Result<Option<(&'a ColumnSpec, &'a ArrayRef)>, DocumentError> {
        let Some(spec) = dataset.columns.get(ours) else {
            return Ok(None);
        };
        match batch.column_by_name(&spec.column) {
            Some(array) => Ok(Some((spec, array))),
            None => {
                let schema = batch.schema();
                let found: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                let found = found.join(", ");
                let detail = format!("no column `{}` (for {ours}); found {found}", spec.column);
                Err(DocumentError::new(Reason::MissingColumn, detail))
            }
        }
    }

    fn raw(&self, row: usize) -> String {
        let numbers = self.numbers.each_ref().map(|column| column.get(row));
        format!("{:?} {numbers:?}", self.event.get(row))
    }
}

/// A column of floats with the vendor's unit; nothing when it is not mapped.
struct NumberColumn(Option<(Float64Array, ColumnSpec)>);

impl NumberColumn {
    fn new(ours: &str, spec: &ColumnSpec, array: &ArrayRef) -> Result<Self, DocumentError> {
        let array = to(array, &DataType::Float64, ours)?;
        let floats = array.as_primitive::<Float64Type>().clone();
        Ok(Self(Some((floats, spec.clone()))))
    }

    fn get(&self, row: usize) -> Number {
        match &self.0 {
            Some((array, spec)) if array.is_valid(row) => {
                spec.convert(Number::from_f64(array.value(row)))
            }
            _ => Number::Missing,
        }
    }
}

struct TimeColumn(Option<Vec<TimeField>>);

impl TimeColumn {
    fn new(ours: &str, spec: &ColumnSpec, array: &ArrayRef) -> Result<Self, DocumentError> {
        let ColumnUnit::Time(unit) = &spec.unit else {
            return Ok(Self(None));
        };
        let times = match array.data_type() {
            // The file's own type says the unit; text and integers follow the declaration.
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                let micros = to(
                    array,
                    &DataType::Timestamp(ArrowUnit::Microsecond, None),
                    ours,
                )?;
                let micros = micros.as_primitive::<TimestampMicrosecondType>();
                micros
                    .iter()
                    .map(|time| field(time.map(UtcTime::from_micros)))
                    .collect()
            }
            kind if kind.is_integer() => {
                let whole = to(array, &DataType::Int64, ours)?;
                let whole = whole.as_primitive::<Int64Type>();
                let text = |value: Option<i64>| {
                    value.map_or(TimeField::Missing, |value| {
                        unit.read_text(&value.to_string())
                    })
                };
                whole.iter().map(text).collect()
            }
            _ => {
                let text = to(array, &DataType::Utf8, ours)?;
                let read = |value: Option<&str>| {
                    value.map_or(TimeField::Missing, |value| unit.read_text(value))
                };
                text.as_string::<i32>().iter().map(read).collect()
            }
        };
        Ok(Self(Some(times)))
    }

    fn get(&self, row: usize) -> TimeField {
        self.0
            .as_ref()
            .map_or(TimeField::Missing, |times| times[row])
    }
}

fn field(time: Option<UtcTime>) -> TimeField {
    match time {
        None => TimeField::Missing,
        Some(time) if in_range(time) => TimeField::Value(time),
        Some(_) => TimeField::Unreadable,
    }
}

fn to(array: &ArrayRef, kind: &DataType, ours: &str) -> Result<ArrayRef, DocumentError> {
    cast(array, kind).map_err(|error| {
        DocumentError::new(Reason::UnknownFormat, format!("column for {ours}: {error}"))
    })
}
