//! What programs rely on: JSON shapes, exit codes, where things go.

use serde_json::Value;

use crate::common::{Place, SHORT, keys};

#[test]
fn a_run_prints_one_object_and_a_second_one_has_nothing_to_do() {
    let place = Place::empty();
    let until = ["run", "--until", "forecast", "--format", "json"];
    let first = place.short(&until).code(0);
    let run = first.json();
    for key in [
        "run_id", "version", "profile", "tasks", "stages", "seconds", "lake",
    ] {
        assert!(run.get(key).is_some(), "no `{key}` in {run}");
    }
    assert_eq!(run["version"], 1);
    assert_eq!(run["profile"], "demo");
    assert_eq!(
        keys(&run["tasks"]),
        ["total", "reused", "restored", "ran", "failed", "blocked"]
    );
    assert_eq!(run["tasks"]["ran"], run["tasks"]["total"]);
    assert_eq!(
        run["lake"].as_str().unwrap(),
        place.lake().canonicalize().unwrap().display().to_string()
    );
    let stages = run["stages"].as_array().unwrap();
    for stage in stages {
        for key in [
            "stage", "table", "reused", "ran", "failed", "rows", "seconds", "reason",
        ] {
            assert!(stage.get(key).is_some(), "no `{key}` in {stage}");
        }
        assert_eq!(stage["reason"], "never run");
        assert_eq!(stage["stage"], stage["table"]);
    }
    let ran: u64 = stages.iter().map(|s| s["ran"].as_u64().unwrap()).sum();
    assert_eq!(run["tasks"]["ran"], ran);
    assert!(!first.stderr.contains('{'), "{}", first.stderr);

    let second = place.short(&until).code(0).json();
    assert_eq!(second["version"], 1);
    assert_eq!(second["tasks"]["ran"], 0);
    assert_eq!(second["tasks"]["reused"], second["tasks"]["total"]);
    assert!(
        second["stages"]
            .as_array()
            .unwrap()
            .iter()
            .all(|stage| stage["reason"].is_null())
    );
    let text = place.short(&["run", "--until", "forecast"]).code(0);
    assert!(
        text.stdout.starts_with("nothing to do: 0 ran"),
        "{}",
        text.stdout
    );
}

