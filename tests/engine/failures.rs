//! A task that fails holds back itself and what needs it; the rest of the run completes, and what is published stays.

use std::collections::BTreeSet;

use lakectl_core::UtcTime;
use lakectl_pipeline::engine::{Cancel, Outcome, RunEvent};
use lakectl_pipeline::{Project, RunOptions, Selected};
use lakectl_tests::{Bench, NOW};

use crate::common::{Run, assert_tasks, demo, edit, go, hashes, published, tasks, version};

/// Makes the greeks of one asset fail with an error of the query.
fn break_greeks(bench: &mut Bench) {
    let path = "sql/options/greeks.sql";
    edit(
        bench,
        path,
        "FROM priced",
        "FROM priced WHERE CAST(replace(asset, 'BTC', '1') AS INT) = 1",
    );
}

/// Tasks that were settled with old rows of a failed one, with that one.
fn stale(run: &Run) -> Vec<(String, String)> {
    let tasks = run.report.tasks.iter();
    tasks
        .filter_map(|task| Some((task.task.to_string(), task.stale.as_ref()?.to_string())))
        .collect()
}

#[test]
fn a_failed_task_leaves_its_published_rows_and_marks_their_readers() {
    let mut bench = published();
    let before = hashes(&bench);
    break_greeks(&mut bench);
    let run = go(&bench, &Selected::default());
    assert!(!run.summary.is_success() && !run.summary.interrupted);
    let failed = tasks(&["options.greeks asset=ETH/date=DAYS"]);
    assert_tasks(&run.failed(), &failed);
    assert_eq!(run.summary.tasks.failed, failed.len());
    assert_tasks(
        &run.executed(),
        &tasks(&["options.greeks asset=ASSETS/date=DAYS"]),
    );
    assert_eq!(run.blocked(), [""; 0]);
    let told: BTreeSet<&str> = run
        .summary
        .failures
        .iter()
        .map(|failure| failure.task.as_str())
        .collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), failed);
    assert!(
        run.summary.failures[0].message.contains("ETH"),
        "{:?}",
        run.summary.failures[0]
    );

    // Readers of the old rows say so, with the task behind it.
    let stale = stale(&run);
    let names: Vec<String> = stale.iter().map(|(task, _)| task.clone()).collect();
    for task in tasks(&[
        "options.{slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=ETH/date=DAYS",
        "features.{surface_pca,surface_factors} asset=ETH/month=MONTHS",
        "features.{divergence,matrix} asset=ETH/year=YEARS",
        "forecast.quantiles asset=ETH/month=2026-01",
    ]) {
        assert!(
            names.contains(&task),
            "{task} is not called stale: {names:#?}"
        );
    }
    assert!(
        names.iter().all(|task| task.contains("asset=ETH")),
        "{names:#?}"
    );
    assert!(stale.iter().all(|(_, root)| failed.contains(root)));

    // The other asset's rows are published under their new definition; all rows are as they were.
    assert_eq!(version(&bench), 2);
    assert_eq!(hashes(&bench), before);

    // It fails again, and only it: a failure is not remembered as a result.
    let again = go(&bench, &Selected::default());
    assert_tasks(&again.executed(), &failed);
    assert_eq!(version(&bench), 2);

    // Mended, everything is as before without a computation.
    bench.project = Project::built_in();
    let mended = go(&bench, &Selected::default());
    assert!(mended.summary.is_success());
    assert_eq!(mended.executed(), [""; 0]);
    assert_tasks(
        &mended.restored(),
        &tasks(&["options.greeks asset=BTC/date=DAYS"]),
    );
    assert_eq!(stale_count(&mended), 0);
}

fn stale_count(run: &Run) -> usize {
    run.report
        .tasks
        .iter()
        .filter(|task| task.stale.is_some())
        .count()
}

