//! Statistics over the kernels of `lakectl-stats`: trailing windows, scores and small helpers.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use lakectl_stats::quantiles::{mean, sample_sd};
use lakectl_stats::regression::{NeweyWest, newey_west};
use lakectl_stats::scores::{QuantileFunction, pinball};
use lakectl_stats::special::{normal_cdf, normal_quantile};

use super::FunctionInfo;
use super::aggregate::AggregateSpec;
use super::record::{self, Record, record_type, record_value};
use super::scalar::{Arg, Body, ScalarSpec};

/// Levels of the five forecast quantiles.
const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Keeps a z-score finite where a series does not move.
const SD_GUARD: f64 = 1e-9;

fn forecast(row: &[f64]) -> Option<QuantileFunction> {
    QuantileFunction::new(&LEVELS, &row[..5]).ok()
}

pub(super) static SCALARS: &[ScalarSpec] = &[
    ScalarSpec {
        info: FunctionInfo {
            name: "pinball",
            version: 1,
            signature: "pinball(tau, q, y) -> double",
            doc: "Pinball loss of the forecast `q` of the `tau` quantile for the outcome `y`. Null unless 0 < tau < 1.",
            example: "pinball(tau, q05, y)",
        },
        args: &[Arg::Number; 3],
        required: 3,
        body: Body::Number(|row| pinball(row[0], row[1], row[2]).ok()),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "crps_quantiles",
            version: 1,
            signature: "crps_quantiles(q05, q25, q50, q75, q95, y) -> double",
            doc: "Continuous ranked probability score of five quantiles for the outcome `y`, exact for the distribution that is linear \
                  between the knots and has exponential tails whose scale continues the outer knots' distance. Crossing quantiles are \
                  sorted first.",
            example: "crps_quantiles(q05, q25, q50, q75, q95, y)",
        },
        args: &[Arg::Number; 6],
        required: 6,
        body: Body::Number(|row| forecast(row)?.crps(row[5]).ok()),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "quantile_cdf",
            version: 1,
            signature: "quantile_cdf(q05, q25, q50, q75, q95, x) -> double",
            doc: "Probability of an outcome at or below `x` under the distribution of `crps_quantiles`; at the outcome it is the \
                  probability integral transform.",
            example: "quantile_cdf(q05, q25, q50, q75, q95, y)",
        },
        args: &[Arg::Number; 6],
        required: 6,
        body: Body::Number(|row| forecast(row)?.cdf(row[5]).ok()),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "quantile_at",
            version: 1,
            signature: "quantile_at(q05, q25, q50, q75, q95, tau) -> double",
            doc: "Value at level `tau` under the distribution of `crps_quantiles`. Null unless 0 < tau < 1.",
            example: "quantile_at(q05, q25, q50, q75, q95, tau)",
        },
        args: &[Arg::Number; 6],
        required: 6,
        body: Body::Number(|row| forecast(row)?.quantile(row[5]).ok()),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "clip",
            version: 1,
            signature: "clip(x, low, high) -> double",
            doc: "`x`, or the bound it lies beyond. Null if `low` is above `high`.",
            example: "clip(x, -1.0, 1.0)",
        },
        args: &[Arg::Number; 3],
        required: 3,
        body: Body::Number(|row| (row[1] <= row[2]).then(|| row[0].clamp(row[1], row[2]))),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "normal_cdf",
            version: 1,
            signature: "normal_cdf(x) -> double",
            doc: "Distribution function of the standard normal, accurate in the lower tail.",
            example: "normal_cdf(x)",
        },
        args: &[Arg::Number],
        required: 1,
        body: Body::Number(|row| Some(normal_cdf(row[0]))),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "normal_quantile",
            version: 1,
            signature: "normal_quantile(p) -> double",
            doc: "Quantile of the standard normal. Null unless 0 < p < 1.",
            example: "normal_quantile(tau)",
        },
        args: &[Arg::Number],
        required: 1,
        body: Body::Number(|row| normal_quantile(row[0]).ok()),
    },
];

pub(super) static AGGREGATES: &[AggregateSpec] = &[
    AggregateSpec {
        info: FunctionInfo {
            name: "zscore",
            version: 1,
            signature: "zscore(x [, min_count]) over a window -> double",
            doc: "(last - mean) / (sample standard deviation + 1e-9) of the values present in the frame, the last row included. Null if \
                  the last row has no value or fewer than `min_count` (2 unless given) values are present.",
            example: "zscore(x, 5) OVER (ORDER BY event_time ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)",
        },
        args: 2,
        required: 1,
        ordered: true,
        output: || DataType::Float64,
        evaluate: zscore,
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "pct_rank_last",
            version: 1,
            signature: "pct_rank_last(x [, min_count]) over a window -> double",
            doc: "Share of the values present in the frame that are at most the last row's. Null if the last row has no value or fewer \
                  than `min_count` (1 unless given) values are present.",
            example: "pct_rank_last(x, 5) OVER (ORDER BY event_time ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)",
        },
        args: 2,
        required: 1,
        ordered: true,
        output: || DataType::Float64,
        evaluate: pct_rank_last,
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "ema",
            version: 1,
            signature: "ema(x, alpha) over a window -> double",
            doc: "Exponential average in row order: the first value of the frame, then `alpha * x + (1 - alpha) * previous`; rows without \
                  a value leave it as it is. Bound the frame (five spans or more) so that every row can be computed from a bounded past. \
                  Null before the first value and unless 0 < alpha <= 1.",
            example: "ema(x, 0.2) OVER (ORDER BY event_time ROWS BETWEEN 49 PRECEDING AND CURRENT ROW)",
        },
        args: 2,
        required: 2,
        ordered: true,
        output: || DataType::Float64,
        evaluate: ema,
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "ols_slope",
            version: 1,
            signature: "ols_slope(y, x [, min_count]) -> double",
            doc: "Least-squares slope of `y` on `x` with an intercept, over the rows that have both. Null below `min_count` (2 unless \
                  given) rows or if `x` does not vary.",
            example: "ols_slope(y, x, 5) OVER (ORDER BY event_time ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)",
        },
        args: 3,
        required: 2,
        ordered: false,
        output: || DataType::Float64,
        evaluate: ols_slope,
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "newey_west_slope",
            version: 1,
            signature: "newey_west_slope(y, x, lags) over a window -> struct{slope, standard_error, intercept, rows}",
            doc: "Least-squares slope of `y` on `x` with an intercept, over the rows that have both, in their order, and its Newey-West standard \
                  error: Bartlett weights up to `lags`, no small-sample factor. `rows` is how many rows have both; the other fields are null \
                  with no more rows than two or `lags`, or if `x` does not vary.",
            example: "newey_west_slope(y, x, 3) OVER (ORDER BY event_time ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)",
        },
        args: 3,
        required: 3,
        ordered: true,
        output: || record_type(&newey_west_record(0, None)),
        evaluate: newey_west_slope,
    },
];

