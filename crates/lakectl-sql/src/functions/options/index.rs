//! Model-free volatility in SQL.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use lakectl_options::index::{
    StripOption, Term, VarianceStrip, constant_maturity, interquartile_mean, variance_strip,
};

use super::super::FunctionInfo;
use super::super::aggregate::AggregateSpec;
use super::super::record::{
    Record, complete_rows, count, number, only, record_type, record_value, word,
};
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

pub(super) static SCALARS: &[ScalarSpec] = &[ScalarSpec {
    info: FunctionInfo {
        name: "constant_maturity_vol",
        version: 1,
        signature: "constant_maturity_vol(near_years, near_vol, next_years, next_vol, horizon_years) -> double",
        doc: "Volatility at a horizon between two expiries: total variance linear in time. Null unless \
              near_years <= horizon_years < next_years and all are positive.",
        example: "constant_maturity_vol(0.06, iv, 0.11, sigma, 30 / 365.0)",
    },
    args: &[Arg::Number; 5],
    required: 5,
    body: Body::Number(|row| {
        let term = |i: usize| Term {
            expiry_years: row[i],
            variance: row[i + 1] * row[i + 1],
        };
        // A negative volatility has a positive square.
        if !(row[1] > 0.0 && row[3] > 0.0) {
            return None;
        }
        constant_maturity(term(0), term(2), row[4])
            .ok()
            .map(|found| found.vol)
    }),
}];

pub(super) static AGGREGATES: &[AggregateSpec] = &[
    AggregateSpec {
        info: FunctionInfo {
            name: "model_free_variance",
            version: 2,
            signature: "model_free_variance(option_type, strike, price, forward, expiry_years) -> struct{variance, vol, cut_off_strike, strikes, lowest_strike, highest_strike, status}",
            doc: "Variance per year from the options of one expiry without a smile: 2/T sum dK/K^2 Q(K) - (F/K0 - 1)^2 / T over \
                  out-of-the-money premiums in dollars (a coin premium times its forward), with the mean of call and put at the cut-off \
                  strike K0, the largest not above the forward that has both. Rows with a missing value or without a premium are left \
                  out and what is in the money is not looked at. `status` is `ok`, `no_rows`, `several_forwards`, `several_expiries`, `option_type`, `bad_input`, \
                  `duplicate_strike`, `no_cut_off`, `too_few_strikes` (less than three) or `not_positive`; the other fields are null \
                  unless it is `ok`.",
            example: "model_free_variance(option_type, strike, price, forward, expiry_years)",
        },
        args: 5,
        required: 5,
        ordered: false,
        output: || record_type(&strip_record(None, "")),
        evaluate: |columns| {
            record_value(match strip(columns) {
                Ok(found) => strip_record(Some(found), "ok"),
                Err(status) => strip_record(None, status),
            })
        },
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "interquartile_mean",
            version: 1,
            signature: "interquartile_mean(x) -> double",
            doc: "Mean of the middle half of the values: how the venue smooths 120 one-second values of its volatility index. The values at \
                  the quartiles count with the part that lies inside. Null without values.",
            example: "interquartile_mean(x)",
        },
        args: 1,
        required: 1,
        ordered: false,
        output: || DataType::Float64,
        evaluate: smoothed,
    },
];

fn smoothed(columns: &[&[f64]]) -> Result<ScalarValue> {
    let rows = complete_rows::<1>(columns);
    let values: Vec<f64> = rows.into_iter().flatten().collect();
    Ok(number(interquartile_mean(&values)))
}

fn strip_record(strip: Option<VarianceStrip>, status: &str) -> Record {
    let pick = |value: fn(&VarianceStrip) -> f64| number(strip.as_ref().map(value));
    vec![
        ("variance", pick(|s| s.variance)),
        ("vol", pick(VarianceStrip::vol)),
        ("cut_off_strike", pick(|s| s.cut_off_strike)),
        ("strikes", count(strip.map(|s| s.strikes))),
        ("lowest_strike", pick(|s| s.lowest_strike)),
        ("highest_strike", pick(|s| s.highest_strike)),
        ("status", word(Some(status))),
    ]
}

fn strip(columns: &[&[f64]]) -> std::result::Result<VarianceStrip, &'static str> {
    let rows = complete_rows::<5>(columns);
    let forward = only(&rows, 3, "several_forwards")?;
    let expiry_years = only(&rows, 4, "several_expiries")?;
    let option = |row: &[f64; 5]| {
        let kind = kind(row[0]).ok_or("option_type")?;
        Ok(StripOption {
            kind,
            strike: row[1],
            price: row[2],
        })
    };
    let options: Vec<StripOption> = rows
        .iter()
        .map(option)
        .collect::<std::result::Result<_, &'static str>>()?;
    variance_strip(&options, forward, expiry_years).map_err(|error| error.word())
}
