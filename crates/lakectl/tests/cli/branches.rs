//! Branches, going back and comparing, as people type it.

use std::fs;

use serde_json::Value;

use crate::common::{Ended, Place, files_below, keys};

/// A lake with everything, and a project whose greeks have some volatility points more.
fn edited() -> Place {
    let place = Place::published();
    place.call(&["init"]).code(0);
    let path = place.path().join("sql/options/greeks.sql");
    let query = fs::read_to_string(&path).unwrap();
    assert!(query.contains("coalesce(venue_iv,"));
    let more = query.replacen("coalesce(venue_iv,", "0.01 + coalesce(venue_iv,", 1);
    fs::write(path, more).unwrap();
    place
}

fn run(place: &Place, branch: &str) -> Value {
    let words = [
        "--branch",
        branch,
        "run",
        "--until",
        "options.greeks",
        "--format",
        "json",
    ];
    place.short(&words).code(0).json()
}

fn mean_iv(place: &Place, words: &[&str]) -> f64 {
    let query = "SELECT avg(iv) AS iv FROM options.greeks";
    let asked = [&["sql", query, "--format", "json"], words].concat();
    place.call(&asked).code(0).json()[0]["iv"].as_f64().unwrap()
}

fn log(place: &Place, branch: &str) -> Vec<Value> {
    let words = ["--branch", branch, "log", "--format", "json"];
    place
        .call(&words)
        .code(0)
        .json()
        .as_array()
        .unwrap()
        .clone()
}

fn json(place: &Place, words: &[&str]) -> Value {
    place
        .call(&[words, &["--format", "json"]].concat())
        .code(0)
        .json()
}

#[test]
fn from_a_branch_to_main_and_back() {
    let place = edited();
    let made = json(&place, &["branch", "create", "dev", "--why", "more points"]);
    assert_eq!(
        keys(&made),
        ["branch", "version", "time", "from", "who", "why", "current"]
    );
    assert_eq!(
        (&made["from"], &made["version"]),
        (&"main@1".into(), &2.into())
    );
    let listed = place.call(&["branch", "list"]).code(0).stdout;
    assert!(
        listed.contains("* main") && listed.contains("main@1"),
        "{listed}"
    );
    assert!(listed.contains("more points"), "{listed}");

    let before = mean_iv(&place, &[]);
    let ran = run(&place, "dev");
    assert_eq!(
        (&ran["version"], &ran["tasks"]["failed"]),
        (&3.into(), &0.into())
    );
    assert!(ran["tasks"]["ran"].as_u64().unwrap() > 0);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} and {b}");
    near(mean_iv(&place, &[]), before);
    near(mean_iv(&place, &["--branch", "dev"]), before + 0.01);
    near(mean_iv(&place, &["--branch", "dev", "--at", "1"]), before);
    near(mean_iv(&place, &["--branch", "dev", "--at", "2"]), before);
    let by_environment = place
        .command(&["log", "--format", "json"])
        .env("LAKE_BRANCH", "dev")
        .output();
    let by_environment = Ended::of(by_environment.unwrap()).code(0).json();
    assert_eq!(by_environment, Value::from(log(&place, "dev")));
    let versions = log(&place, "dev");
    assert_eq!(versions.len(), 3);
    assert_eq!(
        (&versions[1]["reason"], &versions[1]["origin"]),
        (&"branch".into(), &"main@1".into())
    );
    assert!(
        versions[0]["who"].as_str().unwrap().contains('@'),
        "{}",
        versions[0]
    );

    let planned = json(&place, &["branch", "merge", "dev", "--dry-run"]);
    assert_eq!(
        (&planned["version"], &planned["base"]),
        (&Value::Null, &"main@1".into())
    );
    assert_eq!(log(&place, "main").len(), 1);
    let merged = json(
        &place,
        &[
            "branch",
            "merge",
            "dev",
            "--into",
            "main",
            "--why",
            "looks right",
        ],
    );
    assert_eq!(
        (&merged["version"], &merged["tables"][0]),
        (&2.into(), &"options.greeks".into())
    );
    near(mean_iv(&place, &[]), before + 0.01);
    let newest = &log(&place, "main")[0];
    assert_eq!(
        (&newest["merged"], &newest["message"]),
        (&"dev@3".into(), &"looks right".into())
    );
    let text = place.call(&["log"]).code(0).stdout;
    assert!(
        text.contains("merge of dev@3") && text.contains("looks right"),
        "{text}"
    );
    assert_eq!(
        run(&place, "main")["tasks"]["ran"],
        0,
        "main has what dev computed"
    );

    place
        .call(&["branch", "delete", "dev", "--why", "merged"])
        .code(0);
    assert_eq!(
        json(&place, &["branch", "list"]).as_array().unwrap().len(),
        1
    );
    let gone = place.call(&["--branch", "dev", "log"]).code(1);
    assert!(gone.stderr.contains("no branch `dev`"), "{}", gone.stderr);
    assert!(
        gone.stderr.contains("lakectl branch create dev"),
        "{}",
        gone.stderr
    );
}

