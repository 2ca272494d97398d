//! The basis against its oracle, against linfa's iterative one, and its refusals.

use linfa::traits::Fit;
use serde_json::Value;

use super::*;

fn list(v: &Value) -> Vec<f64> {
    v.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn cases() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/oracles/pca.json"
    );
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["cases"]
        .as_array()
        .unwrap()
        .clone()
}

fn rows(case: &Value) -> Vec<Vec<Option<f64>>> {
    case["X"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| list(r).into_iter().map(Some).collect())
        .collect()
}

fn close(got: f64, expected: f64, what: &str) {
    assert!(
        (got - expected).abs() <= 1e-8 * expected.abs().max(1.0),
        "{what}: {got} against {expected}"
    );
}

#[test]
fn oracle_values_hold() {
    for case in cases() {
        let x = rows(&case);
        let config = PcaConfig {
            min_rows: 2,
            scaling: Scaling::Centre,
            ..PcaConfig::default()
        };
        let pca = SurfacePca::fit(&x, &config).unwrap();
        for (got, expected) in pca.mean().iter().zip(list(&case["mean"])) {
            close(*got, expected, "mean");
        }
        let scores = pca.project(x.last().unwrap()).unwrap().scores;
        let variances = list(&case["explained_variance"]);
        for (k, variance) in variances.iter().enumerate() {
            close(pca.explained_variance()[k], *variance, "variance");
            close(
                pca.explained_ratio()[k],
                list(&case["explained_variance_ratio"])[k],
                "ratio",
            );
            for (got, expected) in pca.components()[k].iter().zip(list(&case["components"][k])) {
                close(*got, expected, "loading");
            }
            close(scores[k], list(&case["scores_last"])[k], "score");
        }
    }
}

#[test]
fn linfa_finds_the_same_first_direction_more_coarsely() {
    let case = &cases()[0];
    let x = rows(case);
    let width = x[0].len();
    let flat: Vec<f64> = x.iter().flatten().map(|v| v.unwrap()).collect();
    let array = ndarray::Array2::from_shape_vec((x.len(), width), flat).unwrap();
    let peer = linfa_reduction::Pca::params(2)
        .fit(&linfa::DatasetBase::from(array))
        .unwrap();
    let config = PcaConfig {
        min_rows: 2,
        scaling: Scaling::Centre,
        ..PcaConfig::default()
    };
    let ours = SurfacePca::fit(&x, &config).unwrap();
    let dot: f64 = peer
        .components()
        .row(0)
        .iter()
        .zip(&ours.components()[0])
        .map(|(a, b)| a * b)
        .sum();
    assert!((dot.abs() - 1.0).abs() < 1e-3, "cosine {dot}");
}

#[test]
fn incomplete_rows_are_left_out_and_few_rows_refused() {
    let mut x: Vec<Vec<Option<f64>>> = (0..70)
        .map(|i| {
            (0..4)
                .map(|j| Some(f64::sin(f64::from(i * (j + 1))) + 0.1 * f64::from(j)))
                .collect()
        })
        .collect();
    let full = SurfacePca::fit(&x, &PcaConfig::default()).unwrap();
    assert_eq!((full.rows(), full.components().len()), (70, 4));
    let all: f64 = full.explained_ratio().iter().sum();
    assert!((all - 1.0).abs() < 1e-12);
    assert!(full.project(&x[3]).unwrap().reconstruction_error < 1e-12);
    for row in x.iter_mut().take(11) {
        row[2] = None;
    }
    assert!(matches!(
        SurfacePca::fit(&x, &PcaConfig::default()),
        Err(ModelError::TooFewRows {
            found: 59,
            needed: 60
        })
    ));
    assert!(matches!(
        full.project(&x[0]),
        Err(ModelError::MissingValue { .. })
    ));
    let flat = vec![vec![Some(1.0), Some(2.0)]; 60];
    assert!(matches!(
        SurfacePca::fit(&flat, &PcaConfig::default()),
        Err(ModelError::ConstantColumn { .. })
    ));
}
