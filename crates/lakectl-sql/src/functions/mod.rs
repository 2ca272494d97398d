//! The domain's mathematics as SQL functions, over the same kernels that the stages use.
//!
//! Rules for all of them: missing in, missing out; what a kernel cannot compute is null, never NaN, and where
//! that can happen for more than one reason a sibling `*_status` gives the reason as text; NaN counts as missing.
//! A function's `version` is part of every fingerprint that uses it: raise it when the output changes.

mod aggregate;
mod frame;
mod lists;
mod onchain;
mod options;
mod record;
mod scalar;
mod statistics;

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use aggregate::{AggregateSpec, FrameAggregate};
use scalar::{KernelFunction, ScalarSpec};

/// What a SQL function is, for reference pages and fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Name in SQL.
    pub name: &'static str,
    /// Raised whenever the output changes for some input.
    pub version: u32,
    /// Arguments and result, with units.
    pub signature: &'static str,
    /// What it computes, its domain and when it is null.
    pub doc: &'static str,
    /// A call on the columns of the reference grid.
    pub example: &'static str,
}

fn scalar_specs() -> impl Iterator<Item = &'static ScalarSpec> {
    let options = options::SCALARS.iter().copied();
    options
        .chain([statistics::SCALARS, onchain::SCALARS])
        .flatten()
}

fn aggregate_specs() -> impl Iterator<Item = &'static AggregateSpec> {
    let options = options::AGGREGATES.iter().copied();
    options
        .chain([statistics::AGGREGATES, onchain::AGGREGATES])
        .flatten()
}

/// A function that is not a kernel over numbers.
struct OwnFunction {
    info: FunctionInfo,
    make: fn() -> ScalarUDF,
}

fn infos() -> impl Iterator<Item = FunctionInfo> {
    scalar_specs()
        .map(|spec| spec.info)
        .chain(aggregate_specs().map(|spec| spec.info))
        .chain(own().map(|own| own.info))
        .chain(lists::AGGREGATES.iter().map(|spec| spec.info))
}

fn own() -> impl Iterator<Item = &'static OwnFunction> {
    options::OWN.iter().chain(lists::SCALARS)
}

/// Returns every function of ours, sorted by name.
pub fn registry() -> Vec<FunctionInfo> {
    let mut all: Vec<FunctionInfo> = infos().collect();
    all.sort_by_key(|info| info.name);
    all
}

/// Returns the version of a function of ours, or `None` for one of the engine's own.
pub fn function_version(name: &str) -> Option<u32> {
    infos()
        .find(|info| info.name == name)
        .map(|info| info.version)
}

/// Writes the reference page of all functions in Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# SQL functions\n\n\
         Beside DataFusion's own functions. Volatility is a fraction per square root of a year (0.43), times to expiry are\n\
         years of 365 days, log moneyness is `ln(strike / forward)`, greeks are raw partial derivatives per 1.00 and per year.\n\
         Missing in, missing out; what cannot be computed is null.\n\n\
         Window functions look at the rows of their frame only and in their order, so write the frame:\n\
         `OVER (PARTITION BY asset ORDER BY event_time ROWS BETWEEN 89 PRECEDING AND CURRENT ROW)`.\n\
         The same holds for DataFusion's aggregates of floats (`avg`, `sum`, `stddev`, `corr`, `regr_slope`, `median`, ...) in moving\n\
         frames: they are computed anew from each frame's values, so no rounding error of earlier rows is carried along.\n",
    );
    for info in registry() {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## `{}`\n\n`{}`\n\n{}\n\nExample: `{}`. Version {}.\n",
            info.name, info.signature, info.doc, info.example, info.version
        );
    }
    page
}

/// Our scalar functions for a session.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    scalar_specs()
        .map(|spec| ScalarUDF::new_from_impl(KernelFunction::new(spec)))
        .chain(own().map(|own| (own.make)()))
        .map(Arc::new)
        .collect()
}

/// Our aggregates for a session, and the engine's own with moving frames recomputed.
pub(crate) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    aggregate_specs()
        .map(|spec| Arc::new(AggregateUDF::new_from_impl(FrameAggregate::new(spec))))
        .chain(lists::aggregates())
        .chain(frame::recomputed_builtins())
        .collect()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
