use super::*;

fn reason(plan: &Plan, task: &str) -> String {
    let found = plan.tasks.iter().find(|t| t.task.to_string() == task);
    found.unwrap().verdict.to_string()
}

#[test]
fn a_second_run_does_nothing() {
    let mut project = Project::new(&chain()).with_source();
    let first = project.executed();
    assert_eq!(first.len(), 4 * 10 + 2 + 1);
    assert!(project.executed().is_empty());
    assert!(
        project
            .events
            .lock()
            .unwrap()
            .iter()
            .any(|e| matches!(e, RunEvent::Flushed { .. }))
    );
    let plan = project.plan().unwrap();
    assert!(plan.tasks.iter().all(|task| task.verdict == Verdict::Reuse));
}

#[test]
fn one_changed_document_reruns_exactly_its_readers() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.document("asset=ETH/date=2026-02-01", "2");
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, "raw.ticks asset=ETH/date=2026-02-01"),
        "run: token 1 -> 2"
    );
    assert_eq!(
        reason(&plan, "a.daily asset=ETH/date=2026-02-01"),
        "pending: norm.ticks asset=ETH/date=2026-02-01 may change"
    );
    assert_eq!((plan.totals().ran, plan.totals().pending), (1, 7));
    assert_eq!(
        project.executed(),
        [
            "raw.ticks asset=ETH/date=2026-02-01",
            "norm.ticks asset=ETH/date=2026-02-01",
            "a.daily asset=ETH/date=2026-02-01",
            "a.smooth asset=ETH/date=2026-02-01",
            "a.smooth asset=ETH/date=2026-02-02",
            "a.smooth asset=ETH/date=2026-02-03",
            "a.yearly asset=ETH/year=2026",
            "b.report all",
        ]
    );
}

#[test]
fn equal_rows_end_the_recomputation() {
    let mut project = Project::new(&chain()).with_source();
    project.code("a.daily", "const");
    project.run();
    project.document("asset=ETH/date=2026-02-01", "2");
    let report = project.run();
    let last = report.executed().pop().unwrap();
    assert_eq!(last.to_string(), "a.daily asset=ETH/date=2026-02-01");
    let done = report.tasks.iter().find(|t| t.task == last).unwrap();
    assert!(matches!(&done.outcome, Outcome::Ran { changed: false, .. }));
    assert!(project.executed().is_empty());
}

#[test]
fn a_changed_part_is_named_and_a_reverted_one_restores() {
    let mut project = Project::new(&chain()).with_source();
    project.code("a.smooth", "v1");
    project.run();
    let before = project.hashes();
    project.code("a.smooth", "v2");
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, "a.smooth asset=BTC/date=2026-01-30"),
        "run: code v1 -> v2"
    );
    assert_eq!(project.executed().len(), 10 + 2 + 1);
    assert_ne!(project.hashes(), before);

    project.code("a.smooth", "v1");
    let report = project.run();
    assert!(report.executed().is_empty());
    assert_eq!(report.totals().restored, 10 + 2 + 1);
    assert_eq!(project.hashes(), before);
    assert!(project.run().totals().restored == 0);
}

#[test]
fn a_changed_member_of_a_window_is_named() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.document("asset=BTC/date=2026-02-02", "2");
    let report = project.run();
    let task = report
        .tasks
        .iter()
        .find(|t| t.task.to_string() == "a.smooth asset=BTC/date=2026-02-03");
    let Outcome::Ran { reason, .. } = &task.unwrap().outcome else {
        panic!("{task:?}");
    };
    let text = reason.to_string();
    assert!(
        text.starts_with("input a.daily asset=BTC/date=2026-02-02: "),
        "{text}"
    );
    assert!(text.contains(" -> "), "{text}");
}

#[test]
fn a_new_day_reaches_only_what_reads_it() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.end = day("2026-02-05");
    project.document("asset=BTC/date=2026-02-04", "1");
    let executed = project.executed();
    // ETH has no document that day: its daily task is planned, has an empty window and no rows.
    assert!(executed.contains(&"a.daily asset=ETH/date=2026-02-04".to_owned()));
    assert!(
        !executed.iter().any(|task| task.contains("2026-02-03")),
        "{executed:?}"
    );
    assert_eq!(executed.len(), 2 + 2 + 2 + 2 + 1);
    let empty = &project.lake.published[&key("a.daily", "asset=ETH/date=2026-02-04")];
    assert_eq!(empty.rows, 0);
}

