//! The supervised dataset: what was known at each decision time, and what happened afterwards.

mod returns;

use std::collections::BTreeSet;

use polars::prelude::*;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use returns::{daily_returns, from_grid};

pub use returns::{return_feature_schema, return_features};

/// Microseconds in one day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Microseconds in one hour.
const HOUR_MICROS: i64 = 3_600_000_000;
/// Days in a year of volatility.
pub(crate) const DAYS_PER_YEAR: f64 = 365.0;
/// Family of the columns made by [`return_features`].
pub const RETURNS_FAMILY: &str = "returns";

/// What a model may assume about a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An option-implied volatility, positive, fraction per square root of a year.
    ImpliedVol,
    /// A realised volatility, positive, fraction per square root of a year.
    RealisedVol,
    /// A number that rises when options become dearer, whatever else moves it: it may widen an interval, never narrow it.
    Alarm,
    /// Any other number.
    Plain,
}

/// One input column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Column name.
    pub name: String,
    /// Family (options, onchain, ...): what a forecast reports as present or absent.
    pub family: String,
    /// What the model may assume.
    pub role: Role,
    /// Rows over which a missing value may be carried forward; 0 never fills.
    pub carry_rows: u32,
}

impl Feature {
    /// A feature that is never filled forward.
    pub fn new(name: &str, family: &str, role: Role) -> Self {
        Self {
            name: name.to_string(),
            family: family.to_string(),
            role,
            carry_rows: 0,
        }
    }

    /// The same feature, carried forward over at most `rows` missing rows.
    #[must_use]
    pub fn carried(mut self, rows: u32) -> Self {
        self.carry_rows = rows;
        self
    }
}

/// What happened after a decision time.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Time at which the outcome was known: decision time plus horizon, microseconds.
    pub known_at: i64,
    /// Log return over the whole horizon.
    pub total: f64,
    /// Daily log returns that add up to `total`: a seven-day outcome says more about volatility than its sum.
    pub path: Vec<f64>,
}

/// What to assemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSpec {
    /// Columns of the feature frame to use, in the order of the model's inputs.
    pub features: Vec<Feature>,
    /// Horizon of the label in hours; a positive multiple of 24.
    pub horizon_hours: u32,
    /// Whether to append the columns of [`return_features`].
    pub with_return_features: bool,
}

/// Decision times, inputs and outcomes of one or more assets, oldest first within each.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    horizon_hours: u32,
    step_micros: i64,
    features: Vec<Feature>,
    as_of: Vec<i64>,
    values: Vec<Option<f64>>,
    labels: Vec<Option<Label>>,
}

impl Dataset {
    /// Joins a feature frame with daily closes.
    ///
    /// `features`: `as_of` (Int64, microseconds) and the Float64 columns of the specification, one asset, each
    /// row holding only what was known at its `as_of`. `prices`: `time` (Int64, microseconds) at which a close
    /// was in force and `close` (Float64, positive); closes off the daily grid of the decision times are
    /// ignored. A label needs a close on every day of its horizon; without one it is absent, never bridged.
    ///
    /// # Errors
    /// [`ModelError::BadColumn`], [`ModelError::BadTimes`], [`ModelError::BadParameter`].
    pub fn assemble(
        features: &DataFrame,
        prices: &DataFrame,
        spec: &DatasetSpec,
    ) -> Result<Self, ModelError> {
        let days = horizon_days(spec.horizon_hours)?;
        let as_of = times(features, "as_of")?;
        let anchor = as_of.first().map_or(0, |t| t.rem_euclid(DAY_MICROS));
        let grid = daily_returns(prices, anchor)?;
        let mut schema = spec.features.clone();
        let mut frame = features
            .clone()
            .lazy()
            .sort(["as_of"], SortMultipleOptions::default());
        frame = frame.select(
            std::iter::once(col("as_of"))
                .chain(spec.features.iter().map(filled))
                .collect::<Vec<_>>(),
        );
        if spec.with_return_features {
            frame = left_join(frame, from_grid(&grid)?.lazy());
            schema.extend(return_feature_schema());
        }
        let frame = left_join(frame, label_frame(&grid, days)?).collect()?;
        let as_of = times(&frame, "as_of")?;
        let columns = schema
            .iter()
            .map(|f| floats(&frame, &f.name))
            .collect::<Result<Vec<_>, _>>()?;
        let paths = (1..=days)
            .map(|k| floats(&frame, &path_name(k)))
            .collect::<Result<Vec<_>, _>>()?;
        let values = (0..as_of.len())
            .flat_map(|i| columns.iter().map(move |c| c[i]))
            .collect();
        let labels = as_of
            .iter()
            .enumerate()
            .map(|(i, t)| {
                let path: Vec<f64> = paths.iter().map(|p| p[i]).collect::<Option<_>>()?;
                let known_at = t + i64::from(spec.horizon_hours) * HOUR_MICROS;
                Some(Label {
                    known_at,
                    total: path.iter().sum(),
                    path,
                })
            })
            .collect();
        let step_micros = median_step(&as_of);
        Ok(Self {
            horizon_hours: spec.horizon_hours,
            step_micros,
            features: schema,
            as_of,
            values,
            labels,
        })
    }

