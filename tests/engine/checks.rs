//! What checks find, and what they keep out of a version.

use lakectl_core::Severity;
use lakectl_pipeline::engine::Outcome;
use lakectl_pipeline::{CheckFailure, Project, Selected};
use lakectl_tests::Bench;

use crate::common::{
    Run, add_check, assert_tasks, demo, edit, go, hashes, published, tasks, version,
};

const OPTIONS: &str = "pipelines/options.toml";
const NODES: &str = "options.surface_nodes";

/// (check, how often it was evaluated, how often it failed, rows that failed it)
fn evaluated(bench: &Bench) -> Vec<(String, i64, i64, i64)> {
    let found = bench.sql(
        "SELECT \"check\", count(*) AS n, sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed, \
         sum(offending) AS rows FROM system.checks WHERE \"check\" LIKE 't_%' GROUP BY 1 ORDER BY 1",
    );
    let numbers = |name: &str| found.i64s(name).unwrap();
    let (n, failed, rows) = (numbers("n"), numbers("failed"), numbers("rows"));
    let checks = found.texts("check").unwrap();
    (0..found.rows())
        .map(|i| {
            let check = checks[i].clone().unwrap();
            (check, n[i].unwrap(), failed[i].unwrap(), rows[i].unwrap())
        })
        .collect()
}

fn held(run: &Run) -> Vec<&CheckFailure> {
    run.summary
        .checks
        .iter()
        .filter(|check| check.held)
        .collect()
}

fn stale(run: &Run) -> usize {
    let stale = run.report.tasks.iter().filter(|task| task.stale.is_some());
    stale.count()
}

