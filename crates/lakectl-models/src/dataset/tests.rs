//! Labels, purging, gaps and refusals of the dataset.

use super::*;

fn prices(days: &[i64], closes: &[f64]) -> DataFrame {
    let times: Vec<i64> = days.iter().map(|d| d * DAY_MICROS).collect();
    DataFrame::new(
        times.len(),
        vec![
            Column::new("time".into(), times),
            Column::new("close".into(), closes.to_vec()),
        ],
    )
    .unwrap()
}

fn features(days: &[i64], x: &[Option<f64>]) -> DataFrame {
    let times: Vec<i64> = days.iter().map(|d| d * DAY_MICROS).collect();
    DataFrame::new(
        times.len(),
        vec![
            Column::new("as_of".into(), times),
            Column::new("x".into(), x.to_vec()),
        ],
    )
    .unwrap()
}

fn spec(horizon_hours: u32, carry_rows: u32) -> DatasetSpec {
    let x = Feature::new("x", "other", Role::Plain).carried(carry_rows);
    DatasetSpec {
        features: vec![x],
        horizon_hours,
        with_return_features: false,
    }
}

#[test]
fn labels_are_returns_from_the_decision_on_and_never_bridge_a_gap() {
    let closes: Vec<f64> = (0..10).map(|i| f64::exp(f64::from(i) * 0.01)).collect();
    let days: Vec<i64> = (0..11).filter(|d| *d != 6).collect();
    let data = Dataset::assemble(
        &features(&(0..10).collect::<Vec<_>>(), &[Some(1.0); 10]),
        &prices(&days, &closes),
        &spec(48, 0),
    )
    .unwrap();
    let labelled: Vec<bool> = (0..10).map(|i| data.label(i).is_some()).collect();
    // Day 6 has no close: days 4, 5, 6 cannot be labelled over two days; day 9 ends after the last close.
    assert_eq!(
        labelled,
        [
            true, true, true, true, false, false, false, true, true, false
        ]
    );
    let label = data.label(2).unwrap();
    assert!((label.total - 0.02).abs() < 1e-12 && label.path.len() == 2);
    assert_eq!(label.known_at, 4 * DAY_MICROS);
    assert_eq!(data.known_at(4 * DAY_MICROS).len(), 3);
    assert!((data.row_weight() - 0.5).abs() < 1e-12);
}

#[test]
fn values_are_carried_only_as_far_as_declared() {
    let x = [Some(1.0), None, None, None, Some(f64::NAN), Some(2.0)];
    let closes = [1.0; 6];
    let days: Vec<i64> = (0..6).collect();
    let get = |carry| -> Vec<Option<f64>> {
        let data = Dataset::assemble(
            &features(&days, &x),
            &prices(&days, &closes),
            &spec(24, carry),
        )
        .unwrap();
        (0..6).map(|i| data.row(i)[0]).collect()
    };
    assert_eq!(get(0), [Some(1.0), None, None, None, None, Some(2.0)]);
    assert_eq!(
        get(2),
        [Some(1.0), Some(1.0), Some(1.0), None, None, Some(2.0)]
    );
}

#[test]
fn return_features_use_the_past_only() {
    let closes: Vec<f64> = (0..80)
        .map(|i| 100.0 * f64::exp(0.05 * f64::sin(f64::from(i * i))))
        .collect();
    let days: Vec<i64> = (0..80).collect();
    let whole = return_features(&prices(&days, &closes)).unwrap();
    let cut = return_features(&prices(&days[..60], &closes[..60])).unwrap();
    assert!(whole.slice(0, 60).equals_missing(&cut));
    let ret = |k: &str, i: usize| floats(&whole, k).unwrap()[i];
    assert_eq!(ret("ret_5", 50), ret("ret_1", 46));
    assert_eq!(
        ret("ret_1", 50),
        Some(libm::log(closes[50]) - libm::log(closes[49]))
    );
    assert!(ret("rv_30", 25).is_some() && ret("rv_30", 15).is_none());
}

#[test]
fn appending_and_permuting_keep_outcomes() {
    let days: Vec<i64> = (0..30).collect();
    let x: Vec<Option<f64>> = (0..30).map(|i| Some(f64::from(i))).collect();
    let closes: Vec<f64> = (0..30).map(|i| 1.0 + f64::from(i % 3)).collect();
    let mut data =
        Dataset::assemble(&features(&days, &x), &prices(&days, &closes), &spec(24, 0)).unwrap();
    let shuffled = data.permuted(1);
    assert_ne!(shuffled, data);
    assert_eq!(shuffled, data.permuted(1));
    assert!((0..30).all(|i| shuffled.label(i) == data.label(i)));
    let mut seen: Vec<i64> = (0..30)
        .map(|i| shuffled.row(i)[0].unwrap() as i64)
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, days);
    let other = data.clone();
    data.append(&other).unwrap();
    assert_eq!(data.len(), 60);
    let longer =
        Dataset::assemble(&features(&days, &x), &prices(&days, &closes), &spec(48, 0)).unwrap();
    assert!(data.append(&longer).is_err());
}

#[test]
fn wrong_frames_are_refused() {
    let days = [0, 1, 2];
    let good = prices(&days, &[1.0, 2.0, 3.0]);
    let twice = features(&[0, 1, 1], &[Some(1.0); 3]);
    assert!(matches!(
        Dataset::assemble(&twice, &good, &spec(24, 0)),
        Err(ModelError::BadTimes { .. })
    ));
    let fine = features(&days, &[Some(1.0); 3]);
    assert!(matches!(
        Dataset::assemble(&fine, &good, &spec(30, 0)),
        Err(ModelError::BadParameter { .. })
    ));
    assert!(matches!(
        Dataset::assemble(&fine, &fine, &spec(24, 0)),
        Err(ModelError::BadColumn { column, .. }) if column == "close"
    ));
    let mut missing = spec(24, 0);
    missing.features[0].name = "y".to_string();
    assert!(Dataset::assemble(&fine, &good, &missing).is_err());
}
