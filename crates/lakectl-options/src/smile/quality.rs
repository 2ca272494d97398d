//! How well a smile describes the quotes it was fitted to, and how much it moved.

use super::Smile;
use super::certificate::Range;
use super::damped::solve_positive;
use super::svi::RawSvi;

/// A quote whose leverage comes this close to one is only predicted by itself.
const LEVERAGE_MAX: f64 = 0.999;
/// Points at which two smiles are compared.
const POINTS: usize = 21;

/// Errors of a smile on its quotes, in volatility (0.01 is one vol point).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Unweighted root mean square error.
    pub rmse_vol: f64,
    /// Root mean square error under the weights of the fit.
    pub weighted_rmse_vol: f64,
    /// Largest absolute error.
    pub max_error_vol: f64,
    /// Root mean square of the errors that each quote would have if the smile were fitted without it,
    /// from the leverages of the linearised fit: `e_i / (1 - h_i)`. `None` where the quotes do not
    /// determine the five parameters or a quote alone determines one of them.
    pub leave_one_out_vol: Option<f64>,
    /// Quotes with a positive weight.
    pub quotes: usize,
}

/// Measures a slice against quotes (`k`, volatility, weight) of an expiry in years.
///
/// `None` if nothing has a positive weight, a number is not finite, or the slice has no positive
/// variance at a quote.
#[must_use]
pub fn quality(svi: &RawSvi, quotes: &[(f64, f64, f64)], expiry_years: f64) -> Option<Quality> {
    let mut errors = Vec::with_capacity(quotes.len());
    for &(k, vol, weight) in quotes.iter().filter(|quote| quote.2 > 0.0) {
        let error = svi.vol(k, expiry_years)? - vol;
        (error.is_finite() && weight.is_finite()).then_some(())?;
        errors.push((error, weight));
    }
    if errors.is_empty() {
        return None;
    }
    let count = errors.len() as f64;
    let weights: f64 = errors.iter().map(|e| e.1).sum();
    let plain: f64 = errors.iter().map(|e| e.0 * e.0).sum();
    let weighted: f64 = errors.iter().map(|e| e.1 * e.0 * e.0).sum();
    Some(Quality {
        rmse_vol: (plain / count).sqrt(),
        weighted_rmse_vol: (weighted / weights).sqrt(),
        max_error_vol: errors.iter().map(|e| e.0.abs()).fold(0.0, f64::max),
        leave_one_out_vol: leave_one_out(svi, quotes, expiry_years),
        quotes: errors.len(),
    })
}

/// Derivatives of volatility at `k` in (a, b, rho, m, sigma).
fn gradient(svi: &RawSvi, k: f64, expiry_years: f64) -> Option<[f64; 5]> {
    let x = k - svi.m;
    let root = (x * x + svi.sigma * svi.sigma).sqrt();
    let scale = 0.5 / (svi.vol(k, expiry_years)? * expiry_years);
    Some([
        scale,
        scale * (svi.rho * x + root),
        scale * svi.b * x,
        -scale * svi.b * (svi.rho + x / root),
        scale * svi.b * svi.sigma / root,
    ])
}

fn leave_one_out(svi: &RawSvi, quotes: &[(f64, f64, f64)], expiry_years: f64) -> Option<f64> {
    let mut rows = Vec::with_capacity(quotes.len());
    let mut normal = [[0.0; 5]; 5];
    for &(k, vol, weight) in quotes.iter().filter(|quote| quote.2 > 0.0) {
        let gradient = gradient(svi, k, expiry_years)?;
        let error = svi.vol(k, expiry_years)? - vol;
        for (row, &a) in normal.iter_mut().zip(&gradient) {
            for (cell, &b) in row.iter_mut().zip(&gradient) {
                *cell += weight * a * b;
            }
        }
        rows.push((gradient, weight, error));
    }
    // Parameters of different size: to a unit diagonal first, so that a lost pivot means dependence.
    let scale: [f64; 5] = std::array::from_fn(|i| normal[i][i].sqrt());
    if scale.iter().any(|s| !(*s > 0.0 && s.is_finite())) {
        return None;
    }
    for i in 0..5 {
        for j in 0..5 {
            normal[i][j] /= scale[i] * scale[j];
        }
    }
    let mut sum = 0.0;
    for (gradient, weight, error) in &rows {
        let scaled: [f64; 5] = std::array::from_fn(|i| gradient[i] / scale[i]);
        let solved = solve_positive(normal, scaled)?;
        let leverage = weight * scaled.iter().zip(solved).map(|(a, b)| a * b).sum::<f64>();
        if !(leverage < LEVERAGE_MAX) {
            return None;
        }
        let left_out = error / (1.0 - leverage.max(0.0));
        sum += left_out * left_out;
    }
    let value = (sum / rows.len() as f64).sqrt();
    value.is_finite().then_some(value)
}