#[test]
fn every_kind_finds_its_rows_once() {
    let mut bench = published();
    let nodes = 2 * 5 * 42;
    for (name, rule) in [
        ("t_not_null", "not_null = [\"node\", \"reason\"]"),
        ("t_range", "range = { column = \"tenor_days\", max = 60 }"),
        (
            "t_range_fine",
            "range = { column = \"iv\", min = 0, max = 10 }",
        ),
        ("t_unique", "unique = [\"asset\", \"event_time\", \"node\"]"),
        (
            "t_unique_fine",
            "unique = [\"event_time\", \"tenor_days\", \"node\"]",
        ),
        ("t_rows", "rows = { min = 43 }"),
        ("t_rows_fine", "rows = { min = 42, max = 42 }"),
        (
            "t_median",
            "rows = { median = \"30d\", min = 1.5, max = 2 }",
        ),
        (
            "t_median_fine",
            "rows = { median = \"30d\", min = 0.9, max = 1.1 }",
        ),
        (
            "t_foreign",
            "foreign_key = { columns = [\"node\"], table = \"options.slices\", references = [\"status\"] }",
        ),
        (
            "t_foreign_fine",
            "foreign_key = { columns = [\"asset\", \"event_time\"], table = \"options.slices\" }",
        ),
        (
            "t_sql",
            "sql = \"SELECT n.node FROM options.surface_nodes AS n JOIN options.density AS d ON d.tenor_days = n.tenor_days WHERE n.node = 'atm' AND n.tenor_days < $pca_window_days\"",
        ),
        (
            "t_sql_fine",
            "sql = \"SELECT 1 FROM options.surface_nodes WHERE event_time >= $end OR asset <> $asset\"",
        ),
    ] {
        let lines = format!("name = \"{name}\"\nseverity = \"warn\"\n{rule}");
        add_check(&mut bench, OPTIONS, NODES, &lines);
    }
    let before = hashes(&bench);
    let run = go(&bench, &Selected::default());
    // The rows are there; they are looked at, and nothing is computed or published.
    assert_eq!(run.executed(), [""; 0]);
    assert_eq!((version(&bench), hashes(&bench)), (1, before));
    assert!(run.summary.is_success(), "{:?}", run.summary.checks);
    let found = evaluated(&bench);
    let fails = |name: &str, failed: i64, rows: i64| (name.to_owned(), 10, failed, rows);
    let with_reason =
        bench.sql("SELECT count(*) AS n FROM options.surface_nodes WHERE reason IS NULL");
    let null = with_reason.i64s("n").unwrap()[0].unwrap();
    let expected = vec![
        fails("t_foreign", 10, nodes),
        fails("t_foreign_fine", 0, 0),
        // The first three days have nothing to compare with.
        fails("t_median", 4, 4 * 21),
        fails("t_median_fine", 0, 0),
        fails("t_not_null", if null > 0 { 10 } else { 0 }, null),
        fails("t_range", 10, 10 * 2 * 7),
        fails("t_range_fine", 0, 0),
        fails("t_rows", 10, 10),
        fails("t_rows_fine", 0, 0),
        fails("t_sql", 10, 10 * 2),
        fails("t_sql_fine", 0, 0),
        fails("t_unique", 10, nodes - 10 * 7),
        fails("t_unique_fine", 0, 0),
    ];
    assert_eq!(found, expected);
    let range = run
        .summary
        .checks
        .iter()
        .find(|check| check.check == "t_range");
    let range = range.unwrap();
    assert_eq!(
        (range.severity, range.held, range.accepted),
        (Severity::Warn, false, false)
    );
    let example = range.example.clone().unwrap();
    assert!(
        example.contains("asset=BTC") && example.contains("tenor_days=90"),
        "{example}"
    );

    // Never again for the same rows, whatever runs; a check that asks something else is another check.
    go(&bench, &Selected::default());
    let lines =
        "name = \"t_other\"\nseverity = \"warn\"\nrange = { column = \"tenor_days\", max = 61 }";
    add_check(&mut bench, OPTIONS, NODES, lines);
    edit(&mut bench, OPTIONS, "max = 60 }", "max = 59 }");
    go(&bench, &Selected::default());
    let again = evaluated(&bench);
    let changed: Vec<&(String, i64, i64, i64)> =
        again.iter().filter(|line| !found.contains(line)).collect();
    let changed: Vec<(&str, i64)> = changed
        .iter()
        .map(|line| (line.0.as_str(), line.1))
        .collect();
    assert_eq!(changed, [("t_other", 10), ("t_range", 20)]);
    let gone =
        bench.sql("SELECT * FROM system.checks WHERE NOT published AND \"check\" LIKE 't_%'");
    assert_eq!(gone.rows(), 0);
}

/// 300 volatility points more in every quote of ETH, and a check that refuses it.
fn break_eth(bench: &mut Bench) {
    edit(
        bench,
        "sql/options/greeks.sql",
        "coalesce(venue_iv,",
        "CASE WHEN asset = 'ETH' THEN 3.0 ELSE 0.0 END + coalesce(venue_iv,",
    );
    add_check(
        bench,
        OPTIONS,
        "options.greeks",
        "name = \"t_sane\"\nrange = { column = \"iv\", max = 2.5 }",
    );
}

#[test]
fn a_plan_says_which_checks_have_not_looked() {
    let mut bench = published();
    let lines = "name = \"t_new\"\nrange = { column = \"tenor_days\", max = 60 }";
    add_check(&mut bench, OPTIONS, NODES, lines);
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    // What the run says after it looked, the plan could not know; that it would look, it said.
    assert!(!run.summary.is_success() && run.plan.checks.iter().all(|c| c.check != "t_new"));
    let open: Vec<_> = run.plan.open_checks.iter().collect();
    let [open] = open.as_slice() else {
        panic!("{open:?}");
    };
    assert_eq!(
        (open.table.as_str(), open.check.as_str(), open.severity),
        (NODES, "t_new", Severity::Block)
    );
    assert_eq!((open.partitions, open.pending), (10, 0));
    let again = go(&bench, &Selected::default()).plan;
    assert_eq!(again.open_checks, []);
    let known = again.checks.iter().filter(|c| c.check == "t_new");
    assert_eq!(known.count(), 10);
}

