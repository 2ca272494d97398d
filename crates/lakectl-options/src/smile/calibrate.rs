//! Fit of a raw SVI slice to quoted volatilities.
//!
//! Quasi-explicit calibration (Zeliade Systems, "Quasi-explicit calibration of Gatheral's SVI
//! model", 2009): for a fixed centre `m` and width `sigma` the smile is linear in the remaining
//! three parameters, whose constrained least squares problem is solved exactly; the search runs
//! over `m` and `sigma` only. One start misses clean slices, so it scans a grid, runs a simplex
//! down from the best point of several widths, and brings the last digits by damped Gauss-Newton
//! steps with the linear part projected out (Golub and Pereyra's variable projection, in Kaufman's
//! form). Unlike the paper the level `a` may be negative as long as the smallest variance is not:
//! smiles with deep bends need it.
//!
//! Far wings are an extrapolation, and the best fit often bends them into butterfly arbitrage where
//! nothing was quoted. Such a fit is replaced by one without, if that is nearly as good.

use super::neldermead::{Vertex, minimise};
use super::squares::Form;
use super::svi::RawSvi;
use super::{MAX_LOG_MONEYNESS, Smile};

const MIN_QUOTES: usize = 5;
/// No market quotes 100,000 %; beyond it squares might overflow.
const MAX_VOL: f64 = 1e3;
/// Largest slope of a wing that is searched, `b (1 + |rho|)`.
const MAX_SLOPE: f64 = 4.0;
/// What freedom from arbitrage may cost in root mean square error, as a volatility.
const FREEDOM_COST: f64 = 5e-4;
/// Widths of the scan, as shares of half the quoted range.
const WIDTHS: [f64; 6] = [0.012, 0.04, 0.12, 0.35, 1.0, 3.0];
/// Centres of the scan inside the quoted range.
const CENTRES: usize = 12;
/// Bounds of the width, as shares of half the quoted range.
const WIDTH_BOUNDS: (f64, f64) = (0.003, 60.0);
/// Descents from different widths.
const STARTS: usize = 6;
const SIMPLEX_BUDGET: u32 = 40;
/// A step that lowers the objective by less than this share is the last.
const ENOUGH_GAIN: f64 = 1e-6;
const POLISH_STEPS: usize = 40;
/// A fit this close, in volatility, ends the search; other starts cannot improve it.
const EXACT_VOL: f64 = 1e-10;
/// Quotes fitted this closely, in volatility, are an SVI smile; it is kept as it is.
const FAITHFUL_VOL: f64 = 1e-6;

/// Why a slice could not be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Fewer than five strikes with a positive weight.
    #[error("a slice needs at least five weighted strikes")]
    TooFewQuotes,
    /// All strikes lie on one side of the forward.
    #[error("no quotes on one side of the forward")]
    OneSided,
    /// The three lists differ in length.
    #[error("strikes, volatilities and weights differ in length")]
    LengthMismatch,
    /// A log moneyness beyond 12.04, a volatility outside (0, 1000], a weight that is negative, or
    /// a number that is not finite.
    #[error("a quote is outside its domain")]
    BadQuote,
    /// The time to expiry is not positive and finite.
    #[error("the time to expiry must be positive and finite")]
    BadExpiry,
    /// No parameters give positive variance at every quote.
    #[error("no smile fits these quotes")]
    NoFit,
    /// No smile without butterfly arbitrage on the quoted range was found.
    #[error("every smile found has butterfly arbitrage between the quotes")]
    Arbitrage,
}

impl FitError {
    /// The word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooFewQuotes => "too_few_quotes",
            Self::OneSided => "one_sided",
            Self::LengthMismatch | Self::BadQuote => "bad_quote",
            Self::BadExpiry => "bad_expiry",
            Self::NoFit => "no_fit",
            Self::Arbitrage => "butterfly_arbitrage",
        }
    }
}

