//! Scalar functions: a kernel over numbers, called row by row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, is_null, nullif};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use lakectl_options::OptionKind;

use super::FunctionInfo;

/// The most arguments a function may have.
const MAX_ARGS: usize = 16;

/// What an argument is; a kernel sees every one as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// A number.
    Number,
    /// A number that a record may give too: one record stands for a run of parts, by their names.
    Part(&'static str),
    /// `call` or `put` (or `C`, `P`, any case): +1 or -1, and 0 for anything else.
    Kind,
    /// `linear` or `inverse`: +1 or -1, and 0 for anything else.
    Settlement,
    /// An instant: microseconds since 1970, exact in a double until the year 2255.
    Time,
}

/// What a function computes from one row of arguments, none of them missing.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// A number, or null.
    Number(fn(&[f64]) -> Option<f64>),
    /// A word, for rows with all arguments; `missing_input` otherwise.
    Word(fn(&[f64]) -> &'static str),
    /// A word for every row; a missing argument is NaN.
    Verdict(fn(&[f64]) -> &'static str),
    /// A record of numbers under these names, or a null record.
    Record(
        &'static [&'static str],
        fn(&[f64], &mut [f64]) -> Option<()>,
    ),
}

/// A scalar function.
pub(super) struct ScalarSpec {
    /// Name, version and documentation.
    pub(super) info: FunctionInfo,
    /// All arguments, the optional ones last.
    pub(super) args: &'static [Arg],
    /// How many must be given.
    pub(super) required: usize,
    /// The computation.
    pub(super) body: Body,
}

/// [`ScalarSpec`] as DataFusion wants it.
#[derive(Debug)]
pub(super) struct KernelFunction {
    name: &'static str,
    spec: &'static ScalarSpec,
    signature: Signature,
}

impl std::fmt::Debug for ScalarSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.info.name)
    }
}

impl KernelFunction {
    pub(super) fn new(spec: &'static ScalarSpec) -> Self {
        Self {
            name: spec.info.name,
            spec,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl PartialEq for KernelFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for KernelFunction {}

impl Hash for KernelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Microseconds in UTC, the type of every instant in the lake.
pub(crate) fn utc_micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Returns the type an argument is brought to, or an error that shows the signature.
pub(super) fn coerced(info: &FunctionInfo, arg: Arg, found: &DataType) -> Result<DataType> {
    let text = matches!(
        found,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    );
    let time = matches!(
        found,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 | DataType::Null
    );
    let number = found.is_numeric() || *found == DataType::Null;
    match arg {
        Arg::Number | Arg::Part(_) if number => Ok(DataType::Float64),
        Arg::Kind | Arg::Settlement if text => Ok(DataType::Utf8),
        Arg::Time if time => Ok(utc_micros()),
        _ => plan_err!(
            "{} takes {}, found an argument of type {found}",
            info.name,
            info.signature
        ),
    }
}

/// Checks the number of arguments.
pub(super) fn check_count(
    info: &FunctionInfo,
    required: usize,
    all: usize,
    found: usize,
) -> Result<()> {
    if (required..=all).contains(&found) {
        Ok(())
    } else {
        plan_err!(
            "{} takes {}, found {found} arguments",
            info.name,
            info.signature
        )
    }
}

/// The names of the parts that a record at a position stands for: up to the next other argument, or to
/// where the first name comes again. None if the argument is no record or none is taken there.
fn record_parts(args: &[Arg], position: usize, found: &DataType) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    if matches!(found, DataType::Struct(_)) {
        for arg in args.iter().skip(position) {
            match arg {
                Arg::Part(name) if names.first() != Some(name) => names.push(name),
                _ => break,
            }
        }
    }
    names
}

/// Checks that a record has the numbers that it stands for.
fn check_parts(info: &FunctionInfo, names: &[&str], found: &DataType) -> Result<()> {
    let DataType::Struct(fields) = found else {
        return plan_err!("{} takes {}", info.name, info.signature);
    };
    for name in names {
        let field = fields.iter().find(|field| field.name() == name);
        if !field.is_some_and(|field| field.data_type().is_numeric()) {
            return plan_err!(
                "{} takes {}; the record has no number `{name}`",
                info.name,
                info.signature
            );
        }
    }
    Ok(())
}

/// One number of a record; missing where the record is.
fn part(value: &ColumnarValue, name: &str) -> Result<ColumnarValue> {
    let field = |array: &ArrayRef| -> Result<ArrayRef> {
        let record = array.as_struct();
        let Some(column) = record.column_by_name(name) else {
            return exec_err!("the record has no number `{name}`");
        };
        let missing = is_null(record)?;
        Ok(nullif(column, &missing)?)
    };
    Ok(match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(field(array)?),
        ColumnarValue::Scalar(scalar) => {
            let one = field(&scalar.to_array()?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?)
        }
    })
}

fn record_fields(names: &[&str]) -> Fields {
    names
        .iter()
        .map(|name| Field::new(*name, DataType::Float64, true))
        .collect()
}

impl ScalarUDFImpl for KernelFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let spec = self.spec;
        let mut count = 0;
        let mut types = Vec::with_capacity(found.len());
        for found in found {
            let names = record_parts(spec.args, count, found);
            if names.is_empty() {
                let Some(arg) = spec.args.get(count) else {
                    count = spec.args.len() + 1;
                    break;
                };
                types.push(coerced(&spec.info, *arg, found)?);
                count += 1;
            } else {
                check_parts(&spec.info, &names, found)?;
                types.push(found.clone());
                count += names.len();
            }
        }
        check_count(&spec.info, spec.required, spec.args.len(), count)?;
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.spec.body {
            Body::Number(_) => DataType::Float64,
            Body::Word(_) | Body::Verdict(_) => DataType::Utf8,
            Body::Record(names, _) => DataType::Struct(record_fields(names)),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut inputs = Vec::with_capacity(self.spec.args.len());
        for value in &args.args {
            let names = record_parts(self.spec.args, inputs.len(), &value.data_type());
            for name in &names {
                inputs.push(Input::new(Arg::Number, &part(value, name)?)?);
            }
            if let (true, Some(arg)) = (names.is_empty(), self.spec.args.get(inputs.len())) {
                inputs.push(Input::new(*arg, value)?);
            }
        }
        let result = self.spec.body.run(&Rows { inputs, rows });
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// One argument of a batch as numbers.
enum Input {
    Constant(f64),
    Column(ScalarBuffer<f64>, Option<NullBuffer>),
}

impl Input {
    fn new(arg: Arg, value: &ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(scalar) => {
                let one = numbers(arg, &scalar.to_array()?)?;
                Ok(Self::Constant(if one.is_null(0) {
                    f64::NAN
                } else {
                    one.value(0)
                }))
            }
            ColumnarValue::Array(array) => {
                let column = numbers(arg, array)?;
                Ok(Self::Column(
                    column.values().clone(),
                    column.nulls().cloned(),
                ))
            }
        }
    }

    /// The value, or NaN if it is missing.
    #[inline]
    fn get(&self, row: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Column(values, nulls) => match nulls {
                Some(nulls) if nulls.is_null(row) => f64::NAN,
                _ => values[row],
            },
        }
    }
}

