//! `lakectl sql`: formats, files, versions.

use std::fs::{self, File};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::common::Place;

const QUERY: &str =
    "SELECT asset, as_of, horizon_hours, q05, basis FROM forecast.quantiles ORDER BY 1, 2, 3";

#[test]
fn the_same_rows_in_every_format() {
    let place = Place::published();
    let json = place.rows(QUERY);
    let rows = json.as_array().unwrap();
    // Two assets, four decision days; ten days say nothing of seven.
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[0]["asset"], "BTC");
    assert_eq!(rows[0]["as_of"], "2026-01-08T00:00:00Z");

    let csv = place
        .call(&["sql", QUERY, "--format", "csv"])
        .code(0)
        .stdout;
    assert_eq!(csv.lines().count(), 9);
    assert!(
        csv.starts_with("asset,as_of,horizon_hours,q05,basis\nBTC,2026-01-08T00:00:00Z,24,"),
        "{csv}"
    );

    for file in ["rows.csv", "rows.json", "rows.parquet"] {
        let ended = place.call(&["sql", QUERY, "--output", file]).code(0);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("wrote 8 rows"), "{}", ended.stderr);
    }
    assert_eq!(
        fs::read_to_string(place.path().join("rows.csv")).unwrap(),
        csv
    );
    let text = fs::read_to_string(place.path().join("rows.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        json
    );
    let file = File::open(place.path().join("rows.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let q05 = batches[0]
        .column_by_name("q05")
        .unwrap()
        .as_primitive::<Float64Type>();
    assert_eq!(q05.value(0), rows[0]["q05"].as_f64().unwrap());
    let as_of = batches[0]
        .schema()
        .field_with_name("as_of")
        .unwrap()
        .data_type()
        .clone();
    assert_eq!(
        as_of,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
    // A flag says more than a name.
    place
        .call(&[
            "sql", QUERY, "--output", "rows.txt", "--format", "csv", "--quiet",
        ])
        .code(0);
    assert_eq!(
        fs::read_to_string(place.path().join("rows.txt")).unwrap(),
        csv
    );
}

#[test]
fn no_rows_and_no_numbers() {
    let place = Place::published();
    let none = "SELECT asset, q05 FROM forecast.quantiles WHERE false";
    assert_eq!(place.rows(none).to_string(), "[]");
    assert_eq!(
        place.call(&["sql", none, "--format", "csv"]).code(0).stdout,
        "asset,q05\n"
    );
    assert!(
        place
            .call(&["sql", none])
            .code(0)
            .stdout
            .ends_with("(0 rows)\n")
    );
    place
        .call(&["sql", none, "--output", "none.parquet"])
        .code(0);
    assert_eq!(
        place
            .rows("SELECT 0.0 / 0.0 AS nan, NULL AS nothing, 2 AS two")
            .to_string(),
        r#"[{"nan":null,"nothing":null,"two":2}]"#
    );
}

#[test]
fn earlier_versions_stay() {
    let place = Place::published();
    let count = |at: &[&str]| {
        let args = [
            &[
                "sql",
                "SELECT count(*) AS n FROM system.tables",
                "--format",
                "json",
            ],
            at,
        ]
        .concat();
        place.call(&args).code(0).json()[0]["n"].as_u64().unwrap()
    };
    let before = count(&[]);
    place.short(&["run"]).code(0);
    assert!(count(&[]) > before, "the scores are new tables");
    assert_eq!(count(&["--at", "1"]), before);
    let log = place.call(&["log", "--format", "json"]).code(0).json();
    assert_eq!(
        (&log[0]["version"], &log[1]["version"]),
        (&2.into(), &1.into()),
        "newest first"
    );
    let time = log[1]["time"].as_str().unwrap();
    assert_eq!(count(&["--at", time]), before);
    assert_eq!(count(&["--at", "2999-01-01"]), count(&[]));
    assert_eq!(
        place
            .call(&["log", "-n", "1", "--format", "json"])
            .code(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn tables_for_people_fit_the_line() {
    let place = Place::published();
    let query = "SELECT * FROM forecast.quantiles LIMIT 3";
    let narrow = place
        .command(&["sql", query])
        .env("LAKE_WIDTH", "100")
        .output()
        .unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 100),
        "{narrow}"
    );
    assert!(
        narrow.contains("no room for") && narrow.contains("basis"),
        "{narrow}"
    );
    // In a pipe nothing is left out.
    let piped = place.call(&["sql", query]).code(0).stdout;
    assert!(piped.lines().next().unwrap().contains("basis"), "{piped}");
    let limited = place
        .call(&["sql", "SELECT * FROM forecast.quantiles", "--limit", "2"])
        .code(0)
        .stdout;
    assert!(limited.contains("first 2 of 8 rows"), "{limited}");
}