#[test]
fn without_published_rows_each_reader_decides() {
    let mut bench = demo();
    break_greeks(&mut bench);
    let run = go(&bench, &Selected::default());
    assert!(!run.summary.is_success());
    assert_tasks(
        &run.failed(),
        &tasks(&["options.greeks asset=ETH/date=DAYS"]),
    );
    // `self` blocks; windows over the past accept.
    assert_tasks(
        &run.blocked(),
        &tasks(&[
            "options.{slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=ETH/date=DAYS",
            "options.{exclusions,skew_fit,skew_report,skew_quotes} asset=ETH/date=DAYS",
            "options.{variance_index,exposure,exposure_profile,hedge_ladder,max_pain} asset=ETH/date=DAYS",
            "options.index_comparison asset=ETH/year=YEARS",
            "features.surface_factors asset=ETH/month=MONTHS",
        ]),
    );
    assert!(
        run.executed()
            .iter()
            .any(|task| task == "features.matrix asset=ETH/year=2026")
    );
    let blocked = run
        .summary
        .failures
        .iter()
        .find(|failure| failure.task.starts_with("options.slices"))
        .unwrap();
    assert!(
        blocked
            .message
            .contains("options.greeks asset=ETH/date=2025-12-30 is withheld"),
        "{blocked:?}"
    );
    assert_eq!(run.summary.tasks.blocked, run.blocked().len());
    // What could be computed is published as one version.
    assert_eq!(version(&bench), 1);
    let published_tasks = hashes(&bench);
    assert!(!published_tasks.contains_key("options.greeks asset=ETH/date=2026-01-01"));
    let complete = hashes(&published());
    let btc = |task: &&String| task.contains("asset=BTC");
    assert!(
        complete
            .keys()
            .filter(btc)
            .all(|task| published_tasks.get(task) == complete.get(task))
    );

    // Mended, what failed, what was blocked and what did without runs; the other asset's greeks have another query.
    bench.project = Project::built_in();
    let mended = go(&bench, &Selected::default());
    assert!(mended.summary.is_success(), "{:?}", mended.summary.failures);
    assert_tasks(
        &mended.executed(),
        &tasks(&[
            "options.greeks asset=ASSETS/date=DAYS",
            "options.{slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=ETH/date=DAYS",
            "options.{exclusions,skew_fit,skew_report,skew_quotes} asset=ETH/date=DAYS",
            "options.skew_policy asset=ETH/month=MONTHS",
            "options.{variance_index,exposure,exposure_profile,hedge_ladder,max_pain} asset=ETH/date=DAYS",
            "options.skew_elasticity asset=ETH/month=MONTHS",
            "options.index_comparison asset=ETH/year=YEARS",
            "features.{surface_pca,surface_factors} asset=ETH/month=MONTHS",
            "features.{divergence,matrix} asset=ETH/year=YEARS",
            "models.{regime,quantile} asset=ETH/month=2026-01",
            "forecast.{regimes,quantiles} asset=ETH/month=MONTHS",
            "backtest.forecast_scores asset=ETH/month=MONTHS",
        ]),
    );
    assert_eq!(hashes(&bench), complete);
}

#[test]
fn what_a_query_may_not_give_is_refused_and_named() {
    // (query, text of it, what stands there instead, words of the message)
    for (path, old, new, words) in [
        // A key that is not unique.
        (
            "sql/options/forwards.sql",
            "FROM joined",
            "FROM joined CROSS JOIN (VALUES (1), (2)) AS twice(x)",
            "primary key",
        ),
        // Rows of another partition.
        (
            "sql/options/forwards.sql",
            "SELECT asset, event_time, known_at, expiry, expiry_years",
            "SELECT asset, event_time - INTERVAL '1 day' AS event_time, known_at, expiry, expiry_years",
            "does not belong to partition",
        ),
        (
            "sql/options/forwards.sql",
            "SELECT asset, event_time, known_at, expiry, expiry_years",
            "SELECT 'DOGE' AS asset, event_time, known_at, expiry, expiry_years",
            "`DOGE`",
        ),
        // Values that cannot be stored.
        (
            "sql/options/forwards.sql",
            "expiry_years, forward, forward_parity",
            "expiry_years, forward / 0 AS forward, forward_parity",
            "forward",
        ),
        (
            "sql/options/forwards.sql",
            "expiry_years, forward, forward_parity",
            "expiry_years, NULL AS forward, forward_parity",
            "forward",
        ),
        // Columns that are not the declared ones.
        (
            "sql/options/forwards.sql",
            "expiry_years, forward, forward_parity",
            "expiry_years, forward AS fwd, forward_parity",
            "fwd",
        ),
        (
            "sql/options/forwards.sql",
            "expiry_years, forward, forward_parity",
            "expiry_years, 'high' AS forward, forward_parity",
            "forward",
        ),
        // A clock or a random number.
        (
            "sql/options/forwards.sql",
            "expiry_years, forward, forward_parity",
            "expiry_years, forward + random() AS forward, forward_parity",
            "random",
        ),
        (
            "sql/options/forwards.sql",
            "SELECT asset, event_time, known_at, expiry, expiry_years",
            "SELECT asset, event_time, now() AS known_at, expiry, expiry_years",
            "now",
        ),
        // A column that is not there.
        (
            "sql/options/forwards.sql",
            "expiry_years, forward, forward_parity",
            "expiry_years, forwrad AS forward, forward_parity",
            "forwrad",
        ),
    ] {
        let mut bench = published();
        let before = hashes(&bench);
        edit(&mut bench, path, old, new);
        let run = match crate::common::try_go(&bench, &crate::common::until("options.forwards")) {
            Ok(run) => run,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(words) && text.contains(path), "{new}: {text}");
                continue;
            }
        };
        assert_tasks(
            &run.failed(),
            &tasks(&["options.forwards asset=ASSETS/date=DAYS"]),
        );
        for failure in &run.summary.failures {
            assert!(failure.message.contains(words), "{new}: {failure:?}");
        }
        assert_eq!((version(&bench), hashes(&bench)), (1, before), "{new}");
    }
}

