//! The SVI smile in its raw, natural and jump-wings forms.
//!
//! Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), sections 3 and 5.

use super::{MAX_LOG_MONEYNESS, Smile};
use crate::solve::grid_minimum;

/// Raw SVI: `w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawSvi {
    /// Level of total variance; may be negative.
    pub a: f64,
    /// Slope of the wings, not negative.
    pub b: f64,
    /// Tilt, from -1 to 1.
    pub rho: f64,
    /// Log moneyness of the centre.
    pub m: f64,
    /// Width of the bend in log moneyness, greater than zero.
    pub sigma: f64,
}

/// Natural SVI: `w(k) = delta + omega / 2 (1 + zeta rho (k - mu) + sqrt((zeta (k - mu) + rho)^2 +
/// 1 - rho^2))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NaturalSvi {
    /// Shift of total variance.
    pub delta: f64,
    /// Log moneyness of the centre.
    pub mu: f64,
    /// Tilt, from -1 to 1.
    pub rho: f64,
    /// Scale of total variance.
    pub omega: f64,
    /// Inverse width.
    pub zeta: f64,
}

/// Jump-wings SVI, whose parameters are what a trader sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JumpWings {
    /// Variance at the money forward, per year.
    pub v: f64,
    /// Slope of volatility at the money, per unit of `k` and square root of total time.
    pub psi: f64,
    /// Slope of the put wing.
    pub p: f64,
    /// Slope of the call wing.
    pub c: f64,
    /// Smallest variance, per year.
    pub vt: f64,
}

/// Why a set of parameters has no smile or no other form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SviError {
    /// A parameter is not finite or outside its domain.
    #[error("a parameter is outside its domain")]
    Domain,
    /// The total variance at the money is not positive.
    #[error("the variance at the money is not positive")]
    NoVariance,
    /// A flat smile has no unique form of this kind.
    #[error("a flat smile has no such form")]
    Flat,
}

/// Whether a slice admits butterfly arbitrage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Butterfly {
    /// Smallest `g(k)` for `|k| <= 12.04`; `None` if the variance is not positive everywhere.
    pub g_min: Option<f64>,
    /// Log moneyness of the smallest `g`.
    pub g_argmin: Option<f64>,
    /// Lee's wing condition, `b (1 + |rho|) <= 2`.
    pub lee_ok: bool,
    /// No butterfly arbitrage: positive variance, `g >= 0` and Lee's condition.
    pub free: bool,
}

impl RawSvi {
    /// Checks the domain of every parameter: finite, `b >= 0`, `|rho| <= 1`, `sigma > 0`.
    ///
    /// # Errors
    /// [`SviError::Domain`].
    pub fn validate(&self) -> Result<(), SviError> {
        let finite = [self.a, self.b, self.rho, self.m, self.sigma]
            .iter()
            .all(|x| x.is_finite());
        if finite && self.b >= 0.0 && self.rho.abs() <= 1.0 && self.sigma > 0.0 {
            Ok(())
        } else {
            Err(SviError::Domain)
        }
    }

    /// The smallest total variance over all `k`, reached or approached; may be negative.
    #[must_use]
    pub fn min_variance(&self) -> f64 {
        self.a + self.b * self.sigma * self.cosine()
    }

    /// Slopes of total variance far out: (left, right), both positive outwards.
    #[must_use]
    pub fn wing_slopes(&self) -> (f64, f64) {
        (self.b * (1.0 - self.rho), self.b * (1.0 + self.rho))
    }

    /// Limits of `g` at minus and plus infinity.
    #[must_use]
    pub fn density_factor_limits(&self) -> (f64, f64) {
        let limit = |s: f64| 0.25 - s * s / 16.0;
        let (left, right) = self.wing_slopes();
        (limit(left), limit(right))
    }

    /// Searches `g` for its minimum (good to about 1e-10) and states the certificate.
    #[must_use]
    pub fn butterfly(&self) -> Butterfly {
        let (left, right) = self.wing_slopes();
        let lee_ok = left.max(right) <= 2.0;
        let nothing = Butterfly {
            g_min: None,
            g_argmin: None,
            lee_ok,
            free: false,
        };
        if self.validate().is_err() || !(self.min_variance() > 0.0) {
            return nothing;
        }
        match grid_minimum(|k| self.density_factor(k), &self.search_points()) {
            None => nothing,
            Some((k, g)) => Butterfly {
                g_min: Some(g),
                g_argmin: Some(k),
                lee_ok,
                free: lee_ok && g >= 0.0,
            },
        }
    }

