//! The model-free index against the venue's own, and densities and exposures over every recorded snapshot.

use std::path::Path;

use lakectl_tests::Bench;

use super::number;

/// The index of a day's last snapshot (after 20:00 UTC) and that day's close of the venue's index.
pub(super) fn the_replicated_index_is_the_venues(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "WITH changes AS (
             SELECT *, index - lag(index) OVER w AS index_change, venue_close - lag(venue_close) OVER w AS close_change,
                    lag(event_time) OVER w AS day_before
             FROM options.index_comparison
             WINDOW w AS (PARTITION BY asset ORDER BY event_time)
         )
         SELECT asset, count(*) AS days, corr(index, venue_close) AS levels,
                corr(index_change, close_change) FILTER (WHERE day_before = event_time - INTERVAL '1' DAY) AS changes,
                100 * avg(abs(difference)) AS apart, 100 * avg(difference) AS bias,
                100 * avg(full_strip_vol - venue_close) AS full_bias,
                avg(CASE WHEN outside_day < 0.005 THEN 1.0 ELSE 0.0 END) AS inside,
                avg(abs(difference)) FILTER (WHERE event_time = TIMESTAMP '2026-02-05T00:00:00Z') AS crash
         FROM changes GROUP BY asset ORDER BY asset",
    );
    let assets = table.texts("asset").unwrap();
    assert_eq!(assets, [Some("BTC".to_owned()), Some("ETH".to_owned())]);
    // Levels, changes, mean absolute difference in volatility points.
    let bounds = [(0.992, 0.975, 1.5), (0.985, 0.95, 1.5)];
    for (row, (levels, changes, apart)) in bounds.into_iter().enumerate() {
        let of = |name: &str| table.f64s(name).unwrap()[row].unwrap();
        eprintln!(
            "{:?}: {} days, levels {:.4}, changes {:.4}, |difference| {:.2}, bias {:+.2} (every strike {:+.2}), {:.3} inside the \
             day's range, 2026-02-05 off by {:.3}",
            assets[row],
            of("days"),
            of("levels"),
            of("changes"),
            of("apart"),
            of("bias"),
            of("full_bias"),
            of("inside"),
            of("crash"),
        );
        assert!(of("days") >= 85.0);
        assert!(of("levels") >= levels && of("changes") >= changes && of("apart") <= apart);
        // The bias of the plain strip is its wings; without them none is left.
        assert!(of("bias").abs() <= 0.5 && of("full_bias") >= 2.0);
    }
}

/// Snapshots of all hours, most of which no evening comparison sees, against the venue's range of their day.
pub(super) fn every_snapshot_lies_in_the_days_range(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT i.asset, count(*) AS snapshots, count(i.index) AS indices,
                avg(CASE WHEN i.index BETWEEN v.low - 0.01 AND v.high + 0.01 THEN 1.0 ELSE 0.0 END) AS inside,
                100 * median(abs(i.index - least(greatest(i.index, v.low), v.high))) AS middle
         FROM options.variance_index i
         JOIN market.dvol v ON v.asset = i.asset AND v.width_s = 86400 AND i.event_time >= v.event_time
          AND i.event_time < v.event_time + INTERVAL '24' HOUR
         WHERE extract(hour FROM i.event_time) < 20
         GROUP BY i.asset ORDER BY i.asset",
    );
    for row in 0..2 {
        let of = |name: &str| table.f64s(name).unwrap()[row].unwrap();
        eprintln!(
            "{} snapshots before 20:00: {} indices, {:.3} within a point of the day's range",
            of("snapshots"),
            of("indices"),
            of("inside")
        );
        assert!(of("snapshots") > 200.0 && of("indices") == of("snapshots"));
        assert!(of("inside") >= 0.9);
    }
}

