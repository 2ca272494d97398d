//! Model-free variance: what a strip of out-of-the-money options says about volatility, without a smile.
//!
//! A log contract is a continuum of out-of-the-money options weighted by `1 / K^2` (Carr and Madan 1998), so
//! `variance = 2/T sum dK/K^2 Q(K) - (F/K0 - 1)^2 / T` (Cboe, "Volatility Index Methodology"; Deribit, "DVOL"). Premiums
//! are in dollars; a coin premium times its forward is one, and the strip of an inverse chain is the same number.

use crate::OptionKind;

/// Options with a smaller absolute delta do not enter the 30-day index.
///
/// Quotes further out are one or two price steps wide and a few of them carry a tenth of the variance; the band is the one
/// in which this project judges a smile.
pub const INDEX_DELTA_MIN: f64 = 0.05;
/// The horizon of the index, days.
pub const INDEX_DAYS: f64 = 30.0;
/// The fewest strikes of a strip.
pub const STRIKES_MIN: usize = 3;

/// One option of an expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StripOption {
    /// Call or put.
    pub kind: OptionKind,
    /// Strike, dollars, greater than zero.
    pub strike: f64,
    /// Undiscounted premium, dollars, not negative.
    pub price: f64,
}

/// The variance of one expiry and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VarianceStrip {
    /// Expected variance per year.
    pub variance: f64,
    /// The largest strike not above the forward that has both a call and a put.
    pub cut_off_strike: f64,
    /// Strikes used.
    pub strikes: usize,
    /// The lowest strike used, dollars.
    pub lowest_strike: f64,
    /// The highest strike used, dollars.
    pub highest_strike: f64,
}

impl VarianceStrip {
    /// Volatility, fraction per square root of a year.
    #[must_use]
    pub fn vol(&self) -> f64 {
        self.variance.sqrt()
    }
}

/// Why there is no model-free variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// A forward, time or strike that is not positive and finite, or a premium that is negative or not finite.
    #[error("forward, time and strikes must be positive, premiums not negative, all finite")]
    BadInput,
    /// An option is there twice.
    #[error("an option is there twice")]
    DuplicateStrike,
    /// No strike at or below the forward has a call and a put.
    #[error("no strike at or below the forward has both a call and a put")]
    NoCutOff,
    /// Fewer than [`STRIKES_MIN`] strikes.
    #[error("too few strikes")]
    TooFewStrikes,
    /// The premiums imply a variance that is not positive.
    #[error("the premiums imply no positive variance")]
    NotPositive,
    /// The expiries do not lie on both sides of the horizon.
    #[error("the expiries do not lie on both sides of the horizon")]
    NoBracket,
}

impl IndexError {
    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::DuplicateStrike => "duplicate_strike",
            Self::NoCutOff => "no_cut_off",
            Self::TooFewStrikes => "too_few_strikes",
            Self::NotPositive => "not_positive",
            Self::NoBracket => "no_bracket",
        }
    }
}

/// Variance from the options of one expiry, in any order.
///
/// Puts below the cut-off strike, calls above it and the mean of both at it; what is in the money is not looked at. Options
/// without a premium are as good as not listed: they would widen the strikes beside them and carry nothing. The width of a strike is half the distance between its neighbours, at the two ends the distance to the only one.
///
/// # Errors
/// See [`IndexError`].
pub fn variance_strip(
    options: &[StripOption],
    forward: f64,
    expiry_years: f64,
) -> Result<VarianceStrip, IndexError> {
    let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
    let sound = |o: &StripOption| positive(o.strike) && o.price >= 0.0 && o.price < f64::INFINITY;
    if !positive(forward) || !positive(expiry_years) || !options.iter().all(sound) {
        return Err(IndexError::BadInput);
    }
    let of = |kind| {
        let mut side: Vec<(f64, f64)> = options
            .iter()
            .filter(|o| o.kind == kind)
            .map(|o| (o.strike, o.price))
            .collect();
        side.sort_by(|a, b| a.0.total_cmp(&b.0));
        if side.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(IndexError::DuplicateStrike);
        }
        side.retain(|quote| quote.1 > 0.0);
        Ok(side)
    };
    let (calls, puts) = (of(OptionKind::Call)?, of(OptionKind::Put)?);
    let price_at = |side: &[(f64, f64)], strike: f64| {
        let found = side.binary_search_by(|quote| quote.0.total_cmp(&strike));
        found.ok().map(|i| side[i].1)
    };
    let both = |quote: &&(f64, f64)| quote.0 <= forward && price_at(&calls, quote.0).is_some();
    let &(cut_off, put) = puts.iter().rev().find(both).ok_or(IndexError::NoCutOff)?;
    let call = price_at(&calls, cut_off).ok_or(IndexError::NoCutOff)?;
    let mut strip: Vec<(f64, f64)> = puts.into_iter().filter(|q| q.0 < cut_off).collect();
    strip.push((cut_off, 0.5 * (call + put)));
    strip.extend(calls.into_iter().filter(|q| q.0 > cut_off));
    summed(&strip, cut_off, forward, expiry_years)
}

