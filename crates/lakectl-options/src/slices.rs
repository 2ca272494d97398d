//! From the quotes of one snapshot to its published slices: fits, repairs, carried shapes, certificates.
//!
//! A slice is fitted alone first ([`fit_slice`]). [`publish`] then takes all expiries of a snapshot: where
//! a slice lies below the nearer one it is lifted to the nearest smile that does not, and a slice with too
//! few quotes, or with quotes on one side of the forward only, takes an earlier shape of the same expiry with
//! its level moved to the quotes there are.

use crate::smile::{
    Calendar, Certificate, FitError, Quality, Range, RawSvi, Smile, calendar_on, certify, fit_svi,
    lowest_g, quality, repair,
};

/// Spreads below half a volatility point are not believed: they would let one quote own the fit.
const SPREAD_MIN: f64 = 0.005;
/// Options with a smaller delta than this, or a larger one than its complement, say nothing of
/// volatility.
const DELTA_MIN: f64 = 0.01;
/// The spread in volatility that stands for a quote with one side or none.
const SPREAD_ONE_SIDED: f64 = 0.10;
/// A shape is carried for at most this long, hours.
pub const CARRY_HOURS_MAX: f64 = 24.0;
/// A level may move to this multiple of the carried one, or one over it.
const SHIFT_MAX: f64 = 3.0;

/// A quote of a slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SliceQuote {
    /// Log moneyness.
    pub k: f64,
    /// The volatility that is fitted, fraction per square root of a year.
    pub vol: f64,
    /// Weight in the fit.
    pub weight: f64,
    /// Volatilities of bid and ask when both sides are there (zero for a bid without time value).
    pub sides: Option<(f64, f64)>,
}

impl SliceQuote {
    /// A quote weighted by its vega over its spread in volatility.
    ///
    /// `vega_share` is vega over the forward. A quote without both sides weighs as one of ten points of
    /// spread.
    #[must_use]
    pub fn weighted(k: f64, vol: f64, vega_share: f64, sides: Option<(f64, f64)>) -> Self {
        let spread = sides.map_or(SPREAD_ONE_SIDED, |(bid, ask)| (ask - bid).max(SPREAD_MIN));
        Self {
            k,
            vol,
            weight: vega_share / spread,
            sides,
        }
    }

    /// An out-of-the-money quote with its own forward delta and vega share, if it carries any
    /// information on volatility: positive volatility and vega, and a delta from 0.01 to 0.99.
    #[must_use]
    pub fn usable(
        k: f64,
        vol: f64,
        delta: f64,
        vega_share: f64,
        sides: Option<(f64, f64)>,
    ) -> Option<Self> {
        let near = (DELTA_MIN..=1.0 - DELTA_MIN).contains(&delta.abs());
        (near && vol > 0.0 && vega_share > 0.0).then(|| Self::weighted(k, vol, vega_share, sides))
    }
}

/// The quotes of one expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceQuotes {
    /// Time to expiry, years of 365 days.
    pub expiry_years: f64,
    /// Quotes in any order.
    pub quotes: Vec<SliceQuote>,
}

impl SliceQuotes {
    fn triples(&self) -> Vec<(f64, f64, f64)> {
        self.quotes.iter().map(|q| (q.k, q.vol, q.weight)).collect()
    }

    /// The range of strikes with a positive weight.
    fn range(&self) -> Option<Range> {
        let weighted = self.quotes.iter().filter(|q| q.weight > 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for quote in weighted {
            (low, high) = (low.min(quote.k), high.max(quote.k));
        }
        Range::new(low, high)
    }

    /// The share of two-sided quotes whose bid and ask hold the smile, if there are any.
    fn inside_share(&self, svi: &RawSvi) -> Option<f64> {
        let sided = self.quotes.iter().filter(|q| q.weight > 0.0);
        let (mut all, mut inside) = (0_u32, 0_u32);
        for quote in sided {
            if let Some((bid, ask)) = quote.sides {
                let vol = svi.vol(quote.k, self.expiry_years)?;
                all += 1;
                inside += u32::from(bid <= vol && vol <= ask);
            }
        }
        (all > 0).then(|| f64::from(inside) / f64::from(all))
    }
}

/// A slice fitted by itself, without butterfly arbitrage on its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FittedSlice {
    /// Parameters.
    pub svi: RawSvi,
    /// The strikes that were fitted.
    pub range: Range,
    /// Butterfly arbitrage had to be removed, on the range or in the wings.
    pub repaired: bool,
    /// Weighted root mean square error, in volatility, that the removal on the range cost.
    pub cost_vol: f64,
}

