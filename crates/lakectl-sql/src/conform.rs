//! The result of a stage against its contract: names, order, types, nulls, numbers, key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, cast, cast_with_options, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimeUnit};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_core::{Column, ColumnType, Contract};
use lakectl_store::schema_of;

use crate::SqlError;
use crate::error::nearest;

/// Columns of a row that an error shows.
const SHOWN_COLUMNS: usize = 12;

/// Brings a result to its contract and checks it.
///
/// Text of any layout becomes `utf8`; integers of any width `i64`; floats of 32 bits and integers that a double
/// holds exactly `f64`; instants of any unit and zone UTC microseconds (without a zone they are UTC); any other
/// difference of type is an error, as are other names, another order, a null that the contract does not allow
/// and a float that is not finite. `schema` is checked even if there is no row.
///
/// # Errors
/// [`SqlError::Columns`], [`SqlError::Order`], [`SqlError::ColumnType`], [`SqlError::Value`], [`SqlError::Null`],
/// [`SqlError::NotFinite`].
pub fn conform(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    contract: &Contract,
) -> Result<Vec<RecordBatch>, SqlError> {
    check_names(schema, contract)?;
    for (field, column) in schema.fields().iter().zip(contract.columns()) {
        if !convertible(field.data_type(), column.kind) {
            return Err(SqlError::ColumnType {
                column: column.name.clone(),
                found: field.data_type().to_string(),
                expected: column.kind.word().to_owned(),
            });
        }
    }
    let target = schema_of(contract);
    let mut first_row = 0;
    let mut out = Vec::with_capacity(batches.len());
    for batch in batches {
        let columns = contract
            .columns()
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| {
                let array = convert(array, column)?;
                check_values(&array, column, batch, first_row)?;
                Ok(array)
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        first_row += batch.num_rows();
        out.push(assemble(&target, columns)?);
    }
    Ok(out)
}

/// Joins the batches, sorts the rows by the key columns (nulls first) and checks that no key occurs twice.
///
/// # Errors
/// [`SqlError::DuplicateKey`] with the key and both rows; [`SqlError::UnknownColumn`] for a key that is no column.
pub fn sort_unique(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    keys: &[String],
) -> Result<RecordBatch, SqlError> {
    let failed = |e: arrow::error::ArrowError| SqlError::Execute(e.to_string());
    let all = concat_batches(schema, batches).map_err(failed)?;
    if keys.is_empty() {
        return Ok(all);
    }
    let indices = keys
        .iter()
        .map(|key| index_of(schema, key))
        .collect::<Result<Vec<_>, _>>()?;
    let fields = indices
        .iter()
        .map(|i| SortField::new(schema.field(*i).data_type().clone()));
    let columns: Vec<ArrayRef> = indices.iter().map(|i| Arc::clone(all.column(*i))).collect();
    let rows = RowConverter::new(fields.collect())
        .and_then(|converter| converter.convert_columns(&columns))
        .map_err(failed)?;
    let count = u32::try_from(all.num_rows()).map_err(|_| {
        SqlError::Execute("a partition has more than 4,294,967,295 rows".to_owned())
    })?;
    let row = |i: u32| rows.row(i as usize);
    let mut order: Vec<u32> = (0..count).collect();
    let sorted = order.windows(2).all(|pair| row(pair[0]) <= row(pair[1]));
    if !sorted {
        order.sort_by(|a, b| row(*a).cmp(&row(*b)));
    }
    if let Some(pair) = order.windows(2).find(|pair| row(pair[0]) == row(pair[1])) {
        let key = all.project(&indices).map_err(failed)?;
        return Err(SqlError::DuplicateKey {
            key: show_row(&key, pair[0] as usize),
            first: show_row(&all, pair[0] as usize),
            second: show_row(&all, pair[1] as usize),
        });
    }
    if sorted {
        return Ok(all);
    }
    take_record_batch(&all, &UInt32Array::from(order)).map_err(failed)
}

fn index_of(schema: &SchemaRef, name: &str) -> Result<usize, SqlError> {
    schema.index_of(name).map_err(|_| SqlError::UnknownColumn {
        name: name.to_owned(),
        hint: nearest(name, schema.fields().iter().map(|f| f.name().as_str())),
    })
}

fn check_names(schema: &SchemaRef, contract: &Contract) -> Result<(), SqlError> {
    let found: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let expected: Vec<&str> = contract.columns().iter().map(|c| c.name.as_str()).collect();
    if found == expected {
        return Ok(());
    }
    let less = |a: &[&str], b: &[&str]| {
        let only: Vec<&str> = a.iter().copied().filter(|name| !b.contains(name)).collect();
        only.join(", ")
    };
    let (missing, extra) = (less(&expected, &found), less(&found, &expected));
    if missing.is_empty() && extra.is_empty() {
        return Err(SqlError::Order {
            expected: expected.join(", "),
            found: found.join(", "),
        });
    }
    Err(SqlError::Columns { missing, extra })
}

fn convertible(found: &DataType, wanted: ColumnType) -> bool {
    if *found == DataType::Null {
        return true;
    }
    if let DataType::Dictionary(_, value) = found {
        return convertible(value, wanted);
    }
    match wanted {
        ColumnType::Utf8 => matches!(
            found,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ),
        ColumnType::I64 => found.is_integer(),
        ColumnType::F64 => {
            matches!(found, DataType::Float64 | DataType::Float32) || found.is_integer()
        }
        ColumnType::Bool => *found == DataType::Boolean,
        ColumnType::Ts => matches!(found, DataType::Timestamp(_, _)),
        ColumnType::Date => matches!(found, DataType::Date32 | DataType::Date64),
        ColumnType::Binary => matches!(
            found,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        ),
    }
}

fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Utf8 => DataType::Utf8,
        ColumnType::I64 => DataType::Int64,
        ColumnType::F64 => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Ts => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Date => DataType::Date32,
        ColumnType::Binary => DataType::Binary,
    }
}

