//! The synthetic skew model held against recorded chains: fitted in the morning, scored for the rest of the day.

mod fit;
mod report;

use std::collections::BTreeMap;

use lakectl_options::OptionKind;

use super::{Columns, Uses};
use crate::PipelineError;

pub(super) use fit::{FIT_MADE, fit};
pub(super) use report::{REPORT_MADE, report};

const DAYS_PER_YEAR: f64 = 365.0;
const QUOTE_VALUES: &[&str] = &[
    "expiry_years",
    "forward",
    "strike",
    "log_moneyness",
    "iv",
    "delta",
    "vega",
    "price_usd",
    "bid_iv",
    "ask_iv",
];
const QUOTE_KEYS: &[&str] = &[
    "event_time",
    "expiry",
    "option_type",
    "two_sided",
    "out_of_the_money",
];
const QUOTES: Uses = ("options.greeks", QUOTE_VALUES);
const KEYS: Uses = ("options.greeks", QUOTE_KEYS);

/// A quote with a volatility; prices and vega in dollars.
struct Quote {
    expiry_micros: i64,
    kind: OptionKind,
    expiry_years: f64,
    forward: f64,
    strike: f64,
    log_moneyness: f64,
    iv: f64,
    delta: f64,
    vega: f64,
    price: f64,
    sides: Option<(f64, f64)>,
    two_sided: bool,
    out_of_the_money: bool,
}

impl Quote {
    fn days(&self) -> f64 {
        self.expiry_years * DAYS_PER_YEAR
    }
}

/// The priced quotes of one snapshot.
struct Chain {
    known_micros: i64,
    quotes: Vec<Quote>,
}

/// Quotes with a volatility and greeks, by snapshot.
fn chains(greeks: &Columns) -> Result<BTreeMap<i64, Chain>, PipelineError> {
    let (events, knowns, expiries) = (
        greeks.micros("event_time")?,
        greeks.micros("known_at")?,
        greeks.micros("expiry")?,
    );
    let kinds = greeks.texts("option_type")?;
    let (two_sided, outside) = (greeks.i64s("two_sided")?, greeks.i64s("out_of_the_money")?);
    let numbers = QUOTE_VALUES
        .iter()
        .map(|name| greeks.f64s(name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut chains: BTreeMap<i64, Chain> = BTreeMap::new();
    for row in 0..greeks.rows() {
        let chain = chains.entry(events[row]).or_insert(Chain {
            known_micros: knowns[row],
            quotes: Vec::new(),
        });
        chain.known_micros = chain.known_micros.max(knowns[row]);
        let kind = kinds[row].as_deref().and_then(OptionKind::from_word);
        let value = |i: usize| numbers[i][row];
        if let (Some(kind), Some(iv), Some(delta), Some(vega), Some(price)) =
            (kind, value(4), value(5), value(6), value(7))
            && let (Some(expiry_years), Some(forward), Some(strike), Some(log_moneyness)) =
                (value(0), value(1), value(2), value(3))
        {
            chain.quotes.push(Quote {
                expiry_micros: expiries[row],
                kind,
                expiry_years,
                forward,
                strike,
                log_moneyness,
                iv,
                delta,
                vega,
                price,
                sides: value(8).zip(value(9)),
                two_sided: two_sided[row] == Some(1),
                out_of_the_money: outside[row] == Some(1),
            });
        }
    }
    Ok(chains)
}
