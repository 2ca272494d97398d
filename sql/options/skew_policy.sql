-- The average of fourteen days' multipliers with weights that fall by 0.3 a day; a morning with less than 50 quotes, or with a
-- vega of less than 100 dollars a point behind them, is not in it. A new day moves the multiplier in use to the average when it
-- lies 0.03 or more from the average before it. Without a move in fourteen days no day of the average lay far from it: it is used.
WITH fits AS (
    SELECT event_time, known_at, multiplier, quotes, vega / 100 AS vega_usd, reason, date_trunc('day', event_time) AS day
    FROM options.skew_fit
),
averages AS (
    SELECT f.event_time, max(p.known_at) AS known_at, count(*) AS fits,
           sum(p.multiplier * power(0.7, p.age)) / sum(power(0.7, p.age)) AS multiplier_ewma,
           sum(p.multiplier * power(0.7, p.age)) FILTER (WHERE p.age > 0)
               / sum(power(0.7, p.age)) FILTER (WHERE p.age > 0) AS multiplier_before
    FROM fits f
    JOIN (SELECT a.event_time, b.known_at, b.multiplier, seconds_between(b.day, a.day) / 86400 AS age
          FROM fits a JOIN fits b ON b.event_time <= a.event_time AND b.day > a.day - INTERVAL '14' DAY
          WHERE b.multiplier IS NOT NULL AND b.quotes >= 50 AND b.vega_usd >= 100) p ON p.event_time = f.event_time
    GROUP BY f.event_time
),
judged AS (
    SELECT f.event_time, greatest(f.known_at, a.known_at) AS known_at, f.multiplier, a.multiplier_before, a.multiplier_ewma,
           f.multiplier - a.multiplier_before AS change, coalesce(a.fits, 0) AS fits, f.quotes, f.vega_usd,
           CASE WHEN f.multiplier IS NULL THEN coalesce(f.reason, 'no_multiplier')
                WHEN f.quotes < 50 THEN 'few_quotes'
                WHEN f.vega_usd < 100 THEN 'little_vega'
                WHEN a.multiplier_before IS NULL THEN 'first'
                WHEN abs(f.multiplier - a.multiplier_before) < 0.03 THEN 'small_change'
                ELSE 'moved' END AS reason
    FROM fits f
    LEFT JOIN averages a ON a.event_time = f.event_time
),
moves AS (
    SELECT event_time, known_at, multiplier_ewma FROM judged WHERE reason IN ('first', 'moved')
),
used AS (
    SELECT j.event_time, m.known_at, m.multiplier_ewma AS multiplier_in_use
    FROM judged j
    JOIN moves m ON m.event_time <= j.event_time AND m.event_time > j.event_time - INTERVAL '14' DAY
    QUALIFY row_number() OVER (PARTITION BY j.event_time ORDER BY m.event_time DESC) = 1
)
SELECT $asset AS asset, j.event_time, greatest(j.known_at, u.known_at) AS known_at, j.multiplier, j.multiplier_before,
       j.multiplier_ewma, j.change, CAST(j.fits AS BIGINT) AS fits, j.quotes, j.vega_usd, j.reason IN ('first', 'moved') AS apply,
       j.reason, coalesce(u.multiplier_in_use, j.multiplier_ewma) AS multiplier_in_use
FROM judged j
LEFT JOIN used u ON u.event_time = j.event_time
WHERE j.event_time >= $start AND j.event_time < $end
