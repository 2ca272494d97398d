//! The engine's own aggregates over moving frames, computed anew for each frame.
//!
//! DataFusion adds what enters a frame and subtracts what leaves it. For floats the result then depends on
//! every row since the partition's beginning, so a longer history in the input changes the last bits of a
//! bounded window, and a large value that has left the frame leaves its rounding error behind. Here a moving
//! frame keeps its values and a fresh accumulator sees them in order. Frames that only grow, and ordinary
//! aggregation, stay as they are.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::{
    average, correlation, covariance, median, percentile_cont, regr, stddev, sum, variance,
};
use datafusion::logical_expr::expr::AggregateFunctionParams;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    Signature,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// Aggregates whose result over floats depends on the order of additions, or that cannot slide at all.
pub(super) fn recomputed_builtins() -> Vec<Arc<AggregateUDF>> {
    [
        sum::sum_udaf(),
        average::avg_udaf(),
        stddev::stddev_udaf(),
        stddev::stddev_pop_udaf(),
        variance::var_samp_udaf(),
        variance::var_pop_udaf(),
        covariance::covar_samp_udaf(),
        covariance::covar_pop_udaf(),
        correlation::corr_udaf(),
        median::median_udaf(),
        percentile_cont::percentile_cont_udaf(),
        regr::regr_slope_udaf(),
        regr::regr_intercept_udaf(),
        regr::regr_r2_udaf(),
        regr::regr_avgx_udaf(),
        regr::regr_avgy_udaf(),
        regr::regr_sxx_udaf(),
        regr::regr_syy_udaf(),
        regr::regr_sxy_udaf(),
    ]
    .into_iter()
    .map(|inner| Arc::new(AggregateUDF::new_from_impl(Recomputed { inner })))
    .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Recomputed {
    inner: Arc<AggregateUDF>,
}

impl Hash for Recomputed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.name().hash(state);
    }
}

impl AggregateUDFImpl for Recomputed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.schema_name(params)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        // Integers and decimals add exactly, so the engine's own way is right for them.
        if args
            .expr_fields
            .iter()
            .all(|field| *field.data_type() == DataType::Float64)
        {
            Ok(Box::new(Frame::new(&self.inner, &args)))
        } else {
            self.inner.create_sliding_accumulator(args)
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    /// A frame is always read in its own order.
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// The values of one frame and what is needed to make an accumulator for them.
struct Frame {
    inner: Arc<AggregateUDF>,
    columns: Vec<VecDeque<Option<f64>>>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}, {:?})", self.inner.name(), self.columns)
    }
}

impl Frame {
    fn new(inner: &Arc<AggregateUDF>, args: &AccumulatorArgs) -> Self {
        Self {
            inner: Arc::clone(inner),
            columns: vec![VecDeque::new(); args.exprs.len()],
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }

    fn filled(&self) -> Result<Box<dyn Accumulator>> {
        let mut accumulator = self.accumulator()?;
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| Arc::new(column.iter().copied().collect::<Float64Array>()) as ArrayRef)
            .collect();
        accumulator.update_batch(&arrays)?;
        Ok(accumulator)
    }
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(values) {
            column.extend(array.as_primitive::<Float64Type>().iter());
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
        self.filled()?.evaluate()
    }

    fn size(&self) -> usize {
        let kept: usize = self.columns.iter().map(VecDeque::capacity).sum();
        size_of_val(self) + kept * size_of::<Option<f64>>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.filled()?.state()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        datafusion::common::not_impl_err!("a frame is never merged")
    }
}
