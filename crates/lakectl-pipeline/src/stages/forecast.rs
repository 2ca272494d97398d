//! Quantile forecasts of the log return: fitted at the first of a month, applied to its decision times.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_core::{Fingerprint, MICROS_PER_DAY};
use lakectl_models::{
    Artifact, Dataset, DatasetSpec, Feature, FitConfig, Forecast, ModelError, QuantileModel, Role,
};
use polars::prelude::{Column, DataFrame};

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

/// Forecast horizons in hours.
const HORIZON_HOURS: [u32; 2] = [24, 168];

/// The inputs of the model: column, family, role. The volatilities of a role that are present anchor the width together.
fn features() -> Vec<Feature> {
    let plain = Role::Plain;
    [
        ("iv_7d", "options", Role::ImpliedVol),
        ("iv_30d", "options", Role::ImpliedVol),
        ("dvol", "dvol", Role::ImpliedVol),
        ("ewma_vol", "bars", Role::RealisedVol),
        ("rv_1d", "bars", Role::RealisedVol),
        ("rv_7d", "bars", Role::RealisedVol),
        ("rv_30d", "bars", Role::RealisedVol),
        ("ret_1d", "bars", plain),
        ("ret_7d", "bars", plain),
        ("skew", "options", plain),
        ("curvature", "options", plain),
        ("term_structure", "options", plain),
        ("surface_shock", "options", Role::Alarm),
        ("funding_8h", "funding", plain),
        ("supply_elasticity", "onchain", plain),
        ("forced_flow", "onchain", plain),
        ("liquidity_impulse", "onchain", plain),
        ("divergence_score", "divergence", Role::Alarm),
        ("market_state_score", "signals", plain),
        ("stressed_prob", "regime", Role::Alarm),
    ]
    .into_iter()
    .map(|(name, family, role)| Feature::new(name, family, role))
    .collect()
}

/// The columns of [`features`] that are in the matrix.
const OF_MATRIX: Uses = (
    "features.matrix",
    &[
        "iv_7d",
        "iv_30d",
        "dvol",
        "ewma_vol",
        "rv_1d",
        "rv_7d",
        "rv_30d",
        "ret_1d",
        "ret_7d",
        "skew",
        "curvature",
        "term_structure",
        "surface_shock",
        "funding_8h",
        "supply_elasticity",
        "forced_flow",
        "liquidity_impulse",
        "divergence_score",
        "market_state_score",
    ],
);
const STRESS: Uses = ("forecast.regimes", &["stressed_prob"]);
const ARTIFACT: Uses = ("models.quantile", &["artifact"]);
/// A forecast is there for each decision time with a price and each fitted horizon.
const FORECASTS: &[Uses] = &[
    ("features.matrix", &["as_of", "price"]),
    ("forecast.regimes", &["as_of"]),
    ("models.quantile", &["horizon_hours", "artifact"]),
];
/// What the columns of `quantile_fit` are made of; labels are moves of the price.
pub(super) const FIT_MADE: &[Made] = &[Made {
    columns: &["rows", "artifact", "model_version", "reason"],
    values: &[OF_MATRIX, STRESS, ("features.matrix", &["price"])],
    conditions: &[
        ("features.matrix", &["as_of"]),
        ("forecast.regimes", &["as_of"]),
    ],
}];
/// What the columns of `quantile_predict` are made of.
pub(super) const PREDICT_MADE: &[Made] = &[
    Made {
        columns: &["as_of", "known_at"],
        values: &[("features.matrix", &["as_of"])],
        conditions: FORECASTS,
    },
    Made {
        columns: &["horizon_hours"],
        values: &[("models.quantile", &["horizon_hours"])],
        conditions: FORECASTS,
    },
    Made {
        columns: &["price"],
        values: &[("features.matrix", &["price"])],
        conditions: FORECASTS,
    },
    Made {
        columns: &[
            "q05",
            "q25",
            "q50",
            "q75",
            "q95",
            "volatility",
            "expected_shortfall_05",
            "basis",
        ],
        values: &[OF_MATRIX, STRESS, ARTIFACT],
        conditions: FORECASTS,
    },
    Made {
        columns: &["model_version"],
        values: &[ARTIFACT],
        conditions: FORECASTS,
    },
    Made {
        columns: &["asset"],
        values: &[],
        conditions: FORECASTS,
    },
];