/// A fitted slice with its certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SviFit {
    /// Fitted parameters.
    pub svi: RawSvi,
    /// Unweighted root mean square error in volatility, as a fraction (0.005 = half a vol point).
    pub rmse_vol: f64,
    /// Largest absolute error in volatility.
    pub max_error_vol: f64,
    /// Quotes used.
    pub quotes: usize,
    /// Smallest `g(k)`; `None` if the smallest variance is zero.
    pub g_min: Option<f64>,
    /// No butterfly arbitrage. A fit that has one is returned with `false` here.
    pub butterfly_free: bool,
    /// The best fit had butterfly arbitrage and this one, at most 0.05 vol points worse, has not.
    pub repaired: bool,
}

/// Fits raw SVI to quotes of one expiry.
///
/// `k` is log moneyness, `iv` volatility (fraction per square root of a year), `weight` the
/// precision of a quote's volatility, in any unit (vega over spread, or one); quotes of weight
/// zero are ignored. Minimises the weighted squared error of volatility to first order; of two
/// smiles within 0.05 vol points of each other the one without butterfly arbitrage is taken,
/// unless SVI reproduces the quotes exactly. The result does not depend on the order of the
/// quotes.
///
/// # Errors
/// See [`FitError`].
pub fn fit_svi(
    k: &[f64],
    iv: &[f64],
    weight: &[f64],
    expiry_years: f64,
) -> Result<SviFit, FitError> {
    let quotes = checked_quotes(k, iv, weight, expiry_years, MIN_QUOTES)?;
    let mut slice = Quotes::new(&quotes, expiry_years).ok_or(FitError::BadQuote)?;
    let svi = slice.search(STARTS).ok_or(FitError::NoFit)?;
    let fit = slice.certify(svi)?;
    if fit.butterfly_free || fit.rmse_vol < FAITHFUL_VOL {
        return Ok(fit);
    }
    let free = slice.without_butterfly().map(|svi| slice.certify(svi));
    Ok(match free {
        Some(Ok(free)) if free.rmse_vol <= fit.rmse_vol + FREEDOM_COST => SviFit {
            repaired: true,
            ..free
        },
        _ => fit,
    })
}

/// The weighted quotes as (log moneyness, volatility, weight) in the order of strikes, once they are
/// inside their domain and have at least `strikes_min` different strikes.
pub(super) fn checked_quotes(
    k: &[f64],
    iv: &[f64],
    weight: &[f64],
    expiry_years: f64,
    strikes_min: usize,
) -> Result<Vec<(f64, f64, f64)>, FitError> {
    if k.len() != iv.len() || k.len() != weight.len() {
        return Err(FitError::LengthMismatch);
    }
    if !(expiry_years > 0.0 && expiry_years.is_finite()) {
        return Err(FitError::BadExpiry);
    }
    let mut rows = Vec::with_capacity(k.len());
    for ((&k, &vol), &weight) in k.iter().zip(iv).zip(weight) {
        let priced = k.abs() <= MAX_LOG_MONEYNESS && vol > 0.0 && vol <= MAX_VOL;
        let weighed = weight >= 0.0 && weight.is_finite();
        if !(priced && weighed) {
            return Err(FitError::BadQuote);
        }
        if weight > 0.0 {
            rows.push((k, vol, weight));
        }
    }
    rows.sort_by(|a, b| {
        let order = a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
        order.then(a.2.total_cmp(&b.2))
    });
    let strikes = rows.chunk_by(|a, b| a.0 == b.0).count();
    if strikes < strikes_min {
        return Err(FitError::TooFewQuotes);
    }
    let weights: f64 = rows.iter().map(|r| r.2).sum();
    if weights.is_finite() {
        Ok(rows)
    } else {
        Err(FitError::BadQuote)
    }
}

