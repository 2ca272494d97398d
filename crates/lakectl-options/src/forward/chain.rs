//! What the quotes of one expiry say of its forward: the venue's own price and put-call parity.

use super::{ParityFit, ParityQuote, median, parity_regression, parity_regression_coin};
use crate::contract::{OptionKind, Settlement};

/// Fewer pairs say nothing of parity.
const PAIRS_MIN: usize = 3;
/// Wide quotes say nothing of parity: the widest spread as a share of the mid price.
const SPREAD_MAX: f64 = 0.25;
/// Nor do strikes far from the venue's price, where the spread matters more: the largest `|ln(strike / price)|`.
const LOG_MONEYNESS_MAX: f64 = 0.15;

/// A quote of one option; premiums in coin for inverse options, in dollars for linear ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainQuote {
    /// Call or put.
    pub kind: OptionKind,
    /// What it is paid in.
    pub settlement: Settlement,
    /// Strike, dollars.
    pub strike: f64,
    /// Bid, if there is one.
    pub bid: Option<f64>,
    /// Ask, if there is one.
    pub ask: Option<f64>,
    /// The venue's forward price beside the quote, dollars.
    pub underlying: Option<f64>,
}

/// The forwards of one expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainForward {
    /// Whose quotes these are: inverse options if there are any, else linear ones.
    pub settlement: Settlement,
    /// Median of the venue's forward prices, dollars.
    pub venue: Option<f64>,
    /// Median over strikes of the forward that parity gives at the discount factor, dollars; three pairs at least.
    pub parity: Option<f64>,
    /// Strikes with a fit call and put.
    pub pairs: usize,
    /// The line through all pairs, whose slope has a discount factor of its own; three pairs at least.
    pub line: Option<ParityFit>,
}

/// Forwards from the quotes of one expiry, in any order; `None` without quotes.
///
/// Options in coin and options in dollars have forwards of their own (they differ by what a dollar coin costs), so one
/// settlement counts: the inverse one where it is listed, on which the venues' futures stand too. A coin premium is a
/// share of the forward, so `C - P = D (1 - K / F)`; in dollars `C - P = D (F - K)`.
#[must_use]
pub fn chain_forward(quotes: &[ChainQuote], discount: f64) -> Option<ChainForward> {
    let settlement = quotes.iter().map(|quote| quote.settlement).min()?;
    let chain = || quotes.iter().filter(|quote| quote.settlement == settlement);
    let positive = |x: &f64| *x > 0.0 && x.is_finite();
    let prices: Vec<f64> = chain()
        .filter_map(|quote| quote.underlying.filter(positive))
        .collect();
    let pairs = pairs(chain());
    let implied: Vec<f64> = pairs
        .iter()
        .map(|pair| {
            let gap = (pair.call - pair.put) / discount;
            match settlement {
                Settlement::Inverse => pair.strike / (1.0 - gap),
                Settlement::Linear => pair.strike + gap,
            }
        })
        .filter(positive)
        .collect();
    let enough = |count: usize| count >= PAIRS_MIN;
    let fit = match settlement {
        Settlement::Inverse => parity_regression_coin,
        Settlement::Linear => parity_regression,
    };
    Some(ChainForward {
        settlement,
        venue: (!prices.is_empty()).then(|| median(prices)),
        pairs: implied.len(),
        parity: enough(implied.len()).then(|| median(implied)),
        line: enough(pairs.len()).then(|| fit(&pairs).ok()).flatten(),
    })
}