/// Decision rows joined with the regime known at each of them.
struct Rows {
    as_of: Vec<i64>,
    price: Vec<Option<f64>>,
    columns: BTreeMap<String, Vec<Option<f64>>>,
}

impl Rows {
    fn read(task: &NativeTask) -> Result<Self, PipelineError> {
        let matrix = task.input("features.matrix")?;
        let regimes = task.input("forecast.regimes")?;
        let stressed: BTreeMap<i64, Option<f64>> = regimes
            .micros("as_of")?
            .into_iter()
            .zip(regimes.f64s("stressed_prob")?)
            .collect();
        let as_of = matrix.micros("as_of")?;
        let mut columns = BTreeMap::new();
        for feature in features() {
            let values = match feature.name.as_str() {
                "stressed_prob" => as_of
                    .iter()
                    .map(|t| stressed.get(t).copied().flatten())
                    .collect(),
                name => positive_if_volatility(matrix.f64s(name)?, feature.role),
            };
            columns.insert(feature.name, values);
        }
        Ok(Self {
            price: matrix.f64s("price")?,
            as_of,
            columns,
        })
    }

    fn row(&self, i: usize, names: &[String]) -> Vec<Option<f64>> {
        names
            .iter()
            .map(|name| self.columns.get(name).and_then(|column| column[i]))
            .collect()
    }

    /// The frames that a dataset is assembled from; rows older than `oldest_micros` are left out.
    fn frames(&self, oldest_micros: i64) -> Result<(DataFrame, DataFrame), PipelineError> {
        let kept: Vec<usize> = (0..self.as_of.len())
            .filter(|i| self.as_of[*i] >= oldest_micros)
            .collect();
        let take = |values: &[Option<f64>]| -> Vec<Option<f64>> {
            kept.iter().map(|i| values[*i]).collect()
        };
        let times: Vec<i64> = kept.iter().map(|i| self.as_of[*i]).collect();
        let mut columns = vec![Column::new("as_of".into(), times.clone())];
        columns.extend(
            self.columns
                .iter()
                .map(|(name, values)| Column::new(name.as_str().into(), take(values))),
        );
        let prices = vec![
            Column::new("time".into(), times),
            Column::new("close".into(), take(&self.price)),
        ];
        let frame = |columns| {
            DataFrame::new(kept.len(), columns).map_err(|error| model(ModelError::Frame(error)))
        };
        Ok((frame(columns)?, frame(prices)?))
    }
}

/// A realised volatility of zero is a day without trades, not a calm one.
fn positive_if_volatility(values: Vec<Option<f64>>, role: Role) -> Vec<Option<f64>> {
    match role {
        Role::Alarm | Role::Plain => values,
        Role::ImpliedVol | Role::RealisedVol => {
            values.into_iter().map(|x| x.filter(|x| *x > 0.0)).collect()
        }
    }
}

fn model(error: ModelError) -> PipelineError {
    PipelineError::stage(error.to_string())
}

/// The model of one horizon, or why there is none.
struct Fitted {
    horizon_hours: u32,
    rows: usize,
    artifact: Option<String>,
    reason: Option<String>,
}

impl Fitted {
    fn of(
        known: &Dataset,
        horizon_hours: u32,
        config: &FitConfig,
        seed: u64,
    ) -> Result<Self, PipelineError> {
        match QuantileModel::fit(known, config) {
            Ok(quantiles) => {
                let rows = quantiles.rows();
                let json = quantiles.into_artifact(seed).to_json().map_err(model)?;
                Ok(Self {
                    horizon_hours,
                    rows,
                    artifact: Some(json),
                    reason: None,
                })
            }
            Err(ModelError::TooFewRows { found, needed }) => {
                let reason = format!("{found} labelled rows, {needed} needed");
                Ok(Self {
                    horizon_hours,
                    rows: found,
                    artifact: None,
                    reason: Some(reason),
                })
            }
            Err(error) => Err(model(error)),
        }
    }
}