/// Quotes of one slice, ordered by strike, with the working space of the search.
pub(super) struct Quotes {
    k: Vec<f64>,
    vol: Vec<f64>,
    expiry_years: f64,
    /// Total variances, the shares of their squared errors, and what turns a mean square of
    /// those into one of volatility.
    w: Vec<f64>,
    share: Vec<f64>,
    total: f64,
    mean_w: f64,
    centre: f64,
    pub(super) half: f64,
    pub(super) max_slope: f64,
    /// Weight of the penalty on negative `g`, and where it is measured; none in a plain fit.
    pub(super) penalty: f64,
    pub(super) penalty_points: Vec<f64>,
    /// `y` and `sqrt(y^2 + 1) - 1` of the last inner problem, less their means, and its residuals.
    y: Vec<f64>,
    z: Vec<f64>,
    rest: Vec<f64>,
}

/// Solution of the inner problem: `w = a + d y + c sqrt(y^2 + 1)` with `y = (k - m) / sigma`.
#[derive(Clone, Copy)]
struct Linear {
    a: f64,
    d: f64,
    c: f64,
    error: f64,
    form: Form,
    mean_y: f64,
    mean_z: f64,
}

impl Linear {
    fn smile(&self, m: f64, sigma: f64) -> RawSvi {
        RawSvi {
            a: self.a,
            b: self.c / sigma,
            rho: if self.c > 0.0 {
                (self.d / self.c).clamp(-1.0, 1.0)
            } else {
                0.0
            },
            m,
            sigma,
        }
    }
}

impl Quotes {
    fn new(rows: &[(f64, f64, f64)], expiry_years: f64) -> Option<Self> {
        let weights: f64 = rows.iter().map(|r| r.2).sum();
        let k: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let vol: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let w: Vec<f64> = vol.iter().map(|v| v * v * expiry_years).collect();
        // dw = 2 vol T dvol turns an error in variance into one in volatility.
        let u: Vec<f64> = rows
            .iter()
            .map(|r| {
                let scale = 2.0 * r.1 * expiry_years;
                r.2 / weights / (scale * scale)
            })
            .collect();
        let total: f64 = u.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        let share: Vec<f64> = u.iter().map(|u| u / total).collect();
        let (first, last) = (k[0], k[k.len() - 1]);
        let n = k.len();
        Some(Self {
            mean_w: share.iter().zip(&w).map(|(s, w)| s * w).sum(),
            centre: 0.5 * (first + last),
            half: 0.5 * (last - first),
            max_slope: MAX_SLOPE,
            penalty: 0.0,
            penalty_points: Vec::new(),
            k,
            vol,
            expiry_years,
            w,
            share,
            total,
            y: vec![0.0; n],
            z: vec![0.0; n],
            rest: vec![0.0; n],
        })
    }

    /// The best smile that descents from up to `starts` widths find.
    pub(super) fn search(&mut self, starts: usize) -> Option<RawSvi> {
        let mut best: Option<(RawSvi, f64)> = None;
        for start in self.starts(starts) {
            let candidate = self.descend(start);
            if best.is_none_or(|(_, least)| candidate.1 < least) {
                best = Some(candidate);
            }
            if best.is_some_and(|(_, least)| least < EXACT_VOL * EXACT_VOL) {
                break;
            }
        }
        best.map(|(svi, _)| svi)
    }

    /// Scans centres and widths; the best centre of each width, best first.
    fn starts(&mut self, count: usize) -> Vec<[f64; 2]> {
        let mut centres = vec![self.centre - 1.4 * self.half, self.centre + 1.4 * self.half];
        let last = self.k.len() - 1;
        for i in 0..CENTRES {
            let rank = (i * last) as f64 / (CENTRES - 1) as f64;
            let below = rank as usize;
            let above = (below + 1).min(last);
            let part = rank - below as f64;
            centres.push(self.k[below] * (1.0 - part) + self.k[above] * part);
        }
        let mut found: Vec<([f64; 2], f64)> = Vec::with_capacity(WIDTHS.len());
        for width in WIDTHS {
            let log_sigma = libm::log(width * self.half);
            let scanned = centres
                .iter()
                .map(|&m| ([m, log_sigma], self.value([m, log_sigma])))
                .min_by(|a, b| a.1.total_cmp(&b.1));
            found.extend(scanned);
        }
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        found.truncate(count);
        found.into_iter().map(|(start, _)| start).collect()
    }

