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