#[test]
fn going_back_says_what_comes_next() {
    let place = edited();
    let before = place.hashes();
    run(&place, "main");
    assert_ne!(place.hashes(), before);
    let refused = place.call(&["rollback", "1"]).code(1);
    assert!(refused.stderr.contains("--why"), "{}", refused.stderr);
    let refused = place.call(&["rollback", "9", "--why", "x"]).code(1);
    assert!(
        refused.stderr.contains("versions 1 to 2"),
        "{}",
        refused.stderr
    );
    let back = place
        .short(&["rollback", "1", "--why", "wrong points"])
        .code(0)
        .stdout;
    for words in [
        "main is at version 3",
        "raw documents and overrides stay",
        "by today's declarations it publishes",
    ] {
        assert!(back.contains(words), "no `{words}` in {back}");
    }
    assert_eq!(place.hashes(), before);
    let newest = &log(&place, "main")[0];
    assert_eq!(
        (&newest["reason"], &newest["message"]),
        (&"rollback".into(), &"wrong points".into())
    );
    let again = place
        .short(&["rollback", "1", "--why", "x", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(keys(&again), ["branch", "version", "to", "next_run"]);
    assert_eq!(again["version"], 3, "nothing is left to go back to");
    assert!(again["next_run"]["restore"].as_u64().unwrap() > 0);
    let forth = run(&place, "main");
    assert_eq!(forth["tasks"]["ran"], 0);
    assert_eq!(forth["tasks"]["restored"], again["next_run"]["restore"]);
}

#[test]
fn what_is_different_is_counted_and_shown() {
    let place = edited();
    place.call(&["branch", "create", "dev"]).code(0);
    run(&place, "dev");
    let diff = json(&place, &["diff", "main", "dev", "--limit", "2"]);
    assert_eq!(
        (&diff["from"], &diff["to"]),
        (&"main@1".into(), &"dev@3".into())
    );
    let tables = diff["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 1, "{diff:#}");
    let greeks = &tables[0];
    assert_eq!(greeks["table"], "options.greeks");
    let count = |name: &str| greeks[name].as_u64().unwrap();
    let rows = place.rows("SELECT count(*) AS n, count(iv) AS iv FROM options.greeks");
    assert_eq!((count("rows_added"), count("rows_removed")), (0, 0));
    assert!(count("changed") > 0 && count("rows_changed") > 0);
    assert!(count("rows_changed") <= rows[0]["n"].as_u64().unwrap());
    assert!(greeks["columns"]["iv"].as_u64().unwrap() <= rows[0]["iv"].as_u64().unwrap());
    let examples = greeks["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 2);
    for example in examples {
        assert_eq!(example["kind"], "changed");
        let iv = example["values"]
            .as_array()
            .unwrap()
            .iter()
            .find(|v| v[0] == "iv")
            .unwrap();
        let number = |i: usize| iv[i].as_str().unwrap().parse::<f64>().unwrap();
        assert!((number(2) - number(1) - 0.01).abs() < 1e-9, "{example}");
    }
    let text = place.call(&["diff", "main", "dev@3"]).code(0).stdout;
    assert!(text.starts_with("main@1 -> dev@3: 1 of "), "{text}");
    assert!(text.contains("\n  ~ ") && text.contains("iv "), "{text}");
    let none = place.call(&["diff", "1", "dev@2"]).code(0).stdout;
    assert!(none.starts_with("main@1 -> dev@2: 0 of "), "{none}");
    // From nothing, every row of a table is new.
    let added = json(
        &place,
        &[
            "diff",
            "0",
            "1",
            "--table",
            "options.greeks",
            "--limit",
            "1",
        ],
    );
    assert_eq!(added["tables"][0]["rows_added"], rows[0]["n"]);
    assert_eq!(added["tables"][0]["examples"][0]["kind"], "added");
    for (words, said) in [
        (&["diff", "1", "nothing"][..], "no branch `nothing`"),
        (&["diff", "1", "7"], "no version 7"),
        (
            &["diff", "1", "main", "--table", "options.greek"],
            "did you mean `options.greeks`",
        ),
    ] {
        let ended = place.call(words).code(1);
        assert!(ended.stderr.contains(said), "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn what_cannot_be_done_leaves_the_lake_as_it_was() {
    let place = edited();
    place.call(&["branch", "create", "dev"]).code(0);
    run(&place, "dev");
    let other = place.path().join("sql/options/greeks.sql");
    let query = fs::read_to_string(&other)
        .unwrap()
        .replacen("0.01 +", "0.02 +", 1);
    fs::write(&other, query).unwrap();
    run(&place, "main");
    let before = files_below(&place.lake());
    let conflict = place
        .call(&["branch", "merge", "dev", "--format", "json"])
        .code(2)
        .json();
    assert_eq!(conflict["version"], Value::Null);
    let named = conflict["conflicts"].as_array().unwrap();
    assert!(!named.is_empty());
    assert!(
        named
            .iter()
            .all(|task| task.as_str().unwrap().starts_with("options.greeks "))
    );
    let text = place.call(&["branch", "merge", "dev"]).code(2).stdout;
    assert!(
        text.contains("both changed options.greeks") && text.contains("nothing was written"),
        "{text}"
    );
    for (words, said) in [
        (&["--branch", "nope", "run"][..], "no branch `nope`"),
        (
            &["--branch", "nope", "status"],
            "lakectl branch create nope",
        ),
        (&["--branch", "No", "log"], "cannot name a branch"),
        (&["branch", "create", "dev"], "a branch `dev` already"),
        (&["branch", "create", "x", "--at", "99"], "no version 99"),
        (
            &["branch", "create", "x", "--from", "nope"],
            "no branch `nope`",
        ),
        (&["branch", "delete", "main"], "cannot be deleted"),
        (&["branch", "merge", "nope"], "no branch `nope`"),
    ] {
        let ended = place.short(words).code(1);
        assert!(ended.stderr.contains(said), "{words:?}: {}", ended.stderr);
    }
    let after = files_below(&place.lake());
    let names = |files: &[(std::path::PathBuf, Vec<u8>)]| -> Vec<String> {
        files
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect()
    };
    assert_eq!(names(&before), names(&after));
    assert!(before == after);
}

#[test]
fn a_branch_of_no_lake() {
    let place = Place::empty();
    for words in [
        &["branch", "list"][..],
        &["branch", "create", "dev"],
        &["--branch", "dev", "run"],
    ] {
        let ended = place.short(words).code(1);
        assert!(
            ended.stderr.contains("no lake"),
            "{words:?}: {}",
            ended.stderr
        );
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
