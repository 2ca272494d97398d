//! Principal components of rows of equal width.

use crate::error::{StatsError, finite};

/// A basis of moves around a mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Mean of every column.
    pub mean: Vec<f64>,
    /// What every column's distance from its mean was divided by.
    pub scale: Vec<f64>,
    /// Unit loadings, one component a row, largest variance first.
    pub loadings: Vec<Vec<f64>>,
    /// Variance of each component's score (divisor: rows less one).
    pub variance: Vec<f64>,
    /// Share of the total variance of each component.
    pub share: Vec<f64>,
}

/// Fits up to `keep` components, fewer when columns or rows cannot carry as many.
///
/// Shape: `x` is row-major, `columns` values a row. With `standardise` every column is divided by its sample standard
/// deviation. The largest absolute loading of each component is positive (the first one on a tie).
///
/// # Errors
/// [`StatsError::LengthMismatch`], [`StatsError::TooFew`] under two rows, [`StatsError::NotFinite`];
/// [`StatsError::Constant`] when a column to be standardised does not vary.
pub fn principal_components(
    x: &[f64],
    columns: usize,
    keep: usize,
    standardise: bool,
) -> Result<Components, StatsError> {
    if columns == 0 || !x.len().is_multiple_of(columns) {
        return Err(StatsError::LengthMismatch);
    }
    let rows: Vec<&[f64]> = x.chunks_exact(columns).collect();
    if rows.len() < 2 {
        return Err(StatsError::TooFew {
            found: rows.len(),
            needed: 2,
        });
    }
    finite(x)?;
    let (mean, scale) = scaler(&rows, columns, standardise)?;
    let covariance = covariance(&rows, &mean, &scale);
    let (values, vectors) = symmetric_eigen(&covariance, columns)?;
    let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
    let keep = keep.min(columns).min(rows.len() - 1);
    let variance: Vec<f64> = values.iter().take(keep).map(|v| v.max(0.0)).collect();
    let share = |v: &f64| if total > 0.0 { v / total } else { 0.0 };
    Ok(Components {
        share: variance.iter().map(share).collect(),
        variance,
        loadings: vectors.into_iter().take(keep).map(oriented).collect(),
        mean,
        scale,
    })
}

/// The scores of a row: its scaled distance from the mean along each component.
///
/// # Errors
/// [`StatsError::LengthMismatch`], [`StatsError::NotFinite`].
pub fn scores(
    row: &[f64],
    mean: &[f64],
    scale: &[f64],
    loadings: &[Vec<f64>],
) -> Result<Vec<f64>, StatsError> {
    let width = row.len();
    let fits = mean.len() == width && scale.len() == width;
    if !(fits && loadings.iter().all(|loading| loading.len() == width)) {
        return Err(StatsError::LengthMismatch);
    }
    let z: Vec<f64> = (0..width).map(|i| (row[i] - mean[i]) / scale[i]).collect();
    let along = |loading: &Vec<f64>| loading.iter().zip(&z).map(|(c, z)| c * z).sum();
    let scores: Vec<f64> = loadings.iter().map(along).collect();
    finite(&scores)?;
    Ok(scores)
}

fn scaler(
    rows: &[&[f64]],
    width: usize,
    standardise: bool,
) -> Result<(Vec<f64>, Vec<f64>), StatsError> {
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..width)
        .map(|c| rows.iter().map(|r| r[c]).sum::<f64>() / n)
        .collect();
    let mut scale = vec![1.0; width];
    if standardise {
        for (c, scale) in scale.iter_mut().enumerate() {
            let squares: f64 = rows
                .iter()
                .map(|r| (r[c] - mean[c]) * (r[c] - mean[c]))
                .sum();
            *scale = libm::sqrt(squares / (n - 1.0));
            if *scale <= 1e-12 * mean[c].abs().max(1e-12) {
                return Err(StatsError::Constant { column: c });
            }
        }
    }
    finite(&mean)?;
    finite(&scale)?;
    Ok((mean, scale))
}

/// Sample covariance of the prepared columns.
fn covariance(rows: &[&[f64]], mean: &[f64], scale: &[f64]) -> Vec<f64> {
    let width = mean.len();
    let mut out = vec![0.0; width * width];
    for row in rows {
        let z: Vec<f64> = (0..width).map(|i| (row[i] - mean[i]) / scale[i]).collect();
        for i in 0..width {
            for j in 0..=i {
                out[i * width + j] += z[i] * z[j];
            }
        }
    }
    for i in 0..width {
        for j in 0..=i {
            let value = out[i * width + j] / (rows.len() - 1) as f64;
            out[i * width + j] = value;
            out[j * width + i] = value;
        }
    }
    out
}