    /// The natural form.
    ///
    /// # Errors
    /// Parameters outside their domain, or `|rho| = 1`, which has no natural form.
    pub fn to_natural(&self) -> Result<NaturalSvi, SviError> {
        self.validate()?;
        let cosine = self.cosine();
        if cosine == 0.0 {
            return Err(SviError::Domain);
        }
        let omega = 2.0 * self.b * self.sigma / cosine;
        Ok(NaturalSvi {
            delta: self.a - 0.5 * omega * cosine * cosine,
            mu: self.m + self.rho * self.sigma / cosine,
            rho: self.rho,
            omega,
            zeta: cosine / self.sigma,
        })
    }

    /// The jump-wings form at an expiry in years.
    ///
    /// # Errors
    /// Parameters outside their domain, or no positive variance at the money.
    pub fn to_jump_wings(&self, expiry_years: f64) -> Result<JumpWings, SviError> {
        self.validate()?;
        if !(expiry_years > 0.0 && expiry_years.is_finite()) {
            return Err(SviError::Domain);
        }
        let w = self.total_variance(0.0);
        if !(w > 0.0) {
            return Err(SviError::NoVariance);
        }
        let root = w.sqrt();
        let (left, right) = self.wing_slopes();
        Ok(JumpWings {
            v: w / expiry_years,
            psi: 0.5 * self.slope(0.0) / root,
            p: left / root,
            c: right / root,
            vt: self.min_variance() / expiry_years,
        })
    }

    /// The nearest smile of the guaranteed family: at-the-money variance, its slope and the put
    /// wing are kept, the call wing becomes `p + 2 psi` and the minimum variance follows
    /// (Gatheral and Jacquier, section 5.1).
    ///
    /// # Errors
    /// As the conversions; [`SviError::Domain`] when the new call wing would not be positive.
    pub fn repaired(&self, expiry_years: f64) -> Result<Self, SviError> {
        let wings = self.to_jump_wings(expiry_years)?;
        let c = wings.p + 2.0 * wings.psi;
        if !(c > 0.0) {
            return Err(SviError::Domain);
        }
        let sum = wings.p + c;
        JumpWings {
            c,
            vt: wings.v * 4.0 * wings.p * c / (sum * sum),
            ..wings
        }
        .to_raw(expiry_years)
    }

    /// `sqrt(1 - rho^2)` without cancellation near one.
    fn cosine(&self) -> f64 {
        ((1.0 - self.rho) * (1.0 + self.rho)).max(0.0).sqrt()
    }

    /// Log moneyness of the smallest variance (the centre if there is none).
    fn lowest(&self) -> f64 {
        let cosine = self.cosine();
        if cosine > 1e-3 {
            self.m - self.rho * self.sigma / cosine
        } else {
            self.m
        }
    }
}

impl Smile for RawSvi {
    #[inline]
    fn total_variance(&self, k: f64) -> f64 {
        let x = k - self.m;
        self.a + self.b * (self.rho * x + (x * x + self.sigma * self.sigma).sqrt())
    }

    #[inline]
    fn slope(&self, k: f64) -> f64 {
        let x = k - self.m;
        self.b * (self.rho + x / (x * x + self.sigma * self.sigma).sqrt())
    }

    #[inline]
    fn curvature(&self, k: f64) -> f64 {
        let x = k - self.m;
        let square = x * x + self.sigma * self.sigma;
        self.b * self.sigma * self.sigma / (square * square.sqrt())
    }

    fn search_points(&self) -> Vec<f64> {
        // The variance bends on the scale of sigma, its logarithm on a finer one when it gets
        // close to zero.
        let depth = self.min_variance().max(0.0) / (self.b * self.sigma).max(f64::MIN_POSITIVE);
        search_grid(self.lowest(), self.sigma * depth.sqrt().clamp(0.02, 1.0))
    }

