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
-- Bars of every venue, each mapped to the first decision time at which it was known; a return is known with the later of
-- its two closes.
bars AS (
    SELECT venue, series, width_s, close, gap, log_return, extract(epoch FROM event_time) + width_s AS closed_s,
           date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of,
           date_trunc('day', return_known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS return_as_of
    FROM (
        SELECT *, ln(close / lag(close) OVER w) AS log_return, event_time - lag(event_time) OVER w AS gap,
               greatest(known_at, lag(known_at) OVER w) AS return_known_at
        FROM market.spot_bars
        WHERE asset = $asset AND width_s <= 86400
        WINDOW w AS (PARTITION BY venue, series, width_s ORDER BY event_time)
    )
),
-- What is a day old or older is no price of today: a forecast from it would be scored on moves that are over.
observations AS (
    SELECT as_of, closed_s AS seen_s, close AS price, concat(series, ':', venue) AS price_source, width_s,
           CASE WHEN series = 'spot' THEN 0 ELSE 1 END AS preference
    FROM bars
    UNION ALL
    SELECT date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY, extract(epoch FROM event_time),
           forward, 'nearest_forward', 0, 2
    FROM options.forwards
    WHERE asset = $asset
    QUALIFY row_number() OVER (PARTITION BY event_time ORDER BY expiry) = 1
),
newest_prices AS (
    SELECT as_of, price, price_source, extract(epoch FROM as_of) - seen_s AS age_s
    FROM observations
    WHERE seen_s > extract(epoch FROM as_of) - 86400
    -- Of equally new prices spot comes first, then the venue's name decides, so that the choice is the same every day.
    QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY seen_s DESC, preference, width_s, price_source) = 1
),
realised AS (
    SELECT return_as_of AS as_of, 24 * avg(log_return * log_return) AS variance_day
    FROM bars
    WHERE width_s = 3600 AND gap = INTERVAL '1' HOUR AND closed_s >= extract(epoch FROM return_as_of) - 86400
    GROUP BY return_as_of, venue, series
    -- One or two missing hours are taken as the mean of the others; a day with more holes says nothing.
    HAVING count(*) >= 22
    QUALIFY row_number() OVER (
        PARTITION BY return_as_of ORDER BY CASE WHEN series = 'spot' THEN 0 ELSE 1 END, series, venue) = 1
),
prices AS (
    SELECT d.as_of, p.price, p.price_source, p.age_s, r.variance_day
    FROM decisions d
    LEFT JOIN newest_prices p ON p.as_of = d.as_of
    LEFT JOIN realised r ON r.as_of = d.as_of
),
-- A move between prices of different age is not the move of the days in its name; two hours may pass.
returns AS (
    SELECT *, CASE WHEN abs(age_s - lag(age_s) OVER w) <= 7200 THEN ln(price / lag(price) OVER w) END AS ret_1d,
           CASE WHEN abs(age_s - lag(age_s, 7) OVER w) <= 7200 THEN ln(price / lag(price, 7) OVER w) END AS ret_7d,
           CASE WHEN abs(age_s - lag(age_s, 30) OVER w) <= 7200 THEN ln(price / lag(price, 30) OVER w) END AS ret_30d
    FROM prices
    WINDOW w AS (ORDER BY as_of)
),
volatility AS (
    SELECT *,
           -- Where there are no hourly bars the squared daily return stands in; it is noisier but unbiased, so means take it,
           -- while a single one is no volatility of a day.
           coalesce(variance_day, ret_1d * ret_1d) AS variance_used
    FROM returns
),
bar_features AS (
    SELECT as_of, price, price_source, ret_1d, ret_7d, ret_30d,
           sqrt(365 * variance_day) AS rv_1d,
           CASE WHEN count(variance_used) OVER w7 >= 5 THEN sqrt(365 * avg(variance_used) OVER w7) END AS rv_7d,
           CASE WHEN count(variance_used) OVER w30 >= 20 THEN sqrt(365 * avg(variance_used) OVER w30) END AS rv_30d,
           sqrt(365 * ema(variance_used, 0.06) OVER w90) AS ewma_vol
    FROM volatility
    WINDOW w7 AS (ORDER BY as_of ROWS BETWEEN 6 PRECEDING AND CURRENT ROW),
           w30 AS (ORDER BY as_of ROWS BETWEEN 29 PRECEDING AND CURRENT ROW),
           w90 AS (ORDER BY as_of ROWS BETWEEN 89 PRECEDING AND CURRENT ROW)
),
-- Surfaces, the volatility index and funding are taken while they are fresh; what was recorded later than that is not.
surface AS (
    SELECT * FROM (
        SELECT *, date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of
        FROM features.surface_factors
        WHERE asset = $asset AND level IS NOT NULL
    )
    WHERE event_time > as_of - INTERVAL '1' DAY
    QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY event_time DESC) = 1
),
dvol AS (
    SELECT as_of, close FROM (
        SELECT close, width_s, extract(epoch FROM event_time) + width_s AS closed_s,
               date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of
        FROM market.dvol
        WHERE asset = $asset
    )
    WHERE closed_s >= extract(epoch FROM as_of) - 86400
    QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY closed_s DESC, width_s) = 1
),
-- The mean of the rates that became known on the day before, of one venue: the one with the newest rate.
funding_days AS (
    SELECT as_of, avg(value) AS funding_8h FROM (
        SELECT venue, value, event_time,
               date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of
        FROM market.funding
        WHERE asset = $asset AND metric = 'funding_8h'
    )
    WHERE event_time >= as_of - INTERVAL '2' DAY
    GROUP BY as_of, venue
    QUALIFY row_number() OVER (PARTITION BY as_of ORDER BY max(event_time) DESC, venue) = 1
)
SELECT $asset AS asset, b.as_of, b.as_of AS known_at, b.price, b.price_source, b.ret_1d, b.ret_7d, b.ret_30d,
       b.rv_1d, b.rv_7d, b.rv_30d, b.ewma_vol,
       s.level AS iv_30d, s.atm_7d AS iv_7d, s.atm_90d AS iv_90d, s.skew, s.curvature, s.term_structure,
       s.wing_asymmetry, s.pca_1, s.pca_2, s.pca_3, s.surface_shock,
       seconds_between(s.event_time, b.as_of) / 3600.0 AS surface_age_hours,
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
