//! The model-free 30-day index of every snapshot, in the manner of the venue's own.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, greeks};
use lakectl_options::index::{
    INDEX_DAYS, INDEX_DELTA_MIN, IndexError, StripOption, Term, VarianceStrip, bracket,
    constant_maturity, variance_strip,
};

use super::surface::DAYS_PER_YEAR;
use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

const QUOTES: &[Uses] = &[(
    "options.greeks",
    &["expiry_years", "forward", "strike", "iv"],
)];
/// What decides which options enter, beside their delta.
const CHOICE: &[Uses] = &[(
    "options.greeks",
    &["event_time", "expiry", "option_type", "settlement"],
)];
const SNAPSHOT: &[Uses] = &[("options.greeks", &["event_time"])];

/// What the columns of `variance_index` are made of.
pub(super) const INDEX_MADE: &[Made] = &[
    Made {
        columns: &["event_time"],
        values: SNAPSHOT,
        conditions: &[],
    },
    Made {
        columns: &["known_at"],
        values: &[("options.greeks", &["known_at"])],
        conditions: SNAPSHOT,
    },
    Made {
        columns: &["asset", "horizon_days"],
        values: &[],
        conditions: SNAPSHOT,
    },
    Made {
        columns: &["near_expiry", "next_expiry"],
        values: &[("options.greeks", &["expiry"])],
        conditions: &[(
            "options.greeks",
            &["event_time", "settlement", "expiry_years"],
        )],
    },
    Made {
        columns: &[
            "index",
            "near_vol",
            "near_strikes",
            "near_weight",
            "next_vol",
            "next_strikes",
            "full_strip_vol",
            "reason",
        ],
        values: QUOTES,
        conditions: CHOICE,
    },
];

/// The quotes of one expiry: option type, strike and volatility.
#[derive(Default)]
struct Expiry {
    micros: i64,
    years: f64,
    forward: f64,
    quotes: Vec<(OptionKind, f64, f64)>,
}

impl Expiry {
    /// Undiscounted premiums of options with at least this absolute forward delta. They come from the volatility: for the mark
    /// volatility of coin-settled options that is their mark in coin times the forward.
    fn options(&self, delta_min: f64) -> Vec<StripOption> {
        let quotes = self.quotes.iter();
        let options = quotes.filter_map(|(kind, strike, vol)| {
            let input = BlackInput::forward(*kind, self.forward, *strike, self.years, *vol);
            let priced = greeks(&input).ok()?;
            (priced.delta.abs() >= delta_min).then_some(StripOption {
                kind: *kind,
                strike: *strike,
                price: priced.price,
            })
        });
        options.collect()
    }

    fn strip(&self, delta_min: f64) -> Result<VarianceStrip, IndexError> {
        variance_strip(&self.options(delta_min), self.forward, self.years)
    }
}

/// Expiries of one snapshot, coin-settled and dollar-settled options apart: they share strikes, not books.
#[derive(Default)]
struct Chain {
    known_micros: i64,
    inverse: BTreeMap<i64, Expiry>,
    linear: BTreeMap<i64, Expiry>,
}

fn chains(greeks: &Columns) -> Result<BTreeMap<i64, Chain>, PipelineError> {
    let (events, knowns, expiries) = (
        greeks.micros("event_time")?,
        greeks.micros("known_at")?,
        greeks.micros("expiry")?,
    );
    let [years, forwards, strikes, vols] =
        ["expiry_years", "forward", "strike", "iv"].map(|name| greeks.f64s(name));
    let (years, forwards, strikes, vols) = (years?, forwards?, strikes?, vols?);
    let (kinds, settlements) = (greeks.texts("option_type")?, greeks.texts("settlement")?);
    let mut chains: BTreeMap<i64, Chain> = BTreeMap::new();
    for row in 0..greeks.rows() {
        let chain = chains.entry(events[row]).or_default();
        chain.known_micros = chain.known_micros.max(knowns[row]);
        let side = match settlements[row].as_deref() {
            Some("inverse") => &mut chain.inverse,
            _ => &mut chain.linear,
        };
        let kind = match kinds[row].as_deref() {
            Some("call") => OptionKind::Call,
            Some("put") => OptionKind::Put,
            _ => continue,
        };
        let (Some(years), Some(forward), Some(strike)) = (years[row], forwards[row], strikes[row])
        else {
            continue;
        };
        let expiry = side.entry(expiries[row]).or_default();
        (expiry.micros, expiry.years, expiry.forward) = (expiries[row], years, forward);
        expiry
            .quotes
            .extend(vols[row].map(|vol| (kind, strike, vol)));
    }
    Ok(chains)
}

/// The index and its parts, or why there is none.
#[derive(Default)]
struct Row {
    expiries: [Option<i64>; 2],
    strips: [Option<VarianceStrip>; 2],
    index: Option<f64>,
    near_weight: Option<f64>,
    full_strip_vol: Option<f64>,
    reason: Option<String>,
}