fn number(value: Option<f64>) -> Result<ScalarValue> {
    Ok(ScalarValue::Float64(value.filter(|v| v.is_finite())))
}

fn present(column: &[f64]) -> Vec<f64> {
    column.iter().copied().filter(|x| !x.is_nan()).collect()
}

/// The last row's value if there is one and enough others, with all values present.
fn last_of(columns: &[&[f64]], least: f64) -> Option<(f64, Vec<f64>)> {
    let last = columns[0].last().copied().filter(|x| !x.is_nan())?;
    let wanted = optional(columns, 1, least)?;
    let values = present(columns[0]);
    (values.len() as f64 >= wanted.max(least)).then_some((last, values))
}

/// The last row's value of an optional argument, `default` if it was not given.
fn optional(columns: &[&[f64]], index: usize, default: f64) -> Option<f64> {
    match columns.get(index) {
        None => Some(default),
        Some(column) => column.last().copied().filter(|x| !x.is_nan()),
    }
}

fn zscore(columns: &[&[f64]]) -> Result<ScalarValue> {
    number(last_of(columns, 2.0).and_then(|(last, values)| {
        let sd = sample_sd(&values).ok()?;
        Some((last - mean(&values).ok()?) / (sd + SD_GUARD))
    }))
}

fn pct_rank_last(columns: &[&[f64]]) -> Result<ScalarValue> {
    number(last_of(columns, 1.0).map(|(last, values)| {
        let below = values.iter().filter(|x| **x <= last).count();
        below as f64 / values.len() as f64
    }))
}

fn ema(columns: &[&[f64]]) -> Result<ScalarValue> {
    let mut average: Option<f64> = None;
    for (x, alpha) in columns[0].iter().zip(columns[1]) {
        if !(*alpha > 0.0 && *alpha <= 1.0) {
            return number(None);
        }
        if !x.is_nan() {
            average = Some(average.map_or(*x, |before| alpha * x + (1.0 - alpha) * before));
        }
    }
    number(average)
}

fn ols_slope(columns: &[&[f64]]) -> Result<ScalarValue> {
    let pairs = columns[0].iter().zip(columns[1]);
    let (y, x): (Vec<f64>, Vec<f64>) = pairs.filter(|(y, x)| !y.is_nan() && !x.is_nan()).unzip();
    let slope = || {
        let wanted = optional(columns, 2, 2.0)?.max(2.0);
        if (x.len() as f64) < wanted {
            return None;
        }
        let (mean_x, mean_y) = (mean(&x).ok()?, mean(&y).ok()?);
        let (mut sxx, mut sxy) = (0.0, 0.0);
        for (x, y) in x.iter().zip(&y) {
            sxx += (x - mean_x) * (x - mean_x);
            sxy += (x - mean_x) * (y - mean_y);
        }
        (sxx > 0.0).then(|| sxy / sxx)
    };
    number(slope())
}

fn newey_west_record(rows: usize, fit: Option<NeweyWest>) -> Record {
    let pick = |value: fn(&NeweyWest) -> f64| record::number(fit.as_ref().map(value));
    vec![
        ("slope", pick(|f| f.fit.coefficients[1])),
        ("standard_error", pick(|f| f.standard_errors[1])),
        ("intercept", pick(|f| f.fit.coefficients[0])),
        ("rows", record::count(Some(rows))),
    ]
}

fn newey_west_slope(columns: &[&[f64]]) -> Result<ScalarValue> {
    let pairs = columns[0].iter().zip(columns[1]);
    let (y, x): (Vec<f64>, Vec<f64>) = pairs.filter(|(y, x)| !y.is_nan() && !x.is_nan()).unzip();
    let design: Vec<f64> = x.iter().flat_map(|x| [1.0, *x]).collect();
    let lags = columns[2]
        .last()
        .filter(|lags| **lags >= 0.0 && **lags < x.len() as f64);
    let fit = lags.and_then(|lags| newey_west(&design, 2, &y, *lags as usize).ok());
    record_value(newey_west_record(x.len(), fit))
}
