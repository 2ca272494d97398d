//! Branches, going back, and two runs at the same time: what is computed, and what is published.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use lakectl_pipeline::engine::{Cancel, Outcome, RunEvent, RunReport};
use lakectl_pipeline::lake::{Lake, Open, Signed, VersionRef};
use lakectl_pipeline::{Project, RunOptions, RunSummary, Selected, Workbench};
use lakectl_tests::{Bench, NOW, executed};

use crate::archive::{Archive, END};
use crate::common::{assert_tasks, day, demo, edit, go, hashes, published, tasks, until, version};

fn signed(why: &str) -> Signed {
    Signed {
        run: "by-hand".to_owned(),
        who: "ann@desk".to_owned(),
        time: NOW,
        why: why.to_owned(),
    }
}

/// Adds volatility points to every greek.
fn add_points(bench: &mut Bench, points: &str) {
    bench.project = Project::built_in();
    let (old, new) = (
        "coalesce(venue_iv,",
        format!("{points} + coalesce(venue_iv,"),
    );
    edit(bench, "sql/options/greeks.sql", old, &new);
}

/// A run of its own process, as far as the lake can tell.
struct Other {
    opened: Workbench,
    root: PathBuf,
    branch: String,
    run: &'static str,
    selected: Selected,
}

impl Other {
    fn of(bench: &Bench, run: &'static str, selected: Selected) -> Self {
        Self {
            opened: bench.open().unwrap(),
            root: bench.lake_root(),
            branch: "main".to_owned(),
            run,
            selected,
        }
    }

