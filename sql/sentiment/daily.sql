-- As `onchain.metrics`, for moods; a series that belongs to no asset has the asset `*`.
WITH stated AS (
    SELECT metric, venue, event_time, known_at, known_at_basis, value, unit, dataset, document_time, document_id,
           sequence, replacement, coalesce(asset, '*') AS asset
    FROM norm.sentiment
    WHERE value IS NOT NULL AND event_time >= $start AND event_time < $end
),
-- A correction takes the place of what it corrects: of one dataset's values for a day the last one to arrive counts.
arrivals AS (
    SELECT *, row_number() OVER (PARTITION BY asset, metric, venue, event_time, dataset, replacement
                                 ORDER BY sequence DESC, document_time DESC, document_id DESC) AS from_last
    FROM stated
),
settled AS (
    SELECT *, min(document_time) OVER (PARTITION BY asset, metric, venue, event_time) AS first_stated
    FROM arrivals
    WHERE replacement <> 'correction' OR from_last = 1
),
-- The earliest document that could have stated a day: made after the day's value was due, and reaching back to it. What
-- a later document says about that day was not known before that later document was made, whatever its usual lag.
documents AS (
    SELECT asset, metric, venue, document_time, min(event_time) AS first_event
    FROM settled
    WHERE replacement = 'restatement'
    GROUP BY asset, metric, venue, document_time
),
days AS (
    SELECT DISTINCT asset, metric, venue, event_time, known_at FROM settled WHERE replacement = 'restatement'
),
covered AS (
    SELECT y.asset, y.metric, y.venue, y.event_time, y.known_at, min(d.document_time) AS first_document
    FROM days y
    JOIN documents d ON d.asset = y.asset AND d.metric = y.metric AND d.venue = y.venue AND d.first_event <= y.event_time
                     AND d.document_time >= y.known_at
    GROUP BY y.asset, y.metric, y.venue, y.event_time, y.known_at
),
usable AS (
    SELECT s.*,
           CASE WHEN s.replacement = 'restatement' AND s.document_time > least(s.first_stated, c.first_document)
                THEN greatest(s.known_at, s.document_time) ELSE s.known_at END AS usable_at
    FROM settled s
    LEFT JOIN covered c ON c.asset = s.asset AND c.metric = s.metric AND c.venue = s.venue AND c.event_time = s.event_time
                       AND c.known_at = s.known_at
),
compared AS (
    SELECT *, lag(value) OVER (PARTITION BY asset, metric, venue, event_time
                               ORDER BY document_time, sequence, dataset, document_id) AS value_before
    FROM usable
),
-- A later document that repeats the value says nothing new.
changed AS (
    SELECT * FROM compared WHERE value IS DISTINCT FROM value_before
)
SELECT asset, metric, event_time, max(usable_at) OVER revisions AS known_at,
       CASE WHEN usable_at > known_at THEN 'document' ELSE known_at_basis END AS known_at_basis,
       value, unit, venue, dataset, document_time, CAST(row_number() OVER revisions - 1 AS BIGINT) AS revision
FROM changed
WINDOW revisions AS (PARTITION BY asset, metric, venue, event_time ORDER BY document_time, sequence, dataset, document_id
                     ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
