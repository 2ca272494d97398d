//! The history of the surface's factors.

use anyhow::Result;
use lakectl_core::UtcTime;
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
    /// Whether what it is measured by is fitted anew as a week begins.
    weekly: bool,
}

const fn points(column: &'static str, name: &'static str, meaning: &'static str) -> Line {
    let (unit, factor) = ("vol points", 100.0);
    Line {
        column,
        name,
        meaning,
        unit,
        factor,
        weekly: false,
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
        weekly: false,
    }
}

const fn component(column: &'static str, name: &'static str) -> Line {
    Line {
        weekly: true,
        ..plain(column, name, "trailing principal component", "score")
    }
}

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
    component("pca_1", "PCA 1"),
    component("pca_2", "PCA 2"),
    component("pca_3", "PCA 3"),
    component("pca_4", "PCA 4"),
    component("pca_5", "PCA 5"),
    Line {
        weekly: true,
        ..plain(
            "shock_distance",
            "Shock distance",
            "change, Mahalanobis",
            "deviations",
        )
    },
];

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let rows = asked.rows(&["features.surface_factors"], HISTORY)?;
    let events = rows.times("event_time")?;
    let times: Vec<f64> = events.iter().map(seconds).collect();
    let mut drawn = Vec::new();
    for line in &LINES {
        let values = rows.numbers_if_any(line.column)?;
        let refits = if line.weekly {
            mondays(&events, &values)
        } else {
            Vec::new()
        };
        let values = values
            .into_iter()
            .map(|value| value.map(|value| value * line.factor));
        drawn.push(Factor {
            name: line.name.to_owned(),
            meaning: line.meaning.to_owned(),
            unit: line.unit.to_owned(),
            points: times.iter().copied().zip(values).collect(),
            refits,
        });
    }
    Ok(factors(&asked.about(), &drawn)?)
}

fn seconds(time: &UtcTime) -> f64 {
    time.micros() as f64 / 1e6
}

/// The beginnings of weeks between snapshots that have a value.
fn mondays(events: &[UtcTime], values: &[Option<f64>]) -> Vec<f64> {
    let valued = events
        .iter()
        .zip(values)
        .filter(|(_, value)| value.is_some());
    let weeks: Vec<f64> = valued
        .map(|(time, _)| {
            let day = time.day();
            seconds(&day.plus(-(day.weekday() as i32)).start())
        })
        .collect();
    let new = weeks.windows(2).filter(|pair| pair[0] < pair[1]);
    new.map(|pair| pair[1]).collect()
}
