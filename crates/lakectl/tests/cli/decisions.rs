//! Checks, overrides, backfills and retries as people see them.

use std::fs;

use serde_json::Value;

use crate::common::{Place, keys};

/// A project of its own in the folder, with a check that refuses what is there.
fn refusing(place: &Place) {
    place.call(&["init"]).code(0);
    let path = place.path().join("pipelines/options.toml");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("table = \"options.density\"").unwrap();
    let end = text[at..]
        .find("[[stage]]")
        .map_or(text.len(), |length| at + length);
    let check =
        "[[stage.check]]\nname = \"never\"\nrange = { column = \"tenor_days\", max = 5 }\n\n";
    fs::write(&path, format!("{}{check}{}", &text[..end], &text[end..])).unwrap();
}

fn texts<'v>(rows: &'v Value, key: &str) -> Vec<&'v str> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[key].as_str().unwrap()).collect()
}

#[test]
fn a_failed_check_is_told_everywhere_and_can_be_accepted() {
    let place = Place::published();
    refusing(&place);
    let until = ["run", "--until", "options.density"];
    // The rows were there before the check: they stay, and the run says so.
    let run = place
        .short(&[&until[..], &["--format", "json"]].concat())
        .code(2)
        .json();
    let checks = run["checks"].as_array().unwrap();
    assert!(!checks.is_empty() && checks.iter().all(|check| check["check"] == "never"));
    assert_eq!(
        keys(&checks[0]),
        [
            "table",
            "partition",
            "check",
            "severity",
            "offending",
            "example",
            "accepted",
            "held",
        ]
    );
    assert_eq!(
        (&checks[0]["held"], &checks[0]["offending"]),
        (&Value::Bool(false), &Value::from(2))
    );
    for command in [
        vec!["run", "--until", "options.density"],
        vec!["plan"],
        vec!["status"],
    ] {
        let text = place.short(&command).stdout;
        assert!(
            text.contains("never") && text.contains("options.density"),
            "{command:?}: {text}"
        );
    }

    // There is no task to be tried again, but what is open is said.
    let again = place.short(&["run", "--retry-failed"]).code(2).stdout;
    for word in ["no task failed", "never", "accept-check"] {
        assert!(again.contains(word), "{word}: {again}");
    }

    // Rows that are new are held.
    let fresh = ["run", "--until", "options.density", "--lake", "fresh"];
    let text = place.short(&fresh).code(2).stdout;
    assert!(
        text.contains("held") && text.contains("override accept-check never options.density"),
        "{text}"
    );
    let held = place.call(&[
        "sql",
        "SELECT count(*) AS n FROM system.cells WHERE \"table\" = 'options.density' AND rows > 0",
        "--lake",
        "fresh",
        "--format",
        "json",
    ]);
    assert_eq!(held.code(0).json()[0]["n"], 0);

    // Accepted, with a reason, they are published.
    let accept = ["override", "accept-check", "never", "options.density"];
    let partition = "asset=BTC/date=2026-01-05";
    let no_reason = place
        .short(&[&accept[..], &[partition, "--lake", "fresh"]].concat())
        .code(1);
    assert!(no_reason.stderr.contains("--why"), "{}", no_reason.stderr);
    let made = place
        .short(
            &[
                &accept[..],
                &[
                    partition,
                    "--lake",
                    "fresh",
                    "--why",
                    "looked at it",
                    "--format",
                    "json",
                ],
            ]
            .concat(),
        )
        .code(0)
        .json();
    assert_eq!(
        (&made["kind"], &made["made"]["why"]),
        (&Value::from("accept-check"), &Value::from("looked at it"))
    );
    let run = place
        .short(&[&fresh[..], &["--format", "json"]].concat())
        .code(2)
        .json();
    assert_eq!(run["tasks"]["restored"], 1);
    let log = place
        .call(&["log", "--lake", "fresh", "--format", "json"])
        .code(0)
        .json();
    assert!(texts(&log, "reason").contains(&"override"));
    let id = made["id"].as_str().unwrap();
    place
        .short(&["override", "revoke", id, "--why", "no", "--lake", "fresh"])
        .code(0);
    let list = place
        .short(&["override", "list", "--lake", "fresh"])
        .code(0)
        .stdout;
    assert!(
        list.contains(id) && list.contains("revoked") && list.contains(partition),
        "{list}"
    );
}