    /// Builds a dataset from ready rows: (decision time, inputs in the order of `features`, outcome).
    ///
    /// # Errors
    /// [`ModelError::WrongWidth`], [`ModelError::BadTimes`] unless times increase, [`ModelError::BadParameter`].
    pub fn from_rows(
        features: Vec<Feature>,
        horizon_hours: u32,
        rows: Vec<(i64, Vec<Option<f64>>, Option<Label>)>,
    ) -> Result<Self, ModelError> {
        horizon_days(horizon_hours)?;
        let (mut as_of, mut values, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for (time, row, label) in rows {
            if row.len() != features.len() {
                return Err(ModelError::WrongWidth {
                    expected: features.len(),
                    found: row.len(),
                });
            }
            as_of.push(time);
            values.extend(row.into_iter().map(|x| x.filter(|x| x.is_finite())));
            labels.push(label);
        }
        if as_of.windows(2).any(|t| t[0] >= t[1]) {
            return Err(ModelError::BadTimes {
                column: "as_of".to_string(),
            });
        }
        let step_micros = median_step(&as_of);
        Ok(Self {
            horizon_hours,
            step_micros,
            features,
            as_of,
            values,
            labels,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.as_of.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.as_of.is_empty()
    }

    /// Horizon of the labels in hours.
    pub fn horizon_hours(&self) -> u32 {
        self.horizon_hours
    }

    /// The input columns in order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Decision time of row `i`, microseconds.
    pub fn as_of(&self, i: usize) -> i64 {
        self.as_of[i]
    }

    /// Inputs of row `i`, in the order of [`Dataset::features`].
    pub fn row(&self, i: usize) -> &[Option<f64>] {
        let width = self.features.len();
        &self.values[i * width..(i + 1) * width]
    }

    /// Outcome of row `i`, if its whole horizon has closes.
    pub fn label(&self, i: usize) -> Option<&Label> {
        self.labels[i].as_ref()
    }

    /// Position of the row with this decision time.
    pub fn position(&self, as_of: i64) -> Option<usize> {
        self.as_of.iter().position(|t| *t == as_of)
    }

    /// How many independent outcomes one more labelled row is worth: the spacing of decision times over the
    /// horizon, at most 1.
    pub fn row_weight(&self) -> f64 {
        (self.step_micros as f64 / (f64::from(self.horizon_hours) * HOUR_MICROS as f64)).min(1.0)
    }

    /// The rows whose outcome was known at `time`: the only ones a model for a decision at `time` may learn from.
    #[must_use]
    pub fn known_at(&self, time: i64) -> Self {
        self.select(|i| self.labels[i].as_ref().is_some_and(|l| l.known_at <= time))
    }

    /// The rows for which `keep` holds.
    #[must_use]
    pub fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|i| keep(*i)).collect();
        Self {
            horizon_hours: self.horizon_hours,
            step_micros: self.step_micros,
            features: self.features.clone(),
            as_of: kept.iter().map(|i| self.as_of[*i]).collect(),
            values: kept
                .iter()
                .flat_map(|i| self.row(*i).iter().copied())
                .collect(),
            labels: kept.iter().map(|i| self.labels[*i].clone()).collect(),
        }
    }

    /// Appends the rows of another asset, to fit one model on both.
    ///
    /// # Errors
    /// [`ModelError::BadParameter`] unless features and horizon are the same.
    pub fn append(&mut self, other: &Self) -> Result<(), ModelError> {
        if self.features != other.features || self.horizon_hours != other.horizon_hours {
            return Err(ModelError::BadParameter {
                name: "other",
                value: format!(
                    "{} features over {} h",
                    other.features.len(),
                    other.horizon_hours
                ),
                domain: "the same features and horizon",
            });
        }
        self.step_micros = self.step_micros.max(other.step_micros);
        self.as_of.extend(&other.as_of);
        self.values.extend(&other.values);
        self.labels.extend(other.labels.iter().cloned());
        Ok(())
    }

    /// The same outcomes with the input rows shuffled in time: a null against which skill must vanish.
    #[must_use]
    pub fn permuted(&self, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
        }
        let values = order
            .iter()
            .flat_map(|i| self.row(*i).iter().copied())
            .collect();
        Self {
            values,
            ..self.clone()
        }
    }
}

