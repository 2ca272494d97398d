//! Market regimes: a Gaussian mixture for the states, a sticky Markov chain for their sequence.
//!
//! The mixture is fitted by linfa-clustering on standardised, winsorised past rows. Two properties of that
//! implementation shape the code here: its several runs continue one start, so independent starts are made here
//! with seeds of their own and the most likely fit is kept; and its responsibilities are formed without shifting
//! the exponent, so a row far from every state divides 0 by 0. Winsorising and a floor on the covariances keep
//! rows near, a failed start is skipped, and only when all fail is that an error. Filtering never uses linfa's
//! probabilities: densities are evaluated here in log space, over the values a row has.

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::{GaussianMixtureModel, GmmInitMethod};
use ndarray::{Array1, Array2};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::artifact::ModelKind;
use crate::error::ModelError;
use crate::exact;
use crate::linalg::{cholesky, forward_solve};

/// Standardised values are winsorised here.
const CLIP: f64 = 5.0;
/// Added to the covariance diagonals (standardised units), so that no state collapses on a few rows.
const COVARIANCE_FLOOR: f64 = 0.005;
/// States closer than this in the order's standardised sum are not told apart by it.
const STATE_GAP_MIN: f64 = 0.15;
/// A state with a smaller share of the rows is an outlier group, not a regime.
const MIN_WEIGHT: f64 = 0.05;

/// What to fit.
#[derive(Debug, Clone, PartialEq)]
pub struct RegimeConfig {
    /// Number of states.
    pub states: usize,
    /// Complete rows needed.
    pub min_rows: usize,
    /// Independent starts of the mixture.
    pub starts: u64,
    /// Prior probability of staying in a state from one row to the next.
    pub stay: f64,
    /// Rows that this prior is worth per state.
    pub stay_prior_rows: f64,
    /// Columns (volatilities) whose standardised state means, summed, order the states: regime 0 is the calmest. Without
    /// any the states are ordered by the trace of their covariance.
    pub order_by: Vec<usize>,
}

impl Default for RegimeConfig {
    fn default() -> Self {
        Self {
            states: 3,
            min_rows: 100,
            starts: 5,
            stay: 0.9,
            stay_prior_rows: 20.0,
            order_by: Vec::new(),
        }
    }
}

/// One state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    #[serde(with = "exact::scalar")]
    weight: f64,
    #[serde(with = "exact::vector")]
    mean: Vec<f64>,
    /// Row-major covariance.
    #[serde(with = "exact::vector")]
    covariance: Vec<f64>,
}

/// A fitted regime model; regime 0 is the calmest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegimeModel {
    #[serde(with = "exact::vector")]
    mean: Vec<f64>,
    #[serde(with = "exact::vector")]
    sd: Vec<f64>,
    states: Vec<State>,
    /// Row-stochastic: from state (row) to state (column).
    #[serde(with = "exact::matrix")]
    transition: Vec<Vec<f64>>,
    #[serde(with = "exact::scalar")]
    log_likelihood: f64,
    rows: usize,
}

impl ModelKind for RegimeModel {
    const KIND: &'static str = "regime";
    const VERSION: u32 = 1;
}

