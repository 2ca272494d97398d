//! The history of the surface's factors.

use anyhow::Result;
use lakectl_plot::Sheet;
use lakectl_plot::pictures::{Factor, factors};

use super::asked::Asked;

const HISTORY: &str = "
SELECT * FROM features.surface_factors WHERE asset = $asset AND event_time <= $at ORDER BY event_time";

/// Column, name, meaning, unit, factor to that unit, digits.
type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    f64,
    usize,
);

const FACTORS: [Line; 11] = [
    (
        "level",
        "Level",
        "30-day at-the-money volatility",
        "%",
        100.0,
        1,
    ),
    (
        "skew",
        "Skew",
        "30-day 25Δ put − call",
        "vol points",
        100.0,
        1,
    ),
    (
        "curvature",
        "Curvature",
        "30-day 25Δ butterfly",
        "vol points",
        100.0,
        2,
    ),
    (
        "term_structure",
        "Term structure",
        "90-day − 7-day at the money",
        "vol points",
        100.0,
        1,
    ),
    (
        "wing_asymmetry",
        "Wing asymmetry",
        "10Δ call wing − put wing",
        "vol points",
        100.0,
        1,
    ),
    (
        "surface_shock",
        "Surface shock",
        "change against its own past",
        "deviations",
        1.0,
        2,
    ),
    (
        "pca_1",
        "PCA 1",
        "trailing principal component",
        "score",
        1.0,
        2,
    ),
    (
        "pca_2",
        "PCA 2",
        "trailing principal component",
        "score",
        1.0,
        2,
    ),
    (
        "pca_3",
        "PCA 3",
        "trailing principal component",
        "score",
        1.0,
        2,
    ),
    (
        "pca_4",
        "PCA 4",
        "trailing principal component",
        "score",
        1.0,
        2,
    ),
    (
        "pca_5",
        "PCA 5",
        "trailing principal component",
        "score",
        1.0,
        2,
    ),
];

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let rows = asked.rows(&["features.surface_factors"], HISTORY)?;
    let times: Vec<f64> = rows
        .times("event_time")?
        .iter()
        .map(|time| time.micros() as f64 / 1e6)
        .collect();
    let mut drawn = Vec::new();
    for (column, name, meaning, unit, factor, digits) in FACTORS {
        let values = rows.numbers(column)?;
        let values = values
            .into_iter()
            .map(|value| value.map(|value| value * factor));
        drawn.push(Factor {
            name: name.to_owned(),
            meaning: meaning.to_owned(),
            unit: unit.to_owned(),
            digits,
            points: times.iter().copied().zip(values).collect(),
        });
    }
    Ok(factors(&asked.about(), &drawn)?)
}
