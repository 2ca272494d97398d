//! Covariance and principal components of lists of numbers, one list a row.
//!
//! A fit is an aggregate over the rows of a group or of a frame; what it measures afterwards is a function of a list
//! and of the fit, so that the frame can end before the row that is measured.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ScalarUDF, Signature, Volatility,
};
use lakectl_stats::StatsError;
use lakectl_stats::components::principal_components;
use lakectl_stats::covariance::ledoit_wolf;

use super::record::{Record, count, number, record_type, record_value, word};
use super::scalar::check_count;
use super::{FunctionInfo, OwnFunction};

mod measures;

/// Wider lists than this are refused: the work grows with the cube of the width.
const WIDTH_MAX: usize = 256;

/// Complete rows of one width, row-major, and the width; or the reason why there are none.
type Lists<'l> = std::result::Result<(&'l [f64], usize), &'static str>;

/// An aggregate of lists.
#[derive(Debug)]
pub(super) struct ListSpec {
    pub(super) info: FunctionInfo,
    /// The record of rows, or of the reason why there are none.
    fit: fn(Lists<'_>) -> Record,
}

pub(super) static AGGREGATES: &[ListSpec] = &[
    ListSpec {
        info: FunctionInfo {
            name: "ledoit_wolf",
            version: 1,
            signature: "ledoit_wolf(x) -> struct{mean, covariance, shrinkage, rows, status}",
            doc: "Covariance of lists of one width, shrunk towards a multiple of the identity (Ledoit and Wolf 2004; the divisor is the \
                  number of rows): means, covariances (a list, row after row), share of the target from 0 to 1, rows. Lists with a \
                  missing value are left out; the order of rows does not matter. `status` is `ok`, `too_few_rows` (less than two), \
                  `several_widths`, `too_wide` (over 256) or `not_finite`; the lists and the share are null unless it is `ok`. \
                  `mahalanobis` measures with it.",
            example: "ledoit_wolf([q05, q25, y])",
        },
        fit: shrunk,
    },
    ListSpec {
        info: FunctionInfo {
            name: "pca_fit",
            version: 1,
            signature: "pca_fit(x) -> struct{mean, scale, loadings, variance, share, rows, status}",
            doc: "Principal components of lists of one width, each column standardised: means and sample standard deviations, unit loadings \
                  (a list of lists, the component of the largest variance first, its largest absolute loading positive), variance of each \
                  score and share of the total. Rows and `status` as for `ledoit_wolf`, with `constant_column` for one that does not vary. \
                  `pca_scores` projects on it.",
            example: "pca_fit([q05, q25, y])",
        },
        fit: components,
    },
];

pub(super) static SCALARS: &[OwnFunction] = &[
    OwnFunction {
        info: measures::MAHALANOBIS,
        make: || ScalarUDF::new_from_impl(measures::Measure::mahalanobis()),
    },
    OwnFunction {
        info: measures::PCA_SCORES,
        make: || ScalarUDF::new_from_impl(measures::Measure::pca_scores()),
    },
];

pub(super) fn aggregates() -> impl Iterator<Item = Arc<AggregateUDF>> {
    let made = AGGREGATES.iter().map(|spec| ListAggregate {
        spec,
        signature: Signature::user_defined(Volatility::Immutable),
    });
    made.map(|made| Arc::new(AggregateUDF::new_from_impl(made)))
}

fn reason(error: StatsError) -> &'static str {
    match error {
        StatsError::TooFew { .. } | StatsError::Empty => "too_few_rows",
        StatsError::Constant { .. } | StatsError::Singular => "constant_column",
        StatsError::LengthMismatch => "several_widths",
        StatsError::NotFinite | StatsError::OutOfDomain => "not_finite",
    }
}

type Rows<'a> = std::result::Result<(&'a [f64], usize), &'static str>;

fn shrunk(rows: Rows) -> Record {
    let found = rows.and_then(|(x, width)| ledoit_wolf(x, width).map_err(reason));
    let (fit, error) = (found.as_ref().ok(), found.as_ref().err());
    vec![
        ("mean", list(fit.map(|f| f.mean.as_slice()))),
        ("covariance", list(fit.map(|f| f.covariance.as_slice()))),
        ("shrinkage", number(fit.map(|f| f.shrinkage))),
        ("rows", count(fit.and(rows_of(rows)))),
        ("status", word(Some(error.unwrap_or(&"ok")))),
    ]
}

fn components(rows: Rows) -> Record {
    let fit = |(x, width)| principal_components(x, width, WIDTH_MAX, true).map_err(reason);
    let found = rows.and_then(fit);
    let (fit, error) = (found.as_ref().ok(), found.as_ref().err());
    vec![
        ("mean", list(fit.map(|f| f.mean.as_slice()))),
        ("scale", list(fit.map(|f| f.scale.as_slice()))),
        ("loadings", lists(fit.map(|f| f.loadings.as_slice()))),
        ("variance", list(fit.map(|f| f.variance.as_slice()))),
        ("share", list(fit.map(|f| f.share.as_slice()))),
        ("rows", count(fit.and(rows_of(rows)))),
        ("status", word(Some(error.unwrap_or(&"ok")))),
    ]
}

fn rows_of(rows: Rows) -> Option<usize> {
    rows.ok().map(|(x, width)| x.len() / width.max(1))
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Float64, true))
}

fn list_type() -> DataType {
    DataType::List(item())
}

fn numbers_of(values: &[f64]) -> ListArray {
    let values = Arc::new(Float64Array::from(values.to_vec()));
    ListArray::new(
        item(),
        OffsetBuffer::from_lengths([values.len()]),
        values,
        None,
    )
}

