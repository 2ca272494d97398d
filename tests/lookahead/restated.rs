//! A vendor that changes its mind: what it says later must not reach decisions made before.

use lakectl_pipeline::audit::Claim;
use lakectl_tests::Bench;

use crate::plants::{Plant, planted};
use crate::twin::{Start, assert_tight, at, run};

/// The on-chain half over a year; its last full month but one is restated a week after it ended.
const GOAL: &str = "signals.market_state";

/// Reads the newest statement of a day, whenever it was made.
const IGNORES_RESTATEMENT: Plant = Plant {
    name: "the newest revision for every day",
    file: "sql/onchain/daily.sql",
    right: "    SELECT metric, venue, event_time, known_at, revision, value FROM onchain.metrics WHERE asset = $asset\n",
    wrong: "    SELECT metric, venue, event_time, min(known_at) OVER (PARTITION BY metric, venue, event_time) AS known_at, \
            revision, value FROM onchain.metrics WHERE asset = $asset\n",
    claim: Claim::LaterKnowledge,
    table: "onchain.daily",
    column: "value",
};

#[test]
fn a_restatement_reaches_no_earlier_decision() {
    let mut full = Bench::demo("2025-03-10", "2025-11-20", "2025-11-01");
    run(&full, Some(GOAL));
    let restated = full.sql(
        "SELECT min(event_time) AS first, max(event_time) AS last, min(known_at) AS known, count(*) AS rows \
         FROM onchain.metrics WHERE revision > 0",
    );
    assert!(
        restated.i64s("rows").unwrap()[0] > Some(0),
        "nothing was restated"
    );
    let time = |name: &str| lakectl_core::UtcTime::from_micros(restated.micros(name).unwrap()[0]);
    let (first, last, known) = (time("first"), time("last"), time("known"));
    let inside = first
        .day()
        .plus((last.day().days() - first.day().days()) / 2)
        .start();
    let between = last.day().plus(3).start();
    assert!(
        between < known,
        "the restatement came at {known}, for days up to {last}"
    );
    let just_before = lakectl_core::UtcTime::from_micros(known.micros() - 1);
    assert_tight(
        &full,
        Some(GOAL),
        &[
            (inside, Start::Cut),
            (just_before, Start::Cut),
            (at("2025-11-01"), Start::Cut),
        ],
    );

    let leak = planted(&mut full, &IGNORES_RESTATEMENT, between, GOAL);
    eprintln!("  {}: {leak}", IGNORES_RESTATEMENT.name);
}
