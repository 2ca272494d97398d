//! Small dense linear algebra on row-major slices, with a fixed order of operations.

use crate::error::ModelError;

/// Lower Cholesky factor of the symmetric positive definite `n x n` matrix `a`.
pub(crate) fn cholesky(a: &[f64], n: usize) -> Result<Vec<f64>, ModelError> {
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let rest = a[i * n + j] - known;
            if i == j {
                if !(rest > 0.0 && rest.is_finite()) {
                    return Err(ModelError::Numeric {
                        step: "Cholesky factor",
                    });
                }
                l[i * n + i] = libm::sqrt(rest);
            } else {
                l[i * n + j] = rest / l[j * n + j];
            }
        }
    }
    Ok(l)
}

/// Solves `L x = b` for a lower triangle.
pub(crate) fn forward_solve(l: &[f64], n: usize, b: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; n];
    for i in 0..n {
        let known: f64 = (0..i).map(|k| l[i * n + k] * x[k]).sum();
        x[i] = (b[i] - known) / l[i * n + i];
    }
    x
}

/// Solves `A x = b` for a symmetric positive definite `A`.
pub(crate) fn solve_spd(a: &[f64], n: usize, b: &[f64]) -> Result<Vec<f64>, ModelError> {
    let l = cholesky(a, n)?;
    let mut x = forward_solve(&l, n, b);
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| l[k * n + i] * x[k]).sum();
        x[i] = (x[i] - known) / l[i * n + i];
    }
    Ok(x)
}

/// Eigenvalues (descending) and unit eigenvectors (one per row, same order) of the symmetric matrix `a`.
///
/// Cyclic Jacobi rotations: for a covariance of a few dozen columns they reach working precision in under ten
/// sweeps, need no start vector, and give the same bits on every run.
pub(crate) fn symmetric_eigen(
    a: &[f64],
    n: usize,
) -> Result<(Vec<f64>, Vec<Vec<f64>>), ModelError> {
    let mut a = a.to_vec();
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    let scale: f64 = a.iter().map(|x| x * x).sum();
    for sweep in 0.. {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j] * a[i * n + j])
            .sum();
        if off <= 1e-30 * scale {
            break;
        }
        if sweep == 60 || !off.is_finite() {
            return Err(ModelError::Numeric {
                step: "eigenvalues",
            });
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
