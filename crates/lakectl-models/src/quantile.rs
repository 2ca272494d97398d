//! The distribution forecast: a location-scale model of the log return over a horizon.
//!
//! The histories are short (a few hundred days, sometimes a few dozen), so almost everything is known beforehand
//! and the data may only move it:
//!
//! ```text
//! r = location + sigma(x) * z
//! ln sigma(x) = level + b_implied * implied + b_realised * realised + sum c_j * plain_j
//! ```
//!
//! `implied` and `realised` are the log implied and realised volatilities about their training means. The
//! coefficients maximise a Student t(5) likelihood of the *daily* returns inside the horizon under normal priors
//! (volatility moves almost one for one with its anchors, everything else hardly matters): a convex problem,
//! solved by Newton steps. `b_implied` never falls below [`FitConfig::implied_floor`], and what rises with the implied
//! volatility by its nature ([`Role::Alarm`]) never has a negative coefficient, so options that become dearer widen
//! the interval. The plain features enter as they are: cleared of their dependence on the implied volatility they
//! would answer a rise of the volatility alone, and could outweigh it.
//! The shape of `z` is that of a sum of t(5) days, moved towards the quantiles of the training residuals as
//! these become many; the location is the training drift, shrunk hard towards zero.

mod anchor;
mod likelihood;
mod plain;

use std::collections::{BTreeMap, BTreeSet};

use lakectl_stats::quantiles::empirical_quantile;
use lakectl_stats::scores::QuantileFunction;
use lakectl_stats::special::{student_t_quantile, student_t_sd};
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ModelKind};
use crate::dataset::{DAYS_PER_YEAR, Dataset, Feature, Label, Role};
use crate::error::ModelError;
use crate::exact;
use anchor::Anchor;
use likelihood::{Observation, Penalty};
use plain::{PlainTerm, plain_terms};

/// Levels of the published quantiles.
pub const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Degrees of freedom of a day's return.
pub(crate) const DAILY_DF: f64 = 5.0;

/// Priors and limits of the fit. The defaults serve every horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct FitConfig {
    /// Below this many labelled rows the plain features and the residuals' own shape are not used.
    pub min_rows: usize,
    /// Share of its family's training rows a plain feature must cover to be used.
    pub min_coverage: f64,
    /// Prior standard deviation of the level of log volatility about its trailing realised level.
    pub level_sd: f64,
    /// Prior mean and standard deviation of the coefficient on log implied volatility.
    pub implied_prior: (f64, f64),
    /// Prior mean and standard deviation of the coefficient on log realised volatility, next to an implied one.
    pub realised_prior: (f64, f64),
    /// Prior mean of that coefficient when no implied volatility exists.
    pub realised_alone: f64,
    /// Smallest coefficient on log implied volatility.
    pub implied_floor: f64,
    /// Prior variance of log volatility that all plain features may explain together.
    pub plain_variance: f64,
    /// Days of history at which the sample drift is believed half.
    pub drift_prior_days: f64,
    /// Independent outcomes at which the residuals' own quantiles weigh half.
    pub shape_prior_rows: f64,
}

impl Default for FitConfig {
    fn default() -> Self {
        Self {
            min_rows: 30,
            min_coverage: 0.5,
            level_sd: 0.3,
            implied_prior: (0.8, 0.5),
            realised_prior: (0.15, 0.3),
            realised_alone: 0.7,
            implied_floor: 0.35,
            plain_variance: 0.01,
            drift_prior_days: 400.0,
            shape_prior_rows: 150.0,
        }
    }
}

/// A fitted distribution model for one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileModel {
    horizon_hours: u32,
    features: Vec<Feature>,
    anchor: Anchor,
    /// Level, implied and realised coefficients.
    #[serde(with = "exact::vector")]
    core: Vec<f64>,
    plain: Vec<PlainTerm>,
    #[serde(with = "exact::scalar")]
    location: f64,
    /// Quantiles of the standardised residual at [`LEVELS`].
    #[serde(with = "exact::vector")]
    shape: Vec<f64>,
    rows: usize,
    range: (i64, i64),
    /// Families with a feature, none of which had enough training rows to be used.
    untrained: Vec<String>,
    short_history: bool,
}