impl RegimeModel {
    /// Fits the states to past rows in time order; rows with a missing value are left out.
    ///
    /// `names` are the column names, for messages. Equal rows, configuration and `seed` give an equal model.
    ///
    /// # Errors
    /// [`ModelError::TooFewRows`], [`ModelError::WrongWidth`], [`ModelError::ConstantColumn`],
    /// [`ModelError::BadParameter`]; [`ModelError::Mixture`] when no start converges to finite states.
    pub fn fit(
        rows: &[Vec<Option<f64>>],
        names: &[String],
        config: &RegimeConfig,
        seed: u64,
    ) -> Result<Self, ModelError> {
        check(config, names.len())?;
        if let Some(row) = rows.iter().find(|r| r.len() != names.len()) {
            return Err(ModelError::WrongWidth {
                expected: names.len(),
                found: row.len(),
            });
        }
        let complete: Vec<Vec<f64>> = rows
            .iter()
            .filter_map(|r| r.iter().map(|x| x.filter(|x| x.is_finite())).collect())
            .collect();
        let needed = config.min_rows.max(10 * config.states);
        if complete.len() < needed {
            return Err(ModelError::TooFewRows {
                found: complete.len(),
                needed,
            });
        }
        let (mean, sd) = scaler(&complete, names)?;
        let z: Vec<Vec<f64>> = complete
            .iter()
            .map(|r| standardise(r, &mean, &sd))
            .collect();
        let mut states = best_mixture(&z, config, seed)?;
        let calmness = |s: &State| -> f64 {
            match config.order_by.as_slice() {
                [] => (0..names.len())
                    .map(|i| s.covariance[i * names.len() + i])
                    .sum(),
                columns => columns.iter().map(|column| s.mean[*column]).sum(),
            }
        };
        states.sort_by(|a, b| calmness(a).total_cmp(&calmness(b)));
        let gap = |pair: &[State]| calmness(&pair[1]) - calmness(&pair[0]);
        if !config.order_by.is_empty() && states.windows(2).any(|pair| gap(pair) < STATE_GAP_MIN) {
            return Err(ModelError::Mixture {
                reason: "two states are equally calm, so their names would mean nothing".to_owned(),
            });
        }
        let log_likelihood = log_likelihood(&states, &z)?;
        let transition = transition(&states, &z, config)?;
        Ok(Self {
            mean,
            sd,
            states,
            transition,
            log_likelihood,
            rows: z.len(),
        })
    }

    /// Filtered state probabilities of each row given the rows up to it, in time order.
    ///
    /// A row counts with the values it has; a row without any only moves the chain one step. The chain starts
    /// from the states' overall shares.
    ///
    /// # Errors
    /// [`ModelError::WrongWidth`], [`ModelError::Numeric`].
    pub fn filter(&self, rows: &[Vec<Option<f64>>]) -> Result<Vec<Vec<f64>>, ModelError> {
        let mut belief: Vec<f64> = self.states.iter().map(|s| s.weight).collect();
        let mut out = Vec::with_capacity(rows.len());
        for (i, row) in rows.iter().enumerate() {
            if row.len() != self.mean.len() {
                return Err(ModelError::WrongWidth {
                    expected: self.mean.len(),
                    found: row.len(),
                });
            }
            if i > 0 {
                belief = self.step(&belief);
            }
            let seen: Vec<usize> = (0..row.len())
                .filter(|c| row[*c].is_some_and(f64::is_finite))
                .collect();
            if !seen.is_empty() {
                let z: Vec<f64> = seen
                    .iter()
                    .map(|c| {
                        clipped((row[*c].unwrap_or(self.mean[*c]) - self.mean[*c]) / self.sd[*c])
                    })
                    .collect();
                belief = update(&self.states, &belief, &seen, &z)?;
            }
            out.push(belief.clone());
        }
        Ok(out)
    }

    fn step(&self, belief: &[f64]) -> Vec<f64> {
        (0..belief.len())
            .map(|j| {
                belief
                    .iter()
                    .zip(&self.transition)
                    .map(|(p, row)| p * row[j])
                    .sum()
            })
            .collect()
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        self.states.len()
    }

    /// Transition probabilities, from (row) to (column).
    pub fn transition(&self) -> &[Vec<f64>] {
        &self.transition
    }

    /// Mean of each state in the unit of the input.
    pub fn state_means(&self) -> Vec<Vec<f64>> {
        let unscaled = |s: &State| {
            s.mean
                .iter()
                .zip(&self.sd)
                .zip(&self.mean)
                .map(|((z, sd), mean)| mean + z * sd)
                .collect()
        };
        self.states.iter().map(unscaled).collect()
    }

