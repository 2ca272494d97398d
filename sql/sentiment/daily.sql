-- As `onchain.metrics`, for moods; a series that belongs to no asset has the asset `*`.
-- Windows run over whole series and look at peers and neighbours: a window for every day would cost more than all else.
WITH stated AS (
    SELECT coalesce(asset, '*') AS asset, metric, venue, event_time, known_at, known_at_basis, value, unit, dataset, document_time, document_id,
           sequence, replacement,
           row_number() OVER (PARTITION BY asset, metric, venue, dataset, replacement
                              ORDER BY event_time, sequence, document_time, document_id) AS arrival
    FROM norm.sentiment
    WHERE value IS NOT NULL AND event_time >= $start AND event_time < $end
),
-- A correction takes the place of what it corrects: of one dataset's values for a day the last one to arrive counts. Until
-- that one is known the one before it stands. Arrivals are numbered along the days, so the newest of a day's is the largest.
arrivals AS (
    SELECT *, max(arrival) OVER (PARTITION BY asset, metric, venue, dataset, replacement ORDER BY event_time, known_at) AS newest
    FROM stated
),
settled AS (
    SELECT *, min(document_time) OVER (PARTITION BY asset, metric, venue ORDER BY event_time
                                       RANGE BETWEEN CURRENT ROW AND CURRENT ROW) AS first_stated
    FROM arrivals
    WHERE replacement <> 'correction' OR arrival = newest
),
-- What each document reached, days without a value included; days before $start too, or a document that lacks the first day
-- would seem to begin after it.
documents AS (
    SELECT coalesce(asset, '*') AS asset, metric, venue, dataset, document_time, min(event_time) AS first_event, max(event_time) AS last_event
    FROM norm.sentiment
    WHERE replacement = 'restatement'
    GROUP BY coalesce(asset, '*'), metric, venue, dataset, document_time
),
due AS (
    SELECT coalesce(asset, '*') AS asset, metric, venue, dataset, event_time, known_at
    FROM norm.sentiment
    WHERE replacement = 'restatement' AND value IS NOT NULL AND event_time >= $start AND event_time < $end
    GROUP BY coalesce(asset, '*'), metric, venue, dataset, event_time, known_at
),
-- The earliest document that reached a day: what a later one says about that day was not known before that later one was
-- made, whatever its usual lag. Datasets of one venue differ in their lags; of another dataset's document the last days may
-- not be public yet, so its reach is taken six days further, to days that were due when it was made.
covered AS (
    SELECT y.asset, y.metric, y.venue, y.dataset, y.event_time, y.known_at, min(d.document_time) AS first_document
    FROM due y
    JOIN documents d ON d.asset = y.asset AND d.metric = y.metric AND d.venue = y.venue AND d.first_event <= y.event_time
         AND (CASE WHEN d.dataset = y.dataset THEN y.event_time <= d.last_event
                   ELSE y.event_time <= d.last_event + INTERVAL '6 days' AND y.known_at <= d.document_time END)
    GROUP BY y.asset, y.metric, y.venue, y.dataset, y.event_time, y.known_at
),
usable AS (
    SELECT s.*,
           CASE WHEN s.replacement = 'restatement' AND s.document_time > least(s.first_stated, c.first_document)
                THEN greatest(s.known_at, s.document_time) ELSE s.known_at END AS usable_at
    FROM settled s
    LEFT JOIN covered c ON c.asset = s.asset AND c.metric = s.metric AND c.venue = s.venue AND c.dataset = s.dataset
                       AND c.event_time = s.event_time AND c.known_at = s.known_at
),
compared AS (
    SELECT *, lag(value) OVER w AS value_before, lag(event_time) OVER w AS event_before,
           -- No revision is public before the first statement was.
           max(CASE WHEN document_time = first_stated THEN usable_at END) OVER (
               PARTITION BY asset, metric, venue ORDER BY event_time RANGE BETWEEN CURRENT ROW AND CURRENT ROW) AS first_usable
    FROM usable
    WINDOW w AS (PARTITION BY asset, metric, venue ORDER BY event_time, document_time, sequence, dataset, document_id)
),
-- A later document that repeats the value, or writes it with another last digit, says nothing new.
changed AS (
    SELECT *, CASE WHEN document_time > first_stated THEN greatest(usable_at, first_usable) ELSE usable_at END AS public_at
    FROM compared
    WHERE (event_before IS DISTINCT FROM event_time) OR abs(value - value_before) > 1e-12 * abs(value_before)
)
SELECT asset, metric, event_time, public_at AS known_at,
       CASE WHEN public_at > known_at THEN 'document' ELSE known_at_basis END AS known_at_basis,
       value, unit, venue, dataset, document_time,
       CAST(row_number() OVER (PARTITION BY asset, metric, venue ORDER BY event_time, document_time, sequence, dataset, document_id)
            - rank() OVER (PARTITION BY asset, metric, venue ORDER BY event_time) AS BIGINT) AS revision
FROM changed