    #[inline]
    fn density_factor(&self, k: f64) -> f64 {
        let x = k - self.m;
        let square = x * x + self.sigma * self.sigma;
        let root = square.sqrt();
        let inverse = 1.0 / root;
        let w = self.a + self.b * (self.rho * x + root);
        let w1 = self.b * (self.rho + x * inverse);
        let w2 = self.b * self.sigma * self.sigma * inverse * inverse * inverse;
        let per_w = 1.0 / w;
        let lean = 1.0 - 0.5 * k * w1 * per_w;
        lean * lean - 0.25 * w1 * w1 * (per_w + 0.25) + 0.5 * w2
    }
}

impl NaturalSvi {
    /// The raw form.
    ///
    /// # Errors
    /// `zeta` not positive, `|rho| >= 1`, or a parameter that is not finite.
    pub fn to_raw(&self) -> Result<RawSvi, SviError> {
        if !(self.zeta > 0.0 && self.rho.abs() < 1.0) {
            return Err(SviError::Domain);
        }
        let square = (1.0 - self.rho) * (1.0 + self.rho);
        let raw = RawSvi {
            a: self.delta + 0.5 * self.omega * square,
            b: 0.5 * self.omega * self.zeta,
            rho: self.rho,
            m: self.mu - self.rho / self.zeta,
            sigma: square.sqrt() / self.zeta,
        };
        raw.validate().map(|()| raw)
    }
}

impl JumpWings {
    /// The raw form at an expiry in years.
    ///
    /// # Errors
    /// Parameters that no raw smile has, or a flat smile.
    pub fn to_raw(&self, expiry_years: f64) -> Result<RawSvi, SviError> {
        if !(self.v > 0.0 && expiry_years > 0.0) {
            return Err(SviError::Domain);
        }
        let w = self.v * expiry_years;
        let root = w.sqrt();
        let b = 0.5 * root * (self.c + self.p);
        if b == 0.0 {
            return Err(SviError::Flat);
        }
        let rho = (self.c - self.p) / (self.c + self.p);
        let cosine = ((1.0 - rho) * (1.0 + rho)).max(0.0).sqrt();
        // beta = m / sqrt(m^2 + sigma^2): where the money lies on the bend.
        let beta = rho - 2.0 * self.psi * root / b;
        if !(beta.abs() < 1.0) {
            return Err(SviError::Domain);
        }
        let height = (self.v - self.vt) * expiry_years / b;
        // With m = sigma x: w(0) - min = b sigma (sqrt(x^2 + 1) - rho x - cosine).
        let flat = ((1.0 - beta) * (1.0 + beta)).sqrt();
        let x = beta / flat;
        let sigma = height / (1.0 / flat - rho * x - cosine);
        let raw = RawSvi {
            a: self.vt * expiry_years - b * sigma * cosine,
            b,
            rho,
            m: sigma * x,
            sigma,
        };
        raw.validate().map(|()| raw)
    }
}

/// Points from -12.04 to 12.04, dense around `centre` on the scale `width` and ever wider apart.
fn search_grid(centre: f64, width: f64) -> Vec<f64> {
    const HALF: i32 = 120;
    let width = 0.2 * width.clamp(1e-6, 10.0);
    let reach = libm::asinh((MAX_LOG_MONEYNESS + centre.abs()) / width);
    let mut points = Vec::with_capacity(2 * HALF as usize + 3);
    points.push(-MAX_LOG_MONEYNESS);
    // Steps of sinh by the addition formula: two exponentials in all.
    let step = reach / f64::from(HALF);
    let (sinh, cosh) = (libm::sinh(step), libm::cosh(step));
    let mut offsets = Vec::with_capacity(HALF as usize);
    let (mut s, mut c) = (0.0, 1.0);
    for _ in 0..HALF {
        (s, c) = (s * cosh + c * sinh, c * cosh + s * sinh);
        offsets.push(width * s);
    }
    points.extend(offsets.iter().rev().map(|d| centre - d));
    points.push(centre);
    points.extend(offsets.iter().map(|d| centre + d));
    points.push(MAX_LOG_MONEYNESS);
    points.retain(|k| k.abs() <= MAX_LOG_MONEYNESS);
    points
}

#[cfg(test)]
#[path = "svi_tests.rs"]
mod tests;
