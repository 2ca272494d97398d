//! Columns in, columns out: the door between Arrow batches and the plain values that domain crates take.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimestampMicrosecondType};

use crate::PipelineError;

/// The rows of one input, as one batch.
pub struct Columns {
    batch: RecordBatch,
}

impl Columns {
    /// Joins the batches of one input.
    ///
    /// # Errors
    /// [`PipelineError::Arrow`] if the batches differ in their columns.
    pub fn new(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, PipelineError> {
        Ok(Self {
            batch: concat_batches(schema, batches)?,
        })
    }

    /// Joins the batches of one input and keeps only some of its columns: a stage sees what it declares.
    ///
    /// # Errors
    /// [`PipelineError::Arrow`] if the batches differ in their columns; [`PipelineError::Stage`] if there is no such column.
    pub(crate) fn of(
        schema: &SchemaRef,
        batches: &[RecordBatch],
        names: &BTreeSet<&str>,
    ) -> Result<Self, PipelineError> {
        if let Some(name) = names.iter().find(|name| schema.index_of(name).is_err()) {
            return Err(PipelineError::stage(format!(
                "the input has no column `{name}`"
            )));
        }
        let fields = schema.fields().iter().enumerate();
        let kept = fields.filter(|(_, field)| names.contains(field.name().as_str()));
        let kept: Vec<usize> = kept.map(|(index, _)| index).collect();
        let batches = batches.iter().map(|batch| batch.project(&kept));
        let batches: Vec<RecordBatch> = batches.collect::<Result<_, _>>()?;
        Self::new(&Arc::new(schema.project(&kept)?), &batches)
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, name: &str, kind: &DataType) -> Result<ArrayRef, PipelineError> {
        let column = self
            .batch
            .column_by_name(name)
            .ok_or_else(|| PipelineError::stage(format!("the input has no column `{name}`")))?;
        if column.data_type() == kind {
            Ok(Arc::clone(column))
        } else {
            Ok(cast(column, kind)?)
        }
    }

    /// Returns a column of floats.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if there is no such column.
    pub fn f64s(&self, name: &str) -> Result<Vec<Option<f64>>, PipelineError> {
        Ok(self
            .column(name, &DataType::Float64)?
            .as_primitive::<Float64Type>()
            .iter()
            .collect())
    }

    /// Returns a column of integers.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if there is no such column.
    pub fn i64s(&self, name: &str) -> Result<Vec<Option<i64>>, PipelineError> {
        Ok(self
            .column(name, &DataType::Int64)?
            .as_primitive::<Int64Type>()
            .iter()
            .collect())
    }

    /// Returns a column of truths.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if there is no such column.
    pub fn bools(&self, name: &str) -> Result<Vec<Option<bool>>, PipelineError> {
        Ok(self
            .column(name, &DataType::Boolean)?
            .as_boolean()
            .iter()
            .collect())
    }

    /// Returns a column of times in microseconds; a null is an error.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if there is no such column or a time is null.
    pub fn micros(&self, name: &str) -> Result<Vec<i64>, PipelineError> {
        let kind = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
        let column = self.column(name, &kind)?;
        if column.null_count() > 0 {
            return Err(PipelineError::stage(format!(
                "column `{name}` has a row without a time"
            )));
        }
        Ok(column
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .to_vec())
    }

    /// Returns a column of text.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] if there is no such column.
    pub fn texts(&self, name: &str) -> Result<Vec<Option<String>>, PipelineError> {
        let column = self.column(name, &DataType::Utf8)?;
        Ok(column
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect())
    }
}

/// One output column.
pub enum Out {
    /// Floats.
    F64(Vec<Option<f64>>),
    /// Integers.
    I64(Vec<Option<i64>>),
    /// Times in microseconds.
    Ts(Vec<Option<i64>>),
    /// Text.
    Utf8(Vec<Option<String>>),
    /// True or false.
    Bool(Vec<Option<bool>>),
}

impl Out {
    fn array(self) -> ArrayRef {
        match self {
            Self::F64(values) => Arc::new(Float64Array::from(values)),
            Self::I64(values) => Arc::new(Int64Array::from(values)),
            Self::Ts(values) => {
                Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
            }
            Self::Utf8(values) => Arc::new(StringArray::from(values)),
            Self::Bool(values) => Arc::new(BooleanArray::from(values)),
        }
    }
}

/// Assembles output columns, in the order of the stage's contract.
///
/// # Errors
/// [`PipelineError::Arrow`] if the columns are not those of `schema`.
pub fn batch(schema: &SchemaRef, columns: Vec<Out>) -> Result<RecordBatch, PipelineError> {
    let arrays = columns.into_iter().map(Out::array).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}
