//! A whole distribution from a few quantiles.

use crate::error::{StatsError, finite, finite_one, open_unit};

/// A quantile function through given knots: linear in the level between knots, exponential beyond them.
///
/// Knots are `(tau, q)` with increasing levels; values that cross are rearranged (sorted), which never
/// worsens a pinball score. Below the first knot `q(tau) = q1 + s ln(tau / tau1)`: an exponential tail whose
/// scale `s = (q2 - q1) / ln(tau2 / tau1)` is that of the exponential through the two outermost knots; the
/// upper tail mirrors it. For levels .05 and .25 the mean excess beyond the outer knot is then 0.62 of the
/// knot distance, between a normal (0.43) and a Student t with 5 degrees of freedom (0.68). The support is
/// the whole line and all moments are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileFunction {
    taus: Vec<f64>,
    qs: Vec<f64>,
    lower_scale: f64,
    upper_scale: f64,
}

impl QuantileFunction {
    /// Builds the function from at least two knots; crossing values are sorted.
    ///
    /// # Errors
    /// [`StatsError::TooFew`], [`StatsError::LengthMismatch`], [`StatsError::NotFinite`];
    /// [`StatsError::OutOfDomain`] unless the levels increase strictly inside (0, 1).
    pub fn new(taus: &[f64], qs: &[f64]) -> Result<Self, StatsError> {
        if taus.len() != qs.len() {
            return Err(StatsError::LengthMismatch);
        }
        if taus.len() < 2 {
            return Err(StatsError::TooFew {
                found: taus.len(),
                needed: 2,
            });
        }
        finite(qs)?;
        for tau in taus {
            open_unit(*tau)?;
        }
        if taus.windows(2).any(|t| t[0] >= t[1]) {
            return Err(StatsError::OutOfDomain);
        }
        let mut sorted = qs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = taus.len();
        let lower_scale = (sorted[1] - sorted[0]) / libm::log(taus[1] / taus[0]);
        let upper_scale =
            (sorted[n - 1] - sorted[n - 2]) / libm::log((1.0 - taus[n - 2]) / (1.0 - taus[n - 1]));
        Ok(Self {
            taus: taus.to_vec(),
            qs: sorted,
            lower_scale,
            upper_scale,
        })
    }

    /// Levels of the knots.
    pub fn taus(&self) -> &[f64] {
        &self.taus
    }

    /// Values at the knots, not decreasing.
    pub fn values(&self) -> &[f64] {
        &self.qs
    }

    fn last(&self) -> usize {
        self.taus.len() - 1
    }

    /// Value at level `tau`.
    ///
    /// # Errors
    /// [`StatsError::OutOfDomain`] unless `0 < tau < 1`.
    pub fn quantile(&self, tau: f64) -> Result<f64, StatsError> {
        open_unit(tau)?;
        let last = self.last();
        if tau <= self.taus[0] {
            return Ok(self.qs[0] + self.lower_scale * libm::log(tau / self.taus[0]));
        }
        if tau >= self.taus[last] {
            return Ok(
                self.qs[last] - self.upper_scale * libm::log((1.0 - tau) / (1.0 - self.taus[last]))
            );
        }
        let i = self.taus.partition_point(|t| *t <= tau) - 1;
        let share = (tau - self.taus[i]) / (self.taus[i + 1] - self.taus[i]);
        Ok(self.qs[i] + share * (self.qs[i + 1] - self.qs[i]))
    }

    /// Probability of an outcome at or below `x`; applied to the outcome it is the probability integral
    /// transform. Where the quantile function is flat the largest level is returned.
    ///
    /// # Errors
    /// [`StatsError::NotFinite`].
    pub fn cdf(&self, x: f64) -> Result<f64, StatsError> {
        finite_one(x)?;
        let last = self.last();
        if x < self.qs[0] {
            let scale = self.lower_scale;
            return Ok(if scale > 0.0 {
                self.taus[0] * libm::exp((x - self.qs[0]) / scale)
            } else {
                0.0
            });
        }
        if x >= self.qs[last] {
            let (beyond, scale) = (1.0 - self.taus[last], self.upper_scale);
            return Ok(if scale > 0.0 {
                1.0 - beyond * libm::exp((self.qs[last] - x) / scale)
            } else {
                1.0
            });
        }
        let i = self.qs.partition_point(|q| *q <= x) - 1;
        let share = (x - self.qs[i]) / (self.qs[i + 1] - self.qs[i]);
        Ok(self.taus[i] + share * (self.taus[i + 1] - self.taus[i]))
    }

