-- Scores of every forecast whose horizon has passed, beside three baselines that a forecaster could have used instead:
-- `climatology`  empirical quantiles of the returns over the trailing window,
-- `ewma`         the same returns divided by the volatility of their day, times today's volatility,
-- `options`      the risk-neutral quantiles of the newest surface.
-- What happened is told by the bars that close at the decision times themselves, although a close is published a little
-- later than the price that a forecast could know. A past return enters a baseline only once its last close was known.
WITH decisions AS (
    SELECT as_of, CAST(extract(epoch FROM as_of) / 3600 AS BIGINT) AS hour, ewma_vol
    FROM features.matrix
    WHERE asset = $asset
),
closes AS (
    SELECT CAST((extract(epoch FROM event_time) + width_s) / 3600 AS BIGINT) AS hour, close AS price, known_at,
           width_s, series, venue
    FROM market.spot_bars
    -- Bars that close between full hours would be taken for another time.
    WHERE asset = $asset AND width_s >= 3600 AND (extract(epoch FROM event_time) + width_s) % 3600 = 0
),
prices AS (
    SELECT d.hour, c.price, c.known_at, d.ewma_vol
    FROM decisions d
    JOIN closes c ON c.hour = d.hour
    QUALIFY row_number() OVER (
        PARTITION BY d.hour
        ORDER BY c.width_s, CASE WHEN c.series = 'spot' THEN 0 ELSE 1 END, c.series, c.venue) = 1
),
horizons AS (
    SELECT DISTINCT horizon_hours FROM forecast.quantiles
),
returns AS (
    SELECT a.hour, h.horizon_hours, b.known_at, ln(b.price / a.price) AS log_return,
           a.ewma_vol * sqrt(h.horizon_hours / 8760.0) AS scale
    FROM prices a
    CROSS JOIN horizons h
    JOIN prices b ON b.hour = a.hour + h.horizon_hours
),
forecasts AS (
    SELECT as_of, CAST(extract(epoch FROM as_of) / 3600 AS BIGINT) AS hour, horizon_hours, 'lakectl' AS model,
           q05, q25, q50, q75, q95
    FROM forecast.quantiles
    WHERE asset = $asset AND as_of >= $start AND as_of < $end
),
history AS (
    SELECT f.as_of, f.hour, f.horizon_hours, r.log_return, r.log_return / nullif(r.scale, 0) AS scaled_return,
           p.ewma_vol * sqrt(f.horizon_hours / 8760.0) AS scale
    FROM forecasts f
    JOIN decisions p ON p.hour = f.hour
    JOIN returns r ON r.horizon_hours = f.horizon_hours AND r.known_at <= f.as_of
                  AND r.hour >= f.hour - $climatology_window_days * 24
),
climatology AS (
    SELECT as_of, hour, horizon_hours, 'climatology' AS model,
           percentile_cont(0.05) WITHIN GROUP (ORDER BY log_return) AS q05,
           percentile_cont(0.25) WITHIN GROUP (ORDER BY log_return) AS q25,
           percentile_cont(0.50) WITHIN GROUP (ORDER BY log_return) AS q50,
           percentile_cont(0.75) WITHIN GROUP (ORDER BY log_return) AS q75,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY log_return) AS q95
    FROM history
    GROUP BY as_of, hour, horizon_hours
    HAVING count(*) >= 60
),
ewma AS (
    SELECT as_of, hour, horizon_hours, 'ewma' AS model,
           max(scale) * percentile_cont(0.05) WITHIN GROUP (ORDER BY scaled_return) AS q05,
           max(scale) * percentile_cont(0.25) WITHIN GROUP (ORDER BY scaled_return) AS q25,
           max(scale) * percentile_cont(0.50) WITHIN GROUP (ORDER BY scaled_return) AS q50,
           max(scale) * percentile_cont(0.75) WITHIN GROUP (ORDER BY scaled_return) AS q75,
           max(scale) * percentile_cont(0.95) WITHIN GROUP (ORDER BY scaled_return) AS q95
    FROM history
    WHERE scaled_return IS NOT NULL AND scale IS NOT NULL
    GROUP BY as_of, hour, horizon_hours
    HAVING count(*) >= 60
),
implied AS (
    SELECT f.as_of, f.hour, f.horizon_hours, 'options' AS model, d.q05, d.q25, d.q50, d.q75, d.q95
    FROM forecasts f
    JOIN options.density d ON d.tenor_days * 24 = f.horizon_hours
                          AND d.known_at <= f.as_of AND d.event_time > f.as_of - INTERVAL '1' DAY
    WHERE d.q05 IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY f.as_of, f.horizon_hours ORDER BY d.event_time DESC) = 1
),
all_models AS (
    SELECT * FROM forecasts UNION ALL SELECT * FROM climatology UNION ALL SELECT * FROM ewma
    UNION ALL SELECT * FROM implied
)
SELECT $asset AS asset, m.as_of, r.known_at, m.horizon_hours, m.model, r.log_return AS realised,
       m.q05, m.q25, m.q50, m.q75, m.q95,
       (pinball(0.05, m.q05, r.log_return) + pinball(0.25, m.q25, r.log_return) + pinball(0.5, m.q50, r.log_return)
        + pinball(0.75, m.q75, r.log_return) + pinball(0.95, m.q95, r.log_return)) / 5 AS pinball,
       crps_quantiles(m.q05, m.q25, m.q50, m.q75, m.q95, r.log_return) AS crps,
       r.log_return BETWEEN m.q25 AND m.q75 AS covered_50,
       r.log_return BETWEEN m.q05 AND m.q95 AS covered_90,
       quantile_cdf(m.q05, m.q25, m.q50, m.q75, m.q95, r.log_return) AS pit
FROM all_models m
JOIN returns r ON r.hour = m.hour AND r.horizon_hours = m.horizon_hours
