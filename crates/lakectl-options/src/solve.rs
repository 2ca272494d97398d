//! Small deterministic solvers that several modules share.

/// Finds a root of `f` between `a` and `b`, where `f` must change sign, or `None` if it does not.
///
/// The Illinois variant of the secant rule with bisection when it stalls; stops when the bracket
/// is within `tolerance` (absolute) or at the resolution of a double.
pub(crate) fn bracketed_root(
    f: impl Fn(f64) -> f64,
    mut a: f64,
    mut b: f64,
    tolerance: f64,
) -> Option<f64> {
    let (mut fa, mut fb) = (f(a), f(b));
    if !(fa * fb <= 0.0) {
        return None;
    }
    if fa == 0.0 {
        return Some(a);
    }
    for step in 0..200 {
        if fb == 0.0 || (b - a).abs() <= tolerance {
            return Some(b);
        }
        // Every fourth step halves, so a flat side cannot hold the bracket open; so does a secant
        // step that does not move.
        let secant = b - fb * (b - a) / (fb - fa);
        let inside = secant > a.min(b) && secant < a.max(b);
        let c = if step % 4 == 3 || !inside {
            0.5 * (a + b)
        } else {
            secant
        };
        if c == a || c == b {
            return Some(c);
        }
        let fc = f(c);
        if !fc.is_finite() {
            return None;
        }
        if (fc > 0.0) == (fb > 0.0) {
            fa *= 0.5;
        } else {
            (a, fa) = (b, fb);
        }
        (b, fb) = (c, fc);
    }
    Some(b)
}

/// Walks outwards from `start` in growing steps until `f` changes sign, then solves.
///
/// `step` carries the direction; gives up beyond `limit` in absolute value.
pub(crate) fn outward_root(
    f: impl Fn(f64) -> f64,
    start: f64,
    mut step: f64,
    limit: f64,
    tolerance: f64,
) -> Option<f64> {
    let mut from = start;
    let at_start = f(from);
    if at_start == 0.0 {
        return Some(from);
    }
    while from.abs() < limit {
        let to = (from + step).clamp(-limit, limit);
        let value = f(to);
        if value == 0.0 {
            return Some(to);
        }
        if (value > 0.0) != (at_start > 0.0) {
            return bracketed_root(&f, from, to, tolerance);
        }
        from = to;
        step *= 1.3;
    }
    None
}

/// Refines the minimum of `f` inside `[a, b]` by golden section; returns (argument, value).
pub(crate) fn golden_minimum(f: impl Fn(f64) -> f64, mut a: f64, mut b: f64) -> (f64, f64) {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let mut x1 = b - RATIO * (b - a);
    let mut x2 = a + RATIO * (b - a);
    let (mut f1, mut f2) = (f(x1), f(x2));
    for _ in 0..60 {
        if (b - a).abs() <= 1e-9 * (a.abs() + b.abs()) + 1e-12 {
            break;
        }
        if f1 <= f2 {
            (b, x2, f2) = (x2, x1, f1);
            x1 = b - RATIO * (b - a);
            f1 = f(x1);
        } else {
            (a, x1, f1) = (x1, x2, f2);
            x2 = a + RATIO * (b - a);
            f2 = f(x2);
        }
    }
    if f1 <= f2 { (x1, f1) } else { (x2, f2) }
}

/// Finds the smallest value of `f` on sorted `points`, refining around every local minimum.
///
/// Returns (argument, value); `None` if there are no points or a value is not finite.
pub(crate) fn grid_minimum(f: impl Fn(f64) -> f64, points: &[f64]) -> Option<(f64, f64)> {
    let values: Vec<f64> = points.iter().map(|&x| f(x)).collect();
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let lowest = (0..points.len()).min_by(|&i, &j| values[i].total_cmp(&values[j]))?;
    let mut best = (points[lowest], values[lowest]);
    for i in 1..points.len() - 1 {
        let (left, here, right) = (values[i - 1], values[i], values[i + 1]);
        if here > left || here > right {
            continue;
        }
        // A smooth dip between neighbours is no deeper than their second difference.
        if here - (left + right - 2.0 * here) >= best.1 {
            continue;
        }
        let refined = golden_minimum(&f, points[i - 1], points[i + 1]);
        if refined.1 < best.1 {
            best = refined;
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_and_minima() {
        let root = bracketed_root(|x| x * x * x - 2.0, 0.0, 2.0, 1e-15).unwrap();
        assert!((root - 2.0_f64.cbrt()).abs() < 1e-14);
        assert_eq!(bracketed_root(|x| x + 10.0, 0.0, 2.0, 1e-15), None);
        let root = outward_root(|x| x - 3.0, 0.0, 0.1, 10.0, 1e-15).unwrap();
        assert!((root - 3.0).abs() < 1e-14);
        assert_eq!(outward_root(|x| x - 30.0, 0.0, 0.1, 10.0, 1e-15), None);
        let points: Vec<f64> = (-20..=20).map(|i| f64::from(i) * 0.5).collect();
        let (x, y) = grid_minimum(|x| (x - 0.3) * (x - 0.3) - 1.0, &points).unwrap();
        assert!((x - 0.3).abs() < 1e-7 && (y + 1.0).abs() < 1e-14);
        assert_eq!(grid_minimum(|x| x, &[]), None);
    }
}