#[test]
fn rows_that_fail_stay_out_and_the_rest_of_the_run_goes_on() {
    let mut bench = published();
    let before = hashes(&bench);
    break_eth(&mut bench);
    let run = go(&bench, &Selected::default());
    let failed = tasks(&["options.greeks asset=ETH/date=DAYS"]);
    assert_tasks(&run.failed(), &failed);
    assert!(!run.summary.is_success());
    assert_eq!(run.summary.tasks.failed, failed.len());
    assert_tasks(
        &run.executed(),
        &tasks(&["options.greeks asset=ASSETS/date=DAYS"]),
    );
    assert_eq!(hashes(&bench), before);
    assert!(stale(&run) > 10);
    let first = held(&run)[0];
    assert_eq!(
        (first.check.as_str(), first.severity),
        ("t_sane", Severity::Block)
    );
    assert!(first.offending > 0 && first.example.as_ref().unwrap().contains("iv="));
    let failure = &run.summary.failures[0];
    assert!(
        failure.message.contains("check `t_sane` failed"),
        "{}",
        failure.message
    );
    assert!(
        failure
            .hint
            .as_ref()
            .unwrap()
            .contains("override accept-check t_sane options.greeks")
    );
    // system.checks knows rows that no version has.
    let out = bench.sql("SELECT * FROM system.checks WHERE \"check\" = 't_sane' AND status = 'failed' AND NOT published");
    assert_eq!(out.rows(), failed.len());

    // Known by now: planned as blocked, nothing is computed.
    let again = go(&bench, &Selected::default());
    assert_eq!(again.executed(), [""; 0]);
    assert_tasks(&again.blocked(), &failed);
    assert_eq!(
        (again.summary.tasks.failed, again.summary.tasks.blocked),
        (failed.len(), 0)
    );
    assert_eq!(held(&again).len(), failed.len());
    assert_eq!(stale(&again), stale(&run));

    // Mended, all is as it was.
    bench.project = Project::built_in();
    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success());
    assert_eq!((run.executed(), hashes(&bench)), (vec![], before));
}

#[test]
fn a_result_of_old_is_not_restored_past_a_check() {
    let mut bench = published();
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "coalesce(venue_iv,",
        "CASE WHEN asset = 'ETH' THEN 3.0 ELSE 0.0 END + coalesce(venue_iv,",
    );
    assert!(go(&bench, &Selected::default()).summary.failures.is_empty());
    let shipped = Project::built_in();
    let broken = std::mem::replace(&mut bench.project, shipped);
    go(&bench, &Selected::default());
    let before = hashes(&bench);
    // The same definition as before, but for a check.
    bench.project = broken;
    add_check(
        &mut bench,
        OPTIONS,
        "options.greeks",
        "name = \"t_sane\"\nrange = { column = \"iv\", max = 2.5 }",
    );
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_tasks(
        &run.blocked(),
        &tasks(&["options.greeks asset=ETH/date=DAYS"]),
    );
    assert_eq!(hashes(&bench), before);
}

#[test]
fn without_published_rows_readers_are_blocked_or_do_without() {
    let mut bench = demo();
    break_eth(&mut bench);
    let run = go(&bench, &Selected::default());
    assert_tasks(
        &run.failed(),
        &tasks(&["options.greeks asset=ETH/date=DAYS"]),
    );
    let blocked = run.blocked();
    for task in tasks(&["options.{slices,density} asset=ETH/date=DAYS"]) {
        assert!(blocked.contains(&task), "{task}: {blocked:#?}");
    }
    // Its window may do without: that asset's features have no surface.
    let ran = run.which(|outcome| matches!(outcome, Outcome::Ran { .. }));
    assert!(ran.contains(&"features.matrix asset=BTC/year=2026".to_owned()));
    assert!(
        bench
            .sql("SELECT 1 FROM options.greeks WHERE asset = 'ETH'")
            .rows()
            == 0
    );
    assert!(
        bench
            .sql("SELECT 1 FROM options.greeks WHERE asset = 'BTC'")
            .rows()
            > 0
    );
}

