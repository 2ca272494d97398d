//! Two months of the simulated market around a new year.

use lakectl_tests::Bench;

use crate::order::assert_known_in_order;
use crate::plants::assert_plants_found;
use crate::starts::assert_short_warm_up_found;
use crate::twin::{Start, assert_tight, at, run, unseen};

/// Long enough for principal components and a model, both with fewer rows than shipped.
fn market() -> Bench {
    let mut bench = Bench::demo("2025-11-20", "2026-01-14", "2026-01-01");
    bench.set("sources.demo.market.dense_from", "2026-01-07");
    bench.set("params.pca_snapshots_min", "20");
    bench.set("params.regime_rows_min", "20");
    bench
}

/// An instant between the last snapshot before `day` and the moment from which it could be used.
pub(crate) fn inside_a_lag(bench: &Bench, day: &str) -> lakectl_core::UtcTime {
    let rows = bench.sql(&format!(
        "SELECT event_time, known_at FROM market.option_quotes WHERE event_time < TIMESTAMP '{day}' \
         ORDER BY event_time DESC LIMIT 1"
    ));
    let (event, known) = (
        rows.micros("event_time").unwrap()[0],
        rows.micros("known_at").unwrap()[0],
    );
    assert!(known > event + 1, "the snapshot is known at once");
    lakectl_core::UtcTime::from_micros(event + (known - event) / 2)
}

#[test]
fn a_short_market_knows_nothing_too_early() {
    let mut full = market();
    run(&full, None);
    assert_known_in_order(&full);
    let snapshot = inside_a_lag(&full, "2026-01-10");
    let last = assert_tight(
        &full,
        None,
        &[
            (at("2026-01-01"), Start::Cut),
            (at("2026-01-13T12:00:00Z"), Start::Cut),
            (snapshot, Start::Cut),
        ],
    );
    assert_eq!(unseen(&last), Vec::<String>::new());
    let rejects = last.tables.iter().filter(|table| {
        table.table.schema() == "quarantine" && table.rows > 0 && table.partitions > 0
    });
    assert!(
        rejects.count() > 0,
        "no rejects were held against fewer documents"
    );
    // In the warm-up, and everything again; the planted mistakes are then tried there.
    let early = at("2025-12-05");
    assert_tight(&full, None, &[(early, Start::Fresh)]);
    assert_plants_found(&mut full, early);
    assert_short_warm_up_found(&mut full, at("2026-01-13T12:00:00Z"));
}