/// Mid prices of strikes near the money whose call and put both have a narrow market, by strike.
fn pairs<'a>(quotes: impl Iterator<Item = &'a ChainQuote>) -> Vec<ParityQuote> {
    let mid = |quote: &ChainQuote| {
        let (bid, ask) = quote.bid.zip(quote.ask)?;
        let narrow = bid > 0.0 && ask > 0.0 && ask - bid <= SPREAD_MAX * (ask + bid) / 2.0;
        narrow.then_some((bid + ask) / 2.0)
    };
    let near = |quote: &ChainQuote| {
        let price = quote.underlying.filter(|price| *price > 0.0);
        price.is_none_or(|price| libm::log(quote.strike / price).abs() < LOG_MONEYNESS_MAX)
    };
    let (mut calls, mut puts) = (Vec::new(), Vec::new());
    for quote in quotes.filter(|quote| quote.strike > 0.0) {
        match (quote.kind, mid(quote)) {
            (OptionKind::Call, Some(mid)) if near(quote) => calls.push((quote.strike, mid)),
            (OptionKind::Put, Some(mid)) => puts.push((quote.strike, mid)),
            _ => {}
        }
    }
    // Premiums too, so that the order of the quotes decides nothing.
    let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    calls.sort_by(order);
    puts.sort_by(order);
    calls.dedup_by_key(|call| call.0);
    puts.dedup_by_key(|put| put.0);
    let pair = |&(strike, call): &(f64, f64)| {
        let at = puts.binary_search_by(|put| put.0.total_cmp(&strike)).ok()?;
        let put = puts[at].1;
        Some(ParityQuote { strike, call, put })
    };
    calls.iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARD: f64 = 61_234.5;

    /// Calls and puts of 21 strikes around a forward, with a spread of 2 %.
    fn chain(settlement: Settlement, forward: f64, discount: f64) -> Vec<ChainQuote> {
        let quote = |kind: OptionKind, strike: f64| {
            let put = 0.1 * forward;
            let dollars = match kind {
                OptionKind::Call => put + discount * (forward - strike),
                OptionKind::Put => put,
            };
            let mid = match settlement {
                Settlement::Inverse => dollars / forward,
                Settlement::Linear => dollars,
            };
            ChainQuote {
                kind,
                settlement,
                strike,
                bid: Some(0.99 * mid),
                ask: Some(1.01 * mid),
                underlying: Some(forward),
            }
        };
        let strikes = (0..21).map(|i| 56_000.0 + 500.0 * f64::from(i));
        strikes
            .flat_map(|strike| [OptionKind::Call, OptionKind::Put].map(|kind| quote(kind, strike)))
            .collect()
    }

    #[test]
    fn parity_holds_at_every_discount_factor_in_coin_and_in_dollars() {
        for settlement in [Settlement::Inverse, Settlement::Linear] {
            for discount in [1.0, 0.96] {
                let quotes = chain(settlement, FORWARD, discount);
                let found = chain_forward(&quotes, discount).unwrap();
                let parity = found.parity.unwrap();
                assert!((parity / FORWARD - 1.0).abs() < 1e-13, "{parity}");
                assert_eq!((found.venue, found.pairs), (Some(FORWARD), 21));
                let line = found.line.unwrap();
                assert!((line.forward / FORWARD - 1.0).abs() < 1e-11, "{line:?}");
                assert!((line.discount / discount - 1.0).abs() < 1e-10, "{line:?}");
            }
        }
    }

    #[test]
    fn the_inverse_chain_counts_where_both_are_listed() {
        let mut quotes = chain(Settlement::Linear, 1.002 * FORWARD, 1.0);
        let linear = chain_forward(&quotes, 1.0).unwrap();
        assert!((linear.venue.unwrap() / FORWARD - 1.002).abs() < 1e-12);
        quotes.extend(chain(Settlement::Inverse, FORWARD, 1.0));
        let both = chain_forward(&quotes, 1.0).unwrap();
        quotes.reverse();
        assert_eq!(chain_forward(&quotes, 1.0), Some(both));
        assert_eq!(
            (both.settlement, both.venue),
            (Settlement::Inverse, Some(FORWARD))
        );
        assert!((both.parity.unwrap() / FORWARD - 1.0).abs() < 1e-13 && both.pairs == 21);
    }

    #[test]
    fn unfit_quotes_make_no_pair() {
        let mut quotes = chain(Settlement::Inverse, FORWARD, 1.0);
        for quote in &mut quotes {
            quote.underlying = None;
        }
        let blind = chain_forward(&quotes, 1.0).unwrap();
        assert!(blind.venue.is_none() && blind.pairs == 21 && blind.parity.is_some());
        quotes[0].bid = None;
        quotes[2].ask = Some(2.0 * quotes[2].ask.unwrap());
        quotes[5].bid = Some(0.0);
        quotes[6].underlying = Some(0.5 * FORWARD);
        quotes[8].strike = f64::NAN;
        assert_eq!(chain_forward(&quotes, 1.0).unwrap().pairs, 16);
        let two = chain_forward(&quotes[10..14], 1.0).unwrap();
        assert_eq!((two.pairs, two.parity, two.line), (2, None, None));
        assert_eq!(chain_forward(&[], 1.0), None);
    }
}