fn convert(array: &ArrayRef, column: &Column) -> Result<ArrayRef, SqlError> {
    let target = arrow_type(column.kind);
    if *array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    let wrong = |problem: String| SqlError::Value {
        column: column.name.clone(),
        problem,
    };
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let converted = cast_with_options(array, &target, &strict).map_err(|e| wrong(e.to_string()))?;
    if column.kind == ColumnType::F64 && array.data_type().is_integer() {
        let back = cast(&converted, array.data_type()).map_err(|e| wrong(e.to_string()))?;
        if back.to_data() != array.to_data() {
            return Err(wrong(
                "an integer that a double cannot hold exactly".to_owned(),
            ));
        }
    }
    Ok(converted)
}

fn check_values(
    array: &ArrayRef,
    column: &Column,
    batch: &RecordBatch,
    first_row: usize,
) -> Result<(), SqlError> {
    if !column.nullable
        && array.null_count() > 0
        && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
    {
        return Err(SqlError::Null {
            column: column.name.clone(),
            row: first_row + row,
            values: show_row(batch, row),
        });
    }
    if column.kind != ColumnType::F64 {
        return Ok(());
    }
    let numbers = array.as_primitive::<Float64Type>();
    let bad =
        (0..numbers.len()).find(|row| numbers.is_valid(*row) && !numbers.value(*row).is_finite());
    bad.map_or(Ok(()), |row| {
        Err(SqlError::NotFinite {
            column: column.name.clone(),
            value: numbers.value(row).to_string(),
            row: first_row + row,
            values: show_row(batch, row),
        })
    })
}

fn assemble(target: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, SqlError> {
    RecordBatch::try_new(Arc::clone(target), columns).map_err(|e| SqlError::Execute(e.to_string()))
}

/// Writes the first columns of a row as `name=value`.
fn show_row(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    let schema = batch.schema();
    let mut parts: Vec<String> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .take(SHOWN_COLUMNS)
        .map(
            |(field, array)| match ArrayFormatter::try_new(array, &options) {
                Ok(formatter) => format!("{}={}", field.name(), formatter.value(row)),
                Err(_) => format!("{}=?", field.name()),
            },
        )
        .collect();
    if batch.num_columns() > SHOWN_COLUMNS {
        parts.push("...".to_owned());
    }
    parts.join(", ")
}

/// Returns the values of an integer column; used by callers that read single results.
#[cfg(test)]
pub(crate) fn integers(batch: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    let array = batch
        .column_by_name(column)
        .expect("the test asks for a column it selected");
    array
        .as_primitive::<arrow::datatypes::Int64Type>()
        .iter()
        .collect()
}