    /// Continuous ranked probability score for the outcome `y`, exact: twice the integral of the pinball loss
    /// over all levels, piece by piece.
    ///
    /// # Errors
    /// [`StatsError::NotFinite`].
    pub fn crps(&self, y: f64) -> Result<f64, StatsError> {
        finite_one(y)?;
        let last = self.last();
        let mut sum = tail_loss(self.taus[0], self.qs[0], self.lower_scale, y);
        for i in 0..last {
            sum += segment_loss(
                (self.taus[i], self.qs[i]),
                (self.taus[i + 1], self.qs[i + 1]),
                y,
            );
        }
        // The loss is symmetric under (tau, q, y) -> (1 - tau, -q, -y), so one tail formula serves both.
        sum += tail_loss(1.0 - self.taus[last], -self.qs[last], self.upper_scale, -y);
        Ok(2.0 * sum)
    }

    /// Mean of the distribution.
    pub fn mean(&self) -> f64 {
        let last = self.last();
        let lower = self.taus[0] * (self.qs[0] - self.lower_scale);
        let upper = (1.0 - self.taus[last]) * (self.qs[last] + self.upper_scale);
        let middle: f64 = (0..last)
            .map(|i| 0.5 * (self.qs[i] + self.qs[i + 1]) * (self.taus[i + 1] - self.taus[i]))
            .sum();
        lower + middle + upper
    }

    /// Mean of the outcomes below the `alpha` quantile, for `alpha` not above the first knot, where the tail is
    /// exponential: `q(alpha) - s`.
    ///
    /// # Errors
    /// [`StatsError::OutOfDomain`] unless `0 < alpha <=` the first level.
    pub fn expected_shortfall(&self, alpha: f64) -> Result<f64, StatsError> {
        if alpha > self.taus[0] {
            return Err(StatsError::OutOfDomain);
        }
        Ok(self.quantile(alpha)? - self.lower_scale)
    }
}

/// Integral of the pinball loss over the levels of one linear piece.
fn segment_loss((a, qa): (f64, f64), (b, qb): (f64, f64), y: f64) -> f64 {
    if y >= qb {
        return below(a, b, y - qa, y - qb);
    }
    if y <= qa {
        return above(a, b, qa - y, qb - y);
    }
    let split = a + (b - a) * (y - qa) / (qb - qa);
    below(a, split, y - qa, 0.0) + above(split, b, 0.0, qb - y)
}

/// Integral of `tau * v(tau)` over [a, b] for linear `v`: levels whose quantile lies below the outcome.
fn below(a: f64, b: f64, va: f64, vb: f64) -> f64 {
    (b - a) / 6.0 * (va * (2.0 * a + b) + vb * (a + 2.0 * b))
}

/// Integral of `(1 - tau) * v(tau)` over [a, b] for linear `v`: levels whose quantile lies above the outcome.
fn above(a: f64, b: f64, va: f64, vb: f64) -> f64 {
    (b - a) * 0.5 * (va + vb) - below(a, b, va, vb)
}

/// Integral of the pinball loss over (0, t) where `q(tau) = q + scale * ln(tau / t)`.
fn tail_loss(t: f64, q: f64, scale: f64, y: f64) -> f64 {
    // u = tau / t at which the quantile equals the outcome; everything is a polynomial in u and u ln u.
    let u = if y >= q {
        1.0
    } else if scale > 0.0 {
        libm::exp((y - q) / scale)
    } else {
        0.0
    };
    let u_ln_u = if u > 0.0 { u * libm::log(u) } else { 0.0 };
    let first = |log_part: f64, v: f64| log_part - v;
    let second = |log_part: f64, v: f64| 0.5 * v * log_part - 0.25 * v * v;
    let under = 0.5 * (y - q) * (t * u) * (t * u) - scale * t * t * second(u_ln_u, u);
    let plain = (q - y) * t * (1.0 - u) + scale * t * (first(0.0, 1.0) - first(u_ln_u, u));
    let weighted = 0.5 * (q - y) * t * t * (1.0 - u * u)
        + scale * t * t * (second(0.0, 1.0) - second(u_ln_u, u));
    under + plain - weighted
}
