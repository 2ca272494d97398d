//! `audit lookahead`: what it says, how it ends, and that it leaves the lake alone.

use std::fs;

use crate::common::{Place, files_below};

#[test]
fn the_shipped_tables_pass_and_the_lake_is_only_read() {
    let place = Place::published();
    let before = files_below(&place.lake());
    let args = ["audit", "lookahead", "--samples", "2", "--format", "json"];
    let report = place.short(&args).code(0).json();
    assert_eq!(report["clean"], true, "{report}");
    assert_eq!(report["instants"].as_array().unwrap().len(), 2);
    let tables = report["tables"].as_array().unwrap();
    let table = |name: &str| {
        let found = tables.iter().find(|t| t["table"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {report}"))
    };
    // Scores look at the whole sample on purpose; they were never run here and are computed beside the lake.
    assert!(table("backtest.forecast_scores")["exempt"].is_string());
    assert!(table("features.matrix")["rows"].as_u64() > Some(0));
    assert!(table("models.regime")["fixed_start"].is_string());
    let started = tables.iter().filter(|t| t["start_rows"].as_u64() > Some(0));
    assert!(started.count() > 5, "{report}");
    assert_eq!(files_below(&place.lake()), before);

    // The same seed looks at the same instants, another one at others.
    let again = place.short(&args).code(0).json();
    assert_eq!(again["instants"], report["instants"]);
    let other = place
        .short(&[&args[..], &["--seed", "2", "--select", "features.mdia"]].concat())
        .code(0)
        .json();
    assert_ne!(other["instants"], report["instants"]);
    assert!(other["tables"].as_array().unwrap().len() < tables.len());
}

#[test]
fn a_leak_is_named_before_the_query_is_ever_run() {
    let place = Place::published();
    place.call(&["init"]).code(0);
    let file = place.path().join("sql/features/matrix.sql");
    let right = fs::read_to_string(&file).unwrap();
    let wrong = right.replace(
        "WINDOW w7 AS (ORDER BY as_of ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)",
        "WINDOW w7 AS (ORDER BY as_of ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING)",
    );
    assert_ne!(right, wrong);
    fs::write(&file, wrong).unwrap();
    let args = [
        "audit",
        "lookahead",
        "--select",
        "features.matrix",
        "--at",
        "2026-01-08T12:00:00Z",
    ];
    let text = place.short(&args).code(2).stdout;
    assert!(text.contains("features.matrix.rv_7d: "), "{text}");
    assert!(text.contains("first row  asset="), "{text}");
    assert!(text.contains("leak"), "{text}");
    let report = place
        .short(&[&args[..], &["--format", "json"]].concat())
        .code(2)
        .json();
    assert_eq!(report["clean"], false);
    let leak = &report["leaks"][0];
    assert_eq!(leak["claim"], "later_knowledge");
    assert_eq!(
        (&leak["table"], &leak["column"]),
        (&"features.matrix".into(), &"rv_7d".into())
    );
    assert_ne!(leak["before"], leak["after"]);
    // The lake still has what was run.
    let plan = place
        .short(&["plan", "--until", "forecast", "--format", "json"])
        .code(0)
        .json();
    assert!(plan["tasks"]["run"].as_u64() > Some(0), "{plan}");
}

#[test]
fn wrong_instants_and_selections_are_refused() {
    let place = Place::published();
    for args in [
        &["audit", "lookahead", "--at", "yesterday"][..],
        &["audit", "lookahead", "--select", "no.such"],
        &["audit", "lookahead", "--samples", "0"],
        &["audit", "lookahead", "--format", "csv"],
        &["audit"],
    ] {
        let ended = place.short(args).code(1);
        assert!(ended.stderr.len() > 20, "{args:?}");
    }
    let none = Place::empty();
    none.short(&["audit", "lookahead"]).code(1);
    assert!(!none.lake().exists());
}
