//! Rows that fail a blocking check stay out, whichever way they come; no check looks at the same rows twice.

use super::*;

const THIRD: &str = "asset=BTC/date=2026-02-03";

/// The chain with checks, each as (stage, TOML lines).
fn checked(checks: &[(&str, &str)]) -> String {
    let mut text = chain();
    for (stage, lines) in checks {
        let at = text.find(&format!("table = \"{stage}\"")).unwrap();
        let end = text[at..]
            .find("[[stage]]")
            .map_or(text.len(), |length| at + length);
        text.insert_str(end, &format!("[[stage.check]]\n{lines}\n"));
    }
    text
}

fn project(checks: &[(&str, &str)]) -> Project {
    let mut project = Project::new(&checked(checks)).with_source();
    project.jobs = 1;
    project
}

fn daily() -> Project {
    project(&[("a.daily", "name = \"sane\"\nnot_null = [\"x\"]")])
}

fn outcome<'a>(report: &'a RunReport, task: &TaskKey) -> &'a TaskReport {
    report.tasks.iter().find(|t| t.task == *task).unwrap()
}

fn names(tasks: &[TaskKey]) -> Vec<String> {
    tasks.iter().map(ToString::to_string).collect()
}

fn asked(project: &Project) -> Vec<String> {
    std::mem::take(&mut project.calculator.asked.lock().unwrap())
}

fn object(project: &mut Project, check: &str, task: &TaskKey) {
    project
        .calculator
        .objections
        .insert(format!("{check} {task}"));
}

#[test]
fn held_rows_stay_out_until_they_are_accepted() {
    let mut project = daily();
    assert!(project.run().is_success());
    assert_eq!(asked(&project).len(), 2 * 5);
    let before = project.hashes();
    let (task, reader) = (key("a.daily", THIRD), key("a.smooth", THIRD));

    project.document(THIRD, "2");
    object(&mut project, "sane", &task);
    let report = project.run();
    assert!(!report.is_success());
    let Outcome::Failed { failure, .. } = &outcome(&report, &task).outcome else {
        panic!("{:?}", outcome(&report, &task).outcome);
    };
    assert_eq!(
        failure.message,
        "held: check `sane` failed: 3 rows, for example x=1"
    );
    let (totals, held) = (report.totals(), &report.checks[0]);
    assert_eq!((totals.failed, totals.blocked), (1, 0));
    assert!(held.held && held.new && held.blocks() && held.task == task);
    // What was published stays and is read; its readers say so.
    assert_eq!(project.lake.published[&task].rows_hash, before[&task]);
    let of_reader = outcome(&report, &reader);
    assert_eq!(
        (&of_reader.outcome, of_reader.stale.as_ref()),
        (&Outcome::Reused, Some(&task))
    );
    assert_eq!(
        names(&report.executed()),
        [
            format!("raw.ticks {THIRD}"),
            format!("norm.ticks {THIRD}"),
            format!("a.daily {THIRD}")
        ]
    );
    assert_eq!(asked(&project), [format!("sane a.daily {THIRD} []")]);

    // Nothing is computed and nothing is asked again: the plan knows.
    let plan = project.plan().unwrap();
    let planned = plan.tasks.iter().find(|t| t.task == task).unwrap();
    let Verdict::Blocked(reason @ Reason::Held { .. }) = &planned.verdict else {
        panic!("{}", planned.verdict);
    };
    assert!(reason.to_string().contains("`sane` failed: 3 rows"));
    assert!(plan.checks.iter().any(|check| check.held));
    let report = project.run();
    assert_eq!(report.executed(), []);
    assert_eq!(asked(&project), [""; 0]);
    assert!(report.checks.len() == 1 && report.checks[0].held && !report.checks[0].new);
    let totals = report.totals();
    assert_eq!(
        (totals.failed, totals.blocked, report.is_success()),
        (1, 0, false)
    );
    assert_eq!(outcome(&report, &reader).stale.as_ref(), Some(&task));

    // Accepted, the rows that were computed then are published, and only their readers run.
    let rows = held.rows_hash;
    project.lake.accepted.insert((task.clone(), rows));
    let report = project.run();
    assert!(report.is_success());
    assert_eq!(outcome(&report, &task).outcome, Outcome::Restored);
    assert_eq!(project.lake.published[&task].rows_hash, rows);
    assert_eq!(
        names(&report.executed()),
        [
            format!("a.smooth {THIRD}"),
            "a.yearly asset=BTC/year=2026".to_owned(),
            "b.report all".to_owned()
        ]
    );
    assert!(report.checks[0].accepted && !report.checks[0].held);

    // Other rows of the same partition are another matter.
    project.document(THIRD, "3");
    assert!(!project.run().is_success());
}