fn list(values: Option<&[f64]>) -> ScalarValue {
    ScalarValue::List(Arc::new(match values {
        Some(values) => numbers_of(values),
        None => ListArray::new_null(item(), 1),
    }))
}

fn lists(rows: Option<&[Vec<f64>]>) -> ScalarValue {
    let field = Arc::new(Field::new_list_field(list_type(), true));
    ScalarValue::List(Arc::new(match rows {
        None => ListArray::new_null(field, 1),
        Some(rows) => {
            let inner = ListArray::new(
                item(),
                OffsetBuffer::from_lengths(rows.iter().map(Vec::len)),
                Arc::new(Float64Array::from(rows.concat())),
                None,
            );
            let lengths = OffsetBuffer::from_lengths([rows.len()]);
            ListArray::new(field, lengths, Arc::new(inner), None)
        }
    }))
}

/// A list of a column; `None` where it, or a number in it, is missing.
fn row_of(lists: &ListArray, row: usize) -> Option<Vec<f64>> {
    let values = lists.is_valid(row).then(|| lists.value(row))?;
    let values = values.as_primitive_opt::<Float64Type>()?;
    let numbers = values.iter().map(|value| value.filter(|v| !v.is_nan()));
    numbers.collect()
}

/// What lists of any numbers are brought to.
fn coerced_list(info: &FunctionInfo, found: &DataType) -> Result<DataType> {
    match found {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
            if field.data_type().is_numeric() || *field.data_type() == DataType::Null =>
        {
            Ok(list_type())
        }
        DataType::Null => Ok(list_type()),
        _ => plan_err!(
            "{} takes {}, found an argument of type {found}",
            info.name,
            info.signature
        ),
    }
}

#[derive(Debug)]
struct ListAggregate {
    spec: &'static ListSpec,
    signature: Signature,
}

impl PartialEq for ListAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.spec.info.name == other.spec.info.name
    }
}

impl Eq for ListAggregate {}

impl std::hash::Hash for ListAggregate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.spec.info.name.hash(state);
    }
}

impl AggregateUDFImpl for ListAggregate {
    fn name(&self) -> &str {
        self.spec.info.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let info = &self.spec.info;
        check_count(info, 1, 1, found.len())?;
        found.iter().map(|kind| coerced_list(info, kind)).collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(record_type(&(self.spec.fit)(Err("too_few_rows"))))
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(ListRows {
            spec: self.spec,
            rows: VecDeque::new(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let counts = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
        Ok(vec![
            Arc::new(Field::new(
                format!("{}[numbers]", args.name),
                list_type(),
                true,
            )),
            Arc::new(Field::new(format!("{}[widths]", args.name), counts, true)),
        ])
    }
}

/// The rows of a group or of a frame; a row with a missing value keeps its place.
#[derive(Debug)]
struct ListRows {
    spec: &'static ListSpec,
    rows: VecDeque<Option<Vec<f64>>>,
}

impl ListRows {
    /// Calls `each` with the complete rows in an order of their own, so that it does not depend on that of the input.
    fn fit(&self) -> Record {
        let mut rows: Vec<&[f64]> = self.rows.iter().flatten().map(Vec::as_slice).collect();
        let width = rows.first().map_or(0, |row| row.len());
        if rows.iter().any(|row| row.len() != width) {
            return (self.spec.fit)(Err("several_widths"));
        }
        if width > WIDTH_MAX {
            return (self.spec.fit)(Err("too_wide"));
        }
        if rows.len() < 2 || width == 0 {
            return (self.spec.fit)(Err("too_few_rows"));
        }
        rows.sort_by(|a, b| {
            let pairs = a.iter().zip(b.iter());
            let mut unequal = pairs.map(|(a, b)| a.total_cmp(b));
            unequal
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        (self.spec.fit)(Ok((&rows.concat(), width)))
    }
}

impl Accumulator for ListRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for lists in values.iter().filter_map(|array| array.as_list_opt::<i32>()) {
            self.rows
                .extend((0..lists.len()).map(|row| row_of(lists, row)));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let gone = values.first().map_or(0, |array| array.len());
        self.rows.drain(..gone.min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        record_value(self.fit())
    }

    fn size(&self) -> usize {
        let numbers: usize = self.rows.iter().flatten().map(Vec::capacity).sum();
        size_of_val(self)
            + self.rows.capacity() * size_of::<Option<Vec<f64>>>()
            + numbers * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let complete: Vec<&Vec<f64>> = self.rows.iter().flatten().collect();
        let widths: Vec<ScalarValue> = complete
            .iter()
            .map(|row| ScalarValue::Int64(i64::try_from(row.len()).ok()))
            .collect();
        let numbers: Vec<f64> = complete.into_iter().flatten().copied().collect();
        let widths = ScalarValue::new_list_nullable(&widths, &DataType::Int64);
        Ok(vec![list(Some(&numbers)), ScalarValue::List(widths)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [numbers, widths] = states else {
            return plan_err!("{} has two parts of state", self.spec.info.name);
        };
        let (numbers, widths) = (numbers.as_list::<i32>(), widths.as_list::<i32>());
        for part in (0..numbers.len()).filter(|i| numbers.is_valid(*i) && widths.is_valid(*i)) {
            let (values, counts) = (numbers.value(part), widths.value(part));
            let mut rest: &[f64] = values.as_primitive::<Float64Type>().values();
            let counts: &Int64Array = counts.as_primitive::<Int64Type>();
            for count in counts.values() {
                let at = usize::try_from(*count).unwrap_or(0).min(rest.len());
                let (row, after) = rest.split_at(at);
                self.rows.push_back(Some(row.to_vec()));
                rest = after;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
