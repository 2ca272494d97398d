//! Covariance of few observations of many variables, and the distance that it measures.

use crate::error::{StatsError, finite};

/// A covariance matrix shrunk towards a multiple of the identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// Mean of every variable.
    pub mean: Vec<f64>,
    /// Row-major covariance.
    pub covariance: Vec<f64>,
    /// Share of the target, from 0 to 1.
    pub shrinkage: f64,
}

/// The covariance of Ledoit and Wolf ("A well-conditioned estimator for large-dimensional covariance
/// matrices", 2004) with the identity target; divisors are the number of observations.
///
/// Shape: `x` is row-major, `columns` variables per observation. Agrees with scikit-learn's `LedoitWolf`.
///
/// # Errors
/// [`StatsError::LengthMismatch`], [`StatsError::TooFew`] under two observations,
/// [`StatsError::NotFinite`].
pub fn ledoit_wolf(x: &[f64], columns: usize) -> Result<Shrunk, StatsError> {
    if columns == 0 || !x.len().is_multiple_of(columns) {
        return Err(StatsError::LengthMismatch);
    }
    let rows = x.len() / columns;
    if rows < 2 {
        return Err(StatsError::TooFew {
            found: rows,
            needed: 2,
        });
    }
    finite(x)?;
    let count = rows as f64;
    let mean: Vec<f64> = (0..columns)
        .map(|j| x.iter().skip(j).step_by(columns).sum::<f64>() / count)
        .collect();
    let centred: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, value)| value - mean[i % columns])
        .collect();
    let mut covariance = vec![0.0; columns * columns];
    // Sum over all pairs of variables of the sample variance of their product.
    let mut spread = 0.0;
    for row in centred.chunks_exact(columns) {
        let square: f64 = row.iter().map(|v| v * v).sum();
        spread += square * square;
        for (i, a) in row.iter().enumerate() {
            for (j, b) in row.iter().enumerate() {
                covariance[i * columns + j] += a * b / count;
            }
        }
    }
    let size = columns as f64;
    let level = (0..columns)
        .map(|i| covariance[i * columns + i])
        .sum::<f64>()
        / size;
    let squares: f64 = covariance.iter().map(|v| v * v).sum();
    let noise = (spread / count - squares) / (size * count);
    let distance = squares / size - level * level;
    let shrinkage = if noise <= 0.0 || distance <= 0.0 {
        0.0
    } else {
        (noise / distance).min(1.0)
    };
    for value in &mut covariance {
        *value *= 1.0 - shrinkage;
    }
    for i in 0..columns {
        covariance[i * columns + i] += shrinkage * level;
    }
    finite(&covariance)?;
    Ok(Shrunk {
        mean,
        covariance,
        shrinkage,
    })
}

impl Shrunk {
    /// Prepares distances by the Cholesky factor of the covariance.
    ///
    /// # Errors
    /// [`StatsError::Singular`] when the covariance is not positive definite.
    pub fn metric(&self) -> Result<Mahalanobis, StatsError> {
        let size = self.mean.len();
        let mut lower = self.covariance.clone();
        let largest = (0..size).map(|i| lower[i * size + i]).fold(0.0, f64::max);
        for j in 0..size {
            for i in 0..=j {
                let mut sum = lower[j * size + i];
                for k in 0..i {
                    sum -= lower[j * size + k] * lower[i * size + k];
                }
                if i < j {
                    lower[j * size + i] = sum / lower[i * size + i];
                } else if sum > 1e-13 * largest {
                    lower[j * size + j] = sum.sqrt();
                } else {
                    return Err(StatsError::Singular);
                }
            }
        }
        Ok(Mahalanobis {
            mean: self.mean.clone(),
            lower,
        })
    }
}

/// Distances under a covariance.
#[derive(Debug, Clone, PartialEq)]
pub struct Mahalanobis {
    mean: Vec<f64>,
    /// Row-major; the lower triangle with the diagonal is the Cholesky factor.
    lower: Vec<f64>,
}

impl Mahalanobis {
    /// The distance of a point from the mean, in standard deviations: `sqrt((x - m)' S^-1 (x - m))`.
    ///
    /// Its square is about the number of variables for an ordinary point.
    ///
    /// # Errors
    /// [`StatsError::LengthMismatch`], [`StatsError::NotFinite`].
    pub fn distance(&self, point: &[f64]) -> Result<f64, StatsError> {
        let size = self.mean.len();
        if point.len() != size {
            return Err(StatsError::LengthMismatch);
        }
        finite(point)?;
        let mut solved = vec![0.0; size];
        for j in 0..size {
            let mut value = point[j] - self.mean[j];
            for (i, known) in solved[..j].iter().enumerate() {
                value -= self.lower[j * size + i] * known;
            }
            solved[j] = value / self.lower[j * size + j];
        }
        let square: f64 = solved.iter().map(|v| v * v).sum();
        finite(&[square])?;
        Ok(square.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_deviations() {
        // Variances 4 and 1, no correlation, many observations: hardly any shrinkage.
        let x: Vec<f64> = (0..4_000)
            .flat_map(|i| [[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]][i % 4])
            .collect();
        let found = ledoit_wolf(&x, 2).unwrap();
        assert!(found.shrinkage < 1e-3, "{found:?}");
        let metric = found.metric().unwrap();
        assert!((metric.distance(&[2.0, 0.0]).unwrap() - 1.0).abs() < 1e-3);
        assert!((metric.distance(&[0.0, 3.0]).unwrap() - 3.0).abs() < 1e-2);
    }

    #[test]
    fn more_variables_than_observations_still_measure() {
        let x: Vec<f64> = (0..30).map(|i| f64::from((i * 7919) % 31) / 31.0).collect();
        let found = ledoit_wolf(&x, 10).unwrap();
        assert!(found.shrinkage > 0.0 && found.metric().is_ok());
    }

    #[test]
    fn bad_input_is_a_typed_error() {
        assert_eq!(
            ledoit_wolf(&[1.0, 2.0, 3.0], 2),
            Err(StatsError::LengthMismatch)
        );
        assert_eq!(
            ledoit_wolf(&[1.0, f64::NAN, 1.0, 2.0], 2),
            Err(StatsError::NotFinite)
        );
        assert!(matches!(
            ledoit_wolf(&[1.0, 2.0], 2),
            Err(StatsError::TooFew { .. })
        ));
        let constant = ledoit_wolf(&[1.0; 8], 2).unwrap();
        assert_eq!(constant.metric(), Err(StatsError::Singular));
        let huge = ledoit_wolf(&[1e300, -1e300, -1e300, 1e300], 2);
        assert_eq!(huge, Err(StatsError::NotFinite));
    }
}
