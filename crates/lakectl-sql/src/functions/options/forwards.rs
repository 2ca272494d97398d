//! Forwards in SQL: put-call parity, the curve of dated futures, rates.

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::scalar::ScalarStructBuilder;
use datafusion::common::{Result, ScalarValue};
use lakectl_options::forward::{
    ChainForward, ChainQuote, ForwardCurve, ForwardError, ParityFit, ParityQuote, chain_forward,
    continuous_rate, parity_regression, parity_regression_coin,
};

use super::super::FunctionInfo;
use super::super::aggregate::AggregateSpec;
use super::super::record::{Record, count, number, record_type, record_value};
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::{kind, settlement};

/// Days in the year of a money market.
const MONEY_MARKET_DAYS: f64 = 360.0;

pub(super) static SCALARS: &[ScalarSpec] = &[ScalarSpec {
    info: FunctionInfo {
        name: "continuous_rate",
        version: 1,
        signature: "continuous_rate(simple_rate, expiry_years [, year_days]) -> double",
        doc: "Continuous rate, for years of 365 days, of a money-market rate that is simple over a year of `year_days` days (360 unless \
              given, as SOFR). Null for a time that is not positive or a rate that eats up the principal.",
        example: "continuous_rate(y, expiry_years)",
    },
    args: &[Arg::Number; 3],
    required: 2,
    body: Body::Number(|row| {
        let year_days = row.get(2).copied().unwrap_or(MONEY_MARKET_DAYS);
        continuous_rate(row[0], row[1], year_days).ok()
    }),
}];

/// An aggregate over the pairs of one expiry.
macro_rules! parity {
    ($name:literal, $fit:path, $doc:literal) => {
        AggregateSpec {
            info: FunctionInfo {
                name: $name,
                version: 1,
                signature: concat!($name, "(strike, call, put) -> struct{forward, discount, quotes, status}"),
                doc: concat!(
                    $doc,
                    " One row is a strike with both premiums; rows with a missing value are left out. `status` is `ok`, \
                     `too_few_quotes` (less than two strikes), `bad_input` or `not_positive` (no falling line); forward and discount are \
                     null unless it is `ok`."
                ),
                example: concat!(
                    $name,
                    "(strike, 100 + (forward - strike), 100 + x) OVER (ORDER BY event_time ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)"
                ),
            },
            args: 3,
            required: 3,
            ordered: false,
            output: parity_type,
            evaluate: |columns| parity_value(columns, $fit),
        }
    };
}

pub(super) static AGGREGATES: &[AggregateSpec] = &[
    parity!(
        "parity_forward",
        parity_regression,
        "Forward and discount factor of an expiry from premiums in dollars, by the line `C - P = discount (forward - K)`."
    ),
    parity!(
        "parity_forward_coin",
        parity_regression_coin,
        "Forward and discount factor of an expiry from premiums in coin, by the line `C - P = discount (1 - K / forward)`."
    ),
    AggregateSpec {
        info: FunctionInfo {
            name: "chain_forward",
            version: 1,
            signature: "chain_forward(option_type, settlement, strike, bid, ask, underlying_price, discount) -> struct{venue, parity, pairs, line_forward, line_discount}",
            doc: "Forwards of one expiry from its quotes: the median of the venue's own prices, the median over strikes of the forward \
                  that put-call parity gives at the discount factor, and the line `C - P = discount (F - K)` through them, whose slope \
                  has a discount factor of its own. Inverse options count where there are any, else linear ones. A pair is a strike \
                  within 15 % of the venue's price with a call and a put whose spreads are at most a quarter of their mid prices; \
                  parity and line are null with less than three, all is null without quotes.",
            example: "chain_forward(option_type, 'linear', strike, price, price, forward, 1)",
        },
        args: 7,
        required: 7,
        ordered: false,
        output: || record_type(&chain_record(None)),
        evaluate: |columns| record_value(chain_record(chain_of(columns))),
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "forward_curve",
            version: 1,
            signature: "forward_curve(expiry_years, forward, at_years) -> double",
            doc: "Forward at `at_years` from the forwards of other times; the row at time 0 is the spot price (a perpetual will do). \
                  ln(forward / spot) is linear in time through (0, 0) and keeps the annualised rate of the last one behind it. Rows of one \
                  time count as their mean. `at_years` is the same in all rows. Rows with a missing value are left out; null without a \
                  spot or any other row, with two query times, or numbers that are not positive.",
            example: "forward_curve(0.25 * ((extract(epoch FROM event_time) / 3600)::bigint % 3), 100 + weight, 0.4) OVER (ORDER BY event_time ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
        },
        args: 3,
        required: 3,
        ordered: false,
        output: || DataType::Float64,
        evaluate: |columns| Ok(ScalarValue::Float64(curve_at(columns))),
    },
];

