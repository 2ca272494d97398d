-- One row for every decision time (00:00 UTC). Each value is the newest one known by then; what is older than its
-- allowed age is null. Trailing windows count decision days, so a later restatement never rewrites a past row.
WITH days AS (
    SELECT unnest(generate_series(CAST($start AS TIMESTAMP) - INTERVAL '120' DAY,
                                  CAST($end AS TIMESTAMP) - INTERVAL '1' DAY,
                                  INTERVAL '1' DAY)) AS plain_as_of
),
decisions AS (
    SELECT arrow_cast(plain_as_of, 'Timestamp(Microsecond, Some("UTC"))') AS as_of FROM days
),
-- Bars of every venue, each mapped to the first decision time at which it was known. Hourly bars are preferred to daily
-- ones; among equals the venue's name decides, so that the choice is the same every day.
bars AS (
    SELECT venue, series, width_s, event_time, known_at, close,
           date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of,
           ln(close / lag(close) OVER w) AS log_return,
           event_time - lag(event_time) OVER w AS gap
    FROM market.spot_bars
    WHERE asset = $asset AND width_s <= 86400
    WINDOW w AS (PARTITION BY venue, series, width_s ORDER BY event_time)
),
bar_prices AS (
    SELECT as_of, close AS price, concat(series, ':', venue) AS price_source
    FROM bars
    QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY width_s, known_at DESC, series, venue) = 1
),
forward_prices AS (
    SELECT date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of, forward AS price
    FROM options.forwards
    WHERE asset = $asset
    QUALIFY row_number() OVER (
        PARTITION BY date_trunc('day', known_at - INTERVAL '1' MICROSECOND)
        ORDER BY known_at DESC, expiry) = 1
),
realised AS (
    SELECT as_of, sum(log_return * log_return) AS variance_day
    FROM bars
    WHERE width_s = 3600 AND gap = INTERVAL '1' HOUR
    GROUP BY as_of, venue, series
    -- A day with holes would look calm.
    HAVING count(*) >= 22
    QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY series, venue) = 1
),
prices AS (
    SELECT d.as_of, coalesce(b.price, f.price) AS price,
           CASE WHEN b.price IS NOT NULL THEN b.price_source WHEN f.price IS NOT NULL THEN 'nearest_forward' END AS price_source,
           r.variance_day
    FROM decisions d
    LEFT JOIN bar_prices b ON b.as_of = d.as_of
    LEFT JOIN forward_prices f ON f.as_of = d.as_of
    LEFT JOIN realised r ON r.as_of = d.as_of
),
returns AS (
    SELECT *, ln(price / lag(price) OVER w) AS ret_1d, ln(price / lag(price, 7) OVER w) AS ret_7d,
           ln(price / lag(price, 30) OVER w) AS ret_30d
    FROM prices
    WINDOW w AS (ORDER BY as_of)
),
volatility AS (
    SELECT *,
           -- Where there are no hourly bars the squared daily return stands in; it is noisier but unbiased.
           coalesce(variance_day, ret_1d * ret_1d) AS variance_used
    FROM returns
),
bar_features AS (
    SELECT as_of, price, price_source, ret_1d, ret_7d, ret_30d,
           sqrt(365 * variance_used) AS rv_1d,
           CASE WHEN count(variance_used) OVER w7 >= 5 THEN sqrt(365 * avg(variance_used) OVER w7) END AS rv_7d,
           CASE WHEN count(variance_used) OVER w30 >= 20 THEN sqrt(365 * avg(variance_used) OVER w30) END AS rv_30d,
           sqrt(365 * ema(variance_used, 0.06) OVER w90) AS ewma_vol,
           CASE WHEN variance_day IS NULL AND ret_1d IS NOT NULL THEN true ELSE false END AS rv_from_daily
    FROM volatility
    WINDOW w7 AS (ORDER BY as_of ROWS BETWEEN 6 PRECEDING AND CURRENT ROW),
           w30 AS (ORDER BY as_of ROWS BETWEEN 29 PRECEDING AND CURRENT ROW),
           w90 AS (ORDER BY as_of ROWS BETWEEN 89 PRECEDING AND CURRENT ROW)
),
surface AS (
    SELECT *, date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of
    FROM features.surface_factors
    WHERE asset = $asset AND level IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY date_trunc('day', known_at - INTERVAL '1' MICROSECOND) ORDER BY event_time DESC) = 1
),
dvol AS (
    SELECT close, date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of
    FROM market.dvol
    WHERE asset = $asset
    QUALIFY row_number() OVER (
        PARTITION BY date_trunc('day', known_at - INTERVAL '1' MICROSECOND) ORDER BY event_time DESC, width_s) = 1
),
funding_days AS (
    SELECT date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of, avg(value) AS funding_8h
    FROM market.funding
    WHERE asset = $asset AND metric = 'funding_8h'
    GROUP BY 1
)
SELECT $asset AS asset, b.as_of, b.as_of AS known_at, b.price, b.price_source, b.ret_1d, b.ret_7d, b.ret_30d,
       b.rv_1d, b.rv_7d, b.rv_30d, b.ewma_vol,
       s.level AS iv_30d, s.atm_7d AS iv_7d, s.atm_90d AS iv_90d, s.skew, s.curvature, s.term_structure,
       s.wing_asymmetry, s.pca_1, s.pca_2, s.pca_3, s.surface_shock,
       extract(epoch FROM (b.as_of - s.event_time)) / 3600.0 AS surface_age_hours,
       v.close AS dvol, f.funding_8h,
       i.supply_elasticity, i.forced_flow, i.liquidity_impulse, i.coverage AS onchain_coverage,
       d.score AS divergence_score, m.score AS market_state_score
FROM bar_features b
LEFT JOIN surface s ON s.as_of = b.as_of
LEFT JOIN dvol v ON v.as_of = b.as_of
LEFT JOIN funding_days f ON f.as_of = b.as_of
LEFT JOIN onchain.indices i ON i.known_at = b.as_of AND i.asset = $asset
LEFT JOIN features.divergence d ON d.known_at = b.as_of AND d.asset = $asset
LEFT JOIN signals.market_state m ON m.known_at = b.as_of AND m.asset = $asset
WHERE b.as_of >= $start AND b.as_of < $end
