//! Trailing windows over a regular series with gaps.
//!
//! Shape: `xs[i]` is the value of row `i`, `None` where it is missing; the answer has the same length, and
//! row `i` depends on rows `i + 1 - window ..= i` alone. A window counts rows, gaps included; `min_count`
//! counts present values. Every window is summed afresh from its oldest row, never updated from its
//! neighbour, so a series cut at either end gives the same bits for the windows that remain.
//! Non-finite values count as missing.

/// Denominator guard of [`z_score`]: keeps a constant window at 0 without touching ordinary ones.
const SD_GUARD: f64 = 1e-9;

/// Applies `f(present values of the window, oldest first; current value)` to every row whose own value is
/// present and whose window holds at least `min_count` present values.
fn trailing<F>(xs: &[Option<f64>], window: usize, min_count: usize, f: F) -> Vec<Option<f64>>
where
    F: Fn(&[f64], f64) -> Option<f64>,
{
    let mut held = Vec::with_capacity(window);
    (0..xs.len())
        .map(|i| {
            let current = xs[i].filter(|x| x.is_finite())?;
            held.clear();
            held.extend(
                xs[(i + 1).saturating_sub(window)..=i]
                    .iter()
                    .flatten()
                    .filter(|x| x.is_finite()),
            );
            if held.len() < min_count.max(1) {
                None
            } else {
                f(&held, current)
            }
        })
        .collect()
}

/// Mean of the present values of each trailing window.
pub fn mean(xs: &[Option<f64>], window: usize, min_count: usize) -> Vec<Option<f64>> {
    trailing(xs, window, min_count, |w, _| crate::quantiles::mean(w).ok())
}

/// Sample standard deviation of each trailing window (`None` below two values).
pub fn sample_sd(xs: &[Option<f64>], window: usize, min_count: usize) -> Vec<Option<f64>> {
    trailing(xs, window, min_count, |w, _| {
        crate::quantiles::sample_sd(w).ok()
    })
}

/// Causal z-score: (value - trailing mean) / (trailing sample sd + 1e-9). The window includes the current row.
pub fn z_score(xs: &[Option<f64>], window: usize, min_count: usize) -> Vec<Option<f64>> {
    trailing(xs, window, min_count, |w, x| {
        let centre = crate::quantiles::mean(w).ok()?;
        let sd = crate::quantiles::sample_sd(w).ok()?;
        Some((x - centre) / (sd + SD_GUARD))
    })
}

/// Share of the trailing window's values that are less than or equal to the current one, in (0, 1].
pub fn percent_rank(xs: &[Option<f64>], window: usize, min_count: usize) -> Vec<Option<f64>> {
    trailing(xs, window, min_count, |w, x| {
        Some(w.iter().filter(|v| **v <= x).count() as f64 / w.len() as f64)
    })
}

/// Smallest value of each trailing window.
pub fn min(xs: &[Option<f64>], window: usize, min_count: usize) -> Vec<Option<f64>> {
    trailing(xs, window, min_count, |w, _| {
        w.iter().copied().reduce(f64::min)
    })
}

/// Largest value of each trailing window.
pub fn max(xs: &[Option<f64>], window: usize, min_count: usize) -> Vec<Option<f64>> {
    trailing(xs, window, min_count, |w, _| {
        w.iter().copied().reduce(f64::max)
    })
}

/// Exponential moving average with weights `(1 - alpha)^age`, `alpha = 2 / (span + 1)`, normalised over the
/// present values of the trailing `window` rows.
///
/// The bounded window makes any row computable from a bounded past; with `window >= 5 * span` the weight
/// left out is below one in 20,000. A missing row stays missing; its age still counts.
pub fn ema(xs: &[Option<f64>], span: usize, window: usize, min_count: usize) -> Vec<Option<f64>> {
    let keep = 1.0 - 2.0 / (span.max(1) as f64 + 1.0);
    (0..xs.len())
        .map(|i| {
            xs[i].filter(|x| x.is_finite())?;
            let (mut sum, mut weight, mut count) = (0.0, 0.0, 0_usize);
            for x in &xs[(i + 1).saturating_sub(window.max(1))..=i] {
                sum *= keep;
                weight *= keep;
                if let Some(value) = x.filter(|x| x.is_finite()) {
                    sum += value;
                    weight += 1.0;
                    count += 1;
                }
            }
            (count >= min_count.max(1) && weight > 0.0).then(|| sum / weight)
        })
        .collect()
}
