//! The two volatility anchors of a row: log implied and log realised volatility about their training means.

use serde::{Deserialize, Serialize};

use super::Labelled;
use crate::dataset::{DAYS_PER_YEAR, Feature, Role};
use crate::exact;

/// Log distance of implied above realised volatility that is assumed before any row shows it.
const PREMIUM: f64 = 0.08;
/// Rows at which the observed premium is believed half.
const PREMIUM_PRIOR_ROWS: f64 = 10.0;
/// Volatilities (fraction per square root of a year) outside this range are errors of the source, not anchors.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.005..=20.0;

/// One column of an anchor with its mean log over the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    column: usize,
    #[serde(with = "exact::scalar")]
    mean: f64,
}

impl Member {
    fn deviation(&self, row: &[Option<f64>]) -> Option<f64> {
        log_vol(row[self.column]).map(|x| x - self.mean)
    }
}

/// Mean logs of the volatility columns. A row's anchor is the mean deviation of the columns it has, so that a
/// missing member does not shift it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Anchor {
    implied: Vec<Member>,
    realised: Vec<Member>,
    /// Log annual volatility about which the level is fitted.
    #[serde(with = "exact::scalar")]
    level: f64,
}

fn log_vol(x: Option<f64>) -> Option<f64> {
    x.filter(|v| PLAUSIBLE.contains(v)).map(libm::log)
}

fn mean(xs: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (sum, count) = xs.fold((0.0, 0.0), |(s, n), x| (s + x, n + 1.0));
    (count > 0.0).then_some((sum / count, count))
}

fn mean_deviation(members: &[Member], row: &[Option<f64>]) -> Option<f64> {
    mean(members.iter().filter_map(|m| m.deviation(row))).map(|(m, _)| m)
}

impl Anchor {
    /// Takes the means over the training rows. Without a realised volatility the level is that of the outcomes
    /// themselves; an implied volatility seen on few rows is placed by the usual premium.
    pub(super) fn fit(features: &[Feature], rows: &[Labelled<'_>]) -> Self {
        let columns = |role: Role| {
            features
                .iter()
                .enumerate()
                .filter(move |(_, f)| f.role == role)
                .map(|(column, _)| column)
        };
        let history = outcome_level(rows);
        let realised: Vec<Member> = columns(Role::RealisedVol)
            .map(|column| {
                let seen = mean(rows.iter().filter_map(|l| log_vol(l.row[column])));
                Member {
                    column,
                    mean: seen.map_or(history, |(m, _)| m),
                }
            })
            .collect();
        let level = mean(realised.iter().map(|m| m.mean)).map_or(history, |(m, _)| m);
        let implied = columns(Role::ImpliedVol)
            .map(|column| {
                let premium = |l: &Labelled<'_>| {
                    let base = level + mean_deviation(&realised, l.row).unwrap_or(0.0);
                    log_vol(l.row[column]).map(|x| x - base)
                };
                let (seen, count) = mean(rows.iter().filter_map(premium)).unwrap_or((0.0, 0.0));
                let premium =
                    (count * seen + PREMIUM_PRIOR_ROWS * PREMIUM) / (count + PREMIUM_PRIOR_ROWS);
                Member {
                    column,
                    mean: level + premium,
                }
            })
            .collect();
        Self {
            implied,
            realised,
            level,
        }
    }

    /// Log annual volatility at which both anchors are zero.
    pub(super) fn level(&self) -> f64 {
        self.level
    }

    /// Whether the schema has an implied volatility.
    pub(super) fn has_implied(&self) -> bool {
        !self.implied.is_empty()
    }

    /// Whether this column is part of an anchor.
    pub(super) fn uses(&self, column: usize) -> bool {
        self.implied
            .iter()
            .chain(&self.realised)
            .any(|m| m.column == column)
    }

    /// Whether a row has any anchor.
    pub(super) fn found_in(&self, row: &[Option<f64>]) -> bool {
        mean_deviation(&self.implied, row)
            .or_else(|| mean_deviation(&self.realised, row))
            .is_some()
    }

    /// (implied, realised) deviation of a row. One stands in for the other where it is missing; with neither
    /// both are 0.
    pub(super) fn centred(&self, row: &[Option<f64>]) -> (f64, f64) {
        let implied = mean_deviation(&self.implied, row);
        let realised = mean_deviation(&self.realised, row);
        (
            implied.or(realised).unwrap_or(0.0),
            realised.or(implied).unwrap_or(0.0),
        )
    }
}

/// Log of the annualised root mean square of the daily outcomes.
fn outcome_level(rows: &[Labelled<'_>]) -> f64 {
    let squares = rows.iter().flat_map(|l| l.label.path.iter().map(|r| r * r));
    let (variance, _) = mean(squares).unwrap_or((0.0, 0.0));
    // A flat history still needs a finite level; 1 % a year is below any traded coin.
    0.5 * libm::log((variance * DAYS_PER_YEAR).max(1e-4))
}
