//! Penalised maximum likelihood of a log-linear Student t scale.

use super::DAILY_DF;
use crate::error::ModelError;
use crate::linalg::solve_spd;

/// One return: `value ~ t(5)` with log scale `offset + x[row] . b`.
pub(super) struct Observation {
    pub(super) row: usize,
    pub(super) offset: f64,
    pub(super) value: f64,
    pub(super) weight: f64,
}

/// Independent normal priors and lower bounds of the coefficients.
pub(super) struct Penalty {
    pub(super) mean: Vec<f64>,
    pub(super) sd: Vec<f64>,
    pub(super) lower: Vec<Option<f64>>,
}

/// Loss, gradient and Hessian at `b`. The loss is convex: in the log scale u its second derivative is
/// `2 (df + 1) s / (1 + s)^2 > 0` with `s = r^2 exp(-2u) / df`.
fn evaluate(
    design: &[f64],
    observations: &[Observation],
    penalty: &Penalty,
    b: &[f64],
) -> (f64, Vec<f64>, Vec<f64>) {
    let n = b.len();
    let (mut loss, mut gradient, mut hessian) = (0.0, vec![0.0; n], vec![0.0; n * n]);
    for o in observations {
        let x = &design[o.row * n..(o.row + 1) * n];
        let u = o.offset + x.iter().zip(b).map(|(x, b)| x * b).sum::<f64>();
        let s = o.value * o.value * libm::exp(-2.0 * u) / DAILY_DF;
        loss += o.weight * (u + 0.5 * (DAILY_DF + 1.0) * libm::log1p(s));
        let slope = o.weight * (1.0 - (DAILY_DF + 1.0) * s / (1.0 + s));
        let curvature = o.weight * 2.0 * (DAILY_DF + 1.0) * s / ((1.0 + s) * (1.0 + s));
        for i in 0..n {
            gradient[i] += slope * x[i];
            for j in 0..n {
                hessian[i * n + j] += curvature * x[i] * x[j];
            }
        }
    }
    for i in 0..n {
        let precision = 1.0 / (penalty.sd[i] * penalty.sd[i]);
        let distance = b[i] - penalty.mean[i];
        loss += 0.5 * precision * distance * distance;
        gradient[i] += precision * distance;
        hessian[i * n + i] += precision;
    }
    (loss, gradient, hessian)
}

/// Returns the coefficients of least penalised loss within their bounds.
///
/// Projected Newton: a coefficient that sits at its bound and whose gradient pushes it out is held there; the
/// others take a damped Newton step. Stops when no free coefficient moves by more than 1e-10.
///
/// # Errors
/// [`ModelError::Numeric`] if a Hessian is not positive definite or nothing settles in 200 steps.
pub(super) fn maximise(
    design: &[f64],
    observations: &[Observation],
    penalty: &Penalty,
) -> Result<Vec<f64>, ModelError> {
    let n = penalty.mean.len();
    let clamp = |i: usize, v: f64| penalty.lower[i].map_or(v, |low| v.max(low));
    let mut b: Vec<f64> = (0..n).map(|i| clamp(i, penalty.mean[i])).collect();
    for _ in 0..200 {
        let (loss, gradient, mut hessian) = evaluate(design, observations, penalty, &b);
        let held: Vec<bool> = (0..n)
            .map(|i| penalty.lower[i].is_some_and(|low| b[i] <= low) && gradient[i] > 0.0)
            .collect();
        let mut target: Vec<f64> = gradient.iter().map(|g| -g).collect();
        for i in (0..n).filter(|i| held[*i]) {
            target[i] = 0.0;
            for j in 0..n {
                hessian[i * n + j] = 0.0;
                hessian[j * n + i] = 0.0;
            }
            hessian[i * n + i] = 1.0;
        }
        let step = solve_spd(&hessian, n, &target)?;
        let mut length = 1.0;
        let next = loop {
            let trial: Vec<f64> = (0..n).map(|i| clamp(i, b[i] + length * step[i])).collect();
            let (value, ..) = evaluate(design, observations, penalty, &trial);
            // Below 1e-9 the step is rounding; accepting it ends the search.
            if value <= loss || length < 1e-9 {
                break trial;
            }
            length *= 0.5;
        };
        let moved = next
            .iter()
            .zip(&b)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f64::max);
        b = next;
        if moved < 1e-10 {
            return Ok(b);
        }
    }
    Err(ModelError::Numeric {
        step: "scale likelihood",
    })
}
