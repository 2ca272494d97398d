//! The inputs that are no volatility anchors.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::anchor::Anchor;
use super::{FitConfig, Labelled};
use crate::dataset::Feature;
use crate::exact;

/// Plain features are winsorised at this many standard deviations, so that no outlier alone sets a width.
const PLAIN_CLIP: f64 = 2.5;

/// One plain input as the model uses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PlainTerm {
    /// Position in the schema.
    pub(super) column: usize,
    #[serde(with = "exact::scalar")]
    mean: f64,
    #[serde(with = "exact::scalar")]
    sd: f64,
    #[serde(with = "exact::scalar")]
    pub(super) coefficient: f64,
}

impl PlainTerm {
    /// The standardised, winsorised value; 0 (the training mean) when it is missing.
    pub(super) fn value(&self, row: &[Option<f64>]) -> f64 {
        row[self.column].map_or(0.0, |x| {
            ((x - self.mean) / self.sd).clamp(-PLAIN_CLIP, PLAIN_CLIP)
        })
    }
}

/// Standardises the plain features that cover enough training rows; also names the families that have none left.
pub(super) fn plain_terms(
    features: &[Feature],
    rows: &[Labelled<'_>],
    anchor: &Anchor,
    config: &FitConfig,
) -> (Vec<PlainTerm>, BTreeSet<String>) {
    let mut terms = Vec::new();
    let mut untrained: BTreeSet<String> = features.iter().map(|f| f.family.clone()).collect();
    for (column, feature) in features.iter().enumerate() {
        if anchor.uses(column) {
            untrained.remove(&feature.family);
            continue;
        }
        let values: Vec<f64> = rows.iter().filter_map(|l| l.row[column]).collect();
        let family = |i: usize| features[i].family == feature.family;
        let of_family = rows
            .iter()
            .filter(|l| (0..features.len()).any(|i| family(i) && l.row[i].is_some()))
            .count();
        let enough = values.len() >= config.min_rows
            && values.len() as f64 >= config.min_coverage * of_family as f64;
        if let Some(term) = enough.then(|| plain_term(column, &values)).flatten() {
            untrained.remove(&feature.family);
            terms.push(term);
        }
    }
    (terms, untrained)
}

/// Mean and standard deviation of one feature; `None` if it is constant.
fn plain_term(column: usize, values: &[f64]) -> Option<PlainTerm> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    let sd = libm::sqrt(spread / n);
    let size = libm::sqrt(values.iter().map(|x| x * x).sum::<f64>() / n);
    (sd > 1e-9 * size && sd > 1e-12).then_some(PlainTerm {
        column,
        mean,
        sd,
        coefficient: 0.0,
    })
}
