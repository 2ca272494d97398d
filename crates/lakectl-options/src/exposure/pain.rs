//! The settlement price at which holders of options receive least.

use crate::OptionKind;

/// What is open in one option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenInterest {
    /// Call or put.
    pub kind: OptionKind,
    /// Strike, dollars.
    pub strike: f64,
    /// Contracts, not negative.
    pub contracts: f64,
}

/// The strike at which all options together pay least if they settle there; the lowest of several.
///
/// `None` without open contracts, or if a strike is not positive, a number of contracts negative, or one of them not finite.
#[must_use]
pub fn max_pain(options: &[OpenInterest]) -> Option<f64> {
    let sound = |o: &OpenInterest| {
        o.strike > 0.0 && o.strike.is_finite() && o.contracts >= 0.0 && o.contracts.is_finite()
    };
    if !options.iter().all(sound) || !options.iter().any(|o| o.contracts > 0.0) {
        return None;
    }
    let mut strikes: Vec<(f64, f64, f64)> = Vec::new();
    let mut sorted: Vec<&OpenInterest> = options.iter().collect();
    // Contracts too, so that sums do not depend on the order of the options.
    sorted.sort_by(|a, b| {
        let by_strike = a.strike.total_cmp(&b.strike);
        by_strike.then(a.contracts.total_cmp(&b.contracts))
    });
    for option in sorted {
        if strikes.last().is_none_or(|s| s.0 != option.strike) {
            strikes.push((option.strike, 0.0, 0.0));
        }
        if let Some((_, calls, puts)) = strikes.last_mut() {
            match option.kind {
                OptionKind::Call => *calls += option.contracts,
                OptionKind::Put => *puts += option.contracts,
            }
        }
    }
    let payout = |price: f64| -> f64 {
        strikes
            .iter()
            .map(|(strike, calls, puts)| {
                calls * (price - strike).max(0.0) + puts * (strike - price).max(0.0)
            })
            .sum()
    };
    let mut best: Option<(f64, f64)> = None;
    for (strike, _, _) in &strikes {
        let paid = payout(*strike);
        if best.is_none_or(|(_, least)| paid < least) {
            best = Some((*strike, paid));
        }
    }
    best.filter(|(_, paid)| paid.is_finite())
        .map(|(strike, _)| strike)
}