    /// Log-likelihood of the mixture per training row.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Complete rows used.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

fn check(config: &RegimeConfig, width: usize) -> Result<(), ModelError> {
    let bad = |name, value: String, domain| {
        Err(ModelError::BadParameter {
            name,
            value,
            domain,
        })
    };
    if config.states < 2 {
        return bad("states", config.states.to_string(), "at least 2");
    }
    if !(config.stay > 0.0 && config.stay < 1.0 && config.stay_prior_rows > 0.0) {
        return bad(
            "stay",
            config.stay.to_string(),
            "0 < stay < 1 with a positive prior weight",
        );
    }
    if width == 0 || config.order_by.iter().any(|c| *c >= width) {
        return bad(
            "order_by",
            format!("{:?} of {width} columns", config.order_by),
            "columns of the rows",
        );
    }
    Ok(())
}

fn clipped(z: f64) -> f64 {
    z.clamp(-CLIP, CLIP)
}

fn standardise(row: &[f64], mean: &[f64], sd: &[f64]) -> Vec<f64> {
    row.iter()
        .zip(mean)
        .zip(sd)
        .map(|((x, m), s)| clipped((x - m) / s))
        .collect()
}

fn scaler(rows: &[Vec<f64>], names: &[String]) -> Result<(Vec<f64>, Vec<f64>), ModelError> {
    let (mut mean, mut sd) = (Vec::new(), Vec::new());
    for (c, name) in names.iter().enumerate() {
        let column: Vec<f64> = rows.iter().map(|r| r[c]).collect();
        let centre = lakectl_stats::quantiles::mean(&column)?;
        let spread = lakectl_stats::quantiles::sample_sd(&column)?;
        if spread <= 1e-12 * centre.abs().max(1e-12) {
            return Err(ModelError::ConstantColumn {
                column: name.clone(),
            });
        }
        mean.push(centre);
        sd.push(spread);
    }
    Ok((mean, sd))
}

/// The most likely of several independent starts, preferring those without an outlier group for a state.
fn best_mixture(
    z: &[Vec<f64>],
    config: &RegimeConfig,
    seed: u64,
) -> Result<Vec<State>, ModelError> {
    let width = z[0].len();
    let flat: Vec<f64> = z.iter().flatten().copied().collect();
    let array =
        Array2::from_shape_vec((z.len(), width), flat).map_err(|_| ModelError::Numeric {
            step: "mixture input",
        })?;
    let data = DatasetBase::from(array);
    let mut best: Option<(bool, f64, Vec<State>)> = None;
    let mut reason = "no start was made".to_string();
    for start in 0..config.starts.max(1) {
        // k-means finds the same clusters from almost any seed, and they may be poor; random starts differ.
        let init = if start == 0 {
            GmmInitMethod::KMeans
        } else {
            GmmInitMethod::Random
        };
        match one_mixture(&data, config.states, init, seed.wrapping_add(start)) {
            Ok(states) => {
                let sound = states.iter().all(|s| s.weight >= MIN_WEIGHT);
                let likelihood = log_likelihood(&states, z)?;
                if best
                    .as_ref()
                    .is_none_or(|(s, l, _)| (sound, likelihood) > (*s, *l))
                {
                    best = Some((sound, likelihood, states));
                }
            }
            Err(message) => reason = message,
        }
    }
    best.map(|(_, _, states)| states)
        .ok_or(ModelError::Mixture { reason })
}

/// One start; the message of a failed or non-finite fit otherwise.
fn one_mixture(
    data: &DatasetBase<Array2<f64>, Array1<()>>,
    states: usize,
    init: GmmInitMethod,
    seed: u64,
) -> Result<Vec<State>, String> {
    let fitted = GaussianMixtureModel::params_with_rng(states, Xoshiro256Plus::seed_from_u64(seed))
        .reg_covariance(COVARIANCE_FLOOR)
        .init_method(init)
        .tolerance(1e-5)
        .max_n_iterations(500)
        .check()
        .and_then(|params| params.fit(data))
        .map_err(|e| e.to_string())?;
    let out: Vec<State> = (0..states)
        .map(|k| State {
            weight: fitted.weights()[k],
            mean: fitted.means().row(k).to_vec(),
            covariance: fitted
                .covariances()
                .index_axis(ndarray::Axis(0), k)
                .iter()
                .copied()
                .collect(),
        })
        .collect();
    let finite =
        |s: &State| s.weight > 0.0 && s.mean.iter().chain(&s.covariance).all(|x| x.is_finite());
    if out.iter().all(finite) {
        Ok(out)
    } else {
        Err("a state is not finite".to_string())
    }
}

/// Log density of the values `z` at the columns `seen` under one state.
fn log_density(state: &State, seen: &[usize], z: &[f64]) -> Result<f64, ModelError> {
    let (n, width) = (seen.len(), state.mean.len());
    let block: Vec<f64> = seen
        .iter()
        .flat_map(|i| seen.iter().map(move |j| state.covariance[i * width + j]))
        .collect();
    let l = cholesky(&block, n)?;
    let distance: Vec<f64> = seen
        .iter()
        .zip(z)
        .map(|(c, z)| z - state.mean[*c])
        .collect();
    let squares: f64 = forward_solve(&l, n, &distance).iter().map(|x| x * x).sum();
    let log_det: f64 = (0..n).map(|i| libm::log(l[i * n + i])).sum();
    Ok(-0.5 * (squares + n as f64 * libm::log(2.0 * std::f64::consts::PI)) - log_det)
}

fn log_sum_exp(xs: &[f64]) -> f64 {
    let top = xs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + libm::log(xs.iter().map(|x| libm::exp(x - top)).sum::<f64>())
}

/// Joint log weights of the states and the observed values.
fn joint(
    states: &[State],
    prior: &[f64],
    seen: &[usize],
    z: &[f64],
) -> Result<Vec<f64>, ModelError> {
    states
        .iter()
        .zip(prior)
        .map(|(s, p)| Ok(libm::log(p.max(1e-300)) + log_density(s, seen, z)?))
        .collect()
}

/// Bayes' rule for one row.
fn update(
    states: &[State],
    prior: &[f64],
    seen: &[usize],
    z: &[f64],
) -> Result<Vec<f64>, ModelError> {
    let logs = joint(states, prior, seen, z)?;
    let total = log_sum_exp(&logs);
    Ok(logs.iter().map(|l| libm::exp(l - total)).collect())
}

fn log_likelihood(states: &[State], z: &[Vec<f64>]) -> Result<f64, ModelError> {
    let weights: Vec<f64> = states.iter().map(|s| s.weight).collect();
    let all: Vec<usize> = (0..z[0].len()).collect();
    let mut sum = 0.0;
    for row in z {
        sum += log_sum_exp(&joint(states, &weights, &all, row)?);
    }
    Ok(sum / z.len() as f64)
}

/// Counts moves between the rows' most likely states, with the prior that a state mostly stays.
fn transition(
    states: &[State],
    z: &[Vec<f64>],
    config: &RegimeConfig,
) -> Result<Vec<Vec<f64>>, ModelError> {
    let k = states.len();
    let weights: Vec<f64> = states.iter().map(|s| s.weight).collect();
    let all: Vec<usize> = (0..z[0].len()).collect();
    let mut path = Vec::with_capacity(z.len());
    for row in z {
        let belief = update(states, &weights, &all, row)?;
        let most = (0..k)
            .max_by(|a, b| belief[*a].total_cmp(&belief[*b]))
            .unwrap_or(0);
        path.push(most);
    }
    let leave = (1.0 - config.stay) / (k as f64 - 1.0);
    let mut counts: Vec<Vec<f64>> = (0..k)
        .map(|i| {
            (0..k)
                .map(|j| config.stay_prior_rows * if i == j { config.stay } else { leave })
                .collect()
        })
        .collect();
    for pair in path.windows(2) {
        counts[pair[0]][pair[1]] += 1.0;
    }
    for row in &mut counts {
        let total: f64 = row.iter().sum();
        row.iter_mut().for_each(|c| *c /= total);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
