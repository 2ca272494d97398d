//! The shrunk covariance against the oracle file.
#![allow(clippy::unwrap_used)]

use lakectl_stats::covariance::ledoit_wolf;
use serde_json::Value;

#[test]
fn shrinkage_and_covariance_are_those_of_the_oracle() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/oracles/ledoit_wolf.json"
    );
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        let rows = value.as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()))
            .collect()
    };
    for case in file["cases"].as_array().unwrap() {
        let columns = case["N"].as_u64().unwrap() as usize;
        let found = ledoit_wolf(&numbers(&case["X"]), columns).unwrap();
        let wanted = case["lw_shrinkage"].as_f64().unwrap();
        assert!(
            (found.shrinkage / wanted - 1.0).abs() <= 1e-10,
            "{}",
            case["name"]
        );
        let covariance = numbers(&case["lw_cov"]);
        let largest = covariance.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for (found, wanted) in found.covariance.iter().zip(covariance) {
            assert!(
                (found - wanted).abs() <= 1e-10 * largest,
                "{}",
                case["name"]
            );
        }
        assert!(found.metric().is_ok());
    }
}