    /// Runs down from one start; returns the smile and its objective.
    fn descend(&mut self, start: [f64; 2]) -> (RawSvi, f64) {
        let size = [self.half * 0.08, 0.4];
        let first = (start, self.value(start));
        let coarse = minimise(|x| self.value(x), first, size, SIMPLEX_BUDGET, 1e-9);
        let (x, value) = self.polish(coarse);
        let (m, sigma) = (x[0], libm::exp(x[1]));
        (self.inner(m, sigma).smile(m, sigma), value)
    }

    /// The objective at a centre and the logarithm of a width: the error of the best smile that
    /// has them, plus its penalty. Infinite outside the bounds of the search.
    fn value(&mut self, x: [f64; 2]) -> f64 {
        let (m, sigma) = (x[0], libm::exp(x[1]));
        let (low, high) = (self.half * WIDTH_BOUNDS.0, self.half * WIDTH_BOUNDS.1);
        if !(low..=high).contains(&sigma) || (m - self.centre).abs() > 3.0 * (self.half + sigma) {
            return f64::INFINITY;
        }
        let linear = self.inner(m, sigma);
        if self.penalty > 0.0 {
            linear.error + self.penalty_of(&linear.smile(m, sigma))
        } else {
            linear.error
        }
    }

    /// Solves the inner problem exactly: least squares under `0 <= c`, `|d| <= c`,
    /// `c + |d| <= 4 sigma` and a smallest variance that is not negative.
    fn inner(&mut self, m: f64, sigma: f64) -> Linear {
        let per_sigma = 1.0 / sigma;
        let (mut mean_y, mut mean_z) = (0.0, 0.0);
        let rows = self
            .k
            .iter()
            .zip(&self.share)
            .zip(&mut self.y)
            .zip(&mut self.z);
        for (((&k, &s), y), z) in rows {
            let x = (k - m) * per_sigma;
            let square = x * x;
            // The root less one, without cancellation for wide bends.
            *z = square / (1.0 + (square + 1.0).sqrt());
            *y = x;
            mean_y += s * x;
            mean_z += s * *z;
        }
        let mut form = Form::default();
        let rows = self
            .share
            .iter()
            .zip(&mut self.y)
            .zip(&mut self.z)
            .zip(&self.w);
        for (((&s, y), z), &w) in rows {
            *y -= mean_y;
            *z -= mean_z;
            form.add(s, *y, *z, w - self.mean_w);
        }
        let top = self.max_slope * sigma;
        let (mut d, mut c) = form.minimum(top);
        let mut a = self.mean_w - d * mean_y - c * (mean_z + 1.0);
        let mut shift = 0.0;
        let lowest = a + ((c - d) * (c + d)).max(0.0).sqrt();
        if lowest < 0.0 {
            (d, c) = form.touching_zero(d, c, [mean_y, mean_z + 1.0, self.mean_w], top);
            a = -((c - d) * (c + d)).max(0.0).sqrt();
            shift = self.mean_w - a - d * mean_y - c * (mean_z + 1.0);
        }
        let mut error = 0.0;
        let rows = self.share.iter().zip(&self.y).zip(&self.z).zip(&self.w);
        for ((((&s, &y), &z), &w), rest) in rows.zip(&mut self.rest) {
            *rest = w - self.mean_w - d * y - c * z + shift;
            error += s * *rest * *rest;
        }
        Linear {
            a,
            d,
            c,
            error: error * self.total,
            form,
            mean_y,
            mean_z,
        }
    }

