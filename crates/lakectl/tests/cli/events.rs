//! The file of events, and what runs leave in the system tables.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::common::{Place, SHORT, files_below};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let parsed = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    parsed.collect()
}

#[test]
fn a_run_is_told_line_by_line_and_kept_as_rows() {
    let place = Place::empty();
    let args = [
        "run",
        "--until",
        "forecast",
        "--events",
        "events.jsonl",
        "--format",
        "json",
    ];
    let run = place.short(&args).code(0).json();
    let events = lines(&place.path().join("events.jsonl"));
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    let of = |wanted: &str| {
        events
            .iter()
            .filter(|e| name(e) == wanted)
            .collect::<Vec<_>>()
    };
    assert_eq!(name(&events[0]), "run_started");
    assert_eq!(name(&events[1]), "planned");
    assert_eq!(name(events.last().unwrap()), "run_finished");
    assert_eq!(events.last().unwrap()["outcome"], "done");
    for event in &events {
        assert_eq!(event["run"], run["run_id"]);
        assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
    }
    let ran = run["tasks"]["ran"].as_u64().unwrap();
    assert_eq!(of("started").len() as u64, ran);
    assert_eq!(of("finished").len() as u64, ran);
    assert_eq!(of("committed")[0]["version"], 1);
    assert_eq!(of("started")[0]["reason"], "never run");
    let bytes: u64 = of("finished")
        .iter()
        .map(|e| e["bytes"].as_u64().unwrap())
        .sum();
    assert!(bytes > 10_000, "{bytes}");

    let runs = place.rows("SELECT * FROM system.runs");
    assert_eq!(runs.as_array().unwrap().len(), 1);
    let row = &runs[0];
    assert_eq!(
        (&row["run"], &row["outcome"]),
        (&run["run_id"], &"done".into())
    );
    assert_eq!(
        (&row["ran"], &row["version"]),
        (&run["tasks"]["ran"], &1.into())
    );
    assert!(!row["who"].as_str().unwrap().is_empty());
    if cfg!(target_os = "linux") {
        assert!(row["peak_memory_bytes"].as_u64() > Some(1 << 20), "{row}");
    }
    let tasks = place.rows(
        "SELECT count(*) AS tasks, sum(bytes) AS bytes, min(reason) AS reason, sum(t.seconds) > 0 AS took \
         FROM system.tasks t JOIN system.runs r USING (run)",
    );
    assert_eq!(tasks[0]["tasks"], run["tasks"]["ran"]);
    assert_eq!(
        (&tasks[0]["bytes"], &tasks[0]["reason"]),
        (&bytes.into(), &"never run".into())
    );
    assert_eq!(tasks[0]["took"], true);
    if cfg!(target_os = "linux") {
        let peaks = place.rows(
            "SELECT min(t.process_peak_memory_bytes) > 1000000 AS told, count(t.process_peak_memory_bytes) = count(*) AS each, \
             max(t.process_peak_memory_bytes) <= max(r.peak_memory_bytes) AS below \
             FROM system.tasks t JOIN system.runs r USING (run)",
        );
        assert_eq!(
            peaks[0],
            serde_json::json!({ "told": true, "each": true, "below": true })
        );
    }

    // A run that has nothing to do leaves nothing.
    let before = files_below(&place.lake());
    place.short(&["run", "--until", "forecast"]).code(0);
    assert_eq!(files_below(&place.lake()), before);
}

#[test]
fn standard_output_is_for_the_result() {
    let place = Place::empty();
    let ended = place
        .short(&["run", "--until", "forecast", "--events", "-"])
        .code(1);
    assert!(ended.stderr.contains("name a file"), "{}", ended.stderr);
    let ended = place
        .short(&[
            "run",
            "--until",
            "forecast",
            "--events",
            "no/such/folder/events",
        ])
        .code(1);
    assert!(
        ended.stderr.contains("no/such/folder/events"),
        "{}",
        ended.stderr
    );
}

#[test]
fn events_of_a_killed_run_are_whole_lines() {
    let place = Place::empty();
    let args = [
        &SHORT[..],
        &["run", "--until", "forecast", "--events", "events.jsonl"],
    ]
    .concat();
    let mut child = place.command(&args).spawn().unwrap();
    let path = place.path().join("events.jsonl");
    let enough =
        || fs::read(&path).is_ok_and(|text| text.iter().filter(|b| **b == b'\n').count() > 40);
    while !enough() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let events = lines(&path);
    assert!(events.len() > 40, "{}", events.len());
    assert!(fs::read_to_string(&path).unwrap().ends_with('\n'));
}

#[test]
fn a_stopped_run_is_kept_as_such() {
    let place = Place::empty();
    let args = [
        &SHORT[..],
        &["run", "--until", "forecast", "--events", "events.jsonl"],
    ]
    .concat();
    let mut child = place.command(&args).spawn().unwrap();
    let path = place.path().join("events.jsonl");
    let begun = || fs::read_to_string(&path).is_ok_and(|text| text.contains("\"finished\""));
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = format!("kill -TERM {}", child.id());
    std::process::Command::new("sh")
        .args(["-c", &kill])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(lines(&path).last().unwrap()["outcome"], "interrupted");
    let runs = place.rows("SELECT outcome, version FROM system.runs");
    assert_eq!(
        runs,
        serde_json::json!([{ "outcome": "interrupted", "version": 0 }])
    );
    let left = place.rows("SELECT count(*) AS n FROM system.tasks WHERE outcome = 'not_reached'");
    assert!(left[0]["n"].as_u64() > Some(0), "{left}");
}