fn horizon_days(hours: u32) -> Result<usize, ModelError> {
    if hours == 0 || !hours.is_multiple_of(24) {
        let domain = "a positive multiple of 24";
        return Err(ModelError::BadParameter {
            name: "horizon_hours",
            value: hours.to_string(),
            domain,
        });
    }
    Ok(hours as usize / 24)
}

/// Middle distance between neighbouring times; a day when there are fewer than two.
fn median_step(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times.windows(2).map(|t| t[1] - t[0]).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(DAY_MICROS)
}

/// Reads a time column: no null, no time twice.
fn times(frame: &DataFrame, column: &str) -> Result<Vec<i64>, ModelError> {
    let bad_type = |_| ModelError::BadColumn {
        column: column.to_string(),
        expected: "Int64",
    };
    let values = frame
        .column(column)
        .map_err(bad_type)?
        .i64()
        .map_err(bad_type)?;
    let times: Option<Vec<i64>> = values.iter().collect();
    times
        .filter(|t| t.iter().collect::<BTreeSet<_>>().len() == t.len())
        .ok_or_else(|| ModelError::BadTimes {
            column: column.to_string(),
        })
}

/// Reads a number column; non-finite values become missing.
fn floats(frame: &DataFrame, column: &str) -> Result<Vec<Option<f64>>, ModelError> {
    let bad_type = |_| ModelError::BadColumn {
        column: column.to_string(),
        expected: "Float64",
    };
    let values = frame
        .column(column)
        .map_err(bad_type)?
        .f64()
        .map_err(bad_type)?;
    Ok(values.iter().map(|x| x.filter(|x| x.is_finite())).collect())
}

/// The column of a feature, carried forward as far as declared.
fn filled(feature: &Feature) -> Expr {
    let column = col(feature.name.as_str());
    if feature.carry_rows == 0 {
        column
    } else {
        column.fill_null_with_strategy(FillNullStrategy::Forward(Some(
            feature.carry_rows as IdxSize,
        )))
    }
}

/// Joins on `as_of`, keeping the rows and the order of the left side.
fn left_join(left: LazyFrame, right: LazyFrame) -> LazyFrame {
    let mut how = JoinArgs::new(JoinType::Left);
    how.maintain_order = MaintainOrderJoin::Left;
    left.join(right, [col("as_of")], [col("as_of")], how)
}

fn path_name(day: usize) -> String {
    format!("label_path_{day}")
}

/// Labels by decision time: the daily returns of the next `days` days.
fn label_frame(grid: &DataFrame, days: usize) -> Result<LazyFrame, ModelError> {
    let paths = (1..=days).map(|k| col("ret_1").shift(lit(-(k as i64))).alias(path_name(k)));
    Ok(grid.clone().lazy().select(
        std::iter::once(col("as_of"))
            .chain(paths)
            .collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests;