    /// Damped Gauss-Newton steps in centre and logarithm of the width.
    fn polish(&mut self, start: Vertex) -> Vertex {
        let mut best = start;
        let mut damping = 1e-3;
        let mut equations = self.projected(best.0);
        for _ in 0..POLISH_STEPS {
            if best.1 < 1e-6 * EXACT_VOL * EXACT_VOL || damping > 1e8 {
                break;
            }
            let [pp, pq, qq, pr, qr] = equations;
            let (p, q) = (pp * (1.0 + damping), qq * (1.0 + damping));
            let determinant = p * q - pq * pq;
            if !(determinant > 0.0) {
                break;
            }
            let m = best.0[0] + (pr * q - qr * pq) / determinant;
            let log_sigma = best.0[1] + (qr * p - pr * pq) / determinant;
            let value = self.value([m, log_sigma]);
            if value < best.1 {
                let gain = 1.0 - value / best.1;
                best = ([m, log_sigma], value);
                if gain < ENOUGH_GAIN {
                    break;
                }
                damping = (damping * 0.1).max(1e-14);
                equations = self.projected(best.0);
            } else {
                damping *= 10.0;
            }
        }
        best
    }

    /// Normal equations of a step in `m` and `ln sigma` after the linear part is projected out:
    /// both squares, the product, and the products with the residuals, as `[pp, pq, qq, pr, qr]`.
    fn projected(&mut self, x: [f64; 2]) -> [f64; 5] {
        let (m, sigma) = (x[0], libm::exp(x[1]));
        let fit = self.inner(m, sigma);
        let direction = |y: f64, z: f64| {
            let (y, z) = (y + fit.mean_y, z + fit.mean_z + 1.0);
            let slope = fit.d + fit.c * y / z;
            (-slope / sigma, -slope * y)
        };
        let (mut mean_p, mut mean_q) = (0.0, 0.0);
        for ((&s, &y), &z) in self.share.iter().zip(&self.y).zip(&self.z) {
            let (p, q) = direction(y, z);
            mean_p += s * p;
            mean_q += s * q;
        }
        let (mut by_p, mut by_q) = ([0.0; 2], [0.0; 2]);
        for ((&s, &y), &z) in self.share.iter().zip(&self.y).zip(&self.z) {
            let (p, q) = direction(y, z);
            let (p, q) = (s * (p - mean_p), s * (q - mean_q));
            by_p = [by_p[0] + p * y, by_p[1] + p * z];
            by_q = [by_q[0] + q * y, by_q[1] + q * z];
        }
        let (on_p, on_q) = (fit.form.solve(by_p), fit.form.solve(by_q));
        let mut out = [0.0; 5];
        let rows = self.share.iter().zip(&self.y).zip(&self.z).zip(&self.rest);
        for (((&s, &y), &z), &rest) in rows {
            let (p, q) = direction(y, z);
            let p = p - mean_p - on_p[0] * y - on_p[1] * z;
            let q = q - mean_q - on_q[0] * y - on_q[1] * z;
            let (sp, sq) = (s * p, s * q);
            out[0] += sp * p;
            out[1] += sp * q;
            out[2] += sq * q;
            out[3] += sp * rest;
            out[4] += sq * rest;
        }
        out
    }

    fn certify(&self, svi: RawSvi) -> Result<SviFit, FitError> {
        let mut squares = 0.0;
        let mut largest = 0.0_f64;
        for (&k, &vol) in self.k.iter().zip(&self.vol) {
            let fitted = svi.vol(k, self.expiry_years).ok_or(FitError::NoFit)?;
            squares += (fitted - vol) * (fitted - vol);
            largest = largest.max((fitted - vol).abs());
        }
        let butterfly = svi.butterfly();
        Ok(SviFit {
            svi,
            rmse_vol: (squares / self.k.len() as f64).sqrt(),
            max_error_vol: largest,
            quotes: self.k.len(),
            g_min: butterfly.g_min,
            butterfly_free: butterfly.free,
            repaired: false,
        })
    }
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;