/// Fits one slice and removes butterfly arbitrage from its fitted range.
///
/// # Errors
/// [`FitError`]; [`FitError::OneSided`] unless the strikes enclose the forward, [`FitError::Arbitrage`] if no smile
/// without it was found.
pub fn fit_slice(slice: &SliceQuotes) -> Result<FittedSlice, FitError> {
    let column = |pick: fn(&SliceQuote) -> f64| slice.quotes.iter().map(pick).collect::<Vec<_>>();
    let (k, vol, weight) = (column(|q| q.k), column(|q| q.vol), column(|q| q.weight));
    let fit = fit_svi(&k, &vol, &weight, slice.expiry_years)?;
    let range = slice.range().ok_or(FitError::TooFewQuotes)?;
    if !range.holds(0.0) {
        return Err(FitError::OneSided);
    }
    if lowest_g(&fit.svi, range).is_some_and(|lowest| lowest.g >= 0.0) {
        return Ok(FittedSlice {
            svi: fit.svi,
            range,
            repaired: fit.repaired,
            cost_vol: 0.0,
        });
    }
    let free = repair(&fit.svi, &slice.triples(), slice.expiry_years, range, None);
    let free = free.ok_or(FitError::Arbitrage)?;
    Ok(FittedSlice {
        svi: free.svi,
        range,
        repaired: true,
        cost_vol: free.cost_vol,
    })
}

/// An earlier fit of the same expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlierSlice {
    /// Its parameters.
    pub svi: RawSvi,
    /// Its fitted range.
    pub range: Range,
    /// Its time to expiry, years.
    pub expiry_years: f64,
}

/// Where a published slice comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// Fitted to its own quotes.
    Fitted,
    /// The shape of an earlier snapshot, its level moved to today's quotes.
    Carried {
        /// Age of the shape, hours.
        hours: f64,
        /// Movement of the level at the money, in volatility.
        shift_vol: f64,
    },
}

/// What was done to a slice to make it free of arbitrage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mending {
    /// Butterfly arbitrage was removed.
    pub butterfly: bool,
    /// The slice was lifted above the nearer one.
    pub calendar: bool,
    /// Weighted root mean square error that it cost, in volatility.
    pub cost_vol: f64,
}

/// A slice with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedSlice {
    /// Parameters.
    pub svi: RawSvi,
    /// Fitted or carried.
    pub origin: Origin,
    /// What was repaired.
    pub mending: Mending,
    /// Errors on this snapshot's quotes.
    pub quality: Option<Quality>,
    /// Share of two-sided quotes whose bid and ask hold the smile.
    pub inside_share: Option<f64>,
    /// Butterfly and wings.
    pub certificate: Certificate,
    /// Against the nearest fitted slice before it, on the range common to both; `None` for the first one
    /// and for one without a common range.
    pub calendar: Option<Calendar>,
}

/// Why a slice of a snapshot is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    /// It could not be fitted, and nothing could be carried.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// It has no usable quotes at all.
    #[error("the slice has no usable quotes")]
    NoQuotes,
}

/// Publishes the slices of one snapshot: element by element of `slices`, whose fits are `fits`.
///
/// `earlier` gives, for the position of a slice with too few quotes or one-sided ones, a fit of the same expiry that is at
/// most 24 hours older; it is asked for no other. Slices may come in any order.
pub fn publish(
    slices: &[SliceQuotes],
    fits: &[Result<FittedSlice, FitError>],
    mut earlier: impl FnMut(usize) -> Option<EarlierSlice>,
) -> Vec<Result<PublishedSlice, Unpublished>> {
    let mut order: Vec<usize> = (0..slices.len().min(fits.len())).collect();
    order.sort_by(|&i, &j| slices[i].expiry_years.total_cmp(&slices[j].expiry_years));
    let mut out: Vec<Result<PublishedSlice, Unpublished>> =
        slices.iter().map(|_| Err(Unpublished::NoQuotes)).collect();
    let mut near: Option<(RawSvi, Range)> = None;
    for i in order {
        let slice = &slices[i];
        out[i] = match &fits[i] {
            _ if slice.quotes.is_empty() => Err(Unpublished::NoQuotes),
            Ok(fit) => {
                let lifted = lift(slice, fit, near);
                near = Some((lifted.svi, lifted.range));
                Ok(describe(slice, lifted, Origin::Fitted))
            }
            Err(thin @ (FitError::TooFewQuotes | FitError::OneSided)) => {
                carry(slice, earlier(i), near).ok_or(Unpublished::Fit(*thin))
            }
            Err(error) => Err(Unpublished::Fit(*error)),
        };
    }
    out
}