#[test]
fn without_published_rows_each_reader_decides() {
    let mut project = project(&[
        ("a.daily", "name = \"sane\"\nnot_null = [\"x\"]"),
        ("norm.ticks", "name = \"typed\"\nnot_null = [\"x\"]"),
    ]);
    let (norm, daily) = (key("norm.ticks", THIRD), key("a.daily", THIRD));
    object(&mut project, "typed", &norm);
    let report = project.run();
    assert!(matches!(
        outcome(&report, &norm).outcome,
        Outcome::Failed { .. }
    ));
    // `self` blocks, a look back accepts what there is.
    assert!(matches!(
        &outcome(&report, &daily).outcome,
        Outcome::Blocked { reason: Reason::InputWithheld { task } } if *task == norm
    ));
    assert!(matches!(
        outcome(&report, &key("a.smooth", THIRD)).outcome,
        Outcome::Ran { .. }
    ));
    let seen = project.seen(&key("a.smooth", THIRD));
    assert!(
        seen.contains(&format!("a.daily {THIRD} withheld")),
        "{seen:?}"
    );
}

#[test]
fn a_check_that_comes_later_withdraws_nothing_and_says_so() {
    let mut project = Project::new(&chain()).with_source();
    assert!(project.run().is_success());
    let before = project.hashes();
    project.pipeline = daily().pipeline;
    let task = key("a.daily", THIRD);
    object(&mut project, "sane", &task);
    // The plan cannot know what the check will find, but that it has not looked.
    let plan = project.plan().unwrap();
    assert!(plan.tasks.iter().all(|t| t.verdict == Verdict::Reuse) && plan.checks.is_empty());
    let [open] = plan.open_checks.as_slice() else {
        panic!("{:?}", plan.open_checks);
    };
    assert_eq!(
        (open.table.as_str(), open.check.as_str()),
        ("a.daily", "sane")
    );
    assert_eq!((open.partitions, open.pending), (2 * 5, 0));
    let report = project.run();
    assert_eq!((report.executed(), project.hashes()), (vec![], before));
    assert!(!report.is_success());
    let failed: Vec<&CheckReport> = report.checks.iter().filter(|c| c.blocks()).collect();
    assert!(failed.len() == 1 && failed[0].task == task && !failed[0].held);
    assert_eq!(outcome(&report, &task).outcome, Outcome::Reused);
    assert_eq!(report.tasks.iter().filter(|t| t.stale.is_some()).count(), 0);
    assert_eq!(asked(&project).len(), 2 * 5);
    // Known from now on, and still said.
    let plan = project.plan().unwrap();
    assert_eq!((plan.checks.len(), plan.open_checks.len()), (1, 0));
    assert!(!project.run().is_success());
    assert_eq!(asked(&project), [""; 0]);
}

#[test]
fn a_restored_result_passes_the_same_gate() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.document(THIRD, "2");
    project.run();
    let now = project.hashes();
    // The first document is back, and a check has come meanwhile.
    project.document(THIRD, "1");
    project.pipeline = daily().pipeline;
    let task = key("a.daily", THIRD);
    object(&mut project, "sane", &task);
    let plan = project.plan().unwrap();
    let planned = plan.tasks.iter().find(|t| t.task == task).unwrap();
    assert!(matches!(
        planned.verdict,
        Verdict::Pending(_) | Verdict::Restore
    ));
    let report = project.run();
    assert!(matches!(
        &outcome(&report, &task).outcome,
        Outcome::Blocked { reason: Reason::Held { checks } } if checks[0].check == "sane"
    ));
    assert_eq!(project.hashes()[&task], now[&task]);
    assert_eq!(report.totals().failed, 1);
    assert!(report.executed().iter().all(|t| t.table.schema() != "a"));
}

#[test]
fn a_warning_holds_nothing_back() {
    let lines = "name = \"sane\"\nnot_null = [\"x\"]\nseverity = \"warn\"";
    let mut project = project(&[("a.daily", lines)]);
    let task = key("a.daily", THIRD);
    object(&mut project, "sane", &task);
    let report = project.run();
    assert!(report.is_success());
    let warned: Vec<&CheckReport> = report.checks.iter().filter(|c| !c.result.passed).collect();
    assert!(warned.len() == 1 && !warned[0].blocks() && !warned[0].held);
    assert!(project.lake.published.contains_key(&task));
}

