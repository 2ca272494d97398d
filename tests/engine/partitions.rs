//! Partitions that cannot be, and windows that would cut off in silence what they should reach.

use crate::common::{demo, edit, edit_stage};
use crate::declarations::{OPTIONS, check, line, stage, words};

#[test]
fn partitions_that_cannot_be() {
    check(vec![
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "grain = \"day\"",
                    "grain = \"dayly\"",
                )
            },
            words(&[
                "pipelines/options.toml:",
                "options.density",
                "`dayly`",
                "`day`",
            ]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "keys = [\"asset\"]",
                    "keys = [\"asset\", \"asset\"]",
                )
            },
            words(&[
                "pipelines/options.toml:",
                "options.density",
                "`asset` stands twice in `keys`",
            ]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "primary_key = [\"asset\",",
                    "primary_key = [\"asset\", \"asset\",",
                )
            },
            words(&[
                "pipelines/options.toml:",
                "`asset` stands twice in `primary_key`",
            ]),
        ),
        // Entries of the quarantine have no time.
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "[stage.inputs]",
                    "[stage.inputs]\n\"quarantine.demo_deribit_dvol\" = { lookback = \"3d\" }",
                )
            },
            words(&[
                &stage(OPTIONS, "options.density"),
                "`quarantine.demo_deribit_dvol` has no time column",
                "lookback 3d",
                "\"all\"",
            ]),
        ),
        // A table that a dataset makes.
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "table = \"options.density\"",
                    "table = \"norm.demo_deribit_dvol\"",
                )
            },
            words(&[
                "already made",
                "sources.demo.datasets.deribit_dvol",
                "pipelines/options.toml:",
            ]),
        ),
    ]);
}

#[test]
fn partition_values_that_are_no_names() {
    for (value, problem) in [
        ("BTC/../x", "`..`"),
        ("BTC/x", "one of"),
        ("..", "`..`"),
        ("a=b", "one of"),
        ("a%2Fb", "one of"),
        ("", "empty"),
        (&"x".repeat(300), "longer than 128 bytes"),
        ("BTC\", \"BTC", "stands twice"),
    ] {
        let mut bench = demo();
        edit(
            &mut bench,
            "configs/demo.toml",
            "[coverage.options]\nasset = [\"BTC\", \"ETH\"]",
            &format!("[coverage.options]\nasset = [\"{value}\", \"ETH\"]"),
        );
        let error = bench.open().err().unwrap().to_string();
        assert!(
            error.contains("configs/demo.toml:9, coverage.options.asset"),
            "{error}"
        );
        assert!(error.contains(problem), "{error}");
    }
    let mut bench = demo();
    bench.set("coverage.options.asset", "[\"B/C\"]");
    let error = bench.open().err().unwrap().to_string();
    assert!(error.contains("--set, coverage.options.asset"), "{error}");
}

#[test]
fn a_parameter_of_days_is_never_cut_off_by_a_window() {
    let daily = "pipelines/onchain.toml";
    check(vec![
        (
            |b| {
                let text = b.project.text("pipelines/onchain.toml").unwrap();
                let text = text.replace("\"stale_days + 15d\"", "\"20d\"");
                b.project.set_text("pipelines/onchain.toml", text);
            },
            words(&[
                &stage(daily, "onchain.daily"),
                "`stale_days`",
                "none of its windows follows it",
                "{ lookback = \"stale_days\" }",
            ]),
        ),
        (
            |b| {
                edit(
                    b,
                    "pipelines/onchain.toml",
                    "\"stale_days + 15d\"",
                    "\"stale_dayz + 15d\"",
                )
            },
            words(&[
                &line(daily, "\"stale_days + 15d\""),
                "`stale_dayz`",
                "`stale_days`",
            ]),
        ),
        (
            |b| {
                edit(
                    b,
                    "pipelines/onchain.toml",
                    "\"stale_days + 15d\"",
                    "\"stale_days + 15\"",
                )
            },
            words(&[&line(daily, "\"stale_days + 15d\""), "`15`", "`90d`"]),
        ),
        (
            |b| b.set("params.stale_days", "-15"),
            words(&[&line(daily, "\"stale_days + 15d\""), "comes to 0 days"]),
        ),
        (
            |b| b.set("params.regime_window_days", "4000000000000000000"),
            words(&[
                "pipelines/forecast.toml:",
                "comes to 4000000000000000000 days",
            ]),
        ),
    ]);
    // A longer memory reaches further back.
    let mut bench = demo();
    bench.set("params.pca_window_days", "365");
    let opened = bench.open().unwrap();
    let table = "features.surface_pca".parse().unwrap();
    let reader = opened.assembly.pipeline.stage_of(&table).unwrap();
    assert_eq!(reader.inputs[0].window.to_string(), "lookback 379d");
}
