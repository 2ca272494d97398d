//! `lakectl project` and `lakectl views`: what other engines are given. That they can read it, `tests/python` shows.

use std::fs;

use crate::common::{Place, keys};

const LOG: &str = "data/forecast/quantiles/_delta_log";

#[test]
fn a_run_projects_what_it_publishes() {
    let place = Place::published();
    let log = place.lake().join(LOG);
    let first = fs::read_to_string(log.join(format!("{:020}.json", 0))).unwrap();
    assert!(first.contains(r#""writerFeatures":["lakectl"]"#), "{first}");
    let overview = place.call(&["project"]).code(0);
    assert!(
        overview.stdout.contains(" forecast.quantiles "),
        "{}",
        overview.stdout
    );
    assert!(
        overview.stderr.contains("version 1 was projected already"),
        "{}",
        overview.stderr
    );

    place
        .short(&[
            "run",
            "--until",
            "forecast",
            "--set",
            "params.training_rows_min=3",
        ])
        .code(0);
    let report = place
        .call(&["project", "forecast.quantiles", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(
        keys(&report),
        [
            "version",
            "commits",
            "checkpoints",
            "bytes",
            "rebuilt",
            "tables"
        ]
    );
    assert_eq!(
        (&report["version"], &report["commits"]),
        (&2.into(), &0.into())
    );
    let [table] = report["tables"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    let path = place
        .lake()
        .canonicalize()
        .unwrap()
        .join("data/forecast/quantiles");
    assert_eq!(table["path"], path.to_str().unwrap());
    let versions = table["versions"].as_array().unwrap();
    let pairs: Vec<_> = versions
        .iter()
        .map(|v| (v["delta_version"].as_u64(), v["lake_version"].as_u64()))
        .collect();
    assert_eq!(pairs, [(Some(0), Some(1)), (Some(1), Some(2))]);

    fs::remove_dir_all(&log).unwrap();
    let words = place
        .call(&["project", "--rebuild", "forecast.quantiles"])
        .code(0);
    assert!(words.stdout.contains("of lake version"), "{}", words.stdout);
    assert!(
        words.stderr.contains("2 Delta versions"),
        "{}",
        words.stderr
    );
    assert_eq!(
        fs::read_to_string(log.join(format!("{:020}.json", 0))).unwrap(),
        first
    );

    let ended = place.call(&["project", "forecast.quantile"]).code(1);
    assert!(
        ended.stderr.contains("did you mean `forecast.quantiles`?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_projection_that_fails_is_a_warning() {
    let place = Place::published();
    let state = place.lake().join("_projections");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "in the way").unwrap();
    let args = [
        "run",
        "--until",
        "forecast",
        "--set",
        "params.training_rows_min=3",
    ];
    let summary = place
        .short(&[&args[..], &["--format", "json"]].concat())
        .code(0)
        .json();
    assert_eq!(summary["version"], 2, "the lake goes on");
    let warning = summary["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("_projections/delta.json"), "{warning}");
    let quiet = place
        .short(&[&args[..], &["--quiet", "--strict"]].concat())
        .code(2);
    assert!(
        quiet.stderr.contains("warning: the Delta logs"),
        "{}",
        quiet.stderr
    );
    place.call(&["project"]).code(1);

    fs::remove_file(&state).unwrap();
    let summary = place
        .short(&[&args[..], &["--format", "json"]].concat())
        .code(0)
        .json();
    assert_eq!(
        summary["warnings"].as_array().unwrap().len(),
        0,
        "a run without work mends it"
    );
    assert!(
        place
            .lake()
            .join(LOG)
            .join(format!("{:020}.json", 1))
            .is_file()
    );
}

#[test]
fn a_setting_keeps_the_logs_away() {
    let place = Place::empty();
    let off = ["--set", "projections.delta=false"];
    place
        .short(&[&["run", "--until", "market"], &off[..]].concat())
        .code(0);
    assert!(!place.lake().join("_projections").exists());
    assert!(
        !place
            .lake()
            .join("data/market/spot_bars/_delta_log")
            .exists()
    );
    place.call(&[&["project"], &off[..]].concat()).code(0);
    assert!(
        place
            .lake()
            .join("data/market/spot_bars/_delta_log")
            .is_dir()
    );
}

#[test]
fn views_go_to_a_file_or_to_standard_output() {
    let place = Place::published();
    let sql = place.call(&["views"]).code(0).stdout;
    let lake = place.lake().canonicalize().unwrap();
    assert!(sql.contains("CREATE OR REPLACE MACRO lake_version() AS 1;"));
    assert!(sql.contains("CREATE OR REPLACE VIEW \"forecast\".\"quantiles\" AS"));
    assert!(sql.contains(&format!(
        "'{}/data/forecast/quantiles/asset=BTC/",
        lake.display()
    )));
    let ended = place
        .call(&["views", "--relative", "--output", "views.sql"])
        .code(0);
    assert!(
        ended.stdout.is_empty() && ended.stderr.contains("views of version 1"),
        "{}",
        ended.stderr
    );
    let relative = fs::read_to_string(place.path().join("views.sql")).unwrap();
    assert_eq!(relative, sql.replace(&format!("'{}/", lake.display()), "'"));
    let json = place.call(&["views", "--format", "json"]).code(0).json();
    assert_eq!(keys(&json), ["version", "tables", "sql"]);
    assert_eq!(json["sql"], sql.trim_end().to_owned() + "\n");
    let empty = place.call(&["views", "--at", "0"]).code(0).stdout;
    assert!(!empty.contains("VIEW"), "{empty}");
    let ended = place.call(&["views", "--at", "9"]).code(1);
    assert!(ended.stderr.contains("no version 9"), "{}", ended.stderr);
}