#[test]
fn a_check_reads_another_table_after_it_is_settled() {
    // Without the check, the two tables have nothing to do with each other.
    let other = stage(
        "c.other",
        "sql",
        "day",
        "asset",
        "\"norm.ticks\" = \"self\"",
    );
    let lines = "name = \"known\"\nforeign_key = { columns = [\"x\"], table = \"c.other\" }";
    let text = format!("{}{other}", checked(&[("a.smooth", lines)]));
    let mut project = Project::new(&text).with_source();
    project.jobs = 1;
    // Asking for the checked table brings the other one in.
    project.selection.until = Some("a.smooth".to_owned());
    let executed = project.executed();
    let place = |name: &str| executed.iter().position(|task| task == name).unwrap();
    assert!(place(&format!("c.other {THIRD}")) < executed.len());
    let first = asked(&project);
    assert_eq!(first.len(), 2 * 5);
    assert!(first.contains(&format!("known a.smooth {THIRD} [{THIRD}]")));
    assert_eq!(project.executed(), [""; 0]);
    assert_eq!(asked(&project), [""; 0]);
    // Other rows there are asked about again, although those here are the same.
    project.code("c.other", "parity");
    let executed = project.executed();
    assert!(
        executed.iter().all(|task| task.starts_with("c.other")),
        "{executed:?}"
    );
    assert_eq!(asked(&project).len(), 2 * 5);

    // A table that is made from the checked one cannot be asked.
    let lines = "name = \"known\"\nforeign_key = { columns = [\"x\"], table = \"a.yearly\" }";
    let stages = stages(&checked(&[("a.daily", lines)]));
    let error = Pipeline::build(stages, BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("a.daily"), "{error}");
    assert!(matches!(error, GraphError::Cycle { .. }));
}

#[test]
fn a_check_looks_at_the_partitions_before_but_needs_none_of_them() {
    let lines = "name = \"steady\"\nrows = { median = \"2d\", min = 0.5 }";
    let mut project = project(&[("a.daily", lines)]);
    project.order = Order::Backward;
    project.selection.days = DayRange::new(day("2026-02-03"), day("2026-02-04"));
    project.selection.select = vec!["a.daily".to_owned()];
    // One day alone: those before are not computed for it.
    let executed = project.executed();
    assert_eq!(executed.len(), 2 * 3, "{executed:?}");
    assert!(asked(&project).contains(&format!(
        "steady a.daily {THIRD} [asset=BTC/date=2026-02-01 asset=BTC/date=2026-02-02]"
    )));
    // With those before, it is asked again, and each after the one before it.
    project.selection.days = DayRange::ALL;
    assert_eq!(project.executed().len(), 2 * 4 * 3);
    let again = asked(&project);
    let place = |day: &str| {
        let name = format!("steady a.daily asset=BTC/date={day}");
        again
            .iter()
            .position(|line| line.starts_with(&name))
            .unwrap()
    };
    assert!(place("2026-01-30") < place("2026-01-31") && place("2026-02-02") < place("2026-02-03"));
    assert_eq!(again.len(), 2 * 5 - 2 + 2);
}

#[test]
fn a_dropped_partition_is_absent_and_a_changed_input_is_another_task() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    let before = project.hashes();
    let norm = key("norm.ticks", THIRD);
    project
        .lake
        .amended
        .insert(norm.clone(), "without 1".to_owned());
    let plan = project.plan().unwrap();
    let planned = plan.tasks.iter().find(|t| t.task == norm).unwrap();
    assert!(
        planned.verdict.to_string().contains("override is new"),
        "{}",
        planned.verdict
    );
    assert_eq!(names(&project.run().executed()), [norm.to_string()]);
    project.lake.amended.clear();
    let report = project.run();
    assert_eq!(
        (report.executed(), project.hashes()),
        (vec![], before.clone())
    );

    // A raw partition that is dropped takes what is parsed from it along; others see nothing there.
    project.lake.dropped.insert(key("raw.ticks", THIRD));
    let plan = project.plan().unwrap();
    let has = |table: &str| plan.tasks.iter().any(|t| t.task == key(table, THIRD));
    assert!(!has("raw.ticks") && !has("norm.ticks") && has("a.daily"));
    let known = plan.partitions(&table("norm.ticks")).unwrap();
    assert_eq!(known.find(&THIRD.parse().unwrap()), None);
    let report = project.run();
    assert!(names(&report.executed()).contains(&format!("a.daily {THIRD}")));
    assert_eq!(project.lake.published[&key("a.daily", THIRD)].rows, 0);
    project.lake.dropped.clear();
    let report = project.run();
    assert_eq!((report.executed(), project.hashes()), (vec![], before));
}

#[test]
fn named_tasks_only() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.code("a.daily", "parity");
    project.selection.tasks = Some(BTreeSet::from([key("a.daily", THIRD)]));
    assert_eq!(project.executed(), [format!("a.daily {THIRD}")]);
}
