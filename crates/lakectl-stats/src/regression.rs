//! Ordinary least squares by Householder reflections, and its trailing-window form.

use crate::error::{StatsError, finite};

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct LeastSquares {
    /// One coefficient per column of the design, in its order.
    pub coefficients: Vec<f64>,
    /// Classical standard errors (homoscedastic), same order; zero residual degrees of freedom give zeros.
    pub standard_errors: Vec<f64>,
    /// Residual sum of squares.
    pub residual_sum: f64,
    /// Share of the variation about the mean that is explained; 0 for a constant target.
    pub r_squared: f64,
}

/// Fits `y = X b` by ordinary least squares.
///
/// Shape: `x` is row-major with `columns` values per row and as many rows as `y`; the caller adds the
/// column of ones for an intercept.
///
/// # Errors
/// [`StatsError::LengthMismatch`], [`StatsError::TooFew`] with fewer rows than columns,
/// [`StatsError::NotFinite`], [`StatsError::Singular`] when a pivot falls below 1e-12 of the largest.
pub fn least_squares(x: &[f64], columns: usize, y: &[f64]) -> Result<LeastSquares, StatsError> {
    let rows = y.len();
    if columns == 0 || x.len() != rows * columns {
        return Err(StatsError::LengthMismatch);
    }
    if rows < columns {
        return Err(StatsError::TooFew {
            found: rows,
            needed: columns,
        });
    }
    finite(x)?;
    finite(y)?;
    let mut a = x.to_vec();
    let mut b = y.to_vec();
    triangularise(&mut a, columns, &mut b);
    let at = |r: usize, c: usize| a[r * columns + c];
    let largest = (0..columns).map(|j| at(j, j).abs()).fold(0.0, f64::max);
    if (0..columns).any(|j| at(j, j).abs() <= 1e-12 * largest) {
        return Err(StatsError::Singular);
    }
    let coefficients = back_substitute(&a, columns, &b);
    let residual_sum: f64 = b[columns..].iter().map(|r| r * r).sum();
    let centre = y.iter().sum::<f64>() / rows as f64;
    let total: f64 = y.iter().map(|v| (v - centre) * (v - centre)).sum();
    let variance = if rows > columns {
        residual_sum / (rows - columns) as f64
    } else {
        0.0
    };
    Ok(LeastSquares {
        standard_errors: standard_errors(&a, columns, variance),
        coefficients,
        residual_sum,
        r_squared: if total > 0.0 {
            1.0 - residual_sum / total
        } else {
            0.0
        },
    })
}

/// Turns `a` into its upper triangle by Householder reflections and applies them to `b`.
fn triangularise(a: &mut [f64], columns: usize, b: &mut [f64]) {
    let rows = b.len();
    for j in 0..columns {
        let norm = libm::sqrt(
            (j..rows)
                .map(|r| a[r * columns + j] * a[r * columns + j])
                .sum(),
        );
        if norm == 0.0 {
            continue;
        }
        let pivot = a[j * columns + j];
        let alpha = if pivot > 0.0 { -norm } else { norm };
        let mut v: Vec<f64> = (j..rows).map(|r| a[r * columns + j]).collect();
        v[0] -= alpha;
        let scale: f64 = v.iter().map(|w| w * w).sum();
        if scale == 0.0 {
            continue;
        }
        for c in j..columns {
            let dot: f64 = (j..rows).map(|r| v[r - j] * a[r * columns + c]).sum();
            for r in j..rows {
                a[r * columns + c] -= 2.0 * dot / scale * v[r - j];
            }
        }
        let dot: f64 = (j..rows).map(|r| v[r - j] * b[r]).sum();
        for r in j..rows {
            b[r] -= 2.0 * dot / scale * v[r - j];
        }
    }
}

/// Solves the upper triangle of `a` for the first `n` entries of `b`.
fn back_substitute(a: &[f64], n: usize, b: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|c| a[i * n + c] * x[c]).sum();
        x[i] = (b[i] - known) / a[i * n + i];
    }
    x
}

