//! Known states are found, filtered causally, saved exactly; bad input is refused.

use rand_xoshiro::rand_core::RngCore;

use super::*;
use crate::Artifact;

/// Rows of a three-state chain: (values, true state).
fn simulate(n: usize, seed: u64) -> (Vec<Vec<Option<f64>>>, Vec<usize>) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut uniform = move || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let mut normal = {
        let mut u2 = Xoshiro256Plus::seed_from_u64(seed ^ 0xabcd);
        move || {
            let mut u = || ((u2.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            lakectl_stats::special::normal_quantile(u()).unwrap()
        }
    };
    let centres = [[0.35, 0.02, 0.0], [0.55, 0.05, 0.5], [0.95, 0.12, 2.0]];
    let spreads = [[0.03, 0.01, 0.3], [0.06, 0.02, 0.6], [0.15, 0.04, 1.2]];
    let mut state = 0;
    let (mut rows, mut truth) = (Vec::new(), Vec::new());
    for _ in 0..n {
        if uniform() > 0.94 {
            state = (state + 1 + usize::from(uniform() > 0.5)) % 3;
        }
        rows.push(
            (0..3)
                .map(|c| Some(centres[state][c] + spreads[state][c] * normal()))
                .collect(),
        );
        truth.push(state);
    }
    (rows, truth)
}

fn names() -> Vec<String> {
    ["level", "skew", "shock"].map(String::from).to_vec()
}

fn config() -> RegimeConfig {
    RegimeConfig {
        order_by: vec![0],
        ..RegimeConfig::default()
    }
}

#[test]
fn known_states_are_found_in_order_of_variance() {
    for seed in 0..5 {
        let (rows, truth) = simulate(400, seed);
        for config in [config(), RegimeConfig::default()] {
            let model = RegimeModel::fit(&rows, &names(), &config, 7).unwrap();
            let probabilities = model.filter(&rows).unwrap();
            let hits = probabilities
                .iter()
                .zip(&truth)
                .filter(|(p, t)| p[**t] > 0.5)
                .count();
            assert!(
                hits as f64 > 0.9 * truth.len() as f64,
                "seed {seed}: {hits} of {}",
                truth.len()
            );
            assert!(
                probabilities
                    .iter()
                    .all(|p| (p.iter().sum::<f64>() - 1.0).abs() < 1e-12)
            );
            assert!((0..3).all(|i| model.transition()[i][i] > 0.8));
        }
    }
}

#[test]
fn equal_seeds_give_equal_models_that_survive_saving() {
    let (rows, _) = simulate(250, 3);
    let one = RegimeModel::fit(&rows, &names(), &config(), 11).unwrap();
    let two = RegimeModel::fit(&rows, &names(), &config(), 11).unwrap();
    assert_eq!(one, two);
    let saved = Artifact::new(one.clone(), names(), one.rows(), (0, 1), 11)
        .to_json()
        .unwrap();
    let read: Artifact<RegimeModel> = Artifact::from_json(&saved).unwrap();
    assert_eq!(
        read.model.filter(&rows).unwrap(),
        one.filter(&rows).unwrap()
    );
    assert!(Artifact::<crate::SurfacePca>::from_json(&saved).is_err());
}

#[test]
fn filtering_ignores_the_future_and_bears_gaps_and_outliers() {
    let (mut rows, _) = simulate(200, 5);
    let model = RegimeModel::fit(&rows, &names(), &config(), 1).unwrap();
    rows[50] = vec![None; 3];
    rows[60][1] = None;
    rows[70] = vec![Some(1e9), Some(-1e9), Some(f64::NAN)];
    let whole = model.filter(&rows).unwrap();
    assert_eq!(model.filter(&rows[..120]).unwrap(), whole[..120]);
    assert!(whole.iter().flatten().all(|p| p.is_finite()));
    assert_ne!(whole[50], whole[49]);
}

#[test]
fn unusable_rows_are_refused() {
    let (rows, _) = simulate(99, 1);
    let short = RegimeModel::fit(&rows, &names(), &config(), 1);
    assert!(matches!(
        short,
        Err(ModelError::TooFewRows {
            found: 99,
            needed: 100
        })
    ));
    let flat: Vec<Vec<Option<f64>>> = (0..150)
        .map(|i| vec![Some(f64::from(i)), Some(2.0), Some(1.0)])
        .collect();
    let constant = RegimeModel::fit(&flat, &names(), &config(), 1);
    assert!(matches!(constant, Err(ModelError::ConstantColumn { column }) if column == "skew"));
    // Two repeated points cannot hold three states, but must not panic or give NaN.
    let two: Vec<Vec<Option<f64>>> = (0..150).map(|i| vec![Some(f64::from(i % 2)); 3]).collect();
    if let Ok(model) = RegimeModel::fit(&two, &names(), &config(), 1) {
        assert!(
            model
                .filter(&two)
                .unwrap()
                .iter()
                .flatten()
                .all(|p| p.is_finite())
        );
    }
}
