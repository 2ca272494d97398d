use arrow::array::{Float64Array, RecordBatch};
use lakectl_onchain::divergence::{Observation, classify};

use crate::chain::{base, days, surfaces};
use crate::lab::{DAY, Lab, Value, day, instant, keep, number, text, value};

/// The usual world under another sky.
fn under(sky: RecordBatch) -> Lab {
    let mut lab = base().clone();
    lab.put("features.surface_factors", "event_time", sky);
    lab.run("features.divergence", "BTC", 2024..=2026);
    lab
}

/// Multiplies a column from a day on.
fn scaled(sky: &RecordBatch, column: &str, from: i64, by: f64) -> RecordBatch {
    let index = sky.schema().index_of(column).unwrap();
    let values: Float64Array = (0..sky.num_rows())
        .map(|row| {
            let factor = if instant(sky, "event_time", row) >= from {
                by
            } else {
                1.0
            };
            number(sky, column, row).map(|x| x * factor)
        })
        .collect();
    let mut columns = sky.columns().to_vec();
    columns[index] = std::sync::Arc::new(values);
    RecordBatch::try_new(sky.schema(), columns).unwrap()
}

fn last(lab: &Lab, date: &str) -> usize {
    let batch = lab.get("features.divergence");
    (0..batch.num_rows())
        .find(|&row| value(batch, "date", row) == Value::Int(day(date)))
        .unwrap()
}

#[test]
fn terms_add_up_and_classes_are_the_kernel() {
    let lab = base();
    let out = lab.get("features.divergence");
    let terms = [
        "left_tail",
        "skew",
        "put_wing",
        "butterfly",
        "forced_flow",
        "liquidity",
        "elasticity",
    ];
    let observations: Vec<Observation> = (0..out.num_rows())
        .map(|row| Observation {
            score: number(out, "score", row),
            call: number(out, "call_side", row),
            elasticity: number(out, "z_elasticity", row),
            pressure: number(out, "pressure", row),
        })
        .collect();
    let mut scored = 0;
    for row in 59..out.num_rows() {
        let class = classify(&observations[row - 59..=row], 0.25);
        assert_eq!(
            text(out, "class", row),
            class.map_or("insufficient_data", |class| class.name())
        );
        let Some(score) = number(out, "score_raw", row) else {
            continue;
        };
        let shares: Vec<f64> = terms
            .iter()
            .filter_map(|term| number(out, &format!("contrib_{term}"), row))
            .collect();
        let whole = number(out, "terms_abs", row).unwrap();
        assert!((shares.iter().sum::<f64>() * whole - score).abs() < 1e-9);
        assert!((shares.iter().map(|share| share.abs()).sum::<f64>() - 1.0).abs() < 1e-9);
        scored += 1;
    }
    assert!(scored > 400);
}

#[test]
fn dear_puts_without_pressure_are_hedge_demand() {
    let from = day("2026-01-05") * DAY;
    let mut dear = surfaces(days());
    for column in ["skew", "left_tail", "put_wing_slope", "curvature"] {
        dear = scaled(&dear, column, from, 3.0);
    }
    let (calm, fear) = (base(), under(dear));
    let row = last(calm, "2026-01-10");
    let tail = |lab: &Lab| number(lab.get("features.divergence"), "tail", row).unwrap();
    assert!(tail(&fear) > tail(calm) + 0.5);
    assert_eq!(
        text(fear.get("features.divergence"), "class", row),
        "hedge_demand"
    );
}

#[test]
fn a_side_without_data_gives_no_class_and_a_reason() {
    let blind = under(surfaces(0..0));
    let row = last(&blind, "2025-12-01");
    let out = blind.get("features.divergence");
    assert_eq!(text(out, "class", row), "insufficient_data");
    assert_eq!(
        text(out, "reason", row),
        "tail: no surface younger than a day"
    );
    assert!(number(out, "pressure", row).is_some());

    let mut flows = base().clone();
    let none = keep(flows.get("onchain.indices"), "date", |_| false);
    flows.put("onchain.indices", "date", none);
    flows.run("features.divergence", "BTC", 2025..=2025);
    let out = flows.get("features.divergence");
    let row = last(&flows, "2025-12-01");
    assert_eq!(number(out, "score", row), None);
    assert_eq!(text(out, "reason", row), "pressure: no on-chain day");
}
