//! What people read.

use crate::common::Place;

#[test]
fn the_summary_of_a_run() {
    let place = Place::empty();
    let text = place.short(&["run", "--until", "forecast"]).code(0).stdout;
    assert!(text.starts_with("done: "), "{text}");
    assert!(
        text.contains("raw.* (11 datasets)") && text.contains("norm.* (11 datasets)"),
        "{text}"
    );
    let (tables, steps) = text.split_once("try next").unwrap();
    for line in tables.lines() {
        assert!(
            line.chars().count() <= 120 || line.starts_with("lake  "),
            "{line}"
        );
    }
    for word in [
        "newest forecasts",
        "price now",
        "2026-01-11",
        "24 h",
        "made from",
        "lake  version 1 in ",
    ] {
        assert!(tables.contains(word), "no `{word}` in {tables}");
    }
    // What is advised can be copied into a shell.
    let commands: Vec<&str> = steps
        .lines()
        .filter(|line| !line.contains('#'))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert!(commands.len() >= 4, "{steps}");
    for command in commands {
        let output = std::process::Command::new("sh")
            .args(["-c", command])
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn every_dataset_with_v() {
    let place = Place::empty();
    let text = place
        .short(&["run", "--until", "market", "-v"])
        .code(0)
        .stdout;
    assert!(
        text.contains(" raw.demo_deribit_dvol ") && !text.contains("datasets)"),
        "{text}"
    );
}

#[test]
fn plans_name_what_changed() {
    let place = Place::published();
    let idle = place.short(&["plan", "--until", "forecast"]).code(0).stdout;
    assert!(idle.contains("nothing to do"), "{idle}");
    let args = [
        "plan",
        "--until",
        "forecast",
        "--set",
        "params.hysteresis_band=0.5",
    ];
    let text = place.short(&args).code(0).stdout;
    assert!(
        text.contains("features.divergence") && text.contains("hysteresis_band"),
        "{text}"
    );
    let args = [&args[..], &["--tasks"]].concat();
    let every = place.short(&args).code(0).stdout;
    assert!(
        every.contains("nothing it is made from has changed"),
        "{every}"
    );
}

#[test]
fn help_is_everywhere() {
    let place = Place::empty();
    let general = place.call(&["--help"]).code(0).stdout;
    for word in [
        "Exit codes",
        "130",
        "LAKE_ROOT",
        "LAKECTL_*",
        "Selectors",
        "lakectl run --until forecast",
    ] {
        assert!(general.contains(word), "no `{word}` in {general}");
    }
    for command in [
        "run",
        "plan",
        "sql",
        "status",
        "stages",
        "graph",
        "log",
        "show",
        "doctor",
        "init",
        "completions",
        "branch",
        "rollback",
        "diff",
    ] {
        let help = place.call(&[command, "--help"]).code(0).stdout;
        assert!(
            help.contains(&format!("Usage: lakectl {command}")),
            "{help}"
        );
        assert!(
            help.contains("--lake <ADDRESS>") && help.contains("--format json"),
            "{help}"
        );
        assert!(general.contains(&format!("  {command} ")), "{general}");
    }
    let version = place.call(&["--version"]).code(0).stdout;
    assert!(version.starts_with("lakectl "), "{version}");
}

#[test]
fn tables_and_their_lineage() {
    let place = Place::published();
    let text = place.call(&["show", "options.slices"]).code(0).stdout;
    for word in [
        "read by  ",
        "options.surface_nodes",
        "reads    options.greeks (lookback 1d)",
        "asset=BTC/date=2026-01-10",
        "may be null",
    ] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
    let union = place.call(&["show", "norm.option_quotes"]).code(0).stdout;
    assert!(union.contains("norm.demo_deribit_options"), "{union}");
    let rejects = place
        .call(&["show", "quarantine.demo_deribit_options"])
        .code(0)
        .stdout;
    assert!(
        rejects.contains("left out") && rejects.contains("severity"),
        "{rejects}"
    );
    let bare = place.call(&["show", "slices"]).code(0).stdout;
    assert!(bare.starts_with("options.slices"), "{bare}");
    let elsewhere = Place::empty()
        .call(&["show", "options.slices"])
        .code(0)
        .stdout;
    assert!(elsewhere.contains("not computed yet"), "{elsewhere}");
}
