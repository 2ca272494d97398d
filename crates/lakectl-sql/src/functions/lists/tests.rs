use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;

use crate::tests::{batch, column, floats, noise, run, table};

const ROWS: usize = 50;

/// Three columns of which the first two move together.
fn moves() -> crate::StageTable {
    let (along, across) = (noise(ROWS, 1), noise(ROWS, 2));
    let order = floats((0..ROWS).map(|i| Some(i as f64)));
    let first = floats(along.iter().map(|u| Some(2.0 * u)));
    let second = floats(
        along
            .iter()
            .zip(&across)
            .map(|(u, e)| Some(1.0 + u + 0.1 * e)),
    );
    let third = floats(
        across
            .iter()
            .enumerate()
            .map(|(i, e)| (i != 7).then_some(*e)),
    );
    let contract = "n f64?, a f64?, b f64?, c f64?";
    table(
        "demo.moves",
        vec![batch(contract, vec![order, first, second, third])],
    )
}

fn query(sql: &str) -> Vec<RecordBatch> {
    run(sql, vec![moves()], &[]).unwrap().1
}

fn number(sql: &str) -> Option<f64> {
    column(&query(&format!("SELECT CAST(({sql}) AS DOUBLE) AS v")), "v")[0]
}

fn word(sql: &str) -> String {
    query(sql)[0]
        .column(0)
        .as_string::<i32>()
        .value(0)
        .to_owned()
}

#[test]
fn a_covariance_in_sql_is_that_of_the_kernel() {
    let rows = query("SELECT a, b, c FROM demo.moves WHERE c IS NOT NULL ORDER BY a, b, c");
    let [a, b, c] = ["a", "b", "c"].map(|name| column(&rows, name));
    let flat: Vec<f64> = (0..a.len())
        .flat_map(|i| [a[i], b[i], c[i]])
        .flatten()
        .collect();
    let exact = lakectl_stats::covariance::ledoit_wolf(&flat, 3).unwrap();
    let fit = |field: &str| format!("SELECT ledoit_wolf([a, b, c]){field} FROM demo.moves");
    assert_eq!(number(&fit("['shrinkage']")), Some(exact.shrinkage));
    assert_eq!(number(&fit("['covariance'][2]")), Some(exact.covariance[1]));
    // The row with a missing value is left out.
    assert_eq!(number(&fit("['rows']")), Some(ROWS as f64 - 1.0));
    let distance = exact.metric().unwrap().distance(&[0.5, 0.5, 0.5]).unwrap();
    let sql = "SELECT mahalanobis([0.5, 0.5, 0.5], ledoit_wolf([a, b, c])) FROM demo.moves";
    assert_eq!(number(sql), Some(distance));
}

#[test]
fn a_frame_that_ends_before_the_row_measures_it() {
    let sql = "SELECT n, mahalanobis([a, b], ledoit_wolf([a, b]) OVER w) AS d,
                      pca_scores([a, b], pca_fit([a, b]) OVER w)[1] AS s
               FROM demo.moves WINDOW w AS (ORDER BY n ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING) ORDER BY n";
    let rows = query(sql);
    let (distances, scores) = (column(&rows, "d"), column(&rows, "s"));
    assert!(distances[0].is_none() && distances[1].is_none() && scores[1].is_none());
    // The same numbers from a group of the rows before.
    let before = "(SELECT ledoit_wolf([a, b]) AS f, pca_fit([a, b]) AS p FROM demo.moves WHERE n BETWEEN 20 AND 39) f,
                  (SELECT a, b FROM demo.moves WHERE n = 40) r";
    assert_eq!(
        number(&format!("SELECT mahalanobis([a, b], f) FROM {before}")),
        distances[40]
    );
    assert_eq!(
        number(&format!("SELECT pca_scores([a, b], p)[1] FROM {before}")),
        scores[40]
    );
    assert!(distances[40].is_some() && scores[40].is_some());
}

#[test]
fn components_in_sql_are_ordered_and_signed() {
    let fit =
        |field: &str| number(&format!("SELECT pca_fit([a, b]){field} FROM demo.moves")).unwrap();
    assert!(fit("['share'][1]") > 0.95);
    assert!((fit("['share'][1]") + fit("['share'][2]") - 1.0).abs() < 1e-12);
    assert!(fit("['loadings'][1][1]") > 0.7 && fit("['loadings'][1][2]") > 0.7);
    assert!((fit("['mean'][2]") - number("SELECT avg(b) FROM demo.moves").unwrap()).abs() < 1e-12);
    // The scores of the mean are none at all.
    let sql = "SELECT abs(pca_scores(f['mean'], f)[1]) FROM (SELECT pca_fit([a, b]) AS f FROM demo.moves)";
    assert!(number(sql).unwrap() < 1e-12);
}

#[test]
fn what_cannot_be_fitted_says_why() {
    let status = |call: &str| word(&format!("SELECT {call}['status'] FROM demo.moves"));
    assert_eq!(status("ledoit_wolf([a, b, c])"), "ok");
    assert_eq!(status("pca_fit([a, 1.0])"), "constant_column");
    assert_eq!(
        status("ledoit_wolf(CASE WHEN n > 3 THEN [a] ELSE [a, b] END)"),
        "several_widths"
    );
    assert_eq!(
        status("ledoit_wolf(CASE WHEN n < 1 THEN [a] END)"),
        "too_few_rows"
    );
    assert_eq!(status("pca_fit([a * 1e300, b * 1e300])"), "not_finite");
    let wide = format!("ledoit_wolf([{}])", vec!["a"; 257].join(", "));
    assert_eq!(status(&wide), "too_wide");
    assert_eq!(
        number("SELECT mahalanobis([1.0], ledoit_wolf([a, b])) FROM demo.moves"),
        None
    );
    assert_eq!(
        number("SELECT mahalanobis([1.0, 1.0], ledoit_wolf([1.0, 2.0])) FROM demo.moves"),
        None
    );
    let scores = query("SELECT pca_scores([1.0], pca_fit([a, b])) AS v FROM demo.moves");
    assert!(scores[0].column(0).is_null(0));
    for wrong in [
        "ledoit_wolf(a)",
        "mahalanobis([a], 1.0)",
        "pca_scores([a], ledoit_wolf([a]))",
        "pca_fit()",
    ] {
        let error = run(
            &format!("SELECT {wrong} FROM demo.moves"),
            vec![moves()],
            &[],
        )
        .unwrap_err();
        let name = wrong.split('(').next().unwrap();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn lists_of_other_numbers_are_taken() {
    let sql = "SELECT mahalanobis([1, 2], ledoit_wolf([CAST(10 * a AS BIGINT), CAST(10 * b AS BIGINT)])) AS v FROM demo.moves";
    let rows = query(sql);
    let values = rows[0].column(0).as_primitive::<Float64Type>();
    assert!(values.is_valid(0) && values.value(0) > 0.0);
}
