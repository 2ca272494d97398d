//! What people decide against the machine: it acts on fingerprints, so that taking it back costs nothing.

use std::fs;

use lakectl_core::{TaskKey, UtcTime};
use lakectl_pipeline::{Act, Override, Project, Selected};
use lakectl_tests::{Bench, NOW};

use crate::common::{add_check, assert_tasks, edit, go, hashes, published, tasks, version};
use crate::documents::recorded;

const CHAINS: &str = "raw.archive_deribit_chains";
const DAY: &str = "2026-01-31";

fn act(why: &str) -> Act {
    Act {
        who: "ann@desk".to_owned(),
        when: NOW,
        why: why.to_owned(),
    }
}

fn later(why: &str) -> Act {
    Act {
        when: UtcTime::from_micros(NOW.micros() + 1),
        ..act(why)
    }
}

fn task(table: &str, partition: &str) -> TaskKey {
    TaskKey {
        table: table.parse().unwrap(),
        partition: partition.parse().unwrap(),
    }
}

fn revoke(bench: &Bench, one: &Override) {
    let opened = bench.open().unwrap();
    opened
        .revoke(&bench.lake(), &one.id, later("a mistake"))
        .unwrap();
}

/// What one day's chain reaches.
fn after_a_chain() -> Vec<String> {
    tasks(&[
        &format!("market.option_quotes asset=ASSETS/date={DAY}"),
        &format!(
            "options.{{forwards,greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density}} asset=ASSETS/date={DAY}"
        ),
        &format!(
            "options.{{variance_index,exposure,exposure_profile,hedge_ladder,max_pain}} asset=ASSETS/date={DAY}"
        ),
    ])
}

#[test]
fn an_excluded_document_counts_as_if_it_had_never_come() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    let path = archive.chain_path(DAY);
    let name = path
        .strip_prefix(&archive.root)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let opened = bench.open().unwrap();
    // A file's name without its folder is near the whole one.
    let file = path.file_name().unwrap().to_str().unwrap();
    let error = opened
        .exclude_document(&bench.lake(), file, act("x"))
        .unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("did you mean `{name}`?"));
    let made = opened
        .exclude_document(&bench.lake(), &name, act("half of it is missing"))
        .unwrap();
    assert_eq!(
        (made.made.who.as_str(), made.revoked.as_ref()),
        ("ann@desk", None)
    );
    let log = bench.lake().log().unwrap();
    let last = log.last().unwrap();
    assert_eq!(
        (last.reason.as_str(), last.who.as_str(), last.changed.len()),
        ("override", "ann@desk", 0)
    );
    assert!(last.message.contains("half of it is missing") && last.message.contains(&name));

    // It acts on its partition and what is made from it.
    let run = go(bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let executed = run.executed();
    let norm = format!("norm.archive_deribit_chains date={DAY}");
    assert!(executed.contains(&norm));
    for task in after_a_chain() {
        assert!(
            executed.contains(&task),
            "{task} did not run: {executed:#?}"
        );
    }
    assert!(executed.iter().all(|task| !task.starts_with("raw.")));
    // Slices of the day after may carry a shape of that day.
    let carried = |task: &str| task.starts_with("options.slices ") && task.contains("2026-02-01");
    let other_days = executed
        .iter()
        .filter(|task| task.contains("date=") && !task.contains(DAY) && !carried(task));
    assert_eq!(other_days.count(), 0, "{executed:#?}");
    let quotes = format!(
        "SELECT 1 FROM market.option_quotes WHERE event_time >= '{DAY}' AND event_time < '2026-02-01'"
    );
    assert_eq!(bench.sql(&quotes).rows(), 0);
    assert_eq!(run.reasons("norm.archive_deribit_chains").len(), 1);
    assert!(
        run.reasons("norm.archive_deribit_chains")
            .first()
            .unwrap()
            .contains("override is new")
    );

    // Taken back, all is found again; the list says who and why.
    revoke(bench, &made);
    let run = go(bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_tasks(&run.restored(), &executed);
    assert_eq!(hashes(bench), before);
    let all = opened.overrides(&bench.lake()).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].revoked.as_ref().unwrap().why, "a mistake");
    let error = opened
        .revoke(&bench.lake(), &made.id, later("again"))
        .unwrap_err();
    assert!(error.to_string().contains("revoked already"), "{error}");
}

#[test]
fn a_partition_whose_source_vanished_stays_until_it_is_dropped() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    fs::remove_file(archive.chain_path(DAY)).unwrap();
    let raw = format!("{CHAINS} date={DAY}");
    let run = go(bench, &Selected::default());
    assert_eq!(
        (run.summary.vanished, run.report.executed()),
        (vec![raw.clone()], vec![])
    );

    let opened = bench.open().unwrap();
    let key = task(CHAINS, &format!("date={DAY}"));
    let made = opened
        .drop_partition(&bench.lake(), &key, act("recorded by mistake"))
        .unwrap();
    let run = go(bench, &Selected::default());
    assert!(run.summary.is_success() && run.summary.vanished.is_empty());
    let executed = run.executed();
    for task in after_a_chain() {
        assert!(
            executed.contains(&task),
            "{task} did not run: {executed:#?}"
        );
    }
    let after = hashes(bench);
    // The documents stay; what was parsed from them is gone.
    assert!(after.contains_key(&raw));
    assert!(!after.contains_key(&format!("norm.archive_deribit_chains date={DAY}")));

    revoke(bench, &made);
    let run = go(bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_eq!(run.summary.vanished, [raw]);
    assert_eq!(hashes(bench), before);
}

