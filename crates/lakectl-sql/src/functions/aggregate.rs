//! Aggregates of numbers that are computed from the rows of a frame, in their order.
//!
//! The rows are kept and every result is computed anew: a running sum that subtracts what leaves the frame
//! would carry the rounding errors of rows that are long gone, so the same frame would give different bits
//! after different histories. The cost is proportional to the frame's length for every row.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::FunctionInfo;
use super::scalar::{Arg, check_count, coerced, numbers};

/// An aggregate of numbers.
pub(super) struct AggregateSpec {
    /// Name, version and documentation.
    pub(super) info: FunctionInfo,
    /// Arguments with the optional ones: numbers, and option types and settlements under those names.
    pub(super) args: usize,
    /// How many must be given.
    pub(super) required: usize,
    /// Whether the result depends on the order of rows.
    pub(super) ordered: bool,
    /// The result's type.
    pub(super) output: fn() -> DataType,
    /// The result from one slice per given argument, all of one length; NaN stands for missing.
    pub(super) evaluate: fn(&[&[f64]]) -> Result<ScalarValue>,
}

impl AggregateSpec {
    /// What an argument is: those that the signature calls `option_type` and `settlement` are words, all others are numbers.
    fn arg(&self, index: usize) -> Arg {
        let signature = self.info.signature;
        let names = signature.split(['(', ',', ')']).skip(1);
        match names.map(str::trim).nth(index) {
            Some("option_type") => Arg::Kind,
            Some("settlement") => Arg::Settlement,
            _ => Arg::Number,
        }
    }
}

impl std::fmt::Debug for AggregateSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.info.name)
    }
}

/// [`AggregateSpec`] as DataFusion wants it.
#[derive(Debug)]
pub(super) struct FrameAggregate {
    name: &'static str,
    spec: &'static AggregateSpec,
    signature: Signature,
}

impl FrameAggregate {
    pub(super) fn new(spec: &'static AggregateSpec) -> Self {
        Self {
            name: spec.info.name,
            spec,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl PartialEq for FrameAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FrameAggregate {}

impl Hash for FrameAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for FrameAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let spec = self.spec;
        check_count(&spec.info, spec.required, spec.args, found.len())?;
        found
            .iter()
            .enumerate()
            .map(|(i, f)| coerced(&spec.info, spec.arg(i), f))
            .collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok((self.spec.output)())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(FrameRows {
            spec: self.spec,
            columns: vec![VecDeque::new(); args.exprs.len()],
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |i| Field::new(format!("{}[rows {i}]", args.name), list_type(), true);
        Ok((0..args.input_fields.len())
            .map(|i| Arc::new(list(i)))
            .collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        if self.spec.ordered {
            AggregateOrderSensitivity::HardRequirement
        } else {
            AggregateOrderSensitivity::Insensitive
        }
    }
}

fn list_type() -> DataType {
    DataType::List(item())
}

fn item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Float64, true))
}

/// The rows of a group or of a frame.
#[derive(Debug)]
struct FrameRows {
    spec: &'static AggregateSpec,
    columns: Vec<VecDeque<f64>>,
}

impl Accumulator for FrameRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (i, (column, array)) in self.columns.iter_mut().zip(values).enumerate() {
            let numbers = numbers(self.spec.arg(i), array)?;
            column.extend(numbers.iter().map(|number| number.unwrap_or(f64::NAN)));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let gone = values.first().map_or(0, |array| array.len());
        for column in &mut self.columns {
            column.drain(..gone.min(column.len()));
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let slices: Vec<&[f64]> = self
            .columns
            .iter_mut()
            .map(|c| &*c.make_contiguous())
            .collect();
        (self.spec.evaluate)(&slices)
    }

    fn size(&self) -> usize {
        let kept: usize = self.columns.iter().map(VecDeque::capacity).sum();
        size_of_val(self) + kept * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.columns
            .iter()
            .map(|column| {
                let values: ScalarBuffer<f64> = column.iter().copied().collect();
                let values = Arc::new(Float64Array::new(values, None));
                let offsets = OffsetBuffer::from_lengths([column.len()]);
                Ok(ScalarValue::List(Arc::new(ListArray::try_new(
                    item(),
                    offsets,
                    values,
                    None,
                )?)))
            })
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (column, state) in self.columns.iter_mut().zip(states) {
            let lists = state.as_list::<i32>();
            for part in (0..lists.len())
                .filter(|i| lists.is_valid(*i))
                .map(|i| lists.value(i))
            {
                if self.spec.ordered && !column.is_empty() && !part.is_empty() {
                    return exec_err!(
                        "{} depends on the order of rows: use it over a window, or in a session with one partition",
                        self.spec.info.name
                    );
                }
                column.extend(part.as_primitive::<Float64Type>().values());
            }
        }
        Ok(())
    }
}