/// Square roots of the diagonal of `variance * (R'R)^-1` for the upper triangle `R` held in `a`.
fn standard_errors(a: &[f64], n: usize, variance: f64) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for k in 0..n {
        let unit: Vec<f64> = (0..n).map(|i| if i == k { 1.0 } else { 0.0 }).collect();
        for (sum, value) in sums.iter_mut().zip(back_substitute(a, n, &unit)) {
            *sum += value * value;
        }
    }
    sums.into_iter().map(|s| libm::sqrt(s * variance)).collect()
}

/// Standard errors that stand against heteroscedastic and autocorrelated residuals.
#[derive(Debug, Clone, PartialEq)]
pub struct NeweyWest {
    /// The fit by ordinary least squares.
    pub fit: LeastSquares,
    /// Newey-West standard errors, one per coefficient.
    pub standard_errors: Vec<f64>,
}

/// Fits `y = X b` by ordinary least squares with Newey-West standard errors: Bartlett weights `1 - l / (lags + 1)` and no
/// small-sample factor. Rows are in their order in time; shape as in [`least_squares`].
///
/// # Errors
/// As [`least_squares`]; [`StatsError::TooFew`] unless there are more rows than columns and than `lags`.
pub fn newey_west(
    x: &[f64],
    columns: usize,
    y: &[f64],
    lags: usize,
) -> Result<NeweyWest, StatsError> {
    let fit = least_squares(x, columns, y)?;
    let rows = y.len();
    if rows <= columns.max(lags) {
        return Err(StatsError::TooFew {
            found: rows,
            needed: columns.max(lags) + 1,
        });
    }
    let mut a = x.to_vec();
    triangularise(&mut a, columns, &mut y.to_vec());
    // Influence of every row on every coefficient: (X'X)^-1 x e = R^-1 R^-T x e.
    let influence: Vec<Vec<f64>> = (0..rows)
        .map(|row| {
            let values = &x[row * columns..(row + 1) * columns];
            let fitted: f64 = values
                .iter()
                .zip(&fit.coefficients)
                .map(|(v, b)| v * b)
                .sum();
            let scaled: Vec<f64> = values.iter().map(|v| v * (y[row] - fitted)).collect();
            back_substitute(&a, columns, &forward_substitute(&a, columns, &scaled))
        })
        .collect();
    let variance = |j: usize| {
        let cross = |lag: usize| -> f64 {
            (lag..rows)
                .map(|t| influence[t][j] * influence[t - lag][j])
                .sum()
        };
        let weighted = |lag: usize| (1.0 - lag as f64 / (lags + 1) as f64) * cross(lag);
        cross(0) + 2.0 * (1..=lags).map(weighted).sum::<f64>()
    };
    // Bartlett weights keep the sum from being negative but for rounding.
    let standard_errors = (0..columns)
        .map(|j| libm::sqrt(variance(j).max(0.0)))
        .collect();
    Ok(NeweyWest {
        fit,
        standard_errors,
    })
}

/// Solves the transpose of the upper triangle of `a`.
fn forward_substitute(a: &[f64], n: usize, b: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; n];
    for i in 0..n {
        let known: f64 = (0..i).map(|r| a[r * n + i] * x[r]).sum();
        x[i] = (b[i] - known) / a[i * n + i];
    }
    x
}

/// Intercept and slope of `y` on `x` in each trailing window of rows.
///
/// Shape and gaps as in [`crate::rolling`]: a pair counts when both values are present; a row gives `None`
/// with fewer than `min_count` pairs (at least 3) or when `x` does not vary.
///
/// # Errors
/// [`StatsError::LengthMismatch`].
pub fn rolling_line(
    x: &[Option<f64>],
    y: &[Option<f64>],
    window: usize,
    min_count: usize,
) -> Result<Vec<Option<(f64, f64)>>, StatsError> {
    if x.len() != y.len() {
        return Err(StatsError::LengthMismatch);
    }
    Ok((0..x.len())
        .map(|i| {
            let start = (i + 1).saturating_sub(window);
            let (mut design, mut target) = (Vec::new(), Vec::new());
            for (a, b) in x[start..=i].iter().zip(&y[start..=i]) {
                if let (Some(a), Some(b)) = (a, b) {
                    design.extend([1.0, *a]);
                    target.push(*b);
                }
            }
            if target.len() < min_count.max(3) {
                return None;
            }
            least_squares(&design, 2, &target)
                .ok()
                .map(|fit| (fit.coefficients[0], fit.coefficients[1]))
        })
        .collect())
}