/// Movement of a smile from one time to another, in volatility at fixed log moneyness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Mean change: what the level did.
    pub level_vol: f64,
    /// Root mean square of the change about its mean: what the shape did.
    pub shape_vol: f64,
}

/// Compares two smiles (slice and time to expiry in years) over a range; `None` where one of them has
/// no positive variance.
#[must_use]
pub fn change(before: (&RawSvi, f64), after: (&RawSvi, f64), range: Range) -> Option<Change> {
    let mut moves = [0.0; POINTS];
    for (moved, k) in moves.iter_mut().zip(range.points(POINTS)) {
        *moved = after.0.vol(k, after.1)? - before.0.vol(k, before.1)?;
    }
    let mean = moves.iter().sum::<f64>() / POINTS as f64;
    let spread: f64 = moves.iter().map(|m| (m - mean) * (m - mean)).sum();
    Some(Change {
        level_vol: mean,
        shape_vol: (spread / POINTS as f64).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smile::fit_svi;

    const SMILE: RawSvi = RawSvi {
        a: 0.006,
        b: 0.09,
        rho: -0.12,
        m: 0.02,
        sigma: 0.09,
    };
    const YEARS: f64 = 0.08;

    fn noisy() -> Vec<(f64, f64, f64)> {
        (0..25)
            .map(|i| {
                let k = f64::from(i - 12) * 0.03;
                let noise = 0.002 * (f64::from((i * 7919) % 25) / 12.0 - 1.0);
                let vol = SMILE.vol(k, YEARS).unwrap() + noise;
                (k, vol, 1.0 + f64::from(i % 3))
            })
            .collect()
    }

    fn fitted(quotes: &[(f64, f64, f64)]) -> RawSvi {
        let column =
            |pick: fn(&(f64, f64, f64)) -> f64| quotes.iter().map(pick).collect::<Vec<_>>();
        let (k, vol, weight) = (column(|q| q.0), column(|q| q.1), column(|q| q.2));
        fit_svi(&k, &vol, &weight, YEARS).unwrap().svi
    }

    #[test]
    fn leverages_say_what_refits_say() {
        let quotes = noisy();
        let found = quality(&fitted(&quotes), &quotes, YEARS).unwrap();
        let mut sum = 0.0;
        for i in 0..quotes.len() {
            let mut others = quotes.clone();
            let (k, vol, _) = others.remove(i);
            sum += (fitted(&others).vol(k, YEARS).unwrap() - vol).powi(2);
        }
        let refitted = (sum / quotes.len() as f64).sqrt();
        let linear = found.leave_one_out_vol.unwrap();
        assert!(
            (linear / refitted - 1.0).abs() < 0.05,
            "{linear} {refitted}"
        );
        assert!(linear > found.rmse_vol && found.max_error_vol >= found.rmse_vol);
    }

    #[test]
    fn five_quotes_leave_nothing_out() {
        let quotes = &noisy()[10..15];
        let found = quality(&fitted(quotes), quotes, YEARS);
        assert!(
            found.is_some_and(|q| q.leave_one_out_vol.is_none()),
            "{found:?}"
        );
        assert_eq!(quality(&SMILE, &[(0.0, f64::NAN, 1.0)], YEARS), None);
        assert_eq!(quality(&SMILE, &[(0.0, 0.5, 0.0)], YEARS), None);
    }

    #[test]
    fn a_shift_is_level_and_a_tilt_is_shape() {
        let range = Range::new(-0.3, 0.3).unwrap();
        let same = change((&SMILE, YEARS), (&SMILE, YEARS), range).unwrap();
        assert_eq!((same.level_vol, same.shape_vol), (0.0, 0.0));
        let tilted = RawSvi { rho: 0.1, ..SMILE };
        let moved = change((&SMILE, YEARS), (&tilted, YEARS), range).unwrap();
        assert!(moved.shape_vol > 0.02 && moved.level_vol.abs() < moved.shape_vol);
    }
}
