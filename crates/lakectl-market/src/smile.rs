//! Option mathematics of the simulator: Black-76 with r = 0 and a smile in standardised moneyness.

/// Distribution function of the standard normal law.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)
}

/// Density of the standard normal law.
pub(crate) fn normal_pdf(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / 2.506_628_274_631_000_2
}

/// Undiscounted (call, put, vega per unit of forward) for a forward of one; `k` is ln(strike / forward) and `total_vol`
/// the volatility times the root of the years to expiry.
pub(crate) fn black(k: f64, total_vol: f64) -> (f64, f64, f64) {
    let d1 = -k / total_vol + 0.5 * total_vol;
    let d2 = d1 - total_vol;
    let strike = libm::exp(k);
    let vega = normal_pdf(d1);
    // The cheap side is computed directly and the other by parity, so that neither loses its digits.
    if k >= 0.0 {
        let call = (normal_cdf(d1) - strike * normal_cdf(d2)).max(0.0);
        (call, call + strike - 1.0, vega)
    } else {
        let put = (strike * normal_cdf(-d2) - normal_cdf(-d1)).max(0.0);
        (put + 1.0 - strike, put, vega)
    }
}

/// A smile of one expiry: total variance is `theta * W(k / sqrt(theta))`, where `W` is a hyperbola with `W(0) = 1`.
///
/// With one `W` for all expiries and growing `theta`, slices do not cross.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Smile {
    theta: f64,
    offset: f64,
    slope: f64,
    tilt: f64,
    centre: f64,
    width: f64,
}

/// What shapes a smile, all in standardised moneyness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SmileShape {
    /// Slope of the volatility at the forward, relative to its level; negative when puts are dear.
    pub skew: f64,
    /// Mean slope of the wings of the variance.
    pub wings: f64,
    /// Call wing against put wing, in (-1, 1).
    pub tilt: f64,
    /// Width of the bend at the bottom.
    pub width: f64,
}

impl Smile {
    /// Builds the smile with at-the-forward total variance `theta`.
    pub(crate) fn new(theta: f64, shape: SmileShape) -> Self {
        let lean = (shape.tilt - 2.0 * shape.skew / shape.wings).clamp(-0.85, 0.85);
        let centre = shape.width * lean / libm::sqrt(1.0 - lean * lean);
        let bend = libm::sqrt(centre * centre + shape.width * shape.width);
        Self {
            theta,
            offset: 1.0 - shape.wings * (bend - shape.tilt * centre),
            slope: shape.wings,
            tilt: shape.tilt,
            centre,
            width: shape.width,
        }
    }

    /// Total variance at log-moneyness `k`.
    pub(crate) fn total_variance(&self, k: f64) -> f64 {
        let x = k / libm::sqrt(self.theta) - self.centre;
        let bend = libm::sqrt(x * x + self.width * self.width);
        self.theta * (self.offset + self.slope * (self.tilt * x + bend))
    }

    /// Total variance of a variance swap: the mean of `w(k(d2))` over a normal `d2`, by Gauss-Hermite quadrature.
    pub(crate) fn swap_variance(&self) -> f64 {
        const NODES: [(f64, f64); 4] = [
            (0.0, 0.457_142_857_142_857_13),
            (1.154_405_394_739_968, 0.240_123_178_605_012_64),
            (2.366_759_410_734_541, 0.030_757_123_967_586_45),
            (3.750_439_717_725_742, 0.000_548_268_855_972_218_6),
        ];
        let at = |z: f64| {
            let mut w = self.theta;
            for _ in 0..6 {
                w = self.total_variance(-libm::sqrt(w) * z - 0.5 * w);
            }
            w
        };
        NODES
            .iter()
            .map(|(z, weight)| weight * if *z == 0.0 { at(0.0) } else { at(*z) + at(-*z) })
            .sum()
    }
}
