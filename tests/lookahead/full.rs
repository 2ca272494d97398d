//! The shipped market and the recorded ones, at many instants. Minutes long, so only with `LAKE_TEST_FULL=1`.

use lakectl_tests::{Bench, recorded_data};

use crate::order::assert_known_in_order;
use crate::short::inside_a_lag;
use crate::twin::{Start, assert_tight, at, run, unseen};

/// Whether the long forms are wanted.
pub(crate) fn is_full() -> bool {
    std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value == "1")
}

fn is_wanted(test: &str) -> bool {
    if !is_full() {
        lakectl_tests::say_skipped(&format!("{test}: set LAKE_TEST_FULL=1"));
    }
    is_full()
}

#[test]
fn the_shipped_market_knows_nothing_too_early() {
    if !is_wanted("the shipped market") {
        return;
    }
    let full = Bench::new("demo");
    run(&full, None);
    assert_known_in_order(&full);
    let snapshot = inside_a_lag(&full, "2026-02-11");
    let last = assert_tight(
        &full,
        None,
        &[
            // The month that is restated a week later, and the days between.
            (at("2025-08-18T12:00:00Z"), Start::Cut),
            (at("2025-09-03"), Start::Cut),
            // A year and a model begin.
            (at("2026-01-01"), Start::Cut),
            (at("2026-01-31T23:59:59.999999Z"), Start::Fresh),
            (snapshot, Start::Cut),
            (at("2026-03-14T15:00:00Z"), Start::Cut),
        ],
    );
    assert_eq!(unseen(&last), Vec::<String>::new());
}

#[test]
fn the_recorded_markets_know_nothing_too_early() {
    if !is_wanted("the recorded markets") {
        return;
    }
    let Some(root) = recorded_data("the recorded markets") else {
        return;
    };
    let full = Bench::archive(&root);
    run(&full, None);
    assert_known_in_order(&full);
    let snapshot = inside_a_lag(&full, "2026-02-20");
    let last = assert_tight(
        &full,
        None,
        &[
            (at("2025-12-31T12:00:00Z"), Start::Cut),
            (at("2026-02-01"), Start::Cut),
            (snapshot, Start::Cut),
            // After the vendor's own completion time of some series and before that of others.
            (at("2026-03-10T03:00:00Z"), Start::Cut),
            // Between the first and the second recording of the same history.
            (at("2026-03-24"), Start::Cut),
            (at("2026-06-03T12:00:00Z"), Start::Fresh),
        ],
    );
    eprintln!("without rows: {}", unseen(&last).join(", "));
}