#[test]
fn a_failed_native_stage_is_isolated_too() {
    let mut bench = published();
    let before = hashes(&bench);
    bench.set("params.pca_window_days", "-5");
    let run = go(&bench, &Selected::default());
    assert_tasks(
        &run.failed(),
        &tasks(&["features.surface_pca asset=ASSETS/month=MONTHS"]),
    );
    assert_tasks(&run.executed(), &run.failed());
    assert!(
        run.summary.failures[0].message.contains("pca_"),
        "{:?}",
        run.summary.failures[0]
    );
    assert_eq!((version(&bench), hashes(&bench)), (1, before));
    assert!(
        run.report
            .tasks
            .iter()
            .all(|task| !matches!(task.outcome, Outcome::NotReached))
    );
}

/// Runs at another time than the one before, under a name that says so.
fn run_at(bench: &Bench, hours: i64) -> Vec<String> {
    let now = UtcTime::from_micros(NOW.micros() + hours * 3_600_000_000);
    let options = RunOptions {
        run_id: format!("run-{:05}", 10_000 + hours),
        who: "tester@here".to_owned(),
        now,
        jobs: 2,
        events: &|_| {},
        cancel: Cancel::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = bench.open().unwrap();
    let all = Selected::default();
    let run = opened.run(bench.lake(), &all, options);
    let (summary, _) = runtime.block_on(run).unwrap();
    let failures = summary.failures.into_iter();
    failures.map(|failure| failure.task).collect()
}

fn undone(bench: &Bench) -> BTreeSet<String> {
    let undone = bench.open().unwrap().undone(&bench.lake(), NOW).unwrap();
    undone.tasks().iter().map(ToString::to_string).collect()
}

#[test]
fn what_failed_is_open_whatever_the_clock_says() {
    let mut bench = published();
    break_greeks(&mut bench);
    let failed: BTreeSet<String> = run_at(&bench, -25).into_iter().collect();
    assert!(!failed.is_empty());
    assert_eq!(undone(&bench), failed);
    // What went well since is stale for a reason of its own, and no failure.
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "CAST(replace(asset, 'BTC', '1') AS INT) = 1",
        "strike > 0",
    );
    assert!(run_at(&bench, -24).is_empty());
    assert!(undone(&bench).is_empty());
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "strike > 0",
        "strike > 1",
    );
    assert!(undone(&bench).is_empty());
}

#[test]
fn a_note_that_cannot_be_left_is_missed() {
    let bench = demo();
    let (root, lake) = (bench.lake_root(), bench.lake());
    let events = |event: RunEvent| {
        // The disk gives up after the version is there.
        if matches!(event, RunEvent::Committed { .. }) {
            std::fs::rename(root.join("_runs"), root.join("aside")).unwrap();
            std::fs::write(root.join("_runs"), "").unwrap();
        }
    };
    let options = RunOptions {
        run_id: "unnoted".to_owned(),
        who: String::new(),
        now: NOW,
        jobs: 2,
        events: &events,
        cancel: Cancel::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = bench.open().unwrap();
    let goal = crate::common::until("raw");
    let (summary, _) = runtime.block_on(opened.run(lake, &goal, options)).unwrap();
    let told = summary.warnings.join("\n");
    assert!(
        told.contains("system.runs") && told.contains("_runs"),
        "{told}"
    );
}
