//! The rows of one query as plain columns.

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use lakectl_core::UtcTime;

/// All rows of a query.
pub(super) struct Table(pub(super) RecordBatch);

impl Table {
    pub(super) fn rows(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, name: &str, kind: &DataType) -> Result<ArrayRef> {
        let column = self.0.column_by_name(name);
        let column = column.with_context(|| format!("a query has no column `{name}`"))?;
        cast(column, kind).with_context(|| format!("column `{name}`"))
    }

    /// Numbers of any kind.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let column = self.column(name, &DataType::Float64)?;
        Ok(column.as_primitive::<Float64Type>().iter().collect())
    }

    /// Numbers of a column that earlier versions of the lake may lack: missing then.
    pub(super) fn numbers_if_any(&self, name: &str) -> Result<Vec<Option<f64>>> {
        match self.0.column_by_name(name) {
            Some(_) => self.numbers(name),
            None => Ok(vec![None; self.rows()]),
        }
    }

    /// Numbers that are never missing.
    pub(super) fn all_numbers(&self, name: &str) -> Result<Vec<f64>> {
        let numbers = self.numbers(name)?.into_iter();
        let missing = || format!("column `{name}` has a null");
        numbers.map(|number| number.with_context(missing)).collect()
    }

    /// Text; what is missing is empty.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let column = self.column(name, &DataType::Utf8)?;
        let texts = column.as_string::<i32>().iter();
        Ok(texts
            .map(|text| text.unwrap_or_default().to_owned())
            .collect())
    }

    /// Instants; what is missing is left out.
    pub(super) fn times(&self, name: &str) -> Result<Vec<UtcTime>> {
        let micros = self.column(name, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let micros = cast(&micros, &DataType::Int64)?;
        let micros = micros.as_primitive::<Int64Type>().iter().flatten();
        Ok(micros.map(UtcTime::from_micros).collect())
    }
}
