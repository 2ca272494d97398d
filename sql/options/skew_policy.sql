-- The multiplier in use is the average of the last fourteen days' with weights that fall by 0.3 a day. A new day moves it when
-- it is 0.03 or more away from the average before it, and at least 50 quotes with a vega of 100 dollars a point stand behind it.
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
    JOIN (SELECT a.event_time, b.known_at, b.multiplier, extract(epoch FROM (a.day - b.day)) / 86400 AS age
          FROM fits a JOIN fits b ON b.event_time <= a.event_time AND b.day > a.day - INTERVAL '14' DAY
          WHERE b.multiplier IS NOT NULL) p ON p.event_time = f.event_time
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
)
SELECT $asset AS asset, event_time, known_at, multiplier, multiplier_before, multiplier_ewma, change,
       CAST(fits AS BIGINT) AS fits, quotes, vega_usd, reason IN ('first', 'moved') AS apply, reason
FROM judged
WHERE event_time >= $start AND event_time < $end