/// Applies the sign rule.
fn oriented(mut component: Vec<f64>) -> Vec<f64> {
    let mut lead = 0.0_f64;
    for x in &component {
        // A later column must lead by more than rounding, else equal loadings would flip with the last bit.
        if x.abs() > lead.abs() * (1.0 + 1e-9) {
            lead = *x;
        }
    }
    if lead < 0.0 {
        component.iter_mut().for_each(|x| *x = -*x);
    }
    component
}

/// Eigenvalues (descending) and unit eigenvectors (one per row, same order) of the symmetric matrix `a`.
///
/// Cyclic Jacobi rotations: for a covariance of a few dozen columns they reach working precision in under ten
/// sweeps, need no start vector, and give the same bits on every run.
fn symmetric_eigen(a: &[f64], n: usize) -> Result<(Vec<f64>, Vec<Vec<f64>>), StatsError> {
    let mut a = a.to_vec();
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    let scale: f64 = a.iter().map(|x| x * x).sum();
    finite(&[scale])?;
    for sweep in 0.. {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j] * a[i * n + j])
            .sum();
        if off <= 1e-30 * scale {
            break;
        }
        if sweep == 60 || !off.is_finite() {
            return Err(StatsError::NotFinite);
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[j * n + j].total_cmp(&a[i * n + i]).then(i.cmp(j)));
    let values = order.iter().map(|i| a[i * n + i]).collect();
    let vectors = order
        .iter()
        .map(|i| (0..n).map(|k| v[k * n + i]).collect())
        .collect();
    Ok((values, vectors))
}

/// One Jacobi rotation that zeroes `a[p][q]`, accumulated into the columns of `v`.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + libm::sqrt(theta * theta + 1.0));
    let c = 1.0 / libm::sqrt(t * t + 1.0);
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (v[k * n + p], v[k * n + q]);
        v[k * n + p] = c * x - s * y;
        v[k * n + q] = s * x + c * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_columns_that_move_together_are_one_component() {
        let x: Vec<f64> = (0..40)
            .flat_map(|i| {
                let (along, across) = (f64::from(i % 8), f64::from(i % 5) - 2.0);
                [10.0 - 3.0 * along, 4.0 * along + 0.01 * across]
            })
            .collect();
        let found = principal_components(&x, 2, 5, false).unwrap();
        assert_eq!(found.loadings.len(), 2);
        assert!(found.share[0] > 0.999_99 && (found.share[0] + found.share[1] - 1.0).abs() < 1e-12);
        // The larger loading is the positive one.
        let lead = &found.loadings[0];
        assert!(
            (lead[0] + 0.6).abs() < 1e-3 && (lead[1] - 0.8).abs() < 1e-3,
            "{lead:?}"
        );
        let point = [found.mean[0] - 3.0, found.mean[1] + 4.0];
        let along = scores(&point, &found.mean, &found.scale, &found.loadings).unwrap();
        assert!(
            (along[0] - 5.0).abs() < 1e-3 && along[1].abs() < 0.05,
            "{along:?}"
        );
    }

    #[test]
    fn bad_input_is_a_typed_error() {
        let fit = |x: &[f64], columns| principal_components(x, columns, 2, true).unwrap_err();
        assert_eq!(fit(&[1.0, 2.0, 3.0], 2), StatsError::LengthMismatch);
        assert_eq!(fit(&[1.0], 0), StatsError::LengthMismatch);
        assert_eq!(fit(&[1.0, f64::NAN, 1.0, 2.0], 2), StatsError::NotFinite);
        assert_eq!(
            fit(&[1.0, 2.0, 1.0, 3.0], 2),
            StatsError::Constant { column: 0 }
        );
        assert_eq!(
            fit(&[1e300, -1e300, -1e300, 1e300], 2),
            StatsError::NotFinite
        );
        assert!(matches!(fit(&[1.0, 2.0], 2), StatsError::TooFew { .. }));
        let short = scores(&[1.0], &[0.0, 0.0], &[1.0, 1.0], &[]);
        assert_eq!(short, Err(StatsError::LengthMismatch));
        let nothing = scores(&[1.0], &[1.0], &[0.0], &[vec![1.0]]);
        assert_eq!(nothing, Err(StatsError::NotFinite));
    }
}
