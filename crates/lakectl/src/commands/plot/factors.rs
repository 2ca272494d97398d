//! The history of the surface's factors.

use anyhow::Result;
use lakectl_plot::Sheet;
use lakectl_plot::pictures::{Factor, factors};

use super::asked::Asked;

const HISTORY: &str = "
SELECT * FROM features.surface_factors WHERE asset = $asset AND event_time <= $at ORDER BY event_time";

/// A column of the table, and how it is shown.
struct Line {
    column: &'static str,
    name: &'static str,
    meaning: &'static str,
    unit: &'static str,
    /// Units in one of the column's.
    factor: f64,
}

const fn points(column: &'static str, name: &'static str, meaning: &'static str) -> Line {
    let (unit, factor) = ("vol points", 100.0);
    Line {
        column,
        name,
        meaning,
        unit,
        factor,
    }
}

const fn plain(
    column: &'static str,
    name: &'static str,
    meaning: &'static str,
    unit: &'static str,
) -> Line {
    let factor = 1.0;
    Line {
        column,
        name,
        meaning,
        unit,
        factor,
    }
}

const COMPONENT: &str = "trailing principal component";
const LINES: [Line; 12] = [
    points("level", "Level", "30-day at the money"),
    points("skew", "Skew", "30-day 25Δ put − call"),
    points("curvature", "Curvature", "30-day 25Δ butterfly"),
    points(
        "term_structure",
        "Term structure",
        "90-day − 7-day at the money",
    ),
    points(
        "wing_asymmetry",
        "Wing asymmetry",
        "10Δ − 25Δ: calls − puts",
    ),
    plain(
        "surface_shock",
        "Surface shock",
        "change against the last 30 days",
        "deviations",
    ),
    plain("pca_1", "PCA 1", COMPONENT, "score"),
    plain("pca_2", "PCA 2", COMPONENT, "score"),
    plain("pca_3", "PCA 3", COMPONENT, "score"),
    plain("pca_4", "PCA 4", COMPONENT, "score"),
    plain("pca_5", "PCA 5", COMPONENT, "score"),
    plain(
        "shock_distance",
        "Shock distance",
        "change, Mahalanobis",
        "deviations",
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
    for line in &LINES {
        let values = rows.numbers_if_any(line.column)?;
        let values = values
            .into_iter()
            .map(|value| value.map(|value| value * line.factor));
        drawn.push(Factor {
            name: line.name.to_owned(),
            meaning: line.meaning.to_owned(),
            unit: line.unit.to_owned(),
            points: times.iter().copied().zip(values).collect(),
        });
    }
    Ok(factors(&asked.about(), &drawn)?)
}
