-- What each decision day (00:00 UTC) knows: for every series the newest day stated by then, in its newest revision.
-- A value stands from the first decision at which it was known until a newer one is, at most $stale_days days of age.
-- Features count windows over these decision days: what a day once read stays what it read, so a restatement that
-- arrives later can change no past row.
WITH stated AS (
    SELECT metric, venue, event_time, known_at, revision, value FROM onchain.metrics WHERE asset = $asset
    UNION ALL
    SELECT metric, venue, event_time, known_at, revision, value FROM onchain.global_metrics
    UNION ALL
    SELECT metric, venue, event_time, known_at, revision, value FROM sentiment.daily WHERE asset IN ($asset, '*')
),
-- Days as numbers since 1970; the first decision is the first midnight at or after `known_at`.
numbered AS (
    SELECT metric, venue, event_time, revision, value,
           CAST(CAST(event_time AS DATE) AS INT) AS event_day,
           CAST(CAST(known_at - INTERVAL '1 microsecond' AS DATE) AS INT) + 1 AS decision
    FROM stated
),
-- Of what one decision learns of a series the last word counts.
followed AS (
    SELECT *, lead(decision) OVER (PARTITION BY metric, venue ORDER BY decision, event_time, revision) AS next_decision
    FROM numbered
),
learned AS (
    SELECT metric, venue, event_time, event_day, value, decision
    FROM followed
    WHERE next_decision IS DISTINCT FROM decision
),
-- News about a day older than one already known does not move the newest value.
ranked AS (
    SELECT *, max(event_time) OVER (PARTITION BY metric, venue ORDER BY decision
                                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest_event
    FROM learned
),
spans AS (
    SELECT metric, venue, event_time, event_day, value, decision,
           least(event_day + $stale_days + 1,
                 coalesce(lead(decision) OVER (PARTITION BY metric, venue ORDER BY decision),
                          event_day + $stale_days + 1)) AS until_day
    FROM ranked
    WHERE event_time = newest_event
),
expanded AS (
    SELECT metric, venue, event_time, event_day, value, decision,
           unnest(range(CAST(decision AS BIGINT), CAST(until_day AS BIGINT), 1)) AS day
    FROM spans
    WHERE decision < until_day
),
dated AS (
    SELECT *, CAST(CAST(day AS INT) AS DATE) AS date FROM expanded
)
SELECT $asset AS asset, date, arrow_cast(date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at, metric, venue,
       -- Position in the list of preferred venues; those not in it come last, by name.
       coalesce(nullif(CAST(strpos(concat(',', $venue_order, ','), concat(',', venue, ',')) AS BIGINT), 0), 1000000)
           AS venue_rank,
       value, event_time, CAST(day - event_day AS BIGINT) AS age_days,
       -- A flow counts once: on the decision that learned of it, not on those that have nothing newer.
       day = decision AS fresh
FROM dated
WHERE date >= CAST($start AS DATE) AND date < CAST($end AS DATE)
