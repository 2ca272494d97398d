//! What is refused: always exit code 1, in words that help, and nothing is left behind.

use std::fs;

use crate::common::{Place, SHORT};

#[test]
fn wrong_command_lines() {
    let place = Place::empty();
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["Usage"]),
        (&["frobnicate"], &["frobnicate"]),
        (&["run", "--nope"], &["--nope"]),
        (&["run", "--until"], &["--until"]),
        (&["run", "--jobs", "many"], &["many"]),
        (&["run", "--from", "2026-13-01"], &["2026-13-01"]),
        (
            &["run", "--from", "2026-02-01", "--to", "2026-01-01"],
            &["2026-02-01", "after", "2026-01-01"],
        ),
        (&["run", "--format", "yaml"], &["yaml"]),
        (
            &["run", "--format", "csv"],
            &["`run` has no format `csv`", "text, json"],
        ),
        (
            &["status", "--format", "dot"],
            &["`status` has no format `dot`"],
        ),
        (&["run", "--quiet", "-v"], &["--quiet"]),
        (&["completions", "tcsh"], &["tcsh", "bash"]),
        (
            &["--profile", "demmo", "run"],
            &["demmo", "did you mean `demo`?"],
        ),
        (&["--profile", "live", "run"], &["live", "not there yet"]),
        (&["--profile", "live", "status"], &["live", "not there yet"]),
        (
            &["--set", "params.stale_dayz=3", "run"],
            &["params.stale_dayz", "did you mean `params.stale_days`?"],
        ),
        (
            &["--set", "stale_days=3", "run"],
            &["did you mean `params.stale_days`?"],
        ),
        (
            &["--set", "params.stale_days=soon", "run"],
            &["params.stale_days=soon", "whole number"],
        ),
        (&["--set", "params.stale_days", "run"], &["--set key=value"]),
        (&["--set", "calendar.end=soon", "run"], &["soon"]),
        (
            &["run", "--until", "forcast"],
            &["`forcast`", "did you mean `forecast"],
        ),
        (
            &["run", "--select", "optins.greeks"],
            &["`optins.greeks`", "did you mean `options.greeks`?"],
        ),
        (
            &["run", "--until", "daily"],
            &["`onchain.daily`", "`sentiment.daily`"],
        ),
        (
            &["run", "--force", "options.greek"],
            &["options.greek", "options.greeks"],
        ),
        (
            &["run", "--refresh", "options.greeks"],
            &["options.greeks", "harvested"],
        ),
        (&["run", "--asset", "BTCC"], &["BTCC", "`BTC`"]),
        (&["stages", "tag:optoins"], &["tag:optoins", "tag:options"]),
        (
            &["show", "options.greek"],
            &["options.greek", "`options.greeks`"],
        ),
        (
            &["show", "daily"],
            &["`onchain.daily`", "`sentiment.daily`"],
        ),
        (
            &["--lake", "s3://bucket/lake", "run"],
            &[
                "s3://bucket/lake",
                "there are no credentials",
                "AWS_ACCESS_KEY_ID",
            ],
        ),
        (
            &["--lake", "gs://bucket/lake", "sql", "SELECT 1"],
            &["gs://bucket/lake", "`s3://bucket/prefix`"],
        ),
        (
            &["--profile", "archive", "run"],
            &["sources.archive.root", "--set"],
        ),
        (
            &[
                "--profile",
                "archive",
                "--set",
                "sources.archive.root=nowhere",
                "run",
            ],
            &["nowhere", "not a folder"],
        ),
        (&["status"], &["no lake", "lakectl run"]),
        (&["log"], &["no lake"]),
        (&["sql", "SELECT 1"], &["no lake"]),
    ];
    for (args, words) in cases {
        let ended = place.call(args).code(1);
        assert_eq!(ended.stdout, "", "{args:?}");
        for word in *words {
            assert!(
                ended.stderr.contains(word),
                "{args:?}: no `{word}` in\n{}",
                ended.stderr
            );
        }
    }
    let left = fs::read_dir(place.path()).unwrap().count();
    assert_eq!(left, 0, "a refused command made something");
}

