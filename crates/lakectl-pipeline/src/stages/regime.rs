//! Volatility regimes: a mixture fitted at the first of a month, filtered forward through its decision times.

use arrow::array::RecordBatch;
use lakectl_models::{Artifact, ModelError, RegimeConfig, RegimeModel};

use super::forecast::model_version;
use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

/// What the regimes are told apart by.
const FEATURES: [&str; 4] = ["iv_30d", "rv_7d", "skew", "term_structure"];
/// Those of them that order the regimes, so that the calm one stays the calm one after a refit.
const VOLATILITIES: [usize; 2] = [0, 1];
const NAMES: [&str; 3] = ["calm", "normal", "stressed"];

const FEATURES_OF_MATRIX: Uses = ("features.matrix", &FEATURES);
const DECISIONS: &[Uses] = &[("features.matrix", &["as_of"])];
/// What the columns of `regime_fit` are made of.
pub(super) const FIT_MADE: &[Made] = &[Made {
    columns: &[
        "rows",
        "log_likelihood",
        "artifact",
        "model_version",
        "reason",
    ],
    values: &[FEATURES_OF_MATRIX],
    conditions: DECISIONS,
}];
/// What the columns of `regime_filter` are made of.
pub(super) const FILTER_MADE: &[Made] = &[
    Made {
        columns: &["as_of", "known_at"],
        values: DECISIONS,
        conditions: &[],
    },
    Made {
        columns: &["calm_prob", "normal_prob", "stressed_prob", "regime"],
        values: &[FEATURES_OF_MATRIX, ("models.regime", &["artifact"])],
        conditions: DECISIONS,
    },
    Made {
        columns: &["asset"],
        values: &[],
        conditions: DECISIONS,
    },
    Made {
        columns: &["model_version"],
        values: &[("models.regime", &["artifact"])],
        conditions: DECISIONS,
    },
    Made {
        columns: &["reason"],
        values: &[("models.regime", &["reason"])],
        conditions: DECISIONS,
    },
];

/// One decision time's values, in the order of [`FEATURES`].
type Row = Vec<Option<f64>>;

fn rows(matrix: &Columns) -> Result<(Vec<i64>, Vec<Row>), PipelineError> {
    let columns = FEATURES
        .iter()
        .map(|name| matrix.f64s(name))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = (0..matrix.rows())
        .map(|i| columns.iter().map(|column| column[i]).collect())
        .collect();
    Ok((matrix.micros("as_of")?, rows))
}

/// Fits the regimes on the decision rows before the first of the month.
pub(super) fn fit(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let fitted_at = task.period.start.start().micros();
    let oldest = task
        .period
        .start
        .plus(-(task.count("regime_window_days")? as i32))
        .start()
        .micros();
    let (times, rows) = rows(task.input("features.matrix")?)?;
    let known: Vec<_> = times
        .iter()
        .zip(rows)
        .filter(|(t, _)| **t >= oldest && **t < fitted_at)
        .map(|(_, r)| r)
        .collect();
    let config = RegimeConfig {
        min_rows: task.count("regime_rows_min")?,
        order_by: VOLATILITIES.to_vec(),
        ..RegimeConfig::default()
    };
    let names = FEATURES.map(str::to_owned);
    let (count, likelihood, artifact, reason) =
        match RegimeModel::fit(&known, &names, &config, task.seed) {
            Ok(model) => {
                let (count, likelihood) = (model.rows(), model.log_likelihood());
                let json =
                    Artifact::new(model, names.to_vec(), count, (oldest, fitted_at), task.seed)
                        .to_json();
                (count, Some(likelihood), Some(json.map_err(failed)?), None)
            }
            Err(ModelError::TooFewRows { found, needed }) => (
                found,
                None,
                None,
                Some(format!("{found} complete rows, {needed} needed")),
            ),
            // A mixture that does not converge is a fact about the data, not a reason to stop the run.
            Err(error @ (ModelError::Mixture { .. } | ModelError::ConstantColumn { .. })) => {
                (known.len(), None, None, Some(error.to_string()))
            }
            Err(error) => return Err(failed(error)),
        };
    let columns = vec![
        Out::Utf8(vec![Some(task.asset()?)]),
        Out::Ts(vec![Some(fitted_at)]),
        Out::Ts(vec![Some(fitted_at)]),
        Out::I64(vec![Some(count as i64)]),
        Out::F64(vec![likelihood]),
        Out::Utf8(vec![artifact.clone()]),
        Out::Utf8(vec![artifact.as_deref().map(model_version)]),
        Out::Utf8(vec![reason]),
    ];
    batch(&task.schema, columns)
}

/// Filters the month's decision times with the model fitted before it.
pub(super) fn filter(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let (times, rows) = rows(task.input("features.matrix")?)?;
    let models = task.input("models.regime")?;
    let artifact = models.texts("artifact")?.into_iter().next().flatten();
    let why_not = models.texts("reason")?.into_iter().next().flatten();
    let filtered = match &artifact {
        Some(json) => {
            let model = Artifact::<RegimeModel>::from_json(json)
                .map_err(failed)?
                .model;
            Some(model.filter(&rows).map_err(failed)?)
        }
        None => None,
    };
    let inside: Vec<usize> = (0..times.len())
        .filter(|i| {
            task.period
                .contains(lakectl_core::UtcTime::from_micros(times[*i]).day())
        })
        .collect();
    let column = |state: usize| {
        inside
            .iter()
            .map(|i| filtered.as_ref().map(|f| f[*i][state]))
            .collect()
    };
    let likeliest = |i: &usize| {
        let belief = &filtered.as_ref()?[*i];
        let best = (0..NAMES.len()).max_by(|a, b| belief[*a].total_cmp(&belief[*b]))?;
        Some(NAMES[best].to_owned())
    };
    let stamps: Vec<Option<i64>> = inside.iter().map(|i| Some(times[*i])).collect();
    let columns = vec![
        Out::Utf8(vec![Some(task.asset()?); inside.len()]),
        Out::Ts(stamps.clone()),
        Out::Ts(stamps),
        Out::F64(column(0)),
        Out::F64(column(1)),
        Out::F64(column(2)),
        Out::Utf8(inside.iter().map(likeliest).collect()),
        Out::Utf8(vec![artifact.as_deref().map(model_version); inside.len()]),
        Out::Utf8(vec![why_not; inside.len()]),
    ];
    batch(&task.schema, columns)
}

fn failed(error: ModelError) -> PipelineError {
    PipelineError::stage(error.to_string())
}