impl Chain {
    fn row(&self) -> Row {
        // The venue's index is one of coin-settled options; assets without them have dollar-settled ones.
        let side = if self.inverse.is_empty() {
            &self.linear
        } else {
            &self.inverse
        };
        let expiries: Vec<&Expiry> = side.values().collect();
        let years: Vec<f64> = expiries.iter().map(|expiry| expiry.years).collect();
        let horizon = INDEX_DAYS / DAYS_PER_YEAR;
        let Some((near, next)) = bracket(&years, horizon) else {
            return Row {
                reason: Some(IndexError::NoBracket.word().to_owned()),
                ..Row::default()
            };
        };
        let pair = [expiries[near], expiries[next]];
        let strips = pair.map(|expiry| expiry.strip(INDEX_DELTA_MIN));
        let mut row = Row {
            expiries: pair.map(|expiry| Some(expiry.micros)),
            strips: strips.map(Result::ok),
            ..Row::default()
        };
        match at_horizon(pair, strips, horizon) {
            Ok((vol, weight)) => (row.index, row.near_weight) = (Some(vol), Some(weight)),
            Err(reason) => row.reason = Some(reason),
        }
        let full = pair.map(|expiry| expiry.strip(0.0));
        row.full_strip_vol = at_horizon(pair, full, horizon).ok().map(|(vol, _)| vol);
        row
    }
}

/// Volatility at the horizon and the nearer expiry's weight.
fn at_horizon(
    pair: [&Expiry; 2],
    strips: [Result<VarianceStrip, IndexError>; 2],
    horizon_years: f64,
) -> Result<(f64, f64), String> {
    let [near, next] = strips;
    let term = |expiry: &Expiry, strip: VarianceStrip| Term {
        expiry_years: expiry.years,
        variance: strip.variance,
    };
    let near = near.map_err(|error| format!("near_{}", error.word()))?;
    let next = next.map_err(|error| format!("next_{}", error.word()))?;
    let found = constant_maturity(term(pair[0], near), term(pair[1], next), horizon_years)
        .map_err(|error| error.word().to_owned())?;
    Ok((found.vol, found.near_weight))
}

/// One row a snapshot.
pub(super) fn variance_index(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let chains = chains(task.input("options.greeks")?)?;
    let rows: Vec<Row> = chains.values().map(Chain::row).collect();
    let vols = |i: usize| {
        rows.iter()
            .map(|row| row.strips[i].map(|s| s.vol()))
            .collect()
    };
    let strikes = |i: usize| {
        rows.iter()
            .map(|row| row.strips[i].map(|s| s.strikes as i64))
            .collect()
    };
    let expiries = |i: usize| rows.iter().map(|row| row.expiries[i]).collect();
    let columns = vec![
        Out::Utf8(vec![Some(asset); rows.len()]),
        Out::Ts(chains.keys().copied().map(Some).collect()),
        Out::Ts(chains.values().map(|c| Some(c.known_micros)).collect()),
        Out::F64(vec![Some(INDEX_DAYS); rows.len()]),
        Out::F64(rows.iter().map(|row| row.index).collect()),
        Out::Ts(expiries(0)),
        Out::F64(vols(0)),
        Out::I64(strikes(0)),
        Out::F64(rows.iter().map(|row| row.near_weight).collect()),
        Out::Ts(expiries(1)),
        Out::F64(vols(1)),
        Out::I64(strikes(1)),
        Out::F64(rows.iter().map(|row| row.full_strip_vol).collect()),
        Out::Utf8(rows.iter().map(|row| row.reason.clone()).collect()),
    ];
    batch(&task.schema, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(days: f64, vol: f64, strikes: std::ops::RangeInclusive<i32>) -> (i64, Expiry) {
        let quotes = strikes.flat_map(|i| {
            let strike = 50_000.0 + 1_000.0 * f64::from(i);
            [OptionKind::Call, OptionKind::Put].map(|kind| (kind, strike, vol))
        });
        let expiry = Expiry {
            micros: days as i64,
            years: days / DAYS_PER_YEAR,
            forward: 90_500.0,
            quotes: quotes.collect(),
        };
        (days as i64, expiry)
    }

    #[test]
    fn coin_settled_options_make_the_index_where_there_are_any() {
        let inverse = || BTreeMap::from([expiry(16.0, 0.4, 0..=100), expiry(37.0, 0.6, 0..=100)]);
        let linear = || BTreeMap::from([expiry(9.0, 0.9, 0..=100), expiry(30.5, 0.9, 0..=100)]);
        let alone = Chain {
            inverse: inverse(),
            ..Chain::default()
        }
        .row();
        let mixed = Chain {
            inverse: inverse(),
            linear: linear(),
            ..Chain::default()
        }
        .row();
        assert_eq!((alone.index, alone.expiries), (mixed.index, mixed.expiries));
        assert!((0.4..0.6).contains(&alone.index.unwrap()) && alone.reason.is_none());
        assert!(alone.full_strip_vol > alone.index);
        let dollars = Chain {
            linear: linear(),
            ..Chain::default()
        }
        .row();
        assert!((0.8..0.9).contains(&dollars.index.unwrap()));
    }

    #[test]
    fn what_has_no_index_says_why() {
        let reason = |expiries: [(i64, Expiry); 2]| {
            let chain = Chain {
                inverse: BTreeMap::from(expiries),
                ..Chain::default()
            };
            let row = chain.row();
            assert!(row.index.is_none());
            row.reason.unwrap()
        };
        let full = |days| expiry(days, 0.5, 0..=100);
        assert_eq!(reason([full(40.0), full(60.0)]), "no_bracket");
        assert_eq!(reason([full(10.0), full(20.0)]), "no_bracket");
        let thin = expiry(20.0, 0.5, 40..=41);
        assert_eq!(reason([thin, full(40.0)]), "near_too_few_strikes");
        assert_eq!(
            reason([full(20.0), expiry(40.0, 0.5, 60..=90)]),
            "next_no_cut_off"
        );
        assert_eq!(
            reason([full(20.0), expiry(40.0, -0.5, 0..=90)]),
            "next_no_cut_off"
        );
    }
}