impl ModelKind for QuantileModel {
    const KIND: &'static str = "quantile";
    const VERSION: u32 = 2;
}

/// A predicted distribution of the log return, with what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Horizon in hours.
    pub horizon_hours: u32,
    /// Quantiles of the log return at [`LEVELS`], not decreasing.
    pub quantiles: [f64; 5],
    /// Centre of the distribution before its shape (log return over the horizon).
    pub location: f64,
    /// Scale of the distribution: of a daily Student t(5) return, times the square root of the horizon's days.
    pub scale: f64,
    /// Feature families that entered, sorted.
    pub present: Vec<String>,
    /// What was missing or too short, in words of one token each, sorted: `absent:onchain`, `partial:options`,
    /// `untrained:whales`, `short_history`, `no_anchor`.
    pub degraded: Vec<String>,
}

impl Forecast {
    /// The distribution as a quantile function with exponential tails, for scores and tail probabilities.
    ///
    /// # Errors
    /// Only if a quantile is not finite, which [`QuantileModel::predict`] excludes.
    pub fn quantile_function(&self) -> Result<QuantileFunction, ModelError> {
        Ok(QuantileFunction::new(&LEVELS, &self.quantiles)?)
    }

    /// One line for a table: the families that entered, then what was degraded.
    pub fn basis(&self) -> String {
        let mut text = self.present.join("+");
        if text.is_empty() {
            text.push_str("history");
        }
        for word in &self.degraded {
            text.push(';');
            text.push_str(word);
        }
        text
    }
}

/// One training row with its outcome.
struct Labelled<'a> {
    row: &'a [Option<f64>],
    label: &'a Label,
}

impl QuantileModel {
    /// Fits the model to the labelled rows of `data`; the caller passes only rows whose outcome was known
    /// ([`Dataset::known_at`]).
    ///
    /// # Errors
    /// [`ModelError::TooFewRows`] below two labelled rows; [`ModelError::Numeric`] if the likelihood cannot be
    /// maximised.
    pub fn fit(data: &Dataset, config: &FitConfig) -> Result<Self, ModelError> {
        let rows: Vec<Labelled<'_>> = (0..data.len())
            .filter_map(|i| {
                data.label(i).map(|label| Labelled {
                    row: data.row(i),
                    label,
                })
            })
            .filter(|l| !l.label.path.is_empty() && l.label.total.is_finite())
            .collect();
        if rows.len() < 2 {
            return Err(ModelError::TooFewRows {
                found: rows.len(),
                needed: 2,
            });
        }
        let short_history = rows.len() < config.min_rows;
        let anchor = Anchor::fit(data.features(), &rows);
        let (mut plain, untrained) = plain_terms(data.features(), &rows, &anchor, config);
        let coefficients = maximise(&rows, &anchor, &plain, data, config)?;
        let (core, rest) = coefficients.split_at(3);
        for (term, coefficient) in plain.iter_mut().zip(rest) {
            term.coefficient = *coefficient;
        }
        let known: Vec<i64> = rows.iter().map(|l| l.label.known_at).collect();
        let first = (0..data.len())
            .filter(|i| data.label(*i).is_some())
            .map(|i| data.as_of(i))
            .min();
        let mut model = Self {
            horizon_hours: data.horizon_hours(),
            features: data.features().to_vec(),
            anchor,
            core: core.to_vec(),
            plain,
            location: 0.0,
            shape: Vec::new(),
            rows: rows.len(),
            range: (first.unwrap_or(0), known.into_iter().max().unwrap_or(0)),
            untrained: untrained.into_iter().collect(),
            short_history,
        };
        model.fit_location_and_shape(&rows, data.row_weight(), config)?;
        Ok(model)
    }