/// A slice after the nearer one was looked at.
struct Lifted {
    svi: RawSvi,
    range: Range,
    mending: Mending,
    calendar: Option<Calendar>,
}

fn lift(slice: &SliceQuotes, fit: &FittedSlice, near: Option<(RawSvi, Range)>) -> Lifted {
    let calendar = |svi: &RawSvi| {
        let (near, range) = near.as_ref()?;
        calendar_on((near, *range), (svi, fit.range))
    };
    let mut lifted = Lifted {
        svi: fit.svi,
        range: fit.range,
        mending: Mending {
            butterfly: fit.repaired,
            calendar: false,
            cost_vol: fit.cost_vol,
        },
        calendar: calendar(&fit.svi),
    };
    let crossed = lifted.calendar.as_ref().is_some_and(|c| !c.free);
    if let (true, Some((near, range))) = (crossed, near)
        && let Some(common) = range.common(fit.range)
        && let Some(free) = repair(
            &fit.svi,
            &slice.triples(),
            slice.expiry_years,
            fit.range,
            Some((&near, common)),
        )
    {
        lifted.calendar = calendar(&free.svi);
        lifted.svi = free.svi;
        lifted.mending.calendar = true;
        lifted.mending.cost_vol += free.cost_vol;
    }
    lifted
}

/// The earlier shape: the same volatility at the same log moneyness, times the factor that fits the
/// quotes best; none without a recent shape, or if the level would move too far.
fn carry(
    slice: &SliceQuotes,
    earlier: Option<EarlierSlice>,
    near: Option<(RawSvi, Range)>,
) -> Option<PublishedSlice> {
    let earlier = earlier?;
    let hours = (earlier.expiry_years - slice.expiry_years) * 365.0 * 24.0;
    let recent = (0.0..=CARRY_HOURS_MAX + 1e-6).contains(&hours);
    if !(recent && slice.expiry_years > 0.0) {
        return None;
    }
    let (mut with, mut own) = (0.0, 0.0);
    for quote in slice.quotes.iter().filter(|q| q.weight > 0.0) {
        let shape = earlier.svi.vol(quote.k, earlier.expiry_years)?;
        with += quote.weight * shape * quote.vol;
        own += quote.weight * shape * shape;
    }
    let factor = with / own;
    if !(1.0 / SHIFT_MAX..=SHIFT_MAX).contains(&factor) {
        return None;
    }
    let scale = factor * factor * slice.expiry_years / earlier.expiry_years;
    let svi = RawSvi {
        a: earlier.svi.a * scale,
        b: earlier.svi.b * scale,
        ..earlier.svi
    };
    let level = earlier.svi.vol(0.0, earlier.expiry_years)?;
    let lifted = Lifted {
        svi,
        range: earlier.range,
        mending: Mending::default(),
        calendar: near.and_then(|near| calendar_on((&near.0, near.1), (&svi, earlier.range))),
    };
    let origin = Origin::Carried {
        hours,
        shift_vol: (factor - 1.0) * level,
    };
    Some(describe(slice, lifted, origin))
}

fn describe(slice: &SliceQuotes, lifted: Lifted, origin: Origin) -> PublishedSlice {
    PublishedSlice {
        svi: lifted.svi,
        origin,
        mending: lifted.mending,
        quality: quality(&lifted.svi, &slice.triples(), slice.expiry_years),
        inside_share: slice.inside_share(&lifted.svi),
        certificate: certify(&lifted.svi, lifted.range),
        calendar: lifted.calendar,
    }
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
