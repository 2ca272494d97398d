//! Scores against the oracle file and against numeric integration.

use std::collections::BTreeMap;

use super::*;
use crate::special::{
    normal_expected_shortfall, normal_quantile, student_t_expected_shortfall, student_t_quantile,
    uniform_ks_distance,
};

/// One row of the oracle: kind, parameters as flat lists of numbers, outcome, expected value.
struct Case {
    kind: String,
    params: BTreeMap<String, Vec<f64>>,
    obs: f64,
    value: f64,
}

/// Reads the oracle: five columns, the second a quoted JSON list or flat object of numbers and lists.
fn cases() -> Vec<Case> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/oracles/crps_pinball.csv"
    );
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let (kind, rest) = line.split_once(',').unwrap();
            let (json, rest) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let end = quoted.find("\",").unwrap();
                    (quoted[..end].replace("\"\"", "\""), &quoted[end + 2..])
                }
                None => rest
                    .split_once(',')
                    .map(|(a, b)| (a.to_string(), b))
                    .unwrap(),
            };
            let mut tail = rest.splitn(3, ',');
            let obs = tail.next().unwrap().parse().unwrap();
            let value = tail.next().unwrap().parse().unwrap();
            Case {
                kind: kind.to_string(),
                params: parse(&json),
                obs,
                value,
            }
        })
        .collect()
}

/// Parses `{"a":1,"b":[1,2]}` or `[1,2]` (under the empty name).
fn parse(json: &str) -> BTreeMap<String, Vec<f64>> {
    let mut out: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut name = String::new();
    let mut word = String::new();
    for c in json.chars().chain([',']) {
        match c {
            ':' => name = std::mem::take(&mut word),
            ',' | ']' | '}' => {
                if let Ok(number) = std::mem::take(&mut word).parse() {
                    out.entry(name.clone()).or_default().push(number);
                }
            }
            '[' | '{' | '"' | ' ' => {}
            c => word.push(c),
        }
    }
    out
}

#[test]
fn oracle_values_hold() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases() {
        let list = |name: &str| case.params[name].clone();
        let one = |name: &str| case.params[name][0];
        let y = case.obs;
        let (got, tolerance) = match case.kind.as_str() {
            "crps_normal" => (crps_normal(one("mu"), one("sigma"), y).unwrap(), 1e-12),
            "crps_t" => (
                crps_student_t(one("df"), one("mu"), one("sigma"), y).unwrap(),
                1e-9,
            ),
            "crps_ensemble_nrg" => (
                crps_ensemble(&list(""), y, EnsembleKind::Empirical).unwrap(),
                1e-12,
            ),
            "crps_ensemble_fair" => (
                crps_ensemble(&list(""), y, EnsembleKind::Fair).unwrap(),
                1e-12,
            ),
            "pinball" => (pinball(one("q"), one("f"), y).unwrap(), 1e-12),
            "crps_quantiles_mean" => (
                2.0 * mean_pinball(&list("taus"), &list("qs"), y).unwrap(),
                1e-12,
            ),
            "crps_quantiles_weighted" => (
                crps_from_cells(&list("taus"), &list("qs"), y).unwrap(),
                1e-12,
            ),
            "interval_score" => (
                interval_score(one("alpha"), one("l"), one("u"), y).unwrap(),
                1e-12,
            ),
            "pit_normal" => (normal_cdf((y - one("mu")) / one("sigma")), 1e-12),
            "kupiec_pof" => {
                let test = kupiec(one("n") as u64, one("x") as u64, one("p")).unwrap();
                let expected = one("p_value");
                assert!((test.p_value - expected).abs() <= 1e-12 * expected.max(1.0));
                (test.likelihood_ratio, 1e-12)
            }
            "es_normal" => (
                normal_expected_shortfall(one("alpha"), one("mu"), one("sigma")).unwrap(),
                1e-12,
            ),
            "es_t" => (
                student_t_expected_shortfall(one("alpha"), one("df")).unwrap(),
                1e-12,
            ),
            "pit_ks" => (uniform_ks_distance(&list("u")).unwrap(), 1e-12),
            other => panic!("unknown oracle kind {other}"),
        };
        let error = (got - case.value).abs();
        assert!(
            error <= tolerance * case.value.abs().max(1.0),
            "{}: {got} against {}",
            case.kind,
            case.value
        );
        *seen.entry(case.kind.clone()).or_default() += 1;
    }
    assert_eq!(seen.len(), 13, "kinds read: {seen:?}");
}

/// CRPS by the midpoint rule over levels, dense enough for four digits with unbounded tails.
fn crps_numeric(f: &QuantileFunction, y: f64) -> f64 {
    let n = 400_000;
    let h = 1.0 / f64::from(n);
    (0..n)
        .map(|i| {
            let tau = (f64::from(i) + 0.5) * h;
            2.0 * h * pinball(tau, f.quantile(tau).unwrap(), y).unwrap()
        })
        .sum()
}

