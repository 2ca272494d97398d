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

/// Mark, delta and vega from the mark volatility against what the exchange says of them, over every quote; delta and vega of
/// those that are neither almost worthless nor almost certain and have more than a day to live.
pub(super) fn our_numbers_are_the_exchanges(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "WITH gaps AS (
             SELECT abs(g.price_usd / g.forward - q.mark) AS mark, abs(g.delta - q.exchange_delta) AS delta,
                    abs(g.vega / 100 / q.exchange_vega - 1) AS vega, abs(g.iv_gap) AS iv,
                    abs(q.exchange_delta) > 0.02 AND abs(q.exchange_delta) < 0.98
                        AND g.expiry > g.event_time + INTERVAL '1' DAY AS ordinary
             FROM options.greeks g
             JOIN norm.option_quotes q ON q.asset = g.asset AND q.event_time = g.event_time AND q.instrument = g.instrument
         )
         SELECT count(*) AS rows, median(mark) AS mark, median(delta) FILTER (WHERE ordinary) AS delta,
                approx_percentile_cont(delta, 0.9) FILTER (WHERE ordinary) AS delta_high,
                median(vega) FILTER (WHERE ordinary) AS vega, median(iv) FILTER (WHERE ordinary) AS iv
         FROM gaps",
    );
    let [rows, mark, delta, delta_high, vega, iv] =
        ["rows", "mark", "delta", "delta_high", "vega", "iv"].map(|name| number(&table, name));
    eprintln!(
        "{rows} quotes: mark {mark:.2e} coin, delta {delta:.6} (90 % below {delta_high:.6}), vega {:.3} %, volatility of the mark {:.4} points",
        100.0 * vega,
        100.0 * iv
    );
    assert!(rows > 700_000.0);
    assert!(mark <= 1e-5 && delta <= 0.0005 && delta_high <= 0.004);
    assert!(vega <= 0.002 && iv <= 0.001);
}

/// The fitted smile's price of call and put at the strike nearest to the forward against the middle of the market, on every
/// slice with more than a day to live whose quote there is liquid (a spread of at most five per cent).
pub(super) fn the_price_at_the_money_is_the_markets(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "WITH nearest AS (
             SELECT g.option_type, g.forward, g.strike, g.expiry_years, s.asset AS sliced, s.a, q.ask - q.bid AS spread,
                    (q.bid + q.ask) / 2 AS middle,
                    svi_vol(s.a, s.b, s.rho, s.m, s.sigma, g.log_moneyness, g.expiry_years) AS vol
             FROM options.greeks g
             JOIN market.option_quotes q ON q.asset = g.asset AND q.event_time = g.event_time AND q.instrument = g.instrument
             LEFT JOIN options.slices s ON s.asset = g.asset AND s.event_time = g.event_time AND s.expiry = g.expiry
             WHERE g.expiry > g.event_time + INTERVAL '1' DAY
             QUALIFY row_number() OVER (
                 PARTITION BY g.asset, g.event_time, g.expiry, g.option_type ORDER BY abs(g.log_moneyness), g.strike) = 1
         ),
         errors AS (
             SELECT abs(black76_price(option_type, forward, strike, expiry_years, vol) / forward / middle - 1) AS error
             FROM nearest WHERE spread <= 0.05 * middle
         )
         SELECT count(*) AS rows, count(error) AS priced, median(error) AS middle,
                approx_percentile_cont(error, 0.9) AS high, approx_percentile_cont(error, 0.99) AS higher, max(error) AS worst
         FROM errors",
    );
    let [rows, priced, middle, high, higher, worst] =
        ["rows", "priced", "middle", "high", "higher", "worst"]
            .map(|name| 100.0 * number(&table, name));
    eprintln!(
        "{} liquid quotes at the money, {} priced: error median {middle:.2} %, 90 % {high:.2} %, 99 % {higher:.2} %, worst {worst:.2} %",
        rows / 100.0,
        priced / 100.0
    );
    assert!(rows > 1_500_000.0 && priced >= 0.99 * rows);
    assert!(worst < 5.0);
}

