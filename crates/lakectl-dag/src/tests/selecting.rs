use super::*;

fn planned(project: &Project) -> Vec<String> {
    let plan = project.plan().unwrap();
    let tasks = plan.tasks.iter();
    tasks
        .map(|t| format!("{}{}", t.task, if t.selected { "*" } else { "" }))
        .collect()
}

#[test]
fn a_goal_plans_what_it_needs() {
    let mut project = Project::new(&chain()).with_source();
    project.selection.until = Some("a.smooth".to_owned());
    project.selection.days = DayRange::new(day("2026-02-02"), day("2026-02-03"));
    project.selection.keys =
        BTreeMap::from([("asset".to_owned(), BTreeSet::from(["BTC".to_owned()]))]);
    assert_eq!(planned(&project).len(), 3 * 3 + 1);
    assert_eq!(planned(&project)[9], "a.smooth asset=BTC/date=2026-02-02*");
    let executed = project.executed();
    assert!(executed.contains(&"raw.ticks asset=BTC/date=2026-01-31".to_owned()));
    assert!(executed.iter().all(|task| task.contains("BTC")));

    // The rest is computed later, and what was is not computed again.
    project.selection = Selection::default();
    assert_eq!(project.executed().len(), 43 - 10);
}

#[test]
fn inputs_are_never_truncated_by_the_selected_days() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    let before = project.hashes();
    project.selection.days = DayRange::new(day("2026-02-02"), day("2026-02-03"));
    assert!(project.executed().is_empty());
    project.document("asset=BTC/date=2026-01-30", "2");
    let executed = project.executed();
    assert!(
        executed.contains(&"a.yearly asset=BTC/year=2026".to_owned()),
        "{executed:?}"
    );
    assert_ne!(project.hashes(), before);
}

#[test]
fn select_narrows_a_goal() {
    let mut project = Project::new(&chain()).with_source();
    project.selection.until = Some("b".to_owned());
    project.selection.select = vec!["a.daily".to_owned()];
    assert_eq!(
        planned(&project)
            .iter()
            .filter(|t| t.ends_with('*'))
            .count(),
        10
    );
    assert!(planned(&project).iter().all(|t| !t.starts_with("a.smooth")));
    project.selection.until = Some("a.daily".to_owned());
    project.selection.select = vec!["b.report".to_owned()];
    let error = project.plan().unwrap_err().to_string();
    assert!(
        error.contains("no stage of `b.report` is needed for `a.daily`"),
        "{error}"
    );
}

#[test]
fn wrong_requests_are_refused_with_the_nearest_word() {
    let mut project = Project::new(&chain()).with_source();
    project.selection.keys =
        BTreeMap::from([("asset".to_owned(), BTreeSet::from(["BTV".to_owned()]))]);
    let error = project.plan().unwrap_err().to_string();
    assert!(
        error.contains("no partition has asset `BTV`") && error.contains("`BTC`"),
        "{error}"
    );
    project.selection = Selection::default();
    project.listed.insert(
        "asset=BTC/month=2026-02".parse().unwrap(),
        (String::new(), true),
    );
    assert!(matches!(project.plan(), Err(PlanError::Listing { .. })));
    project.listed.clear();
    project.coverages.clear();
    assert!(matches!(project.plan(), Err(PlanError::Coverage { .. })));
    let keys = BTreeMap::new();
    let start = day("2026-01-30");
    project
        .coverages
        .insert("c".to_owned(), Coverage { keys, start });
    assert!(matches!(project.plan(), Err(PlanError::CoverageKey { .. })));
}

#[test]
fn a_dropped_asset_leaves_the_windows_but_an_earlier_end_does_not() {
    let mut project = Project::new(&chain()).with_source();
    project.run();
    project.end = day("2026-02-02");
    // A year that the calendar now cuts short is computed again; whole days beyond its end stay as they are.
    let cut = [
        "a.yearly asset=BTC/year=2026",
        "a.yearly asset=ETH/year=2026",
        "b.report all",
    ];
    assert_eq!(project.executed(), cut);
    project.end = day("2026-02-04");
    project
        .coverages
        .get_mut("c")
        .unwrap()
        .keys
        .get_mut("asset")
        .unwrap()
        .pop();
    assert_eq!(project.executed(), ["b.report all"]);
    assert_eq!(
        project.seen(&key("b.report", "all")),
        ["b.report all"].map(|_| "a.yearly asset=BTC/year=2026")
    );
}

#[test]
fn what_cannot_be_computed_again_is_refused() {
    let mut project = Project::new(&chain()).with_source();
    project.selection.until = Some("a.daily".to_owned());
    project.force = vec!["a.daily".to_owned(), "a.smooth".to_owned()];
    let error = project.plan().unwrap_err().to_string();
    assert!(
        error.starts_with("`--force a.smooth`: no task of it is in this plan\n  hint: "),
        "{error}"
    );
    // Nor outside the selected days.
    project.force = vec!["a.daily".to_owned()];
    project.selection.days = DayRange::new(day("2030-01-01"), day("2030-01-02"));
    assert!(matches!(
        project.plan(),
        Err(PlanError::NotInPlan {
            flag: "--force",
            ..
        })
    ));
    project.selection.days = DayRange::ALL;
    project.refresh = vec!["raw.ticks".to_owned()];
    project.force = vec!["raw.*".to_owned()];
    assert_eq!(project.plan().unwrap().totals().ran, 4 * 10 - 10);
}

#[test]
fn costs_are_those_of_the_results_there_are() {
    let mut project = Project::new(&chain()).with_source();
    let plan = project.plan().unwrap();
    let costs = plan.costs(&project.pipeline);
    assert!(costs.iter().all(Option::is_none));
    let all = |_: &Verdict| true;
    let nothing = plan.estimate(&costs, all);
    assert_eq!((nothing.tasks, nothing.unknown), (43, 43));
    assert_eq!(plan.elapsed(&costs, 2, all), 0.0);

    // Every result took a hundredth of a second; a day more is like the days before it.
    project.run();
    project.end = day("2026-02-05");
    project.document("asset=BTC/date=2026-02-04", "1");
    let plan = project.plan().unwrap();
    let costs = plan.costs(&project.pipeline);
    let runs = |verdict: &Verdict| matches!(verdict, Verdict::Run(_));
    let estimate = plan.estimate(&costs, runs);
    assert_eq!(estimate.unknown, 0);
    assert!((estimate.cost.seconds - 0.01 * estimate.tasks as f64).abs() < 1e-9);
    let one = |jobs| plan.elapsed(&costs, jobs, runs);
    assert!((one(1) - estimate.cost.seconds).abs() < 1e-6);
    assert!(one(2) < one(1) && one(100) <= one(2));
    // Tasks that stand in a row take their sum, however many may run at a time.
    assert!(one(100) > 0.035, "{}", one(100));
}