/// Fits one model a horizon on the labels known at the first of the month.
pub(super) fn fit(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let fitted_at = task.period.start.start().micros();
    let window_days = task.count("training_window_days")? as i64;
    let config = FitConfig {
        min_rows: task.count("training_rows_min")?,
        ..FitConfig::default()
    };
    let (frame, prices) = Rows::read(task)?.frames(fitted_at - window_days * MICROS_PER_DAY)?;
    let mut fitted = Vec::new();
    for horizon_hours in HORIZON_HOURS {
        let spec = DatasetSpec {
            features: features(),
            horizon_hours,
            with_return_features: false,
        };
        let known = Dataset::assemble(&frame, &prices, &spec)
            .map_err(model)?
            .known_at(fitted_at);
        fitted.push(Fitted::of(&known, horizon_hours, &config, task.seed)?);
    }
    let version = |f: &Fitted| f.artifact.as_deref().map(model_version);
    let columns = vec![
        Out::Utf8(vec![Some(asset); fitted.len()]),
        Out::Ts(vec![Some(fitted_at); fitted.len()]),
        Out::Ts(vec![Some(fitted_at); fitted.len()]),
        Out::I64(
            fitted
                .iter()
                .map(|f| Some(i64::from(f.horizon_hours)))
                .collect(),
        ),
        Out::I64(fitted.iter().map(|f| Some(f.rows as i64)).collect()),
        Out::Utf8(fitted.iter().map(|f| f.artifact.clone()).collect()),
        Out::Utf8(fitted.iter().map(version).collect()),
        Out::Utf8(fitted.iter().map(|f| f.reason.clone()).collect()),
    ];
    batch(&task.schema, columns)
}

/// Names a model by its content.
pub(super) fn model_version(artifact: &str) -> String {
    Fingerprint::of(artifact.as_bytes()).short()
}

/// Applies the month's models to its decision times. A decision time without a price has no forecast.
pub(super) fn predict(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let rows = Rows::read(task)?;
    let models = models(task.input("models.quantile")?)?;
    let (mut times, mut horizons, mut versions, mut bases) = (vec![], vec![], vec![], vec![]);
    let mut numbers: [Vec<Option<f64>>; 8] = Default::default();
    for i in 0..rows.as_of.len() {
        let Some(price) = rows.price[i] else { continue };
        for (horizon_hours, (artifact, version)) in &models {
            let forecast = artifact
                .model
                .predict(&rows.row(i, &artifact.features))
                .map_err(model)?;
            times.push(Some(rows.as_of[i]));
            horizons.push(Some(*horizon_hours));
            for (column, value) in numbers.iter_mut().zip(values(price, &forecast)) {
                column.push(Some(value));
            }
            versions.push(Some(version.clone()));
            bases.push(Some(forecast.basis()));
        }
    }
    let mut columns = vec![
        Out::Utf8(vec![Some(asset); times.len()]),
        Out::Ts(times.clone()),
        Out::Ts(times),
        Out::I64(horizons),
    ];
    columns.extend(numbers.map(Out::F64));
    columns.push(Out::Utf8(versions));
    columns.push(Out::Utf8(bases));
    batch(&task.schema, columns)
}

type Models = BTreeMap<i64, (Artifact<QuantileModel>, String)>;

fn models(table: &Columns) -> Result<Models, PipelineError> {
    let (horizons, artifacts) = (table.i64s("horizon_hours")?, table.texts("artifact")?);
    let mut models = Models::new();
    for (horizon, artifact) in horizons.into_iter().zip(artifacts) {
        if let (Some(horizon), Some(json)) = (horizon, artifact) {
            models.insert(
                horizon,
                (
                    Artifact::from_json(&json).map_err(model)?,
                    model_version(&json),
                ),
            );
        }
    }
    Ok(models)
}

/// Price, five quantiles, annual volatility and expected shortfall.
///
/// The shortfall is the mean return below q05 under an exponential tail through q05 and q25, the tail rule that the
/// scores use as well.
fn values(price: f64, forecast: &Forecast) -> [f64; 8] {
    let [q05, q25, q50, q75, q95] = forecast.quantiles;
    let years = f64::from(forecast.horizon_hours) / (365.0 * 24.0);
    // The scale is that of a Student t with five degrees of freedom, whose deviation is sqrt(5/3) times as large.
    let volatility = forecast.scale * (5.0_f64 / 3.0).sqrt() / years.sqrt();
    let shortfall = q05 - (q25 - q05) / 5.0_f64.ln();
    [price, q05, q25, q50, q75, q95, volatility, shortfall]
}
