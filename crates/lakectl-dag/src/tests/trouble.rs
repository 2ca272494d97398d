use super::*;

const THIRD: &str = "asset=BTC/date=2026-02-03";

fn outcome<'a>(report: &'a RunReport, task: &TaskKey) -> &'a TaskReport {
    report.tasks.iter().find(|t| t.task == *task).unwrap()
}

fn breaks(project: &mut Project, task: &TaskKey) {
    project.calculator.broken.insert(task.clone(), 99);
}

#[test]
fn a_failure_holds_back_only_itself() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    let daily = key("a.daily", THIRD);
    let before = project.lake.published[&daily].rows_hash;
    project.document(THIRD, "2");
    project.document("asset=ETH/date=2026-02-03", "2");
    breaks(&mut project, &daily);
    let report = project.run();
    assert!(!report.is_success());
    assert!(matches!(
        outcome(&report, &daily).outcome,
        Outcome::Failed { .. }
    ));
    assert_eq!(project.lake.published[&daily].rows_hash, before);
    let reader = outcome(&report, &key("a.smooth", THIRD));
    assert_eq!(
        (&reader.outcome, reader.stale.as_ref()),
        (&Outcome::Reused, Some(&daily))
    );
    let yearly = outcome(&report, &key("a.yearly", "asset=BTC/year=2026"));
    assert_eq!(yearly.stale.as_ref(), Some(&daily));
    let other = outcome(&report, &key("a.yearly", "asset=ETH/year=2026"));
    assert!(matches!(other.outcome, Outcome::Ran { .. }) && other.stale.is_none());

    // The next run repeats what failed, and only that and its readers.
    project.calculator.broken.clear();
    assert_eq!(project.executed().len(), 1 + 1 + 1 + 1);
}

#[test]
fn without_earlier_rows_the_policy_decides() {
    let mut project = Project::new(&chain()).with_source();
    let daily = key("a.daily", THIRD);
    breaks(&mut project, &daily);
    let report = project.run();
    // `lookback` accepts.
    assert!(matches!(
        outcome(&report, &key("a.smooth", THIRD)).outcome,
        Outcome::Ran { .. }
    ));
    let seen = project.seen(&key("a.smooth", THIRD));
    assert!(
        seen.contains(&format!("a.daily {THIRD} withheld")),
        "{seen:?}"
    );
    project.calculator.broken.clear();
    let executed = project.executed();
    assert_eq!(executed.len(), 4, "{executed:?}");

    // `self` blocks, and so on down the chain.
    let mut project = Project::new(&chain()).with_source();
    breaks(&mut project, &key("raw.ticks", THIRD));
    let report = project.run();
    for blocked in ["norm.ticks", "a.daily"] {
        let task = outcome(&report, &key(blocked, THIRD));
        assert!(matches!(
            &task.outcome,
            Outcome::Blocked {
                reason: Reason::InputWithheld { .. }
            }
        ));
    }
    assert_eq!((report.totals().failed, report.totals().blocked), (1, 2));
}

#[test]
fn panics_and_wrong_cells_are_failures_of_one_task() {
    let mut project = Project::new(&chain()).with_source();
    project.calculator.broken.insert(key("a.daily", THIRD), 13);
    let report = project.run();
    assert_eq!(report.totals().failed, 1);
    let Outcome::Failed { failure, .. } = &outcome(&report, &key("a.daily", THIRD)).outcome else {
        panic!();
    };
    assert!(failure.message.contains("panicked"));
}

#[test]
fn transient_failures_are_tried_again_as_often_as_declared() {
    for (retries, failures, good) in [(0, 1, false), (2, 2, true), (2, 3, false)] {
        let mut declared = stages(&chain());
        declared
            .iter_mut()
            .for_each(|stage| stage.retries = retries);
        let mut project = Project::of(declared).with_source();
        project
            .calculator
            .broken
            .insert(key("a.daily", THIRD), failures);
        let report = project.run();
        assert_eq!(report.is_success(), good, "{retries} {failures}");
        let events = project.events.lock().unwrap();
        let again = events
            .iter()
            .filter(|e| matches!(e, RunEvent::Retrying { .. }))
            .count();
        assert_eq!(again as u32, retries.min(failures));
    }
}

#[test]
fn a_cancelled_run_keeps_what_is_done_and_the_next_goes_on() {
    let mut project = Project::new(&chain()).with_source();
    project.jobs = 1;
    let plan = project.plan().unwrap();
    let finished = Mutex::new(0);
    let cancel = Cancel::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let report = runtime.block_on(execute(
        &project.pipeline,
        &plan,
        &project.lake,
        &project.calculator,
        &Options::default(),
        &|event| {
            if matches!(event, RunEvent::Finished { .. }) {
                let mut finished = finished.lock().unwrap();
                *finished += 1;
                if *finished == 20 {
                    cancel.cancel();
                }
            }
        },
        &cancel,
    ));
    assert!(report.interrupted && !report.is_success());
    assert_eq!((report.totals().ran, report.totals().not_reached), (20, 23));
    for cell in project.calculator.flushed.lock().unwrap().drain(..) {
        project.lake.cache.insert(cell.fingerprint, Arc::new(cell));
    }
    let report = project.run();
    assert_eq!((report.totals().restored, report.totals().ran), (20, 23));

    project.cancel.cancel();
    assert!(!project.run().interrupted, "nothing was left to interrupt");
}

#[test]
fn two_results_of_one_fingerprint_are_an_error() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.calculator.noise = true;
    project.force = vec!["a.yearly".to_owned()];
    let before = project.hashes();
    let report = project.run();
    assert_eq!(report.totals().failed, 2);
    let yearly = key("a.yearly", "asset=BTC/year=2026");
    let Outcome::Failed { failure, .. } = &outcome(&report, &yearly).outcome else {
        panic!();
    };
    assert!(failure.message.contains("not deterministic"));
    assert!(
        failure.message.contains(&before[&yearly].to_string()),
        "{}",
        failure.message
    );
    assert_eq!(project.hashes(), before);

    // Also when the earlier result is only in the cache.
    project.lake.published.remove(&yearly);
    assert_eq!(project.run().totals().failed, 2);
}

#[test]
fn results_that_cannot_be_kept_end_the_run() {
    let mut project = Project::new(&chain()).with_source();
    project.calculator.disk_full = true;
    let report = project.run();
    assert_eq!(report.fatal.as_ref().unwrap().message, "disk is full");
    assert!(report.new_cells().is_empty() && !report.is_success());
    project.calculator.disk_full = false;
    assert_eq!(project.executed().len(), 43);
}