/// Three ways to the forward agree, and each choice has its reason.
pub(super) fn forwards_agree(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT asset, count(*) AS rows, count(forward_parity) AS parity, count(forward_future) AS futures,
                count(*) FILTER (WHERE forward_reason IN ('confirmed', 'unconfirmed')) AS settled,
                median(abs(basis_bps)) AS parity_gap, median(abs(future_basis_bps)) AS future_gap,
                approx_percentile_cont(disagreement_bps, 0.99) AS high, max(disagreement_bps) AS worst
         FROM options.forwards WHERE expiry > event_time + INTERVAL '1' DAY GROUP BY asset ORDER BY asset",
    );
    for (row, asset) in table.texts("asset").unwrap().iter().enumerate() {
        let of = |name: &str| table.f64s(name).unwrap()[row].unwrap();
        eprintln!(
            "{asset:?}: {} forwards, parity for {} at {:.2} bps from the venue, futures for {} at {:.2} bps; largest gap 99 % {:.1}, worst {:.1} bps; {} settled",
            of("rows"),
            of("parity"),
            of("parity_gap"),
            of("futures"),
            of("future_gap"),
            of("high"),
            of("worst"),
            of("settled")
        );
        assert!(of("parity") >= 0.9 * of("rows") && of("settled") >= 0.98 * of("rows"));
        assert!(of("parity_gap") <= 5.0);
    }
}

/// Each quote is kept or has a first reason against it.
pub(super) fn every_quote_is_kept_or_has_a_reason(bench: &mut Bench, _: &Path) {
    bench.run_until("options.exclusions");
    let table = bench.sql(
        "SELECT reason, CAST(sum(quotes) AS DOUBLE) AS quotes, CAST(sum(quotes_first) AS DOUBLE) AS counted,
                (SELECT CAST(count(*) AS DOUBLE) FROM market.option_quotes) AS all_quotes
         FROM options.exclusions GROUP BY reason ORDER BY counted DESC",
    );
    let column = |name: &str| {
        table
            .f64s(name)
            .unwrap()
            .into_iter()
            .map(Option::unwrap)
            .collect::<Vec<f64>>()
    };
    for (row, reason) in table.texts("reason").unwrap().iter().enumerate() {
        eprintln!(
            "{}: {} quotes, first for {}",
            reason.as_deref().unwrap(),
            column("quotes")[row],
            column("counted")[row]
        );
    }
    assert_eq!(
        column("counted").iter().sum::<f64>(),
        column("all_quotes")[0]
    );
}

/// The synthetic model of a morning against the chains of the rest of the day: each ingredient has to earn its place where
/// the model is fitted.
pub(super) fn the_synthetic_skew_is_scored_later_in_the_day(bench: &mut Bench, _: &Path) {
    bench.run_until("options.skew_report");
    let table = bench.sql(
        "SELECT sample, model, dte_band, CAST(sum(quotes) AS DOUBLE) AS quotes, CAST(sum(skipped) AS DOUBLE) AS skipped,
                100 * sum(mae_vol * vega) / sum(vega) AS mae, 100 * sum(bias_vol * vega) / sum(vega) AS bias,
                sum(inside_share * quotes) / sum(quotes) AS inside
         FROM options.skew_report GROUP BY sample, model, dte_band ORDER BY sample, dte_band, model",
    );
    let words = |name: &str| {
        table
            .texts(name)
            .unwrap()
            .into_iter()
            .map(Option::unwrap)
            .collect::<Vec<String>>()
    };
    let numbers = |name: &str| {
        table
            .f64s(name)
            .unwrap()
            .into_iter()
            .map(Option::unwrap)
            .collect::<Vec<f64>>()
    };
    let (samples, models, bands) = (words("sample"), words("model"), words("dte_band"));
    let (quotes, mae, bias, inside) = (
        numbers("quotes"),
        numbers("mae"),
        numbers("bias"),
        numbers("inside"),
    );
    for row in 0..samples.len() {
        eprintln!(
            "{} {} {}: {} quotes, error {:.2} points, bias {:+.2}, inside bid and ask {:.3}",
            samples[row], models[row], bands[row], quotes[row], mae[row], bias[row], inside[row]
        );
    }
    assert_eq!(numbers("skipped").iter().sum::<f64>(), 0.0);
    let of = |sample: &str, model: &str| {
        let row = (0..samples.len())
            .find(|&i| samples[i] == sample && models[i] == model && bands[i] == "3-14");
        mae[row.unwrap()]
    };
    for sample in ["morning", "later"] {
        assert!(
            of(sample, "skewed") < of(sample, "flat")
                && of(sample, "flat") < of(sample, "realised")
        );
    }
    assert!(
        of("morning", "skewed") < of("later", "skewed"),
        "a fit is best where it was made"
    );
}