/// Densities that integrate to one and to the forward have moments, and most do; the others say so.
pub(super) fn densities_hold_together(bench: &mut Bench, _: &Path) {
    for (table, months, floor) in [
        ("options.density", "tenor_days = 30", 2_500.0),
        (
            "options.expiry_density",
            "expiry_years * 365 BETWEEN 20 AND 40",
            9_000.0,
        ),
    ] {
        let found = bench.sql(&format!(
            "SELECT count(*) AS rows, count(mean) AS sound, count(kurtosis) AS kurtoses,
                    count(*) FILTER (WHERE reason = 'smile_arbitrage') AS arbitrage,
                    count(*) FILTER (WHERE reason = 'fat_wings') AS fat,
                    count(*) FILTER (WHERE kurtosis IS NULL AND reason IS NULL) AS silent,
                    count(*) FILTER (WHERE {months}) AS months, count(mean) FILTER (WHERE {months}) AS sound_months,
                    median(jump_vol) FILTER (WHERE {months}) AS jump, median(kurtosis) FILTER (WHERE {months}) AS kurtosis,
                    max(jump_vol) AS highest
             FROM {table}"
        ));
        let of = |name: &str| number(&found, name);
        eprintln!(
            "{table}: {} rows, {} sound, {} with a kurtosis, {} on smiles with arbitrage, {} with fat wings; at a month {} of {} \
             sound, the median variance swap is {:.2} points over the money (at any expiry at most {:.1}), the kurtosis {:.2}",
            of("rows"),
            of("sound"),
            of("kurtoses"),
            of("arbitrage"),
            of("fat"),
            of("sound_months"),
            of("months"),
            100.0 * of("jump"),
            100.0 * of("highest"),
            of("kurtosis"),
        );
        assert!(of("rows") > floor && of("silent") == 0.0);
        assert!(of("sound") >= 0.75 * of("rows") && of("sound_months") >= 0.85 * of("months"));
        assert!(of("jump") > 0.0 && of("highest") < 1.0 && of("kurtosis") > 3.0);
    }
}

/// Every snapshot has exposures under both readings of open interest, and the reason where trades are needed.
pub(super) fn every_snapshot_has_exposures(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT count(*) FILTER (WHERE scenario <> 'taker_flow') AS signed,
                count(gamma_usd_per_pct) AS known, count(*) FILTER (WHERE scenario = 'taker_flow' AND reason = 'no_trades') AS flows,
                count(*) FILTER (WHERE scenario = 'all_short' AND (gamma_usd_per_pct >= 0 OR flip_status <> 'none')) AS impossible,
                count(*) FILTER (WHERE scenario = 'naive' AND zero_gamma_level IS NOT NULL) AS flips,
                count(*) FILTER (WHERE scenario = 'naive' AND stabilization > 0.5) AS stable,
                min(smile_share) AS smile_share
         FROM options.exposure",
    );
    let of = |name: &str| number(&table, name);
    eprintln!(
        "{} exposures, {} naive ones with a zero-gamma level, {} stabilising; smiles cover at least {:.3} of the open interest",
        of("known"),
        of("flips"),
        of("stable"),
        of("smile_share")
    );
    assert!(
        of("signed") > 3_000.0 && of("known") == of("signed") && of("flows") == 0.5 * of("signed")
    );
    assert_eq!(of("impossible"), 0.0);
    assert!(of("flips") > 100.0);
    let agree = bench.sql(
        "SELECT max(abs(p.gamma_usd_per_pct - e.gamma_usd_per_pct) / e.gross_gamma_usd_per_pct) AS apart,
                max(abs(l.hedge_coin)) AS traded
         FROM options.exposure e
         JOIN options.exposure_profile p ON p.asset = e.asset AND p.event_time = e.event_time AND p.scenario = e.scenario
          AND p.sticky = e.sticky AND abs(p.spot_ratio - 1) < 1e-9
         JOIN options.hedge_ladder l ON l.asset = e.asset AND l.event_time = e.event_time AND l.scenario = e.scenario
          AND l.hours = 0 AND l.vol_shift = 0 AND l.spot_ratio = 1",
    );
    assert!(number(&agree, "apart") < 1e-9 && number(&agree, "traded") == 0.0);
}