/// Adds up a strip of ascending strikes.
fn summed(
    strip: &[(f64, f64)],
    cut_off_strike: f64,
    forward: f64,
    expiry_years: f64,
) -> Result<VarianceStrip, IndexError> {
    if strip.len() < STRIKES_MIN {
        return Err(IndexError::TooFewStrikes);
    }
    let last = strip.len() - 1;
    let mut sum = 0.0;
    for (i, (strike, price)) in strip.iter().enumerate() {
        let (below, above) = (i.saturating_sub(1), (i + 1).min(last));
        let width = (strip[above].0 - strip[below].0) / (above - below) as f64;
        // Divided twice: the square of a strike may leave the range of a double.
        sum += width / strike * (price / strike);
    }
    let gap = forward / cut_off_strike - 1.0;
    let variance = (2.0 * sum - gap * gap) / expiry_years;
    if !(variance > 0.0 && variance < f64::INFINITY) {
        return Err(IndexError::NotPositive);
    }
    Ok(VarianceStrip {
        variance,
        cut_off_strike,
        strikes: strip.len(),
        lowest_strike: strip[0].0,
        highest_strike: strip[last].0,
    })
}

/// The variance of one expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Time to expiry, years.
    pub expiry_years: f64,
    /// Variance per year.
    pub variance: f64,
}

/// Variance at a horizon between two expiries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConstantMaturity {
    /// Volatility at the horizon, fraction per square root of a year.
    pub vol: f64,
    /// Weight of the nearer expiry's total variance.
    pub near_weight: f64,
}

/// Interpolates total variance linearly in time to `horizon_years`.
///
/// # Errors
/// [`IndexError::NoBracket`] unless `near <= horizon < next`; [`IndexError::BadInput`] for times or variances that are not
/// positive and finite.
pub fn constant_maturity(
    near: Term,
    next: Term,
    horizon_years: f64,
) -> Result<ConstantMaturity, IndexError> {
    let all = [
        near.expiry_years,
        near.variance,
        next.expiry_years,
        next.variance,
        horizon_years,
    ];
    if !all.iter().all(|x| *x > 0.0 && *x < f64::INFINITY) {
        return Err(IndexError::BadInput);
    }
    if !(near.expiry_years <= horizon_years && horizon_years < next.expiry_years) {
        return Err(IndexError::NoBracket);
    }
    let near_weight = (next.expiry_years - horizon_years) / (next.expiry_years - near.expiry_years);
    let total = near_weight * near.variance * near.expiry_years
        + (1.0 - near_weight) * next.variance * next.expiry_years;
    let vol = (total / horizon_years).sqrt();
    if vol > 0.0 && vol.is_finite() {
        Ok(ConstantMaturity { vol, near_weight })
    } else {
        Err(IndexError::NotPositive)
    }
}

/// Positions of the last expiry not after the horizon and of the first one after it, `None` if one is missing.
#[must_use]
pub fn bracket(expiry_years: &[f64], horizon_years: f64) -> Option<(usize, usize)> {
    let years = |i: &usize| expiry_years[*i];
    let near = (0..expiry_years.len())
        .filter(|i| years(i) > 0.0 && years(i) <= horizon_years)
        .max_by(|a, b| years(a).total_cmp(&years(b)));
    let next = (0..expiry_years.len())
        .filter(|i| years(i) > horizon_years)
        .min_by(|a, b| years(a).total_cmp(&years(b)));
    near.zip(next)
}

/// The mean of the middle half of the values, by which the venue smooths 120 values of one second each.
///
/// A count that four does not divide weighs the two values at the edges by the part that lies inside. `None` without
/// values or if one is not finite.
#[must_use]
pub fn interquartile_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|x| x.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quarter = 0.25 * sorted.len() as f64;
    let (low, high) = (quarter, 3.0 * quarter);
    let inside = |i: usize| ((i + 1) as f64).min(high) - (i as f64).max(low);
    let weighted = sorted
        .iter()
        .enumerate()
        .map(|(i, x)| inside(i).max(0.0) * x);
    let mean = weighted.sum::<f64>() / (2.0 * quarter);
    mean.is_finite().then_some(mean)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
