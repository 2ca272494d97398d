//! The forecast made once more outside of the pipeline, on features as they are and shuffled in time.

use std::collections::BTreeMap;

use lakectl_core::{MICROS_PER_DAY, UtcTime};
use lakectl_models::{Artifact, Dataset, DatasetSpec, Feature, FitConfig, QuantileModel};
use lakectl_pipeline::stages::Columns;
use polars::prelude::{Column, DataFrame};

use super::{Days, score};

/// The decision rows of one asset.
struct Rows {
    features: DataFrame,
    prices: DataFrame,
}

impl Rows {
    fn read(sql: &dyn Fn(&str) -> Columns, asset: &str, wanted: &[Feature]) -> Self {
        let table = sql(&format!(
            "SELECT m.*, r.stressed_prob FROM features.matrix m
             LEFT JOIN forecast.regimes r ON r.asset = m.asset AND r.as_of = m.as_of
             WHERE m.asset = '{asset}' ORDER BY m.as_of"
        ));
        let times = table.micros("as_of").unwrap();
        let mut columns = vec![Column::new("as_of".into(), times.clone())];
        for feature in wanted {
            let values = table.f64s(&feature.name).unwrap();
            columns.push(Column::new(feature.name.as_str().into(), values));
        }
        let close = table.f64s("price").unwrap();
        let prices = vec![
            Column::new("time".into(), times.clone()),
            Column::new("close".into(), close),
        ];
        Self {
            features: DataFrame::new(times.len(), columns).unwrap(),
            prices: DataFrame::new(times.len(), prices).unwrap(),
        }
    }

    fn dataset(&self, wanted: &[Feature], horizon_hours: u32) -> Dataset {
        let spec = DatasetSpec {
            features: wanted.to_vec(),
            horizon_hours,
            with_return_features: false,
        };
        Dataset::assemble(&self.features, &self.prices, &spec).unwrap()
    }
}

/// The inputs that the pipeline's models take, read from one of them.
fn inputs(sql: &dyn Fn(&str) -> Columns) -> Vec<Feature> {
    let models = sql("SELECT artifact FROM models.quantile WHERE artifact IS NOT NULL LIMIT 1");
    let json = models.texts("artifact").unwrap()[0].clone().unwrap();
    Artifact::<QuantileModel>::from_json(&json)
        .unwrap()
        .model
        .features()
        .to_vec()
}

/// Quantiles for each wanted time, from a model refitted at the first of its month.
fn walk(data: &Dataset, times: &[i64], config: &FitConfig) -> BTreeMap<i64, [f64; 5]> {
    let mut models: BTreeMap<i64, QuantileModel> = BTreeMap::new();
    let mut result = BTreeMap::new();
    for time in times {
        let day = UtcTime::from_micros(*time).day();
        let fitted_at = day.plus(1 - day.ymd().2 as i32).start().micros();
        // The stage is granted the rows before the first of the month, so the last price it has is of the day before.
        let known = || data.known_at(fitted_at - MICROS_PER_DAY);
        let model = models
            .entry(fitted_at)
            .or_insert_with(|| QuantileModel::fit(&known(), config).unwrap());
        let row = data.row(data.position(*time).unwrap());
        result.insert(*time, model.predict(row).unwrap().quantiles);
    }
    result
}

fn config(rows_min: usize) -> FitConfig {
    FitConfig {
        min_rows: rows_min,
        ..FitConfig::default()
    }
}

/// Without a permutation this gives the forecasts of the pipeline.
pub(super) fn check(sql: &dyn Fn(&str) -> Columns, rows_min: usize, days: &Days) {
    let wanted = inputs(sql);
    for ((asset, horizon), days) in days {
        let data = Rows::read(sql, asset, &wanted).dataset(&wanted, *horizon);
        let times: Vec<i64> = days.iter().map(|day| day.as_of).collect();
        let again = walk(&data, &times, &config(rows_min));
        for day in days {
            let (here, there) = (
                score(&again[&day.as_of], day.realised),
                day.crps("forecast"),
            );
            assert!(
                (here - there).abs() < 1e-12,
                "{asset} {horizon} h: {here} against {there}"
            );
        }
    }
}

/// Adds the forecasts of the same model on features that were shuffled in time.
pub(super) fn permute(sql: &dyn Fn(&str) -> Columns, rows_min: usize, seed: u64, days: &mut Days) {
    let wanted = inputs(sql);
    for ((asset, horizon), days) in days {
        let data = Rows::read(sql, asset, &wanted)
            .dataset(&wanted, *horizon)
            .permuted(seed);
        let times: Vec<i64> = days.iter().map(|day| day.as_of).collect();
        let again = walk(&data, &times, &config(rows_min));
        for day in days {
            day.quantiles.insert("permuted", again[&day.as_of]);
        }
    }
}
