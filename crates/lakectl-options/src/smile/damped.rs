//! Damped least squares (Levenberg and Marquardt) for a handful of unknowns.

/// A step that lowers the sum by less than this share is the last.
const ENOUGH_GAIN: f64 = 1e-10;
const DAMPING_MAX: f64 = 1e12;

/// Solves `A x = b` for a symmetric positive definite `A` by Cholesky; `None` if it is not.
#[allow(
    clippy::needless_range_loop,
    reason = "two triangular indices run together"
)]
pub(super) fn solve_positive<const N: usize>(
    mut a: [[f64; N]; N],
    mut b: [f64; N],
) -> Option<[f64; N]> {
    for j in 0..N {
        let mut pivot = a[j][j];
        for i in 0..j {
            pivot -= a[j][i] * a[j][i];
        }
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let root = pivot.sqrt();
        a[j][j] = root;
        for row in j + 1..N {
            let mut sum = a[row][j];
            for i in 0..j {
                sum -= a[row][i] * a[j][i];
            }
            a[row][j] = sum / root;
        }
    }
    for j in 0..N {
        for i in 0..j {
            b[j] -= a[j][i] * b[i];
        }
        b[j] /= a[j][j];
    }
    for j in (0..N).rev() {
        for i in j + 1..N {
            b[j] -= a[i][j] * b[i];
        }
        b[j] /= a[j][j];
    }
    Some(b)
}

/// Minimises the sum of squared residuals from `start` in at most `steps` accepted or refused steps.
///
/// `residuals` clears and fills its list, always with the same number of values, and returns false
/// outside its domain. Derivatives are forward differences, so the unknowns should be of the order of
/// one. Returns the best point and its sum; `None` if the start is outside the domain.
pub(super) fn minimise_squares<const N: usize>(
    mut residuals: impl FnMut(&[f64; N], &mut Vec<f64>) -> bool,
    start: [f64; N],
    steps: usize,
) -> Option<([f64; N], f64)> {
    let (mut here, mut trial) = (Vec::new(), Vec::new());
    let mut columns: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    let mut x = start;
    let mut sum = squares(&mut residuals, &x, &mut here)?;
    let mut damping = 1e-3;
    let mut fresh = true;
    let (mut normal, mut right) = ([[0.0; N]; N], [0.0; N]);
    for _ in 0..steps {
        if fresh {
            for (i, column) in columns.iter_mut().enumerate() {
                let step = 1e-7 * (1.0 + x[i].abs());
                let mut moved = x;
                moved[i] += step;
                squares(&mut residuals, &moved, column)?;
                for (value, base) in column.iter_mut().zip(&here) {
                    *value = (*value - base) / step;
                }
            }
            for i in 0..N {
                right[i] = -dot(&columns[i], &here);
                for j in 0..=i {
                    normal[i][j] = dot(&columns[i], &columns[j]);
                    normal[j][i] = normal[i][j];
                }
            }
            fresh = false;
        }
        let largest = (0..N).map(|i| normal[i][i]).fold(0.0, f64::max);
        let mut damped = normal;
        for (i, row) in damped.iter_mut().enumerate() {
            // A direction that moves nothing keeps a pivot.
            row[i] += damping * row[i].max(1e-12 * largest) + f64::MIN_POSITIVE;
        }
        let next = solve_positive(damped, right).map(|step| {
            let mut next = x;
            for (next, step) in next.iter_mut().zip(step) {
                *next += step;
            }
            next
        });
        let better = next.and_then(|next| {
            let value = squares(&mut residuals, &next, &mut trial)?;
            (value < sum).then_some((next, value))
        });
        match better {
            Some((next, value)) => {
                let gain = 1.0 - value / sum;
                (x, sum) = (next, value);
                std::mem::swap(&mut here, &mut trial);
                damping = (damping * 0.2).max(1e-12);
                fresh = true;
                if gain < ENOUGH_GAIN {
                    break;
                }
            }
            None => damping *= 6.0,
        }
        if damping > DAMPING_MAX || sum == 0.0 {
            break;
        }
    }
    Some((x, sum))
}

fn squares<const N: usize>(
    residuals: &mut impl FnMut(&[f64; N], &mut Vec<f64>) -> bool,
    x: &[f64; N],
    out: &mut Vec<f64>,
) -> Option<f64> {
    if x.iter().any(|x| !x.is_finite()) || !residuals(x, out) {
        return None;
    }
    let sum = dot(out, out);
    sum.is_finite().then_some(sum)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_curved_valley() {
        let f = |x: &[f64; 2], out: &mut Vec<f64>| {
            out.clear();
            out.extend([1.0 - x[0], 10.0 * (x[1] - x[0] * x[0])]);
            true
        };
        let (x, sum) = minimise_squares(f, [-1.2, 1.0], 100).unwrap();
        assert!((x[0] - 1.0).abs() < 1e-6 && sum < 1e-12, "{x:?} {sum}");
        assert!(minimise_squares(|_: &[f64; 1], _: &mut Vec<f64>| false, [0.0], 5).is_none());
    }

    #[test]
    fn a_direction_without_effect_is_harmless() {
        let f = |x: &[f64; 2], out: &mut Vec<f64>| {
            out.clear();
            out.push(x[0] - 3.0);
            true
        };
        let (x, _) = minimise_squares(f, [0.0, 7.0], 50).unwrap();
        assert!((x[0] - 3.0).abs() < 1e-6 && (x[1] - 7.0).abs() < 1e-9);
        assert_eq!(solve_positive([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0]), None);
    }
}