/// The rows without a missing value.
fn complete<'a, const N: usize>(columns: &'a [&[f64]]) -> impl Iterator<Item = [f64; N]> + 'a {
    let rows = columns.first().map_or(0, |column| column.len());
    (0..rows)
        .map(|row| std::array::from_fn(|i| columns[i][row]))
        .filter(|row: &[f64; N]| row.iter().all(|value| !value.is_nan()))
}

/// (option_type, settlement, strike, bid, ask, underlying_price, discount); the discount factor is that of the first row.
fn chain_of(columns: &[&[f64]]) -> Option<ChainForward> {
    let &[
        kinds,
        settlements,
        strikes,
        bids,
        asks,
        underlyings,
        discounts,
    ] = columns
    else {
        return None;
    };
    let known = |value: f64| (!value.is_nan()).then_some(value);
    let quote = |row: usize| {
        Some(ChainQuote {
            kind: kind(kinds[row])?,
            settlement: settlement(settlements[row])?,
            strike: strikes[row],
            bid: known(bids[row]),
            ask: known(asks[row]),
            underlying: known(underlyings[row]),
        })
    };
    let quotes: Vec<ChainQuote> = (0..kinds.len()).filter_map(quote).collect();
    chain_forward(&quotes, *discounts.first()?)
}

fn chain_record(found: Option<ChainForward>) -> Record {
    let pick = |value: fn(&ChainForward) -> Option<f64>| number(found.as_ref().and_then(value));
    vec![
        ("venue", pick(|f| f.venue)),
        ("parity", pick(|f| f.parity)),
        ("pairs", count(found.as_ref().map(|f| f.pairs))),
        ("line_forward", pick(|f| f.line.map(|line| line.forward))),
        ("line_discount", pick(|f| f.line.map(|line| line.discount))),
    ]
}

fn curve_at(columns: &[&[f64]]) -> Option<f64> {
    let mut rows: Vec<[f64; 3]> = complete(columns).collect();
    let at_years = rows.first()?[2];
    if rows.iter().any(|row| row[2] != at_years) {
        return None;
    }
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let nodes = rows.chunk_by(|a, b| a[0] == b[0]).map(|same| {
        let sum: f64 = same.iter().map(|row| row[1]).sum();
        (same[0][0], sum / same.len() as f64)
    });
    let (spots, nodes): (Vec<_>, Vec<_>) = nodes.partition(|(years, _)| *years == 0.0);
    let (_, spot) = *spots.first()?;
    ForwardCurve::new(spot, &nodes).ok()?.at(at_years).ok()
}

fn parity_fields() -> Fields {
    vec![
        Field::new("forward", DataType::Float64, true),
        Field::new("discount", DataType::Float64, true),
        Field::new("quotes", DataType::Int64, true),
        Field::new("status", DataType::Utf8, true),
    ]
    .into()
}

fn parity_type() -> DataType {
    DataType::Struct(parity_fields())
}

fn parity_value(
    columns: &[&[f64]],
    fit: fn(&[ParityQuote]) -> std::result::Result<ParityFit, ForwardError>,
) -> Result<ScalarValue> {
    let mut quotes: Vec<ParityQuote> = complete(columns)
        .map(|[strike, call, put]| ParityQuote { strike, call, put })
        .collect();
    // The order of rows is not part of the question, so it may not be part of the rounding.
    quotes.sort_by(|a, b| {
        let key = |q: &ParityQuote| [q.strike, q.call, q.put];
        let pairs = key(a).into_iter().zip(key(b));
        pairs.fold(std::cmp::Ordering::Equal, |order, (x, y)| {
            order.then(x.total_cmp(&y))
        })
    });
    let found = fit(&quotes);
    let status = found.map_or_else(|error| error.word(), |_| "ok");
    let values = [
        ScalarValue::Float64(found.ok().map(|fit| fit.forward)),
        ScalarValue::Float64(found.ok().map(|fit| fit.discount)),
        ScalarValue::Int64(Some(quotes.len() as i64)),
        ScalarValue::Utf8(Some(status.to_owned())),
    ];
    parity_fields()
        .iter()
        .zip(values)
        .fold(ScalarStructBuilder::new(), |row, (field, value)| {
            row.with_scalar(field.clone(), value)
        })
        .build()
}
