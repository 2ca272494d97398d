//! Long stretches in chunks: each a version of its own, resumed where it was left, beside other runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lakectl_core::Day;
use lakectl_pipeline::engine::{Cancel, RunEvent, RunReport};
use lakectl_pipeline::lake::Open;
use lakectl_pipeline::{
    Backfill, BackfillSummary, ChunkOrder, Project, RunOptions, RunSummary, Selected,
};
use lakectl_tests::{Bench, NOW};

use crate::common::{assert_tasks, demo, edit, go, hashes, published, tasks, version};

fn wanted(select: &[&str], chunk_days: u32, order: ChunkOrder) -> Backfill {
    Backfill {
        selected: Selected {
            select: select.iter().map(|text| (*text).to_owned()).collect(),
            from: Some("2025-12-30".parse().unwrap()),
            to: Some("2026-01-03".parse().unwrap()),
            ..Selected::default()
        },
        chunk_days,
        order,
    }
}

/// Runs a backfill; `stop_after` chunks it is asked to stop. Returns the tasks that were computed, too.
fn fill(
    bench: &Bench,
    run: &str,
    wanted: &Backfill,
    stop_after: usize,
) -> (BackfillSummary, Vec<String>) {
    let opened = bench.open().unwrap();
    let lake = Arc::new(opened.lake(&bench.lake_root(), Open::OrCreate).unwrap());
    let ran: Mutex<Vec<String>> = Mutex::default();
    let events = |event: RunEvent| {
        if let RunEvent::Started { task, .. } = event {
            ran.lock().unwrap().push(task.to_string());
        }
    };
    let cancel = Cancel::default();
    let options = RunOptions {
        run_id: run.to_owned(),
        who: "night@desk".to_owned(),
        now: NOW,
        jobs: 2,
        events: &events,
        cancel: cancel.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let summary = runtime
        .block_on(opened.backfill(lake, wanted, options, &|step| {
            if step.done == stop_after {
                cancel.cancel();
            }
        }))
        .unwrap();
    let mut ran = ran.into_inner().unwrap();
    ran.sort();
    (summary, ran)
}

/// Runs a selection under a name.
fn run_as(bench: &Bench, run: &str, selected: &Selected) -> (RunSummary, RunReport) {
    let options = RunOptions {
        run_id: run.to_owned(),
        who: "night@desk".to_owned(),
        now: NOW,
        jobs: 2,
        events: &|_| {},
        cancel: Cancel::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(bench.open().unwrap().run(bench.lake(), selected, options))
        .unwrap()
}

fn days(summary: &BackfillSummary) -> Vec<(Day, Day)> {
    summary
        .chunks
        .iter()
        .map(|chunk| (chunk.from, chunk.to))
        .collect()
}

fn range(from: &str, to: &str) -> (Day, Day) {
    (from.parse().unwrap(), to.parse().unwrap())
}

#[test]
fn every_chunk_is_published_and_nothing_is_computed_twice() {
    let bench = demo();
    let two = wanted(&["options.density"], 2, ChunkOrder::Oldest);
    // Stopped after the first chunk.
    let (first, ran) = fill(&bench, "fill-1", &two, 1);
    assert!(first.interrupted && !first.is_success());
    assert_eq!(
        (days(&first), first.left),
        (vec![range("2025-12-30", "2025-12-31")], 2)
    );
    assert_eq!(version(&bench), 1);
    let density = |ran: &[String]| -> Vec<String> {
        ran.iter()
            .filter(|task| task.starts_with("options.density"))
            .cloned()
            .collect()
    };
    assert_tasks(
        &density(&ran),
        &tasks(&["options.density asset=ASSETS/date={2025-12-30,2025-12-31}"]),
    );
    // The same command goes on.
    let (rest, more) = fill(&bench, "fill-2", &two, 9);
    assert!(rest.is_success());
    assert_eq!(rest.chunks.len(), 3);
    assert_eq!(rest.chunks[0].run, None);
    let done: Vec<(Day, Day)> = days(&rest);
    assert_eq!(
        done[1..],
        [
            range("2026-01-01", "2026-01-02"),
            range("2026-01-03", "2026-01-03")
        ]
    );
    assert_eq!(
        rest.chunks
            .iter()
            .map(|chunk| chunk.version)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_tasks(
        &density(&more),
        &tasks(&["options.density asset=ASSETS/date={2026-01-01,2026-01-02,2026-01-03}"]),
    );
    let twice = more
        .iter()
        .filter(|task| task.contains("date=") && ran.contains(task));
    assert_eq!(twice.count(), 0);
    let log = bench.lake().log().unwrap();
    assert!(log.iter().all(|commit| commit.who == "night@desk"));
    // Nothing is left, and the rows are those of one run.
    let (none, ran) = fill(&bench, "fill-3", &two, 9);
    assert!(none.is_success() && ran.is_empty() && none.chunks.iter().all(|c| c.run.is_none()));
    let whole = published();
    let expected = hashes(&whole);
    let found = hashes(&bench);
    let of_table = |task: &&String| task.starts_with("options.density");
    assert_eq!(found.keys().filter(of_table).count(), 10);
    assert!(found.iter().all(|(task, rows)| expected[task] == *rows));
}

#[test]
fn the_newest_chunk_may_come_first_and_no_partition_is_parted() {
    let mut bench = published();
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "WITH quotes AS (",
        "WITH one AS (SELECT 1), quotes AS (",
    );
    let newest = wanted(&["options.greeks"], 1, ChunkOrder::Newest);
    let (summary, ran) = fill(&bench, "fill-1", &newest, 9);
    assert!(summary.is_success(), "{:?}", summary.failures);
    let expected: Vec<(Day, Day)> = [
        "2026-01-03",
        "2026-01-02",
        "2026-01-01",
        "2025-12-31",
        "2025-12-30",
    ]
    .map(|day| range(day, day))
    .to_vec();
    assert_eq!(days(&summary), expected);
    assert_tasks(&ran, &tasks(&["options.greeks asset=ASSETS/date=DAYS"]));
    assert_eq!(version(&bench), 6);
    // Months stay whole, whatever the size of a chunk.
    edit(
        &mut bench,
        "sql/features/surface_factors.sql",
        "SELECT",
        "SELECT DISTINCT",
    );
    let (summary, _) = fill(
        &bench,
        "fill-2",
        &wanted(&["features.surface_factors"], 1, ChunkOrder::Newest),
        9,
    );
    assert_eq!(
        days(&summary),
        [
            range("2026-01-01", "2026-01-03"),
            range("2025-12-30", "2025-12-31")
        ]
    );
}

#[test]
fn what_fails_holds_nothing_up_and_is_tried_again_alone() {
    let mut bench = published();
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "FROM market.option_quotes q",
        "FROM (SELECT * FROM market.option_quotes WHERE event_time < '2026-01-01' OR CAST(replace(asset, 'BTC', '1') AS INT) = 1) q",
    );
    let all = wanted(&["options.greeks"], 2, ChunkOrder::Oldest);
    // Runs are told apart, and put in their order, by names: these come after the one that made the lake.
    let (summary, ran) = fill(&bench, "test-1-fill", &all, 9);
    assert!(!summary.is_success() && !summary.interrupted);
    let failed = tasks(&["options.greeks asset=ETH/date={2026-01-01,2026-01-02,2026-01-03}"]);
    let told: Vec<String> = summary
        .failures
        .iter()
        .map(|failure| failure.task.clone())
        .collect();
    assert_tasks(&told, &failed);
    assert_eq!((summary.chunks.len(), summary.mended), (3, 0));
    // Each was tried twice: with its chunk, and alone. Both attempts are told.
    let times = |task: &String| ran.iter().filter(|other| *other == task).count();
    assert!(failed.iter().all(|task| times(task) == 2));
    assert_eq!(ran.len(), 10 + failed.len());
    assert_eq!(summary.failures[0].attempts.len(), 1);
    assert!(
        summary.failures[0].attempts[0]
            .run
            .starts_with("test-1-fill-")
    );
    // The good ones are published.
    assert_eq!(
        summary.chunks.iter().map(|c| c.failed).collect::<Vec<_>>(),
        [0, 2, 1]
    );

    // A later run takes up exactly them, and they run alone.
    let undone = bench.open().unwrap().undone(&bench.lake(), NOW).unwrap();
    let names: BTreeSet<String> = undone.tasks().iter().map(ToString::to_string).collect();
    assert_eq!(names, failed.iter().cloned().collect());
    bench.project = Project::built_in();
    let retry = Selected {
        tasks: Some(undone.tasks()),
        ..Selected::default()
    };
    let opened = bench.open().unwrap();
    let plan = opened.plan(Some(&bench.lake()), &retry, NOW).unwrap();
    let (summary, _) = run_as(&bench, "test-2-retry", &retry);
    assert!(summary.is_success());
    let selected = plan.tasks.iter().filter(|task| task.selected);
    assert_eq!(
        selected
            .map(|task| task.task.to_string())
            .collect::<BTreeSet<_>>(),
        names
    );
    // Nothing is left undone.
    assert_eq!(
        bench
            .open()
            .unwrap()
            .undone(&bench.lake(), NOW)
            .unwrap()
            .tasks()
            .len(),
        0
    );
}

#[test]
fn a_backfill_and_a_nightly_run_do_not_harm_each_other() {
    let mut bench = published();
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "coalesce(venue_iv,",
        "0.01 + coalesce(venue_iv,",
    );
    let project = bench.project.clone();
    let (root, overrides) = (bench.lake_root(), bench.overrides.clone());
    let open = || {
        let opened =
            lakectl_pipeline::Workbench::open(project.clone(), "demo", &overrides).unwrap();
        // A handle of its own, as another process has.
        let lake = Arc::new(opened.lake(&root, Open::Existing).unwrap());
        (opened, lake)
    };
    let options = |run: &str| RunOptions {
        run_id: run.to_owned(),
        who: String::new(),
        now: NOW,
        jobs: 1,
        events: &|_| {},
        cancel: Cancel::default(),
    };
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (fill, night) = std::thread::scope(|scope| {
        let fill = scope.spawn(|| {
            let (opened, lake) = open();
            let wanted = wanted(&["features.*"], 1, ChunkOrder::Newest);
            runtime().block_on(opened.backfill(lake, &wanted, options("fill"), &|_| {}))
        });
        let night = scope.spawn(|| {
            let (opened, lake) = open();
            runtime().block_on(opened.run(lake, &Selected::default(), options("night")))
        });
        (fill.join().unwrap(), night.join().unwrap())
    });
    let (fill, (night, _)) = (fill.unwrap(), night.unwrap());
    assert!(
        fill.is_success() && night.is_success(),
        "{:?} {:?}",
        fill.failures,
        night.failures
    );
    // Whoever came first: all is there, and is what one run alone gives.
    let last = go(&bench, &Selected::default());
    assert_eq!(last.executed(), [""; 0]);
    let mut alone = published();
    alone.project = project;
    go(&alone, &Selected::default());
    assert_eq!(hashes(&bench), hashes(&alone));
}