#[test]
fn closed_form_equals_the_integral_everywhere() {
    let f = QuantileFunction::new(
        &[0.05, 0.25, 0.5, 0.75, 0.95],
        &[-0.07, -0.02, 0.003, 0.02, 0.05],
    )
    .unwrap();
    let flat = QuantileFunction::new(&[0.1, 0.5, 0.9], &[0.01, 0.01, 0.01]).unwrap();
    for y in [
        -0.5, -0.2, -0.071, -0.07, -0.03, 0.0, 0.003, 0.01, 0.05, 0.06, 0.3,
    ] {
        let error = f.crps(y).unwrap() - crps_numeric(&f, y);
        assert!(error.abs() < 1e-7, "outcome {y}: {error}");
        assert!(
            (flat.crps(y).unwrap() - (y - 0.01).abs()).abs() < 1e-15,
            "a point forecast scores |error|"
        );
    }
}

#[test]
fn many_knots_approach_the_normal_score() {
    let taus: Vec<f64> = (1..1000).map(|i| f64::from(i) / 1000.0).collect();
    let qs: Vec<f64> = taus.iter().map(|t| normal_quantile(*t).unwrap()).collect();
    let f = QuantileFunction::new(&taus, &qs).unwrap();
    for y in [-3.0, -0.4, 0.0, 1.7] {
        let error = f.crps(y).unwrap() - crps_normal(0.0, 1.0, y).unwrap();
        assert!(error.abs() < 1e-4, "outcome {y}: {error}");
    }
}

#[test]
fn quantile_and_cdf_invert_each_other() {
    let f = QuantileFunction::new(
        &[0.05, 0.25, 0.5, 0.75, 0.95],
        &[-0.07, -0.02, 0.003, 0.02, 0.05],
    )
    .unwrap();
    for i in 1..1000 {
        let tau = f64::from(i) / 1000.0;
        assert!((f.cdf(f.quantile(tau).unwrap()).unwrap() - tau).abs() < 1e-12);
    }
    let numeric: f64 = (0..1_000_000)
        .map(|i| f.quantile((f64::from(i) + 0.5) / 1e6).unwrap() / 1e6)
        .sum();
    assert!((f.mean() - numeric).abs() < 1e-7);
    let tail: f64 = (0..100_000)
        .map(|i| f.quantile((f64::from(i) + 0.5) / 2e6).unwrap() / 1e5)
        .sum();
    assert!((f.expected_shortfall(0.05).unwrap() - tail).abs() < 1e-6);
}

#[test]
fn crossing_values_are_rearranged_and_bad_input_is_refused() {
    let f = QuantileFunction::new(&[0.1, 0.5, 0.9], &[0.2, 0.1, 0.3]).unwrap();
    assert_eq!(f.values(), &[0.1, 0.2, 0.3]);
    assert_eq!(
        QuantileFunction::new(&[0.5, 0.1], &[0.0, 1.0]),
        Err(StatsError::OutOfDomain)
    );
    assert_eq!(
        QuantileFunction::new(&[0.1, 0.5], &[f64::NAN, 1.0]),
        Err(StatsError::NotFinite)
    );
    assert_eq!(
        QuantileFunction::new(&[0.1], &[0.0]),
        Err(StatsError::TooFew {
            found: 1,
            needed: 2
        })
    );
    assert_eq!(f.crps(f64::INFINITY), Err(StatsError::NotFinite));
    assert_eq!(pinball(1.0, 0.0, 0.0), Err(StatsError::OutOfDomain));
    assert_eq!(
        crps_ensemble(&[], 0.0, EnsembleKind::Empirical),
        Err(StatsError::Empty)
    );
    assert_eq!(kupiec(0, 0, 0.05), Err(StatsError::Empty));
}

#[test]
fn the_score_is_proper_among_scaled_forecasts() {
    // A sample drawn from the forecast itself must be scored best by the unscaled forecast.
    let taus = [0.05, 0.25, 0.5, 0.75, 0.95];
    let qs: Vec<f64> = taus
        .iter()
        .map(|t| student_t_quantile(*t, 5.0).unwrap())
        .collect();
    let truth = QuantileFunction::new(&taus, &qs).unwrap();
    let outcomes: Vec<f64> = (0..2000)
        .map(|i| truth.quantile((f64::from(i) + 0.5) / 2000.0).unwrap())
        .collect();
    let mean_score = |scale: f64| -> f64 {
        let scaled: Vec<f64> = qs.iter().map(|q| q * scale).collect();
        let f = QuantileFunction::new(&taus, &scaled).unwrap();
        outcomes.iter().map(|y| f.crps(*y).unwrap()).sum()
    };
    assert!(mean_score(1.0) < mean_score(0.8) && mean_score(1.0) < mean_score(1.25));
}
