//! A run that ends early keeps what it finished and publishes nothing; the next one does the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use lakectl_pipeline::Selected;
use lakectl_pipeline::engine::{Cancel, Outcome, RunEvent};

use crate::common::{assert_tasks, demo, full, go, hashes, published, run_in};

fn all_tasks() -> BTreeSet<String> {
    let run = go(&published(), &Selected::default());
    run.report
        .tasks
        .iter()
        .map(|task| task.task.to_string())
        .collect()
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let bench = demo();
    let (cancel, count) = (Cancel::default(), AtomicUsize::new(0));
    let (summary, report) = run_in(
        &bench.open().unwrap(),
        &bench.lake_root(),
        "ended",
        &cancel,
        &|event| {
            if matches!(event, RunEvent::Finished { .. })
                && count.fetch_add(1, Ordering::Relaxed) == 70
            {
                cancel.cancel();
            }
        },
    );
    assert!(summary.interrupted && !summary.is_success());
    assert_eq!(summary.version, 0);
    let lake = bench.lake();
    assert_eq!(lake.log().unwrap().len(), 0);
    assert_eq!(lake.head().unwrap().cells.len(), 0);
    let ran = |outcome: &Outcome| matches!(outcome, Outcome::Ran { .. });
    let finished: Vec<String> = report
        .tasks
        .iter()
        .filter(|task| ran(&task.outcome))
        .map(|task| task.task.to_string())
        .collect();
    assert!(finished.len() > 70, "{}", finished.len());

    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let mut kept = finished.clone();
    kept.sort();
    assert_tasks(&run.restored(), &kept);
    let rest: Vec<String> = all_tasks()
        .into_iter()
        .filter(|task| !finished.contains(task))
        .collect();
    assert_tasks(&run.executed(), &rest);
    assert_eq!(run.summary.version, 1);
    assert_eq!(hashes(&bench), hashes(&published()));
}

#[test]
fn a_run_that_is_cancelled_before_it_begins_does_nothing() {
    let bench = demo();
    let cancel = Cancel::default();
    cancel.cancel();
    let (summary, report) = run_in(
        &bench.open().unwrap(),
        &bench.lake_root(),
        "ended",
        &cancel,
        &|_| {},
    );
    assert!(summary.interrupted);
    assert!(report.executed().is_empty());
    assert!(bench.lake().cells().unwrap().is_empty());
}

#[test]
fn cancelling_a_run_with_nothing_to_do_changes_nothing() {
    let bench = published();
    let cancel = Cancel::default();
    cancel.cancel();
    let (summary, report) = run_in(
        &bench.open().unwrap(),
        &bench.lake_root(),
        "ended",
        &cancel,
        &|_| {},
    );
    assert!(report.executed().is_empty());
    assert!(!summary.interrupted && summary.is_success());
    assert_eq!(summary.version, 1);
}

const CHILD: &str = "LAKE_TEST_DYING_LAKE";
/// The process dies when so many tasks have finished before.
const DEATH: &str = "LAKE_TEST_DYING_AFTER";

/// What the test below starts as a process of its own; alone it does nothing.
#[test]
fn dying_process() {
    let Some(lake) = std::env::var_os(CHILD) else {
        return;
    };
    let death: usize = std::env::var(DEATH).unwrap().parse().unwrap();
    let opened = demo().open().unwrap();
    let finished = AtomicUsize::new(0);
    run_in(
        &opened,
        Path::new(&lake),
        "died",
        &Cancel::default(),
        &|event| {
            if matches!(event, RunEvent::Finished { .. })
                && finished.fetch_add(1, Ordering::Relaxed) == death
            {
                std::process::exit(9);
            }
        },
    );
    unreachable!("the process should have died");
}

#[test]
fn a_process_that_dies_leaves_a_lake_that_the_next_run_completes() {
    let bench = demo();
    // The same lake dies again and again; each time something more is kept. A wave has at most 64 cells, so a death
    // after more leaves some of them durable and some not, however fast the machine is.
    let deaths: &[usize] = if full() {
        &[0, 5, 64, 70, 0, 3, 1]
    } else {
        &[70, 3]
    };
    let tasks = all_tasks();
    assert!(deaths.iter().sum::<usize>() + deaths.len() < tasks.len());
    let mut recorded = 0;
    for death in deaths {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::dying_process",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, bench.lake_root())
            .env(DEATH, death.to_string())
            .output()
            .unwrap();
        assert_eq!(
            child.status.code(),
            Some(9),
            "{}",
            String::from_utf8_lossy(&child.stderr)
        );
        assert_eq!(bench.lake().head().unwrap().version, 0);
        let now = bench.lake().cells().unwrap().len();
        assert!(now >= recorded);
        recorded = now;
    }
    assert!(recorded > 0);

    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let (restored, executed) = (run.restored(), run.executed());
    assert!(!restored.is_empty() && !executed.is_empty());
    let mut both: Vec<String> = restored.iter().chain(&executed).cloned().collect();
    both.sort();
    assert_tasks(&both, &tasks.into_iter().collect::<Vec<_>>());
    assert_eq!(hashes(&bench), hashes(&published()));
}
