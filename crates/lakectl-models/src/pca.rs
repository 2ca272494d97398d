//! Principal components of a surface sampled at fixed nodes, fitted on past snapshots only.
//!
//! The decomposition is an eigen decomposition of the covariance by Jacobi rotations. The PCA of
//! linfa-reduction 0.8 is an iterative truncated decomposition from a random start with a stopping precision of
//! 1e-5, and its explained variance divides by the number of components; the tests compare directions with it,
//! but factor values that must not change between machines and runs need the exact method.

use serde::{Deserialize, Serialize};

use crate::artifact::ModelKind;
use crate::error::ModelError;
use crate::exact;
use crate::linalg::symmetric_eigen;

/// How the columns are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Mean removed.
    Centre,
    /// Mean removed and divided by the sample standard deviation.
    Standardise,
}

/// What to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcaConfig {
    /// Components kept; fewer when the nodes or rows cannot carry as many.
    pub components: usize,
    /// Complete snapshots needed.
    pub min_rows: usize,
    /// Column preparation.
    pub scaling: Scaling,
}

impl Default for PcaConfig {
    fn default() -> Self {
        Self {
            components: 5,
            min_rows: 60,
            scaling: Scaling::Standardise,
        }
    }
}

/// A fitted basis of surface moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurfacePca {
    #[serde(with = "exact::vector")]
    mean: Vec<f64>,
    #[serde(with = "exact::vector")]
    scale: Vec<f64>,
    #[serde(with = "exact::matrix")]
    components: Vec<Vec<f64>>,
    #[serde(with = "exact::vector")]
    explained_variance: Vec<f64>,
    #[serde(with = "exact::vector")]
    explained_ratio: Vec<f64>,
    rows: usize,
}

impl ModelKind for SurfacePca {
    const KIND: &'static str = "surface_pca";
    const VERSION: u32 = 1;
}

/// Scores of one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// One score per component, in the unit of the prepared columns.
    pub scores: Vec<f64>,
    /// Root mean square over the nodes of what the components do not explain, in the unit of the input.
    pub reconstruction_error: f64,
}

impl SurfacePca {
    /// Fits the basis on past snapshots (rows of equal width; rows with a missing or non-finite node are left out).
    ///
    /// Each component's node of largest absolute loading is positive (the first one on a tie); explained variance
    /// has divisor `rows - 1`. The caller chooses the window (at most 180 days back) and refits on its calendar.
    ///
    /// # Errors
    /// [`ModelError::TooFewRows`], [`ModelError::WrongWidth`]; [`ModelError::ConstantColumn`] when a node to be
    /// standardised does not vary.
    pub fn fit(rows: &[Vec<Option<f64>>], config: &PcaConfig) -> Result<Self, ModelError> {
        let width = rows.first().map_or(0, Vec::len);
        if let Some(row) = rows.iter().find(|r| r.len() != width) {
            return Err(ModelError::WrongWidth {
                expected: width,
                found: row.len(),
            });
        }
        let complete: Vec<Vec<f64>> = rows.iter().filter_map(|r| complete(r)).collect();
        let needed = config.min_rows.max(2);
        if complete.len() < needed || width == 0 {
            return Err(ModelError::TooFewRows {
                found: complete.len(),
                needed,
            });
        }
        let (mean, scale) = scaler(&complete, width, config.scaling)?;
        let covariance = covariance(&complete, &mean, &scale);
        let (values, vectors) = symmetric_eigen(&covariance, width)?;
        let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
        let keep = config.components.min(width).min(complete.len() - 1);
        let explained_variance: Vec<f64> = values.iter().take(keep).map(|v| v.max(0.0)).collect();
        let ratio = |v: &f64| if total > 0.0 { v / total } else { 0.0 };
        Ok(Self {
            explained_ratio: explained_variance.iter().map(ratio).collect(),
            explained_variance,
            components: vectors.into_iter().take(keep).map(oriented).collect(),
            mean,
            scale,
            rows: complete.len(),
        })
    }

    /// Projects one snapshot on the basis.
    ///
    /// # Errors
    /// [`ModelError::WrongWidth`]; [`ModelError::MissingValue`] naming the first missing node by its position.
    pub fn project(&self, row: &[Option<f64>]) -> Result<Projection, ModelError> {
        let width = self.mean.len();
        if row.len() != width {
            return Err(ModelError::WrongWidth {
                expected: width,
                found: row.len(),
            });
        }
        let Some(row) = complete(row) else {
            let position = row
                .iter()
                .position(|x| !x.is_some_and(f64::is_finite))
                .unwrap_or(0);
            return Err(ModelError::MissingValue {
                column: format!("node {position}"),
            });
        };
        let z: Vec<f64> = (0..width)
            .map(|i| (row[i] - self.mean[i]) / self.scale[i])
            .collect();
        let scores: Vec<f64> = self
            .components
            .iter()
            .map(|c| c.iter().zip(&z).map(|(c, z)| c * z).sum())
            .collect();
        let squares: f64 = (0..width)
            .map(|i| {
                let explained: f64 = self
                    .components
                    .iter()
                    .zip(&scores)
                    .map(|(c, s)| c[i] * s)
                    .sum();
                (z[i] - explained) * self.scale[i]
            })
            .map(|e| e * e)
            .sum();
        Ok(Projection {
            scores,
            reconstruction_error: libm::sqrt(squares / width as f64),
        })
    }

    /// Means of the nodes over the window.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Unit loadings, one component per row, largest variance first.
    pub fn components(&self) -> &[Vec<f64>] {
        &self.components
    }

    /// Variance of each component's score over the window (divisor `rows - 1`).
    pub fn explained_variance(&self) -> &[f64] {
        &self.explained_variance
    }

    /// Share of the total variance of each component.
    pub fn explained_ratio(&self) -> &[f64] {
        &self.explained_ratio
    }

    /// Snapshots used.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// The row without options, if nothing is missing.
fn complete(row: &[Option<f64>]) -> Option<Vec<f64>> {
    row.iter().map(|x| x.filter(|x| x.is_finite())).collect()
}

fn scaler(
    rows: &[Vec<f64>],
    width: usize,
    scaling: Scaling,
) -> Result<(Vec<f64>, Vec<f64>), ModelError> {
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..width)
        .map(|c| rows.iter().map(|r| r[c]).sum::<f64>() / n)
        .collect();
    let mut scale = vec![1.0; width];
    if scaling == Scaling::Standardise {
        for (c, scale) in scale.iter_mut().enumerate() {
            let squares: f64 = rows
                .iter()
                .map(|r| (r[c] - mean[c]) * (r[c] - mean[c]))
                .sum();
            *scale = libm::sqrt(squares / (n - 1.0));
            if *scale <= 1e-12 * mean[c].abs().max(1e-12) {
                return Err(ModelError::ConstantColumn {
                    column: format!("node {c}"),
                });
            }
        }
    }
    Ok((mean, scale))
}

/// Sample covariance of the prepared columns.
fn covariance(rows: &[Vec<f64>], mean: &[f64], scale: &[f64]) -> Vec<f64> {
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
        // A later node must lead by more than rounding, else equal loadings would flip with the last bit.
        if x.abs() > lead.abs() * (1.0 + 1e-9) {
            lead = *x;
        }
    }
    if lead < 0.0 {
        component.iter_mut().for_each(|x| *x = -*x);
    }
    component
}

#[cfg(test)]
mod tests;
