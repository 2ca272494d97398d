//! What a declaration may change about a published table.

use lakectl_pipeline::Selected;
use lakectl_tests::Bench;

use crate::common::{assert_tasks, edit, edit_stage, go, published, select, tasks, try_go};

const OPTIONS: &str = "pipelines/options.toml";
const TABLE: &str = "options.forwards";

fn declare(bench: &mut Bench, old: &str, new: &str) {
    edit_stage(bench, OPTIONS, TABLE, old, new);
}

#[test]
fn a_nullable_column_may_come_and_old_partitions_stay_readable() {
    let mut bench = published();
    declare(
        &mut bench,
        "forward_source utf8",
        "forward_source utf8, spread_bps f64?",
    );
    let path = "sql/options/forwards.sql";
    edit(
        &mut bench,
        path,
        "forward_source, forward_reason, forward_venue",
        "forward_source, 1.5 AS spread_bps, forward_reason, forward_venue",
    );
    let one = Selected {
        from: Some("2026-01-03".parse().unwrap()),
        ..select(&[TABLE])
    };
    let run = go(&bench, &one);
    assert_tasks(
        &run.executed(),
        &tasks(&["options.forwards asset=ASSETS/date=2026-01-03"]),
    );
    let reasons = run.reasons(TABLE);
    assert!(
        reasons.iter().all(|reason| reason.contains("contract")),
        "{reasons:?}"
    );
    // The partitions that were not selected have nulls.
    let found = bench.sql(
        "SELECT count(*) AS n, count(spread_bps) AS filled, count(DISTINCT CAST(event_time AS DATE)) AS days FROM options.forwards",
    );
    let number = |name: &str| found.i64s(name).unwrap()[0].unwrap();
    assert_eq!(number("days"), 5);
    assert!(number("filled") > 0 && number("filled") < number("n"));
    // Their readers can be computed from them.
    let force = Selected {
        force: vec!["options.greeks".to_owned()],
        ..select(&["options.greeks"])
    };
    assert!(go(&bench, &force).summary.is_success());
}

#[test]
fn what_readers_lose_needs_a_new_version() {
    let cases: [(&str, &str, &str); 6] = [
        ("basis_bps f64?, ", "", "drops the column `basis_bps`"),
        (
            "basis_bps f64?",
            "basis_bp f64?",
            "drops the column `basis_bps`",
        ),
        (
            "parity_pairs i64",
            "parity_pairs f64",
            "`parity_pairs` from i64 to f64",
        ),
        ("basis_bps f64?", "basis_bps f64", "`basis_bps` required"),
        (
            "\"event_time\", \"expiry\"]",
            "\"expiry\", \"event_time\"]",
            "primary key from (asset, event_time, expiry)",
        ),
        (
            "grain = \"day\"",
            "grain = \"month\"",
            "grain from date to month",
        ),
    ];
    for (old, new, problem) in cases {
        let mut bench = published();
        declare(&mut bench, old, new);
        let error = try_go(&bench, &Selected::default()).err().unwrap();
        let text = format!("{error}\n{}", error.hint().unwrap_or_default());
        for word in [
            problem,
            TABLE,
            "pipelines/options.toml:",
            "raise `version` of the stage to 2",
        ] {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
        // Who does not touch the stage is not held up.
        assert!(go(&bench, &select(&["market.dvol"])).summary.is_success());
        // A new version says it to the readers. Whether the query gives these columns is another question.
        declare(&mut bench, "description =", "version = 2\ndescription =");
        let (opened, lake) = (bench.open().unwrap(), bench.lake());
        let sources = opened.sources(Some(&lake)).unwrap();
        let all = Selected::default();
        let plan = opened.plan_with(&sources, Some(&lake), &all, lakectl_tests::NOW);
        assert!(plan.is_ok(), "{:?}", plan.err());
    }
}
