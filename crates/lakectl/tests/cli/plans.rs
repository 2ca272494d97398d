//! `plan`: it writes nothing, says why, says what it costs, and says what `status` and `run` say.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::common::{Place, keys};

/// Everything below a folder with what tells that it was touched.
fn tree(folder: &Path) -> Vec<(String, u64, SystemTime)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::metadata(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            found.push((name, meta.len(), meta.modified().unwrap()));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
fn json(place: &Place, args: &[&str]) -> Value {
    place
        .short(&[args, &["--format", "json"]].concat())
        .code(0)
        .json()
}

#[test]
fn nothing_is_written() {
    let empty = Place::empty();
    let plan = json(&empty, &["plan"]);
    assert_eq!(plan["version"], 0);
    assert_eq!(plan["tasks"]["run"], plan["tasks"]["total"]);
    assert_eq!(plan["estimate"]["run"]["unknown"], plan["tasks"]["total"]);
    empty.short(&["plan", "--tasks"]).code(0);
    assert_eq!(tree(empty.path()), []);

    let place = Place::published();
    let before = tree(place.path());
    for args in [
        &["plan"][..],
        &["plan", "--tasks"],
        &["plan", "--set", "params.stale_days=2"],
        &["plan", "--force", "options.slices"],
        &["run", "--dry-run"],
        &["status"],
    ] {
        place.short(args).code(0);
        assert!(
            tree(place.path()) == before,
            "{args:?} left something behind"
        );
    }
}

#[test]
fn plan_status_and_run_agree() {
    let place = Place::published();
    let edit = ["--set", "params.hysteresis_band=0.5"];
    for set in [&edit[..], &[]] {
        let with = |args: &[&str]| json(&place, &[args, set].concat());
        let (plan, status) = (with(&["plan"]), with(&["status"]));
        assert_eq!(plan["tasks"], status["tasks"]);
        for stage in plan["stages"].as_array().unwrap() {
            let tables = status["tables"].as_array().unwrap();
            let table = tables
                .iter()
                .find(|t| t["table"] == stage["stage"])
                .unwrap();
            let number = |key: &str| stage[key].as_u64().unwrap();
            assert_eq!(table["stale"], number("total") - number("reuse"), "{stage}");
            let tasks = plan["plan"].as_array().unwrap().iter();
            let here = tasks.filter(|task| task["table"] == stage["stage"]).count();
            assert_eq!(number("total"), here as u64);
        }
        let run = with(&["run"]);
        let number = |value: &Value| value.as_u64().unwrap();
        let (planned, done) = (&plan["tasks"], &run["tasks"]);
        assert_eq!(planned["total"], done["total"]);
        // What is pending may come to anything; the rest comes as planned.
        let pending = number(&planned["pending"]);
        let between = |low: u64, found: u64| (low..=low + pending).contains(&found);
        assert!(
            between(number(&planned["run"]), number(&done["ran"])),
            "{planned} {done}"
        );
        assert!(
            between(number(&planned["reuse"]), number(&done["reused"])),
            "{planned} {done}"
        );
        let after = with(&["status"]);
        assert_eq!(after["tasks"]["reuse"], after["tasks"]["total"]);
        assert_eq!(with(&["plan"])["tasks"], after["tasks"]);
    }
}

#[test]
fn stages_have_reasons_and_costs() {
    let place = Place::published();
    let args = [
        "plan",
        "--until",
        "forecast",
        "--set",
        "params.hysteresis_band=0.5",
    ];
    let plan = json(&place, &args);
    let stages = plan["stages"].as_array().unwrap();
    let divergence = stages
        .iter()
        .find(|s| s["stage"] == "features.divergence")
        .unwrap();
    assert_eq!(
        divergence["reason"],
        "parameter hysteresis_band 0.25 -> 0.5"
    );
    assert_eq!(divergence["run"], 2);
    let estimate = &divergence["estimate"];
    assert_eq!(
        keys(estimate),
        ["tasks", "unknown", "seconds", "rows", "bytes"]
    );
    // What the published partitions took and hold.
    let shown = json(&place, &["show", "features.divergence"]);
    assert_eq!(estimate["rows"], shown["rows"]);
    assert_eq!(estimate["bytes"], shown["bytes"]);
    assert_eq!(estimate["unknown"], 0);
    assert!(estimate["seconds"].as_f64().unwrap() > 0.0);
    let totals = &plan["estimate"];
    assert!(totals["with_pending"]["tasks"].as_u64() > totals["run"]["tasks"].as_u64());
    let elapsed = |jobs: &str| {
        let plan = json(&place, &[&args[..], &["--jobs", jobs]].concat());
        plan["estimate"]["run"]["elapsed"].as_f64().unwrap()
    };
    assert!(elapsed("2") < elapsed("1"));

    let text = place.short(&args).code(0).stdout;
    assert!(text.contains("estimate  2 tasks, about "), "{text}");
    assert!(text.contains("if all pending ones run: "), "{text}");

    // A stage that never ran has nothing to go by.
    let text = place.short(&["plan", "--until", "backtest"]).code(0).stdout;
    assert!(text.contains("have no estimate"), "{text}");
}

#[test]
fn an_asset_that_is_not_covered_any_more_is_named_before_it_is_dropped() {
    let place = Place::published();
    let args = [
        "--until",
        "options.slices",
        "--set",
        "coverage.options.asset=[\"BTC\"]",
    ];
    let plan = json(&place, &[&["plan"], &args[..]].concat());
    let dropped = plan["dropped"].as_array().unwrap();
    assert!(
        dropped
            .iter()
            .any(|task| task == "options.slices asset=ETH/date=2026-01-05")
    );
    assert!(
        dropped
            .iter()
            .all(|task| task.as_str().unwrap().contains("asset=ETH"))
    );
    let text = place.short(&[&["plan"], &args[..]].concat()).code(0).stdout;
    // One line a table, in the plan and in what the run says.
    let line = "\n  options.slices: 11 partitions, asset=ETH/date=2026-01-01 to asset=ETH/date=2026-01-11\n";
    assert!(
        text.contains("a run drops these") && text.contains(line),
        "{text}"
    );
    let run = place.short(&[&["run"], &args[..]].concat()).code(0).stdout;
    assert!(
        run.contains("\ndropped, because") && run.contains(line),
        "{run}"
    );
    let plan = json(&place, &[&["plan"], &args[..]].concat());
    assert_eq!(plan["dropped"], Value::Array(Vec::new()));
}

#[test]
fn names_that_match_nothing_are_refused_with_the_nearest() {
    let place = Place::published();
    for (args, words) in [
        (
            &["plan", "--select", "option.slices"][..],
            &["`option.slices`", "`options.slices`"][..],
        ),
        (
            &[
                "plan",
                "--select",
                "options.slices",
                "--select",
                "tag:featurs",
            ],
            &["`tag:featurs`", "`tag:features`"],
        ),
        (
            &["plan", "--select", "optoins.*"],
            &["`optoins.*`", "`options.*`"],
        ),
        (
            &["plan", "--until", "forcast"],
            &["`forcast`", "`forecast`"],
        ),
        (
            &["run", "--until", "zzzzzzzzzzzz"],
            &["`zzzzzzzzzzzz`", "the nearest are `"],
        ),
        (
            &[
                "plan",
                "--until",
                "options.slices",
                "--select",
                "forecast.*",
            ],
            &["`forecast.*`", "options.slices", "hint"],
        ),
        (
            &[
                "plan",
                "--until",
                "options",
                "--select",
                "options.slices",
                "--select",
                "forecast.*",
            ],
            &["no stage of `forecast.*` is needed for `options`"],
        ),
        (
            &["run", "--force", "options.slice"],
            &["`options.slice`", "`options.slices`"],
        ),
        (
            &[
                "run",
                "--until",
                "options.slices",
                "--force",
                "options.density",
            ],
            &[
                "--force options.density",
                "no task of it is in this plan",
                "known are `",
                "`options.slices`",
            ],
        ),
        (
            &["run", "--refresh", "options.slices"],
            &["none of `options.slices` is harvested"],
        ),
        (
            &["run", "--refresh", "raw.demo_deribit_dvl"],
            &["`raw.demo_deribit_dvl`", "`raw.demo_deribit_dvol`"],
        ),
        (
            &[
                "run",
                "--until",
                "market.rates",
                "--refresh",
                "raw.demo_deribit_dvol",
            ],
            &["--refresh raw.demo_deribit_dvol", "no task of it"],
        ),
        (
            &["plan", "--asset", "BTX"],
            &["no partition has asset `BTX`", "`BTC`"],
        ),
        (
            &["plan", "--asset", "a/b"],
            &["no partition has asset `a/b`", "known are `BTC`, `ETH`"],
        ),
        (&["stages", "optins.*"], &["`optins.*`", "`options.*`"]),
        (
            &["plan", "--from", "2031-01-01"],
            &["the selection holds no partition"],
        ),
    ] {
        let ended = place.short(args).code(1);
        for word in words {
            assert!(
                ended.stderr.contains(word),
                "{args:?}: `{word}` is not in: {}",
                ended.stderr
            );
        }
        assert_eq!(ended.stdout, "");
    }
}
