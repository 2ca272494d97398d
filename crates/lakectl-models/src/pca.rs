//! Principal components of a surface sampled at fixed nodes, fitted on past snapshots only.
//!
//! The decomposition is an eigen decomposition of the covariance by Jacobi rotations. The PCA of
//! linfa-reduction 0.8 is an iterative truncated decomposition from a random start with a stopping precision of
//! 1e-5, and its explained variance divides by the number of components; the tests compare directions with it,
//! but factor values that must not change between machines and runs need the exact method.

use lakectl_stats::StatsError;
use lakectl_stats::components::{principal_components, scores};
use serde::{Deserialize, Serialize};

use crate::artifact::ModelKind;
use crate::error::ModelError;
use crate::exact;

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
        let found = principal_components(
            &complete.concat(),
            width,
            config.components,
            config.scaling == Scaling::Standardise,
        )
        .map_err(|error| match error {
            StatsError::Constant { column } => ModelError::ConstantColumn {
                column: format!("node {column}"),
            },
            _ => ModelError::Numeric {
                step: "eigenvalues",
            },
        })?;
        Ok(Self {
            explained_ratio: found.share,
            explained_variance: found.variance,
            components: found.loadings,
            mean: found.mean,
            scale: found.scale,
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
        let numeric = |_| ModelError::Numeric { step: "scores" };
        let scores = scores(&row, &self.mean, &self.scale, &self.components).map_err(numeric)?;
        let squares: f64 = (0..width)
            .map(|i| {
                let explained: f64 = self
                    .components
                    .iter()
                    .zip(&scores)
                    .map(|(c, s)| c[i] * s)
                    .sum();
                ((row[i] - self.mean[i]) / self.scale[i] - explained) * self.scale[i]
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

#[cfg(test)]
mod tests;
