//! Quotes in SQL: implied volatilities with their error bars, and what makes a quote unfit for use.

use std::sync::LazyLock;

use lakectl_options::clean::{CleaningRules, Exclusion, Exclusions, QuoteFacts, exclusions};
use lakectl_options::implied::{ImpliedError, QuoteVol, implied_vol, implied_vol_coin, quote_vol};

use super::super::FunctionInfo;
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

const PRICE_ARGS: &[Arg] = &[
    Arg::Kind,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
];
const SIDES_ARGS: &[Arg] = &[
    Arg::Kind,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
    Arg::Number,
];
/// The names of the fields that `quote_iv` returns.
const SIDES: &[&str] = &["bid_iv", "mid_iv", "ask_iv", "half_width"];

/// What a quote without a reason is called.
const KEPT: &str = "kept";
/// The text of every set of reasons, by its number.
static REASONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    (0..Exclusions::COUNT)
        .map(|bits| {
            let words: Vec<&str> = Exclusions::from_bits(bits as u16)
                .iter()
                .map(Exclusion::word)
                .collect();
            match words.is_empty() {
                true => KEPT.to_owned(),
                false => words.join("+"),
            }
        })
        .collect()
});

/// (option_type, forward, strike, expiry_years, price)
fn implied(row: &[f64]) -> Option<Result<f64, ImpliedError>> {
    Some(implied_vol(kind(row[0])?, row[4], row[1], row[2], row[3]))
}

fn implied_coin(row: &[f64]) -> Option<Result<f64, ImpliedError>> {
    Some(implied_vol_coin(
        kind(row[0])?,
        row[4],
        row[1],
        row[2],
        row[3],
    ))
}

/// (option_type, forward, strike, expiry_years, bid, ask)
fn sides(row: &[f64]) -> Option<Result<QuoteVol, ImpliedError>> {
    Some(quote_vol(
        kind(row[0])?,
        row[4],
        row[5],
        row[1],
        row[2],
        row[3],
    ))
}

fn status<T>(found: Option<Result<T, ImpliedError>>) -> &'static str {
    match found {
        None => "option_type",
        Some(Ok(_)) => "ok",
        Some(Err(error)) => error.word(),
    }
}

fn write_sides(row: &[f64], out: &mut [f64]) -> Option<()> {
    let q = sides(row)?.ok()?;
    out.copy_from_slice(&[q.bid, q.mid, q.ask, q.half_width]);
    Some(())
}

/// (expiry_years, bid, ask, iv, open_interest, age_s [, spread_max [, age_s_max]]), NaN where missing
fn judged(row: &[f64]) -> &'static str {
    let known = |i: usize| row.get(i).copied().filter(|value| !value.is_nan());
    let quote = QuoteFacts {
        expiry_years: row[0],
        bid: known(1),
        ask: known(2),
        iv: known(3),
        open_interest: known(4),
        age_s: known(5),
    };
    let usual = CleaningRules::default();
    let rules = CleaningRules {
        spread_max: known(6).unwrap_or(usual.spread_max),
        age_s_max: known(7).unwrap_or(usual.age_s_max),
        ..usual
    };
    let found = exclusions(&quote, &rules);
    REASONS
        .get(usize::from(found.bits()))
        .map_or(KEPT, String::as_str)
}

pub(super) static SCALARS: &[ScalarSpec] = &[
    ScalarSpec {
        info: FunctionInfo {
            name: "implied_vol",
            version: 1,
            signature: "implied_vol(option_type, forward, strike, expiry_years, price) -> double",
            doc: "Black-76 volatility of an undiscounted price in dollars (a coin price times the forward). Null without one: see \
                  `implied_vol_status`.",
            example: "implied_vol(option_type, forward, strike, expiry_years, price)",
        },
        args: PRICE_ARGS,
        required: 5,
        body: Body::Number(|row| implied(row)?.ok()),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "implied_vol_status",
            version: 1,
            signature: "implied_vol_status(option_type, forward, strike, expiry_years, price) -> text",
            doc: "Why `implied_vol` is null: `ok`, `missing_input`, `option_type`, `no_time_value`, `below_intrinsic`, `above_max`, `bad_input`.",
            example: "implied_vol_status(option_type, forward, strike, expiry_years, price)",
        },
        args: PRICE_ARGS,
        required: 5,
        body: Body::Word(|row| status(implied(row))),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "implied_vol_coin",
            version: 1,
            signature: "implied_vol_coin(option_type, forward, strike, expiry_years, coin_price) -> double",
            doc: "Black-76 volatility of a premium quoted in coin, as inverse options are. Null without one: `implied_vol_status` of the \
                  price times the forward says why.",
            example: "implied_vol_coin(option_type, forward, strike, expiry_years, price / 100)",
        },
        args: PRICE_ARGS,
        required: 5,
        body: Body::Number(|row| implied_coin(row)?.ok()),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "quote_iv",
            version: 1,
            signature: "quote_iv(option_type, forward, strike, expiry_years, bid, ask) -> struct{bid_iv, mid_iv, ask_iv, half_width}",
            doc: "Volatilities of both sides and the middle of a quote in dollars, and the error bar: half of ask less bid volatility. A \
                  null struct where `quote_iv_status` is not `ok`.",
            example: "quote_iv(option_type, forward, strike, expiry_years, price, price * 1.02)",
        },
        args: SIDES_ARGS,
        required: 6,
        body: Body::Record(SIDES, write_sides),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "quote_iv_status",
            version: 1,
            signature: "quote_iv_status(option_type, forward, strike, expiry_years, bid, ask) -> text",
            doc: "Why `quote_iv` is null, in the words of `implied_vol_status` for the first side without a volatility; a crossed quote \
                  is `bad_input`.",
            example: "quote_iv_status(option_type, forward, strike, expiry_years, price, price * 1.02)",
        },
        args: SIDES_ARGS,
        required: 6,
        body: Body::Word(|row| status(sides(row))),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "quote_exclusions",
            version: 1,
            signature: "quote_exclusions(expiry_years, bid, ask, iv, open_interest, age_s [, spread_max [, age_s_max]]) -> text",
            doc: "Every reason why a quote is unfit for use, joined by `+` in this order, or `kept`: `near_expiry` (an hour or less), \
                  `no_bid`, `no_ask`, `crossed`, `wide_spread` (over 0.05 of the middle, or `spread_max`), `no_open_interest`, `stale` (over \
                  10 s old, or `age_s_max`; an unknown age is no reason), `extreme_iv` (over 300 %), `no_iv`. Missing values are judged, so \
                  the result is never null.",
            example: "quote_exclusions(expiry_years, price, price * 1.04, sigma, weight, x)",
        },
        args: &[Arg::Number; 8],
        required: 6,
        body: Body::Verdict(judged),
    },
];