    fn go(&self, events: &(dyn Fn(RunEvent) + Sync)) -> (RunSummary, RunReport) {
        let options = RunOptions {
            run_id: self.run.to_owned(),
            who: "tester@here".to_owned(),
            now: NOW,
            jobs: 2,
            events,
            cancel: Cancel::default(),
        };
        let lake = self
            .opened
            .lake(self.root.as_path(), Open::OrCreate)
            .unwrap();
        let lake: Arc<Lake> = match self.branch.as_str() {
            "main" => Arc::new(lake),
            branch => Arc::new(lake.on_branch(branch).unwrap()),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(self.opened.run(lake, &self.selected, options))
            .unwrap()
    }

    /// Runs, and has `meanwhile` done when a task has finished; returns how often each task did, too.
    fn go_while(
        &self,
        task: &str,
        meanwhile: impl FnOnce() + Send,
    ) -> (RunSummary, RunReport, Vec<String>) {
        let meanwhile = Mutex::new(Some(meanwhile));
        let finished = Mutex::new(Vec::new());
        let events = |event: RunEvent| {
            let RunEvent::Finished { task: done, .. } = event else {
                return;
            };
            finished.lock().unwrap().push(done.to_string());
            if done.to_string() == task
                && let Some(meanwhile) = meanwhile.lock().unwrap().take()
            {
                // A runtime cannot wait for another one on the same thread.
                std::thread::scope(|scope| scope.spawn(meanwhile).join().unwrap());
            }
        };
        let (summary, report) = self.go(&events);
        assert!(meanwhile.lock().unwrap().is_none(), "{task} never finished");
        let mut finished = finished.into_inner().unwrap();
        finished.sort();
        (summary, report, finished)
    }
}

fn restored(report: &RunReport) -> Vec<String> {
    let restored = report
        .tasks
        .iter()
        .filter(|t| t.outcome == Outcome::Restored);
    restored.map(|task| task.task.to_string()).collect()
}

#[test]
fn a_branch_computes_what_differs_and_no_other_computes_it_again() {
    let mut bench = published();
    let before = hashes(&bench);
    bench
        .lake()
        .create_branch("dev", None, &signed("more points"))
        .unwrap();
    add_points(&mut bench, "0.01");
    let mut on_dev = Other::of(&bench, "dev-1", until("options.slices"));
    on_dev.branch = "dev".to_owned();
    let (summary, report) = on_dev.go(&|_| {});
    let made = tasks(&["options.{greeks,slices} asset=ASSETS/date=DAYS"]);
    assert_tasks(&executed(&report), &made);
    assert!(summary.is_success());
    assert_eq!(hashes(&bench), before, "main is as it was");

    // The same definition on main: everything is there already.
    let run = go(&bench, &until("options.slices"));
    assert!(run.executed().is_empty());
    assert_tasks(&run.restored(), &made);
    // Back to the base, and the same by a merge.
    let lake = bench.lake();
    let opened = bench.open().unwrap();
    opened
        .rollback(&lake, VersionRef::Number(1), &signed(""))
        .unwrap();
    assert_eq!(hashes(&bench), before);
    let (merging, _) = opened.merge(&lake, "dev", &signed("good")).unwrap();
    assert_eq!(merging.merge.cells.len(), made.len());
    let run = go(&bench, &until("options.slices"));
    assert!(run.executed().is_empty() && run.restored().is_empty());
}

#[test]
fn a_rollback_publishes_what_was_and_the_next_run_derives_again() {
    let mut bench = published();
    let before = hashes(&bench);
    add_points(&mut bench, "0.02");
    let made = tasks(&["options.greeks asset=ASSETS/date=DAYS"]);
    assert_tasks(&go(&bench, &until("options.greeks")).executed(), &made);
    let after = hashes(&bench);
    let opened = bench.open().unwrap();
    let back = opened
        .rollback(
            &bench.lake(),
            VersionRef::Number(1),
            &signed("wrong points"),
        )
        .unwrap();
    assert_eq!((back.version, hashes(&bench)), (3, before.clone()));
    // By the declarations that led away from it, the next run leads away again; it computes nothing for that.
    let run = go(&bench, &until("options.greeks"));
    assert!(run.executed().is_empty());
    assert_tasks(&run.restored(), &made);
    assert_eq!(hashes(&bench), after);
    // By those of that time, it stays.
    opened
        .rollback(
            &bench.lake(),
            VersionRef::Number(1),
            &signed("wrong points"),
        )
        .unwrap();
    bench.project = Project::built_in();
    let run = go(&bench, &Selected::default());
    assert!(run.executed().is_empty() && run.restored().is_empty());
    assert_eq!((version(&bench), hashes(&bench)), (5, before));
}

#[test]
fn runs_of_different_partitions_publish_both_and_compute_nothing_twice() {
    let bench = demo();
    let asset = |asset: &str| Selected {
        asset: Some(asset.to_owned()),
        ..until("options.slices")
    };
    let ours = Other::of(&bench, "ours", asset("BTC"));
    let theirs = Other::of(&bench, "theirs", asset("ETH"));
    let first = "options.slices asset=BTC/date=2025-12-30";
    let (summary, report, finished) = ours.go_while(first, || {
        let (summary, _) = theirs.go(&|_| {});
        assert!(summary.is_success() && summary.version == 1);
    });
    assert!(summary.is_success());
    assert_eq!(summary.version, 2);
    let mut once = finished.clone();
    once.dedup();
    assert_eq!(finished, once, "no task is computed again");
    assert_tasks(&executed(&report), &finished);
    let again = go(&bench, &until("options.slices"));
    assert!(again.executed().is_empty() && again.restored().is_empty());
    assert_eq!(version(&bench), 2);
}

#[test]
fn a_run_does_not_undo_what_another_definition_has_published() {
    let mut bench = published();
    add_points(&mut bench, "0.03");
    let theirs = Other::of(&bench, "theirs", until("options.slices"));
    add_points(&mut bench, "0.01");
    let ours = Other::of(&bench, "ours", until("options.slices"));
    let first = "options.greeks asset=BTC/date=2025-12-30";
    let mut after = None;
    let (summary, report, _) = ours.go_while(first, || {
        let (summary, _) = theirs.go(&|_| {});
        assert!(summary.is_success());
    });
    assert!(!summary.is_success());
    let greeks = tasks(&["options.greeks asset=ASSETS/date=DAYS"]);
    let blocked = report.tasks.iter().filter_map(|task| match &task.outcome {
        Outcome::Blocked { reason } => Some((task.task.to_string(), reason.to_string())),
        _ => None,
    });
    let (blocked, reasons): (Vec<String>, Vec<String>) = blocked.unzip();
    assert_tasks(&blocked, &greeks);
    for reason in reasons {
        assert_eq!(
            reason,
            "run theirs published it by another definition meanwhile"
        );
    }
    // What it computed of slices was made from its own greeks, and is not published either.
    after.get_or_insert_with(|| hashes(&bench));
    let again = theirs.go(&|_| {}).1;
    assert!(executed(&again).is_empty() && restored(&again).is_empty());
    assert_eq!(Some(hashes(&bench)), after);
    assert_eq!(version(&bench), 2);
    // A run that begins now knows what it replaces.
    let next = go(&bench, &until("options.slices"));
    assert!(next.summary.is_success() && next.blocked().is_empty());
    assert!(
        next.restored().len() >= greeks.len() - 1,
        "{:?}",
        next.restored()
    );
}

#[test]
fn documents_that_two_runs_fetched_are_all_kept() {
    let mut archive = Archive::new();
    archive.end(END);
    go(&archive.bench, &until("options.greeks"));
    let raw = "raw.archive_deribit_chains";
    let rows = |archive: &Archive| {
        let head = archive.bench.lake().head().unwrap();
        head.rows(&raw.parse().unwrap())
    };
    assert_eq!(rows(&archive), 3);
    // The file as the other run finds it.
    let path = archive.chain_path("2026-01-31");
    archive.chain("2026-01-31", [0.60, 0.65]);
    let later = fs::read(&path).unwrap();
    archive.chain("2026-01-31", [0.55, 0.65]);
    let ours = Other::of(&archive.bench, "ours", until("options.greeks"));
    let theirs = Other::of(&archive.bench, "theirs", until("options.greeks"));
    let fetched = format!("{raw} date=2026-01-31");
    let (summary, _, _) = ours.go_while(&fetched, || {
        fs::write(&path, &later).unwrap();
        assert!(theirs.go(&|_| {}).0.is_success());
    });
    assert!(summary.is_success(), "{:?}", summary.failures);
    assert_eq!(
        (summary.version, rows(&archive)),
        (3, 5),
        "the first body, theirs and ours"
    );
    let columns = archive.bench.sql(&format!(
        "SELECT DISTINCT document_id FROM {raw} WHERE name LIKE '%20260131%'"
    ));
    assert_eq!(columns.rows(), 3);
    // What the source says now arrives last, and then there is rest.
    go(&archive.bench, &until("options.greeks"));
    assert_eq!(rows(&archive), 6);
    let rest = go(&archive.bench, &until("options.greeks"));
    assert!(rest.executed().is_empty() && rest.restored().is_empty());
    let settled = greeks(&archive);
    let mut clean = Archive::new();
    clean.end(END);
    clean.chain("2026-01-31", [0.60, 0.65]);
    go(&clean.bench, &until("options.greeks"));
    assert_eq!(settled, greeks(&clean));
}

/// What stands in the greeks, but for the documents' names.
fn greeks(archive: &Archive) -> Vec<Option<f64>> {
    let query = "SELECT sum(iv) AS iv FROM options.greeks GROUP BY asset, event_time ORDER BY asset, event_time";
    archive.bench.sql(query).f64s("iv").unwrap()
}

#[test]
fn a_partition_that_appears_in_a_window_is_seen() {
    let mut archive = Archive::new();
    archive.end("2026-01-31");
    let goal = "features.surface_factors";
    let ours = Other::of(&archive.bench, "ours", until(goal));
    archive.end(END);
    let theirs = Other::of(&archive.bench, "theirs", until(goal));
    let first = "options.slices asset=BTC/date=2026-01-30";
    let (summary, _, _) = ours.go_while(first, || {
        assert!(theirs.go(&|_| {}).0.is_success());
    });
    assert!(summary.is_success(), "{:?}", summary.failures);
    let last = archive.bench.lake().head().unwrap();
    let slices = "options.slices".parse().unwrap();
    let newest = last.partitions(&slices);
    let newest = newest
        .filter_map(|(key, _)| key.days())
        .map(|days| days.start)
        .max();
    assert_eq!(newest, Some(day(END)), "what they added is there");
    // Nothing was computed without it: neither kind of run has anything left to do.
    for other in [&ours, &theirs] {
        let (_, report) = other.go(&|_| {});
        assert!(executed(&report).is_empty(), "{:?}", executed(&report));
    }
}