#[test]
fn order_and_jobs_do_not_matter() {
    let mut expected = None;
    for (jobs, order) in [
        (1, Order::Forward),
        (1, Order::Backward),
        (4, Order::Forward),
        (9, Order::Backward),
    ] {
        let mut project = Project::new(&chain()).with_source();
        (project.jobs, project.order) = (jobs, order);
        project.run();
        let hashes = project.hashes();
        assert_eq!(expected.get_or_insert(hashes.clone()), &hashes);
    }
}

#[test]
fn secondary_tables_are_made_reused_and_restored_with_the_main_one() {
    let mut declared = stages(&chain());
    let norm = declared
        .iter_mut()
        .find(|s| s.table.schema() == "norm")
        .unwrap();
    norm.also = vec![table("quarantine.ticks")];
    let mut project = Project::of(declared).with_source();
    project.run();
    assert!(
        project
            .lake
            .published
            .contains_key(&key("quarantine.ticks", "asset=BTC/date=2026-02-01"))
    );
    assert!(project.executed().is_empty());
    project.code("norm.ticks", "other");
    assert!(!project.executed().is_empty());
    project.code("norm.ticks", "");
    project.codes.clear();
    assert_eq!(project.executed(), Vec::<String>::new());

    let lost = key("quarantine.ticks", "asset=BTC/date=2026-02-01");
    project.lake.published.remove(&lost);
    assert_eq!(project.run().totals().restored, 1);
    project.lake.published.remove(&lost);
    project.lake.cache.clear();
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, "norm.ticks asset=BTC/date=2026-02-01"),
        "run: no published rows of quarantine.ticks"
    );
}

#[test]
fn a_vanished_source_partition_stays() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    let partition: PartitionKey = "asset=BTC/date=2026-02-01".parse().unwrap();
    project.listed.remove(&partition);
    let plan = project.plan().unwrap();
    assert_eq!(
        plan.vanished,
        [key("raw.ticks", "asset=BTC/date=2026-02-01")]
    );
    assert!(project.executed().is_empty());
    project.code("norm.ticks", "fixed parser");
    let executed = project.executed();
    assert!(executed.contains(&"norm.ticks asset=BTC/date=2026-02-01".to_owned()));
}

#[test]
fn force_and_refresh_run_again() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.force = vec!["a.smooth".to_owned()];
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, "a.smooth asset=BTC/date=2026-02-01"),
        "run: forced"
    );
    assert_eq!(project.executed().len(), 10);
    project.force.clear();
    project.refresh = vec!["raw.*".to_owned()];
    project
        .calculator
        .source
        .values_mut()
        .for_each(|rows| rows[0].1.push('!'));
    assert_eq!(project.executed().len(), 4 * 10 + 2 + 1);
    project.refresh = vec!["a.*".to_owned()];
    assert!(matches!(
        project.plan(),
        Err(PlanError::NothingToRefresh(_))
    ));
}

#[test]
fn a_published_raw_partition_is_never_replaced_by_an_earlier_fetch() {
    let mut project = Project::new(&chain()).with_source();
    let partition: PartitionKey = "asset=BTC/date=2026-02-03".parse().unwrap();
    project.run();
    for (token, sealed, fetched) in [
        ("2", false, 1),
        ("2", false, 0),
        ("1", false, 1),
        ("2", true, 1),
    ] {
        project
            .listed
            .insert(partition.clone(), (token.to_owned(), sealed));
        let executed = project.executed();
        let raw = executed
            .iter()
            .filter(|task| task.starts_with("raw."))
            .count();
        assert_eq!(raw, fetched, "{token} {sealed} {executed:?}");
    }
}

#[test]
fn what_another_definition_has_published_meanwhile_is_not_undone() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    // Another run comes in between with a definition of its own, and is all that is published.
    project.code("a.daily", "const");
    project.run();
    let theirs = project.lake.published.clone();
    project.code("a.daily", "digest");
    let daily: Vec<TaskKey> = theirs
        .keys()
        .filter(|task| task.table == table("a.daily"))
        .cloned()
        .collect();
    let overtaken = |task: &TaskKey| (task.clone(), "theirs".to_owned());
    project.lake.newer = daily.iter().map(overtaken).collect();
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, &daily[0].to_string()),
        "blocked: run theirs published it by another definition meanwhile"
    );
    let report = project.run();
    assert!(!report.is_success());
    assert_eq!(report.totals().blocked, daily.len());
    assert_eq!(
        project.lake.published, theirs,
        "and nothing is made of what is not published"
    );

    // The same definition over other inputs gives way to what is newest.
    project.code("a.daily", "const");
    project.document("asset=ETH/date=2026-02-01", "2");
    let report = project.run();
    assert!(report.is_success(), "{:?}", report.totals());
    assert!(
        report
            .executed()
            .iter()
            .any(|task| task.table == table("a.daily"))
    );
}

