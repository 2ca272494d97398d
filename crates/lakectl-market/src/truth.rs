//! The distribution that the next return is drawn from, given the state that decides it.

use crate::config::Asset;
use crate::path::{DRIFT, FREEDOM, State, day_share, fat_tail_scale};
use crate::rng::{Stream, StreamKey};

/// Inner paths for a horizon beyond one day; half of them mirror the other half.
const PATHS: usize = 4_096;

/// What a truth is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TruthKey {
    pub seed: u64,
    pub asset: Asset,
    pub as_of_day: i32,
    pub horizon_hours: u32,
}

/// Quantiles of the log return over the horizon. Up to 24 h in closed form, beyond by simulation from the state.
pub(crate) fn quantiles(key: TruthKey, state: State, probs: &[f64]) -> Vec<f64> {
    let hours = key.horizon_hours as usize;
    if hours <= 24 {
        let scale = state.daily_vol(key.asset) * libm::sqrt(day_share(hours));
        let drift = DRIFT * hours as f64 / 24.0;
        return probs
            .iter()
            .map(|p| drift + scale * standardised_t_quantile(*p))
            .collect();
    }
    let returns = simulate(key, state);
    probs
        .iter()
        .map(|p| sorted_quantile(&returns, *p))
        .collect()
}

/// Sorted returns of the inner paths.
fn simulate(key: TruthKey, state: State) -> Vec<f64> {
    let mut stream = Stream::new(StreamKey {
        seed: key.seed,
        purpose: "truth",
        sub: (key.asset.index() as u64) << 32 | u64::from(key.horizon_hours),
        day: key.as_of_day,
    });
    let days = (key.horizon_hours / 24) as usize;
    let rest = (key.horizon_hours % 24) as usize;
    let drift = DRIFT * f64::from(key.horizon_hours) / 24.0;
    let mut returns = Vec::with_capacity(PATHS);
    for _ in 0..PATHS / 2 {
        let mut pair = [(state, 0.0), (state, 0.0)];
        for _ in 0..days {
            let shock = fat_tail_scale(stream.chi_square_6()) * stream.normal();
            let (uniform, normal) = (stream.uniform(), stream.normal());
            for ((state, sum), sign) in pair.iter_mut().zip([1.0, -1.0]) {
                *sum += state.daily_vol(key.asset) * sign * shock;
                *state = state.next(sign * shock, uniform, sign * normal);
            }
        }
        if rest > 0 {
            let scale = libm::sqrt(day_share(rest)) * fat_tail_scale(stream.chi_square_6());
            let shock = scale * stream.normal();
            for ((state, sum), sign) in pair.iter_mut().zip([1.0, -1.0]) {
                *sum += state.daily_vol(key.asset) * sign * shock;
            }
        }
        returns.extend(pair.map(|(_, sum)| drift + sum));
    }
    returns.sort_unstable_by(f64::total_cmp);
    returns
}

/// Quantile of a sorted sample, straight between the midpoints of its steps.
fn sorted_quantile(sorted: &[f64], p: f64) -> f64 {
    let position = (p * sorted.len() as f64 - 0.5).clamp(0.0, (sorted.len() - 1) as f64);
    let low = position as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (position - low as f64) * (sorted[high] - sorted[low])
}

/// Quantile of Student's t with six degrees of freedom, scaled to variance one.
pub(crate) fn standardised_t_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-1e6, 1e6);
    for _ in 0..120 {
        let middle = 0.5 * (low + high);
        if t_distribution(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high) * libm::sqrt((FREEDOM - 2.0) / FREEDOM)
}

/// Distribution function of Student's t with six degrees of freedom (a finite sum, as for every even number).
fn t_distribution(t: f64) -> f64 {
    let root = libm::sqrt(FREEDOM + t * t);
    let cos2 = FREEDOM / (FREEDOM + t * t);
    0.5 + 0.5 * (t / root) * (1.0 + cos2 * (0.5 + cos2 * 0.375))
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn t_quantiles_agree_with_the_table() {
        // Student's t with 6 degrees of freedom: 1.943180 at 0.95, 3.142668 at 0.99.
        let scale = libm::sqrt(6.0 / 4.0);
        for (p, t) in [(0.5, 0.0), (0.95, 1.943_180_28), (0.99, 3.142_668_4)] {
            assert!((standardised_t_quantile(p) * scale - t).abs() < 1e-7, "{p}");
            assert!((standardised_t_quantile(1.0 - p) * scale + t).abs() < 1e-7);
        }
    }
}
