-- Thirty changes between consecutive snapshots, none over more than ten days and all within 45 days, so that the rows of one
-- snapshot never depend on how far its partition looks back. Three lags: the rule 4 (n / 100)^(2/9) for thirty rows.
WITH snapshots AS (
    SELECT asset, event_time, known_at, risk_reversal_25, forward FROM options.density
    WHERE tenor_days = 30
),
moves AS (
    SELECT asset, event_time, known_at,
           risk_reversal_25 - lag(risk_reversal_25) OVER w AS skew_change,
           ln(forward / lag(forward) OVER w) AS forward_change,
           greatest(known_at, lag(known_at) OVER w) AS move_known_at,
           lag(event_time) OVER w AS previous_time
    FROM snapshots
    WHERE risk_reversal_25 IS NOT NULL AND forward > 0
    WINDOW w AS (ORDER BY event_time)
),
fits AS (
    SELECT event_time,
           newey_west_slope(skew_change, forward_change, 3) OVER w AS fit,
           min(event_time) OVER w AS oldest,
           max(move_known_at) OVER w AS known_at
    FROM moves
    WHERE skew_change IS NOT NULL AND previous_time >= event_time - INTERVAL '10' DAY
    WINDOW w AS (ORDER BY event_time ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)
),
complete AS (
    SELECT event_time, fit, known_at FROM fits
    WHERE fit['rows'] = 30 AND oldest >= event_time - INTERVAL '45' DAY
)
SELECT s.asset, s.event_time, greatest(s.known_at, c.known_at) AS known_at,
       c.fit['slope'] AS elasticity, c.fit['standard_error'] AS standard_error,
       CAST(coalesce(c.fit['rows'], 0) AS BIGINT) AS observations,
       CASE WHEN s.risk_reversal_25 IS NULL OR s.forward IS NULL THEN 'no_risk_reversal'
            WHEN c.event_time IS NULL THEN 'short_history'
            WHEN c.fit['slope'] IS NULL THEN 'forward_does_not_vary' END AS reason
FROM snapshots s
LEFT JOIN complete c ON c.event_time = s.event_time
WHERE s.event_time >= $start AND s.event_time < $end