/// Changes what is kept of every derived result as if another version of the program had computed it.
fn computed_by_another_version(project: &mut Project, change: &dyn Fn(&mut Parts)) {
    for (task, cell) in &mut project.lake.published {
        if task.table.as_str() == "raw.ticks" {
            continue;
        }
        let mut older = Cell::clone(cell);
        change(&mut older.parts);
        older.fingerprint = FingerprintBuilder::new("older")
            .field("task", task.to_string())
            .finish();
        *cell = Arc::new(older);
    }
    project.lake.cache.clear();
}

#[test]
fn another_version_of_the_program_is_named() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    computed_by_another_version(&mut project, &|parts| {
        parts.insert("engine".to_owned(), "0".to_owned());
        parts.insert("rounding".to_owned(), "half even".to_owned());
    });
    let plan = project.plan().unwrap();
    let told = format!(
        "run: engine version 0 -> {ENGINE_VERSION}; part `rounding` of another version of lakectl, not known to this one"
    );
    let derived = || {
        plan.tasks
            .iter()
            .filter(|t| t.task.table.as_str() != "raw.ticks")
    };
    for task in derived() {
        assert_eq!(task.verdict.to_string(), told, "{}", task.task);
        let Some(Reason::Changed { changes }) = task.verdict.reason() else {
            panic!();
        };
        assert!(changes.iter().all(|change| change.program));
    }
    // What earlier results took is known all the same.
    assert!(plan.costs(&project.pipeline).iter().all(Option::is_some));
    assert_eq!(project.executed().len(), 33);
    assert!(project.executed().is_empty());

    // Parts that are kept in a form that this version does not read.
    computed_by_another_version(&mut project, &|parts| {
        for (_, value) in parts
            .iter_mut()
            .filter(|(name, _)| name.starts_with("input "))
        {
            *value = "{\"members\":7}".to_owned();
        }
    });
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, "norm.ticks asset=BTC/date=2026-02-01"),
        "run: input raw.ticks changed"
    );
    // Nothing at all was kept, or nothing of it differs.
    computed_by_another_version(&mut project, &|_| {});
    project.lake.published.values_mut().for_each(|cell| {
        let mut older = Cell::clone(cell);
        older.parts.clear();
        *cell = Arc::new(older);
    });
    assert!(project.plan().unwrap().totals().ran > 30);
    assert!(!project.run().executed().is_empty());
    computed_by_another_version(&mut project, &|_| {});
    let plan = project.plan().unwrap();
    assert_eq!(
        reason(&plan, "norm.ticks asset=BTC/date=2026-02-01"),
        "run: computed by another version of lakectl, of the same parts"
    );
}

#[test]
fn a_query_says_its_line_and_a_contract_its_column() {
    let sql = |lines: &[&str]| {
        let words = lines.iter().map(|line| line.split_whitespace());
        Parts::from([
            ("sql".to_owned(), lines.concat()),
            ("note sql".to_owned(), outline(words)),
        ])
    };
    let mut project = Project::new(&chain()).with_source();
    let table = table("a.daily");
    project
        .codes
        .insert(table.clone(), sql(&["SELECT a,", "", "b", "FROM t"]));
    project.run();
    let task = "a.daily asset=BTC/date=2026-02-01";
    project
        .codes
        .insert(table.clone(), sql(&["SELECT a,", "", "c", "FROM t"]));
    assert_eq!(
        reason(&project.plan().unwrap(), task),
        "run: sql changed at line 3"
    );
    // The outline explains and decides nothing.
    let mut moved = sql(&["SELECT a,", "", "b", "FROM t"]);
    moved.insert(
        "note sql".to_owned(),
        outline([["SELECT", "a,", "b", "FROM", "t"]]),
    );
    project.codes.insert(table, moved);
    assert!(project.executed().is_empty());

    let longer = chain().replace(
        "x f64?",
        "x f64?, one i64, two f64?, three utf8?, four ts?, five date?, six bool?, seven f64?",
    );
    project.pipeline = Pipeline::build(stages(&longer), BTreeMap::new()).unwrap();
    project.run();
    let wider = longer.replace("two f64?", "two f64, extra i64?");
    project.pipeline = Pipeline::build(stages(&wider), BTreeMap::new()).unwrap();
    assert_eq!(
        reason(&project.plan().unwrap(), task),
        "run: contract: column `two` is now f64, column `extra` added"
    );
}
