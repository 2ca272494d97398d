//! Smiles in SQL: raw SVI, its certificate and its fit.

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::scalar::ScalarStructBuilder;
use datafusion::common::{Result, ScalarValue};
use lakectl_options::smile::{FitError, RawSvi, Smile, SviFit, fit_svi};
use lakectl_options::strike::smile_delta;

use super::super::FunctionInfo;
use super::super::aggregate::AggregateSpec;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

pub(super) const SVI_AT: &[Arg] = &[Arg::Number; 6];
const SVI_AT_EXPIRY: &[Arg] = &[Arg::Number; 7];

/// Reads (a, b, rho, m, sigma) from the beginning of `row`.
pub(super) fn svi(row: &[f64]) -> Option<RawSvi> {
    let smile = RawSvi {
        a: row[0],
        b: row[1],
        rho: row[2],
        m: row[3],
        sigma: row[4],
    };
    smile.validate().ok().map(|()| smile)
}

fn svi_g(row: &[f64]) -> Option<f64> {
    let smile = svi(row)?;
    (smile.total_variance(row[5]) > 0.0).then(|| smile.density_factor(row[5]))
}

/// (option_type, size, a, b, rho, m, sigma)
fn svi_delta(row: &[f64]) -> Option<f64> {
    smile_delta(&svi(&row[2..])?, kind(row[0])?, row[1])
}

/// One function of a smile at a log moneyness or another sixth argument.
macro_rules! svi_at {
    ($name:literal, $arg:literal, $doc:literal, $body:expr) => {
        ScalarSpec {
            info: FunctionInfo {
                name: $name,
                version: 1,
                signature: concat!($name, "(a, b, rho, m, sigma, ", $arg, ") -> double"),
                doc: concat!(
                    $doc,
                    " The five parameters are those of raw SVI, as `svi_fit` returns them."
                ),
                example: concat!(
                    $name,
                    "(svi_a, svi_b, svi_rho, svi_m, svi_sigma, ",
                    $arg,
                    ")"
                ),
            },
            args: SVI_AT,
            required: 6,
            body: Body::Number($body),
        }
    };
}
pub(super) use svi_at;

pub(super) static SCALARS: &[ScalarSpec] = &[
    svi_at!(
        "svi_total_variance",
        "k",
        "Total variance of a smile at log moneyness `k`.",
        |row| { Some(svi(row)?.total_variance(row[5])) }
    ),
    svi_at!(
        "svi_g",
        "k",
        "Durrleman's g(k): butterfly-free where it is not negative. Null where the variance is not positive.",
        svi_g
    ),
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_vol",
            version: 1,
            signature: "svi_vol(a, b, rho, m, sigma, k, expiry_years) -> double",
            doc: "Volatility of a smile at log moneyness `k`. Null where the variance is not positive.",
            example: "svi_vol(svi_a, svi_b, svi_rho, svi_m, svi_sigma, k, expiry_years)",
        },
        args: SVI_AT_EXPIRY,
        required: 7,
        body: Body::Number(|row| svi(row)?.vol(row[5], row[6])),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "svi_delta_k",
            version: 1,
            signature: "svi_delta_k(option_type, size, a, b, rho, m, sigma) -> double",
            doc: "Log moneyness on a smile at which the forward delta has the size `size` (0.25 for a 25-delta put or call), the root \
                  nearest to the money. Null if the smile never reaches it.",
            example: "svi_delta_k(option_type, tau, svi_a, svi_b, svi_rho, svi_m, svi_sigma)",
        },
        args: &[
            Arg::Kind,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
        ],
        required: 7,
        body: Body::Number(svi_delta),
    },
];

pub(super) static AGGREGATES: &[AggregateSpec] = &[AggregateSpec {
    info: FunctionInfo {
        name: "svi_fit",
        version: 1,
        signature: "svi_fit(k, iv, weight, expiry_years) -> struct{a, b, rho, m, sigma, rmse_vol, quotes, g_min, butterfly_free, status}",
        doc: "Raw SVI through the quotes of one slice: log moneyness, volatility, weight (vega over spread, or 1) and the one time to \
              expiry. Rows with a missing value are left out; the order of rows does not matter. `rmse_vol` is unweighted and a \
              fraction (0.005 is half a vol point); `g_min` is the smallest g(k). `status` is `ok`, `too_few_quotes` (less than five), \
              `bad_quote`, `bad_expiry`, `several_expiries` or `no_fit`; the other fields are null unless it is `ok`.",
        example: "svi_fit(k, iv, weight, 0.25)",
    },
    args: 4,
    required: 4,
    ordered: false,
    output: svi_fit_type,
    evaluate: svi_fit_value,
}];

fn svi_fit_fields() -> Fields {
    let number = |name| Field::new(name, DataType::Float64, true);
    vec![
        number("a"),
        number("b"),
        number("rho"),
        number("m"),
        number("sigma"),
        number("rmse_vol"),
        Field::new("quotes", DataType::Int64, true),
        number("g_min"),
        Field::new("butterfly_free", DataType::Boolean, true),
        Field::new("status", DataType::Utf8, true),
    ]
    .into()
}

fn svi_fit_type() -> DataType {
    DataType::Struct(svi_fit_fields())
}

fn svi_fit_value(columns: &[&[f64]]) -> Result<ScalarValue> {
    let (fit, status) = match fit_slice(columns) {
        Ok(fit) => (Some(fit), "ok"),
        Err(status) => (None, status),
    };
    let number = |pick: fn(&SviFit) -> f64| ScalarValue::Float64(fit.as_ref().map(pick));
    let values = [
        number(|f| f.svi.a),
        number(|f| f.svi.b),
        number(|f| f.svi.rho),
        number(|f| f.svi.m),
        number(|f| f.svi.sigma),
        number(|f| f.rmse_vol),
        ScalarValue::Int64(fit.map(|f| f.quotes as i64)),
        ScalarValue::Float64(fit.and_then(|f| f.g_min)),
        ScalarValue::Boolean(fit.map(|f| f.butterfly_free)),
        ScalarValue::Utf8(Some(status.to_owned())),
    ];
    svi_fit_fields()
        .iter()
        .zip(values)
        .fold(ScalarStructBuilder::new(), |row, (field, value)| {
            row.with_scalar(field.clone(), value)
        })
        .build()
}

fn fit_slice(columns: &[&[f64]]) -> Result<SviFit, &'static str> {
    let rows = columns.first().map_or(0, |column| column.len());
    let complete = |row: &usize| columns.iter().all(|column| !column[*row].is_nan());
    let kept: Vec<usize> = (0..rows).filter(complete).collect();
    let column = |i: usize| {
        kept.iter()
            .map(|row| columns[i][*row])
            .collect::<Vec<f64>>()
    };
    let expiries = column(3);
    let Some(expiry_years) = expiries.first().copied() else {
        return Err("too_few_quotes");
    };
    if expiries.iter().any(|expiry| *expiry != expiry_years) {
        return Err("several_expiries");
    }
    fit_svi(&column(0), &column(1), &column(2), expiry_years).map_err(|error| match error {
        FitError::TooFewQuotes => "too_few_quotes",
        FitError::LengthMismatch | FitError::BadQuote => "bad_quote",
        FitError::BadExpiry => "bad_expiry",
        FitError::NoFit => "no_fit",
    })
}