#[test]
fn freshness_is_asked_every_run_and_only_warns() {
    let mut bench = published();
    edit(
        &mut bench,
        OPTIONS,
        "name = \"iv_bounded\"",
        "name = \"t_fresh\"\nfreshness = \"36h\"\n\n[[stage.check]]\nname = \"iv_bounded\"",
    );
    let run = go(&bench, &Selected::default());
    assert!(
        run.summary
            .checks
            .iter()
            .all(|check| check.check != "t_fresh")
    );
    // Ten days on, nothing new has come.
    bench.set("calendar.end", "2026-01-13");
    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let late: Vec<&CheckFailure> = run
        .summary
        .checks
        .iter()
        .filter(|check| check.check == "t_fresh")
        .collect();
    assert_eq!(late.len(), 2, "{late:?}");
    assert_eq!(
        (late[0].partition.as_str(), late[0].severity),
        ("asset=BTC", Severity::Warn)
    );
    let example = late[0].example.as_deref().unwrap();
    assert!(
        example.contains("2026-01-14")
            && example.ends_with("hours before 2026-01-14T00:00:00Z; expected within 36"),
        "{example}"
    );
    // Said every time, recorded when the answer changes.
    assert_eq!(
        go(&bench, &Selected::default()).summary.checks.len(),
        run.summary.checks.len()
    );
    let recorded = bench.sql(
        "SELECT status FROM system.checks WHERE \"check\" = 't_fresh' AND partition = 'asset=BTC'",
    );
    assert_eq!(recorded.rows(), 2);
}

#[test]
fn wrong_checks_are_refused_with_their_place() {
    let cases: [(&str, &[&str]); 14] = [
        (
            "name = \"t\"\nrange = { column = \"ivv\", max = 1 }",
            &["`ivv`", "`iv`"],
        ),
        (
            "name = \"t\"\nrange = { column = \"node\", max = 1 }",
            &["`node utf8`", "not a number"],
        ),
        (
            "name = \"t\"\nrange = { column = \"iv\", min = 2, max = 1 }",
            &["above `max`"],
        ),
        (
            "name = \"t\"\nnot_nul = [\"iv\"]",
            &["`not_nul`", "`not_null`"],
        ),
        (
            "name = \"t\"\nnot_null = [\"iv\"]\nrows = { min = 1 }",
            &["several"],
        ),
        ("name = \"t\"", &["asks nothing", "foreign_key"]),
        (
            "name = \"t\"\nnot_null = [\"iv\"]\nseverity = \"blok\"",
            &["`blok`", "`block`"],
        ),
        (
            "name = \"t\"\nfreshness = \"2d\"\nseverity = \"block\"",
            &["only warn"],
        ),
        ("name = \"t\"\nfreshness = \"soon\"", &["soon"]),
        (
            "name = \"iv_bounded\"\nnot_null = [\"iv\"]",
            &["twice", "iv_bounded"],
        ),
        (
            "name = \"t\"\nforeign_key = { columns = [\"node\"], table = \"options.slices\", references = [\"nod\"] }",
            &["options.slices", "`nod`"],
        ),
        (
            "name = \"t\"\nforeign_key = { columns = [\"asset\"], table = \"options.slicse\" }",
            &["`options.slicse`", "`options.slices`"],
        ),
        (
            "name = \"t\"\nsql = \"SELECT ivv FROM options.surface_nodes\"",
            &["ivv", "iv"],
        ),
        (
            "name = \"t\"\nsql = \"missing.sql\"",
            &["sql/checks/missing.sql"],
        ),
    ];
    for (lines, words) in cases {
        let mut bench = demo();
        add_check(&mut bench, OPTIONS, NODES, lines);
        let Err(error) = bench.open() else {
            panic!("accepted: {lines}");
        };
        let text = format!("{error}\n{}", error.hint().unwrap_or_default());
        let place = format!("{OPTIONS}:");
        let words = words.iter().copied().chain([place.as_str()]);
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
    }
}