#[test]
fn what_failed_is_taken_up_again() {
    let place = Place::empty();
    let clean = place.short(&["run", "--retry-failed"]).code(0);
    assert!(clean.stdout.contains("nothing failed"), "{}", clean.stdout);
    place.call(&["init"]).code(0);
    let path = place.path().join("sql/options/greeks.sql");
    let good = fs::read_to_string(&path).unwrap();
    let bad = good.replacen(
        "FROM market.option_quotes q",
        "FROM (SELECT * FROM market.option_quotes WHERE CAST(replace(asset, 'BTC', '1') AS INT) = 1) q",
        1,
    );
    assert_ne!(bad, good);
    fs::write(&path, bad).unwrap();
    let first = place
        .short(&["run", "--until", "options.greeks", "--format", "json"])
        .code(2)
        .json();
    let failed = texts(&first["failures"], "task").len();
    assert!(failed >= 10);
    // It fails again, and each failure tells what came of the attempt before.
    let again = place
        .short(&["run", "--retry-failed", "--format", "json"])
        .code(2);
    assert!(again.stderr.contains("trying again"), "{}", again.stderr);
    let again = again.json();
    assert_eq!(again["tasks"]["failed"], failed);
    assert_eq!(again["tasks"]["ran"], 0);
    assert_eq!(again["failures"][0]["attempts"][0]["run"], first["run_id"]);
    // Mended, exactly they run.
    fs::write(&path, good).unwrap();
    let mended = place
        .short(&["run", "--retry-failed", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(mended["tasks"]["ran"], failed);
    let rest = place
        .short(&["run", "--retry-failed", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(rest["retried"], Value::Array(vec![]));
    let both = place
        .short(&["run", "--retry-failed", "--until", "forecast"])
        .code(1);
    assert!(both.stderr.contains("--until"), "{}", both.stderr);
}

#[test]
fn a_backfill_tells_its_chunks() {
    let place = Place::empty();
    let fill = [
        "backfill",
        "--select",
        "options.forwards",
        "--from",
        "2026-01-02",
        "--to",
        "2026-01-07",
        "--chunk",
        "2",
        "--order",
        "newest",
    ];
    let done = place
        .short(&[&fill[..], &["--format", "json"]].concat())
        .code(0);
    assert!(
        done.stderr
            .contains("chunk 1 of 3, 2026-01-06 to 2026-01-07"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("s left"), "{}", done.stderr);
    let done = done.json();
    let chunks = done["chunks"].as_array().unwrap();
    assert_eq!(
        texts(&done["chunks"], "from"),
        ["2026-01-06", "2026-01-04", "2026-01-02"]
    );
    assert_eq!(
        (chunks.len(), &done["version"], &done["left"]),
        (3, &Value::from(3), &Value::from(0))
    );
    let text = place.short(&fill).code(0).stdout;
    assert!(text.contains("nothing to do"), "{text}");
    let wrong = place
        .short(&[
            "backfill",
            "--select",
            "options.forward",
            "--from",
            "2026-01-02",
            "--to",
            "2026-01-07",
        ])
        .code(1);
    assert!(
        wrong.stderr.contains("options.forwards"),
        "{}",
        wrong.stderr
    );
    let turned = place
        .short(&[
            "backfill",
            "--select",
            "options.forwards",
            "--from",
            "2026-01-07",
            "--to",
            "2026-01-02",
        ])
        .code(1);
    assert!(turned.stderr.contains("swap"), "{}", turned.stderr);
}
