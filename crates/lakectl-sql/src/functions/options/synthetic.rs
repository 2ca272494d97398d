//! Synthetic volatility in SQL: realised volatility, a multiplier, and a skew over four deltas.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use lakectl_options::synthetic::{Skew, Synthetic, realised_vol};

use super::super::FunctionInfo;
use super::super::aggregate::AggregateSpec;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

/// Reads four ratios, each of which has to be positive.
fn skew(ratios: &[f64]) -> Option<Skew> {
    let ratios: [f64; 4] = ratios.try_into().ok()?;
    let valid = ratios.iter().all(|ratio| *ratio > 0.0 && ratio.is_finite());
    valid.then_some(Skew {
        ratios,
        ..Skew::FLAT
    })
}

/// (option_type, forward, strike, expiry_years, base_vol, r15, r25, r35, r50)
fn synthetic_vol(row: &[f64]) -> Option<f64> {
    let skew = skew(&row[5..9])?;
    let model = Synthetic {
        realised: row[4],
        multiplier: 1.0,
        calls: skew,
        puts: skew,
    };
    model.vol(kind(row[0])?, row[1], row[2], row[3])
}

pub(super) static SCALARS: &[ScalarSpec] = &[
    ScalarSpec {
        info: FunctionInfo {
            name: "skew_ratio",
            version: 1,
            signature: "skew_ratio(delta, r15, r25, r35, r50) -> double",
            doc: "Ratio of a volatility to the one at the money at a delta of any sign: linear between the anchors 0.15, 0.25, 0.35 and \
                  0.50, flat outside. Null unless the ratios are positive.",
            example: "skew_ratio(delta, 1.2, 1.1, 1.05, 1.0)",
        },
        args: &[Arg::Number; 5],
        required: 5,
        body: Body::Number(|row| Some(skew(&row[1..5])?.at(row[0].abs()))),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "synthetic_vol",
            version: 1,
            signature: "synthetic_vol(option_type, forward, strike, expiry_years, base_vol, r15, r25, r35, r50) -> double",
            doc: "Volatility of a strike where the one at the money is `base_vol` (realised volatility times a multiplier) and the skew \
                  has these ratios at its anchor deltas: the volatility whose own delta leads back to it. Null where an input is not \
                  positive.",
            example: "synthetic_vol(option_type, forward, strike, expiry_years, sigma, 1.2, 1.1, 1.05, 1.0)",
        },
        args: &[
            Arg::Kind,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
            Arg::Number,
        ],
        required: 9,
        body: Body::Number(synthetic_vol),
    },
];

pub(super) static AGGREGATES: &[AggregateSpec] = &[AggregateSpec {
    info: FunctionInfo {
        name: "realised_vol",
        version: 1,
        signature: "realised_vol(close) -> double",
        doc: "Realised volatility of daily closes in their order: sample standard deviation of the log returns by the root of 365, kept \
              within 0.10 and 2.0. Null with fewer than three closes, or one that is missing or not positive.",
        example: "realised_vol(1 + weight) OVER (ORDER BY event_time ROWS BETWEEN 7 PRECEDING AND CURRENT ROW)",
    },
    args: 1,
    required: 1,
    ordered: true,
    output: || DataType::Float64,
    evaluate: |columns| {
        Ok(ScalarValue::Float64(
            columns.first().and_then(|closes| realised_vol(closes)),
        ))
    },
}];
