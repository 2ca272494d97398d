//! Surface SVI: one tilt and one curvature function for all expiries.
//!
//! Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (2014), section 4:
//! `w(k, theta) = theta / 2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))`, where `theta` is the
//! total variance at the money of an expiry and `phi` a function of it.

use super::svi::{NaturalSvi, RawSvi, SviError};

/// The curvature `phi` as a function of the at-the-money total variance `theta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phi {
    /// `eta / (theta^gamma (1 + theta)^(1 - gamma))`. With `eta (1 + |rho|) <= 2` and `gamma <= 1/2` free
    /// of static arbitrage for every rising `theta` (remark 4.4).
    Power {
        /// Height, positive.
        eta: f64,
        /// Exponent, between 0 and 1.
        gamma: f64,
    },
    /// `eta theta^-gamma`.
    SimplePower {
        /// Height, positive.
        eta: f64,
        /// Exponent, between 0 and 1.
        gamma: f64,
    },
    /// `(1 - (1 - exp(-lambda theta)) / (lambda theta)) / (lambda theta)`.
    Heston {
        /// Rate, positive.
        lambda: f64,
    },
}

impl Phi {
    fn is_valid(self) -> bool {
        match self {
            Self::Power { eta, gamma } | Self::SimplePower { eta, gamma } => {
                eta > 0.0 && eta.is_finite() && (0.0..=1.0).contains(&gamma)
            }
            Self::Heston { lambda } => lambda > 0.0 && lambda.is_finite(),
        }
    }

    /// `phi` at a positive `theta`.
    #[must_use]
    pub fn at(self, theta: f64) -> f64 {
        match self {
            Self::Power { eta, gamma } => {
                let log = gamma * libm::log(theta) + (1.0 - gamma) * libm::log1p(theta);
                eta * libm::exp(-log)
            }
            Self::SimplePower { eta, gamma } => eta * libm::exp(-gamma * libm::log(theta)),
            Self::Heston { lambda } => {
                let x = lambda * theta;
                if x < 1e-3 {
                    // (exp(-x) - 1 + x) / x^2 by its series.
                    0.5 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x * (1.0 / 120.0 - x / 720.0)))
                } else {
                    (libm::expm1(-x) + x) / (x * x)
                }
            }
        }
    }

    /// `d(theta phi) / dtheta` at a positive `theta`.
    fn growth(self, theta: f64) -> f64 {
        match self {
            Self::Power { gamma, .. } => self.at(theta) * (1.0 - gamma) / (1.0 + theta),
            Self::SimplePower { gamma, .. } => self.at(theta) * (1.0 - gamma),
            Self::Heston { lambda } => {
                // theta phi = (1 - (1 - e^-x) / x) / lambda, whose slope is (1 - e^-x (1 + x)) / x^2.
                let x = lambda * theta;
                if x < 1e-3 {
                    0.5 - x * (1.0 / 3.0 - x * (0.125 - x / 30.0))
                } else {
                    (-libm::expm1(-x) - x * libm::exp(-x)) / (x * x)
                }
            }
        }
    }
}

/// Surface parameters that all expiries share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ssvi {
    /// Tilt, between -1 and 1.
    pub rho: f64,
    /// Curvature.
    pub phi: Phi,
}

/// Conditions of Gatheral and Jacquier's theorems; sufficient, not necessary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SsviConditions {
    /// `theta phi (1 + |rho|)`, below 4 by theorem 4.2.
    pub wings: f64,
    /// `theta phi^2 (1 + |rho|)`, at most 4 by theorem 4.2.
    pub curvature: f64,
    /// No butterfly arbitrage by theorem 4.2.
    pub butterfly_free: bool,
    /// Total variance rises with `theta` at every strike, by theorem 4.1.
    pub calendar_free: bool,
}

impl Ssvi {
    /// Whether `|rho| < 1` and the curvature function is in its domain.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.rho.abs() < 1.0 && self.phi.is_valid()
    }

    /// Total variance at log moneyness `k` of the expiry whose at-the-money total variance is `theta`;
    /// `None` for input outside its domain.
    #[must_use]
    pub fn total_variance(&self, theta: f64, k: f64) -> Option<f64> {
        if !(self.is_valid() && theta > 0.0 && k.is_finite()) {
            return None;
        }
        let w = variance(theta, self.rho, self.phi.at(theta), k);
        w.is_finite().then_some(w)
    }

    /// The raw SVI slice at `theta`.
    ///
    /// # Errors
    /// [`SviError::Domain`].
    pub fn slice(&self, theta: f64) -> Result<RawSvi, SviError> {
        if !(self.is_valid() && theta > 0.0 && theta.is_finite()) {
            return Err(SviError::Domain);
        }
        NaturalSvi {
            delta: 0.0,
            mu: 0.0,
            rho: self.rho,
            omega: theta,
            zeta: self.phi.at(theta),
        }
        .to_raw()
    }

    /// The conditions at `theta`; `None` for input outside its domain.
    #[must_use]
    pub fn conditions(&self, theta: f64) -> Option<SsviConditions> {
        if !(self.is_valid() && theta > 0.0 && theta.is_finite()) {
            return None;
        }
        let phi = self.phi.at(theta);
        let lean = 1.0 + self.rho.abs();
        let (wings, curvature) = (theta * phi * lean, theta * phi * phi * lean);
        let square = self.rho * self.rho;
        let growth = self.phi.growth(theta);
        // At rho = 0 the upper bound is infinite.
        let bound = (1.0 + (1.0 - square).sqrt()) * phi;
        Some(SsviConditions {
            wings,
            curvature,
            butterfly_free: wings < 4.0 && curvature <= 4.0,
            calendar_free: growth >= 0.0 && growth * square <= bound,
        })
    }
}

/// `w` of one slice; no checks.
#[inline]
pub(super) fn variance(theta: f64, rho: f64, phi: f64, k: f64) -> f64 {
    let x = phi * k;
    let y = x + rho;
    0.5 * theta * (1.0 + rho * x + (y * y + (1.0 - rho) * (1.0 + rho)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smile::Smile;

    #[test]
    fn raw_slices_are_the_surface() {
        let phis = [
            Phi::Power {
                eta: 1.2,
                gamma: 0.4,
            },
            Phi::SimplePower {
                eta: 0.8,
                gamma: 0.5,
            },
            Phi::Heston { lambda: 2.0 },
        ];
        for phi in phis {
            let surface = Ssvi { rho: -0.3, phi };
            for theta in [1e-4, 0.01, 0.3] {
                let raw = surface.slice(theta).unwrap();
                for k in [-0.7, 0.0, 0.4] {
                    let w = surface.total_variance(theta, k).unwrap();
                    assert!((raw.total_variance(k) / w - 1.0).abs() < 1e-10, "{phi:?}");
                }
                let step = 1e-5 * theta;
                let of = |theta: f64| theta * phi.at(theta);
                let slope = (of(theta + step) - of(theta - step)) / (2.0 * step);
                assert!(
                    (phi.growth(theta) / slope - 1.0).abs() < 1e-5,
                    "{phi:?} {theta}"
                );
            }
        }
    }

    #[test]
    fn values_outside_the_domain_are_none() {
        let phi = Phi::Power {
            eta: 1.0,
            gamma: 0.5,
        };
        let bad = Ssvi { rho: 1.0, phi };
        assert_eq!(bad.total_variance(0.1, 0.0), None);
        assert_eq!(bad.slice(0.1), Err(SviError::Domain));
        let good = Ssvi { rho: 0.1, phi };
        assert!(good.conditions(-1.0).is_none() && good.total_variance(0.1, f64::NAN).is_none());
    }
}
