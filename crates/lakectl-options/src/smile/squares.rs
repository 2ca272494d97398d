//! Least squares in two bounded unknowns.

/// Below this share of the product of its diagonal a determinant is rounding.
const SINGULAR: f64 = 1e-14;
const TOUCH_STEPS: usize = 12;

/// The quadratic form `sum s (d y + c z - w)^2` in `d` and `c`.
#[derive(Clone, Copy, Default)]
pub(super) struct Form {
    yy: f64,
    yz: f64,
    zz: f64,
    yw: f64,
    zw: f64,
    ww: f64,
}

impl Form {
    /// Adds a row of weight `s`.
    #[inline]
    pub(super) fn add(&mut self, s: f64, y: f64, z: f64, w: f64) {
        let (sy, sz) = (s * y, s * z);
        self.yy += sy * y;
        self.yz += sy * z;
        self.zz += sz * z;
        self.yw += sy * w;
        self.zw += sz * w;
        self.ww += s * w * w;
    }

    /// The free solution for another right-hand side; zero for a singular form.
    pub(super) fn solve(&self, right: [f64; 2]) -> [f64; 2] {
        let determinant = self.yy * self.zz - self.yz * self.yz;
        if determinant > SINGULAR * self.yy * self.zz {
            [
                (right[0] * self.zz - right[1] * self.yz) / determinant,
                (right[1] * self.yy - right[0] * self.yz) / determinant,
            ]
        } else {
            [0.0; 2]
        }
    }

    /// The sum of squares at a point.
    pub(super) fn value(&self, d: f64, c: f64) -> f64 {
        let square = d * d * self.yy + 2.0 * d * c * self.yz + c * c * self.zz;
        (self.ww - 2.0 * (d * self.yw + c * self.zw) + square).max(0.0)
    }

    /// The minimum over the diamond `|d| <= c`, `|d| <= top - c`.
    pub(super) fn minimum(&self, top: f64) -> (f64, f64) {
        if self.yy * self.zz - self.yz * self.yz > SINGULAR * self.yy * self.zz {
            let [d, c] = self.solve([self.yw, self.zw]);
            if d.abs() <= c && d.abs() <= top - c {
                return (d, c);
            }
        }
        let side = 0.5 * top;
        let bottom = (0.0, 0.0);
        let corners = [
            bottom,
            (side, side),
            (0.0, 2.0 * side),
            (-side, side),
            bottom,
        ];
        let mut best = ((0.0, 0.0), f64::INFINITY);
        for edge in corners.windows(2) {
            let point = self.edge_minimum(edge[0], edge[1]);
            let value = self.value(point.0, point.1);
            if value < best.1 {
                best = (point, value);
            }
        }
        best.0
    }

    /// The minimum of a fit with a free level when its smallest value may not be below zero, for a
    /// form in deviations from the `means` of `y`, `z` and `w`, starting from the free answer.
    ///
    /// The constraint "the curve is not negative at `t`" is linear, so the curve is held at zero
    /// where it was lowest and solved again until that place stays put; there the conditions of
    /// both problems are the same.
    pub(super) fn touching_zero(&self, d: f64, c: f64, means: [f64; 3], top: f64) -> (f64, f64) {
        let [mean_y, mean_z, mean_w] = means;
        let (mut d, mut c) = (d, c);
        let mut lowest = f64::INFINITY;
        for _ in 0..TOUCH_STEPS {
            let cosine = ((c - d) * (c + d)).max(0.0).sqrt();
            let t = (-d / cosine.max(1e-8 * c)).clamp(-1e8, 1e8);
            if !t.is_finite() || (t - lowest).abs() <= 1e-12 * (1.0 + t.abs()) {
                break;
            }
            lowest = t;
            let mut held = *self;
            held.add(1.0, mean_y - t, mean_z - (t * t + 1.0).sqrt(), mean_w);
            (d, c) = held.minimum(top);
        }
        (d, c)
    }

    fn edge_minimum(&self, from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
        let (d, c) = (to.0 - from.0, to.1 - from.1);
        let curvature = d * d * self.yy + 2.0 * d * c * self.yz + c * c * self.zz;
        let slope = d * (self.yw - from.0 * self.yy - from.1 * self.yz)
            + c * (self.zw - from.0 * self.yz - from.1 * self.zz);
        let part = if curvature > 0.0 {
            (slope / curvature).clamp(0.0, 1.0)
        } else {
            0.0
        };
        (from.0 + part * d, from.1 + part * c)
    }
}
