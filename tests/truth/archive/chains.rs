//! Quotes, greeks and smiles of the recorded chains against what the exchange said itself.

use std::path::Path;

use lakectl_tests::Bench;

use super::number;

/// In the snapshot of 2026-01-13 09:21:45 about half of all quotes are missing.
pub(super) fn half_of_a_chain_is_flagged_and_kept(bench: &mut Bench, _: &Path) {
    let flagged = bench.sql("SELECT document, document_id, severity FROM quarantine.archive_deribit_chains WHERE reason = 'half_empty'");
    let documents = flagged.texts("document").unwrap();
    assert_eq!(documents.len(), 1, "{documents:?}");
    assert!(
        documents[0]
            .as_deref()
            .unwrap()
            .ends_with("deribit_options_snapshot_20260113T092145Z.csv.zst")
    );
    assert_eq!(
        flagged.texts("severity").unwrap()[0].as_deref(),
        Some("warn")
    );
    let id = flagged.texts("document_id").unwrap()[0].clone().unwrap();
    let kept = bench.sql(&format!(
        "SELECT count(*) AS rows, count(*) FILTER (WHERE bid IS NULL AND ask IS NULL) AS bare
         FROM market.option_quotes WHERE document_id = '{id}'"
    ));
    let (rows, bare) = (number(&kept, "rows"), number(&kept, "bare"));
    eprintln!("{rows} rows kept, {bare} without bid and ask");
    assert!(rows > 1_000.0 && bare / rows > 0.3);
}

/// Black-76 delta from the mark volatility, over every quote that is neither almost worthless nor almost certain.
pub(super) fn our_delta_is_the_exchange_delta(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT count(*) AS rows, median(abs(g.delta - q.exchange_delta)) AS middle,
                approx_percentile_cont(abs(g.delta - q.exchange_delta), 0.9) AS high
         FROM options.greeks g
         JOIN norm.option_quotes q ON q.asset = g.asset AND q.event_time = g.event_time AND q.instrument = g.instrument
         WHERE abs(q.exchange_delta) > 0.02 AND abs(q.exchange_delta) < 0.98
           AND g.expiry > g.event_time + INTERVAL '1' DAY",
    );
    let (rows, middle) = (number(&table, "rows"), number(&table, "middle"));
    eprintln!(
        "{rows} quotes: median |delta - exchange| {middle:.6}, 90 % below {:.6}",
        number(&table, "high")
    );
    assert!(rows > 500_000.0);
    assert!(middle <= 0.001, "{middle}");
}

/// Slices with eight or more two-sided out-of-the-money quotes have a smile within half a volatility point of the marks.
pub(super) fn smiles_fit_what_they_were_fitted_to(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "WITH quotes AS (
             SELECT asset, event_time, expiry, expiry_years, log_moneyness, iv FROM options.greeks
             WHERE two_sided AND out_of_the_money AND iv IS NOT NULL AND abs(delta) BETWEEN 0.05 AND 0.95
               AND expiry > event_time + INTERVAL '1' DAY
         ),
         slices AS (
             SELECT q.asset, q.event_time, q.expiry, max(s.a) AS fitted,
                    sqrt(avg(power(svi_vol(s.a, s.b, s.rho, s.m, s.sigma, q.log_moneyness, q.expiry_years) - q.iv, 2))) AS rmse
             FROM quotes q
             LEFT JOIN options.slices s ON s.asset = q.asset AND s.event_time = q.event_time AND s.expiry = q.expiry
             GROUP BY q.asset, q.event_time, q.expiry
             HAVING count(*) >= 8
         )
         SELECT count(*) AS slices, count(fitted) AS fits, median(rmse) AS middle,
                approx_percentile_cont(rmse, 0.95) AS high, max(rmse) AS worst
         FROM slices",
    );
    let (slices, fits, middle) = (
        number(&table, "slices"),
        number(&table, "fits"),
        number(&table, "middle"),
    );
    eprintln!(
        "{fits} of {slices} slices fitted; rmse in volatility points: median {:.3}, 95 % below {:.3}, worst {:.3}",
        100.0 * middle,
        100.0 * number(&table, "high"),
        100.0 * number(&table, "worst")
    );
    assert!(slices > 9_000.0);
    assert!(fits / slices >= 0.95);
    assert!(middle <= 0.005, "{middle}");
}

/// The 30-day level of the last snapshot of a day (after 20:00 UTC) and that day's close of the exchange's own index.
pub(super) fn the_level_moves_with_the_volatility_index(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "WITH last AS (
             SELECT asset, CAST(event_time AS DATE) AS day, level FROM features.surface_factors
             WHERE level IS NOT NULL AND extract(hour FROM event_time) >= 20
             QUALIFY row_number() OVER (PARTITION BY asset, CAST(event_time AS DATE) ORDER BY event_time DESC) = 1
         ),
         pairs AS (
             SELECT l.asset, l.day, l.level, v.close,
                    lag(l.day) OVER w AS day_before, l.level - lag(l.level) OVER w AS level_change,
                    v.close - lag(v.close) OVER w AS close_change
             FROM last l
             JOIN market.dvol v ON v.asset = l.asset AND CAST(v.event_time AS DATE) = l.day
             WINDOW w AS (PARTITION BY l.asset ORDER BY l.day)
         )
         SELECT asset, count(*) AS days, corr(level, close) AS levels,
                corr(level_change, close_change) FILTER (WHERE day - day_before = 1) AS changes
         FROM pairs GROUP BY asset ORDER BY asset",
    );
    for (row, asset) in table.texts("asset").unwrap().iter().enumerate() {
        let of = |name: &str| table.f64s(name).unwrap()[row].unwrap();
        eprintln!(
            "{asset:?}: {} days, levels {:.4}, changes {:.4}",
            of("days"),
            of("levels"),
            of("changes")
        );
    }
    assert_eq!(table.texts("asset").unwrap()[0].as_deref(), Some("BTC"));
    assert!(number(&table, "days") >= 85.0);
    assert!(number(&table, "levels") >= 0.985);
    assert!(number(&table, "changes") >= 0.95);
}