#[test]
fn a_dropped_partition_of_a_derived_table_is_absent() {
    let bench = published();
    let before = hashes(&bench);
    let opened = bench.open().unwrap();
    let key = task("options.density", "asset=BTC/date=2026-01-01");
    let made = opened
        .drop_partition(&bench.lake(), &key, act("a broken day"))
        .unwrap();
    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success());
    let executed = run.executed();
    assert!(executed.contains(&"features.surface_factors asset=BTC/month=2026-01".to_owned()));
    assert!(
        executed.iter().all(|task| task.contains("asset=BTC")),
        "{executed:#?}"
    );
    assert!(!hashes(&bench).contains_key(&key.to_string()));
    let twice = opened
        .drop_partition(&bench.lake(), &key, act("again"))
        .unwrap_err();
    assert!(twice.to_string().contains("dropped already"), "{twice}");
    revoke(&bench, &made);
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert!(run.restored().contains(&key.to_string()));
    assert_eq!(hashes(&bench), before);
}

#[test]
fn an_accepted_failure_holds_for_those_rows_only() {
    let mut bench = published();
    let shift = |bench: &mut Bench, by: &str| {
        bench.project = Project::built_in();
        let new = format!("CASE WHEN asset = 'ETH' THEN {by} ELSE 0.0 END + coalesce(venue_iv,");
        edit(bench, "sql/options/greeks.sql", "coalesce(venue_iv,", &new);
        let check = "name = \"sane\"\nrange = { column = \"iv\", max = 2.5 }";
        add_check(bench, "pipelines/options.toml", "options.greeks", check);
    };
    shift(&mut bench, "3.0");
    let held = tasks(&["options.greeks asset=ETH/date=DAYS"]);
    assert_tasks(&go(&bench, &Selected::default()).failed(), &held);

    // One of the five days is accepted: its rows are published as they were computed.
    let opened = bench.open().unwrap();
    let key = task("options.greeks", "asset=ETH/date=2026-01-02");
    let lake = bench.lake();
    let wrong = opened
        .accept_check(&lake, "sain", &key, act("x"))
        .unwrap_err();
    assert!(wrong.hint().unwrap().contains("sane"), "{wrong:?}");
    let empty = opened
        .accept_check(&lake, "sane", &key, act(" "))
        .unwrap_err();
    assert!(empty.hint().unwrap().contains("--why"), "{empty:?}");
    let made = opened
        .accept_check(&lake, "sane", &key, act("the venue had no bids"))
        .unwrap();
    let run = go(&bench, &Selected::default());
    assert_eq!(run.restored(), [key.to_string()]);
    assert_tasks(
        &run.blocked(),
        &held
            .iter()
            .filter(|t| **t != key.to_string())
            .cloned()
            .collect::<Vec<_>>(),
    );
    let executed = run.executed();
    assert!(executed.contains(&"options.slices asset=ETH/date=2026-01-02".to_owned()));
    // Slices of the day after say how far the smile has moved since; its quotes are its own.
    let after = |t: &str| t.ends_with("asset=ETH/date=2026-01-03");
    let of_quotes = |t: &str| {
        let tables = ["options.greeks ", "options.exclusions ", "options.skew_"];
        tables.iter().any(|table| t.starts_with(table))
    };
    assert!(
        executed.iter().all(|t| !t.contains("date=")
            || t.ends_with("asset=ETH/date=2026-01-02")
            || after(t) && !of_quotes(t)),
        "{executed:#?}"
    );
    let accepted = run.summary.checks.iter().filter(|check| check.accepted);
    assert_eq!(accepted.count(), 1);

    // Taken back, it is a failure again; rows that are published stay, as with a check that comes later.
    revoke(&bench, &made);
    let run = go(&bench, &Selected::default());
    assert_eq!((run.executed(), run.restored()), (vec![], vec![]));
    let back = run
        .summary
        .checks
        .iter()
        .find(|c| c.partition == "asset=ETH/date=2026-01-02");
    assert!(back.is_some_and(|check| !check.accepted && !check.held && check.counts()));
    assert!(!run.summary.is_success());

    // Other rows of that partition were never accepted.
    opened
        .accept_check(&bench.lake(), "sane", &key, later("they are right"))
        .unwrap();
    shift(&mut bench, "4.0");
    let run = go(&bench, &Selected::default());
    assert_tasks(&run.failed(), &held);
}

#[test]
fn what_does_not_exist_cannot_be_overridden() {
    let bench = published();
    let opened = bench.open().unwrap();
    let lake = bench.lake();
    let told = |error: lakectl_pipeline::PipelineError, word: &str| {
        let text = format!("{error}\n{}", error.hint().unwrap_or_default());
        assert!(text.contains(word), "`{word}` is not in: {text}");
    };
    told(
        opened
            .exclude_document(&lake, "nobody.csv", act("x"))
            .unwrap_err(),
        "no raw table has the document",
    );
    let key = task("options.densty", "asset=BTC/date=2026-01-01");
    told(
        opened.drop_partition(&lake, &key, act("x")).unwrap_err(),
        "`options.density`",
    );
    let key = task("options.density", "asset=XRP/date=2026-01-01");
    told(
        opened.drop_partition(&lake, &key, act("x")).unwrap_err(),
        "has no partition",
    );
    let key = task("options.density", "asset=BTC/date=2026-01-01");
    told(
        opened
            .accept_check(&lake, "sane", &key, act("x"))
            .unwrap_err(),
        "does not fail a check `sane`",
    );
    told(
        opened.revoke(&lake, "abcdef12", act("x")).unwrap_err(),
        "no override `abcdef12`",
    );
    assert_eq!(version(&bench), 1);
}