#[test]
fn every_command_speaks_json() {
    let place = Place::published();
    let said = |args: &[&str]| {
        place
            .short(&[args, &["--format", "json"]].concat())
            .code(0)
            .json()
    };

    let plan = said(&["plan"]);
    assert_eq!(
        keys(&plan),
        [
            "profile",
            "lake",
            "version",
            "last_day",
            "tasks",
            "estimate",
            "stages",
            "plan",
            "vanished",
            "dropped",
            "checks",
            "open_checks",
        ]
    );
    assert_eq!(
        keys(&plan["tasks"]),
        ["total", "reuse", "restore", "run", "pending", "blocked"]
    );
    let tasks = plan["plan"].as_array().unwrap();
    assert_eq!(tasks.len() as u64, plan["tasks"]["total"].as_u64().unwrap());
    for task in tasks {
        assert_eq!(
            keys(task),
            [
                "table",
                "partition",
                "verdict",
                "reason",
                "note",
                "seconds",
                "rows",
                "bytes"
            ]
        );
        assert!(!task["reason"].as_str().unwrap().is_empty(), "{task}");
    }
    assert!(
        plan["tasks"]["run"].as_u64() > Some(0),
        "the scores are not computed yet"
    );
    assert_eq!(said(&["run", "--dry-run"])["tasks"], plan["tasks"]);

    let status = said(&["status"]);
    assert_eq!(
        keys(&status),
        [
            "profile",
            "lake",
            "version",
            "published_at",
            "tasks",
            "tables",
            "failures",
            "quarantine",
            "checks",
            "open_checks",
            "note",
            "disk"
        ]
    );
    assert_eq!(
        keys(&status["tables"][0]),
        ["table", "partitions", "rows", "newest", "stale"]
    );
    assert_eq!(status["failures"], Value::Array(Vec::new()));

    let stages = said(&["stages", "options.*"]);
    assert_eq!(
        keys(&stages[0]),
        [
            "table",
            "kind",
            "partitions",
            "tags",
            "inputs",
            "description"
        ]
    );
    let graph = said(&["graph"]);
    assert_eq!(keys(&graph), ["stages", "unions"]);

    let log = said(&["log"]);
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!(
        keys(&log[0]),
        [
            "version",
            "time",
            "branch",
            "who",
            "run",
            "reason",
            "message",
            "tables",
            "partitions",
            "rows",
            "dropped",
            "records",
            "origin",
            "merged"
        ]
    );

    let show = said(&["show", "forecast.quantiles"]);
    assert_eq!(
        keys(&show),
        [
            "table",
            "description",
            "kind",
            "version",
            "rows",
            "bytes",
            "primary_key",
            "columns",
            "partitions",
            "reads",
            "read_by"
        ]
    );
    assert_eq!(keys(&show["columns"][0]), ["name", "type", "nullable"]);
    assert_eq!(
        keys(&show["partitions"][0]),
        [
            "partition",
            "rows",
            "bytes",
            "run",
            "rows_hash",
            "fingerprint"
        ]
    );
    let rows: u64 = show["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["rows"].as_u64().unwrap())
        .sum();
    assert_eq!(show["rows"], rows);

    let doctor = said(&["doctor"]);
    assert_eq!(keys(&doctor), ["ok", "findings", "settings"]);
    let whats: Vec<&str> = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        whats,
        ["configuration", "stages", "lake", "sources", "versions"]
    );
    assert_eq!(doctor["settings"]["calendar.end"], "2026-01-11");

    let init = said(&["init", "new"]);
    assert_eq!(keys(&init), ["folder", "files"]);
    let completions = said(&["completions", "bash"]);
    assert_eq!(completions["shell"], "bash");
    assert!(completions["script"].as_str().unwrap().contains("lakectl"));
    let rows = said(&["sql", "SELECT 1 AS one"]);
    assert_eq!(rows.to_string(), r#"[{"one":1}]"#);
}

#[test]
fn dry_runs_and_plans_write_nothing() {
    let place = Place::empty();
    place.short(&["run", "--dry-run"]).code(0);
    place.short(&["plan", "--until", "forecast"]).code(0);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn quarantine_is_reported_and_strict_minds_it() {
    let place = Place::empty();
    // Some page of the simulated market is wrong on purpose; which one depends on the seed.
    let days = [
        "--set",
        "sources.demo.market.start=2025-09-01",
        "--set",
        "coverage.options.start=2025-09-01",
    ];
    let until = ["run", "--until", "norm.demo_deribit_options"];
    let args = [&SHORT[..], &days, &until].concat();
    let run = place
        .call(&[&args[..], &["--format", "json"]].concat())
        .code(0)
        .json();
    assert!(run["quarantined"].as_u64() > Some(0), "{run}");
    let text = place.call(&args).code(0).stdout;
    assert!(
        text.contains("quarantine") && text.contains("left out"),
        "{text}"
    );
    place.call(&[&args[..], &["--strict"]].concat()).code(2);
    let status = place
        .call(&[&args[..8], &days, &["status", "--format", "json"]].concat())
        .code(0)
        .json();
    assert_eq!(
        keys(&status["quarantine"][0]),
        [
            "table",
            "reason",
            "severity",
            "rows",
            "documents",
            "example"
        ]
    );
}

#[test]
fn quiet_and_colour() {
    let place = Place::published();
    let until = ["run", "--until", "forecast"];
    let quiet = place.short(&[&until[..], &["--quiet"]].concat()).code(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let rows = place.call(&["sql", "SELECT 1 AS one", "--quiet"]).code(0);
    assert!(rows.stdout.contains("one"));
    let escape = '\u{1b}';
    for (color, expected) in [("always", true), ("never", false), ("auto", false)] {
        let text = place
            .short(&[&until[..], &["--color", color]].concat())
            .code(0)
            .stdout;
        assert_eq!(text.contains(escape), expected, "{color}: {text}");
        let error = place
            .call(&["show", "nope", "--color", color])
            .code(1)
            .stderr;
        assert_eq!(error.contains(escape), expected, "{color}: {error}");
    }
    // Colour does not move columns.
    let log = |color: &str| place.call(&["log", "--color", color]).code(0).stdout;
    let bare: String = log("always")
        .split(escape)
        .map(|part| part.split_once('m').map_or(part, |(_, text)| text))
        .collect();
    assert_eq!(bare, log("never"));
}

#[test]
fn logs_and_progress_go_to_standard_error() {
    let place = Place::empty();
    let run = place
        .short(&["run", "--until", "market", "-v", "--format", "json"])
        .code(0);
    run.json();
    assert!(
        run.stderr
            .contains("market.option_quotes asset=BTC/date=2026-01-05: never run"),
        "{}",
        run.stderr
    );
}

#[test]
fn selections() {
    let place = Place::published();
    let tables = |args: &[&str]| -> Vec<String> {
        let plan = place
            .short(&[&["plan", "--format", "json"], args].concat())
            .code(0)
            .json();
        let mut tables: Vec<String> = plan["plan"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["table"].as_str().unwrap().to_owned())
            .collect();
        tables.dedup();
        tables
    };
    assert_eq!(
        tables(&["--until", "market.dvol"]),
        [
            "raw.demo_deribit_dvol",
            "norm.demo_deribit_dvol",
            "market.dvol"
        ]
    );
    assert!(
        tables(&["--until", "market"]).contains(&"market.spot_bars".to_owned()),
        "a schema"
    );
    assert!(tables(&["--until", "options"]).contains(&"options.slices".to_owned()));
    assert_eq!(
        tables(&["--until", "dvol"]).last().unwrap(),
        "market.dvol",
        "a name without its schema"
    );
    assert!(
        tables(&["--select", "tag:raw"])
            .iter()
            .all(|table| table.starts_with("raw."))
    );
    assert!(tables(&["--select", "options.*"]).contains(&"options.slices".to_owned()));
    assert!(tables(&["--select", "options.greeks+"]).contains(&"forecast.quantiles".to_owned()));
    assert!(
        tables(&["--select", "+options.greeks"]).contains(&"raw.demo_deribit_options".to_owned())
    );
    let day = [
        "--until",
        "options.greeks",
        "--from",
        "2026-01-05",
        "--to",
        "2026-01-05",
        "--asset",
        "ETH",
    ];
    let plan = place
        .short(&[&["plan", "--format", "json"], &day[..]].concat())
        .code(0)
        .json();
    let greeks: Vec<&str> = plan["plan"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|task| task["table"] == "options.greeks")
        .map(|task| task["partition"].as_str().unwrap())
        .collect();
    assert_eq!(greeks, ["asset=ETH/date=2026-01-05"]);
}

#[test]
fn forced_tasks_run_again_and_agree() {
    let place = Place::published();
    let before = place.hashes();
    let args = [
        "run",
        "--until",
        "market.dvol",
        "--force",
        "market.dvol",
        "--format",
        "json",
    ];
    let run = place.short(&args).code(0).json();
    assert_eq!(run["tasks"]["ran"], 2, "{run}");
    let forced: Vec<&Value> = run["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| !s["reason"].is_null())
        .collect();
    assert_eq!(forced.len(), 1);
    assert_eq!(forced[0]["reason"], "forced");
    assert_eq!(place.hashes(), before);
}

#[test]
fn graph_in_other_languages() {
    let place = Place::empty();
    let dot = place.call(&["graph", "--format", "dot"]).code(0).stdout;
    assert!(
        dot.starts_with("digraph") && dot.trim_end().ends_with('}'),
        "{dot}"
    );
    assert!(
        dot.contains("\"options.greeks\" -> \"options.slices\""),
        "{dot}"
    );
    let mermaid = place.call(&["graph", "--format", "mermaid"]).code(0).stdout;
    assert!(
        mermaid.starts_with("flowchart") && mermaid.contains("-->"),
        "{mermaid}"
    );
    let text = place.call(&["graph"]).code(0).stdout;
    assert!(
        text.contains("options.slices (native, by asset, date)"),
        "{text}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = place.call(&["completions", shell]).code(0).stdout;
        assert!(
            script.contains("lakectl") && script.contains("completions"),
            "{shell}"
        );
    }
}
