//! Two states of the same on-chain history: exchange flows were restated on nearly every day.

use std::path::Path;

use lakectl_tests::Bench;

use super::number;

/// Both states are there, and the later one is known only from its recording on.
pub(super) fn restatements_are_kept_as_revisions(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT metric, count(*) AS revised, count(*) FILTER (WHERE known_at < document_time) AS too_early,
                CAST(max(event_time) AS DATE) - CAST(min(event_time) AS DATE) + 1 AS days
         FROM onchain.metrics
         WHERE asset = 'BTC' AND venue = 'coinmetrics' AND metric IN ('exchange_inflow_usd', 'exchange_outflow_usd')
           AND revision > 0
         GROUP BY metric ORDER BY metric",
    );
    assert_eq!(table.rows(), 2);
    for row in 0..2 {
        let of = |name: &str| table.f64s(name).unwrap()[row].unwrap();
        eprintln!("{} of {} days revised", of("revised"), of("days"));
        assert!(of("days") > 1_000.0 && of("revised") >= 0.999 * of("days"));
        assert!(of("too_early") == 0.0);
    }
    let prices = bench.sql(
        "SELECT count(*) AS revised FROM onchain.metrics
         WHERE asset = 'BTC' AND venue = 'coinmetrics' AND metric = 'price_usd' AND revision > 0",
    );
    assert!(
        number(&prices, "revised") == 0.0,
        "prices were never restated"
    );
}

/// What a decision day reads of a restated day is the first statement, until the second was published on 2026-06-02.
pub(super) fn no_decision_reads_what_was_restated_later(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT count(*) AS readings,
                count(*) FILTER (WHERE d.value = f.value) AS first_state,
                count(*) FILTER (WHERE d.value = r.value) AS restated
         FROM onchain.daily d
         JOIN onchain.metrics f ON f.asset = d.asset AND f.metric = d.metric AND f.venue = d.venue
                               AND f.event_time = d.event_time AND f.revision = 0
         JOIN onchain.metrics r ON r.asset = d.asset AND r.metric = d.metric AND r.venue = d.venue
                               AND r.event_time = d.event_time AND r.revision = 1
         WHERE d.asset = 'BTC' AND d.venue = 'coinmetrics' AND d.date < '2026-06-01'
           AND d.metric IN ('exchange_inflow_usd', 'exchange_outflow_usd')",
    );
    let (readings, first, restated) = (
        number(&table, "readings"),
        number(&table, "first_state"),
        number(&table, "restated"),
    );
    eprintln!(
        "{readings} readings of restated days: {first} of the first state, {restated} of the restated one"
    );
    assert!(readings > 1_500.0);
    assert!(first == readings && restated == 0.0);
}
