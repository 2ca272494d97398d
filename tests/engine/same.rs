//! The same input gives the same rows, whatever the order, the number of threads and the history of runs.

use std::collections::BTreeMap;

use lakectl_pipeline::Selected;
use lakectl_tests::Bench;

use crate::common::{assert_tasks, day, demo, go, hashes, published, tasks, time, version};

/// Fingerprint, digest of rows and file of every published partition.
fn cells(bench: &Bench) -> BTreeMap<String, String> {
    let head = bench.lake().head().unwrap();
    let cells = head.cells.values().flat_map(|cells| cells.values());
    cells
        .map(|cell| {
            let file = cell.file.as_ref().map(|file| file.path.clone());
            (cell.task().to_string(), format!("{} {} {} {file:?} {:?}", cell.fingerprint, cell.rows_hash, cell.rows, cell.days))
        })
        .collect()
}

#[test]
fn two_lakes_and_any_number_of_jobs_agree() {
    let expected = cells(&published());
    for jobs in [1, 4] {
        let mut bench = demo();
        bench.jobs = jobs;
        go(&bench, &Selected::default());
        let found = cells(&bench);
        let differ: Vec<_> = found.iter().filter(|(task, cell)| expected.get(*task) != Some(cell)).collect();
        assert!(differ.is_empty() && found.len() == expected.len(), "{jobs} jobs: {differ:#?}");
    }
}

#[test]
fn newest_days_first_gives_the_same() {
    let bench = demo();
    for from in ["2026-01-03", "2026-01-01", "2025-12-30"] {
        go(&bench, &Selected { from: Some(day(from)), ..Selected::default() });
    }
    assert_eq!(cells(&bench), cells(&published()));
}

#[test]
fn forced_tasks_give_equal_rows_and_publish_nothing() {
    let bench = published();
    let before = hashes(&bench);
    let force = |name: &str| Selected { force: vec![name.to_owned()], ..Selected::default() };
    let run = go(&bench, &force("options.greeks"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_tasks(&run.executed(), &tasks(&["options.greeks asset=ASSETS/date=DAYS"]));
    assert_eq!(run.changed(), [""; 0]);
    assert_eq!(run.reasons("options.greeks").into_iter().collect::<Vec<_>>(), ["forced"]);
    assert_eq!(version(&bench), 1);

    // Everything, tags and descendants alike; a selection limits the partitions.
    let mut selected = force("options.slices+");
    selected.asset = Some("ETH".to_owned());
    selected.from = Some(day("2026-01-03"));
    selected.until = Some("options".to_owned());
    let run = go(&bench, &selected);
    let eth = tasks(&["options.{slices,surface_nodes,density} asset=ETH/date=2026-01-03"]);
    assert_tasks(&run.executed(), &eth);
    let run = go(&bench, &force("*"));
    assert_eq!(run.executed().len(), run.report.tasks.len());
    assert_eq!(run.changed(), [""; 0]);
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_eq!((version(&bench), hashes(&bench)), (1, before));
}

#[test]
fn other_rows_under_the_same_fingerprint_are_an_error() {
    let mut bench = published();
    let before = hashes(&bench);
    // What an audit leaves out is not in fingerprints: a forced stage then contradicts what is stored.
    bench.known_until = Some(time("2026-01-01T00:00:00Z"));
    let selected = Selected { force: vec!["norm.demo_deribit_dvol".to_owned()], ..Selected::default() };
    let run = go(&bench, &selected);
    assert!(!run.summary.is_success());
    assert_tasks(&run.failed(), &tasks(&["norm.demo_deribit_dvol month=2026-01"]));
    let failure = &run.summary.failures[0];
    assert!(failure.message.contains("is not deterministic"), "{failure:?}");
    assert!(failure.hint.is_some());
    // Nothing of it is published, and its readers go on with what is.
    assert_eq!((version(&bench), hashes(&bench)), (1, before));
}

#[test]
fn two_runs_at_the_same_time_publish_the_same_lake() {
    let bench = demo();
    let root = bench.lake_root();
    let lake = bench.lake();
    drop(lake);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|number| {
                let root = root.clone();
                scope.spawn(move || crate::common::run_in(&demo(), &root, &format!("both-{number}")))
            })
            .collect();
        for run in runs {
            let summary = run.join().unwrap();
            assert!(summary.is_success(), "{:?}", summary.failures);
        }
    });
    assert_eq!(hashes(&bench), hashes(&published()));
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
}