/// Every slice with two-sided out-of-the-money quotes has a smile, which lies near the marks, inside bid and ask, and is free
/// of arbitrage on its range.
pub(super) fn smiles_fit_what_they_were_fitted_to(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "WITH quotes AS (
             SELECT g.asset, g.event_time, g.expiry, g.iv, g.bid_iv, g.ask_iv,
                    svi_vol(s.a, s.b, s.rho, s.m, s.sigma, g.log_moneyness, g.expiry_years) AS fitted
             FROM options.greeks g
             LEFT JOIN options.slices s ON s.asset = g.asset AND s.event_time = g.event_time AND s.expiry = g.expiry
             WHERE g.two_sided AND g.out_of_the_money AND g.iv IS NOT NULL AND abs(g.delta) BETWEEN 0.05 AND 0.95
               AND g.expiry > g.event_time + INTERVAL '1' DAY
         ),
         slices AS (
             SELECT asset, event_time, expiry, sqrt(avg(power(fitted - iv, 2))) AS rmse,
                    avg(CASE WHEN fitted BETWEEN coalesce(bid_iv, 0) AND ask_iv THEN 1.0 ELSE 0.0 END) AS inside
             FROM quotes GROUP BY asset, event_time, expiry
         )
         SELECT count(*) AS slices, count(rmse) AS fits, median(rmse) AS middle,
                approx_percentile_cont(rmse, 0.95) AS high, max(rmse) AS worst, avg(inside) AS inside
         FROM slices",
    );
    let (slices, fits, middle) = (
        number(&table, "slices"),
        number(&table, "fits"),
        number(&table, "middle"),
    );
    let inside = number(&table, "inside");
    eprintln!(
        "{fits} of {slices} slices fitted; rmse in volatility points: median {:.3}, 95 % below {:.3}, worst {:.3}; inside bid and \
         ask {inside:.4}",
        100.0 * middle,
        100.0 * number(&table, "high"),
        100.0 * number(&table, "worst")
    );
    assert!(slices > 9_000.0 && fits / slices >= 0.99);
    assert!(middle <= 0.0033 && inside >= 0.93, "{middle} {inside}");
    let states = bench.sql(
        "SELECT count(a) AS published, count(*) FILTER (WHERE butterfly_free_fitted) AS free,
                count(*) FILTER (WHERE NOT calendar_free) AS crossed, count(*) FILTER (WHERE status = 'carried') AS carried
         FROM options.slices",
    );
    let of = |name: &str| number(&states, name);
    eprintln!(
        "{} slices published, {} of them carried; {} free of butterflies on their range, {} cross the nearer one",
        of("published"),
        of("carried"),
        of("free"),
        of("crossed")
    );
    assert!(of("free") == of("published") && of("crossed") <= 0.01 * of("published"));
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