    /// Fits drift and residual quantiles, given the scale.
    fn fit_location_and_shape(
        &mut self,
        rows: &[Labelled<'_>],
        row_weight: f64,
        config: &FitConfig,
    ) -> Result<(), ModelError> {
        let days = self.days();
        let scales: Vec<f64> = rows.iter().map(|l| self.scale(l.row)).collect();
        let precision: f64 = scales.iter().map(|s| 1.0 / (s * s)).sum();
        let weighted: f64 = rows
            .iter()
            .zip(&scales)
            .map(|(l, s)| l.label.total / (s * s))
            .sum();
        let outcomes = rows.len() as f64 * row_weight;
        self.location =
            weighted / precision * (outcomes * days / (outcomes * days + config.drift_prior_days));
        let residuals: Vec<f64> = rows
            .iter()
            .zip(&scales)
            .map(|(l, s)| (l.label.total - self.location) / s)
            .collect();
        let believe = if self.short_history {
            0.0
        } else {
            outcomes / (outcomes + config.shape_prior_rows)
        };
        self.shape = LEVELS
            .iter()
            .map(|tau| {
                let prior = prior_shape(*tau, days)?;
                Ok(prior + believe * (empirical_quantile(&residuals, *tau)? - prior))
            })
            .collect::<Result<_, ModelError>>()?;
        self.shape.sort_by(f64::total_cmp);
        Ok(())
    }

    /// Predicts the distribution for one row of inputs in the order of the training features.
    ///
    /// # Errors
    /// [`ModelError::WrongWidth`]; [`ModelError::Numeric`] if an input is so extreme that the scale overflows.
    pub fn predict(&self, row: &[Option<f64>]) -> Result<Forecast, ModelError> {
        if row.len() != self.features.len() {
            return Err(ModelError::WrongWidth {
                expected: self.features.len(),
                found: row.len(),
            });
        }
        let row: Vec<Option<f64>> = row.iter().map(|x| x.filter(|x| x.is_finite())).collect();
        let scale = self.scale(&row);
        let mut quantiles = [0.0; 5];
        for (q, z) in quantiles.iter_mut().zip(&self.shape) {
            *q = self.location + scale * z;
        }
        if !(scale > 0.0 && quantiles.iter().all(|q| q.is_finite())) {
            return Err(ModelError::Numeric {
                step: "predicted scale",
            });
        }
        let (present, degraded) = self.families(&row);
        Ok(Forecast {
            horizon_hours: self.horizon_hours,
            quantiles,
            location: self.location,
            scale,
            present,
            degraded,
        })
    }

    /// Families that entered a forecast from `row`, and the words for those that did not.
    fn families(&self, row: &[Option<f64>]) -> (Vec<String>, Vec<String>) {
        let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
        for (column, (feature, value)) in self.features.iter().zip(row).enumerate() {
            let (known, found, all) = counts.entry(&feature.family).or_default();
            let used = self.anchor.uses(column) || self.plain.iter().any(|t| t.column == column);
            *all += 1;
            *known += usize::from(value.is_some());
            *found += usize::from(used && value.is_some());
        }
        let (mut present, mut degraded) = (Vec::new(), BTreeSet::new());
        for (family, (known, found, all)) in counts {
            if known == 0 {
                degraded.insert(format!("absent:{family}"));
                continue;
            }
            if self.untrained.iter().any(|f| f == family) {
                degraded.insert(format!("untrained:{family}"));
                continue;
            }
            present.push(family.to_string());
            if found < all {
                degraded.insert(format!("partial:{family}"));
            }
        }
        if self.short_history {
            degraded.insert("short_history".to_string());
        }
        if !self.anchor.found_in(row) {
            degraded.insert("no_anchor".to_string());
        }
        (present, degraded.into_iter().collect())
    }

    fn days(&self) -> f64 {
        f64::from(self.horizon_hours) / 24.0
    }

    /// Scale over the horizon for one row.
    fn scale(&self, row: &[Option<f64>]) -> f64 {
        let (implied, realised) = self.anchor.centred(row);
        let plain: f64 = self
            .plain
            .iter()
            .map(|t| t.coefficient * t.value(row))
            .sum();
        let log = self.core[0] + self.core[1] * implied + self.core[2] * realised + plain;
        libm::exp(log + self.anchor.level() + daily_unit()) * libm::sqrt(self.days())
    }

    /// Horizon in hours.
    pub fn horizon_hours(&self) -> u32 {
        self.horizon_hours
    }

    /// Inputs in the order that [`QuantileModel::predict`] takes them.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Labelled rows used.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elasticity of the width to implied and to realised volatility.
    pub fn elasticities(&self) -> (f64, f64) {
        (self.core[1], self.core[2])
    }

    /// Wraps the model for storage.
    pub fn into_artifact(self, seed: u64) -> Artifact<Self> {
        let names = self.features.iter().map(|f| f.name.clone()).collect();
        let (rows, range) = (self.rows, self.range);
        Artifact::new(self, names, rows, range, seed)
    }
}

/// Log of the factor from an annual standard deviation to the scale of a daily t return.
fn daily_unit() -> f64 {
    let sd = libm::sqrt(DAILY_DF / (DAILY_DF - 2.0));
    -0.5 * libm::log(DAYS_PER_YEAR) - libm::log(sd)
}

/// Quantile of the sum of `days` daily t(5) returns over the square root of `days`.
///
/// The excess kurtosis of the sum falls as 1/days (t(5) has 6), so a t with `4 + days` degrees of freedom of the
/// same variance stands in for it.
fn prior_shape(tau: f64, days: f64) -> Result<f64, ModelError> {
    let df = DAILY_DF - 1.0 + days;
    Ok(student_t_quantile(tau, df)? / student_t_sd(df)? * student_t_sd(DAILY_DF)?)
}

/// Maximises the penalised likelihood: level, implied and realised coefficients, then one per plain term.
fn maximise(
    rows: &[Labelled<'_>],
    anchor: &Anchor,
    plain: &[PlainTerm],
    data: &Dataset,
    config: &FitConfig,
) -> Result<Vec<f64>, ModelError> {
    let width = 3 + plain.len();
    let offset = anchor.level() + daily_unit();
    let mut design = Vec::with_capacity(rows.len() * width);
    let mut observations = Vec::new();
    for (i, l) in rows.iter().enumerate() {
        let (implied, realised) = anchor.centred(l.row);
        design.extend([1.0, implied, realised]);
        design.extend(plain.iter().map(|t| t.value(l.row)));
        // Overlapping horizons repeat the same days: each day shall count about once.
        let weight = data.row_weight();
        observations.extend(l.label.path.iter().map(|r| Observation {
            row: i,
            offset,
            value: *r,
            weight,
        }));
    }
    let has_implied = anchor.has_implied();
    let realised = if has_implied {
        config.realised_prior.0
    } else {
        config.realised_alone
    };
    let mut mean = vec![
        0.0,
        if has_implied {
            config.implied_prior.0
        } else {
            0.0
        },
        realised,
    ];
    mean.resize(width, 0.0);
    let plain_sd = libm::sqrt(config.plain_variance / plain.len().max(1) as f64);
    let mut sd = vec![
        config.level_sd,
        config.implied_prior.1,
        config.realised_prior.1,
    ];
    sd.resize(width, plain_sd);
    let mut lower = vec![
        None,
        Some(if has_implied {
            config.implied_floor
        } else {
            0.0
        }),
        Some(0.0),
    ];
    let alarms = plain
        .iter()
        .map(|t| data.features()[t.column].role == Role::Alarm);
    lower.extend(alarms.map(|alarm| alarm.then_some(0.0)));
    likelihood::maximise(&design, &observations, &Penalty { mean, sd, lower })
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod recorded;