#[test]
fn lakes_that_are_not_ours() {
    let place = Place::published();
    let lake = place.lake().display().to_string();
    let archive = [
        "--profile",
        "archive",
        "--set",
        "sources.archive.root=.",
        "--lake",
        &lake,
    ];
    for command in [
        &["run"][..],
        &["status"],
        &["sql", "SELECT 1"],
        &["log"],
        &["plan"],
        &["show", "market.dvol"],
    ] {
        let ended = place.call(&[&archive, command].concat()).code(1);
        assert!(
            ended.stderr.contains("made with profile demo"),
            "{command:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("--profile demo"),
            "{command:?}: {}",
            ended.stderr
        );
    }
    let doctor = place.call(&[&archive, &["doctor"][..]].concat()).code(1);
    assert!(
        doctor.stdout.contains("made with profile demo"),
        "{}",
        doctor.stdout
    );

    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "dear diary").unwrap();
    for command in [&["run"][..], &["status"], &["sql", "SELECT 1"]] {
        let ended = place
            .call(&[&SHORT[..], &["--lake", "other"], command].concat())
            .code(1);
        assert!(
            ended.stderr.contains("not a lake") && ended.stderr.contains("thesis.txt"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    let ended = place
        .call(&[&SHORT[..], &["--lake", "other/thesis.txt", "run"]].concat())
        .code(1);
    assert!(
        ended
            .stderr
            .contains("a file stands where a folder is needed"),
        "{}",
        ended.stderr
    );
    // An empty folder becomes a lake, also one with a README.
    fs::create_dir(place.path().join("fresh")).unwrap();
    fs::write(place.path().join("fresh/README.md"), "the lake").unwrap();
    place
        .call(
            &[
                &SHORT[..],
                &["--lake", "fresh", "run", "--until", "market.dvol"],
            ]
            .concat(),
        )
        .code(0);
}

#[test]
fn damage_is_named() {
    let place = Place::published();
    let data = place.lake().join("data/forecast/quantiles");
    let file = crate::common::files_below(&data)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|ending| ending == "parquet"))
        .unwrap()
        .0;
    let file = data.join(file);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).unwrap();
    let ended = place
        .call(&["sql", "SELECT * FROM forecast.quantiles"])
        .code(1);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        ended.stderr.contains("damaged file") && ended.stderr.contains(&name),
        "{}",
        ended.stderr
    );
}

#[test]
fn queries_are_only_queries() {
    let place = Place::published();
    let cases: &[(&str, &[&str])] = &[
        (
            "SELECT asse FROM forecast.quantiles",
            &["`asse`", "did you mean `asset`?"],
        ),
        (
            "SELECT * FROM forecast.quantile",
            &["`forecast.quantile`", "forecast.quantiles"],
        ),
        ("SELEC 1", &["line 1, column 1"]),
        ("SELECT nosuch(1)", &["nosuch"]),
        ("DROP TABLE forecast.quantiles", &["SELECT"]),
        ("COPY (SELECT 1) TO 'out.csv'", &["SELECT"]),
        ("SELECT 1; SELECT 2", &["one SELECT"]),
        ("", &["found nothing"]),
    ];
    for (query, words) in cases {
        let ended = place.call(&["sql", query]).code(1);
        for word in *words {
            assert!(
                ended.stderr.contains(word),
                "{query}: no `{word}` in\n{}",
                ended.stderr
            );
        }
    }
    for (at, word) in [
        ("7", "no version 7"),
        ("bananas", "neither a version nor a time"),
        ("0", "neither a version nor a time"),
        ("main@0", "neither a version nor a time"),
        ("main@7", "no version 7"),
        ("dev@1", "no branch `dev`"),
        ("2020-01-01", "no version at 2020"),
    ] {
        let ended = place.call(&["sql", "SELECT 1", "--at", at]).code(1);
        assert!(ended.stderr.contains(word), "{at}: {}", ended.stderr);
    }
    place.call(&["sql", "SELECT 1", "--at", "main@1"]).code(0);
    let unused = ["sql", "SELECT $a", "--param", "a=1", "--param", "zz=1"];
    let unused = place.call(&unused).code(1);
    for word in ["`--param zz=...`", "the query has no `$zz`", "it has `$a`"] {
        assert!(unused.stderr.contains(word), "{}", unused.stderr);
    }
    for (file, word) in [
        ("rows.xls", ".parquet"),
        ("no/such/folder/rows.csv", "no/such/folder/rows.csv"),
    ] {
        let ended = place.call(&["sql", "SELECT 1", "--output", file]).code(1);
        assert!(ended.stderr.contains(word), "{file}: {}", ended.stderr);
    }
    let ended = place
        .call(&["sql", "SELECT 1", "--format", "parquet"])
        .code(1);
    assert!(ended.stderr.contains("--output"), "{}", ended.stderr);
}

/// One rule for all commands: 1 for what was asked for, 2 for what came in between.
#[test]
fn a_damaged_log_is_no_wrong_command() {
    let place = Place::published();
    let log = place.path().join("lake/demo/_log/main");
    let mut commits: Vec<_> = fs::read_dir(&log)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    commits.retain(|path| path.is_file());
    commits.sort();
    fs::write(commits.last().unwrap(), "{").unwrap();
    let days = ["--from", "2026-01-01", "--to", "2026-01-05"];
    let backfill = [&["backfill", "--select", "market.*"][..], &days].concat();
    let commands: [&[&str]; 8] = [
        &["run"],
        &backfill,
        &["plan"],
        &["status"],
        &["sql", "SELECT 1"],
        &["gc", "--dry-run"],
        &["log"],
        &["branch", "list"],
    ];
    for command in commands {
        let ended = place.short(command).code(2);
        assert!(
            ended.stderr.contains("_log"),
            "{command:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_lake_without_its_identity_is_told_what_it_lacks() {
    let place = Place::published();
    fs::remove_file(place.path().join("lake/demo/lake.json")).unwrap();
    let ended = place.short(&["status"]).code(1);
    for word in ["no lake.json", "bring that file back", "\"profile\""] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
}