/// Brings an argument of any accepted type to doubles.
pub(super) fn numbers(arg: Arg, array: &ArrayRef) -> Result<Float64Array> {
    match arg {
        Arg::Number | Arg::Part(_) => Ok(cast(array, &DataType::Float64)?
            .as_primitive::<Float64Type>()
            .clone()),
        Arg::Time => {
            let times = cast(array, &utc_micros())?;
            let times = times.as_primitive::<TimestampMicrosecondType>();
            Ok(times
                .iter()
                .map(|t| t.map(|micros| micros as f64))
                .collect())
        }
        Arg::Kind => words(array, |text| {
            OptionKind::from_word(text).map_or(0.0, OptionKind::sign)
        }),
        Arg::Settlement => words(array, |text| match text {
            "linear" => 1.0,
            "inverse" => -1.0,
            _ => 0.0,
        }),
    }
}

fn words(array: &ArrayRef, number: fn(&str) -> f64) -> Result<Float64Array> {
    let texts = cast(array, &DataType::Utf8)?;
    let Some(texts) = texts.as_any().downcast_ref::<StringArray>() else {
        return exec_err!("an option type or settlement must be text");
    };
    Ok(texts.iter().map(|text| text.map(number)).collect())
}

struct Rows {
    inputs: Vec<Input>,
    rows: usize,
}

impl Rows {
    /// Calls `each` for every row with its arguments, or with `None` if one is missing.
    fn visit(&self, mut each: impl FnMut(Option<&[f64]>)) {
        self.visit_all(|row, missing| each((!missing).then_some(row)));
    }

    /// Calls `each` for every row with its arguments, NaN where they are missing, and whether one is.
    fn visit_all(&self, mut each: impl FnMut(&[f64], bool)) {
        let mut row = [0.0; MAX_ARGS];
        let count = self.inputs.len();
        for i in 0..self.rows {
            let mut missing = false;
            for (value, input) in row.iter_mut().zip(&self.inputs) {
                *value = input.get(i);
                missing |= value.is_nan();
            }
            each(&row[..count], missing);
        }
    }
}

impl Body {
    fn run(&self, rows: &Rows) -> ArrayRef {
        match self {
            Self::Number(kernel) => {
                let mut out = Float64Builder::with_capacity(rows.rows);
                rows.visit(|row| {
                    out.append_option(row.and_then(kernel).filter(|value| value.is_finite()));
                });
                Arc::new(out.finish())
            }
            Self::Word(kernel) => {
                let mut out = StringBuilder::new();
                rows.visit(|row| out.append_value(row.map_or("missing_input", kernel)));
                Arc::new(out.finish())
            }
            Self::Verdict(kernel) => {
                let mut out = StringBuilder::new();
                rows.visit_all(|row, _| out.append_value(kernel(row)));
                Arc::new(out.finish())
            }
            Self::Record(names, kernel) => record(names, *kernel, rows),
        }
    }
}

fn record(names: &[&str], kernel: fn(&[f64], &mut [f64]) -> Option<()>, rows: &Rows) -> ArrayRef {
    let mut columns: Vec<Vec<f64>> = names
        .iter()
        .map(|_| Vec::with_capacity(rows.rows))
        .collect();
    let mut valid = Vec::with_capacity(rows.rows);
    let mut values = vec![0.0; names.len()];
    rows.visit(|row| {
        values.fill(0.0);
        let good = row.and_then(|row| kernel(row, &mut values)).is_some()
            && values.iter().all(|value| value.is_finite());
        valid.push(good);
        for (column, value) in columns.iter_mut().zip(&values) {
            column.push(if good { *value } else { 0.0 });
        }
    });
    let nulls = NullBuffer::from(valid);
    let arrays = columns
        .into_iter()
        .map(|column| Arc::new(Float64Array::new(column.into(), Some(nulls.clone()))) as ArrayRef)
        .collect();
    Arc::new(StructArray::new(record_fields(names), arrays, Some(nulls)))
}
