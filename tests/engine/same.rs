//! The same input gives the same rows, whatever the order, the number of threads and the history of runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lakectl_pipeline::engine::{Cancel, Outcome, RunEvent};
use lakectl_pipeline::lake::Open;
use lakectl_pipeline::{Act, Selected};
use lakectl_tests::{Bench, NOW};

use crate::common::{assert_tasks, day, demo, edit, go, hashes, published, run_in, tasks, version};

/// Fingerprint, digest of rows and file of every published partition.
fn cells(bench: &Bench) -> BTreeMap<String, String> {
    let head = bench.lake().head().unwrap();
    let cells = head.cells.values().flat_map(|cells| cells.values());
    cells
        .map(|cell| {
            let file = cell.file.as_ref().map(|file| file.path.clone());
            (
                cell.task().to_string(),
                format!(
                    "{} {} {} {file:?} {:?}",
                    cell.fingerprint, cell.rows_hash, cell.rows, cell.days
                ),
            )
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
        let differ: Vec<_> = found
            .iter()
            .filter(|(task, cell)| expected.get(*task) != Some(cell))
            .collect();
        assert!(
            differ.is_empty() && found.len() == expected.len(),
            "{jobs} jobs: {differ:#?}"
        );
    }
}

#[test]
fn newest_days_first_gives_the_same() {
    let bench = demo();
    for from in ["2026-01-03", "2026-01-01", "2025-12-30"] {
        go(
            &bench,
            &Selected {
                from: Some(day(from)),
                ..Selected::default()
            },
        );
    }
    assert_eq!(cells(&bench), cells(&published()));
}

#[test]
fn forced_tasks_give_equal_rows_and_publish_nothing() {
    let bench = published();
    let before = hashes(&bench);
    let force = |name: &str| Selected {
        force: vec![name.to_owned()],
        ..Selected::default()
    };
    let run = go(&bench, &force("options.greeks"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_tasks(
        &run.executed(),
        &tasks(&["options.greeks asset=ASSETS/date=DAYS"]),
    );
    assert_eq!(run.changed(), [""; 0]);
    assert_eq!(
        run.reasons("options.greeks")
            .into_iter()
            .collect::<Vec<_>>(),
        ["forced"]
    );
    assert_eq!(version(&bench), 1);

    // Everything, tags and descendants alike; a selection limits the partitions.
    let mut selected = force("options.slices+");
    selected.asset = Some("ETH".to_owned());
    selected.from = Some(day("2026-01-03"));
    selected.until = Some("options".to_owned());
    let run = go(&bench, &selected);
    let eth = tasks(&[
        "options.{slices,surface_nodes,term_structure,density,expiry_density} asset=ETH/date=2026-01-03",
        "options.{exposure,exposure_profile,hedge_ladder} asset=ETH/date=2026-01-03",
        "options.skew_elasticity asset=ETH/month=2026-01",
    ]);
    assert_tasks(&run.executed(), &eth);
    let run = go(&bench, &force("*"));
    assert_eq!(run.executed().len(), run.report.tasks.len());
    assert_eq!(run.changed(), [""; 0]);
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_eq!((version(&bench), hashes(&bench)), (1, before));
}

#[test]
fn other_rows_under_the_same_fingerprint_are_an_error() {
    let bench = published();
    let before = hashes(&bench);
    // Somebody recorded another result for one fingerprint.
    let lake = bench.lake();
    let head = lake.head().unwrap();
    let (table, partition) = (
        "options.greeks".parse().unwrap(),
        "asset=ETH/date=2026-01-02".parse().unwrap(),
    );
    let mut cell = head.cell(&table, &partition).unwrap().as_ref().clone();
    cell.rows_hash = head
        .cell(&"options.slices".parse().unwrap(), &partition)
        .unwrap()
        .rows_hash;
    lake.record("zz-other", &[cell]).unwrap();
    drop(lake);

    let selected = Selected {
        force: vec!["options.greeks".to_owned()],
        ..Selected::default()
    };
    let run = go(&bench, &selected);
    assert!(!run.summary.is_success());
    assert_tasks(
        &run.failed(),
        &tasks(&["options.greeks asset=ETH/date=2026-01-02"]),
    );
    let failure = &run.summary.failures[0];
    assert!(
        failure.message.contains("is not deterministic"),
        "{failure:?}"
    );
    assert!(failure.hint.is_some());
    // Nothing of it is published, and its readers go on with what is.
    assert_eq!((version(&bench), hashes(&bench)), (1, before));
}

#[test]
fn two_runs_at_the_same_time_publish_the_same_lake() {
    let bench = demo();
    let root = bench.lake_root();
    std::thread::scope(|scope| {
        let runs = [0, 1].map(|number| {
            let root = root.clone();
            let opened = bench.open().unwrap();
            scope.spawn(move || {
                run_in(
                    &opened,
                    &root,
                    &format!("both-{number}"),
                    &Cancel::default(),
                    &|_| {},
                )
            })
        });
        for run in runs {
            let (summary, _) = run.join().unwrap();
            assert!(summary.is_success(), "{:?}", summary.failures);
        }
    });
    assert_eq!(hashes(&bench), hashes(&published()));
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
}

#[test]
fn a_run_whose_inputs_changed_under_it_is_planned_again() {
    let mut bench = published();
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "coalesce(venue_iv,",
        "0.01 + coalesce(venue_iv,",
    );
    let (opened, theirs, root) = (
        bench.open().unwrap(),
        published().open().unwrap(),
        bench.lake_root(),
    );
    // What somebody decides meanwhile: a document of on-chain numbers counts as if it had never come.
    let documents =
        bench.sql("SELECT min(document_id) AS document FROM raw.demo_coinmetrics_assets");
    let document = documents.texts("document").unwrap()[0].clone().unwrap();
    let act = || Act {
        who: "ann@desk".to_owned(),
        when: NOW,
        why: "half of it is missing".to_owned(),
    };
    let started = AtomicBool::new(false);
    // In the middle of our run another one publishes other on-chain rows, which ours has looked at, by the same definition.
    let (summary, _) = run_in(&opened, &root, "ours", &Cancel::default(), &|event| {
        if matches!(event, RunEvent::Finished { .. }) && !started.swap(true, Ordering::Relaxed) {
            std::thread::scope(|scope| {
                let run = scope.spawn(|| {
                    let lake = theirs.lake(&root, Open::Existing).unwrap();
                    theirs.exclude_document(&lake, &document, act()).unwrap();
                    run_in(&theirs, &root, "theirs", &Cancel::default(), &|_| {})
                });
                let (summary, report) = run.join().unwrap();
                assert_eq!(summary.version, 3);
                assert!(report.tasks.iter().any(|task| {
                    task.task.table.as_str() == "onchain.daily"
                        && matches!(task.outcome, Outcome::Ran { changed: true, .. })
                }));
            });
        }
    });
    assert!(summary.is_success(), "{:?}", summary.failures);
    assert_eq!(summary.version, 4);
    let log: Vec<String> = bench
        .lake()
        .log()
        .unwrap()
        .into_iter()
        .map(|info| info.run)
        .collect();
    assert_eq!(log[2..], ["theirs", "ours"]);
    // The newest version is all ours, not a mixture.
    let run = go(&bench, &Selected::default());
    assert_eq!(
        (run.executed(), run.restored(), run.summary.version),
        (vec![], vec![], 4)
    );
    let mut alone = published();
    alone.project = bench.project.clone();
    let opened = alone.open().unwrap();
    opened
        .exclude_document(&alone.lake(), &document, act())
        .unwrap();
    go(&alone, &Selected::default());
    assert_eq!(hashes(&bench), hashes(&alone));
}
