//! No derived row is known before what it was computed from.

use lakectl_tests::Bench;

/// A derived table, an input, and the columns that join a row with one that it was computed from.
const PAIRS: [(&str, &str, &str); 27] = [
    (
        "options.forwards",
        "market.option_quotes",
        "asset, event_time, expiry",
    ),
    (
        "options.greeks",
        "market.option_quotes",
        "asset, event_time, instrument",
    ),
    (
        "options.greeks",
        "options.forwards",
        "asset, event_time, expiry",
    ),
    (
        "options.slices",
        "options.greeks",
        "asset, event_time, expiry",
    ),
    (
        "options.surface_nodes",
        "options.slices",
        "asset, event_time",
    ),
    ("options.density", "options.slices", "asset, event_time"),
    (
        "options.expiry_density",
        "options.slices",
        "asset, event_time, expiry",
    ),
    (
        "options.skew_elasticity",
        "options.density",
        "asset, event_time",
    ),
    (
        "options.variance_index",
        "options.forwards",
        "asset, event_time",
    ),
    (
        "options.index_comparison",
        "market.dvol",
        "asset, event_time",
    ),
    ("options.exposure", "options.slices", "asset, event_time"),
    ("options.exposure", "options.forwards", "asset, event_time"),
    (
        "options.exposure_profile",
        "options.slices",
        "asset, event_time",
    ),
    (
        "options.hedge_ladder",
        "options.slices",
        "asset, event_time",
    ),
    (
        "features.surface_pca",
        "options.surface_nodes",
        "asset, event_time",
    ),
    (
        "features.surface_factors",
        "options.surface_nodes",
        "asset, event_time",
    ),
    (
        "features.surface_factors",
        "options.density",
        "asset, event_time",
    ),
    (
        "features.surface_factors",
        "features.surface_pca",
        "asset, event_time",
    ),
    ("onchain.indices", "onchain.daily", "asset, date"),
    ("features.onchain_signals", "features.mdia", "asset, date"),
    ("features.onchain_signals", "features.flows", "asset, date"),
    ("features.divergence", "onchain.indices", "asset, date"),
    (
        "signals.market_state",
        "features.onchain_signals",
        "asset, date",
    ),
    ("forecast.regimes", "features.matrix", "asset, as_of"),
    ("forecast.regimes", "models.regime", "asset, model_version"),
    ("forecast.quantiles", "features.matrix", "asset, as_of"),
    (
        "forecast.quantiles",
        "models.quantile",
        "asset, horizon_hours, model_version",
    ),
];

/// Questions whose answer is (rows looked at, rows that are wrong).
const QUESTIONS: [(&str, &str); 4] = [
    (
        "a bar is known before it ends",
        "SELECT count(*) AS looked, count(*) FILTER (WHERE extract(epoch FROM known_at) - extract(epoch FROM event_time) < width_s) AS wrong \
         FROM market.spot_bars",
    ),
    (
        "a decision day reads a value that nobody had stated by then",
        "WITH stated AS (
             SELECT asset, metric, venue, event_time, value, known_at FROM onchain.metrics
             UNION ALL SELECT a.asset, metric, venue, event_time, value, known_at
                 FROM onchain.global_metrics CROSS JOIN (SELECT DISTINCT asset FROM onchain.daily) a
             UNION ALL SELECT a.asset, metric, venue, event_time, value, known_at
                 FROM sentiment.daily s JOIN (SELECT DISTINCT asset FROM onchain.daily) a ON s.asset IN (a.asset, '*')
         ),
         first AS (
             SELECT asset, metric, venue, event_time, value, min(known_at) AS known_at FROM stated GROUP BY 1, 2, 3, 4, 5
         )
         SELECT count(*) AS looked, count(*) FILTER (WHERE f.known_at IS NULL OR d.known_at < f.known_at) AS wrong
         FROM onchain.daily d
         LEFT JOIN first f ON f.asset = d.asset AND f.metric = d.metric AND f.venue = d.venue
                          AND f.event_time = d.event_time AND f.value = d.value",
    ),
    (
        "a decision uses a surface of its future",
        "SELECT count(surface_age_hours) AS looked, count(*) FILTER (WHERE surface_age_hours < 0) AS wrong FROM features.matrix",
    ),
    (
        "a decision is known before its time, or a model before it was fitted",
        "SELECT count(*) AS looked, count(*) FILTER (WHERE known_at < time) AS wrong FROM (
             SELECT known_at, as_of AS time FROM features.matrix UNION ALL SELECT known_at, as_of FROM forecast.quantiles
             UNION ALL SELECT known_at, fitted_at FROM models.quantile UNION ALL SELECT known_at, fitted_at FROM models.regime)",
    ),
];

/// Insists that `known_at` never goes back along the graph.
pub(crate) fn assert_known_in_order(bench: &Bench) {
    let pairs = PAIRS.map(|(derived, input, keys)| {
        let question = format!("{derived} is known before {input}");
        let query = format!(
            "SELECT count(*) AS looked, count(*) FILTER (WHERE d.known_at < i.known_at) AS wrong \
             FROM {derived} d JOIN (SELECT {keys}, max(known_at) AS known_at FROM {input} GROUP BY {keys}) i \
             USING ({keys})"
        );
        (question, query)
    });
    let questions = QUESTIONS.map(|(question, query)| (question.to_owned(), query.to_owned()));
    for (question, query) in pairs.into_iter().chain(questions) {
        let answer = bench.sql(&query);
        let (looked, wrong) = (
            answer.i64s("looked").unwrap()[0],
            answer.i64s("wrong").unwrap()[0],
        );
        assert!(looked > Some(0), "{question}: nothing was looked at");
        assert_eq!(wrong, Some(0), "{question}: {wrong:?} of {looked:?} rows");
    }
}
